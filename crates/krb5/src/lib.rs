//! Kerberos itself: exchanges, keytab, ccache, krb5.conf, replay cache
//!
//! Nothing here does I/O: files come in as bytes and go out as bytes ([`keytab`], [`ccache`],
//! [`profile`]), and what is kept between calls lives behind traits ([`store`], [`replay`]).

pub mod ap;
mod as_exchange;
pub mod ccache;
pub mod config;
mod cred;
pub mod credentials;
mod environment;
mod error;
mod kdc_reply;
pub mod keytab;
pub mod kpasswd;
mod krb_priv;
pub mod name;
pub mod pac;
pub mod profile;
mod reader;
mod refusal;
pub mod replay;
pub mod store;
mod tgs_exchange;
mod trace;

pub use as_exchange::{
    AsExchange, AsOptions, AsOutcome, AsRequest, ClientSecret, EtypeInfoExchange, StringToKeyInfo,
    VerifyInitialCredentials, VerifyInitialRequest,
};
pub use ccache::{CacheError, ConfigEntry, CredentialCache};
pub use config::{
    Config, ConfigError, ConfigWarning, DnsCanonicalization, LocalNameError, LoginDefaults,
    RealmConfig, WarningReason,
};
pub use cred::{PlainCredentials, build_krb_cred, read_krb_cred};
pub use credentials::{Credentials, KeyMaterial};
pub use environment::Environment;
pub use error::{
    ApiMisuse, CredentialFailure, Error, InvalidMessage, InvalidPac, KdcMisbehaved, KdcRefused,
    KpasswdMisbehaved, PacNotTrusted, PasswordRefused, PasswordUnknown, PeerMisbehaved,
    PeerRefused, Policy,
};
pub use kdc_reply::KdcReplyVerified;
pub use keytab::{
    KeyNotFound, Keytab, KeytabEdit, KeytabEntry, KeytabError, KeytabKey, KeytabWrite, ReplacedKeys,
};
pub use krb_priv::{build_krb_priv, read_krb_priv};
pub use name::{NameError, Principal};
pub use profile::{
    NoIncludes, Place, Profile, ProfileError, ProfileErrorReason, ProfileSource, Relation,
};
pub use refusal::build_krb_error;
pub use replay::{MemoryReplayCache, NotReplayed, ReplayCache, ReplayEntry, ReplayError};
pub use store::{CredentialStore, MemoryStore, StoreError, StoreOpener, StorePlaces};
pub use tgs_exchange::{TgsExchange, TgsOperation, TgsOutcome, TgsRequest};
