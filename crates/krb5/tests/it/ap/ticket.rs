//! The acceptor: ticket, authenticator, path, replay.

use super::*;

/// Conformance rows 8 and 106.
#[test]
fn row_8_the_authenticator_names_the_tickets_client() {
    let pair = Pair::new();
    let bad = [
        pair.altered(|authenticator| authenticator.cname = name(&["mallory"])),
        pair.altered(|authenticator| authenticator.crealm = "OTHER".into()),
    ];
    for message in bad {
        let result = pair.accept(&message);
        let code = result.as_ref().unwrap_err().krb_error_code();
        assert_eq!(code, Some(error_code::KRB_AP_ERR_BADMATCH));
        assert!(matches!(
            peer_fault(result),
            PeerMisbehaved::ClientsDiffer { .. }
        ));
    }
    let sent = ApReq::from_der(&pair.send(&pair.request()).message).unwrap();
    let session = key(9, AES256);
    let plain = session
        .decrypt(KeyUsage::AP_REQ_AUTH, &sent.authenticator.cipher)
        .unwrap();
    let authenticator = Authenticator::from_der(plain.expose()).unwrap();
    let message = pair.seal(&sent, &authenticator, KeyUsage::TGS_REQ_AUTH);
    assert_eq!(
        peer_fault(pair.accept(&message)),
        PeerMisbehaved::AuthenticatorDoesNotDecrypt
    );
    assert!(pair.replay_cache.is_empty());
}

/// Conformance row 9.
#[test]
fn row_9_a_ticket_is_good_between_its_times_only() {
    let at = |start: Option<i64>, end: i64, flags: TicketFlags| {
        Pair::with_ticket(|part| {
            part.starttime = start.map(time);
            part.endtime = time(end);
            part.flags |= flags;
        })
        .outcome()
    };
    let none = TicketFlags::empty();
    assert!(at(Some(NOW + 300), NOW + 600, none).is_ok());
    assert!(at(Some(NOW - 600), NOW - 300, none).is_ok());
    assert!(at(None, NOW + 1, none).is_ok());
    let early = at(Some(NOW + 301), NOW + 600, none);
    assert_eq!(
        early.as_ref().unwrap_err().krb_error_code(),
        Some(error_code::KRB_AP_ERR_TKT_NYV)
    );
    assert!(matches!(
        peer_fault(early),
        PeerMisbehaved::TicketNotYetValid { .. }
    ));
    let late = at(Some(NOW - 600), NOW - 301, none);
    assert_eq!(
        late.as_ref().unwrap_err().krb_error_code(),
        Some(error_code::KRB_AP_ERR_TKT_EXPIRED)
    );
    assert!(matches!(
        peer_fault(late),
        PeerMisbehaved::TicketExpired { .. }
    ));
    let fault = peer_fault(at(Some(NOW), NOW + 600, TicketFlags::INVALID));
    assert!(matches!(fault, PeerMisbehaved::TicketInvalid { .. }));
}

/// Conformance row 10.
#[test]
fn row_10_the_authenticators_time_is_within_the_skew() {
    let pair = Pair::new();
    for (shift, good) in [(300, true), (-300, true), (301, false), (-301, false)] {
        let message = pair.altered(|authenticator| {
            authenticator.ctime = time(NOW + shift);
            authenticator.cusec = 0;
        });
        let result = pair.accept(&message);
        if good {
            result.unwrap();
            continue;
        }
        let error = result.unwrap_err();
        let token = build_krb_error(&error, &service(), &pair.world.environment)
            .unwrap()
            .unwrap();
        let token = KrbError::from_der(&token).unwrap();
        assert_eq!(token.error_code, error_code::KRB_AP_ERR_SKEW);
        assert_eq!(token.stime, time(NOW));
        assert_eq!(token.sname, service().name);
        assert_eq!(token.e_text, None);
        assert!(matches!(
            peer_fault::<()>(Err(error)),
            PeerMisbehaved::ClockSkew { skew: 300, .. }
        ));
    }
}

/// Conformance row 11.
#[test]
fn row_11_an_authenticator_is_good_once() {
    let pair = Pair::new();
    let message = pair.send(&pair.request()).message;
    pair.accept(&message).unwrap();
    let error = pair.accept(&message).unwrap_err();
    assert_eq!(error.krb_error_code(), Some(error_code::KRB_AP_ERR_REPEAT));
    assert!(matches!(
        error,
        Error::Replay(ReplayError::ReplayedAuthenticator { .. })
    ));
    // Two at the same moment are two.
    pair.accept(&pair.send(&pair.request()).message).unwrap();
    pair.accept(&pair.send(&pair.request()).message).unwrap();
}

/// Conformance row 11: where one key has several names, the name in the clear part of the ticket
/// can be changed on the way; that makes no new authenticator.
#[test]
fn row_11_a_replay_under_another_name_of_the_same_key_is_a_replay() {
    let mut pair = Pair::new();
    let alias = Principal::service("cifs", "web.example", REALM);
    pair.keytab.push(KeytabEntry::new(
        alias.clone(),
        2,
        Timestamp::from_seconds(0),
        KeyMaterial::new(AES256, key(2, AES256).expose().into()),
    ));
    let message = pair.send(&pair.request()).message;
    pair.accept(&message).unwrap();
    let sent = ApReq::from_der(&message).unwrap();
    let mut ticket = sent.ticket.decode().unwrap();
    ticket.sname = alias.name.clone();
    let renamed = ApReq::new(
        sent.ap_options,
        Raw::new(&ticket).unwrap(),
        sent.authenticator.clone(),
    );
    let renamed = renamed.to_der().unwrap();
    for (message, who) in [(&renamed, None), (&message, Some(&alias))] {
        assert!(matches!(
            pair.accept_as(message, who),
            Err(Error::Replay(ReplayError::ReplayedAuthenticator { .. }))
        ));
    }
    assert_eq!(pair.replay_cache.len(), 1);
}

/// Conformance row 11: a full cache refuses, and what does not hold takes no place in it.
#[test]
fn row_11_a_full_cache_refuses_and_bad_messages_do_not_fill_it() {
    let mut pair = Pair::new();
    pair.replay_cache = MemoryReplayCache::new(1);
    for _ in 0..10 {
        let message = pair.altered(|authenticator| authenticator.cname = name(&["mallory"]));
        assert!(pair.accept(&message).is_err());
    }
    pair.outcome().unwrap();
    assert!(matches!(
        pair.outcome(),
        Err(Error::Replay(ReplayError::ReplayCacheFull { capacity: 1 }))
    ));
    pair.world.clock.advance(Duration::from_secs(601));
    pair.outcome().unwrap();
}

/// Conformance row 12.
#[test]
fn row_12_the_path_of_a_foreign_client_is_checked() {
    let checked = TicketFlags::TRANSITED_POLICY_CHECKED;
    let none = TicketFlags::empty();
    accept_foreign(&foreign("", none)).unwrap();
    accept_foreign(&foreign("MID.EXAMPLE", checked)).unwrap();
    let refused = accept_foreign(&foreign("MID.EXAMPLE", none));
    assert_eq!(
        refused.as_ref().unwrap_err().krb_error_code(),
        Some(error_code::KRB_AP_PATH_NOT_ACCEPTED)
    );
    assert!(matches!(
        policy_fault(refused),
        Policy::TransitedNotChecked { .. }
    ));

    let mut pair = foreign("MID.EXAMPLE,OTHER.EXAMPLE", checked);
    pair.policy.transited = TransitedPolicy::Check(Arc::new(|client, server, realm| {
        assert_eq!((client, server), (&b"A.EXAMPLE"[..], REALM.as_bytes()));
        realm == b"MID.EXAMPLE"
    }));
    let fault = policy_fault(accept_foreign(&pair));
    let Policy::TransitedNotPermitted { realm, client } = fault else {
        panic!()
    };
    assert_eq!(
        (realm.as_str(), client.as_str()),
        ("OTHER.EXAMPLE", "alice@A.EXAMPLE")
    );
    pair.policy.transited = TransitedPolicy::Check(Arc::new(|_, _, _| true));
    accept_foreign(&pair).unwrap();

    pair.policy.transited = TransitedPolicy::OwnRealmOnly;
    assert!(matches!(
        policy_fault(accept_foreign(&pair)),
        Policy::TransitedNotPermitted { .. }
    ));
    let mut pair = foreign("EXAMPLE", none);
    pair.policy.transited = TransitedPolicy::CheckedFlagOrHierarchy;
    accept_foreign(&pair).unwrap();
    let mut pair = foreign("EVIL", none);
    pair.policy.transited = TransitedPolicy::CheckedFlagOrHierarchy;
    assert!(matches!(
        policy_fault(accept_foreign(&pair)),
        Policy::TransitedNotPermitted { .. }
    ));
}

/// Conformance rows 12 and 91: without the KDC's check, the realms that `[capaths]` has between the
/// two may lie on the way, and no others.
#[test]
fn row_91_a_path_is_held_against_the_configured_one() {
    let none = TicketFlags::empty();
    let accept = |transited: &str, policy: TransitedPolicy, between: &[&str]| {
        let mut pair = foreign(transited, none);
        pair.policy.transited = policy;
        let mut config = Config::clone(&pair.world.environment.config);
        config.set_capath("A.EXAMPLE", REALM, between.iter().copied());
        pair.world.environment.config = Arc::new(config);
        accept_foreign(&pair)
    };
    for policy in [
        TransitedPolicy::RequireCheckedFlag,
        TransitedPolicy::CheckedFlagOrHierarchy,
    ] {
        let accept = |transited, between: &[&str]| accept(transited, policy.clone(), between);
        accept("MID.EXAMPLE", &["MID.EXAMPLE", "OTHER.EXAMPLE"]).unwrap();
        accept(
            "OTHER.EXAMPLE,MID.EXAMPLE",
            &["MID.EXAMPLE", "OTHER.EXAMPLE"],
        )
        .unwrap();
        accept("", &[]).unwrap();
        for (transited, between) in [
            ("MID.EXAMPLE,EVIL", &["MID.EXAMPLE"][..]),
            ("mid.example", &["MID.EXAMPLE"]),
            // The two realms share a key, so nobody lies between, not even on the hierarchy.
            ("EXAMPLE", &[]),
        ] {
            assert!(
                matches!(
                    policy_fault(accept(transited, between)),
                    Policy::TransitedNotPermitted { .. }
                ),
                "{transited}"
            );
        }
    }
}

/// Conformance row 12: the encoding of RFC 4120 3.3.3.2, with its own examples.
#[test]
fn row_12_domain_x500_compress_is_decoded() {
    for (contents, realms) in [
        ("", &[][..]),
        (
            "EDU,MIT.,ATHENA.,WASHINGTON.EDU,X.",
            &[
                "EDU",
                "MIT.EDU",
                "ATHENA.MIT.EDU",
                "WASHINGTON.EDU",
                "X.WASHINGTON.EDU",
            ],
        ),
        (
            "/COM,/HP,/APOLLO, /COM/DEC",
            &["/COM", "/COM/HP", "/COM/HP/APOLLO", "/COM/DEC"],
        ),
        (",", &["B.MIT.EDU", "MIT.EDU", "EDU", "WASHINGTON.EDU"]),
        (",EDU", &["B.MIT.EDU", "MIT.EDU", "EDU"]),
        ("EDU,", &["EDU", "WASHINGTON.EDU"]),
        ("MIT.EDU,,EDU", &["MIT.EDU", "EDU"]),
        ("A\\,B,\\/C\\.", &["A,B", "/C."]),
        ("X, Y.", &["X", "Y."]),
    ] {
        assert_eq!(transited(contents).unwrap(), realms, "{contents:?}");
    }
    for contents in [
        "A\\",
        "MIT.",
        "ORG,,EDU",
        "/COM,, /EDU",
        &["A"; 33].join(","),
        &"A,".repeat(40),
        &"A".repeat(9_000),
    ] {
        assert!(transited(contents).is_err(), "{contents:?}");
    }
    let unknown = TransitedEncoding {
        tr_type: 2,
        contents: vec![1].into(),
    };
    assert!(decode_transited(&unknown, b"A", b"B").is_err());
    let mut pair = foreign("MIT.", TicketFlags::empty());
    pair.policy.transited = TransitedPolicy::RequireCheckedFlag;
    assert!(matches!(
        policy_fault(accept_foreign(&pair)),
        Policy::TransitedUnreadable { .. }
    ));
}

/// Conformance row 46: a realm of many steps is not spelled out step by step.
#[test]
fn row_46_long_x500_paths_are_cut_off() {
    let left_out = TransitedEncoding {
        tr_type: 1,
        contents: b",".to_vec().into(),
    };
    let steps = |count| [b"/A".to_vec(), b"/B".repeat(count)].concat();
    let decode = |count| decode_transited(&left_out, b"/A", &steps(count));
    assert_eq!(decode(33).map(|realms| realms.len()), Ok(32));
    for count in [34, 500_000] {
        assert_eq!(decode(count), Err("it has too many realms"), "{count}");
    }
}

/// Conformance row 105.
#[test]
fn row_105_use_session_key_is_refused() {
    let pair = Pair::new();
    let sent = ApReq::from_der(&pair.send(&pair.request()).message).unwrap();
    let options = sent.ap_options | ApOptions::USE_SESSION_KEY;
    let message = ApReq::new(options, sent.ticket.clone(), sent.authenticator.clone());
    assert_eq!(
        policy_fault(pair.accept(&message.to_der().unwrap())),
        Policy::UserToUserNotOffered
    );
}

/// Conformance row 58.
#[test]
fn row_58_weak_keys_are_refused_unless_permitted() {
    let rc4 = EncryptionKey::new(Enctype::RC4_HMAC.0, vec![5; 16]);
    let pair = Pair::with_ticket(|part| part.key = rc4.clone());
    assert!(matches!(
        build_ap_req(&pair.request(), &pair.world.environment),
        Err(Error::Policy(Policy::EnctypeNotPermitted {
            enctype: Enctype::RC4_HMAC,
            ..
        }))
    ));
    // The initiator permits it, the acceptor does not.
    let mut config = Config::default();
    config.permitted_enctypes =
        danger::permit_weak_enctypes(EnctypePolicy::default(), &[Enctype::RC4_HMAC]);
    let lax = World::with(config);
    let sent = build_ap_req(&pair.request(), &lax.environment).unwrap();
    assert!(matches!(
        policy_fault(pair.accept(&sent.message)),
        Policy::EnctypeNotPermitted {
            what: "the ticket's session key",
            ..
        }
    ));
    let pair = Pair { world: lax, ..pair };
    pair.accept(&sent.message).unwrap();
    let message = Pair::new().altered(|authenticator| authenticator.subkey = Some(rc4));
    assert!(matches!(
        policy_fault(Pair::new().accept(&message)),
        Policy::EnctypeNotPermitted {
            what: "the sub-key",
            ..
        }
    ));
}

#[test]
fn addresses_count_where_the_caller_gives_one() {
    let home = HostAddress {
        addr_type: 2,
        address: vec![127, 0, 0, 1].into(),
    };
    let away = HostAddress {
        addr_type: 2,
        address: vec![127, 0, 0, 2].into(),
    };
    let pair = Pair::with_ticket(|part| part.caddr = Some(vec![home.clone()]));
    let from = |address: Option<&HostAddress>| {
        let request = AcceptRequest {
            keytab: &pair.keytab,
            principal: None,
            policy: &pair.policy,
            replay_cache: &pair.replay_cache,
            client_address: address,
        };
        let message = pair.send(&pair.request()).message;
        accept_ap_req(&message, &request, &pair.world.environment)
    };
    from(None).unwrap();
    from(Some(&home)).unwrap();
    assert_eq!(policy_fault(from(Some(&away))), Policy::AddressNotListed);
}

/// Every byte of an AP-REQ, flipped: no other client, never a panic.
#[test]
fn an_ap_req_with_any_bit_flipped_gives_no_other_client() {
    let pair = Pair::new();
    let length = pair.send(&pair.request()).message.len();
    for position in 0..length {
        let mut message = pair.send(&pair.request()).message;
        let at = position % message.len();
        message[at] ^= 1 << (position % 8);
        if let Ok(accepted) = pair.accept(&message) {
            assert_eq!(accepted.client, alice());
            assert_eq!(accepted.session_key.expose(), key(9, AES256).expose());
        }
    }
}
