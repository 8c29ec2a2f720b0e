//! The frame of a first token and the checksum of type 0x8003.

use proptest::prelude::*;
use trihound_asn1::gss::{
    GssChecksum, GssFlags, IAKERB_OID, KRB5_OID, MS_KRB5_OID, NTLM_OID, SPNEGO_OID, TokenId,
    is_framed, unwrap_mechanism_token, unwrap_token, wrap_mechanism_token, wrap_token,
};
use trihound_asn1::{ApReq, DecodeError, EncodeError, Message};

use crate::model::*;
use crate::samples;

/// Conformance row 120.
#[test]
fn row_120_the_frame_of_an_initial_token() {
    let inner = samples::named("ap_req");
    let token = wrap_token(KRB5_OID, TokenId::ApReq.to_bytes(), &inner);
    let by_hand = tlv(0x60, &[&tlv(0x06, &[KRB5_OID]), &[0x01, 0x00], &inner]);
    assert_eq!(token, by_hand);
    assert!(is_framed(&token) && !is_framed(&inner));
    let found = unwrap_token(&token).unwrap();
    assert_eq!(found.oid, KRB5_OID);
    assert_eq!(found.token_id(), Some(TokenId::ApReq));
    assert_eq!(found.inner, inner);
    assert!(ApReq::from_der(found.inner).is_ok());
    for (id, bytes) in [
        (TokenId::ApReq, [1, 0]),
        (TokenId::ApRep, [2, 0]),
        (TokenId::Error, [3, 0]),
    ] {
        assert_eq!(id.to_bytes(), bytes);
        assert_eq!(TokenId::from_bytes(bytes), Some(id));
    }
    assert_eq!(TokenId::from_bytes([0, 1]), None);
}

/// Conformance row 120: the mechanisms' object identifiers, in dotted form.
#[test]
fn row_120_object_identifiers_are_those_of_the_standards() {
    for (oid, arcs) in [
        (KRB5_OID, &[1, 2, 840, 113_554, 1, 2, 2][..]),
        (MS_KRB5_OID, &[1, 2, 840, 48_018, 1, 2, 2]),
        (SPNEGO_OID, &[1, 3, 6, 1, 5, 5, 2]),
        (NTLM_OID, &[1, 3, 6, 1, 4, 1, 311, 2, 2, 10]),
        (IAKERB_OID, &[1, 3, 6, 1, 5, 2, 5]),
    ] {
        let decoded: rasn::types::ObjectIdentifier = rasn::der::decode(&tlv(0x06, &[oid])).unwrap();
        assert_eq!(&*decoded, arcs);
    }
}

#[test]
fn row_120_a_frame_without_token_identifier_is_for_other_mechanisms() {
    let token = wrap_mechanism_token(SPNEGO_OID, &seq(&[]));
    assert_eq!(token, hex("600a06062b06010505023000"));
    assert_eq!(
        unwrap_mechanism_token(&token).unwrap(),
        (SPNEGO_OID, &[0x30, 0][..])
    );
    let bare = wrap_mechanism_token(KRB5_OID, &[1]);
    assert_eq!(
        unwrap_token(&bare).unwrap_err(),
        DecodeError::TokenIdMissing
    );
}

#[test]
fn row_120_what_is_not_a_frame_is_told() {
    assert_eq!(
        unwrap_token(&samples::named("ap_req")).unwrap_err(),
        DecodeError::NotInitialToken { found: 0x6e }
    );
    assert_eq!(
        unwrap_token(&[]).unwrap_err(),
        DecodeError::NotInitialToken { found: 0 }
    );
    assert_eq!(
        unwrap_token(&tlv(0x60, &[&octets(KRB5_OID), &[1, 0]])).unwrap_err(),
        DecodeError::MechanismMissing
    );
    assert_eq!(
        unwrap_token(&tlv(0x60, &[])).unwrap_err(),
        DecodeError::MechanismMissing
    );
    assert_eq!(
        unwrap_token(&tlv(0x60, &[&[0x06, 0x00], &[1, 0]])).unwrap_err(),
        DecodeError::MechanismMissing
    );
    assert_eq!(
        unwrap_token(&tlv(0x60, &[&[0x06, 0x09, 0x2a]])).unwrap_err(),
        DecodeError::MechanismMissing
    );
    assert!(matches!(
        unwrap_token(&[0x60]).unwrap_err(),
        DecodeError::Truncated { .. }
    ));
    assert!(matches!(
        unwrap_token(&[0x60, 0x80, 0, 0]).unwrap_err(),
        DecodeError::IndefiniteLength { .. }
    ));
    assert!(matches!(
        unwrap_token(&[0x60, 0x85, 1, 1, 1, 1, 1]).unwrap_err(),
        DecodeError::LengthTooLarge { .. }
    ));
}

/// Conformance row 121.
#[test]
fn row_121_the_length_is_that_of_what_is_left() {
    let token = wrap_token(KRB5_OID, [1, 0], b"inner");
    let present = token.len() - 2;
    let mut longer = token.clone();
    longer.push(0);
    assert_eq!(
        unwrap_token(&longer).unwrap_err(),
        DecodeError::FramingLength {
            claimed: present,
            present: present + 1
        }
    );
    let shorter = &token[..token.len() - 1];
    assert_eq!(
        unwrap_token(shorter).unwrap_err(),
        DecodeError::FramingLength {
            claimed: present,
            present: present - 1
        }
    );
    let glued = [token.clone(), token.clone()].concat();
    assert!(matches!(
        unwrap_token(&glued).unwrap_err(),
        DecodeError::FramingLength { .. }
    ));
}

/// Conformance row 121: a length in more octets than it needs.
#[test]
fn row_121_the_length_is_minimal() {
    let content = [tlv(0x06, &[KRB5_OID]), vec![1, 0], b"inner".to_vec()].concat();
    let length = content.len() as u8;
    for prefix in [
        vec![0x60, 0x81, length],
        vec![0x60, 0x82, 0, length],
        vec![0x60, 0x84, 0, 0, 0, length],
    ] {
        assert_eq!(
            unwrap_token(&[prefix, content.clone()].concat()).unwrap_err(),
            DecodeError::FramingLengthNotMinimal
        );
    }
    let oid = [&[0x06, 0x81, 9][..], KRB5_OID, &[1, 0]].concat();
    assert_eq!(
        unwrap_token(&tlv(0x60, &[&oid])).unwrap_err(),
        DecodeError::FramingLengthNotMinimal
    );
}

#[test]
fn frames_of_every_length_class_come_back() {
    for length in [
        0, 1, 114, 115, 116, 117, 240, 255, 256, 65_520, 65_536, 70_000,
    ] {
        let inner = vec![0x5a; length];
        let token = wrap_token(KRB5_OID, [2, 0], &inner);
        assert_eq!(unwrap_token(&token).unwrap().inner, inner, "{length}");
    }
}

/// Conformance row 135: every cut and every length of the delegation field.
#[test]
fn row_135_delegation_is_parsed_with_checked_lengths() {
    let whole = GssChecksum {
        bindings: [7; 16],
        flags: GssFlags::DELEG | GssFlags::MUTUAL,
        delegation: Some(b"krb-cred".to_vec()),
        extensions: Vec::new(),
    };
    let bytes = whole.encode().unwrap();
    assert_eq!(GssChecksum::parse(&bytes).unwrap(), whole);
    for cut in 0..24 {
        assert_eq!(
            GssChecksum::parse(&bytes[..cut]).unwrap_err(),
            DecodeError::GssChecksumTooShort { length: cut }
        );
    }
    for cut in 24..bytes.len() {
        assert_eq!(
            GssChecksum::parse(&bytes[..cut]).unwrap_err(),
            DecodeError::GssDelegationTruncated
        );
    }
    let mut other = bytes.clone();
    other[24] = 2;
    assert_eq!(
        GssChecksum::parse(&other).unwrap_err(),
        DecodeError::GssDelegationOption { found: 2 }
    );
    let mut other = bytes;
    other[27] = 1;
    assert_eq!(
        GssChecksum::parse(&other).unwrap_err(),
        DecodeError::GssDelegationTruncated
    );
}

/// Conformance row 135: extensions behind it, with and without delegation, are kept and harmless.
#[test]
fn row_135_extensions_that_are_not_known_are_kept_aside() {
    for delegation in [None, Some(b"cred".to_vec())] {
        let mut flags = GssFlags::INTEG;
        flags.set(GssFlags::DELEG, delegation.is_some());
        let checksum = GssChecksum {
            bindings: [0; 16],
            flags,
            delegation,
            extensions: b"\0\0\0\x01\0\0\0\x02ab".to_vec(),
        };
        assert_eq!(
            GssChecksum::parse(&checksum.encode().unwrap()).unwrap(),
            checksum
        );
    }
}

#[test]
fn the_delegation_flag_follows_the_credential() {
    let mut checksum = GssChecksum {
        flags: GssFlags::DELEG | GssFlags::CONF,
        ..GssChecksum::default()
    };
    let parsed = GssChecksum::parse(&checksum.encode().unwrap()).unwrap();
    assert_eq!(parsed.flags, GssFlags::CONF);
    checksum.delegation = Some(vec![0; 65_535]);
    assert_eq!(checksum.encode().unwrap().len(), 24 + 4 + 65_535);
    checksum.delegation = Some(vec![0; 65_536]);
    assert_eq!(
        checksum.encode().unwrap_err(),
        EncodeError::DelegationTooLong { length: 65_536 }
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_frame_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(token) = unwrap_token(&bytes) {
            prop_assert_eq!(wrap_token(token.oid, token.tok_id, token.inner), bytes.clone());
        }
        let mut framed = bytes;
        if let Some(first) = framed.first_mut() {
            *first = 0x60;
        }
        if let Ok((oid, inner)) = unwrap_mechanism_token(&framed) {
            prop_assert_eq!(wrap_mechanism_token(oid, inner), framed);
        }
    }

    #[test]
    fn no_bytes_make_the_checksum_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Some(length) = bytes.get_mut(..4) {
            length.copy_from_slice(&[16, 0, 0, 0]);
        }
        if let Ok(checksum) = GssChecksum::parse(&bytes) {
            prop_assert_eq!(checksum.encode().unwrap(), bytes);
        }
    }
}
