//! The RFC 3961 framework, the enctypes of today, and their checksums; and what NTLM is made of ([`ntlm`]).
//!
//! An [`Enctype`] is a number with a table row, [`EnctypeProfile`]. An [`EnctypePolicy`] says which may
//! be used; a [`Key`] is of one enctype and does everything: it encrypts, decrypts, makes checksums,
//! and derives. Every operation takes a [`KeyUsage`], and what a usage needs is derived once and
//! kept: [`Key::usage`] hands out the [`UsageKey`] that seals scattered messages in place.
//!
//! Supported are aes128- and aes256-cts-hmac-sha1-96 (RFC 3962), aes128-cts-hmac-sha256-128 and
//! aes256-cts-hmac-sha384-192 (RFC 8009), and, only where [`danger`] permits it, arcfour-hmac (RFC 4757).
//! Single and triple DES, RC4-EXP and Camellia are not.
//!
//! ```
//! use trihound_crypto::{Enctype, EnctypePolicy, Key, KeyUsage, OsRandom};
//!
//! let policy = EnctypePolicy::default();
//! let key = Key::generate(Enctype::AES256_CTS_HMAC_SHA1_96, &policy, &OsRandom)?;
//! let ciphertext = key.encrypt(KeyUsage::AP_REP_ENC_PART, b"hello", &OsRandom)?;
//! let plaintext = key.decrypt(KeyUsage::AP_REP_ENC_PART, &ciphertext)?;
//! assert_eq!(plaintext.expose(), b"hello");
//! assert!(key.decrypt(KeyUsage::AP_REQ_AUTH, &ciphertext).is_err());
//! # Ok::<(), trihound_crypto::Error>(())
//! ```

mod checksum;
mod cts;
mod enctype;
mod error;
mod key;
mod mac;
pub mod ntlm;
mod pbkdf2;
mod policy;
mod profile;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod random;
mod rc4_stream;
mod rfc3961;
mod rfc3962;
pub mod rfc4757;
mod rfc6113;
mod rfc8009;
mod scatter;
mod sha1_mac;
mod usage;

pub use checksum::{ChecksumType, md5, sha256, unkeyed_checksum};
pub use cts::{cts_decrypt, cts_encrypt};
pub use enctype::{Enctype, Status};
pub use error::Error;
pub use key::{Key, UsageKey};
pub use pbkdf2::{Pbkdf2Hash, pbkdf2};
pub use policy::{EnctypePolicy, danger};
pub use profile::{EnctypeProfile, MAX_ITERATIONS};
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use random::OsRandom;
pub use rfc3961::nfold;
pub use rfc6113::krb_fx_cf2;
pub use scatter::{Scatter, Segment};
pub use usage::KeyUsage;
