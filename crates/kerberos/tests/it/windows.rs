//! Which messages move a session's counters and windows, and which do not.

use trihound_crypto::Enctype;
use trihound_kerberos::{MessageError, SequenceError};

use crate::support::{Pieces, Setup, make_mic, wrap};

const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;

/// Conformance rows 130 and 131: only a message whose MAC holds moves the window.
#[test]
fn a_forged_number_does_not_move_the_window() {
    let (mut initiator, mut acceptor) = Setup::of(AES256).pair();
    let mut tokens: Vec<_> = (0..3)
        .map(|_| {
            let mut message = Pieces::of(&[8]);
            (wrap(&mut initiator, true, &mut message).0, message)
        })
        .collect();
    let mut deliver = |(token, message): (Vec<u8>, Pieces)| {
        let (mut token, mut message) = (token, message);
        acceptor
            .unwrap(&mut token, &mut message, &mut [])
            .map(|unwrapped| unwrapped.sequence)
    };
    let mut forged = tokens[0].clone();
    forged.0[15] = 200;
    assert_eq!(deliver(forged), Err(MessageError::HeaderCopyDiffers));
    assert_eq!(deliver(tokens[0].clone()), Ok(Ok(())));
    let repeat = deliver(tokens[0].clone());
    assert_eq!(repeat, Ok(Err(SequenceError::Duplicate { behind: 1 })));
    assert_eq!(
        deliver(tokens[2].clone()),
        Ok(Err(SequenceError::Gap { missing: 1 }))
    );
    let late = deliver(tokens.swap_remove(1));
    assert_eq!(late, Ok(Err(SequenceError::Unsequenced { behind: 2 })));
}

/// Conformance row 130: flags off means checks off.
#[test]
fn without_detection_a_replay_is_the_callers_business() {
    let setup = Setup {
        replay: false,
        sequence: false,
        ..Setup::of(AES256)
    };
    let (mut initiator, mut acceptor) = setup.pair();
    let mut message = Pieces::of(&[8]);
    let mic = make_mic(&mut initiator, &mut message);
    for _ in 0..3 {
        assert_eq!(acceptor.verify_mic(&mic, &mut message).unwrap(), Ok(()));
    }
}

/// A buffer that is too small changes nothing: the next token has the same number.
#[test]
fn a_small_buffer_leaves_the_session_as_it_was() {
    let (mut initiator, mut acceptor) = Setup::of(AES256).pair();
    let plain = Pieces::of(&[8]);
    let mut message = plain.clone();
    assert_eq!(
        initiator.wrap(true, &mut message, &mut [0; 59], &mut []),
        Err(MessageError::BufferTooSmall {
            needed: 60,
            found: 59
        })
    );
    assert_eq!(message, plain);
    assert_eq!(
        initiator.wrap(false, &mut message, &mut [0; 27], &mut []),
        Err(MessageError::BufferTooSmall {
            needed: 28,
            found: 27
        })
    );
    assert_eq!(
        initiator.make_mic(&mut message, &mut [0; 27]),
        Err(MessageError::BufferTooSmall {
            needed: 28,
            found: 27
        })
    );
    let (mut token, _) = wrap(&mut initiator, true, &mut message);
    assert_eq!(
        acceptor
            .unwrap(&mut token, &mut message, &mut [])
            .unwrap()
            .sequence,
        Ok(())
    );
}
