//! Which of many keys comes first.

use std::sync::Arc;

use trihound_crypto::Enctype;
use trihound_krb5::{KeyMaterial, Keytab, KeytabEntry, Principal};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

const AES128: Enctype = Enctype::AES128_CTS_HMAC_SHA1_96;

fn entry(kvno: u32, kvno_is_8_bit: bool, written: i64) -> KeytabEntry {
    let host = Principal::parse("HTTP/web@R", None).unwrap();
    let key = KeyMaterial::new(AES128, SecretBytes::from(&[0xa1; 16][..]));
    let mut entry = KeytabEntry::new(host, kvno, Timestamp::from_seconds(written), key);
    entry.kvno_is_8_bit = kvno_is_8_bit;
    entry
}

/// Of versions of 8 bits the times tell which is newer, of wider ones the versions, so that of three
/// each can be newer than the next; a sort that is told so may panic.
#[test]
fn keys_with_and_without_their_whole_version_are_all_candidates_in_any_mixture() {
    let host = Principal::parse("HTTP/web@R", None).unwrap();
    let mut seed: u32 = 1;
    let mut random = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % below
    };
    for round in 0..200 {
        let keytab: Keytab = (0..300)
            .map(|_| entry(random(200), random(2) == 0, i64::from(random(1000))))
            .collect();
        for kvno in [None, Some(7)] {
            let found = keytab.candidates(&host, kvno, AES128);
            let matching = |entry: &&_| KeytabEntry::matches_kvno(entry, kvno);
            let matching = keytab.entries().iter().map(AsRef::as_ref).filter(matching);
            assert_eq!(found.len(), matching.count(), "round {round}");
            let best = keytab.find(&host, kvno, AES128).ok().map(Arc::as_ptr);
            assert_eq!(best, found.first().copied().map(Arc::as_ptr));
        }
    }
}

#[test]
fn of_one_kind_the_newest_comes_first_and_the_oldest_last() {
    let host = Principal::parse("HTTP/web@R", None).unwrap();
    let order = |is_8_bit| -> Vec<u32> {
        let keytab: Keytab = [(254, 1), (1, 4), (255, 2), (0, 3)]
            .map(|(kvno, written)| entry(kvno, is_8_bit, written))
            .into_iter()
            .collect();
        let found = keytab.candidates(&host, None, AES128);
        found.iter().map(|entry| entry.kvno).collect()
    };
    assert_eq!(order(true), [1, 0, 255, 254]);
    assert_eq!(order(false), [255, 254, 1, 0]);
}
