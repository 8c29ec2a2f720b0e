//! The package as SSPI sees it.

use std::borrow::Cow;
use std::sync::Arc;

use trihound_sansio::Reply;
use trihound_secret::SecretBytes;
use trihound_sspi::image::ContextImage;
use trihound_sspi::{
    AcceptRequest, AccessToken, AcquireRequest, BoxedExchange, ChangePasswordRequest,
    ContextAttribute, ContextAttributeValue, CredentialAttribute, CredentialAttributeValue, Expiry,
    ExportFlags, FunctionSet, InitializeRequest, MechanismInfo, SecBufferDesc, SecPkgCapabilities,
    SecPkgInfo, SecurityPackage, SettingFields, Step,
};

use crate::acquire;
use crate::config::NtlmConfig;
use crate::context::{MAX_TOKEN, NtlmContext, State, deliver, once_more};
use crate::credential::NtlmCredential;
use crate::error::{ContextError, PolicyError, sspi_error};
use crate::event::Direction;
use crate::message::is_ntlmssp;
use crate::{acceptor, export, initiator, password, query};

/// `wRPCID` of NTLM: RPC_C_AUTHN_WINNT.
const RPC_ID: u16 = 10;

/// NTLM's object identifier under Negotiate (MS-NLMP section 1.9).
const OID: &str = "1.3.6.1.4.1.311.2.2.10";

/// The security package `NTLM`.
#[derive(Debug)]
pub struct Ntlm {
    config: Arc<NtlmConfig>,
    info: SecPkgInfo,
    mechanism: MechanismInfo,
}

impl Ntlm {
    /// The package's name in SSPI.
    pub const NAME: &'static str = "NTLM";

    /// A package of these parts.
    #[must_use]
    pub fn new(config: NtlmConfig) -> Self {
        Self {
            config: Arc::new(config),
            info: SecPkgInfo {
                capabilities: capabilities(),
                version: 1,
                rpc_id: RPC_ID,
                max_token: u32::try_from(MAX_TOKEN).unwrap_or(u32::MAX),
                name: Cow::Borrowed(Self::NAME),
                comment: Cow::Borrowed("NTLM version 2 (MS-NLMP)"),
            },
            mechanism: MechanismInfo {
                oids: vec![OID.to_owned()],
                is_raw_token: is_ntlmssp,
                needs_host_name: false,
            },
        }
    }

    /// What the package is made of.
    #[must_use]
    pub fn config(&self) -> &NtlmConfig {
        &self.config
    }

    /// Whether the policy permits any use of this credential in that direction: what
    /// AcquireCredentialsHandle asks, for a credential that a program made by itself.
    ///
    /// # Errors
    ///
    /// SEC_E_UNSUPPORTED_FUNCTION with [`crate::PolicyError::Denied`].
    pub fn check_permitted(
        &self,
        credential: &NtlmCredential,
        direction: Direction,
    ) -> Result<(), trihound_sspi::Error> {
        let policy = credential.policy(&self.config.policy);
        let (rule, direction) = match direction {
            Direction::Outgoing => (&policy.outgoing, "outgoing"),
            Direction::Incoming => (&policy.incoming, "incoming"),
        };
        // MS-NLMP sections 3.1.5.1.1 and 3.2.5.1.2: ClientBlocked, ServerBlock (conformance row 160).
        if !rule.permits_any() {
            return Err(sspi_error(PolicyError::Denied {
                direction,
                target: None,
            }));
        }
        Ok(())
    }
}

/// What works. Not among them: mutual authentication and delegation, which NTLM has not.
fn capabilities() -> SecPkgCapabilities {
    SecPkgCapabilities::INTEGRITY
        | SecPkgCapabilities::PRIVACY
        | SecPkgCapabilities::TOKEN_ONLY
        | SecPkgCapabilities::DATAGRAM
        | SecPkgCapabilities::CONNECTION
        | SecPkgCapabilities::MULTI_REQUIRED
        | SecPkgCapabilities::IMPERSONATION
        | SecPkgCapabilities::NEGOTIABLE
        | SecPkgCapabilities::READONLY_WITH_CHECKSUM
}

impl SecurityPackage for Ntlm {
    type Credential = NtlmCredential;
    type Context = NtlmContext;

    fn query_security_package_info(&self) -> &SecPkgInfo {
        &self.info
    }

    fn functions(&self) -> FunctionSet {
        let mut functions = FunctionSet::REQUIRED
            | FunctionSet::QUERY_CREDENTIALS_ATTRIBUTES
            | FunctionSet::ADD_CREDENTIALS
            | FunctionSet::QUERY_SECURITY_CONTEXT_TOKEN
            | FunctionSet::EXPORT_SECURITY_CONTEXT
            | FunctionSet::IMPORT_SECURITY_CONTEXT;
        functions.set(
            FunctionSet::CHANGE_ACCOUNT_PASSWORD,
            self.config.changes_passwords(),
        );
        functions
    }

    fn change_account_password(
        &self,
        request: ChangePasswordRequest<'_>,
    ) -> Result<BoxedExchange, trihound_sspi::Error> {
        password::change(request, &self.config)
    }

    fn mechanism(&self) -> Option<&MechanismInfo> {
        Some(&self.mechanism)
    }

    fn settings(&self) -> SettingFields {
        match self.config.accounts {
            Some(_) => SettingFields::ACCOUNTS,
            None => SettingFields::empty(),
        }
    }

    fn acquire_credentials_handle(
        &self,
        request: AcquireRequest<'_>,
    ) -> Result<NtlmCredential, trihound_sspi::Error> {
        acquire::acquire(request, &self.config)
    }

    fn credential_expiry(&self, _credential: &NtlmCredential) -> Expiry {
        Expiry::Never
    }

    fn query_credentials_attributes(
        &self,
        credential: &NtlmCredential,
        attribute: CredentialAttribute,
    ) -> Result<CredentialAttributeValue, trihound_sspi::Error> {
        match (attribute, credential.account_name()) {
            (CredentialAttribute::Names, Some(user_name)) => {
                Ok(CredentialAttributeValue::Names { user_name })
            }
            (attribute, _) => Err(sspi_error(ContextError::NoCredentialAttribute {
                attribute: format!("{attribute:?}"),
            })),
        }
    }

    fn add_credentials(
        &self,
        credential: &NtlmCredential,
        request: AcquireRequest<'_>,
    ) -> Result<(), trihound_sspi::Error> {
        let other = acquire::acquire(request, &self.config)?;
        credential.add(&other).map_err(sspi_error)
    }

    fn initialize_security_context(
        &self,
        credential: &NtlmCredential,
        context: &mut Option<NtlmContext>,
        request: InitializeRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, trihound_sspi::Error> {
        let outcome = match context.take().map(|context| context.0) {
            None => initiator::begin(credential, &request, &self.config)?,
            Some(State::ExpectChallenge(waiting)) => waiting.step(request.input)?,
            Some(State::Undelivered(undelivered)) => undelivered.again(),
            Some(state @ State::Established(_)) => {
                let token = request.input.and_then(|input| input.token());
                once_more(state, token).map_err(sspi_error)?
            }
            Some(State::ExpectAuthenticate(_) | State::ExpectVerifier(_)) => {
                return Err(sspi_error(ContextError::OtherRole { role: "acceptor" }));
            }
        };
        deliver(context, outcome, output)
    }

    fn accept_security_context(
        &self,
        credential: &NtlmCredential,
        context: &mut Option<NtlmContext>,
        request: AcceptRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, trihound_sspi::Error> {
        let outcome = match context.take().map(|context| context.0) {
            None => acceptor::begin(credential, &request, &self.config)?,
            Some(State::ExpectAuthenticate(waiting)) => waiting.step(&request)?,
            Some(State::Undelivered(undelivered)) => undelivered.again(),
            Some(state @ State::Established(_)) => {
                let token = request.input.and_then(|input| input.token());
                once_more(state, token).map_err(sspi_error)?
            }
            Some(State::ExpectVerifier(_)) => {
                return Err(sspi_error(ContextError::ExchangeUnderWay));
            }
            Some(State::ExpectChallenge(_)) => {
                return Err(sspi_error(ContextError::OtherRole { role: "initiator" }));
            }
        };
        deliver(context, outcome, output)
    }

    fn complete_exchange(
        &self,
        context: &mut Option<NtlmContext>,
        reply: Reply<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, trihound_sspi::Error> {
        let outcome = match context.take().map(|context| context.0) {
            Some(State::ExpectVerifier(waiting)) => waiting.step(reply)?,
            Some(State::Undelivered(undelivered)) => undelivered.again(),
            _ => return Err(sspi_error(ContextError::NoExchange)),
        };
        deliver(context, outcome, output)
    }

    fn make_signature(
        &self,
        context: &mut NtlmContext,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), trihound_sspi::Error> {
        let session = context.session_mut().map_err(sspi_error)?;
        session
            .security("MakeSignature", "INTEGRITY")
            .map_err(sspi_error)?
            .make_signature(quality_of_protection, message, sequence_number)
    }

    fn verify_signature(
        &self,
        context: &mut NtlmContext,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, trihound_sspi::Error> {
        let session = context.session_mut().map_err(sspi_error)?;
        session
            .security("VerifySignature", "INTEGRITY")
            .map_err(sspi_error)?
            .verify_signature(message, sequence_number)
    }

    fn encrypt_message(
        &self,
        context: &mut NtlmContext,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), trihound_sspi::Error> {
        let session = context.session_mut().map_err(sspi_error)?;
        session
            .security("EncryptMessage", "CONFIDENTIALITY")
            .map_err(sspi_error)?
            .encrypt_message(quality_of_protection, message, sequence_number)
    }

    fn decrypt_message(
        &self,
        context: &mut NtlmContext,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, trihound_sspi::Error> {
        let session = context.session_mut().map_err(sspi_error)?;
        session
            .security("DecryptMessage", "CONFIDENTIALITY")
            .map_err(sspi_error)?
            .decrypt_message(message, sequence_number)
    }

    fn query_context_attributes(
        &self,
        context: &NtlmContext,
        attribute: ContextAttribute,
    ) -> Result<ContextAttributeValue, trihound_sspi::Error> {
        query::query(context, attribute, &self.info).map_err(sspi_error)
    }

    fn query_security_context_token(
        &self,
        context: &NtlmContext,
    ) -> Result<Arc<AccessToken>, trihound_sspi::Error> {
        let session = context.session().map_err(sspi_error)?;
        session.access_token().map_err(sspi_error)
    }

    fn mech_list_mic_done(&self, context: &mut NtlmContext) {
        if let Ok(session) = context.session_mut()
            && let Some(security) = &mut session.security
        {
            security.mech_list_mic_done();
        }
    }

    fn export_security_context(
        &self,
        context: &NtlmContext,
        flags: ExportFlags,
    ) -> Result<ContextImage, trihound_sspi::Error> {
        let session = context.session().map_err(sspi_error)?;
        export::export(session, flags).map_err(sspi_error)
    }

    fn import_security_context(
        &self,
        image: &SecretBytes,
    ) -> Result<NtlmContext, trihound_sspi::Error> {
        let session = export::import(image)?;
        Ok(NtlmContext(State::Established(Box::new(session))))
    }
}
