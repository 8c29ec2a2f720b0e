use std::env;
use std::path::Path;

use thiserror::Error;
use trihound_krb5::{Config, ConfigError, Profile, ProfileError, ProfileSource};

use super::files::FileProfileSource;

/// Where krb5.conf is looked for when KRB5_CONFIG says nothing.
const DEFAULT_PROFILES: &str = "/etc/krb5.conf";

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

/// Reads the configuration as a program of this user would have it: the files of KRB5_CONFIG, with
/// colons (on Windows semicolons) between them, else `/etc/krb5.conf`; with no file at all, the
/// defaults.
///
/// # Errors
///
/// [`ConfigurationError`], with the file and the line where there is one.
pub fn load_config() -> Result<Config, ConfigurationError> {
    match env::var("KRB5_CONFIG") {
        Ok(list) if !list.is_empty() => load_list(&list, true),
        _ => load_list(DEFAULT_PROFILES, false),
    }
}

/// Reads the configuration of one krb5.conf.
///
/// # Errors
///
/// [`ConfigurationError`], with the file and the line where there is one.
pub fn load_config_from(path: &Path) -> Result<Config, ConfigurationError> {
    let name = path.display().to_string();
    let text = FileProfileSource
        .read(&name)
        .map_err(|reason| ConfigurationError::Unreadable {
            path: name.clone(),
            reason,
        })?;
    Ok(Config::from_profile(&Profile::parse(
        &text,
        &FileProfileSource,
        &name,
    )?)?)
}

fn load_list(list: &str, required: bool) -> Result<Config, ConfigurationError> {
    let separator = if cfg!(windows) { ';' } else { ':' };
    let mut profile: Option<Profile> = None;
    let mut tried = Vec::new();
    for path in list.split(separator).filter(|path| !path.is_empty()) {
        // A missing file of the list is passed over, as MIT does; one that is there must be right.
        let text = match FileProfileSource.read(path) {
            Ok(text) => text,
            Err(reason) if Path::new(path).exists() => {
                return Err(ConfigurationError::Unreadable {
                    path: path.to_owned(),
                    reason,
                });
            }
            Err(reason) => {
                tried.push(format!("{path} ({reason})"));
                continue;
            }
        };
        let parsed = Profile::parse(&text, &FileProfileSource, path)?;
        match &mut profile {
            None => profile = Some(parsed),
            Some(first) => first.append(parsed),
        }
    }
    match profile {
        Some(profile) => Ok(Config::from_profile(&profile)?),
        None if required => Err(ConfigurationError::NoFile {
            tried: tried.join(", "),
        }),
        None => Ok(Config::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_whose_files_are_all_missing_is_an_error_only_when_it_was_asked_for() {
        let missing = "/nonexistent/one:/nonexistent/two";
        let error = load_list(missing, true).unwrap_err().to_string();
        assert!(
            error.contains("/nonexistent/one") && error.contains("/nonexistent/two"),
            "{error}"
        );
        assert!(load_list(missing, false).is_ok());
    }
}
