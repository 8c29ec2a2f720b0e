use serde_json::{Map, Value, json};
use trihound::SecurityContext;
use trihound::sspi::{
    AcceptorAttributes, ContextAttribute, ContextAttributeValue, EstablishedAttributes, Expiry,
    InitiatorAttributes,
};
use trihound_sansio::{Clock, SystemClock};

use super::Arguments;
use crate::display::hex;
use crate::outcome::{Failure, complain, say};

/// The JSON line of a context that came about.
pub(super) fn success(arguments: &Arguments, context: &SecurityContext) -> Result<(), Failure> {
    let (source, target) = match context.query(ContextAttribute::NativeNames)? {
        ContextAttributeValue::NativeNames(names) => (names.client_name, names.server_name),
        _ => (String::new(), String::new()),
    };
    let flags = flag_words(context.established().attributes);
    let lifetime = match context.established().expiry {
        Expiry::Never => u64::from(u32::MAX),
        Expiry::At(end) => {
            u64::try_from(end.seconds().saturating_sub(SystemClock.now().seconds())).unwrap_or(0)
        }
    };
    let mut line = header(arguments, true);
    if let Some(mechanism) = mechanism(context)? {
        line.insert("mech".into(), mechanism.into());
    }
    line.insert("src".into(), source.into());
    line.insert("dst".into(), target.into());
    line.insert("delegated".into(), flags.contains(&"deleg").into());
    line.insert("flags".into(), json!(flags));
    line.insert("lifetime".into(), lifetime.into());
    if matches!(
        context.established().attributes,
        EstablishedAttributes::Acceptor(_)
    ) {
        line.insert("sids".into(), json!(context.access_token()?.sids));
    }
    if arguments.show_session_key {
        let ContextAttributeValue::SessionKey(key) = context.query(ContextAttribute::SessionKey)?
        else {
            return Err(Failure::new("the package gave no session key"));
        };
        line.insert("session_key".into(), hex(key.expose()).into());
    }
    say(Value::Object(line))
}

/// The mechanism that speaks in the context, also behind Negotiate, in the words of the C peer.
pub(super) fn mechanism(context: &SecurityContext) -> Result<Option<&'static str>, Failure> {
    Ok(match context.mechanism()?.as_str() {
        "Kerberos" => Some("krb5"),
        "NTLM" => Some("ntlm"),
        _ => None,
    })
}

/// Why there is no context: on standard error for people, and as a JSON line.
pub(super) fn failure(arguments: &Arguments, failure: &Failure) {
    complain(format_args!("peer {}: {failure}", arguments.role.word()));
    let mut line = header(arguments, false);
    line.insert("error".into(), failure.to_string().into());
    // Told above already, and the status tells it too.
    let _ = say(Value::Object(line));
}

fn header(arguments: &Arguments, ok: bool) -> Map<String, Value> {
    let mut line = Map::new();
    line.insert("ok".into(), ok.into());
    line.insert("role".into(), arguments.role.word().into());
    line.insert("package".into(), arguments.package.word().into());
    line
}

/// The attributes in the words of the command line.
fn flag_words(attributes: EstablishedAttributes) -> Vec<&'static str> {
    macro_rules! words {
        ($attributes:expr, $type:ident) => {
            [
                ("deleg", $type::DELEGATE),
                ("mutual", $type::MUTUAL_AUTH),
                ("replay", $type::REPLAY_DETECT),
                ("seq", $type::SEQUENCE_DETECT),
                ("conf", $type::CONFIDENTIALITY),
                ("integ", $type::INTEGRITY),
                ("anon", $type::NULL_SESSION),
                ("dce", $type::USED_DCE_STYLE),
                ("identify", $type::IDENTIFY),
            ]
            .into_iter()
            .filter(|(_, flag)| $attributes.contains(*flag))
            .map(|(word, _)| word)
            .collect()
        };
    }
    match attributes {
        EstablishedAttributes::Initiator(attributes) => words!(attributes, InitiatorAttributes),
        EstablishedAttributes::Acceptor(attributes) => words!(attributes, AcceptorAttributes),
    }
}
