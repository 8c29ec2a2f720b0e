//! The functions of the table over handles.

use std::sync::Arc;

use trihound_sansio::Reply;
use trihound_secret::SecretBytes;

use crate::image::ContextImage;
use crate::impersonation::{self, Impersonation, TableCall};
use crate::registered::ErasedPackage;
use crate::table::require;
use crate::{
    AcceptRequest, AccessToken, AcquireRequest, AcquiredCredential, ContextAttribute,
    ContextAttributeValue, ContextRef, CredHandle, CredentialAttribute, CredentialAttributeValue,
    CtxtHandle, Error, Expiry, ExportFlags, Function, HandshakeOutcome, InitializeRequest,
    OwnedCredHandle, OwnedCtxtHandle, SecBufferDesc, SecurityFunctionTable,
};

// Credentials.
impl SecurityFunctionTable {
    /// AcquireCredentialsHandle. On a thread that impersonates, an outbound credential without an identity is the one
    /// that the client delegated, and never the process's own.
    ///
    /// # Errors
    ///
    /// SEC_E_SECPKG_NOT_FOUND; SEC_E_NO_CREDENTIALS, also for a client that delegated none; whatever the package
    /// says.
    pub fn acquire_credentials_handle(
        &self,
        package: &str,
        request: AcquireRequest<'_>,
    ) -> Result<AcquiredCredential, Error> {
        let package = self.by_name(package)?;
        self.require(&*package, Function::AcquireCredentialsHandle)?;
        check_settings(&*package, &request)?;
        let call = TableCall::enter();
        let impersonation = request.impersonation.or(call.token());
        let (credential, expiry) = package.acquire(AcquireRequest {
            impersonation,
            ..request
        })?;
        Ok(AcquiredCredential { credential, expiry })
    }

    /// FreeCredentialsHandle. Contexts made from the credential live on.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_HANDLE.
    pub fn free_credentials_handle(&self, credential: CredHandle) -> Result<(), Error> {
        self.of_credential(credential)?.free_credential(credential)
    }

    /// When a credential ends: `ptsExpiry`, for one that was adopted.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_HANDLE.
    pub fn credential_expiry(&self, credential: CredHandle) -> Result<Expiry, Error> {
        self.of_credential(credential)?
            .credential_expiry(credential)
    }

    /// QueryCredentialsAttributes.
    ///
    /// # Errors
    ///
    /// SEC_E_UNSUPPORTED_FUNCTION, also for an attribute that the package does not have.
    pub fn query_credentials_attributes(
        &self,
        credential: CredHandle,
        attribute: CredentialAttribute,
    ) -> Result<CredentialAttributeValue, Error> {
        let package = self.credential_call(credential, Function::QueryCredentialsAttributes)?;
        package.query_credential(credential, attribute)
    }

    /// SetCredentialsAttributes.
    ///
    /// # Errors
    ///
    /// SEC_E_UNSUPPORTED_FUNCTION, also for an attribute that the package does not set.
    pub fn set_credentials_attributes(
        &self,
        credential: CredHandle,
        value: CredentialAttributeValue,
    ) -> Result<(), Error> {
        let package = self.credential_call(credential, Function::SetCredentialsAttributes)?;
        package.set_credential(credential, value)
    }

    /// AddCredentials: adds what `request` names to a credential.
    ///
    /// # Errors
    ///
    /// SEC_E_UNSUPPORTED_FUNCTION, also for a setting that the package does not follow; whatever the
    /// package says. The credential is as it was then.
    pub fn add_credentials(
        &self,
        credential: CredHandle,
        request: AcquireRequest<'_>,
    ) -> Result<(), Error> {
        let package = self.credential_call(credential, Function::AddCredentials)?;
        check_settings(&*package, &request)?;
        let call = TableCall::enter();
        let impersonation = request.impersonation.or(call.token());
        package.add_credentials(
            credential,
            AcquireRequest {
                impersonation,
                ..request
            },
        )
    }

    /// The package of a credential that is there, when it offers `function`.
    fn credential_call(
        &self,
        credential: CredHandle,
        function: Function,
    ) -> Result<Arc<dyn ErasedPackage>, Error> {
        let package = self.of_credential(credential)?;
        package.check_credential(credential)?;
        self.require(&*package, function)?;
        Ok(package)
    }

    /// A handle that frees its credential when dropped.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_HANDLE.
    pub fn own_credential(&self, credential: CredHandle) -> Result<OwnedCredHandle, Error> {
        let package = self.of_credential(credential)?;
        package.check_credential(credential)?;
        Ok(OwnedCredHandle::new(package, credential))
    }
}

/// What nobody follows is refused before the package sees it.
fn check_settings(package: &dyn ErasedPackage, request: &AcquireRequest<'_>) -> Result<(), Error> {
    match request.settings {
        Some(settings) => settings.require(package.settings(), &package.info().name),
        None => Ok(()),
    }
}

// Contexts.
impl SecurityFunctionTable {
    /// The package that a handshake call goes to: the context's, or the credential's on a first call.
    fn handshake_package(
        &self,
        credential: Option<CredHandle>,
        context: Option<CtxtHandle>,
        function: Function,
    ) -> Result<Arc<dyn ErasedPackage>, Error> {
        let package = match (context, credential) {
            (Some(context), _) => self.of_context(context)?,
            (None, Some(credential)) => self.of_credential(credential)?,
            (None, None) => return Err(Error::invalid_handle("credential")),
        };
        self.require(&*package, function)?;
        Ok(package)
    }

    /// InitializeSecurityContext. `context` is `None` on the first call and what that one gave on
    /// later ones, where `credential` may be `None`: the context knows its own.
    ///
    /// A first call that fails leaves no context behind. A later one that fails empties it: the
    /// handle is then good for [`Self::delete_security_context`] only. A failed call may have put a
    /// token for the peer into `output`. A buffer that is too small changes nothing.
    ///
    /// # Errors
    ///
    /// SEC_E_BUFFER_TOO_SMALL, and whatever the package says.
    pub fn initialize_security_context(
        &self,
        credential: Option<CredHandle>,
        context: Option<CtxtHandle>,
        request: InitializeRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<HandshakeOutcome, Error> {
        output.clear_tokens();
        let function = Function::InitializeSecurityContext;
        let package = self.handshake_package(credential, context, function)?;
        let call = TableCall::enter();
        let request = InitializeRequest {
            impersonation: request.impersonation.or(call.token()),
            ..request
        };
        let (context, step) = package.initialize(credential, context, request, output)?;
        Ok(HandshakeOutcome { context, step })
    }

    /// AcceptSecurityContext; as [`Self::initialize_security_context`] otherwise.
    ///
    /// # Errors
    ///
    /// SEC_E_BUFFER_TOO_SMALL, and whatever the package says.
    pub fn accept_security_context(
        &self,
        credential: Option<CredHandle>,
        context: Option<CtxtHandle>,
        request: AcceptRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<HandshakeOutcome, Error> {
        output.clear_tokens();
        let function = Function::AcceptSecurityContext;
        let package = self.handshake_package(credential, context, function)?;
        let (context, step) = package.accept(credential, context, request, output)?;
        Ok(HandshakeOutcome { context, step })
    }

    /// Goes on after SEC_I_ASYNC_CALL_PENDING with what became of the round trip.
    ///
    /// # Errors
    ///
    /// As [`Self::initialize_security_context`]; SEC_E_NO_AUTHENTICATING_AUTHORITY when nobody
    /// answered.
    pub fn complete_exchange(
        &self,
        context: CtxtHandle,
        reply: Reply<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<HandshakeOutcome, Error> {
        output.clear_tokens();
        let cell = self.of_context(context)?.context(context)?;
        let _call = TableCall::enter();
        let step = cell.complete_exchange(reply, output)?;
        Ok(HandshakeOutcome { context, step })
    }

    /// DeleteSecurityContext. Succeeds for a context whose handshake failed, too.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_HANDLE.
    pub fn delete_security_context(&self, context: CtxtHandle) -> Result<(), Error> {
        self.of_context(context)?.delete_context(context)
    }

    /// Resolves a handle once, for a caller with many messages.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_HANDLE.
    pub fn context(&self, context: CtxtHandle) -> Result<ContextRef, Error> {
        let package = self.of_context(context)?;
        let functions = self.effective(package.functions());
        let identity = self.thread_identity();
        Ok(ContextRef::new(
            package.context(context)?,
            functions,
            identity,
        ))
    }

    /// A handle that deletes its context when dropped.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_HANDLE.
    pub fn own_context(&self, context: CtxtHandle) -> Result<OwnedCtxtHandle, Error> {
        let package = self.of_context(context)?;
        package.context(context)?;
        Ok(OwnedCtxtHandle::new(package, context))
    }

    /// CompleteAuthToken, after [`crate::Step::CompleteNeeded`].
    ///
    /// # Errors
    ///
    /// SEC_E_UNSUPPORTED_FUNCTION, and whatever the package says.
    pub fn complete_auth_token(
        &self,
        context: CtxtHandle,
        token: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(), Error> {
        self.context(context)?.complete_auth_token(token)
    }

    /// ApplyControlToken.
    ///
    /// # Errors
    ///
    /// SEC_E_UNSUPPORTED_FUNCTION, and whatever the package says.
    pub fn apply_control_token(
        &self,
        context: CtxtHandle,
        token: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(), Error> {
        self.context(context)?.apply_control_token(token)
    }

    /// QueryContextAttributes.
    ///
    /// # Errors
    ///
    /// SEC_E_UNSUPPORTED_FUNCTION for an attribute that the package does not have.
    pub fn query_context_attributes(
        &self,
        context: CtxtHandle,
        attribute: ContextAttribute,
    ) -> Result<ContextAttributeValue, Error> {
        self.context(context)?.query_context_attributes(attribute)
    }

    /// SetContextAttributes.
    ///
    /// # Errors
    ///
    /// SEC_E_UNSUPPORTED_FUNCTION, also for an attribute that the package does not set.
    pub fn set_context_attributes(
        &self,
        context: CtxtHandle,
        value: ContextAttributeValue,
    ) -> Result<(), Error> {
        self.context(context)?.set_context_attributes(value)
    }

    /// QuerySecurityContextToken: who the client is and what the server may do in its name.
    ///
    /// # Errors
    ///
    /// SEC_E_UNSUPPORTED_FUNCTION, and whatever the package says.
    pub fn query_security_context_token(
        &self,
        context: CtxtHandle,
    ) -> Result<Arc<AccessToken>, Error> {
        self.context(context)?.query_security_context_token()
    }

    /// ImpersonateSecurityContext: the calling thread acts for the client from now on, until
    /// [`Self::revert_security_context`] on the same thread or another call of this. In Rust
    /// [`Self::impersonate`] is the surer way.
    ///
    /// # Errors
    ///
    /// SEC_E_NO_IMPERSONATION for a client that allows no more than identification; SEC_E_UNSUPPORTED_FUNCTION;
    /// whatever the package or the [`crate::ThreadIdentity`] says. The thread is as it was.
    pub fn impersonate_security_context(&self, context: CtxtHandle) -> Result<(), Error> {
        let resolved = self.context(context)?;
        let token = resolved.client_token()?;
        let identity = self.thread_identity();
        impersonation::impersonate(context, &token, identity.as_deref())
    }

    /// RevertSecurityContext: the calling thread is its own again, also when the context is no more.
    ///
    /// # Errors
    ///
    /// SEC_E_NO_IMPERSONATION when this thread does not impersonate by this handle.
    pub fn revert_security_context(&self, context: CtxtHandle) -> Result<(), Error> {
        if impersonation::revert(context) {
            return Ok(());
        }
        require(
            self.context(context)?.functions(),
            Function::RevertSecurityContext,
        )?;
        Err(impersonation::not_impersonated())
    }

    /// ImpersonateSecurityContext for as long as the value lives.
    ///
    /// # Errors
    ///
    /// As [`Self::impersonate_security_context`].
    pub fn impersonate(&self, context: CtxtHandle) -> Result<Impersonation, Error> {
        self.context(context)?.impersonate()
    }

    /// The same for a token that was asked for before: by a task that has changed threads since, or whose context
    /// is gone.
    ///
    /// # Errors
    ///
    /// SEC_E_NO_IMPERSONATION for a client that allows no more than identification; whatever the
    /// [`crate::ThreadIdentity`] says.
    pub fn impersonate_token(&self, token: &Arc<AccessToken>) -> Result<Impersonation, Error> {
        Impersonation::of(Arc::clone(token), self.thread_identity().as_deref())
    }

    /// ExportSecurityContext: the context, sealed for a process that has the same
    /// [`crate::ContextSealer`] key. With [`ExportFlags::DELETE_OLD`] the context is deleted.
    ///
    /// A context whose messages are under a key stream (NTLM, RC4) moves: it ends here in either case,
    /// since two copies would encrypt under one stream. Without [`ExportFlags::DELETE_OLD`] its handle is
    /// then good for [`Self::delete_security_context`] only.
    ///
    /// # Errors
    ///
    /// SEC_E_UNSUPPORTED_FUNCTION, also without a sealer; SEC_E_INVALID_PARAMETER for
    /// [`ExportFlags::TO_KERNEL`]; whatever the package or the sealer says. The context stays then.
    pub fn export_security_context(
        &self,
        context: CtxtHandle,
        flags: ExportFlags,
    ) -> Result<Vec<u8>, Error> {
        let package = self.of_context(context)?;
        let cell = package.context(context)?;
        self.require(&*package, Function::ExportSecurityContext)?;
        refuse_kernel(flags)?;
        let sealer = self.sealer()?;
        let seal = |image: &SecretBytes| sealer.seal(&package.info().name, image);
        let sealed = cell.export(flags, &seal)?;
        if flags.contains(ExportFlags::DELETE_OLD) {
            // Somebody may have deleted it by its handle just now; it is gone all the same.
            let _ = package.delete_context(context);
        }
        Ok(sealed)
    }

    /// ImportSecurityContext: what [`Self::export_security_context`] gave.
    ///
    /// # Errors
    ///
    /// SEC_E_SECPKG_NOT_FOUND, SEC_E_UNSUPPORTED_FUNCTION, also without a sealer; whatever the
    /// sealer or the package says.
    pub fn import_security_context(
        &self,
        package: &str,
        sealed: &[u8],
    ) -> Result<CtxtHandle, Error> {
        let package = self.by_name(package)?;
        self.require(&*package, Function::ImportSecurityContext)?;
        let image = self.sealer()?.open(&package.info().name, sealed)?;
        package.import(&image)
    }

    /// The plain image of a context, for a package that holds this table of mechanisms and puts the image
    /// into its own (as Negotiate does). No sealer is asked, and the context stays: where the image is the
    /// only copy, so is the outer one, and the outer context's end has to be this one's.
    ///
    /// # Security
    ///
    /// The keys of the context are in the image. A program exports by [`Self::export_security_context`].
    ///
    /// # Errors
    ///
    /// SEC_E_UNSUPPORTED_FUNCTION; whatever the package says.
    pub fn export_image(
        &self,
        context: CtxtHandle,
        flags: ExportFlags,
    ) -> Result<ContextImage, Error> {
        let package = self.of_context(context)?;
        let cell = package.context(context)?;
        require(package.functions(), Function::ExportSecurityContext)?;
        refuse_kernel(flags)?;
        cell.export_image(flags)
    }

    /// A context of the plain image that [`Self::export_image`] gave.
    ///
    /// # Errors
    ///
    /// SEC_E_SECPKG_NOT_FOUND, SEC_E_UNSUPPORTED_FUNCTION; whatever the package says.
    pub fn import_image(&self, package: &str, image: &SecretBytes) -> Result<CtxtHandle, Error> {
        let package = self.by_name(package)?;
        require(package.functions(), Function::ImportSecurityContext)?;
        package.import(image)
    }
}

fn refuse_kernel(flags: ExportFlags) -> Result<(), Error> {
    if flags.contains(ExportFlags::TO_KERNEL) {
        return Err(Error::parameter(
            "SECPKG_CONTEXT_EXPORT_TO_KERNEL has no kernel to export to; leave the flag out",
        ));
    }
    Ok(())
}

// Messages.
impl SecurityFunctionTable {
    /// MakeSignature: the TOKEN buffer receives the MIC of the DATA buffers.
    ///
    /// # Errors
    ///
    /// SEC_E_QOP_NOT_SUPPORTED, SEC_E_BUFFER_TOO_SMALL, and whatever the package says.
    pub fn make_signature(
        &self,
        context: CtxtHandle,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), Error> {
        self.context(context)?
            .make_signature(quality_of_protection, message, sequence_number)
    }

    /// VerifySignature; the value is the quality of protection that the message had.
    ///
    /// # Errors
    ///
    /// SEC_E_MESSAGE_ALTERED, SEC_E_OUT_OF_SEQUENCE, and whatever the package says. The context
    /// stays as it was.
    pub fn verify_signature(
        &self,
        context: CtxtHandle,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error> {
        self.context(context)?
            .verify_signature(message, sequence_number)
    }

    /// EncryptMessage, in place.
    ///
    /// # Errors
    ///
    /// SEC_E_QOP_NOT_SUPPORTED, SEC_E_BUFFER_TOO_SMALL, and whatever the package says.
    pub fn encrypt_message(
        &self,
        context: CtxtHandle,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), Error> {
        self.context(context)?
            .encrypt_message(quality_of_protection, message, sequence_number)
    }

    /// DecryptMessage, in place; the value is the quality of protection that the message had.
    ///
    /// # Errors
    ///
    /// SEC_E_MESSAGE_ALTERED, SEC_E_OUT_OF_SEQUENCE, and whatever the package says. The context
    /// stays as it was.
    pub fn decrypt_message(
        &self,
        context: CtxtHandle,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error> {
        self.context(context)?
            .decrypt_message(message, sequence_number)
    }
}
