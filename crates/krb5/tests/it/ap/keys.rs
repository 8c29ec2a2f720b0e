//! Which key opens a ticket.

use super::*;

/// Conformance row 7.
#[test]
fn row_7_the_error_names_what_the_ticket_needs_and_what_the_keytab_has() {
    let mut pair = Pair::new();
    pair.keytab = keytab(service(), 3, key(2, AES256));
    let Err(error @ Error::Credential(CredentialFailure::NoKeyForTicket { .. })) = pair.outcome()
    else {
        panic!()
    };
    assert_eq!(error.krb_error_code(), Some(error_code::KRB_AP_ERR_NOKEY));
    let text = error.to_string();
    for part in [
        "key version 2",
        "version 3",
        "aes256",
        "HTTP/web.test.example@TEST.EXAMPLE",
    ] {
        assert!(text.contains(part), "{text}");
    }
    pair.keytab = keytab(service(), 2, key(2, AES128));
    assert!(matches!(
        pair.outcome(),
        Err(Error::Credential(CredentialFailure::NoKeyForTicket { .. }))
    ));
    pair.keytab = Keytab::new();
    assert!(
        pair.outcome()
            .unwrap_err()
            .to_string()
            .contains("no keys at all")
    );
}

/// Conformance row 7.
#[test]
fn row_7_a_named_principal_uses_its_own_keys_only() {
    let mut pair = Pair::new();
    let alias = Principal::service("HTTP", "alias.test.example", REALM);
    let message = pair.send(&pair.request()).message;
    // The ticket's key is there, under another name than the acceptor's.
    assert!(matches!(
        pair.accept_as(&message, Some(&alias)),
        Err(Error::Credential(CredentialFailure::NoKeyForTicket { .. }))
    ));
    // The realm counts.
    let elsewhere = service().with_realm("OTHER");
    assert!(matches!(
        pair.accept_as(&message, Some(&elsewhere)),
        Err(Error::Credential(CredentialFailure::NoKeyForTicket { .. }))
    ));
    assert!(pair.accept_as(&message, Some(&service())).is_ok());
    // The KDC knows the acceptor under two names.
    pair.keytab = keytab(alias.clone(), 2, key(2, AES256));
    let message = pair.send(&pair.request()).message;
    assert_eq!(
        pair.accept_as(&message, Some(&alias)).unwrap().server,
        alias
    );
}

/// Conformance row 7: where the configuration ignores the acceptor's host name, keys of the same
/// service on any host count, and no others.
#[test]
fn row_7_a_service_may_be_taken_on_any_host_if_configured() {
    let accept = |who: &Principal, ignore: bool| {
        let mut pair = Pair::new();
        let mut config = Config::clone(&pair.world.environment.config);
        config.ignore_acceptor_hostname = ignore;
        pair.world.environment.config = Arc::new(config);
        let message = pair.send(&pair.request()).message;
        pair.accept_as(&message, Some(who))
    };
    let mut elsewhere = service();
    elsewhere.name.name_string[1] = "elsewhere.example".into();
    assert_eq!(accept(&elsewhere, true).unwrap().server, service());
    assert_eq!(accept(&service(), true).unwrap().server, service());
    let mut other_service = elsewhere.clone();
    other_service.name.name_string[0] = "host".into();
    let hostless = Principal::parse("HTTP", Some(REALM)).unwrap();
    for (who, ignore) in [
        (&elsewhere, false),
        (&other_service, true),
        (&elsewhere.with_realm("OTHER"), true),
        (&hostless, true),
    ] {
        assert!(
            matches!(
                accept(who, ignore),
                Err(Error::Credential(CredentialFailure::NoKeyForTicket { .. }))
            ),
            "{who}"
        );
    }
}

/// Conformance row 7: without a named principal the other keys are tried by policy.
#[test]
fn row_7_other_keys_are_tried_by_policy() {
    let mut pair = Pair::new();
    let alias = Principal::service("HTTP", "WEB.TEST.EXAMPLE", REALM);
    pair.keytab = keytab(alias.clone(), 2, key(2, AES256));
    assert_eq!(pair.outcome().unwrap().server, alias);
    pair.policy.try_other_keys = false;
    assert!(matches!(
        pair.outcome(),
        Err(Error::Credential(CredentialFailure::NoKeyForTicket { .. }))
    ));
    pair.policy.try_other_keys = true;
    // The ticket's own name comes first, and does not stop at a key that does not fit.
    let entry = |principal: Principal, seed| {
        let material = KeyMaterial::from_key(Arc::new(key(seed, AES256)));
        KeytabEntry::new(principal, 2, Timestamp::from_seconds(NOW), material)
    };
    pair.keytab = [entry(service(), 5), entry(alias.clone(), 2)]
        .into_iter()
        .collect();
    assert_eq!(pair.outcome().unwrap().server, alias);
    pair.keytab = [entry(service(), 5), entry(alias, 6)].into_iter().collect();
    let fault = peer_fault(pair.outcome());
    assert!(matches!(
        fault,
        PeerMisbehaved::TicketDoesNotDecrypt {
            tried: 2,
            kvno: Some(2),
            ..
        }
    ));
}

/// Conformance row 7: where the ticket's service is not in the keytab, that is what is said.
#[test]
fn row_7_a_ticket_for_a_service_that_is_not_here_is_told_apart() {
    let mut pair = Pair::new();
    let other = Principal::service("HTTP", "other.test.example", REALM);
    pair.keytab = keytab(other, 2, key(5, AES256));
    let Err(error @ Error::Credential(CredentialFailure::NoKeyForTicket { .. })) = pair.outcome()
    else {
        panic!()
    };
    assert!(error.to_string().contains("other.test.example"), "{error}");
}

/// Conformance row 7: each name once, and of many the first.
#[test]
fn row_7_of_a_large_keytab_the_error_names_a_few_and_counts_the_rest() {
    let mut pair = Pair::new();
    let shared = Arc::new(key(5, AES256));
    let entry = |number: u32, kvno| {
        let host = Principal::service("HTTP", &format!("h{number}.test.example"), REALM);
        let material = KeyMaterial::from_key(Arc::clone(&shared));
        KeytabEntry::new(host, kvno, Timestamp::from_seconds(NOW), material)
    };
    let mut text = |count: u32| {
        pair.keytab = (0..count)
            .flat_map(|number| [entry(number, 6), entry(number, 5)])
            .collect();
        pair.outcome().unwrap_err().to_string()
    };
    let all = text(8);
    assert!(
        all.contains("h0.test.example@TEST.EXAMPLE, HTTP/h1."),
        "{all}"
    );
    assert!(all.contains("h7.") && !all.contains(" more"), "{all}");
    assert!(text(9).contains(" and 1 more"));
    let many = text(30_000);
    assert!(
        many.contains(" and 29992 more") && !many.contains("h8."),
        "{many}"
    );
}
