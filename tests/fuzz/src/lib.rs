//! Fuzz targets by name: every parser and every state machine, each a function of bytes.
//!
//! A target panics when an invariant of its own is broken, so that libFuzzer, the replay program and
//! a debugger all see the same thing. Nothing here depends on libFuzzer.
#![forbid(unsafe_code)]

pub mod input;
pub mod mutate;
mod targets;
pub mod world;

/// A function of bytes, by name.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name, also of the folder of its corpus.
    pub name: &'static str,
    /// The longest input worth trying, in bytes.
    pub max_length: usize,
    /// Takes one input.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("asn1", 4096, targets::asn1::run),
    target("asn1-differential", 2048, targets::differential::run),
    target("gss-framing", 1024, targets::gss::run),
    target("spnego", 1024, targets::spnego::run),
    target("negoex", 1024, targets::negoex::run),
    target("keytab", 2048, targets::keytab::run),
    target("ccache", 4096, targets::ccache::run),
    target("kcm-reply", 4096, targets::kcm_reply::run),
    target("keyring", 4096, targets::keyring::run),
    target("krb-cred", 2048, targets::krb_cred::run),
    target("pac", 4096, targets::pac::run),
    target("krb5-conf", 4096, targets::conf::run),
    target("names", 512, targets::names::run),
    target("tokens", 1024, targets::tokens::run),
    target("messages", 1024, targets::messages::run),
    target("ntlm-messages", 1024, targets::ntlm_messages::run),
    target("ntlm-tokens", 1024, targets::ntlm_tokens::run),
    target("ntlm-initiator", 1024, targets::ntlm_handshake::initiator),
    target("ntlm-acceptor", 1024, targets::ntlm_handshake::acceptor),
    target("negotiate-initiator", 1024, targets::negotiate::initiator),
    target("negotiate-acceptor", 1024, targets::negotiate::acceptor),
    target("images", 2048, targets::images::run),
    target("initiator", 1024, targets::initiator::run),
    target("acceptor", 1024, targets::acceptor::run),
    target("as-exchange", 1024, targets::as_exchange::run),
    target("tgs-exchange", 1024, targets::tgs_exchange::run),
    target("kdc", 1024, targets::kdc::run),
    target("kpasswd", 1024, targets::kpasswd::run),
    target("dns-reply", 1024, targets::dns_reply::run),
    target("kkdcp", 1024, targets::kkdcp::run),
];

const fn target(name: &'static str, max_length: usize, run: fn(&[u8])) -> Target {
    Target {
        name,
        max_length,
        run,
    }
}

/// The target of this name.
///
/// # Errors
///
/// A text with the names that there are.
pub fn chosen(name: &str) -> Result<Target, String> {
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .copied()
        .ok_or_else(|| {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            format!("no target {name:?}; there are {}", names.join(", "))
        })
}
