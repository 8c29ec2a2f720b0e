//! Authorization data, the GSS checksum, delegated credentials.

use super::*;

/// Conformance row 111.
#[test]
fn row_111_unknown_authorization_data_is_refused_unless_marked() {
    const UNKNOWN: i32 = 4711;
    let unknown = || element(UNKNOWN, b"x".to_vec());
    assert_eq!(
        policy_fault(with_ticket_data(vec![unknown()])),
        Policy::AuthorizationDataUnknown { ad_type: UNKNOWN }
    );
    with_ticket_data(vec![if_relevant(&vec![unknown()])]).unwrap();
    with_ticket_data(vec![element(ad_type::AD_MANDATORY_FOR_KDC, b"x".to_vec())]).unwrap();
    with_ticket_data(vec![element(ad_type::AD_CAMMAC, b"x".to_vec())]).unwrap();
    // A ticket for FAST armor only is not one to log in with.
    assert!(with_ticket_data(vec![element(ad_type::AD_FX_FAST_ARMOR, Vec::new())]).is_err());
    // Outside of AD-IF-RELEVANT the wrapping does not help its neighbour.
    assert!(with_ticket_data(vec![if_relevant(&vec![unknown()]), unknown()]).is_err());
    let pair = Pair::new();
    let message =
        pair.altered(|authenticator| authenticator.authorization_data = Some(vec![unknown()]));
    assert!(matches!(
        policy_fault(pair.accept(&message)),
        Policy::AuthorizationDataUnknown { .. }
    ));
    assert_eq!(
        peer_fault(with_ticket_data(vec![element(
            ad_type::AD_IF_RELEVANT,
            b"junk".to_vec()
        )])),
        PeerMisbehaved::AuthorizationDataMalformed {
            ad_type: ad_type::AD_IF_RELEVANT
        }
    );
    let mut deep = unknown();
    for _ in 0..20 {
        deep = if_relevant(&vec![deep]);
    }
    assert!(matches!(
        peer_fault(with_ticket_data(vec![deep])),
        PeerMisbehaved::AuthorizationDataMalformed { .. }
    ));
}

/// Conformance row 111: of AD-AND-OR as many as the count says have to be understood.
#[test]
fn row_111_and_or_is_satisfied_by_its_count() {
    let and_or = |condition_count| {
        let elements = vec![
            element(4711, Vec::new()),
            element(ad_type::AD_MANDATORY_FOR_KDC, Vec::new()),
        ];
        let data = AdAndOr {
            condition_count,
            elements,
        }
        .to_der()
        .unwrap();
        with_ticket_data(vec![element(ad_type::AD_AND_OR, data)])
    };
    and_or(1).unwrap();
    for count in [2, 3, -1] {
        assert!(matches!(
            policy_fault(and_or(count)),
            Policy::AuthorizationDataUnknown { ad_type: 4711 }
        ));
    }
}

/// Conformance row 112.
#[test]
fn row_112_kdc_issued_data_counts_only_with_its_checksum() {
    let issued = |usage, seed| {
        let elements = Raw::new(&vec![element(
            ad_type::AD_MANDATORY_FOR_KDC,
            b"right".to_vec(),
        )])
        .unwrap();
        let signer = key(seed, AES256);
        let kind = signer.required_checksum();
        let checksum = signer.checksum(usage, kind, elements.der()).unwrap();
        let data = AdKdcIssued {
            ad_checksum: Checksum::new(kind.0, checksum),
            i_realm: None,
            i_sname: None,
            elements,
        };
        let data = vec![element(ad_type::AD_KDC_ISSUED, data.to_der().unwrap())];
        with_ticket_data(data).unwrap().ticket_info.kdc_issued.len()
    };
    assert_eq!(issued(KeyUsage::AD_KDC_ISSUED_CKSUM, 9), 1);
    assert_eq!(issued(KeyUsage::AD_KDC_ISSUED_CKSUM, 8), 0);
    assert_eq!(issued(KeyUsage::AP_REQ_AUTH_CKSUM, 9), 0);
}

/// Conformance row 112: the client has the session key, so that what it issues to itself in its
/// authenticator counts for nothing, however right the checksum.
#[test]
fn row_112_kdc_issued_data_counts_from_the_ticket_only() {
    let elements = Raw::new(&vec![element(
        ad_type::AD_MANDATORY_FOR_KDC,
        b"mine".to_vec(),
    )])
    .unwrap();
    let session = key(9, AES256);
    let kind = session.required_checksum();
    let checksum = session
        .checksum(KeyUsage::AD_KDC_ISSUED_CKSUM, kind, elements.der())
        .unwrap();
    let issued = AdKdcIssued {
        ad_checksum: Checksum::new(kind.0, checksum),
        i_realm: None,
        i_sname: None,
        elements,
    };
    let data = vec![element(ad_type::AD_KDC_ISSUED, issued.to_der().unwrap())];
    let in_ticket = with_ticket_data(data.clone()).unwrap();
    assert_eq!(in_ticket.ticket_info.kdc_issued.len(), 1);
    let pair = Pair::new();
    let message = pair.altered(|authenticator| authenticator.authorization_data = Some(data));
    let accepted = pair.accept(&message).unwrap();
    assert!(accepted.authenticator_info.kdc_issued.is_empty());
    assert!(accepted.ticket_info.kdc_issued.is_empty());
}

/// The PAC is taken from the ticket, never from the authenticator, which is the client's own word.
#[test]
fn a_pac_counts_from_the_ticket_only() {
    let pac = || {
        vec![if_relevant(&vec![element(
            ad_type::AD_WIN2K_PAC,
            b"pac".to_vec(),
        )])]
    };
    assert!(matches!(
        with_ticket_data(pac()),
        Err(Error::InvalidPac(InvalidPac::Truncated { .. }))
    ));
    let pair = Pair::new();
    let message = pair.altered(|authenticator| authenticator.authorization_data = Some(pac()));
    let accepted = pair.accept(&message).unwrap();
    assert_eq!(
        (accepted.ticket_info.pac, accepted.authenticator_info.pac),
        (None, None)
    );
}

/// Conformance row 15.
#[test]
fn row_15_the_gss_checksum_is_required() {
    let pair = Pair::new();
    let check = |checksum: Option<Checksum>| {
        let message = pair.altered(|authenticator| authenticator.cksum = checksum);
        check_gss_checksum(&pair.accept(&message).unwrap(), &BindingDemand::NoChannel)
    };
    let (parsed, _) = check(Some(gss_checksum([0; 16]))).unwrap();
    assert_eq!(parsed.flags, GssFlags::MUTUAL);
    assert_eq!(peer_fault(check(None)), PeerMisbehaved::ChecksumMissing);
    let mut other = gss_checksum([0; 16]);
    other.cksumtype = 16;
    assert_eq!(
        peer_fault(check(Some(other))),
        PeerMisbehaved::ChecksumTypeDiffers { found: 16 }
    );
    for length in [0, 1, 23] {
        let short = Checksum::new(0x8003, vec![16; length]);
        assert!(matches!(
            peer_fault(check(Some(short))),
            PeerMisbehaved::ChecksumMalformed(_)
        ));
    }
}

/// Conformance rows 16 and 17.
#[test]
fn row_17_bindings_that_were_announced_cannot_be_stripped() {
    let pair = Pair::new();
    let demand = BindingDemand::Channel {
        hash: [7; 16],
        allow_missing: true,
    };
    let send = |bindings, aware| {
        let request = ApRequest {
            checksum: Some(gss_checksum(bindings)),
            client_aware_channel_bindings: aware,
            ..pair.request()
        };
        let accepted = pair.accept(&pair.send(&request).message).unwrap();
        assert_eq!(accepted.authenticator_info.client_binds_channels, aware);
        check_gss_checksum(&accepted, &demand)
    };
    send([7; 16], true).unwrap();
    send([0; 16], false).unwrap();
    assert_eq!(
        peer_fault(send([0; 16], true)),
        PeerMisbehaved::ChannelBindingsStripped
    );
    assert_eq!(
        peer_fault(send([8; 16], false)),
        PeerMisbehaved::ChannelBindingsDiffer
    );
}

/// Conformance row 95.
#[test]
fn row_95_a_delegated_credential_comes_whole_and_encrypted() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let tgt = kdc.tgt();
    let session = key(9, AES256);
    let message = build_krb_cred(&[&tgt], &session, 0, &world.environment).unwrap();
    let read = read_krb_cred(&message, &[&session]).unwrap();
    assert_eq!(read.len(), 1);
    let other = &read[0];
    assert_eq!((&other.client, &other.server), (&tgt.client, &tgt.server));
    assert_eq!(other.ticket, tgt.ticket);
    assert_eq!(other.session_key.expose(), tgt.session_key.expose());
    assert_eq!((other.flags, other.authtime), (tgt.flags, tgt.authtime));
    assert_eq!(
        (other.endtime, other.renew_till),
        (tgt.endtime, tgt.renew_till)
    );
    assert!(other.addresses.is_empty());

    let fault = peer_fault(read_krb_cred(&message, &[&key(8, AES256), &key(9, AES128)]));
    assert_eq!(fault, PeerMisbehaved::CredentialDoesNotDecrypt);
    let mut open = trihound_asn1::KrbCred::from_der(&message).unwrap();
    open.enc_part.etype = 0;
    let fault = peer_fault(read_krb_cred(&open.to_der().unwrap(), &[&session]));
    assert_eq!(fault, PeerMisbehaved::CredentialNotEncrypted);
    let mut more = trihound_asn1::KrbCred::from_der(&message).unwrap();
    more.tickets.push(more.tickets[0].clone());
    let fault = peer_fault(read_krb_cred(&more.to_der().unwrap(), &[&session]));
    assert_eq!(
        fault,
        PeerMisbehaved::CredentialCountDiffers {
            tickets: 2,
            descriptions: 1
        }
    );
    assert!(matches!(
        read_krb_cred(b"", &[&session]),
        Err(Error::InvalidMessage(InvalidMessage::Unexpected {
            found: None,
            ..
        }))
    ));
}
