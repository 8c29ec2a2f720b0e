mod crypto;
mod der;
mod files;
mod gss;
mod messages;
mod ntlm;
mod pac;
mod spnego;

use std::fmt;

use crate::fields::{Fault, Fields};

/// What the project does not do yet. A vector of anything else must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NotSupported {
    /// RFC 9588.
    Spake,
    /// RFC 4556, RFC 8636.
    Pkinit,
    /// MS-CSSP.
    CredSsp,
    /// RFC 6803, enctypes 25 and 26.
    Camellia,
    /// RFC 4757's export variant, enctype 24.
    Rc4Exp,
}

impl fmt::Display for NotSupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spake => "SPAKE",
            Self::Pkinit => "PKINIT",
            Self::CredSsp => "CredSSP",
            Self::Camellia => "Camellia",
            Self::Rc4Exp => "RC4-EXP",
        })
    }
}

/// What became of one vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The right answer.
    Passed,
    /// A wrong answer, or a vector that cannot be run; the reason.
    Failed(String),
    /// About what the project does not do.
    NotSupported(NotSupported),
}

/// How a runner ends early.
pub(crate) enum Stop {
    Fault(Fault),
    NotSupported(NotSupported),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

type Ran = Result<(), Stop>;

pub(crate) fn run_vector(op: &str, input: &Fields<'_>, output: &Fields<'_>) -> Outcome {
    let ran = match op {
        "cts_encrypt" => crypto::cts(input, output),
        "pbkdf2" => crypto::pbkdf2(input, output),
        "nfold" => crypto::nfold(input, output),
        "derive_key" => crypto::derive_key(input, output),
        "prf" => crypto::prf(input, output),
        "cf2" => crypto::cf2(input, output),
        "checksum" => crypto::checksum(input, output),
        "decrypt" => crypto::decrypt(input, output),
        "string_to_key" => crypto::string_to_key(input, output),
        "keytab_parse" => files::keytab(input, output),
        "ccache_file" => files::ccache_file(input, output),
        "ccache_parse" => files::ccache_pieces(input, output),
        "der_integer" => der::integer(input, output),
        "der_strict" => der::strict(input, output),
        "der_depth" => der::depth(input, output),
        "der_roundtrip" => der::round_trip(input, output),
        "der_parse" => messages::parse(input, output),
        "ap_req_decrypt" => messages::ap_req_decrypt(input, output),
        "kpasswd_parse" => messages::kpasswd(input, output),
        "kirbi_parse" => messages::kirbi(input, output),
        "gss_token_parse" => gss::token_parse(input, output),
        "cb_hash" => gss::channel_bindings(input, output),
        "encode_8003" => gss::encode_checksum(input, output),
        "parse_8003" => gss::parse_checksum(input, output),
        "wrap_conf" => gss::wrap_conf(input, output),
        "wrap_integ" => gss::wrap_integ(input, output),
        "mic" => gss::mic(input, output),
        "unwrap" => gss::unwrap(input, output),
        "verify_mic" => gss::verify_mic(input, output),
        "lmowfv1" => ntlm::lmowfv1(input, output),
        "ntowfv1" => ntlm::ntowfv1(input, output),
        "ntowfv2" => ntlm::ntowfv2(input, output),
        "session_base_key_v1" => ntlm::session_base_key_v1(input, output),
        "ntlmv1_response" => ntlm::ntlmv1_response(input, output),
        "lmv1_response" => ntlm::lmv1_response(input, output),
        "ntlmv1_ess_response" => ntlm::ntlmv1_ess_response(input, output),
        "ntlmv2_response" => ntlm::ntlmv2_response(input, output),
        "encrypted_session_key" => ntlm::encrypted_session_key(input, output),
        "kxkey_v1" => ntlm::kxkey_v1(input, output),
        "sealkey_ess" | "sealkey_no_ess" => ntlm::sealkey(input, output),
        "seal_ess" => ntlm::seal_ess(input, output),
        "seal_ess_keys" => ntlm::seal_ess_keys(input, output),
        "seal_no_ess" => ntlm::seal_no_ess(input, output),
        "ntlm_parse" => ntlm::parse(input, output),
        "ntlm_mic" => ntlm::mic(input, output),
        "av_pairs_parse" => ntlm::av_pairs(input, output),
        "spnego_parse" => spnego::token(input, output),
        "mech_list_mic_ntlm" => spnego::mech_list_mic_ntlm(input, output),
        "negoex_parse" => spnego::negoex(input, output),
        "pac_parse" => pac::parse(input, output),
        "kerb_validation_info" => pac::validation_info(input, output),
        "claims_parse" => pac::claims(input, output),
        "ticket_pac" => pac::ticket(input, output),
        other => match not_supported(other) {
            Some(what) => Err(Stop::NotSupported(what)),
            None => Err(Stop::Fault(format!(
                "no runner knows the operation {other}"
            ))),
        },
    };
    match ran {
        Ok(()) => Outcome::Passed,
        Err(Stop::Fault(why)) => Outcome::Failed(why),
        Err(Stop::NotSupported(what)) => Outcome::NotSupported(what),
    }
}

/// Operations that belong whole to what the project does not do.
fn not_supported(op: &str) -> Option<NotSupported> {
    Some(match op {
        "spake" => NotSupported::Spake,
        "octetstring2key" | "agile_kdf" => NotSupported::Pkinit,
        "tsrequest_parse" | "tscredentials_parse" | "pubkey_hash" => NotSupported::CredSsp,
        _ => return None,
    })
}

/// Judges an operation on a vector that demands an error: success is the fault.
fn refused<T, E>(result: &Result<T, E>) -> Ran {
    match result {
        Ok(_) => Err(Stop::Fault("accepted what must be refused".to_owned())),
        Err(_) => Ok(()),
    }
}

/// The value of an operation that must succeed.
fn must<T, E: fmt::Display>(what: &str, result: Result<T, E>) -> Result<T, Stop> {
    result.map_err(|error| Stop::Fault(format!("{what}: {error}")))
}

fn ensure(holds: bool, otherwise: &str) -> Ran {
    if holds {
        Ok(())
    } else {
        Err(Stop::Fault(otherwise.to_owned()))
    }
}
