#ifndef TRIHOUND_SSPI_H
#define TRIHOUND_SSPI_H

#ifdef _WIN32

/* Windows has this interface in headers of its own, and the library follows them. */
#ifndef SECURITY_WIN32
#define SECURITY_WIN32
#endif
#include <windows.h>
#include <security.h>

#else

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- the names of Windows for plain types; ULONG has 32 bits everywhere -------------------------------- */

typedef uint32_t ULONG;
typedef uint16_t USHORT;
typedef uint8_t BOOLEAN;
typedef int32_t BOOL;
typedef uintptr_t ULONG_PTR;
typedef void *HANDLE;
typedef int32_t SECURITY_STATUS;
typedef char SEC_CHAR;      /* UTF-8 */
typedef uint16_t SEC_WCHAR; /* UTF-16 */

#define SEC_ENTRY
#define SEC_FAR

#ifdef UNICODE
#define TRIHOUND_AW(name) name##W
#else
#define TRIHOUND_AW(name) name##A
#endif

typedef struct _GUID {
    uint32_t Data1;
    uint16_t Data2;
    uint16_t Data3;
    uint8_t Data4[8];
} GUID;

/* --- statuses; those below zero are failures ------------------------------------------------------------ */

@statuses

/* --- packages -------------------------------------------------------------------------------------------- */

#define KERBEROS_NAME_A "Kerberos"
#define MICROSOFT_KERBEROS_NAME_A "Kerberos"
#define NTLMSP_NAME_A "NTLM"
#define NEGOSSP_NAME_A "Negotiate"
#define MICROSOFT_KERBEROS_NAME_W u"Kerberos"
#define NTLMSP_NAME_W u"NTLM"
#define NEGOSSP_NAME_W u"Negotiate"
#define MICROSOFT_KERBEROS_NAME TRIHOUND_AW(MICROSOFT_KERBEROS_NAME_)
#define NTLMSP_NAME TRIHOUND_AW(NTLMSP_NAME_)
#define NEGOSSP_NAME TRIHOUND_AW(NEGOSSP_NAME_)

@flags SECPKG_FLAG_
#define SECPKG_ID_NONE 0xFFFF

@both
typedef struct _SecPkgInfo# {
    ULONG fCapabilities; /* SECPKG_FLAG_ */
    USHORT wVersion;
    USHORT wRPCID;
    ULONG cbMaxToken; /* the longest token of a handshake, in bytes */
    TCHAR *Name;
    TCHAR *Comment;
} SecPkgInfo#, *PSecPkgInfo#;
@end

typedef struct _SECURITY_PACKAGE_OPTIONS {
    ULONG Size;
    ULONG Type;
    ULONG Flags;
    ULONG SignatureSize;
    void *Signature;
} SECURITY_PACKAGE_OPTIONS, *PSECURITY_PACKAGE_OPTIONS;
#define SECPKG_OPTIONS_TYPE_UNKNOWN 0
#define SECPKG_OPTIONS_TYPE_LSA 1
#define SECPKG_OPTIONS_TYPE_SSPI 2
#define SECPKG_OPTIONS_PERMANENT 0x1

/* --- handles and times ------------------------------------------------------------------------------------ */

typedef struct _SecHandle {
    ULONG_PTR dwLower;
    ULONG_PTR dwUpper;
} SecHandle, *PSecHandle;
typedef SecHandle CredHandle, *PCredHandle;
typedef SecHandle CtxtHandle, *PCtxtHandle;
#define SEC_DELETED_HANDLE ((ULONG_PTR)-2)
#define SecInvalidateHandle(handle) ((void)((handle)->dwLower = (handle)->dwUpper = (ULONG_PTR)-1))
#define SecIsValidHandle(handle) ((handle)->dwLower != (ULONG_PTR)-1 && (handle)->dwUpper != (ULONG_PTR)-1)

/* Tenths of microseconds since 1601, in UTC. */
typedef struct _SECURITY_INTEGER {
    uint32_t LowPart;
    int32_t HighPart;
} SECURITY_INTEGER, *PSECURITY_INTEGER, TimeStamp, *PTimeStamp;

/* --- buffers ---------------------------------------------------------------------------------------------- */

typedef struct _SecBuffer {
    ULONG cbBuffer; /* in bytes */
    ULONG BufferType;
    void *pvBuffer;
} SecBuffer, *PSecBuffer;
typedef struct _SecBufferDesc {
    ULONG ulVersion;
    ULONG cBuffers;
    PSecBuffer pBuffers;
} SecBufferDesc, *PSecBufferDesc;
#define SECBUFFER_VERSION 0

@buffers
@flags SECBUFFER_
#define SECBUFFER_ATTRMASK 0xF0000000
#define SECURITY_NATIVE_DREP 0x10
#define SECURITY_NETWORK_DREP 0x00
#define SECQOP_WRAP_NO_ENCRYPT 0x80000001
#define SECQOP_WRAP_OOB_DATA 0x40000000

/* What the offsets name follows it. */
typedef struct _SEC_CHANNEL_BINDINGS {
    ULONG dwInitiatorAddrType;
    ULONG cbInitiatorLength;
    ULONG dwInitiatorOffset;
    ULONG dwAcceptorAddrType;
    ULONG cbAcceptorLength;
    ULONG dwAcceptorOffset;
    ULONG cbApplicationDataLength;
    ULONG dwApplicationDataOffset;
} SEC_CHANNEL_BINDINGS, *PSEC_CHANNEL_BINDINGS;

/* --- what contexts are asked for and give ------------------------------------------------------------------ */

@flags SECPKG_CRED_

@flags ISC_REQ_

@flags ISC_RET_

@flags ASC_REQ_

@flags ASC_RET_

#define SECPKG_CONTEXT_EXPORT_RESET_NEW 0x1
#define SECPKG_CONTEXT_EXPORT_DELETE_OLD 0x2
#define SECPKG_CONTEXT_EXPORT_TO_KERNEL 0x4

/* --- who somebody is ---------------------------------------------------------------------------------------- */

#define SEC_WINNT_AUTH_IDENTITY_ANSI 0x1
#define SEC_WINNT_AUTH_IDENTITY_UNICODE 0x2
#define SEC_WINNT_AUTH_IDENTITY_MARSHALLED 0x4
#define SEC_WINNT_AUTH_IDENTITY_ONLY 0x8
/* Passwords that only Windows, or only the process that made the identity, can read. */
#define SEC_WINNT_AUTH_IDENTITY_FLAGS_PROCESS_ENCRYPTED 0x10
#define SEC_WINNT_AUTH_IDENTITY_FLAGS_SYSTEM_PROTECTED 0x20
#define SEC_WINNT_AUTH_IDENTITY_FLAGS_USER_PROTECTED 0x40
#define SEC_WINNT_AUTH_IDENTITY_FLAGS_SYSTEM_ENCRYPTED 0x80
/* Options of SspiEncryptAuthIdentityEx; only the second is there. */
#define SEC_WINNT_AUTH_IDENTITY_ENCRYPT_SAME_LOGON 0x1
#define SEC_WINNT_AUTH_IDENTITY_ENCRYPT_SAME_PROCESS 0x2
#define SEC_WINNT_AUTH_IDENTITY_ENCRYPT_FOR_SYSTEM 0x4
#define SEC_WINNT_AUTH_IDENTITY_VERSION 0x200
#define SEC_WINNT_AUTH_IDENTITY_VERSION_2 0x201

/* Lengths count characters. */
@both
typedef struct _SEC_WINNT_AUTH_IDENTITY_# {
    TBYTE *User;
    ULONG UserLength;
    TBYTE *Domain;
    ULONG DomainLength;
    TBYTE *Password;
    ULONG PasswordLength;
    ULONG Flags;
} SEC_WINNT_AUTH_IDENTITY_#, *PSEC_WINNT_AUTH_IDENTITY_#;
@end
#define SEC_WINNT_AUTH_IDENTITY TRIHOUND_AW(SEC_WINNT_AUTH_IDENTITY_)
#define PSEC_WINNT_AUTH_IDENTITY TRIHOUND_AW(PSEC_WINNT_AUTH_IDENTITY_)

@both
typedef struct _SEC_WINNT_AUTH_IDENTITY_EX# {
    ULONG Version;
    ULONG Length;
    TBYTE *User;
    ULONG UserLength;
    TBYTE *Domain;
    ULONG DomainLength;
    TBYTE *Password;
    ULONG PasswordLength;
    ULONG Flags;
    TBYTE *PackageList;
    ULONG PackageListLength;
} SEC_WINNT_AUTH_IDENTITY_EX#, *PSEC_WINNT_AUTH_IDENTITY_EX#;
@end
#define SEC_WINNT_AUTH_IDENTITY_EX TRIHOUND_AW(SEC_WINNT_AUTH_IDENTITY_EX)
#define PSEC_WINNT_AUTH_IDENTITY_EX TRIHOUND_AW(PSEC_WINNT_AUTH_IDENTITY_EX)

/* One piece of memory: offsets count from its start, lengths count bytes, strings are UTF-16. */
typedef struct _SEC_WINNT_AUTH_IDENTITY_EX2 {
    ULONG Version;
    USHORT cbHeaderLength;
    ULONG cbStructureLength;
    ULONG UserOffset;
    USHORT UserLength;
    ULONG DomainOffset;
    USHORT DomainLength;
    ULONG PackedCredentialsOffset;
    USHORT PackedCredentialsLength;
    ULONG Flags;
    ULONG PackageListOffset;
    USHORT PackageListLength;
} SEC_WINNT_AUTH_IDENTITY_EX2, *PSEC_WINNT_AUTH_IDENTITY_EX2;

typedef struct _SEC_WINNT_AUTH_BYTE_VECTOR {
    ULONG ByteArrayOffset;
    USHORT ByteArrayLength;
} SEC_WINNT_AUTH_BYTE_VECTOR, *PSEC_WINNT_AUTH_BYTE_VECTOR;
typedef struct _SEC_WINNT_AUTH_DATA {
    GUID CredType;
    SEC_WINNT_AUTH_BYTE_VECTOR CredData;
} SEC_WINNT_AUTH_DATA, *PSEC_WINNT_AUTH_DATA;
typedef struct _SEC_WINNT_AUTH_PACKED_CREDENTIALS {
    USHORT cbHeaderLength;
    USHORT cbStructureLength;
    SEC_WINNT_AUTH_DATA AuthData;
} SEC_WINNT_AUTH_PACKED_CREDENTIALS, *PSEC_WINNT_AUTH_PACKED_CREDENTIALS;
static const GUID SEC_WINNT_AUTH_DATA_TYPE_PASSWORD = { 0x28bfc32f, 0x10f6, 0x4738, { 0x98, 0xd1, 0x1a, 0xc0, 0x61, 0xdf, 0x71, 0x6a } };

typedef void *PSEC_WINNT_AUTH_IDENTITY_OPAQUE;

/* Any of the forms above. */
typedef union _SEC_WINNT_AUTH_IDENTITY_INFO {
    SEC_WINNT_AUTH_IDENTITY_EXW AuthIdExw;
    SEC_WINNT_AUTH_IDENTITY_EXA AuthIdExa;
    SEC_WINNT_AUTH_IDENTITY_A AuthId_a;
    SEC_WINNT_AUTH_IDENTITY_W AuthId_w;
    SEC_WINNT_AUTH_IDENTITY_EX2 AuthIdEx2;
} SEC_WINNT_AUTH_IDENTITY_INFO, *PSEC_WINNT_AUTH_IDENTITY_INFO;

/* --- attributes ------------------------------------------------------------------------------------------------ */

@attributes

/* Of sspi.h too; no package here has them, and they are SEC_E_UNSUPPORTED_FUNCTION. */
#define SECPKG_ATTR_PROTO_INFO 7
#define SECPKG_ATTR_USE_VALIDATED 15
#define SECPKG_ATTR_CREDENTIAL_NAME 16
#define SECPKG_ATTR_TARGET 19
#define SECPKG_ATTR_AUTHENTICATION_ID 20
#define SECPKG_ATTR_LOGOFF_TIME 21
#define SECPKG_ATTR_NEGO_KEYS 22
#define SECPKG_ATTR_PROMPTING_NEEDED 24
#define SECPKG_ATTR_NEGO_PKG_INFO 31
#define SECPKG_ATTR_NEGO_STATUS 32
#define SECPKG_ATTR_CONTEXT_DELETED 33
#define SECPKG_ATTR_SUBJECT_SECURITY_ATTRIBUTES 128
#define SECPKG_CRED_ATTR_PAC_BYPASS 5

typedef struct _SecPkgContext_Sizes {
    ULONG cbMaxToken;
    ULONG cbMaxSignature;
    ULONG cbBlockSize;
    ULONG cbSecurityTrailer;
} SecPkgContext_Sizes, *PSecPkgContext_Sizes;
typedef struct _SecPkgContext_StreamSizes {
    ULONG cbHeader;
    ULONG cbTrailer;
    ULONG cbMaximumMessage;
    ULONG cBuffers;
    ULONG cbBlockSize;
} SecPkgContext_StreamSizes, *PSecPkgContext_StreamSizes;
typedef struct _SecPkgContext_Lifespan {
    TimeStamp tsStart;
    TimeStamp tsExpiry;
} SecPkgContext_Lifespan, *PSecPkgContext_Lifespan;
typedef struct _SecPkgContext_DceInfo {
    ULONG AuthzSvc;
    void *pPac;
} SecPkgContext_DceInfo, *PSecPkgContext_DceInfo;
typedef struct _SecPkgContext_PasswordExpiry {
    TimeStamp tsPasswordExpires;
} SecPkgContext_PasswordExpiry, *PSecPkgContext_PasswordExpiry;
typedef struct _SecPkgContext_SessionKey {
    ULONG SessionKeyLength;
    unsigned char *SessionKey;
} SecPkgContext_SessionKey, *PSecPkgContext_SessionKey;
typedef struct _SecPkgContext_UserFlags {
    ULONG UserFlags;
} SecPkgContext_UserFlags, *PSecPkgContext_UserFlags;
typedef struct _SecPkgContext_Flags {
    ULONG Flags;
} SecPkgContext_Flags, *PSecPkgContext_Flags;
typedef struct _SecPkgContext_TargetInformation {
    ULONG MarshalledTargetInfoLength;
    unsigned char *MarshalledTargetInfo;
} SecPkgContext_TargetInformation, *PSecPkgContext_TargetInformation;
typedef struct _SecPkgContext_AccessToken {
    void *AccessToken; /* a TRIHOUND_ACCESS_TOKEN; it ends with its context */
} SecPkgContext_AccessToken, *PSecPkgContext_AccessToken;
typedef struct _SecPkgContext_Bindings {
    ULONG BindingsLength;
    SEC_CHANNEL_BINDINGS *Bindings;
} SecPkgContext_Bindings, *PSecPkgContext_Bindings;
typedef enum _SECPKG_ATTR_LCT_STATUS {
    SecPkgAttrLastClientTokenYes,
    SecPkgAttrLastClientTokenNo,
    SecPkgAttrLastClientTokenMaybe
} SECPKG_ATTR_LCT_STATUS, *PSECPKG_ATTR_LCT_STATUS;
typedef struct _SecPkgContext_LastClientTokenStatus {
    SECPKG_ATTR_LCT_STATUS LastClientTokenStatus;
} SecPkgContext_LastClientTokenStatus, *PSecPkgContext_LastClientTokenStatus;
typedef struct _SecPkgContext_ClientSpecifiedTarget {
    SEC_WCHAR *sTargetName;
} SecPkgContext_ClientSpecifiedTarget, *PSecPkgContext_ClientSpecifiedTarget;
/* What the A functions give; sspi.h has the other one alone. */
typedef struct _SecPkgContext_ClientSpecifiedTargetA {
    SEC_CHAR *sTargetName;
} SecPkgContext_ClientSpecifiedTargetA;

@both
typedef struct _SecPkgContext_Names# {
    TCHAR *sUserName;
} SecPkgContext_Names#, *PSecPkgContext_Names#;
typedef struct _SecPkgContext_KeyInfo# {
    TCHAR *sSignatureAlgorithmName;
    TCHAR *sEncryptAlgorithmName;
    ULONG KeySize;
    ULONG SignatureAlgorithm;
    ULONG EncryptAlgorithm;
} SecPkgContext_KeyInfo#, *PSecPkgContext_KeyInfo#;
typedef struct _SecPkgContext_Authority# {
    TCHAR *sAuthorityName;
} SecPkgContext_Authority#, *PSecPkgContext_Authority#;
typedef struct _SecPkgContext_PackageInfo# {
    PSecPkgInfo# PackageInfo;
} SecPkgContext_PackageInfo#, *PSecPkgContext_PackageInfo#;
typedef struct _SecPkgContext_NegotiationInfo# {
    PSecPkgInfo# PackageInfo;
    ULONG NegotiationState;
} SecPkgContext_NegotiationInfo#, *PSecPkgContext_NegotiationInfo#;
typedef struct _SecPkgContext_NativeNames# {
    TCHAR *sClientName;
    TCHAR *sServerName;
} SecPkgContext_NativeNames#, *PSecPkgContext_NativeNames#;
typedef struct _SecPkgCredentials_Names# {
    TCHAR *sUserName;
} SecPkgCredentials_Names#, *PSecPkgCredentials_Names#;
typedef struct _SecPkgCredentials_SSIProvider# {
    TCHAR *sProviderName;
    ULONG ProviderInfoLength;
    char *ProviderInfo;
} SecPkgCredentials_SSIProvider#, *PSecPkgCredentials_SSIProvider#;
@end

#define SECPKG_NEGOTIATION_COMPLETE 0
#define SECPKG_NEGOTIATION_OPTIMISTIC 1
#define SECPKG_NEGOTIATION_IN_PROGRESS 2
#define SECPKG_NEGOTIATION_DIRECT 3
#define SECPKG_NEGOTIATION_TRY_MULTICRED 4

#define KDC_PROXY_SETTINGS_V1 1
#define KDC_PROXY_SETTINGS_FLAGS_FORCEPROXY 0x1
/* The proxy's name is UTF-16 and follows it; offsets count from its start, lengths count bytes. */
typedef struct _SecPkgCredentials_KdcProxySettingsW {
    ULONG Version;
    ULONG Flags;
    USHORT ProxyServerOffset;
    USHORT ProxyServerLength;
    USHORT ClientTlsCredOffset;
    USHORT ClientTlsCredLength;
} SecPkgCredentials_KdcProxySettingsW, *PSecPkgCredentials_KdcProxySettingsW;
typedef struct _SecPkgCredentials_Cert {
    ULONG EncodedCertSize;
    unsigned char *EncodedCert;
} SecPkgCredentials_Cert, *PSecPkgCredentials_Cert;

/* --- functions -------------------------------------------------------------------------------------------------- */

typedef void (SEC_ENTRY *SEC_GET_KEY_FN)(void *Arg, void *Principal, ULONG KeyVer, void **Key, SECURITY_STATUS *Status);

@functions

/* An old name. */
#define FreeCredentialHandle FreeCredentialsHandle

/* --- the tables; a slot is NULL where no package has the function ------------------------------------------------- */

#define SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION 1
#define SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_2 2
#define SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_3 3
#define SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_4 4
#define SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_5 5
#define SECURITY_ENTRYPOINT_ANSIA "InitSecurityInterfaceA"
#define SECURITY_ENTRYPOINT_ANSIW "InitSecurityInterfaceW"
#define SECURITY_ENTRYPOINT_ANSI TRIHOUND_AW(SECURITY_ENTRYPOINT_ANSI)
#define SECURITY_ENTRYPOINTA SECURITY_ENTRYPOINT_ANSIA
#define SECURITY_ENTRYPOINTW u"InitSecurityInterfaceW"
#define SECURITY_ENTRYPOINT TRIHOUND_AW(SECURITY_ENTRYPOINT)

@tables

@both
PSecurityFunctionTable# SEC_ENTRY InitSecurityInterface#(void);
typedef PSecurityFunctionTable# (SEC_ENTRY *INIT_SECURITY_INTERFACE_#)(void);
@end
#define InitSecurityInterface TRIHOUND_AW(InitSecurityInterface)
#define SecurityFunctionTable TRIHOUND_AW(SecurityFunctionTable)
#define PSecurityFunctionTable TRIHOUND_AW(PSecurityFunctionTable)
#define SecPkgInfo TRIHOUND_AW(SecPkgInfo)
#define PSecPkgInfo TRIHOUND_AW(PSecPkgInfo)

/* --- identities as one piece of memory ------------------------------------------------------------------------------ */

@identities

#ifdef __cplusplus
}
#endif

#endif /* _WIN32 */

/* --- what sspi.h does not have ---------------------------------------------------------------------------------------- */

#ifdef __cplusplus
extern "C" {
#endif

/* Why the last call of this thread that failed did so: UTF-8, the library's, good until this thread's next failure. */
const char *SEC_ENTRY TrihoundLastError(void);

/* What a token of QuerySecurityContextToken points to: read-only, FreeContextBuffer gives it back. Strings are UTF-8. */
typedef struct _TRIHOUND_ACCESS_TOKEN {
    ULONG Size; /* of this structure, in bytes; a later version is larger */
    ULONG ImpersonationLevel; /* 0 anonymous, 1 identification, 2 impersonation, 3 delegation */
    const char *PackageName;
    const char *ClientName;
    const char *DomainName;
    ULONG GroupCount;
    ULONG SidCount;
    const char *const *Groups;
    const char *const *Sids; /* as text, the client's own first */
    ULONG HasDelegatedCredential;
} TRIHOUND_ACCESS_TOKEN;

/* WinPR's identity, which FreeRDP gives to a module: the extended one, marked by a flag, with settings behind it. */
#define SEC_WINNT_AUTH_IDENTITY_EXTENDED 0x100
#define SEC_WINNT_AUTH_IDENTITY_EXTENDED_NEW 0x200 /* of later versions */
typedef struct _SEC_WINPR_NTLM_SETTINGS {
    const char *samFile;
    SECURITY_STATUS (*hashCallback)(void);
    void *hashCallbackArg;
} SEC_WINPR_NTLM_SETTINGS;
typedef struct _SEC_WINPR_KERBEROS_SETTINGS {
    const char *kdcUrl;
    const char *keytab;
    const char *cache;
    const char *armorCache;
    const char *pkinitX509Anchors;
    const char *pkinitX509Identity;
    BOOL withPac;
    int startTime; /* in seconds, as the two below */
    int renewLifeTime;
    int lifeTime;
    unsigned char certSha1[20];
} SEC_WINPR_KERBEROS_SETTINGS;
typedef struct _SEC_WINNT_AUTH_IDENTITY_WINPR {
    SEC_WINNT_AUTH_IDENTITY_EXW identity;
    const SEC_WINPR_NTLM_SETTINGS *ntlmSettings;
    const SEC_WINPR_KERBEROS_SETTINGS *kerberosSettings;
} SEC_WINNT_AUTH_IDENTITY_WINPR;

#ifdef __cplusplus
}
#endif

#endif
