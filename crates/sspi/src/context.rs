use core::fmt;
use std::sync::Arc;

use trihound_sansio::Reply;

use crate::impersonation::{Impersonation, TableCall, ThreadIdentity};
use crate::registered::{ErasedContext, ErasedPackage};
use crate::table::require;
use crate::{
    AcceptorAttributes, AccessToken, ContextAttribute, ContextAttributeValue, CredHandle,
    CtxtHandle, Error, Established, EstablishedAttributes, Function, FunctionSet,
    InitiatorAttributes, MechListMic, SecBufferDesc, Step,
};

/// A context whose handle was resolved once.
///
/// It does not keep the context alive: after DeleteSecurityContext its methods answer
/// SEC_E_INVALID_HANDLE. Cloning it names the same context.
#[derive(Clone)]
pub struct ContextRef {
    context: Arc<dyn ErasedContext>,
    functions: FunctionSet,
    identity: Option<Arc<dyn ThreadIdentity>>,
}

impl ContextRef {
    pub(crate) fn new(
        context: Arc<dyn ErasedContext>,
        functions: FunctionSet,
        identity: Option<Arc<dyn ThreadIdentity>>,
    ) -> Self {
        Self {
            context,
            functions,
            identity,
        }
    }

    /// Which functions of the context's package are there.
    #[must_use]
    pub fn functions(&self) -> FunctionSet {
        self.functions
    }

    fn offering(&self, function: Function) -> Result<&dyn ErasedContext, Error> {
        require(self.functions, function)?;
        Ok(&*self.context)
    }

    /// [`crate::SecurityFunctionTable::complete_exchange`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn complete_exchange(
        &self,
        reply: Reply<'_>,
        output: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        output.clear_tokens();
        let _call = TableCall::enter();
        self.context.complete_exchange(reply, output)
    }

    /// [`crate::SecurityFunctionTable::complete_auth_token`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn complete_auth_token(&self, token: &mut SecBufferDesc<'_, '_>) -> Result<(), Error> {
        self.offering(Function::CompleteAuthToken)?
            .complete_auth_token(token)
    }

    /// [`crate::SecurityFunctionTable::apply_control_token`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn apply_control_token(&self, token: &mut SecBufferDesc<'_, '_>) -> Result<(), Error> {
        self.offering(Function::ApplyControlToken)?
            .apply_control_token(token)
    }

    /// [`crate::SecurityFunctionTable::make_signature`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn make_signature(
        &self,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), Error> {
        self.offering(Function::MakeSignature)?.make_signature(
            quality_of_protection,
            message,
            sequence_number,
        )
    }

    /// [`crate::SecurityFunctionTable::verify_signature`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn verify_signature(
        &self,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error> {
        self.offering(Function::VerifySignature)?
            .verify_signature(message, sequence_number)
    }

    /// [`crate::SecurityFunctionTable::encrypt_message`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn encrypt_message(
        &self,
        quality_of_protection: u32,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<(), Error> {
        self.offering(Function::EncryptMessage)?.encrypt_message(
            quality_of_protection,
            message,
            sequence_number,
        )
    }

    /// [`crate::SecurityFunctionTable::decrypt_message`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn decrypt_message(
        &self,
        message: &mut SecBufferDesc<'_, '_>,
        sequence_number: u32,
    ) -> Result<u32, Error> {
        self.offering(Function::DecryptMessage)?
            .decrypt_message(message, sequence_number)
    }

    /// [`crate::SecurityFunctionTable::query_context_attributes`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn query_context_attributes(
        &self,
        attribute: ContextAttribute,
    ) -> Result<ContextAttributeValue, Error> {
        self.offering(Function::QueryContextAttributes)?
            .query(attribute)
    }

    /// [`crate::SecurityFunctionTable::set_context_attributes`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn set_context_attributes(&self, value: ContextAttributeValue) -> Result<(), Error> {
        self.offering(Function::SetContextAttributes)?.set(value)
    }

    /// [`crate::SecurityFunctionTable::query_security_context_token`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn query_security_context_token(&self) -> Result<Arc<AccessToken>, Error> {
        self.offering(Function::QuerySecurityContextToken)?.token()
    }

    /// [`crate::SecurityFunctionTable::impersonate`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn impersonate(&self) -> Result<Impersonation, Error> {
        Impersonation::of(self.client_token()?, self.identity.as_deref())
    }

    /// Whom ImpersonateSecurityContext makes the thread act for.
    pub(crate) fn client_token(&self) -> Result<Arc<AccessToken>, Error> {
        self.offering(Function::ImpersonateSecurityContext)?.token()
    }

    /// What an established context has, by its attributes Flags and Lifespan: for one that was imported,
    /// whose handshake was elsewhere. Whether a mechListMIC had to be is over by then: it is
    /// [`MechListMic::Possible`] with integrity, else impossible.
    ///
    /// # Errors
    ///
    /// Those of [`Self::query_context_attributes`].
    pub fn established(&self) -> Result<Established, Error> {
        let other = || Error::unsupported("QueryContextAttributes of Flags and Lifespan");
        let attributes = match self.query_context_attributes(ContextAttribute::Flags)? {
            ContextAttributeValue::Flags(attributes) => attributes,
            _ => return Err(other()),
        };
        let expiry = match self.query_context_attributes(ContextAttribute::Lifespan)? {
            ContextAttributeValue::Lifespan(lifespan) => lifespan.expiry,
            _ => return Err(other()),
        };
        let integrity = match attributes {
            EstablishedAttributes::Initiator(got) => got.contains(InitiatorAttributes::INTEGRITY),
            EstablishedAttributes::Acceptor(got) => got.contains(AcceptorAttributes::INTEGRITY),
        };
        Ok(Established {
            attributes,
            expiry,
            mech_list_mic: if integrity {
                MechListMic::Possible
            } else {
                MechListMic::Impossible
            },
        })
    }

    /// Tells the package that a mechListMIC was made and checked (MS-SPNG section 3.3.5.1).
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_HANDLE.
    pub fn mech_list_mic_done(&self) -> Result<(), Error> {
        self.context.mech_list_mic_done()
    }
}

impl fmt::Debug for ContextRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContextRef")
    }
}

/// A credential handle that frees the credential when dropped.
pub struct OwnedCredHandle {
    package: Arc<dyn ErasedPackage>,
    handle: CredHandle,
}

impl OwnedCredHandle {
    pub(crate) fn new(package: Arc<dyn ErasedPackage>, handle: CredHandle) -> Self {
        Self { package, handle }
    }

    /// The handle, for the table's functions.
    #[must_use]
    pub fn handle(&self) -> CredHandle {
        self.handle
    }
}

impl Drop for OwnedCredHandle {
    fn drop(&mut self) {
        // Somebody may have freed it by its handle already; there is nothing left to do then.
        let _ = self.package.free_credential(self.handle);
    }
}

impl fmt::Debug for OwnedCredHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owned{:?}", self.handle)
    }
}

/// A context handle that deletes the context when dropped.
pub struct OwnedCtxtHandle {
    package: Arc<dyn ErasedPackage>,
    handle: CtxtHandle,
}

impl OwnedCtxtHandle {
    pub(crate) fn new(package: Arc<dyn ErasedPackage>, handle: CtxtHandle) -> Self {
        Self { package, handle }
    }

    /// The handle, for the table's functions.
    #[must_use]
    pub fn handle(&self) -> CtxtHandle {
        self.handle
    }
}

impl Drop for OwnedCtxtHandle {
    fn drop(&mut self) {
        // Somebody may have deleted it by its handle already; there is nothing left to do then.
        let _ = self.package.delete_context(self.handle);
    }
}

impl fmt::Debug for OwnedCtxtHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owned{:?}", self.handle)
    }
}
