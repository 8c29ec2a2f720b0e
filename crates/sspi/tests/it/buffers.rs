use trihound_sspi::*;

use crate::toy::{Bench, status};

const TOO_SMALL: SecurityStatus = SecurityStatus::SEC_E_BUFFER_TOO_SMALL;
const PARAMETER: SecurityStatus = SecurityStatus::SEC_E_INVALID_PARAMETER;

#[test]
fn a_write_fills_from_the_start_and_sets_the_length() {
    let mut memory = [9u8; 8];
    let mut buffer = SecBuffer::token(&mut memory);
    assert_eq!((buffer.len(), buffer.capacity()), (8, 8));
    buffer.write(b"abc").unwrap();
    assert_eq!(buffer.bytes(), b"abc");
    // The whole memory is there for the next write, whatever the length is now.
    buffer.write(b"abcdefgh").unwrap();
    assert_eq!(buffer.bytes(), b"abcdefgh");
    buffer.set_len(2).unwrap();
    assert_eq!(buffer.bytes_mut().unwrap(), b"ab");
    buffer.set_len(0).unwrap();
    assert!(buffer.is_empty());
}

#[test]
fn a_write_that_does_not_fit_names_both_sizes_and_changes_nothing() {
    let mut memory = *b"xyz";
    let mut buffer = SecBuffer::token(&mut memory);
    let error = buffer.write(b"abcd").unwrap_err();
    assert_eq!(error.status(), TOO_SMALL);
    assert!(
        error
            .text()
            .contains("TOKEN buffer has 3 bytes and 4 are needed"),
        "{error}"
    );
    assert_eq!(buffer.bytes(), b"xyz");
    assert_eq!(status(buffer.set_len(4)), TOO_SMALL);
    assert_eq!(
        status(SecBuffer::empty(BufferType::TOKEN).write(b"a")),
        TOO_SMALL
    );
    assert!(SecBuffer::empty(BufferType::TOKEN).write(b"").is_ok());
}

#[test]
fn a_read_only_buffer_is_not_written() {
    let mut memory = *b"xyz";
    for mut buffer in [
        SecBuffer::data_input(b"xyz"),
        SecBuffer::data_readonly(b"xyz"),
        SecBuffer::data_readonly_with_checksum(b"xyz"),
        SecBuffer::channel_bindings(b"xyz"),
        SecBuffer::data(&mut memory).with_attributes(BufferAttributes::READONLY),
    ] {
        assert!(buffer.is_readonly());
        assert_eq!(status(buffer.bytes_mut().map(|_| ())), PARAMETER);
        assert_eq!(status(buffer.write(b"a")), PARAMETER);
        assert_eq!(buffer.bytes(), b"xyz");
    }
}

#[test]
fn an_allocated_buffer_grows_and_is_given_back() {
    let bench = Bench::new();
    let mut buffer = SecBuffer::allocate(BufferType::TOKEN);
    assert!(buffer.is_allocate());
    buffer.write(&[7; 100]).unwrap();
    assert_eq!(buffer.bytes(), [7; 100]);
    buffer.write(b"short").unwrap();
    assert_eq!(buffer.bytes(), b"short");
    bench.table.free_context_buffer(&mut buffer);
    assert_eq!((buffer.len(), buffer.capacity()), (0, 0));
    // It may serve for the next call.
    buffer.write(b"again").unwrap();
    assert_eq!(buffer.bytes(), b"again");
}

#[test]
fn the_callers_own_memory_is_not_given_back() {
    let bench = Bench::new();
    let mut memory = *b"mine";
    let mut buffer = SecBuffer::token(&mut memory);
    bench.table.free_context_buffer(&mut buffer);
    assert_eq!(buffer.bytes(), b"mine");
}

#[test]
fn the_array_is_the_callers_again_after_a_call() {
    let mut memory = [0u8; 8];
    let mut buffers = [
        SecBuffer::token(&mut memory),
        SecBuffer::empty(BufferType::EXTRA),
    ];
    SecBufferDesc::new(&mut buffers)
        .write_token(b"one")
        .unwrap();
    SecBufferDesc::new(&mut buffers)
        .write_token(b"two")
        .unwrap();
    assert_eq!(buffers[0].bytes(), b"two");
    let mut desc = SecBufferDesc::new(&mut buffers);
    desc.reborrow().write_token(b"three").unwrap();
    assert_eq!(desc.as_input().token(), Some(&b"three"[..]));
    assert!(desc.find(BufferType::DATA).is_none());
}

#[test]
fn an_empty_token_is_no_token() {
    let buffers = [SecBuffer::token_input(b"")];
    assert_eq!(InputDesc::new(&buffers).token(), None);
    assert_eq!(InputDesc::new(&[]).token(), None);
}

#[test]
fn channel_bindings_come_out_of_their_buffer() {
    let image = ChannelBindings::application_data(b"unique")
        .to_buffer()
        .unwrap();
    let buffers = [
        SecBuffer::token_input(b"t"),
        SecBuffer::channel_bindings(&image),
    ];
    let input = InputDesc::new(&buffers);
    assert_eq!(
        input.channel_bindings().unwrap().unwrap().application_data,
        b"unique"
    );
    assert!(
        InputDesc::new(&buffers[..1])
            .channel_bindings()
            .unwrap()
            .is_none()
    );
    let cut = [SecBuffer::channel_bindings(&image[..31])];
    assert_eq!(
        status(InputDesc::new(&cut).channel_bindings()),
        SecurityStatus::SEC_E_INVALID_TOKEN
    );
}

#[test]
fn an_owned_stream_is_split_too_and_an_empty_buffer_becomes_the_data() {
    let mut buffers = [
        SecBuffer::owned(BufferType::STREAM, b"HHplaintextTT".to_vec()),
        SecBuffer::empty(BufferType::EMPTY),
    ];
    let mut desc = SecBufferDesc::new(&mut buffers);
    desc.split_stream(2..11).unwrap();
    assert_eq!(desc.find(BufferType::DATA).unwrap().bytes(), b"plaintext");
}

#[test]
fn a_stream_that_cannot_be_split_stays_as_it_is() {
    let split = |buffers: &mut [SecBuffer<'_>], range: core::ops::Range<usize>| {
        let result = SecBufferDesc::new(buffers).split_stream(range);
        (status(result), buffers[0].bytes().to_vec())
    };
    let kept = b"stream".to_vec();
    let mut memory = *b"stream";
    let mut alone = [SecBuffer::stream(&mut memory)];
    assert_eq!(split(&mut alone, 0..6), (PARAMETER, kept.clone()));

    let mut readonly = [
        SecBuffer::input(BufferType::STREAM, b"stream"),
        SecBuffer::empty(BufferType::DATA),
    ];
    assert_eq!(split(&mut readonly, 0..6), (PARAMETER, kept.clone()));

    let mut memory = *b"stream";
    let mut outside = [
        SecBuffer::stream(&mut memory),
        SecBuffer::empty(BufferType::DATA),
    ];
    let internal = SecurityStatus::SEC_E_INTERNAL_ERROR;
    #[allow(clippy::reversed_empty_ranges)]
    for range in [0..7, 7..8, 4..2, 0..usize::MAX] {
        assert_eq!(split(&mut outside, range), (internal, kept.clone()));
    }
}

#[test]
fn types_and_attributes_share_one_number_in_c() {
    assert_eq!(BufferType::from_number(0x8000_0001), BufferType::DATA);
    assert_eq!(BufferType::from_number(0x1000_0001), BufferType::DATA);
    assert_eq!(BufferType::CHANNEL_BINDINGS.number(), 14);
    assert_eq!(BufferType::STREAM.number(), 10);
    assert_eq!(BufferType::from_number(999).to_string(), "type 999");
    assert_eq!(BufferType::TOKEN.to_string(), "TOKEN");
}

#[test]
fn debug_shows_sizes_and_no_contents() {
    let buffer = SecBuffer::data_readonly(b"hunter2");
    let text = format!("{buffer:?}");
    assert_eq!(
        text,
        "SecBuffer(DATA, 7 of 7 bytes, BufferAttributes(READONLY))"
    );
}
