//! The mechListMIC (RFC 4178 section 5), and the proofs without which no session is built.
//!
//! The exact conditions under which a negotiation may end without a mechListMIC are
//! [`MicNotRequired::check`] and nowhere else.

use trihound_sspi::{
    ContextAttribute, ContextAttributeValue, ContextRef, MechListMic, SecBuffer, SecBufferDesc,
    SecurityFunctionTable,
};

use crate::error::{Error, PeerMisbehaved, PolicyError};
use crate::export::Imported;
use crate::mechanism::Done;

/// Room for a signature of a mechanism that does not tell its sizes, in bytes: far above any signature
/// in use.
const LONGEST_SIGNATURE: usize = 1024;

/// Proof that the peer's mechListMIC is that of the list that this side sent or received.
#[derive(Debug)]
pub(crate) struct MicVerified(());

/// Proof that no mechListMIC has to be there.
#[derive(Debug)]
pub(crate) struct MicNotRequired(());

/// Proof that there was no negotiation: a mechanism's own token came, and the policy took it.
#[derive(Debug)]
pub(crate) struct NotNegotiated(());

/// What a session cannot be built without.
#[derive(Debug)]
pub(crate) enum ChoiceProof {
    MicVerified(#[allow(dead_code)] MicVerified),
    MicNotRequired(#[allow(dead_code)] MicNotRequired),
    NotNegotiated(#[allow(dead_code)] NotNegotiated),
    Imported(#[allow(dead_code)] Imported),
}

/// Where the exchange of mechListMICs stands.
#[derive(Debug, Default)]
pub(crate) struct MicExchange {
    /// Why it has to be, if it has to.
    required: Option<&'static str>,
    /// The choice is not the initiator's first (RFC 4178 section 5).
    reselected: bool,
    sent: bool,
    verified: Option<MicVerified>,
}

/// Why a mechListMIC has to be.
pub(crate) mod why {
    pub(crate) const RESELECTED: &str =
        "the mechanism chosen is not the first that the initiator offered";
    pub(crate) const LESS_PREFERRED: &str =
        "the acceptor would have preferred another mechanism than the one chosen";
    pub(crate) const REQUESTED: &str = "the acceptor asked for it (request-mic)";
    pub(crate) const MECHANISM: &str = "the mechanism's own exchange is protected by a MIC";
    pub(crate) const PEER_SENT: &str = "this side received one, and the exchange goes both ways";
    pub(crate) const LAST_TOKEN: &str = "this side sent one with its last token";
    pub(crate) const INCOMPLETE: &str =
        "the acceptor says accept-incomplete although the mechanism is done";
}

impl MicExchange {
    /// From now on the exchange has to be.
    pub(crate) fn require(&mut self, why: &'static str) {
        self.required.get_or_insert(why);
    }

    /// The choice is not the initiator's first.
    pub(crate) fn reselect(&mut self) {
        self.reselected = true;
        self.require(why::RESELECTED);
    }

    pub(crate) fn is_required(&self) -> bool {
        self.required.is_some()
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sent
    }

    /// What the mechanism itself says, once it is done.
    pub(crate) fn learn(&mut self, done: &Done) {
        if done.established.mech_list_mic == MechListMic::Required {
            self.require(why::MECHANISM);
        }
    }

    /// Whether the peer's is still to come.
    pub(crate) fn is_awaited(&self, done: &Done) -> bool {
        self.is_required() && done.has_integrity() && self.verified.is_none()
    }

    /// Whether this side's is still to be sent.
    pub(crate) fn is_due(&self, done: &Done) -> bool {
        self.is_required() && done.has_integrity() && !self.sent
    }

    /// The peer's is not there where it has to be.
    pub(crate) fn missing(&self) -> PeerMisbehaved {
        PeerMisbehaved::MicMissing {
            why: self.required.unwrap_or(why::PEER_SENT),
        }
    }

    /// Makes this side's.
    pub(crate) fn make(
        &mut self,
        table: &SecurityFunctionTable,
        done: &Done,
        mech_types: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let mic = make_mic(table, done, mech_types).map_err(|source| Error::Mechanism {
            package: done.arm.package().to_owned(),
            task: "make a mechListMIC",
            source,
        })?;
        self.sent = true;
        Ok(mic)
    }

    /// Checks the peer's; `list` says whether this side sent or received the list.
    pub(crate) fn verify(
        &mut self,
        table: &SecurityFunctionTable,
        done: &Done,
        mech_types: &[u8],
        mic: &[u8],
        list: &'static str,
    ) -> Result<(), Error> {
        // RFC 4178 section 5: one in each direction.
        if self.verified.is_some() {
            return Err(PeerMisbehaved::SecondMic.into());
        }
        // RFC 4178 section 5: without integrity no mechListMIC is used (conformance row 170).
        if !done.has_integrity() {
            return Err(PeerMisbehaved::MicWithoutIntegrity {
                package: done.arm.package().to_owned(),
            }
            .into());
        }
        // RFC 4178 section 5: one that is incorrect ends the negotiation (conformance row 28).
        if let Err(source) = verify_mic(table, done, mech_types, mic) {
            return Err(PeerMisbehaved::MicWrong { list, source }.into());
        }
        self.verified = Some(MicVerified(()));
        // RFC 4178 section 5 (b)(I), (c)(I): one received is answered (conformance row 30).
        self.require(why::PEER_SENT);
        Ok(())
    }

    /// Refuses a choice that nothing can protect, before more of the mechanism goes out.
    pub(crate) fn check_protectable(
        &self,
        done: &Done,
        preferred: &str,
        unprotected_allowed: bool,
    ) -> Result<(), PolicyError> {
        // RFC 4178 section 5: in all cases but the first choice MICs are exchanged; a context that
        // cannot is let in by `danger` alone.
        if self.reselected && !done.has_integrity() && !unprotected_allowed {
            return Err(PolicyError::UnprotectedReselection {
                package: done.arm.package().to_owned(),
                preferred: preferred.to_owned(),
            });
        }
        Ok(())
    }

    /// The proof, at the end.
    pub(crate) fn conclude(
        self,
        done: &Done,
        preferred: &str,
        unprotected_allowed: bool,
    ) -> Result<ChoiceProof, Error> {
        self.check_protectable(done, preferred, unprotected_allowed)?;
        match self.verified {
            Some(verified) => Ok(ChoiceProof::MicVerified(verified)),
            None => MicNotRequired::check(self.required, done).map(ChoiceProof::MicNotRequired),
        }
    }

    /// Whether both were made and checked.
    pub(crate) fn is_both_ways(&self) -> bool {
        self.sent && self.verified.is_some()
    }
}

impl MicNotRequired {
    /// RFC 4178 section 5: no mechListMIC is needed where the mechanism has no integrity, and none
    /// where nothing requires it, which takes that the initiator's first mechanism was chosen, that the
    /// acceptor has no better one, that nobody asked for it or sent one, and that the mechanism does not
    /// insist (conformance rows 28 and 30).
    fn check(required: Option<&'static str>, done: &Done) -> Result<Self, Error> {
        match required {
            Some(why) if done.has_integrity() => Err(PeerMisbehaved::MicMissing { why }.into()),
            _ => Ok(Self(())),
        }
    }
}

impl NotNegotiated {
    /// The policy took the bare token.
    pub(crate) fn accepted() -> Self {
        Self(())
    }
}

fn max_signature(context: &ContextRef) -> usize {
    match context.query_context_attributes(ContextAttribute::Sizes) {
        Ok(ContextAttributeValue::Sizes(sizes)) => {
            usize::try_from(sizes.max_signature).unwrap_or(LONGEST_SIGNATURE)
        }
        _ => LONGEST_SIGNATURE,
    }
}

/// GSS_GetMIC over the DER of the MechTypeList as sent, quality of protection 0 (RFC 4178 section 5 (a);
/// conformance row 29).
fn make_mic(
    table: &SecurityFunctionTable,
    done: &Done,
    mech_types: &[u8],
) -> Result<Vec<u8>, trihound_sspi::Error> {
    let context = table.context(done.handle.handle())?;
    let mut token = vec![0; max_signature(&context)];
    let mut buffers = [
        SecBuffer::data_input(mech_types),
        SecBuffer::token(&mut token),
    ];
    context.make_signature(0, &mut SecBufferDesc::new(&mut buffers), 0)?;
    let [_, mic] = &buffers;
    Ok(mic.bytes().to_vec())
}

fn verify_mic(
    table: &SecurityFunctionTable,
    done: &Done,
    mech_types: &[u8],
    mic: &[u8],
) -> Result<(), trihound_sspi::Error> {
    let context = table.context(done.handle.handle())?;
    let mut buffers = [
        SecBuffer::data_input(mech_types),
        SecBuffer::token_input(mic),
    ];
    context
        .verify_signature(&mut SecBufferDesc::new(&mut buffers), 0)
        .map(|_| ())
}
