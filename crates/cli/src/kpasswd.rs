//! `trihound kpasswd`: password changes.

use std::process::ExitCode;
use std::sync::Arc;

use trihound::environment::{load_config, local_addresses, user_name};
use trihound_krb5::{Config, Error, PasswordRefused, Principal};
use trihound_sansio::DriveError;

use crate::caches;
use crate::outcome::{Failure, complain, finish, say};
use crate::password::{Session, Typed, ask, ask_twice};
use crate::phrases::{Doing, failed};
use crate::tgs::environment;

/// MIT's `kpasswd` has the principal alone.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::ENVIRONMENT)]
pub(crate) struct Arguments {
    /// Log in as this principal to set the password of the other, which the realm has to permit.
    #[arg(long, value_name = "PRINCIPAL", requires = "principal")]
    admin_principal: Option<String>,
    /// Whose password; default: the cache's principal, else the user's name.
    principal: Option<String>,
}

/// The status for a new password that the service refused, as MIT's kpasswd has it.
const REFUSED: u8 = 2;

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match kpasswd(arguments) {
        Ok(Some(refusal)) => match told(&refusal) {
            Ok(()) => ExitCode::from(REFUSED),
            Err(failure) => finish("kpasswd", Err(failure)),
        },
        other => finish("kpasswd", other.map(drop)),
    }
}

/// Why the service refused the new password; `None` if it took it.
fn kpasswd(arguments: &Arguments) -> Result<Option<PasswordRefused>, Failure> {
    let config = Arc::new(load_config()?);
    let account = account(arguments, &config)?;
    let default_realm = config.default_realm.as_deref();
    let administrator = match &arguments.admin_principal {
        Some(name) => Some(Principal::parse(name, default_realm)?),
        None => None,
    };
    let mut environment = environment(&config);
    // A guess for a transport that does not know from where it asks; ours does.
    environment.addresses = local_addresses().unwrap_or_default().into();
    let client = administrator.as_ref().unwrap_or(&account).clone();
    let password = ask(&format!("Password for {client}: "))?;
    let session = Session::begin(client, password, &config, &environment)
        .map_err(|error| failed(error, Doing::PasswordTicket))?;
    let password = match ask_twice()? {
        Typed::New(password) => password,
        Typed::Mismatch => return Err(Failure::new("Password mismatch while reading password")),
        Typed::Nothing => {
            return Err(Failure::new(
                "no new password: standard input is at its end",
            ));
        }
    };
    let target = administrator.map(|_| account);
    match session.change(password, target) {
        Ok(_) => {
            say("Password changed.")?;
            Ok(None)
        }
        Err(DriveError::Protocol(Error::PasswordRefused(refusal))) if refusal.result.is_some() => {
            Ok(Some(*refusal))
        }
        Err(error) => Err(failed(error, Doing::PasswordChange)),
    }
}

fn told(refusal: &PasswordRefused) -> Result<(), Failure> {
    say(line(refusal))?;
    if !refusal.is_authenticated() {
        complain(
            "kpasswd: this answer is not authenticated: somebody on the network path may have made it up",
        );
    }
    Ok(())
}

/// A refusal as MIT's tools tell it: the result, then the reason in the service's own words.
pub(crate) fn line(refusal: &PasswordRefused) -> String {
    let result = refusal
        .result
        .map_or("Password change failed", |result| result.description());
    match refusal.reason() {
        Some(reason) => format!("{result}: {reason}"),
        None => result.to_owned(),
    }
}

fn account(arguments: &Arguments, config: &Config) -> Result<Principal, Failure> {
    let realm = config.default_realm.as_deref();
    if let Some(name) = &arguments.principal {
        return Ok(Principal::parse(name, realm)?);
    }
    let cache = caches::choose(None, config)?;
    // A cache that cannot be read names nobody.
    if let Some(principal) = caches::open(&cache, config)
        .ok()
        .and_then(|cache| cache.principal().ok().flatten())
    {
        return Ok(principal);
    }
    let user = user_name()
        .ok_or_else(|| Failure::new("no principal is given and the environment names no user"))?;
    Ok(Principal::parse(&user, realm)?)
}
