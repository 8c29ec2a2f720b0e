//! Changes of tokens: of one field, with everything around it kept well-formed.

use trihound::asn1::spnego::{
    InitialToken, NegTokenInit, NegTokenResp, parse_initial, parse_response,
};
use trihound::ntlm::AvId;
use trihound::ntlm::message::AuthenticateMessage;

/// Offsets of NegotiateFlags in the three messages of NTLM (MS-NLMP 2.2.1).
pub(super) const FLAGS: [usize; 3] = [12, 20, 60];

pub(super) fn read_init(token: &[u8]) -> NegTokenInit {
    match parse_initial(token) {
        Ok(InitialToken::Init(init)) => init,
        other => panic!("no NegTokenInit: {other:?}"),
    }
}

pub(super) fn init(token: &[u8], change: impl Fn(&mut NegTokenInit)) -> Vec<u8> {
    let mut init = read_init(token);
    change(&mut init);
    init.to_token().unwrap()
}

pub(super) fn resp(token: &[u8], change: impl Fn(&mut NegTokenResp)) -> Vec<u8> {
    let mut resp = parse_response(token).unwrap();
    change(&mut resp);
    resp.to_token().unwrap()
}

/// Another list of mechanisms in the token.
pub(super) fn list(init: &mut NegTokenInit, mech_types: &[&str]) {
    init.mech_types_der = NegTokenInit::new(mech_types).unwrap().mech_types_der;
}

/// The same bytes with one of them another.
pub(super) fn flip(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] ^= 1;
    bytes
}

/// The same bytes with the last of them another.
pub(super) fn flip_last(bytes: &mut Option<Vec<u8>>) {
    *bytes.as_mut().unwrap().last_mut().unwrap() ^= 1;
}

/// Flags of an NTLM message, whose type says where they are.
pub(super) fn flags(mut message: Vec<u8>, change: impl Fn(u32) -> u32) -> Vec<u8> {
    let at = FLAGS[usize::from(message[8]) - 1];
    let found = u32::from_le_bytes(message[at..at + 4].try_into().unwrap());
    message[at..at + 4].copy_from_slice(&change(found).to_le_bytes());
    message
}

/// An AUTHENTICATE message put together anew.
pub(super) fn authenticate(
    message: &[u8],
    change: impl FnOnce(&mut AuthenticateMessage<'_>),
) -> Vec<u8> {
    let mut parsed = AuthenticateMessage::parse(message).unwrap();
    change(&mut parsed);
    let mic = parsed.mic;
    let mut bytes = parsed.to_bytes().unwrap();
    if let Some(mic) = mic {
        AuthenticateMessage::set_mic(&mut bytes, &mic).unwrap();
    }
    bytes
}

/// Changes the value of an AV pair of a message, which keeps its length.
pub(super) fn av_pair(mut message: Vec<u8>, id: AvId, change: impl Fn(&mut [u8])) -> Vec<u8> {
    // A pair is found by what precedes it: its number and length.
    let lengths: &[usize] = match id {
        AvId::FLAGS => &[4],
        AvId::TIMESTAMP => &[8],
        AvId::CHANNEL_BINDINGS => &[16],
        _ => &[10, 14, 24, 28, 32],
    };
    let found = lengths.iter().find_map(|length| {
        let head = [
            id.0.to_le_bytes(),
            u16::try_from(*length).unwrap().to_le_bytes(),
        ]
        .concat();
        let at = message.windows(4).rposition(|window| window == head)?;
        Some(at + 4..at + 4 + length)
    });
    let place = found.unwrap_or_else(|| panic!("no pair {id:?}"));
    change(&mut message[place]);
    message
}
