use std::borrow::Cow;

use bitflags::bitflags;
use trihound_sansio::Timestamp;

use crate::SecPkgCapabilities;

/// `SECPKG_ID_NONE`: the package has no RPC identifier.
pub const SECPKG_ID_NONE: u16 = 0xFFFF;

/// `KDC_PROXY_SETTINGS_FLAGS_FORCEPROXY`: the proxy is asked always, not only where no KDC answers.
pub const KDC_PROXY_SETTINGS_FLAGS_FORCEPROXY: u32 = 1;

bitflags! {
    /// What a credential is for: `fCredentialUse` (the `SECPKG_CRED_` values of sspi.h).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct CredentialUse: u32 {
        /// SECPKG_CRED_INBOUND: to accept contexts.
        const INBOUND = 0x0000_0001;
        /// SECPKG_CRED_OUTBOUND: to initiate contexts.
        const OUTBOUND = 0x0000_0002;
        /// SECPKG_CRED_BOTH.
        const BOTH = Self::INBOUND.bits() | Self::OUTBOUND.bits();
        /// SECPKG_CRED_DEFAULT.
        const DEFAULT = 0x0000_0004;
        /// SECPKG_CRED_AUTOLOGON_RESTRICTED: never the default credential.
        const AUTOLOGON_RESTRICTED = 0x0000_0010;
        /// SECPKG_CRED_PROCESS_POLICY_ONLY: only the process's policy counts.
        const PROCESS_POLICY_ONLY = 0x0000_0020;
    }
}

impl Default for CredentialUse {
    fn default() -> Self {
        Self::OUTBOUND
    }
}

/// When a credential or context ends (`ptsExpiry`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expiry {
    /// At this moment.
    At(Timestamp),
    /// Never.
    Never,
}

impl Expiry {
    /// Whether it is over at `now`.
    #[must_use]
    pub fn is_past(self, now: Timestamp) -> bool {
        matches!(self, Self::At(end) if end <= now)
    }
}

/// What a package says about itself (`SecPkgInfo`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecPkgInfo {
    /// `fCapabilities`; a flag is set when it works.
    pub capabilities: SecPkgCapabilities,
    /// `wVersion`; 1 for every package of SSPI.
    pub version: u16,
    /// `wRPCID`, or [`SECPKG_ID_NONE`].
    pub rpc_id: u16,
    /// `cbMaxToken`: no handshake token is longer, in bytes.
    pub max_token: u32,
    /// `Name`; packages are found by it, without regard to ASCII case.
    pub name: Cow<'static, str>,
    /// `Comment`.
    pub comment: Cow<'static, str>,
}

/// What QueryCredentialsAttributes and SetCredentialsAttributes are asked for: the
/// `SECPKG_CRED_ATTR_` numbers of sspi.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CredentialAttribute {
    /// Whose the credential is.
    Names = 1,
    /// The provider behind the credential.
    SsiProvider = 2,
    /// Which KDC proxy serves the credential.
    KdcProxySettings = 3,
    /// The certificate of the credential.
    Cert = 4,
}

/// The value of a [`CredentialAttribute`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialAttributeValue {
    /// `SecPkgCredentials_Names`.
    Names {
        /// `sUserName`.
        user_name: String,
    },
    /// `SecPkgCredentials_SSIProvider`.
    SsiProvider {
        /// `sProviderName`.
        provider_name: String,
        /// `ProviderInfo`.
        provider_info: Vec<u8>,
    },
    /// `SecPkgCredentials_KdcProxySettings`.
    KdcProxySettings {
        /// The proxy server: `host`, `host:port` or `host:port:path` as Windows writes it, or an `https`
        /// address. Empty for none.
        proxy_server: String,
        /// `Flags`: [`KDC_PROXY_SETTINGS_FLAGS_FORCEPROXY`].
        flags: u32,
        /// `ClientTlsCred`: what the client proves itself with to the proxy; empty for nothing.
        client_tls_credential: Vec<u8>,
    },
    /// `SecPkgCredentials_Cert`: the certificate in DER.
    Cert(Vec<u8>),
}

impl CredentialAttribute {
    /// The attribute of a `SECPKG_CRED_ATTR_` number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Names),
            2 => Some(Self::SsiProvider),
            3 => Some(Self::KdcProxySettings),
            4 => Some(Self::Cert),
            _ => None,
        }
    }

    /// The `SECPKG_CRED_ATTR_` number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }
}

impl CredentialAttributeValue {
    /// Which attribute this is a value of.
    #[must_use]
    pub const fn attribute(&self) -> CredentialAttribute {
        match self {
            Self::Names { .. } => CredentialAttribute::Names,
            Self::SsiProvider { .. } => CredentialAttribute::SsiProvider,
            Self::KdcProxySettings { .. } => CredentialAttribute::KdcProxySettings,
            Self::Cert(_) => CredentialAttribute::Cert,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_past_from_that_moment_on() {
        let end = Timestamp::from_seconds(10);
        assert!(!Expiry::At(end).is_past(Timestamp::from_microseconds(9_999_999)));
        assert!(Expiry::At(end).is_past(end));
        assert!(!Expiry::Never.is_past(Timestamp::MAX));
        assert!(Expiry::At(Timestamp::MAX) < Expiry::Never);
    }

    #[test]
    fn each_value_names_its_attribute_and_each_attribute_its_number() {
        let names = CredentialAttributeValue::Names {
            user_name: String::new(),
        };
        let provider = CredentialAttributeValue::SsiProvider {
            provider_name: String::new(),
            provider_info: vec![],
        };
        let proxy = CredentialAttributeValue::KdcProxySettings {
            proxy_server: String::new(),
            flags: 0,
            client_tls_credential: vec![],
        };
        let cert = CredentialAttributeValue::Cert(vec![]);
        for (value, number) in [(names, 1), (provider, 2), (proxy, 3), (cert, 4)] {
            assert_eq!(value.attribute().number(), number);
            assert_eq!(
                CredentialAttribute::from_number(number),
                Some(value.attribute())
            );
        }
        assert_eq!(CredentialAttribute::from_number(0), None);
        assert_eq!(CredentialAttribute::from_number(5), None);
    }
}
