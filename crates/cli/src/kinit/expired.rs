//! A login whose password has expired: it is changed first, as MIT's kinit does.

use std::sync::Arc;

use trihound_asn1::error_code;
use trihound_krb5::kpasswd::KpasswdResult;
use trihound_krb5::{Config, Environment, Error, Principal};
use trihound_sansio::DriveError;
use trihound_secret::SecretString;

use crate::kpasswd::line;
use crate::outcome::{Failure, say};
use crate::password::{Session, Typed, ask_twice};
use crate::phrases::{Doing, failed};

/// How often a new password is asked for, as with MIT's kinit.
const TRIES: usize = 3;

/// Whether a login failed for nothing but an expired password. The KDC's word is not authenticated: the login
/// for the change shows whether the password is right.
pub(super) fn is_expired(error: &DriveError<Error>) -> bool {
    matches!(
        error,
        DriveError::Protocol(Error::KdcRefused(refused))
            if refused.code == error_code::KDC_ERR_KEY_EXPIRED
    )
}

/// The new password, once the realm has it; `None` where nobody is there to type one.
pub(super) fn change(
    client: &Principal,
    password: SecretString,
    config: &Arc<Config>,
    environment: &Environment,
) -> Result<Option<SecretString>, Failure> {
    let session = Session::begin(client.clone(), password, config, environment)
        .map_err(|error| failed(error, Doing::PasswordLogin))?;
    let mut banner = "Password expired.  You must change it now.".to_owned();
    let mut last = String::new();
    for _ in 0..TRIES {
        say(&banner)?;
        let password = match ask_twice()? {
            Typed::New(password) => password,
            Typed::Nothing => return Ok(None),
            Typed::Mismatch => {
                last = "Password mismatch".to_owned();
                banner = format!("{last}.  Please try again.");
                continue;
            }
        };
        match session.change(password.duplicate(), None) {
            Ok(_) => return Ok(Some(password)),
            Err(DriveError::Protocol(Error::PasswordRefused(refusal)))
                if refusal.result == Some(KpasswdResult::SOFT_ERROR)
                    && refusal.is_authenticated() =>
            {
                last = line(&refusal);
                banner = format!("{last}  Please try again.");
            }
            Err(error) => return Err(failed(error, Doing::PasswordChange)),
        }
    }
    Err(Failure::new(format!("Password change failed: {last}")))
}
