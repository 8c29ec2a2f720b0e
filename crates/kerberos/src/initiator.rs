//! The initiator's handshake.

use std::sync::Arc;

use tracing::{info, warn};
use trihound_asn1::gss::{GssChecksum, GssFlags, TokenId, is_framed};
use trihound_asn1::{Checksum, error_code};
use trihound_crypto::{ChecksumType, md5};
use trihound_krb5::ap::{self, AfterApReq, Agreement, ApReplied, ApRequest};
use trihound_krb5::{Credentials, Environment, Error as KerberosError, Principal, build_krb_cred};
use trihound_sansio::{Exchange, Progress, Reply};
use trihound_sspi::{
    EstablishedAttributes, InitializeRequest, InitiatorRequirements, InputDesc,
    ServicePrincipalName,
};

use crate::attributes::{checksum_flags, initiator_attributes};
use crate::context::{MAX_TOKEN, Outcome, State, frame, unframe};
use crate::credential::{KerberosCredential, Outbound};
use crate::delegation::DelegationPolicy;
use crate::error::{ContextError, Error, TokenError, sspi_error};
use crate::forwarding::Forwarding;
use crate::package::KerberosConfig;
use crate::session::{Facts, InitiatorProofs, MutualProof, Proofs, Session};
use crate::tickets::{Goal, ServiceTicket, TicketProof, TicketSearch};

/// First byte of a KRB-ERROR: `[APPLICATION 30]`, constructed.
const KRB_ERROR_TAG: u8 = 0x7e;

/// What a token has beside the ticket and the KRB-CRED, in bytes: authenticator, framing, paddings.
const TOKEN_MARGIN: usize = 2048;

/// What the caller asked for on the first call.
#[derive(Debug)]
struct Plan {
    outbound: Arc<Outbound>,
    environment: Environment,
    target: String,
    requirements: InitiatorRequirements,
    flags: GssFlags,
    /// MD5 of the channel bindings (RFC 4121 section 4.1.1.2), if the caller gave any.
    bindings: Option<[u8; 16]>,
    /// To which services tickets go, if DELEGATE was asked for.
    delegation: Option<DelegationPolicy>,
}

/// Awaits a KDC's reply on the way to the service ticket.
#[derive(Debug)]
pub(crate) struct ExpectKdcReply {
    search: TicketSearch,
    plan: Plan,
}

/// Awaits a KDC's reply on the way to the ticket that is delegated.
#[derive(Debug)]
pub(crate) struct ExpectForwarded {
    forwarding: Forwarding,
    ticket: ServiceTicket,
    plan: Plan,
}

/// Awaits the acceptor's AP-REP.
#[derive(Debug)]
pub(crate) struct ExpectPeer {
    reply: Box<ap::ExpectApReply>,
    credentials: Arc<Credentials>,
    proof: TicketProof,
    plan: Plan,
}

/// The MD5 of the channel bindings in the input, if there are any.
pub(crate) fn bindings_hash(
    input: Option<InputDesc<'_>>,
) -> Result<Option<[u8; 16]>, trihound_sspi::Error> {
    let bindings = input.map(|input| input.channel_bindings()).transpose()?;
    bindings
        .flatten()
        .map(|bindings| Ok(md5(&[&bindings.gss_image()?])))
        .transpose()
}

/// The principal of a target name; its realm is empty where the name has none.
pub(crate) fn server_principal(target: &str) -> Result<Principal, trihound_sspi::Error> {
    let name = ServicePrincipalName::parse(target)?;
    let realm = name.realm.as_deref().unwrap_or_default();
    Ok(Principal::new(
        realm,
        trihound_asn1::name_type::NT_SRV_INST,
        name.components().iter().map(String::as_str),
    ))
}

/// The first call.
pub(crate) fn begin(
    credential: &KerberosCredential,
    request: &InitializeRequest<'_>,
    config: &KerberosConfig,
) -> Result<Outcome, trihound_sspi::Error> {
    let environment = &config.environment;
    let target = request
        .target_name
        .ok_or_else(|| sspi_error(ContextError::NoTarget))?;
    // RFC 8062 section 3: a client that asks for anonymity never shows its name instead.
    if request
        .requirements
        .contains(InitiatorRequirements::NULL_SESSION)
    {
        return Err(sspi_error(ContextError::NoAnonymity));
    }
    let server = server_principal(target)?;
    let outbound = credential
        .outbound_for(&server, request.impersonation, &environment.config)
        .map_err(sspi_error)?;
    let delegation = asks_to_delegate(request.requirements)
        .then(|| credential.delegation(&config.delegation).clone())
        .filter(|policy| *policy != DelegationPolicy::never());
    if delegation.is_some() {
        outbound.ask_forwardable();
    }
    let plan = Plan {
        outbound: Arc::clone(&outbound),
        environment: environment.clone(),
        target: target.to_owned(),
        requirements: request.requirements,
        flags: checksum_flags(request.requirements),
        bindings: bindings_hash(request.input)?,
        delegation,
    };
    let search = TicketSearch::new(Goal::Service, outbound, server, environment.clone());
    let waiting = Box::new(ExpectKdcReply { search, plan });
    waiting.step(None).map_err(sspi_error)
}

impl ExpectKdcReply {
    /// Goes on with the search; with the ticket, to the AP-REQ.
    pub(crate) fn step(mut self: Box<Self>, reply: Option<Reply<'_>>) -> Result<Outcome, Error> {
        match self.search.step(reply)? {
            Progress::Exchange(request) => {
                Ok(Outcome::Exchange(State::ExpectKdcReply(self), request))
            }
            Progress::Done(ticket) => self.plan.delegate(ticket),
        }
    }
}

impl ExpectForwarded {
    /// Goes on to the delegated ticket, and with or without it to the AP-REQ: SSPI and GSS-API tell the
    /// caller by the attribute whether there is one.
    pub(crate) fn step(mut self: Box<Self>, reply: Option<Reply<'_>>) -> Result<Outcome, Error> {
        match self.forwarding.step(reply) {
            Ok(Progress::Exchange(request)) => {
                Ok(Outcome::Exchange(State::ExpectForwarded(self), request))
            }
            Ok(Progress::Done(forwarded)) => self.plan.show(self.ticket, Some(&forwarded)),
            Err(error) => {
                warn!(
                    client = %self.ticket.credentials.client,
                    spn = %self.ticket.credentials.server,
                    %error,
                    "Nothing is delegated to {}: {error}",
                    self.ticket.credentials.server
                );
                self.plan.show(self.ticket, None)
            }
        }
    }

    pub(crate) fn target(&self) -> &str {
        &self.plan.target
    }
}

/// IDENTIFY lets the server know who the client is and no more, so that it excludes delegation.
fn asks_to_delegate(requirements: InitiatorRequirements) -> bool {
    requirements.contains(InitiatorRequirements::DELEGATE)
        && !requirements.contains(InitiatorRequirements::IDENTIFY)
}

impl Plan {
    /// Gets a ticket to delegate, where one was asked for and may go to this service.
    fn delegate(self, ticket: ServiceTicket) -> Result<Outcome, Error> {
        let Some(policy) = &self.delegation else {
            return self.show(ticket, None);
        };
        // RFC 4120 section 2.8 (conformance row 94): not to a service that its realm does not trust to act
        // for its clients, unless the policy names it.
        if !policy.permits(&ticket.credentials, &self.environment.config) {
            info!(
                client = %ticket.credentials.client,
                spn = %ticket.credentials.server,
                "Nothing is delegated to {}: its ticket does not say OK-AS-DELEGATE, and the client's policy \
                 does not permit it without",
                ticket.credentials.server
            );
            return self.show(ticket, None);
        }
        let waiting = Box::new(ExpectForwarded {
            forwarding: Forwarding::new(Arc::clone(&self.outbound), self.environment.clone()),
            ticket,
            plan: self,
        });
        waiting.step(None)
    }

    /// The KRB-CRED for the checksum, under the ticket's session key (RFC 4121 section 4.1.1.1,
    /// conformance row 95); `None` where no token has room for it.
    fn delegation_message(
        &self,
        ticket: &Credentials,
        forwarded: &Credentials,
    ) -> Result<Option<Vec<u8>>, Error> {
        let policy = &self.environment.config.permitted_enctypes;
        let session_key =
            ticket
                .session_key
                .key(policy)
                .map_err(|source| KerberosError::Crypto {
                    operation: "use of the session key",
                    source,
                })?;
        let offset = self.outbound.time_offset()?;
        let message = build_krb_cred(&[forwarded], &session_key, offset, &self.environment)?;
        let length = message
            .len()
            .saturating_add(ticket.ticket.len())
            .saturating_add(TOKEN_MARGIN);
        if length > MAX_TOKEN {
            warn!(
                spn = %ticket.server,
                "Nothing is delegated to {}: the token would have {length} bytes, more than cbMaxToken ({MAX_TOKEN})",
                ticket.server
            );
            return Ok(None);
        }
        Ok(Some(message))
    }

    /// Builds the AP-REQ.
    fn show(
        mut self,
        ticket: ServiceTicket,
        forwarded: Option<&Credentials>,
    ) -> Result<Outcome, Error> {
        let delegation = match forwarded {
            Some(forwarded) => self.delegation_message(&ticket.credentials, forwarded)?,
            None => None,
        };
        // ISC_RET_DELEGATE says what was sent, never what was asked.
        self.flags.set(GssFlags::DELEG, delegation.is_some());
        let checksum = GssChecksum {
            bindings: self.bindings.unwrap_or_default(),
            flags: self.flags,
            delegation,
            extensions: Vec::new(),
        };
        let credentials = ticket.credentials;
        let mut request = ApRequest::new(&credentials);
        request.time_offset = self.outbound.time_offset()?;
        request.mutual = self.flags.contains(GssFlags::MUTUAL);
        request.dce_style = self.flags.contains(GssFlags::DCE_STYLE);
        request.checksum = Some(Checksum::new(ChecksumType::GSSAPI.0, checksum.encode()?));
        // MS-KILE section 3.2.5.8: said where bindings are sent, so that their absence on the
        // acceptor's side means that they were taken away; and always where the configuration says
        // that every program here knows them.
        request.client_aware_channel_bindings =
            self.bindings.is_some() || self.environment.config.client_aware_channel_bindings;
        let sent = ap::build_ap_req(&request, &self.environment)?;
        let raw = self.flags.contains(GssFlags::DCE_STYLE);
        let token = frame(TokenId::ApReq, &sent.message, raw);
        let next = match sent.next {
            AfterApReq::ExpectApReply(reply) => State::ExpectApReply(Box::new(ExpectPeer {
                reply,
                credentials,
                proof: ticket.proof,
                plan: self,
            })),
            AfterApReq::Established(agreement, not_requested) => {
                let proofs = InitiatorProofs {
                    ticket: ticket.proof,
                    mutual: MutualProof::NotRequested(not_requested),
                };
                self.establish(&agreement, &credentials, proofs)?
            }
        };
        Ok(Outcome::Token(next, Some(token)))
    }

    fn establish(
        self,
        agreement: &Agreement,
        credentials: &Credentials,
        proofs: InitiatorProofs,
    ) -> Result<State, Error> {
        let attributes = initiator_attributes(self.flags, self.requirements);
        let facts = Facts {
            client: credentials.client.clone(),
            server: credentials.server.clone(),
            target: self.target,
            start: credentials.valid_from(),
            end: credentials.endtime,
            flags: self.flags,
            attributes: EstablishedAttributes::Initiator(attributes),
            time_offset: self.outbound.time_offset()?,
            authorization: None,
            delegated: None,
        };
        let session = Session::new(
            agreement,
            facts,
            &self.environment,
            Proofs::Initiator(proofs),
        )?;
        Ok(State::Established(Box::new(session)))
    }
}

impl ExpectPeer {
    /// Takes the acceptor's answer.
    pub(crate) fn step(self, token: Option<&[u8]>) -> Result<Outcome, Error> {
        let expected = "AP-REP";
        // RFC 2743 section 2.2: a continuation needs a token (conformance row 119).
        let token = token.ok_or(TokenError::Missing { expected })?;
        let message = if self.reply.is_dce_style() || token.first() == Some(&KRB_ERROR_TAG) {
            // DCE style has no framing (MS-KILE section 3.4.5.1); an error may come without too.
            token
        } else if is_framed(token) {
            unframe(token, &[TokenId::ApRep, TokenId::Error], expected)?
        } else {
            return Err(TokenError::FramingMissing.into());
        };
        let ApReplied {
            agreement,
            verified,
            third_leg,
            ..
        } = match self.reply.handle(message) {
            Ok(replied) => replied,
            Err(error) => {
                forget_useless_ticket(&self.plan, &self.credentials, &error)?;
                return Err(error.into());
            }
        };
        let proofs = InitiatorProofs {
            ticket: self.proof,
            mutual: MutualProof::Verified(verified),
        };
        let next = self.plan.establish(&agreement, &self.credentials, proofs)?;
        Ok(Outcome::Token(next, third_leg))
    }

    pub(crate) fn target(&self) -> &str {
        &self.plan.target
    }
}

impl ExpectKdcReply {
    pub(crate) fn target(&self) -> &str {
        &self.plan.target
    }
}

/// A service whose key was changed cannot open the ticket that is kept: the next context gets a new
/// one. The KRB-ERROR is not authenticated, and somebody who made it up gains one more TGS exchange.
fn forget_useless_ticket(
    plan: &Plan,
    credentials: &Credentials,
    error: &KerberosError,
) -> Result<(), Error> {
    let KerberosError::PeerRefused(refusal) = error else {
        return Ok(());
    };
    match refusal.code {
        error_code::KRB_AP_ERR_MODIFIED
        | error_code::KRB_AP_ERR_NOKEY
        | error_code::KRB_AP_ERR_BADKEYVER
        | error_code::KRB_AP_ERR_TKT_EXPIRED => plan.outbound.forget(&credentials.server),
        _ => Ok(()),
    }
}
