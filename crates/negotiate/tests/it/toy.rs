//! A third party's package, made with nothing but the contract: what it takes to be negotiated.
//!
//! Tokens are the package's name and the number of the leg. A signature is a keyed sum over the data and
//! its number, so that a changed list or a wrong order is found. What a script says decides how many legs
//! there are, what fails, and what needs a round trip.

use std::sync::{Arc, Mutex};

use trihound_sansio::{ExchangeRequest, Reply, Service, TransportHint};
use trihound_sspi::*;

/// How a toy behaves.
#[derive(Clone)]
pub(crate) struct Script {
    /// How many tokens its handshake has; the initiator sends the first.
    pub(crate) legs: u32,
    pub(crate) mic: MechListMic,
    /// The initiator's first call asks somebody first.
    pub(crate) initiator_asks: bool,
    /// The initiator asks somebody before the token of this leg.
    pub(crate) asks_before: Option<u32>,
    /// The acceptor asks somebody before it answers its first token.
    pub(crate) acceptor_asks: bool,
    pub(crate) acquire: Option<SecurityStatus>,
    pub(crate) initiate: Option<SecurityStatus>,
    /// The acceptor refuses the token of this leg, with a token that says so.
    pub(crate) refuse_leg: Option<u32>,
    /// The first token is empty, as NTLM's of a datagram context is.
    pub(crate) silent_start: bool,
    /// Output goes into the buffer's own memory only, as of a package that knows no ALLOCATE_MEMORY.
    pub(crate) fixed_memory: bool,
    /// `cbMaxToken`.
    pub(crate) max_token: u32,
    pub(crate) needs_host_name: bool,
    pub(crate) complete_needed: bool,
    pub(crate) only: CredentialUse,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            legs: 2,
            mic: MechListMic::Possible,
            initiator_asks: false,
            asks_before: None,
            acceptor_asks: false,
            acquire: None,
            initiate: None,
            refuse_leg: None,
            silent_start: false,
            fixed_memory: false,
            max_token: 64,
            needs_host_name: false,
            complete_needed: false,
            only: CredentialUse::BOTH,
        }
    }
}

/// What a toy was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// The first calls of contexts.
    pub(crate) begun: usize,
    pub(crate) mic_done: usize,
    pub(crate) reasons: Vec<Option<SecurityStatus>>,
    pub(crate) bindings: Vec<Option<Vec<u8>>>,
    pub(crate) initiator_asked: Vec<InitiatorRequirements>,
    pub(crate) identities: Vec<Option<String>>,
    /// Tokens that an acceptor took.
    pub(crate) accepted: usize,
}

pub(crate) struct Toy {
    info: SecPkgInfo,
    mechanism: MechanismInfo,
    script: Script,
    pub(crate) log: Arc<Mutex<Log>>,
}

pub(crate) const ALPHA: &str = "1.3.6.1.4.1.99999.1";
pub(crate) const ALPHA_OLD: &str = "1.3.6.1.4.1.99999.11";
pub(crate) const BETA: &str = "1.3.6.1.4.1.99999.2";
pub(crate) const GAMMA: &str = "1.3.6.1.4.1.99999.3";

impl Toy {
    fn new(
        name: &'static str,
        oids: &[&str],
        is_raw_token: fn(&[u8]) -> bool,
        script: Script,
    ) -> RegisteredPackage<Self> {
        RegisteredPackage::new(Self {
            info: SecPkgInfo {
                capabilities: SecPkgCapabilities::INTEGRITY | SecPkgCapabilities::NEGOTIABLE,
                version: 1,
                rpc_id: SECPKG_ID_NONE,
                max_token: script.max_token,
                name: name.into(),
                comment: "a toy".into(),
            },
            mechanism: MechanismInfo {
                oids: oids.iter().map(|oid| (*oid).to_owned()).collect(),
                is_raw_token,
                needs_host_name: script.needs_host_name,
            },
            script,
            log: Arc::default(),
        })
    }

    /// The preferred one of most tests; it has two identifiers.
    pub(crate) fn alpha(script: Script) -> RegisteredPackage<Self> {
        Self::new(
            "Alpha",
            &[ALPHA_OLD, ALPHA],
            |token| token.starts_with(b"Alpha"),
            script,
        )
    }

    pub(crate) fn beta(script: Script) -> RegisteredPackage<Self> {
        Self::new("Beta", &[BETA], |token| token.starts_with(b"Beta"), script)
    }

    pub(crate) fn gamma(script: Script) -> RegisteredPackage<Self> {
        Self::new(
            "Gamma",
            &[GAMMA],
            |token| token.starts_with(b"Gamma"),
            script,
        )
    }

    pub(crate) fn log(&self) -> Log {
        self.log.lock().unwrap().clone()
    }

    fn script(&self) -> Script {
        self.script.clone()
    }

    fn name(&self) -> &str {
        &self.info.name
    }

    fn token(&self, leg: u32) -> Vec<u8> {
        format!("{}{leg}", self.name()).into_bytes()
    }

    fn refused(&self, status: SecurityStatus) -> Error {
        Error::new(status, format!("the toy {} says so", self.name()))
    }

    /// The state after `leg` tokens, and what it means.
    fn after(&self, leg: u32, initiator: bool) -> (Context, Step) {
        let script = self.script();
        if leg < script.legs {
            return (Context::Under { leg }, Step::ContinueNeeded);
        }
        if script.complete_needed {
            let step = Step::CompleteNeeded {
                and_continue: false,
            };
            return (Context::Under { leg }, step);
        }
        let integrity = script.mic != MechListMic::Impossible;
        let attributes = if initiator {
            let mut got = InitiatorAttributes::CONNECTION;
            got.set(InitiatorAttributes::INTEGRITY, integrity);
            EstablishedAttributes::Initiator(got)
        } else {
            let mut got = AcceptorAttributes::CONNECTION;
            got.set(AcceptorAttributes::INTEGRITY, integrity);
            EstablishedAttributes::Acceptor(got)
        };
        let context = Context::Done {
            initiator,
            sent: 0,
            received: 0,
            integrity,
        };
        let step = Step::Complete(Established {
            attributes,
            expiry: Expiry::Never,
            mech_list_mic: script.mic,
        });
        (context, step)
    }

    fn ask(&self) -> Step {
        Step::ExchangeNeeded(ExchangeRequest {
            service: Service::Kdc,
            realm: self.name().to_owned(),
            message: b"may I?".to_vec(),
            hint: TransportHint::Any,
            route: None,
        })
    }

    fn write(&self, output: &mut SecBufferDesc<'_, '_>, token: &[u8]) -> Result<(), Error> {
        if token.is_empty() {
            return Ok(());
        }
        let room = output
            .find(BufferType::TOKEN)
            .map_or(0, SecBuffer::capacity);
        if self.script().fixed_memory && room < token.len() {
            return Err(Error::buffer_too_small("toy's", token.len(), room));
        }
        output.write_token(token)
    }

    /// Sends leg `leg`; a buffer that is too small leaves all as it was.
    fn speak(
        &self,
        context: &mut Option<Context>,
        leg: u32,
        initiator: bool,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        let before = context.take();
        let token = if leg == 1 && self.script().silent_start {
            Vec::new()
        } else {
            self.token(leg)
        };
        if let Err(error) = self.write(output, &token) {
            *context = before;
            return Err(error);
        }
        let (next, step) = self.after(leg, initiator);
        *context = Some(next);
        Ok(step)
    }

    /// The peer's token of leg `leg` came.
    fn heard(
        &self,
        context: &mut Option<Context>,
        leg: u32,
        initiator: bool,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        let script = self.script();
        if leg == script.legs {
            let (next, step) = self.after(leg, initiator);
            *context = Some(next);
            return Ok(step);
        }
        self.speak(context, leg + 1, initiator, output)
    }
}

#[derive(Debug)]
pub(crate) enum Context {
    Asking {
        leg: u32,
        initiator: bool,
    },
    Under {
        leg: u32,
    },
    Done {
        initiator: bool,
        sent: u32,
        received: u32,
        integrity: bool,
    },
}

/// FNV-1a over the key, the direction, the number and the data: enough to find a changed list.
fn sum(name: &str, by_initiator: bool, number: u32, data: &[u8]) -> [u8; 8] {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let head = [u8::from(by_initiator), u8::try_from(number % 251).unwrap()];
    for byte in name.bytes().chain(head).chain(data.iter().copied()) {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    state.to_be_bytes()
}

fn data(message: &SecBufferDesc<'_, '_>) -> Vec<u8> {
    message
        .buffers()
        .iter()
        .filter(|buffer| buffer.buffer_type() == BufferType::DATA)
        .flat_map(|buffer| buffer.bytes().to_vec())
        .collect()
}

impl SecurityPackage for Toy {
    type Credential = String;
    type Context = Context;

    fn query_security_package_info(&self) -> &SecPkgInfo {
        &self.info
    }

    fn functions(&self) -> FunctionSet {
        FunctionSet::REQUIRED | FunctionSet::QUERY_CREDENTIALS_ATTRIBUTES
    }

    fn mechanism(&self) -> Option<&MechanismInfo> {
        Some(&self.mechanism)
    }

    fn acquire_credentials_handle(&self, request: AcquireRequest<'_>) -> Result<String, Error> {
        let script = self.script();
        if let Some(status) = script.acquire {
            return Err(self.refused(status));
        }
        if !script
            .only
            .contains(request.credential_use & CredentialUse::BOTH)
        {
            return Err(self.refused(SecurityStatus::SEC_E_NO_CREDENTIALS));
        }
        let identity = match request.identity {
            Some(Identity::Password { user, .. }) => Some(user.clone()),
            _ => None,
        };
        self.log.lock().unwrap().identities.push(identity.clone());
        Ok(identity.unwrap_or_default())
    }

    fn credential_expiry(&self, _credential: &String) -> Expiry {
        Expiry::Never
    }

    fn query_credentials_attributes(
        &self,
        credential: &String,
        _attribute: CredentialAttribute,
    ) -> Result<CredentialAttributeValue, Error> {
        Ok(CredentialAttributeValue::Names {
            user_name: format!("{}:{credential}", self.name()),
        })
    }

    fn initialize_security_context(
        &self,
        _credential: &String,
        context: &mut Option<Context>,
        request: InitializeRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        let script = self.script();
        let Some(state) = context else {
            {
                let mut log = self.log.lock().unwrap();
                log.begun += 1;
                log.reasons.push(request.fallback_reason.map(Error::status));
                log.initiator_asked.push(request.requirements);
                log.bindings.push(
                    request
                        .input
                        .and_then(|input| input.find(BufferType::CHANNEL_BINDINGS))
                        .map(|buffer| buffer.bytes().to_vec()),
                );
            }
            if let Some(status) = script.initiate {
                return Err(self.refused(status));
            }
            if script.initiator_asks || script.asks_before == Some(1) {
                *context = Some(Context::Asking {
                    leg: 1,
                    initiator: true,
                });
                return Ok(self.ask());
            }
            return self.speak(context, 1, true, output);
        };
        let token = request.input.and_then(|input| input.token());
        match (&*state, token) {
            (Context::Under { leg, .. }, Some(token)) if token == self.token(leg + 1) => {
                let leg = leg + 1;
                if script.asks_before == Some(leg + 1) {
                    *context = Some(Context::Asking {
                        leg: leg + 1,
                        initiator: true,
                    });
                    return Ok(self.ask());
                }
                self.heard(context, leg, true, output)
            }
            (_, Some(token)) if token == format!("{}!", self.name()).as_bytes() => {
                Err(self.refused(SecurityStatus::SEC_E_TIME_SKEW))
            }
            _ => Err(self.refused(SecurityStatus::SEC_E_INVALID_TOKEN)),
        }
    }

    fn accept_security_context(
        &self,
        _credential: &String,
        context: &mut Option<Context>,
        request: AcceptRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        let script = self.script();
        let token = request.input.and_then(|input| input.token());
        let expected = match &*context {
            None => 1,
            Some(Context::Under { leg, .. }) => leg + 1,
            Some(_) => return Err(self.refused(SecurityStatus::SEC_E_INVALID_HANDLE)),
        };
        if context.is_none() {
            let mut log = self.log.lock().unwrap();
            log.begun += 1;
            log.bindings.push(
                request
                    .input
                    .and_then(|input| input.find(BufferType::CHANNEL_BINDINGS))
                    .map(|buffer| buffer.bytes().to_vec()),
            );
        }
        if script.refuse_leg == Some(expected) {
            output.write_token(format!("{}!", self.name()).as_bytes())?;
            return Err(self.refused(SecurityStatus::SEC_E_LOGON_DENIED));
        }
        if token != Some(&self.token(expected)[..]) {
            return Err(self.refused(SecurityStatus::SEC_E_INVALID_TOKEN));
        }
        if expected == 1 && script.acceptor_asks {
            *context = Some(Context::Asking {
                leg: 2,
                initiator: false,
            });
            return Ok(self.ask());
        }
        let step = self.heard(context, expected, false, output)?;
        self.log.lock().unwrap().accepted += 1;
        Ok(step)
    }

    fn complete_exchange(
        &self,
        context: &mut Option<Context>,
        reply: Reply<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        let Some(Context::Asking { leg, initiator }) = context else {
            return Err(self.refused(SecurityStatus::SEC_E_INVALID_HANDLE));
        };
        let (leg, initiator) = (*leg, *initiator);
        match reply {
            Reply::Failed(failure) => Err(failure.clone().into()),
            Reply::Bytes(b"unknown") => Err(self.refused(SecurityStatus::SEC_E_TARGET_UNKNOWN)),
            Reply::Bytes(b"wrong password") => {
                Err(self.refused(SecurityStatus::SEC_E_LOGON_DENIED))
            }
            Reply::Bytes(_) if leg > self.script().legs => {
                let (next, step) = self.after(leg - 1, initiator);
                *context = Some(next);
                Ok(step)
            }
            Reply::Bytes(_) => self.speak(context, leg, initiator, output),
        }
    }

    fn make_signature(
        &self,
        context: &mut Context,
        _quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        _sequence_number: u32,
    ) -> Result<(), Error> {
        let Context::Done {
            initiator,
            sent,
            integrity: true,
            ..
        } = context
        else {
            return Err(self.refused(SecurityStatus::SEC_E_QOP_NOT_SUPPORTED));
        };
        let signature = sum(self.name(), *initiator, *sent, &data(message));
        message.write_token(&signature)?;
        *sent += 1;
        Ok(())
    }

    fn verify_signature(
        &self,
        context: &mut Context,
        message: &mut SecBufferDesc<'_, '_>,
        _sequence_number: u32,
    ) -> Result<u32, Error> {
        let Context::Done {
            initiator,
            received,
            integrity: true,
            ..
        } = context
        else {
            return Err(self.refused(SecurityStatus::SEC_E_QOP_NOT_SUPPORTED));
        };
        let expected = sum(self.name(), !*initiator, *received, &data(message));
        if message.token() != Some(&expected[..]) {
            return Err(self.refused(SecurityStatus::SEC_E_MESSAGE_ALTERED));
        }
        *received += 1;
        Ok(0)
    }

    fn encrypt_message(
        &self,
        _context: &mut Context,
        _quality_of_protection: u32,
        _message: &mut SecBufferDesc<'_, '_>,
        _sequence_number: u32,
    ) -> Result<(), Error> {
        Err(self.refused(SecurityStatus::SEC_E_QOP_NOT_SUPPORTED))
    }

    fn decrypt_message(
        &self,
        _context: &mut Context,
        _message: &mut SecBufferDesc<'_, '_>,
        _sequence_number: u32,
    ) -> Result<u32, Error> {
        Err(self.refused(SecurityStatus::SEC_E_QOP_NOT_SUPPORTED))
    }

    fn query_context_attributes(
        &self,
        context: &Context,
        attribute: ContextAttribute,
    ) -> Result<ContextAttributeValue, Error> {
        match (context, attribute) {
            (Context::Done { .. }, ContextAttribute::Sizes) => {
                Ok(ContextAttributeValue::Sizes(SecPkgContextSizes {
                    max_token: 64,
                    max_signature: 8,
                    ..SecPkgContextSizes::default()
                }))
            }
            (Context::Done { .. }, ContextAttribute::Names) => {
                Ok(ContextAttributeValue::Names(self.name().to_owned()))
            }
            _ => Err(self.refused(SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION)),
        }
    }

    fn mech_list_mic_done(&self, context: &mut Context) {
        self.log.lock().unwrap().mic_done += 1;
        if let Context::Done { sent, received, .. } = context {
            // Numbers go on, as NTLM's do; that both sides are told shows by messages that verify.
            (*sent, *received) = (*sent + 100, *received + 100);
        }
    }
}
