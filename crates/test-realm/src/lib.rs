//! An embedded KDC for tests and the demo.
//!
//! A [`TestRealm`] is a whole Kerberos realm in memory: principals, an authentication service and a
//! ticket-granting service (RFC 4120), pre-authentication by encrypted timestamp, renewal,
//! forwarding, referrals and trust with other realms, and signed PACs (MS-PAC). Requests go in as bytes and replies come out.
//! It does the real protocol with real cryptography, and misbehaves only on demand: see [`Fault`].
//!
//! In three lines a program's test has a realm, a service's keytab and a way to the KDC:
//!
//! ```
//! # fn main() -> Result<(), trihound_test_realm::Error> {
//! use trihound_test_realm::TestRealm;
//!
//! let realm = TestRealm::builder("EXAMPLE.TEST").principal("alice", "password").service("HTTP/localhost").build()?;
//! let keytab = realm.keytab(&["HTTP/localhost"])?;
//! let transport = realm.transport();
//! # assert!(!keytab.is_empty());
//! # let _ = transport;
//! # Ok(())
//! # }
//! ```
//!
//! For programs that want a socket, `TestKdcServer` serves the realm over UDP and TCP on a free
//! loopback port and writes the krb5.conf for it; MIT's `kinit` and `kvno` work against it.
//!
//! # Security
//!
//! This is no KDC for production: its database is in memory, its administration is the program that
//! made it, it has no replay cache and no FAST, and it answers with faults when told.

mod as_exchange;
mod builder;
pub mod danger;
mod database;
mod error;
mod fault;
mod header;
mod issue;
mod kpasswd;
mod pac;
mod pac_fault;
mod realm;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod server;
mod tgs_exchange;
mod transited;
mod transport;

pub use builder::{Policy, TestRealmBuilder};
pub use database::PrincipalOptions;
pub use error::Error;
pub use fault::{Fault, Repeat, RequestKind};
pub use kpasswd::PasswordRules;
pub use pac::PacIssue;
pub use pac_fault::PacFault;
pub use realm::{Carrier, TestRealm};
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use server::{TestKdcServer, krb5_conf};
pub use transport::RealmTransport;
