//! The handshake, and the end of a context.

use trihound::blocking::complete_exchanges;
use trihound::sspi::{
    AcceptRequest, AcceptorAttributes, AcceptorRequirements, ContextAttribute,
    ContextAttributeValue, CredHandle as Credential, CtxtHandle as Context, Error,
    EstablishedAttributes, Expiry, HandshakeOutcome, InitializeRequest, InitiatorAttributes,
    InitiatorRequirements, SecBufferDesc as Buffers, SecurityStatus,
};

use crate::buffers::{Data, Input, Message, Output};
use crate::guard::{Answer, OK};
use crate::moment::expiry;
use crate::pointer::{Out, parameter, put};
use crate::provider::{Provider, provider};
use crate::text::{Text, text};
use crate::types::{CredHandle, CtxtHandle, SecBufferDesc, SecHandle, TimeStamp, ULONG};
use crate::{handles, token};

/// Where the results of a handshake call go, and what the call is about.
struct Places {
    /// On a first call alone: later the context knows its own, which may have been freed.
    credential: Option<Credential>,
    context: Option<Context>,
    new_context: Option<Out<SecHandle>>,
    attributes: Option<Out<ULONG>>,
    expiry: Option<Out<TimeStamp>>,
}

impl Places {
    unsafe fn new(
        credential: *const CredHandle,
        context: *const CtxtHandle,
        new_context: *mut CtxtHandle,
        attributes: *mut ULONG,
        expiry: *mut TimeStamp,
    ) -> Result<Self, Error> {
        // SAFETY: what the C caller promises.
        unsafe {
            let context = handles::optional::<Context>(context)?;
            let credential = match context {
                Some(_) => None,
                None => Some(handles::required::<Credential>(credential)?),
            };
            let new_context = Out::optional(new_context, "phNewContext")?;
            if context.is_none() && new_context.is_none() {
                return Err(parameter(
                    "phNewContext is NULL on the first call, where the context goes; give it a place",
                ));
            }
            Ok(Self {
                credential,
                context,
                new_context,
                attributes: Out::optional(attributes, "pfContextAttr")?,
                expiry: Out::optional(expiry, "ptsExpiry")?,
            })
        }
    }

    /// Does the round trips that a step needs, and lets nothing live that the caller has no handle of.
    fn finish(
        &self,
        provider: &Provider,
        outcome: HandshakeOutcome,
        output: &mut Buffers<'_, '_>,
    ) -> Result<HandshakeOutcome, Error> {
        let context = outcome.context;
        let mut transport = provider.transport();
        complete_exchanges(&provider.table, outcome, output, &mut *transport).inspect_err(|_| {
            if self.context.is_none() {
                let _ = provider.table.delete_security_context(context);
            }
        })
    }

    /// Tells C what came of it.
    fn put(&self, provider: &Provider, outcome: &HandshakeOutcome, allocated: ULONG) {
        put(self.new_context.as_ref(), handles::to_c(outcome.context));
        let (attributes, end) = match outcome.established() {
            Some(established) => (Some(established.attributes), established.expiry),
            None => (in_progress(provider, outcome.context), Expiry::Never),
        };
        put(
            self.attributes.as_ref(),
            attributes.map_or(0, attribute_bits) | allocated,
        );
        put(self.expiry.as_ref(), expiry(end));
    }
}

/// What is known of a context before it is established.
fn in_progress(provider: &Provider, context: Context) -> Option<EstablishedAttributes> {
    let flags = provider
        .table
        .query_context_attributes(context, ContextAttribute::Flags);
    match flags {
        Ok(ContextAttributeValue::Flags(attributes)) => Some(attributes),
        _ => None,
    }
}

/// The flags of `pfContextAttr`.
pub(crate) fn attribute_bits(attributes: EstablishedAttributes) -> ULONG {
    match attributes {
        EstablishedAttributes::Initiator(attributes) => attributes.bits(),
        EstablishedAttributes::Acceptor(attributes) => attributes.bits(),
    }
}

/// The end of a handshake call: the tokens go out whether it succeeded or not.
fn conclude(
    provider: &Provider,
    places: &Places,
    outcome: Result<HandshakeOutcome, Error>,
    output: &Output,
    allocated: ULONG,
) -> Answer {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            output.put(error.status())?;
            return Err(error);
        }
    };
    let status = outcome.status();
    output.put(status)?;
    places.put(provider, &outcome, allocated);
    Ok(status)
}

pub(crate) unsafe fn initialize<T: Text>(
    credential: *mut CredHandle,
    context: *mut CtxtHandle,
    target_name: *mut T::Unit,
    requirements: ULONG,
    _reserved: ULONG,
    _data_representation: ULONG,
    input: *mut SecBufferDesc,
    _reserved_too: ULONG,
    new_context: *mut CtxtHandle,
    output: *mut SecBufferDesc,
    attributes: *mut ULONG,
    expiry: *mut TimeStamp,
) -> Answer {
    let requirements = InitiatorRequirements::from_bits_retain(requirements);
    let allocate = requirements.contains(InitiatorRequirements::ALLOCATE_MEMORY);
    // SAFETY: what the C caller promises.
    let (places, target, input, mut output) = unsafe {
        (
            Places::new(credential, context, new_context, attributes, expiry)?,
            text::<T>(target_name, "pszTargetName")?,
            Input::read(input)?,
            Output::new(output, allocate)?,
        )
    };
    let provider = provider()?;
    let request = InitializeRequest {
        target_name: target.as_deref(),
        requirements,
        input: input.desc(),
        ..InitializeRequest::default()
    };
    let outcome = {
        let mut buffers = output.desc();
        provider
            .table
            .initialize_security_context(places.credential, places.context, request, &mut buffers)
            .and_then(|outcome| places.finish(provider, outcome, &mut buffers))
    };
    let allocated = if allocate {
        InitiatorAttributes::ALLOCATED_MEMORY.bits()
    } else {
        0
    };
    conclude(provider, &places, outcome, &output, allocated)
}

pub(crate) unsafe fn accept(
    credential: *mut CredHandle,
    context: *mut CtxtHandle,
    input: *mut SecBufferDesc,
    requirements: ULONG,
    _data_representation: ULONG,
    new_context: *mut CtxtHandle,
    output: *mut SecBufferDesc,
    attributes: *mut ULONG,
    expiry: *mut TimeStamp,
) -> Answer {
    let requirements = AcceptorRequirements::from_bits_retain(requirements);
    let allocate = requirements.contains(AcceptorRequirements::ALLOCATE_MEMORY);
    // SAFETY: what the C caller promises.
    let (places, input, mut output) = unsafe {
        (
            Places::new(credential, context, new_context, attributes, expiry)?,
            Input::read(input)?,
            Output::new(output, allocate)?,
        )
    };
    let provider = provider()?;
    let request = AcceptRequest {
        requirements,
        input: input.desc(),
    };
    let outcome = {
        let mut buffers = output.desc();
        provider
            .table
            .accept_security_context(places.credential, places.context, request, &mut buffers)
            .and_then(|outcome| places.finish(provider, outcome, &mut buffers))
    };
    let allocated = if allocate {
        AcceptorAttributes::ALLOCATED_MEMORY.bits()
    } else {
        0
    };
    conclude(provider, &places, outcome, &output, allocated)
}

pub(crate) unsafe fn complete_auth_token(
    context: *mut CtxtHandle,
    token: *mut SecBufferDesc,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (context, token) = unsafe {
        (
            handles::required::<Context>(context)?,
            Message::new(token, Data::Changed, "pToken")?,
        )
    };
    let table = &provider()?.table;
    token.run(|buffers| table.complete_auth_token(context, buffers))?;
    OK
}

pub(crate) unsafe fn apply_control_token(
    context: *mut CtxtHandle,
    input: *mut SecBufferDesc,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (context, input) = unsafe {
        (
            handles::required::<Context>(context)?,
            Message::new(input, Data::Changed, "pInput")?,
        )
    };
    let table = &provider()?.table;
    input.run(|buffers| table.apply_control_token(context, buffers))?;
    OK
}

pub(crate) unsafe fn delete(context: *mut CtxtHandle) -> Answer {
    // SAFETY: what the C caller promises.
    let context = unsafe { handles::required::<Context>(context) }?;
    provider()?.table.delete_security_context(context)?;
    gone(context);
    Ok(SecurityStatus::SEC_E_OK)
}

/// Forgets what is kept beside a context that was deleted.
pub(crate) fn gone(context: Context) {
    token::forget(context);
    handles::forget(handles::to_c(context));
}
