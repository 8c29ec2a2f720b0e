//! The tokens of SPNEGO, held against DER that is put together by hand.

use proptest::prelude::*;
use trihound_asn1::gss::{KRB5_OID, MS_KRB5_OID, NEGOEX_OID, NTLM_OID, SPNEGO_OID};
use trihound_asn1::oid::MAX_OID_LENGTH;
use trihound_asn1::spnego::{
    HINT_NAME, InitialToken, KRB5, KRB5_U2U, MAX_MECH_TYPES, MS_KRB5, NEGOEX, NTLMSSP, NegHints,
    NegState, NegTokenInit, NegTokenResp, NegotiationToken, SPNEGO, is_spnego, parse,
    parse_initial, parse_response,
};
use trihound_asn1::{Cause, DecodeError, EncodeError, MAX_MESSAGE_LENGTH};

use crate::model::*;

fn oid(octets: &[u8]) -> Vec<u8> {
    tlv(0x06, &[octets])
}

fn mech_types(oids: &[&[u8]]) -> Vec<u8> {
    let oids: Vec<Vec<u8>> = oids.iter().map(|octets| oid(octets)).collect();
    seq(&oids.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn init(fields: &[&[u8]]) -> Vec<u8> {
    ctx(0, &seq(fields))
}

fn resp(fields: &[&[u8]]) -> Vec<u8> {
    ctx(1, &seq(fields))
}

fn framed(inner: &[u8]) -> Vec<u8> {
    tlv(0x60, &[&oid(SPNEGO_OID), inner])
}

fn enumerated(value: u8) -> Vec<u8> {
    tlv(0x0a, &[&[value]])
}

fn two() -> Vec<u8> {
    mech_types(&[KRB5_OID, NTLM_OID])
}

fn read_init(token: &[u8]) -> NegTokenInit {
    match parse_initial(token).unwrap() {
        InitialToken::Init(init) => init,
        other @ InitialToken::Mechanism { .. } => panic!("{other:?}"),
    }
}

fn malformed(type_name: &'static str, field: &str, cause: Cause) -> DecodeError {
    DecodeError::Malformed {
        type_name,
        field: field.to_owned(),
        cause,
    }
}

#[test]
fn row_162_the_object_identifiers_are_those_of_the_standards() {
    for (octets, text) in [
        (SPNEGO_OID, SPNEGO),
        (KRB5_OID, KRB5),
        (MS_KRB5_OID, MS_KRB5),
        (NTLM_OID, NTLMSSP),
        (NEGOEX_OID, NEGOEX),
        (trihound_asn1::gss::KRB5_USER_TO_USER_OID, KRB5_U2U),
    ] {
        assert_eq!(trihound_asn1::oid::dotted(octets).as_deref(), Some(text));
    }
}

/// Conformance row 162: 0x60 and SPNEGO's identifier, or a bare NegTokenInit.
#[test]
fn row_162_a_first_token_with_and_without_its_frame() {
    let inner = init(&[&ctx(0, &two()), &ctx(2, &octets(b"token"))]);
    let expected = NegTokenInit {
        mech_types: vec![KRB5.to_owned(), NTLMSSP.to_owned()],
        mech_types_der: two(),
        mech_token: Some(b"token".to_vec()),
        ..NegTokenInit::default()
    };
    for token in [framed(&inner), inner.clone()] {
        assert!(is_spnego(&token));
        assert_eq!(read_init(&token), expected);
        assert_eq!(
            parse(&token).unwrap(),
            NegotiationToken::Init(expected.clone())
        );
    }
    assert_eq!(expected.to_token().unwrap(), framed(&inner));
    assert_eq!(expected.to_der().unwrap(), inner);
}

/// Conformance row 162: what is framed for another mechanism is that mechanism's.
#[test]
fn row_162_a_token_framed_for_a_mechanism_is_told_apart() {
    let token = tlv(0x60, &[&oid(KRB5_OID), &[1, 0], b"AP-REQ"]);
    assert!(!is_spnego(&token));
    assert_eq!(
        parse_initial(&token).unwrap(),
        InitialToken::Mechanism {
            oid: KRB5.to_owned(),
            token: &token
        }
    );
    assert_eq!(parse(&token).unwrap_err(), DecodeError::NotSpnego);
    let token = tlv(0x60, &[&oid(&[0x80, 1]), b"x"]);
    assert_eq!(
        parse_initial(&token).unwrap_err(),
        malformed("GSS token", "thisMech", Cause::ObjectIdentifier)
    );
}

/// Conformance row 162: NTLM and Kerberos without any frame are neither.
#[test]
fn row_162_other_bytes_are_no_negotiation_token() {
    for (token, found) in [(&b"NTLMSSP\0\x01"[..], b'N'), (&[0x6e, 0x00], 0x6e)] {
        assert!(!is_spnego(token));
        let error = DecodeError::NegotiationTokenTag {
            type_name: "NegTokenInit",
            expected: 0xa0,
            found,
        };
        assert_eq!(parse_initial(token).unwrap_err(), error);
        assert_eq!(parse(token).unwrap_err(), error);
    }
    for result in [parse_initial(&[]).map(drop), parse(&[]).map(drop)] {
        assert_eq!(
            result.unwrap_err(),
            DecodeError::Truncated {
                type_name: "NegTokenInit",
                offset: 0
            }
        );
    }
    assert!(!is_spnego(&[]));
    let resp = resp(&[&ctx(0, &enumerated(0))]);
    assert_eq!(
        parse_initial(&resp).unwrap_err(),
        DecodeError::NegotiationTokenTag {
            type_name: "NegTokenInit",
            expected: 0xa0,
            found: 0xa1
        }
    );
    assert_eq!(
        parse_response(&init(&[&ctx(0, &two())])).unwrap_err(),
        DecodeError::NegotiationTokenTag {
            type_name: "NegTokenResp",
            expected: 0xa1,
            found: 0xa0
        }
    );
}

/// Conformance row 29: the bytes of the list are kept, also where DER would write others.
#[test]
fn row_29_the_list_is_kept_as_received() {
    let mut list = vec![0x30, 0x81, 0x0c, 0x06, 0x81, 0x09];
    list.extend_from_slice(KRB5_OID);
    let found = read_init(&framed(&init(&[&ctx(0, &list)])));
    assert_eq!(found.mech_types, [KRB5]);
    assert_eq!(found.mech_types_der, list);
    assert_eq!(found.to_token().unwrap(), framed(&init(&[&ctx(0, &list)])));
    let made = NegTokenInit::new(&[KRB5, NTLMSSP]).unwrap();
    assert_eq!(made.mech_types_der, two(), "from the SEQUENCE tag on");
    assert_eq!(read_init(&made.to_token().unwrap()), made);
}

/// Conformance row 163: hints are read; MS-SPNG 2.2.1 puts the MIC behind them.
#[test]
fn row_163_hints_and_a_mic_in_either_place() {
    let hint = seq(&[
        &ctx(0, &general(HINT_NAME.as_bytes())),
        &ctx(1, &octets(&[7])),
    ]);
    let token = framed(&init(&[
        &ctx(0, &two()),
        &ctx(3, &hint),
        &ctx(4, &octets(b"mic")),
    ]));
    let found = read_init(&token);
    let hints = found.hints.clone().unwrap();
    assert_eq!(hints.hint_name.unwrap(), HINT_NAME);
    assert_eq!(hints.hint_address.unwrap().as_ref(), [7]);
    assert_eq!(found.mech_list_mic.as_deref(), Some(&b"mic"[..]));
    assert_eq!(found.to_token().unwrap(), token);

    let empty = framed(&init(&[&ctx(0, &two()), &ctx(3, &seq(&[]))]));
    assert_eq!(read_init(&empty).hints, Some(NegHints::default()));

    let first = framed(&init(&[&ctx(0, &two()), &ctx(3, &octets(b"mic"))]));
    let found = read_init(&first);
    assert_eq!(
        (found.hints.as_ref(), found.mech_list_mic.as_deref()),
        (None, Some(&b"mic"[..]))
    );
    assert_eq!(found.to_token().unwrap(), first);

    let fourth = framed(&init(&[&ctx(0, &two()), &ctx(4, &octets(b"mic"))]));
    assert_eq!(
        read_init(&fourth).mech_list_mic.as_deref(),
        Some(&b"mic"[..])
    );

    let both = framed(&init(&[
        &ctx(0, &two()),
        &ctx(3, &octets(b"a")),
        &ctx(4, &octets(b"b")),
    ]));
    assert_eq!(
        parse_initial(&both).unwrap_err(),
        malformed("NegTokenInit", "mechListMIC", Cause::Duplicate)
    );
    let neither = framed(&init(&[&ctx(0, &two()), &ctx(3, &int(1))]));
    assert!(matches!(
        parse_initial(&neither).unwrap_err(),
        DecodeError::Malformed {
            type_name: "NegHints",
            cause: Cause::Tag { .. },
            ..
        }
    ));
}

/// Conformance row 164: whatever the flags are, they are handed on and nothing else.
#[test]
fn row_164_request_flags_are_any_bit_string() {
    for contents in [&[0][..], &[1, 0x76], &[5, 0xff, 0xff], &[9, 1], &[]] {
        let token = framed(&init(&[&ctx(0, &two()), &ctx(1, &tlv(0x03, &[contents]))]));
        let found = read_init(&token);
        assert_eq!(found.req_flags.as_deref(), Some(contents));
        assert_eq!(found.to_token().unwrap(), token);
    }
    let token = framed(&init(&[&ctx(0, &two()), &ctx(1, &octets(&[0, 1]))]));
    assert_eq!(
        parse_initial(&token).unwrap_err(),
        malformed("NegTokenInit", "reqFlags", Cause::Form)
    );
}

#[test]
fn a_list_has_one_mechanism_at_least_and_not_too_many() {
    let list = |count: usize| framed(&init(&[&ctx(0, &mech_types(&vec![NTLM_OID; count]))]));
    assert_eq!(
        parse_initial(&list(0)).unwrap_err(),
        DecodeError::EmptySequence {
            type_name: "NegTokenInit",
            field: "mechTypes"
        }
    );
    assert_eq!(
        read_init(&list(MAX_MECH_TYPES)).mech_types.len(),
        MAX_MECH_TYPES
    );
    let error = DecodeError::TooManyMechTypes {
        count: MAX_MECH_TYPES + 1,
        limit: MAX_MECH_TYPES,
    };
    assert_eq!(parse_initial(&list(MAX_MECH_TYPES + 1)).unwrap_err(), error);
    assert_eq!(
        NegTokenInit::new(&[NTLMSSP; MAX_MECH_TYPES + 1]).unwrap_err(),
        EncodeError::WouldBeRefused {
            type_name: "MechTypeList",
            cause: error
        }
    );
    let missing = framed(&init(&[&ctx(2, &octets(b"token"))]));
    assert!(matches!(
        parse_initial(&missing).unwrap_err(),
        DecodeError::Malformed {
            type_name: "NegTokenInit",
            ..
        }
    ));
}

/// A mechanism of whom nobody knows is passed over, not a reason to refuse the list.
#[test]
fn unknown_mechanisms_are_read_whatever_their_length() {
    let uuid = trihound_asn1::oid::octets("2.25.329800735698586629295641978511506172918").unwrap();
    let longest = [1; MAX_OID_LENGTH];
    let list = mech_types(&[&uuid, &longest, NTLM_OID]);
    let found = read_init(&framed(&init(&[&ctx(0, &list)])));
    assert_eq!(
        found.mech_types[0],
        "2.25.329800735698586629295641978511506172918"
    );
    assert_eq!(found.mech_types[2], NTLMSSP);
    for bad in [
        &[1; MAX_OID_LENGTH + 1][..],
        &[],
        &[0x2a, 0x86],
        &[0x2a, 0x80, 1],
    ] {
        let token = framed(&init(&[&ctx(0, &mech_types(&[NTLM_OID, bad]))]));
        assert_eq!(
            parse_initial(&token).unwrap_err(),
            malformed("NegTokenInit", "mechTypes", Cause::ObjectIdentifier)
        );
        let token = resp(&[&ctx(1, &oid(bad))]);
        assert_eq!(
            parse_response(&token).unwrap_err(),
            malformed("NegTokenResp", "supportedMech", Cause::ObjectIdentifier)
        );
    }
    assert_eq!(
        NegTokenInit::new(&["not dotted"]).unwrap_err(),
        EncodeError::NotEncodable {
            type_name: "NegTokenInit"
        }
    );
}

/// Conformance row 172: every state, and every field alone.
#[test]
fn row_172_responses_with_any_of_their_fields() {
    for (number, state) in [
        (0, NegState::AcceptCompleted),
        (1, NegState::AcceptIncomplete),
        (2, NegState::Reject),
        (3, NegState::RequestMic),
    ] {
        let token = resp(&[
            &ctx(0, &enumerated(number)),
            &ctx(1, &oid(NTLM_OID)),
            &ctx(2, &octets(b"token")),
            &ctx(3, &octets(b"mic")),
        ]);
        let expected = NegTokenResp {
            neg_state: Some(state),
            supported_mech: Some(NTLMSSP.to_owned()),
            response_token: Some(b"token".to_vec()),
            mech_list_mic: Some(b"mic".to_vec()),
        };
        assert_eq!(parse_response(&token).unwrap(), expected);
        assert_eq!(
            parse(&token).unwrap(),
            NegotiationToken::Resp(expected.clone())
        );
        assert_eq!(expected.to_token().unwrap(), token);
    }
    assert_eq!(parse_response(&resp(&[])).unwrap(), NegTokenResp::default());
    assert_eq!(NegTokenResp::default().to_token().unwrap(), resp(&[]));
    let token = resp(&[&ctx(3, &octets(b""))]);
    let found = parse_response(&token).unwrap();
    assert_eq!(
        found.mech_list_mic.as_deref(),
        Some(&b""[..]),
        "empty is not absent"
    );
    for unknown in [4, 9, 0xff] {
        assert_eq!(
            parse_response(&resp(&[&ctx(0, &enumerated(unknown))])).unwrap_err(),
            malformed("NegTokenResp", "", Cause::Alternative)
        );
    }
}

/// Both types end in an extension marker (RFC 4178 appendix A).
#[test]
fn fields_of_a_later_version_are_skipped() {
    let known = NegTokenResp {
        neg_state: Some(NegState::RequestMic),
        ..NegTokenResp::default()
    };
    let token = resp(&[
        &ctx(0, &enumerated(3)),
        &ctx(4, &int(1)),
        &ctx(9, &octets(&[0; 200])),
    ]);
    assert_eq!(parse_response(&token).unwrap(), known);
    let token = framed(&init(&[&ctx(0, &two()), &ctx(5, &int(1))]));
    assert_eq!(read_init(&token).mech_types_der, two());
    // What comes behind an extension must be one too, or order would not say what a field is.
    let token = resp(&[&ctx(4, &int(1)), &ctx(0, &enumerated(3))]);
    assert_eq!(parse_response(&token).unwrap(), NegTokenResp::default());
}

#[test]
fn fields_twice_out_of_order_or_cut_off_are_refused() {
    let (state, mech) = (ctx(0, &enumerated(0)), ctx(1, &oid(NTLM_OID)));
    for token in [
        resp(&[&state, &state]),
        resp(&[&mech, &state]),
        resp(&[&octets(b"x")]),
    ] {
        assert!(
            matches!(
                parse_response(&token).unwrap_err(),
                DecodeError::Malformed {
                    type_name: "NegTokenResp",
                    ..
                }
            ),
            "{token:02x?}"
        );
    }
    let whole = framed(&init(&[&ctx(0, &two()), &ctx(2, &octets(&[7; 300]))]));
    for cut in 1..whole.len() {
        assert!(parse_initial(&whole[..cut]).is_err(), "cut to {cut}");
    }
    let mut longer = whole;
    longer.push(0);
    assert!(matches!(
        parse_initial(&longer).unwrap_err(),
        DecodeError::FramingLength { .. }
    ));
    let mut longer = resp(&[&state]);
    longer.push(0);
    assert_eq!(
        parse_response(&longer).unwrap_err(),
        DecodeError::TrailingBytes {
            type_name: "NegTokenResp",
            count: 1
        }
    );
}

#[test]
fn a_token_that_is_too_long_is_not_made() {
    let init = NegTokenInit {
        mech_token: Some(vec![0; MAX_MESSAGE_LENGTH]),
        ..NegTokenInit::new(&[KRB5]).unwrap()
    };
    assert!(matches!(
        init.to_token().unwrap_err(),
        EncodeError::TooLong {
            type_name: "NegTokenInit",
            ..
        }
    ));
    let broken = NegTokenInit {
        mech_types_der: vec![0x30, 0x00],
        ..NegTokenInit::default()
    };
    assert!(matches!(
        broken.to_token().unwrap_err(),
        EncodeError::WouldBeRefused {
            type_name: "NegTokenInit",
            cause: DecodeError::EmptySequence { .. }
        }
    ));
    let resp = NegTokenResp {
        supported_mech: Some("1".to_owned()),
        ..NegTokenResp::default()
    };
    assert_eq!(
        resp.to_token().unwrap_err(),
        EncodeError::NotEncodable {
            type_name: "NegTokenResp"
        }
    );
}

fn maybe() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200))
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        mechs in proptest::collection::vec(proptest::sample::select(vec![KRB5, MS_KRB5, NTLMSSP, NEGOEX, KRB5_U2U]), 1..6),
        req_flags in maybe(), mech_token in maybe(), mech_list_mic in maybe(), hint in proptest::option::of(any::<String>()),
    ) {
        let init = NegTokenInit {
            req_flags, mech_token, mech_list_mic,
            hints: hint.map(|hint| NegHints { hint_name: Some(hint.as_str().into()), hint_address: None }),
            ..NegTokenInit::new(&mechs).unwrap()
        };
        prop_assert_eq!(read_init(&init.to_token().unwrap()), init);
    }

    #[test]
    fn any_change_of_a_token_is_read_or_refused(at in 0_usize..200, xor in 1_u8..) {
        let mut token = framed(&init(&[&ctx(0, &two()), &ctx(2, &octets(b"token")), &ctx(3, &octets(b"mic"))]));
        let at = at % token.len();
        token[at] ^= xor;
        if let Ok(NegotiationToken::Init(init)) = parse(&token) {
            let again = read_init(&init.to_token().unwrap());
            prop_assert_eq!(again.mech_types_der, init.mech_types_der);
        }
    }
}
