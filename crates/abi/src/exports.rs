//! The functions by their names in sspi.h.

// As in sspi.h.
#![allow(non_snake_case)]

use core::ffi::{c_char, c_void};

use crate::calls::{
    attributes, contexts, credentials, export, identities, messages, packages, password, tokens,
};
use crate::guard::{guard, guard_or, last_error};
use crate::text::{Narrow, Wide};
use crate::types::{
    BOOLEAN, CredHandle, CtxtHandle, HANDLE, SEC_CHAR, SEC_GET_KEY_FN, SEC_WCHAR,
    SECURITY_PACKAGE_OPTIONS, SECURITY_STATUS, SecBuffer, SecBufferDesc, SecPkgInfoA, SecPkgInfoW,
    SecurityFunctionTableA, SecurityFunctionTableW, TimeStamp, ULONG,
};

/// Functions that answer with a status: the guard around the body of the same arguments.
macro_rules! exported {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) = $body:expr;)+) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// What the crate's documentation says under this word.
        #[unsafe(no_mangle)]
        pub unsafe extern "system" fn $name($($arg: $type),*) -> SECURITY_STATUS {
            guard(stringify!($name), || {
                // SAFETY: what the body asks for is what the C caller promises.
                unsafe { $body($($arg),*) }
            })
        }
    )+};
}

/// The function table with `CHAR` text; NULL when the machine's configuration cannot be read, and
/// [`TrihoundLastError`] then says why.
///
/// # Safety
///
/// None is needed; the table is the library's and is not to be freed.
#[unsafe(no_mangle)]
pub extern "system" fn InitSecurityInterfaceA() -> *mut SecurityFunctionTableA {
    guard_or(
        "InitSecurityInterfaceA",
        core::ptr::null_mut(),
        packages::table_a,
    )
}

/// The function table with `WCHAR` text; as [`InitSecurityInterfaceA`].
///
/// # Safety
///
/// None is needed; the table is the library's and is not to be freed.
#[unsafe(no_mangle)]
pub extern "system" fn InitSecurityInterfaceW() -> *mut SecurityFunctionTableW {
    guard_or(
        "InitSecurityInterfaceW",
        core::ptr::null_mut(),
        packages::table_w,
    )
}

/// Why the last call of this thread that failed did so: UTF-8, the library's, good until this thread's
/// next failure. Not of sspi.h.
#[unsafe(no_mangle)]
pub extern "system" fn TrihoundLastError() -> *const c_char {
    last_error()
}

// Packages.
exported! {
    /// Every package, in one piece for FreeContextBuffer.
    fn EnumerateSecurityPackagesA(pcPackages: *mut ULONG, ppPackageInfo: *mut *mut SecPkgInfoA)
        = packages::enumerate::<Narrow>;
    /// Every package, in one piece for FreeContextBuffer.
    fn EnumerateSecurityPackagesW(pcPackages: *mut ULONG, ppPackageInfo: *mut *mut SecPkgInfoW)
        = packages::enumerate::<Wide>;
    /// One package, for FreeContextBuffer.
    fn QuerySecurityPackageInfoA(pszPackageName: *mut SEC_CHAR, ppPackageInfo: *mut *mut SecPkgInfoA)
        = packages::query::<Narrow>;
    /// One package, for FreeContextBuffer.
    fn QuerySecurityPackageInfoW(pszPackageName: *mut SEC_WCHAR, ppPackageInfo: *mut *mut SecPkgInfoW)
        = packages::query::<Wide>;
    /// Puts a package back that DeleteSecurityPackage took away.
    fn AddSecurityPackageA(pszPackageName: *mut SEC_CHAR, pOptions: *mut SECURITY_PACKAGE_OPTIONS)
        = packages::add::<Narrow>;
    /// Puts a package back that DeleteSecurityPackage took away.
    fn AddSecurityPackageW(pszPackageName: *mut SEC_WCHAR, pOptions: *mut SECURITY_PACKAGE_OPTIONS)
        = packages::add::<Wide>;
    /// Takes a package away from this process: no new credential is of it, and Negotiate does not choose it.
    fn DeleteSecurityPackageA(pszPackageName: *mut SEC_CHAR) = packages::delete::<Narrow>;
    /// Takes a package away from this process: no new credential is of it, and Negotiate does not choose it.
    fn DeleteSecurityPackageW(pszPackageName: *mut SEC_WCHAR) = packages::delete::<Wide>;
    /// Gives back what a function of this library allocated.
    fn FreeContextBuffer(pvContextBuffer: *mut c_void) = packages::free_context_buffer;
}

// Credentials.
exported! {
    /// A credential: of `pAuthData`, or of this machine and user.
    fn AcquireCredentialsHandleA(
        pszPrincipal: *mut SEC_CHAR, pszPackage: *mut SEC_CHAR, fCredentialUse: ULONG,
        pvLogonId: *mut c_void, pAuthData: *mut c_void, pGetKeyFn: SEC_GET_KEY_FN,
        pvGetKeyArgument: *mut c_void, phCredential: *mut CredHandle, ptsExpiry: *mut TimeStamp,
    ) = credentials::acquire::<Narrow>;
    /// A credential: of `pAuthData`, or of this machine and user.
    fn AcquireCredentialsHandleW(
        pszPrincipal: *mut SEC_WCHAR, pszPackage: *mut SEC_WCHAR, fCredentialUse: ULONG,
        pvLogonId: *mut c_void, pAuthData: *mut c_void, pGetKeyFn: SEC_GET_KEY_FN,
        pvGetKeyArgument: *mut c_void, phCredential: *mut CredHandle, ptsExpiry: *mut TimeStamp,
    ) = credentials::acquire::<Wide>;
    /// Ends a credential; contexts made from it live on.
    fn FreeCredentialsHandle(phCredential: *mut CredHandle) = credentials::free;
    /// Adds what `pAuthData` names to a credential.
    fn AddCredentialsA(
        hCredentials: *mut CredHandle, pszPrincipal: *mut SEC_CHAR, pszPackage: *mut SEC_CHAR,
        fCredentialUse: ULONG, pAuthData: *mut c_void, pGetKeyFn: SEC_GET_KEY_FN,
        pvGetKeyArgument: *mut c_void, ptsExpiry: *mut TimeStamp,
    ) = credentials::add::<Narrow>;
    /// Adds what `pAuthData` names to a credential.
    fn AddCredentialsW(
        hCredentials: *mut CredHandle, pszPrincipal: *mut SEC_WCHAR, pszPackage: *mut SEC_WCHAR,
        fCredentialUse: ULONG, pAuthData: *mut c_void, pGetKeyFn: SEC_GET_KEY_FN,
        pvGetKeyArgument: *mut c_void, ptsExpiry: *mut TimeStamp,
    ) = credentials::add::<Wide>;
    /// A `SECPKG_CRED_ATTR_` of a credential.
    fn QueryCredentialsAttributesA(phCredential: *mut CredHandle, ulAttribute: ULONG, pBuffer: *mut c_void)
        = attributes::query_credential::<Narrow>;
    /// A `SECPKG_CRED_ATTR_` of a credential.
    fn QueryCredentialsAttributesW(phCredential: *mut CredHandle, ulAttribute: ULONG, pBuffer: *mut c_void)
        = attributes::query_credential::<Wide>;
    /// The same into a buffer of a known size.
    fn QueryCredentialsAttributesExA(
        phCredential: *mut CredHandle, ulAttribute: ULONG, pBuffer: *mut c_void, cbBuffer: ULONG,
    ) = attributes::query_credential_ex::<Narrow>;
    /// The same into a buffer of a known size.
    fn QueryCredentialsAttributesExW(
        phCredential: *mut CredHandle, ulAttribute: ULONG, pBuffer: *mut c_void, cbBuffer: ULONG,
    ) = attributes::query_credential_ex::<Wide>;
    /// Sets a `SECPKG_CRED_ATTR_` of a credential.
    fn SetCredentialsAttributesA(
        phCredential: *mut CredHandle, ulAttribute: ULONG, pBuffer: *mut c_void, cbBuffer: ULONG,
    ) = attributes::set_credential::<Narrow>;
    /// Sets a `SECPKG_CRED_ATTR_` of a credential.
    fn SetCredentialsAttributesW(
        phCredential: *mut CredHandle, ulAttribute: ULONG, pBuffer: *mut c_void, cbBuffer: ULONG,
    ) = attributes::set_credential::<Wide>;
    /// Changes a password where it is kept.
    fn ChangeAccountPasswordA(
        pszPackageName: *mut SEC_CHAR, pszDomainName: *mut SEC_CHAR, pszAccountName: *mut SEC_CHAR,
        pszOldPassword: *mut SEC_CHAR, pszNewPassword: *mut SEC_CHAR, bImpersonating: BOOLEAN,
        dwReserved: ULONG, pOutput: *mut SecBufferDesc,
    ) = password::change::<Narrow>;
    /// Changes a password where it is kept.
    fn ChangeAccountPasswordW(
        pszPackageName: *mut SEC_WCHAR, pszDomainName: *mut SEC_WCHAR, pszAccountName: *mut SEC_WCHAR,
        pszOldPassword: *mut SEC_WCHAR, pszNewPassword: *mut SEC_WCHAR, bImpersonating: BOOLEAN,
        dwReserved: ULONG, pOutput: *mut SecBufferDesc,
    ) = password::change::<Wide>;
}

// Contexts.
exported! {
    /// A step of the initiator's handshake, with its round trips to the KDC.
    fn InitializeSecurityContextA(
        phCredential: *mut CredHandle, phContext: *mut CtxtHandle, pszTargetName: *mut SEC_CHAR,
        fContextReq: ULONG, Reserved1: ULONG, TargetDataRep: ULONG, pInput: *mut SecBufferDesc,
        Reserved2: ULONG, phNewContext: *mut CtxtHandle, pOutput: *mut SecBufferDesc,
        pfContextAttr: *mut ULONG, ptsExpiry: *mut TimeStamp,
    ) = contexts::initialize::<Narrow>;
    /// A step of the initiator's handshake, with its round trips to the KDC.
    fn InitializeSecurityContextW(
        phCredential: *mut CredHandle, phContext: *mut CtxtHandle, pszTargetName: *mut SEC_WCHAR,
        fContextReq: ULONG, Reserved1: ULONG, TargetDataRep: ULONG, pInput: *mut SecBufferDesc,
        Reserved2: ULONG, phNewContext: *mut CtxtHandle, pOutput: *mut SecBufferDesc,
        pfContextAttr: *mut ULONG, ptsExpiry: *mut TimeStamp,
    ) = contexts::initialize::<Wide>;
    /// A step of the acceptor's handshake.
    fn AcceptSecurityContext(
        phCredential: *mut CredHandle, phContext: *mut CtxtHandle, pInput: *mut SecBufferDesc,
        fContextReq: ULONG, TargetDataRep: ULONG, phNewContext: *mut CtxtHandle,
        pOutput: *mut SecBufferDesc, pfContextAttr: *mut ULONG, ptsExpiry: *mut TimeStamp,
    ) = contexts::accept;
    /// Completes a token, where a handshake call asked for it.
    fn CompleteAuthToken(phContext: *mut CtxtHandle, pToken: *mut SecBufferDesc)
        = contexts::complete_auth_token;
    /// Gives a context a token outside of its handshake.
    fn ApplyControlToken(phContext: *mut CtxtHandle, pInput: *mut SecBufferDesc)
        = contexts::apply_control_token;
    /// Ends a context.
    fn DeleteSecurityContext(phContext: *mut CtxtHandle) = contexts::delete;
    /// A `SECPKG_ATTR_` of a context.
    fn QueryContextAttributesA(phContext: *mut CtxtHandle, ulAttribute: ULONG, pBuffer: *mut c_void)
        = attributes::query_context::<Narrow>;
    /// A `SECPKG_ATTR_` of a context.
    fn QueryContextAttributesW(phContext: *mut CtxtHandle, ulAttribute: ULONG, pBuffer: *mut c_void)
        = attributes::query_context::<Wide>;
    /// The same into a buffer of a known size.
    fn QueryContextAttributesExA(
        phContext: *mut CtxtHandle, ulAttribute: ULONG, pBuffer: *mut c_void, cbBuffer: ULONG,
    ) = attributes::query_context_ex::<Narrow>;
    /// The same into a buffer of a known size.
    fn QueryContextAttributesExW(
        phContext: *mut CtxtHandle, ulAttribute: ULONG, pBuffer: *mut c_void, cbBuffer: ULONG,
    ) = attributes::query_context_ex::<Wide>;
    /// Sets a `SECPKG_ATTR_` of a context.
    fn SetContextAttributesA(
        phContext: *mut CtxtHandle, ulAttribute: ULONG, pBuffer: *mut c_void, cbBuffer: ULONG,
    ) = attributes::set_context::<Narrow>;
    /// Sets a `SECPKG_ATTR_` of a context.
    fn SetContextAttributesW(
        phContext: *mut CtxtHandle, ulAttribute: ULONG, pBuffer: *mut c_void, cbBuffer: ULONG,
    ) = attributes::set_context::<Wide>;
    /// This thread acts as the client until RevertSecurityContext.
    fn ImpersonateSecurityContext(phContext: *mut CtxtHandle) = tokens::impersonate;
    /// This thread acts for itself again.
    fn RevertSecurityContext(phContext: *mut CtxtHandle) = tokens::revert;
    /// The client's token: a `TRIHOUND_ACCESS_TOKEN` for FreeContextBuffer.
    fn QuerySecurityContextToken(phContext: *mut CtxtHandle, Token: *mut HANDLE) = tokens::query;
    /// A context as bytes, for a process that has the same key.
    fn ExportSecurityContext(
        phContext: *mut CtxtHandle, fFlags: ULONG, pPackedContext: *mut SecBuffer, pToken: *mut HANDLE,
    ) = export::export;
    /// A context of the bytes that ExportSecurityContext gave.
    fn ImportSecurityContextA(
        pszPackage: *mut SEC_CHAR, pPackedContext: *mut SecBuffer, Token: HANDLE, phContext: *mut CtxtHandle,
    ) = export::import::<Narrow>;
    /// A context of the bytes that ExportSecurityContext gave.
    fn ImportSecurityContextW(
        pszPackage: *mut SEC_WCHAR, pPackedContext: *mut SecBuffer, Token: HANDLE, phContext: *mut CtxtHandle,
    ) = export::import::<Wide>;
}

// Messages.
exported! {
    /// Signs.
    fn MakeSignature(
        phContext: *mut CtxtHandle, fQOP: ULONG, pMessage: *mut SecBufferDesc, MessageSeqNo: ULONG,
    ) = messages::make_signature;
    /// Verifies a signature.
    fn VerifySignature(
        phContext: *mut CtxtHandle, pMessage: *mut SecBufferDesc, MessageSeqNo: ULONG, pfQOP: *mut ULONG,
    ) = messages::verify_signature;
    /// Encrypts in place.
    fn EncryptMessage(
        phContext: *mut CtxtHandle, fQOP: ULONG, pMessage: *mut SecBufferDesc, MessageSeqNo: ULONG,
    ) = messages::encrypt;
    /// Decrypts in place.
    fn DecryptMessage(
        phContext: *mut CtxtHandle, pMessage: *mut SecBufferDesc, MessageSeqNo: ULONG, pfQOP: *mut ULONG,
    ) = messages::decrypt;
}

// Identities.
exported! {
    /// An identity of a user, a domain and a password.
    fn SspiEncodeStringsAsAuthIdentity(
        pszUserName: *const SEC_WCHAR, pszDomainName: *const SEC_WCHAR,
        pszPackedCredentialsString: *const SEC_WCHAR, ppAuthIdentity: *mut *mut c_void,
    ) = identities::encode;
    /// The user, the domain and the password of an identity, each for SspiLocalFree.
    fn SspiEncodeAuthIdentityAsStrings(
        pAuthIdentity: *mut c_void, ppszUserName: *mut *const SEC_WCHAR, ppszDomainName: *mut *const SEC_WCHAR,
        ppszPackedCredentialsString: *mut *const SEC_WCHAR,
    ) = identities::decode;
    /// Whether an identity is well formed.
    fn SspiValidateAuthIdentity(AuthData: *mut c_void) = identities::validate;
    /// A copy of an identity.
    fn SspiCopyAuthIdentity(AuthData: *mut c_void, AuthDataCopy: *mut *mut c_void) = identities::copy;
    /// Whether two identities are of one user, and are the same.
    fn SspiCompareAuthIdentities(
        AuthIdentity1: *mut c_void, AuthIdentity2: *mut c_void, SameSuppliedUser: *mut BOOLEAN,
        SameSuppliedIdentity: *mut BOOLEAN,
    ) = identities::compare;
    /// An identity as bytes, for SspiLocalFree.
    fn SspiMarshalAuthIdentity(
        AuthIdentity: *mut c_void, AuthIdentityLength: *mut ULONG, AuthIdentityByteArray: *mut *mut c_char,
    ) = identities::marshal;
    /// An identity of the bytes that SspiMarshalAuthIdentity gave.
    fn SspiUnmarshalAuthIdentity(
        AuthIdentityLength: ULONG, AuthIdentityByteArray: *mut c_char, ppAuthIdentity: *mut *mut c_void,
    ) = identities::unmarshal;
    /// Encrypts the password of an identity for this process.
    fn SspiEncryptAuthIdentity(AuthData: *mut c_void) = identities::encrypt;
    /// Encrypts the password of an identity.
    fn SspiEncryptAuthIdentityEx(Options: ULONG, AuthData: *mut c_void) = identities::encrypt_ex;
    /// Decrypts the password of an identity.
    fn SspiDecryptAuthIdentity(EncryptedAuthData: *mut c_void) = identities::decrypt;
    /// Decrypts the password of an identity.
    fn SspiDecryptAuthIdentityEx(Options: ULONG, EncryptedAuthData: *mut c_void) = identities::decrypt_ex;
    /// The identity with a package that Negotiate leaves out.
    fn SspiExcludePackage(
        AuthIdentity: *mut c_void, pszPackageName: *const SEC_WCHAR, ppNewAuthIdentity: *mut *mut c_void,
    ) = identities::exclude_package;
    /// The host of a service principal name, for SspiLocalFree.
    fn SspiGetTargetHostName(pszTargetName: *const SEC_WCHAR, pszHostName: *mut *mut SEC_WCHAR)
        = identities::target_host_name;
    /// Under which name a store of passwords has that of a target.
    fn SspiPrepareForCredRead(
        AuthIdentity: *mut c_void, pszTargetName: *const SEC_WCHAR, pCredmanCredentialType: *mut ULONG,
        ppszCredmanTargetName: *mut *const SEC_WCHAR,
    ) = identities::prepare_for_read;
    /// Under which name, and as what, a store of passwords takes that of an identity.
    fn SspiPrepareForCredWrite(
        AuthIdentity: *mut c_void, pszTargetName: *const SEC_WCHAR, pCredmanCredentialType: *mut ULONG,
        ppszCredmanTargetName: *mut *const SEC_WCHAR, ppszCredmanUserName: *mut *const SEC_WCHAR,
        ppCredentialBlob: *mut *mut u8, pCredentialBlobSize: *mut ULONG,
    ) = identities::prepare_for_write;
}

/// Gives an identity back, and wipes it.
///
/// # Safety
///
/// What the crate's documentation says under this word.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SspiFreeAuthIdentity(AuthData: *mut c_void) {
    guard_or("SspiFreeAuthIdentity", (), || identities::free(AuthData));
}

/// Wipes the password of an identity.
///
/// # Safety
///
/// What the crate's documentation says under this word.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SspiZeroAuthIdentity(AuthData: *mut c_void) {
    guard_or("SspiZeroAuthIdentity", (), || {
        // SAFETY: what the body asks for is what the C caller promises.
        unsafe { identities::zero(AuthData) }
    });
}

/// Gives back what an `Sspi` function allocated.
///
/// # Safety
///
/// What the crate's documentation says under this word.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SspiLocalFree(DataBuffer: *mut c_void) {
    guard_or("SspiLocalFree", (), || identities::free(DataBuffer));
}

/// Whether the password of an identity is encrypted.
///
/// # Safety
///
/// What the crate's documentation says under this word.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SspiIsAuthIdentityEncrypted(
    EncryptedAuthData: *mut c_void,
) -> BOOLEAN {
    guard_or("SspiIsAuthIdentityEncrypted", 0, || {
        // SAFETY: what the body asks for is what the C caller promises.
        unsafe { identities::is_encrypted(EncryptedAuthData) }
    })
}

/// Whether a failure is one that a user with another password may mend.
#[unsafe(no_mangle)]
pub extern "system" fn SspiIsPromptingNeeded(ErrorOrNtStatus: ULONG) -> BOOLEAN {
    guard_or("SspiIsPromptingNeeded", 0, || {
        Ok(identities::is_prompting_needed(ErrorOrNtStatus))
    })
}
