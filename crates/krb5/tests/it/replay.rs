//! The replay cache: one use, bounded, nothing live forgotten.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use trihound_krb5::replay::check;
use trihound_krb5::{MemoryReplayCache, Principal, ReplayCache, ReplayEntry, ReplayError};
use trihound_sansio::Timestamp;

const SKEW: Duration = Duration::from_secs(300);
const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

fn name(text: &str) -> Principal {
    Principal::parse(text, None).unwrap()
}

fn entry(cipher: &[u8], now: Timestamp) -> ReplayEntry {
    ReplayEntry::new(&name("alice@R"), now, cipher, now, SKEW)
}

fn numbered(number: u32, now: Timestamp) -> ReplayEntry {
    entry(&number.to_be_bytes(), now)
}

fn replayed() -> ReplayError {
    ReplayError::ReplayedAuthenticator {
        client: "alice@R".into(),
    }
}

/// Conformance row 11.
#[test]
fn row_11_an_authenticator_is_good_for_one_use() {
    let cache = MemoryReplayCache::default();
    let first = entry(b"cipher", NOW);
    check(&cache, &first, NOW).unwrap();
    assert_eq!(check(&cache, &first, NOW).unwrap_err(), replayed());
    // A second later it comes with the same time and another expiry, and is the same.
    let later = NOW.plus(Duration::from_secs(1));
    let again = ReplayEntry::new(&name("alice@R"), NOW, b"cipher", later, SKEW);
    assert_eq!(cache.check_and_store(&again, later), Err(replayed()));
    assert_eq!(cache.len(), 1);
}

/// Conformance row 11: the hash covers cipher text, client, ctime and cusec, each apart.
#[test]
fn row_11_every_part_counts_in_the_hash() {
    let make = |client: &str, micros: i64, cipher: &[u8]| {
        let ctime = NOW.shifted(micros);
        *ReplayEntry::new(&name(client), ctime, cipher, NOW, SKEW).hash()
    };
    let all = [
        make("alice@R", 0, b"cipher"),
        make("alice@R", 0, b"ciphes"),
        make("alice@R", 0, b"cipher\0"),
        make("alice@R", 1, b"cipher"),
        make("alice@R", 1_000_000, b"cipher"),
        make("alice@S", 0, b"cipher"),
        make("bob@R", 0, b"cipher"),
        // The same bytes in a row, cut elsewhere.
        make("al/ice@R", 0, b"cipher"),
        make("ali/ce@R", 0, b"cipher"),
        make(r"al\/ice@R", 0, b"cipher"),
        make("lice@Ra", 0, b"cipher"),
    ];
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    // A name ends where it ends, also where a component could be the realm.
    let none: [&str; 0] = [];
    let of = |client: &Principal| *ReplayEntry::new(client, NOW, b"cipher", NOW, SKEW).hash();
    assert_ne!(
        of(&Principal::new("alice", 1, none)),
        of(&Principal::new("", 1, ["alice"]))
    );
    assert_eq!(all[0], make("alice@R", 0, b"cipher"));
}

/// Conformance row 11: kept for twice the skew, the last moment included, and then dropped.
#[test]
fn row_11_an_entry_is_kept_for_twice_the_skew() {
    let cache = MemoryReplayCache::new(1);
    let one = entry(b"one", NOW);
    assert_eq!(one.expires(), NOW.plus(SKEW * 2));
    check(&cache, &one, NOW).unwrap();
    assert_eq!(cache.check_and_store(&one, one.expires()), Err(replayed()));
    let full = Err(ReplayError::ReplayCacheFull { capacity: 1 });
    assert_eq!(
        cache.check_and_store(&entry(b"two", NOW), one.expires()),
        full
    );
    let past = one.expires().shifted(1);
    check(&cache, &entry(b"two", past), past).unwrap();
    assert_eq!(cache.len(), 1);
}

/// An authenticator from as far ahead as may be is good for the skew from its own time on.
#[test]
fn an_entry_from_ahead_outlives_its_own_acceptance() {
    for ahead in [Duration::ZERO, SKEW, SKEW * 3] {
        let ctime = NOW.plus(ahead);
        let entry = ReplayEntry::new(&name("a@R"), ctime, b"c", NOW, SKEW);
        assert!(entry.expires() >= ctime.plus(SKEW));
        assert!(entry.expires() >= NOW.plus(SKEW * 2));
    }
    let extreme = ReplayEntry::new(
        &name("a@R"),
        Timestamp::MAX,
        b"c",
        Timestamp::MAX,
        Duration::MAX,
    );
    assert_eq!(extreme.expires(), Timestamp::MAX);
}

/// Conformance row 11: full means refusal, and whatever was there is still known.
#[test]
fn row_11_a_full_cache_refuses_and_forgets_nothing() {
    let cache = MemoryReplayCache::new(100);
    for number in 0..100 {
        check(&cache, &numbered(number, NOW), NOW).unwrap();
    }
    for number in 100..200 {
        assert_eq!(
            check(&cache, &numbered(number, NOW), NOW).unwrap_err(),
            ReplayError::ReplayCacheFull { capacity: 100 }
        );
    }
    for number in 0..100 {
        assert_eq!(
            cache.check_and_store(&numbered(number, NOW), NOW),
            Err(replayed())
        );
    }
    let past = NOW.plus(SKEW * 2).shifted(1);
    for number in 100..200 {
        check(&cache, &numbered(number, past), past).unwrap();
    }
    assert_eq!(cache.len(), 100);
}

#[test]
fn a_cache_without_room_refuses_everything() {
    let cache = MemoryReplayCache::new(0);
    assert_eq!(
        check(&cache, &entry(b"one", NOW), NOW).unwrap_err(),
        ReplayError::ReplayCacheFull { capacity: 0 }
    );
    assert!(cache.is_empty());
}

/// A clock that is set back does not open the cache for what it has seen.
#[test]
fn a_clock_set_back_forgets_nothing() {
    let cache = MemoryReplayCache::default();
    let one = entry(b"one", NOW);
    check(&cache, &one, NOW).unwrap();
    let before = NOW.minus(SKEW * 10);
    assert_eq!(cache.check_and_store(&one, before), Err(replayed()));
}

/// Conformance row 11: one cache for all acceptors; of all that try at once, one wins.
#[test]
fn row_11_of_many_threads_one_wins() {
    const THREADS: usize = 8;
    const ENTRIES: u32 = 500;
    let cache = Arc::new(MemoryReplayCache::new(usize::try_from(ENTRIES).unwrap()));
    let wins: Arc<Vec<AtomicUsize>> = Arc::new((0..ENTRIES).map(|_| AtomicUsize::new(0)).collect());
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (cache, wins) = (Arc::clone(&cache), Arc::clone(&wins));
            thread::spawn(move || {
                for (number, wins) in (0..).zip(wins.iter()) {
                    if check(&*cache, &numbered(number, NOW), NOW).is_ok() {
                        wins.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(wins.iter().all(|wins| wins.load(Ordering::SeqCst) == 1));
    assert_eq!(cache.len(), usize::try_from(ENTRIES).unwrap());
}

/// As above with less room than entries: no more than fit get in, and none twice.
#[test]
fn many_threads_do_not_overfill() {
    let cache = Arc::new(MemoryReplayCache::new(150));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let cache = Arc::clone(&cache);
            thread::spawn(move || {
                (0..500)
                    .filter(|&n| check(&*cache, &numbered(n, NOW), NOW).is_ok())
                    .count()
            })
        })
        .collect();
    let won: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!((won, cache.len()), (150, 150));
}

#[test]
fn debug_and_errors_name_the_client_and_not_the_hash() {
    let entry = entry(b"one", NOW);
    let text = format!("{entry:?}");
    assert!(text.contains("alice@R") && !text.contains("hash"), "{text}");
    assert!(replayed().to_string().contains("alice@R"));
}

/// Conformance row 11: components may have any bytes, so each is hashed with its length.
#[test]
fn row_11_no_byte_within_a_name_passes_for_a_border() {
    let of = |components: [String; 2]| {
        let client = Principal::new("R", 1, components.each_ref().map(String::as_str));
        *ReplayEntry::new(&client, NOW, b"c", NOW, SKEW).hash()
    };
    for filler in ["\0", "\u{1}"] {
        let border = filler.repeat(8);
        assert_ne!(
            of([format!("a{border}b"), "c".into()]),
            of(["a".into(), format!("b{border}c")])
        );
    }
}

#[test]
fn a_cache_is_empty_until_it_holds_one() {
    let cache = MemoryReplayCache::new(2);
    assert!(cache.is_empty());
    cache.check_and_store(&entry(b"one", NOW), NOW).unwrap();
    assert!(!cache.is_empty());
    assert_eq!(cache.len(), 1);
}
