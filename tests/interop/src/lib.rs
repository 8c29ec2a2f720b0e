//! Trihound against MIT krb5 and Samba: the drivers of them, the matrix of context cases and its report.
//!
//! Nothing here speaks Kerberos. The `trihound` program, the C peer on MIT's libgssapi and MIT's own
//! tools run as processes, each ended by the handle that started it; the MIT realm is that of
//! `fixtures/mit-kdc`, one in a temporary directory for a whole test run.
//!
//! An absent peer is a failure that says what to install. Only a caller who sets
//! `TRIHOUND_NO_PEERS=1` gets a run without them, and is told what was left out.

mod attack_axes;
mod attack_matrix;
mod axes;
mod conversation;
mod domain;
mod domain_matrix;
mod failure;
mod matrix;
mod negotiate_axes;
mod negotiate_matrix;
mod ntlm_axes;
mod ntlm_matrix;
mod pairwise;
mod peers;
mod process;
mod realm;
mod relay;
mod report;

pub use attack_axes::{Attack, AttackCase, planned_attacks};
pub use attack_matrix::run_attacks;
pub use axes::{
    Bindings, Case, Credential, Enctype, Expected, Messages, Order, Permitted, Role, Style,
    Transport, planned_cases,
};
pub use conversation::{Conversation, Held, Side, SideResult};
pub use domain::{Domain, SAMBA_DIR};
pub use domain_matrix::{
    DomainCase, Legs, Mechanism, Member, Password, Target, planned_domain_cases, run_domain,
};
pub use failure::Failure;
pub use matrix::run;
pub use negotiate_axes::{
    Mechs, NegotiateCase, NegotiateExpected, Ticket, Wish, planned_negotiate_cases,
};
pub use negotiate_matrix::{NegotiateStage, negotiate_conversation, run_negotiate};
pub use ntlm_axes::{
    Account, Asked, Extra, Layer, NtlmCase, NtlmExpected, Protection, Source, Speaker,
    planned_ntlm_cases,
};
pub use ntlm_matrix::{NtlmStage, ntlm_conversation, run_ntlm};
pub use pairwise::pairwise;
pub use peers::{NO_PEERS, Peers, find};
pub use process::{Background, Finished, run_to_end};
pub use realm::{Pair, Realm, Scratch};
pub use relay::{Change, Relay, Sender, Transcript};
pub use report::Report;
