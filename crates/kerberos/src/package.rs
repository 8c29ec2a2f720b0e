//! The package as SSPI sees it.

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use trihound_asn1::gss::{self, KRB5_OID, MS_KRB5_OID};
use trihound_krb5::ap::AcceptPolicy;
use trihound_krb5::{CredentialStore, Environment, MemoryReplayCache, ReplayCache, StoreOpener};
use trihound_sansio::Reply;
use trihound_secret::SecretBytes;
use trihound_sspi::image::ContextImage;
use trihound_sspi::{
    AcceptRequest, AccessToken, AcquireRequest, BoxedExchange, ChangePasswordRequest,
    ContextAttribute, ContextAttributeValue, CredentialAttribute, CredentialAttributeValue, Expiry,
    ExportFlags, FunctionSet, InitializeRequest, MechanismInfo, SecBufferDesc, SecPkgCapabilities,
    SecPkgInfo, SecurityPackage, SettingFields, Step,
};

use crate::acceptor::{self, Surroundings};
use crate::acquire;
use crate::context::{KerberosContext, MAX_TOKEN, Outcome, State, deliver};
use crate::credential::KerberosCredential;
use crate::delegation::DelegationPolicy;
use crate::error::{ContextError, Error, TokenError, sspi_error};
use crate::export;
use crate::initiator;
use crate::lifespan;
use crate::login;
use crate::password;
use crate::query;

/// `wRPCID` of Kerberos: RPC_C_AUTHN_GSS_KERBEROS.
const RPC_ID: u16 = 16;

/// First byte of an AP-REQ: `[APPLICATION 14]`, constructed.
const AP_REQ_TAG: u8 = 0x6e;

/// What the package is made of.
#[derive(Clone)]
pub struct KerberosConfig {
    /// The time, randomness and the configuration.
    pub environment: Environment,
    /// Tickets and keys for those who acquire credentials without an identity.
    pub store: Arc<dyn CredentialStore>,
    /// Opens the caches and keytabs that a credential's settings name
    /// ([`trihound_sspi::CredentialSettings`]); without it such settings are refused.
    pub stores: Option<Arc<dyn StoreOpener>>,
    /// The one replay cache of all contexts of the package.
    pub replay_cache: Arc<dyn ReplayCache>,
    /// What an acceptor permits.
    pub accept_policy: AcceptPolicy,
    /// To which services a client's ticket-granting ticket goes where DELEGATE is asked for, unless the
    /// credential has a policy of its own ([`KerberosCredential::with_delegation`]).
    pub delegation: DelegationPolicy,
}

impl KerberosConfig {
    /// With a replay cache in memory and the default policy.
    #[must_use]
    pub fn new(environment: Environment, store: Arc<dyn CredentialStore>) -> Self {
        Self {
            environment,
            store,
            stores: None,
            replay_cache: Arc::new(MemoryReplayCache::default()),
            accept_policy: AcceptPolicy::default(),
            delegation: DelegationPolicy::default(),
        }
    }
}

impl fmt::Debug for KerberosConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KerberosConfig")
            .field("environment", &self.environment)
            .field("accept_policy", &self.accept_policy)
            .finish_non_exhaustive()
    }
}

/// The security package `Kerberos`.
///
/// It does no I/O: where a KDC has to be asked, the step is [`Step::ExchangeNeeded`].
#[derive(Debug)]
pub struct Kerberos {
    config: KerberosConfig,
    info: SecPkgInfo,
    mechanism: MechanismInfo,
}

impl Kerberos {
    /// The package's name in SSPI.
    pub const NAME: &'static str = "Kerberos";

    /// A package of these parts.
    #[must_use]
    pub fn new(config: KerberosConfig) -> Self {
        Self {
            config,
            info: SecPkgInfo {
                capabilities: capabilities(),
                version: 1,
                rpc_id: RPC_ID,
                max_token: u32::try_from(MAX_TOKEN).unwrap_or(u32::MAX),
                name: Cow::Borrowed(Self::NAME),
                comment: Cow::Borrowed("Kerberos V5 (RFC 4120, RFC 4121, MS-KILE)"),
            },
            // MS-SPNG section 3.1.5.2: the identifier that Windows 2000 misspelt comes first.
            mechanism: MechanismInfo {
                oids: vec![
                    "1.2.840.48018.1.2.2".to_owned(),
                    "1.2.840.113554.1.2.2".to_owned(),
                ],
                is_raw_token,
                needs_host_name: true,
            },
        }
    }

    /// The time, randomness and the configuration that the package works with.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.config.environment
    }

    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            environment: &self.config.environment,
            replay_cache: &*self.config.replay_cache,
            policy: &self.config.accept_policy,
        }
    }
}

/// What works. Not among them: datagram contexts.
fn capabilities() -> SecPkgCapabilities {
    SecPkgCapabilities::INTEGRITY
        | SecPkgCapabilities::PRIVACY
        | SecPkgCapabilities::TOKEN_ONLY
        | SecPkgCapabilities::CONNECTION
        | SecPkgCapabilities::MULTI_REQUIRED
        | SecPkgCapabilities::EXTENDED_ERROR
        | SecPkgCapabilities::NEGOTIABLE
        | SecPkgCapabilities::GSS_COMPATIBLE
        | SecPkgCapabilities::IMPERSONATION
        | SecPkgCapabilities::MUTUAL_AUTH
        | SecPkgCapabilities::DELEGATION
        | SecPkgCapabilities::READONLY_WITH_CHECKSUM
}

/// Whether a first token that is not SPNEGO is one of Kerberos: framed, or an AP-REQ as it is.
fn is_raw_token(token: &[u8]) -> bool {
    token.first() == Some(&AP_REQ_TAG)
        || gss::unwrap_token(token)
            .is_ok_and(|parsed| parsed.oid == KRB5_OID || parsed.oid == MS_KRB5_OID)
}

/// What a call on an established context comes to: SSPI's classic loop calls once more than the
/// wire has legs, with nothing to hand over (conformance row 119 refuses anything else).
fn once_more(state: State, token: Option<&[u8]>) -> Result<Outcome, Error> {
    match token {
        None => Ok(Outcome::Token(state, None)),
        Some(token) => Err(TokenError::AfterEstablishment {
            length: token.len(),
        }
        .into()),
    }
}

impl SecurityPackage for Kerberos {
    type Credential = KerberosCredential;
    type Context = KerberosContext;

    fn query_security_package_info(&self) -> &SecPkgInfo {
        &self.info
    }

    fn functions(&self) -> FunctionSet {
        FunctionSet::REQUIRED
            | FunctionSet::QUERY_CREDENTIALS_ATTRIBUTES
            | FunctionSet::SET_CREDENTIALS_ATTRIBUTES
            | FunctionSet::ADD_CREDENTIALS
            | FunctionSet::SET_CONTEXT_ATTRIBUTES
            | FunctionSet::QUERY_SECURITY_CONTEXT_TOKEN
            | FunctionSet::CHANGE_ACCOUNT_PASSWORD
            | FunctionSet::EXPORT_SECURITY_CONTEXT
            | FunctionSet::IMPORT_SECURITY_CONTEXT
    }

    fn mechanism(&self) -> Option<&MechanismInfo> {
        Some(&self.mechanism)
    }

    fn settings(&self) -> SettingFields {
        match self.config.stores {
            Some(_) => login::FOLLOWED,
            None => login::FOLLOWED - login::PLACES,
        }
    }

    fn acquire_credentials_handle(
        &self,
        request: AcquireRequest<'_>,
    ) -> Result<KerberosCredential, trihound_sspi::Error> {
        acquire::acquire(request, &self.config)
    }

    fn change_account_password(
        &self,
        request: ChangePasswordRequest<'_>,
    ) -> Result<BoxedExchange, trihound_sspi::Error> {
        password::change(request, &self.config.environment)
    }

    fn credential_expiry(&self, credential: &KerberosCredential) -> Expiry {
        credential.expiry(self.config.environment.now(0))
    }

    fn query_credentials_attributes(
        &self,
        credential: &KerberosCredential,
        attribute: CredentialAttribute,
    ) -> Result<CredentialAttributeValue, trihound_sspi::Error> {
        credential.query(attribute).map_err(sspi_error)
    }

    fn set_credentials_attributes(
        &self,
        credential: &KerberosCredential,
        value: CredentialAttributeValue,
    ) -> Result<(), trihound_sspi::Error> {
        credential.set(&value).map_err(sspi_error)
    }

    fn add_credentials(
        &self,
        credential: &KerberosCredential,
        request: AcquireRequest<'_>,
    ) -> Result<(), trihound_sspi::Error> {
        let other = acquire::acquire(request, &self.config)?;
        credential.add(&other).map_err(sspi_error)
    }

    fn initialize_security_context(
        &self,
        credential: &KerberosCredential,
        context: &mut Option<KerberosContext>,
        request: InitializeRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, trihound_sspi::Error> {
        let token = request.input.and_then(|input| input.token());
        let outcome = match context.take().map(|context| context.0) {
            None => initiator::begin(credential, &request, &self.config)?,
            Some(State::ExpectApReply(waiting)) => waiting.step(token).map_err(sspi_error)?,
            Some(State::Undelivered(undelivered)) => undelivered.again(),
            Some(state @ State::Established(_)) => once_more(state, token).map_err(sspi_error)?,
            Some(State::ExpectKdcReply(_) | State::ExpectForwarded(_)) => {
                return Err(sspi_error(ContextError::ExchangeUnderWay));
            }
            Some(State::ExpectThirdLeg(_)) => {
                return Err(sspi_error(ContextError::OtherRole { role: "acceptor" }));
            }
        };
        deliver(context, outcome, output)
    }

    fn accept_security_context(
        &self,
        credential: &KerberosCredential,
        context: &mut Option<KerberosContext>,
        request: AcceptRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, trihound_sspi::Error> {
        let token = request.input.and_then(|input| input.token());
        let outcome = match context.take().map(|context| context.0) {
            None => acceptor::begin(credential, &request, &self.surroundings(), output)?,
            Some(State::ExpectThirdLeg(waiting)) => waiting.step(token).map_err(sspi_error)?,
            Some(State::Undelivered(undelivered)) => undelivered.again(),
            Some(state @ State::Established(_)) => once_more(state, token).map_err(sspi_error)?,
            Some(
                State::ExpectKdcReply(_) | State::ExpectForwarded(_) | State::ExpectApReply(_),
            ) => {
                return Err(sspi_error(ContextError::OtherRole { role: "initiator" }));
            }
        };
        deliver(context, outcome, output)
    }

    fn complete_exchange(
        &self,
        context: &mut Option<KerberosContext>,
        reply: Reply<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, trihound_sspi::Error> {
        let outcome = match context.take().map(|context| context.0) {
            Some(State::ExpectKdcReply(waiting)) => {
                waiting.step(Some(reply)).map_err(sspi_error)?
            }
            Some(State::ExpectForwarded(waiting)) => {
                waiting.step(Some(reply)).map_err(sspi_error)?
            }
            Some(State::Undelivered(undelivered)) => undelivered.again(),
            _ => return Err(sspi_error(ContextError::NoExchange)),
        };
        deliver(context, outcome, output)
    }

    fn make_signature(
        &self,
        context: &mut KerberosContext,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        _sequence_number: u32,
    ) -> Result<(), trihound_sspi::Error> {
        let session = context.session_mut().map_err(sspi_error)?;
        session.make_signature(quality_of_protection, message)
    }

    fn verify_signature(
        &self,
        context: &mut KerberosContext,
        message: &mut SecBufferDesc<'_, '_>,
        _sequence_number: u32,
    ) -> Result<u32, trihound_sspi::Error> {
        let session = context.session_mut().map_err(sspi_error)?;
        session.verify_signature(message)
    }

    fn encrypt_message(
        &self,
        context: &mut KerberosContext,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        _sequence_number: u32,
    ) -> Result<(), trihound_sspi::Error> {
        let session = context.session_mut().map_err(sspi_error)?;
        session.encrypt_message(quality_of_protection, message)
    }

    fn decrypt_message(
        &self,
        context: &mut KerberosContext,
        message: &mut SecBufferDesc<'_, '_>,
        _sequence_number: u32,
    ) -> Result<u32, trihound_sspi::Error> {
        let session = context.session_mut().map_err(sspi_error)?;
        session.decrypt_message(message)
    }

    fn query_context_attributes(
        &self,
        context: &KerberosContext,
        attribute: ContextAttribute,
    ) -> Result<ContextAttributeValue, trihound_sspi::Error> {
        query::query(context, attribute, &self.info).map_err(sspi_error)
    }

    fn set_context_attributes(
        &self,
        context: &mut KerberosContext,
        value: ContextAttributeValue,
    ) -> Result<(), trihound_sspi::Error> {
        lifespan::set(context, &value).map_err(sspi_error)
    }

    fn query_security_context_token(
        &self,
        context: &KerberosContext,
    ) -> Result<Arc<AccessToken>, trihound_sspi::Error> {
        let session = context.session().map_err(sspi_error)?;
        session.access_token().map_err(sspi_error)
    }

    fn export_security_context(
        &self,
        context: &KerberosContext,
        flags: ExportFlags,
    ) -> Result<ContextImage, trihound_sspi::Error> {
        let session = context.session().map_err(sspi_error)?;
        export::export(session, flags).map_err(sspi_error)
    }

    fn import_security_context(
        &self,
        image: &SecretBytes,
    ) -> Result<KerberosContext, trihound_sspi::Error> {
        let session = export::import(image, &self.config.environment).map_err(sspi_error)?;
        Ok(KerberosContext(State::Established(Box::new(session))))
    }

    fn mech_list_mic_done(&self, context: &mut KerberosContext) {
        if let Ok(session) = context.session_mut() {
            session.messages.begin_here();
        }
    }
}
