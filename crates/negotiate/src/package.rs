//! The package as SSPI sees it.

use core::fmt;
use std::borrow::Cow;

use trihound_sansio::Reply;
use trihound_sspi::{
    AcceptRequest, AcquireRequest, ContextAttribute, ContextAttributeValue, Expiry, FunctionSet,
    InitializeRequest, SecBufferDesc, SecPkgCapabilities, SecPkgInfo, SecurityFunctionTable,
    SecurityPackage, Step,
};

use crate::context::NegotiateContext;
use crate::credential::{self, NegotiateCredential};
use crate::policy::NegotiatePolicy;

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
            .filter_map(|info| mechanisms.functions_of(&info.name).ok())
            .fold(FunctionSet::empty(), FunctionSet::union);
        Self {
            info: SecPkgInfo {
                capabilities: capabilities(),
                version: 1,
                rpc_id: RPC_ID,
                max_token: longest.unwrap_or_default().saturating_add(OVERHEAD),
                name: Cow::Borrowed(Self::NAME),
                comment: Cow::Borrowed("SPNEGO (RFC 4178, MS-SPNG)"),
            },
            functions: FunctionSet::REQUIRED | (offered & DELEGATED),
            config,
        }
    }

    /// The table of mechanisms.
    #[must_use]
    pub fn mechanisms(&self) -> &SecurityFunctionTable {
        &self.config.mechanisms
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
    .union(FunctionSet::SET_CONTEXT_ATTRIBUTES)
    .union(FunctionSet::APPLY_CONTROL_TOKEN);

/// What works, as Windows has it, but for what no package here does yet: impersonation of the thread,
/// logon, restricted tokens, Windows account names as targets.
fn capabilities() -> SecPkgCapabilities {
    SecPkgCapabilities::INTEGRITY
        | SecPkgCapabilities::PRIVACY
        | SecPkgCapabilities::CONNECTION
        | SecPkgCapabilities::MULTI_REQUIRED
        | SecPkgCapabilities::EXTENDED_ERROR
        | SecPkgCapabilities::NEGOTIABLE
        | SecPkgCapabilities::GSS_COMPATIBLE
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

    fn acquire_credentials_handle(
        &self,
        request: AcquireRequest<'_>,
    ) -> Result<NegotiateCredential, trihound_sspi::Error> {
        credential::acquire(request, &self.config.mechanisms)
    }

    fn credential_expiry(&self, credential: &NegotiateCredential) -> Expiry {
        let preferred = credential.preferred().map(|arm| arm.credential.handle());
        preferred
            .and_then(|handle| self.config.mechanisms.credential_expiry(handle).ok())
            .unwrap_or(Expiry::Never)
    }

    fn initialize_security_context(
        &self,
        _: &NegotiateCredential,
        _: &mut Option<NegotiateContext>,
        _: InitializeRequest<'_>,
        _: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, trihound_sspi::Error> {
        Err(trihound_sspi::Error::unsupported(
            "InitializeSecurityContext",
        ))
    }
    fn accept_security_context(
        &self,
        _: &NegotiateCredential,
        _: &mut Option<NegotiateContext>,
        _: AcceptRequest<'_>,
        _: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, trihound_sspi::Error> {
        Err(trihound_sspi::Error::unsupported("AcceptSecurityContext"))
    }
    fn complete_exchange(
        &self,
        _: &mut Option<NegotiateContext>,
        _: Reply<'_>,
        _: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, trihound_sspi::Error> {
        Err(trihound_sspi::Error::unsupported("complete_exchange"))
    }
    fn make_signature(
        &self,
        _: &mut NegotiateContext,
        _: u32,
        _: &mut SecBufferDesc<'_, '_>,
        _: u32,
    ) -> Result<(), trihound_sspi::Error> {
        Err(trihound_sspi::Error::unsupported("MakeSignature"))
    }
    fn verify_signature(
        &self,
        _: &mut NegotiateContext,
        _: &mut SecBufferDesc<'_, '_>,
        _: u32,
    ) -> Result<u32, trihound_sspi::Error> {
        Err(trihound_sspi::Error::unsupported("VerifySignature"))
    }
    fn encrypt_message(
        &self,
        _: &mut NegotiateContext,
        _: u32,
        _: &mut SecBufferDesc<'_, '_>,
        _: u32,
    ) -> Result<(), trihound_sspi::Error> {
        Err(trihound_sspi::Error::unsupported("EncryptMessage"))
    }
    fn decrypt_message(
        &self,
        _: &mut NegotiateContext,
        _: &mut SecBufferDesc<'_, '_>,
        _: u32,
    ) -> Result<u32, trihound_sspi::Error> {
        Err(trihound_sspi::Error::unsupported("DecryptMessage"))
    }
    fn query_context_attributes(
        &self,
        _: &NegotiateContext,
        _: ContextAttribute,
    ) -> Result<ContextAttributeValue, trihound_sspi::Error> {
        Err(trihound_sspi::Error::unsupported("QueryContextAttributes"))
    }
}
