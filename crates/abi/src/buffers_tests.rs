use super::*;

const TOKEN: u32 = 2;
const DATA: u32 = 1;
const STREAM: u32 = 10;
const READONLY: u32 = 0x8000_0000;

fn buffer(kind: u32, memory: &mut [u8]) -> c::SecBuffer {
    c::SecBuffer {
        cbBuffer: u32::try_from(memory.len()).unwrap(),
        BufferType: kind,
        pvBuffer: memory.as_mut_ptr().cast(),
    }
}

fn none(kind: u32) -> c::SecBuffer {
    c::SecBuffer {
        cbBuffer: 0,
        BufferType: kind,
        pvBuffer: core::ptr::null_mut(),
    }
}

fn desc(buffers: &mut [c::SecBuffer]) -> c::SecBufferDesc {
    c::SecBufferDesc {
        ulVersion: 0,
        cBuffers: u32::try_from(buffers.len()).unwrap(),
        pBuffers: buffers.as_mut_ptr(),
    }
}

fn is_parameter<T>(outcome: Result<T, Error>) -> bool {
    outcome.is_err_and(|error| error.status() == SecurityStatus::SEC_E_INVALID_PARAMETER)
}

#[test]
fn descriptors_that_cannot_be_are_refused() {
    let mut buffers = [none(TOKEN)];
    let good = desc(&mut buffers);
    let bad = [
        c::SecBufferDesc {
            ulVersion: 1,
            ..good
        },
        c::SecBufferDesc {
            cBuffers: u32::MAX,
            ..good
        },
        c::SecBufferDesc {
            pBuffers: core::ptr::null_mut(),
            ..good
        },
        c::SecBufferDesc {
            pBuffers: good.pBuffers.wrapping_byte_add(1),
            ..good
        },
    ];
    for descriptor in bad {
        // SAFETY: what is wrong with each is seen before its buffers are read.
        assert!(is_parameter(unsafe { Input::read(&raw const descriptor) }));
    }
    // SAFETY: NULL and a good one.
    unsafe {
        assert!(Input::read(core::ptr::null()).is_ok_and(|input| input.desc().is_none()));
        assert!(Input::read(&raw const good).is_ok_and(|input| input.desc().is_none()));
    }
}

#[test]
fn bytes_at_null_are_refused() {
    let mut buffers = [c::SecBuffer {
        cbBuffer: 4,
        ..none(TOKEN)
    }];
    let descriptor = desc(&mut buffers);
    // SAFETY: the NULL is seen before it is used.
    unsafe {
        assert!(is_parameter(Input::read(&raw const descriptor)));
        assert!(is_parameter(Output::new(&raw const descriptor, false)));
        assert!(is_parameter(Message::new(
            &raw const descriptor,
            Data::Changed,
            "it"
        )));
        assert!(Output::new(&raw const descriptor, true).is_ok());
    }
}

#[test]
fn the_token_shrinks_to_what_was_used() {
    let mut memory = [9u8; 8];
    let mut buffers = [buffer(TOKEN, &mut memory)];
    let descriptor = desc(&mut buffers);
    // SAFETY: the buffers live until the end of the test.
    let mut output = unsafe { Output::new(&raw const descriptor, false) }.unwrap();
    output.desc().write_token(b"abc").unwrap();
    output.put(SecurityStatus::SEC_E_OK).unwrap();
    assert_eq!(buffers[0].cbBuffer, 3);
    assert_eq!(&memory, b"abc\x09\x09\x09\x09\x09");
}

#[test]
fn a_buffer_that_is_too_small_stays_for_the_next_try() {
    let mut memory = [0u8; 2];
    let mut buffers = [buffer(TOKEN, &mut memory)];
    let descriptor = desc(&mut buffers);
    // SAFETY: the buffers live until the end of the test.
    let mut output = unsafe { Output::new(&raw const descriptor, false) }.unwrap();
    let error = output.desc().write_token(b"abc").unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_BUFFER_TOO_SMALL);
    output.put(error.status()).unwrap();
    assert_eq!(buffers[0].cbBuffer, 2);
}

#[test]
fn memory_is_allocated_where_it_was_asked_for() {
    let mut buffers = [none(TOKEN)];
    let descriptor = desc(&mut buffers);
    // SAFETY: the buffers live until the end of the test.
    let mut output = unsafe { Output::new(&raw const descriptor, true) }.unwrap();
    output.desc().write_token(b"abc").unwrap();
    output.put(SecurityStatus::SEC_I_CONTINUE_NEEDED).unwrap();
    assert_eq!(buffers[0].cbBuffer, 3);
    // SAFETY: three bytes were put there.
    let token = unsafe { bytes(buffers[0].pvBuffer.cast(), 3, "it") };
    assert_eq!(token.unwrap(), b"abc");
    assert!(memory::take_back(buffers[0].pvBuffer).is_ok());
}

#[test]
fn a_token_may_come_and_go_in_the_same_memory() {
    let mut memory = *b"from the peer";
    let mut buffers = [buffer(TOKEN, &mut memory)];
    let descriptor = desc(&mut buffers);
    // SAFETY: the buffers live until the end of the test.
    unsafe {
        let input = Input::read(&raw const descriptor).unwrap();
        let mut output = Output::new(&raw const descriptor, false).unwrap();
        output.desc().write_token(b"answer").unwrap();
        output.put(SecurityStatus::SEC_E_OK).unwrap();
        assert_eq!(input.desc().unwrap().token(), Some(&b"from the peer"[..]));
    }
    assert_eq!(&memory[..6], b"answer");
}

#[test]
fn the_plaintext_of_a_stream_is_part_of_its_memory() {
    let mut memory = *b"headplaintexttail";
    let mut buffers = [buffer(STREAM, &mut memory), none(DATA)];
    let stream = buffers[0];
    let descriptor = desc(&mut buffers);
    // SAFETY: the buffers live until the end of the test.
    let message = unsafe { Message::new(&raw const descriptor, Data::Changed, "it") }.unwrap();
    message.run(|desc| desc.split_stream(4..13)).unwrap();
    assert_eq!(buffers[0].cbBuffer, stream.cbBuffer);
    assert_eq!(buffers[0].pvBuffer, stream.pvBuffer);
    assert_eq!(buffers[1].cbBuffer, 9);
    assert_eq!(buffers[1].pvBuffer, stream.pvBuffer.wrapping_byte_add(4));
    // SAFETY: the plaintext is inside of the stream's memory.
    let plaintext = unsafe { bytes_mut(buffers[1].pvBuffer.cast(), 9, "it") }.unwrap();
    plaintext[0] = b'P';
    assert_eq!(&memory, b"headPlaintexttail");
}

#[test]
fn memory_in_two_buffers_is_refused_where_one_is_written() {
    let mut memory = [0u8; 8];
    let whole = buffer(DATA, &mut memory);
    let token = c::SecBuffer {
        BufferType: TOKEN,
        cbBuffer: 4,
        pvBuffer: whole.pvBuffer.wrapping_byte_add(2),
    };
    let read = c::SecBuffer {
        BufferType: DATA | READONLY,
        ..whole
    };
    for (pair, data, is_fine) in [
        ([whole, token], Data::Changed, false),
        ([token, whole], Data::Read, false),
        ([whole, whole], Data::Changed, false),
        ([read, whole], Data::Changed, false),
        ([whole, whole], Data::Read, true),
        ([read, read], Data::Changed, true),
    ] {
        let mut pair = pair;
        let descriptor = desc(&mut pair);
        // SAFETY: the memory lives until the end of the test; what two have in common is refused or read.
        let outcome = unsafe { Message::new(&raw const descriptor, data, "it") }.map(|_| ());
        assert_eq!(outcome.is_ok(), is_fine);
        assert!(is_fine || is_parameter(outcome));
    }
}

#[test]
fn lengths_and_types_go_back_with_their_attributes() {
    let (mut token, mut data) = ([0u8; 4], *b"data");
    let mut buffers = [
        buffer(TOKEN, &mut token),
        buffer(DATA | READONLY, &mut data),
    ];
    let descriptor = desc(&mut buffers);
    // SAFETY: the buffers live until the end of the test.
    let message = unsafe { Message::new(&raw const descriptor, Data::Changed, "it") }.unwrap();
    message
        .run(|desc| {
            let data = desc.find_mut(BufferType::DATA).unwrap();
            assert!(data.bytes_mut().is_err());
            desc.write_token(b"ab")
        })
        .unwrap();
    assert_eq!((buffers[0].cbBuffer, buffers[0].BufferType), (2, TOKEN));
    assert_eq!(
        (buffers[1].cbBuffer, buffers[1].BufferType),
        (4, DATA | READONLY)
    );
    assert_eq!(&token, b"ab\0\0");
}
