//! What names are made of: variables of the environment, and MIT's `%{...}` tokens.

use std::env;

use super::names::NameError;
use super::privilege::is_privileged;

/// A variable of the environment that is set, not empty, UTF-8, and ours to follow: whoever starts a
/// program that has more rights than he must not choose its files ([`is_privileged`]).
pub(crate) fn variable(name: &str) -> Option<String> {
    if is_privileged() {
        return None;
    }
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Puts values in the place of MIT's `%{...}` tokens (krb5.conf(5), PARAMETER EXPANSION).
pub(super) fn expand(name: &str) -> Result<String, NameError> {
    let mut expanded = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("%{") {
        let Some((token, behind)) = after.split_once('}') else {
            return Err(NameError::OpenToken {
                name: name.to_owned(),
            });
        };
        expanded.push_str(before);
        expanded.push_str(&token_value(token).ok_or_else(|| NameError::UnknownToken {
            name: name.to_owned(),
            token: token.to_owned(),
        })?);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn token_value(token: &str) -> Option<String> {
    match token {
        "null" => Some(String::new()),
        "username" => user_name(),
        _ => system_token(token),
    }
}

#[cfg(unix)]
fn system_token(token: &str) -> Option<String> {
    match token {
        "TEMP" => {
            let directory = variable("TMPDIR").unwrap_or_else(|| "/tmp".to_owned());
            Some(directory.trim_end_matches('/').to_owned())
        }
        "uid" | "USERID" => Some(rustix::process::getuid().as_raw().to_string()),
        "euid" => Some(rustix::process::geteuid().as_raw().to_string()),
        // Where MIT's library is installed, by its build; here, the usual places.
        "LIBDIR" => Some("/usr/lib".to_owned()),
        "BINDIR" => Some("/usr/bin".to_owned()),
        "SBINDIR" => Some("/usr/sbin".to_owned()),
        _ => None,
    }
}

#[cfg(not(unix))]
fn system_token(token: &str) -> Option<String> {
    let below = |name: &str, rest: &str| variable(name).map(|directory| directory + rest);
    match token {
        "TEMP" => Some(env::temp_dir().to_str()?.trim_end_matches('\\').to_owned()),
        "uid" | "euid" | "USERID" => user_name(),
        "LIBDIR" | "BINDIR" | "SBINDIR" => {
            let program = env::current_exe().ok()?;
            Some(program.parent()?.to_str()?.to_owned())
        }
        "APPDATA" => variable("APPDATA"),
        "COMMON_APPDATA" => variable("ProgramData"),
        "LOCAL_APPDATA" => variable("LOCALAPPDATA"),
        "SYSTEM" => below("SystemRoot", "\\System32"),
        "WINDOWS" => variable("SystemRoot"),
        "USERCONFIG" => below("APPDATA", "\\MIT\\Kerberos5"),
        "COMMONCONFIG" => below("ProgramData", "\\MIT\\Kerberos5"),
        _ => None,
    }
}

/// The name of the user whom the process runs for: that of its effective user ID as the system has
/// it, else as the environment has it.
#[must_use]
pub fn user_name() -> Option<String> {
    #[cfg(unix)]
    if let Ok(Some(user)) = nix::unistd::User::from_uid(nix::unistd::geteuid()) {
        return Some(user.name);
    }
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(variable)
}
