//! ChangeAccountPassword: the password change of RFC 3244 with its login.

use trihound_krb5::kpasswd::{ChangePasswordExchange, ChangePasswordRequest};
use trihound_krb5::{Environment, Error as KerberosError};
use trihound_sansio::{Exchange, Progress, Reply};
use trihound_sspi::BoxedExchange;

use crate::acquire::client_principal;
use crate::error::sspi_error;

/// Begins the change of one's own password; an expired one may be changed too.
pub(crate) fn change(
    request: trihound_sspi::ChangePasswordRequest<'_>,
    environment: &Environment,
) -> Result<BoxedExchange, trihound_sspi::Error> {
    let domain = Some(request.domain_name);
    let client = client_principal(request.account_name, domain, &environment.config)?;
    let change = ChangePasswordRequest::new(
        client,
        request.old_password.duplicate(),
        request.new_password.duplicate(),
    );
    let exchange = ChangePasswordExchange::begin(change, environment).map_err(of_kerberos)?;
    Ok(Box::new(Change(exchange)))
}

/// The exchange with SSPI's errors.
struct Change(ChangePasswordExchange);

impl Exchange for Change {
    type Output = ();
    type Error = trihound_sspi::Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<()>, trihound_sspi::Error> {
        Ok(match self.0.step(reply).map_err(of_kerberos)? {
            Progress::Exchange(request) => Progress::Exchange(request),
            Progress::Done(_) => Progress::Done(()),
        })
    }
}

fn of_kerberos(error: KerberosError) -> trihound_sspi::Error {
    sspi_error(error)
}
