//! The resolver of the machine.

use core::time::Duration;
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use tracing::debug;

use super::cache::Cache;
use super::{
    Answer, HostEntry, RecordType, Resolve, ResolveError, ResolverConfig, SearchRules, ask, hosts,
};

/// The longest resolv.conf that is read.
const MAX_LENGTH: u64 = 1024 * 1024;
/// How long a name server that did not react is asked last.
const REMEMBER_SILENT: Duration = Duration::from_secs(60);

/// The resolver of the machine: the name servers of `/etc/resolv.conf`, asked over plain sockets,
/// and `/etc/hosts` for full names.
///
/// What it learns is remembered for as long as the records say, with a limit; a resolv.conf that
/// changes is read again. One value serves any number of threads.
#[derive(Debug)]
pub struct SystemResolver {
    source: Source,
    hosts: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Fixed,
}

/// What tells one content of a file from another without reading it.
type Stamp = Option<(SystemTime, u64)>;

#[derive(Debug, Default)]
struct State {
    config: Option<Arc<ResolverConfig>>,
    stamp: Stamp,
    cache: Cache,
    silent: HashMap<SocketAddr, Instant>,
    turn: usize,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl SystemResolver {
    /// A resolver that reads the machine's configuration when it is first asked.
    #[must_use]
    pub fn new() -> Self {
        Self::at("/etc/resolv.conf", "/etc/hosts")
    }

    /// A resolver over other files than the machine's; one that does not exist is an empty one.
    #[must_use]
    pub fn at(resolv_conf: impl Into<PathBuf>, hosts: impl Into<PathBuf>) -> Self {
        Self {
            source: Source::File(resolv_conf.into()),
            hosts: hosts.into(),
            state: Mutex::default(),
        }
    }

    /// A resolver that asks these name servers, and no hosts file.
    #[must_use]
    pub fn with_config(config: ResolverConfig) -> Self {
        Self {
            source: Source::Fixed,
            hosts: PathBuf::new(),
            state: Mutex::new(State {
                config: Some(Arc::new(config)),
                ..State::default()
            }),
        }
    }

    /// The one that all transports of the process share, and with it what it remembers.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<SystemResolver>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| Arc::new(Self::new())))
    }

    /// Nothing that panics runs under the lock, and whatever state it has is a good one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration, read again if its file changed.
    fn config(&self) -> Arc<ResolverConfig> {
        let mut state = self.state();
        let path = match (&self.source, &state.config) {
            (Source::Fixed, Some(config)) => return Arc::clone(config),
            (Source::Fixed, None) => None,
            (Source::File(path), _) => Some(path),
        };
        let stamp = path.and_then(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        });
        if let Some(config) = &state.config
            && stamp == state.stamp
        {
            return Arc::clone(config);
        }
        let text = path
            .filter(|_| stamp.is_some_and(|(_, length)| length <= MAX_LENGTH))
            .and_then(|path| fs::read(path).ok())
            .unwrap_or_default();
        let config = Arc::new(if stamp.is_none() && !cfg!(unix) {
            // There is no such file on other systems, and no name server of this machine's own.
            ResolverConfig::new(Vec::new())
        } else {
            // What is not UTF-8, in a comment say, does not matter.
            ResolverConfig::parse(&String::from_utf8_lossy(&text))
        });
        state.config = Some(Arc::clone(&config));
        state.stamp = stamp;
        // Other servers may know other names.
        state.cache.clear();
        config
    }

    /// The name servers in the order of asking: those that were silent lately come last.
    fn order(&self, config: &ResolverConfig) -> Vec<SocketAddr> {
        let mut state = self.state();
        state
            .silent
            .retain(|_, since| since.elapsed() < REMEMBER_SILENT);
        let mut servers = config.name_servers.clone();
        if config.rotate && !servers.is_empty() {
            let turn = state.turn % servers.len();
            servers.rotate_left(turn);
            state.turn = turn.wrapping_add(1);
        }
        servers.sort_by_key(|server| state.silent.contains_key(server));
        servers
    }

    fn remember(&self, name: &str, kind: RecordType, outcome: &ask::Outcome) {
        let mut state = self.state();
        let now = Instant::now();
        match &outcome.found {
            Ok((answer, lifetime)) => {
                // Where nobody reacted, none is worse than another.
                for server in &outcome.silent {
                    state.silent.insert(*server, now);
                }
                state.cache.put(name, kind, &Ok(answer.clone()), *lifetime);
            }
            Err(error @ (ResolveError::Silent { .. } | ResolveError::Failed { .. })) => {
                let found = Err(error.clone());
                state.cache.put(name, kind, &found, Duration::ZERO);
            }
            // Nobody was asked, so that asking again costs nothing.
            Err(_) => {}
        }
    }
}

impl Resolve for SystemResolver {
    fn query(&self, name: &str, kind: RecordType) -> Result<Answer, ResolveError> {
        let config = self.config();
        if config.name_servers.is_empty() {
            let file = match &self.source {
                Source::File(path) => path.display().to_string(),
                Source::Fixed => "its configuration".to_owned(),
            };
            return Err(ResolveError::NoNameServers(file));
        }
        if let Some(known) = self.state().cache.get(name, kind, Instant::now()) {
            return known;
        }
        debug!(name, kind = %kind, "asking DNS for {kind} {name}");
        let outcome = ask::ask(&config, &self.order(&config), name, kind);
        self.remember(name, kind, &outcome);
        match outcome.found {
            Ok((answer, _)) => {
                let count = answer.records.len();
                debug!(name, kind = %kind, count, "DNS has {count} records {kind} of {name}");
                Ok(answer)
            }
            Err(error) => {
                debug!(name, kind = %kind, error = %error, "DNS gave no answer: {error}");
                Err(error)
            }
        }
    }

    fn search_rules(&self) -> SearchRules {
        self.config().search.clone()
    }

    fn host_entry(&self, name: &str) -> Option<HostEntry> {
        hosts::find(&hosts::read(&self.hosts), name)
    }
}
