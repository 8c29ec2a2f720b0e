//! A security package that is easy to see through: tokens are words, a signature is a sum, a cipher
//! is an exclusive or. It offers every function of the contract, or fewer when told so.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use trihound_sansio::{
    Exchange, ExchangeRequest, Progress, Reply, Service, Timestamp, TransportHint,
};
use trihound_secret::SecretBytes;
use trihound_sspi::image::ContextImage;
use trihound_sspi::*;

pub(crate) const MASK: u8 = 0x5A;
pub(crate) const REJECT: &[u8] = b"reject";

pub(crate) struct Toy {
    pub(crate) info: SecPkgInfo,
    pub(crate) functions: FunctionSet,
    /// How often the package was asked for one of the functions that have a default.
    pub(crate) optional_calls: AtomicUsize,
    /// SetContextAttributes waits here, so that a test can hold a call under way.
    pub(crate) gate: Mutex<()>,
    /// What its images say of themselves.
    pub(crate) only_copy: bool,
    /// Whom AcquireCredentialsHandle and InitializeSecurityContext were told that the thread impersonates.
    pub(crate) told: Mutex<Vec<Option<String>>>,
    /// A table that the package calls, as Negotiate does.
    pub(crate) inner: Option<SecurityFunctionTable>,
}

impl Toy {
    pub(crate) fn new() -> Self {
        Self::offering("Toy", FunctionSet::all())
    }

    pub(crate) fn offering(name: &'static str, functions: FunctionSet) -> Self {
        Self {
            info: SecPkgInfo {
                capabilities: SecPkgCapabilities::INTEGRITY | SecPkgCapabilities::PRIVACY,
                version: 1,
                rpc_id: SECPKG_ID_NONE,
                max_token: 64,
                name: name.into(),
                comment: "a toy".into(),
            },
            functions,
            optional_calls: AtomicUsize::new(0),
            gate: Mutex::new(()),
            only_copy: false,
            told: Mutex::new(Vec::new()),
            inner: None,
        }
    }

    fn hear(&self, impersonation: Option<&Arc<AccessToken>>) {
        let name = impersonation.map(|token| token.client_name.clone());
        self.told.lock().unwrap().push(name);
    }

    /// Acquires a credential of the inner table's toy, with what the request said or with nothing.
    fn ask_inner(&self, impersonation: Option<&Arc<AccessToken>>) {
        if let Some(inner) = &self.inner {
            let request = AcquireRequest {
                principal: Some("inner"),
                impersonation,
                ..AcquireRequest::default()
            };
            inner.acquire_credentials_handle("Inner", request).unwrap();
        }
    }

    fn count(&self) {
        self.optional_calls.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) user: String,
}

#[derive(Debug)]
pub(crate) enum Context {
    AwaitsExchange,
    AwaitsWelcome,
    Established { user: String, sequence: u32 },
}

fn established(user: &str, initiator: bool) -> (Context, Step) {
    let attributes = if initiator {
        EstablishedAttributes::Initiator(InitiatorAttributes::INTEGRITY)
    } else {
        EstablishedAttributes::Acceptor(AcceptorAttributes::INTEGRITY)
    };
    let context = Context::Established {
        user: user.to_owned(),
        sequence: 0,
    };
    let step = Step::Complete(Established {
        attributes,
        expiry: Expiry::At(Timestamp::from_seconds(1000)),
        mech_list_mic: MechListMic::Possible,
    });
    (context, step)
}

fn bad_token(output: &mut SecBufferDesc<'_, '_>) -> Error {
    let _ = output.write_token(REJECT);
    Error::new(
        SecurityStatus::SEC_E_INVALID_TOKEN,
        "not a token of the toy",
    )
}

fn sum(message: &SecBufferDesc<'_, '_>) -> u8 {
    message
        .buffers()
        .iter()
        .filter(|b| b.buffer_type() == BufferType::DATA)
        .filter(|b| b.attributes() != BufferAttributes::READONLY)
        .flat_map(SecBuffer::bytes)
        .fold(0, |sum, byte| sum ^ byte)
}

fn xor(message: &mut SecBufferDesc<'_, '_>) -> Result<(), Error> {
    for buffer in message.buffers_mut() {
        if buffer.buffer_type() == BufferType::DATA && buffer.attributes().is_empty() {
            for byte in buffer.bytes_mut()? {
                *byte ^= MASK;
            }
        }
    }
    Ok(())
}

impl SecurityPackage for Toy {
    type Credential = Credential;
    type Context = Context;

    fn query_security_package_info(&self) -> &SecPkgInfo {
        &self.info
    }

    fn functions(&self) -> FunctionSet {
        self.functions
    }

    fn acquire_credentials_handle(&self, request: AcquireRequest<'_>) -> Result<Credential, Error> {
        self.hear(request.impersonation);
        self.ask_inner(request.impersonation);
        match request.principal {
            Some(user) => Ok(Credential { user: user.into() }),
            None => Err(Error::new(
                SecurityStatus::SEC_E_NO_CREDENTIALS,
                "name a principal",
            )),
        }
    }

    fn credential_expiry(&self, _credential: &Credential) -> Expiry {
        Expiry::Never
    }

    fn query_credentials_attributes(
        &self,
        credential: &Credential,
        _attribute: CredentialAttribute,
    ) -> Result<CredentialAttributeValue, Error> {
        self.count();
        Ok(CredentialAttributeValue::Names {
            user_name: credential.user.clone(),
        })
    }

    fn set_credentials_attributes(
        &self,
        _credential: &Credential,
        _value: CredentialAttributeValue,
    ) -> Result<(), Error> {
        self.count();
        Ok(())
    }

    fn add_credentials(
        &self,
        _credential: &Credential,
        _request: AcquireRequest<'_>,
    ) -> Result<(), Error> {
        self.count();
        Ok(())
    }

    fn initialize_security_context(
        &self,
        credential: &Credential,
        context: &mut Option<Context>,
        request: InitializeRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        self.hear(request.impersonation);
        let input = request.input.and_then(|input| input.token());
        match (&*context, input) {
            (None, None) if request.target_name == Some("online") => {
                *context = Some(Context::AwaitsExchange);
                Ok(Step::ExchangeNeeded(ExchangeRequest {
                    service: Service::Kdc,
                    realm: "R".into(),
                    message: b"ticket?".to_vec(),
                    hint: TransportHint::Any,
                    route: None,
                }))
            }
            (None, None) if request.target_name == Some("lost") => Ok(Step::ContinueNeeded),
            (None, None) if request.target_name == Some("half") => {
                *context = Some(Context::AwaitsWelcome);
                Err(bad_token(output))
            }
            (None, None) => {
                output.write_token(b"hello")?;
                *context = Some(Context::AwaitsWelcome);
                Ok(Step::ContinueNeeded)
            }
            (Some(Context::AwaitsWelcome), Some(b"welcome")) => {
                let (next, step) = established(&credential.user, true);
                *context = Some(next);
                Ok(step)
            }
            (Some(_), Some(b"panic")) => panic!("a fault of the package"),
            // The state stays where it is: the table has to take it away.
            _ => Err(bad_token(output)),
        }
    }

    fn accept_security_context(
        &self,
        credential: &Credential,
        context: &mut Option<Context>,
        request: AcceptRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        match (&*context, request.input.and_then(|input| input.token())) {
            (None, Some(b"hello")) => {
                output.write_token(b"welcome")?;
                let (next, step) = established(&credential.user, false);
                *context = Some(next);
                Ok(step)
            }
            (None, Some(b"datagram")) => {
                *context = Some(Context::AwaitsWelcome);
                Ok(Step::CompleteNeeded { and_continue: true })
            }
            _ => Err(bad_token(output)),
        }
    }

    fn complete_exchange(
        &self,
        context: &mut Option<Context>,
        reply: Reply<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        self.ask_inner(None);
        match (context.as_ref(), reply) {
            (Some(Context::AwaitsExchange), Reply::Bytes(b"ticket!")) => {
                output.write_token(b"hello")?;
                *context = Some(Context::AwaitsWelcome);
                Ok(Step::ContinueNeeded)
            }
            (_, Reply::Failed(failure)) => Err(failure.clone().into()),
            _ => Err(bad_token(output)),
        }
    }

    fn complete_auth_token(
        &self,
        _context: &mut Context,
        _token: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(), Error> {
        self.count();
        Ok(())
    }

    fn apply_control_token(
        &self,
        _context: &mut Context,
        _token: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(), Error> {
        self.count();
        Ok(())
    }

    fn make_signature(
        &self,
        context: &mut Context,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        _sequence_number: u32,
    ) -> Result<(), Error> {
        if quality_of_protection != 0 {
            return Err(Error::new(
                SecurityStatus::SEC_E_QOP_NOT_SUPPORTED,
                "0 is the only one",
            ));
        }
        let Context::Established { sequence, .. } = context else {
            return Err(Error::new(
                SecurityStatus::SEC_E_NO_CONTEXT,
                "not established",
            ));
        };
        let token = [sum(message)];
        message.write_token(&token)?;
        *sequence += 1;
        Ok(())
    }

    fn verify_signature(
        &self,
        _context: &mut Context,
        message: &mut SecBufferDesc<'_, '_>,
        _sequence_number: u32,
    ) -> Result<u32, Error> {
        if message.token() != Some(&[sum(message)]) {
            return Err(Error::new(
                SecurityStatus::SEC_E_MESSAGE_ALTERED,
                "the sum differs",
            ));
        }
        Ok(0)
    }

    fn encrypt_message(
        &self,
        _context: &mut Context,
        _quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        _sequence_number: u32,
    ) -> Result<(), Error> {
        let token = [sum(message)];
        message.write_token(&token)?;
        xor(message)
    }

    fn decrypt_message(
        &self,
        context: &mut Context,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error> {
        if let Some(stream) = message.find_mut(BufferType::STREAM) {
            let length = stream.len();
            for byte in stream.bytes_mut()?.iter_mut().skip(1) {
                *byte ^= MASK;
            }
            message.split_stream(1..length)?;
            return Ok(0);
        }
        xor(message)?;
        self.verify_signature(context, message, sequence_number)
    }

    fn query_context_attributes(
        &self,
        context: &Context,
        attribute: ContextAttribute,
    ) -> Result<ContextAttributeValue, Error> {
        match (context, attribute) {
            (Context::Established { user, .. }, ContextAttribute::Names) => {
                Ok(ContextAttributeValue::Names(user.clone()))
            }
            (Context::Established { sequence, .. }, ContextAttribute::UserFlags) => {
                Ok(ContextAttributeValue::UserFlags(*sequence))
            }
            _ => Err(Error::unsupported(
                "QueryContextAttributes for this attribute",
            )),
        }
    }

    fn set_context_attributes(
        &self,
        _context: &mut Context,
        _value: ContextAttributeValue,
    ) -> Result<(), Error> {
        self.count();
        drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    fn query_security_context_token(&self, context: &Context) -> Result<Arc<AccessToken>, Error> {
        self.count();
        match context {
            Context::Established { user, .. } => {
                let level = match user.as_str() {
                    "unknown" => ImpersonationLevel::Anonymous,
                    "known" => ImpersonationLevel::Identification,
                    "trusting" => ImpersonationLevel::Delegation,
                    _ => ImpersonationLevel::Impersonation,
                };
                Ok(Arc::new(AccessToken::new("Toy", user.clone(), "R", level)))
            }
            _ => Err(Error::new(
                SecurityStatus::SEC_E_NO_IMPERSONATION,
                "not established",
            )),
        }
    }

    fn export_security_context(
        &self,
        context: &Context,
        flags: ExportFlags,
    ) -> Result<ContextImage, Error> {
        self.count();
        match context {
            Context::Established { user, sequence } => {
                let sequence = if flags.contains(ExportFlags::RESET_NEW) {
                    0
                } else {
                    *sequence
                };
                Ok(ContextImage {
                    bytes: SecretBytes::from(format!("{sequence}:{user}").into_bytes()),
                    only_copy: self.only_copy,
                })
            }
            _ => Err(Error::new(
                SecurityStatus::SEC_E_CANNOT_PACK,
                "not established",
            )),
        }
    }

    fn import_security_context(&self, image: &SecretBytes) -> Result<Context, Error> {
        self.count();
        let malformed = || Error::new(SecurityStatus::SEC_E_INVALID_TOKEN, "not an image");
        let text = std::str::from_utf8(image.expose()).map_err(|_| malformed())?;
        let (sequence, user) = text.split_once(':').ok_or_else(malformed)?;
        Ok(Context::Established {
            user: user.into(),
            sequence: sequence.parse().map_err(|_| malformed())?,
        })
    }

    fn change_account_password(
        &self,
        request: ChangePasswordRequest<'_>,
    ) -> Result<BoxedExchange, Error> {
        self.count();
        Ok(Box::new(PasswordChange(request.account_name.to_owned())))
    }
}

struct PasswordChange(String);

impl Exchange for PasswordChange {
    type Output = ();
    type Error = Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<()>, Error> {
        match reply {
            None => Ok(Progress::Exchange(ExchangeRequest {
                service: Service::Kpasswd,
                realm: "R".into(),
                message: self.0.clone().into_bytes(),
                hint: TransportHint::Any,
                route: None,
            })),
            Some(Reply::Bytes(b"changed")) => Ok(Progress::Done(())),
            Some(Reply::Bytes(_)) => Err(Error::new(SecurityStatus::SEC_E_LOGON_DENIED, "no")),
            Some(Reply::Failed(failure)) => Err(failure.clone().into()),
        }
    }
}

/// A sealer that a test can see through.
pub(crate) struct ToySealer;

impl ContextSealer for ToySealer {
    fn seal(&self, package: &str, image: &SecretBytes) -> Result<Vec<u8>, Error> {
        let mut sealed = format!("sealed for {package}|").into_bytes();
        sealed.extend_from_slice(image.expose());
        Ok(sealed)
    }

    fn open(&self, package: &str, sealed: &[u8]) -> Result<SecretBytes, Error> {
        sealed
            .strip_prefix(format!("sealed for {package}|").as_bytes())
            .map(SecretBytes::from)
            .ok_or_else(|| Error::new(SecurityStatus::SEC_E_MESSAGE_ALTERED, "not sealed here"))
    }
}

/// A table with one toy in it, and a credential.
pub(crate) struct Bench {
    pub(crate) registered: RegisteredPackage<Toy>,
    pub(crate) table: SecurityFunctionTable,
    pub(crate) credential: CredHandle,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Toy::new())
    }

    pub(crate) fn with(toy: Toy) -> Self {
        let registered = RegisteredPackage::new(toy);
        let table = SecurityFunctionTable::builder()
            .package(&registered)
            .context_sealer(Arc::new(ToySealer))
            .build()
            .unwrap();
        Self::over(registered, table)
    }

    /// With a table that a test made.
    pub(crate) fn over(registered: RegisteredPackage<Toy>, table: SecurityFunctionTable) -> Self {
        let credential = registered
            .adopt(Credential {
                user: "alice".into(),
            })
            .unwrap();
        Self {
            registered,
            table,
            credential,
        }
    }

    pub(crate) fn initialize(
        &self,
        context: Option<CtxtHandle>,
        target: &str,
        token: Option<&[u8]>,
    ) -> (Result<HandshakeOutcome, Error>, Vec<u8>) {
        let input = [SecBuffer::token_input(token.unwrap_or_default())];
        let mut memory = [0u8; 64];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let request = InitializeRequest {
            target_name: Some(target),
            input: token.map(|_| InputDesc::new(&input)),
            ..InitializeRequest::default()
        };
        let outcome = self.table.initialize_security_context(
            Some(self.credential),
            context,
            request,
            &mut SecBufferDesc::new(&mut buffers),
        );
        let token = buffers[0].bytes().to_vec();
        (outcome, token)
    }

    pub(crate) fn accept(
        &self,
        context: Option<CtxtHandle>,
        token: &[u8],
    ) -> (Result<HandshakeOutcome, Error>, Vec<u8>) {
        let input = [SecBuffer::token_input(token)];
        let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
        let request = AcceptRequest {
            input: Some(InputDesc::new(&input)),
            ..AcceptRequest::default()
        };
        let outcome = self.table.accept_security_context(
            Some(self.credential),
            context,
            request,
            &mut SecBufferDesc::new(&mut buffers),
        );
        let token = buffers[0].bytes().to_vec();
        (outcome, token)
    }

    /// An established context.
    pub(crate) fn established(&self) -> CtxtHandle {
        self.accept(None, b"hello").0.unwrap().context
    }

    /// An established context with this client.
    pub(crate) fn with_client(&self, user: &str) -> CtxtHandle {
        let package = self.registered.package().info.name.clone();
        let image = format!("sealed for {package}|0:{user}");
        self.table
            .import_security_context(&package, image.as_bytes())
            .unwrap()
    }
}

pub(crate) fn status<T: std::fmt::Debug>(result: Result<T, Error>) -> SecurityStatus {
    result.unwrap_err().status()
}
