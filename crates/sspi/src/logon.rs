//! What an authority says of a client's account.

use trihound_sansio::Timestamp;

/// A client's account as its domain describes it: for Kerberos what the PAC of the ticket says, after
/// its signature was verified (MS-PAC).
///
/// Names are for showing. An account is known by its SID: a name can be given to somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogonInformation {
    /// The account's SID, `S-1-5-21-…-1104`; `None` where the authority is no domain.
    pub user_sid: Option<String>,
    /// The primary group's SID.
    pub primary_group_sid: Option<String>,
    /// The groups in the authority's order, those that are switched off too.
    pub groups: Vec<GroupSid>,
    /// The account's name within its domain (sAMAccountName): `alice`.
    pub account_name: Option<String>,
    /// The name for people: `Alice Example`.
    pub full_name: Option<String>,
    /// The short (NetBIOS) name of the account's domain: `EXAMPLE`.
    pub domain_name: Option<String>,
    /// The DNS name of the account's domain: `EXAMPLE.COM`.
    pub dns_domain_name: Option<String>,
    /// `alice@example.com`.
    pub user_principal_name: Option<String>,
    /// The domain controller that let the client in: `DC1`.
    pub logon_server: Option<String>,
    /// UserFlags of the logon (MS-PAC section 2.5): 0x1 is a guest's. `None` where the authority is no
    /// domain.
    pub user_flags: Option<u32>,
    /// userAccountControl in the form of MS-SAMR section 2.2.1.12.
    pub user_account_control: Option<u32>,
    /// When the client logged on.
    pub logon_time: Option<Timestamp>,
    /// When the session should end; `None`: never.
    pub logoff_time: Option<Timestamp>,
    /// When the password ends; `None`: never.
    pub password_expiry: Option<Timestamp>,
    /// What the domain claims of the client.
    pub claims: Vec<Claim>,
    /// The SID of the computer from which the client logged on, where the domain vouches for it.
    pub device_sid: Option<String>,
    /// That computer's groups.
    pub device_groups: Vec<GroupSid>,
    /// What the domain claims of that computer.
    pub device_claims: Vec<Claim>,
    /// The services through which the login came, first to last, where it was delegated (constrained
    /// delegation, MS-PAC section 2.9).
    pub transited_services: Vec<String>,
}

/// A group, and how the client is in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupSid {
    /// `S-1-5-21-…-513`.
    pub sid: String,
    /// Bits of `SE_GROUP_` (MS-PAC section 2.2.1).
    pub attributes: u32,
}

impl GroupSid {
    /// SE_GROUP_ENABLED.
    pub const ENABLED: u32 = 0x4;
    /// SE_GROUP_USE_FOR_DENY_ONLY: counts against the client only.
    pub const USE_FOR_DENY_ONLY: u32 = 0x10;

    /// Whether the membership may give the client anything.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.attributes & Self::ENABLED != 0 && self.attributes & Self::USE_FOR_DENY_ONLY == 0
    }
}

/// A statement of the domain beyond groups (MS-ADTS section 2.2.18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Such as `ad://ext/department`.
    pub id: String,
    /// Its values, of one type.
    pub values: ClaimValues,
}

/// The values of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimValues {
    /// Signed integers.
    Int64(Vec<i64>),
    /// Unsigned integers.
    Uint64(Vec<u64>),
    /// Texts.
    String(Vec<String>),
    /// Yes or no.
    Boolean(Vec<bool>),
}
