//! Trihound against MIT krb5: the drivers of both, the matrix of context cases and its report.
//!
//! Nothing here speaks Kerberos. The `trihound` program, the C peer on MIT's libgssapi and MIT's own
//! tools run as processes, each ended by the handle that started it; the MIT realm is that of
//! `fixtures/mit-kdc`, one in a temporary directory for a whole test run.
//!
//! An absent peer is a failure that says what to install. Only a caller who sets
//! `TRIHOUND_NO_PEERS=1` gets a run without them, and is told what was left out.

mod axes;
mod conversation;
mod failure;
mod matrix;
mod pairwise;
mod peers;
mod process;
mod realm;

pub use axes::{
    Bindings, Case, Credential, Enctype, Expected, Messages, Order, Permitted, Role, Style,
    Transport, planned_cases,
};
pub use conversation::{Conversation, Side, SideResult};
pub use failure::Failure;
pub use matrix::{Report, run};
pub use pairwise::pairwise;
pub use peers::{NO_PEERS, Peers, find};
pub use process::{Background, Finished, run_to_end};
pub use realm::{Pair, Realm, Scratch};
