//! Cache files changed where they lie, and their records alone.

use trihound_krb5::ccache::{
    CacheFile, Entry, Patch, marshal_config, marshal_credentials, marshal_principal,
    unmarshal_credentials, unmarshal_principal,
};
use trihound_krb5::{CacheError, ConfigEntry, CredentialCache, Credentials, Principal};
use trihound_sansio::Timestamp;

use crate::ccache::Builder;
use crate::samples::{credentials, name};

const VERSIONS: [(u8, bool); 6] = [
    (1, true),
    (1, false),
    (2, true),
    (2, false),
    (3, false),
    (4, false),
];

fn file(bytes: &[u8]) -> CacheFile {
    CacheFile::parse(bytes).unwrap().unwrap()
}

/// What the file is after the patches, as a program would write them.
fn patched(bytes: &[u8], file: &CacheFile, patches: &[Patch]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if patches.iter().any(|patch| patch.offset == file.end()) {
        bytes.truncate(file.end() as usize);
    }
    for patch in patches {
        let (start, new) = (patch.offset as usize, patch.bytes.expose());
        assert!(
            start + new.len() <= bytes.len() || start == bytes.len(),
            "a patch is over what is there, or right behind it"
        );
        bytes.truncate(bytes.len().max(start));
        let over = new.len().min(bytes.len() - start);
        bytes[start..start + over].copy_from_slice(&new[..over]);
        bytes.extend(&new[over..]);
    }
    bytes
}

fn ticket(server: &str, ticket: &[u8]) -> Credentials {
    let mut made = credentials(server, 1_000);
    made.client = name("alice@R");
    made.ticket = ticket.to_vec();
    made.endtime = Timestamp::from_seconds(3_000);
    made
}

/// Conformance row 116: what is added stands behind the last ticket, in the version and the byte order
/// of the file, and nothing in front of it moves.
#[test]
fn row_116_a_ticket_is_appended_in_the_files_own_version() {
    for (version, little) in VERSIONS {
        let bytes = Builder::whole(version, little);
        let read = file(&bytes);
        let patches = read.store(&ticket("nfs/files@R", b"third")).unwrap();
        assert_eq!(patches.len(), 1);
        let new = patched(&bytes, &read, &patches);
        assert_eq!(new[..bytes.len()], bytes);
        let cache = CredentialCache::parse(&new).unwrap();
        assert_eq!(cache.version(), version);
        assert_eq!(cache.credentials.len(), 3, "{version} {little}");
        let added = &cache.credentials[2];
        assert_eq!(added.server, name("nfs/files@R"));
        assert_eq!(added.ticket, b"third");
        assert_eq!(added.endtime, Timestamp::from_seconds(3_000));
    }
}

/// Conformance row 116: a removed ticket keeps its place and is marked as MIT marks it, an
/// authentication at -1 and an end at 0.
#[test]
fn row_116_a_removed_ticket_is_marked_and_keeps_its_place() {
    for (version, little) in VERSIONS {
        let bytes = Builder::whole(version, little);
        let read = file(&bytes);
        let patches = read.remove(&name("alice@R"), &name("HTTP/web@R"));
        assert_eq!(patches.len(), 1);
        let new = patched(&bytes, &read, &patches);
        assert_eq!(new.len(), bytes.len());
        let mut builder = Builder::new(version, little);
        builder
            .principal("R", &["alice"])
            .ticket(
                ("R", &["HTTP", "web"]),
                [u32::MAX, 222, 0, 1_000_000_000],
                b"first",
            )
            .ticket(("R", &["krbtgt", "R"]), [11, 0, u32::MAX, 0], b"second");
        assert_eq!(new, builder.out, "{version} {little}");
        assert_eq!(CredentialCache::parse(&new).unwrap().credentials.len(), 1);
        assert!(
            file(&new)
                .remove(&name("alice@R"), &name("HTTP/web@R"))
                .is_empty()
        );
    }
}

#[test]
fn a_ticket_takes_the_place_of_the_same_and_of_no_other() {
    let cache = CredentialCache::new(name("alice@R"));
    let mut bytes = cache.to_bytes().unwrap().expose().to_vec();
    let mut store = |made: &Credentials| {
        let read = file(&bytes);
        let patches = read.store(made).unwrap();
        bytes = patched(&bytes, &read, &patches);
        (patches.len(), CredentialCache::parse(&bytes).unwrap())
    };
    assert_eq!(store(&ticket("HTTP/web@R", b"one")).0, 1);
    let (patches, cache) = store(&ticket("HTTP/web@R", b"two"));
    assert_eq!((patches, cache.credentials.len()), (2, 1));
    assert_eq!(cache.credentials[0].ticket, b"two");
    let (patches, cache) = store(&ticket("HTTP/web@R", b"two"));
    assert_eq!((patches, cache.credentials.len()), (0, 1), "it is there");
    let mut user_to_user = ticket("HTTP/web@R", b"three");
    user_to_user.is_skey = true;
    let (patches, cache) = store(&user_to_user);
    assert_eq!((patches, cache.credentials.len()), (1, 2));
    let mut other = ticket("HTTP/web@R", b"four");
    other.session_key = trihound_krb5::KeyMaterial::new(
        trihound_crypto::Enctype::AES256_CTS_HMAC_SHA1_96,
        vec![1; 32].into(),
    );
    assert_ne!(
        other.session_key.enctype(),
        user_to_user.session_key.enctype()
    );
    let (patches, cache) = store(&other);
    assert_eq!((patches, cache.credentials.len()), (1, 3));
}

/// Conformance row 116: a removed setting is one no more for MIT and Heimdal alike.
#[test]
fn row_116_settings_are_set_and_removed_in_place() {
    let mut cache = CredentialCache::new(name("alice@R"));
    cache.set_config("fast_avail", None, Some(b"yes"));
    let bytes = cache.to_bytes().unwrap().expose().to_vec();
    let read = file(&bytes);
    let new = patched(
        &bytes,
        &read,
        &read.set_config("fast_avail", None, Some(b"no")).unwrap(),
    );
    let again = file(&new);
    assert_eq!(again.cache().config("fast_avail", None), Some(&b"no"[..]));
    assert_eq!(again.cache().config.len(), 1);
    let gone = patched(
        &new,
        &again,
        &again.set_config("fast_avail", None, None).unwrap(),
    );
    assert_eq!(gone.len(), new.len());
    assert_eq!(file(&gone).cache().config("fast_avail", None), None);
    let text = String::from_utf8_lossy(&gone);
    assert!(!text.contains("X-CACHECONF:") && text.contains("X-RMED-CONF:"));
    assert!(
        CredentialCache::parse(&gone)
            .unwrap()
            .credentials
            .is_empty()
    );
}

#[test]
fn the_time_offset_is_changed_where_there_is_room_for_it() {
    let bytes = Builder::whole(4, false);
    let read = file(&bytes);
    let patch = read.set_time_offset(-1_500_000).unwrap().unwrap();
    let new = patched(&bytes, &read, &[patch]);
    let cache = file(&new).into_cache();
    assert_eq!(cache.time_offset, Some(-1_500_000));
    assert_eq!(cache.credentials.len(), 2);
    let bare = CredentialCache::new(name("alice@R")).to_bytes().unwrap();
    assert!(file(bare.expose()).set_time_offset(1).unwrap().is_none());
    assert!(matches!(
        read.set_time_offset(i64::MAX),
        Err(CacheError::TooLong {
            what: "the time offset"
        })
    ));
}

/// A writer that is killed leaves a part of its ticket. Those in front of it are good, and the next
/// writer writes over it.
#[test]
fn a_last_ticket_that_is_cut_short_is_left_away_and_written_over() {
    for (version, little) in VERSIONS {
        let bytes = Builder::whole(version, little);
        let start = {
            let mut builder = Builder::new(version, little);
            builder.principal("R", &["alice"]).ticket(
                ("R", &["HTTP", "web"]),
                [11, 222, 3333, 1_000_000_000],
                b"first",
            );
            builder.out.len()
        };
        for length in start + 1..bytes.len() {
            let cut = &bytes[..length];
            assert!(matches!(
                CredentialCache::parse(cut),
                Err(CacheError::Truncated { .. })
            ));
            let read = file(cut);
            assert_eq!(read.cache().credentials.len(), 1, "{version} {length}");
            assert_eq!((read.end() as usize, read.cut()), (start, length - start));
            let new = patched(
                cut,
                &read,
                &read.store(&ticket("nfs/files@R", b"x")).unwrap(),
            );
            let cache = CredentialCache::parse(&new).unwrap();
            assert_eq!(cache.credentials.len(), 2);
            assert_eq!(cache.credentials[1].ticket, b"x");
        }
    }
}

/// A file of three tickets; where its records begin, and where it ends.
fn three(version: u8, little: bool) -> (Vec<u8>, [usize; 4]) {
    let mut builder = Builder::new(version, little);
    builder.principal("R", &["alice"]);
    let mut starts = [builder.out.len(); 4];
    for (index, host) in ["a", "b", "c"].into_iter().enumerate() {
        let times = [11, 0, 3333, 0];
        builder.ticket(("R", &["HTTP", host]), times, &[0x30; 200]);
        starts[index + 1] = builder.out.len();
    }
    (builder.out, starts)
}

/// A length that lies in the middle leads past the end as the last record of a killed writer does; but
/// what follows is good, and nobody may cut it off.
#[test]
fn a_lying_length_in_the_middle_is_damage_and_nothing_behind_it_is_cut_off() {
    for (version, little) in VERSIONS {
        let (mut bytes, [_, start, next, _]) = three(version, little);
        // The second ticket's length, in front of its 200 bytes and an empty second ticket.
        let at = next - 4 - 200 - 4;
        let lie = 0x0001_0000_u32;
        let lie = if little {
            lie.to_le_bytes()
        } else {
            lie.to_be_bytes()
        };
        bytes[at..at + 4].copy_from_slice(&lie);
        match CacheFile::parse(&bytes) {
            Err(CacheError::BrokenRecord {
                offset,
                what: "a ticket",
                evidence: "whole records follow it",
            }) => assert_eq!(offset, start, "{version} {little}"),
            other => panic!("{version} {little}: {other:?}"),
        }
    }
}

/// Records are found again also behind one that is a setting or a removed ticket.
#[test]
fn settings_and_removed_tickets_behind_a_lying_length_count_as_well() {
    let mut cache = CredentialCache::new(name("alice@R"));
    let mut bytes = cache.to_bytes().unwrap().expose().to_vec();
    let start = bytes.len();
    let mut broken = marshal_credentials(&ticket("HTTP/web@R", b"ticket"))
        .unwrap()
        .expose()
        .to_vec();
    let at = broken.len() - 4 - 6 - 4;
    broken[at..at + 4].copy_from_slice(&70_000_u32.to_be_bytes());
    bytes.extend(broken);
    assert_eq!(file(&bytes).end() as usize, start, "alone it is the last");
    cache.set_config("fast_avail", None, Some(b"yes"));
    let setting = ConfigEntry::new("fast_avail", None, b"yes".to_vec());
    let mut gone = ticket("HTTP/other@R", b"gone");
    gone.endtime = Timestamp::from_seconds(0);
    for behind in [
        marshal_config(&cache.principal, &setting).unwrap(),
        marshal_credentials(&gone).unwrap(),
    ] {
        let bytes = [&bytes[..], behind.expose()].concat();
        assert!(matches!(
            CacheFile::parse(&bytes),
            Err(CacheError::BrokenRecord { offset, .. }) if offset == start
        ));
    }
}

/// No ticket is that large, neither what there is of it nor what it claims.
#[test]
fn what_is_larger_than_any_ticket_was_not_cut_short() {
    let (mut bytes, [_, _, start, end]) = three(4, false);
    let at = end - 4 - 200 - 4;
    bytes[at..at + 4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    let large = Err::<(), _>((start, "it would be larger than any ticket"));
    let found = |bytes: &[u8]| match CacheFile::parse(bytes) {
        Err(CacheError::BrokenRecord {
            offset, evidence, ..
        }) => Err((offset, evidence)),
        Err(other) => panic!("{other}"),
        Ok(_) => Ok(()),
    };
    assert_eq!(found(&bytes), large);
    bytes[at..at + 4].copy_from_slice(&(1_u32 << 20).to_be_bytes());
    assert_eq!(found(&bytes), Ok(()));
    bytes.resize(start + (1 << 20), 0x30);
    assert_eq!(found(&bytes), Ok(()));
    bytes.push(0x30);
    assert_eq!(found(&bytes), large);
}

/// The tickets of a killed writer are left away at every length, whatever stands in them: zeros, and
/// names of the client.
#[test]
fn a_cut_ticket_full_of_zeros_and_names_is_one_all_the_same() {
    let client = marshal_principal(&name("alice@R")).unwrap();
    let inside = [&[0; 400][..], &client, &client, &[0; 300]].concat();
    let whole = marshal_credentials(&ticket("alice@R", &inside)).unwrap();
    let cache = CredentialCache::new(name("alice@R"));
    let bytes = cache.to_bytes().unwrap().expose().to_vec();
    for length in 1..whole.len() {
        let cut = [&bytes[..], &whole.expose()[..length]].concat();
        assert_eq!(file(&cut).cut(), length);
    }
}

/// Four bytes of a file must not take ten times as many of memory.
#[test]
fn names_and_lists_are_bounded_when_read_and_when_written() {
    let named = |count: u32| {
        let mut bytes = vec![5, 4, 0, 0, 0, 0, 0, 1];
        bytes.extend(count.to_be_bytes());
        bytes.extend([0, 0, 0, 1, b'R']);
        bytes.resize(bytes.len() + 4 * count as usize, 0);
        bytes
    };
    assert!(CredentialCache::parse(&named(32)).is_ok());
    assert!(matches!(
        CacheFile::parse(&named(33)),
        Err(CacheError::TooMany {
            what: "the components of a name",
            offset: 8,
            count: 33,
            limit: 32
        })
    ));
    let mut many = ticket("HTTP/web@R", b"ticket");
    many.server = Principal::new("R", 1, vec!["x"; 33]);
    assert!(matches!(
        marshal_credentials(&many),
        Err(CacheError::TooLong {
            what: "a principal name"
        })
    ));
    let mut many = ticket("HTTP/web@R", b"ticket");
    let address = trihound_asn1::HostAddress {
        addr_type: 2,
        address: vec![10, 0, 0, 1].into(),
    };
    many.addresses = vec![address.clone(); 256];
    let whole = marshal_credentials(&many).unwrap();
    assert!(unmarshal_credentials(whole.expose()).is_ok());
    many.addresses.push(address);
    assert!(matches!(
        marshal_credentials(&many),
        Err(CacheError::TooLong { what: "an address" })
    ));
    let mut lying = whole.expose().to_vec();
    let at = lying
        .windows(11)
        .position(|bytes| bytes == [0, 0, 1, 0, 0, 2, 0, 0, 0, 4, 10])
        .unwrap();
    lying[at..at + 4].copy_from_slice(&257_u32.to_be_bytes());
    assert!(matches!(
        unmarshal_credentials(&lying),
        Err(CacheError::TooMany {
            what: "a ticket's addresses",
            count: 257,
            limit: 256,
            ..
        })
    ));
}

/// What is damaged in front of the tickets is no cache of anybody's.
#[test]
fn a_damaged_beginning_is_refused() {
    let bytes = Builder::whole(4, false);
    for length in 17..30 {
        assert!(
            matches!(
                CacheFile::parse(&bytes[..length]),
                Err(CacheError::Truncated { .. })
            ),
            "{length}"
        );
    }
    assert!(matches!(
        CacheFile::parse(b"\x05\x09nonsense"),
        Err(CacheError::UnknownVersion { .. })
    ));
}

#[test]
fn a_blank_file_is_no_cache_and_no_damage() {
    for blank in [
        &b""[..],
        b"\x05\x04\0\0",
        b"\x05\x04\0\x0c\0\x01\0\x08\0\0\0\x02\0\0\0\x03",
    ] {
        assert!(CacheFile::parse(blank).unwrap().is_none(), "{blank:?}");
    }
    assert!(CacheFile::parse(b"\x05").is_err());
    assert!(CacheFile::parse(b"\x05\x04\0").is_err());
}

/// The encoding that FILE, KEYRING and KCM share.
#[test]
fn a_ticket_alone_is_what_stands_in_a_file() {
    let made = ticket("HTTP/web@R", b"ticket");
    let alone = marshal_credentials(&made).unwrap();
    let mut cache = CredentialCache::new(name("alice@R"));
    let before = cache.to_bytes().unwrap().expose().to_vec();
    cache.store(std::sync::Arc::new(ticket("HTTP/web@R", b"ticket")));
    let after = cache.to_bytes().unwrap();
    assert_eq!(after.expose(), [&before[..], alone.expose()].concat());
    let Entry::Ticket(read) = unmarshal_credentials(alone.expose()).unwrap() else {
        panic!("it is a ticket");
    };
    assert_eq!(read.server, made.server);
    assert_eq!(marshal_credentials(&read).unwrap().expose(), alone.expose());
    for length in 0..alone.len() {
        assert!(matches!(
            unmarshal_credentials(&alone.expose()[..length]),
            Err(CacheError::Truncated { .. })
        ));
    }
    let longer = [alone.expose(), b"xy"].concat();
    assert!(matches!(
        unmarshal_credentials(&longer),
        Err(CacheError::TrailingBytes {
            what: "a ticket",
            extra: 2
        })
    ));
}

#[test]
fn a_setting_and_a_removed_ticket_are_told_from_tickets() {
    let client = name("alice@R");
    let entry = ConfigEntry::new("pa_type", Some(&name("krbtgt/R@R")), b"2".to_vec());
    let bytes = marshal_config(&client, &entry).unwrap();
    let Entry::Config(read) = unmarshal_credentials(bytes.expose()).unwrap() else {
        panic!("it is a setting");
    };
    assert_eq!(read, entry);
    let mut gone = ticket("HTTP/web@R", b"ticket");
    gone.endtime = Timestamp::from_seconds(0);
    let bytes = marshal_credentials(&gone).unwrap();
    assert!(matches!(
        unmarshal_credentials(bytes.expose()),
        Ok(Entry::Removed)
    ));
    gone.authtime = gone.endtime;
    let bytes = marshal_credentials(&gone).unwrap();
    assert!(
        matches!(unmarshal_credentials(bytes.expose()), Ok(Entry::Ticket(_))),
        "without any time"
    );
}

#[test]
fn a_name_alone_survives() {
    for text in ["alice@R", "HTTP/web.example@EXAMPLE", "a\\@b@R"] {
        let principal: Principal = name(text);
        let bytes = marshal_principal(&principal).unwrap();
        let read = unmarshal_principal(&bytes).unwrap();
        assert_eq!(read, principal);
        assert_eq!(read.name.name_type, principal.name.name_type);
        assert!(matches!(
            unmarshal_principal(&bytes[..bytes.len() - 1]),
            Err(CacheError::Truncated { .. })
        ));
        assert!(matches!(
            unmarshal_principal(&[&bytes[..], &[0]].concat()),
            Err(CacheError::TrailingBytes { extra: 1, .. })
        ));
    }
}
