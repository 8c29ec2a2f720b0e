//! Old keys of a service whose keytab was exchanged for one with new keys alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use trihound_sansio::Timestamp;

use super::{Keytab, KeytabEntry};

/// Old keys that are held at most: more than a host has services, times a few encryption types.
const MAX_REPLACED: usize = 1024;

/// The keys that newer ones took the place of, for as long as tickets encrypted in them may live.
///
/// A key counts as replaced when the keytab had it, has it no more, and has got, by the same change, a newer
/// version for the same principal, or another key of the same version and type. A key that went without a
/// successor, or whose successor was beside it already, was taken away on purpose, and is not held.
/// Nothing of this is in any file: a program that starts anew knows the keytab alone.
#[derive(Debug)]
pub struct ReplacedKeys {
    lifetime: Duration,
    held: Vec<(Arc<KeytabEntry>, Timestamp)>,
}

impl ReplacedKeys {
    /// How long a service ticket lives at most with the usual settings of KDCs: MIT krb5's `max_life` is
    /// 24 hours, Active Directory's "maximum lifetime for service ticket" 10.
    pub const LIFETIME: Duration = Duration::from_secs(24 * 3600);

    /// Holds keys for `lifetime` after their successors came; zero holds none.
    #[must_use]
    pub fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            held: Vec::new(),
        }
    }

    /// Takes note that `old` has become `new`, and gives the keys that are good now: those of `new`,
    /// then the replaced ones. It is `new` itself when there are none.
    ///
    /// The time counts from when the successor was written according to its entry, since from then on
    /// the KDC has used that one; from now where the entry does not tell.
    #[must_use]
    pub fn exchange(&mut self, old: &Keytab, new: &Arc<Keytab>, now: Timestamp) -> Arc<Keytab> {
        let known = |entry: &KeytabEntry, among: &Keytab| {
            among
                .of_principal(&entry.principal)
                .any(|other| is_same(entry, other))
        };
        // What `old` has of the replaced keys is held already, with its time.
        let mut held: Vec<_> = core::mem::take(&mut self.held)
            .into_iter()
            .filter(|(entry, until)| {
                *until > now
                    && !known(entry, new)
                    && new.of_principal(&entry.principal).next().is_some()
            })
            .collect();
        let before: HashSet<*const KeytabEntry> =
            held.iter().map(|(entry, _)| Arc::as_ptr(entry)).collect();
        for entry in old.entries() {
            if before.contains(&Arc::as_ptr(entry)) || known(entry, new) {
                continue;
            }
            let replaced = new
                .of_principal(&entry.principal)
                // Whoever removes an old key beside a newer one wants it to count no more.
                .filter(|successor| replaces(successor, entry) && !known(successor, old))
                .map(|successor| written(successor, entry).unwrap_or(now).min(now))
                .min();
            if let Some(replaced) = replaced {
                let until = replaced.plus(self.lifetime);
                if until > now {
                    held.push((Arc::clone(entry), until));
                }
            }
        }
        // The newest are needed longest.
        held.sort_by_key(|(_, until)| core::cmp::Reverse(*until));
        held.truncate(MAX_REPLACED);
        self.held = held;
        self.joined(new)
    }

    /// When the first of the replaced keys ends, so that [`Self::expire`] is due.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.held.iter().map(|(_, until)| *until).min()
    }

    /// Drops what has ended at `now`; gives the keys that are left, as [`Self::exchange`] does.
    #[must_use]
    pub fn expire(&mut self, keytab: &Arc<Keytab>, now: Timestamp) -> Arc<Keytab> {
        self.held.retain(|(_, until)| *until > now);
        self.joined(keytab)
    }

    /// How many replaced keys are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no replaced key is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn joined(&self, keytab: &Arc<Keytab>) -> Arc<Keytab> {
        if self.held.is_empty() {
            return Arc::clone(keytab);
        }
        let mut joined = Keytab::new();
        let replaced = self.held.iter().map(|(entry, _)| entry);
        for entry in keytab.entries().iter().chain(replaced) {
            joined.push_shared(Arc::clone(entry));
        }
        Arc::new(joined)
    }
}

/// When the successor's entry was written, if it tells: some programs leave the time at zero, and one before that of
/// the entry which it replaces was not noted either.
fn written(successor: &KeytabEntry, entry: &KeytabEntry) -> Option<Timestamp> {
    let told = successor.timestamp;
    (told.seconds() > 0 && told >= entry.timestamp).then_some(told)
}

impl Default for ReplacedKeys {
    fn default() -> Self {
        Self::new(Self::LIFETIME)
    }
}

fn is_same(one: &KeytabEntry, other: &KeytabEntry) -> bool {
    one.key.enctype() == other.key.enctype()
        && one.matches_kvno(Some(other.kvno))
        && trihound_secret::constant_time_eq(one.key.expose(), other.key.expose())
}

/// Whether the KDC, which has one key of each type for a principal, has this one instead of `entry`.
fn replaces(successor: &KeytabEntry, entry: &KeytabEntry) -> bool {
    let same_version = successor.matches_kvno(Some(entry.kvno));
    if same_version {
        return successor.key.enctype() == entry.key.enctype();
    }
    // Versions of 8 bits wrap; and where both are, only the times tell which is newer.
    if successor.kvno_is_8_bit || entry.kvno_is_8_bit {
        successor.timestamp >= entry.timestamp
    } else {
        successor.kvno > entry.kvno
    }
}
