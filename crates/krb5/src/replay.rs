//! The replay cache: an authenticator is good for one use (RFC 4120 sections 3.2.3 and 10).

use core::cmp::Reverse;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::{BinaryHeap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use trihound_crypto::sha256;
use trihound_sansio::Timestamp;

use crate::name::Principal;

/// Locks that [`MemoryReplayCache`] spreads its entries over, so that acceptors on different cores
/// seldom wait for each other. A power of two, at most 256.
const SHARDS: usize = 64;

/// Why an authenticator may not be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayError {
    /// The same authenticator was used before (RFC 4120 section 3.2.3, KRB_AP_ERR_REPEAT).
    #[error(
        "this authenticator of {client} was used before; \
         a client makes a new one for each request, so that it was replayed or sent twice"
    )]
    ReplayedAuthenticator {
        /// Whom the authenticator names.
        client: String,
    },
    /// No room is left and no entry is old enough to go; to forget one would open it for replay.
    #[error(
        "the replay cache is full: {capacity} authenticators within the clock skew; \
         give it more room or wait until the oldest expire"
    )]
    ReplayCacheFull {
        /// How many entries it can hold.
        capacity: usize,
    },
    /// A cache outside of this process did not answer, or not as it should.
    #[error("the replay cache cannot be used: {reason}; the request was refused")]
    Unavailable {
        /// What went wrong.
        reason: String,
    },
}

/// What the replay cache knows of an authenticator: a hash, and until when to keep it.
#[derive(Clone, PartialEq, Eq)]
pub struct ReplayEntry {
    hash: [u8; 32],
    expires: Timestamp,
    client: Principal,
}

impl ReplayEntry {
    /// From an authenticator that was found to be within `skew` of `now`.
    ///
    /// `ctime` has the microseconds of `cusec`; `authenticator_cipher` is the cipher text of the
    /// whole authenticator. The hash is SHA-256 over all of them and the client's name, each behind
    /// its length, so that no two different authenticators meet (conformance row 11).
    ///
    /// The server is not in it. Its name stands in the clear part of the ticket only, and where one
    /// account has several names with one key, as in Active Directory, a changed name would make an
    /// old authenticator look new. The cipher text tells servers apart by itself: it is under the
    /// session key, which no other ticket has.
    ///
    /// It is kept for twice `skew` from `now`: an authenticator may be from up to `skew` ahead, and
    /// is good for `skew` from then on.
    #[must_use]
    pub fn new(
        client: &Principal,
        ctime: Timestamp,
        authenticator_cipher: &[u8],
        now: Timestamp,
        skew: Duration,
    ) -> Self {
        let mut name = Vec::new();
        append(&mut name, client.realm.as_bytes());
        name.extend_from_slice(&length(client.components().count()));
        for component in client.components() {
            append(&mut name, component);
        }
        let hash = sha256(&[
            &name,
            &ctime.total_microseconds().to_be_bytes(),
            &length(authenticator_cipher.len()),
            authenticator_cipher,
        ]);
        Self {
            hash,
            expires: now.plus(skew.saturating_mul(2)).max(ctime.plus(skew)),
            client: client.clone(),
        }
    }

    /// The hash: equal for one and the same authenticator only.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The last moment at which the authenticator could still be accepted.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whom the authenticator names.
    #[must_use]
    pub fn client(&self) -> &Principal {
        &self.client
    }
}

impl fmt::Debug for ReplayEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayEntry")
            .field("client", &self.client.to_string())
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

fn length(length: usize) -> [u8; 8] {
    // No address space is wider than 64 bits.
    u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes()
}

fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&length(bytes.len()));
    out.extend_from_slice(bytes);
}

/// Remembers authenticators until they can no longer be accepted.
///
/// # Security
///
/// Looking and storing is one step: of two calls with equal hashes, also at the same time, one
/// succeeds. An entry that has not expired is never dropped; without room the answer is
/// [`ReplayError::ReplayCacheFull`]. All acceptors of one key share one cache.
pub trait ReplayCache: Send + Sync {
    /// Stores `entry`, if there is none with its hash.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; the authenticator must then be refused.
    fn check_and_store(&self, entry: &ReplayEntry, now: Timestamp) -> Result<(), ReplayError>;
}

/// Proof that a replay cache had not seen the authenticator; only [`check`] makes one.
#[derive(Debug)]
pub struct NotReplayed(());

/// Asks `cache` about `entry` and gives the proof that it was new.
///
/// # Errors
///
/// The cache's own [`ReplayError`].
pub fn check(
    cache: &dyn ReplayCache,
    entry: &ReplayEntry,
    now: Timestamp,
) -> Result<NotReplayed, ReplayError> {
    cache.check_and_store(entry, now)?;
    Ok(NotReplayed(()))
}

/// A replay cache in memory, bounded, for all threads of a process.
pub struct MemoryReplayCache {
    shards: Vec<Mutex<Shard>>,
    /// Entries in all shards together, with those about to be stored.
    count: AtomicUsize,
    capacity: usize,
}

#[derive(Default)]
struct Shard {
    hashes: HashSet<[u8; 32]>,
    oldest_first: BinaryHeap<Reverse<(Timestamp, [u8; 32])>>,
}

impl Shard {
    /// Drops what has expired before `now` and tells how many.
    fn purge(&mut self, now: Timestamp) -> usize {
        let mut dropped = 0;
        while let Some(Reverse((expires, hash))) = self.oldest_first.peek()
            && *expires < now
        {
            self.hashes.remove(hash);
            self.oldest_first.pop();
            dropped += 1;
        }
        dropped
    }
}

impl MemoryReplayCache {
    /// Entries that the default holds: about 40 MB when full, and 1,600 logins a second for
    /// ten minutes (twice the default skew of RFC 4120 section 8.2).
    pub const DEFAULT_CAPACITY: usize = 1_000_000;

    /// A cache with room for `capacity` authenticators.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            count: AtomicUsize::new(0),
            capacity,
        }
    }

    /// How many authenticators are held, expired ones that were not yet dropped included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn reserve(&self) -> bool {
        self.count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < self.capacity).then_some(count.saturating_add(1))
            })
            .is_ok()
    }

    fn release(&self, dropped: usize) {
        self.count.fetch_sub(dropped, Ordering::Relaxed);
    }

    fn purge_all(&self, now: Timestamp) {
        for shard in &self.shards {
            let dropped = lock(shard).purge(now);
            self.release(dropped);
        }
    }
}

/// A panic elsewhere leaves a shard as whole as it was: each operation on it is complete or absent.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for MemoryReplayCache {
    fn default() -> Self {
        Self::new(Self::DEFAULT_CAPACITY)
    }
}

impl fmt::Debug for MemoryReplayCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MemoryReplayCache({} of {} entries)",
            self.len(),
            self.capacity
        )
    }
}

impl ReplayCache for MemoryReplayCache {
    fn check_and_store(&self, entry: &ReplayEntry, now: Timestamp) -> Result<(), ReplayError> {
        let full = ReplayError::ReplayCacheFull {
            capacity: self.capacity,
        };
        let [first, ..] = entry.hash;
        let Some(shard) = self.shards.get(usize::from(first) % SHARDS) else {
            return Err(full);
        };
        // A replay is told from a full cache, so the look comes before the search for room.
        let seen = |shard: &Shard| {
            if shard.hashes.contains(&entry.hash) {
                return Err(ReplayError::ReplayedAuthenticator {
                    client: entry.client.to_string(),
                });
            }
            Ok(())
        };
        let mut held = lock(shard);
        self.release(held.purge(now));
        // RFC 4120 section 3.2.3: an authenticator that is in the cache is KRB_AP_ERR_REPEAT.
        seen(&held)?;
        if !self.reserve() {
            drop(held);
            self.purge_all(now);
            if !self.reserve() {
                return Err(full);
            }
            held = lock(shard);
            // Another thread may have stored it while the lock was off.
            if let Err(replayed) = seen(&held) {
                self.release(1);
                return Err(replayed);
            }
        }
        held.hashes.insert(entry.hash);
        held.oldest_first.push(Reverse((entry.expires, entry.hash)));
        Ok(())
    }
}
