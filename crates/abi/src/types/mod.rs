//! The structures of sspi.h, field by field, under their own names.
//!
//! A `ULONG` has 32 bits on every platform, as on Windows. The assertions below each structure hold its
//! layout against that of the Windows headers, for pointers of 64 and of 32 bits.

// Names are those of the header, so that the two can be read side by side.
#![allow(non_camel_case_types, non_snake_case)]

use core::ffi::{c_char, c_void};

mod attributes;
mod identity;
mod table;

pub use attributes::*;
pub use identity::*;
pub use table::*;

/// `ULONG`, `unsigned long` of the Windows headers.
pub type ULONG = u32;
/// `USHORT`.
pub type USHORT = u16;
/// `BOOLEAN`: zero is false.
pub type BOOLEAN = u8;
/// `BOOL`: zero is false.
pub type BOOL = i32;
/// `SEC_CHAR`: a byte of UTF-8.
pub type SEC_CHAR = c_char;
/// `SEC_WCHAR`: a unit of UTF-16.
pub type SEC_WCHAR = u16;
/// `HANDLE`.
pub type HANDLE = *mut c_void;
/// `SECURITY_STATUS`, a `LONG`.
pub type SECURITY_STATUS = i32;

/// Holds the size of a structure and the places of its fields, 64-bit first and 32-bit second.
macro_rules! layout {
    ($name:ty: $size64:literal/$size32:literal $(, $field:ident: $at64:literal/$at32:literal)* $(,)?) => {
        const _: () = {
            let wide = size_of::<usize>() == 8;
            assert!(size_of::<$name>() == if wide { $size64 } else { $size32 });
            $(assert!(core::mem::offset_of!($name, $field) == if wide { $at64 } else { $at32 });)*
        };
    };
}
pub(crate) use layout;

/// `SecHandle`, which a `CredHandle` and a `CtxtHandle` are.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecHandle {
    /// The lower half.
    pub dwLower: usize,
    /// The upper half.
    pub dwUpper: usize,
}
layout!(SecHandle: 16/8, dwLower: 0/0, dwUpper: 8/4);

/// `CredHandle`.
pub type CredHandle = SecHandle;
/// `CtxtHandle`.
pub type CtxtHandle = SecHandle;

/// `TimeStamp`, a `SECURITY_INTEGER`: tenths of microseconds since 1601, in UTC.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeStamp {
    /// The lower half.
    pub LowPart: u32,
    /// The upper half.
    pub HighPart: i32,
}
layout!(TimeStamp: 8/8, LowPart: 0/0, HighPart: 4/4);

/// `SecBuffer`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SecBuffer {
    /// How many bytes there are.
    pub cbBuffer: ULONG,
    /// A `SECBUFFER_` type and attributes.
    pub BufferType: ULONG,
    /// The bytes.
    pub pvBuffer: *mut c_void,
}
layout!(SecBuffer: 16/12, cbBuffer: 0/0, BufferType: 4/4, pvBuffer: 8/8);

/// `SecBufferDesc`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SecBufferDesc {
    /// `SECBUFFER_VERSION`, zero.
    pub ulVersion: ULONG,
    /// How many buffers there are.
    pub cBuffers: ULONG,
    /// The buffers.
    pub pBuffers: *mut SecBuffer,
}
layout!(SecBufferDesc: 16/12, ulVersion: 0/0, cBuffers: 4/4, pBuffers: 8/8);

/// `SECBUFFER_VERSION`.
pub const SECBUFFER_VERSION: ULONG = 0;

/// `SecPkgInfoA`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SecPkgInfoA {
    /// `SECPKG_FLAG_` flags.
    pub fCapabilities: ULONG,
    /// One.
    pub wVersion: USHORT,
    /// The number for RPC.
    pub wRPCID: USHORT,
    /// The longest token, in bytes.
    pub cbMaxToken: ULONG,
    /// The name.
    pub Name: *mut SEC_CHAR,
    /// What it is.
    pub Comment: *mut SEC_CHAR,
}
layout!(SecPkgInfoA: 32/20, fCapabilities: 0/0, wVersion: 4/4, wRPCID: 6/6, cbMaxToken: 8/8,
    Name: 16/12, Comment: 24/16);

/// `SecPkgInfoW`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SecPkgInfoW {
    /// `SECPKG_FLAG_` flags.
    pub fCapabilities: ULONG,
    /// One.
    pub wVersion: USHORT,
    /// The number for RPC.
    pub wRPCID: USHORT,
    /// The longest token, in bytes.
    pub cbMaxToken: ULONG,
    /// The name.
    pub Name: *mut SEC_WCHAR,
    /// What it is.
    pub Comment: *mut SEC_WCHAR,
}
layout!(SecPkgInfoW: 32/20, fCapabilities: 0/0, wVersion: 4/4, wRPCID: 6/6, cbMaxToken: 8/8,
    Name: 16/12, Comment: 24/16);

/// `SECURITY_PACKAGE_OPTIONS`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SECURITY_PACKAGE_OPTIONS {
    /// The size of this structure, in bytes.
    pub Size: ULONG,
    /// A `SECPKG_OPTIONS_TYPE_` number.
    pub Type: ULONG,
    /// `SECPKG_OPTIONS_PERMANENT`.
    pub Flags: ULONG,
    /// How many bytes the signature has.
    pub SignatureSize: ULONG,
    /// A signature of the library.
    pub Signature: *mut c_void,
}
layout!(SECURITY_PACKAGE_OPTIONS: 24/20, Size: 0/0, Type: 4/4, Flags: 8/8, SignatureSize: 12/12,
    Signature: 16/16);

/// `SEC_CHANNEL_BINDINGS`; what its offsets name follows it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SEC_CHANNEL_BINDINGS {
    /// The kind of the initiator's address.
    pub dwInitiatorAddrType: ULONG,
    /// Its length.
    pub cbInitiatorLength: ULONG,
    /// Where it is.
    pub dwInitiatorOffset: ULONG,
    /// The kind of the acceptor's address.
    pub dwAcceptorAddrType: ULONG,
    /// Its length.
    pub cbAcceptorLength: ULONG,
    /// Where it is.
    pub dwAcceptorOffset: ULONG,
    /// The length of the application data.
    pub cbApplicationDataLength: ULONG,
    /// Where they are.
    pub dwApplicationDataOffset: ULONG,
}
layout!(SEC_CHANNEL_BINDINGS: 32/32, dwAcceptorAddrType: 12/12, dwApplicationDataOffset: 28/28);

/// `SEC_GET_KEY_FN`; it is taken and never called.
pub type SEC_GET_KEY_FN = Option<
    unsafe extern "system" fn(
        Arg: *mut c_void,
        Principal: *mut c_void,
        KeyVer: ULONG,
        Key: *mut *mut c_void,
        Status: *mut SECURITY_STATUS,
    ),
>;
