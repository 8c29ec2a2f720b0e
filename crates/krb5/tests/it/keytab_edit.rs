//! Keytab files changed in place, and old keys held past their successors' coming.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use trihound_crypto::Enctype;
use trihound_krb5::{
    KeyMaterial, Keytab, KeytabEdit, KeytabEntry, KeytabError, KeytabWrite, Principal, ReplacedKeys,
};
use trihound_sansio::Timestamp;

const AES128: Enctype = Enctype::AES128_CTS_HMAC_SHA1_96;
const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;

fn entry(name: &str, kvno: u32, time: i64, enctype: Enctype, fill: u8) -> KeytabEntry {
    let length = if enctype == AES256 { 32 } else { 16 };
    KeytabEntry::new(
        Principal::parse(name, Some("R")).unwrap(),
        kvno,
        Timestamp::from_seconds(time),
        KeyMaterial::new(enctype, vec![fill; length].into()),
    )
}

/// One entry as text, to compare with.
fn told(entry: &KeytabEntry) -> String {
    format!(
        "{} {} {} {:?}",
        entry.principal,
        entry.kvno,
        entry.key.enctype(),
        entry.key.expose()
    )
}

fn all(bytes: &[u8]) -> Vec<String> {
    let keytab = Keytab::parse(bytes).unwrap();
    keytab.entries().iter().map(|entry| told(entry)).collect()
}

fn write(file: &mut Vec<u8>, write: &KeytabWrite, length: usize) {
    let bytes = &write.bytes.expose()[..length];
    // As a file system does: what lies between the old end and the place is zero.
    file.resize(file.len().max(write.offset + bytes.len()), 0);
    file[write.offset..write.offset + bytes.len()].copy_from_slice(bytes);
}

fn applied(file: &[u8], edit: &KeytabEdit) -> Vec<u8> {
    let mut file = file.to_vec();
    for write_ in edit.plan(&file).unwrap().iter().flatten() {
        write(&mut file, write_, write_.bytes.len());
    }
    file
}

fn add(entries: Vec<KeytabEntry>) -> KeytabEdit {
    KeytabEdit {
        add: entries,
        remove: Vec::new(),
    }
}

fn remove(indexes: &[usize]) -> KeytabEdit {
    KeytabEdit {
        add: Vec::new(),
        remove: indexes.to_vec(),
    }
}

#[test]
fn a_new_file_has_what_was_added() {
    let file = applied(&[], &add(vec![entry("host/a", 1, 7, AES128, 1)]));
    let whole: Keytab = [entry("host/a", 1, 7, AES128, 1)].into_iter().collect();
    assert_eq!(file, whole.to_bytes().unwrap().expose());
    // What exists already is not written again.
    let second = add(vec![entry("host/b", 2, 7, AES256, 2)]);
    let more = applied(&file, &second);
    assert!(more.starts_with(&file));
    assert_eq!(all(&more).len(), 2);
}

#[test]
fn a_deleted_entry_leaves_a_hole_without_its_key() {
    let file = applied(
        &[],
        &add(vec![
            entry("host/a", 1, 0, AES128, 0xa1),
            entry("host/b", 1, 0, AES128, 0xb1),
        ]),
    );
    let less = applied(&file, &remove(&[0]));
    assert_eq!(less.len(), file.len(), "the file is changed in place");
    assert_eq!(all(&less), [told(&entry("host/b", 1, 0, AES128, 0xb1))]);
    assert!(!less.contains(&0xa1), "the key is overwritten");
}

#[test]
fn holes_are_used_again() {
    let names = ["host/a", "host/b", "host/c", "host/d"];
    let entries = names.iter().map(|name| entry(name, 1, 0, AES128, 1));
    let file = applied(&[], &add(entries.collect()));
    // One that fits exactly.
    let holed = applied(&file, &remove(&[1]));
    let filled = applied(&holed, &add(vec![entry("host/e", 1, 0, AES128, 2)]));
    assert_eq!(filled.len(), file.len());
    assert_eq!(all(&filled)[1], told(&entry("host/e", 1, 0, AES128, 2)));
    // Two in a row have room for one that neither has, and what is left stays a hole.
    let holed = applied(&file, &remove(&[1, 2]));
    let filled = applied(&holed, &add(vec![entry("host/e", 1, 0, AES256, 2)]));
    assert_eq!(filled.len(), file.len());
    assert_eq!(all(&filled).len(), 3);
    // The rest of the hole takes nothing that is too large for it.
    let more = applied(&filled, &add(vec![entry("host/f", 1, 0, AES256, 3)]));
    assert_eq!(all(&more).len(), 4);
    assert!(more.len() > file.len());
}

/// A rest of a hole without room for a size and a byte belongs to the entry, as with MIT's programs.
#[test]
fn rests_of_holes_of_any_length_are_readable() {
    for spare in 0..12 {
        let long = format!("host/{}", "x".repeat(20 + spare));
        let file = applied(
            &[],
            &add(vec![
                entry(&long, 1, 0, AES128, 1),
                entry("host/last", 1, 0, AES128, 9),
            ]),
        );
        let holed = applied(&file, &remove(&[0]));
        let name = format!("host/{}", "y".repeat(20));
        let filled = applied(&holed, &add(vec![entry(&name, 300, 0, AES128, 2)]));
        assert_eq!(filled.len(), file.len(), "{spare}");
        let expected = [
            told(&entry(&name, 300, 0, AES128, 2)),
            told(&entry("host/last", 1, 0, AES128, 9)),
        ];
        assert_eq!(all(&filled), expected, "{spare}");
    }
}

#[test]
fn what_lies_behind_a_size_of_zero_does_not_come_back() {
    let file = applied(&[], &add(vec![entry("host/a", 1, 0, AES128, 1)]));
    for behind in [0_usize, 1, 3, 4, 30, 500] {
        let mut cut = file.clone();
        cut.extend([0; 4]);
        cut.extend(vec![0x55; behind]);
        let more = applied(&cut, &add(vec![entry("host/b", 1, 0, AES128, 2)]));
        assert_eq!(all(&more).len(), 2, "{behind}");
        assert!(!more.contains(&0x55), "{behind}");
        let again = applied(&more, &add(vec![entry("host/c", 1, 0, AES128, 3)]));
        assert_eq!(all(&again).len(), 3, "{behind}");
    }
}

#[test]
fn a_size_that_was_begun_and_is_zero_so_far_is_the_end() {
    let file = applied(&[], &add(vec![entry("host/a", 1, 0, AES128, 1)]));
    for zeros in 1..4 {
        let mut cut = file.clone();
        cut.extend(vec![0; zeros]);
        assert_eq!(all(&cut).len(), 1);
        let more = applied(&cut, &add(vec![entry("host/b", 1, 0, AES128, 2)]));
        assert_eq!(all(&more).len(), 2);
    }
    let mut damaged = file.clone();
    damaged.extend([0, 1]);
    assert_eq!(
        Keytab::parse(&damaged).unwrap_err(),
        KeytabError::Truncated {
            entry: 1,
            offset: file.len(),
            needed: 4
        }
    );
}

#[test]
fn a_file_of_version_1_stays_one() {
    let mut file = vec![5, 1];
    file = applied(&file, &add(vec![entry("host/a", 0x0102, 3, AES128, 1)]));
    file = applied(&file, &add(vec![entry("host/b", 2, 3, AES256, 2)]));
    assert_eq!(file[..2], [5, 1]);
    assert_eq!(
        all(&file),
        [
            told(&entry("host/a", 0x0102, 3, AES128, 1)),
            told(&entry("host/b", 2, 3, AES256, 2))
        ]
    );
    assert_eq!(all(&applied(&file, &remove(&[0]))).len(), 1);
}

#[test]
fn a_damaged_file_and_an_absent_entry_are_refused() {
    assert_eq!(
        remove(&[0]).plan(b"\x05\x02").unwrap_err(),
        KeytabError::NoSuchEntry {
            index: 0,
            entries: 0
        }
    );
    assert!(matches!(
        remove(&[0]).plan(b"[lib").unwrap_err(),
        KeytabError::UnknownVersion { .. }
    ));
    let huge = entry("host/a", 1, 0, AES128, 1);
    let long = KeytabEntry::new(
        huge.principal.clone(),
        1,
        Timestamp::default(),
        KeyMaterial::new(AES128, vec![1; 70_000].into()),
    );
    assert_eq!(
        add(vec![huge, long]).plan(&[]).unwrap_err(),
        KeytabError::TooLong {
            entry: 1,
            what: "the key"
        }
    );
}

proptest! {
    /// Whenever a writer is killed, the file has what it had, or with it all that was added.
    #[test]
    fn a_writer_killed_at_any_byte_loses_nothing(
        lengths in prop::collection::vec(1_usize..40, 1..8),
        removed_before in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        added in prop::collection::vec(1_usize..60, 0..4),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        tail in prop::collection::vec(1_u8.., 0..40),
        has_tail in any::<bool>(),
    ) {
        let named = |length: usize, number: usize, kvno| {
            let name = format!("host/{}{number}", "n".repeat(length));
            entry(&name, kvno, 0, AES128, u8::try_from(number).unwrap())
        };
        let first = lengths.iter().enumerate().map(|(number, length)| named(*length, number, 1));
        let mut file = applied(&[], &add(first.collect()));
        for index in &removed_before {
            let count = all(&file).len();
            if count > 0 {
                file = applied(&file, &remove(&[index.index(count)]));
            }
        }
        if has_tail {
            file.extend([0; 4]);
            file.extend(&tail);
        }
        let before = all(&file);
        let mut gone: Vec<usize> = Vec::new();
        if !before.is_empty() {
            gone.extend(removed.iter().map(|index| index.index(before.len())));
            gone.sort_unstable();
            gone.dedup();
        }
        let fresh: Vec<_> = added.iter().enumerate().map(|(number, length)| named(*length, number, 2)).collect();
        let new: Vec<String> = fresh.iter().map(told).collect();
        let kept: Vec<&String> =
            before.iter().enumerate().filter(|(index, _)| !gone.contains(index)).map(|(_, told)| told).collect();
        let edit = KeytabEdit { add: fresh, remove: gone.clone() };
        let stages = edit.plan(&file).unwrap();
        for stage in &stages {
            for write_ in stage {
                // A size is written as a whole; anything longer may be torn.
                let torn = if write_.bytes.len() > 4 { 0..write_.bytes.len() } else { 0..0 };
                for length in torn {
                    let mut killed = file.clone();
                    write(&mut killed, write_, length);
                    let found = all(&killed);
                    for told in &kept {
                        prop_assert!(found.contains(told), "{told} is lost");
                    }
                    let there = new.iter().filter(|told| found.contains(told)).count();
                    prop_assert!(there == 0 || there == new.len());
                    prop_assert!(found.iter().all(|told| before.contains(told) || new.contains(told)));
                }
                write(&mut file, write_, write_.bytes.len());
                prop_assert!(Keytab::parse(&file).is_ok());
            }
        }
        let after = all(&file);
        prop_assert_eq!(after.len(), kept.len() + new.len());
        for told in kept.into_iter().chain(&new) {
            prop_assert!(after.contains(told));
        }
    }

    #[test]
    fn any_bytes_are_changed_into_a_keytab_or_refused(
        version in 1_u8..=2,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut file = vec![5, version];
        file.extend(body);
        if let Ok(before) = Keytab::parse(&file) {
            let edit = add(vec![entry("host/a", 1, 0, AES128, 1)]);
            let after = Keytab::parse(&applied(&file, &edit)).unwrap();
            prop_assert_eq!(after.entries().len(), before.entries().len() + 1);
        }
    }
}

fn keytab(entries: Vec<KeytabEntry>) -> Arc<Keytab> {
    Arc::new(entries.into_iter().collect())
}

fn fills(keytab: &Keytab, kvno: Option<u32>) -> Vec<u8> {
    let host = Principal::parse("host/a", Some("R")).unwrap();
    keytab
        .candidates(&host, kvno, AES128)
        .iter()
        .map(|entry| entry.key.expose()[0])
        .collect()
}

const HOUR: Duration = Duration::from_secs(3600);

/// A keytab with new keys alone: tickets in the old one are served until the last has ended.
#[test]
fn a_replaced_key_is_served_until_its_tickets_have_ended() {
    let start = Timestamp::from_seconds(1_000_000);
    let old = keytab(vec![entry("host/a", 1, 0, AES128, 1)]);
    let new = keytab(vec![entry("host/a", 2, 1_000_000, AES128, 2)]);
    let mut replaced = ReplacedKeys::new(10 * HOUR);
    let good = replaced.exchange(&old, &new, start.plus(HOUR));
    assert_eq!(fills(&good, Some(1)), [1]);
    assert_eq!(fills(&good, Some(2)), [2]);
    assert_eq!(fills(&good, None), [2, 1], "the newest first");
    assert_eq!(replaced.next_end(), Some(start.plus(10 * HOUR)));
    let later = replaced.expire(&new, start.plus(10 * HOUR));
    assert!(Arc::ptr_eq(&later, &new));
    assert!(replaced.is_empty());
    assert_eq!(fills(&later, Some(1)), [0; 0]);
}

/// Exports that leave the time at zero, or that were made with a clock set back.
#[test]
fn where_a_successor_does_not_tell_its_time_it_came_now() {
    let now = Timestamp::from_seconds(1_000_000);
    for (old_time, new_time) in [(0, 0), (900_000, 0), (900_000, 800_000)] {
        let old = keytab(vec![entry("host/a", 1, old_time, AES128, 1)]);
        let new = keytab(vec![entry("host/a", 2, new_time, AES128, 2)]);
        let mut replaced = ReplacedKeys::new(10 * HOUR);
        let good = replaced.exchange(&old, &new, now);
        assert_eq!(fills(&good, Some(1)), [1], "{old_time} {new_time}");
        assert_eq!(replaced.next_end(), Some(now.plus(10 * HOUR)));
    }
}

#[test]
fn a_replaced_key_survives_further_changes_with_its_own_time() {
    let start = Timestamp::from_seconds(1_000_000);
    let one = keytab(vec![entry("host/a", 1, 0, AES128, 1)]);
    let two = keytab(vec![entry("host/a", 2, 1_000_000, AES128, 2)]);
    let three = keytab(vec![entry("host/a", 3, 1_007_200, AES128, 3)]);
    let mut replaced = ReplacedKeys::new(10 * HOUR);
    let _ = replaced.exchange(&one, &two, start);
    let good = replaced.exchange(&two, &three, start.plus(2 * HOUR));
    assert_eq!(fills(&good, None), [3, 2, 1]);
    let good = replaced.expire(&three, start.plus(10 * HOUR));
    assert_eq!(fills(&good, None), [3, 2]);
    // The file that has it again needs nobody's memory.
    let both = keytab(vec![
        entry("host/a", 3, 1_007_200, AES128, 3),
        entry("host/a", 2, 1_000_000, AES128, 2),
    ]);
    let good = replaced.exchange(&three, &both, start.plus(10 * HOUR));
    assert!(Arc::ptr_eq(&good, &both) && replaced.is_empty());
}

#[test]
fn a_key_that_went_without_a_successor_was_taken_away() {
    let start = Timestamp::from_seconds(1_000_000);
    let both = keytab(vec![
        entry("host/a", 1, 0, AES128, 1),
        entry("host/b", 1, 0, AES128, 9),
    ]);
    let less = keytab(vec![entry("host/b", 1, 0, AES128, 9)]);
    let mut replaced = ReplacedKeys::default();
    assert!(Arc::ptr_eq(&replaced.exchange(&both, &less, start), &less));
    // Neither does an older version take the place of a newer one.
    let older = keytab(vec![entry("host/a", 1, 0, AES128, 1)]);
    let newer = keytab(vec![entry("host/a", 2, 0, AES128, 2)]);
    assert!(Arc::ptr_eq(
        &replaced.exchange(&newer, &older, start),
        &older
    ));
    // And what was held for a principal goes with the principal.
    let good = replaced.exchange(&older, &newer, Timestamp::from_seconds(60));
    assert_eq!(fills(&good, Some(1)), [1]);
    let empty = keytab(Vec::new());
    assert!(Arc::ptr_eq(
        &replaced.exchange(&newer, &empty, Timestamp::from_seconds(61)),
        &empty
    ));
    assert!(replaced.is_empty());
}

/// What `ktadd` does, and then `ktremove old`: the second has one purpose, that the old key counts no more.
#[test]
fn a_key_removed_beside_an_older_successor_is_revoked_at_once() {
    let start = Timestamp::from_seconds(1_000_000);
    let one = keytab(vec![entry("host/a", 1, 0, AES128, 1)]);
    let both = keytab(vec![
        entry("host/a", 1, 0, AES128, 1),
        entry("host/a", 2, 1_000_000, AES128, 2),
    ]);
    let two = keytab(vec![entry("host/a", 2, 1_000_000, AES128, 2)]);
    let mut replaced = ReplacedKeys::default();
    assert!(Arc::ptr_eq(&replaced.exchange(&one, &both, start), &both));
    assert!(Arc::ptr_eq(&replaced.exchange(&both, &two, start), &two));
    assert!(replaced.is_empty());
    // One that comes with the removal is a successor of both.
    let three = keytab(vec![entry("host/a", 3, 1_000_000, AES128, 3)]);
    let good = replaced.exchange(&both, &three, start);
    assert_eq!(fills(&good, None), [3, 2, 1]);
    // A key that is held stays so when another principal's is removed.
    let mut replaced = ReplacedKeys::default();
    let more = keytab(vec![
        entry("host/a", 2, 1_000_000, AES128, 2),
        entry("host/b", 1, 0, AES128, 9),
    ]);
    let _ = replaced.exchange(&one, &more, start);
    let good = replaced.exchange(&more, &two, start);
    assert_eq!(fills(&good, None), [2, 1]);
}

#[test]
fn another_key_of_the_same_version_replaces_it_too() {
    let start = Timestamp::from_seconds(1_000_000);
    let old = keytab(vec![entry("host/a", 2, 0, AES128, 1)]);
    let new = keytab(vec![entry("host/a", 2, 1_000_000, AES128, 2)]);
    let mut replaced = ReplacedKeys::default();
    let good = replaced.exchange(&old, &new, start);
    assert_eq!(fills(&good, Some(2)), [2, 1]);
    // A time in the future does not prolong it.
    let late = keytab(vec![entry("host/a", 3, 9_000_000, AES128, 3)]);
    let mut replaced = ReplacedKeys::new(HOUR);
    let _ = replaced.exchange(&old, &late, start);
    assert_eq!(replaced.next_end(), Some(start.plus(HOUR)));
    let mut none = ReplacedKeys::new(Duration::ZERO);
    assert!(Arc::ptr_eq(&none.exchange(&old, &new, start), &new));
}

#[test]
fn no_more_than_a_bounded_number_is_held() {
    let start = Timestamp::from_seconds(1_000_000);
    let of = |kvno, time: i64| {
        let entries = (0..1500)
            .map(|number| entry(&format!("host/{number}"), kvno, time, AES128, 1))
            .collect();
        keytab(entries)
    };
    let (old, new) = (of(1, 0), of(2, 1_000_000));
    let mut replaced = ReplacedKeys::default();
    let good = replaced.exchange(&old, &new, start);
    assert_eq!(replaced.len(), 1024);
    assert_eq!(good.entries().len(), 1500 + 1024);
}
