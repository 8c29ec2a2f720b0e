//! Per-message tokens: a changed token opens to the message that was sealed, or not at all.

use std::sync::Arc;

use trihound_crypto::{Enctype, Key, sha256};
use trihound_crypto::{Scatter, Segment};
use trihound_kerberos::tokens::{self, Direction};
use trihound_kerberos::{MessageSession, SessionParameters};

use crate::input::Input;
use crate::mutate::mutate;
use crate::world::{ENCTYPES, Seeded, lax_policy};

/// A key of this input alone: libFuzzer splices what it sees compared, and a true token of another
/// input would open to that one's message.
fn key(enctype: Enctype, data: &[u8]) -> Key {
    let length = enctype.profile().expect("a known enctype").key_length;
    let bytes = [sha256(&[data, &[0]]), sha256(&[data, &[1]])].concat();
    Key::new(enctype, &bytes[..length], &lax_policy()).expect("a key of the right length")
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let key = key(ENCTYPES[usize::from(input.byte()) % ENCTYPES.len()], data);
    let choices = input.byte();
    let direction = Direction {
        from_acceptor: choices & 1 != 0,
        acceptor_subkey: choices & 2 != 0,
    };
    let dce_style = choices & 4 != 0;
    match (choices >> 4) % 3 {
        0 if key.enctype() != Enctype::RC4_HMAC => single(&key, direction, dce_style, &mut input),
        1 => stream(&key, direction, dce_style, &mut input),
        _ => mic(&key, direction, &mut input),
    }
}

fn single(key: &Key, direction: Direction, dce_style: bool, input: &mut Input<'_>) {
    let sealed = input.byte() & 1 != 0;
    let message = input.chunk();
    let (ec, rrc) = (input.byte(), input.number() as u16);
    let made = if sealed {
        let confounder = vec![9; key.profile().confounder_length];
        tokens::wrap_conf(key, direction, 7, message, &confounder, ec.into(), rrc)
    } else {
        tokens::wrap_integ(key, direction, 7, message, rrc)
    };
    let Ok(token) = made else { return };
    let changed = mutate(&token, input);
    if let Ok(opened) = tokens::unwrap(key, direction, dce_style, &changed) {
        assert_eq!(opened.data.expose(), message, "another plaintext");
        assert_eq!((opened.sealed, opened.sequence), (sealed, 7));
    }
    let made = tokens::mic(key, direction, 7, message);
    let Ok(token) = made else { return };
    let changed = mutate(&token, input);
    if let Ok(sequence) = tokens::verify_mic(key, direction, message, &changed) {
        assert_eq!(sequence, 7);
    }
    let other = mutate(message, input);
    if tokens::verify_mic(key, direction, &other, &token).is_ok() {
        assert_eq!(other, message, "a MIC of another message");
    }
}

struct Whole<'a>(&'a mut [u8]);

impl Scatter for Whole<'_> {
    fn count(&self) -> usize {
        1
    }

    fn segment(&mut self, _index: usize) -> Segment<'_> {
        Segment::Sealed(self.0)
    }
}

fn session(key: &Key, direction: Direction, dce_style: bool, acceptor: bool) -> MessageSession {
    let random = Arc::new(Seeded::default());
    MessageSession::new(SessionParameters {
        key,
        acceptor,
        acceptor_subkey: direction.acceptor_subkey,
        dce_style,
        replay_detect: true,
        sequence_detect: true,
        send_sequence: 7,
        receive_sequence: 7,
        random,
    })
    .expect("an enctype with tokens")
}

fn stream(key: &Key, direction: Direction, dce_style: bool, input: &mut Input<'_>) {
    let from_acceptor = direction.from_acceptor;
    let mut sender = session(key, direction, dce_style, from_acceptor);
    let mut receiver = session(key, direction, dce_style, !from_acceptor);
    let seal = input.byte() & 1 != 0;
    let message = input.chunk();
    let mut payload = message.to_vec();
    let mut token = vec![0; sender.sizes().security_trailer];
    let mut padding = vec![0; sender.sizes().block_size];
    let wrapped = sender
        .wrap(seal, &mut Whole(&mut payload), &mut token, &mut padding)
        .expect("buffers of the right lengths");
    token.truncate(wrapped.token);
    padding.truncate(wrapped.padding);
    let whole = [token, payload, padding].concat();
    let mut changed = mutate(&whole, input);
    let is_same = changed == whole;
    match receiver.unwrap_stream(&mut changed) {
        Ok((range, unwrapped)) => {
            let plain = &changed[range];
            assert_eq!(plain, message, "another plaintext");
            assert_eq!(unwrapped.sealed, seal);
        }
        Err(error) => {
            // DCE style has no tokens in one piece.
            assert!(!is_same || dce_style, "an unchanged token: {error}");
            let mut unchanged = whole;
            if !dce_style {
                let opened = receiver.unwrap_stream(&mut unchanged);
                assert!(opened.is_ok(), "a bad token spoilt the session: {opened:?}");
            }
        }
    }
}

fn mic(key: &Key, direction: Direction, input: &mut Input<'_>) {
    let from_acceptor = direction.from_acceptor;
    let mut sender = session(key, direction, false, from_acceptor);
    let mut receiver = session(key, direction, false, !from_acceptor);
    let message = input.chunk().to_vec();
    let mut token = vec![0; sender.sizes().max_signature];
    let mut payload = message.clone();
    let length = sender
        .make_mic(&mut Whole(&mut payload), &mut token)
        .expect("a buffer of the right length");
    token.truncate(length);
    let changed = mutate(&token, input);
    let mut other = mutate(&message, input);
    if receiver
        .verify_mic(&changed, &mut Whole(&mut other))
        .is_ok()
    {
        assert_eq!(other, message, "a MIC of another message");
    }
}
