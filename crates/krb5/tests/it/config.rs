//! What krb5.conf says, typed.

use std::time::Duration;

use proptest::prelude::*;
use trihound_crypto::Enctype;
use trihound_krb5::config::{DnsCanonicalization, parse_boolean, parse_duration};
use trihound_krb5::profile::NoIncludes;
use trihound_krb5::{Config, ConfigError, Place, Profile, WarningReason};

const AES128: Enctype = Enctype::AES128_CTS_HMAC_SHA1_96;
const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;
const SHA2_128: Enctype = Enctype::AES128_CTS_HMAC_SHA256_128;
const SHA2_256: Enctype = Enctype::AES256_CTS_HMAC_SHA384_192;
const RC4: Enctype = Enctype::RC4_HMAC;

pub(crate) fn read(text: &str) -> Result<Config, ConfigError> {
    Config::from_profile(&Profile::parse(text, &NoIncludes, "krb5.conf").unwrap())
}

/// Where the only line of [`lib`] stands.
fn line(line: usize) -> Place {
    Place {
        file: "krb5.conf".into(),
        line,
    }
}

fn reasons(config: &Config) -> Vec<&WarningReason> {
    config.warnings().iter().map(|it| &it.reason).collect()
}

pub(crate) fn lib(lines: &str) -> Result<Config, ConfigError> {
    read(&format!("[libdefaults]\n{lines}\n"))
}

fn permitted(lines: &str) -> Vec<Enctype> {
    lib(lines).unwrap().permitted_enctypes.enctypes().to_vec()
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(read("").unwrap(), Config::default());
    let config = Config::default();
    assert_eq!(config.clock_skew, Duration::from_secs(300));
    assert_eq!(config.as_enctypes(), [AES256, AES128, SHA2_256, SHA2_128]);
    assert!(config.noaddresses && !config.forwardable && !config.canonicalize);
    assert_eq!(config.dns_canonicalize_hostname, DnsCanonicalization::No);
    assert_eq!(config.udp_preference_limit, 1465);
}

#[test]
fn libdefaults_are_read() {
    let config = lib("default_realm = EXAMPLE.TEST
        clockskew = 60
        ticket_lifetime = 10h
        renew_lifetime = 7d
        forwardable = true
        proxiable = yes
        noaddresses = off
        canonicalize = 1
        kdc_timesync = 0
        dns_lookup_kdc = no
        dns_lookup_realm = y
        dns_canonicalize_hostname = fallback
        rdns = false
        ignore_acceptor_hostname = on
        qualify_shortname = example.test
        udp_preference_limit = 1
        default_ccache_name = FILE:%{TEMP}/krb5cc_%{uid}
        default_keytab_name = FILE:keytab
        default_client_keytab_name = FILE:client.keytab
        fcc-mit-ticketflags = true
        kdc_timeout = 3s
        max_retries = 2
        request_timeout = 1m
        dns_uri_lookup = false
        realm_try_domains = 1
        extra_addresses = 10.0.0.1, 2001:db8::1
        verify_ap_req_nofail = true
        enforce_ok_as_delegate = true
        client_aware_channel_bindings = true
        ccache_type = 3
        kcm_socket = /run/kcm
        SOME.REALM = {
            forwardable = false
            ticket_lifetime = 1h
        }")
    .unwrap();
    assert_eq!(config.kdc_timeout, Some(Duration::from_secs(3)));
    assert_eq!(config.max_retries, Some(2));
    assert_eq!(config.request_timeout, Some(Duration::from_secs(60)));
    assert_eq!(config.realm_try_domains, Some(1));
    assert_eq!(
        config.extra_addresses,
        ["10.0.0.1", "2001:db8::1"].map(|text| text.parse::<std::net::IpAddr>().unwrap())
    );
    assert!(config.verify_ap_req_nofail && config.enforce_ok_as_delegate);
    assert!(config.client_aware_channel_bindings && !config.dns_uri_lookup);
    assert_eq!(config.ccache_type, Some(3));
    assert_eq!(config.kcm_socket.as_deref(), Some("/run/kcm"));
    let login = config.login_defaults("SOME.REALM");
    assert!(!login.forwardable && login.proxiable && !login.noaddresses);
    assert_eq!(login.ticket_lifetime, Duration::from_secs(3600));
    assert_eq!(login.renew_lifetime, Duration::from_secs(604_800));
    assert!(config.login_defaults("OTHER").forwardable);
    assert_eq!(config.default_realm.as_deref(), Some("EXAMPLE.TEST"));
    assert_eq!(config.clock_skew, Duration::from_secs(60));
    assert_eq!(config.ticket_lifetime, Duration::from_secs(36_000));
    assert_eq!(config.renew_lifetime, Duration::from_secs(604_800));
    assert!(config.forwardable && config.proxiable && config.canonicalize);
    assert!(!config.noaddresses && !config.kdc_timesync && !config.dns_lookup_kdc);
    assert!(config.dns_lookup_realm && config.ignore_acceptor_hostname && !config.rdns);
    assert_eq!(
        config.dns_canonicalize_hostname,
        DnsCanonicalization::Fallback
    );
    assert_eq!(config.qualify_shortname.as_deref(), Some("example.test"));
    assert_eq!(config.udp_preference_limit, 1);
    assert_eq!(
        config.default_ccache_name.as_deref(),
        Some("FILE:%{TEMP}/krb5cc_%{uid}")
    );
    assert_eq!(config.default_keytab_name.as_deref(), Some("FILE:keytab"));
    assert_eq!(
        config.default_client_keytab_name.as_deref(),
        Some("FILE:client.keytab")
    );
    assert!(config.warnings().is_empty());
}

#[test]
fn the_first_of_several_values_counts() {
    let config = lib("default_realm = FIRST\ndefault_realm = SECOND").unwrap();
    assert_eq!(config.default_realm.as_deref(), Some("FIRST"));
}

#[test]
fn a_value_that_cannot_be_meant_is_an_error_and_no_default() {
    let told = |name: &str, value: &str| (format!("[libdefaults] {name}"), value.to_owned());
    for name in ["clockskew", "ticket_lifetime", "renew_lifetime"] {
        let (relation, value) = told(name, "soon");
        assert_eq!(
            lib(&format!("{name} = soon")).unwrap_err(),
            ConfigError::Duration {
                place: line(2),
                relation,
                value
            }
        );
    }
    for name in [
        "forwardable",
        "allow_rc4",
        "rdns",
        "dns_canonicalize_hostname",
    ] {
        let (relation, value) = told(name, "maybe");
        assert_eq!(
            lib(&format!("{name} = maybe")).unwrap_err(),
            ConfigError::Boolean {
                place: line(2),
                relation,
                value
            }
        );
    }
    let (relation, value) = told("udp_preference_limit", "-1");
    assert_eq!(
        lib("udp_preference_limit = -1").unwrap_err(),
        ConfigError::Number {
            place: line(2),
            relation,
            value
        }
    );
}

#[test]
fn lists_of_encryption_types_know_families_default_and_signs() {
    let default = [AES256, AES128, SHA2_256, SHA2_128];
    for (list, expected) in [
        ("aes128-cts", &[AES128][..]),
        (
            "aes256-cts-hmac-sha1-96, aes128-cts-hmac-sha1-96",
            &[AES256, AES128],
        ),
        ("aes128-cts aes256-cts aes128-cts", &[AES128, AES256]),
        ("DEFAULT", &default),
        ("aes", &default),
        ("DEFAULT -aes256-cts", &[AES128, SHA2_256, SHA2_128]),
        ("default -aes +aes128-cts-hmac-sha256-128", &[SHA2_128]),
        (
            "aes256-cts-hmac-sha384-192 +DEFAULT",
            &[SHA2_256, AES256, AES128, SHA2_128],
        ),
    ] {
        let config = lib(&format!("permitted_enctypes = {list}")).unwrap();
        assert_eq!(config.permitted_enctypes.enctypes(), expected, "{list}");
        assert!(config.warnings().is_empty(), "{list}");
    }
}

#[test]
fn unknown_encryption_types_are_passed_over_and_told() {
    // Camellia is what others have beside AES; it goes without saying that it is not here.
    let list = "des3-cbc-sha1 aes128-cts camellia256-cts-cmac des-cbc-crc rot13";
    let config = lib(&format!("permitted_enctypes = {list}")).unwrap();
    assert_eq!(config.permitted_enctypes.enctypes(), [AES128]);
    let removed = |name: &str| WarningReason::RemovedEnctype { name: name.into() };
    let rot13 = WarningReason::UnknownEnctype {
        name: "rot13".into(),
    };
    assert_eq!(
        reasons(&config),
        [&removed("des3-cbc-sha1"), &removed("des-cbc-crc"), &rot13]
    );
    assert_eq!(
        config.warnings()[0].to_string(),
        "krb5.conf, line 2: [libdefaults] permitted_enctypes: \"des3-cbc-sha1\" was removed from \
         Kerberos (RFC 6649, RFC 8429); passed over"
    );
}

/// A file that was written for DES serves still: what is asked for are the permitted types.
#[test]
fn a_list_of_dead_types_to_ask_for_is_as_if_it_were_not_there() {
    let config = lib("default_tkt_enctypes = des3-hmac-sha1 des-cbc-crc
        default_tgs_enctypes = rc4-hmac")
    .unwrap();
    assert_eq!(config.as_enctypes(), [AES256, AES128, SHA2_256, SHA2_128]);
    assert_eq!(config.tgs_enctypes(), [AES256, AES128, SHA2_256, SHA2_128]);
    let left = reasons(&config).into_iter();
    assert_eq!(
        left.filter(|reason| **reason == WarningReason::NoEnctypeLeft)
            .count(),
        2
    );
}

#[test]
fn rc4_takes_more_than_being_listed() {
    let config = lib("permitted_enctypes = rc4-hmac aes128-cts").unwrap();
    assert_eq!(config.permitted_enctypes.enctypes(), [AES128]);
    assert_eq!(
        reasons(&config),
        [&WarningReason::WeakEnctype { enctype: RC4 }]
    );
    // What is left of such a list is nothing, and that is told; nothing weak takes its place.
    for dead in ["rc4-hmac", "des-cbc-crc des3-hmac-sha1"] {
        let config = lib(&format!("permitted_enctypes = {dead}")).unwrap();
        assert_eq!(
            config.permitted_enctypes.enctypes(),
            [AES256, AES128, SHA2_256, SHA2_128]
        );
        assert!(reasons(&config).contains(&&WarningReason::NoEnctypeLeft));
    }

    assert_eq!(
        permitted("allow_rc4 = true\npermitted_enctypes = rc4 aes128-cts"),
        [RC4, AES128]
    );
    assert_eq!(
        permitted("allow_rc4 = true\npermitted_enctypes = arcfour-hmac"),
        [RC4]
    );
    assert_eq!(
        permitted("allow_rc4 = true"),
        [AES256, AES128, SHA2_256, SHA2_128, RC4]
    );
    assert_eq!(
        permitted("allow_rc4 = true\npermitted_enctypes = aes128-cts"),
        [AES128]
    );
    assert_eq!(
        permitted("allow_weak_crypto = true"),
        [AES256, AES128, SHA2_256, SHA2_128]
    );
    assert_eq!(
        permitted("allow_weak_crypto = true\npermitted_enctypes = rc4-hmac"),
        [RC4]
    );
}

#[test]
fn what_is_asked_for_is_never_more_than_what_is_permitted() {
    let config = lib("permitted_enctypes = aes256-cts aes128-cts
        default_tkt_enctypes = aes128-cts aes256-cts-hmac-sha384-192 aes256-cts
        default_tgs_enctypes = aes256-cts")
    .unwrap();
    assert_eq!(config.as_enctypes(), [AES128, AES256]);
    assert_eq!(config.tgs_enctypes(), [AES256]);
    let config = lib("permitted_enctypes = aes256-cts").unwrap();
    assert_eq!(
        (config.as_enctypes(), config.tgs_enctypes()),
        (vec![AES256], vec![AES256])
    );
}

#[test]
fn realms_have_their_servers_in_order() {
    let config = read(
        "[realms]
        A = {
            kdc = one.example
            kdc = two.example:750
            kdc = [2001:db8::1]:88
            kdc = https://proxy.example/KdcProxy
            master_kdc = one.example
            admin_server = one.example
            kpasswd_server = three.example
            default_domain = example
        }
        B = {
            primary_kdc = new.example
            master_kdc = old.example
        }",
    )
    .unwrap();
    assert_eq!(
        config.kdcs("A"),
        [
            "one.example",
            "two.example:750",
            "[2001:db8::1]:88",
            "https://proxy.example/KdcProxy"
        ]
    );
    assert_eq!(config.realms["A"].primary_kdcs, ["one.example"]);
    assert_eq!(config.realms["A"].admin_servers, ["one.example"]);
    assert_eq!(config.realms["A"].kpasswd_servers, ["three.example"]);
    assert_eq!(
        config.realms["A"].default_domain.as_deref(),
        Some("example")
    );
    assert_eq!(config.realms["B"].primary_kdcs, ["new.example"]);
    assert!(config.kdcs("B").is_empty() && config.kdcs("a").is_empty());
}

#[test]
fn the_realm_of_a_host_is_that_of_the_host_then_of_the_closest_domain() {
    let config = read(
        "[domain_realm]
        crash.example.test = HOST
        .dev.example.test = DEV
        .example.test = DOMAIN
        Bare.Test = BARE
        .bare.test = DOTTED
        10.0.0.1 = ADDRESS
        .0.0.1 = NEVER
        ",
    )
    .unwrap();
    for (host, realm) in [
        ("crash.example.test", Some("HOST")),
        ("CRASH.example.TEST.", Some("HOST")),
        ("a.dev.example.test", Some("DEV")),
        ("a.b.dev.example.test", Some("DEV")),
        ("dev.example.test", Some("DOMAIN")),
        ("x.crash.example.test", Some("HOST")),
        ("example.test", None),
        ("notexample.test", None),
        ("bare.test", Some("BARE")),
        ("www.bare.test", Some("DOTTED")),
        ("10.0.0.1", Some("ADDRESS")),
        ("11.0.0.1", None),
        ("::1", None),
        ("", None),
        ("host", None),
    ] {
        assert_eq!(config.realm_of_host(host), realm, "{host}");
    }
    let mut config = Config::default();
    config.map_domain(".Example.TEST", "R");
    assert_eq!(config.realm_of_host("a.example.test"), Some("R"));
}

#[test]
fn durations_in_every_spelling() {
    for (text, seconds) in [
        ("0", 0),
        ("36000", 36_000),
        (" 60 ", 60),
        ("10h", 36_000),
        ("1d2h", 93_600),
        ("1d 2h 3m 4s", 93_784),
        ("3m4s", 184),
        ("7D", 604_800),
        ("10 h", 36_000),
        ("1:30", 5400),
        ("1:30:05", 5405),
        ("2-01:00:00", 176_400),
        ("4294967295", 4_294_967_295),
    ] {
        assert_eq!(
            parse_duration(text),
            Some(Duration::from_secs(seconds)),
            "{text:?}"
        );
    }
    for text in [
        "",
        " ",
        "-1",
        "+1",
        "h",
        "1x",
        "1h1d",
        "1h2h",
        "1h30",
        "1.5h",
        "1:",
        ":1",
        "1:2:3:4",
        "4294967296",
        "99999999999999999999",
        "9999999999d",
        "-1:00",
        "1é",
    ] {
        assert_eq!(parse_duration(text), None, "{text:?}");
    }
}

#[test]
fn booleans_in_every_spelling() {
    for text in ["y", "yes", "true", "t", "1", "on", "TRUE", "Yes"] {
        assert_eq!(parse_boolean(text), Some(true), "{text}");
    }
    for text in ["n", "no", "false", "nil", "0", "off", "False"] {
        assert_eq!(parse_boolean(text), Some(false), "{text}");
    }
    for text in ["", "2", "yess", "tru"] {
        assert_eq!(parse_boolean(text), None, "{text}");
    }
}

#[test]
fn ignored_lines_of_the_profile_are_warnings() {
    assert_eq!(
        read("module x:y").unwrap().warnings()[0].to_string(),
        "krb5.conf, line 1: module x:y: modules are not loaded"
    );
}

#[test]
fn misspelt_relations_are_told_and_those_of_others_are_not() {
    let config = read(
        "[libdefaults]
        forwadable = true
        default_rcache_name = dfl:
        pkinit_anchors = FILE:/x
        spake_preauth_groups = P-256
        R = {
            forwardable = true
            forwadable = true
        }
        [realms]
        R = {
            kdcs = a
            kdc = b
            max_life = 1d
            iprop_port = 1
            v4_instance_convert = {
                anything = x
            }
        }
        [logging]
        anything = x
        [plugins]
        x = {
            disable = y
        }",
    )
    .unwrap();
    let told: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 4, "{told:#?}");
    assert_eq!(
        told[0],
        "krb5.conf, line 2: [libdefaults] forwadable: no relation of this name is known in this \
         section; passed over"
    );
    assert!(
        told[1].starts_with("krb5.conf, line 3: [libdefaults] default_rcache_name: not followed;")
    );
    assert!(told[2].starts_with("krb5.conf, line 8: [libdefaults] R forwadable:"));
    assert!(told[3].starts_with("krb5.conf, line 12: [realms] R kdcs:"));
}

/// Conformance row 92: reverse DNS is asked only if somebody wrote so, and that is told.
#[test]
fn row_92_reverse_dns_takes_two_words_and_is_told() {
    let config = lib("dns_canonicalize_hostname = true").unwrap();
    assert_eq!(config.dns_canonicalize_hostname, DnsCanonicalization::Yes);
    assert!(!config.rdns && config.warnings().is_empty());
    let config = lib("rdns = true").unwrap();
    assert_eq!(config.dns_canonicalize_hostname, DnsCanonicalization::No);
    assert!(config.warnings().is_empty());
    for value in ["true", "fallback"] {
        let config = lib(&format!("dns_canonicalize_hostname = {value}\nrdns = true")).unwrap();
        assert_eq!(reasons(&config), [&WarningReason::ReverseDns]);
    }
}

#[test]
fn one_word_of_old_stands_for_both_lookups() {
    let both = |lines: &str| {
        let config = lib(lines).unwrap();
        (config.dns_lookup_kdc, config.dns_lookup_realm)
    };
    assert_eq!(both(""), (true, false));
    assert_eq!(both("dns_fallback = true"), (true, true));
    assert_eq!(both("dns_fallback = false"), (false, false));
    assert_eq!(
        both("dns_fallback = false\ndns_lookup_kdc = true"),
        (true, false)
    );
    assert!(matches!(
        lib("extra_addresses = 10.0.0.1, host"),
        Err(ConfigError::Addresses { place, .. }) if place == line(2)
    ));
    assert!(matches!(
        lib("ccache_type = 5"),
        Err(ConfigError::Number { .. })
    ));
}

proptest! {
    #[test]
    fn any_value_is_taken_or_refused(
        name in prop::sample::select(vec![
            "clockskew", "ticket_lifetime", "forwardable", "permitted_enctypes",
            "default_tkt_enctypes", "udp_preference_limit", "allow_rc4", "default_realm",
            "extra_addresses", "realm_try_domains", "ccache_type", "dns_canonicalize_hostname",
        ]),
        value in "[ -~äß€]{1,20}",
    ) {
        if let Ok(profile) =
            Profile::parse(&format!("[libdefaults]\n{name} = {value}"), &NoIncludes, "f")
        {
            let _ = Config::from_profile(&profile);
        }
    }

    #[test]
    fn any_text_is_a_duration_or_not(text in "[0-9dhms: -]{0,12}|.*") {
        let _ = parse_duration(&text);
    }

    #[test]
    fn any_host_has_a_realm_or_none(host in "[a-z.:0-9\\[\\]é]{0,40}") {
        let mut config = Config::default();
        config.map_domain(".test", "R");
        let _ = config.realm_of_host(&host);
    }
}
