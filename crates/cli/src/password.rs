//! Passwords: asking for them, and changing them.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use trihound_krb5::kpasswd::{KpasswdExchange, KpasswdRequest, PasswordChanged, PasswordTicket};
use trihound_krb5::{AsExchange, ClientSecret, Config, Environment, Error, Principal};
use trihound_sansio::{DriveError, drive};
use trihound_secret::SecretString;

use crate::line::{first_line, unbuffered_stdin};
use crate::network::kdc_transport;
use crate::outcome::{Failure, write_out};

/// Asks at the terminal; with no terminal on standard output, and takes the first line of standard input.
pub(crate) fn ask(prompt: &str) -> Result<SecretString, Failure> {
    read(prompt)?.ok_or_else(|| Failure::new("no password: standard input is at its end"))
}

fn read(prompt: &str) -> Result<Option<SecretString>, Failure> {
    if io::stdin().is_terminal() {
        return Ok(Some(rpassword::prompt_password(prompt)?.into()));
    }
    // As MIT's kinit, which goes on where nobody can read it.
    let _ = write_out(prompt.as_bytes());
    let read = unbuffered_stdin().and_then(first_line);
    let _ = write_out(b"\n");
    read.map_err(|error| Failure::from(error).context("standard input"))
}

/// What came of asking for a new password.
pub(crate) enum Typed {
    /// The same twice.
    New(SecretString),
    /// Two that differ.
    Mismatch,
    /// Nobody is there to type.
    Nothing,
}

/// Asks for a new password, which has to be typed twice.
pub(crate) fn ask_twice() -> Result<Typed, Failure> {
    let Some(password) = read("Enter new password: ")? else {
        return Ok(Typed::Nothing);
    };
    let again = ask("Enter it again: ")?;
    let same =
        trihound_secret::constant_time_eq(password.expose().as_bytes(), again.expose().as_bytes());
    Ok(if same {
        Typed::New(password)
    } else {
        Typed::Mismatch
    })
}

/// A password change whose login was made.
pub(crate) struct Session {
    config: Arc<Config>,
    environment: Environment,
    ticket: Arc<PasswordTicket>,
}

impl Session {
    /// Logs in for the change; an expired password will do.
    pub(crate) fn begin(
        client: Principal,
        password: SecretString,
        config: &Arc<Config>,
        environment: &Environment,
    ) -> Result<Self, DriveError<Error>> {
        let request = PasswordTicket::request(client, ClientSecret::Password(password));
        let login = AsExchange::begin(request, environment).map_err(DriveError::Protocol)?;
        let outcome = drive(login, kdc_transport(Arc::clone(config)))?;
        let ticket = PasswordTicket::from_outcome(outcome).map_err(DriveError::Protocol)?;
        Ok(Self {
            config: Arc::clone(config),
            environment: environment.clone(),
            ticket: Arc::new(ticket),
        })
    }

    /// One try.
    pub(crate) fn change(
        &self,
        new_password: SecretString,
        target: Option<Principal>,
    ) -> Result<PasswordChanged, DriveError<Error>> {
        let request = KpasswdRequest {
            ticket: Arc::clone(&self.ticket),
            new_password,
            target,
        };
        let change =
            KpasswdExchange::begin(request, &self.environment).map_err(DriveError::Protocol)?;
        drive(change, kdc_transport(Arc::clone(&self.config)))
    }
}
