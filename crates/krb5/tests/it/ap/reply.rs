//! What comes back: AP-REP, third leg, KRB-ERROR.

use super::*;

/// Conformance rows 13 and 106.
#[test]
fn row_13_the_reply_repeats_the_authenticators_time() {
    let good = replied(|_| {}).unwrap();
    assert_eq!(good.agreement.acceptor_sequence, 77);
    for alter in [
        (|part: &mut EncApRepPart| part.cusec ^= 1) as fn(&mut EncApRepPart),
        |part| part.ctime = time(NOW + 1),
    ] {
        let fault = peer_fault(replied(alter));
        assert!(matches!(fault, PeerMisbehaved::ApReplyTimeDiffers { .. }));
    }
    let pair = Pair::new();
    for (reply_key, usage) in [
        (key(8, AES256), KeyUsage::AP_REP_ENC_PART),
        (key(9, AES256), KeyUsage::AP_REQ_AUTH),
    ] {
        let sent = pair.send(&pair.request());
        let reply = reply_under(&sent, &reply_key, usage, |_| {});
        let fault = peer_fault(expect_reply(sent).handle(&reply));
        assert!(matches!(
            fault,
            PeerMisbehaved::ApReplyDoesNotDecrypt { .. }
        ));
    }
}

/// Conformance row 108.
#[test]
fn row_108_the_acceptors_subkey_is_of_an_offered_enctype() {
    let subkey =
        |enctype| move |part: &mut EncApRepPart| part.subkey = Some(wire(&key(3, enctype)));
    let sha2 = Enctype::AES256_CTS_HMAC_SHA384_192;
    assert_eq!(
        replied(subkey(sha2))
            .unwrap()
            .agreement
            .message_key()
            .enctype(),
        sha2
    );
    let pair = Pair::new();
    let sent = pair.send(&ApRequest {
        offer_enctypes: false,
        ..pair.request()
    });
    assert!(
        pair.accept(&sent.message)
            .unwrap()
            .authenticator_info
            .enctypes
            .is_empty()
    );
    let reply = reply_with(&sent, subkey(sha2));
    assert_eq!(
        peer_fault(expect_reply(sent).handle(&reply)),
        PeerMisbehaved::SubkeyEnctypeNotOffered { enctype: sha2 }
    );
    let fault = peer_fault(replied(|part| {
        part.subkey = Some(EncryptionKey::new(Enctype::RC4_HMAC.0, vec![1; 16]));
    }));
    assert!(matches!(
        fault,
        PeerMisbehaved::SubkeyEnctypeNotOffered { .. }
    ));
    let fault = peer_fault(replied(|part| {
        part.subkey = Some(EncryptionKey::new(AES256.0, vec![1; 31]));
    }));
    assert_eq!(fault, PeerMisbehaved::SubkeyMalformed { enctype: AES256 });
}

/// Conformance row 108: the acceptor takes the client's first enctype that it permits.
#[test]
fn row_108_the_acceptor_chooses_from_the_clients_list() {
    let pair = Pair::new();
    let chosen = |list: &[Enctype]| {
        let list: EtypeList = list.iter().map(|enctype| enctype.0).collect();
        let element =
            AuthorizationDataElement::new(ad_type::AD_ETYPE_NEGOTIATION, list.to_der().unwrap());
        let wrapped: AuthorizationData = vec![AuthorizationDataElement::new(
            ad_type::AD_IF_RELEVANT,
            vec![element].to_der().unwrap(),
        )];
        let message =
            pair.altered(|authenticator| authenticator.authorization_data = Some(wrapped));
        let options = ApRepOptions {
            subkey: true,
            dce_style: false,
        };
        let reply = pair
            .accept(&message)
            .unwrap()
            .build_ap_rep(options, &pair.world.environment)
            .unwrap();
        reply.agreement.message_key().enctype()
    };
    assert_eq!(chosen(&[Enctype::RC4_HMAC, AES128, AES256]), AES128);
    assert_eq!(chosen(&[Enctype::RC4_HMAC]), AES256);
    assert_eq!(chosen(&[]), AES256);
}

/// MS-KILE 3.1.1.2: with RC4 the two sub-keys are the same; MIT's initiator keeps to its own.
#[test]
fn with_rc4_the_acceptors_subkey_is_the_initiators() {
    let rc4 = Enctype::RC4_HMAC;
    let mut config = Config::default();
    config.permitted_enctypes = danger::permit_weak_enctypes(EnctypePolicy::default(), &[rc4]);
    let pair = Pair {
        world: World::with(config),
        ..Pair::with_ticket(|part| part.key = EncryptionKey::new(rc4.0, vec![5; 16]))
    };
    let sent = pair.send(&ApRequest {
        offer_enctypes: false,
        ..pair.request()
    });
    let accepted = pair.accept(&sent.message).unwrap();
    let options = ApRepOptions {
        subkey: true,
        dce_style: false,
    };
    let reply = accepted
        .build_ap_rep(options, &pair.world.environment)
        .unwrap();
    let own = accepted.initiator_subkey.as_ref().unwrap();
    let subkey = reply.agreement.acceptor_subkey.as_ref().unwrap();
    assert_eq!(subkey.enctype(), rc4);
    assert_eq!(subkey.expose(), own.expose());
    let applied = expect_reply(sent).handle(&reply.message).unwrap();
    assert_eq!(applied.agreement.message_key().expose(), own.expose());
}

/// Conformance row 119.
#[test]
fn row_119_empty_and_unexpected_tokens_are_refused() {
    let pair = Pair::new();
    let own = pair.send(&pair.request()).message;
    for (bytes, first) in [
        (Vec::new(), None),
        (own, Some(0x6e)),
        (vec![0x6d, 0], Some(0x6d)),
    ] {
        let state = expect_reply(pair.send(&pair.request()));
        let Err(Error::InvalidMessage(InvalidMessage::Unexpected { found, .. })) =
            state.handle(&bytes)
        else {
            panic!()
        };
        assert_eq!(found, first);
    }
    for bytes in [Vec::new(), vec![0x6f, 0], vec![0x60, 0]] {
        let error = pair.accept(&bytes).unwrap_err();
        assert!(matches!(
            error,
            Error::InvalidMessage(InvalidMessage::Unexpected { .. })
        ));
        assert_eq!(
            error.krb_error_code(),
            Some(error_code::KRB_AP_ERR_MSG_TYPE)
        );
    }
}

#[test]
fn a_krb_error_in_reply_tells_both_clocks() {
    let pair = Pair::new();
    let sent = pair.send(&pair.request());
    let message = pair.altered(|authenticator| authenticator.ctime = time(NOW + 1_000));
    let error = pair.accept(&message).unwrap_err();
    let token = build_krb_error(&error, &service(), &pair.world.environment)
        .unwrap()
        .unwrap();
    pair.world.clock.advance(Duration::from_secs(1_000));
    let Err(Error::PeerRefused(refused)) = expect_reply(sent).handle(&token) else {
        panic!()
    };
    assert_eq!(refused.code, error_code::KRB_AP_ERR_SKEW);
    assert_eq!(refused.server_time, Timestamp::from_seconds(NOW));
    assert_eq!(refused.local_time, Timestamp::from_seconds(NOW + 1_000));
    let text = refused.to_string();
    assert!(
        text.contains("KRB_AP_ERR_SKEW") && text.contains("synchronise"),
        "{text}"
    );
    // To an error there is no error in reply.
    let no_reply = Error::PeerRefused(refused);
    assert_eq!(
        build_krb_error(&no_reply, &service(), &pair.world.environment).unwrap(),
        None
    );
}

/// Conformance rows 127 and 128.
#[test]
fn row_128_the_third_leg_repeats_number_and_time() {
    let good = dce();
    good.expect.handle(&good.third_leg).unwrap();
    // MIT krb5 sends its present time.
    let good = dce();
    good.expect
        .handle(&third_leg(NOW + 20, 0, Some(good.sequence), 9))
        .unwrap();

    let case = dce();
    let wrong = third_leg(NOW, 0, Some(case.sequence ^ 1), 9);
    assert_eq!(
        peer_fault(case.expect.handle(&wrong)),
        PeerMisbehaved::ThirdLegSequenceDiffers
    );
    let case = dce();
    let wrong = third_leg(NOW, 0, None, 9);
    assert_eq!(
        peer_fault(case.expect.handle(&wrong)),
        PeerMisbehaved::ThirdLegSequenceDiffers
    );
    let case = dce();
    let wrong = third_leg(NOW + 301, 0, Some(case.sequence), 9);
    assert!(matches!(
        peer_fault(case.expect.handle(&wrong)),
        PeerMisbehaved::ThirdLegTimeDiffers { skew: 300, .. }
    ));
    let case = dce();
    let wrong = third_leg(NOW, 0, Some(case.sequence), 8);
    assert!(matches!(
        peer_fault(case.expect.handle(&wrong)),
        PeerMisbehaved::ApReplyDoesNotDecrypt { .. }
    ));
    let case = dce();
    assert!(matches!(
        case.expect.handle(b""),
        Err(Error::InvalidMessage(InvalidMessage::Unexpected {
            found: None,
            ..
        }))
    ));
}

/// Conformance row 22: the acceptor's own reply, sent back, is no third leg.
#[test]
fn row_22_a_reflected_reply_is_no_third_leg() {
    let case = dce();
    assert_eq!(
        peer_fault(case.expect.handle(&case.reply)),
        PeerMisbehaved::ThirdLegReflected
    );
    assert_eq!(case.pair.replay_cache.len(), 1);
}
