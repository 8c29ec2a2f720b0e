//! Which packages there are, the tables, and memory that comes back.

use core::ffi::c_void;
use std::sync::OnceLock;

use trihound::sspi::{Error, Function, SecPkgInfo, SecurityStatus};

use crate::exports as e;
use crate::guard::{Answer, OK};
use crate::memory::{Builder, Finished, Offset, take_back};
use crate::pointer::Out;
use crate::provider::{Provider, provider};
use crate::text::{Text, required};
use crate::types::{
    SECURITY_PACKAGE_OPTIONS, SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_5, SecPkgInfoW,
    SecurityFunctionTableA, SecurityFunctionTableW, ULONG,
};

/// Packages in one piece of memory.
fn piece<T: Text>(packages: &[SecPkgInfo]) -> Finished {
    let mut piece = Builder::new::<SecPkgInfoW>(packages.len());
    let texts: Vec<(Offset, Offset)> = packages
        .iter()
        .map(|info| (piece.text::<T>(&info.name), piece.text::<T>(&info.comment)))
        .collect();
    let piece = piece.finish();
    for (index, (info, (name, comment))) in packages.iter().zip(texts).enumerate() {
        // The A form is the same but for the type of the characters behind its pointers.
        let info = SecPkgInfoW {
            fCapabilities: info.capabilities.bits(),
            wVersion: info.version,
            wRPCID: info.rpc_id,
            cbMaxToken: info.max_token,
            Name: piece.at(name),
            Comment: piece.at(comment),
        };
        // SAFETY: the piece was made for as many of them as there are packages.
        unsafe { piece.fill(index, info) };
    }
    piece
}

/// One package in a piece of memory.
pub(crate) fn info<T: Text, I>(info: &SecPkgInfo) -> *mut I {
    piece::<T>(core::slice::from_ref(info)).start()
}

pub(crate) unsafe fn enumerate<T: Text>(count: *mut ULONG, packages: *mut *mut T::Info) -> Answer {
    // SAFETY: what the C caller promises.
    let (count, place) = unsafe {
        (
            Out::new(count, "pcPackages")?,
            Out::new(packages, "ppPackageInfo")?,
        )
    };
    let packages = provider()?.packages();
    count.put(u32::try_from(packages.len()).unwrap_or_default());
    place.put(piece::<T>(&packages).start());
    OK
}

pub(crate) unsafe fn query<T: Text>(name: *mut T::Unit, package: *mut *mut T::Info) -> Answer {
    // SAFETY: what the C caller promises.
    let (name, place) = unsafe {
        (
            package_name::<T>(name)?,
            Out::new(package, "ppPackageInfo")?,
        )
    };
    let package = provider()?.package(&name)?;
    place.put(info::<T, _>(&package));
    OK
}

/// The name of a package.
pub(crate) unsafe fn package_name<T: Text>(name: *const T::Unit) -> Result<String, Error> {
    if name.is_null() {
        return Err(Error::new(
            SecurityStatus::SEC_E_SECPKG_NOT_FOUND,
            "the package's name is NULL; EnumerateSecurityPackages has the names",
        ));
    }
    // SAFETY: what the C caller promises.
    unsafe { required::<T>(name, "the package's name") }
}

/// The options of Windows say how a library is loaded; nothing is loaded here.
pub(crate) unsafe fn add<T: Text>(
    name: *mut T::Unit,
    _options: *mut SECURITY_PACKAGE_OPTIONS,
) -> Answer {
    // SAFETY: what the C caller promises.
    let name = unsafe { package_name::<T>(name) }?;
    provider()?.put_back(&name)?;
    OK
}

pub(crate) unsafe fn delete<T: Text>(name: *mut T::Unit) -> Answer {
    // SAFETY: what the C caller promises.
    let name = unsafe { package_name::<T>(name) }?;
    provider()?.remove(&name)?;
    OK
}

pub(crate) unsafe fn free_context_buffer(memory: *mut c_void) -> Answer {
    take_back(memory)?;
    OK
}

/// A table whose slots are NULL where the function is not there.
macro_rules! table {
    ($provider:expr, $type:ident {
        $($slot:ident = $function:ident),+ $(,)?
    }) => {{
        let provider: &Provider = $provider;
        $type {
            dwVersion: SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_5,
            Reserved2: core::ptr::null_mut(),
            Reserved3: core::ptr::null_mut(),
            Reserved4: core::ptr::null_mut(),
            Reserved8: core::ptr::null_mut(),
            $($slot: if provider.has(Function::$function) { Some(e::$slot) } else { None },)+
        }
    }};
}

/// A table for C, which may write it although it should not.
struct Shared<T>(Box<T>);

// SAFETY: a table is numbers and functions; the library reads it at no time.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn pointer(&self) -> *mut T {
        (&raw const *self.0).cast_mut()
    }
}

pub(crate) fn table_a() -> Result<*mut SecurityFunctionTableA, Error> {
    static TABLE: OnceLock<Shared<SecurityFunctionTableA>> = OnceLock::new();
    let provider = provider()?;
    let table = TABLE.get_or_init(|| {
        Shared(Box::new(table!(provider, SecurityFunctionTableA {
            EnumerateSecurityPackagesA = EnumerateSecurityPackages,
            QueryCredentialsAttributesA = QueryCredentialsAttributes,
            AcquireCredentialsHandleA = AcquireCredentialsHandle,
            FreeCredentialsHandle = FreeCredentialsHandle,
            InitializeSecurityContextA = InitializeSecurityContext,
            AcceptSecurityContext = AcceptSecurityContext,
            CompleteAuthToken = CompleteAuthToken,
            DeleteSecurityContext = DeleteSecurityContext,
            ApplyControlToken = ApplyControlToken,
            QueryContextAttributesA = QueryContextAttributes,
            ImpersonateSecurityContext = ImpersonateSecurityContext,
            RevertSecurityContext = RevertSecurityContext,
            MakeSignature = MakeSignature,
            VerifySignature = VerifySignature,
            FreeContextBuffer = FreeContextBuffer,
            QuerySecurityPackageInfoA = QuerySecurityPackageInfo,
            ExportSecurityContext = ExportSecurityContext,
            ImportSecurityContextA = ImportSecurityContext,
            AddCredentialsA = AddCredentials,
            QuerySecurityContextToken = QuerySecurityContextToken,
            EncryptMessage = EncryptMessage,
            DecryptMessage = DecryptMessage,
            SetContextAttributesA = SetContextAttributes,
            SetCredentialsAttributesA = SetCredentialsAttributes,
            ChangeAccountPasswordA = ChangeAccountPassword,
            QueryContextAttributesExA = QueryContextAttributes,
            QueryCredentialsAttributesExA = QueryCredentialsAttributes,
        })))
    });
    Ok(table.pointer())
}

pub(crate) fn table_w() -> Result<*mut SecurityFunctionTableW, Error> {
    static TABLE: OnceLock<Shared<SecurityFunctionTableW>> = OnceLock::new();
    let provider = provider()?;
    let table = TABLE.get_or_init(|| {
        Shared(Box::new(table!(provider, SecurityFunctionTableW {
            EnumerateSecurityPackagesW = EnumerateSecurityPackages,
            QueryCredentialsAttributesW = QueryCredentialsAttributes,
            AcquireCredentialsHandleW = AcquireCredentialsHandle,
            FreeCredentialsHandle = FreeCredentialsHandle,
            InitializeSecurityContextW = InitializeSecurityContext,
            AcceptSecurityContext = AcceptSecurityContext,
            CompleteAuthToken = CompleteAuthToken,
            DeleteSecurityContext = DeleteSecurityContext,
            ApplyControlToken = ApplyControlToken,
            QueryContextAttributesW = QueryContextAttributes,
            ImpersonateSecurityContext = ImpersonateSecurityContext,
            RevertSecurityContext = RevertSecurityContext,
            MakeSignature = MakeSignature,
            VerifySignature = VerifySignature,
            FreeContextBuffer = FreeContextBuffer,
            QuerySecurityPackageInfoW = QuerySecurityPackageInfo,
            ExportSecurityContext = ExportSecurityContext,
            ImportSecurityContextW = ImportSecurityContext,
            AddCredentialsW = AddCredentials,
            QuerySecurityContextToken = QuerySecurityContextToken,
            EncryptMessage = EncryptMessage,
            DecryptMessage = DecryptMessage,
            SetContextAttributesW = SetContextAttributes,
            SetCredentialsAttributesW = SetCredentialsAttributes,
            ChangeAccountPasswordW = ChangeAccountPassword,
            QueryContextAttributesExW = QueryContextAttributes,
            QueryCredentialsAttributesExW = QueryCredentialsAttributes,
        })))
    });
    Ok(table.pointer())
}
