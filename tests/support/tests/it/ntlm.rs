//! No message of NTLM allocates.

use trihound::sspi::{
    BufferAttributes, BufferType, SECQOP_WRAP_NO_ENCRYPT, SecBuffer, SecBufferDesc,
};
use trihound_ntlm::compute::{SessionKey, Side};
use trihound_ntlm::{NegotiateFlags, SIGNATURE_LENGTH, SessionSecurity};
use trihound_test_support::allocations;

/// Both sides of a session.
fn pair(flags: NegotiateFlags) -> [SessionSecurity; 2] {
    let key = SessionKey::from([0x55; 16]);
    [Side::Client, Side::Server].map(|side| SessionSecurity::new(flags, &key, side).unwrap())
}

/// Lets both sides of a session of every kind send to the other.
fn every_direction(exchange: impl Fn(&mut SessionSecurity, &mut SessionSecurity, &str)) {
    let flags = NegotiateFlags::NEGOTIATE_SIGN
        | NegotiateFlags::NEGOTIATE_SEAL
        | NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY
        | NegotiateFlags::NEGOTIATE_128;
    for more in [
        NegotiateFlags::NEGOTIATE_KEY_EXCH,
        NegotiateFlags::empty(),
        NegotiateFlags::NEGOTIATE_KEY_EXCH | NegotiateFlags::NEGOTIATE_DATAGRAM,
    ] {
        let [mut client, mut server] = pair(flags | more);
        exchange(&mut client, &mut server, &format!("{more:?}, client"));
        exchange(&mut server, &mut client, &format!("{more:?}, server"));
    }
}

fn plain() -> ([u8; 1], [u8; 15], [u8; 16], [u8; 1500]) {
    ([1; 1], [2; 15], [3; 16], [4; 1500])
}

/// A message in four DATA buffers, sealed or signed and opened in place.
fn four_buffers(quality: u32) {
    every_direction(|from, to, name| {
        let opens_both = from.flags().contains(NegotiateFlags::NEGOTIATE_KEY_EXCH);
        if quality != 0 && !opens_both {
            return;
        }
        // The first round too: nothing is left to be made at first use.
        for round in 0..3 {
            let mut token = [0; SIGNATURE_LENGTH];
            let (mut a, mut b, mut c, mut d) = plain();
            let (sealing, ()) = allocations(|| {
                let mut buffers = [
                    SecBuffer::token(&mut token),
                    SecBuffer::data(&mut a),
                    SecBuffer::data(&mut b),
                    SecBuffer::data_readonly_with_checksum(&c),
                    SecBuffer::data(&mut d),
                ];
                from.encrypt_message(quality, &mut SecBufferDesc::new(&mut buffers), round)
                    .unwrap();
            });
            assert_eq!(sealing, 0, "{name}, round {round}: EncryptMessage");
            let changed = (a, b, c, d) != plain();
            assert_eq!(changed, quality == 0, "{name}, round {round}");
            let (opening, found) = allocations(|| {
                let mut buffers = [
                    SecBuffer::token(&mut token),
                    SecBuffer::data(&mut a),
                    SecBuffer::data(&mut b),
                    SecBuffer::data(&mut c)
                        .with_attributes(BufferAttributes::READONLY_WITH_CHECKSUM),
                    SecBuffer::data(&mut d),
                ];
                to.decrypt_message(&mut SecBufferDesc::new(&mut buffers), round)
                    .unwrap()
            });
            assert_eq!(opening, 0, "{name}, round {round}: DecryptMessage");
            assert_eq!(found, quality);
            assert_eq!((a, b, c, d), plain(), "{name}, round {round}");
        }
    });
}

#[test]
fn ntlm_sealing_allocates_nothing() {
    four_buffers(0);
}

#[test]
fn ntlm_signing_without_encryption_allocates_nothing() {
    four_buffers(SECQOP_WRAP_NO_ENCRYPT);
}

#[test]
fn ntlm_signatures_allocate_nothing() {
    every_direction(|from, to, name| {
        for round in 0..3 {
            let mut token = [0; SIGNATURE_LENGTH];
            let (a, _, _, d) = plain();
            let (signing, ()) = allocations(|| {
                let mut buffers = [
                    SecBuffer::token(&mut token),
                    SecBuffer::data_input(&a),
                    SecBuffer::data_input(&d),
                ];
                from.make_signature(0, &mut SecBufferDesc::new(&mut buffers), round)
                    .unwrap();
            });
            assert_eq!(signing, 0, "{name}, round {round}: MakeSignature");
            let (verifying, found) = allocations(|| {
                let mut buffers = [
                    SecBuffer::token_input(&token),
                    SecBuffer::data_input(&a),
                    SecBuffer::data_input(&d),
                ];
                to.verify_signature(&mut SecBufferDesc::new(&mut buffers), round)
                    .unwrap()
            });
            assert_eq!((verifying, found), (0, 0), "{name}, round {round}");
        }
    });
}

/// A message in one piece is opened where it lies.
#[test]
fn ntlm_opening_a_stream_allocates_nothing() {
    every_direction(|from, to, name| {
        let (mut token, mut data) = ([0; SIGNATURE_LENGTH], [5; 49]);
        let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
        from.encrypt_message(0, &mut SecBufferDesc::new(&mut buffers), 7)
            .unwrap();
        let mut message = [&token[..], &data].concat();
        let (opening, ()) = allocations(|| {
            let mut buffers = [
                SecBuffer::stream(&mut message),
                SecBuffer::empty(BufferType::DATA),
            ];
            to.decrypt_message(&mut SecBufferDesc::new(&mut buffers), 7)
                .unwrap();
            assert_eq!(buffers[1].bytes(), [5; 49]);
        });
        assert_eq!(opening, 0, "{name}");
    });
}
