//! The function tables.

use core::ffi::c_void;

use super::{
    BOOLEAN, CredHandle, CtxtHandle, HANDLE, SEC_CHAR, SEC_GET_KEY_FN, SEC_WCHAR, SECURITY_STATUS,
    SecBuffer, SecBufferDesc, SecPkgInfoA, SecPkgInfoW, TimeStamp, ULONG, layout,
};

/// `SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_5`: the table ends with QueryCredentialsAttributesEx.
pub const SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_5: ULONG = 5;

/// A slot: NULL where there is no such function.
macro_rules! slot {
    ($($arg:ty),*) => {
        Option<unsafe extern "system" fn($($arg),*) -> SECURITY_STATUS>
    };
}

macro_rules! table {
    ($(#[$doc:meta])* $name:ident, $char:ident, $info:ident {
        $enumerate:ident, $query_credentials:ident, $acquire:ident, $initialize:ident, $query_context:ident,
        $query_package:ident, $import:ident, $add_credentials:ident, $set_context:ident,
        $set_credentials:ident, $change_password:ident, $query_context_ex:ident,
        $query_credentials_ex:ident
    }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        #[allow(missing_docs)] // each field is the function of its name
        pub struct $name {
            pub dwVersion: ULONG,
            pub $enumerate: slot!(*mut ULONG, *mut *mut $info),
            pub $query_credentials: slot!(*mut CredHandle, ULONG, *mut c_void),
            pub $acquire: slot!(*mut $char, *mut $char, ULONG, *mut c_void, *mut c_void, SEC_GET_KEY_FN,
                *mut c_void, *mut CredHandle, *mut TimeStamp),
            pub FreeCredentialsHandle: slot!(*mut CredHandle),
            pub Reserved2: *mut c_void,
            pub $initialize: slot!(*mut CredHandle, *mut CtxtHandle, *mut $char, ULONG, ULONG, ULONG,
                *mut SecBufferDesc, ULONG, *mut CtxtHandle, *mut SecBufferDesc, *mut ULONG,
                *mut TimeStamp),
            pub AcceptSecurityContext: slot!(*mut CredHandle, *mut CtxtHandle, *mut SecBufferDesc, ULONG,
                ULONG, *mut CtxtHandle, *mut SecBufferDesc, *mut ULONG, *mut TimeStamp),
            pub CompleteAuthToken: slot!(*mut CtxtHandle, *mut SecBufferDesc),
            pub DeleteSecurityContext: slot!(*mut CtxtHandle),
            pub ApplyControlToken: slot!(*mut CtxtHandle, *mut SecBufferDesc),
            pub $query_context: slot!(*mut CtxtHandle, ULONG, *mut c_void),
            pub ImpersonateSecurityContext: slot!(*mut CtxtHandle),
            pub RevertSecurityContext: slot!(*mut CtxtHandle),
            pub MakeSignature: slot!(*mut CtxtHandle, ULONG, *mut SecBufferDesc, ULONG),
            pub VerifySignature: slot!(*mut CtxtHandle, *mut SecBufferDesc, ULONG, *mut ULONG),
            pub FreeContextBuffer: slot!(*mut c_void),
            pub $query_package: slot!(*mut $char, *mut *mut $info),
            pub Reserved3: *mut c_void,
            pub Reserved4: *mut c_void,
            pub ExportSecurityContext: slot!(*mut CtxtHandle, ULONG, *mut SecBuffer, *mut HANDLE),
            pub $import: slot!(*mut $char, *mut SecBuffer, HANDLE, *mut CtxtHandle),
            pub $add_credentials: slot!(*mut CredHandle, *mut $char, *mut $char, ULONG, *mut c_void,
                SEC_GET_KEY_FN, *mut c_void, *mut TimeStamp),
            pub Reserved8: *mut c_void,
            pub QuerySecurityContextToken: slot!(*mut CtxtHandle, *mut HANDLE),
            pub EncryptMessage: slot!(*mut CtxtHandle, ULONG, *mut SecBufferDesc, ULONG),
            pub DecryptMessage: slot!(*mut CtxtHandle, *mut SecBufferDesc, ULONG, *mut ULONG),
            pub $set_context: slot!(*mut CtxtHandle, ULONG, *mut c_void, ULONG),
            pub $set_credentials: slot!(*mut CredHandle, ULONG, *mut c_void, ULONG),
            pub $change_password: slot!(*mut $char, *mut $char, *mut $char, *mut $char, *mut $char, BOOLEAN,
                ULONG, *mut SecBufferDesc),
            pub $query_context_ex: slot!(*mut CtxtHandle, ULONG, *mut c_void, ULONG),
            pub $query_credentials_ex: slot!(*mut CredHandle, ULONG, *mut c_void, ULONG),
        }
        layout!($name: 256/128, $enumerate: 8/4, FreeCredentialsHandle: 32/16, $initialize: 48/24,
            $query_context: 88/44, FreeContextBuffer: 128/64, $query_package: 136/68,
            ExportSecurityContext: 160/80, QuerySecurityContextToken: 192/96, DecryptMessage: 208/104,
            $set_context: 216/108, $change_password: 232/116, $query_credentials_ex: 248/124);
    };
}

table! {
    /// `SecurityFunctionTableA`.
    SecurityFunctionTableA, SEC_CHAR, SecPkgInfoA {
        EnumerateSecurityPackagesA, QueryCredentialsAttributesA, AcquireCredentialsHandleA,
        InitializeSecurityContextA, QueryContextAttributesA, QuerySecurityPackageInfoA,
        ImportSecurityContextA, AddCredentialsA, SetContextAttributesA, SetCredentialsAttributesA,
        ChangeAccountPasswordA, QueryContextAttributesExA, QueryCredentialsAttributesExA
    }
}

table! {
    /// `SecurityFunctionTableW`.
    SecurityFunctionTableW, SEC_WCHAR, SecPkgInfoW {
        EnumerateSecurityPackagesW, QueryCredentialsAttributesW, AcquireCredentialsHandleW,
        InitializeSecurityContextW, QueryContextAttributesW, QuerySecurityPackageInfoW,
        ImportSecurityContextW, AddCredentialsW, SetContextAttributesW, SetCredentialsAttributesW,
        ChangeAccountPasswordW, QueryContextAttributesExW, QueryCredentialsAttributesExW
    }
}
