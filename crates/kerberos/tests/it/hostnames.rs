//! The host in a service's name, and DNS.

use std::sync::Arc;

use trihound_kerberos::{Kerberos, KerberosConfig, KerberosCredential};
use trihound_krb5::{Config, DnsCanonicalization, Environment, MemoryStore};
use trihound_sansio::{
    ExchangeRequest, FixedClock, Reply, Service, Timestamp, Transport, TransportFailure,
};
use trihound_sspi::{
    CredHandle, Error, InitializeRequest, InitiatorRequirements, RegisteredPackage, SecBuffer,
    SecBufferDesc, SecurityFunctionTable, SecurityStatus,
};
use trihound_test_realm::{RealmTransport, TestRealm};

use crate::support::Seeded;
use crate::world::{NOW, REALM, principal};

/// A realm whose KDC knows one host, and DNS that has some names for it.
struct Network {
    kdc: RealmTransport,
    /// What DNS answers, whatever the name.
    dns: Option<&'static [u8]>,
    /// The realm that it has for any host.
    realm: Option<&'static [u8]>,
    /// What was asked, in order.
    asked: Vec<String>,
}

impl Transport for Network {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        let name = || String::from_utf8(request.message.clone()).unwrap();
        self.asked.push(match request.service {
            Service::HostName { reverse: false } => name(),
            Service::HostName { reverse: true } => format!("reverse {}", name()),
            Service::HostRealm => format!("realm of {}", name()),
            _ => {
                self.asked.push(format!("KDC {}", request.realm));
                return self.kdc.round_trip(request);
            }
        });
        if request.service == Service::HostRealm {
            return self
                .realm
                .map(<[u8]>::to_vec)
                .ok_or_else(TransportFailure::default);
        }
        self.dns
            .map(<[u8]>::to_vec)
            .ok_or_else(TransportFailure::default)
    }
}

/// Connects as alice to `target`, twice, with one credential; the KDC knows `HTTP/web.example.test`.
fn connect_twice(
    target: &str,
    dns: Option<&'static [u8]>,
    change: impl FnOnce(&mut Config),
) -> (Result<String, Error>, Vec<String>, Vec<String>) {
    connect_over(target, dns, Some(b"ELSEWHERE"), change)
}

fn connect_over(
    target: &str,
    dns: Option<&'static [u8]>,
    dns_realm: Option<&'static [u8]>,
    change: impl FnOnce(&mut Config),
) -> (Result<String, Error>, Vec<String>, Vec<String>) {
    let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(NOW)));
    let realm = TestRealm::builder(REALM)
        .principal("alice", "correct horse")
        .service("HTTP/web.example.test")
        .service("HTTP/web.example.test:8080")
        .clock(clock.clone())
        .build()
        .unwrap();
    let mut config = Config::default();
    config.default_realm = Some(REALM.to_owned());
    change(&mut config);
    let environment = Environment::new(clock, Arc::new(Seeded::new(5)), Arc::new(config));
    let store = Arc::new(MemoryStore::new());
    let package = RegisteredPackage::new(Kerberos::new(KerberosConfig::new(
        environment,
        store.clone(),
    )));
    let table = SecurityFunctionTable::builder()
        .package(&package)
        .build()
        .unwrap();
    let keytab = Arc::new(realm.keytab(&["alice"]).unwrap());
    let credential =
        KerberosCredential::from_keytab_in_store(principal("alice"), keytab, store.clone());
    let credential = package.adopt(credential).unwrap();
    let mut network = Network {
        kdc: realm.transport(),
        dns,
        realm: dns_realm,
        asked: Vec::new(),
    };
    let first = connect(&table, credential, &mut network, target);
    let asked_first = core::mem::take(&mut network.asked);
    let _ = connect(&table, credential, &mut network, target);
    let names = first.map(|()| {
        let tickets =
            trihound_krb5::CredentialStore::tickets(&*store, &principal("alice")).unwrap();
        let services = tickets.iter().map(|ticket| ticket.server.to_string());
        let services: Vec<_> = services
            .filter(|name| !name.starts_with("krbtgt"))
            .collect();
        services.join(" ")
    });
    (names, asked_first, network.asked)
}

fn connect(
    table: &SecurityFunctionTable,
    credential: CredHandle,
    network: &mut Network,
    target: &str,
) -> Result<(), Error> {
    let mut memory = [0; 4000];
    let mut buffers = [SecBuffer::token(&mut memory)];
    let mut output = SecBufferDesc::new(&mut buffers);
    let request = InitializeRequest {
        target_name: Some(target),
        requirements: InitiatorRequirements::INTEGRITY,
        ..InitializeRequest::default()
    };
    let mut outcome =
        table.initialize_security_context(Some(credential), None, request, &mut output)?;
    while let Some(request) = outcome.exchange() {
        let answer = network.round_trip(request);
        let reply = match &answer {
            Ok(bytes) => Reply::Bytes(bytes),
            Err(failure) => Reply::Failed(failure),
        };
        outcome = table.complete_exchange(outcome.context, reply, &mut output)?;
    }
    Ok(())
}

fn yes(config: &mut Config) {
    config.dns_canonicalize_hostname = DnsCanonicalization::Yes;
}

fn fallback(config: &mut Config) {
    config.dns_canonicalize_hostname = DnsCanonicalization::Fallback;
}

/// The chain of sources, as text.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(" | ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

const KDC: &str = "KDC EXAMPLE.TEST";
const WEB: &str = "HTTP/web.example.test@EXAMPLE.TEST";

/// Conformance row 92: nobody asks DNS unless somebody configured it.
#[test]
fn row_92_dns_is_not_asked_by_default() {
    let (result, asked, again) =
        connect_twice("HTTP/web.example.test", Some(b"evil.example"), |_| {});
    assert_eq!(result.unwrap(), WEB);
    assert_eq!(asked, [KDC; 3], "pre-authentication, login, ticket");
    assert!(again.is_empty());
    let (result, asked, _) = connect_twice("HTTP/web", Some(b"web.example.test"), |_| {});
    let error = result.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_TARGET_UNKNOWN);
    assert!(asked.iter().all(|asked| asked == KDC), "{asked:?}");
}

#[test]
fn with_true_dns_is_asked_first_and_each_time() {
    let (result, asked, again) = connect_twice("HTTP/web", Some(b"Web.Example.Test."), yes);
    assert_eq!(result.unwrap(), WEB);
    assert_eq!(asked, ["web", KDC, KDC, KDC]);
    // A host may have moved; the ticket for where it is now is there.
    assert_eq!(again, ["web"]);
    let (result, ..) = connect_twice("HTTP/web:8080", Some(b"web.example.test"), yes);
    assert_eq!(result.unwrap(), "HTTP/web.example.test:8080@EXAMPLE.TEST");
}

#[test]
fn where_dns_does_not_know_the_host_the_name_stays() {
    for dns in [None, Some(&b"not a name"[..]), Some(b"")] {
        let (result, ..) = connect_twice("HTTP/web.example.test", dns, yes);
        assert_eq!(result.unwrap(), WEB);
    }
}

#[test]
fn a_name_with_its_realm_and_an_address_are_canonical() {
    for target in ["HTTP/web.example.test@EXAMPLE.TEST", "HTTP/10.0.0.1"] {
        let (_, asked, _) = connect_twice(target, Some(b"evil.example"), yes);
        assert!(
            asked.iter().all(|asked| asked == KDC),
            "{target}: {asked:?}"
        );
    }
}

#[test]
fn with_fallback_dns_is_asked_when_the_kdc_does_not_know_the_service() {
    let (result, asked, _) = connect_twice("HTTP/web.example.test", Some(b"evil"), fallback);
    assert_eq!(result.unwrap(), WEB);
    assert_eq!(asked, [KDC; 3]);
    let (result, asked, again) = connect_twice("HTTP/www", Some(b"web.example.test"), fallback);
    assert_eq!(result.unwrap(), WEB);
    assert_eq!(asked, [KDC, KDC, KDC, "www", KDC]);
    assert_eq!(again, [KDC, "www"], "the ticket is in the store");
}

#[test]
fn an_unknown_service_tells_how_its_name_was_made() {
    let (result, asked, _) = connect_twice("HTTP/www", Some(b"other.example.test"), fallback);
    let text = told(&result.unwrap_err());
    assert!(
        text.contains("HTTP/other.example.test@EXAMPLE.TEST"),
        "{text}"
    );
    assert!(
        text.contains("was made from that of HTTP/www by DNS, dns_canonicalize_hostname"),
        "{text}"
    );
    assert!(text.contains("[domain_realm]"), "{text}");
    assert_eq!(asked, [KDC, KDC, KDC, "www", KDC]);

    // DNS knows no other name: the KDC's first answer stands.
    for dns in [None, Some(&b"www"[..])] {
        let (result, asked, _) = connect_twice("HTTP/www", dns, fallback);
        let error = result.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_TARGET_UNKNOWN);
        let text = told(&error);
        assert!(text.contains("HTTP/www@EXAMPLE.TEST"), "{text}");
        assert!(!text.contains("was made from"), "{text}");
        assert_eq!(asked, [KDC, KDC, KDC, "www"]);
    }
}

#[test]
fn short_names_get_the_configured_domain() {
    let qualify = |config: &mut Config| {
        config.qualify_shortname = Some("example.test".to_owned());
    };
    let (result, asked, _) = connect_twice("HTTP/web", None, qualify);
    assert_eq!(result.unwrap(), WEB);
    assert_eq!(asked, [KDC; 3]);
    let (result, ..) = connect_twice("HTTP/web:8080", None, qualify);
    assert_eq!(result.unwrap(), "HTTP/web.example.test:8080@EXAMPLE.TEST");
    let (result, ..) = connect_twice("HTTP/www", None, qualify);
    let text = told(&result.unwrap_err());
    assert!(
        text.contains("was made from that of HTTP/www by qualify_shortname"),
        "{text}"
    );
    // Not where DNS is asked and answers.
    let (result, asked, _) = connect_twice("HTTP/www", Some(b"web.example.test"), |config| {
        qualify(config);
        config.dns_canonicalize_hostname = DnsCanonicalization::Yes;
    });
    assert_eq!(result.unwrap(), WEB);
    assert_eq!(asked[0], "www");
}

#[test]
fn the_reverse_name_is_asked_for_only_if_somebody_wrote_so() {
    let (_, asked, _) = connect_twice("HTTP/web", Some(b"web.example.test"), |config| {
        yes(config);
        config.rdns = true;
    });
    assert_eq!(asked[0], "reverse web");
    let (_, asked, _) = connect_twice("HTTP/web", Some(b"web.example.test"), yes);
    assert_eq!(asked[0], "web");
}

#[test]
fn the_realm_of_a_host_is_asked_of_dns_at_last_and_if_configured() {
    let lookup = |config: &mut Config| config.dns_lookup_realm = true;
    let unknown = |dns_realm, change: &dyn Fn(&mut Config)| {
        let (result, asked, _) = connect_over("HTTP/www", None, dns_realm, change);
        (told(&result.unwrap_err()), asked)
    };
    let (_, asked) = unknown(Some(b"ELSEWHERE"), &|_| {});
    assert_eq!(asked, [KDC; 3]);
    // This KDC has no trust with the realm; what is asked for is a way to it.
    let (text, asked) = unknown(Some(b"ELSEWHERE"), &lookup);
    assert_eq!(asked, [KDC, KDC, KDC, "realm of www", KDC]);
    assert!(text.contains("krbtgt/ELSEWHERE@EXAMPLE.TEST"), "{text}");
    assert!(
        text.contains("what DNS says of the host, dns_lookup_realm"),
        "{text}"
    );
    // Nothing new: the first answer stands.
    for dns_realm in [
        None,
        Some(&b"EXAMPLE.TEST"[..]),
        Some(b""),
        Some(b"A/B"),
        Some(b"\xff"),
    ] {
        let (text, asked) = unknown(dns_realm, &lookup);
        assert_eq!(asked, [KDC, KDC, KDC, "realm of www"]);
        assert!(text.contains("HTTP/www@EXAMPLE.TEST"), "{text}");
        assert!(!text.contains("dns_lookup_realm"), "{text}");
    }
    // Not for a host that [domain_realm] has a realm for.
    let (_, asked) = unknown(Some(b"ELSEWHERE"), &|config| {
        lookup(config);
        config.map_domain("www", REALM);
    });
    assert_eq!(asked, [KDC; 3]);
    // Both fall-backs, one after the other.
    let (result, asked, _) =
        connect_over("HTTP/www", Some(b"www2"), Some(b"ELSEWHERE"), |config| {
            lookup(config);
            fallback(config);
        });
    assert!(result.is_err());
    assert_eq!(asked, [KDC, KDC, KDC, "www", KDC, "realm of www2", KDC]);
}
