//! Keytab files: bytes in, bytes out, and which key is chosen.

use proptest::prelude::*;
use trihound_asn1::name_type;
use trihound_crypto::{Enctype, EnctypePolicy, Error as CryptoError, danger};
use trihound_krb5::{KeyMaterial, KeyNotFound, Keytab, KeytabEntry, KeytabError, Principal};
use trihound_sansio::Timestamp;

const AES128: Enctype = Enctype::AES128_CTS_HMAC_SHA1_96;
const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;

/// One entry of `HTTP/web@R`, put together by the format's description.
struct Record {
    components: Vec<&'static str>,
    timestamp: u32,
    low_byte: u8,
    enctype: i16,
    key: Vec<u8>,
    tail: Vec<u8>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            components: vec!["HTTP", "web"],
            timestamp: 1_700_000_000,
            low_byte: 3,
            enctype: 17,
            key: vec![0xa1; 16],
            tail: vec![0, 0, 0, 3],
        }
    }
}

impl Record {
    fn version_2(&self) -> Vec<u8> {
        let mut out = u16::try_from(self.components.len())
            .unwrap()
            .to_be_bytes()
            .to_vec();
        for text in std::iter::once(&"R").chain(&self.components) {
            out.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            out.extend(text.as_bytes());
        }
        out.extend(3_i32.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.push(self.low_byte);
        out.extend(self.enctype.to_be_bytes());
        out.extend(u16::try_from(self.key.len()).unwrap().to_be_bytes());
        out.extend(&self.key);
        out.extend(&self.tail);
        out
    }

    fn version_1(&self) -> Vec<u8> {
        let mut out = u16::try_from(self.components.len() + 1)
            .unwrap()
            .to_ne_bytes()
            .to_vec();
        for text in std::iter::once(&"R").chain(&self.components) {
            out.extend(u16::try_from(text.len()).unwrap().to_ne_bytes());
            out.extend(text.as_bytes());
        }
        out.extend(self.timestamp.to_ne_bytes());
        out.push(self.low_byte);
        out.extend(self.enctype.to_ne_bytes());
        out.extend(u16::try_from(self.key.len()).unwrap().to_ne_bytes());
        out.extend(&self.key);
        out
    }
}

fn file(records: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![5, 2];
    for record in records {
        out.extend(i32::try_from(record.len()).unwrap().to_be_bytes());
        out.extend(record);
    }
    out
}

fn web() -> Principal {
    Principal::parse("HTTP/web@R", None).unwrap()
}

fn entry(name: &str, kvno: u32, time: i64, enctype: Enctype, fill: u8) -> KeytabEntry {
    let length = if enctype == AES256 { 32 } else { 16 };
    KeytabEntry::new(
        Principal::parse(name, None).unwrap(),
        kvno,
        Timestamp::from_seconds(time),
        KeyMaterial::new(enctype, vec![fill; length].into()),
    )
}

fn narrow(mut entry: KeytabEntry) -> KeytabEntry {
    entry.kvno &= 0xff;
    entry.kvno_is_8_bit = true;
    entry
}

fn found(keytab: &Keytab, kvno: Option<u32>, enctype: Enctype) -> u8 {
    keytab.find(&web(), kvno, enctype).unwrap().key.expose()[0]
}

#[test]
fn an_entry_of_version_2_is_read_and_written_to_the_same_bytes() {
    let bytes = file(&[Record::default().version_2()]);
    let keytab = Keytab::parse(&bytes).unwrap();
    let [entry] = keytab.entries() else {
        panic!("one entry");
    };
    assert_eq!(entry.principal, web());
    assert_eq!(entry.principal.name.name_type, name_type::NT_SRV_HST);
    assert_eq!(entry.timestamp, Timestamp::from_seconds(1_700_000_000));
    assert_eq!((entry.kvno, entry.kvno_is_8_bit), (3, false));
    assert_eq!(entry.key.enctype(), AES128);
    assert_eq!(entry.key.expose(), [0xa1; 16]);
    assert_eq!(keytab.to_bytes().unwrap().expose(), bytes);
}

#[test]
fn an_entry_of_version_1_is_in_the_byte_order_of_the_machine() {
    let record = Record::default().version_1();
    let mut bytes = vec![5, 1];
    bytes.extend(i32::try_from(record.len()).unwrap().to_ne_bytes());
    bytes.extend(record);
    let keytab = Keytab::parse(&bytes).unwrap();
    let [entry] = keytab.entries() else {
        panic!("one entry");
    };
    assert_eq!(entry.principal, web());
    assert_eq!((entry.kvno, entry.kvno_is_8_bit), (3, true));
    assert_eq!(entry.key.expose(), [0xa1; 16]);
}

/// Conformance row 114.
#[test]
fn row_114_deleted_entries_are_skipped() {
    let hole = Record {
        low_byte: 9,
        ..Record::default()
    }
    .version_2();
    let live = Record::default().version_2();
    let mut bytes = file(&[]);
    bytes.extend((-i32::try_from(hole.len()).unwrap()).to_be_bytes());
    bytes.extend(&hole);
    bytes.extend(&file(&[live])[2..]);
    let keytab = Keytab::parse(&bytes).unwrap();
    assert_eq!(keytab.entries().len(), 1);
    assert_eq!(keytab.entries()[0].kvno, 3);
}

/// Conformance row 114.
#[test]
fn row_114_the_size_without_a_counterpart_is_refused() {
    let mut bytes = file(&[Record::default().version_2()]);
    let offset = bytes.len();
    bytes.extend(i32::MIN.to_be_bytes());
    bytes.extend([0; 64]);
    assert_eq!(
        Keytab::parse(&bytes).unwrap_err(),
        KeytabError::HoleSize { entry: 1, offset }
    );
}

#[test]
fn a_hole_that_reaches_past_the_end_is_refused() {
    let mut bytes = file(&[]);
    bytes.extend((-9_i32).to_be_bytes());
    bytes.extend([0; 8]);
    assert_eq!(
        Keytab::parse(&bytes).unwrap_err(),
        KeytabError::Truncated {
            entry: 0,
            offset: 6,
            needed: 9
        }
    );
}

#[test]
fn a_size_of_zero_ends_the_entries() {
    let mut bytes = file(&[Record::default().version_2()]);
    bytes.extend([0; 4]);
    bytes.extend([0xff; 99]);
    assert_eq!(Keytab::parse(&bytes).unwrap().entries().len(), 1);
}

/// Conformance row 114.
#[test]
fn row_114_a_32_bit_version_wins_unless_it_is_zero_or_absent() {
    for (tail, expected) in [
        (vec![0, 0, 1, 3], (0x103, false)),
        (vec![0, 0, 0, 0], (3, true)),
        (vec![], (3, true)),
        (vec![9, 9, 9], (3, true)),
        (vec![0, 0, 0, 7, 0, 0, 0, 1], (7, false)),
        (vec![0xff; 4], (u32::MAX, false)),
    ] {
        let record = Record {
            tail: tail.clone(),
            ..Record::default()
        };
        let keytab = Keytab::parse(&file(&[record.version_2()])).unwrap();
        let entry = &keytab.entries()[0];
        assert_eq!((entry.kvno, entry.kvno_is_8_bit), expected, "{tail:?}");
    }
}

/// Conformance row 114: what cannot be used does not keep the rest from use.
#[test]
fn row_114_entries_of_unknown_types_are_kept() {
    let des = Record {
        enctype: 1,
        key: vec![1; 8],
        ..Record::default()
    };
    let odd = Record {
        enctype: -5,
        key: vec![],
        components: vec![],
        ..Record::default()
    };
    let bytes = file(&[
        des.version_2(),
        odd.version_2(),
        Record::default().version_2(),
    ]);
    let keytab = Keytab::parse(&bytes).unwrap();
    assert_eq!(keytab.entries()[0].key.enctype(), Enctype(1));
    assert_eq!(keytab.entries()[1].key.enctype(), Enctype(-5));
    assert_eq!(found(&keytab, Some(3), AES128), 0xa1);
    assert_eq!(keytab.to_bytes().unwrap().expose(), bytes);
}

#[test]
fn what_is_no_keytab_is_refused_with_what_it_begins_with() {
    for found in [&[][..], &[5], &[5, 0], &[5, 3], &[4, 2], b"[l"] {
        let mut bytes = found.to_vec();
        if found.len() == 2 {
            bytes.extend([0; 8]);
        }
        assert_eq!(
            Keytab::parse(&bytes).unwrap_err(),
            KeytabError::UnknownVersion {
                found: found.to_vec()
            }
        );
    }
}

#[test]
fn a_version_1_name_without_its_realm_is_refused() {
    let mut bytes = vec![5, 1];
    bytes.extend(2_i32.to_ne_bytes());
    bytes.extend([0, 0]);
    assert_eq!(
        Keytab::parse(&bytes).unwrap_err(),
        KeytabError::NoRealm {
            entry: 0,
            offset: 6
        }
    );
}

/// The file has no count: one that ends right behind an entry is a shorter file, and so is one that
/// ends within the zeros which a size begins with. Anywhere else the end is an error.
/// Two bytes of a file must not take sixteen times as many of memory.
#[test]
fn a_name_of_too_many_components_is_refused() {
    let record = |count: u16| {
        let mut record = count.to_be_bytes().to_vec();
        record.extend([0, 1, b'R']);
        record.resize(record.len() + 2 * usize::from(count), 0);
        // Type of the name, time, version, and a key of one byte.
        record.extend([0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 17, 0, 1, 7]);
        record
    };
    assert!(Keytab::parse(&file(&[record(32)])).is_ok());
    assert_eq!(
        Keytab::parse(&file(&[record(33)])).unwrap_err(),
        KeytabError::TooManyComponents {
            entry: 0,
            offset: 6,
            count: 33,
            limit: 32
        }
    );
}

#[test]
fn a_file_cut_anywhere_but_behind_an_entry_is_refused() {
    let record = Record::default().version_2();
    let bytes = file(&[record.clone(), record.clone()]);
    let ends = [2, 2 + 4 + record.len(), bytes.len()];
    for length in 0..=bytes.len() {
        let parsed = Keytab::parse(&bytes[..length]);
        match ends
            .iter()
            .position(|&end| (end..=end + 3).contains(&length))
        {
            Some(entries) => assert_eq!(parsed.unwrap().entries().len(), entries),
            None if length < 2 => {
                assert!(matches!(parsed, Err(KeytabError::UnknownVersion { .. })));
            }
            None => {
                let Err(KeytabError::Truncated {
                    entry,
                    offset,
                    needed,
                }) = parsed
                else {
                    panic!("{length}: {parsed:?}");
                };
                assert_eq!(entry, usize::from(length > ends[1]), "{length}");
                assert!(offset <= length && offset + needed > length, "{length}");
            }
        }
    }
}

/// Every inner length is held against its own entry, not against the whole file.
#[test]
fn a_field_does_not_reach_into_the_next_entry() {
    let good = Record::default().version_2();
    let mut long_key = good.clone();
    let at = long_key.len() - 4 - 16 - 2;
    long_key[at..at + 2].copy_from_slice(&21_u16.to_be_bytes());
    let bytes = file(&[long_key, good]);
    assert_eq!(
        Keytab::parse(&bytes).unwrap_err(),
        KeytabError::Truncated {
            entry: 0,
            offset: 2 + 4 + at + 2,
            needed: 21
        }
    );
}

#[test]
fn what_does_not_fit_the_format_is_not_written() {
    let mut long = entry("HTTP/web@R", 1, 0, AES128, 0);
    long.principal.realm = vec![b'R'; 65_536].into();
    let keytab: Keytab = [entry("a@R", 1, 0, AES128, 0), long].into_iter().collect();
    assert_eq!(
        keytab.to_bytes().unwrap_err(),
        KeytabError::TooLong {
            entry: 1,
            what: "the realm"
        }
    );
    let keytab: Keytab = [entry("a@R", 1, 0, Enctype(40_000), 0)]
        .into_iter()
        .collect();
    assert!(matches!(
        keytab.to_bytes(),
        Err(KeytabError::TooLong { entry: 0, .. })
    ));
}

/// Conformance rows 7 and 115.
#[test]
fn row_115_the_version_must_match_where_there_is_one() {
    let keytab: Keytab = [
        entry("HTTP/web@R", 2, 10, AES128, 2),
        entry("HTTP/web@R", 300, 20, AES128, 30),
        entry("HTTP/web@R", 3, 5, AES128, 3),
        entry("HTTP/web@R", 2, 10, AES256, 12),
    ]
    .into_iter()
    .collect();
    assert_eq!(found(&keytab, Some(2), AES128), 2);
    assert_eq!(found(&keytab, Some(2), AES256), 12);
    assert_eq!(found(&keytab, Some(300), AES128), 30);
    assert_eq!(found(&keytab, None, AES128), 30);
    assert_eq!(found(&keytab, Some(0), AES128), 30);
    // 300 is 44 in eight bits; the entry has all its bits, so that 44 is another version.
    assert_eq!(
        keytab.find(&web(), Some(44), AES128).unwrap_err(),
        KeyNotFound::KeyVersion {
            principal: "HTTP/web@R".into(),
            enctype: AES128,
            kvno: 44,
            available: vec![2, 300, 3],
        }
    );
}

/// Conformance row 115.
#[test]
fn row_115_eight_bits_match_the_low_byte_and_lose_to_an_exact_match() {
    let old = || narrow(entry("HTTP/web@R", 300, 10, AES128, 1));
    let keytab: Keytab = [old()].into_iter().collect();
    assert_eq!(found(&keytab, Some(44), AES128), 1);
    assert_eq!(found(&keytab, Some(300), AES128), 1);
    assert!(keytab.find(&web(), Some(45), AES128).is_err());

    let exact = || entry("HTTP/web@R", 300, 0, AES128, 2);
    for keytab in [
        [old(), exact()].into_iter().collect::<Keytab>(),
        [exact(), old()].into_iter().collect(),
    ] {
        assert_eq!(found(&keytab, Some(300), AES128), 2);
    }
}

/// Conformance row 115: neither a later time nor any version beats the exact one.
#[test]
fn row_115_an_unknown_version_matches_any_and_loses_to_the_rest() {
    let unknown = || entry("HTTP/web@R", 0, 100, AES128, 1);
    let byte = || narrow(entry("HTTP/web@R", 3, 200, AES128, 2));
    let exact = || entry("HTTP/web@R", 3, 0, AES128, 3);
    let keytab: Keytab = [unknown()].into_iter().collect();
    assert_eq!(found(&keytab, Some(9), AES128), 1);
    let keytab: Keytab = [unknown(), byte()].into_iter().collect();
    assert_eq!(found(&keytab, Some(3), AES128), 2);
    assert_eq!(found(&keytab, Some(4), AES128), 1);
    for keytab in [
        [exact(), byte(), unknown()].into_iter().collect::<Keytab>(),
        [unknown(), byte(), exact()].into_iter().collect(),
    ] {
        assert_eq!(found(&keytab, Some(3), AES128), 3);
    }
}

/// Conformance row 115: of wrapped versions the time tells which is newer.
#[test]
fn row_115_the_newest_of_wrapped_versions_is_found_by_time() {
    let before = || narrow(entry("HTTP/web@R", 255, 100, AES128, 1));
    let after = || narrow(entry("HTTP/web@R", 256, 200, AES128, 2));
    for keytab in [
        [before(), after()].into_iter().collect::<Keytab>(),
        [after(), before()].into_iter().collect(),
    ] {
        assert_eq!(found(&keytab, None, AES128), 2);
    }
}

/// Conformance row 7.
#[test]
fn row_7_realm_and_case_count_in_the_choice() {
    let keytab: Keytab = [
        entry("HTTP/web@OTHER", 1, 0, AES128, 1),
        entry("http/web@R", 1, 0, AES128, 2),
    ]
    .into_iter()
    .collect();
    assert_eq!(
        keytab.find(&web(), Some(1), AES128).unwrap_err(),
        KeyNotFound::Principal {
            principal: "HTTP/web@R".into(),
            entries: 2
        }
    );
    let others: Vec<_> = keytab
        .others(&web(), Some(1), AES128)
        .map(|entry| entry.key.expose()[0])
        .collect();
    assert_eq!(others, [1, 2]);
}

/// Conformance row 7.
#[test]
fn row_7_other_keys_are_those_of_the_same_type_and_version() {
    let keytab: Keytab = [
        entry("HTTP/web@R", 1, 0, AES128, 1),
        entry("HTTP/web.example@R", 1, 0, AES128, 2),
        entry("HTTP/web.example@R", 2, 0, AES128, 3),
        entry("HTTP/web.example@R", 1, 0, AES256, 4),
        narrow(entry("host/web@R", 257, 0, AES128, 5)),
    ]
    .into_iter()
    .collect();
    let of = |kvno, enctype| -> Vec<u8> {
        keytab
            .others(&web(), kvno, enctype)
            .map(|entry| entry.key.expose()[0])
            .collect()
    };
    assert_eq!(of(Some(1), AES128), [2, 5]);
    assert_eq!(of(Some(2), AES128), [3]);
    assert_eq!(of(Some(1), AES256), [4]);
    assert_eq!(of(None, AES128), [2, 3, 5]);
    assert!(of(Some(9), AES256).is_empty());
}

#[test]
fn a_missing_type_is_told_with_those_there_are() {
    let keytab: Keytab = [entry("HTTP/web@R", 1, 0, AES128, 1)].into_iter().collect();
    assert_eq!(
        keytab.find(&web(), Some(1), AES256).unwrap_err(),
        KeyNotFound::Enctype {
            principal: "HTTP/web@R".into(),
            enctype: AES256,
            available: vec![AES128],
        }
    );
    let text = keytab
        .find(&web(), Some(7), AES128)
        .unwrap_err()
        .to_string();
    assert!(text.contains("version 7") && text.contains("[1]"), "{text}");
}

#[test]
fn a_key_is_made_once_and_only_if_the_policy_permits_it() {
    let keytab: Keytab = [
        entry("HTTP/web@R", 1, 0, AES128, 1),
        entry("HTTP/web@R", 1, 0, Enctype::RC4_HMAC, 2),
    ]
    .into_iter()
    .collect();
    let policy = EnctypePolicy::default();
    let aes = keytab.find(&web(), None, AES128).unwrap();
    let key = aes.key.key(&policy).unwrap();
    assert!(std::sync::Arc::ptr_eq(&key, &aes.key.key(&policy).unwrap()));

    let only_256 = EnctypePolicy::only(&[AES256]).unwrap();
    assert!(matches!(
        aes.key.key(&only_256),
        Err(CryptoError::NotPermitted(AES128))
    ));

    let rc4 = keytab.find(&web(), None, Enctype::RC4_HMAC).unwrap();
    assert!(matches!(
        rc4.key.key(&policy),
        Err(CryptoError::WeakEnctype(Enctype::RC4_HMAC))
    ));
    let weak = danger::permit_weak_enctypes(policy.clone(), &[Enctype::RC4_HMAC]);
    assert!(rc4.key.key(&weak).is_ok());
    // The key is there by now, and still not for everyone.
    assert!(matches!(
        rc4.key.key(&policy),
        Err(CryptoError::WeakEnctype(_))
    ));
}

#[test]
fn the_keys_of_a_client_are_the_newest_in_the_order_of_the_policy() {
    let keytab: Keytab = [
        entry("alice@R", 1, 0, AES128, 1),
        entry("alice@R", 2, 0, AES128, 2),
        entry("alice@R", 2, 0, AES256, 3),
        entry("alice@R", 9, 0, Enctype(1), 4),
        entry("bob@R", 9, 0, AES128, 5),
    ]
    .into_iter()
    .collect();
    let alice = Principal::parse("alice@R", None).unwrap();
    let keys = keytab.client_keys(&alice, &EnctypePolicy::default());
    let told: Vec<_> = keys
        .iter()
        .map(|key| (key.kvno, key.key.enctype(), key.key.expose()[0]))
        .collect();
    assert_eq!(told, [(2, AES256, 3), (2, AES128, 2)]);
}

#[test]
fn debug_shows_no_key() {
    let keytab = Keytab::parse(&file(&[Record::default().version_2()])).unwrap();
    let text = format!("{keytab:?}");
    assert!(
        !text.contains("161, 161") && !text.contains("a1a1"),
        "{text}"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_a_keytab_or_an_error(
        version in 1_u8..=2,
        body in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut bytes = vec![5, version];
        bytes.extend(body);
        let _ = Keytab::parse(&bytes);
    }

    #[test]
    fn a_keytab_with_one_byte_changed_does_not_panic(at in 0_usize..120, to in any::<u8>()) {
        let record = Record::default().version_2();
        let mut bytes = file(&[record.clone(), record]);
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(keytab) = Keytab::parse(&bytes) {
            let written = keytab.to_bytes().unwrap();
            let again = Keytab::parse(written.expose()).unwrap();
            prop_assert_eq!(again.entries().len(), keytab.entries().len());
        }
    }
}
