//! Tickets ahead of need, against the embedded KDC.

use std::sync::Arc;

use trihound_kerberos::{CredentialError, Error, KerberosCredential, TicketExchange};
use trihound_krb5::{
    AsExchange, AsRequest, ClientSecret, Config, CredentialFailure, CredentialStore, Credentials,
    Environment, Error as KerberosError, MemoryStore, Principal,
};
use trihound_sansio::{Clock, DriveError, FixedClock, Timestamp, drive};
use trihound_sspi::SecurityStatus;
use trihound_test_realm::TestRealm;

use crate::support::Seeded;
use crate::world::{HOUR, NOW, REALM, TARGET};

/// A realm with alice and a service, by a clock that moves when it is told.
struct Site {
    clock: Arc<FixedClock>,
    realm: Arc<TestRealm>,
    environment: Environment,
    store: Arc<MemoryStore>,
}

impl Site {
    fn new() -> Self {
        let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(NOW)));
        let realm = TestRealm::builder(REALM)
            .principal("alice", "secret")
            .service(TARGET)
            .clock(clock.clone())
            .build()
            .unwrap();
        let mut config = Config::default();
        config.default_realm = Some(REALM.to_owned());
        config.ticket_lifetime = HOUR;
        let environment =
            Environment::new(clock.clone(), Arc::new(Seeded::new(7)), Arc::new(config));
        Self {
            clock,
            realm,
            environment,
            store: Arc::new(MemoryStore::new()),
        }
    }

    fn alice(&self) -> Principal {
        Principal::parse("alice", Some(REALM)).unwrap()
    }

    fn with_keys(&self) -> KerberosCredential {
        let keytab = Arc::new(self.realm.keytab(&["alice"]).unwrap());
        KerberosCredential::from_keytab_in_store(self.alice(), keytab, self.store.clone())
    }

    fn with_tickets(&self) -> KerberosCredential {
        KerberosCredential::from_store(self.alice(), self.store.clone())
    }

    /// Puts a ticket-granting ticket into the store, as somebody else would.
    fn fill(&self) {
        let mut request = AsRequest::new(self.alice(), ClientSecret::Password("secret".into()));
        request.lifetime = Some(HOUR);
        let exchange = AsExchange::begin(request, &self.environment).unwrap();
        let outcome = drive(exchange, self.realm.transport()).unwrap();
        self.store.store(&Arc::new(outcome.credentials)).unwrap();
    }

    fn run(&self, exchange: TicketExchange) -> Result<(Arc<Credentials>, usize), Error> {
        let mut transport = self.realm.transport();
        match drive(exchange, &mut transport) {
            Ok(ticket) => Ok((ticket, transport.round_trips())),
            Err(DriveError::Protocol(error)) => Err(error),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn what_is_there_is_told_without_asking_anybody() {
    let site = Site::new();
    let credential = site.with_keys();
    let standing = |target| credential.standing(target, &site.environment).unwrap();
    let empty = standing(Some(TARGET));
    assert!(empty.granting.is_none() && empty.service.is_none() && empty.has_secret);
    site.fill();
    assert!(standing(None).granting.is_some());
    let exchange = credential.renew_service_ticket(TARGET, &site.environment);
    let (ticket, _) = site.run(exchange.unwrap()).unwrap();
    let found = standing(Some(TARGET)).service.unwrap();
    assert!(Arc::ptr_eq(&found, &ticket));
    site.clock.advance(2 * HOUR);
    let ended = standing(Some(TARGET));
    assert!(ended.granting.is_none() && ended.service.is_none());
    assert_eq!(ended.now, site.clock.now());
}

#[test]
fn a_fresh_ticket_is_got_although_the_store_has_one() {
    let site = Site::new();
    let credential = site.with_keys();
    let granting = || {
        let exchange = credential.renew_granting_ticket(&site.environment);
        site.run(exchange.unwrap()).unwrap()
    };
    let (first, trips) = granting();
    assert_eq!(trips, 2, "the KDC wants pre-authentication first");
    site.clock.advance(HOUR / 2);
    let (second, _) = granting();
    assert!(second.endtime > first.endtime);
    for _ in 0..2 {
        let exchange = credential.renew_service_ticket(TARGET, &site.environment);
        let (ticket, trips) = site.run(exchange.unwrap()).unwrap();
        assert_eq!((ticket.endtime, trips), (second.endtime, 1));
    }
}

#[test]
fn without_a_secret_a_ticket_is_renewed_or_it_is_told_that_it_cannot_be() {
    let site = Site::new();
    let credential = site.with_tickets();
    let renew = || {
        let exchange = credential.renew_granting_ticket(&site.environment);
        site.run(exchange.unwrap()).map(|_| ())
    };
    assert!(matches!(
        renew(),
        Err(Error::Credential(CredentialError::NoTicketGrantingTicket { client }))
            if client == format!("alice@{REALM}")
    ));
    site.fill();
    assert!(matches!(
        renew(),
        Err(Error::Kerberos(KerberosError::Credential(
            CredentialFailure::NotRenewable { .. }
        )))
    ));
    // The ticket that is there was not lost over it.
    let standing = credential.standing(None, &site.environment).unwrap();
    assert!(standing.granting.is_some());
}

#[test]
fn what_is_no_name_and_what_is_no_client_is_refused() {
    let site = Site::new();
    let credential = site.with_keys();
    for status in [
        credential
            .standing(Some("HTTP"), &site.environment)
            .map(drop),
        credential
            .renew_service_ticket("HTTP", &site.environment)
            .map(drop),
    ] {
        let error = status.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_TARGET_UNKNOWN);
    }
    let keytab = Arc::new(site.realm.keytab(&[TARGET]).unwrap());
    let service = KerberosCredential::acceptor(keytab, None);
    for refused in [
        service.standing(None, &site.environment).map(drop),
        service.renew_granting_ticket(&site.environment).map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(
            error.find_source(),
            Some(CredentialError::OtherDirection { .. })
        ));
    }
}
