use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::process::run_to_end;
use crate::{Failure, Peers};

/// A temporary directory of its own, gone with the value.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// The system's temporary folder is not writable.
    pub fn new() -> Result<Self, Failure> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        loop {
            let name = format!(
                "trihound-interop-{}-{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            );
            let path = env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left by a killed run whose process number came round again.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::from(error).context(path.display())),
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A name inside it.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// The name of a FILE credential cache inside it, as KRB5CCNAME has it.
    #[must_use]
    pub fn cache(&self, name: &str) -> String {
        format!("FILE:{}", self.join(name).display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A leftover in the temporary folder is no reason to fail.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An MIT realm that serves while the value lives.
#[derive(Debug)]
pub struct Realm {
    /// What its `env.sh` exports.
    variables: BTreeMap<String, String>,
    scratch: Scratch,
    served: Served,
}

/// Two MIT realms that trust each other.
#[derive(Debug)]
pub struct Pair {
    home: BTreeMap<String, String>,
    scratch: Scratch,
    _served: Served,
}

/// The KDCs of one directory; they end with the value.
#[derive(Debug)]
struct Served {
    script: PathBuf,
    directory: PathBuf,
    _scratch: Scratch,
}

impl Served {
    fn start(peers: &Peers, how: &[&str], address: Option<&str>) -> Result<Self, Failure> {
        let scratch = Scratch::new()?;
        let served = Self {
            script: peers.kdc_script.clone(),
            directory: scratch.join("kdc"),
            _scratch: scratch,
        };
        let (how, options) = how.split_first().unwrap_or((&"start", &[]));
        let mut command = served.script(how);
        command.args(options);
        if let Some(address) = address {
            command.env("KDC_ADDRESS", address);
        }
        done(command)?;
        Ok(served)
    }

    fn script(&self, how: &str) -> Command {
        let mut command = clean_command("bash");
        command.arg(&self.script).arg(how).arg(&self.directory);
        command
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Nobody is left to tell, and the script has said why.
        let _ = run_to_end(self.script("stop"), "");
    }
}

impl Realm {
    /// Makes the realm and starts its KDC, which takes about a second.
    ///
    /// # Errors
    ///
    /// What the realm's script says.
    pub fn start(peers: &Peers) -> Result<Self, Failure> {
        Self::serve(peers, &["start"], None)
    }

    /// The same at another address of the loopback network: MIT's programs tell KDCs apart by their
    /// addresses and not by their ports.
    ///
    /// # Errors
    ///
    /// What the realm's script says.
    pub fn start_at(peers: &Peers, address: &str) -> Result<Self, Failure> {
        Self::serve(peers, &["start"], Some(address))
    }

    /// The same with kadmind, which changes passwords.
    ///
    /// # Errors
    ///
    /// What the realm's script says.
    pub fn start_with_kpasswd(peers: &Peers) -> Result<Self, Failure> {
        Self::serve(peers, &["start", "--kpasswd"], None)
    }

    fn serve(peers: &Peers, how: &[&str], address: Option<&str>) -> Result<Self, Failure> {
        let served = Served::start(peers, how, address)?;
        Ok(Self {
            variables: exports(&served.directory.join("env.sh"))?,
            scratch: Scratch::new()?,
            served,
        })
    }

    /// Ends the KDC; keys, files and address stay for [`Self::resume`].
    ///
    /// # Errors
    ///
    /// What the realm's script says.
    pub fn pause(&self) -> Result<(), Failure> {
        done(self.served.script("stop"))
    }

    /// Starts the KDC again, at its old address and port and with its old keys.
    ///
    /// # Errors
    ///
    /// What the realm's script says; somebody else may have taken the port.
    pub fn resume(&self) -> Result<(), Failure> {
        let mut command = self.served.script("start");
        command
            .args(["--port", self.variable("KDC_PORT")])
            .env("KDC_ADDRESS", self.variable("KDC_ADDRESS"));
        done(command)
    }

    /// A variable of `env.sh`, such as KDC_REALM; empty if it has none of that name.
    #[must_use]
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    /// The directory that the realm's script fills; `fixtures/mit-kdc/README.md` says with what.
    #[must_use]
    pub fn directory(&self) -> &Path {
        Path::new(self.variable("KDC_DIR"))
    }

    /// A command in the realm's environment, with `cache` as its credential cache.
    pub fn command(&self, program: impl AsRef<OsStr>, cache: &str) -> Command {
        let mut command = clean_command(program);
        command.envs(&self.variables).env("KRB5CCNAME", cache);
        command
    }

    /// A krb5.conf like the realm's, with `lines` at the head of its `[libdefaults]`. Equal lines give
    /// the same file.
    ///
    /// # Errors
    ///
    /// A file cannot be read or written.
    pub fn profile(&self, name: &str, lines: &[String]) -> Result<PathBuf, Failure> {
        let path = self.scratch.join(format!("{name}.conf"));
        let base = fs::read_to_string(self.variable("KRB5_CONFIG"))?;
        // The first value of a name counts.
        let text = base.replacen(
            "[libdefaults]\n",
            &format!("[libdefaults]\n{}\n", lines.join("\n")),
            1,
        );
        let own = self
            .scratch
            .join(format!("{name}.{:?}", std::thread::current().id()));
        fs::write(&own, text)?;
        fs::rename(&own, &path)?;
        Ok(path)
    }
}

impl Pair {
    /// Makes HOME.TEST and AWAY.TEST and starts both KDCs.
    ///
    /// # Errors
    ///
    /// What the realms' script says.
    pub fn start(peers: &Peers) -> Result<Self, Failure> {
        let served = Served::start(peers, &["pair"], None)?;
        Ok(Self {
            home: exports(&served.directory.join("home/env.sh"))?,
            scratch: Scratch::new()?,
            _served: served,
        })
    }

    /// A command in the environment of HOME.TEST, with `cache` as its credential cache.
    pub fn command(&self, program: impl AsRef<OsStr>, cache: &str) -> Command {
        let mut command = clean_command(program);
        command.envs(&self.home).env("KRB5CCNAME", cache);
        command
    }

    /// The keytab of the services of AWAY.TEST.
    #[must_use]
    pub fn away_keytab(&self) -> PathBuf {
        self.home_directory().join("../away/service.keytab")
    }

    /// HOME.TEST's krb5.conf, whose text `change` has altered.
    ///
    /// # Errors
    ///
    /// A file cannot be read or written.
    pub fn profile(&self, name: &str, change: impl Fn(&str) -> String) -> Result<PathBuf, Failure> {
        let base = fs::read_to_string(self.home_directory().join("krb5.conf"))?;
        let path = self.scratch.join(format!("{name}.conf"));
        fs::write(&path, change(&base))?;
        Ok(path)
    }

    fn home_directory(&self) -> &Path {
        Path::new(self.home.get("KDC_DIR").map_or("", String::as_str))
    }
}

/// Runs the realm's script.
fn done(command: Command) -> Result<(), Failure> {
    let ended = run_to_end(command, "")?;
    if !ended.success() {
        return Err(Failure::new(format!("no MIT realm: {ended}")));
    }
    Ok(())
}

/// What the names of variables begin with that Trihound, MIT's libraries and gss-ntlmssp follow.
const FOLLOWED: [&str; 6] = [
    "KRB5",
    "GSS",
    "NTLM_",
    "NETBIOS_",
    "LM_COMPAT_LEVEL",
    "TRIHOUND_NTLM",
];

/// A command that sees nothing of the caller's Kerberos and NTLM.
pub(crate) fn clean_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if FOLLOWED.iter().any(|word| text.starts_with(word)) {
            command.env_remove(name);
        }
    }
    // Times are compared as text, so both sides print them in one zone and language.
    command.env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
    command
}

/// The lines `export NAME=VALUE` of a file.
pub(crate) fn exports(file: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let text =
        fs::read_to_string(file).map_err(|error| Failure::from(error).context(file.display()))?;
    Ok(text
        .lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}
