//! Tools, and what is built with them.

use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

pub(crate) fn include() -> PathBuf {
    root().join("crates/abi/include")
}

/// A directory that goes with the value.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "trihound-c-abi-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a tool is there; where tools are required, that it is.
pub(crate) fn have(tool: &str) -> bool {
    let there = Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let required = env::var("TRIHOUND_PEERS").is_ok_and(|value| value == "required");
    assert!(there || !required, "{tool} is not installed");
    if !there {
        eprintln!("not run: {tool} is not installed");
    }
    there
}

/// Runs a command to its end, for so long at most.
pub(crate) fn run(command: &mut Command, patience: Duration) -> Output {
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut err = child.stderr.take().unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        err.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let writer = thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > patience {
            child.kill().unwrap();
            let _ = child.wait();
            panic!("{command:?} does not end");
        }
        thread::sleep(Duration::from_millis(5));
    };
    Output {
        status,
        stdout: writer.join().unwrap(),
        stderr: reader.join().unwrap(),
    }
}

/// What a program printed, both streams.
pub(crate) fn printed(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs a command that has to succeed, and gives what it printed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = run(command, Duration::from_secs(600));
    let text = printed(&output);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}",
        output.status
    );
    text
}

fn build(package: &str, kind: &str) {
    succeed(
        Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["build", "-q", "-p", package, kind]),
    );
}

/// The folder that cargo builds into.
fn built() -> PathBuf {
    // This program is in deps/ of it.
    let own = env::current_exe().unwrap();
    own.parent().and_then(Path::parent).unwrap().to_path_buf()
}

/// The folder with the examples of the crate `trihound`.
pub(crate) fn build_examples() -> PathBuf {
    static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();
    let folder = EXAMPLES.get_or_init(|| {
        env::var_os("TRIHOUND_EXAMPLES").map_or_else(
            || {
                build("trihound", "--examples");
                built().join("examples")
            },
            PathBuf::from,
        )
    });
    folder.clone()
}

/// libtrihound_sspi.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        env::var_os("TRIHOUND_SSPI_LIBRARY").map_or_else(
            || {
                build("trihound-abi", "--lib");
                built().join(format!("libtrihound_sspi.{}", env::consts::DLL_EXTENSION))
            },
            PathBuf::from,
        )
    })
}

/// The program `trihound`.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        env::var_os("TRIHOUND_PROGRAM").map_or_else(
            || {
                build("trihound-cli", "--bins");
                built().join("trihound")
            },
            PathBuf::from,
        )
    })
}

/// Compiles the C test program, with these flags besides.
pub(crate) fn compile(folder: &Path, flags: &[&str]) -> PathBuf {
    let made = folder.join("c-abi");
    let sources = root().join("tests/c-abi/c");
    let mut command = Command::new("gcc");
    command
        .args(["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror"])
        .args(flags)
        .arg("-I")
        .arg(include())
        .arg("-o")
        .arg(&made);
    for name in [
        "main",
        "system",
        "session",
        "matrix",
        "exports",
        "arguments",
        "truncated",
        "logins",
        "moving",
        "onward",
        "threads",
    ] {
        command.arg(sources.join(format!("{name}.c")));
    }
    succeed(command.args(["-lpthread", "-ldl"]));
    made
}
