//! What the core asks of the world, and the loop that drives it.
//!
//! Trihound's protocol crates never open a socket, read a clock or draw randomness except through
//! what they were handed. Three small traits are all that they ask for: [`Transport`] (one round
//! trip), [`Clock`] (the time) and [`RandomSource`]. A protocol that needs a round trip is an
//! [`Exchange`]: it hands out an [`ExchangeRequest`], and is stepped on with the [`Reply`].
//!
//! [`drive`] is the blocking loop over a [`Transport`], [`drive_async`] the same over an
//! [`AsyncTransport`] of any runtime.
//!
//! This crate does no I/O itself, knows no protocol, and has no timeouts: those are the transport's.

mod clock;
mod exchange;
mod random;

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use clock::SystemClock;
pub use clock::{Clock, FixedClock, Timestamp};
pub use exchange::{
    AsyncTransport, DriveError, Exchange, ExchangeRequest, MAX_ROUND_TRIPS, Progress, Reply, Route,
    Service, Transport, TransportFailure, TransportHint, drive, drive_async,
};
pub use random::{RandomFailure, RandomSource};
