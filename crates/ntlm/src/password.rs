//! ChangeAccountPassword: for accounts that the verifier keeps.

use trihound_sansio::{Exchange, Progress, Reply};
use trihound_sspi::{BoxedExchange, ChangePasswordRequest, SecurityStatus};

use crate::config::NtlmConfig;
use crate::error::sspi_error;
use crate::verifier::{NtlmPasswordChange, PasswordChange};

/// Begins the change; [`NtlmConfig::changes_passwords`] says whether there is one to begin.
pub(crate) fn change(
    request: ChangePasswordRequest<'_>,
    config: &NtlmConfig,
) -> Result<BoxedExchange, trihound_sspi::Error> {
    let Some(verifier) = config
        .verifier
        .as_ref()
        .filter(|_| config.changes_passwords())
    else {
        return Err(trihound_sspi::Error::unsupported("ChangeAccountPassword"));
    };
    // An account with an empty password is one that anybody may use.
    if request.new_password.expose().is_empty() {
        return Err(trihound_sspi::Error::new(
            SecurityStatus::SEC_E_INVALID_PARAMETER,
            "the new password is empty; give one",
        ));
    }
    let change = verifier.change_password(NtlmPasswordChange {
        user: request.account_name.to_owned(),
        domain: request.domain_name.to_owned(),
        domain_is_own: config.names.is_own(request.domain_name),
        old_password: request.old_password.duplicate(),
        new_password: request.new_password.duplicate(),
    });
    Ok(Box::new(Change(change)))
}

/// The exchange with SSPI's errors.
struct Change(PasswordChange);

impl Exchange for Change {
    type Output = ();
    type Error = trihound_sspi::Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<()>, trihound_sspi::Error> {
        self.0.step(reply).map_err(sspi_error)
    }
}
