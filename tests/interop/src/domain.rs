use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::realm::{clean_command, exports};

/// Names the directory of a Samba domain that `fixtures/samba/dc.sh` serves.
pub const SAMBA_DIR: &str = "TRIHOUND_SAMBA_DIR";

/// The Python that Samba's modules belong to, whichever comes first in PATH.
const PYTHON: &str = "/usr/bin/python3";

/// A Samba domain that somebody else serves, in a network of its own.
#[derive(Clone, Debug)]
pub struct Domain {
    variables: BTreeMap<String, String>,
}

impl Domain {
    /// The domain that [`SAMBA_DIR`] names.
    ///
    /// # Errors
    ///
    /// It names none, or one that is not served.
    pub fn find() -> Result<Self, Failure> {
        let Some(directory) = env::var_os(SAMBA_DIR).filter(|path| !path.is_empty()) else {
            return Err(Failure::new(format!(
                "no Samba domain: {SAMBA_DIR} is not set; run tests/run.sh --all, or as root fixtures/samba/dc.sh start DIR \
                 and set it to DIR"
            )));
        };
        let variables = exports(&Path::new(&directory).join("env.sh"))?;
        let domain = Self { variables };
        let process = Path::new("/proc").join(domain.variable("SAMBA_PID"));
        if domain.variable("SAMBA_PID").is_empty() || !process.exists() {
            return Err(Failure::new(format!(
                "nobody serves the Samba domain of {}: start it with fixtures/samba/dc.sh start",
                Path::new(&directory).display()
            )));
        }
        Ok(domain)
    }

    /// A variable of `env.sh`, such as SAMBA_REALM; empty if it has none of that name.
    #[must_use]
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    /// A file of the domain's directory; `fixtures/samba/README.md` says what there is.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        Path::new(self.variable("SAMBA_DIR")).join(name)
    }

    /// A command in the domain's network and environment, with `cache` as its credential cache. Its program
    /// has to be an absolute path or in PATH, since the working directory is another one there.
    pub fn command(&self, program: impl AsRef<OsStr>, cache: &str) -> Command {
        // It becomes the program itself, so that ending it ends the program.
        let mut command = clean_command("nsenter");
        command
            .args([
                "--target",
                self.variable("SAMBA_PID"),
                "--net",
                "--mount",
                "--",
            ])
            .arg(program)
            .envs(&self.variables)
            .env("KRB5CCNAME", cache);
        command
    }

    /// The peer of `tests/interop/samba`, with the engine that it shall be: gensec or `ntlm_auth`.
    ///
    /// # Errors
    ///
    /// This repository is not where it was when this program was built.
    pub fn samba_peer(&self, engine: &str, cache: &str) -> Result<Command, Failure> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("samba/peer.py");
        let script = script
            .canonicalize()
            .map_err(|error| Failure::from(error).context(script.display()))?;
        let mut command = self.command(PYTHON, cache);
        command.arg(script).arg(engine);
        Ok(command)
    }
}
