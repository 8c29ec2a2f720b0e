//! An established context.

use std::sync::Arc;

use tracing::debug;
use trihound_sansio::Timestamp;
use trihound_sspi::{
    AccessToken, Established, EstablishedAttributes, Expiry, ImpersonationLevel, MechListMic,
};

use crate::NegotiateFlags;
use crate::checks::{
    ChannelBindingsChecked, FlagsChecked, MicProof, ResponseVerified, ServerNameChecked,
    TargetNameChecked, TimeChecked, UnprovenAllowed,
};
use crate::compute::{SessionKey, Side};
use crate::credential::down_level_name;
use crate::error::{ContextError, Error};
use crate::export::Imported;
use crate::initiator::InitiatorProofs;
use crate::session::SessionSecurity;

/// What an acceptor has to show before it has a session with a key.
#[derive(Debug)]
#[allow(dead_code, reason = "held so that they had to be obtained")]
pub(crate) struct AcceptorProofs {
    pub(crate) response: ResponseVerified,
    pub(crate) bindings: ChannelBindingsChecked,
    pub(crate) target: TargetNameChecked,
    pub(crate) server: ServerNameChecked,
    pub(crate) time: TimeChecked,
    pub(crate) flags: FlagsChecked,
    pub(crate) mic: MicProof,
}

/// What it has to show of a client with an NTLMv1 response, which carries none of the rest.
#[derive(Debug)]
#[allow(dead_code, reason = "held so that they had to be obtained")]
pub(crate) struct OldProofs {
    pub(crate) response: ResponseVerified,
    pub(crate) bindings: ChannelBindingsChecked,
    pub(crate) target: TargetNameChecked,
    pub(crate) flags: FlagsChecked,
}

/// The proofs behind a session that has a key.
#[derive(Debug)]
#[allow(dead_code, reason = "held so that they had to be obtained")]
pub(crate) enum Proofs {
    Initiator(InitiatorProofs),
    Acceptor(AcceptorProofs),
    /// Only through [`crate::danger::accept_ntlm_v1`].
    OldAcceptor(OldProofs),
}

/// What stands behind a session: proofs and the key that they allow, or neither.
#[derive(Debug)]
#[allow(dead_code, reason = "held so that they had to be obtained")]
pub(crate) enum Standing {
    /// A client who proved to be somebody.
    Proven(SessionKey, Proofs),
    /// An initiator who said that it is nobody.
    Nobody,
    /// An anonymous client, or a guest: there is no key.
    Unproven(UnprovenAllowed, FlagsChecked),
    /// The handshake was in another process, which gives its key along if there was one.
    Imported(Option<SessionKey>, Imported),
}

impl Standing {
    fn key(&self) -> Option<&SessionKey> {
        match self {
            Self::Proven(key, _) => Some(key),
            Self::Imported(key, _) => key.as_ref(),
            Self::Nobody | Self::Unproven(..) => None,
        }
    }
}

/// What both sides know of each other once the handshake is over.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) user: String,
    pub(crate) domain: String,
    /// The target name: the caller's on an initiator, the client's on an acceptor.
    pub(crate) target: Option<String>,
    /// The acceptor's name, as the CHALLENGE message has it.
    pub(crate) server: String,
    pub(crate) start: Timestamp,
    pub(crate) flags: NegotiateFlags,
    pub(crate) attributes: EstablishedAttributes,
    /// Whether the AUTHENTICATE message had a MIC.
    pub(crate) mic: bool,
    /// TargetInfo of the CHALLENGE message, as it came or was sent.
    pub(crate) target_info: Vec<u8>,
    pub(crate) guest: bool,
    pub(crate) anonymous: bool,
    pub(crate) groups: Vec<String>,
    pub(crate) sids: Vec<String>,
}

/// An established context.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) security: Option<SessionSecurity>,
    pub(crate) facts: Facts,
    standing: Standing,
}

impl Session {
    pub(crate) fn new(facts: Facts, standing: Standing) -> Result<Self, trihound_sspi::Error> {
        let side = match facts.attributes {
            EstablishedAttributes::Initiator(_) => Side::Client,
            EstablishedAttributes::Acceptor(_) => Side::Server,
        };
        let security = standing
            .key()
            .map(|key| SessionSecurity::new(facts.flags, key, side))
            .transpose()?;
        debug!(
            client = %facts.client_name(),
            spn = facts.target.as_deref().unwrap_or_default(),
            "The NTLM context of \"{}\" is established",
            facts.client_name()
        );
        Ok(Self {
            security,
            facts,
            standing,
        })
    }

    /// ExportedSessionKey; none for a client that proved nothing.
    pub(crate) fn session_key(&self) -> Option<&SessionKey> {
        self.standing.key()
    }

    pub(crate) fn established(&self) -> Established {
        let signs = self
            .security
            .as_ref()
            .is_some_and(|_| self.facts.flags.contains(NegotiateFlags::NEGOTIATE_SIGN));
        // MS-SPNG section 3.3.5.1; conformance rows 30 and 170.
        let mech_list_mic = match (signs, self.facts.mic) {
            (false, _) => MechListMic::Impossible,
            (true, true) => MechListMic::Required,
            (true, false) => MechListMic::Possible,
        };
        Established {
            attributes: self.facts.attributes,
            expiry: Expiry::Never,
            mech_list_mic,
        }
    }

    /// The keys of messages, for a function that needs `attribute`.
    pub(crate) fn security(
        &mut self,
        function: &'static str,
        attribute: &'static str,
    ) -> Result<&mut SessionSecurity, ContextError> {
        self.security.as_mut().ok_or(ContextError::NotNegotiated {
            function,
            attribute,
        })
    }

    /// Who the client is, for the acceptor.
    pub(crate) fn access_token(&self) -> Result<Arc<AccessToken>, Error> {
        if matches!(self.facts.attributes, EstablishedAttributes::Initiator(_)) {
            return Err(ContextError::OtherRole { role: "initiator" }.into());
        }
        let level = if self.facts.anonymous {
            ImpersonationLevel::Anonymous
        } else if self
            .facts
            .flags
            .contains(NegotiateFlags::NEGOTIATE_IDENTIFY)
        {
            ImpersonationLevel::Identification
        } else {
            ImpersonationLevel::Impersonation
        };
        let mut token = AccessToken::new(
            crate::Ntlm::NAME,
            self.facts.client_name(),
            self.facts.domain.as_str(),
            level,
        );
        token.groups.clone_from(&self.facts.groups);
        token.sids.clone_from(&self.facts.sids);
        Ok(Arc::new(token))
    }
}

impl Facts {
    /// `DOMAIN\user`; empty for an anonymous client.
    pub(crate) fn client_name(&self) -> String {
        down_level_name(&self.domain, &self.user)
    }
}
