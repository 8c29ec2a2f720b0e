//! QueryContextAttributes.

use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;
use trihound_sspi::{
    ContextAttribute, ContextAttributeValue as Value, EstablishedAttributes, Expiry,
    LastClientTokenStatus, LogonInformation, NegotiationState, SecPkgContextDceInfo,
    SecPkgContextKeyInfo, SecPkgContextLifespan, SecPkgContextNativeNames,
    SecPkgContextNegotiationInfo, SecPkgContextSizes, SecPkgContextStreamSizes, SecPkgInfo,
};

use crate::context::{KerberosContext, MAX_TOKEN, State};
use crate::error::{ContextError, Error};
use crate::session::{Facts, Session};

/// `AuthzSvc` of `SecPkgContext_DceInfo`: what the data behind it is (rpcdce.h).
const RPC_C_AUTHZ_NAME: u32 = 1;
const RPC_C_AUTHZ_DCE: u32 = 2;

/// `cBuffers` of `SecPkgContext_StreamSizes`: STREAM_HEADER, DATA and STREAM_TRAILER.
const STREAM_BUFFERS: u32 = 3;

pub(crate) fn query(
    context: &KerberosContext,
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
            Value::ClientSpecifiedTarget(target(context)?.to_owned())
        }
        _ => established(context.session()?, attribute)?,
    })
}

/// Whether the token that was taken last is the client's last.
fn last_client_token(context: &KerberosContext) -> LastClientTokenStatus {
    match &context.0 {
        State::Established(_) => LastClientTokenStatus::Yes,
        State::ExpectThirdLeg(_) | State::ExpectKdcReply(_) | State::ExpectForwarded(_) => {
            LastClientTokenStatus::No
        }
        State::ExpectApReply(_) | State::Undelivered(_) => LastClientTokenStatus::Maybe,
    }
}

fn target(context: &KerberosContext) -> Result<&str, ContextError> {
    match &context.0 {
        State::Established(session) => Ok(&session.facts.target),
        State::ExpectKdcReply(waiting) => Ok(waiting.target()),
        State::ExpectForwarded(waiting) => Ok(waiting.target()),
        State::ExpectApReply(waiting) => Ok(waiting.target()),
        State::ExpectThirdLeg(_) | State::Undelivered(_) => Err(ContextError::NotEstablished),
    }
}

fn established(session: &Session, attribute: ContextAttribute) -> Result<Value, Error> {
    let facts = &session.facts;
    Ok(match attribute {
        ContextAttribute::Sizes => Value::Sizes(sizes(session)),
        ContextAttribute::StreamSizes => Value::StreamSizes(stream_sizes(session)),
        ContextAttribute::Names => Value::Names(facts.client.to_string()),
        ContextAttribute::NativeNames => Value::NativeNames(SecPkgContextNativeNames {
            client_name: facts.client.to_string(),
            server_name: facts.server.to_string(),
        }),
        ContextAttribute::Lifespan => Value::Lifespan(SecPkgContextLifespan {
            start: facts.start,
            expiry: Expiry::At(facts.end),
        }),
        ContextAttribute::Flags => Value::Flags(facts.attributes),
        ContextAttribute::KeyInfo => Value::KeyInfo(key_info(session)),
        // Conformance row 136: the key of the messages, whole.
        ContextAttribute::SessionKey => {
            Value::SessionKey(SecretBytes::from(session.message_key.expose()))
        }
        ContextAttribute::Authority => Value::Authority(facts.server.realm.to_string()),
        ContextAttribute::AccessToken
            if matches!(facts.attributes, EstablishedAttributes::Acceptor(_)) =>
        {
            Value::AccessToken(session.access_token()?)
        }
        ContextAttribute::DceInfo
            if matches!(facts.attributes, EstablishedAttributes::Acceptor(_)) =>
        {
            Value::DceInfo(dce_info(facts))
        }
        ContextAttribute::UserFlags if account(facts).is_some() => Value::UserFlags(
            account(facts)
                .and_then(|logon| logon.user_flags)
                .unwrap_or(0),
        ),
        ContextAttribute::PasswordExpiry if account(facts).is_some() => {
            let expiry = account(facts).and_then(|logon| logon.password_expiry);
            Value::PasswordExpiry(expiry.unwrap_or(Timestamp::MAX))
        }
        other => {
            return Err(ContextError::NoAttribute {
                attribute: format!("{other:?}"),
            }
            .into());
        }
    })
}

/// The client's account, where the PAC is of a domain's.
fn account(facts: &Facts) -> Option<&LogonInformation> {
    let logon = facts.authorization.as_ref()?.logon()?;
    logon.user_flags.is_some().then_some(logon)
}

/// The PAC, verified, for who does authorization by it; without one the client's name stands for the
/// client, in UTF-16 with its end.
fn dce_info(facts: &Facts) -> SecPkgContextDceInfo {
    let pac = facts
        .authorization
        .as_ref()
        .and_then(|known| known.pac_bytes());
    match pac {
        Some(pac) => SecPkgContextDceInfo {
            authorization_service: RPC_C_AUTHZ_DCE,
            pac: pac.to_vec(),
        },
        None => SecPkgContextDceInfo {
            authorization_service: RPC_C_AUTHZ_NAME,
            pac: facts
                .client
                .to_string()
                .encode_utf16()
                .chain([0])
                .flat_map(u16::to_le_bytes)
                .collect(),
        },
    }
}

fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn sizes(session: &Session) -> SecPkgContextSizes {
    let sizes = session.messages.sizes();
    SecPkgContextSizes {
        max_token: number(MAX_TOKEN),
        max_signature: number(sizes.max_signature),
        block_size: number(sizes.block_size),
        security_trailer: number(sizes.security_trailer),
    }
}

fn stream_sizes(session: &Session) -> SecPkgContextStreamSizes {
    let sizes = session.messages.sizes();
    SecPkgContextStreamSizes {
        header: number(session.messages.stream_header_length()),
        trailer: number(session.messages.stream_trailer_length()),
        // Tokens have no length field that a message could outgrow; a C length does.
        maximum_message: u32::MAX
            - number(session.messages.stream_header_length())
            - number(session.messages.stream_trailer_length()),
        buffers: STREAM_BUFFERS,
        block_size: number(sizes.block_size),
    }
}

fn key_info(session: &Session) -> SecPkgContextKeyInfo {
    let key = &session.message_key;
    let checksum = key.required_checksum();
    SecPkgContextKeyInfo {
        signature_algorithm_name: checksum.to_string(),
        encrypt_algorithm_name: key.enctype().to_string(),
        key_size: number(key.profile().key_length.saturating_mul(8)),
        signature_algorithm: u32::from_ne_bytes(checksum.0.to_ne_bytes()),
        encrypt_algorithm: u32::from_ne_bytes(key.enctype().0.to_ne_bytes()),
    }
}
