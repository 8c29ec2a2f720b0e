use thiserror::Error;

use crate::profile::Place;

/// A relation whose value cannot be what it says.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not a duration.
    #[error(
        "{place}: {relation} = {value}: not a duration; write seconds, `10h`, `1d 2h 3m 4s` or \
         `h:m:s`"
    )]
    Duration {
        /// Where it stands.
        place: Place,
        /// Section and name.
        relation: String,
        /// The value.
        value: String,
    },
    /// Not a truth value.
    #[error(
        "{place}: {relation} = {value}: neither true (yes, y, t, 1, on) nor false (no, n, nil, 0, \
         off)"
    )]
    Boolean {
        /// Where it stands.
        place: Place,
        /// Section and name.
        relation: String,
        /// The value.
        value: String,
    },
    /// Not a number in range.
    #[error("{place}: {relation} = {value}: not a number in range")]
    Number {
        /// Where it stands.
        place: Place,
        /// Section and name.
        relation: String,
        /// The value.
        value: String,
    },
    /// Not a list of IP addresses.
    #[error("{place}: {relation} = {value}: not a list of IP addresses with commas between them")]
    Addresses {
        /// Where it stands.
        place: Place,
        /// Section and name.
        relation: String,
        /// The value.
        value: String,
    },
}

/// Why a principal could not be mapped to a local name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalNameError {
    /// There is no default realm, whose rules count.
    #[error("{principal} cannot be mapped to a local name: set default_realm in [libdefaults]")]
    NoDefaultRealm {
        /// The principal.
        principal: String,
    },
    /// An `auth_to_local` rule that cannot be read; the rules behind it do not count either, since
    /// the one meant here may have been to keep the principal out.
    #[error("[realms] {realm} auth_to_local = {rule}: {reason}; correct the rule")]
    BadRule {
        /// The default realm.
        realm: String,
        /// The rule.
        rule: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}
