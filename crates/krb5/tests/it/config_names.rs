//! What krb5.conf says of realms, hosts and applications.

use trihound_krb5::{Config, ConfigError};

use crate::config::{lib, read};

#[test]
fn paths_between_realms() {
    let config = read(
        "[capaths]
        ANL.GOV = {
            TEST.ANL.GOV = .
            PNL.GOV = ES.NET
            HAL.COM = K5.MOON and a comment
            HAL.COM = K5.JUPITER
        }
        PNL.GOV = {
            ANL.GOV = ES.NET
        }",
    )
    .unwrap();
    let path = |client, server| config.capath(client, server).map(<[String]>::to_vec);
    assert_eq!(path("ANL.GOV", "TEST.ANL.GOV"), Some(vec![]));
    assert_eq!(path("ANL.GOV", "PNL.GOV"), Some(vec!["ES.NET".into()]));
    assert_eq!(
        path("ANL.GOV", "HAL.COM"),
        Some(vec!["K5.MOON".into(), "K5.JUPITER".into()])
    );
    assert_eq!(path("ANL.GOV", "ES.NET"), None);
    assert_eq!(path("HAL.COM", "ANL.GOV"), None);
    assert_eq!(path("anl.gov", "PNL.GOV"), None);
}

/// krb5.conf(5)'s own example.
#[test]
fn defaults_of_applications_have_their_precedence() {
    let config = read(
        "[appdefaults]
        telnet = {
            ATHENA.MIT.EDU = {
                option1 = false
            }
        }
        telnet = {
            option1 = true
            option2 = true
        }
        ATHENA.MIT.EDU = {
            option2 = false
        }
        option2 = true
        bad = maybe",
    )
    .unwrap();
    let athena = Some("ATHENA.MIT.EDU");
    let other = Some("EXAMPLE.COM");
    for (application, realm, option, value) in [
        ("telnet", other, "option1", Some(true)),
        ("telnet", other, "option2", Some(true)),
        ("telnet", athena, "option1", Some(false)),
        ("telnet", athena, "option2", Some(true)),
        ("rlogin", athena, "option2", Some(false)),
        ("rlogin", other, "option2", Some(true)),
        ("rlogin", None, "option2", Some(true)),
        ("rlogin", athena, "option1", None),
    ] {
        assert_eq!(
            config.appdefault_boolean(application, realm, option),
            Ok(value),
            "{application} {realm:?} {option}"
        );
    }
    assert_eq!(config.appdefault("x", None, "bad"), Some("maybe"));
    let error = config.appdefault_boolean("x", None, "bad").unwrap_err();
    assert!(matches!(error, ConfigError::Boolean { place, .. } if place.line == 15));
    assert_eq!(Config::default().appdefault("x", None, "y"), None);
}

#[test]
fn the_domain_of_a_host_is_the_last_guess_at_its_realm() {
    let mut config = Config::default();
    for (host, realm) in [
        ("www.dev.example.com", Some("DEV.EXAMPLE.COM")),
        ("www.example.com.", Some("EXAMPLE.COM")),
        ("www", None),
        ("www.", None),
        ("", None),
        ("10.0.0.1", None),
        ("::1", None),
    ] {
        assert_eq!(config.fallback_realm(host).as_deref(), realm, "{host}");
    }
    config.realms.insert("EXAMPLE.COM".into(), <_>::default());
    config.realms.insert("A.B".into(), <_>::default());
    let www = |config: &Config| config.fallback_realm("www.dev.example.com").unwrap();
    for (domains, realm) in [
        (None, "DEV.EXAMPLE.COM"),
        (Some(0), "DEV.EXAMPLE.COM"),
        (Some(1), "DEV.EXAMPLE.COM"),
        (Some(2), "EXAMPLE.COM"),
        (Some(u32::MAX), "EXAMPLE.COM"),
    ] {
        config.realm_try_domains = domains;
        assert_eq!(www(&config), realm, "{domains:?}");
    }
    config.realm_try_domains = Some(0);
    assert_eq!(config.fallback_realm("a.b").as_deref(), Some("A.B"));
    assert_eq!(
        lib("realm_try_domains = -1").unwrap().realm_try_domains,
        None
    );
}

#[test]
fn short_names_are_qualified_if_a_domain_is_configured() {
    let qualified = |domain: Option<&str>, host: &str| {
        let mut config = Config::default();
        config.qualify_shortname = domain.map(str::to_owned);
        config.qualified_host(host)
    };
    assert_eq!(qualified(Some("a.b"), "web").as_deref(), Some("web.a.b"));
    assert_eq!(qualified(Some(".a.b."), "web").as_deref(), Some("web.a.b"));
    for (domain, host) in [
        (None, "web"),
        (Some(""), "web"),
        (Some("a.b"), "web.x"),
        (Some("a.b"), "web."),
        (Some("a.b"), "::1"),
        (Some("a.b"), ""),
    ] {
        assert_eq!(qualified(domain, host), None, "{domain:?} {host}");
    }
}
