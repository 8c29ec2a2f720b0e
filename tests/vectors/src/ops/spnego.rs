use serde_json::Value;
use trihound_asn1::spnego::{NegTokenInit, NegTokenResp, NegotiationToken, parse};
use trihound_crypto::{Scatter, Segment};
use trihound_negotiate::negoex::Conversation;
use trihound_ntlm::compute::{SessionKey, Side};
use trihound_ntlm::tokens::MessageKeys;
use trihound_ntlm::{NegotiateFlags, SessionSecurity};

use super::{Ran, Stop, ensure, must, refused};
use crate::fields::Fields;

pub(super) fn token(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let token = input.bytes("token")?;
    let parsed = parse(&token);
    if output.demands("reject")? {
        return refused(&parsed);
    }
    match must("the token", parsed)? {
        NegotiationToken::Init(init) => initial(&token, &init, output),
        NegotiationToken::Resp(resp) => response(&token, &resp, output),
    }
}

fn initial(token: &[u8], init: &NegTokenInit, output: &Fields<'_>) -> Ran {
    let choice = if init.hints.is_some() {
        "negTokenInit2"
    } else {
        "negTokenInit"
    };
    output.same_text("choice_text", choice)?;
    let mech_types: Vec<Value> = init.mech_types.iter().cloned().map(Value::from).collect();
    ensure(
        output.list("mech_types_text")? == mech_types,
        &format!("mech_types_text is {mech_types:?}"),
    )?;
    output.same_bytes("mech_types_der", &init.mech_types_der)?;
    optional(output, "req_flags", init.req_flags.as_deref())?;
    optional(output, "mech_token", init.mech_token.as_deref())?;
    if let Some(hints) = &init.hints {
        let name = hints.hint_name.as_ref().and_then(|name| name.to_str());
        output.same_text("neg_hint_name_text", name.unwrap_or_default())?;
    }
    let framed = token.starts_with(&[0x60]);
    let again = if framed {
        init.to_token()
    } else {
        init.to_der()
    };
    ensure(
        must("encoding", again)? == token,
        "encoding does not give the token back",
    )?;
    let mech_types: Vec<&str> = init.mech_types.iter().map(String::as_str).collect();
    let made = must("a new list", NegTokenInit::new(&mech_types))?;
    ensure(
        made.mech_types_der == init.mech_types_der,
        "the list made anew is another",
    )
}

fn response(token: &[u8], resp: &NegTokenResp, output: &Fields<'_>) -> Ran {
    output.same_text("choice_text", "negTokenResp")?;
    ensure(
        output.has("neg_state") == resp.neg_state.is_some(),
        "negState is there or not, the vector says otherwise",
    )?;
    if let Some(state) = resp.neg_state {
        output.same_number("neg_state", state as i64)?;
    }
    optional(
        output,
        "supported_mech_text",
        resp.supported_mech.as_deref().map(str::as_bytes),
    )?;
    optional(output, "response_token", resp.response_token.as_deref())?;
    if output.has("mech_list_mic") {
        let mic = resp.mech_list_mic.as_deref().unwrap_or_default();
        output.same_bytes("mech_list_mic", mic)?;
    }
    ensure(
        must("encoding", resp.to_token())? == token,
        "encoding does not give the token back",
    )
}

/// Compares a field that is there exactly if the vector names it.
fn optional(output: &Fields<'_>, name: &str, found: Option<&[u8]>) -> Ran {
    ensure(
        output.has(name) == found.is_some(),
        &format!("{name} is there or not, the vector says otherwise"),
    )?;
    match found {
        Some(found) if name.ends_with("_text") => {
            Ok(output.same_text(name, &String::from_utf8_lossy(found))?)
        }
        Some(found) => Ok(output.same_bytes(name, found)?),
        None => Ok(()),
    }
}

pub(super) fn negoex(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let token = input.bytes("message")?;
    let mut conversation = Conversation::default();
    let parsed = conversation.read(&token);
    if output.demands("reject")? {
        return refused(&parsed);
    }
    let messages = must("the messages", parsed)?;
    output.same_number("count", i64::try_from(messages.len()).unwrap_or(i64::MAX))?;
    let types: Vec<i64> = messages
        .iter()
        .map(|message| i64::from(message.message_type as u32))
        .collect();
    output.same_numbers("types", &types)?;
    let id = conversation.id().unwrap_or_default();
    Ok(output.same_bytes("conversation_id", &id)?)
}

/// A message in one piece, which a signature does not change.
struct Whole(Vec<u8>);

impl Scatter for Whole {
    fn count(&self) -> usize {
        1
    }

    fn segment(&mut self, _index: usize) -> Segment<'_> {
        Segment::Sealed(&mut self.0)
    }
}

/// The MIC, that the peer takes it, and that both go on behind it as MS-SPNG 3.3.5.1 says.
pub(super) fn mech_list_mic_ntlm(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let flags = NegotiateFlags::from_bits_retain(input.narrow("flags")?);
    let key: [u8; 16] = input
        .bytes("session_key")?
        .try_into()
        .map_err(|_| Stop::Fault("session_key is not 16 bytes".to_owned()))?;
    let key = SessionKey::from(key);
    let side = if input.truth("client")? {
        Side::Client
    } else {
        Side::Server
    };
    let number = input.narrow("seq")?;
    let list = input.bytes("mech_types_der")?;
    let keys = MessageKeys::new(flags, &key, side);
    let mic = must("the MIC", keys.sign(number, &list))?;
    output.same_bytes("mic", &mic)?;

    let mut sender = must("the sender", SessionSecurity::new(flags, &key, side))?;
    let mut receiver = must("the peer", SessionSecurity::new(flags, &key, side.peer()))?;
    let mut list = Whole(list);
    let sent = must("the MIC of a session", sender.sign(&mut list, 0))?;
    ensure(number != 0 || sent == mic, "a session makes another MIC")?;
    must("verifying", receiver.verify(&sent, &mut list, 0))?;
    sender.mech_list_mic_done();
    receiver.mech_list_mic_done();
    let next = must("the next message", sender.sign(&mut list, 0))?;
    ensure(
        next == must("the next number", keys.sign(1, &list.0))?,
        "behind the MIC the key stream does not start anew, or the number does not go on",
    )?;
    must(
        "verifying the next message",
        receiver.verify(&next, &mut list, 0),
    )
}
