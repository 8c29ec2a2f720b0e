//! From one service to the next, as the client.

use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;

use trihound::sspi::{AcquireRequest, CredentialUse, InitiatorRequirements};
use trihound::{Initiator, SecurityContext};

use super::flags::Flags;
use super::wire::Wire;
use super::{Arguments, Side, exchange, initiator_requirements};
use crate::network::kdc_transport;
use crate::outcome::Failure;

/// `onward=PORT:SPN`: where an acceptor goes on to before it tells its own story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) port: u16,
    pub(super) service: String,
}

impl Next {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let parsed = text.split_once(':').and_then(|(port, service)| {
            let port = port.parse().ok().filter(|port| *port != 0)?;
            (!service.is_empty()).then(|| Self {
                port,
                service: service.to_owned(),
            })
        });
        parsed.ok_or_else(|| Failure::new(format!("onward={text} is not PORT:SPN")))
    }
}

/// Impersonates the client of `context` and makes a context with the next service, to which the client's
/// credential is delegated in its turn.
pub(super) fn go_on(
    arguments: &Arguments,
    flags: &Flags,
    side: &Side,
    context: &SecurityContext,
) -> Result<(), Failure> {
    let Some(next) = &flags.onward else {
        return Ok(());
    };
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, next.port))
        .map_err(|error| Failure::from(error).context(format!("127.0.0.1:{}", next.port)))?;
    let mut wire = Wire::new(stream)?;
    let _client = context.impersonate()?;
    let acquired = side.table.acquire_credentials_handle(
        arguments.package.name(),
        AcquireRequest {
            package_list: flags.package_list.as_deref(),
            ..AcquireRequest::new(CredentialUse::OUTBOUND)
        },
    )?;
    let credential = side.table.own_credential(acquired.credential)?;
    let asked = initiator_requirements(flags)
        | InitiatorRequirements::DELEGATE
        | InitiatorRequirements::MUTUAL_AUTH;
    let mut initiator = Initiator::new(&side.table, credential.handle(), &next.service, asked);
    let mut transport = kdc_transport(Arc::clone(&side.config));
    super::connect(&mut initiator, &mut transport, &mut wire)?;
    let context = initiator.into_context()?;
    if !flags.no_data {
        exchange::speak(&context, &mut wire, flags)?;
    }
    Ok(())
}
