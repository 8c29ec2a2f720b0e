//! Where one more or one less is refused, and what is read of the rest.

use super::*;

/// Conformance row 58: a ticket in a type that policy does not permit, though the keytab has the key.
#[test]
fn row_58_a_ticket_in_a_weak_type_is_refused_by_policy() {
    let lax = danger::permit_weak_enctypes(EnctypePolicy::default(), &[Enctype::RC4_HMAC]);
    let weak = || Key::new(Enctype::RC4_HMAC, &[5; 16], &lax).unwrap();
    let mut part = None;
    let mut pair = Pair::with_ticket(|ticket| part = Some(ticket.clone()));
    pair.credentials.ticket = seal_ticket(&service(), &part.unwrap(), &weak(), Some(2));
    pair.keytab = keytab(service(), 2, weak());
    assert_eq!(
        policy_fault(pair.outcome()),
        Policy::EnctypeNotPermitted {
            what: "the ticket",
            enctype: Enctype::RC4_HMAC
        }
    );
    let mut config = Config::default();
    config.permitted_enctypes = lax.clone();
    pair.world = World::with(config);
    pair.outcome().unwrap();
}

/// Conformance row 128: the third leg's own time may be off by the skew and no more.
#[test]
fn row_128_the_third_legs_time_is_within_the_skew() {
    for seconds in [-300, 300] {
        let case = dce();
        let message = third_leg(NOW + seconds, 0, Some(case.sequence), 9);
        case.expect.handle(&message).unwrap();
    }
    for (seconds, micros) in [(300, 1), (-301, 999_999)] {
        let case = dce();
        let message = third_leg(NOW + seconds, micros, Some(case.sequence), 9);
        assert!(matches!(
            peer_fault(case.expect.handle(&message)),
            PeerMisbehaved::ThirdLegTimeDiffers { skew: 300, .. }
        ));
    }
}

/// Conformance row 112: what the KDC issued still has to be understood.
#[test]
fn row_112_unknown_data_that_the_kdc_issued_is_refused() {
    let issued = |ad_type, wrap: fn(AuthorizationDataElement) -> AuthorizationDataElement| {
        let elements = Raw::new(&vec![element(ad_type, b"right".to_vec())]).unwrap();
        let signer = key(9, AES256);
        let kind = signer.required_checksum();
        let checksum = signer
            .checksum(KeyUsage::AD_KDC_ISSUED_CKSUM, kind, elements.der())
            .unwrap();
        let data = AdKdcIssued {
            ad_checksum: Checksum::new(kind.0, checksum),
            i_realm: None,
            i_sname: None,
            elements,
        };
        let issued = element(ad_type::AD_KDC_ISSUED, data.to_der().unwrap());
        with_ticket_data(vec![wrap(issued)])
    };
    issued(ad_type::AD_MANDATORY_FOR_KDC, |issued| issued).unwrap();
    issued(4711, |issued| if_relevant(&vec![issued])).unwrap();
    assert_eq!(
        policy_fault(issued(4711, |issued| issued)),
        Policy::AuthorizationDataUnknown { ad_type: 4711 }
    );
}

/// Conformance row 17: of KERB_AP_OPTIONS only the bit of MS-KILE 2.2.7 announces bindings.
#[test]
fn row_17_one_bit_announces_channel_bindings() {
    let read = |options: u32| {
        let data = options.to_le_bytes().to_vec();
        let options = element(ad_type::AD_AUTH_DATA_AP_OPTIONS, data);
        let info = with_ticket_data(vec![options]).unwrap().ticket_info;
        info.client_binds_channels
    };
    assert!(read(0x4000) && read(0xffff_ffff));
    assert!(!read(0) && !read(0x8000) && !read(0x0040_0000) && !read(!0x4000));
    let short = element(ad_type::AD_AUTH_DATA_AP_OPTIONS, vec![0, 0x40, 0]);
    assert_eq!(
        peer_fault(with_ticket_data(vec![short])),
        PeerMisbehaved::AuthorizationDataMalformed {
            ad_type: ad_type::AD_AUTH_DATA_AP_OPTIONS
        }
    );
}

/// Conformance row 111: token restrictions are understood, so they need no AD-IF-RELEVANT.
#[test]
fn row_111_token_restrictions_are_read() {
    let kind = ad_type::KERB_AUTH_DATA_TOKEN_RESTRICTIONS;
    let info = with_ticket_data(vec![element(kind, b"low".to_vec())])
        .unwrap()
        .ticket_info;
    assert_eq!(info.token_restrictions.as_deref(), Some(&b"low"[..]));
}

/// Conformance row 108: the list of enctypes goes out where an answer can come, and only if wanted.
#[test]
fn row_108_the_permitted_enctypes_are_offered() {
    let pair = Pair::new();
    let offered = |offer_enctypes| {
        let sent = pair.send(&ApRequest {
            offer_enctypes,
            ..pair.request()
        });
        let accepted = pair.accept(&sent.message).unwrap();
        let has_data = accepted.authenticator.authorization_data.is_some();
        assert!(!expect_reply(sent).is_dce_style());
        (accepted.authenticator_info.enctypes, has_data)
    };
    let all = EnctypePolicy::default().enctypes().to_vec();
    assert_eq!(offered(true), (all, true));
    assert_eq!(offered(false), (Vec::new(), false));
}

#[test]
fn an_acceptors_refusal_comes_with_the_next_step() {
    for (code, word) in [
        (error_code::KRB_AP_ERR_SKEW, "synchronise"),
        (error_code::KRB_AP_ERR_MODIFIED, "another account"),
        (error_code::KRB_AP_ERR_BAD_INTEGRITY, "another account"),
        (error_code::KRB_AP_ERR_NOKEY, "lacks the key"),
        (error_code::KRB_AP_ERR_BADKEYVER, "lacks the key"),
        (error_code::KRB_AP_ERR_REPEAT, "twice"),
        (error_code::KRB_AP_ERR_TKT_EXPIRED, "get a new one"),
        (error_code::KRB_AP_ERR_TKT_NYV, "get a new one"),
        (error_code::KRB_ERR_GENERIC, "service's log"),
    ] {
        let pair = Pair::new();
        let sent = pair.send(&pair.request());
        let refusal = Kdc::new(&pair.world).error(code, None);
        let Err(Error::PeerRefused(refused)) = expect_reply(sent).handle(&refusal) else {
            panic!()
        };
        assert_eq!(refused.code, code);
        assert!(refused.advice.contains(word), "{}", refused.advice);
    }
}
