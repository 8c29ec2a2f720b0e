//! A replica that has not heard of a change yet, and the primary KDC that has.

use trihound_asn1::error_code;
use trihound_krb5::{AsExchange, Error, KdcRefused};
use trihound_sansio::{
    Exchange, ExchangeRequest, Progress, Reply, Transport, TransportFailure, TransportHint, drive,
};

use crate::small_kdc::*;

/// A replica that refuses with one code, and a primary KDC that does as it is told.
struct Site<'a> {
    kdc: &'a Kdc,
    replica_says: i32,
    primary: &'a dyn Fn(&ExchangeRequest, usize) -> Option<Vec<u8>>,
    hints: Vec<TransportHint>,
}

impl Transport for Site<'_> {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        self.hints.push(request.hint);
        if !request.hint.is_primary_only() {
            return Ok(self.kdc.error(self.replica_says, None));
        }
        let asked = self.hints.iter().filter(|hint| hint.is_primary_only());
        let answer = (self.primary)(request, asked.count());
        answer.ok_or_else(|| TransportFailure::no_primary(&request.realm))
    }
}

/// What the primary KDC answers to the request of that number, if there is one.
type Primary<'a> = &'a dyn Fn(&Kdc, &ExchangeRequest, usize) -> Option<Vec<u8>>;

fn login_at(
    replica_says: i32,
    primary: Primary<'_>,
) -> (Result<(), KdcRefused>, Vec<TransportHint>) {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let mut site = Site {
        kdc: &kdc,
        replica_says,
        primary: &|request, count| primary(&kdc, request, count),
        hints: Vec::new(),
    };
    let exchange = AsExchange::begin(password_login(), &world.environment).unwrap();
    let result = match drive(exchange, &mut site) {
        Ok(_) => Ok(()),
        Err(trihound_sansio::DriveError::Protocol(Error::KdcRefused(refused))) => Err(*refused),
        Err(other) => panic!("another error: {other}"),
    };
    (result, site.hints)
}

const ANY: TransportHint = TransportHint::Any;
const PRIMARY: TransportHint = TransportHint::PrimaryOnly;
const STALE: [i32; 3] = [
    error_code::KDC_ERR_PREAUTH_FAILED,
    error_code::KDC_ERR_KEY_EXPIRED,
    error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN,
];

#[test]
fn a_primary_kdc_knows_of_a_change_before_the_replica() {
    for code in STALE {
        let (result, hints) = login_at(code, &|kdc, request, _| {
            Some(match kdc.timestamp(&request.message) {
                None => kdc.preauth_required(),
                Some(_) => kdc.as_reply(&request.message, |_| {}),
            })
        });
        result.unwrap();
        assert_eq!(hints, [ANY, PRIMARY, PRIMARY], "{code}");
    }
}

#[test]
fn without_a_primary_kdc_the_first_answer_counts() {
    for code in STALE {
        let (result, hints) = login_at(code, &|_, _, _| None);
        assert_eq!(result.unwrap_err().code, code);
        assert_eq!(hints, [ANY, PRIMARY]);
    }
}

#[test]
fn a_primary_kdc_that_goes_away_leaves_the_first_answer() {
    let (result, hints) = login_at(error_code::KDC_ERR_KEY_EXPIRED, &|kdc, _, count| {
        (count == 1).then(|| kdc.preauth_required())
    });
    assert_eq!(result.unwrap_err().code, error_code::KDC_ERR_KEY_EXPIRED);
    assert_eq!(hints, [ANY, PRIMARY, PRIMARY]);
}

#[test]
fn what_the_primary_kdc_says_is_final() {
    let (result, hints) = login_at(error_code::KDC_ERR_PREAUTH_FAILED, &|kdc, _, _| {
        Some(kdc.error(error_code::KDC_ERR_CLIENT_REVOKED, None))
    });
    assert_eq!(result.unwrap_err().code, error_code::KDC_ERR_CLIENT_REVOKED);
    assert_eq!(hints, [ANY, PRIMARY]);
    // It is asked once: a wrong password is counted once there.
    let (result, hints) = login_at(error_code::KDC_ERR_PREAUTH_FAILED, &|kdc, _, _| {
        Some(kdc.error(error_code::KDC_ERR_PREAUTH_FAILED, None))
    });
    assert_eq!(result.unwrap_err().code, error_code::KDC_ERR_PREAUTH_FAILED);
    assert_eq!(hints, [ANY, PRIMARY]);
}

#[test]
fn other_refusals_are_no_matter_of_replication() {
    for code in [
        error_code::KDC_ERR_CLIENT_REVOKED,
        error_code::KDC_ERR_ETYPE_NOSUPP,
        error_code::KDC_ERR_POLICY,
    ] {
        let (result, hints) = login_at(code, &|_, _, _| panic!("asked"));
        assert_eq!(result.unwrap_err().code, code);
        assert_eq!(hints, [ANY]);
    }
}

/// Conformance row 181: the primary KDC's answer may be too big for a datagram as any other's.
#[test]
fn the_primary_kdc_is_asked_over_a_stream_when_it_says_so() {
    let (result, hints) = login_at(
        error_code::KDC_ERR_PREAUTH_FAILED,
        &|kdc, request, count| {
            Some(match count {
                1 => kdc.error(error_code::KRB_ERR_RESPONSE_TOO_BIG, None),
                _ => kdc.as_reply(&request.message, |_| {}),
            })
        },
    );
    result.unwrap();
    assert_eq!(hints, [ANY, PRIMARY, TransportHint::PrimaryStreamOnly]);
}

#[test]
fn a_first_request_that_nobody_answers_tells_so() {
    let world = World::new();
    let mut exchange = AsExchange::begin(password_login(), &world.environment).unwrap();
    let Progress::Exchange(_) = exchange.step(None).unwrap() else {
        panic!()
    };
    let failure = TransportFailure::no_primary("TEST.EXAMPLE");
    assert!(matches!(
        exchange.step(Some(Reply::Failed(&failure))),
        Err(Error::Unreachable(_))
    ));
}
