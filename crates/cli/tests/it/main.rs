//! The program as a person runs it, without real peers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod caches;
mod embedded;
mod keytabs;
mod options;
mod output;
mod pages;
mod peers;
#[cfg(target_os = "linux")]
mod secrets;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory of the test's own, removed with it, and the program in it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("trihound-cli-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        let config = "[libdefaults]\n default_realm = TEST.EXAMPLE\n dns_lookup_kdc = false\n";
        fs::write(path.join("krb5.conf"), config).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The program, with nothing of the user's own environment.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trihound"));
        command
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .env("KRB5_CONFIG", self.0.join("krb5.conf"))
            .env(
                "KRB5CCNAME",
                format!("FILE:{}", self.0.join("cc").display()),
            )
            .env("TZ", "UTC")
            .env_remove("KRB5_TRACE")
            .env_remove("TRIHOUND_NTLM")
            .env_remove("NTLM_USER_FILE")
            .env_remove("NTLM_HASH_FILE")
            .env_remove("KRB5_KTNAME")
            .env_remove("KRB5_CLIENT_KTNAME");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Done::new(self.program(arguments).output().unwrap())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output, without the question for a password.
    fn shown(&self) -> &str {
        match self.stdout.split_once(": \n") {
            Some((question, rest)) if question.starts_with("Password for ") => rest,
            _ => &self.stdout,
        }
    }

    /// It ended with this status and said this on standard error, among other things.
    #[track_caller]
    pub(crate) fn refused(&self, status: i32, text: &str) {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert!(self.stderr.contains(text), "{text}: {self:?}");
        assert_eq!(self.shown(), "", "{self:?}");
    }

    /// It succeeded without a complaint.
    #[track_caller]
    pub(crate) fn said(&self) -> &str {
        assert_eq!(self.status, Some(0), "{self:?}");
        assert_eq!(self.stderr, "", "{self:?}");
        &self.stdout
    }
}
