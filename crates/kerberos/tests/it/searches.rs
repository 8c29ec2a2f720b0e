//! What a search for a ticket asks of KDCs, and what it keeps for the next one.

use std::sync::Arc;
use std::time::Duration;

use trihound_asn1::{AsReq, KdcOptions, Message};
use trihound_kerberos::{Kerberos, KerberosConfig, KerberosCredential};
use trihound_krb5::{
    Config, CredentialStore, Environment, Error as KerberosError, MemoryStore, PeerMisbehaved,
    Principal,
};
use trihound_sansio::{ExchangeRequest, FixedClock, Reply, Timestamp, Transport};
use trihound_sspi::{
    AcceptRequest, CredHandle, Error, InitializeRequest, InitiatorRequirements, InputDesc,
    RegisteredPackage, SecBuffer, SecBufferDesc, SecurityFunctionTable,
};
use trihound_test_realm::{RealmTransport, TestRealm};

use crate::support::Seeded;
use crate::world::{HOUR, NOW, REALM, TARGET, cause, principal};

const OTHER: &str = "OTHER.TEST";

/// One host with its clock: the package, and the credentials that it made.
struct Host {
    package: RegisteredPackage<Kerberos>,
    table: SecurityFunctionTable,
}

impl Host {
    fn new(clock: Arc<FixedClock>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.default_realm = Some(REALM.to_owned());
        change(&mut config);
        let environment = Environment::new(clock, Arc::new(Seeded::new(5)), Arc::new(config));
        let package = RegisteredPackage::new(Kerberos::new(KerberosConfig::new(
            environment,
            Arc::new(MemoryStore::new()),
        )));
        let table = SecurityFunctionTable::builder()
            .package(&package)
            .build()
            .unwrap();
        Self { package, table }
    }

    /// Alice by her key, with a store that can be looked into.
    fn alice(&self, realm: &TestRealm) -> (CredHandle, Arc<MemoryStore>) {
        let store = Arc::new(MemoryStore::new());
        let keytab = Arc::new(realm.keytab(&["alice"]).unwrap());
        let credential =
            KerberosCredential::from_keytab_in_store(principal("alice"), keytab, store.clone());
        (self.package.adopt(credential).unwrap(), store)
    }

    /// An AP-REQ without mutual authentication, and what was sent to KDCs for it.
    fn connect(
        &self,
        credential: CredHandle,
        transport: &mut RealmTransport,
        target: &str,
    ) -> Result<(Vec<u8>, Vec<ExchangeRequest>), Error> {
        let mut memory = [0; 4000];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut buffers);
        let request = InitializeRequest {
            target_name: Some(target),
            requirements: InitiatorRequirements::INTEGRITY,
            ..InitializeRequest::default()
        };
        let mut outcome =
            self.table
                .initialize_security_context(Some(credential), None, request, &mut output)?;
        let mut sent = Vec::new();
        while let Some(request) = outcome.exchange() {
            sent.push(request.clone());
            let answer = transport.round_trip(request);
            let reply = match &answer {
                Ok(bytes) => Reply::Bytes(bytes),
                Err(failure) => Reply::Failed(failure),
            };
            outcome = self
                .table
                .complete_exchange(outcome.context, reply, &mut output)?;
        }
        Ok((output.token().unwrap().to_vec(), sent))
    }

    fn accept(&self, credential: CredHandle, token: &[u8]) -> Result<(), Error> {
        let input = [SecBuffer::token_input(token)];
        let request = AcceptRequest {
            input: Some(InputDesc::new(&input)),
            ..AcceptRequest::default()
        };
        let mut output = SecBufferDesc::new(&mut []);
        let accepted =
            self.table
                .accept_security_context(Some(credential), None, request, &mut output)?;
        assert!(accepted.established().is_some());
        Ok(())
    }
}

fn clock(seconds: i64) -> Arc<FixedClock> {
    Arc::new(FixedClock::new(Timestamp::from_seconds(seconds)))
}

fn realm(clock: Arc<FixedClock>) -> Arc<TestRealm> {
    TestRealm::builder(REALM)
        .principal("alice", "correct horse")
        .service(TARGET)
        .trust(OTHER, "shared")
        .domain("other.test", OTHER)
        .clock(clock)
        .random(Arc::new(Seeded::new(3)))
        .build()
        .unwrap()
}

/// Conformance row 69: how far the KDC's clock is from ours is learned with the first ticket, and kept
/// for every authenticator after it: to the KDC, and to services of the KDC's time.
#[test]
fn row_69_the_kdcs_time_is_kept_for_later_contexts() {
    for skew in [3600, -3600, 200] {
        let kdc_clock = clock(NOW + skew);
        let realm = realm(kdc_clock.clone());
        let mut transport = realm.transport();
        let ours = clock(NOW);
        let client = Host::new(ours.clone(), |_| {});
        let server = Host::new(kdc_clock.clone(), |_| {});
        let keytab = Arc::new(realm.keytab(&[TARGET]).unwrap());
        let service = server
            .package
            .adopt(KerberosCredential::acceptor(keytab, None))
            .unwrap();
        let (alice, store) = client.alice(&realm);
        let (token, sent) = client.connect(alice, &mut transport, TARGET).unwrap();
        assert!(sent.len() >= 2);
        server.accept(service, &token).unwrap();
        assert_eq!(store.time_offset().unwrap(), Some(skew * 1_000_000));

        for host in [&ours, &kdc_clock] {
            host.advance(Duration::from_secs(600));
        }
        let (token, sent) = client.connect(alice, &mut transport, TARGET).unwrap();
        assert!(sent.is_empty());
        server.accept(service, &token).unwrap();
    }
}

/// With kdc_timesync off no offset is kept: the service is met with our own time.
#[test]
fn row_69_without_kdc_timesync_no_offset_is_kept() {
    // Between the KDC and the client, so that only the two of them agree.
    let realm = realm(clock(NOW + 200));
    let client = Host::new(clock(NOW), |config| config.kdc_timesync = false);
    let server = Host::new(clock(NOW + 400), |_| {});
    let keytab = Arc::new(realm.keytab(&[TARGET]).unwrap());
    let service = server
        .package
        .adopt(KerberosCredential::acceptor(keytab, None))
        .unwrap();
    let (alice, store) = client.alice(&realm);
    let mut transport = realm.transport();
    let (token, _) = client.connect(alice, &mut transport, TARGET).unwrap();
    assert_eq!(store.time_offset().unwrap(), None);
    let error = server.accept(service, &token).unwrap_err();
    assert!(matches!(
        cause(&error),
        KerberosError::PeerMisbehaved(PeerMisbehaved::ClockSkew { .. })
    ));
}

/// What the configuration wants of a ticket-granting ticket is in the AS-REQ, each alone.
#[test]
fn the_configured_options_are_asked_for() {
    let asked = |change: fn(&mut Config)| {
        let realm = realm(clock(NOW));
        let client = Host::new(clock(NOW), change);
        let (alice, _) = client.alice(&realm);
        let mut transport = realm.transport();
        let (_, sent) = client.connect(alice, &mut transport, TARGET).unwrap();
        let request = AsReq::from_der(&sent[0].message).unwrap();
        let all = KdcOptions::FORWARDABLE | KdcOptions::PROXIABLE | KdcOptions::CANONICALIZE;
        request.0.req_body.decode().unwrap().kdc_options & all
    };
    assert_eq!(asked(|_| {}), KdcOptions::empty());
    assert_eq!(
        asked(|config| config.forwardable = true),
        KdcOptions::FORWARDABLE
    );
    assert_eq!(
        asked(|config| config.proxiable = true),
        KdcOptions::PROXIABLE
    );
    assert_eq!(
        asked(|config| config.canonicalize = true),
        KdcOptions::CANONICALIZE
    );
}

/// A ticket-granting ticket of another realm that was got on the way goes into the store.
#[test]
fn tickets_of_referrals_are_kept() {
    let here = realm(clock(NOW));
    let there = TestRealm::builder(OTHER)
        .service("HTTP/www.other.test")
        .trust(REALM, "shared")
        .clock(clock(NOW))
        .random(Arc::new(Seeded::new(4)))
        .build()
        .unwrap();
    let client = Host::new(clock(NOW), |_| {});
    let (alice, store) = client.alice(&here);
    let mut transport = here.transport().and(&there);
    client
        .connect(alice, &mut transport, "HTTP/www.other.test")
        .unwrap();
    let crossing = Principal::parse(&format!("krbtgt/{OTHER}@{REALM}"), None).unwrap();
    let kept = store
        .find(&principal("alice"), &crossing, Timestamp::from_seconds(NOW))
        .unwrap()
        .unwrap();
    assert_eq!(kept.server, crossing);
    assert!(kept.endtime > Timestamp::from_seconds(NOW).plus(HOUR));
}
