pub mod acceptor;
pub mod as_exchange;
pub mod asn1;
pub mod ccache;
pub mod conf;
pub mod differential;
pub mod dns_reply;
pub mod gss;
pub mod images;
pub mod initiator;
pub mod kcm_reply;
pub mod kdc;
pub mod keyring;
pub mod keytab;
pub mod kkdcp;
pub mod kpasswd;
pub mod krb_cred;
pub mod messages;
pub mod names;
pub mod negoex;
pub mod negotiate;
/// The toys of Negotiate's own tests.
#[allow(dead_code)]
#[path = "../../../../crates/negotiate/tests/it/toy.rs"]
mod negotiate_toy;
pub mod ntlm_handshake;
pub mod ntlm_messages;
pub mod ntlm_tokens;
pub mod pac;
pub mod spnego;
pub mod tgs_exchange;
pub mod tokens;
