use std::sync::Arc;

use trihound_sansio::{ExchangeRequest, Reply};
use trihound_secret::SecretBytes;

use crate::image::ContextImage;
use crate::{
    AcceptorAttributes, AcceptorRequirements, AccessToken, ContextAttribute, ContextAttributeValue,
    CredentialAttribute, CredentialAttributeValue, CredentialSettings, CredentialUse, Error,
    Expiry, ExportFlags, FunctionSet, Identity, InitiatorAttributes, InitiatorRequirements,
    InputDesc, SecBufferDesc, SecPkgInfo, SecurityStatus, SettingFields,
};

/// A security package: what stands behind the function table.
///
/// Method names are the SSPI functions in snake case; a NULL `phContext` is `None`. A package never
/// does I/O: where it needs a round trip it answers [`Step::ExchangeNeeded`] and is called again
/// through [`Self::complete_exchange`], the one function that SSPI itself does not have.
///
/// # Contract
///
/// - A handshake step consumes the context's state. After a failed step `context` is `None`, unless
///   the failure was a buffer that is too small ([`crate::SecurityStatus::SEC_E_BUFFER_TOO_SMALL`]),
///   which leaves everything as it was: the same call with a larger buffer succeeds.
/// - A message that does not verify leaves the context as it was.
/// - No input makes a method panic.
pub trait SecurityPackage: Send + Sync + 'static {
    /// What a `CredHandle` names. A context keeps what it needs of it, so a handle may be freed
    /// while contexts made from it live.
    type Credential: Send + Sync + 'static;
    /// What a `CtxtHandle` names: a handshake under way, or a session.
    type Context: Send + 'static;

    /// QuerySecurityPackageInfo.
    fn query_security_package_info(&self) -> &SecPkgInfo;

    /// Which slots of the function table this package fills. The table answers
    /// SEC_E_UNSUPPORTED_FUNCTION for the others without asking the package.
    fn functions(&self) -> FunctionSet;

    /// What Negotiate needs to know; `None` keeps the package out of negotiation.
    fn mechanism(&self) -> Option<&MechanismInfo> {
        None
    }

    /// Which fields of [`CredentialSettings`] the package follows. The table refuses the others without
    /// asking the package.
    fn settings(&self) -> SettingFields {
        SettingFields::empty()
    }

    /// AcquireCredentialsHandle.
    fn acquire_credentials_handle(
        &self,
        request: AcquireRequest<'_>,
    ) -> Result<Self::Credential, Error>;

    /// `ptsExpiry` of AcquireCredentialsHandle.
    fn credential_expiry(&self, credential: &Self::Credential) -> Expiry;

    /// QueryCredentialsAttributes.
    fn query_credentials_attributes(
        &self,
        _credential: &Self::Credential,
        _attribute: CredentialAttribute,
    ) -> Result<CredentialAttributeValue, Error> {
        Err(Error::unsupported("QueryCredentialsAttributes"))
    }

    /// SetCredentialsAttributes.
    fn set_credentials_attributes(
        &self,
        _credential: &Self::Credential,
        _value: CredentialAttributeValue,
    ) -> Result<(), Error> {
        Err(Error::unsupported("SetCredentialsAttributes"))
    }

    /// AddCredentials: what `request` names serves beside what the credential has, in every context that is
    /// made of it from then on.
    fn add_credentials(
        &self,
        _credential: &Self::Credential,
        _request: AcquireRequest<'_>,
    ) -> Result<(), Error> {
        Err(Error::unsupported("AddCredentials"))
    }

    /// InitializeSecurityContext.
    fn initialize_security_context(
        &self,
        credential: &Self::Credential,
        context: &mut Option<Self::Context>,
        request: InitializeRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error>;

    /// AcceptSecurityContext. On an error the output may hold a token for the peer (KRB-ERROR, reject).
    fn accept_security_context(
        &self,
        credential: &Self::Credential,
        context: &mut Option<Self::Context>,
        request: AcceptRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error>;

    /// Goes on with a handshake that answered [`Step::ExchangeNeeded`].
    fn complete_exchange(
        &self,
        context: &mut Option<Self::Context>,
        reply: Reply<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error>;

    /// CompleteAuthToken.
    fn complete_auth_token(
        &self,
        _context: &mut Self::Context,
        _token: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(), Error> {
        Err(Error::unsupported("CompleteAuthToken"))
    }

    /// ApplyControlToken.
    fn apply_control_token(
        &self,
        _context: &mut Self::Context,
        _token: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(), Error> {
        Err(Error::unsupported("ApplyControlToken"))
    }

    /// MakeSignature: a TOKEN buffer receives the MIC of the DATA buffers.
    fn make_signature(
        &self,
        context: &mut Self::Context,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), Error>;

    /// VerifySignature; the value is the quality of protection that the message had.
    fn verify_signature(
        &self,
        context: &mut Self::Context,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error>;

    /// EncryptMessage, in place.
    fn encrypt_message(
        &self,
        context: &mut Self::Context,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), Error>;

    /// DecryptMessage, in place; the value is the quality of protection that the message had
    /// ([`crate::SECQOP_WRAP_NO_ENCRYPT`] when it was signed only).
    fn decrypt_message(
        &self,
        context: &mut Self::Context,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error>;

    /// QueryContextAttributes.
    fn query_context_attributes(
        &self,
        context: &Self::Context,
        attribute: ContextAttribute,
    ) -> Result<ContextAttributeValue, Error>;

    /// SetContextAttributes.
    fn set_context_attributes(
        &self,
        _context: &mut Self::Context,
        _value: ContextAttributeValue,
    ) -> Result<(), Error> {
        Err(Error::unsupported("SetContextAttributes"))
    }

    /// QuerySecurityContextToken: the client's access token.
    fn query_security_context_token(
        &self,
        _context: &Self::Context,
    ) -> Result<Arc<AccessToken>, Error> {
        Err(Error::unsupported("QuerySecurityContextToken"))
    }

    /// ExportSecurityContext: the plain image of a context ([`crate::image`]); the table seals it, and
    /// deletes the context where it has to. Until then the context is as it was.
    fn export_security_context(
        &self,
        _context: &Self::Context,
        _flags: ExportFlags,
    ) -> Result<ContextImage, Error> {
        Err(Error::unsupported("ExportSecurityContext"))
    }

    /// ImportSecurityContext: from the plain image.
    fn import_security_context(&self, _image: &SecretBytes) -> Result<Self::Context, Error> {
        Err(Error::unsupported("ImportSecurityContext"))
    }

    /// ChangeAccountPassword takes several round trips, so it is an exchange of its own.
    fn change_account_password(
        &self,
        _request: ChangePasswordRequest<'_>,
    ) -> Result<BoxedExchange, Error> {
        Err(Error::unsupported("ChangeAccountPassword"))
    }

    /// Told by Negotiate once a mechListMIC was made and checked (MS-SPNG 3.3.5.1: NTLM starts its
    /// cipher anew).
    fn mech_list_mic_done(&self, _context: &mut Self::Context) {}
}

/// A password change under way; its errors are SSPI's.
pub type BoxedExchange = Box<dyn trihound_sansio::Exchange<Output = (), Error = Error> + Send>;

/// What Negotiate has to know of a mechanism.
#[derive(Clone, Debug)]
pub struct MechanismInfo {
    /// The mechanism's object identifiers in dotted form, the preferred one first.
    pub oids: Vec<String>,
    /// Whether a first token that is not SPNEGO is one of this mechanism's own.
    pub is_raw_token: fn(&[u8]) -> bool,
    /// Whether the mechanism knows services by the names of their hosts. Negotiate then leaves it out
    /// for a target whose host is an IP address, as Windows does with Kerberos.
    pub needs_host_name: bool,
}

/// The arguments of AcquireCredentialsHandle.
#[derive(Clone, Copy, Debug, Default)]
pub struct AcquireRequest<'a> {
    /// `pszPrincipal`: whose credential; `None` is the default one.
    pub principal: Option<&'a str>,
    /// `fCredentialUse`.
    pub credential_use: CredentialUse,
    /// `pAuthData`: a name with its secret; `None` asks the credential store.
    pub identity: Option<&'a Identity>,
    /// `PackageList` of SEC_WINNT_AUTH_IDENTITY_EX: the packages that Negotiate may use, such as
    /// `Kerberos` or `!NTLM`; `None` leaves the choice to it. Other packages do not look at it. For
    /// AddCredentials it is `pszPackage`: the mechanism whose credential is added to one of Negotiate.
    pub package_list: Option<&'a str>,
    /// Where the credential's tickets and keys are, and how its logins are made; `None` is the
    /// environment's. A package refuses what it is given and does not do.
    pub settings: Option<&'a CredentialSettings>,
    /// The thread's access token, when it impersonates.
    pub impersonation: Option<&'a Arc<AccessToken>>,
}

impl AcquireRequest<'_> {
    /// The default credential for this use.
    #[must_use]
    pub fn new(credential_use: CredentialUse) -> Self {
        Self {
            principal: None,
            credential_use,
            identity: None,
            package_list: None,
            settings: None,
            impersonation: None,
        }
    }
}

/// The arguments of InitializeSecurityContext.
#[derive(Clone, Copy, Debug, Default)]
pub struct InitializeRequest<'a> {
    /// `pszTargetName`: the service principal name; may be `None` on later calls.
    pub target_name: Option<&'a str>,
    /// `fContextReq`; heeded on the first call.
    pub requirements: InitiatorRequirements,
    /// `pInput`: a TOKEN buffer from the peer, a CHANNEL_BINDINGS buffer. `None` on the first call.
    pub input: Option<InputDesc<'a>>,
    /// The thread's access token, when it impersonates.
    pub impersonation: Option<&'a Arc<AccessToken>>,
    /// The error that led Negotiate to fall back to this package.
    pub fallback_reason: Option<&'a Error>,
}

/// The arguments of AcceptSecurityContext.
#[derive(Clone, Copy, Debug, Default)]
pub struct AcceptRequest<'a> {
    /// `fContextReq`; heeded on the first call.
    pub requirements: AcceptorRequirements,
    /// `pInput`: a TOKEN buffer from the peer, a CHANNEL_BINDINGS buffer.
    pub input: Option<InputDesc<'a>>,
}

/// The arguments of ChangeAccountPassword.
#[derive(Clone, Copy, Debug)]
pub struct ChangePasswordRequest<'a> {
    /// `pszDomainName`: the account's realm or domain.
    pub domain_name: &'a str,
    /// `pszAccountName`.
    pub account_name: &'a str,
    /// `pszOldPassword`.
    pub old_password: &'a trihound_secret::SecretString,
    /// `pszNewPassword`.
    pub new_password: &'a trihound_secret::SecretString,
}

/// Where a handshake stands after a call.
#[must_use]
#[derive(Debug)]
pub enum Step {
    /// SEC_E_OK: the context is established; an output token, if any, still has to be sent.
    Complete(Established),
    /// SEC_I_CONTINUE_NEEDED: send the output token and call again with the peer's answer.
    ContinueNeeded,
    /// SEC_I_COMPLETE_NEEDED or SEC_I_COMPLETE_AND_CONTINUE: call CompleteAuthToken first.
    CompleteNeeded {
        /// Whether the peer's answer is still awaited after that.
        and_continue: bool,
    },
    /// SEC_I_ASYNC_CALL_PENDING: do this round trip and call `complete_exchange`.
    ExchangeNeeded(ExchangeRequest),
}

impl Step {
    /// The success status that SSPI gives for the step.
    #[must_use]
    pub const fn status(&self) -> SecurityStatus {
        match self {
            Self::Complete(_) => SecurityStatus::SEC_E_OK,
            Self::ContinueNeeded => SecurityStatus::SEC_I_CONTINUE_NEEDED,
            Self::CompleteNeeded {
                and_continue: false,
            } => SecurityStatus::SEC_I_COMPLETE_NEEDED,
            Self::CompleteNeeded { and_continue: true } => {
                SecurityStatus::SEC_I_COMPLETE_AND_CONTINUE
            }
            Self::ExchangeNeeded(_) => SecurityStatus::SEC_I_ASYNC_CALL_PENDING,
        }
    }
}

/// What an established context has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// What was negotiated, never an echo of what was asked.
    pub attributes: EstablishedAttributes,
    /// `ptsExpiry`: always set; an established Kerberos context ends with its ticket.
    pub expiry: Expiry,
    /// Whether Negotiate must, may or cannot exchange a mechListMIC over this context.
    pub mech_list_mic: MechListMic,
}

/// The returned attributes of one side; their bits differ (0x10000 is INTEGRITY in one and STREAM
/// in the other), so the two are different types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EstablishedAttributes {
    /// ISC_RET_ flags.
    Initiator(InitiatorAttributes),
    /// ASC_RET_ flags.
    Acceptor(AcceptorAttributes),
}

/// Whether a mechListMIC is needed over a context (RFC 4178 section 5, MS-SPNG).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MechListMic {
    /// The peer insists (Windows, when an NTLM AUTHENTICATE carries a MIC).
    Required,
    /// The mechanism has integrity; Negotiate decides.
    Possible,
    /// The context has no integrity.
    Impossible,
}
