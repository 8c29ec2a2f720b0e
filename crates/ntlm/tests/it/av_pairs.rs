//! AV pairs, texts and times: what is read, and what is refused with which error.

use proptest::prelude::*;
use trihound_ntlm::message::{FileTime, MessageError, text};
use trihound_ntlm::{
    AvFlags, AvId, AvPair, NegotiateFlags, SingleHost, TargetInfo, TargetInfoBuilder,
};
use trihound_sansio::Timestamp;

/// One pair as it is on the wire, whatever its length says.
fn pair(id: u16, length: u16, value: &[u8]) -> Vec<u8> {
    [id.to_le_bytes().as_slice(), &length.to_le_bytes(), value].concat()
}

fn list(pairs: &[Vec<u8>]) -> Vec<u8> {
    [pairs.concat(), vec![0; 4]].concat()
}

const EVERY_ID: [AvId; 12] = [
    AvId::EOL,
    AvId::NB_COMPUTER_NAME,
    AvId::NB_DOMAIN_NAME,
    AvId::DNS_COMPUTER_NAME,
    AvId::DNS_DOMAIN_NAME,
    AvId::DNS_TREE_NAME,
    AvId::FLAGS,
    AvId::TIMESTAMP,
    AvId::SINGLE_HOST,
    AvId::TARGET_NAME,
    AvId::CHANNEL_BINDINGS,
    AvId(0x7fff),
];

// ---- lists ----

/// Conformance row 143: a list that is cut anywhere before its end is refused.
#[test]
fn row_143_a_list_cut_anywhere_is_refused() {
    let whole = list(&[pair(1, 4, b"A\0B\0"), pair(7, 8, &[7; 8])]);
    let starts = [0, 8, 20];
    for length in 0..whole.len() {
        let start = *starts.iter().rfind(|start| **start <= length).unwrap();
        let left = length - start;
        let expected = match whole[start..length] {
            [id, 0, said, 0, ..] if left >= 4 => MessageError::AvPairCut {
                id: AvId(id.into()),
                length: said.into(),
                left: left - 4,
            },
            _ => MessageError::AvListUnterminated,
        };
        assert_eq!(TargetInfo::parse(&whole[..length]), Err(expected));
    }
    assert!(TargetInfo::parse(&whole).is_ok());
}

/// Conformance row 143: a length that reaches behind the list, by one or by all.
#[test]
fn row_143_a_pair_longer_than_its_list_is_refused() {
    for (length, left) in [(5u16, 4), (u16::MAX, 4), (5, 0)] {
        let bytes = pair(0x0102, length, &vec![0; left]);
        let id = AvId(0x0102);
        assert_eq!(
            TargetInfo::parse(&bytes),
            Err(MessageError::AvPairCut { id, length, left })
        );
    }
}

/// Conformance row 143: flags, time, bindings, host and the end itself have one size each.
#[test]
fn row_143_a_pair_of_fixed_size_with_another_is_refused() {
    for (id, expected) in [
        (AvId::FLAGS, 4),
        (AvId::TIMESTAMP, 8),
        (AvId::CHANNEL_BINDINGS, 16),
        (AvId::SINGLE_HOST, 48),
    ] {
        for found in [0, expected - 1, expected + 1] {
            let bytes = list(&[pair(id.0, found as u16, &vec![0; found])]);
            let error = MessageError::AvLength {
                id,
                expected,
                found,
            };
            assert_eq!(TargetInfo::parse(&bytes), Err(error.clone()));
            let mut builder = TargetInfoBuilder::new();
            assert_eq!(builder.push(id, &vec![0; found]).map(|_| ()), Err(error));
        }
        let bytes = list(&[pair(id.0, expected as u16, &vec![0; expected])]);
        assert!(TargetInfo::parse(&bytes).is_ok());
    }
    assert_eq!(
        TargetInfo::parse(&pair(0, 1, b"x")),
        Err(MessageError::AvLength {
            id: AvId::EOL,
            expected: 0,
            found: 1
        })
    );
}

/// Conformance row 143: what is wrong in a pair that would not count is wrong all the same.
#[test]
fn row_143_a_second_pair_is_checked_too() {
    let bytes = list(&[pair(7, 8, &[1; 8]), pair(7, 4, &[1; 4])]);
    assert_eq!(
        TargetInfo::parse(&bytes),
        Err(MessageError::AvLength {
            id: AvId::TIMESTAMP,
            expected: 8,
            found: 4
        })
    );
}

/// Conformance row 143: of two pairs with one id the first counts, for every accessor.
#[test]
fn row_143_the_first_of_two_pairs_counts() {
    let bytes = list(&[
        pair(9, 2, b"A\0"),
        pair(6, 4, &[2, 0, 0, 0]),
        pair(7, 8, &[1, 0, 0, 0, 0, 0, 0, 0]),
        pair(10, 16, &[1; 16]),
        pair(9, 2, b"B\0"),
        pair(6, 4, &[4, 0, 0, 0]),
        pair(7, 8, &[2, 0, 0, 0, 0, 0, 0, 0]),
        pair(10, 16, &[2; 16]),
    ]);
    let info = TargetInfo::parse(&bytes).unwrap();
    assert_eq!(info.target_name().unwrap().as_deref(), Some("A"));
    assert_eq!(info.flags(), AvFlags::MIC_PROVIDED);
    assert_eq!(info.timestamp(), Some(FileTime(1)));
    assert_eq!(info.channel_bindings(), Some([1; 16]));
    assert_eq!(info.iter().count(), 8);
}

#[test]
fn pairs_behind_the_end_do_not_count() {
    let bytes = [list(&[pair(1, 2, b"A\0")]), pair(6, 4, &[2, 0, 0, 0])].concat();
    let info = TargetInfo::parse(&bytes).unwrap();
    assert_eq!(info.flags(), AvFlags::empty());
    assert_eq!(info.iter().count(), 1);
}

#[test]
fn what_is_absent_is_told_from_what_is_zero() {
    let bytes = [0; 4];
    let info = TargetInfo::parse(&bytes).unwrap();
    assert_eq!(info.flags(), AvFlags::empty());
    assert_eq!(info.timestamp(), None);
    assert_eq!(info.channel_bindings(), None);
    assert_eq!(info.single_host(), None);
    assert_eq!(info.target_name(), Ok(None));
    let bytes = list(&[pair(10, 16, &[0; 16]), pair(9, 0, b"")]);
    let info = TargetInfo::parse(&bytes).unwrap();
    assert_eq!(info.channel_bindings(), Some([0; 16]));
    assert_eq!(info.target_name().unwrap().as_deref(), Some(""));
}

/// Pairs and bits of a time to come are kept.
#[test]
fn unknown_pairs_and_bits_are_kept() {
    let bytes = list(&[pair(0x7fff, 3, b"odd"), pair(6, 4, &[0xf2, 0, 0, 0x80])]);
    let info = TargetInfo::parse(&bytes).unwrap();
    let value: &[u8] = b"odd";
    let id = AvId(0x7fff);
    assert_eq!(info.iter().next(), Some(AvPair { id, value }));
    assert_eq!(info.flags().bits(), 0x8000_00f2);
    assert_eq!(id.to_string(), "AV pair 32767");
    assert_eq!(AvId::TIMESTAMP.to_string(), "MsvAvTimestamp");
}

#[test]
fn the_data_of_a_single_host() {
    let host = SingleHost {
        custom_data: [1; 8],
        machine_id: [2; 32],
    };
    let mut builder = TargetInfoBuilder::new();
    builder.push(AvId::SINGLE_HOST, &host.to_value()).unwrap();
    let bytes = builder.finish();
    assert_eq!(bytes[4..12], [48, 0, 0, 0, 0, 0, 0, 0]);
    let info = TargetInfo::parse(&bytes).unwrap();
    assert_eq!(info.single_host(), Some(host));
}

// ---- lists of our own ----

/// A server that says what only a client may say cannot get it past the client's own words.
#[test]
fn a_copied_list_leaves_out_what_it_is_told_to() {
    let bytes = list(&[
        pair(9, 2, b"X\0"),
        pair(1, 2, b"A\0"),
        pair(10, 16, &[6; 16]),
        pair(9, 2, b"Y\0"),
        pair(0x7fff, 1, b"z"),
    ]);
    let info = TargetInfo::parse(&bytes).unwrap();
    let except = [AvId::TARGET_NAME, AvId::CHANNEL_BINDINGS];
    let mut builder = TargetInfoBuilder::copy_of(&info, &except);
    builder.push_text(AvId::TARGET_NAME, "HTTP/a").unwrap();
    let bytes = builder.finish();
    let info = TargetInfo::parse(&bytes).unwrap();
    let ids: Vec<_> = info.iter().map(|pair| pair.id.0).collect();
    assert_eq!(ids, [1, 0x7fff, 9]);
    assert_eq!(info.target_name().unwrap().as_deref(), Some("HTTP/a"));
    assert_eq!(info.channel_bindings(), None);
}

#[test]
fn a_value_that_its_length_cannot_tell_is_refused() {
    let mut builder = TargetInfoBuilder::new();
    let long = vec![0; 65_536];
    assert_eq!(
        builder.push(AvId::TARGET_NAME, &long).map(|_| ()),
        Err(MessageError::AvPairTooLong {
            id: AvId::TARGET_NAME,
            length: 65_536
        })
    );
    assert!(builder.push(AvId(99), &long[1..]).is_ok());
    let bytes = builder.finish();
    assert_eq!(bytes.len(), 4 + 65_535 + 4);
}

#[test]
fn the_end_is_written_once() {
    let mut builder = TargetInfoBuilder::new();
    builder.push(AvId::EOL, &[]).unwrap();
    builder.push(AvId::FLAGS, &[2, 0, 0, 0]).unwrap();
    assert_eq!(builder.finish(), list(&[pair(6, 4, &[2, 0, 0, 0])]));
    let mut builder = TargetInfoBuilder::new();
    assert_eq!(
        builder.push(AvId::EOL, b"x").map(|_| ()),
        Err(MessageError::AvLength {
            id: AvId::EOL,
            expected: 0,
            found: 1
        })
    );
}

// ---- text ----

/// Conformance row 144: UTF-16 has two bytes a unit, in messages and in AV pairs.
#[test]
fn row_144_an_odd_number_of_bytes_is_refused() {
    let unicode = NegotiateFlags::NEGOTIATE_UNICODE;
    for length in [1, 3, 65_535] {
        let bytes = vec![b'a'; length];
        let odd = MessageError::OddTextLength { length };
        assert_eq!(text::from_utf16(&bytes), Err(odd.clone()));
        assert_eq!(text::decode(unicode, &bytes), Err(odd.clone()));
        assert_eq!(
            text::decode(NegotiateFlags::NEGOTIATE_OEM, &bytes)
                .unwrap()
                .len(),
            length
        );
        for id in [1, 2, 3, 4, 5, 9] {
            let bytes = list(&[pair(id, length as u16, &bytes)]);
            assert_eq!(TargetInfo::parse(&bytes), Err(odd.clone()));
        }
    }
}

/// Conformance row 144: half of a surrogate pair, at the start, in the middle, at the end, and swapped.
#[test]
fn row_144_a_lone_surrogate_is_refused() {
    let units = |units: &[u16]| {
        units
            .iter()
            .flat_map(|u| u.to_le_bytes())
            .collect::<Vec<_>>()
    };
    for (text, unit) in [
        (&[0xd800][..], 0),
        (&[0xdc00], 0),
        (&[0x41, 0xd800], 1),
        (&[0x41, 0xd83d, 0x42], 1),
        (&[0xd83d, 0xde00, 0xde00], 2),
        (&[0xdc00, 0xd800], 0),
        (&[0xd83d, 0xd83d, 0xde00], 0),
    ] {
        let bytes = units(text);
        let lone = MessageError::LoneSurrogate { unit };
        assert_eq!(text::from_utf16(&bytes), Err(lone.clone()), "{text:x?}");
        let bytes = list(&[pair(1, bytes.len() as u16, &bytes)]);
        let info = TargetInfo::parse(&bytes).unwrap();
        assert_eq!(info.text(AvId::NB_COMPUTER_NAME), Err(lone));
    }
    assert_eq!(
        text::from_utf16(&units(&[0xd83d, 0xde00])).as_deref(),
        Ok("😀")
    );
}

/// A byte order mark and a zero are letters like others: a name that has one is another name.
#[test]
fn nothing_is_taken_away_from_a_text() {
    assert_eq!(
        text::from_utf16(b"\xff\xfea\0\0\0").as_deref(),
        Ok("\u{feff}a\0")
    );
}

#[test]
fn oem_text_is_code_page_1252() {
    let every: Vec<u8> = (0..=255).collect();
    let decoded = text::from_oem(&every);
    assert_eq!(text::to_oem(&decoded), Ok(every));
    assert_eq!(text::from_oem(b"caf\xe9 \x80\x9f"), "café €Ÿ");
    for outside in ["ł", "日本", "\u{9f}", "😀"] {
        assert_eq!(text::to_oem(outside), Err(MessageError::NotInCodePage));
        let oem = NegotiateFlags::NEGOTIATE_OEM;
        assert_eq!(text::encode(oem, outside), Err(MessageError::NotInCodePage));
        let both = oem | NegotiateFlags::NEGOTIATE_UNICODE;
        assert_eq!(text::encode(both, outside), Ok(text::to_utf16(outside)));
    }
}

// ---- time ----

#[test]
fn file_times_and_timestamps() {
    for (ticks, seconds) in [
        (116_444_736_000_000_000, 0),
        (0x01d6_355d_868d_f46b, 1_590_717_885),
        (0, -11_644_473_600),
    ] {
        let moment = Timestamp::from(FileTime(ticks));
        assert_eq!(moment.seconds(), seconds);
    }
    assert_eq!(FileTime::from(Timestamp::MIN), FileTime(0));
    assert_eq!(FileTime::from(Timestamp::MAX), FileTime(u64::MAX));
    let last = Timestamp::from(FileTime(u64::MAX));
    assert_eq!(last.seconds(), 1_833_029_933_770);
}

// ---- whatever comes ----

proptest! {
    /// Conformance row 143: any bytes, and any lengths before bytes that are there.
    #[test]
    fn row_143_any_list(
        pairs in prop::collection::vec((0u16..12, 0u16..50, any::<[u8; 24]>()), 0..8),
        noise in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let near: Vec<_> = pairs.iter().map(|(id, length, value)| pair(*id, *length, value)).collect();
        for bytes in [noise, list(&near)] {
            let Ok(info) = TargetInfo::parse(&bytes) else { continue };
            let again = TargetInfoBuilder::copy_of(&info, &[]).finish();
            prop_assert!(bytes.starts_with(&again));
            for id in EVERY_ID {
                let _ = info.text(id);
                let first = info.iter().find(|pair| pair.id == id).map(|pair| pair.value);
                prop_assert_eq!(info.get(id), first);
            }
            let _ = (info.flags(), info.timestamp(), info.single_host(), info.channel_bindings());
        }
    }

    #[test]
    fn a_list_comes_back(
        pairs in prop::collection::vec((100u16.., prop::collection::vec(any::<u8>(), 0..30)), 0..10),
    ) {
        let mut builder = TargetInfoBuilder::new();
        for (id, value) in &pairs {
            builder.push(AvId(*id), value).unwrap();
        }
        let bytes = builder.finish();
        let info = TargetInfo::parse(&bytes).unwrap();
        let found: Vec<_> = info.iter().map(|pair| (pair.id.0, pair.value.to_vec())).collect();
        prop_assert_eq!(found, pairs);
    }

    #[test]
    fn text_comes_back(name in any::<String>(), units in prop::collection::vec(any::<u16>(), 0..20)) {
        let bytes = text::to_utf16(&name);
        prop_assert_eq!(text::from_utf16(&bytes), Ok(name));
        let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let expected = String::from_utf16(&units).ok();
        prop_assert_eq!(text::from_utf16(&bytes).ok(), expected);
    }

    #[test]
    fn a_microsecond_comes_back(microseconds in -11_644_473_600_000_000i64..253_402_300_800_000_000) {
        let moment = Timestamp::from_microseconds(microseconds);
        prop_assert_eq!(Timestamp::from(FileTime::from(moment)), moment);
    }

    #[test]
    fn any_file_time_is_a_moment(ticks in any::<u64>()) {
        let again = FileTime::from(Timestamp::from(FileTime(ticks)));
        prop_assert_eq!(again.0, ticks / 10 * 10);
    }
}
