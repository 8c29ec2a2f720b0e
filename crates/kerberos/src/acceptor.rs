//! The acceptor's handshake.

use tracing::debug;
use trihound_asn1::gss::{GssChecksum, GssFlags, TokenId, is_framed};
use trihound_asn1::{ApOptions, ApReq, Message};
use trihound_krb5::ap::{
    self, AcceptPolicy, AcceptedApReq, Agreement, ApRepOptions, BindingDemand,
    ChannelBindingChecked, accept_ap_req, check_gss_checksum,
};
use trihound_krb5::{
    Environment, Error as KerberosError, PeerMisbehaved, Principal, ReplayCache, build_krb_error,
};
use trihound_sspi::{
    AcceptRequest, AcceptorRequirements, BufferType, EstablishedAttributes, SecBufferDesc,
};

use crate::attributes::{acceptor_attributes, normalized};
use crate::authorization;
use crate::context::{Outcome, State, frame, unframe};
use crate::credential::{Inbound, KerberosCredential};
use crate::delegation;
use crate::error::{Error, TokenError, sspi_error};
use crate::initiator::bindings_hash;
use crate::session::{AcceptorProofs, Facts, LastLeg, Proofs, Session};

/// First byte of an AP-REQ: `[APPLICATION 14]`, constructed.
const AP_REQ_TAG: u8 = 0x6e;

/// No AP-REP token of ours is longer, in bytes: with the longest sub-key, MAC and numbers it has
/// about 190.
const MAX_AP_REP_TOKEN: usize = 256;

/// What an acceptor works with.
pub(crate) struct Surroundings<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) replay_cache: &'a dyn ReplayCache,
    pub(crate) policy: &'a AcceptPolicy,
}

/// Awaits the third leg of a DCE-style handshake.
#[derive(Debug)]
pub(crate) struct ExpectThirdLeg {
    third_leg: ap::ExpectThirdLeg,
    agreement: Agreement,
    facts: Facts,
    proofs: AcceptorProofs,
    environment: Environment,
}

/// What the caller asked for, and the keys for it.
struct Demand<'a> {
    inbound: &'a Inbound,
    requirements: AcceptorRequirements,
    bindings: BindingDemand,
    /// Whether the token came without framing.
    raw: bool,
}

/// The first call.
pub(crate) fn begin(
    credential: &KerberosCredential,
    request: &AcceptRequest<'_>,
    surroundings: &Surroundings<'_>,
    output: &mut SecBufferDesc<'_, '_>,
) -> Result<Outcome, trihound_sspi::Error> {
    let inbound = credential.inbound().map_err(sspi_error)?;
    let requirements = request.requirements.normalized();
    let bindings = binding_demand(bindings_hash(request.input)?, requirements);
    let expected = "AP-REQ";
    let token = request
        .input
        .and_then(|input| input.token())
        .ok_or_else(|| sspi_error(TokenError::Missing { expected }))?;
    let raw = !is_framed(token);
    let message = if raw {
        token
    } else {
        unframe(token, &[TokenId::ApReq], expected).map_err(sspi_error)?
    };
    // RFC 4121 section 4.1, MS-KILE section 3.4.5.1: without framing there is an AP-REQ or nothing.
    if raw && message.first() != Some(&AP_REQ_TAG) {
        return Err(sspi_error(TokenError::FramingMissing));
    }
    check_room(message, output)?;
    let demand = Demand {
        inbound: &inbound,
        requirements,
        bindings,
        raw,
    };
    demand.accept(message, surroundings).map_err(|error| {
        debug!(%error, "Refused the client's token: {error}");
        tell_peer(&error, message, &demand, surroundings, output);
        sspi_error(error)
    })
}

fn binding_demand(hash: Option<[u8; 16]>, requirements: AcceptorRequirements) -> BindingDemand {
    match hash {
        Some(hash) if !requirements.contains(AcceptorRequirements::PROXY_BINDINGS) => {
            BindingDemand::Channel {
                hash,
                allow_missing: requirements.contains(AcceptorRequirements::ALLOW_MISSING_BINDINGS),
            }
        }
        _ => BindingDemand::NoChannel,
    }
}

/// An AP-REQ is good for one use, so room for the answer is looked for before it is used up: the
/// same call with a larger buffer has to succeed.
fn check_room(message: &[u8], output: &SecBufferDesc<'_, '_>) -> Result<(), trihound_sspi::Error> {
    let room = match output.find(BufferType::TOKEN) {
        Some(buffer) if buffer.is_allocate() => return Ok(()),
        Some(buffer) => buffer.capacity(),
        None => 0,
    };
    if room >= MAX_AP_REP_TOKEN || !wants_answer(message) {
        return Ok(());
    }
    Err(trihound_sspi::Error::buffer_too_small(
        "output TOKEN",
        MAX_AP_REP_TOKEN,
        room,
    ))
}

/// The clear part of the AP-REQ; nothing in it is believed yet.
fn wants_answer(message: &[u8]) -> bool {
    ApReq::from_der(message)
        .is_ok_and(|request| request.ap_options.contains(ApOptions::MUTUAL_REQUIRED))
}

impl Demand<'_> {
    fn accept(&self, message: &[u8], surroundings: &Surroundings<'_>) -> Result<Outcome, Error> {
        let environment = surroundings.environment;
        let keytab = self.inbound.keytab()?;
        let accepted = accept_ap_req(
            message,
            &ap::AcceptRequest {
                keytab: &keytab,
                principal: self.inbound.principal.as_ref(),
                policy: surroundings.policy,
                replay_cache: surroundings.replay_cache,
                client_address: None,
            },
            environment,
        )?;
        let (checksum, mut flags, bindings) = self.check_checksum(&accepted)?;
        // MS-KILE section 3.4.5.1: framing is left out in DCE style only.
        if self.raw && !flags.contains(GssFlags::DCE_STYLE) {
            return Err(TokenError::FramingMissing.into());
        }
        let authorization = authorization::of_ticket(&accepted)?;
        let delegated = delegation::received(
            &checksum,
            &accepted,
            surroundings.policy.plain_credentials,
            environment,
        )?;
        flags.set(GssFlags::DELEG, delegated.is_some());
        let mut facts = self.facts(&accepted, flags, environment);
        facts.authorization = Some(Box::new(authorization));
        facts.delegated = delegated;
        self.answer(accepted, facts, bindings, environment)
    }

    fn check_checksum(
        &self,
        accepted: &AcceptedApReq,
    ) -> Result<(GssChecksum, GssFlags, ChannelBindingChecked), Error> {
        let (checksum, checked) =
            check_gss_checksum(accepted, &self.bindings).map_err(Error::Kerberos)?;
        let proxied = self
            .requirements
            .contains(AcceptorRequirements::PROXY_BINDINGS);
        // ASC_REQ_PROXY_BINDINGS: the client binds to the proxy's channel, so it has to bind.
        if proxied && checksum.bindings == [0; 16] {
            let missing = PeerMisbehaved::ChannelBindingsMissing;
            return Err(KerberosError::PeerMisbehaved(missing).into());
        }
        let mut flags = normalized(checksum.flags);
        // RFC 4120 section 3.2.4: an AP-REP is due when the AP-REQ asks for one, whatever the
        // checksum says; and MUTUAL is what a context with an AP-REP has.
        flags.set(
            GssFlags::MUTUAL,
            flags.contains(GssFlags::MUTUAL) || accepted.mutual_required(),
        );
        Ok((checksum, flags, checked))
    }

    fn answer(
        &self,
        accepted: AcceptedApReq,
        facts: Facts,
        bindings: ChannelBindingChecked,
        environment: &Environment,
    ) -> Result<Outcome, Error> {
        let flags = facts.flags;
        let raw = flags.contains(GssFlags::DCE_STYLE);
        let (agreement, reply, third_leg) = if flags.contains(GssFlags::MUTUAL) {
            let options = ApRepOptions {
                subkey: true,
                dce_style: raw,
            };
            let sent = accepted.build_ap_rep(options, environment)?;
            let token = frame(TokenId::ApRep, &sent.message, raw);
            (sent.agreement, Some(token), sent.third_leg)
        } else {
            let (agreement, _) = accepted.agree_without_reply();
            (agreement, None, None)
        };
        let proofs = AcceptorProofs {
            authenticator: accepted.verified,
            not_replayed: accepted.not_replayed,
            bindings,
            pac: accepted.pac,
        };
        let next = match third_leg {
            Some(third_leg) => State::ExpectThirdLeg(Box::new(ExpectThirdLeg {
                third_leg,
                agreement,
                facts,
                proofs,
                environment: environment.clone(),
            })),
            None => {
                let proofs = Proofs::Acceptor(proofs, LastLeg::ByAcceptor);
                let session = Session::new(&agreement, facts, environment, proofs)?;
                State::Established(Box::new(session))
            }
        };
        Ok(Outcome::Token(next, reply))
    }

    fn facts(&self, accepted: &AcceptedApReq, flags: GssFlags, environment: &Environment) -> Facts {
        let ticket = &accepted.ticket;
        let start = ticket.starttime.unwrap_or(ticket.authtime);
        Facts {
            client: accepted.client.clone(),
            server: accepted.server.clone(),
            target: accepted.server.to_string(),
            start: trihound_sansio::Timestamp::from_seconds(start.seconds()),
            end: accepted.endtime().plus(environment.config.clock_skew),
            flags,
            attributes: EstablishedAttributes::Acceptor(acceptor_attributes(
                flags,
                self.requirements,
            )),
            time_offset: 0,
            authorization: None,
            delegated: None,
        }
    }
}

impl ExpectThirdLeg {
    /// Takes the initiator's AP-REP.
    pub(crate) fn step(self, token: Option<&[u8]>) -> Result<Outcome, Error> {
        // RFC 2743 section 2.2: a continuation needs a token (conformance row 119).
        let token = token.ok_or(TokenError::Missing {
            expected: "third leg's AP-REP",
        })?;
        let verified = self.third_leg.handle(token)?;
        let session = Session::new(
            &self.agreement,
            self.facts,
            &self.environment,
            Proofs::Acceptor(self.proofs, LastLeg::Third(verified)),
        )?;
        Ok(Outcome::Token(State::Established(Box::new(session)), None))
    }
}

/// Puts a KRB-ERROR into the output, where the peer waits for an answer or the caller wants it told
/// (EXTENDED_ERROR). It says no more than the code; a buffer that is too small goes without.
fn tell_peer(
    error: &Error,
    message: &[u8],
    demand: &Demand<'_>,
    surroundings: &Surroundings<'_>,
    output: &mut SecBufferDesc<'_, '_>,
) {
    let Error::Kerberos(error) = error else {
        return;
    };
    let Ok(request) = ApReq::from_der(message) else {
        return;
    };
    let wanted = demand
        .requirements
        .contains(AcceptorRequirements::EXTENDED_ERROR)
        || request.ap_options.contains(ApOptions::MUTUAL_REQUIRED);
    let Ok(ticket) = request.ticket.decode() else {
        return;
    };
    if !wanted {
        return;
    }
    let server = Principal {
        realm: ticket.realm,
        name: ticket.sname,
    };
    if let Ok(Some(refusal)) = build_krb_error(error, &server, surroundings.environment) {
        let token = frame(TokenId::Error, &refusal, demand.raw);
        // Without room the peer learns of the failure from the connection alone.
        let _ = output.write_token(&token);
    }
}
