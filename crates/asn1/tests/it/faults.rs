//! The faults of rasn-kerberos 0.30 (numbered in the project's paper on dependencies), each met by a type of ours.

use trihound_asn1::{
    AdCammac, ApOptions, ApReq, AsReq, Authenticator, Cause, DecodeError, EncryptedData,
    EtypeInfo2, KdcOptions, KdcReqBody, KerberosString, KerberosTime, KrbError, Message,
    PaEncTsEnc, PaFxFastReply, PrincipalName, Raw, Realm, Ticket, TicketFlags, UInt32,
};

use crate::model::*;
use crate::samples;

const NAMES: [&[u8]; 10] = [
    "jürgen".as_bytes(),
    "Straße".as_bytes(),
    "À".as_bytes(),
    "Łódź".as_bytes(),
    "Привет".as_bytes(),
    "日本語".as_bytes(),
    "🐺🔑".as_bytes(),
    b"",
    b"\xff\xfe\x80\xa0",
    b"nul\0inside",
];

/// Fault 1: GeneralString refuses bytes of UTF-8, and with them the whole message.
#[test]
fn fault_1_any_bytes_in_names_survive() {
    for bytes in NAMES {
        assert_eq!(Realm::from_der(&general(bytes)).unwrap().as_bytes(), bytes);
        let der = name(1, &[bytes, b"x"]);
        let decoded = PrincipalName::from_der(&der).unwrap();
        assert_eq!(decoded.name_string[0].as_bytes(), bytes);
        assert_eq!(decoded.to_der().unwrap(), der);
        let built = PrincipalName::new(1, [bytes, b"x"]);
        assert_eq!(built.to_der().unwrap(), der);

        let ticket = app(
            1,
            &[
                &ctx(0, &int(5)),
                &ctx(1, &general(bytes)),
                &ctx(2, &der),
                &ctx(3, &encrypted()),
            ],
        );
        assert_eq!(Ticket::from_der(&ticket).unwrap().to_der().unwrap(), ticket);

        let info = seq(&[&seq(&[&ctx(0, &int(18)), &ctx(1, &general(bytes))])]);
        let decoded = EtypeInfo2::from_der(&info).unwrap();
        assert_eq!(decoded[0].salt.as_ref().unwrap().as_bytes(), bytes);
        assert_eq!(decoded.to_der().unwrap(), info);
    }
}

/// Fault 1, the other half: another tag, or a string in pieces, is still not a name.
#[test]
fn fault_1_a_name_is_a_primitive_general_string() {
    assert!(matches!(
        Realm::from_der(&tlv(0x0c, &[b"UTF8"])).unwrap_err(),
        DecodeError::Malformed {
            cause: Cause::Tag { .. },
            ..
        }
    ));
    assert_eq!(
        Realm::from_der(&tlv(0x3b, &[&general(b"A"), &general(b"B")])).unwrap_err(),
        DecodeError::ConstructedString {
            type_name: "Realm",
            offset: 0
        }
    );
    assert_eq!(KerberosString::from(&b"\xff"[..]).to_str(), None);
    assert_eq!(KerberosString::from("é").to_str(), Some("é"));
    assert_eq!(KerberosString::from(&b"a\xff"[..]).to_string(), "a\u{fffd}");
    assert_eq!(
        KerberosString::from("a\u{1b}[1m\n\u{9b}b").to_string(),
        "a\u{fffd}[1m\u{fffd}\u{fffd}b"
    );
}

/// Fault 2: flags with the bits reversed and fewer than 32.
#[test]
fn fault_2_flags_are_32_bits_with_bit_0_first() {
    let encode = |options: KdcOptions| {
        let body = samples::named("kdc_req_body");
        let mut body = KdcReqBody::from_der(&body).unwrap();
        body.kdc_options = options;
        body.to_der().unwrap()[4..].to_vec()
    };
    let forwardable = encode(KdcOptions::FORWARDABLE);
    assert_eq!(
        forwardable[..9],
        hex("a007030500")
            .into_iter()
            .chain(hex("40000000"))
            .collect::<Vec<_>>()
    );
    assert_eq!(ApOptions::MUTUAL_REQUIRED.bits(), 0x2000_0000);
    assert_eq!(TicketFlags::PROXIABLE.bits(), 0x1000_0000);
    assert_eq!(TicketFlags::OK_AS_DELEGATE.bits(), 0x0004_0000);
    assert_eq!(TicketFlags::PRE_AUTHENT.bits(), 0x0020_0000);
    assert_eq!(TicketFlags::ENC_PA_REP.bits(), 0x0001_0000);
    assert_eq!(KdcOptions::CANONICALIZE.bits(), 0x0001_0000);
    assert_eq!(KdcOptions::RENEWABLE_OK.bits(), 0x10);
    assert_eq!(KdcOptions::ENC_TKT_IN_SKEY.bits(), 0x08);
    assert_eq!(KdcOptions::VALIDATE.bits(), 0x01);
}

fn ap_req_with_options(bit_string: &[u8]) -> Result<ApReq, DecodeError> {
    ApReq::from_der(&app(
        14,
        &[
            &ctx(0, &int(5)),
            &ctx(1, &int(14)),
            &ctx(2, &tlv(0x03, &[bit_string])),
            &ctx(3, &ticket()),
            &ctx(4, &encrypted()),
        ],
    ))
}

/// Fault 2: what peers send shorter or longer is understood, and 32 bits go out.
#[test]
fn fault_2_shorter_and_longer_flags_are_understood() {
    for (bits, expected) in [
        (&[0][..], 0),
        (&[5, 0x20], 0x2000_0000),
        (&[0, 0x20, 0x01], 0x2001_0000),
        (&[0, 0x20, 0, 0, 0x01, 0xff], 0x2000_0001),
    ] {
        let decoded = ap_req_with_options(bits).unwrap();
        assert_eq!(decoded.ap_options.bits(), expected);
        let again = decoded.to_der().unwrap();
        let word = flags(expected);
        assert!(again.windows(word.len()).any(|window| window == word));
    }
}

#[test]
fn fault_2_a_bit_string_without_its_count_is_refused() {
    for bits in [&[][..], &[9, 0x20], &[1]] {
        assert!(matches!(
            ap_req_with_options(bits).unwrap_err(),
            DecodeError::Malformed { type_name: "AP-REQ", field, .. } if field == "ap_options"
        ));
    }
}

fn encrypted_with_kvno(kvno: &[u8]) -> Vec<u8> {
    seq(&[
        &ctx(0, &int(18)),
        &ctx(1, kvno),
        &ctx(2, &octets(b"sealed")),
    ])
}

/// Fault 3; conformance row 110: a key version with the high bit set comes as a negative number.
#[test]
fn fault_3_negative_key_versions_are_taken_modulo_2_to_32() {
    for (number, kvno) in [
        (-1, u32::MAX),
        (-16_777_216, 0xff00_0000),
        (i64::from(i32::MIN), 0x8000_0000),
        (0, 0),
        (0xffff_ffff, u32::MAX),
        (0x8000_0000, 0x8000_0000),
    ] {
        let der = encrypted_with_kvno(&int(number));
        let decoded = EncryptedData::from_der(&der).unwrap();
        assert_eq!(decoded.kvno.unwrap(), kvno);
        assert_eq!(decoded.to_der().unwrap(), der, "the form that came is kept");
        assert_eq!(decoded.kvno, Some(UInt32::new(kvno)), "whatever the form");
    }
    let own = EncryptedData::new(18, Some(u32::MAX), b"sealed".to_vec());
    assert_eq!(
        own.to_der().unwrap(),
        encrypted_with_kvno(&int(0xffff_ffff))
    );
}

#[test]
fn fault_3_numbers_beyond_32_bits_are_refused() {
    for number in [0x1_0000_0000, i64::from(i32::MIN) - 1, i64::MAX, i64::MIN] {
        assert_eq!(
            EncryptedData::from_der(&encrypted_with_kvno(&int(number))).unwrap_err(),
            DecodeError::Malformed {
                type_name: "EncryptedData",
                field: String::new(),
                cause: Cause::Number
            }
        );
    }
    assert!(EncryptedData::from_der(&encrypted_with_kvno(&tlv(0x02, &[&[1; 9]]))).is_err());
    assert!(EncryptedData::from_der(&encrypted_with_kvno(&[0x02, 0x00])).is_err());
}

/// Fault 4; conformance row 110: nonces and sequence numbers of older peers are negative.
#[test]
fn fault_4_negative_nonces_and_sequence_numbers_are_taken_modulo_2_to_32() {
    let body = |nonce: i64| {
        seq(&[
            &ctx(0, &flags(0)),
            &ctx(2, &realm()),
            &ctx(5, &now()),
            &ctx(7, &int(nonce)),
            &ctx(8, &seq(&[&int(18)])),
        ])
    };
    let authenticator = |number: i64| {
        app(
            2,
            &[
                &ctx(0, &int(5)),
                &ctx(1, &realm()),
                &ctx(2, &client()),
                &ctx(4, &int(0)),
                &ctx(5, &now()),
                &ctx(7, &int(number)),
            ],
        )
    };
    for (number, value) in [(-2, 0xffff_fffe), (0xffff_fffe, 0xffff_fffe), (17, 17)] {
        let der = body(number);
        let decoded = KdcReqBody::from_der(&der).unwrap();
        assert_eq!(decoded.nonce, value);
        assert_eq!(decoded.to_der().unwrap(), der);
        let der = authenticator(number);
        let decoded = Authenticator::from_der(&der).unwrap();
        assert_eq!(decoded.seq_number.unwrap(), value);
        assert_eq!(decoded.to_der().unwrap(), der);
    }
    assert!(KdcReqBody::from_der(&body(0x1_0000_0000)).is_err());
    assert!(Authenticator::from_der(&authenticator(-0x1_0000_0000)).is_err());
}

/// Fault 5: RFC 7751 has `other-verifiers` OPTIONAL.
#[test]
fn fault_5_a_cammac_without_other_verifiers() {
    let decoded = AdCammac::from_der(&seq(&[&ctx(0, &ad())])).unwrap();
    assert_eq!(decoded.other_verifiers, None);
    assert_eq!(decoded.kdc_verifier, None);
    assert_eq!(
        AdCammac::from_der(&seq(&[&ctx(0, &ad()), &ctx(3, &seq(&[]))])).unwrap_err(),
        DecodeError::EmptySequence {
            type_name: "AD-CAMMAC",
            field: "other-verifiers"
        }
    );
}

/// Fault 6: version, message type and microseconds have one value or a range. The whole table is in `checks`.
#[test]
fn fault_6_numbers_with_a_range_are_checked() {
    let request = |pvno: i64, msg_type: i64| {
        AsReq::from_der(&app(
            10,
            &[
                &ctx(1, &int(pvno)),
                &ctx(2, &int(msg_type)),
                &ctx(4, &samples::kdc_req_body(false)),
            ],
        ))
    };
    assert!(request(5, 10).is_ok());
    assert_eq!(
        request(4, 10).unwrap_err(),
        DecodeError::ProtocolVersion {
            type_name: "AS-REQ",
            found: 4
        }
    );
    assert_eq!(
        request(5, 12).unwrap_err(),
        DecodeError::MessageType {
            type_name: "AS-REQ",
            found: 12,
            expected: 10
        }
    );
    let timestamp = |usec: i64| PaEncTsEnc::from_der(&seq(&[&ctx(0, &now()), &ctx(1, &int(usec))]));
    for usec in [-1, 1_000_000] {
        assert_eq!(
            timestamp(usec).unwrap_err(),
            DecodeError::MicrosecondsOutOfRange {
                type_name: "PA-ENC-TS-ENC",
                field: "pausec",
                found: i32::try_from(usec).unwrap()
            }
        );
    }
    assert!(timestamp(0).is_ok() && timestamp(999_999).is_ok());
}

/// Fault 7: a KerberosTime has no fraction, no second 60, and is never written with one.
#[test]
fn fault_7_times_are_whole_seconds_in_one_form() {
    let decode =
        |text: &str| PaEncTsEnc::from_der(&seq(&[&ctx(0, &time(text))])).map(|ts| ts.patimestamp);
    for (text, seconds) in [
        ("19700101000000Z", 0),
        (NOW, NOW_SECONDS),
        ("20000229120000Z", 951_825_600),
        ("19691231235959Z", -1),
        ("20380119031408Z", 0x8000_0000),
        ("00000101000000Z", -62_167_219_200),
        ("99991231235959Z", 253_402_300_799),
        ("19000228235959Z", -2_203_891_201),
        ("19000301000000Z", -2_203_891_200),
    ] {
        let decoded = decode(text).unwrap();
        assert_eq!(decoded.seconds(), seconds, "{text}");
        assert_eq!(KerberosTime::from_seconds(seconds).to_string(), text);
    }
    for text in [
        "20260101000000.5Z",
        "20260101000060Z",
        "20260101006000Z",
        "20260101240000Z",
        "20260001000000Z",
        "20261301000000Z",
        "20260229000000Z",
        "19000229000000Z",
        "20260100000000Z",
        "202601010000Z",
        "20260101000000",
        "20260101000000+0000",
        "2026010100000AZ",
        "20260101000000z",
        " 0260101000000Z",
        "",
    ] {
        assert_eq!(
            decode(text).unwrap_err(),
            DecodeError::Malformed {
                type_name: "PA-ENC-TS-ENC",
                field: "patimestamp".to_owned(),
                cause: Cause::Time
            },
            "{text}"
        );
    }
}

#[test]
fn fault_7_a_year_of_five_digits_is_not_encoded() {
    for seconds in [253_402_300_800, -62_167_219_201, i64::MAX, i64::MIN] {
        let value = PaEncTsEnc {
            patimestamp: KerberosTime::from_seconds(seconds),
            pausec: None,
        };
        assert!(value.to_der().is_err());
        assert!(!value.patimestamp.to_string().is_empty());
    }
}

/// Fault 8: longer forms than needed are read, so what was signed is kept as it came, never encoded again.
#[test]
fn fault_8_what_was_signed_is_kept_as_received() {
    let plain = ticket();
    let mut padded = vec![plain[0], 0x82, 0x00];
    padded.extend_from_slice(&plain[1..]);
    assert_ne!(padded, plain);
    for received in [&plain, &padded] {
        let message = app(
            14,
            &[
                &ctx(0, &int(5)),
                &ctx(1, &int(14)),
                &ctx(2, &flags(0)),
                &ctx(3, received),
                &ctx(4, &encrypted()),
            ],
        );
        let decoded = ApReq::from_der(&message).unwrap();
        assert_eq!(decoded.ticket.der(), received.as_slice());
        assert_eq!(decoded.to_der().unwrap(), message);
        assert_eq!(decoded.ticket.decode().unwrap().to_der().unwrap(), plain);
        let kept: Raw<Ticket> = decoded.ticket.clone();
        drop(decoded);
        assert_eq!(kept.der(), received.as_slice());
    }
    // An INTEGER with a leading zero, in the body that a checksum goes over.
    let body = seq(&[
        &ctx(0, &flags(0)),
        &ctx(2, &realm()),
        &ctx(5, &now()),
        &ctx(7, &[0x02, 0x02, 0x00, 0x05]),
        &ctx(8, &seq(&[&int(18)])),
    ]);
    let message = app(10, &[&ctx(1, &int(5)), &ctx(2, &int(10)), &ctx(4, &body)]);
    let decoded = AsReq::from_der(&message).unwrap();
    assert_eq!(decoded.req_body.der(), body);
    assert_eq!(decoded.req_body.decode().unwrap().nonce, 5);
    assert_ne!(decoded.req_body.decode().unwrap().to_der().unwrap(), body);
    assert_eq!(decoded.to_der().unwrap(), message);
}

#[test]
fn fault_8_what_is_kept_has_the_tag_of_its_type() {
    for other in [
        octets(b"not a ticket"),
        ctx(1, &ticket()[2..]),
        tlv(0x62, &[&ticket()[2..]]),
    ] {
        let message = app(
            14,
            &[
                &ctx(0, &int(5)),
                &ctx(1, &int(14)),
                &ctx(2, &flags(0)),
                &ctx(3, &other),
                &ctx(4, &encrypted()),
            ],
        );
        assert!(matches!(
            ApReq::from_der(&message).unwrap_err(),
            DecodeError::Malformed { type_name: "AP-REQ", field, cause: Cause::Tag { .. } } if field == "ticket"
        ));
    }
    assert!(Raw::<Ticket>::from_der(octets(b"not a ticket")).is_err());
    assert!(Raw::<Ticket>::from_der(ticket()).is_ok());
}

/// Fault 9: a field that the standard does not have is an error. MIT's decoder skips it; a known difference.
#[test]
fn fault_9_a_trailing_field_that_is_not_known_is_refused() {
    let der = app(
        1,
        &[
            &ctx(0, &int(5)),
            &ctx(1, &realm()),
            &ctx(2, &server()),
            &ctx(3, &encrypted()),
            &ctx(4, &int(1)),
        ],
    );
    assert!(matches!(
        Ticket::from_der(&der).unwrap_err(),
        DecodeError::Malformed {
            type_name: "Ticket",
            cause: Cause::Unexpected,
            ..
        }
    ));
}

/// Fault 10: an alternative that is not known is an error, and it is meant to be.
#[test]
fn fault_10_an_alternative_that_is_not_known_is_refused() {
    let der = ctx(1, &seq(&[&ctx(0, &encrypted())]));
    assert!(matches!(
        PaFxFastReply::from_der(&der).unwrap_err(),
        DecodeError::Malformed {
            type_name: "PA-FX-FAST-REPLY",
            cause: Cause::Alternative,
            ..
        }
    ));
}

#[test]
fn a_message_is_not_taken_for_another() {
    let error = samples::named("error");
    assert!(KrbError::from_der(&error).is_ok());
    assert!(matches!(
        AsReq::from_der(&error).unwrap_err(),
        DecodeError::Malformed {
            type_name: "AS-REQ",
            cause: Cause::Tag { .. },
            ..
        }
    ));
}
