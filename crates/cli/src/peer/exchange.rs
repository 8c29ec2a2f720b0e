use trihound::SecurityContext;
use trihound::sspi::{SecBuffer, SecBufferDesc};

use super::flags::Flags;
use super::report::mechanism;
use super::wire::Wire;
use crate::outcome::Failure;

/// What both sides say: a zero and a byte that is no UTF-8 among it.
const MESSAGE: &[u8; 19] = b"message \0 \xff sealed!";

/// The initiator's part: each kind of message, and the acceptor's answer of the same kind.
pub(super) fn speak(
    context: &SecurityContext,
    wire: &mut Wire,
    flags: &Flags,
) -> Result<(), Failure> {
    speak_first(context, wire, flags)?;
    speak_rest(context, wire, flags)
}

/// The messages up to where a context moves.
pub(super) fn speak_first(
    context: &SecurityContext,
    wire: &mut Wire,
    flags: &Flags,
) -> Result<(), Failure> {
    if !flags.no_wrap {
        for kind in [Kind::Sealed, Kind::signed(context)?] {
            send_wrap(context, wire, kind, MESSAGE)?;
            same(&receive_wrap(context, wire, kind)?, MESSAGE)?;
        }
    }
    Ok(())
}

/// The messages from there on.
pub(super) fn speak_rest(
    context: &SecurityContext,
    wire: &mut Wire,
    flags: &Flags,
) -> Result<(), Failure> {
    send_signature(context, wire)?;
    receive_signature(context, wire)?;
    if flags.iov {
        send_parts(context, wire)?;
        receive_parts(context, wire)?;
    }
    if let Some(size) = flags.big {
        let big = big_message(size);
        send_wrap(context, wire, Kind::Sealed, &big)?;
        same(&receive_wrap(context, wire, Kind::Sealed)?, &big)?;
    }
    Ok(wire.send(b"")?)
}

/// The acceptor's part. It need not know whether a big message comes: until the empty frame, each
/// frame is one more sealed wrap.
pub(super) fn answer(
    context: &SecurityContext,
    wire: &mut Wire,
    flags: &Flags,
) -> Result<(), Failure> {
    answer_first(context, wire, flags)?;
    answer_rest(context, wire, flags)
}

/// The answers up to where a context moves.
pub(super) fn answer_first(
    context: &SecurityContext,
    wire: &mut Wire,
    flags: &Flags,
) -> Result<(), Failure> {
    if !flags.no_wrap {
        for kind in [Kind::Sealed, Kind::signed(context)?] {
            same(&receive_wrap(context, wire, kind)?, MESSAGE)?;
            send_wrap(context, wire, kind, MESSAGE)?;
        }
    }
    Ok(())
}

/// The answers from there on.
pub(super) fn answer_rest(
    context: &SecurityContext,
    wire: &mut Wire,
    flags: &Flags,
) -> Result<(), Failure> {
    receive_signature(context, wire)?;
    send_signature(context, wire)?;
    if flags.iov {
        receive_parts(context, wire)?;
        send_parts(context, wire)?;
    }
    loop {
        let frame = wire.receive()?;
        if frame.is_empty() {
            return Ok(());
        }
        let data = open(context, &frame, Kind::Sealed)?;
        if flags.big.is_some_and(|size| data.len() != size) {
            return Err(Failure::new(format!(
                "the big message has {} bytes, not the {} that big= tells",
                data.len(),
                flags.big.unwrap_or(0)
            )));
        }
        send_wrap(context, wire, Kind::Sealed, &data)?;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sealed,
    Signed,
}

impl Kind {
    /// What a wrap is of which only integrity is asked: NTLM has none that is not sealed (MS-NLMP section
    /// 3.4.6, GSS_WrapEx), and its peers seal it.
    fn signed(context: &SecurityContext) -> Result<Self, Failure> {
        Ok(match mechanism(context)? {
            Some("ntlm") => Self::Sealed,
            _ => Self::Signed,
        })
    }
}

fn send_wrap(
    context: &SecurityContext,
    wire: &mut Wire,
    kind: Kind,
    data: &[u8],
) -> Result<(), Failure> {
    let message = match kind {
        Kind::Sealed => context.encrypt(data)?,
        Kind::Signed => context.sign(data)?,
    };
    Ok(wire.send(&message)?)
}

fn receive_wrap(
    context: &SecurityContext,
    wire: &mut Wire,
    kind: Kind,
) -> Result<Vec<u8>, Failure> {
    open(context, &wire.receive()?, kind)
}

fn open(context: &SecurityContext, frame: &[u8], kind: Kind) -> Result<Vec<u8>, Failure> {
    let opened = context.open(frame)?;
    match (kind, opened.encrypted) {
        (Kind::Sealed, false) => Err(Failure::new(
            "the message is only signed; it should be sealed",
        )),
        (Kind::Signed, true) => Err(Failure::new(
            "the message is sealed; it should be only signed",
        )),
        _ => Ok(opened.data),
    }
}

fn send_signature(context: &SecurityContext, wire: &mut Wire) -> Result<(), Failure> {
    let signature = context.make_signature(MESSAGE)?;
    wire.send(MESSAGE)?;
    Ok(wire.send(&signature)?)
}

fn receive_signature(context: &SecurityContext, wire: &mut Wire) -> Result<(), Failure> {
    let data = wire.receive()?;
    let signature = wire.receive()?;
    context.verify_signature(&data, &signature)?;
    same(&data, MESSAGE)
}

/// One EncryptMessage whose token and data travel in frames of their own.
fn send_parts(context: &SecurityContext, wire: &mut Wire) -> Result<(), Failure> {
    let (token, data) = context.protect(MESSAGE, 0)?;
    wire.send(&token)?;
    Ok(wire.send(&data)?)
}

fn receive_parts(context: &SecurityContext, wire: &mut Wire) -> Result<(), Failure> {
    let mut token = wire.receive()?;
    let mut data = wire.receive()?;
    // What is longer than the message is its padding (RC4; RFC 4757 section 7.3).
    if data.len() < MESSAGE.len() {
        return Err(Failure::new(format!(
            "the data frame has {} bytes, fewer than the message",
            data.len()
        )));
    }
    let mut padding = data.split_off(MESSAGE.len());
    let mut buffers = [
        SecBuffer::token(&mut token),
        SecBuffer::data(&mut data),
        SecBuffer::padding(&mut padding),
    ];
    context
        .context()
        .decrypt_message(&mut SecBufferDesc::new(&mut buffers), 0)?;
    same(&data, MESSAGE)
}

/// Byte N is N modulo 251, a prime, so that no block looks like another.
fn big_message(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}

fn same(got: &[u8], wanted: &[u8]) -> Result<(), Failure> {
    if got == wanted {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the peer's message has {} bytes and is not the {} that were said",
        got.len(),
        wanted.len()
    )))
}
