//! How a message lies in its buffers.

use trihound_sspi::parts::{self, DataAccess, DataPart, MessageParts, takes_part};
use trihound_sspi::{
    BufferAttributes, BufferType, Error, SecBuffer, SecBufferDesc, SecurityStatus,
};

/// What a package sees: `S` for sealed, `s` for signed, with the bytes.
fn seen(buffers: &mut [SecBuffer<'_>], access: DataAccess) -> Vec<(char, Vec<u8>)> {
    let mut message = SecBufferDesc::new(buffers);
    let mut data = MessageParts::of(&mut message, BufferType::TOKEN, access)
        .unwrap()
        .data;
    let mut found = Vec::new();
    data.each(|part| {
        let kind = match part {
            DataPart::Sealed(_) => 'S',
            DataPart::Signed(_) => 's',
        };
        found.push((kind, part.bytes().to_vec()));
    });
    // Both ways to walk give the same, as often as one likes.
    assert_eq!(data.count(), found.len());
    assert_eq!(
        data.length(),
        found.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    );
    for _ in 0..2 {
        for (index, (_, bytes)) in found.iter().enumerate() {
            assert_eq!(data.part(index).bytes(), bytes);
        }
    }
    assert!(matches!(data.part(found.len()), DataPart::Signed(&[])));
    found
}

fn status(outcome: Result<(), Error>) -> SecurityStatus {
    outcome.unwrap_err().status()
}

/// Conformance row 126: what is signed, what is sealed, what is neither, before the token and behind it.
#[test]
fn buffers_are_parts_by_type_and_attribute_in_their_order() {
    let (mut a, mut b, mut token, mut c) = (*b"a", *b"bb", [0; 4], *b"ccc");
    let mut padding = [0; 1];
    let mut buffers = [
        SecBuffer::data(&mut a),
        SecBuffer::data_readonly(b"outside"),
        SecBuffer::data_readonly_with_checksum(b"header"),
        SecBuffer::token(&mut token),
        SecBuffer::padding(&mut padding),
        SecBuffer::data(&mut b),
        SecBuffer::data(&mut c).with_attributes(BufferAttributes::READONLY_WITH_CHECKSUM),
        SecBuffer::empty(BufferType::EMPTY),
    ];
    let expected: [(char, &[u8]); 4] = [('S', b"a"), ('s', b"header"), ('S', b"bb"), ('s', b"ccc")];
    let expected = expected.map(|(kind, bytes)| (kind, bytes.to_vec()));
    assert_eq!(seen(&mut buffers, DataAccess::Change), expected);
    let read: Vec<_> = expected.map(|(_, bytes)| ('s', bytes)).into();
    assert_eq!(seen(&mut buffers, DataAccess::Read), read);
    let taking = buffers.each_ref().map(takes_part);
    assert_eq!(taking, [true, false, true, false, false, true, true, false]);
}

/// EncryptMessage: SEC_E_INVALID_TOKEN without a TOKEN or without DATA.
#[test]
fn a_message_without_token_or_data_is_refused() {
    let (mut data, mut token) = (*b"data", [0; 4]);
    let of = |buffers: &mut [SecBuffer<'_>], token_type| {
        let mut message = SecBufferDesc::new(buffers);
        MessageParts::of(&mut message, token_type, DataAccess::Change).map(drop)
    };
    let none = of(&mut [SecBuffer::data(&mut data)], BufferType::TOKEN);
    assert_eq!(status(none), SecurityStatus::SEC_E_INVALID_TOKEN);
    let none = of(&mut [SecBuffer::token(&mut token)], BufferType::TOKEN);
    assert_eq!(status(none), SecurityStatus::SEC_E_INVALID_TOKEN);
    let outside = SecBuffer::data_readonly(b"outside");
    let none = of(
        &mut [SecBuffer::token(&mut token), outside],
        BufferType::TOKEN,
    );
    assert_eq!(status(none), SecurityStatus::SEC_E_INVALID_TOKEN);
    let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
    let none = of(&mut buffers, BufferType::STREAM_HEADER);
    assert_eq!(status(none), SecurityStatus::SEC_E_INVALID_TOKEN);
    assert!(of(&mut buffers, BufferType::TOKEN).is_ok());
}

/// Data in shared memory cannot be sealed, but signed.
#[test]
fn what_is_sealed_has_to_be_writable() {
    let wrong = |buffer: SecBuffer<'_>| {
        parts::require_writable(&SecBufferDesc::new(&mut [buffer])).map_err(|error| error.status())
    };
    let refused = Err(SecurityStatus::SEC_E_INVALID_PARAMETER);
    assert_eq!(wrong(SecBuffer::data_input(b"shared")), refused);
    let (mut memory, shared) = (*b"data", b"shared");
    assert_eq!(wrong(SecBuffer::data(&mut memory)), Ok(()));
    assert_eq!(wrong(SecBuffer::data_readonly(shared)), Ok(()));
    assert_eq!(
        wrong(SecBuffer::data_readonly_with_checksum(shared)),
        Ok(())
    );
    assert_eq!(wrong(SecBuffer::token_input(shared)), Ok(()));
}

/// The whole memory is there to be filled, whatever the length was; a failure leaves the length.
#[test]
fn a_token_is_filled_in_its_whole_memory() {
    let mut memory = [7; 8];
    let mut token = SecBuffer::token(&mut memory);
    token.set_len(2).unwrap();
    parts::fill_token(&mut token, 5, |bytes| {
        assert_eq!(bytes.len(), 8);
        bytes.fill(1);
        Ok(3)
    })
    .unwrap();
    assert_eq!(token.bytes(), [1; 3]);
    let failing = parts::fill_token(&mut token, 5, |_| Err(Error::unsupported("EncryptMessage")));
    assert_eq!(status(failing), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    assert_eq!(token.len(), 3);
    let longer = parts::fill_token(&mut token, 5, |_| Ok(9));
    assert_eq!(status(longer), SecurityStatus::SEC_E_BUFFER_TOO_SMALL);
    assert_eq!(token.len(), 3);

    let mut allocated = SecBuffer::allocate(BufferType::TOKEN);
    parts::fill_token(&mut allocated, 5, |bytes| Ok(bytes.len())).unwrap();
    assert_eq!(allocated.bytes(), [0; 5]);

    let mut shared = SecBuffer::token_input(b"shared");
    let refused = parts::fill_token(&mut shared, 5, |bytes| Ok(bytes.len()));
    assert_eq!(status(refused), SecurityStatus::SEC_E_INVALID_PARAMETER);
    assert_eq!(shared.bytes(), b"shared");
}

/// A stream is opened only where there is a place for its plaintext, which is a view into it.
#[test]
fn a_stream_is_opened_in_place_and_only_with_a_place() {
    let mut memory = *b"headPLAINpad";
    let mut calls = 0;
    let mut open = |buffers: &mut [SecBuffer<'_>], range: core::ops::Range<usize>| {
        parts::open_stream(&mut SecBufferDesc::new(buffers), |bytes| {
            calls += 1;
            bytes.make_ascii_lowercase();
            Ok((range, bytes.len()))
        })
    };
    let alone = open(&mut [SecBuffer::stream(&mut memory)], 4..9);
    assert_eq!(status(alone.map(drop)), SecurityStatus::SEC_E_INVALID_TOKEN);
    let none = open(&mut [SecBuffer::empty(BufferType::DATA)], 4..9);
    assert_eq!(status(none.map(drop)), SecurityStatus::SEC_E_INVALID_TOKEN);
    for place in [BufferType::DATA, BufferType::EMPTY] {
        let mut buffers = [SecBuffer::empty(place), SecBuffer::stream(&mut memory)];
        assert_eq!(open(&mut buffers, 4..9).unwrap(), 12);
        assert_eq!(buffers[0].bytes(), b"plain");
        assert_eq!(buffers[0].buffer_type(), BufferType::DATA);
        assert_eq!(buffers[1].bytes(), b"head");
    }
    // A package whose plaintext lies outside is at fault, and is told so.
    let mut buffers = [
        SecBuffer::empty(BufferType::DATA),
        SecBuffer::stream(&mut memory),
    ];
    let outside = open(&mut buffers, 4..13).map(drop);
    assert_eq!(status(outside), SecurityStatus::SEC_E_INTERNAL_ERROR);
    let mut shared = [
        SecBuffer::empty(BufferType::DATA),
        SecBuffer::input(BufferType::STREAM, b"shared"),
    ];
    let refused = open(&mut shared, 0..1).map(drop);
    assert_eq!(status(refused), SecurityStatus::SEC_E_INVALID_PARAMETER);
    assert_eq!(calls, 3);
}

/// Padding is cut from the last sealed buffer that has bytes, and never more than it has.
#[test]
fn padding_is_cut_from_the_last_sealed_buffer() {
    let (mut first, mut second, mut none) = (*b"first", *b"second", []);
    let mut buffers = [
        SecBuffer::data(&mut first),
        SecBuffer::data(&mut second),
        SecBuffer::data(&mut none),
        SecBuffer::data_readonly_with_checksum(b"trailer"),
    ];
    parts::cut_padding(&mut SecBufferDesc::new(&mut buffers), 0).unwrap();
    assert_eq!(buffers[1].len(), 6);
    parts::cut_padding(&mut SecBufferDesc::new(&mut buffers), 2).unwrap();
    assert_eq!(buffers[1].bytes(), b"seco");
    parts::cut_padding(&mut SecBufferDesc::new(&mut buffers), 9).unwrap();
    assert_eq!(buffers.each_ref().map(SecBuffer::len), [5, 0, 0, 7]);
    parts::cut_padding(&mut SecBufferDesc::new(&mut buffers[3..]), 1).unwrap();
    assert_eq!(buffers[3].len(), 7);
}
