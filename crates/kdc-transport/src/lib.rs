//! Round trips to a KDC: over UDP, TCP or a KDC proxy, to servers of the configuration or of DNS.
//!
//! [`KdcTransport`] is the blocking [`trihound_sansio::Transport`], and `AsyncKdcTransport` (feature
//! `tokio`) the [`trihound_sansio::AsyncTransport`]. Both find the servers of a realm, ask them in
//! turn and give back the first answer; one machine without sockets decides for both whom to ask and
//! when. The protocol core has no timeouts and no retries of its own: all of them are here, in
//! [`Limits`], which `kdc_timeout`, `max_retries` and `request_timeout` of krb5.conf set.
//!
//! * Small requests go by UDP first, and by TCP when no server answers; a request above
//!   `udp_preference_limit` goes by TCP first (RFC 4120 section 7.2.1). With
//!   [`trihound_sansio::TransportHint::StreamOnly`] there is no UDP at all.
//! * A server that refuses is followed by the next at once. A server that is silent is joined by the
//!   next after [`Limits::next_server_after`], and listened to meanwhile. A password change goes to
//!   one server at a time: two would make it twice.
//! * A server that did not answer is asked last for [`Limits::remember_dead`], by every transport of
//!   the process ([`ServerMemory`]). After that it is asked first again, with a tenth of a second's
//!   start, which is what it costs if it is still dead.
//! * A reply counts only if its type answers the request's type; the reply's nonce is the core's to
//!   compare, since it is encrypted.
//! * [`Limits::total`] bounds the whole, DNS included. [`Cancel`] ends a blocking round trip early;
//!   an asynchronous one ends with its future.
//! * Where a primary KDC is wanted ([`trihound_sansio::TransportHint::PrimaryOnly`]), only servers
//!   known as such are asked, and none if the answer before came from one.
//!
//! ```
//! use std::sync::Arc;
//! use trihound_kdc_transport::KdcTransport;
//! use trihound_krb5::Config;
//! use trihound_sansio::{ExchangeRequest, Service, Transport, TransportHint};
//!
//! let mut config = Config::default();
//! config.dns_lookup_kdc = false;
//! let mut transport = KdcTransport::new(Arc::new(config));
//! let failure = transport
//!     .round_trip(&ExchangeRequest {
//!         service: Service::Kdc,
//!         realm: "EXAMPLE.TEST".into(),
//!         message: vec![0x6a, 0x00],
//!         hint: TransportHint::Any,
//!         route: None,
//!     })
//!     .unwrap_err();
//! assert!(failure.advice.contains("kdc ="));
//! ```

mod attempt;
#[cfg(feature = "tokio")]
mod attempt_tokio;
mod cancel;
mod candidate;
mod dns;
mod error;
mod hostname;
mod job;
mod kkdcp;
mod limits;
mod local_address;
mod locate;
mod memory;
mod race;
mod reply;
mod transport;
#[cfg(feature = "tokio")]
mod transport_tokio;
mod wire;

pub use cancel::Cancel;

pub use dns::{
    Answer, DNS_PORT, HostEntry, Question, Record, RecordType, Reply, ReplyError, Resolve,
    ResolveError, ResolverConfig, SearchRules, SystemResolver,
};
pub use error::AttemptError;
pub use kkdcp::{
    HttpsPost, HttpsRequest, KKDCP_CONTENT_TYPE, KkdcpError, MAX_PROXY_REPLY_LENGTH,
    decode_proxy_message, encode_proxy_message,
};
pub use limits::Limits;
pub use locate::{HTTPS_PORT, KDC_PORT, KPASSWD_PORT, Server, ServerProtocol};
pub use memory::ServerMemory;
pub use transport::KdcTransport;
#[cfg(feature = "tokio")]
pub use transport_tokio::AsyncKdcTransport;

/// The largest reply that is read: far above any ticket with a large PAC, far below what would
/// exhaust memory. The 4-byte length of a stream could announce 2 GiB (RFC 4120 section 7.2.2).
pub const MAX_REPLY_LENGTH: usize = 1024 * 1024;

/// The largest request that fits an IPv4 datagram.
pub const MAX_DATAGRAM_LENGTH: usize = 65_507;
