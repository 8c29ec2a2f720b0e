//! What the attribute functions give and take.

use core::ffi::c_void;

use super::{
    SEC_CHANNEL_BINDINGS, SEC_CHAR, SEC_WCHAR, SecPkgInfoA, SecPkgInfoW, TimeStamp, ULONG, USHORT,
    layout,
};

/// One structure whose strings are those of a character type: the A and the W form.
macro_rules! both {
    ($(#[$doc:meta])* $narrow:ident $wide:ident {
        ($($(#[$text_doc:meta])* $text:ident,)*)
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    }) => {
        both!(@one $(#[$doc])* $narrow SEC_CHAR { ($($(#[$text_doc])* $text,)*) $($(#[$field_doc])* $field: $type,)* });
        both!(@one $(#[$doc])* $wide SEC_WCHAR { ($($(#[$text_doc])* $text,)*) $($(#[$field_doc])* $field: $type,)* });
    };
    (@one $(#[$doc:meta])* $name:ident $char:ident {
        ($($(#[$text_doc:meta])* $text:ident,)*) $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            $($(#[$text_doc])* pub $text: *mut $char,)*
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

/// A structure without strings.
macro_rules! plain {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    };
}

plain! {
    /// `SECPKG_ATTR_SIZES`, in bytes.
    SecPkgContext_Sizes {
        /// The longest token of the handshake.
        cbMaxToken: ULONG,
        /// The longest signature.
        cbMaxSignature: ULONG,
        /// What a PADDING buffer needs.
        cbBlockSize: ULONG,
        /// What the TOKEN buffer of EncryptMessage needs.
        cbSecurityTrailer: ULONG,
    }
}
layout!(SecPkgContext_Sizes: 16/16, cbSecurityTrailer: 12/12);

plain! {
    /// `SECPKG_ATTR_STREAM_SIZES`, in bytes.
    SecPkgContext_StreamSizes {
        /// What the header needs.
        cbHeader: ULONG,
        /// What the trailer needs.
        cbTrailer: ULONG,
        /// The longest message.
        cbMaximumMessage: ULONG,
        /// How many buffers a call takes.
        cBuffers: ULONG,
        /// What padding needs.
        cbBlockSize: ULONG,
    }
}
layout!(SecPkgContext_StreamSizes: 20/20, cbBlockSize: 16/16);

both! {
    /// `SECPKG_ATTR_NAMES`.
    SecPkgContext_NamesA SecPkgContext_NamesW {
        (
            /// The client.
            sUserName,
        )
    }
}
layout!(SecPkgContext_NamesA: 8/4);
layout!(SecPkgContext_NamesW: 8/4);

plain! {
    /// `SECPKG_ATTR_LIFESPAN`.
    SecPkgContext_Lifespan {
        /// From when on the context is valid.
        tsStart: TimeStamp,
        /// Until when.
        tsExpiry: TimeStamp,
    }
}
layout!(SecPkgContext_Lifespan: 16/16, tsExpiry: 8/8);

plain! {
    /// `SECPKG_ATTR_DCE_INFO`.
    SecPkgContext_DceInfo {
        /// The authorization service: 1 for names, 2 for a PAC.
        AuthzSvc: ULONG,
        /// The authorization data.
        pPac: *mut c_void,
    }
}
layout!(SecPkgContext_DceInfo: 16/8, AuthzSvc: 0/0, pPac: 8/4);

both! {
    /// `SECPKG_ATTR_KEY_INFO`.
    SecPkgContext_KeyInfoA SecPkgContext_KeyInfoW {
        (
            /// How messages are signed.
            sSignatureAlgorithmName,
            /// How they are encrypted.
            sEncryptAlgorithmName,
        )
        /// The key's size in bits.
        KeySize: ULONG,
        /// The number of the signature algorithm.
        SignatureAlgorithm: ULONG,
        /// The number of the encryption algorithm.
        EncryptAlgorithm: ULONG,
    }
}
layout!(SecPkgContext_KeyInfoA: 32/20, KeySize: 16/8, EncryptAlgorithm: 24/16);
layout!(SecPkgContext_KeyInfoW: 32/20, KeySize: 16/8, EncryptAlgorithm: 24/16);

both! {
    /// `SECPKG_ATTR_AUTHORITY`.
    SecPkgContext_AuthorityA SecPkgContext_AuthorityW {
        (
            /// Who authenticated the client.
            sAuthorityName,
        )
    }
}
layout!(SecPkgContext_AuthorityA: 8/4);
layout!(SecPkgContext_AuthorityW: 8/4);

plain! {
    /// `SECPKG_ATTR_PASSWORD_EXPIRY`.
    SecPkgContext_PasswordExpiry {
        /// When the client's password ends.
        tsPasswordExpires: TimeStamp,
    }
}
layout!(SecPkgContext_PasswordExpiry: 8/8);

plain! {
    /// `SECPKG_ATTR_SESSION_KEY`.
    SecPkgContext_SessionKey {
        /// How many bytes it has.
        SessionKeyLength: ULONG,
        /// The key.
        SessionKey: *mut u8,
    }
}
layout!(SecPkgContext_SessionKey: 16/8, SessionKey: 8/4);

plain! {
    /// `SECPKG_ATTR_PACKAGE_INFO`.
    SecPkgContext_PackageInfoA {
        /// The package.
        PackageInfo: *mut SecPkgInfoA,
    }
}
layout!(SecPkgContext_PackageInfoA: 8/4);

plain! {
    /// `SECPKG_ATTR_PACKAGE_INFO`.
    SecPkgContext_PackageInfoW {
        /// The package.
        PackageInfo: *mut SecPkgInfoW,
    }
}
layout!(SecPkgContext_PackageInfoW: 8/4);

plain! {
    /// `SECPKG_ATTR_USER_FLAGS`.
    SecPkgContext_UserFlags {
        /// Flags of the client's account.
        UserFlags: ULONG,
    }
}
layout!(SecPkgContext_UserFlags: 4/4);

plain! {
    /// `SECPKG_ATTR_FLAGS`.
    SecPkgContext_Flags {
        /// `ISC_RET_` or `ASC_RET_` flags.
        Flags: ULONG,
    }
}
layout!(SecPkgContext_Flags: 4/4);

plain! {
    /// `SECPKG_ATTR_NEGOTIATION_INFO`.
    SecPkgContext_NegotiationInfoA {
        /// The package that was chosen.
        PackageInfo: *mut SecPkgInfoA,
        /// A `SECPKG_NEGOTIATION_` number.
        NegotiationState: ULONG,
    }
}
layout!(SecPkgContext_NegotiationInfoA: 16/8, NegotiationState: 8/4);

plain! {
    /// `SECPKG_ATTR_NEGOTIATION_INFO`.
    SecPkgContext_NegotiationInfoW {
        /// The package that was chosen.
        PackageInfo: *mut SecPkgInfoW,
        /// A `SECPKG_NEGOTIATION_` number.
        NegotiationState: ULONG,
    }
}
layout!(SecPkgContext_NegotiationInfoW: 16/8, NegotiationState: 8/4);

both! {
    /// `SECPKG_ATTR_NATIVE_NAMES`.
    SecPkgContext_NativeNamesA SecPkgContext_NativeNamesW {
        (
            /// The client.
            sClientName,
            /// The server.
            sServerName,
        )
    }
}
layout!(SecPkgContext_NativeNamesA: 16/8, sServerName: 8/4);
layout!(SecPkgContext_NativeNamesW: 16/8, sServerName: 8/4);

plain! {
    /// `SECPKG_ATTR_TARGET_INFORMATION`.
    SecPkgContext_TargetInformation {
        /// How many bytes there are.
        MarshalledTargetInfoLength: ULONG,
        /// The information.
        MarshalledTargetInfo: *mut u8,
    }
}
layout!(SecPkgContext_TargetInformation: 16/8, MarshalledTargetInfo: 8/4);

plain! {
    /// `SECPKG_ATTR_ACCESS_TOKEN`. The token is the context's: it is not to be freed, and ends with it.
    SecPkgContext_AccessToken {
        /// A [`TRIHOUND_ACCESS_TOKEN`].
        AccessToken: *mut c_void,
    }
}
layout!(SecPkgContext_AccessToken: 8/4);

plain! {
    /// `SECPKG_ATTR_UNIQUE_BINDINGS` and `SECPKG_ATTR_ENDPOINT_BINDINGS`.
    SecPkgContext_Bindings {
        /// How many bytes there are.
        BindingsLength: ULONG,
        /// The bindings, and what their offsets name.
        Bindings: *mut SEC_CHANNEL_BINDINGS,
    }
}
layout!(SecPkgContext_Bindings: 16/8, Bindings: 8/4);

both! {
    /// `SECPKG_ATTR_CLIENT_SPECIFIED_TARGET`. (sspi.h has it for W alone.)
    SecPkgContext_ClientSpecifiedTargetA SecPkgContext_ClientSpecifiedTarget {
        (
            /// The target that the client named.
            sTargetName,
        )
    }
}
layout!(SecPkgContext_ClientSpecifiedTargetA: 8/4);
layout!(SecPkgContext_ClientSpecifiedTarget: 8/4);

plain! {
    /// `SECPKG_ATTR_LAST_CLIENT_TOKEN_STATUS`.
    SecPkgContext_LastClientTokenStatus {
        /// 0 yes, 1 no, 2 maybe.
        LastClientTokenStatus: u32,
    }
}
layout!(SecPkgContext_LastClientTokenStatus: 4/4);

both! {
    /// `SECPKG_CRED_ATTR_NAMES`.
    SecPkgCredentials_NamesA SecPkgCredentials_NamesW {
        (
            /// Whose the credential is.
            sUserName,
        )
    }
}
layout!(SecPkgCredentials_NamesA: 8/4);
layout!(SecPkgCredentials_NamesW: 8/4);

both! {
    /// `SECPKG_CRED_ATTR_SSI_PROVIDER`.
    SecPkgCredentials_SSIProviderA SecPkgCredentials_SSIProviderW {
        (
            /// The provider.
            sProviderName,
        )
        /// How many bytes follow.
        ProviderInfoLength: ULONG,
        /// What it says.
        ProviderInfo: *mut core::ffi::c_char,
    }
}
layout!(SecPkgCredentials_SSIProviderA: 24/12, ProviderInfoLength: 8/4, ProviderInfo: 16/8);
layout!(SecPkgCredentials_SSIProviderW: 24/12, ProviderInfoLength: 8/4, ProviderInfo: 16/8);

plain! {
    /// `SECPKG_CRED_ATTR_KDC_PROXY_SETTINGS`; what its offsets name follows it.
    SecPkgCredentials_KdcProxySettings {
        /// `KDC_PROXY_SETTINGS_V1`.
        Version: ULONG,
        /// `KDC_PROXY_SETTINGS_FLAGS_FORCEPROXY`.
        Flags: ULONG,
        /// Where the proxy's name is, from the start of this structure, in bytes.
        ProxyServerOffset: USHORT,
        /// How long it is, in bytes.
        ProxyServerLength: USHORT,
        /// Where the client's TLS credential is.
        ClientTlsCredOffset: USHORT,
        /// How long it is, in bytes.
        ClientTlsCredLength: USHORT,
    }
}
layout!(SecPkgCredentials_KdcProxySettings: 16/16, ProxyServerOffset: 8/8, ClientTlsCredLength: 14/14);

/// `KDC_PROXY_SETTINGS_V1`.
pub const KDC_PROXY_SETTINGS_V1: ULONG = 1;

plain! {
    /// `SECPKG_CRED_ATTR_CERT`.
    SecPkgCredentials_Cert {
        /// How many bytes it has.
        EncodedCertSize: ULONG,
        /// The certificate.
        EncodedCert: *mut u8,
    }
}
layout!(SecPkgCredentials_Cert: 16/8, EncodedCert: 8/4);

plain! {
    /// What a token of QuerySecurityContextToken points to. It is read-only; FreeContextBuffer gives it
    /// back, but for that of `SECPKG_ATTR_ACCESS_TOKEN`. Strings are UTF-8. Not of sspi.h: Windows has
    /// functions of its own to look at a token.
    TRIHOUND_ACCESS_TOKEN {
        /// The size of this structure, in bytes; a later version is larger.
        Size: ULONG,
        /// 0 anonymous, 1 identification, 2 impersonation, 3 delegation.
        ImpersonationLevel: ULONG,
        /// The package that authenticated the client.
        PackageName: *const super::SEC_CHAR,
        /// The client's name.
        ClientName: *const super::SEC_CHAR,
        /// The client's domain or realm.
        DomainName: *const super::SEC_CHAR,
        /// How many groups there are.
        GroupCount: ULONG,
        /// How many security identifiers there are.
        SidCount: ULONG,
        /// The names of the client's groups.
        Groups: *const *const super::SEC_CHAR,
        /// The client's security identifiers as text, its own first.
        Sids: *const *const super::SEC_CHAR,
        /// 1 with a credential that the client delegated, else 0.
        HasDelegatedCredential: ULONG,
    }
}
layout!(TRIHOUND_ACCESS_TOKEN: 64/40, PackageName: 8/8, GroupCount: 32/20, Groups: 40/28,
    HasDelegatedCredential: 56/36);
