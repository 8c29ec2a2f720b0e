//! Full names and realms of hosts, asked for as exchanges.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use trihound_kdc_transport::{
    Answer, KdcTransport, Record, RecordType, Resolve, ResolveError, SearchRules,
};
use trihound_krb5::Config;
use trihound_sansio::{ExchangeRequest, Service, Transport, TransportFailure, TransportHint};

const FORWARD: Service = Service::HostName { reverse: false };
const REVERSE: Service = Service::HostName { reverse: true };

/// A DNS of what it is told: names with their last alias and records.
#[derive(Debug, Default)]
struct Zone {
    names: HashMap<(String, RecordType), Answer>,
    search: Vec<String>,
    silent: bool,
    asked: Mutex<Vec<String>>,
}

impl Zone {
    fn with(mut self, name: &str, kind: RecordType, full: &str, record: Record) -> Self {
        let answer = Answer {
            name: full.into(),
            records: vec![record],
        };
        self.names.insert((name.into(), kind), answer);
        self
    }

    fn host(self, name: &str, full: &str, address: &str) -> Self {
        let address: IpAddr = address.parse().unwrap();
        let kind = if address.is_ipv4() {
            RecordType::A
        } else {
            RecordType::Aaaa
        };
        self.with(name, kind, full, Record::Address(address))
    }

    fn search(mut self, domains: &[&str]) -> Self {
        self.search = domains.iter().map(|&domain| domain.into()).collect();
        self
    }
}

impl Resolve for Zone {
    fn query(&self, name: &str, kind: RecordType) -> Result<Answer, ResolveError> {
        self.asked.lock().unwrap().push(format!("{kind} {name}"));
        if self.silent {
            return Err(ResolveError::Silent {
                name: name.into(),
                kind,
                attempts: Vec::new(),
            });
        }
        let known = self.names.get(&(name.to_owned(), kind)).cloned();
        Ok(known.unwrap_or_else(|| Answer {
            name: name.into(),
            records: Vec::new(),
        }))
    }

    fn search_rules(&self) -> SearchRules {
        let mut rules = SearchRules::default();
        rules.domains = self.search.clone();
        rules
    }
}

fn ask_with(
    config: Config,
    zone: &Arc<Zone>,
    service: Service,
    host: &str,
) -> Result<String, TransportFailure> {
    let resolver: Arc<dyn Resolve> = Arc::clone(zone) as _;
    let mut transport = KdcTransport::new(Arc::new(config)).with_resolver(resolver);
    let answer = transport.round_trip(&ExchangeRequest {
        service,
        realm: String::new(),
        message: host.into(),
        hint: TransportHint::Any,
        route: None,
    })?;
    Ok(String::from_utf8(answer).unwrap())
}

fn ask(zone: &Arc<Zone>, service: Service, host: &str) -> Result<String, TransportFailure> {
    ask_with(Config::default(), zone, service, host)
}

#[test]
fn the_full_name_is_that_at_the_end_of_the_aliases() {
    let zone = Arc::new(
        Zone::default()
            .host("www.example.test", "web1.example.test", "192.0.2.1")
            .host("six.example.test", "six.example.test", "2001:db8::1"),
    );
    assert_eq!(
        ask(&zone, FORWARD, "www.example.test").unwrap(),
        "web1.example.test"
    );
    assert_eq!(
        ask(&zone, FORWARD, "www.example.test.").unwrap(),
        "web1.example.test"
    );
    assert_eq!(
        ask(&zone, FORWARD, "six.example.test").unwrap(),
        "six.example.test"
    );
    assert_eq!(ask(&zone, FORWARD, "192.0.2.9").unwrap(), "192.0.2.9");
}

#[test]
fn a_short_name_is_completed_by_the_search_list() {
    let zone = Arc::new(
        Zone::default()
            .host("web.b.test", "web.b.test", "192.0.2.1")
            .search(&["a.test", "b.test"]),
    );
    assert_eq!(ask(&zone, FORWARD, "web").unwrap(), "web.b.test");
    let expected = ["A web.a.test", "AAAA web.a.test", "A web.b.test"];
    assert_eq!(*zone.asked.lock().unwrap(), expected);
}

#[test]
fn a_name_that_stays_short_is_qualified() {
    let zone = || Zone::default().host("web", "web", "192.0.2.1");
    let searching = Arc::new(zone().search(&["a.test"]));
    assert_eq!(ask(&searching, FORWARD, "web").unwrap(), "web.a.test");
    assert_eq!(ask(&Arc::new(zone()), FORWARD, "web").unwrap(), "web");
    for (domain, expected) in [("Own.Test", "web.own.test"), ("", "web")] {
        let mut config = Config::default();
        config.qualify_shortname = Some(domain.into());
        assert_eq!(
            ask_with(config, &searching, FORWARD, "web").unwrap(),
            expected
        );
    }
}

/// Conformance row 92: the name of an address counts only where it was asked for.
#[test]
fn the_reverse_name_is_taken_only_when_asked_for() {
    let pointer = |name: &str| Record::Ptr(name.into());
    let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    let zone = Arc::new(
        Zone::default()
            .host("web.test", "web.test", "192.0.2.1")
            .host("six.test", "six.test", "2001:db8::1")
            .host("no-pointer.test", "no-pointer.test", "192.0.2.3")
            .with(
                "1.2.0.192.in-addr.arpa",
                RecordType::Ptr,
                "x",
                pointer("real.test"),
            )
            .with(six, RecordType::Ptr, "x", pointer("real6.test")),
    );
    assert_eq!(ask(&zone, FORWARD, "web.test").unwrap(), "web.test");
    assert!(
        zone.asked
            .lock()
            .unwrap()
            .iter()
            .all(|asked| !asked.starts_with("PTR"))
    );
    assert_eq!(ask(&zone, REVERSE, "web.test").unwrap(), "real.test");
    assert_eq!(ask(&zone, REVERSE, "six.test").unwrap(), "real6.test");
    assert_eq!(ask(&zone, REVERSE, "192.0.2.1").unwrap(), "real.test");
    assert_eq!(
        ask(&zone, REVERSE, "no-pointer.test").unwrap(),
        "no-pointer.test"
    );
}

#[test]
fn a_host_that_dns_does_not_know_is_a_failure_that_says_what_was_asked() {
    let zone = Arc::new(Zone::default().search(&["a.test"]));
    let failure = ask(&zone, FORWARD, "web").unwrap_err();
    let expected = [
        "DNS: no A record of web.a.test",
        "DNS: no AAAA record of web.a.test",
        "DNS: no A record of web",
        "DNS: no AAAA record of web",
    ];
    assert_eq!(failure.attempts, expected);
    assert!(
        failure.advice.contains("dns_canonicalize_hostname = false"),
        "{failure}"
    );
    let silent = Arc::new(Zone {
        silent: true,
        ..Zone::default()
    });
    ask(&silent, FORWARD, "web.test").unwrap_err();
    assert_eq!(silent.asked.lock().unwrap().len(), 1);
}

#[test]
fn the_realm_of_a_host_is_that_of_the_closest_domain_that_names_one() {
    let text = |text: &str| Record::Txt(text.into());
    let zone = Arc::new(
        Zone::default()
            .with(
                "_kerberos.example.test",
                RecordType::Txt,
                "x",
                text("EXAMPLE.TEST."),
            )
            .with(
                "_kerberos.own.example.test",
                RecordType::Txt,
                "x",
                text("OWN"),
            )
            .with("_kerberos.bad.test", RecordType::Txt, "x", text("a/b"))
            .with("_kerberos.test", RecordType::Txt, "x", text("EVERYBODY")),
    );
    let realm = |host| ask(&zone, Service::HostRealm, host);
    assert_eq!(realm("a.b.example.test").unwrap(), "EXAMPLE.TEST");
    assert_eq!(realm("own.example.test").unwrap(), "OWN");
    for host in ["bad.test", "web.none.test"] {
        let failure = realm(host).unwrap_err();
        assert!(failure.advice.contains("[domain_realm]"), "{failure}");
    }
    let asked = zone.asked.lock().unwrap();
    assert!(
        !asked.contains(&"TXT _kerberos.test".to_owned()),
        "{asked:?}"
    );
}
