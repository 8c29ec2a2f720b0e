use trihound_sspi::*;

use crate::toy::{Bench, MASK, status};

#[test]
fn a_signature_verifies_and_an_altered_message_does_not() {
    let bench = Bench::new();
    let context = bench.established();
    let (mut token, mut data) = ([0u8; 8], *b"message");
    let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
    let mut message = SecBufferDesc::new(&mut buffers);
    bench
        .table
        .make_signature(context, 0, &mut message, 0)
        .unwrap();
    assert_eq!(message.token().unwrap().len(), 1);
    assert_eq!(
        bench
            .table
            .verify_signature(context, &mut message, 0)
            .unwrap(),
        0
    );
    message
        .find_mut(BufferType::DATA)
        .unwrap()
        .bytes_mut()
        .unwrap()[0] ^= 1;
    assert_eq!(
        status(bench.table.verify_signature(context, &mut message, 0)),
        SecurityStatus::SEC_E_MESSAGE_ALTERED
    );
    // A message that does not verify leaves the context as it was.
    message
        .find_mut(BufferType::DATA)
        .unwrap()
        .bytes_mut()
        .unwrap()[0] ^= 1;
    assert!(
        bench
            .table
            .verify_signature(context, &mut message, 0)
            .is_ok()
    );
}

#[test]
fn a_quality_of_protection_that_is_not_there_is_refused_by_its_own_status() {
    let bench = Bench::new();
    let context = bench.established();
    let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
    assert_eq!(
        status(
            bench
                .table
                .make_signature(context, 7, &mut SecBufferDesc::new(&mut buffers), 0)
        ),
        SecurityStatus::SEC_E_QOP_NOT_SUPPORTED
    );
}

#[test]
fn encryption_is_in_place_and_read_only_buffers_stay_as_they_are() {
    let bench = Bench::new();
    let context = bench.established();
    let mut token = [0u8; 4];
    let mut data = *b"secret";
    let (header, seen) = (*b"signed", *b"unsigned");
    {
        let mut buffers = [
            SecBuffer::token(&mut token),
            SecBuffer::data_readonly_with_checksum(&header),
            SecBuffer::data(&mut data),
            SecBuffer::data_readonly(&seen),
        ];
        let mut message = SecBufferDesc::new(&mut buffers);
        bench
            .table
            .encrypt_message(context, 0, &mut message, 0)
            .unwrap();
        assert_eq!(message.buffers()[1].bytes(), b"signed");
        assert_eq!(message.buffers()[3].bytes(), b"unsigned");
        assert_eq!(message.buffers()[2].bytes()[0], b's' ^ MASK);
        bench
            .table
            .decrypt_message(context, &mut message, 0)
            .unwrap();
    }
    assert_eq!(&data, b"secret");
}

#[test]
fn a_read_only_buffer_cannot_be_encrypted() {
    let bench = Bench::new();
    let context = bench.established();
    let mut token = [0u8; 4];
    let data = *b"secret";
    let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data_input(&data)];
    let error = bench
        .table
        .encrypt_message(context, 0, &mut SecBufferDesc::new(&mut buffers), 0)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_PARAMETER);
}

#[test]
fn a_stream_is_decrypted_in_place_and_the_data_buffer_is_a_part_of_it() {
    let bench = Bench::new();
    let context = bench.established();
    let mut stream: Vec<u8> = [0].into_iter().chain(b"plain".map(|b| b ^ MASK)).collect();
    let place = stream[1..].as_ptr();
    let mut buffers = [
        SecBuffer::stream(&mut stream),
        SecBuffer::empty(BufferType::DATA),
    ];
    let mut message = SecBufferDesc::new(&mut buffers);
    bench
        .table
        .decrypt_message(context, &mut message, 0)
        .unwrap();
    let data = message.find(BufferType::DATA).unwrap();
    assert_eq!(data.bytes(), b"plain");
    assert_eq!(data.bytes().as_ptr(), place);
    assert_eq!(message.find(BufferType::STREAM).unwrap().len(), 1);
}

#[test]
fn a_resolved_context_does_the_same_until_it_is_deleted() {
    let bench = Bench::new();
    let handle = bench.established();
    let context = bench.table.context(handle).unwrap();
    let sign = || {
        let mut buffers = [
            SecBuffer::allocate(BufferType::TOKEN),
            SecBuffer::data_input(b"x"),
        ];
        let mut message = SecBufferDesc::new(&mut buffers);
        context.make_signature(0, &mut message, 0)?;
        context.verify_signature(&mut message, 0)
    };
    assert_eq!(sign().unwrap(), 0);
    context.mech_list_mic_done().unwrap();
    let other = context.clone();
    bench.table.delete_security_context(handle).unwrap();
    assert_eq!(status(sign()), SecurityStatus::SEC_E_INVALID_HANDLE);
    assert_eq!(
        status(other.query_context_attributes(ContextAttribute::Names)),
        SecurityStatus::SEC_E_INVALID_HANDLE
    );
    assert_eq!(
        status(other.mech_list_mic_done()),
        SecurityStatus::SEC_E_INVALID_HANDLE
    );
    assert_eq!(
        status(bench.table.context(handle)),
        SecurityStatus::SEC_E_INVALID_HANDLE
    );
}
