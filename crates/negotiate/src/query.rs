//! QueryContextAttributes.

use trihound_sspi::{
    ContextAttribute, ContextAttributeValue as Value, Error as SspiError, LastClientTokenStatus,
    NegotiationState, SecPkgContextNegotiationInfo, SecPkgContextSizes, SecPkgInfo,
};

use crate::context::{NegotiateContext, State};
use crate::error::{ApiMisuse, sspi_error};

/// What Negotiate knows by itself; everything else is the chosen mechanism's.
pub(crate) fn query(
    context: &NegotiateContext,
    attribute: ContextAttribute,
    info: &SecPkgInfo,
) -> Result<Value, SspiError> {
    match attribute {
        ContextAttribute::PackageInfo => Ok(Value::PackageInfo(info.clone())),
        ContextAttribute::NegotiationInfo => Ok(Value::NegotiationInfo(negotiation(context, info))),
        ContextAttribute::ClientSpecifiedTarget => target(context),
        ContextAttribute::LastClientTokenStatus => {
            Ok(Value::LastClientTokenStatus(last_client_token(context)))
        }
        ContextAttribute::Sizes => {
            let session = context.session()?;
            let value = session.context.query_context_attributes(attribute)?;
            Ok(match value {
                Value::Sizes(sizes) => Value::Sizes(SecPkgContextSizes {
                    max_token: info.max_token,
                    ..sizes
                }),
                other => other,
            })
        }
        ContextAttribute::Flags => {
            let session = context.session()?;
            Ok(Value::Flags(session.established.attributes))
        }
        other => context.session()?.context.query_context_attributes(other),
    }
}

fn negotiation(context: &NegotiateContext, own: &SecPkgInfo) -> SecPkgContextNegotiationInfo {
    let (package, state) = match &context.0 {
        State::Established(session) => (&session.package, session.negotiation),
        State::FirstExchange(waiting) => (&waiting.arm().info, NegotiationState::Optimistic),
        State::ExpectReply(waiting) if waiting.is_first() => {
            (&waiting.arm().info, NegotiationState::Optimistic)
        }
        State::ExpectReply(waiting) => (&waiting.arm().info, NegotiationState::InProgress),
        State::InitiatorExchange(waiting) => (&waiting.arm().info, NegotiationState::InProgress),
        State::AcceptorExchange(waiting) => (&waiting.arm().info, NegotiationState::InProgress),
        State::ExpectResponse(waiting) => (&waiting.arm().info, NegotiationState::InProgress),
        State::ExpectRaw(waiting) => (&waiting.arm().info, NegotiationState::InProgress),
        State::ExpectRawExchange(waiting) => (&waiting.arm().info, NegotiationState::InProgress),
        State::ExpectInit(_) | State::Undelivered(_) => (own, NegotiationState::InProgress),
    };
    SecPkgContextNegotiationInfo {
        package: package.clone(),
        state,
    }
}

fn target(context: &NegotiateContext) -> Result<Value, SspiError> {
    let known = match &context.0 {
        State::Established(session) => match &session.target {
            Some(target) => Some(target.as_str()),
            // The acceptor's mechanism may have learnt of it.
            None => {
                let asked = ContextAttribute::ClientSpecifiedTarget;
                return session.context.query_context_attributes(asked);
            }
        },
        State::FirstExchange(waiting) => waiting.target(),
        State::ExpectReply(waiting) => waiting.target(),
        State::InitiatorExchange(waiting) => waiting.target(),
        _ => None,
    };
    known
        .map(|target| Value::ClientSpecifiedTarget(target.to_owned()))
        .ok_or_else(|| sspi_error(ApiMisuse::NotEstablished))
}

/// Whether the token that the acceptor took last is the client's last.
fn last_client_token(context: &NegotiateContext) -> LastClientTokenStatus {
    match &context.0 {
        State::Established(_) => LastClientTokenStatus::Yes,
        State::ExpectInit(_) => LastClientTokenStatus::No,
        State::ExpectResponse(waiting) if !waiting.is_mechanism_done() => LastClientTokenStatus::No,
        State::ExpectRaw(_) => LastClientTokenStatus::No,
        _ => LastClientTokenStatus::Maybe,
    }
}
