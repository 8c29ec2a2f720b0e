//! From principals to local names.

use proptest::prelude::*;
use trihound_krb5::profile::NoIncludes;
use trihound_krb5::{Config, LocalNameError, Principal, Profile, WarningReason};

fn config(lines: &str) -> Config {
    let text = format!(
        "[libdefaults]\ndefault_realm = ATHENA.MIT.EDU\n[realms]\nATHENA.MIT.EDU = {{\n{lines}\n}}\n"
    );
    let profile = Profile::parse(&text, &NoIncludes, "krb5.conf").unwrap();
    Config::from_profile(&profile).unwrap()
}

fn local(config: &Config, principal: &str) -> Option<String> {
    let principal = Principal::parse(principal, Some("ATHENA.MIT.EDU")).unwrap();
    config.auth_to_local(&principal).unwrap()
}

/// One rule alone.
fn by(rule: &str, principal: &str) -> Option<String> {
    local(&config(&format!("auth_to_local = {rule}")), principal)
}

/// krb5.conf(5)'s own example.
#[test]
fn the_rules_are_tried_in_order() {
    let config = config(
        "auth_to_local = RULE:[2:$1](johndoe)s/^.*$/guest/
        auth_to_local = RULE:[2:$1;$2](^.*;admin$)s/;admin$//
        auth_to_local = RULE:[2:$2](^.*;root)s/^.*$/root/
        auth_to_local = DEFAULT",
    );
    assert!(config.warnings().is_empty());
    for (principal, name) in [
        ("joe", Some("joe")),
        ("johndoe", Some("johndoe")),
        ("johndoe/anything", Some("guest")),
        ("joe/admin", Some("joe")),
        ("joe/other", None),
        ("joe@OTHER", None),
        ("joe/ATHENA.MIT.EDU", Some("joe")),
        ("a/b/c", None),
    ] {
        assert_eq!(local(&config, principal).as_deref(), name, "{principal}");
    }
}

#[test]
fn without_rules_names_of_the_default_realm_are_local_names() {
    let config = config("");
    for (principal, name) in [
        ("joe", Some("joe")),
        ("joe@OTHER", None),
        ("joe/admin", None),
        ("joe/ATHENA.MIT.EDU", Some("joe")),
        ("joe/ATHENA.MIT.EDU/x", None),
    ] {
        assert_eq!(local(&config, principal).as_deref(), name, "{principal}");
    }
    let mut nowhere = Config::default();
    let joe = Principal::parse("joe@X", None).unwrap();
    assert_eq!(
        nowhere.auth_to_local(&joe).unwrap_err(),
        LocalNameError::NoDefaultRealm {
            principal: "joe@X".into()
        }
    );
    nowhere.default_realm = Some("X".into());
    assert_eq!(nowhere.auth_to_local(&joe).unwrap().as_deref(), Some("joe"));
}

#[test]
fn parts_of_rules() {
    for (rule, principal, name) in [
        ("RULE:[1:$1@$0]", "joe", Some("joe@ATHENA.MIT.EDU")),
        ("RULE:[1:$1@$0](.*@OTHER)s/@.*//", "joe@OTHER", Some("joe")),
        ("RULE:[1:$1@$0](.*@OTHER)s/@.*//", "joe", None),
        ("RULE:[2:$2$1foo]", "johndoe/admin", Some("adminjohndoefoo")),
        ("RULE:[0:x]", "joe", None),
        ("RULE:[1:$1]s/o/0/", "foo", Some("f0o")),
        ("RULE:[1:$1]s/o/0/g", "foo", Some("f00")),
        ("RULE:[1:$1]s/f/g/ s/o/u/g s/^/x/", "foo", Some("xguu")),
        ("RULE:[1:$1]s/x*/-/g", "ab", Some("-a-b")),
        ("RULE:[1:$1](jo)", "joe", None),
        ("RULE:[1:$1](oe)", "joe", None),
        ("RULE:[1:$1]([a-z]+)", "joe", Some("joe")),
        ("RULE:[1:$1](a|joe)", "joe", Some("joe")),
        // A name of nobody.
        ("RULE:[1:$1]s/.*//", "joe", None),
        // Without a selection: the whole name, and only of the default realm.
        ("RULE:s/e$/y/", "joe", Some("joy")),
        ("RULE:(root)", "root@EVIL", None),
        ("RULE:(root)", "root", Some("root")),
    ] {
        assert_eq!(by(rule, principal).as_deref(), name, "{rule} {principal}");
    }
}

/// A rule that cannot be read may have been the one that keeps the principal out.
#[test]
fn a_broken_rule_is_told_and_ends_the_mapping() {
    for rule in [
        "RULE",
        "default",
        "DB:x",
        "RULE:[1:$1",
        "RULE:[x:$1]",
        "RULE:[1:$2]",
        "RULE:[1:$]",
        "RULE:[1:$1](",
        "RULE:[1:$1]([)",
        "RULE:[1:$1]s/a/",
        "RULE:[1:$1]s/(/x/",
        "RULE:[1:$1]junk",
        // Small to write, and more than anybody can wait for.
        "RULE:[1:$1](a{0}{255}{255}{255}{255}{255})",
        // There is no escape for the slash.
        "RULE:[1:$1]s/\\/x//",
    ] {
        let config = config(&format!("auth_to_local = {rule}\nauth_to_local = DEFAULT"));
        let [warning] = config.warnings() else {
            panic!("{rule}: {:?}", config.warnings());
        };
        assert!(
            matches!(warning.reason, WarningReason::LocalRule { .. }),
            "{rule}"
        );
        assert_eq!(warning.place.line, 5);
        let joe = Principal::parse("joe@ATHENA.MIT.EDU", None).unwrap();
        let error = config.auth_to_local(&joe).unwrap_err();
        assert!(
            matches!(&error, LocalNameError::BadRule { rule: told, .. } if told == rule),
            "{error}"
        );
    }
}

#[test]
fn explicit_names_come_first() {
    let config = config(
        "auth_to_local_names = {
            joe = joseph
            host/web = www-data
            guest@OTHER = visitor
        }
        auth_to_local = RULE:[1:$1]s/^/x/",
    );
    for (principal, name) in [
        ("joe", Some("joseph")),
        ("host/web", Some("www-data")),
        ("guest@OTHER", Some("visitor")),
        ("guest", Some("xguest")),
        // Another realm's joe is not ours.
        ("joe@EVIL", Some("xjoe")),
        ("host/web@EVIL", None),
    ] {
        assert_eq!(local(&config, principal).as_deref(), name, "{principal}");
    }
}

proptest! {
    #[test]
    fn any_rule_maps_or_does_not(
        rule in "(RULE:|DEFAULT)?(\\[[0-3]:[$a0-3;]{0,6}\\])?(\\([^)]{0,10}\\))?(s/[^/]{0,8}/[a-z]{0,3}/g?){0,2}",
        name in "[a-z/.@-]{1,20}",
    ) {
        let mut config = config("");
        let realm = config.realms.get_mut("ATHENA.MIT.EDU").unwrap();
        realm.auth_to_local = vec![rule];
        if let Ok(principal) = Principal::parse(&name, Some("ATHENA.MIT.EDU")) {
            let _ = config.auth_to_local(&principal);
        }
    }
}
