//! The KCM protocol, version 2.0: credential caches that a daemon holds (Heimdal's `kcm`, sssd-kcm).
//!
//! The protocol has no standard of its own. It is what Heimdal's daemon speaks, with the two
//! operations that MIT added (MIT source, `src/include/kcm.h`): a request is its length, two bytes
//! of version, an operation and the parameters with nothing between them; a reply is its length, a
//! status of the transport, a status of the operation, and the result. Integers are big-endian,
//! names end in a zero, principals and tickets are as in version 4 of the FILE format.

mod reply;
mod request;

use core::fmt;

use thiserror::Error;

use super::CacheError;

pub use reply::{Reply, reply_length};
pub use request::{Request, Tag, offset_in_seconds};

/// Where the daemon listens when `kcm_socket` says nothing. Heimdal has the path built in.
pub const DEFAULT_SOCKET: &str = "/var/run/.heim_org.h5l.kcm-socket";

/// The longest reply that is taken, in bytes; MIT's client has the same limit.
pub const MAX_REPLY: usize = 10 << 20;

/// The most caches of a collection, or tickets of a cache, that are asked for one by one.
pub const MAX_IDS: usize = 8192;

/// The bytes in front of every reply: its length and the transport's status.
pub const REPLY_HEADER: usize = 8;

const ID_LENGTH: usize = 16;

/// What the daemon is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "the names of the protocol, explained at `Request`"
)]
pub enum Operation {
    GenNew = 3,
    Initialize = 4,
    Destroy = 5,
    Store = 6,
    GetPrincipal = 8,
    GetCredUuidList = 9,
    GetCredByUuid = 10,
    RemoveCred = 11,
    GetCacheUuidList = 18,
    GetCacheByUuid = 19,
    GetDefaultCache = 20,
    SetDefaultCache = 21,
    GetKdcOffset = 22,
    SetKdcOffset = 23,
    /// MIT's addition: all tickets at once.
    GetCredList = 13001,
    /// MIT's addition: a whole cache at once.
    Replace = 13002,
}

impl Operation {
    /// Whether the operation is one of MIT's additions, which a daemon may not know.
    #[must_use]
    pub fn is_extension(self) -> bool {
        matches!(self, Self::GetCredList | Self::Replace)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GenNew => "GEN_NEW",
            Self::Initialize => "INITIALIZE",
            Self::Destroy => "DESTROY",
            Self::Store => "STORE",
            Self::GetPrincipal => "GET_PRINCIPAL",
            Self::GetCredUuidList => "GET_CRED_UUID_LIST",
            Self::GetCredByUuid => "GET_CRED_BY_UUID",
            Self::RemoveCred => "REMOVE_CRED",
            Self::GetCacheUuidList => "GET_CACHE_UUID_LIST",
            Self::GetCacheByUuid => "GET_CACHE_BY_UUID",
            Self::GetDefaultCache => "GET_DEFAULT_CACHE",
            Self::SetDefaultCache => "SET_DEFAULT_CACHE",
            Self::GetKdcOffset => "GET_KDC_OFFSET",
            Self::SetKdcOffset => "SET_KDC_OFFSET",
            Self::GetCredList => "GET_CRED_LIST",
            Self::Replace => "REPLACE",
        })
    }
}

/// The number with which the daemon answers; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub i32);

impl Status {
    const CC_NOTFOUND: Self = Self(-1_765_328_243);
    const CC_END: Self = Self(-1_765_328_242);
    const CC_IO: Self = Self(-1_765_328_191);
    const FCC_PERM: Self = Self(-1_765_328_190);
    const FCC_NOFILE: Self = Self(-1_765_328_189);
    const FCC_INTERNAL: Self = Self(-1_765_328_188);
    const CC_NOSUPP: Self = Self(-1_765_328_137);
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::CC_NOTFOUND => "no such ticket",
            Self::CC_END => "nothing more",
            Self::CC_IO => "an I/O error of its own",
            Self::FCC_PERM => "no permission",
            Self::FCC_NOFILE => "no such cache",
            Self::FCC_INTERNAL => "an operation that it does not know, or an error of its own",
            Self::CC_NOSUPP => "an operation that it does not support",
            Self(1) => "no permission",
            Self(122) => "the quota of caches or tickets is used up",
            Self(number) => return write!(f, "error {number}"),
        };
        write!(f, "{text} (error {})", self.0)
    }
}

/// Why a request could not be written, or a reply is none.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KcmError {
    /// A name with a zero in it would end there on the wire.
    #[error("a cache of the KCM daemon cannot be called {name:?}: the name has a zero byte in it")]
    NameWithZero {
        /// The name.
        name: String,
    },
    /// The request does not fit its own length field, or what the daemon would take.
    #[error("the request {operation} to the KCM daemon has {length} bytes; at most {MAX_REPLY} go")]
    RequestTooLong {
        /// What was asked for.
        operation: Operation,
        /// Bytes of the request.
        length: usize,
    },
    /// The reply's header tells a length that is not read.
    #[error(
        "the KCM daemon announces {length} bytes in reply to {operation}; at most {MAX_REPLY} are \
         taken"
    )]
    ReplyTooLong {
        /// What was asked for.
        operation: Operation,
        /// The length in the header.
        length: u32,
    },
    /// The reply ends before its content does.
    #[error("the KCM daemon's reply to {operation} ends within {what}")]
    ReplyTooShort {
        /// What was asked for.
        operation: Operation,
        /// The part that is cut.
        what: &'static str,
    },
    /// A name without its zero, or one that is not UTF-8, or an empty one.
    #[error("the KCM daemon's reply to {operation} has no name that can be used")]
    BadName {
        /// What was asked for.
        operation: Operation,
    },
    /// A list of identifiers whose length is no multiple of theirs.
    #[error(
        "the KCM daemon's reply to {operation} has {length} bytes, which is no list of identifiers \
         of 16 bytes"
    )]
    BadIdList {
        /// What was asked for.
        operation: Operation,
        /// Bytes of the list.
        length: usize,
    },
    /// More than anybody has.
    #[error(
        "the KCM daemon lists {count} entries in reply to {operation}; at most {MAX_IDS} are read"
    )]
    TooMany {
        /// What was asked for.
        operation: Operation,
        /// How many there are.
        count: usize,
    },
    /// A principal or ticket in the reply is damaged.
    #[error("the KCM daemon's reply to {operation}: {error}")]
    BadContent {
        /// What was asked for.
        operation: Operation,
        /// What is wrong with it.
        #[source]
        error: CacheError,
    },
    /// A principal or ticket cannot be written.
    #[error("the request {operation} to the KCM daemon: {error}")]
    Unwritable {
        /// What was to be asked for.
        operation: Operation,
        /// What does not fit.
        #[source]
        error: CacheError,
    },
    /// The daemon says no.
    #[error("the KCM daemon answers {operation} with: {status}")]
    Refused {
        /// What was asked for.
        operation: Operation,
        /// The daemon's reason.
        status: Status,
    },
}

impl KcmError {
    /// Whether the daemon says that there is no such cache or ticket.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: Status::FCC_NOFILE | Status::CC_NOTFOUND | Status::CC_END,
                ..
            }
        )
    }

    /// Whether the daemon may not know the operation. Heimdal's and sssd's daemons have an answer
    /// for that which is also that of other trouble.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: Status::FCC_INTERNAL | Status::CC_IO | Status::CC_NOSUPP,
                ..
            }
        )
    }
}

/// Identifies a cache or a ticket until it is changed or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uuid([u8; ID_LENGTH]);

impl Uuid {
    /// The two halves as numbers.
    #[must_use]
    pub fn halves(self) -> (u64, u64) {
        let number = u128::from_be_bytes(self.0);
        let low = u64::try_from(number & u128::from(u64::MAX)).unwrap_or_default();
        (u64::try_from(number >> 64).unwrap_or_default(), low)
    }
}
