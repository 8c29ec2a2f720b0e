use trihound_sansio::TransportHint;

use super::*;

fn request(realm: &str, hint: TransportHint) -> ExchangeRequest {
    ExchangeRequest {
        service: Service::Kdc,
        realm: realm.to_owned(),
        message: vec![1, 2, 3],
        hint,
        route: None,
    }
}

fn failure(attempt: &str) -> TransportFailure {
    TransportFailure {
        realm: "A.TEST".to_owned(),
        attempts: vec![attempt.to_owned()],
        advice: String::new(),
    }
}

fn routing(url: Option<&str>, proxy: Option<(&str, u32)>) -> Routing {
    let mut choice = url.map_or_else(KdcChoice::default, |url| KdcChoice::from_url(url).unwrap());
    if let Some((server, flags)) = proxy {
        choice.set_proxy(server, flags).unwrap();
    }
    Routing::new(choice, "A.TEST".to_owned())
}

fn route(routing: &mut Routing, realm: &str) -> Option<String> {
    let sent = routing.outgoing(request(realm, TransportHint::Any));
    sent.route.map(|route| route.0)
}

#[test]
fn a_kdc_of_ones_own_is_asked_for_its_realm_and_a_proxy_for_all() {
    for (url, own, other) in [
        ("kdc.a.test", Some("kdc.a.test"), None),
        (" kdc.a.test:750 ", Some("kdc.a.test:750"), None),
        ("TCP://kdc.a.test", Some("tcp/kdc.a.test"), None),
        ("udp://[2001:db8::1]:89", Some("udp/[2001:db8::1]:89"), None),
        ("2001:db8::1", Some("2001:db8::1"), None),
        (
            "https://proxy.test",
            Some("https://proxy.test/KdcProxy"),
            Some("https://proxy.test/KdcProxy"),
        ),
        (
            "https://proxy.test:444/a/b",
            Some("https://proxy.test:444/a/b"),
            Some("https://proxy.test:444/a/b"),
        ),
    ] {
        let mut routing = routing(Some(url), None);
        assert_eq!(route(&mut routing, "A.TEST").as_deref(), own, "{url}");
        assert_eq!(route(&mut routing, "B.TEST").as_deref(), other, "{url}");
    }
}

#[test]
fn an_address_that_is_none_is_refused_where_it_is_set() {
    for url in [
        "",
        ":88",
        "kdc:0",
        "kdc:x",
        "kdc:65536",
        "http://proxy.test/KdcProxy",
        "sctp://kdc",
        "tcp://",
        "kdc/x",
        "https://user@proxy.test/",
        "https://proxy.test/a b",
        "https://proxy.test/a#b",
        "k dc",
        "[2001:db8::1",
    ] {
        let error = KdcChoice::from_url(url).unwrap_err();
        assert!(
            matches!(
                error,
                CredentialError::WrongSetting {
                    setting: "kdc_url",
                    ..
                }
            ),
            "{url:?}: {error}"
        );
    }
    for server in ["http://proxy.test", "p:x", "a@b", "p:443:a b"] {
        let error = KdcChoice::default().set_proxy(server, 0).unwrap_err();
        let setting = "KdcProxySettings.ProxyServer";
        assert!(
            matches!(&error, CredentialError::WrongSetting { setting: found, .. } if *found == setting),
            "{server:?}: {error}"
        );
    }
    let error = KdcChoice::default().set_proxy("proxy.test", 2).unwrap_err();
    assert!(matches!(
        error,
        CredentialError::WrongSetting {
            setting: "KdcProxySettings.Flags",
            ..
        }
    ));
}

#[test]
fn a_forced_proxy_is_asked_always() {
    for (server, expected) in [
        ("proxy.test", "https://proxy.test/KdcProxy"),
        ("proxy.test:444", "https://proxy.test:444/KdcProxy"),
        ("proxy.test:444:vdir", "https://proxy.test:444/vdir"),
        ("proxy.test:444:/vdir", "https://proxy.test:444/vdir"),
        ("[2001:db8::1]:444:vdir", "https://[2001:db8::1]:444/vdir"),
        ("[2001:db8::1]", "https://[2001:db8::1]/KdcProxy"),
        ("https://proxy.test/x", "https://proxy.test/x"),
    ] {
        let mut routing = routing(Some("kdc.a.test"), Some((server, 1)));
        for realm in ["A.TEST", "B.TEST"] {
            assert_eq!(route(&mut routing, realm).as_deref(), Some(expected));
        }
        let failed = failure("proxy");
        assert!(matches!(
            routing.answered(Some(Reply::Failed(&failed))),
            Answered::GoOn(Some(Reply::Failed(_)))
        ));
    }
}

#[test]
fn a_proxy_that_is_not_forced_is_asked_when_nobody_answers() {
    let mut routing = routing(None, Some(("proxy.test", 0)));
    assert_eq!(route(&mut routing, "A.TEST"), None);
    let first = failure("udp 192.0.2.1:88");
    let Answered::Again(again) = routing.answered(Some(Reply::Failed(&first))) else {
        panic!("the proxy was not asked");
    };
    assert_eq!(again.route.unwrap().0, "https://proxy.test/KdcProxy");
    assert_eq!(again.message, [1, 2, 3]);
    let second = failure("https://proxy.test/KdcProxy");
    let Answered::Failed(both) = routing.answered(Some(Reply::Failed(&second))) else {
        panic!("it was asked again");
    };
    assert_eq!(
        both.attempts,
        ["udp 192.0.2.1:88", "https://proxy.test/KdcProxy"]
    );
}

#[test]
fn an_answer_asks_nobody_else_and_neither_does_a_search_for_a_primary_kdc() {
    let mut routing = routing(None, Some(("proxy.test", 0)));
    routing.outgoing(request("A.TEST", TransportHint::Any));
    assert!(matches!(
        routing.answered(Some(Reply::Bytes(b"x"))),
        Answered::GoOn(Some(Reply::Bytes(b"x")))
    ));
    routing.outgoing(request("A.TEST", TransportHint::PrimaryOnly));
    let failed = failure("no primary");
    assert!(matches!(
        routing.answered(Some(Reply::Failed(&failed))),
        Answered::GoOn(Some(Reply::Failed(_)))
    ));
}

#[test]
fn what_is_not_for_a_kdc_goes_where_it_went() {
    let mut routing = routing(Some("https://proxy.test"), Some(("proxy.test", 1)));
    let mut dns = request("", TransportHint::Any);
    dns.service = Service::HostRealm;
    assert_eq!(routing.outgoing(dns.clone()), dns);
}

#[test]
fn settings_are_told_as_they_were_set_and_taken_away_by_an_empty_name() {
    let mut choice = KdcChoice::default();
    let settings = |proxy_server: &str, flags| CredentialAttributeValue::KdcProxySettings {
        proxy_server: proxy_server.to_owned(),
        flags,
        client_tls_credential: vec![],
    };
    assert_eq!(choice.proxy_settings(), settings("", 0));
    choice.set_proxy("proxy.test:444:vdir", 1).unwrap();
    assert_eq!(choice.proxy_settings(), settings("proxy.test:444:vdir", 1));
    choice.set_proxy("", 0).unwrap();
    assert_eq!(choice.proxy_settings(), settings("", 0));
}
