//! RFC 4121 per-message tokens in one piece, outside of any context.
//!
//! A context makes and checks its tokens in place through SSPI's message functions. These functions
//! take every field as an argument, for known-answer tests and for tools that look into a capture.

use trihound_crypto::{ChecksumType, Key, KeyUsage};
use trihound_secret::SecretBytes;

use crate::error::MessageError;
use crate::messages::{HEADER_LENGTH, MicHeader, Rfc4121Tokens, WrapHeader};

pub use crate::messages::Direction;

/// A Wrap token that verified.
#[derive(Debug)]
pub struct UnwrappedToken {
    /// The message.
    pub data: SecretBytes,
    /// Whether it was encrypted, or signed only.
    pub sealed: bool,
    /// SND_SEQ.
    pub sequence: u64,
}

/// A sealed Wrap token (RFC 4121 section 4.2.4): `header | E(data | filler | header) | MAC`, rotated
/// right by `rrc` behind the header. The `ec` filler bytes are zero.
///
/// `confounder` has to be unpredictable in use; a context draws its own. It takes the place of the
/// one that [`Key::encrypt`] would draw.
///
/// # Errors
///
/// [`MessageError::Crypto`] when the key's enctype is not one of RFC 4121, or the confounder's
/// length not its own.
pub fn wrap_conf(
    key: &Key,
    direction: Direction,
    sequence: u64,
    data: &[u8],
    confounder: &[u8],
    ec: u16,
    rrc: u16,
) -> Result<Vec<u8>, MessageError> {
    let header = WrapHeader::new(direction, true, ec, rrc, sequence);
    let mut plain = SecretBytes::zeroed(data.len() + usize::from(ec) + HEADER_LENGTH);
    let (front, copy) = plain
        .expose_mut()
        .split_at_mut(data.len() + usize::from(ec));
    front
        .iter_mut()
        .zip(data)
        .for_each(|(to, from)| *to = *from);
    copy.copy_from_slice(&header.encrypted_copy());
    let mut body =
        key.encrypt_with_confounder(seal_usage(direction), confounder, plain.expose())?;
    rotate_right(&mut body, rrc);
    Ok([&header.to_bytes()[..], &body].concat())
}

/// An integrity-only Wrap token (RFC 4121 section 4.2.4): `header | data | checksum`, rotated right
/// by `rrc` behind the header; EC is the checksum's length.
///
/// # Errors
///
/// [`MessageError::Crypto`] when the key's enctype is not one of RFC 4121.
pub fn wrap_integ(
    key: &Key,
    direction: Direction,
    sequence: u64,
    data: &[u8],
    rrc: u16,
) -> Result<Vec<u8>, MessageError> {
    let length = u16::try_from(key.profile().checksum_length).unwrap_or(u16::MAX);
    let header = WrapHeader::new(direction, false, length, rrc, sequence);
    let covered = [data, &header.checksummed()].concat();
    let checksum = key.checksum(seal_usage(direction), checksum_type(key), &covered)?;
    let mut body = [data, &checksum].concat();
    rotate_right(&mut body, rrc);
    Ok([&header.to_bytes()[..], &body].concat())
}

/// A MIC token (RFC 4121 section 4.2.6.1).
///
/// # Errors
///
/// [`MessageError::Crypto`] when the key's enctype is not one of RFC 4121.
pub fn mic(
    key: &Key,
    direction: Direction,
    sequence: u64,
    data: &[u8],
) -> Result<Vec<u8>, MessageError> {
    let header = MicHeader::new(direction, sequence).to_bytes();
    let usage = if direction.from_acceptor {
        KeyUsage::ACCEPTOR_SIGN
    } else {
        KeyUsage::INITIATOR_SIGN
    };
    let checksum = key.checksum(usage, checksum_type(key), &[data, &header].concat())?;
    Ok([&header[..], &checksum].concat())
}

/// Opens a Wrap token, sealed or not, of any RRC and EC. `dce_style` rotates by EC + RRC (MS-KILE
/// section 3.4.5.4.1).
///
/// # Errors
///
/// What is wrong with the token.
pub fn unwrap(
    key: &Key,
    direction: Direction,
    dce_style: bool,
    token: &[u8],
) -> Result<UnwrappedToken, MessageError> {
    let mut token = SecretBytes::from(token);
    let opener = Rfc4121Tokens::receiving(key, direction, dce_style)?;
    let (range, opened) = opener.open_stream(token.expose_mut())?;
    Ok(UnwrappedToken {
        data: SecretBytes::from(token.expose().get(range).unwrap_or_default()),
        sealed: opened.sealed,
        sequence: opened.sequence,
    })
}

/// Checks a MIC token; the value is its SND_SEQ.
///
/// # Errors
///
/// What is wrong with the token.
pub fn verify_mic(
    key: &Key,
    direction: Direction,
    data: &[u8],
    token: &[u8],
) -> Result<u64, MessageError> {
    let mut data = SecretBytes::from(data);
    Rfc4121Tokens::receiving(key, direction, false)?.verify_mic_of(token, data.expose_mut())
}

/// The AcceptorSubkey flag of a token, which a capture tells and a context knows (RFC 4121
/// section 4.2.2); `None` for what is too short to have one.
#[must_use]
pub fn acceptor_subkey_flag(token: &[u8]) -> Option<bool> {
    token.get(2).map(|flags| flags & 0x04 != 0)
}

const fn seal_usage(direction: Direction) -> KeyUsage {
    if direction.from_acceptor {
        KeyUsage::ACCEPTOR_SEAL
    } else {
        KeyUsage::INITIATOR_SEAL
    }
}

fn checksum_type(key: &Key) -> ChecksumType {
    key.required_checksum()
}

fn rotate_right(body: &mut [u8], rrc: u16) {
    // RFC 4121 section 4.2.5: modulo the length of what is rotated.
    if let Some(count) = usize::from(rrc).checked_rem(body.len()) {
        body.rotate_right(count);
    }
}
