//! Principal names: text form, comparison, salts.

use std::collections::HashSet;

use proptest::prelude::*;
use trihound_asn1::name_type;
use trihound_krb5::name::{ad_computer_salt, ad_user_salt};
use trihound_krb5::{NameError, Principal};

const REALM: Option<&str> = Some("EXAMPLE.TEST");

/// Components and realm.
type Parts<'a> = (Vec<&'a [u8]>, &'a [u8]);

fn parts(principal: &Principal) -> Parts<'_> {
    (principal.components().collect(), principal.realm.as_bytes())
}

/// Conformance row 137.
#[test]
fn row_137_text_splits_into_components_and_realm() {
    type Case<'a> = (&'a str, &'a [&'a [u8]], &'a [u8]);
    let cases: [Case<'_>; 10] = [
        ("alice", &[b"alice"], b"EXAMPLE.TEST"),
        ("alice@OTHER", &[b"alice"], b"OTHER"),
        ("alice/admin@OTHER", &[b"alice", b"admin"], b"OTHER"),
        ("a/b/c", &[b"a", b"b", b"c"], b"EXAMPLE.TEST"),
        ("HTTP/web.example@", &[b"HTTP", b"web.example"], b""),
        (r"a\/b\@c\\d@R", &[b"a/b@c\\d"], b"R"),
        (r"a\nb\tc\bd\0e\x@R", &[b"a\nb\tc\x08d\0ex"], b"R"),
        (r"user\@dom.example@R", &[b"user@dom.example"], b"R"),
        ("a//@R", &[b"a", b"", b""], b"R"),
        (r"a@R\/S\@T", &[b"a"], b"R/S@T"),
    ];
    for (text, components, realm) in cases {
        let principal = Principal::parse(text, REALM).unwrap();
        assert_eq!(parts(&principal), (components.to_vec(), realm), "{text}");
    }
}

/// Conformance row 137; the class of CVE-2015-2697: nothing is cut at a NUL.
#[test]
fn row_137_names_that_are_none_are_refused() {
    for (text, error) in [
        ("a\\", NameError::TrailingBackslash("a\\".into())),
        ("a@R\\", NameError::TrailingBackslash("a@R\\".into())),
        ("a@R@S", NameError::SeparatorInRealm("a@R@S".into())),
        ("a@R/S", NameError::SeparatorInRealm("a@R/S".into())),
        ("", NameError::Empty(String::new())),
        ("@R", NameError::Empty("@R".into())),
    ] {
        assert_eq!(Principal::parse(text, REALM), Err(error), "{text}");
    }
    assert_eq!(
        Principal::parse("alice", None),
        Err(NameError::NoRealm("alice".into()))
    );
    let nul = Principal::parse("a\\0b@R\\0S", None).unwrap();
    assert_eq!(parts(&nul), (vec![&b"a\0b"[..]], &b"R\0S"[..]));
}

/// Conformance row 137.
#[test]
fn row_137_an_enterprise_name_keeps_its_first_at_sign() {
    let plain = Principal::parse_enterprise("user@dom.example", REALM).unwrap();
    assert_eq!(
        parts(&plain),
        (vec![&b"user@dom.example"[..]], &b"EXAMPLE.TEST"[..])
    );
    assert_eq!(plain.name.name_type, name_type::NT_ENTERPRISE);
    assert_eq!(plain.to_string(), r"user\@dom.example@EXAMPLE.TEST");

    let with_realm = Principal::parse_enterprise("a/b@dom@REALM", None).unwrap();
    assert_eq!(parts(&with_realm), (vec![&b"a/b@dom"[..]], &b"REALM"[..]));

    assert_eq!(
        Principal::parse_enterprise("a@b@c@d", None),
        Err(NameError::SeparatorInRealm("a@b@c@d".into()))
    );
    assert_eq!(
        Principal::parse_enterprise("", REALM),
        Err(NameError::Empty(String::new()))
    );
    assert_eq!(
        Principal::parse_enterprise("user@dom", None),
        Err(NameError::NoRealm("user@dom".into()))
    );
}

/// Conformance row 137.
#[test]
fn row_137_host_based_service() {
    let named = Principal::from_host_based_service("HTTP@Web.Example", "here", "R").unwrap();
    assert_eq!(named.to_string(), "HTTP/web.example@R");
    assert_eq!(named.name.name_type, name_type::NT_SRV_HST);
    let local = Principal::from_host_based_service("host", "Here.example", "").unwrap();
    assert_eq!(local.to_string(), "host/here.example@");
    for text in ["", "@host", "a/b@host", "HTTP@"] {
        assert_eq!(
            Principal::from_host_based_service(text, "here", "R"),
            Err(NameError::NotHostBased(text.into())),
            "{text}"
        );
    }
}

/// The token of `alice@R`, put together by RFC 2743 section 3.2.
fn exported() -> Vec<u8> {
    let mut token = vec![4, 1, 0, 11, 6, 9];
    token.extend([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2]);
    token.extend([0, 0, 0, 7]);
    token.extend(b"alice@R");
    token
}

/// Conformance row 137.
#[test]
fn row_137_exported_names_go_both_ways() {
    let alice = Principal::parse("alice@R", None).unwrap();
    assert_eq!(alice.to_exported_name(), exported());
    assert_eq!(Principal::from_exported_name(&exported()).unwrap(), alice);
    let odd = Principal::new(
        &b"R/\xff"[..],
        name_type::NT_PRINCIPAL,
        [&b"a@\0\xfe"[..], b""],
    );
    assert_eq!(
        Principal::from_exported_name(&odd.to_exported_name()).unwrap(),
        odd
    );
}

/// Conformance row 137.
#[test]
fn row_137_lengths_of_an_exported_name_are_checked() {
    let token = exported();
    for length in 0..token.len() {
        assert!(
            matches!(
                Principal::from_exported_name(&token[..length]),
                Err(NameError::NotExported { .. })
            ),
            "{length}"
        );
    }
    let changed = |at: usize, to: u8| {
        let mut token = exported();
        token[at] = to;
        Principal::from_exported_name(&token).unwrap_err()
    };
    let wrong = |what, offset| NameError::NotExported { what, offset };
    assert_eq!(changed(1, 2), wrong("the token identifier", 0));
    assert_eq!(changed(4, 4), wrong("the mechanism", 4));
    assert_eq!(changed(5, 8), wrong("the mechanism", 4));
    assert_eq!(changed(14, 3), wrong("the mechanism", 4));
    assert_eq!(changed(3, 10), wrong("the mechanism", 4));
    assert_eq!(changed(18, 6), wrong("the name's length", 15));
    assert_eq!(changed(18, 8), wrong("the name's length", 19));
    assert_eq!(changed(15, 0xff), wrong("the name's length", 19));
    let mut longer = exported();
    longer.push(b'S');
    assert_eq!(
        Principal::from_exported_name(&longer),
        Err(wrong("the name's length", 15))
    );
    assert_eq!(changed(24, b'x'), NameError::NoRealm("alicexR".into()));
}

#[test]
fn name_types_follow_the_form_of_the_name() {
    for (text, expected) in [
        ("alice@R", name_type::NT_PRINCIPAL),
        ("HTTP/web@R", name_type::NT_PRINCIPAL),
        ("krbtgt/R@R", name_type::NT_SRV_INST),
        ("krbtgt@R", name_type::NT_PRINCIPAL),
        ("WELLKNOWN/ANONYMOUS@R", name_type::NT_WELLKNOWN),
    ] {
        let principal = Principal::parse(text, None).unwrap();
        assert_eq!(principal.name.name_type, expected, "{text}");
    }
}

/// RFC 4120 section 6.2: the name type does not take part in a comparison; the realm does.
#[test]
fn equality_and_hash_pass_over_the_name_type_only() {
    let one = Principal::new("R", name_type::NT_PRINCIPAL, ["HTTP", "web"]);
    let other_type = Principal::new("R", name_type::NT_SRV_HST, ["HTTP", "web"]);
    let other_realm = one.with_realm("S");
    let other_case = Principal::new("R", name_type::NT_PRINCIPAL, ["http", "web"]);
    let joined = Principal::new("R", name_type::NT_PRINCIPAL, ["HTTP/web"]);
    let moved = Principal::new("R", name_type::NT_PRINCIPAL, ["HTTPw", "eb"]);
    let set: HashSet<_> = [one.clone()].into();
    assert!(set.contains(&other_type));
    for different in [other_realm, other_case, joined, moved] {
        assert!(!set.contains(&different));
        assert_ne!(one, different);
    }
}

#[test]
fn a_ticket_granting_service_is_told_apart() {
    let own = Principal::krbtgt(&"R".into());
    assert_eq!(own.to_string(), "krbtgt/R@R");
    assert!(own.is_krbtgt());
    let cross = Principal::krbtgt_for(&"S".into(), &"R".into());
    assert_eq!(cross.to_string(), "krbtgt/S@R");
    assert_eq!(cross.krbtgt_target().unwrap(), &"S");
    for text in ["krbtgt@R", "krbtgt/A/B@R", "KRBTGT/R@R", "alice@R"] {
        assert!(!Principal::parse(text, None).unwrap().is_krbtgt(), "{text}");
    }
}

/// Conformance row 186.
#[test]
fn row_186_default_salts() {
    let user = Principal::parse("alice/admin@Example.Test", None).unwrap();
    assert_eq!(user.default_salt(), b"Example.Testaliceadmin");
    assert_eq!(
        ad_user_salt("ad.example.test", "Alice"),
        b"AD.EXAMPLE.TESTAlice"
    );
    assert_eq!(
        ad_computer_salt("ad.Example.test", "WEB01$"),
        b"AD.EXAMPLE.TESThostweb01.ad.example.test"
    );
}

#[test]
fn bytes_that_are_not_utf_8_are_kept() {
    let principal = Principal::new(&b"R\xff"[..], name_type::NT_PRINCIPAL, [&b"M\xfcller"[..]]);
    assert_eq!(parts(&principal), (vec![&b"M\xfcller"[..]], &b"R\xff"[..]));
    assert_eq!(principal.default_salt(), b"R\xffM\xfcller");
    assert_eq!(principal.to_string(), "M\u{fffd}ller@R\u{fffd}");
}

/// What a peer names itself must not move the cursor, hide text or begin another line of a log.
#[test]
fn no_control_character_of_a_name_reaches_the_text() {
    let hostile = "a\u{1b}[2J\r\u{7f}\u{9b}31m\u{85}\n\t\0\u{8}b";
    let principal = Principal::new(hostile, name_type::NT_PRINCIPAL, [hostile]);
    let shown = "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}31m\u{fffd}\\n\\t\\0\\bb";
    assert_eq!(principal.to_string(), format!("{shown}@{shown}"));
    assert_eq!(principal.name_text(), shown);
    let error = Principal::parse("a\u{1b}b\\", None).unwrap_err();
    assert!(!error.to_string().contains(char::is_control), "{error}");
}

/// Nor must it turn the writing direction, by which another name is read than the one that counts.
#[test]
fn no_character_of_writing_direction_or_lines_reaches_the_text() {
    for letter in "\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}".chars()
    {
        let principal = Principal::new("R", name_type::NT_PRINCIPAL, [format!("a{letter}b")]);
        assert_eq!(principal.to_string(), "a\u{fffd}b@R", "{letter:?}");
    }
    // Letters of languages that are written from the right are letters.
    let principal = Principal::new("R", name_type::NT_PRINCIPAL, ["\u{5d0}\u{628}\u{200b}"]);
    assert_eq!(principal.name_text(), "\u{5d0}\u{628}\u{200b}");
}

/// Any text without the characters that a name's text has no escape for and does not show.
fn spoken() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| {
        text.replace(
            |c: char| {
                trihound_asn1::is_treacherous(c) && !matches!(c, '\n' | '\t' | '\u{8}' | '\0')
            },
            "x",
        )
    })
}

proptest! {
    #[test]
    fn any_name_survives_its_text(
        components in prop::collection::vec(spoken(), 1..4),
        realm in spoken(),
    ) {
        prop_assume!(components.len() > 1 || !components[0].is_empty());
        let components: Vec<&str> = components.iter().map(String::as_str).collect();
        let principal = Principal::new(realm.as_str(), name_type::NT_PRINCIPAL, components);
        let again = Principal::parse(&principal.to_string(), None).unwrap();
        prop_assert_eq!(&again, &principal);
        let in_realm = Principal::parse(&principal.name_text(), Some(&realm)).unwrap();
        prop_assert_eq!(in_realm, principal);
    }

    #[test]
    fn any_text_is_a_name_or_an_error(text in any::<String>()) {
        let _ = Principal::parse(&text, REALM);
        let _ = Principal::parse_enterprise(&text, REALM);
        let _ = Principal::from_exported_name(text.as_bytes());
        let _ = Principal::from_host_based_service(&text, "here", "R");
    }
}
