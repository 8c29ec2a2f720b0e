//! The functions of sspi.h: names, arguments, and their places in the tables.

/// A function of the tables. In its name and its type's name `#` stands for A and W where there are both, and in its
/// arguments TCHAR for the character that goes with it.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) pointer: &'static str,
    pub(super) arguments: &'static str,
}

const fn function(
    name: &'static str,
    pointer: &'static str,
    arguments: &'static str,
) -> Option<Function> {
    Some(Function {
        name,
        pointer,
        arguments,
    })
}

/// The slots in their order, behind `dwVersion`; `None` is a reserved one.
pub(super) const SLOTS: [Option<Function>; 31] = [
    function(
        "EnumerateSecurityPackages#",
        "ENUMERATE_SECURITY_PACKAGES_FN_#",
        "ULONG *pcPackages, PSecPkgInfo# *ppPackageInfo",
    ),
    function(
        "QueryCredentialsAttributes#",
        "QUERY_CREDENTIALS_ATTRIBUTES_FN_#",
        "PCredHandle phCredential, ULONG ulAttribute, void *pBuffer",
    ),
    function(
        "AcquireCredentialsHandle#",
        "ACQUIRE_CREDENTIALS_HANDLE_FN_#",
        "TCHAR *pszPrincipal, TCHAR *pszPackage, ULONG fCredentialUse, void *pvLogonId, void *pAuthData, \
         SEC_GET_KEY_FN pGetKeyFn, void *pvGetKeyArgument, PCredHandle phCredential, PTimeStamp ptsExpiry",
    ),
    function(
        "FreeCredentialsHandle",
        "FREE_CREDENTIALS_HANDLE_FN",
        "PCredHandle phCredential",
    ),
    None,
    function(
        "InitializeSecurityContext#",
        "INITIALIZE_SECURITY_CONTEXT_FN_#",
        "PCredHandle phCredential, PCtxtHandle phContext, TCHAR *pszTargetName, ULONG fContextReq, ULONG Reserved1, \
         ULONG TargetDataRep, PSecBufferDesc pInput, ULONG Reserved2, PCtxtHandle phNewContext, \
         PSecBufferDesc pOutput, ULONG *pfContextAttr, PTimeStamp ptsExpiry",
    ),
    function(
        "AcceptSecurityContext",
        "ACCEPT_SECURITY_CONTEXT_FN",
        "PCredHandle phCredential, PCtxtHandle phContext, PSecBufferDesc pInput, ULONG fContextReq, \
         ULONG TargetDataRep, PCtxtHandle phNewContext, PSecBufferDesc pOutput, ULONG *pfContextAttr, \
         PTimeStamp ptsExpiry",
    ),
    function(
        "CompleteAuthToken",
        "COMPLETE_AUTH_TOKEN_FN",
        "PCtxtHandle phContext, PSecBufferDesc pToken",
    ),
    function(
        "DeleteSecurityContext",
        "DELETE_SECURITY_CONTEXT_FN",
        "PCtxtHandle phContext",
    ),
    function(
        "ApplyControlToken",
        "APPLY_CONTROL_TOKEN_FN",
        "PCtxtHandle phContext, PSecBufferDesc pInput",
    ),
    function(
        "QueryContextAttributes#",
        "QUERY_CONTEXT_ATTRIBUTES_FN_#",
        "PCtxtHandle phContext, ULONG ulAttribute, void *pBuffer",
    ),
    function(
        "ImpersonateSecurityContext",
        "IMPERSONATE_SECURITY_CONTEXT_FN",
        "PCtxtHandle phContext",
    ),
    function(
        "RevertSecurityContext",
        "REVERT_SECURITY_CONTEXT_FN",
        "PCtxtHandle phContext",
    ),
    function(
        "MakeSignature",
        "MAKE_SIGNATURE_FN",
        "PCtxtHandle phContext, ULONG fQOP, PSecBufferDesc pMessage, ULONG MessageSeqNo",
    ),
    function(
        "VerifySignature",
        "VERIFY_SIGNATURE_FN",
        "PCtxtHandle phContext, PSecBufferDesc pMessage, ULONG MessageSeqNo, ULONG *pfQOP",
    ),
    function(
        "FreeContextBuffer",
        "FREE_CONTEXT_BUFFER_FN",
        "void *pvContextBuffer",
    ),
    function(
        "QuerySecurityPackageInfo#",
        "QUERY_SECURITY_PACKAGE_INFO_FN_#",
        "TCHAR *pszPackageName, PSecPkgInfo# *ppPackageInfo",
    ),
    None,
    None,
    function(
        "ExportSecurityContext",
        "EXPORT_SECURITY_CONTEXT_FN",
        "PCtxtHandle phContext, ULONG fFlags, PSecBuffer pPackedContext, void **pToken",
    ),
    function(
        "ImportSecurityContext#",
        "IMPORT_SECURITY_CONTEXT_FN_#",
        "TCHAR *pszPackage, PSecBuffer pPackedContext, void *Token, PCtxtHandle phContext",
    ),
    function(
        "AddCredentials#",
        "ADD_CREDENTIALS_FN_#",
        "PCredHandle hCredentials, TCHAR *pszPrincipal, TCHAR *pszPackage, ULONG fCredentialUse, void *pAuthData, \
         SEC_GET_KEY_FN pGetKeyFn, void *pvGetKeyArgument, PTimeStamp ptsExpiry",
    ),
    None,
    function(
        "QuerySecurityContextToken",
        "QUERY_SECURITY_CONTEXT_TOKEN_FN",
        "PCtxtHandle phContext, HANDLE *Token",
    ),
    function(
        "EncryptMessage",
        "ENCRYPT_MESSAGE_FN",
        "PCtxtHandle phContext, ULONG fQOP, PSecBufferDesc pMessage, ULONG MessageSeqNo",
    ),
    function(
        "DecryptMessage",
        "DECRYPT_MESSAGE_FN",
        "PCtxtHandle phContext, PSecBufferDesc pMessage, ULONG MessageSeqNo, ULONG *pfQOP",
    ),
    function(
        "SetContextAttributes#",
        "SET_CONTEXT_ATTRIBUTES_FN_#",
        "PCtxtHandle phContext, ULONG ulAttribute, void *pBuffer, ULONG cbBuffer",
    ),
    function(
        "SetCredentialsAttributes#",
        "SET_CREDENTIALS_ATTRIBUTES_FN_#",
        "PCredHandle phCredential, ULONG ulAttribute, void *pBuffer, ULONG cbBuffer",
    ),
    function(
        "ChangeAccountPassword#",
        "CHANGE_PASSWORD_FN_#",
        "TCHAR *pszPackageName, TCHAR *pszDomainName, TCHAR *pszAccountName, TCHAR *pszOldPassword, \
         TCHAR *pszNewPassword, BOOLEAN bImpersonating, ULONG dwReserved, PSecBufferDesc pOutput",
    ),
    function(
        "QueryContextAttributesEx#",
        "QUERY_CONTEXT_ATTRIBUTES_EX_FN_#",
        "PCtxtHandle phContext, ULONG ulAttribute, void *pBuffer, ULONG cbBuffer",
    ),
    function(
        "QueryCredentialsAttributesEx#",
        "QUERY_CREDENTIALS_ATTRIBUTES_EX_FN_#",
        "PCredHandle phCredential, ULONG ulAttribute, void *pBuffer, ULONG cbBuffer",
    ),
];

/// The numbers of the reserved slots, in the order of their places.
pub(super) const RESERVED: [&str; 4] = ["Reserved2", "Reserved3", "Reserved4", "Reserved8"];

/// The functions that no table has: what they give, their names and their arguments.
pub(super) const OTHERS: [(&str, &str, &str); 22] = [
    (
        "SECURITY_STATUS",
        "AddSecurityPackage#",
        "TCHAR *pszPackageName, PSECURITY_PACKAGE_OPTIONS pOptions",
    ),
    (
        "SECURITY_STATUS",
        "DeleteSecurityPackage#",
        "TCHAR *pszPackageName",
    ),
    (
        "SECURITY_STATUS",
        "SspiEncodeStringsAsAuthIdentity",
        "const SEC_WCHAR *pszUserName, const SEC_WCHAR *pszDomainName, \
         const SEC_WCHAR *pszPackedCredentialsString, PSEC_WINNT_AUTH_IDENTITY_OPAQUE *ppAuthIdentity",
    ),
    (
        "SECURITY_STATUS",
        "SspiEncodeAuthIdentityAsStrings",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE pAuthIdentity, const SEC_WCHAR **ppszUserName, \
         const SEC_WCHAR **ppszDomainName, const SEC_WCHAR **ppszPackedCredentialsString",
    ),
    (
        "SECURITY_STATUS",
        "SspiValidateAuthIdentity",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE AuthData",
    ),
    (
        "SECURITY_STATUS",
        "SspiCopyAuthIdentity",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE AuthData, PSEC_WINNT_AUTH_IDENTITY_OPAQUE *AuthDataCopy",
    ),
    (
        "void",
        "SspiFreeAuthIdentity",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE AuthData",
    ),
    (
        "void",
        "SspiZeroAuthIdentity",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE AuthData",
    ),
    ("void", "SspiLocalFree", "void *DataBuffer"),
    (
        "SECURITY_STATUS",
        "SspiCompareAuthIdentities",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE AuthIdentity1, PSEC_WINNT_AUTH_IDENTITY_OPAQUE AuthIdentity2, \
         BOOLEAN *SameSuppliedUser, BOOLEAN *SameSuppliedIdentity",
    ),
    (
        "SECURITY_STATUS",
        "SspiMarshalAuthIdentity",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE AuthIdentity, ULONG *AuthIdentityLength, char **AuthIdentityByteArray",
    ),
    (
        "SECURITY_STATUS",
        "SspiUnmarshalAuthIdentity",
        "ULONG AuthIdentityLength, char *AuthIdentityByteArray, PSEC_WINNT_AUTH_IDENTITY_OPAQUE *ppAuthIdentity",
    ),
    (
        "SECURITY_STATUS",
        "SspiEncryptAuthIdentity",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE AuthData",
    ),
    (
        "SECURITY_STATUS",
        "SspiDecryptAuthIdentity",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE EncryptedAuthData",
    ),
    (
        "SECURITY_STATUS",
        "SspiEncryptAuthIdentityEx",
        "ULONG Options, PSEC_WINNT_AUTH_IDENTITY_OPAQUE AuthData",
    ),
    (
        "SECURITY_STATUS",
        "SspiDecryptAuthIdentityEx",
        "ULONG Options, PSEC_WINNT_AUTH_IDENTITY_OPAQUE EncryptedAuthData",
    ),
    (
        "SECURITY_STATUS",
        "SspiPrepareForCredRead",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE AuthIdentity, const SEC_WCHAR *pszTargetName, \
         ULONG *pCredmanCredentialType, const SEC_WCHAR **ppszCredmanTargetName",
    ),
    (
        "SECURITY_STATUS",
        "SspiPrepareForCredWrite",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE AuthIdentity, const SEC_WCHAR *pszTargetName, \
         ULONG *pCredmanCredentialType, const SEC_WCHAR **ppszCredmanTargetName, \
         const SEC_WCHAR **ppszCredmanUserName, unsigned char **ppCredentialBlob, ULONG *pCredentialBlobSize",
    ),
    (
        "BOOLEAN",
        "SspiIsAuthIdentityEncrypted",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE EncryptedAuthData",
    ),
    (
        "SECURITY_STATUS",
        "SspiExcludePackage",
        "PSEC_WINNT_AUTH_IDENTITY_OPAQUE AuthIdentity, const SEC_WCHAR *pszPackageName, \
         PSEC_WINNT_AUTH_IDENTITY_OPAQUE *ppNewAuthIdentity",
    ),
    (
        "SECURITY_STATUS",
        "SspiGetTargetHostName",
        "const SEC_WCHAR *pszTargetName, SEC_WCHAR **pszHostName",
    ),
    ("BOOLEAN", "SspiIsPromptingNeeded", "ULONG ErrorOrNtStatus"),
];
