//! Verification against hashes that this host has.

use trihound_crypto::ntlm::NtHash;
use trihound_sansio::{Exchange, Progress, Reply};
use trihound_secret::constant_time_eq;

use super::change::Changed;
use super::{
    NtlmAccounts, NtlmLogon, NtlmPasswordChange, NtlmVerifier, PasswordChange, Verification,
    VerifiedAccount,
};
use crate::compute::{self, SessionKey};
use crate::danger;
use crate::error::VerifierFailure;

/// Whose hash stands in where there is no such account. Nobody logs in with it: the account's absence
/// is remembered apart.
pub(super) const NOBODY: [u8; 16] = [0x6e; 16];

/// What a guest is called: the name of Windows' own account for them.
const GUEST: &str = "Guest";

/// Verifies responses against the NT hashes of [`NtlmAccounts`].
///
/// A client whose account does not exist is computed for like any other, so that neither the answer
/// nor its time tells an unknown user from a wrong password (conformance row 161).
#[derive(Debug, Default)]
pub struct LocalVerifier<A> {
    accounts: A,
    guests: bool,
}

impl<A: NtlmAccounts> LocalVerifier<A> {
    /// A verifier over these accounts.
    #[must_use]
    pub fn new(accounts: A) -> Self {
        Self {
            accounts,
            guests: false,
        }
    }

    /// Clients without an account here become guests, who have no key and proved nothing; their name is
    /// `Guest`, whatever they called themselves. The policy has to let guests in as well ([`crate::danger::allow_guests`]).
    #[must_use]
    pub fn with_guests(mut self) -> Self {
        self.guests = true;
        self
    }

    /// The accounts.
    pub fn accounts(&self) -> &A {
        &self.accounts
    }

    fn decide(&self, logon: &NtlmLogon) -> Result<VerifiedAccount, VerifierFailure> {
        let found = self
            .accounts
            .find(&logon.user, &logon.domain, logon.domain_is_own);
        let stand_in = NtHash::from_bytes(NOBODY);
        let hash = found.as_ref().map_or(&stand_in, |account| &account.nt_hash);
        let proved = match logon.ntlm_v1 {
            None => prove_v2(hash, logon),
            Some(extended) => prove_v1(hash, logon, extended),
        };
        match (found, proved) {
            (Some(account), Some(session_base_key)) => Ok(VerifiedAccount::user(
                account.user,
                account.domain,
                session_base_key,
            )),
            // Conformance row 158: the name that it gave is not proven, and so not its name here.
            (None, _) if self.guests => Ok(VerifiedAccount::guest(GUEST, "")),
            _ => Err(VerifierFailure::LogonFailed),
        }
    }
}

/// SessionBaseKey, if the response is the one of this hash (MS-NLMP section 3.3.2).
fn prove_v2(hash: &NtHash, logon: &NtlmLogon) -> Option<SessionKey> {
    let (proof, temp) = logon.nt_response.split_first_chunk()?;
    let key = hash.response_key(&logon.user, &logon.domain);
    // Conformance row 161: computed for a wrong proof too, so that the time does not tell.
    let session_base_key = compute::session_base_key(&key, proof);
    compute::verify_ntlmv2_proof(&key, &logon.server_challenge, temp, proof)
        .then_some(session_base_key)
}

/// The same for NTLMv1 (MS-NLMP section 3.3.1), which only [`crate::danger`] lets come so far.
fn prove_v1(hash: &NtHash, logon: &NtlmLogon, extended: bool) -> Option<SessionKey> {
    let expected = if extended {
        let client_challenge = logon.lm_response.first_chunk()?;
        danger::ntlmv1_ess_response(hash, &logon.server_challenge, client_challenge)
    } else {
        danger::ntlmv1_response(hash, &logon.server_challenge)
    };
    constant_time_eq(&expected, &logon.nt_response).then(|| danger::session_base_key_v1(hash))
}

impl<A: NtlmAccounts> NtlmVerifier for LocalVerifier<A> {
    fn verify(&self, logon: NtlmLogon) -> Verification {
        Box::new(Decided(Some(self.decide(&logon))))
    }

    fn changes_passwords(&self) -> bool {
        self.accounts.changes_passwords()
    }

    fn change_password(&self, change: NtlmPasswordChange) -> PasswordChange {
        Box::new(Changed(Some(self.accounts.change_password(&change))))
    }
}

/// A verification that needs no round trip.
struct Decided(Option<Result<VerifiedAccount, VerifierFailure>>);

impl Exchange for Decided {
    type Output = VerifiedAccount;
    type Error = VerifierFailure;

    fn step(
        &mut self,
        _reply: Option<Reply<'_>>,
    ) -> Result<Progress<VerifiedAccount>, VerifierFailure> {
        match self.0.take() {
            Some(decision) => decision.map(Progress::Done),
            None => Err(VerifierFailure::Unavailable {
                reason: "the verification is over already".to_owned(),
            }),
        }
    }
}
