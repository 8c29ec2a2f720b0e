use std::io;
use std::net::IpAddr;
use std::path::Path;

use thiserror::Error;
use trihound_krb5::{Config, ConfigError, Profile, ProfileError, ProfileSource};

use super::files::FileProfileSource;
use super::values::variable;

/// Why the configuration could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// None of the files of KRB5_CONFIG could be read.
    #[error("no file of KRB5_CONFIG can be read: {tried}; correct the variable or unset it")]
    NoFile {
        /// Each file with what went wrong.
        tried: String,
    },
    /// A file is there and cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What went wrong.
        reason: String,
    },
    /// A line that does not fit the grammar.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A relation whose value makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Reads the configuration as a program of this user would have it: the files and directories of
/// KRB5_CONFIG, with colons (on Windows semicolons) between them, else those of the system, such as
/// `/etc/krb5.conf`; with no file at all, the defaults. Where one value counts, the first file that
/// has it decides; of a directory those files are read that `includedir` would.
///
/// What was passed over is told by [`Config::warnings`], and each by an event of level WARN.
///
/// A program that runs with more rights than its user has does not follow KRB5_CONFIG.
///
/// # Errors
///
/// [`ConfigurationError`], with the file and the line where there is one.
pub fn load_config() -> Result<Config, ConfigurationError> {
    match variable("KRB5_CONFIG") {
        Some(list) => {
            let separator = if cfg!(windows) { ';' } else { ':' };
            let paths = list.split(separator).filter(|path| !path.is_empty());
            load_list(paths.map(str::to_owned), true)
        }
        None => load_list(default_profiles(), false),
    }
}

/// Reads the configuration of one krb5.conf, whatever the environment says; several configurations
/// live side by side in one process.
///
/// # Errors
///
/// [`ConfigurationError`], with the file and the line where there is one.
pub fn load_config_from(path: &Path) -> Result<Config, ConfigurationError> {
    let name = path.display().to_string();
    let profile = load_profile(&name)?
        .map_err(|reason| ConfigurationError::Unreadable { path: name, reason })?;
    typed(&profile)
}

/// The addresses of this host, for tickets that are bound to them (`noaddresses = false`): those of
/// all interfaces but loopback and link-local ones.
///
/// # Errors
///
/// Whatever the system says when it is asked for its interfaces.
pub fn local_addresses() -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for interface in if_addrs::get_if_addrs()? {
        let address = interface.ip();
        if !interface.is_loopback() && !interface.is_link_local() && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// Where krb5.conf is looked for when KRB5_CONFIG says nothing, as MIT does.
fn default_profiles() -> Vec<String> {
    #[cfg(target_os = "macos")]
    {
        let own =
            variable("HOME").map(|home| format!("{home}/Library/Preferences/edu.mit.Kerberos"));
        let system = ["/Library/Preferences/edu.mit.Kerberos", "/etc/krb5.conf"];
        own.into_iter()
            .chain(system.into_iter().map(str::to_owned))
            .collect()
    }
    #[cfg(windows)]
    {
        let place = |variable: &str| {
            let directory = super::values::variable(variable)?;
            Some(format!("{directory}\\MIT\\Kerberos5\\krb5.ini"))
        };
        [place("APPDATA"), place("ProgramData")]
            .into_iter()
            .flatten()
            .collect()
    }
    #[cfg(not(any(target_os = "macos", windows)))]
    {
        vec!["/etc/krb5.conf".to_owned()]
    }
}

fn load_list(
    paths: impl IntoIterator<Item = String>,
    required: bool,
) -> Result<Config, ConfigurationError> {
    let mut profile: Option<Profile> = None;
    let mut tried = Vec::new();
    for path in paths {
        // A missing file of the list is passed over, as MIT does; one that is there must be right.
        let parsed = match load_profile(&path)? {
            Ok(parsed) => parsed,
            Err(reason) if Path::new(&path).exists() => {
                return Err(ConfigurationError::Unreadable { path, reason });
            }
            Err(reason) => {
                tried.push(format!("{path} ({reason})"));
                continue;
            }
        };
        match &mut profile {
            None => profile = Some(parsed),
            Some(first) => first.append(parsed),
        }
    }
    match profile {
        Some(profile) => typed(&profile),
        None if required => Err(ConfigurationError::NoFile {
            tried: tried.join(", "),
        }),
        None => Ok(Config::default()),
    }
}

/// One file, or the files of a directory; the inner error is for one that cannot be read.
fn load_profile(path: &str) -> Result<Result<Profile, String>, ProfileError> {
    if Path::new(path).is_dir() {
        let text = format!("includedir {path}");
        return Profile::parse(&text, &FileProfileSource, path).map(Ok);
    }
    match FileProfileSource.read(path) {
        Ok(text) => Profile::parse(&text, &FileProfileSource, path).map(Ok),
        Err(reason) => Ok(Err(reason)),
    }
}

fn typed(profile: &Profile) -> Result<Config, ConfigurationError> {
    let config = Config::from_profile(profile)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_host_are_ones_that_others_can_reach() {
        for address in local_addresses().unwrap() {
            assert!(
                !address.is_loopback() && !address.is_unspecified(),
                "{address}"
            );
        }
    }

    #[test]
    fn a_list_whose_files_are_all_missing_is_an_error_only_when_it_was_asked_for() {
        let missing = || ["/nonexistent/one", "/nonexistent/two"].map(str::to_owned);
        let error = load_list(missing(), true).unwrap_err().to_string();
        assert!(
            error.contains("/nonexistent/one") && error.contains("/nonexistent/two"),
            "{error}"
        );
        assert!(load_list(missing(), false).is_ok());
    }
}
