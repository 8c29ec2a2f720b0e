use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trihound_sansio::Reply;
use trihound_secret::SecretBytes;

use crate::handle::RawHandle;
use crate::image::ContextImage;
use crate::slab::{CONTEXT_GENERATION, CREDENTIAL_GENERATION, Slab};
use crate::{
    AcceptRequest, AccessToken, AcquireRequest, BoxedExchange, ChangePasswordRequest,
    ContextAttribute, ContextAttributeValue, CredHandle, CredentialAttribute,
    CredentialAttributeValue, CtxtHandle, Error, Expiry, ExportFlags, FunctionSet,
    InitializeRequest, MechanismInfo, SecBufferDesc, SecPkgInfo, SecurityPackage, SecurityStatus,
    SettingFields, Step,
};

/// A package with its credentials and contexts, ready to be added to function tables.
///
/// Cloning shares it: the *same* package, with its one ticket cache and one replay cache, serves
/// every table it was added to, and its handles are good in each of them.
pub struct RegisteredPackage<P: SecurityPackage>(Arc<Inner<P>>);

struct Inner<P: SecurityPackage> {
    id: u32,
    package: Arc<P>,
    credentials: Slab<P::Credential>,
    contexts: Slab<ContextCell<P>>,
}

struct ContextCell<P: SecurityPackage> {
    package: Arc<P>,
    /// What the context was made from, for later calls that name no credential.
    credential: Option<Arc<P::Credential>>,
    state: Mutex<Option<P::Context>>,
}

/// Zero is never given, so that a handle of zeros names nothing. At the end of the range the
/// number repeats, and a table refuses a package whose number it has already.
fn next_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |id| id.checked_add(1))
        .unwrap_or(u32::MAX)
}

impl<P: SecurityPackage> RegisteredPackage<P> {
    /// Registers a package.
    #[must_use]
    pub fn new(package: P) -> Self {
        let id = next_id();
        Self(Arc::new(Inner {
            id,
            package: Arc::new(package),
            credentials: Slab::new("credential", id),
            contexts: Slab::new("context", id),
        }))
    }

    /// The package itself.
    #[must_use]
    pub fn package(&self) -> &P {
        &self.0.package
    }

    /// Gives a handle to a credential that the caller built: from a keytab, a ticket cache, a hash.
    ///
    /// # Errors
    ///
    /// SEC_E_INSUFFICIENT_MEMORY when no slot is left.
    pub fn adopt(&self, credential: P::Credential) -> Result<CredHandle, Error> {
        self.0
            .credentials
            .insert(Arc::new(credential), CREDENTIAL_GENERATION)
            .map(CredHandle)
    }

    /// How many credentials and contexts are alive; for tests and monitoring.
    #[must_use]
    pub fn live(&self) -> (usize, usize) {
        (self.0.credentials.len(), self.0.contexts.len())
    }

    pub(crate) fn erased(&self) -> Arc<dyn ErasedPackage> {
        self.0.clone()
    }
}

impl<P: SecurityPackage> Clone for RegisteredPackage<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: SecurityPackage> core::fmt::Debug for RegisteredPackage<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = &self.package().query_security_package_info().name;
        write!(f, "RegisteredPackage({name}, #{})", self.0.id)
    }
}

/// A registered package with its types erased: what a table holds.
pub(crate) trait ErasedPackage: Send + Sync {
    fn id(&self) -> u32;
    fn info(&self) -> &SecPkgInfo;
    fn functions(&self) -> FunctionSet;
    fn mechanism(&self) -> Option<&MechanismInfo>;
    fn settings(&self) -> SettingFields;
    fn acquire(&self, request: AcquireRequest<'_>) -> Result<(CredHandle, Expiry), Error>;
    fn check_credential(&self, handle: CredHandle) -> Result<(), Error>;
    fn free_credential(&self, handle: CredHandle) -> Result<(), Error>;
    fn credential_expiry(&self, handle: CredHandle) -> Result<Expiry, Error>;
    fn query_credential(
        &self,
        handle: CredHandle,
        attribute: CredentialAttribute,
    ) -> Result<CredentialAttributeValue, Error>;
    fn set_credential(
        &self,
        handle: CredHandle,
        value: CredentialAttributeValue,
    ) -> Result<(), Error>;
    fn add_credentials(&self, handle: CredHandle, request: AcquireRequest<'_>)
    -> Result<(), Error>;
    fn initialize(
        &self,
        credential: Option<CredHandle>,
        context: Option<CtxtHandle>,
        request: InitializeRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(CtxtHandle, Step), Error>;
    fn accept(
        &self,
        credential: Option<CredHandle>,
        context: Option<CtxtHandle>,
        request: AcceptRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(CtxtHandle, Step), Error>;
    fn context(&self, handle: CtxtHandle) -> Result<Arc<dyn ErasedContext>, Error>;
    fn delete_context(&self, handle: CtxtHandle) -> Result<(), Error>;
    fn import(&self, image: &SecretBytes) -> Result<CtxtHandle, Error>;
    fn change_password(&self, request: ChangePasswordRequest<'_>) -> Result<BoxedExchange, Error>;
}

/// A context with its types erased; a call on it waits for the one under way.
pub(crate) trait ErasedContext: Send + Sync {
    fn complete_exchange(
        &self,
        reply: Reply<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error>;
    fn complete_auth_token(&self, token: &mut SecBufferDesc<'_, '_>) -> Result<(), Error>;
    fn apply_control_token(&self, token: &mut SecBufferDesc<'_, '_>) -> Result<(), Error>;
    fn make_signature(
        &self,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), Error>;
    fn verify_signature(
        &self,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error>;
    fn encrypt_message(
        &self,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), Error>;
    fn decrypt_message(
        &self,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error>;
    fn query(&self, attribute: ContextAttribute) -> Result<ContextAttributeValue, Error>;
    fn set(&self, value: ContextAttributeValue) -> Result<(), Error>;
    fn token(&self) -> Result<Arc<AccessToken>, Error>;
    /// Exports under the context's lock, so that no message comes between the image and the end of a
    /// context whose image is the only copy.
    fn export(
        &self,
        flags: ExportFlags,
        seal: &dyn Fn(&SecretBytes) -> Result<Vec<u8>, Error>,
    ) -> Result<Vec<u8>, Error>;
    fn export_image(&self, flags: ExportFlags) -> Result<ContextImage, Error>;
    fn mech_list_mic_done(&self) -> Result<(), Error>;
}

impl<P: SecurityPackage> Inner<P> {
    fn credential(&self, handle: CredHandle) -> Result<Arc<P::Credential>, Error> {
        self.credentials.get(handle.0)
    }

    fn cell(&self, handle: RawHandle) -> Result<Arc<ContextCell<P>>, Error> {
        self.contexts.get(handle)
    }

    fn insert(
        &self,
        credential: Option<Arc<P::Credential>>,
        context: P::Context,
    ) -> Result<CtxtHandle, Error> {
        let cell = ContextCell {
            package: Arc::clone(&self.package),
            credential,
            state: Mutex::new(Some(context)),
        };
        self.contexts
            .insert(Arc::new(cell), CONTEXT_GENERATION)
            .map(CtxtHandle)
    }

    /// One handshake call: on a new context when `context` is `None`, which gets a handle only if
    /// the call succeeds, or else on the one named.
    fn handshake(
        &self,
        credential: Option<CredHandle>,
        context: Option<CtxtHandle>,
        call: impl FnOnce(&P::Credential, &mut Option<P::Context>) -> Result<Step, Error>,
    ) -> Result<(CtxtHandle, Step), Error> {
        let credential = credential.map(|c| self.credential(c)).transpose()?;
        let Some(handle) = context else {
            let credential = credential.ok_or_else(|| Error::invalid_handle("credential"))?;
            let mut state = None;
            let step = call(&credential, &mut state)?;
            let state = state.ok_or_else(state_lost)?;
            return Ok((self.insert(Some(credential), state)?, step));
        };
        let cell = self.cell(handle.0)?;
        let credential = credential
            .or_else(|| cell.credential.clone())
            .ok_or_else(|| Error::invalid_handle("credential"))?;
        let step = cell.step(|_, state| call(&credential, state))?;
        Ok((handle, step))
    }
}

fn state_lost() -> Error {
    Error::new(
        SecurityStatus::SEC_E_INTERNAL_ERROR,
        "the package reported progress and left no context; this is a fault of the package",
    )
}

impl<P: SecurityPackage> ContextCell<P> {
    fn lock(&self) -> Result<MutexGuard<'_, Option<P::Context>>, Error> {
        self.state.lock().map_err(|poisoned| {
            // A call that panicked may have left half a state: keep nothing of it.
            *poisoned.into_inner() = None;
            self.state.clear_poison();
            Error::new(
                SecurityStatus::SEC_E_INTERNAL_ERROR,
                "an earlier call on this context panicked in the package, so the context was \
                 discarded; delete it and start anew",
            )
        })
    }

    /// A call on a context that is there.
    fn with<R>(
        &self,
        call: impl FnOnce(&P, &mut P::Context) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let mut state = self.lock()?;
        let context = state
            .as_mut()
            .ok_or_else(|| Error::invalid_handle("context"))?;
        call(&self.package, context)
    }

    /// A handshake call: a failure leaves nothing behind, but for a buffer that is too small.
    fn step(
        &self,
        call: impl FnOnce(&P, &mut Option<P::Context>) -> Result<Step, Error>,
    ) -> Result<Step, Error> {
        let mut state = self.lock()?;
        if state.is_none() {
            return Err(Error::invalid_handle("context"));
        }
        let outcome = call(&self.package, &mut state).and_then(|step| match &*state {
            Some(_) => Ok(step),
            None => Err(state_lost()),
        });
        if let Err(error) = &outcome
            && error.status() != SecurityStatus::SEC_E_BUFFER_TOO_SMALL
        {
            *state = None;
        }
        outcome
    }

    fn discard(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl<P: SecurityPackage> ErasedPackage for Inner<P> {
    fn id(&self) -> u32 {
        self.id
    }

    fn info(&self) -> &SecPkgInfo {
        self.package.query_security_package_info()
    }

    fn functions(&self) -> FunctionSet {
        self.package.functions()
    }

    fn mechanism(&self) -> Option<&MechanismInfo> {
        self.package.mechanism()
    }

    fn settings(&self) -> SettingFields {
        self.package.settings()
    }

    fn acquire(&self, request: AcquireRequest<'_>) -> Result<(CredHandle, Expiry), Error> {
        let credential = self.package.acquire_credentials_handle(request)?;
        let expiry = self.package.credential_expiry(&credential);
        let handle = self
            .credentials
            .insert(Arc::new(credential), CREDENTIAL_GENERATION)?;
        Ok((CredHandle(handle), expiry))
    }

    fn check_credential(&self, handle: CredHandle) -> Result<(), Error> {
        self.credential(handle).map(|_| ())
    }

    fn free_credential(&self, handle: CredHandle) -> Result<(), Error> {
        self.credentials.remove(handle.0).map(|_| ())
    }

    fn credential_expiry(&self, handle: CredHandle) -> Result<Expiry, Error> {
        Ok(self.package.credential_expiry(&*self.credential(handle)?))
    }

    fn query_credential(
        &self,
        handle: CredHandle,
        attribute: CredentialAttribute,
    ) -> Result<CredentialAttributeValue, Error> {
        self.package
            .query_credentials_attributes(&*self.credential(handle)?, attribute)
    }

    fn set_credential(
        &self,
        handle: CredHandle,
        value: CredentialAttributeValue,
    ) -> Result<(), Error> {
        self.package
            .set_credentials_attributes(&*self.credential(handle)?, value)
    }

    fn add_credentials(
        &self,
        handle: CredHandle,
        request: AcquireRequest<'_>,
    ) -> Result<(), Error> {
        self.package
            .add_credentials(&*self.credential(handle)?, request)
    }

    fn initialize(
        &self,
        credential: Option<CredHandle>,
        context: Option<CtxtHandle>,
        request: InitializeRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(CtxtHandle, Step), Error> {
        self.handshake(credential, context, |credential, state| {
            self.package
                .initialize_security_context(credential, state, request, output)
        })
    }

    fn accept(
        &self,
        credential: Option<CredHandle>,
        context: Option<CtxtHandle>,
        request: AcceptRequest<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<(CtxtHandle, Step), Error> {
        self.handshake(credential, context, |credential, state| {
            self.package
                .accept_security_context(credential, state, request, output)
        })
    }

    fn context(&self, handle: CtxtHandle) -> Result<Arc<dyn ErasedContext>, Error> {
        Ok(self.cell(handle.0)?)
    }

    fn delete_context(&self, handle: CtxtHandle) -> Result<(), Error> {
        // A reference that was resolved before keeps the cell; its contents go now.
        self.contexts.remove(handle.0).map(|cell| cell.discard())
    }

    fn import(&self, image: &SecretBytes) -> Result<CtxtHandle, Error> {
        let context = self.package.import_security_context(image)?;
        self.insert(None, context)
    }

    fn change_password(&self, request: ChangePasswordRequest<'_>) -> Result<BoxedExchange, Error> {
        self.package.change_account_password(request)
    }
}

impl<P: SecurityPackage> ErasedContext for ContextCell<P> {
    fn complete_exchange(
        &self,
        reply: Reply<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        self.step(|package, state| package.complete_exchange(state, reply, output))
    }

    fn complete_auth_token(&self, token: &mut SecBufferDesc<'_, '_>) -> Result<(), Error> {
        self.with(|package, context| package.complete_auth_token(context, token))
    }

    fn apply_control_token(&self, token: &mut SecBufferDesc<'_, '_>) -> Result<(), Error> {
        self.with(|package, context| package.apply_control_token(context, token))
    }

    fn make_signature(
        &self,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), Error> {
        self.with(|package, context| {
            package.make_signature(context, quality_of_protection, message, sequence_number)
        })
    }

    fn verify_signature(
        &self,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error> {
        self.with(|package, context| package.verify_signature(context, message, sequence_number))
    }

    fn encrypt_message(
        &self,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), Error> {
        self.with(|package, context| {
            package.encrypt_message(context, quality_of_protection, message, sequence_number)
        })
    }

    fn decrypt_message(
        &self,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error> {
        self.with(|package, context| package.decrypt_message(context, message, sequence_number))
    }

    fn query(&self, attribute: ContextAttribute) -> Result<ContextAttributeValue, Error> {
        self.with(|package, context| package.query_context_attributes(context, attribute))
    }

    fn set(&self, value: ContextAttributeValue) -> Result<(), Error> {
        self.with(|package, context| package.set_context_attributes(context, value))
    }

    fn token(&self) -> Result<Arc<AccessToken>, Error> {
        self.with(|package, context| package.query_security_context_token(context))
    }

    fn export(
        &self,
        flags: ExportFlags,
        seal: &dyn Fn(&SecretBytes) -> Result<Vec<u8>, Error>,
    ) -> Result<Vec<u8>, Error> {
        let mut state = self.lock()?;
        let context = state
            .as_ref()
            .ok_or_else(|| Error::invalid_handle("context"))?;
        let image = self.package.export_security_context(context, flags)?;
        let sealed = seal(&image.bytes)?;
        if image.only_copy || flags.contains(ExportFlags::DELETE_OLD) {
            *state = None;
        }
        Ok(sealed)
    }

    fn export_image(&self, flags: ExportFlags) -> Result<ContextImage, Error> {
        self.with(|package, context| package.export_security_context(context, flags))
    }

    fn mech_list_mic_done(&self) -> Result<(), Error> {
        self.with(|package, context| {
            package.mech_list_mic_done(context);
            Ok(())
        })
    }
}
