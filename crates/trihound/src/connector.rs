use std::io::{Read, Write};
use std::sync::Arc;

use trihound_sspi::{
    ChannelBindings, EstablishedAttributes, InitiatorAttributes, InitiatorRequirements,
    OwnedCredHandle,
};

use crate::client::ClientCore;
use crate::stream::{SecureStream, read_token, write_token};
use crate::{Client, Error, Initiator, Leg, Package, Refused, SecurityContext};

/// What one connection asks for.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) target: String,
    pub(crate) requirements: InitiatorRequirements,
    /// Whether the program chose these.
    pub(crate) is_own: bool,
    pub(crate) bindings: Option<Vec<u8>>,
}

impl Choice {
    pub(crate) fn bind(&mut self, bindings: &ChannelBindings<'_>) -> Result<(), Error> {
        self.bindings = Some(bindings.to_buffer()?);
        Ok(())
    }

    pub(crate) fn initiator(&self, core: &ClientCore) -> Initiator {
        self.initiator_with(core, &core.credential)
    }

    pub(crate) fn initiator_with(
        &self,
        core: &ClientCore,
        credential: &Arc<OwnedCredHandle>,
    ) -> Initiator {
        let handle = credential.handle();
        let mut initiator =
            Initiator::new(&core.table, handle, &self.target, self.requirements).owning(credential);
        initiator.bind_buffer(self.bindings.clone());
        initiator
    }

    /// RFC 2743 section 2.2.1: what was asked for is looked for in what was got.
    pub(crate) fn check(&self, context: &SecurityContext) -> Result<(), Error> {
        const CHECKED: [(InitiatorRequirements, InitiatorAttributes, &str); 5] = [
            (
                InitiatorRequirements::MUTUAL_AUTH,
                InitiatorAttributes::MUTUAL_AUTH,
                "MUTUAL_AUTH",
            ),
            (
                InitiatorRequirements::CONFIDENTIALITY,
                InitiatorAttributes::CONFIDENTIALITY,
                "CONFIDENTIALITY",
            ),
            (
                InitiatorRequirements::INTEGRITY,
                InitiatorAttributes::INTEGRITY,
                "INTEGRITY",
            ),
            (
                InitiatorRequirements::REPLAY_DETECT,
                InitiatorAttributes::REPLAY_DETECT,
                "REPLAY_DETECT",
            ),
            (
                InitiatorRequirements::SEQUENCE_DETECT,
                InitiatorAttributes::SEQUENCE_DETECT,
                "SEQUENCE_DETECT",
            ),
        ];
        let EstablishedAttributes::Initiator(got) = context.established().attributes else {
            return Ok(());
        };
        let mut wanted = self.requirements;
        if !self.is_own && context.mechanism()? == Package::Ntlm.name() {
            // NTLM cannot prove the server, and a policy that lets it be used knows that.
            wanted.remove(InitiatorRequirements::MUTUAL_AUTH);
        }
        let missing: Vec<_> = CHECKED
            .iter()
            .filter(|(asked, granted, _)| wanted.contains(*asked) && !got.contains(*granted))
            .map(|(_, _, name)| *name)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::AttributesMissing {
            missing: missing.join(", "),
        })
    }
}

/// A connection to come, with choices of its own.
#[derive(Clone, Debug)]
pub struct Connector {
    pub(crate) client: Client,
    pub(crate) choice: Choice,
}

impl Connector {
    /// What this connection asks for, in place of what the client does.
    #[must_use]
    pub fn requirements(mut self, requirements: InitiatorRequirements) -> Self {
        self.choice.requirements = requirements;
        self.choice.is_own = true;
        self
    }

    /// Binds the context to the channel that it is made over (RFC 5056), such as a TLS connection.
    ///
    /// # Errors
    ///
    /// The bindings are too long for SEC_CHANNEL_BINDINGS.
    pub fn bind(mut self, bindings: &ChannelBindings<'_>) -> Result<Self, Error> {
        self.choice.bind(bindings)?;
        Ok(self)
    }

    /// As [`Client::connect`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn connect<S: Read + Write>(self, mut stream: S) -> Result<SecureStream<S>, Error> {
        let max_message = self.client.core.max_message;
        let mut handshake = self.handshake();
        let mut input: Option<Vec<u8>> = None;
        loop {
            let leg = match handshake.step(input.as_deref()) {
                Ok(leg) => leg,
                Err(refused) => {
                    // The peer learns of it if it still listens.
                    if let Some(token) = &refused.token {
                        let _ = write_token(&mut stream, token);
                    }
                    return Err(refused.into());
                }
            };
            if let Some(token) = &leg.token {
                write_token(&mut stream, token)?;
            }
            if leg.complete {
                break;
            }
            input = Some(read_token(&mut stream)?);
        }
        let context = handshake.into_context()?;
        SecureStream::new(stream, context, max_message, true)
    }

    /// The handshake a token at a time, for a program that carries them in a protocol of its own.
    #[must_use]
    pub fn handshake(self) -> ClientHandshake {
        let initiator = self.choice.initiator(&self.client.core);
        ClientHandshake {
            initiator,
            client: self.client,
            choice: self.choice,
            has_tickets: false,
        }
    }
}

/// The client's side of a handshake, a token at a time. It asks the KDC by itself.
///
/// ```no_run
/// # fn send(_: &[u8]) {}
/// # fn receive() -> Vec<u8> { Vec::new() }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = trihound::Client::from_environment()?;
/// let mut handshake = client.connector("HTTP/web.example.com").handshake();
/// let mut leg = handshake.step(None)?;
/// loop {
///     if let Some(token) = &leg.token {
///         send(token);
///     }
///     if leg.complete {
///         break;
///     }
///     leg = handshake.step(Some(&receive()))?;
/// }
/// let context = handshake.into_context()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ClientHandshake {
    client: Client,
    choice: Choice,
    initiator: Initiator,
    has_tickets: bool,
}

impl ClientHandshake {
    /// The next leg: without a token at first, then with each token of the service.
    ///
    /// # Errors
    ///
    /// [`Refused`], perhaps with a token for the service; the handshake is over then.
    pub fn step(&mut self, token: Option<&[u8]>) -> Result<Leg, Refused> {
        if !self.has_tickets {
            if let Some(credential) = self.client.prepare(&self.choice.target)? {
                let core = &self.client.core;
                self.initiator = self.choice.initiator_with(core, &credential);
            }
            self.has_tickets = true;
        }
        let mut transport = self.client.way.transport();
        self.initiator.step(token, &mut *transport)
    }

    /// The established context, which has what was asked for.
    ///
    /// # Errors
    ///
    /// Before the handshake is complete; [`Error::AttributesMissing`].
    pub fn into_context(self) -> Result<SecurityContext, Error> {
        let context = self.initiator.into_context()?;
        self.choice.check(&context)?;
        Ok(context)
    }
}
