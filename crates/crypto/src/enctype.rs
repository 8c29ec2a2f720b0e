use core::fmt;

use crate::profile::{self, EnctypeProfile};

/// An encryption type number (RFC 3961 section 8, IANA "Kerberos Encryption Type Numbers").
///
/// Any number can be named; what this crate can do is told by [`Enctype::profile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Enctype(pub i32);

impl Enctype {
    /// RFC 3962.
    pub const AES128_CTS_HMAC_SHA1_96: Self = Self(17);
    /// RFC 3962.
    pub const AES256_CTS_HMAC_SHA1_96: Self = Self(18);
    /// RFC 8009.
    pub const AES128_CTS_HMAC_SHA256_128: Self = Self(19);
    /// RFC 8009.
    pub const AES256_CTS_HMAC_SHA384_192: Self = Self(20);
    /// RFC 4757. Weak: refused unless permitted through [`crate::danger`].
    pub const RC4_HMAC: Self = Self(23);

    /// The enctype's table row, if this crate supports it.
    #[must_use]
    pub fn profile(self) -> Option<&'static EnctypeProfile> {
        profile::PROFILES
            .iter()
            .find(|profile| profile.enctype == self)
    }

    /// Finds a supported enctype by name or alias as krb5.conf writes them; ASCII case is ignored.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        profile::PROFILES
            .iter()
            .find(|profile| {
                core::iter::once(&profile.name)
                    .chain(profile.aliases)
                    .any(|known| known.eq_ignore_ascii_case(name))
            })
            .map(|profile| profile.enctype)
    }

    /// The name that krb5.conf and `klist` use, if the enctype is supported.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.profile().map(|profile| profile.name)
    }
}

impl fmt::Display for Enctype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "etype {}", self.0),
        }
    }
}

/// What to think of an enctype today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Part of the default policy.
    Recommended,
    /// Not part of the default policy; may be listed without further ado.
    Deprecated,
    /// Refused unless permitted by name through [`crate::danger`].
    Weak,
}

impl Status {
    pub(crate) const fn may_be_listed(self) -> bool {
        matches!(self, Self::Recommended | Self::Deprecated)
    }
}
