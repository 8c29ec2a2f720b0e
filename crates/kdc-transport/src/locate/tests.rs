use std::collections::HashMap;
use std::sync::Mutex;

use trihound_sansio::{Route, TransportHint};

use super::*;
use crate::dns::{Answer, Record, RecordType, ResolveError};

/// A DNS of what it is told, which keeps what it was asked.
#[derive(Debug, Default)]
struct Fake {
    records: HashMap<(String, RecordType), Vec<Record>>,
    silent: bool,
    refuses: Option<RecordType>,
    asked: Mutex<Vec<String>>,
}

impl Fake {
    fn srv(mut self, name: &str, records: &[(u16, u16, u16, &str)]) -> Self {
        let records = records
            .iter()
            .map(|&(priority, weight, port, target)| Record::Srv {
                priority,
                weight,
                port,
                target: target.into(),
            });
        self.records
            .insert((name.into(), RecordType::Srv), records.collect());
        self
    }

    fn uri(mut self, name: &str, records: &[(u16, &str)]) -> Self {
        let records = records.iter().map(|&(priority, target)| Record::Uri {
            priority,
            weight: 1,
            target: target.into(),
        });
        self.records
            .insert((name.into(), RecordType::Uri), records.collect());
        self
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Fake {
    fn query(&self, name: &str, kind: RecordType) -> Result<Answer, ResolveError> {
        self.asked.lock().unwrap().push(format!("{kind} {name}"));
        if self.silent {
            return Err(ResolveError::Silent {
                name: name.into(),
                kind,
                attempts: vec!["192.0.2.1:53: no reply within 1s".into()],
            });
        }
        if self.refuses == Some(kind) {
            return Err(ResolveError::Failed {
                name: name.into(),
                kind,
                attempts: vec!["192.0.2.1:53: NOTIMP".into()],
            });
        }
        let records = self.records.get(&(name.to_owned(), kind));
        Ok(Answer {
            name: name.to_owned(),
            records: records.cloned().unwrap_or_default(),
        })
    }
}

fn request(service: Service, hint: TransportHint) -> ExchangeRequest {
    ExchangeRequest {
        service,
        realm: "R.EXAMPLE".into(),
        message: Vec::new(),
        hint,
        route: None,
    }
}

fn kdc() -> ExchangeRequest {
    request(Service::Kdc, TransportHint::Any)
}

fn config(realm: RealmConfig) -> Config {
    let mut config = Config::default();
    config.realms.insert("R.EXAMPLE".into(), realm);
    config
}

fn list(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|&entry| entry.into()).collect()
}

/// `udp kdc:88`, with `*` in front of a primary one.
fn shapes(servers: &[Server]) -> Vec<String> {
    let shape = |server: &Server| {
        let primary = if server.primary { "*" } else { "" };
        match &server.protocol {
            ServerProtocol::Any => format!("{primary}any {server}"),
            ServerProtocol::Udp => format!("{primary}udp {server}"),
            ServerProtocol::Tcp => format!("{primary}tcp {server}"),
            ServerProtocol::Https { .. } => format!("{primary}{server}"),
        }
    };
    servers.iter().map(shape).collect()
}

fn found(config: &Config, request: &ExchangeRequest, dns: &Fake) -> Vec<String> {
    shapes(&locate(config, request, dns).unwrap())
}

#[test]
fn configured_servers_keep_their_order_and_dns_is_not_asked() {
    let config = config(RealmConfig {
        kdcs: list(&["b", "tcp/a:750", "https://p/KdcProxy", "b:88", "rub bish"]),
        primary_kdcs: list(&["b"]),
        ..RealmConfig::default()
    });
    let dns = Fake::default();
    let expected = ["*any b:88", "tcp a:750", "https://p/KdcProxy"];
    assert_eq!(found(&config, &kdc(), &dns), expected);
    let primary = request(Service::Kdc, TransportHint::PrimaryOnly);
    assert_eq!(found(&config, &primary, &dns), ["*any b:88"]);
    assert!(dns.asked().is_empty(), "{:?}", dns.asked());
}

#[test]
fn a_route_goes_before_the_configuration() {
    let config = config(RealmConfig {
        kdcs: list(&["a"]),
        ..RealmConfig::default()
    });
    let mut request = kdc();
    request.route = Some(Route("b:1".into()));
    assert_eq!(found(&config, &request, &Fake::default()), ["any b:1"]);
}

#[test]
fn uri_records_go_before_srv_records() {
    let dns = Fake::default()
        .uri(
            "_kerberos.R.EXAMPLE",
            &[
                (3, "krb5srv::tcp:c"),
                (1, "krb5srv:m:udp:a"),
                (2, "krb5srv::kkdcp:https://b/p"),
                (4, "bogus"),
            ],
        )
        .srv("_kerberos._udp.R.EXAMPLE", &[(0, 0, 88, "never")]);
    let expected = ["*udp a:88", "https://b/p", "tcp c:88"];
    assert_eq!(found(&Config::default(), &kdc(), &dns), expected);
    assert_eq!(dns.asked(), ["URI _kerberos.R.EXAMPLE"]);
    let primary = request(Service::Kdc, TransportHint::PrimaryOnly);
    assert_eq!(found(&Config::default(), &primary, &dns), ["*udp a:88"]);
}

#[test]
fn srv_records_of_both_protocols_are_one_list() {
    let dns = Fake::default()
        .srv(
            "_kerberos._udp.R.EXAMPLE",
            &[(1, 0, 88, "b"), (0, 0, 88, "a")],
        )
        .srv(
            "_kerberos._tcp.R.EXAMPLE",
            &[(0, 0, 88, "b"), (1, 0, 89, "c")],
        );
    let expected = ["udp a:88", "any b:88", "tcp c:89"];
    assert_eq!(found(&Config::default(), &kdc(), &dns), expected);
    let mut without_uri = Config::default();
    without_uri.dns_uri_lookup = false;
    let dns = Fake {
        asked: Mutex::default(),
        ..dns
    };
    assert_eq!(found(&without_uri, &kdc(), &dns), expected);
    assert_eq!(dns.asked().len(), 2);
}

#[test]
fn a_server_that_does_not_know_uri_records_is_asked_for_srv_records() {
    let dns = Fake {
        refuses: Some(RecordType::Uri),
        ..Fake::default()
    }
    .srv("_kerberos._tcp.R.EXAMPLE", &[(0, 0, 88, "a")]);
    assert_eq!(found(&Config::default(), &kdc(), &dns), ["tcp a:88"]);
}

#[test]
fn proxies_alone_are_followed_by_what_srv_records_name() {
    let dns = Fake::default()
        .uri("_kerberos.R.EXAMPLE", &[(1, "krb5srv::kkdcp:https://p/")])
        .srv("_kerberos._tcp.R.EXAMPLE", &[(0, 0, 88, "a")]);
    assert_eq!(
        found(&Config::default(), &kdc(), &dns),
        ["https://p/", "tcp a:88"]
    );
}

#[test]
fn the_site_is_asked_for_first_and_the_realm_if_it_has_none() {
    let site = config(RealmConfig {
        sitename: Some("Here".into()),
        ..RealmConfig::default()
    });
    let near = "_kerberos._tcp.Here._sites.R.EXAMPLE";
    let dns = Fake::default()
        .srv(near, &[(0, 0, 88, "near")])
        .srv("_kerberos._tcp.R.EXAMPLE", &[(0, 0, 88, "far")]);
    assert_eq!(found(&site, &kdc(), &dns), ["tcp near:88"]);
    let mut dns = dns;
    dns.records.remove(&(near.to_owned(), RecordType::Srv));
    assert_eq!(found(&site, &kdc(), &dns), ["tcp far:88"]);
}

#[test]
fn primary_kdcs_have_a_record_of_their_own() {
    let dns = Fake::default()
        .srv("_kerberos._udp.R.EXAMPLE", &[(0, 0, 88, "a")])
        .srv("_kerberos-master._udp.R.EXAMPLE", &[(0, 0, 88, "m")]);
    let primary = request(Service::Kdc, TransportHint::PrimaryOnly);
    assert_eq!(found(&Config::default(), &primary, &dns), ["*udp m:88"]);
    let failure = locate(&Config::default(), &primary, &Fake::default()).unwrap_err();
    assert_eq!(
        failure.advice,
        TransportFailure::no_primary("R.EXAMPLE").advice
    );
}

#[test]
fn the_password_service_falls_back_to_the_admin_servers_host() {
    let with_admin = RealmConfig {
        admin_servers: list(&["admin:749", "tcp/other"]),
        ..RealmConfig::default()
    };
    let mut both = with_admin.clone();
    both.kpasswd_servers = list(&["pw:4464"]);
    let at = |realm| {
        let request = request(Service::Kpasswd, TransportHint::Any);
        found(&config(realm), &request, &Fake::default())
    };
    assert_eq!(at(with_admin), ["any admin:464", "any other:464"]);
    assert_eq!(at(both), ["any pw:4464"]);
}

#[test]
fn the_password_service_is_found_in_dns_too() {
    let request = request(Service::Kpasswd, TransportHint::Any);
    let dns = Fake::default()
        .srv("_kpasswd._udp.R.EXAMPLE", &[(0, 0, 464, "pw")])
        .srv("_kerberos-adm._tcp.R.EXAMPLE", &[(0, 0, 749, "admin")]);
    assert_eq!(found(&Config::default(), &request, &dns), ["udp pw:464"]);
    let mut dns = dns;
    dns.records
        .remove(&("_kpasswd._udp.R.EXAMPLE".to_owned(), RecordType::Srv));
    assert_eq!(found(&Config::default(), &request, &dns), ["any admin:464"]);
}

#[test]
fn a_target_of_the_root_means_that_there_is_no_such_service() {
    let dns = Fake::default()
        .srv("_kerberos._udp.R.EXAMPLE", &[(0, 0, 0, "")])
        .srv("_kerberos._tcp.R.EXAMPLE", &[(0, 0, 88, "a")]);
    assert_eq!(found(&Config::default(), &kdc(), &dns), ["tcp a:88"]);
    let none = Fake::default().srv("_kerberos._udp.R.EXAMPLE", &[(0, 0, 88, "")]);
    let failure = locate(&Config::default(), &kdc(), &none).unwrap_err();
    assert!(failure.to_string().contains("not offered"), "{failure}");
}

#[test]
fn name_servers_out_of_reach_are_waited_for_once() {
    let dns = Fake {
        silent: true,
        ..Fake::default()
    };
    let failure = locate(&Config::default(), &kdc(), &dns).unwrap_err();
    assert_eq!(dns.asked(), ["URI _kerberos.R.EXAMPLE"]);
    assert!(
        failure.advice.contains("DNS could not be asked"),
        "{failure}"
    );
    assert!(failure.attempts[0].contains("192.0.2.1:53"), "{failure}");
    let request = request(Service::Kpasswd, TransportHint::Any);
    locate(&Config::default(), &request, &dns).unwrap_err();
    assert_eq!(dns.asked().len(), 2, "{:?}", dns.asked());
}

#[test]
fn what_was_tried_in_vain_is_told() {
    let failure = locate(&Config::default(), &kdc(), &Fake::default()).unwrap_err();
    let expected = [
        "DNS: no URI record of _kerberos.R.EXAMPLE",
        "DNS: no SRV record of _kerberos._udp.R.EXAMPLE",
        "DNS: no SRV record of _kerberos._tcp.R.EXAMPLE",
    ];
    assert_eq!(failure.attempts, expected);
    assert!(failure.advice.contains("`kdc = host`"), "{failure}");
    assert!(failure.advice.contains("DNS has none either"), "{failure}");

    let mut no_dns = Config::default();
    no_dns.dns_lookup_kdc = false;
    let dns = Fake::default();
    let failure = locate(&no_dns, &kdc(), &dns).unwrap_err();
    assert!(
        failure.advice.contains("dns_lookup_kdc = false"),
        "{failure}"
    );
    assert!(dns.asked().is_empty());

    let x500 = ExchangeRequest {
        realm: "C=DE/O=Example".into(),
        ..kdc()
    };
    let failure = locate(&Config::default(), &x500, &dns).unwrap_err();
    assert!(failure.advice.contains("not that of a domain"), "{failure}");
    assert!(dns.asked().is_empty());

    let failure = locate(
        &Config::default(),
        &request(Service::Verifier, TransportHint::Any),
        &dns,
    )
    .unwrap_err();
    assert!(failure.advice.contains("Verifier"), "{failure}");
}

#[test]
fn a_mistake_in_the_configuration_is_told_and_dns_is_not_asked() {
    let dns = Fake::default()
        .srv("_kerberos._udp.R.EXAMPLE", &[(0, 0, 88, "a")])
        .srv("_kerberos-master._udp.R.EXAMPLE", &[(0, 0, 88, "a")]);
    let wrong = config(RealmConfig {
        kdcs: list(&["a b", "http://c"]),
        kpasswd_servers: list(&["d:"]),
        ..RealmConfig::default()
    });
    for (service, count) in [(Service::Kdc, 2), (Service::Kpasswd, 1)] {
        let request = request(service, TransportHint::Any);
        let failure = locate(&wrong, &request, &dns).unwrap_err();
        assert!(
            failure.advice.contains("configured can be used"),
            "{failure}"
        );
        assert_eq!(failure.attempts.len(), count, "{failure}");
    }
    let primary = request(Service::Kdc, TransportHint::PrimaryOnly);
    let failure = locate(&wrong, &primary, &dns).unwrap_err();
    assert_eq!(failure, TransportFailure::no_primary("R.EXAMPLE"));
    assert!(dns.asked().is_empty(), "{:?}", dns.asked());
}

#[test]
fn the_number_of_servers_is_bounded() {
    let names: Vec<String> = (0..200).map(|index| format!("k{index}")).collect();
    let records: Vec<_> = names.iter().map(|n| (0, 0, 88, n.as_str())).collect();
    let dns = Fake::default()
        .srv("_kerberos._udp.R.EXAMPLE", &records)
        .srv("_kerberos._tcp.R.EXAMPLE", &records);
    let servers = locate(&Config::default(), &kdc(), &dns).unwrap();
    assert_eq!(servers.len(), MAX_SERVERS);
}
