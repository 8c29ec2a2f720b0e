//! The realms on a foreign client's way, to the byte (RFC 4120 section 3.3.3.2).

use super::*;

fn decoded(contents: &str, client: &str, server: &str) -> Result<Vec<String>, &'static str> {
    let encoding = TransitedEncoding {
        tr_type: 1,
        contents: contents.as_bytes().to_vec().into(),
    };
    let realms = decode_transited(&encoding, client.as_bytes(), server.as_bytes())?;
    Ok(realms
        .into_iter()
        .map(|realm| String::from_utf8(realm).unwrap())
        .collect())
}

/// Conformance row 12: an empty field stands for the X.500 names between its neighbours, too.
#[test]
fn row_12_x500_names_left_out_are_put_in() {
    let down = decoded(",", "/COM", "/COM/HP/APOLLO/X").unwrap();
    assert_eq!(down, ["/COM/HP", "/COM/HP/APOLLO"]);
    let up = decoded(",", "/COM/HP/APOLLO/X", "/COM").unwrap();
    assert_eq!(up, ["/COM/HP/APOLLO", "/COM/HP"]);
    assert!(decoded(",", "/COM/HP", "/COM").unwrap().is_empty());
    let branches = Err("it leaves out realms between two X.500 names of different branches");
    for (client, server) in [
        ("/COM/HP", "/COM/DE"),
        ("/COM", "/COMPANY/HP"),
        ("/COM", "EDU"),
        ("EDU", "/COM"),
    ] {
        assert_eq!(decoded(",", client, server), branches, "{client} {server}");
    }
    assert_eq!(
        decoded(",", "MIT.EDU", "EXAMPLE.ORG"),
        Err("it leaves out realms between two that share no domain")
    );
}

/// Conformance row 12: a space and a slash mean something at the front of a realm only, and one
/// space is enough.
#[test]
fn row_12_signs_count_at_the_front_only() {
    for (contents, realms) in [
        ("X,A B", &["X", "A B"][..]),
        ("X,A /B", &["X", "A /B"]),
        ("X,A/B", &["X", "A/B"]),
        ("X,  Y", &["X", " Y"]),
        ("X, /Y", &["X", "/Y"]),
        ("CLIENT,X", &["X"]),
        ("X,SERVER", &["X"]),
    ] {
        let found = decoded(contents, "CLIENT", "SERVER").unwrap();
        assert_eq!(found, realms, "{contents:?}");
    }
}

/// Conformance row 12: what is decoded is bounded, each bound by its own reason.
#[test]
fn row_12_a_path_has_bounds() {
    let longest = "A".repeat(8192);
    assert_eq!(decoded(&longest, "C", "S").unwrap(), [longest.as_str()]);
    assert_eq!(decoded(&"A".repeat(8193), "C", "S"), Err("it is too long"));
    assert_eq!(decoded(&["A"; 32].join(","), "C", "S").unwrap().len(), 32);
    assert_eq!(
        decoded(&["A"; 33].join(","), "C", "S"),
        Err("it has too many realms")
    );
    // Left out, they count as well.
    let deep = "A.".repeat(40) + "EDU";
    assert!(decoded(",", &deep, "EDU").unwrap().len() <= 32);
}

/// Conformance row 12: on the hierarchy is what lies above one of the two realms and not above what
/// they share.
#[test]
fn row_12_the_hierarchy_ends_at_what_both_realms_share() {
    let accept = |client: &str, transited: &str| {
        let mut pair = Pair::with_ticket(|part| {
            part.crealm = client.into();
            part.transited = TransitedEncoding {
                tr_type: 1,
                contents: transited.as_bytes().to_vec().into(),
            };
        });
        pair.policy.transited = TransitedPolicy::CheckedFlagOrHierarchy;
        let message = pair.altered(|authenticator| authenticator.crealm = client.into());
        pair.accept(&message)
    };
    accept("X.A.EXAMPLE", "A.EXAMPLE,EXAMPLE").unwrap();
    accept("EXAMPLE", "").unwrap();
    for (client, transited) in [
        ("A.EXAMPLE", "ELSEWHERE.EXAMPLE.ORG"),
        ("A.EXAMPLE", "ELSEWHERE.EXAMPLE"),
        ("A.TEST.EXAMPLE", "EXAMPLE"),
        ("XA.EXAMPLE", "A.EXAMPLE"),
    ] {
        let fault = policy_fault(accept(client, transited));
        let Policy::TransitedNotPermitted { realm, .. } = fault else {
            panic!("{fault}")
        };
        assert_eq!(realm, transited);
    }
}
