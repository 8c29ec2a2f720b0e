use core::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use trihound_sansio::ExchangeRequest;
use trihound_secret::SecretBytes;

use crate::impersonation::ThreadIdentity;
use crate::registered::ErasedPackage;
use crate::{
    BoxedExchange, ChangePasswordRequest, CredHandle, CtxtHandle, Error, Established, Expiry,
    Function, FunctionSet, MechanismInfo, RegisteredPackage, SecBuffer, SecPkgInfo,
    SecurityPackage, SecurityStatus, SettingFields, Step,
};

/// The security function table: every function of SSPI over handles and buffers.
///
/// A table is cheap to clone; clones are the same table. Every method may be called from any thread.
/// Calls on one context wait for each other, those on different contexts do not.
///
/// A function that no registered package offers answers SEC_E_UNSUPPORTED_FUNCTION; a caller can
/// look first, as at a NULL slot in C: [`Self::functions`], [`Self::supports`].
///
/// Every method that takes a handle answers SEC_E_INVALID_HANDLE when the handle names nothing.
#[derive(Clone)]
pub struct SecurityFunctionTable(Arc<Shared>);

struct Shared {
    packages: RwLock<Vec<Arc<dyn ErasedPackage>>>,
    sealer: Option<Arc<dyn ContextSealer>>,
    identity: Option<Arc<dyn ThreadIdentity>>,
}

/// Seals exported contexts, and opens them where they are imported.
///
/// # Security
///
/// An exported context holds its keys. A sealer encrypts and authenticates it under a key that only
/// the processes which may import it have.
pub trait ContextSealer: Send + Sync {
    /// Seals the plain image of a context of `package`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the image from being sealed.
    fn seal(&self, package: &str, image: &SecretBytes) -> Result<Vec<u8>, Error>;

    /// Opens what [`Self::seal`] made for the same `package`.
    ///
    /// # Errors
    ///
    /// SEC_E_MESSAGE_ALTERED for anything else.
    fn open(&self, package: &str, sealed: &[u8]) -> Result<SecretBytes, Error>;
}

/// What AcquireCredentialsHandle gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquiredCredential {
    /// `phCredential`.
    pub credential: CredHandle,
    /// `ptsExpiry`.
    pub expiry: Expiry,
}

/// What a successful handshake call gives; the output token is in the output buffers.
#[must_use]
#[derive(Debug)]
pub struct HandshakeOutcome {
    /// `phNewContext`: the same on every call of one handshake.
    pub context: CtxtHandle,
    /// Where the handshake stands.
    pub step: Step,
}

impl HandshakeOutcome {
    /// The success status that SSPI gives for the step.
    #[must_use]
    pub fn status(&self) -> SecurityStatus {
        self.step.status()
    }

    /// The attributes, expiry and so on, once the context is established.
    #[must_use]
    pub fn established(&self) -> Option<&Established> {
        match &self.step {
            Step::Complete(established) => Some(established),
            _ => None,
        }
    }

    /// The round trip to do before [`SecurityFunctionTable::complete_exchange`].
    #[must_use]
    pub fn exchange(&self) -> Option<&ExchangeRequest> {
        match &self.step {
            Step::ExchangeNeeded(request) => Some(request),
            _ => None,
        }
    }
}

/// Assembles a [`SecurityFunctionTable`].
#[derive(Default)]
pub struct SecurityFunctionTableBuilder {
    packages: Vec<Arc<dyn ErasedPackage>>,
    sealer: Option<Arc<dyn ContextSealer>>,
    identity: Option<Arc<dyn ThreadIdentity>>,
}

impl SecurityFunctionTableBuilder {
    /// Adds a package; order is preference.
    #[must_use]
    pub fn package<P: SecurityPackage>(mut self, registered: &RegisteredPackage<P>) -> Self {
        self.packages.push(registered.erased());
        self
    }

    /// Seals exported contexts; without a sealer there is no ExportSecurityContext.
    #[must_use]
    pub fn context_sealer(mut self, sealer: Arc<dyn ContextSealer>) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// Gives an impersonating thread the client's rights on this machine too; without one, the token alone is the
    /// client's.
    #[must_use]
    pub fn thread_identity(mut self, identity: Arc<dyn ThreadIdentity>) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The table.
    ///
    /// # Errors
    ///
    /// SEC_E_CANNOT_INSTALL when a package was added twice, or two have one name.
    pub fn build(self) -> Result<SecurityFunctionTable, Error> {
        let table = SecurityFunctionTable(Arc::new(Shared {
            packages: RwLock::new(Vec::with_capacity(self.packages.len())),
            sealer: self.sealer,
            identity: self.identity,
        }));
        for package in self.packages {
            table.add(package)?;
        }
        Ok(table)
    }
}

impl fmt::Debug for SecurityFunctionTableBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.packages.iter().map(|p| &p.info().name);
        f.debug_list().entries(names).finish()
    }
}

impl fmt::Debug for SecurityFunctionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecurityFunctionTable")?;
        self.with_packages(|all| {
            let names = all.iter().map(|p| &p.info().name);
            f.debug_list().entries(names).finish()
        })
    }
}

// Packages.
impl SecurityFunctionTable {
    /// Starts a table.
    #[must_use]
    pub fn builder() -> SecurityFunctionTableBuilder {
        SecurityFunctionTableBuilder::default()
    }

    fn with_packages<R>(&self, look: impl FnOnce(&[Arc<dyn ErasedPackage>]) -> R) -> R {
        // Nothing that may panic runs under this lock with the list half-changed.
        look(
            &self
                .0
                .packages
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub(crate) fn by_name(&self, name: &str) -> Result<Arc<dyn ErasedPackage>, Error> {
        self.with_packages(|all| {
            all.iter()
                .find(|package| package.info().name.eq_ignore_ascii_case(name))
                .cloned()
                .ok_or_else(|| {
                    let names: Vec<_> = all.iter().map(|p| p.info().name.as_ref()).collect();
                    Error::new(
                        SecurityStatus::SEC_E_SECPKG_NOT_FOUND,
                        format!(
                            "there is no security package {name:?} in this table; it has [{}]",
                            names.join(", ")
                        ),
                    )
                })
        })
    }

    fn by_id(&self, id: u32, kind: &'static str) -> Result<Arc<dyn ErasedPackage>, Error> {
        self.with_packages(|all| all.iter().find(|package| package.id() == id).cloned())
            .ok_or_else(|| Error::invalid_handle(kind))
    }

    pub(crate) fn of_credential(
        &self,
        handle: CredHandle,
    ) -> Result<Arc<dyn ErasedPackage>, Error> {
        self.by_id(handle.0.package, "credential")
    }

    pub(crate) fn of_context(&self, handle: CtxtHandle) -> Result<Arc<dyn ErasedPackage>, Error> {
        self.by_id(handle.0.package, "context")
    }

    fn add(&self, package: Arc<dyn ErasedPackage>) -> Result<(), Error> {
        let mut packages = self
            .0
            .packages
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let name = &package.info().name;
        let taken = packages
            .iter()
            .any(|p| p.id() == package.id() || p.info().name.eq_ignore_ascii_case(name));
        if taken {
            return Err(Error::new(
                SecurityStatus::SEC_E_CANNOT_INSTALL,
                format!("a package {name} is in this table already; add each one once"),
            ));
        }
        packages.push(package);
        Ok(())
    }

    /// EnumerateSecurityPackages: every package, the preferred first.
    #[must_use]
    pub fn enumerate_security_packages(&self) -> Vec<SecPkgInfo> {
        self.with_packages(|all| all.iter().map(|p| p.info().clone()).collect())
    }

    /// QuerySecurityPackageInfo. Names are compared without regard to ASCII case.
    ///
    /// # Errors
    ///
    /// SEC_E_SECPKG_NOT_FOUND.
    pub fn query_security_package_info(&self, name: &str) -> Result<SecPkgInfo, Error> {
        Ok(self.by_name(name)?.info().clone())
    }

    /// AddSecurityPackage: adds a package as the least preferred.
    ///
    /// # Errors
    ///
    /// SEC_E_CANNOT_INSTALL when it is there already, or another has its name.
    pub fn add_security_package<P: SecurityPackage>(
        &self,
        registered: &RegisteredPackage<P>,
    ) -> Result<(), Error> {
        self.add(registered.erased())
    }

    /// Which functions are there: those of the table itself and of any of its packages.
    #[must_use]
    pub fn functions(&self) -> FunctionSet {
        self.with_packages(|all| {
            all.iter()
                .map(|package| self.offered(&**package))
                .fold(FunctionSet::TABLE, FunctionSet::union)
        })
    }

    /// Which functions are there for one package.
    ///
    /// # Errors
    ///
    /// SEC_E_SECPKG_NOT_FOUND.
    pub fn functions_of(&self, package: &str) -> Result<FunctionSet, Error> {
        Ok(FunctionSet::TABLE | self.offered(&*self.by_name(package)?))
    }

    /// Which functions a package fills by itself, whatever this table has for them. A package that holds
    /// this table of mechanisms asks so, since it needs no sealer for [`Self::export_image`].
    ///
    /// # Errors
    ///
    /// SEC_E_SECPKG_NOT_FOUND.
    pub fn functions_within(&self, package: &str) -> Result<FunctionSet, Error> {
        Ok(self.by_name(package)?.functions())
    }

    /// Whether a function is there: whether its slot is not NULL.
    #[must_use]
    pub fn supports(&self, function: Function) -> bool {
        self.functions().has(function)
    }

    fn offered(&self, package: &dyn ErasedPackage) -> FunctionSet {
        self.effective(package.functions())
    }

    /// What of a package's functions a caller of this table can use.
    pub(crate) fn effective(&self, mut functions: FunctionSet) -> FunctionSet {
        // Whoever has a token can be impersonated: that is the table's own doing.
        functions.set(
            FunctionSet::IMPERSONATE_SECURITY_CONTEXT | FunctionSet::REVERT_SECURITY_CONTEXT,
            functions.has(Function::QuerySecurityContextToken),
        );
        if self.0.sealer.is_none() {
            functions -= FunctionSet::EXPORT_SECURITY_CONTEXT;
            functions -= FunctionSet::IMPORT_SECURITY_CONTEXT;
        }
        functions
    }

    pub(crate) fn require(
        &self,
        package: &dyn ErasedPackage,
        function: Function,
    ) -> Result<(), Error> {
        require(self.offered(package), function)
    }

    pub(crate) fn thread_identity(&self) -> Option<Arc<dyn ThreadIdentity>> {
        self.0.identity.clone()
    }

    pub(crate) fn sealer(&self) -> Result<&dyn ContextSealer, Error> {
        self.0
            .sealer
            .as_deref()
            .ok_or_else(|| Error::unsupported("ExportSecurityContext without a ContextSealer"))
    }

    /// The mechanism of a package; `None` when the package cannot be negotiated.
    ///
    /// # Errors
    ///
    /// SEC_E_SECPKG_NOT_FOUND.
    pub fn mechanism(&self, package: &str) -> Result<Option<MechanismInfo>, Error> {
        Ok(self.by_name(package)?.mechanism().cloned())
    }

    /// Which fields of [`crate::CredentialSettings`] a package follows.
    ///
    /// # Errors
    ///
    /// SEC_E_SECPKG_NOT_FOUND.
    pub fn settings_of(&self, package: &str) -> Result<SettingFields, Error> {
        Ok(self.by_name(package)?.settings())
    }

    /// FreeContextBuffer: gives back the memory of a buffer that the package allocated. A buffer over
    /// the caller's memory is left as it is.
    pub fn free_context_buffer(&self, buffer: &mut SecBuffer<'_>) {
        buffer.free();
    }

    /// ChangeAccountPassword: the password change, to be run to its end by
    /// [`trihound_sansio::drive`].
    ///
    /// # Errors
    ///
    /// SEC_E_SECPKG_NOT_FOUND, SEC_E_UNSUPPORTED_FUNCTION, and whatever the package says.
    pub fn change_account_password(
        &self,
        package: &str,
        request: ChangePasswordRequest<'_>,
    ) -> Result<BoxedExchange, Error> {
        let package = self.by_name(package)?;
        self.require(&*package, Function::ChangeAccountPassword)?;
        package.change_password(request)
    }
}

pub(crate) fn require(functions: FunctionSet, function: Function) -> Result<(), Error> {
    if functions.has(function) {
        return Ok(());
    }
    Err(Error::unsupported(function.name()))
}
