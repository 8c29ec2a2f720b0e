//! The client's AUTHENTICATE message as an acceptor reads it.

use trihound_secret::SecretArray;

use crate::NegotiateFlags;
use crate::attributes::exchanges_key;
use crate::compute::{self, SessionKey};
use crate::error::{Error, PeerMisbehaved};
use crate::event::{Direction, NtlmOutcome, NtlmUse};
use crate::message::AuthenticateMessage;

/// The AUTHENTICATE message with its texts.
pub(crate) struct Answer<'a> {
    pub(crate) message: AuthenticateMessage<'a>,
    pub(crate) user: String,
    pub(crate) domain: String,
    pub(crate) workstation: String,
}

impl<'a> Answer<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let message = AuthenticateMessage::parse(bytes)?;
        // MS-NLMP section 2.2.2.5, flags A and B: without either there is no text.
        if !message
            .flags
            .intersects(NegotiateFlags::NEGOTIATE_UNICODE | NegotiateFlags::NEGOTIATE_OEM)
        {
            return Err(PeerMisbehaved::NoCharacterSet {
                message: "AUTHENTICATE",
            }
            .into());
        }
        Ok(Self {
            user: message.user_text()?,
            domain: message.domain_text()?,
            workstation: message.workstation_text()?,
            message,
        })
    }

    /// Whether the client says that it is nobody (MS-NLMP section 3.2.5.1.2).
    pub(crate) fn is_anonymous(&self) -> Result<bool, PeerMisbehaved> {
        let message = &self.message;
        let no_name = self.user.is_empty();
        let no_response = message.nt_response.is_empty() && matches!(message.lm_response, [] | [0]);
        let half = |found| Err(PeerMisbehaved::HalfAnonymous { found });
        // MS-NLMP section 3.2.5.1.2: an anonymous client has neither name nor response.
        match (no_name, no_response) {
            (true, true) => Ok(true),
            (true, false) => half("there is a response and no user name"),
            (false, true) => half("there is a user name and no response"),
            (false, false) if message.flags.contains(NegotiateFlags::ANONYMOUS) => {
                half("the ANONYMOUS flag is set beside a user name")
            }
            (false, false) => Ok(false),
        }
    }

    pub(crate) fn use_of_it(&self) -> NtlmUse {
        let mut event = NtlmUse::new(Direction::Incoming, NtlmOutcome::Allowed);
        event.user.clone_from(&self.user);
        event.domain.clone_from(&self.domain);
        event.workstation = Some(self.workstation.clone()).filter(|name| !name.is_empty());
        event
    }
}

/// ExportedSessionKey (MS-NLMP section 3.2.5.1.2). Where nothing is protected, some clients send a key
/// of their own, some a byte that means nothing, and some none.
pub(crate) fn exported_key(
    message: &AuthenticateMessage<'_>,
    negotiated: NegotiateFlags,
    key_exchange_key: &SessionKey,
) -> Result<SessionKey, Error> {
    let encrypted = message.encrypted_session_key;
    if !exchanges_key(negotiated) {
        return Ok(SecretArray::from(*key_exchange_key.expose()));
    }
    // MS-NLMP section 2.2.1.3: the encrypted key has the length of a key.
    let Ok(encrypted) = <&[u8; 16]>::try_from(encrypted) else {
        return Err(PeerMisbehaved::EncryptedSessionKeyLength {
            found: encrypted.len(),
        }
        .into());
    };
    Ok(compute::exported_session_key(key_exchange_key, encrypted))
}
