//! What the buffers say, and NDR with one thing wrong.

use trihound_krb5::pac::{
    ClaimEntry, ClaimValues, ClaimsSet, ClaimsSource, ClientInfo, DeviceInfo, FileTime,
    KerbValidationInfo, MAX_CLAIMS_LENGTH, MAX_MEMBERSHIPS, PacAttributes, PacBuffer,
    S4uDelegationInfo, Sid, UpnDnsInfo, danger,
};
use trihound_sansio::Timestamp;

use super::*;

fn texts(groups: impl Iterator<Item = trihound_krb5::pac::SidAndAttributes>) -> Vec<String> {
    groups.map(|group| group.sid.to_string()).collect()
}

#[test]
fn the_logon_information_says_who_and_in_which_groups() {
    let info = KerbValidationInfo::from_bytes(&Logon::default().write()).unwrap();
    assert_eq!(info.effective_name, "alice");
    assert_eq!(info.full_name, "Alice Example");
    assert_eq!((info.logon_count, info.bad_password_count), (7, 1));
    assert_eq!(
        (&*info.logon_server, &*info.logon_domain_name),
        ("DC1", "TEST")
    );
    assert_eq!(info.user_account_control, 0x210);
    assert_eq!(info.logoff_time, FileTime::NEVER);
    assert_eq!(info.password_last_set, FileTime(200));
    assert_eq!(info.user_sid(), Some(user()));
    assert_eq!(info.primary_group_sid(), domain().member(513));
    assert_eq!(
        texts(info.groups()),
        [
            "S-1-5-21-1000-2000-3000-513",
            "S-1-5-21-1000-2000-3000-1120",
            "S-1-18-1",
            "S-1-5-21-7-8-9-2200"
        ]
    );
    assert!(info.groups().all(|group| group.attributes == 7));
}

/// Conformance row 44: extra SIDs and resource groups count as the user flags say.
#[test]
fn row_44_groups_that_the_flags_do_not_name_give_nothing() {
    let groups = |user_flags: u32| {
        let logon = Logon {
            user_flags,
            ..Logon::default()
        };
        let info = KerbValidationInfo::from_bytes(&logon.write()).unwrap();
        info.groups().count()
    };
    assert_eq!([0x220, 0x20, 0x200, 0].map(groups), [4, 3, 3, 2]);
}

/// Conformance row 44: with a user identifier of zero, the account is the first extra SID.
#[test]
fn row_44_an_account_of_another_domain_is_the_first_extra_sid() {
    let other: Sid = "S-1-5-21-4-5-6-1000".parse().unwrap();
    let logon = Logon {
        user_id: 0,
        extra: vec![other, Sid::new(18, &[1]).unwrap()],
        resource: vec![],
        groups: vec![],
        ..Logon::default()
    };
    let info = KerbValidationInfo::from_bytes(&logon.write()).unwrap();
    assert_eq!(info.user_sid(), Some(other));
    assert_eq!(texts(info.groups()), ["S-1-18-1"]);
}

/// Conformance row 191.
#[test]
fn row_191_counts_that_disagree_or_are_too_great_are_refused() {
    let structure = "KERB_VALIDATION_INFO";
    let logon = Logon {
        group_count: Some(3),
        ..Logon::default()
    };
    assert_eq!(
        KerbValidationInfo::from_bytes(&logon.write()),
        Err(InvalidPac::CountsDiffer {
            structure,
            field: "groups",
            announced: 3,
            found: 2
        })
    );
    let logon = Logon {
        groups: vec![1; MAX_MEMBERSHIPS as usize + 1],
        ..Logon::default()
    };
    assert_eq!(
        KerbValidationInfo::from_bytes(&logon.write()),
        Err(InvalidPac::TooMany {
            structure,
            field: "groups",
            count: MAX_MEMBERSHIPS + 1,
            limit: MAX_MEMBERSHIPS
        })
    );
}

/// Conformance row 191: a list may not announce more than the bytes hold.
#[test]
fn row_191_nothing_is_allocated_for_elements_that_are_not_there() {
    let ndr = Ndr::default()
        .pointer()
        .words(&[USER, 513])
        .null()
        .u32(8000)
        .pointer()
        .words(&[0, 0, 0, 0])
        .u32(8000)
        .words(&[1, 1]);
    assert!(matches!(
        DeviceInfo::from_bytes(&ndr.serialized()),
        Err(InvalidPac::Truncated { needed: 64_000, .. })
    ));
}

/// Conformance row 191: every cut and every changed byte gives an answer.
#[test]
fn row_191_damaged_ndr_never_panics_and_no_cut_is_read() {
    let whole = Logon::default().write();
    KerbValidationInfo::from_bytes(&whole).unwrap();
    for length in 0..whole.len() {
        assert!(KerbValidationInfo::from_bytes(&whole[..length]).is_err());
    }
    for index in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[index] = value;
            // Either answer is right; that there is one is what counts.
            let _answer = KerbValidationInfo::from_bytes(&bytes);
        }
    }
}

/// Conformance row 191.
#[test]
fn row_191_other_serializations_are_refused() {
    let structure = "KERB_VALIDATION_INFO";
    for (index, value) in [(0, 2), (1, 0x00), (2, 0x10), (3, 1)] {
        let mut bytes = Logon::default().write();
        bytes[index] = value;
        assert_eq!(
            KerbValidationInfo::from_bytes(&bytes),
            Err(InvalidPac::NotNdr { structure })
        );
    }
    let null = Ndr::default().null().serialized();
    assert_eq!(
        KerbValidationInfo::from_bytes(&null),
        Err(InvalidPac::NullPointer {
            structure,
            field: "contents"
        })
    );
}

/// A string whose header and body are as given, in S4U_DELEGATION_INFO.
fn delegation(header: (u16, u16, bool), body: &[u32], units: &[u16]) -> Vec<u8> {
    let ndr = Ndr::default().pointer().u16(header.0).u16(header.1);
    let ndr = if header.2 { ndr.pointer() } else { ndr.null() };
    let ndr = ndr.words(&[0, 0]).words(body);
    units
        .iter()
        .fold(ndr, |ndr, unit| ndr.u16(*unit))
        .serialized()
}

/// Conformance row 191.
#[test]
fn row_191_the_lengths_of_a_string_agree() {
    let good = delegation((4, 6, true), &[3, 0, 2], &[0x61, 0x62]);
    let target = S4uDelegationInfo::from_bytes(&good)
        .unwrap()
        .s4u2proxy_target;
    assert_eq!(target, "ab");
    let empty = delegation((0, 0, false), &[], &[]);
    assert_eq!(
        S4uDelegationInfo::from_bytes(&empty)
            .unwrap()
            .s4u2proxy_target,
        ""
    );
    for (header, body) in [
        ((3, 4, true), [2, 0, 2]),
        ((6, 4, true), [3, 0, 3]),
        ((4, 4, false), [2, 0, 2]),
        ((4, 4, true), [3, 0, 2]),
        ((4, 4, true), [2, 1, 2]),
        ((4, 4, true), [2, 0, 1]),
        ((4, 4, true), [2, 0, 3]),
    ] {
        let fault = S4uDelegationInfo::from_bytes(&delegation(header, &body, &[0x61, 0x62]));
        assert!(
            matches!(fault, Err(InvalidPac::StringLength { .. })),
            "{header:?}"
        );
    }
    let lone = delegation((2, 2, true), &[1, 0, 1], &[0xd800]);
    assert_eq!(
        S4uDelegationInfo::from_bytes(&lone),
        Err(InvalidPac::NotUtf16 {
            structure: "S4U_DELEGATION_INFO"
        })
    );
}

#[test]
fn a_delegation_names_the_services_on_its_way() {
    let services = ["HTTP/one", "cifs/two"];
    let mut ndr = Ndr::default()
        .pointer()
        .string_header("MSSQL/three")
        .u32(2)
        .pointer()
        .string("MSSQL/three")
        .u32(2);
    for service in services {
        ndr = ndr.string_header(service);
    }
    for service in services {
        ndr = ndr.string(service);
    }
    let info = S4uDelegationInfo::from_bytes(&ndr.serialized()).unwrap();
    assert_eq!(info.s4u2proxy_target, "MSSQL/three");
    assert_eq!(info.transited_services, services);
}

#[test]
fn a_device_has_groups_of_several_domains() {
    let ndr = Ndr::default()
        .pointer()
        .words(&[1200, 515])
        .pointer()
        .u32(1)
        .pointer()
        .words(&[0, 0])
        .u32(2)
        .pointer()
        .sid(&domain())
        .words(&[1, 515, 7])
        .u32(2)
        .pointer()
        .u32(1)
        .pointer()
        .pointer()
        .u32(0)
        .null()
        .sid(&resource_domain())
        .words(&[1, 2200, 7])
        .sid(&domain());
    let info = DeviceInfo::from_bytes(&ndr.serialized()).unwrap();
    assert_eq!(info.device_sid(), domain().member(1200));
    assert_eq!(info.domain_groups.len(), 2);
    assert_eq!(info.domain_groups[0].domain_id, resource_domain());
    assert_eq!(info.domain_groups[0].group_ids[0].relative_id, 2200);
    assert!(info.domain_groups[1].group_ids.is_empty());
}

/// Claims: an array of two entries, a text and numbers.
fn claims_set(kind: u16, discriminant: u16, source: u16) -> Vec<u8> {
    let terminated = |text: &str| format!("{text}\0");
    Ndr::default()
        .pointer()
        .u32(1)
        .pointer()
        .u16(0)
        .u32(0)
        .null()
        .u32(1)
        .u16(source)
        .u32(2)
        .pointer()
        .u32(2)
        .pointer()
        .u16(3)
        .u16(3)
        .u32(1)
        .pointer()
        .pointer()
        .u16(kind)
        .u16(discriminant)
        .u32(2)
        .pointer()
        .string(&terminated("ad://ext/department"))
        .u32(1)
        .pointer()
        .string(&terminated("Kitchen"))
        .string(&terminated("ad://ext/level"))
        .u32(2)
        .u64(3)
        .u64(u64::MAX)
        .serialized()
}

fn metadata(set: &[u8], format: u16, uncompressed: u32) -> Vec<u8> {
    let mut ndr = Ndr::default()
        .pointer()
        .u32(set.len() as u32)
        .pointer()
        .u16(format)
        .u32(uncompressed)
        .u16(0)
        .u32(0)
        .null()
        .u32(set.len() as u32);
    for pair in set.as_chunks::<2>().0 {
        ndr = ndr.u16(u16::from_le_bytes(*pair));
    }
    ndr.serialized()
}

fn claims(kind: u16, discriminant: u16, source: u16) -> Result<ClaimsSet, InvalidPac> {
    let set = claims_set(kind, discriminant, source);
    ClaimsSet::from_bytes(&metadata(&set, 0, set.len() as u32))
}

#[test]
fn claims_have_values_of_their_types() {
    let found = claims(1, 1, 1).unwrap();
    assert_eq!(found.arrays[0].source, ClaimsSource::ActiveDirectory);
    assert_eq!(
        found.claim("ad://ext/department"),
        Some(&ClaimEntry {
            id: "ad://ext/department".into(),
            values: ClaimValues::String(vec!["Kitchen".into()])
        })
    );
    let level = |kind| {
        claims(kind, kind, 2)
            .unwrap()
            .claim("ad://ext/level")
            .unwrap()
            .clone()
            .values
    };
    assert_eq!(level(1), ClaimValues::Int64(vec![3, -1]));
    assert_eq!(level(2), ClaimValues::Uint64(vec![3, u64::MAX]));
    assert_eq!(level(6), ClaimValues::Boolean(vec![true, true]));
    assert_eq!(ClaimsSet::from_bytes(&[]).unwrap(), ClaimsSet::default());
}

/// Every byte as a code of nine bits: XPRESS with Huffman codes that saves nothing.
fn compressed(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u16> = bytes
        .iter()
        .flat_map(|byte| (0..9).rev().map(move |bit| u16::from(*byte) >> bit & 1))
        .collect();
    let mut all = vec![0x99; 256];
    for word in bits.chunks(16) {
        let number = word.iter().fold(0, |number, bit| number << 1 | bit);
        all.extend((number << (16 - word.len())).to_le_bytes());
    }
    all.extend([0; 4]);
    all
}

#[test]
fn compressed_claims_are_the_same_claims() {
    let set = claims_set(1, 1, 1);
    let found = ClaimsSet::from_bytes(&metadata(&compressed(&set), 4, set.len() as u32));
    assert_eq!(found, claims(1, 1, 1));
}

/// Conformance row 191.
#[test]
fn row_191_claims_that_are_not_as_announced_are_refused() {
    let structure = "CLAIMS_SET";
    let value = |field, value| InvalidPac::UndefinedValue {
        structure,
        field,
        value,
    };
    assert_eq!(claims(4, 4, 1), Err(value("type of a claim", 4)));
    assert_eq!(claims(1, 1, 3), Err(value("source", 3)));
    assert_eq!(
        claims(1, 2, 1),
        Err(InvalidPac::DiscriminantsDiffer {
            structure,
            announced: 1,
            found: 2
        })
    );
    let set = claims_set(1, 1, 1);
    for format in [1, 2, 3, 5] {
        assert_eq!(
            ClaimsSet::from_bytes(&metadata(&set, format, 1000)),
            Err(InvalidPac::ClaimsCompressed { format })
        );
    }
    // A few bytes that say that they are a gigabyte.
    assert_eq!(
        ClaimsSet::from_bytes(&metadata(&set, 4, 1 << 30)),
        Err(InvalidPac::TooMany {
            structure: "CLAIMS_SET_METADATA",
            field: "bytes of claims",
            count: 1 << 30,
            limit: MAX_CLAIMS_LENGTH
        })
    );
    assert!(ClaimsSet::from_bytes(&metadata(&set, 4, 1000)).is_err());
    assert!(matches!(
        ClaimsSet::from_bytes(&metadata(&set, 0, set.len() as u32 + 1)),
        Err(InvalidPac::CountsDiffer { .. })
    ));
}

/// Claims that cannot be read keep nobody out who does not ask for them.
#[test]
fn claims_are_read_when_asked_for() {
    let mut issue = Issue::new();
    let compressed = metadata(&claims_set(1, 1, 1), 3, 1000);
    issue
        .buffers
        .push((PacBufferType::CLIENT_CLAIMS, compressed));
    issue.buffers.push((PacBufferType(77), vec![1, 2, 3]));
    let pac = accept(&issue, &issue.sign()).unwrap();
    assert_eq!(
        pac.client_claims(),
        Err(InvalidPac::ClaimsCompressed { format: 3 })
    );
    assert_eq!(pac.device_claims(), Ok(None));
    let unknown = PacBuffer::Unknown(PacBufferType(77), vec![1, 2, 3]);
    assert!(pac.buffers().contains(&unknown));
}

#[test]
fn upn_and_dns_names_lie_within_their_buffer() {
    let whole = upn_dns_info(&user());
    let info = UpnDnsInfo::from_bytes(&whole).unwrap();
    assert_eq!(info.upn, "alice@test.example");
    assert_eq!(info.dns_domain_name, "TEST.EXAMPLE");
    let extended = info.extended.unwrap();
    assert_eq!((&*extended.sam_name, extended.sid), ("alice", user()));
    // Each of the four offsets: into the header, and past the end.
    for at in [2, 6, 14, 18] {
        for offset in [0u16, 8, 0xfff8] {
            let mut bytes = whole.clone();
            bytes[at..at + 2].copy_from_slice(&offset.to_le_bytes());
            let fault = UpnDnsInfo::from_bytes(&bytes);
            assert!(
                matches!(fault, Err(InvalidPac::Truncated { .. })),
                "{at} {offset}"
            );
        }
    }
}

#[test]
fn small_buffers_do_not_announce_more_than_they_hold() {
    let mut bytes = client_info(0, "alice");
    assert_eq!(ClientInfo::from_bytes(&bytes).unwrap().name, "alice");
    bytes[8] = 12;
    assert!(matches!(
        ClientInfo::from_bytes(&bytes),
        Err(InvalidPac::Truncated { .. })
    ));
    bytes[8] = 9;
    assert!(matches!(
        ClientInfo::from_bytes(&bytes),
        Err(InvalidPac::NotUtf16 { .. })
    ));
    for (bits, good) in [(0u32, true), (32, true), (33, false), (u32::MAX, false)] {
        let bytes = [bits, 3].map(u32::to_le_bytes).concat();
        assert_eq!(PacAttributes::from_bytes(&bytes).is_ok(), good, "{bits}");
    }
}

#[test]
fn sids_have_a_text_and_a_binary_form() {
    for text in [
        "S-1-0",
        "S-1-5-18",
        "S-1-5-21-1-2-3-4294967295",
        "S-1-0x010000000000-1",
    ] {
        let sid: Sid = text.parse().unwrap();
        assert_eq!(sid.to_string(), text);
        assert_eq!(Sid::from_bytes(&sid.to_bytes()), Ok(sid));
    }
    let (of, relative_id) = user().split_relative_id().unwrap();
    assert_eq!((of, relative_id), (domain(), USER));
    for text in [
        "",
        "S-1",
        "S-1-",
        "S-2-5",
        "S-1-+5",
        "S-1-5-",
        "S-1-5--1",
        "S-1-5-4294967296",
        "S-1-0x1000000000000",
    ] {
        assert!(text.parse::<Sid>().is_err(), "{text}");
    }
    assert_eq!(Sid::new(5, &[1; 16]), None);
    assert_eq!(Sid::new(5, &[1; 15]).unwrap().member(1), None);
    let mut bytes = user().to_bytes();
    let malformed = Err(InvalidPac::MalformedSid { structure: "SID" });
    bytes.push(0);
    assert_eq!(Sid::from_bytes(&bytes), malformed);
    bytes[0] = 2;
    assert_eq!(Sid::from_bytes(&bytes), malformed);
    assert_eq!(
        Sid::from_bytes(&[[1, 16].as_slice(), &[0; 70]].concat()),
        malformed
    );
}

#[test]
fn file_times_are_moments_or_none() {
    let epoch = FileTime::from_seconds(0).unwrap();
    assert_eq!(epoch.timestamp(), Some(Timestamp::from_seconds(0)));
    let early = FileTime::from_seconds(-1).unwrap();
    assert_eq!(early.timestamp(), Some(Timestamp::from_seconds(-1)));
    assert_eq!(FileTime::ZERO.timestamp(), None);
    assert_eq!(FileTime::NEVER.timestamp(), None);
    assert_eq!(FileTime::from_seconds(i64::MIN), None);
    assert_eq!(FileTime::from_seconds(i64::MAX), None);
}

/// What was not verified can be read by its dangerous name only.
#[test]
fn reading_without_verifying_has_a_name_of_its_own() {
    let bytes = pac(&Issue::new().buffers);
    let unverified = UnverifiedPac::parse(&bytes).unwrap();
    let read = danger::read_without_verifying(&unverified).unwrap();
    assert_eq!(read.user_sid(), Some(user()));
}
