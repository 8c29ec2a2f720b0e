//! Tokens of SPNEGO: any bytes, or a whole token with the edits that the input prescribes.

use trihound_asn1::gss::{KRB5_OID, wrap_token};
use trihound_asn1::oid;
use trihound_asn1::spnego::{
    self, HINT_NAME, InitialToken, KRB5, MAX_MECH_TYPES, MS_KRB5, NEGOEX, NTLMSSP, NegHints,
    NegState, NegTokenInit, NegTokenResp, NegotiationToken,
};

use crate::input::Input;
use crate::mutate::mutate;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    match whole(choice) {
        Some(token) => token_of(&mutate(&token, &mut input)),
        None => token_of(data.get(1..).unwrap_or_default()),
    }
}

/// A token such as peers send: the raw input for even numbers.
fn whole(choice: u8) -> Option<Vec<u8>> {
    let init = NegTokenInit {
        mech_token: Some(wrap_token(KRB5_OID, [1, 0], b"an AP-REQ")),
        ..NegTokenInit::new(&[MS_KRB5, KRB5, NEGOEX, NTLMSSP]).ok()?
    };
    let resp = NegTokenResp {
        neg_state: Some(NegState::AcceptIncomplete),
        supported_mech: Some(NTLMSSP.to_owned()),
        response_token: Some(b"NTLMSSP\0\x02\0\0\0".to_vec()),
        mech_list_mic: Some(vec![1; 16]),
    };
    match choice % 8 {
        1 => init.to_token(),
        3 => NegTokenInit {
            hints: Some(NegHints {
                hint_name: Some(HINT_NAME.into()),
                hint_address: None,
            }),
            mech_list_mic: Some(vec![2; 16]),
            ..init
        }
        .to_token(),
        5 => NegTokenInit {
            req_flags: Some(vec![1, 0x76]),
            mech_list_mic: Some(vec![3; 16]),
            ..init
        }
        .to_der(),
        7 => resp.to_token(),
        _ => return None,
    }
    .ok()
}

fn token_of(token: &[u8]) {
    if let Ok(parsed) = spnego::parse(token) {
        assert!(spnego::is_spnego(token));
        match parsed {
            NegotiationToken::Init(init) => {
                assert_eq!(
                    spnego::parse_initial(token),
                    Ok(InitialToken::Init(init.clone()))
                );
                initial(token, &init);
            }
            NegotiationToken::Resp(resp) => {
                let again = resp.to_token().expect("what was read can be written");
                assert_eq!(spnego::parse_response(&again), Ok(resp));
            }
        }
    } else if let Ok(InitialToken::Mechanism {
        oid: mechanism,
        token: inner,
    }) = spnego::parse_initial(token)
    {
        assert_eq!(inner, token);
        assert!(mechanism != spnego::SPNEGO && !spnego::is_spnego(token));
    }
    if let Some(text) = oid::dotted(token) {
        assert_eq!(oid::octets(&text).as_deref(), Some(token));
    }
}

fn initial(token: &[u8], init: &NegTokenInit) {
    assert!((1..=MAX_MECH_TYPES).contains(&init.mech_types.len()));
    let list = init.mech_types_der.as_slice();
    assert!(
        token.windows(list.len()).any(|window| window == list),
        "the list is not as it came"
    );
    let mut again = init.to_token().expect("what was read can be written");
    assert_eq!(
        spnego::parse(&again),
        Ok(NegotiationToken::Init(init.clone()))
    );
    again.push(0);
    assert!(spnego::parse(&again).is_err(), "bytes behind the token");
    let made = NegTokenInit::new(&init.mech_types).expect("a list of identifiers");
    let der = made.to_der().expect("a list that was read");
    assert_eq!(spnego::parse(&der), Ok(NegotiationToken::Init(made)));
}
