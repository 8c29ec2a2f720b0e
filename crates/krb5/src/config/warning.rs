use core::fmt;

use trihound_crypto::Enctype;

use crate::profile::Place;

/// Something in krb5.conf that was passed over although it may have been meant.
///
/// None of these is an error: a file that serves other programs of the machine serves here too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// Where it stands.
    pub place: Place,
    /// The relation with its section, such as `[libdefaults] forwadable`, or the line.
    pub subject: String,
    /// Why it was passed over.
    pub reason: WarningReason,
}

/// Why something in krb5.conf was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningReason {
    /// A `module` directive.
    Module,
    /// A line in front of the first section header.
    BeforeSections,
    /// A quoted value without its closing quote, or with something behind it.
    Quotes,
    /// No implementation has a relation of this name, or it stands in the wrong section.
    UnknownRelation,
    /// A relation that has no effect here.
    NotFollowed {
        /// What holds instead, or what to do.
        advice: &'static str,
    },
    /// An encryption type that was removed from Kerberos (RFC 6649, RFC 8429).
    RemovedEnctype {
        /// As written.
        name: String,
    },
    /// An encryption type that nobody knows.
    UnknownEnctype {
        /// As written.
        name: String,
    },
    /// A weak encryption type that nothing allows.
    WeakEnctype {
        /// The type.
        enctype: Enctype,
    },
    /// A list of encryption types to ask for in which nothing usable is left; the permitted ones
    /// are asked for.
    NoEnctypeLeft,
    /// A rule for local names that cannot be read.
    LocalRule {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `rdns` together with `dns_canonicalize_hostname`: whoever answers for the address chooses the
    /// service's name.
    ReverseDns,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.subject, self.reason)
    }
}

impl fmt::Display for WarningReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module => f.write_str("modules are not loaded"),
            Self::BeforeSections => {
                f.write_str("it stands before the first section header and does not count")
            }
            Self::Quotes => f.write_str(
                "the quoted value is not closed, or something follows its closing quote; what \
                 stands between counts",
            ),
            Self::UnknownRelation => {
                f.write_str("no relation of this name is known in this section; passed over")
            }
            Self::NotFollowed { advice } => write!(f, "not followed; {advice}"),
            Self::RemovedEnctype { name } => write!(
                f,
                "{name:?} was removed from Kerberos (RFC 6649, RFC 8429); passed over"
            ),
            Self::UnknownEnctype { name } => {
                write!(f, "{name:?} is not an encryption type; passed over")
            }
            Self::WeakEnctype { enctype } => {
                write!(f, "{enctype} is weak and allow_rc4 is not set; passed over")
            }
            Self::NoEnctypeLeft => f.write_str(
                "no encryption type is left that is supported; the permitted ones are asked for",
            ),
            Self::LocalRule { reason } => {
                write!(f, "the rule cannot be read: {reason}; names fail to map at it")
            }
            Self::ReverseDns => f.write_str(
                "names of services are taken from reverse DNS, which whoever answers for an address \
                 can forge; set rdns = false",
            ),
        }
    }
}
