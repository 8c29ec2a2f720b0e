//! What a KRB-ERROR may do to the clock, and what it may not.

use trihound_asn1::error_code;
use trihound_krb5::{AsExchange, Error};

use crate::small_kdc::{Kdc, World, password_login, run};

/// Conformance row 69: only a pre-authenticated request is retried with the time that an error tells;
/// before there is a timestamp to correct, the error is the end.
#[test]
fn row_69_an_error_before_preauthentication_corrects_nothing() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let exchange = AsExchange::begin(password_login(), &world.environment);
    let (result, requests) = run(exchange, |_| kdc.error(error_code::KRB_AP_ERR_SKEW, None));
    let Err(Error::KdcRefused(refusal)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(refusal.code, error_code::KRB_AP_ERR_SKEW);
    assert_eq!(requests.len(), 1);
}
