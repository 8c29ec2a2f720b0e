//! The PACs of an MIT KDC, which say the client's name and the time of the login.

use std::path::Path;
use std::sync::Arc;

use trihound::krb5::pac::PacPolicy;
use trihound::krb5::{Error as KerberosError, Policy};

use crate::world::World;

/// Conformance row 43: they are there and verify, under service keys of every enctype; nobody's SID is in them.
#[test]
fn row_43_the_pacs_of_mit_verify_and_have_no_sid() {
    let Some(world) = World::new() else { return };
    let conf = world.realm.variable("KRB5_CONFIG").to_owned();
    let config = Arc::new(trihound::environment::load_config_from(Path::new(&conf)).unwrap());
    let client = trihound::Client::builder()
        .config(Arc::clone(&config))
        .password("alice", "Wonder-Land-7")
        .build()
        .unwrap();
    let server = |policy| {
        trihound::Server::builder()
            .config(Arc::clone(&config))
            .keytab(world.path("service.keytab"))
            .pac_policy(policy)
            .build()
            .unwrap()
    };
    for service in [
        "HTTP/localhost",
        "host/aes256.localhost",
        "host/aes128.localhost",
        "host/aes256sha2.localhost",
        "host/aes128sha2.localhost",
    ] {
        let token = || {
            let mut handshake = client.connector(service).handshake();
            handshake.step(None).unwrap().token.unwrap()
        };
        let mut accepted = server(PacPolicy::REQUIRED).handshake();
        let leg = accepted.step(&token()).unwrap();
        assert!(leg.complete, "{service}");
        let context = accepted.into_context().unwrap();
        let who = context.access_token().unwrap();
        assert!(who.client_name.starts_with("alice@"), "{service}");
        assert!(who.sids.is_empty());
        assert!(who.logon.as_ref().unwrap().user_sid.is_none());
        let rejected = server(PacPolicy::USER_SID_REQUIRED)
            .handshake()
            .step(&token())
            .unwrap_err();
        let mut source: Option<&dyn core::error::Error> = Some(&rejected.error);
        let mut found = false;
        while let Some(error) = source {
            found |= matches!(
                error.downcast_ref(),
                Some(KerberosError::Policy(Policy::PacWithoutUserSid { .. }))
            );
            source = error.source();
        }
        assert!(found, "{}", rejected.error);
    }
}
