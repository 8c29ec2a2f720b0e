//! Keytabs by name: read when they have changed, changed in place under the lock that MIT's programs
//! take, old keys kept in service while tickets in them may live.

mod file;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use trihound_krb5::{Keytab, KeytabEdit, KeytabEntry, ReplacedKeys, StoreError};
use trihound_sansio::{Clock, SystemClock};
use trihound_secret::SecretBytes;

use super::files::write_atomically;
use super::names::KeytabName;

/// A change may leave a file's times as they were for as long as the file system's clock stands still;
/// FAT's does for two seconds.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// A keytab by its name. Nothing is opened before it is needed; clones of an `Arc` share what was read.
///
/// `FILE:` keytabs are locked as MIT's programs lock them, shared for reading and exclusively for
/// writing, so that neither side's `ktadd` loses the other's entries. `MEMORY:` keytabs of one name are
/// one keytab in the whole process, which ends with the last [`NamedKeytab`] of that name.
pub struct NamedKeytab {
    name: KeytabName,
    place: Place,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

enum Place {
    File(PathBuf),
    Memory(Arc<MemoryKeytab>),
}

impl fmt::Debug for NamedKeytab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedKeytab({})", self.name)
    }
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    replaced: ReplacedKeys,
}

/// The content as it was read last.
#[derive(Debug)]
struct Held {
    stamp: Option<Stamp>,
    /// Whether a change since then would show in the stamp.
    settled: bool,
    bytes: SecretBytes,
    /// What is there.
    current: Arc<Keytab>,
    /// That, and the replaced keys that are still good.
    serving: Arc<Keytab>,
}

/// `None` until it is made.
#[derive(Debug, Default)]
struct MemoryKeytab(Mutex<Option<Arc<Keytab>>>);

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    /// Device, inode, and the time of the last change of anything, in seconds and nanoseconds.
    identity: (u64, u64, i64, i64),
}

/// Reads a keytab file once.
pub(super) fn read_file(path: &Path) -> Result<Keytab, StoreError> {
    let (bytes, metadata) = file::read(path).map_err(|error| file::told(path, &error))?;
    file::warn_if_open_to_all(path, &metadata);
    Keytab::parse(bytes.expose()).map_err(|error| file::unusable(path, &error))
}

/// Writes a keytab file whole.
pub(super) fn write_file(path: &Path, keytab: &Keytab) -> Result<(), StoreError> {
    let bytes = keytab
        .to_bytes()
        .map_err(|error| file::unusable(path, &error))?;
    write_atomically(path, bytes.expose()).map_err(|error| file::unusable(path, &error))
}

impl NamedKeytab {
    /// A handle on the keytab of this name.
    #[must_use]
    pub fn open(name: KeytabName) -> Self {
        Self::with_clock(name, Arc::new(SystemClock))
    }

    /// As [`Self::open`], with a clock of the caller's for the end of replaced keys.
    #[must_use]
    pub fn with_clock(name: KeytabName, clock: Arc<dyn Clock>) -> Self {
        let place = match &name {
            KeytabName::Memory(name) => Place::Memory(MemoryKeytab::named(name)),
            KeytabName::File(path) => Place::File(path.clone()),
        };
        Self {
            name,
            place,
            clock,
            state: Mutex::default(),
        }
    }

    /// For how long after their successors came replaced keys stay in service: by default
    /// [`ReplacedKeys::LIFETIME`]. Zero is for where a key is exchanged because somebody stole it.
    #[must_use]
    pub fn serving_replaced_keys_for(self, lifetime: Duration) -> Self {
        self.state().replaced = ReplacedKeys::new(lifetime);
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &KeytabName {
        &self.name
    }

    /// The keys that are there now.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoKeytab`] when there is no such keytab, [`StoreError::Unusable`] when it cannot be
    /// read or is damaged.
    pub fn read(&self) -> Result<Arc<Keytab>, StoreError> {
        let mut state = self.state();
        Ok(Arc::clone(&self.refresh(&mut state)?.current))
    }

    /// The keys that a service needs now: those that are there, and those that newer ones have replaced
    /// since this handle first looked, for as long as tickets encrypted in them may live. As long as
    /// nothing changes it is the same `Arc`.
    ///
    /// # Errors
    ///
    /// Those of [`Self::read`].
    pub fn serving(&self) -> Result<Arc<Keytab>, StoreError> {
        let mut state = self.state();
        Ok(Arc::clone(&self.refresh(&mut state)?.serving))
    }

    /// Makes an empty keytab if there is none of this name; a file is readable by its owner alone. Tells
    /// whether it was made.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`] when the file cannot be made.
    pub fn create(&self) -> Result<bool, StoreError> {
        match &self.place {
            Place::Memory(memory) => Ok(memory.create()),
            Place::File(path) => file::create(path),
        }
    }

    /// Changes the keytab by what `change` makes of its content, while every other writer waits.
    ///
    /// New entries come together or not at all, also if the machine stops meanwhile; deleted keys are
    /// overwritten.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoKeytab`] when there is no such keytab, [`StoreError::Unusable`] when it is damaged
    /// or cannot be written.
    pub fn edit(&self, change: impl FnOnce(&Keytab) -> KeytabEdit) -> Result<(), StoreError> {
        match &self.place {
            Place::Memory(memory) => memory
                .edit(change)
                .then_some(())
                .ok_or_else(|| self.missing()),
            Place::File(path) => file::edit(path, change),
        }
    }

    /// Adds entries, to a keytab that is made if there is none.
    ///
    /// # Errors
    ///
    /// As [`Self::create`] and [`Self::edit`].
    pub fn add(&self, entries: Vec<KeytabEntry>) -> Result<(), StoreError> {
        self.create()?;
        self.edit(|_| KeytabEdit {
            add: entries,
            remove: Vec::new(),
        })
    }

    /// Deletes the entries that `which` picks, and tells how many these were.
    ///
    /// # Errors
    ///
    /// As [`Self::edit`].
    pub fn remove(&self, which: impl Fn(&KeytabEntry) -> bool) -> Result<usize, StoreError> {
        let mut count = 0;
        self.edit(|keytab| {
            let remove: Vec<usize> = (0..)
                .zip(keytab.entries())
                .filter(|(_, entry)| which(entry))
                .map(|(index, _)| index)
                .collect();
            count = remove.len();
            KeytabEdit {
                add: Vec::new(),
                remove,
            }
        })?;
        Ok(count)
    }

    /// A panic elsewhere leaves the state as whole as it was: it is exchanged in one piece.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh<'a>(&self, state: &'a mut State) -> Result<&'a Held, StoreError> {
        match &self.place {
            Place::Memory(memory) => {
                let current = memory.get().ok_or_else(|| self.missing())?;
                self.hold(state, current, SecretBytes::default(), None, true);
            }
            Place::File(path) => {
                let known = state.held.as_ref().is_some_and(|held| {
                    held.settled && held.stamp.is_some() && held.stamp == Stamp::of_path(path)
                });
                if !known {
                    self.read_again(path, state)?;
                }
            }
        }
        self.expire(state);
        state.held.as_ref().ok_or_else(|| self.missing())
    }

    fn read_again(&self, path: &Path, state: &mut State) -> Result<(), StoreError> {
        let now = SystemTime::now();
        let (bytes, metadata) = file::read(path).map_err(|error| file::told(path, &error))?;
        let stamp = Stamp::of(&metadata);
        let settled = stamp.is_older_than(now);
        if let Some(held) = &mut state.held
            && held.bytes.equals(bytes.expose())
        {
            held.stamp = Some(stamp);
            held.settled = settled;
            return Ok(());
        }
        let parsed = Keytab::parse(bytes.expose()).map_err(|error| file::unusable(path, &error))?;
        tracing::debug!(
            keytab = %self.name,
            "Read {} entries of keytab {}",
            parsed.entries().len(),
            self.name
        );
        file::warn_if_open_to_all(path, &metadata);
        self.hold(state, Arc::new(parsed), bytes, Some(stamp), settled);
        Ok(())
    }

    fn hold(
        &self,
        state: &mut State,
        current: Arc<Keytab>,
        bytes: SecretBytes,
        stamp: Option<Stamp>,
        settled: bool,
    ) {
        let serving = match &state.held {
            Some(held) if Arc::ptr_eq(&held.current, &current) => return,
            Some(held) => {
                let serving = state
                    .replaced
                    .exchange(&held.current, &current, self.clock.now());
                if !state.replaced.is_empty() {
                    tracing::debug!(
                        keytab = %self.name,
                        "Keytab {} has changed; {} replaced keys stay in service until their tickets end",
                        self.name,
                        state.replaced.len()
                    );
                }
                serving
            }
            None => Arc::clone(&current),
        };
        state.held = Some(Held {
            stamp,
            settled,
            bytes,
            current,
            serving,
        });
    }

    fn expire(&self, state: &mut State) {
        let Some(end) = state.replaced.next_end() else {
            return;
        };
        let now = self.clock.now();
        if now >= end
            && let Some(held) = &mut state.held
        {
            held.serving = state.replaced.expire(&held.current, now);
        }
    }

    fn missing(&self) -> StoreError {
        StoreError::NoKeytab {
            reason: format!("{} was not made in this process", self.name),
        }
    }
}

impl MemoryKeytab {
    /// The one of that name in this process.
    fn named(name: &str) -> Arc<Self> {
        static NAMED: OnceLock<Mutex<HashMap<String, Weak<MemoryKeytab>>>> = OnceLock::new();
        let mut named = NAMED
            .get_or_init(Mutex::default)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = named.get(name).and_then(Weak::upgrade) {
            return there;
        }
        named.retain(|_, keytab| keytab.strong_count() > 0);
        let made = Arc::new(Self::default());
        named.insert(name.to_owned(), Arc::downgrade(&made));
        made
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Keytab>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> Option<Arc<Keytab>> {
        self.lock().clone()
    }

    fn create(&self) -> bool {
        let mut keytab = self.lock();
        let is_new = keytab.is_none();
        keytab.get_or_insert_default();
        is_new
    }

    /// `false` when it was not made yet.
    fn edit(&self, change: impl FnOnce(&Keytab) -> KeytabEdit) -> bool {
        let mut held = self.lock();
        let Some(keytab) = held.as_ref() else {
            return false;
        };
        let edit = change(keytab);
        if edit.is_empty() {
            return true;
        }
        let mut changed = Keytab::new();
        for (index, entry) in keytab.entries().iter().enumerate() {
            if !edit.remove.contains(&index) {
                changed.push_shared(Arc::clone(entry));
            }
        }
        for entry in edit.add {
            changed.push(entry);
        }
        *held = Some(Arc::new(changed));
        true
    }
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt;
            (
                metadata.dev(),
                metadata.ino(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            )
        };
        #[cfg(not(unix))]
        let identity = (0, 0, 0, 0);
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            identity,
        }
    }

    fn of_path(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::of(&metadata))
    }

    /// Whether the file was left alone for long enough that the next change gives it another time. A
    /// time in the future tells nothing.
    fn is_older_than(&self, now: SystemTime) -> bool {
        let changed = u64::try_from(self.identity.2).unwrap_or_default();
        let changed = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(changed));
        [self.modified, changed].into_iter().all(|time| {
            time.and_then(|time| now.duration_since(time).ok())
                .is_some_and(|age| age > SETTLED_AFTER)
        })
    }
}
