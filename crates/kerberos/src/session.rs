//! An established context.

use std::sync::Arc;

use tracing::debug;
use trihound_asn1::gss::GssFlags;
use trihound_crypto::Key;
use trihound_krb5::ap::{
    Agreement, ApReplyVerified, AuthenticatorVerified, ChannelBindingChecked,
    MutualAuthNotRequested,
};
use trihound_krb5::pac::TicketPac;
use trihound_krb5::{Credentials, Environment, NotReplayed, Principal};
use trihound_sansio::Timestamp;
use trihound_sspi::{
    AccessToken, Established, EstablishedAttributes, Expiry, ImpersonationLevel, MechListMic,
    SECQOP_WRAP_NO_ENCRYPT, SecBufferDesc,
};

use crate::authorization::Authorization;
use crate::buffers;
use crate::delegation;
use crate::error::{ContextError, Error, sspi_error};
use crate::export::Imported;
use crate::messages::{MessageSession, SessionParameters};
use crate::tickets::TicketProof;

/// Whether and how the acceptor proved itself.
#[derive(Debug)]
#[allow(dead_code, reason = "held so that they had to be obtained")]
pub(crate) enum MutualProof {
    Verified(ApReplyVerified),
    NotRequested(MutualAuthNotRequested),
}

/// What an initiator has to show before it has a session.
#[derive(Debug)]
#[allow(dead_code, reason = "held so that they had to be obtained")]
pub(crate) struct InitiatorProofs {
    pub(crate) ticket: TicketProof,
    pub(crate) mutual: MutualProof,
}

/// What an acceptor has to show before it has a session.
#[derive(Debug)]
#[allow(dead_code, reason = "held so that they had to be obtained")]
pub(crate) struct AcceptorProofs {
    pub(crate) authenticator: AuthenticatorVerified,
    pub(crate) not_replayed: NotReplayed,
    pub(crate) bindings: ChannelBindingChecked,
    pub(crate) pac: TicketPac,
}

/// How the acceptor's side of the handshake ended.
#[derive(Debug)]
#[allow(dead_code, reason = "held so that they had to be obtained")]
pub(crate) enum LastLeg {
    /// With the AP-REQ, or the AP-REP that answered it.
    ByAcceptor,
    /// With the third leg of DCE style.
    Third(ApReplyVerified),
}

/// The proofs behind a session.
#[derive(Debug)]
#[allow(dead_code, reason = "held so that they had to be obtained")]
pub(crate) enum Proofs {
    Initiator(InitiatorProofs),
    Acceptor(AcceptorProofs, LastLeg),
    /// The handshake was in another process.
    Imported(Imported),
}

/// What both sides know of each other once the handshake is over.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) client: Principal,
    pub(crate) server: Principal,
    /// The target name as the initiator gave it, or as the ticket has it.
    pub(crate) target: String,
    pub(crate) start: Timestamp,
    /// The end of the context: the ticket's, for an acceptor with the clock skew on top, within
    /// which it took the ticket (RFC 4120 section 3.2.3).
    pub(crate) end: Timestamp,
    pub(crate) flags: GssFlags,
    pub(crate) attributes: EstablishedAttributes,
    /// The KDC's clock less ours, in microseconds.
    pub(crate) time_offset: i64,
    /// What an authority vouched for about the client; acceptors only.
    pub(crate) authorization: Option<Box<Authorization>>,
    /// The tickets that the client delegated; acceptors only.
    pub(crate) delegated: Option<Vec<Credentials>>,
}

/// An established context.
pub(crate) struct Session {
    pub(crate) messages: MessageSession,
    pub(crate) facts: Facts,
    pub(crate) message_key: Arc<Key>,
    /// Whether that is the acceptor's sub-key.
    pub(crate) acceptor_subkey: bool,
    environment: Environment,
    _proofs: Proofs,
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session")
            .field("facts", &self.facts)
            .field("messages", &self.messages)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(
        agreement: &Agreement,
        facts: Facts,
        environment: &Environment,
        proofs: Proofs,
    ) -> Result<Self, Error> {
        let acceptor = matches!(proofs, Proofs::Acceptor(..));
        let (send_sequence, receive_sequence) = if acceptor {
            (agreement.acceptor_sequence, agreement.initiator_sequence)
        } else {
            (agreement.initiator_sequence, agreement.acceptor_sequence)
        };
        let message_key = Arc::clone(agreement.message_key());
        debug!(
            client = %facts.client,
            spn = %facts.server,
            etype = %message_key.enctype(),
            "The security context of {} with {} is established, messages under a {} key",
            facts.client,
            facts.server,
            message_key.enctype()
        );
        let messages = MessageSession::new(SessionParameters {
            key: &message_key,
            acceptor,
            acceptor_subkey: agreement.acceptor_subkey.is_some(),
            dce_style: facts.flags.contains(GssFlags::DCE_STYLE),
            replay_detect: facts.flags.contains(GssFlags::REPLAY),
            sequence_detect: facts.flags.contains(GssFlags::SEQUENCE),
            send_sequence,
            receive_sequence,
            random: Arc::clone(&environment.random),
        })?;
        Ok(Self {
            messages,
            facts,
            message_key,
            acceptor_subkey: agreement.acceptor_subkey.is_some(),
            environment: environment.clone(),
            _proofs: proofs,
        })
    }

    /// The session of an image; its key comes with whether it is the acceptor's sub-key.
    pub(crate) fn imported(
        facts: Facts,
        messages: MessageSession,
        (message_key, acceptor_subkey): (Arc<Key>, bool),
        environment: &Environment,
        proof: Imported,
    ) -> Self {
        debug!(
            client = %facts.client,
            spn = %facts.server,
            etype = %message_key.enctype(),
            "A security context of {} with {} is imported",
            facts.client,
            facts.server
        );
        Self {
            messages,
            facts,
            message_key,
            acceptor_subkey,
            environment: environment.clone(),
            _proofs: Proofs::Imported(proof),
        }
    }

    pub(crate) fn established(&self) -> Established {
        let mech_list_mic = if self.facts.flags.contains(GssFlags::INTEG) {
            MechListMic::Possible
        } else {
            MechListMic::Impossible
        };
        Established {
            attributes: self.facts.attributes,
            expiry: Expiry::At(self.facts.end),
            mech_list_mic,
        }
    }

    /// Who the client is, for the acceptor. Groups and security identifiers come from a verified PAC
    /// only.
    pub(crate) fn access_token(&self) -> Result<Arc<AccessToken>, Error> {
        if matches!(self.facts.attributes, EstablishedAttributes::Initiator(_)) {
            return Err(ContextError::OtherRole { role: "initiator" }.into());
        }
        let mut token = AccessToken::new(
            crate::Kerberos::NAME,
            self.facts.client.to_string(),
            self.facts.client.realm.to_string(),
            self.impersonation_level(),
        );
        if let Some(authorization) = &self.facts.authorization {
            authorization.describe(&mut token);
        }
        let delegated = self.facts.delegated.as_deref();
        token.delegated_credential = delegated.map(delegation::packed).transpose()?;
        Ok(Arc::new(token))
    }

    /// What the client allows, by what was negotiated; a name that stands for nobody allows nothing.
    fn impersonation_level(&self) -> ImpersonationLevel {
        if self.facts.client.is_anonymous() {
            ImpersonationLevel::Anonymous
        } else if self.facts.flags.contains(GssFlags::IDENTIFY) {
            ImpersonationLevel::Identification
        } else if self.facts.delegated.is_some() {
            ImpersonationLevel::Delegation
        } else {
            ImpersonationLevel::Impersonation
        }
    }

    /// RFC 2743 section 1.2.1: a context that timed out serves no message (conformance row 117).
    fn check_lifetime(&self) -> Result<(), ContextError> {
        let now = self.environment.now(self.facts.time_offset);
        if now >= self.facts.end {
            return Err(ContextError::Expired {
                end: self.facts.end,
                now,
            });
        }
        Ok(())
    }

    fn require(
        &self,
        flag: GssFlags,
        function: &'static str,
        attribute: &'static str,
    ) -> Result<(), ContextError> {
        if self.facts.flags.contains(flag) {
            return Ok(());
        }
        Err(ContextError::NotNegotiated {
            function,
            attribute,
        })
    }

    pub(crate) fn make_signature(
        &mut self,
        qop: u32,
        message: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(), trihound_sspi::Error> {
        self.check_lifetime().map_err(sspi_error)?;
        if qop != 0 {
            return Err(sspi_error(ContextError::UnknownQop { qop }));
        }
        self.require(GssFlags::INTEG, "MakeSignature", "INTEGRITY")
            .map_err(sspi_error)?;
        buffers::make_signature(&mut self.messages, message)
    }

    pub(crate) fn verify_signature(
        &mut self,
        message: &mut SecBufferDesc<'_, '_>,
    ) -> Result<u32, trihound_sspi::Error> {
        self.check_lifetime().map_err(sspi_error)?;
        self.require(GssFlags::INTEG, "VerifySignature", "INTEGRITY")
            .map_err(sspi_error)?;
        buffers::verify_signature(&mut self.messages, message).map(|()| 0)
    }

    pub(crate) fn encrypt_message(
        &mut self,
        qop: u32,
        message: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(), trihound_sspi::Error> {
        self.check_lifetime().map_err(sspi_error)?;
        let seal = match qop {
            0 => true,
            SECQOP_WRAP_NO_ENCRYPT => false,
            _ => return Err(sspi_error(ContextError::UnknownQop { qop })),
        };
        self.check_protection("EncryptMessage", seal)
            .map_err(sspi_error)?;
        buffers::encrypt(&mut self.messages, seal, message)
    }

    pub(crate) fn decrypt_message(
        &mut self,
        message: &mut SecBufferDesc<'_, '_>,
    ) -> Result<u32, trihound_sspi::Error> {
        self.check_lifetime().map_err(sspi_error)?;
        self.check_protection("DecryptMessage", false)
            .map_err(sspi_error)?;
        let sealed = buffers::decrypt(&mut self.messages, message)?;
        Ok(if sealed { 0 } else { SECQOP_WRAP_NO_ENCRYPT })
    }

    fn check_protection(&self, function: &'static str, seal: bool) -> Result<(), ContextError> {
        // A context for sealed messages alone still signs: what is sealed is signed too.
        if seal || self.facts.flags.contains(GssFlags::CONF) {
            self.require(GssFlags::CONF, function, "CONFIDENTIALITY")
        } else {
            self.require(GssFlags::INTEG, function, "INTEGRITY")
        }
    }
}
