//! Kerberos itself: exchanges, keytab, ccache, krb5.conf, replay cache
//!
//! Nothing here does I/O: files come in as bytes and go out as bytes ([`keytab`], [`ccache`],
//! [`profile`]), and what is kept between calls lives behind traits ([`store`], [`replay`]).

pub mod ccache;
pub mod config;
pub mod credentials;
pub mod keytab;
pub mod name;
pub mod profile;
mod reader;
pub mod replay;
pub mod store;

pub use ccache::{CacheError, CredentialCache};
pub use config::{Config, ConfigError};
pub use credentials::{Credentials, KeyMaterial};
pub use keytab::{KeyNotFound, Keytab, KeytabEntry, KeytabError, KeytabKey};
pub use name::{NameError, Principal};
pub use profile::{Profile, ProfileError, ProfileSource};
pub use replay::{MemoryReplayCache, NotReplayed, ReplayCache, ReplayEntry, ReplayError};
pub use store::{CredentialStore, MemoryStore, StoreError};
