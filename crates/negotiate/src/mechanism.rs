//! Calls of a mechanism through the table, by a handle that is freed once.

use std::sync::Arc;

use trihound_sansio::{ExchangeRequest, Reply};
use trihound_sspi::{
    AcceptRequest, AcceptorRequirements, AccessToken, BufferType, Error as SspiError, Established,
    HandshakeOutcome, InitializeRequest, InitiatorRequirements, InputDesc, MechListMic,
    OwnedCtxtHandle, SecBuffer, SecBufferDesc, SecurityFunctionTable, SecurityStatus, Step,
};

use crate::credential::Arm;
use crate::error::{ApiMisuse, Attempt, sspi_error};

/// The buffers that came beside the token (CHANNEL_BINDINGS and others), kept for later legs: NTLM binds
/// to the channel in its second.
#[derive(Clone, Default)]
pub(crate) struct Extras(Vec<(BufferType, Vec<u8>)>);

impl Extras {
    /// What a call brought along, or what an earlier one did.
    pub(crate) fn update(&mut self, input: Option<InputDesc<'_>>) {
        let given: Vec<_> = input
            .map(|input| input.buffers())
            .unwrap_or_default()
            .iter()
            .filter(|buffer| !matches!(buffer.buffer_type(), BufferType::TOKEN | BufferType::EMPTY))
            .map(|buffer| (buffer.buffer_type(), buffer.bytes().to_vec()))
            .collect();
        if !given.is_empty() {
            self.0 = given;
        }
    }

    /// These buffers with a token before them.
    fn with_token<'a>(&'a self, token: Option<&'a [u8]>) -> Vec<SecBuffer<'a>> {
        token
            .map(SecBuffer::token_input)
            .into_iter()
            .chain(
                self.0
                    .iter()
                    .map(|(buffer_type, bytes)| SecBuffer::input(*buffer_type, bytes)),
            )
            .collect()
    }
}

/// How much room the mechanism's token may take.
#[derive(Clone, Copy)]
pub(crate) enum Room {
    /// Whatever it needs.
    Any,
    /// What the caller's own buffer leaves. A mechanism that needs more says so before it uses the
    /// peer's token up, so that the caller can come again.
    Bytes(usize),
}

/// A mechanism's context under way.
pub(crate) struct Running {
    pub(crate) arm: Arc<Arm>,
    pub(crate) handle: OwnedCtxtHandle,
}

/// A mechanism's context that is established.
pub(crate) struct Done {
    pub(crate) arm: Arc<Arm>,
    pub(crate) handle: OwnedCtxtHandle,
    pub(crate) established: Established,
}

impl Done {
    /// Whether this side can make and check a mechListMIC (RFC 4178 section 5).
    pub(crate) fn has_integrity(&self) -> bool {
        self.established.mech_list_mic != MechListMic::Impossible
    }
}

/// A mechanism's context, under way or established.
pub(crate) enum Inner {
    Running(Running),
    Done(Done),
}

impl Inner {
    pub(crate) fn arm(&self) -> &Arc<Arm> {
        match self {
            Self::Running(running) => &running.arm,
            Self::Done(done) => &done.arm,
        }
    }
}

/// What a call of a mechanism came to.
pub(crate) enum Ran {
    /// A token for the peer, perhaps empty.
    Spoke(Inner, Vec<u8>),
    /// A round trip first.
    Exchange(Running, ExchangeRequest),
}

/// A call of a mechanism that failed, perhaps with a token that tells the peer.
pub(crate) struct Failure {
    pub(crate) error: SspiError,
    pub(crate) token: Vec<u8>,
}

impl Failure {
    pub(crate) fn attempt(self, arm: &Arm) -> Attempt {
        Attempt {
            package: arm.package().to_owned(),
            error: self.error,
            begun: true,
        }
    }

    /// A package whose tokens are longer than it says: no buffer of the caller's would help.
    fn not_the_callers(self, arm: &Arm) -> Self {
        if !self.is_room() {
            return self;
        }
        let text = format!(
            "{} needs more than the {} bytes that it says its tokens have at most; this is a fault of \
             the package",
            arm.package(),
            arm.info.max_token
        );
        Self {
            error: SspiError::new(SecurityStatus::SEC_E_INTERNAL_ERROR, text)
                .with_source(self.error),
            token: self.token,
        }
    }

    /// The buffer that the caller gave is what is too small; nothing was used up.
    pub(crate) fn is_room(&self) -> bool {
        self.error.status() == SecurityStatus::SEC_E_BUFFER_TOO_SMALL
    }
}

/// What an initiator's mechanism is called with.
pub(crate) struct Initiate<'a> {
    pub(crate) table: &'a SecurityFunctionTable,
    pub(crate) target: Option<&'a str>,
    pub(crate) requirements: InitiatorRequirements,
    pub(crate) extras: &'a Extras,
    pub(crate) impersonation: Option<&'a Arc<AccessToken>>,
    pub(crate) reason: Option<&'a SspiError>,
}

/// What an acceptor's mechanism is called with.
pub(crate) struct Accept<'a> {
    pub(crate) table: &'a SecurityFunctionTable,
    pub(crate) requirements: AcceptorRequirements,
    pub(crate) extras: &'a Extras,
    pub(crate) room: Room,
}

impl Initiate<'_> {
    /// Begins a context, or goes on with one.
    pub(crate) fn call(
        &self,
        arm: Arc<Arm>,
        running: Option<OwnedCtxtHandle>,
        token: Option<&[u8]>,
    ) -> Result<Ran, Failure> {
        let input = self.extras.with_token(token);
        let request = InitializeRequest {
            target_name: self.target,
            requirements: self.requirements,
            input: (!input.is_empty()).then(|| InputDesc::new(&input)),
            impersonation: self.impersonation,
            fallback_reason: self.reason,
        };
        let credential = arm.credential.handle();
        let context = running.as_ref().map(OwnedCtxtHandle::handle);
        let called = with_output(&arm, Room::Any, |output| {
            self.table
                .initialize_security_context(Some(credential), context, request, output)
        })?;
        ran(self.table, arm, running, called)
    }
}

impl Accept<'_> {
    /// Begins a context, or goes on with one.
    pub(crate) fn call(
        &self,
        arm: Arc<Arm>,
        running: Option<OwnedCtxtHandle>,
        token: Option<&[u8]>,
    ) -> Result<Ran, Failure> {
        let input = self.extras.with_token(token);
        let request = AcceptRequest {
            requirements: self.requirements,
            input: (!input.is_empty()).then(|| InputDesc::new(&input)),
        };
        let credential = arm.credential.handle();
        let context = running.as_ref().map(OwnedCtxtHandle::handle);
        let called = with_output(&arm, self.room, |output| {
            self.table
                .accept_security_context(Some(credential), context, request, output)
        })?;
        ran(self.table, arm, running, called)
    }
}

/// Goes on after a round trip of the mechanism.
pub(crate) fn complete_exchange(
    table: &SecurityFunctionTable,
    running: Running,
    reply: Reply<'_>,
) -> Result<Ran, Failure> {
    let Running { arm, handle } = running;
    let context = handle.handle();
    let called = with_output(&arm, Room::Any, |output| {
        table.complete_exchange(context, reply, output)
    })?;
    ran(table, arm, Some(handle), called)
}

/// Calls with a TOKEN buffer of ours. A mechanism that does not let such a buffer grow is called again
/// with the longest that it says it needs; the contract has a call whose buffer was too small change
/// nothing.
fn with_output(
    arm: &Arm,
    room: Room,
    mut call: impl FnMut(&mut SecBufferDesc<'_, '_>) -> Result<HandshakeOutcome, SspiError>,
) -> Result<(HandshakeOutcome, Vec<u8>), Failure> {
    let mut once = |buffer: SecBuffer<'_>| {
        let mut buffers = [buffer];
        let outcome = call(&mut SecBufferDesc::new(&mut buffers));
        let token = buffers
            .first()
            .map(|buffer| buffer.bytes().to_vec())
            .unwrap_or_default();
        match outcome {
            Ok(outcome) => Ok((outcome, token)),
            Err(error) => Err(Failure { error, token }),
        }
    };
    match room {
        Room::Bytes(length) => once(SecBuffer::owned(BufferType::TOKEN, vec![0; length])),
        Room::Any => match once(SecBuffer::allocate(BufferType::TOKEN)) {
            Err(failure) if failure.is_room() => {
                let length = usize::try_from(arm.info.max_token).unwrap_or(usize::MAX);
                once(SecBuffer::owned(BufferType::TOKEN, vec![0; length]))
                    .map_err(|failure| failure.not_the_callers(arm))
            }
            other => other,
        },
    }
}

fn ran(
    table: &SecurityFunctionTable,
    arm: Arc<Arm>,
    running: Option<OwnedCtxtHandle>,
    (outcome, token): (HandshakeOutcome, Vec<u8>),
) -> Result<Ran, Failure> {
    let silent = |error| Failure {
        error,
        token: Vec::new(),
    };
    let handle = match running {
        Some(handle) => handle,
        None => table.own_context(outcome.context).map_err(silent)?,
    };
    Ok(match outcome.step {
        Step::Complete(established) => Ran::Spoke(
            Inner::Done(Done {
                arm,
                handle,
                established,
            }),
            token,
        ),
        Step::ContinueNeeded => Ran::Spoke(Inner::Running(Running { arm, handle }), token),
        Step::ExchangeNeeded(request) => Ran::Exchange(Running { arm, handle }, request),
        Step::CompleteNeeded { .. } => {
            return Err(silent(sspi_error(ApiMisuse::CompleteAuthToken {
                package: arm.package().to_owned(),
            })));
        }
    })
}
