//! The directory: counts, sizes, offsets, boundaries.

use trihound_krb5::pac::danger;

use super::*;

const KINDS: [PacBufferType; 2] = [PacBufferType::LOGON_INFO, PacBufferType::SERVER_SIGNATURE];

/// A directory of entries (type, size, offset) and so many bytes behind it.
fn directory(count: u32, entries: &[(PacBufferType, u32, u64)], tail: usize) -> Vec<u8> {
    let mut bytes = [count, 0].map(u32::to_le_bytes).concat();
    for (kind, size, offset) in entries {
        bytes.extend([kind.0, *size].map(u32::to_le_bytes).concat());
        bytes.extend(offset.to_le_bytes());
    }
    bytes.resize(bytes.len() + tail, 0);
    bytes
}

fn refused(bytes: &[u8]) -> InvalidPac {
    UnverifiedPac::parse(bytes).unwrap_err()
}

/// Conformance row 41: CVE-2022-42898.
#[test]
fn row_41_a_count_that_would_wrap_around_is_refused() {
    for count in [65, 0x1000_0000, 0x1000_0001, u32::MAX] {
        let fault = refused(&directory(count, &[], 1024));
        assert_eq!(fault, InvalidPac::TooManyBuffers { count, limit: 64 });
    }
    let fault = refused(&directory(64, &[], 1000));
    assert!(matches!(fault, InvalidPac::BufferOutside { .. }));
    let fault = refused(&directory(1, &[], 4));
    assert!(matches!(fault, InvalidPac::Truncated { needed: 4, .. }));
}

/// Conformance row 41.
#[test]
fn row_41_a_buffer_lies_within_the_pac_and_behind_the_header() {
    let buffer = KINDS[0];
    UnverifiedPac::parse(&directory(1, &[(buffer, 8, 24)], 8)).unwrap();
    for (size, offset) in [
        (9, 24),
        (u32::MAX, 24),
        (8, 16),
        (8, 0),
        (8, 32),
        (8, u64::MAX - 7),
        (u32::MAX, u64::MAX - 7),
        (8, 0x1_0000_0000),
    ] {
        assert_eq!(
            refused(&directory(1, &[(buffer, size, offset)], 8)),
            InvalidPac::BufferOutside {
                buffer,
                offset,
                size,
                length: 32
            }
        );
    }
}

/// Conformance row 41.
#[test]
fn row_41_a_buffer_begins_on_a_boundary() {
    let buffer = KINDS[0];
    for offset in [25, 28, 31] {
        assert_eq!(
            refused(&directory(1, &[(buffer, 1, offset)], 16)),
            InvalidPac::Misaligned { buffer, offset }
        );
    }
}

/// Conformance row 41.
#[test]
fn row_41_no_two_buffers_share_bytes() {
    let [first, second] = KINDS;
    for (size, offset) in [(8, 40), (24, 40), (8, 48), (1, 48)] {
        let entries = [(second, size, offset), (first, 16, 40)];
        let fault = refused(&directory(2, &entries, 32));
        assert!(
            matches!(fault, InvalidPac::BuffersOverlap { .. }),
            "{size} at {offset}"
        );
    }
    let entries = [(first, 16, 40), (second, 8, 56)];
    UnverifiedPac::parse(&directory(2, &entries, 32)).unwrap();
    // An empty buffer has nothing to share.
    let entries = [(first, 16, 40), (second, 0, 48)];
    UnverifiedPac::parse(&directory(2, &entries, 32)).unwrap();
}

#[test]
fn another_version_and_too_long_a_pac_are_refused() {
    let mut bytes = directory(0, &[], 0);
    bytes[4] = 1;
    assert_eq!(refused(&bytes), InvalidPac::Version { found: 1 });
    let bytes = directory(0, &[], trihound_krb5::pac::MAX_PAC_LENGTH);
    assert!(matches!(refused(&bytes), InvalidPac::TooLong { .. }));
}

/// Conformance row 41: of a type that comes twice, the first counts, for signing and reading alike.
#[test]
fn row_41_the_first_buffer_of_a_type_counts() {
    let mut issue = Issue::new();
    let second = client_info(0, "mallory");
    issue.buffers.push((PacBufferType::CLIENT_INFO, second));
    let pac = accept(&issue, &issue.sign()).unwrap();
    assert_eq!(pac.client_info().unwrap().name, "alice");
    assert_eq!(pac.buffers().len(), 9);
}

/// Conformance row 41.
#[test]
fn row_41_a_signature_has_the_length_of_its_type() {
    let buffer = PacBufferType::KDC_SIGNATURE;
    let kind = Issue::new().kdc.required_checksum();
    let signature = |length: usize| {
        let mut bytes = kind.0.to_le_bytes().to_vec();
        bytes.resize(4 + length, 7);
        Issue::new().set(buffer, bytes)
    };
    // The identifier of a read-only domain controller may follow, with or without its padding.
    for (length, rodc) in [(12, None), (14, Some(0x0707)), (16, Some(0x0707))] {
        let issue = signature(length);
        let pac = accept(&issue, &issue.sign()).unwrap();
        let found = pac.signature(buffer).unwrap();
        assert_eq!((found.signature.len(), found.rodc_identifier), (12, rodc));
    }
    for length in [0, 11, 13, 15, 17, 24] {
        let issue = signature(length);
        assert_eq!(
            invalid(accept(&issue, &issue.sign())),
            InvalidPac::SignatureLength {
                buffer,
                kind,
                length,
                expected: 12
            }
        );
    }
}

/// Conformance row 41: no cut of a PAC is read past its end.
#[test]
fn row_41_every_cut_of_a_pac_is_refused() {
    let issue = Issue::new();
    let bytes = issue.sign();
    let end = place(&bytes, PacBufferType::FULL_CHECKSUM).unwrap().end;
    for length in 0..end {
        assert!(UnverifiedPac::parse(&bytes[..length]).is_err(), "{length}");
    }
}

/// Conformance rows 41 and 191: a PAC with any byte changed gives an answer from every reader, and what
/// was changed is never believed.
#[test]
fn row_41_damaged_pacs_give_an_answer_everywhere() {
    let issue = Issue::new();
    let whole = issue.sign();
    for index in 0..whole.len() {
        for value in [0, 1, 8, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[index] = value;
            let Ok(unverified) = UnverifiedPac::parse(&bytes) else {
                continue;
            };
            for buffer in unverified.buffers() {
                let end = buffer.offset + u64::from(buffer.size);
                assert!(end <= bytes.len() as u64);
            }
            if let Ok(pac) = danger::read_without_verifying(&unverified) {
                let groups = pac.logon_info().map_or(0, |info| info.groups().count());
                assert!(groups * 8 <= bytes.len());
                let _either = (pac.client_claims(), pac.device_claims());
            }
            let believed = unverified.verify_full_checksum(&issue.kdc).is_ok();
            let covered = [
                PacBufferType::SERVER_SIGNATURE,
                PacBufferType::KDC_SIGNATURE,
            ]
            .iter()
            .all(|kind| !place(&whole, *kind).unwrap().contains(&index));
            assert!(!(believed && covered && bytes != whole), "byte {index}");
        }
    }
}
