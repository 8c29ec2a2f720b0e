//! The peers and the realm that the tests share, and the programs in it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use trihound_interop::{Failure, Finished, NO_PEERS, Peers, Realm, Scratch, find, run_to_end};

/// The real peers; `None` where the caller wants to go without, which is said loudly.
pub(crate) fn peers() -> Option<&'static Peers> {
    static PEERS: OnceLock<Result<Option<Peers>, Failure>> = OnceLock::new();
    match PEERS.get_or_init(find) {
        Ok(Some(peers)) => Some(peers),
        Ok(None) => {
            eprintln!("SKIPPED for want of real peers: {NO_PEERS} is set");
            None
        }
        Err(failure) => panic!("{failure}"),
    }
}

/// One MIT realm for the tests that run at a time; its KDC ends with the last of them.
pub(crate) fn realm(peers: &Peers) -> Arc<Realm> {
    static SHARED: Mutex<Weak<Realm>> = Mutex::new(Weak::new());
    let mut shared = SHARED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(realm) = shared.upgrade() {
        return realm;
    }
    let realm = Arc::new(Realm::start(peers).unwrap_or_else(|failure| panic!("{failure}")));
    *shared = Arc::downgrade(&realm);
    realm
}

/// A test's own place in the realm.
pub(crate) struct World {
    pub(crate) peers: &'static Peers,
    pub(crate) realm: Arc<Realm>,
    pub(crate) scratch: Scratch,
}

/// Which of the two makes of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Ours,
    Mit,
}

pub(crate) const BOTH: [Make; 2] = [Make::Ours, Make::Mit];

impl Make {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Ours => Self::Mit,
            Self::Mit => Self::Ours,
        }
    }

    /// The program of this make, with the tool's name as subcommand where it is one.
    pub(crate) fn tool(self, peers: &Peers, name: &str) -> (std::path::PathBuf, Option<String>) {
        match self {
            Self::Ours => (peers.program.clone(), Some(name.to_owned())),
            Self::Mit => (name.into(), None),
        }
    }
}

impl World {
    pub(crate) fn new() -> Option<Self> {
        let peers = peers()?;
        Some(Self {
            peers,
            realm: realm(peers),
            scratch: Scratch::new().unwrap(),
        })
    }

    /// A tool of either make over one of the test's caches.
    pub(crate) fn tool<A: AsRef<OsStr>>(
        &self,
        make: Make,
        cache: &str,
        name: &str,
        arguments: &[A],
    ) -> Command {
        let (program, subcommand) = make.tool(self.peers, name);
        let mut command = self.realm.command(program, &self.scratch.cache(cache));
        command.args(subcommand).args(arguments);
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(
        &self,
        make: Make,
        cache: &str,
        name: &str,
        arguments: &[A],
    ) -> Finished {
        finished(self.tool(make, cache, name, arguments), "")
    }

    /// Logs a user in; MIT's kinit reads a password that is no terminal's, too.
    pub(crate) fn kinit(
        &self,
        make: Make,
        cache: &str,
        arguments: &[&str],
        password: &str,
    ) -> Finished {
        let command = self.tool(make, cache, "kinit", arguments);
        finished(command, &format!("{password}\n"))
    }

    pub(crate) fn logged_in(&self, make: Make, cache: &str, arguments: &[&str]) {
        succeeded(&self.kinit(make, cache, arguments, "Wonder-Land-7"));
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.realm.directory().join(name).display().to_string()
    }
}

pub(crate) fn finished(command: Command, input: &str) -> Finished {
    run_to_end(command, input).unwrap_or_else(|failure| panic!("{failure}"))
}

#[track_caller]
pub(crate) fn succeeded(finished: &Finished) {
    assert!(finished.success(), "{finished}");
}

/// It failed as MIT's tools do: status 1, and standard error that has one of these texts.
#[track_caller]
pub(crate) fn refused(finished: &Finished, texts: &[&str]) {
    assert_eq!(finished.status.code(), Some(1), "{finished}");
    assert!(
        texts.iter().any(|text| finished.stderr.contains(text)),
        "{finished}"
    );
}

/// The file that figures are added to, for whoever runs the tests and wants to see them.
const FIGURES: &str = "TRIHOUND_FIGURES";

/// Tells what was measured: on standard output, and in the file that `TRIHOUND_FIGURES` names.
pub(crate) fn report(lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    print!("{text}");
    if let Some(path) = std::env::var_os(FIGURES).filter(|path| !path.is_empty()) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        // In one piece: others add theirs meanwhile.
        file.write_all(text.as_bytes()).unwrap();
    }
}

/// The lines that say something, as a set. Blanks, rules and the year's century are left out: MIT's
/// tools have them as the terminal's width and the locale want.
pub(crate) fn lines(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(|line| {
            let words: Vec<String> = line.split_whitespace().map(short_year).collect();
            words.join(" ")
        })
        .filter(|line| line.contains(|letter| letter != '-' && letter != ' '))
        .collect()
}

/// MM/DD/YYYY as MM/DD/YY.
fn short_year(word: &str) -> String {
    match word.split('/').collect::<Vec<_>>()[..] {
        [month, day, year] if year.len() == 4 && year.parse::<u16>().is_ok() => {
            format!("{month}/{day}/{}", &year[2..])
        }
        _ => word.to_owned(),
    }
}
