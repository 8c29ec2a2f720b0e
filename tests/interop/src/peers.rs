use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::run_to_end;
use crate::{Failure, Finished, Speaker};

/// Set to 1, it lets a run go without the real peers; everything that needs them is then left out, loudly.
pub const NO_PEERS: &str = "TRIHOUND_NO_PEERS";

/// The programs that the tests run or that the realm's script runs.
const TOOLS: [(&str, &str); 9] = [
    ("krb5kdc", "krb5-kdc"),
    ("kdb5_util", "krb5-kdc"),
    ("kadmin.local", "krb5-admin-server"),
    ("kinit", "krb5-user"),
    ("klist", "krb5-user"),
    ("kvno", "krb5-user"),
    ("kdestroy", "krb5-user"),
    ("bash", "bash"),
    ("curl", "curl"),
];

/// Where a distribution may put GSSAPI mechanisms of others, and gss-ntlmssp's file there.
const MECHANISMS: (&str, &str) = ("/etc/gss/mech.d", "mech.ntlmssp.conf");

/// The programs that play against each other.
#[derive(Clone, Debug)]
pub struct Peers {
    /// The `trihound` program.
    pub program: PathBuf,
    /// The peer on MIT's libgssapi.
    pub c_peer: PathBuf,
    /// A Python that has pyspnego.
    pub python: PathBuf,
    /// The peer on pyspnego, which that Python runs.
    pub python_peer: PathBuf,
    /// `fixtures/mit-kdc/kdc.sh`.
    pub kdc_script: PathBuf,
}

impl Peers {
    /// The program that plays this speaker, and the script that it runs.
    #[must_use]
    pub fn speaker(&self, speaker: Speaker) -> (&PathBuf, Option<&PathBuf>) {
        match speaker {
            Speaker::Ours => (&self.program, None),
            Speaker::Gss => (&self.c_peer, None),
            Speaker::Python => (&self.python, Some(&self.python_peer)),
        }
    }
}

/// Finds the peers, and builds what is built from this repository. `None` only if the caller set
/// [`NO_PEERS`].
///
/// `TRIHOUND_PROGRAM`, `TRIHOUND_C_PEER`, `TRIHOUND_PYTHON` (one with pyspnego) and `TRIHOUND_KDC_SCRIPT`
/// name what is there already.
///
/// # Errors
///
/// What is missing, and the packages that have it.
pub fn find() -> Result<Option<Peers>, Failure> {
    if env::var(NO_PEERS).is_ok_and(|value| value == "1") {
        return Ok(None);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(tool, _)| !is_installed(tool))
        .map(|(_, package)| *package)
        .collect();
    let c_peer = match env::var_os("TRIHOUND_C_PEER") {
        Some(path) => PathBuf::from(path),
        None if is_installed("cc") => build_c_peer(&root)?,
        None => {
            missing.extend(["gcc", "libkrb5-dev"]);
            PathBuf::new()
        }
    };
    if !Path::new(MECHANISMS.0).join(MECHANISMS.1).exists() {
        missing.push("gss-ntlmssp");
    }
    missing.dedup();
    if !missing.is_empty() {
        return Err(Failure::new(format!(
            "real peers are absent: install the packages {} (Debian's names), or set {NO_PEERS}=1 to go without \
             the tests that need them",
            missing.join(" ")
        )));
    }
    let kdc_script = env::var_os("TRIHOUND_KDC_SCRIPT")
        .map_or_else(|| root.join("fixtures/mit-kdc/kdc.sh"), PathBuf::from);
    let program = match env::var_os("TRIHOUND_PROGRAM") {
        Some(path) => PathBuf::from(path),
        None => build_program(&root)?,
    };
    let python = match env::var_os("TRIHOUND_PYTHON") {
        Some(path) => PathBuf::from(path),
        None => make_python(&root)?,
    };
    let python_peer = root.join("tests/interop/python/peer.py");
    for path in [&program, &c_peer, &kdc_script, &python, &python_peer] {
        if !path.exists() {
            return Err(Failure::new(format!("{} is not there", path.display())));
        }
    }
    Ok(Some(Peers {
        program,
        c_peer,
        python,
        python_peer,
        kdc_script,
    }))
}

fn is_installed(tool: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(system)
        .any(|folder| folder.join(tool).is_file())
}

/// The folder of the profile that this program was built with, such as `target/debug`.
fn profile_folder() -> Result<PathBuf, Failure> {
    let own = env::current_exe()?;
    own.ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"))
        .map(Path::to_path_buf)
        .ok_or_else(|| Failure::new(format!("{} lies in no folder", own.display())))
}

fn build_program(root: &Path) -> Result<PathBuf, Failure> {
    let folder = profile_folder()?;
    let target = folder.parent().unwrap_or(&folder);
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["build", "-q", "-p", "trihound-cli", "--target-dir"])
        .arg(target);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    // Not run_to_end: a build may take longer than any peer.
    let output = command.output()?;
    if !output.status.success() {
        return Err(Failure::new(format!(
            "the trihound program does not build: {}",
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    Ok(folder.join("trihound"))
}

/// The virtual environment of tests/interop/python, made if it is not there.
fn make_python(root: &Path) -> Result<PathBuf, Failure> {
    let mut command = Command::new("bash");
    command
        .arg(root.join("tests/interop/python/venv.sh"))
        .arg(profile_folder()?.join("../peers"));
    // Not run_to_end: what pip fetches may take longer than any peer.
    let output = command.output()?;
    if !output.status.success() {
        return Err(Failure::new(format!(
            "there is no Python with pyspnego; it needs the packages python3-venv and python3-gssapi, and pip \
             its index: {}",
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    Ok(PathBuf::from(
        String::from_utf8_lossy(&output.stdout).trim(),
    ))
}

/// Built again only if a source is newer; moved into place whole, since another run may be using the old one.
fn build_c_peer(root: &Path) -> Result<PathBuf, Failure> {
    let sources = root.join("tests/interop/c");
    let folder = profile_folder()?.join("../peers");
    fs::create_dir_all(&folder)?;
    let peer = folder.join("peer");
    let newest = ["peer.c", "frames.h", "messages.h", "session.h"]
        .iter()
        .map(|source| fs::metadata(sources.join(source))?.modified())
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .max();
    if fs::metadata(&peer).and_then(|file| file.modified()).ok() > newest {
        return Ok(peer);
    }
    let own = folder.join(format!("peer.{}", std::process::id()));
    let mut command = Command::new("cc");
    command
        .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-o"])
        .arg(&own)
        .arg(sources.join("peer.c"))
        .arg("-lgssapi_krb5");
    let built: Finished = run_to_end(command, "")?;
    if !built.success() {
        return Err(Failure::new(format!(
            "the C peer does not build; it needs the package libkrb5-dev. {built}"
        )));
    }
    fs::rename(&own, &peer)?;
    Ok(peer)
}
