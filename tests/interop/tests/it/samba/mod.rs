//! Trihound in the domain of a Samba Active Directory domain controller: tickets with PACs, names that
//! Active Directory leads to accounts, Samba's own mechanisms and its `ntlm_auth`.
//!
//! They need root and packages, so they run where they are asked for (`-- --ignored samba::`), which
//! `tests/run.sh --all` does; then a controller that is absent fails them.

mod authorization;
mod contexts;
mod directory;
mod kpasswd;
mod logins;
mod names;
mod script;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use trihound_interop::{Domain, Finished, Peers, Scratch};

use crate::world::{Make, finished, peers, succeeded};

/// The password of alice.
pub(super) const PASSWORD: &str = "Wonder-Land-7";

/// A test's own place in the domain.
pub(super) struct World {
    pub(super) peers: &'static Peers,
    pub(super) domain: Domain,
    pub(super) scratch: Scratch,
}

impl World {
    #[track_caller]
    pub(super) fn new() -> Self {
        Self {
            peers: peers().expect("the tests of a domain were asked for, so peers must be there"),
            domain: Domain::find().unwrap_or_else(|failure| panic!("{failure}")),
            scratch: Scratch::new().unwrap(),
        }
    }

    /// A tool of either make over one of the test's caches.
    pub(super) fn tool<A: AsRef<OsStr>>(
        &self,
        make: Make,
        cache: &str,
        name: &str,
        arguments: &[A],
    ) -> Command {
        let (program, subcommand) = make.tool(self.peers, name);
        let program = match make {
            Make::Ours => std::path::absolute(program).unwrap(),
            Make::Mit => program,
        };
        let mut command = self.domain.command(program, &self.scratch.cache(cache));
        command.args(subcommand).args(arguments);
        command
    }

    pub(super) fn run<A: AsRef<OsStr>>(
        &self,
        make: Make,
        cache: &str,
        name: &str,
        arguments: &[A],
    ) -> Finished {
        finished(self.tool(make, cache, name, arguments), "")
    }

    /// Logs somebody in by password.
    pub(super) fn kinit(
        &self,
        make: Make,
        cache: &str,
        arguments: &[&str],
        password: &str,
    ) -> Finished {
        let command = self.tool(make, cache, "kinit", arguments);
        finished(command, &format!("{password}\n"))
    }

    #[track_caller]
    pub(super) fn logged_in(&self, make: Make, cache: &str, arguments: &[&str]) {
        succeeded(&self.kinit(make, cache, arguments, PASSWORD));
    }

    /// A file of the domain, as text.
    pub(super) fn path(&self, name: &str) -> String {
        self.domain.file(name).display().to_string()
    }

    pub(super) fn realm(&self) -> &str {
        self.domain.variable("SAMBA_REALM")
    }

    /// Whose tickets a cache holds, by MIT's klist.
    #[track_caller]
    pub(super) fn owner(&self, cache: &str) -> String {
        let listed = self.run::<&str>(Make::Mit, cache, "klist", &[]);
        succeeded(&listed);
        let owner = listed
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("Default principal: "));
        owner.unwrap_or_default().to_owned()
    }

    /// The program, as the commands of the domain need it: with its whole path.
    pub(super) fn program(&self) -> PathBuf {
        std::path::absolute(&self.peers.program).unwrap()
    }
}
