//! NTLM's messages: a changed one opens to what was sealed or not at all, and leaves the session as it was.

use trihound_crypto::{Scatter, Segment, sha256};
use trihound_ntlm::compute::{SessionKey, Side};
use trihound_ntlm::session::danger::weak_session;
use trihound_ntlm::{NegotiateFlags, SessionSecurity};
use trihound_sspi::{BufferType, SecBuffer, SecBufferDesc};

use crate::input::Input;
use crate::mutate::mutate;

/// Messages of one input at most.
const STEPS: u8 = 6;

/// A key of this input alone: libFuzzer splices what it sees compared, and a true message of another
/// input would open to that one's plaintext.
fn key(data: &[u8]) -> SessionKey {
    let whole = sha256(&[data]);
    SessionKey::from(whole.first_chunk().copied().expect("32 bytes"))
}

fn flags(choices: u8) -> NegotiateFlags {
    let mut flags = NegotiateFlags::NEGOTIATE_SIGN | NegotiateFlags::NEGOTIATE_SEAL;
    for (bit, flag) in [
        (0x01, NegotiateFlags::NEGOTIATE_KEY_EXCH),
        (0x02, NegotiateFlags::NEGOTIATE_128),
        (0x04, NegotiateFlags::NEGOTIATE_DATAGRAM),
        (0x08, NegotiateFlags::NEGOTIATE_56),
        (0x10, NegotiateFlags::NEGOTIATE_LM_KEY),
    ] {
        flags.set(flag, choices & bit != 0);
    }
    if choices & 0x60 != 0x60 {
        flags |= NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY;
    }
    if choices & 0x80 != 0 {
        flags -= NegotiateFlags::NEGOTIATE_SEAL;
    }
    flags
}

/// A message in pieces; `true` marks one that is encrypted.
#[derive(Clone)]
struct Pieces(Vec<(bool, Vec<u8>)>);

impl Pieces {
    fn read(input: &mut Input<'_>) -> Self {
        let count = input.byte() % 4;
        let piece = |_| (input.byte() & 3 != 0, input.chunk().to_vec());
        Self((0..=count).map(piece).collect())
    }

    fn concat(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    fn is_sealed_zero(&self) -> bool {
        let mut sealed = self.0.iter().filter(|(sealed, _)| *sealed);
        sealed.all(|(_, bytes)| bytes.iter().all(|&byte| byte == 0))
    }
}

impl Scatter for Pieces {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn segment(&mut self, index: usize) -> Segment<'_> {
        let (sealed, bytes) = &mut self.0[index];
        if *sealed {
            Segment::Sealed(bytes)
        } else {
            Segment::Signed(bytes)
        }
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = flags(input.byte());
    let key = key(data);
    let mut sides = [Side::Client, Side::Server].map(|side| weak_session(flags, &key, side));
    for step in 0..STEPS {
        let choices = input.byte();
        let [first, second] = &mut sides;
        let (from, to) = if choices & 1 == 0 {
            (first, second)
        } else {
            (second, first)
        };
        match (choices >> 1) % 4 {
            0 | 1 => sealed(flags, u32::from(step), from, to, &mut input),
            2 => signed(u32::from(step), from, to, &mut input),
            _ => any_shape(to, &mut input),
        }
        if step == 0 && choices & 0x80 != 0 {
            sides
                .iter_mut()
                .for_each(SessionSecurity::mech_list_mic_done);
        }
        if input.is_empty() {
            return;
        }
    }
}

fn sealed(
    flags: NegotiateFlags,
    number: u32,
    from: &mut SessionSecurity,
    to: &mut SessionSecurity,
    input: &mut Input<'_>,
) {
    let plain = Pieces::read(input);
    let mut message = plain.clone();
    let made = from.protect(from.seals(), &mut message, number);
    let signature = made.expect("a session that protects");
    let other_signature = mutate(&signature, input);
    let mut other = message.clone();
    let changed = usize::from(input.byte()) % other.0.len();
    other.0[changed].1 = mutate(&message.0[changed].1, input);
    let is_same = other_signature == signature && other.concat() == message.concat();
    let is_extended = flags.contains(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY);
    // A CRC-32 under RC4 is no obstacle to anyone, and has a pad that says nothing.
    if !is_same && is_extended {
        let outcome = to.open(&other_signature, &mut other, number);
        assert!(outcome.is_err(), "a changed message was taken");
        assert!(
            other.is_sealed_zero(),
            "a refused message left its plaintext"
        );
        let mut whole = [&other_signature[..], &message.concat()].concat();
        if other_signature != signature {
            assert!(to.open_stream(&mut whole, number).is_err());
        }
    }
    let opened = to.open(&signature, &mut message, number);
    assert!(
        opened.is_ok(),
        "an unchanged message does not open after a changed one"
    );
    assert_eq!(message.concat(), plain.concat());
}

fn signed(
    number: u32,
    from: &mut SessionSecurity,
    to: &mut SessionSecurity,
    input: &mut Input<'_>,
) {
    let mut message = Pieces::read(input);
    let signature = from
        .sign(&mut message, number)
        .expect("a session that signs");
    let is_extended = from
        .flags()
        .contains(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY);
    let other = mutate(&signature, input);
    if other != signature && is_extended {
        assert!(to.verify(&other, &mut message, number).is_err());
    }
    assert_eq!(to.verify(&signature, &mut message, number), Ok(()));
}

/// Buffers of any types with bytes of any kind: no session takes them.
fn any_shape(to: &mut SessionSecurity, input: &mut Input<'_>) {
    let mut parts: Vec<(u8, Vec<u8>)> = Vec::new();
    for _ in 0..input.byte() % 6 {
        parts.push((input.byte(), input.chunk().to_vec()));
    }
    let verify = input.byte() & 1 != 0;
    let mut buffers: Vec<SecBuffer<'_>> = parts
        .iter_mut()
        .map(|(kind, bytes)| match *kind % 8 {
            0 => SecBuffer::token(bytes),
            1 => SecBuffer::data(bytes),
            2 => SecBuffer::padding(bytes),
            3 => SecBuffer::stream(bytes),
            4 => SecBuffer::data_readonly(bytes),
            5 => SecBuffer::data_readonly_with_checksum(bytes),
            6 => SecBuffer::empty(BufferType::DATA),
            _ => SecBuffer::input(BufferType::TOKEN, bytes),
        })
        .collect();
    let mut description = SecBufferDesc::new(&mut buffers);
    let taken = if verify {
        to.verify_signature(&mut description, 0)
    } else {
        to.decrypt_message(&mut description, 0)
    };
    assert!(taken.is_err(), "a message out of nothing");
}
