//! QueryContextAttributes.

use trihound_secret::SecretBytes;
use trihound_sspi::{
    ContextAttribute, ContextAttributeValue as Value, EstablishedAttributes, Expiry,
    LastClientTokenStatus, NegotiationState, SecPkgContextKeyInfo, SecPkgContextLifespan,
    SecPkgContextNativeNames, SecPkgContextNegotiationInfo, SecPkgContextSizes,
    SecPkgContextStreamSizes, SecPkgInfo,
};

use crate::context::{MAX_TOKEN, NtlmContext, State};
use crate::error::{ContextError, Error};
use crate::established::Session;
use crate::session::SIGNATURE_LENGTH;

/// `cBuffers` of `SecPkgContext_StreamSizes`: STREAM_HEADER, DATA and STREAM_TRAILER.
const STREAM_BUFFERS: u32 = 3;

/// `cbBlockSize`: RC4 has no blocks, and a PADDING buffer stays empty.
const BLOCK_SIZE: u32 = 1;

/// CALG_HMAC of wincrypt.h.
const CALG_HMAC: u32 = 0x8009;

/// CALG_RC4 of wincrypt.h.
const CALG_RC4: u32 = 0x6801;

/// LOGON_GUEST of ntsecapi.h, in `SecPkgContext_UserFlags`.
const LOGON_GUEST: u32 = 0x01;

pub(crate) fn query(
    context: &NtlmContext,
    attribute: ContextAttribute,
    info: &SecPkgInfo,
) -> Result<Value, Error> {
    Ok(match attribute {
        ContextAttribute::PackageInfo => Value::PackageInfo(info.clone()),
        ContextAttribute::NegotiationInfo => Value::NegotiationInfo(SecPkgContextNegotiationInfo {
            package: info.clone(),
            state: match &context.0 {
                State::Established(_) => NegotiationState::Direct,
                _ => NegotiationState::InProgress,
            },
        }),
        ContextAttribute::LastClientTokenStatus => {
            Value::LastClientTokenStatus(last_client_token(context))
        }
        ContextAttribute::ClientSpecifiedTarget => {
            let target = target(context)?;
            Value::ClientSpecifiedTarget(target.ok_or_else(|| none(attribute))?.to_owned())
        }
        _ => established(context.session()?, attribute)?,
    })
}

fn none(attribute: ContextAttribute) -> ContextError {
    ContextError::NoAttribute {
        attribute: format!("{attribute:?}"),
    }
}

/// Whether the token that was taken last is the client's last.
fn last_client_token(context: &NtlmContext) -> LastClientTokenStatus {
    match &context.0 {
        State::Established(_) | State::ExpectVerifier(_) => LastClientTokenStatus::Yes,
        State::ExpectChallenge(_) | State::ExpectAuthenticate(_) => LastClientTokenStatus::No,
        State::Undelivered(_) => LastClientTokenStatus::Maybe,
    }
}

fn target(context: &NtlmContext) -> Result<Option<&str>, ContextError> {
    match &context.0 {
        State::Established(session) => Ok(session.facts.target.as_deref()),
        State::ExpectChallenge(waiting) => Ok(waiting.target()),
        State::ExpectAuthenticate(_) | State::ExpectVerifier(_) | State::Undelivered(_) => {
            Err(ContextError::NotEstablished)
        }
    }
}

fn established(session: &Session, attribute: ContextAttribute) -> Result<Value, Error> {
    let facts = &session.facts;
    let acceptor = matches!(facts.attributes, EstablishedAttributes::Acceptor(_));
    Ok(match attribute {
        ContextAttribute::Sizes => Value::Sizes(sizes(session)),
        ContextAttribute::StreamSizes => Value::StreamSizes(stream_sizes(session)),
        ContextAttribute::Names => Value::Names(facts.client_name()),
        ContextAttribute::NativeNames => Value::NativeNames(SecPkgContextNativeNames {
            client_name: facts.client_name(),
            server_name: facts.server.clone(),
        }),
        ContextAttribute::Lifespan => Value::Lifespan(SecPkgContextLifespan {
            start: facts.start,
            expiry: Expiry::Never,
        }),
        ContextAttribute::Flags => Value::Flags(facts.attributes),
        ContextAttribute::KeyInfo if session.security.is_some() => Value::KeyInfo(key_info()),
        ContextAttribute::SessionKey => {
            let key = session.session_key().ok_or_else(|| none(attribute))?;
            Value::SessionKey(SecretBytes::from(key.expose().as_slice()))
        }
        ContextAttribute::Authority => Value::Authority(facts.domain.clone()),
        ContextAttribute::TargetInformation => Value::TargetInformation(facts.target_info.clone()),
        ContextAttribute::UserFlags if acceptor => {
            Value::UserFlags(if facts.guest { LOGON_GUEST } else { 0 })
        }
        ContextAttribute::AccessToken if acceptor => Value::AccessToken(session.access_token()?),
        other => return Err(none(other).into()),
    })
}

fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Bytes that a message has besides its data; none where nothing was negotiated.
fn trailer(session: &Session) -> u32 {
    let length = session
        .security
        .as_ref()
        .map_or(0, crate::SessionSecurity::signature_length);
    number(length)
}

fn sizes(session: &Session) -> SecPkgContextSizes {
    SecPkgContextSizes {
        max_token: number(MAX_TOKEN),
        max_signature: trailer(session),
        block_size: BLOCK_SIZE,
        security_trailer: trailer(session),
    }
}

fn stream_sizes(session: &Session) -> SecPkgContextStreamSizes {
    SecPkgContextStreamSizes {
        header: trailer(session),
        trailer: 0,
        // A signature has no length field that a message could outgrow; a C length does.
        maximum_message: u32::MAX - number(SIGNATURE_LENGTH),
        buffers: STREAM_BUFFERS,
        block_size: BLOCK_SIZE,
    }
}

/// A context that protects nothing has the key all the same.
fn key_info() -> SecPkgContextKeyInfo {
    SecPkgContextKeyInfo {
        signature_algorithm_name: "HMAC-MD5".to_owned(),
        encrypt_algorithm_name: "RC4".to_owned(),
        key_size: 128,
        signature_algorithm: CALG_HMAC,
        encrypt_algorithm: CALG_RC4,
    }
}
