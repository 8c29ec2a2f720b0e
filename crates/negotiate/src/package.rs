//! The package as SSPI sees it.

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use trihound_sansio::Reply;
use trihound_secret::SecretBytes;
use trihound_sspi::image::ContextImage;
use trihound_sspi::{
    AcceptRequest, AccessToken, AcquireRequest, BoxedExchange, ChangePasswordRequest,
    ContextAttribute, ContextAttributeValue, CredentialAttribute, CredentialAttributeValue, Expiry,
    ExportFlags, Function, FunctionSet, InitializeRequest, SecBufferDesc, SecPkgCapabilities,
    SecPkgInfo, SecurityFunctionTable, SecurityPackage, SecurityStatus, SettingFields, Step,
};

use crate::context::{NegotiateContext, State, deliver};
use crate::credential::{self, Arm, NegotiateCredential};
use crate::error::ApiMisuse;
use crate::policy::NegotiatePolicy;
use crate::{arrival, export, query, search};

/// `wRPCID` of Negotiate: RPC_C_AUTHN_GSS_NEGOTIATE.
const RPC_ID: u16 = 9;

/// What SPNEGO adds to a mechanism's token at most, in bytes: framing (RFC 4178 section 4.2), a list of
/// mechanisms of a usual length, and a mechListMIC.
const OVERHEAD: u32 = 256;

/// What the package is made of.
#[derive(Clone)]
pub struct NegotiateConfig {
    mechanisms: SecurityFunctionTable,
    policy: NegotiatePolicy,
}

impl NegotiateConfig {
    /// Negotiation between the packages of `mechanisms` that have object identifiers; their order there
    /// is the order of preference. The policy is the default one.
    ///
    /// The table should be whole before the package is made: what the package says of itself (its
    /// functions, `cbMaxToken`) is derived from it then.
    #[must_use]
    pub fn new(mechanisms: SecurityFunctionTable) -> Self {
        Self {
            mechanisms,
            policy: NegotiatePolicy::default(),
        }
    }

    /// The same with another policy.
    #[must_use]
    pub fn with_policy(mut self, policy: NegotiatePolicy) -> Self {
        self.policy = policy;
        self
    }
}

impl fmt::Debug for NegotiateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NegotiateConfig")
            .field("mechanisms", &self.mechanisms)
            .field("policy", &self.policy)
            .finish()
    }
}

/// The security package `Negotiate`.
#[derive(Debug)]
pub struct Negotiate {
    config: NegotiateConfig,
    info: SecPkgInfo,
    functions: FunctionSet,
    settings: SettingFields,
}

impl Negotiate {
    /// The package's name in SSPI.
    pub const NAME: &'static str = "Negotiate";

    /// A package of these parts.
    #[must_use]
    pub fn new(config: NegotiateConfig) -> Self {
        let mechanisms = &config.mechanisms;
        let infos = mechanisms.enumerate_security_packages();
        let longest = infos.iter().map(|info| info.max_token).max();
        let offered = infos
            .iter()
            .filter_map(|info| mechanisms.functions_within(&info.name).ok())
            .fold(FunctionSet::empty(), FunctionSet::union);
        let functions =
            FunctionSet::REQUIRED | FunctionSet::ADD_CREDENTIALS | (offered & DELEGATED);
        let settings = infos
            .iter()
            .filter_map(|info| mechanisms.settings_of(&info.name).ok())
            .fold(SettingFields::empty(), SettingFields::union);
        Self {
            info: SecPkgInfo {
                capabilities: capabilities(functions),
                version: 1,
                rpc_id: RPC_ID,
                max_token: longest.unwrap_or_default().saturating_add(OVERHEAD),
                name: Cow::Borrowed(Self::NAME),
                comment: Cow::Borrowed("SPNEGO (RFC 4178, MS-SPNG)"),
            },
            functions,
            settings,
            config,
        }
    }

    /// The table of mechanisms.
    #[must_use]
    pub fn mechanisms(&self) -> &SecurityFunctionTable {
        &self.config.mechanisms
    }

    fn max_token(&self) -> usize {
        usize::try_from(self.info.max_token).unwrap_or(usize::MAX)
    }

    /// The package's policy; a credential may have its own.
    #[must_use]
    pub fn policy(&self) -> &NegotiatePolicy {
        &self.config.policy
    }
}

/// Functions that are there where a mechanism has them.
const DELEGATED: FunctionSet = FunctionSet::QUERY_SECURITY_CONTEXT_TOKEN
    .union(FunctionSet::QUERY_CREDENTIALS_ATTRIBUTES)
    .union(FunctionSet::SET_CREDENTIALS_ATTRIBUTES)
    .union(FunctionSet::SET_CONTEXT_ATTRIBUTES)
    .union(FunctionSet::CHANGE_ACCOUNT_PASSWORD)
    .union(FunctionSet::APPLY_CONTROL_TOKEN)
    .union(FunctionSet::EXPORT_SECURITY_CONTEXT)
    .union(FunctionSet::IMPORT_SECURITY_CONTEXT);

/// What works, as Windows has it, but for what no package here does: logon, restricted tokens, Windows account
/// names as targets. A client is impersonated where a mechanism knows who it is.
fn capabilities(functions: FunctionSet) -> SecPkgCapabilities {
    let mut capabilities = SecPkgCapabilities::INTEGRITY
        | SecPkgCapabilities::PRIVACY
        | SecPkgCapabilities::CONNECTION
        | SecPkgCapabilities::MULTI_REQUIRED
        | SecPkgCapabilities::EXTENDED_ERROR
        | SecPkgCapabilities::NEGOTIABLE
        | SecPkgCapabilities::GSS_COMPATIBLE;
    capabilities.set(
        SecPkgCapabilities::IMPERSONATION,
        functions.has(Function::QuerySecurityContextToken),
    );
    capabilities
}

/// The answer of the first mechanism that has the function; a refusal of one that has it is the answer too.
fn first_that_does<T>(
    arms: &[Arc<Arm>],
    nobody: impl FnOnce() -> trihound_sspi::Error,
    call: impl Fn(&Arm) -> Result<T, trihound_sspi::Error>,
) -> Result<T, trihound_sspi::Error> {
    let mut refusal = None;
    for arm in arms {
        match call(arm) {
            Err(error) if error.status() == SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION => {
                refusal.get_or_insert(error);
            }
            outcome => return outcome,
        }
    }
    Err(refusal.unwrap_or_else(nobody))
}

impl SecurityPackage for Negotiate {
    type Credential = NegotiateCredential;
    type Context = NegotiateContext;

    fn query_security_package_info(&self) -> &SecPkgInfo {
        &self.info
    }

    fn functions(&self) -> FunctionSet {
        self.functions
    }

    fn settings(&self) -> SettingFields {
        self.settings
    }

    fn acquire_credentials_handle(
        &self,
        request: AcquireRequest<'_>,
    ) -> Result<NegotiateCredential, trihound_sspi::Error> {
        credential::acquire(request, &self.config.mechanisms)
    }

    /// The first mechanism that changes passwords: a name belongs to one of them, and a change that was refused
    /// by one is not tried with the next.
    fn change_account_password(
        &self,
        request: ChangePasswordRequest<'_>,
    ) -> Result<BoxedExchange, trihound_sspi::Error> {
        let mechanisms = &self.config.mechanisms;
        let infos = mechanisms.enumerate_security_packages();
        let offers = |name: &str| {
            mechanisms
                .functions_of(name)
                .is_ok_and(|functions| functions.has(Function::ChangeAccountPassword))
        };
        match infos.iter().find(|info| offers(&info.name)) {
            Some(info) => mechanisms.change_account_password(&info.name, request),
            None => Err(trihound_sspi::Error::unsupported("ChangeAccountPassword")),
        }
    }

    fn credential_expiry(&self, credential: &NegotiateCredential) -> Expiry {
        let preferred = credential.preferred().map(|arm| arm.credential.handle());
        preferred
            .and_then(|handle| self.config.mechanisms.credential_expiry(handle).ok())
            .unwrap_or(Expiry::Never)
    }

    fn query_credentials_attributes(
        &self,
        credential: &NegotiateCredential,
        attribute: CredentialAttribute,
    ) -> Result<CredentialAttributeValue, trihound_sspi::Error> {
        let mechanisms = &self.config.mechanisms;
        let unsupported = || trihound_sspi::Error::unsupported("QueryCredentialsAttributes");
        // Whose the credential is the preferred mechanism says; what else there is, whoever has it.
        let arms = credential.arms();
        let asked = match attribute {
            CredentialAttribute::Names => arms.get(..1).unwrap_or_default(),
            _ => &arms,
        };
        first_that_does(asked, unsupported, |arm| {
            mechanisms.query_credentials_attributes(arm.credential.handle(), attribute)
        })
    }

    fn set_credentials_attributes(
        &self,
        credential: &NegotiateCredential,
        value: CredentialAttributeValue,
    ) -> Result<(), trihound_sspi::Error> {
        let mechanisms = &self.config.mechanisms;
        let unsupported = || trihound_sspi::Error::unsupported("SetCredentialsAttributes");
        first_that_does(&credential.arms(), unsupported, |arm| {
            mechanisms.set_credentials_attributes(arm.credential.handle(), value.clone())
        })
    }

    fn add_credentials(
        &self,
        credential: &NegotiateCredential,
        request: AcquireRequest<'_>,
    ) -> Result<(), trihound_sspi::Error> {
        credential.add(request, &self.config.mechanisms)
    }

    fn initialize_security_context(
        &self,
        credential: &NegotiateCredential,
        context: &mut Option<NegotiateContext>,
        request: InitializeRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, trihound_sspi::Error> {
        let token = request.input.and_then(|input| input.token());
        let outcome = match context.take().map(|context| context.0) {
            None => search::begin(
                credential,
                &request,
                &self.config.mechanisms,
                &self.config.policy,
            ),
            Some(State::ExpectReply(waiting)) => waiting.step(token, &request),
            Some(State::Undelivered(undelivered)) => Ok(undelivered.again()),
            Some(State::Established(session)) => session.once_more(token),
            Some(State::FirstExchange(_) | State::InitiatorExchange(_)) => {
                Err(ApiMisuse::ExchangeUnderWay.into())
            }
            Some(
                State::ExpectInit(_)
                | State::ExpectResponse(_)
                | State::AcceptorExchange(_)
                | State::ExpectRaw(_)
                | State::ExpectRawExchange(_),
            ) => Err(ApiMisuse::OtherRole { role: "acceptor" }.into()),
        };
        deliver(context, outcome, self.max_token(), output)
    }

    fn accept_security_context(
        &self,
        credential: &NegotiateCredential,
        context: &mut Option<NegotiateContext>,
        request: AcceptRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, trihound_sspi::Error> {
        let token = request.input.and_then(|input| input.token());
        let outcome = match context.take().map(|context| context.0) {
            None => arrival::begin(
                credential,
                &request,
                &self.config.mechanisms,
                &self.config.policy,
                output,
            ),
            Some(State::ExpectInit(waiting)) => waiting.step(token, &request),
            Some(State::ExpectResponse(waiting)) => waiting.step(token, &request),
            Some(State::ExpectRaw(waiting)) => waiting.step(token, &request),
            Some(State::Undelivered(undelivered)) => Ok(undelivered.again()),
            Some(State::Established(session)) => session.once_more(token),
            Some(State::AcceptorExchange(_) | State::ExpectRawExchange(_)) => {
                Err(ApiMisuse::ExchangeUnderWay.into())
            }
            Some(State::ExpectReply(_) | State::FirstExchange(_) | State::InitiatorExchange(_)) => {
                Err(ApiMisuse::OtherRole { role: "initiator" }.into())
            }
        };
        deliver(context, outcome, self.max_token(), output)
    }

    fn complete_exchange(
        &self,
        context: &mut Option<NegotiateContext>,
        reply: Reply<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, trihound_sspi::Error> {
        let outcome = match context.take().map(|context| context.0) {
            Some(State::FirstExchange(waiting)) => waiting.step(reply),
            Some(State::InitiatorExchange(waiting)) => waiting.step(reply),
            Some(State::AcceptorExchange(waiting)) => waiting.step(reply),
            Some(State::ExpectRawExchange(waiting)) => waiting.step(reply),
            Some(State::Undelivered(undelivered)) => Ok(undelivered.again()),
            _ => Err(ApiMisuse::NoExchange.into()),
        };
        deliver(context, outcome, self.max_token(), output)
    }

    fn apply_control_token(
        &self,
        context: &mut NegotiateContext,
        token: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(), trihound_sspi::Error> {
        context.session()?.context.apply_control_token(token)
    }

    fn make_signature(
        &self,
        context: &mut NegotiateContext,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), trihound_sspi::Error> {
        let session = context.session()?;
        session
            .context
            .make_signature(quality_of_protection, message, sequence_number)
    }

    fn verify_signature(
        &self,
        context: &mut NegotiateContext,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, trihound_sspi::Error> {
        let session = context.session()?;
        session.context.verify_signature(message, sequence_number)
    }

    fn encrypt_message(
        &self,
        context: &mut NegotiateContext,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), trihound_sspi::Error> {
        let session = context.session()?;
        session
            .context
            .encrypt_message(quality_of_protection, message, sequence_number)
    }

    fn decrypt_message(
        &self,
        context: &mut NegotiateContext,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, trihound_sspi::Error> {
        let session = context.session()?;
        session.context.decrypt_message(message, sequence_number)
    }

    fn query_context_attributes(
        &self,
        context: &NegotiateContext,
        attribute: ContextAttribute,
    ) -> Result<ContextAttributeValue, trihound_sspi::Error> {
        query::query(context, attribute, &self.info)
    }

    fn set_context_attributes(
        &self,
        context: &mut NegotiateContext,
        value: ContextAttributeValue,
    ) -> Result<(), trihound_sspi::Error> {
        context.session()?.context.set_context_attributes(value)
    }

    fn query_security_context_token(
        &self,
        context: &NegotiateContext,
    ) -> Result<Arc<AccessToken>, trihound_sspi::Error> {
        context.session()?.context.query_security_context_token()
    }

    fn export_security_context(
        &self,
        context: &NegotiateContext,
        flags: ExportFlags,
    ) -> Result<ContextImage, trihound_sspi::Error> {
        export::export(context.session()?, &self.config.mechanisms, flags)
    }

    fn import_security_context(
        &self,
        image: &SecretBytes,
    ) -> Result<NegotiateContext, trihound_sspi::Error> {
        let session = export::import(image, &self.config.mechanisms)?;
        Ok(NegotiateContext(State::Established(Box::new(session))))
    }
}
