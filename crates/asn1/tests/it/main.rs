//! The types of Kerberos, held against DER that is put together by hand, against a second decoder, and
//! against hostile bytes.

// The helpers of the tests fail loudly, as the tests do; their inputs are ours.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod checks;
mod faults;
mod framing;
mod hostile;
mod model;
mod roundtrip;
mod samples;
mod secrecy;
mod spnego;
mod values;
mod vectors;
