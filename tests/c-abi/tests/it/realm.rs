//! A realm for the C programs: `trihound kdc`, a login, and accounts for NTLM.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::tools::{Scratch, program};

const REALM: &str = include_str!("../../realm.toml");

/// One realm and one login; ends with the value.
pub(crate) struct Realm {
    kdc: Child,
    scratch: Scratch,
}

impl Realm {
    /// Starts the KDC, and logs alice in.
    pub(crate) fn start() -> Self {
        let scratch = Scratch::new();
        let folder = scratch.path();
        fs::write(folder.join("realm.toml"), REALM).unwrap();
        fs::write(folder.join("ntlm-users"), "CTEST:alice:Wonder-Land-7\n").unwrap();
        let mut kdc = Command::new(program())
            .arg("kdc")
            .arg(folder.join("realm.toml"))
            .arg("--krb5-conf")
            .arg(folder.join("krb5.conf"))
            .arg("--keytab")
            .arg(folder.join("service.keytab"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(kdc.stdout.take().unwrap()).lines();
        let ready = lines.any(|line| line.unwrap().starts_with("listening "));
        // What it says later goes nowhere, and must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let realm = Self { kdc, scratch };
        assert!(ready, "trihound kdc does not serve");
        realm.login();
        realm
    }

    fn login(&self) {
        let mut kinit = self.environment(Command::new(program()));
        let mut child = kinit
            .args(["kinit", "-f", "alice"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "Wonder-Land-7").unwrap();
        assert!(child.wait().unwrap().success(), "kinit fails");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A command with this realm as its environment, and nothing else of what leads to one.
    pub(crate) fn environment(&self, mut command: Command) -> Command {
        command
            .env_remove("KRB5_CLIENT_KTNAME")
            .env_remove("LM_COMPAT_LEVEL")
            .env_remove("NTLM_HASH_FILE")
            .env_remove("TRIHOUND_CONTEXT_KEY_FILE")
            .env("KRB5_CONFIG", self.file("krb5.conf"))
            .env("KRB5_KTNAME", self.file("service.keytab"))
            .env("KRB5CCNAME", format!("FILE:{}", self.file("cc").display()))
            .env("NTLM_USER_FILE", self.file("ntlm-users"))
            .env("TRIHOUND_NTLM", "allow");
        command
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        let _ = self.kdc.kill();
        let _ = self.kdc.wait();
    }
}
