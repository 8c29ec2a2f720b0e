//! What a password service answers: result codes, text, and the policy of an Active Directory.

use core::fmt;
use core::time::Duration;

use crate::reader::{Order, Reader, Short};

/// Characters of a service's text that are shown at most; kadmind's own buffer has 1024 bytes.
const MAX_SHOWN_TEXT: usize = 1000;

/// Length of the policy that an Active Directory sends in the place of a text.
const POLICY_LENGTH: usize = 30;

/// Parts of a second in the times of a policy.
const TICKS_PER_SECOND: u64 = 10_000_000;

/// A result code (RFC 3244 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KpasswdResult(pub u16);

impl KpasswdResult {
    /// KRB5_KPASSWD_SUCCESS.
    pub const SUCCESS: Self = Self(0);
    /// KRB5_KPASSWD_MALFORMED: the request cannot be read.
    pub const MALFORMED: Self = Self(1);
    /// KRB5_KPASSWD_HARDERROR: it failed, and will again.
    pub const HARD_ERROR: Self = Self(2);
    /// KRB5_KPASSWD_AUTHERROR: the login failed.
    pub const AUTH_ERROR: Self = Self(3);
    /// KRB5_KPASSWD_SOFTERROR: the new password is refused, another one may be taken.
    pub const SOFT_ERROR: Self = Self(4);
    /// KRB5_KPASSWD_ACCESSDENIED: the client may not change this password.
    pub const ACCESS_DENIED: Self = Self(5);
    /// KRB5_KPASSWD_BAD_VERSION: the service does not know this version of the protocol.
    pub const BAD_VERSION: Self = Self(6);
    /// KRB5_KPASSWD_INITIAL_FLAG_NEEDED: the ticket has to come from a password.
    pub const INITIAL_FLAG_NEEDED: Self = Self(7);

    /// In words.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::SUCCESS => "Success",
            Self::MALFORMED => "Malformed request error",
            Self::HARD_ERROR => "Server error",
            Self::AUTH_ERROR => "Authentication error",
            Self::SOFT_ERROR => "Password change rejected",
            Self::ACCESS_DENIED => "Access denied",
            Self::BAD_VERSION => "Wrong protocol version",
            Self::INITIAL_FLAG_NEEDED => "Initial password required",
            _ => "Password change failed",
        }
    }

    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::SOFT_ERROR => "choose another password",
            Self::HARD_ERROR => {
                "choose another password if that is the reason, else see the log of the password service"
            }
            Self::AUTH_ERROR => {
                "look at the clocks of both hosts, and at whether the service has the present key of \
                 kadmin/changepw"
            }
            Self::ACCESS_DENIED => "ask the administrator of the realm for the right to change it",
            Self::INITIAL_FLAG_NEEDED => "log in with the password for this change",
            _ => "see the log of the password service for the reason",
        }
    }
}

impl fmt::Display for KpasswdResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.description(), self.0)
    }
}

/// What an Active Directory asks of passwords: 30 bytes that it sends as the text of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PasswordPolicy {
    /// The least length in characters; 0 for none.
    pub min_length: u32,
    /// How many former passwords must not be used again; 0 for none.
    pub history: u32,
    /// The bits of DOMAIN_PASSWORD_INFORMATION (MS-SAMR section 2.2.3.5).
    pub properties: u32,
    /// How long a password lasts; `None` where that is past measure.
    pub max_age: Option<Duration>,
    /// How long a password has to be kept.
    pub min_age: Duration,
}

impl PasswordPolicy {
    /// DOMAIN_PASSWORD_COMPLEX: characters of several kinds, and no part of the user's name.
    pub const COMPLEX: u32 = 1;
    /// DOMAIN_REFUSE_PASSWORD_CHANGE: nobody may change a password.
    pub const REFUSE_CHANGE: u32 = 0x20;

    /// Reads the bytes behind a result code; `None` if they are a text.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        // Two zero bytes come first, so that it is an empty text to whoever does not know it.
        if bytes.len() != POLICY_LENGTH {
            return None;
        }
        Self::read(&mut Reader::new(bytes, Order::Big))
            .ok()
            .flatten()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Short> {
        if reader.u16()? != 0 {
            return Ok(None);
        }
        let (min_length, history, properties) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let mut time = || -> Result<u64, Short> {
            let (high, low) = (reader.u32()?, reader.u32()?);
            Ok(u64::from(high) << 32 | u64::from(low))
        };
        let (max_age, min_age) = (time()?, time()?);
        let lasts = |ticks: u64| Duration::from_secs(ticks / TICKS_PER_SECOND);
        Ok(Some(Self {
            min_length,
            history,
            properties,
            // The largest signed number, or none at all: it never ends.
            max_age: (max_age != 0 && max_age < i64::MAX.cast_unsigned()).then(|| lasts(max_age)),
            min_age: lasts(min_age),
        }))
    }
}

impl fmt::Display for PasswordPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rules = Vec::new();
        if self.properties & Self::REFUSE_CHANGE != 0 {
            rules.push("passwords cannot be changed".to_owned());
        }
        if self.min_length > 0 {
            rules.push(format!("at least {} characters", self.min_length));
        }
        if self.properties & Self::COMPLEX != 0 {
            rules.push(
                "characters of three kinds (upper case, lower case, digits, others) and no part of the name"
                    .to_owned(),
            );
        }
        if self.history > 0 {
            rules.push(format!("none of the last {} passwords", self.history));
        }
        // What lasts less than a day is told as one, since nobody counts the hours.
        match self.min_age.as_secs().div_ceil(86_400) {
            0 => {}
            1 => rules.push("one change a day".to_owned()),
            days => rules.push(format!("one change in {days} days")),
        }
        f.write_str(&rules.join(", "))
    }
}

/// A service's text: line ends become spaces, other control characters go; `None` if nothing is left.
pub(super) fn shown(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let words = text.split(['\n', '\r', '\t']).map(str::trim);
    let joined = words
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let shown: String = joined
        .chars()
        .filter(|character| !character.is_control())
        .take(MAX_SHOWN_TEXT)
        .collect();
    (!shown.is_empty()).then_some(shown)
}
