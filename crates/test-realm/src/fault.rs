use std::sync::Mutex;
use std::time::Duration;

use trihound_asn1::TicketFlags;
use trihound_crypto::Enctype;

use crate::PacFault;

/// One thing that the KDC does wrong, so that a test can see who notices.
///
/// Each says which check of the client must catch it. A fault of a reply is used up by a reply
/// (AS-REP or TGS-REP), not by a KRB-ERROR such as KDC_ERR_PREAUTH_REQUIRED.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    // ---- before the request is looked at
    /// The KDC's clock is off by so many seconds, for everything that it does. Caught by: the
    /// comparison of the reply's times with the local clock (RFC 4120 section 3.1.5), unless the
    /// client learns the offset from a reply that it could verify (conformance row 69).
    ClockSkew(i64),
    /// Answers with this KRB-ERROR. Caught by: the error's mapping; no error may lower what the
    /// client asks for (conformance row 68).
    Error {
        /// The error code of RFC 4120 section 7.5.9.
        code: i32,
        /// The e-text.
        text: String,
    },
    /// Claims that no reply fits a datagram (KRB_ERR_RESPONSE_TOO_BIG); streams work. Caught by:
    /// the repetition over a stream (RFC 4120 section 7.2.1).
    ResponseTooBig,
    /// The same claim over streams too. Caught by: a bound on that repetition.
    ResponseTooBigAlways,
    /// A datagram is lost; streams work. Caught by: the transport's repetition, then its streams.
    DropDatagram,
    /// Nothing answers at all. Caught by: the transport's total budget (conformance row 184).
    Dead,

    // ---- in the encrypted part
    /// The nonce is not the request's. Caught by: the comparison of nonces (row 2).
    Nonce,
    /// The encrypted sname is this one. Caught by: the comparison of sname (row 4).
    ServerName(String),
    /// The encrypted srealm is this one. Caught by: the comparison of srealm (row 4).
    ServerRealm(String),
    /// Authtime and starttime are off by so many seconds. Caught by: the comparison of starttime
    /// with the local clock (row 5).
    StartTime(i64),
    /// The endtime is later than asked for by this. Caught by: the comparison of endtime with till
    /// (row 5).
    EndTime(Duration),
    /// The renew-till is later than asked for by this, and is there even if nobody asked. Caught
    /// by: the comparison of renew-till with rtime (row 5).
    RenewTill(Duration),
    /// These ticket flags are set in addition. Caught by: the comparison of flags with the options
    /// (row 5).
    ExtraFlags(TicketFlags),
    /// The session key is of this enctype, whatever was asked. Caught by: the comparison with the
    /// request's list (row 66).
    SessionEtype(Enctype),
    /// The session key's length is not its enctype's. Caught by: the check of key lengths (row 62).
    SessionKeyLength,
    /// The checksum over the request is wrong in PA-REQ-ENC-PA-REP. Caught by: its verification
    /// (row 75).
    RequestChecksum,
    /// The flag enc-pa-rep is set, but the checksum over the request is missing. Caught by: row 75.
    RequestChecksumMissing,
    /// The other tag of the two (25, 26) stands on the encrypted part. Must be accepted (row 6).
    OtherTag,

    // ---- around the encrypted part
    /// The clear cname is this one. Caught by: the comparison of cname (row 3).
    ClientName(String),
    /// The clear crealm is this one. Caught by: the comparison of crealm (row 3).
    ClientRealm(String),
    /// The clear sname within the ticket is this one; the encrypted one is right. Must do no harm:
    /// the name is taken from the encrypted part only (row 1).
    TicketName(String),
    /// The clear realm within the ticket is this one. Must do no harm, as above (row 1).
    TicketRealm(String),
    /// The encrypted part is under another key usage. Caught by: decryption (row 6).
    KeyUsage,
    /// The encrypted part is under some other key. Caught by: decryption.
    AnotherKey,
    /// The encrypted part claims this enctype. Caught by: the comparison with the request's list
    /// (row 66), or decryption.
    ReplyEtype(Enctype),
    /// A bit of the encrypted part's ciphertext is flipped. Caught by: decryption.
    FlipEncryptedPart,
    /// The ticket is under the service's key before its present one, with that key's version.
    /// Caught by: the acceptor, whose keytab has no such key (row 7).
    OldKeyVersion,
    /// The ticket is under the client's own key. Caught by: the acceptor or the KDC next asked.
    TicketUnderAnotherKey,

    // ---- in the ticket
    /// The PAC is wrong.
    Pac(PacFault),

    // ---- the reply's bytes
    /// A bit of the byte at this offset (modulo the length) is flipped. Caught by: whatever guards
    /// that byte; decoding at the latest.
    FlipReply(usize),
    /// The reply to the request before, of the same kind, comes again. Caught by: the comparison of
    /// nonces, or decryption under the new sub-key (row 2).
    StaleReply,
    /// The reply is of the other kind: a TGS-REP for an AS-REP and the reverse. Caught by: the
    /// message type.
    OtherMessageType,

    // ---- referrals
    /// Every service is said to be in this realm: a referral to it, to whom there need be no trust.
    /// Caught by: the detection of loops and the hop limit (row 90), or that realm's KDC.
    ReferralTo(String),
    /// A referral as by `ReferralTo`, whose issuer is said to be another realm than the one asked.
    /// Caught by: only krbtgt/X@Y from realm Y counts (row 90).
    ReferralFrom {
        /// Where the referral points.
        to: String,
        /// Who is said to have issued it.
        issuer: String,
    },

    // ---- the stream, in the loopback server only
    /// The stream ends after half the reply. Caught by: the transport.
    TruncateStream,
    /// The reply comes byte by byte with this pause between. Must be accepted within the
    /// transport's budget.
    SlowStream(Duration),
    /// The stream's length announces what RFC 4120 section 7.2.2 reserves. Caught by: the transport
    /// (row 181).
    StreamLength(u32),
}

/// Where a fault takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Request,
    Reply,
    Stream,
}

impl Fault {
    pub(crate) fn stage(&self) -> Stage {
        match self {
            Self::ClockSkew(_)
            | Self::Error { .. }
            | Self::ResponseTooBig
            | Self::ResponseTooBigAlways
            | Self::DropDatagram
            | Self::Dead => Stage::Request,
            Self::TruncateStream | Self::SlowStream(_) | Self::StreamLength(_) => Stage::Stream,
            _ => Stage::Reply,
        }
    }
}

/// Which requests a fault is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestKind {
    /// AS-REQ and TGS-REQ.
    #[default]
    Any,
    /// AS-REQ.
    As,
    /// TGS-REQ.
    Tgs,
    /// A request to the password service, to which the faults of both others do not apply: it has [`Fault::Dead`],
    /// [`Fault::DropDatagram`], [`Fault::ClockSkew`], [`Fault::Error`] and [`Fault::FlipReply`].
    Kpasswd,
}

impl RequestKind {
    fn includes(self, kind: Self) -> bool {
        if kind == Self::Kpasswd || self == Self::Kpasswd {
            return self == kind;
        }
        self == Self::Any || kind == Self::Any || self == kind
    }
}

/// How often a fault is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// Until the faults are cleared.
    #[default]
    Always,
    /// So many times.
    Times(u32),
}

impl Repeat {
    /// Once.
    pub const ONCE: Self = Self::Times(1);
}

struct Armed {
    fault: Fault,
    kind: RequestKind,
    repeat: Repeat,
}

/// The faults that are set at present.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Armed>>);

impl Faults {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Armed>> {
        // A poisoned list is still a list: a test that panicked elsewhere must not hide its cause.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn arm(&self, fault: Fault, kind: RequestKind, repeat: Repeat) {
        self.lock().push(Armed {
            fault,
            kind,
            repeat,
        });
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// What applies at this stage to a request of this kind; each use counts.
    pub(crate) fn take(&self, stage: Stage, kind: RequestKind) -> Vec<Fault> {
        let mut taken = Vec::new();
        self.lock().retain_mut(|armed| {
            if armed.fault.stage() != stage || !armed.kind.includes(kind) {
                return true;
            }
            match &mut armed.repeat {
                Repeat::Always => taken.push(armed.fault.clone()),
                Repeat::Times(0) => return false,
                Repeat::Times(left) => {
                    *left -= 1;
                    taken.push(armed.fault.clone());
                    return *left > 0;
                }
            }
            true
        });
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_used_up_by_its_own_kind_and_stage_only() {
        let faults = Faults::default();
        faults.arm(Fault::Nonce, RequestKind::Tgs, Repeat::ONCE);
        assert!(faults.take(Stage::Reply, RequestKind::As).is_empty());
        assert!(faults.take(Stage::Request, RequestKind::Tgs).is_empty());
        assert_eq!(faults.take(Stage::Reply, RequestKind::Tgs), [Fault::Nonce]);
        assert!(faults.take(Stage::Reply, RequestKind::Tgs).is_empty());
    }

    #[test]
    fn a_lasting_fault_stays_until_cleared() {
        let faults = Faults::default();
        faults.arm(Fault::Dead, RequestKind::Any, Repeat::Always);
        for _ in 0..3 {
            assert_eq!(faults.take(Stage::Request, RequestKind::As), [Fault::Dead]);
        }
        faults.clear();
        assert!(faults.take(Stage::Request, RequestKind::As).is_empty());
    }
}
