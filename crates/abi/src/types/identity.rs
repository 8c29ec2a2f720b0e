//! The identities that AcquireCredentialsHandle takes, those of Windows and those of WinPR.

use core::ffi::{c_char, c_void};

use super::{BOOL, SECURITY_STATUS, ULONG, USHORT, layout};

/// `SEC_WINNT_AUTH_IDENTITY_ANSI`.
pub const SEC_WINNT_AUTH_IDENTITY_ANSI: ULONG = 0x1;
/// `SEC_WINNT_AUTH_IDENTITY_UNICODE`.
pub const SEC_WINNT_AUTH_IDENTITY_UNICODE: ULONG = 0x2;
/// `SEC_WINNT_AUTH_IDENTITY_FLAGS_PROCESS_ENCRYPTED`.
pub const SEC_WINNT_AUTH_IDENTITY_FLAGS_PROCESS_ENCRYPTED: ULONG = 0x10;
/// `SEC_WINNT_AUTH_IDENTITY_FLAGS_SYSTEM_PROTECTED`.
pub const SEC_WINNT_AUTH_IDENTITY_FLAGS_SYSTEM_PROTECTED: ULONG = 0x20;
/// `SEC_WINNT_AUTH_IDENTITY_FLAGS_USER_PROTECTED`.
pub const SEC_WINNT_AUTH_IDENTITY_FLAGS_USER_PROTECTED: ULONG = 0x40;
/// `SEC_WINNT_AUTH_IDENTITY_FLAGS_SYSTEM_ENCRYPTED`.
pub const SEC_WINNT_AUTH_IDENTITY_FLAGS_SYSTEM_ENCRYPTED: ULONG = 0x80;
/// `SEC_WINNT_AUTH_IDENTITY_EXTENDED` of WinPR, FreeRDP 3 up to now: the settings of packages follow.
pub const SEC_WINNT_AUTH_IDENTITY_EXTENDED: ULONG = 0x100;
/// The same flag of later versions of WinPR.
pub const SEC_WINNT_AUTH_IDENTITY_EXTENDED_NEW: ULONG = 0x200;
/// `SEC_WINNT_AUTH_IDENTITY_VERSION`.
pub const SEC_WINNT_AUTH_IDENTITY_VERSION: ULONG = 0x200;
/// `SEC_WINNT_AUTH_IDENTITY_VERSION_2`.
pub const SEC_WINNT_AUTH_IDENTITY_VERSION_2: ULONG = 0x201;

/// `SEC_WINNT_AUTH_IDENTITY_W` and `_A`: the flags say which, and the lengths count characters.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SEC_WINNT_AUTH_IDENTITY {
    /// The user.
    pub User: *const c_void,
    /// Its length.
    pub UserLength: ULONG,
    /// The domain or realm.
    pub Domain: *const c_void,
    /// Its length.
    pub DomainLength: ULONG,
    /// The password.
    pub Password: *const c_void,
    /// Its length.
    pub PasswordLength: ULONG,
    /// `SEC_WINNT_AUTH_IDENTITY_` flags.
    pub Flags: ULONG,
}
layout!(SEC_WINNT_AUTH_IDENTITY: 48/28, User: 0/0, UserLength: 8/4, Domain: 16/8, DomainLength: 24/12,
    Password: 32/16, PasswordLength: 40/20, Flags: 44/24);

/// `SEC_WINNT_AUTH_IDENTITY_EXW` and `_EXA`: the flags say which, and the lengths count characters.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SEC_WINNT_AUTH_IDENTITY_EX {
    /// `SEC_WINNT_AUTH_IDENTITY_VERSION`.
    pub Version: ULONG,
    /// The size of this structure, in bytes.
    pub Length: ULONG,
    /// The user.
    pub User: *const c_void,
    /// Its length.
    pub UserLength: ULONG,
    /// The domain or realm.
    pub Domain: *const c_void,
    /// Its length.
    pub DomainLength: ULONG,
    /// The password.
    pub Password: *const c_void,
    /// Its length.
    pub PasswordLength: ULONG,
    /// `SEC_WINNT_AUTH_IDENTITY_` flags.
    pub Flags: ULONG,
    /// The packages that Negotiate may use.
    pub PackageList: *const c_void,
    /// Its length.
    pub PackageListLength: ULONG,
}
layout!(SEC_WINNT_AUTH_IDENTITY_EX: 72/44, Length: 4/4, User: 8/8, UserLength: 16/12, Domain: 24/16,
    DomainLength: 32/20, Password: 40/24, PasswordLength: 48/28, Flags: 52/32, PackageList: 56/36,
    PackageListLength: 64/40);

/// `SEC_WINNT_AUTH_IDENTITY_EX2`: one piece, whose offsets count from its start and whose lengths count
/// bytes. Strings are UTF-16.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SEC_WINNT_AUTH_IDENTITY_EX2 {
    /// `SEC_WINNT_AUTH_IDENTITY_VERSION_2`.
    pub Version: ULONG,
    /// The size of this structure.
    pub cbHeaderLength: USHORT,
    /// The size of the whole.
    pub cbStructureLength: ULONG,
    /// Where the user is.
    pub UserOffset: ULONG,
    /// How long it is.
    pub UserLength: USHORT,
    /// Where the domain is.
    pub DomainOffset: ULONG,
    /// How long it is.
    pub DomainLength: USHORT,
    /// Where the packed credentials are.
    pub PackedCredentialsOffset: ULONG,
    /// How long they are.
    pub PackedCredentialsLength: USHORT,
    /// `SEC_WINNT_AUTH_IDENTITY_` flags.
    pub Flags: ULONG,
    /// Where the list of packages is.
    pub PackageListOffset: ULONG,
    /// How long it is.
    pub PackageListLength: USHORT,
}
layout!(SEC_WINNT_AUTH_IDENTITY_EX2: 48/48, cbHeaderLength: 4/4, cbStructureLength: 8/8, UserOffset: 12/12,
    UserLength: 16/16, DomainOffset: 20/20, DomainLength: 24/24, PackedCredentialsOffset: 28/28,
    PackedCredentialsLength: 32/32, Flags: 36/36, PackageListOffset: 40/40, PackageListLength: 44/44);

/// `GUID`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GUID {
    /// The first part.
    pub Data1: u32,
    /// The second part.
    pub Data2: u16,
    /// The third part.
    pub Data3: u16,
    /// The rest.
    pub Data4: [u8; 8],
}
layout!(GUID: 16/16, Data2: 4/4, Data4: 8/8);

/// `SEC_WINNT_AUTH_DATA_TYPE_PASSWORD`.
pub const SEC_WINNT_AUTH_DATA_TYPE_PASSWORD: GUID = GUID {
    Data1: 0x28BF_C32F,
    Data2: 0x10F6,
    Data3: 0x4738,
    Data4: [0x98, 0xD1, 0x1A, 0xC0, 0x61, 0xDF, 0x71, 0x6A],
};

/// `SEC_WINNT_AUTH_BYTE_VECTOR`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SEC_WINNT_AUTH_BYTE_VECTOR {
    /// Where the bytes are, from the start of the structure that this one is in.
    pub ByteArrayOffset: ULONG,
    /// How many there are.
    pub ByteArrayLength: USHORT,
}
layout!(SEC_WINNT_AUTH_BYTE_VECTOR: 8/8, ByteArrayLength: 4/4);

/// `SEC_WINNT_AUTH_DATA`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SEC_WINNT_AUTH_DATA {
    /// What kind of credential it is.
    pub CredType: GUID,
    /// Where it is.
    pub CredData: SEC_WINNT_AUTH_BYTE_VECTOR,
}
layout!(SEC_WINNT_AUTH_DATA: 24/24, CredData: 16/16);

/// `SEC_WINNT_AUTH_PACKED_CREDENTIALS`; the credential follows it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SEC_WINNT_AUTH_PACKED_CREDENTIALS {
    /// The size of this structure.
    pub cbHeaderLength: USHORT,
    /// The size of the whole.
    pub cbStructureLength: USHORT,
    /// The credential.
    pub AuthData: SEC_WINNT_AUTH_DATA,
}
layout!(SEC_WINNT_AUTH_PACKED_CREDENTIALS: 28/28, cbStructureLength: 2/2, AuthData: 4/4);

/// `SEC_WINPR_NTLM_SETTINGS`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SEC_WINPR_NTLM_SETTINGS {
    /// A file of accounts.
    pub samFile: *const c_char,
    /// A function that answers with a hash.
    pub hashCallback: Option<unsafe extern "C" fn() -> SECURITY_STATUS>,
    /// Its argument.
    pub hashCallbackArg: *mut c_void,
}
layout!(SEC_WINPR_NTLM_SETTINGS: 24/12, hashCallback: 8/4, hashCallbackArg: 16/8);

/// `SEC_WINPR_KERBEROS_SETTINGS`. Times are seconds.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SEC_WINPR_KERBEROS_SETTINGS {
    /// The KDC to ask.
    pub kdcUrl: *const c_char,
    /// The keytab.
    pub keytab: *const c_char,
    /// The credential cache.
    pub cache: *const c_char,
    /// The cache with the ticket that armours the login.
    pub armorCache: *const c_char,
    /// The certificate authorities of the KDC.
    pub pkinitX509Anchors: *const c_char,
    /// The client's certificate.
    pub pkinitX509Identity: *const c_char,
    /// Whether a PAC is asked for.
    pub withPac: BOOL,
    /// From when on the ticket is wanted, counted from now.
    pub startTime: i32,
    /// How long it is to be renewable.
    pub renewLifeTime: i32,
    /// How long it is to last.
    pub lifeTime: i32,
    /// A certificate's hash.
    pub certSha1: [u8; 20],
}
layout!(SEC_WINPR_KERBEROS_SETTINGS: 88/60, pkinitX509Identity: 40/20, withPac: 48/24, startTime: 52/28,
    renewLifeTime: 56/32, lifeTime: 60/36, certSha1: 64/40);

/// `SEC_WINNT_AUTH_IDENTITY_WINPR`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SEC_WINNT_AUTH_IDENTITY_WINPR {
    /// The identity, always of UTF-16.
    pub identity: SEC_WINNT_AUTH_IDENTITY_EX,
    /// What NTLM is told.
    pub ntlmSettings: *const SEC_WINPR_NTLM_SETTINGS,
    /// What Kerberos is told.
    pub kerberosSettings: *const SEC_WINPR_KERBEROS_SETTINGS,
}
layout!(SEC_WINNT_AUTH_IDENTITY_WINPR: 88/52, ntlmSettings: 72/44, kerberosSettings: 80/48);
