//! What the ASN.1 says in ranges and words: version, message type, microseconds, at least one member.

use rasn::Decoder as _;
use trihound_asn1::registry::{RoundTripError, roundtrip_by_name};
use trihound_asn1::{
    DecodeError, EncodeError, EtypeInfo2, KerberosTime, KrbError, MAX_MESSAGE_LENGTH, Message,
    PaData, PrincipalName, Raw, Realm, Ticket, TypedData, decode_enc_kdc_rep_part, error_code,
    pa_type,
};

use crate::model::*;
use crate::samples;

/// The sample with the first `from` replaced by `to`, which must be as long.
fn altered(name: &str, from: &[u8], to: &[u8]) -> DecodeError {
    let mut der = samples::named(name);
    assert_eq!(from.len(), to.len());
    let at = der
        .windows(from.len())
        .position(|window| window == from)
        .unwrap_or_else(|| panic!("{name}"));
    der[at..at + from.len()].copy_from_slice(to);
    match roundtrip_by_name(name, &der).unwrap().unwrap_err() {
        RoundTripError::Decode(error) => error,
        other => panic!("{name}: {other}"),
    }
}

const HEADERS: [(&str, &str, u8, i32); 10] = [
    ("as_req", "AS-REQ", 1, 10),
    ("as_rep", "AS-REP", 0, 11),
    ("tgs_req", "TGS-REQ", 1, 12),
    ("tgs_rep", "TGS-REP", 0, 13),
    ("ap_req", "AP-REQ", 0, 14),
    ("ap_rep", "AP-REP", 0, 15),
    ("safe", "KRB-SAFE", 0, 20),
    ("priv", "KRB-PRIV", 0, 21),
    ("cred", "KRB-CRED", 0, 22),
    ("error", "KRB-ERROR", 0, 30),
];

#[test]
fn every_message_refuses_another_protocol_version() {
    for (name, type_name, field, _) in HEADERS {
        assert_eq!(
            altered(name, &ctx(field, &int(5)), &ctx(field, &int(4))),
            DecodeError::ProtocolVersion {
                type_name,
                found: 4
            }
        );
    }
    assert_eq!(
        altered("ticket", &ctx(0, &int(5)), &ctx(0, &int(6))),
        DecodeError::ProtocolVersion {
            type_name: "Ticket",
            found: 6
        }
    );
    assert_eq!(
        altered("authenticator", &ctx(0, &int(5)), &ctx(0, &int(6))),
        DecodeError::ProtocolVersion {
            type_name: "Authenticator",
            found: 6
        }
    );
}

#[test]
fn every_message_refuses_another_message_type() {
    for (name, type_name, field, expected) in HEADERS {
        let found = 0x7f;
        assert_eq!(
            altered(
                name,
                &ctx(field + 1, &int(i64::from(expected))),
                &ctx(field + 1, &int(i64::from(found)))
            ),
            DecodeError::MessageType {
                type_name,
                found,
                expected
            }
        );
    }
}

#[test]
fn every_count_of_microseconds_is_in_range() {
    for (name, type_name, field, number, value) in [
        ("authenticator", "Authenticator", "cusec", 4, 999_999),
        ("ap_rep_enc_part", "EncAPRepPart", "cusec", 1, 0),
        ("safe", "KRB-SAFE-BODY", "usec", 2, 1),
        ("enc_priv_part", "EncKrbPrivPart", "usec", 2, 1),
        ("enc_cred_part", "EncKrbCredPart", "usec", 3, 2),
        ("error", "KRB-ERROR", "cusec", 3, 5),
        ("error", "KRB-ERROR", "susec", 5, 999_999),
        ("pa_enc_ts", "PA-ENC-TS-ENC", "pausec", 1, 123_456),
        ("fast_response", "KrbFastFinished", "usec", 1, 4),
    ] {
        let good = ctx(number, &int(value));
        let mut bad = good.clone();
        bad[4] |= 0x80;
        let found = match good.len() {
            5 => i32::from(bad[4].cast_signed()),
            _ => i32::from_be_bytes([0xff, bad[4], bad[5], bad[6]]),
        };
        assert_eq!(
            altered(name, &good, &bad),
            DecodeError::MicrosecondsOutOfRange {
                type_name,
                field,
                found
            },
            "{name}"
        );
    }
}

#[test]
fn lists_of_one_at_least_are_not_empty() {
    assert_eq!(
        EtypeInfo2::from_der(&seq(&[])).unwrap_err(),
        DecodeError::EmptySequence {
            type_name: "ETYPE-INFO2",
            field: "ETYPE-INFO2"
        }
    );
    assert_eq!(
        TypedData::from_der(&seq(&[])).unwrap_err(),
        DecodeError::EmptySequence {
            type_name: "TYPED-DATA",
            field: "TYPED-DATA"
        }
    );
    let aliases = seq(&[&ctx(0, &seq(&[]))]);
    assert!(matches!(
        roundtrip_by_name("ad_login_alias", &aliases)
            .unwrap()
            .unwrap_err(),
        RoundTripError::Decode(DecodeError::EmptySequence {
            type_name: "AD-LOGIN-ALIAS",
            ..
        })
    ));
}

#[test]
fn what_a_receiver_would_refuse_is_not_encoded() {
    let mut error = KrbError::from_der(&samples::named("error")).unwrap();
    error.susec = 1_000_000;
    assert_eq!(
        error.to_der().unwrap_err(),
        EncodeError::WouldBeRefused {
            type_name: "KRB-ERROR",
            cause: DecodeError::MicrosecondsOutOfRange {
                type_name: "KRB-ERROR",
                field: "susec",
                found: 1_000_000
            }
        }
    );
    error.susec = 0;
    error.stime = KerberosTime::from_seconds(i64::MAX);
    assert_eq!(
        error.to_der().unwrap_err(),
        EncodeError::NotEncodable {
            type_name: "KRB-ERROR"
        }
    );
}

/// A ticket under an implicit tag, which no standard has: the tag would take the place of the ticket's own.
#[derive(rasn::AsnType, rasn::Decode, rasn::Encode)]
struct Retagged {
    #[rasn(tag(context, 0))]
    ticket: Raw<Ticket>,
}

impl Message for Retagged {
    const NAME: &'static str = "Retagged";
}

#[test]
fn bytes_as_received_are_not_encoded_under_another_tag() {
    let ticket = Raw::from_der(ticket()).unwrap();
    assert_eq!(
        Retagged { ticket }.to_der().unwrap_err(),
        EncodeError::NotEncodable {
            type_name: "Retagged"
        }
    );
}

#[test]
fn what_is_too_long_to_be_read_is_not_encoded() {
    let data = PaData::new(pa_type::PA_FX_COOKIE, vec![0; MAX_MESSAGE_LENGTH]);
    assert!(matches!(
        data.to_der().unwrap_err(),
        EncodeError::TooLong {
            type_name: "PA-DATA",
            ..
        }
    ));
}

/// RFC 4120 5.4.2: a client may take either tag in either reply.
#[test]
fn the_part_of_a_kdc_reply_comes_under_either_tag() {
    for tag in [25, 26] {
        let part = decode_enc_kdc_rep_part(&samples::enc_kdc_rep_part(tag, true)).unwrap();
        assert_eq!(part.nonce, 42);
        assert_eq!(part.srealm, "EXAMPLE.TEST");
        assert_eq!(part.endtime.seconds(), NOW_SECONDS);
        assert_eq!(
            part.encrypted_pa_data.unwrap()[0].padata_type,
            pa_type::PA_REQ_ENC_PA_REP
        );
    }
    assert!(decode_enc_kdc_rep_part(&samples::enc_kdc_rep_part(27, true)).is_err());
    assert!(decode_enc_kdc_rep_part(&[]).is_err());
}

/// RFC 4120 6.2: the type of a name is a hint.
#[test]
fn names_are_the_same_whatever_their_type() {
    let one = PrincipalName::new(1, ["a", "b"]);
    let two = PrincipalName::new(2, ["a", "b"]);
    assert!(one.same_name(&two));
    assert_ne!(one, two);
    assert!(!one.same_name(&PrincipalName::new(1, ["a/b"])));
    assert!(!one.same_name(&PrincipalName::new(1, ["A", "b"])));
    assert_ne!(Realm::from("EXAMPLE.TEST"), Realm::from("example.test"));
}

#[test]
fn error_codes_have_names_and_descriptions() {
    assert_eq!(error_code::name(25), Some("KDC_ERR_PREAUTH_REQUIRED"));
    assert_eq!(
        error_code::name(error_code::KRB_AP_ERR_SKEW),
        Some("KRB_AP_ERR_SKEW")
    );
    assert_eq!(error_code::KRB_AP_ERR_SKEW, 37);
    assert_eq!(error_code::describe(37), Some("the clocks differ too much"));
    assert_eq!(error_code::name(43), None);
    assert_eq!(error_code::describe(-1), None);
    assert!(error_code::ALL.is_sorted_by(|one, two| one < two));
    for &code in error_code::ALL {
        let text = error_code::describe(code).unwrap();
        assert!(text.starts_with("the ") && !text.ends_with('.'), "{text}");
    }
    // RFC 4120 7.5.9 has 0 to 76 with five gaps; the RFCs after it add the rest.
    let of_rfc_4120: Vec<i32> = (0..=76)
        .filter(|code| !matches!(code, 30 | 43 | 53..=59))
        .collect();
    assert!(
        of_rfc_4120
            .iter()
            .all(|code| error_code::ALL.contains(code))
    );
    assert_eq!(pa_type::name(19), Some("PA_ETYPE_INFO2"));
    assert_eq!(pa_type::name(0), None);
}
