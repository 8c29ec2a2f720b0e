//! Per-message tokens of RC4-HMAC (RFC 4757 section 7), in the framing of RFC 1964.
//!
//! This enctype is weak: a context has it only where policy lets it in through `danger`. Its MIC is
//! built on MD5, so it must not carry a security decision (conformance row 59), and the sequence
//! number of a message that is not sealed is not under its checksum; it is here to talk to old peers. Unlike the AES tokens, these copy the message once for the checksum.

use core::ops::Range;

use trihound_asn1::gss::KRB5_OID;
use trihound_crypto::{Key, Scatter, Segment, md5, rfc4757};
use trihound_sansio::RandomSource;
use trihound_secret::{SecretArray, SecretBytes, constant_time_eq};

use super::rfc4121::{Opened, Whole, prefix, sealed_length, wipe};
use crate::error::MessageError;

/// TOK_ID, SGN_ALG, SEAL_ALG and filler.
const HEADER_LENGTH: usize = 8;
/// SND_SEQ, SGN_CKSUM.
const FIELD_LENGTH: usize = 8;
/// Random bytes in front of the data.
const CONFOUNDER_LENGTH: usize = 8;
/// A Wrap token's own fields.
const WRAP_LENGTH: usize = HEADER_LENGTH + 2 * FIELD_LENGTH + CONFOUNDER_LENGTH;
/// A MIC token's own fields.
const MIC_LENGTH: usize = HEADER_LENGTH + 2 * FIELD_LENGTH;
/// A length that four octets can say with the mechanism's on top.
const LONGEST: usize = 0xffff_0000;
/// RFC 4757 section 7.3: data is padded with one byte of 1.
const PADDING: [u8; 1] = [1];

/// RFC 4757 section 7.2: GSS_GetMIC.
const MIC_HEADER: [u8; HEADER_LENGTH] = [0x01, 0x01, 0x11, 0x00, 0xff, 0xff, 0xff, 0xff];
/// RFC 4757 section 7.3: GSS_Wrap with RC4.
const SEALED_HEADER: [u8; HEADER_LENGTH] = [0x02, 0x01, 0x11, 0x00, 0x10, 0x00, 0xff, 0xff];
/// RFC 4757 section 7.3: GSS_Wrap without encryption.
const SIGNED_HEADER: [u8; HEADER_LENGTH] = [0x02, 0x01, 0x11, 0x00, 0xff, 0xff, 0xff, 0xff];

/// RFC 4757 section 7.2: the salt of a MIC's checksum.
const MIC_SALT: [u8; 4] = 15_u32.to_le_bytes();
/// RFC 4757 section 7.3: the salt of a Wrap token's checksum.
const WRAP_SALT: [u8; 4] = 13_u32.to_le_bytes();

/// The key and both directions of an RC4 context.
pub(crate) struct Rfc4757 {
    key: SecretBytes,
    from_acceptor: bool,
    dce_style: bool,
}

/// Where token and data of a message stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Apart, as the context's style has it.
    Parts,
    /// In one piece: the framing counts the data too, and it is padded, in DCE style as well.
    Stream,
}

/// Where the pieces of a token lie in the caller's buffer.
struct Framing {
    /// Bytes of the GSS framing (RFC 2743 section 3.1).
    length: usize,
}

impl Rfc4757 {
    pub(crate) fn new(key: &Key, from_acceptor: bool, dce_style: bool) -> Self {
        Self {
            key: SecretBytes::from(key.expose()),
            from_acceptor,
            dce_style,
        }
    }

    /// Length of a MIC token.
    #[allow(clippy::unused_self, reason = "the same question as for RFC 4121")]
    pub(crate) const fn mic_length(&self) -> usize {
        frame_length(MIC_LENGTH) + MIC_LENGTH
    }

    /// The most that a message has besides its data and padding; the length octets of the framing
    /// grow with the message, except in DCE style, where they count the token alone.
    pub(crate) const fn wrap_length(&self) -> usize {
        if self.dce_style {
            frame_length(WRAP_LENGTH) + WRAP_LENGTH
        } else {
            frame_length(LONGEST) + WRAP_LENGTH
        }
    }

    /// The most that a message in one piece has besides its data and padding.
    #[allow(clippy::unused_self, reason = "the same question as for RFC 4121")]
    pub(crate) const fn stream_wrap_length(&self) -> usize {
        frame_length(LONGEST) + WRAP_LENGTH
    }

    /// Bytes of padding behind the data.
    pub(crate) const fn padding_length(&self, layout: Layout) -> usize {
        if self.counts_token_alone(layout) {
            0
        } else {
            PADDING.len()
        }
    }

    /// DCE style: the framing counts the token without its data, which is not padded.
    const fn counts_token_alone(&self, layout: Layout) -> bool {
        self.dce_style && matches!(layout, Layout::Parts)
    }

    /// Wraps `payload` in place; the value is the token's length.
    #[allow(clippy::too_many_arguments, reason = "the parts of one message")]
    pub(crate) fn wrap(
        &self,
        layout: Layout,
        sequence: u64,
        seal: bool,
        payload: &mut dyn Scatter,
        token: &mut [u8],
        padding: &mut [u8],
        random: &dyn RandomSource,
    ) -> Result<usize, MessageError> {
        let inside = if self.counts_token_alone(layout) {
            WRAP_LENGTH
        } else {
            WRAP_LENGTH + sealed_length(payload) + PADDING.len()
        };
        let framing = frame_length(inside);
        let token = prefix(token, framing + WRAP_LENGTH)?;
        let padding = prefix(padding, self.padding_length(layout))?;
        let (frame, fields) = token.split_at_mut(framing);
        write_frame(frame, inside);
        let (head, rest) = fields.split_at_mut(HEADER_LENGTH);
        let (number, rest) = rest.split_at_mut(FIELD_LENGTH);
        let (checksum, confounder) = rest.split_at_mut(FIELD_LENGTH);
        head.copy_from_slice(if seal { &SEALED_HEADER } else { &SIGNED_HEADER });
        random.fill(confounder)?;
        padding.copy_from_slice(PADDING.get(..padding.len()).unwrap_or_default());

        let plain = gather(payload);
        let sum = self.checksum(WRAP_SALT, &[head, confounder, plain.expose(), padding]);
        checksum.copy_from_slice(&sum);
        number.copy_from_slice(&self.sequence_field(sequence, self.from_acceptor));
        if seal {
            let mut cipher = self.data_cipher(sequence);
            cipher.apply(confounder);
            for_each_sealed(payload, |bytes| cipher.apply(bytes));
            cipher.apply(padding);
        }
        self.sequence_cipher(&sum).apply(number);
        Ok(framing + WRAP_LENGTH)
    }

    /// Opens a message whose token is apart from its data; the padding is a buffer of its own, or
    /// the last byte of the data. The value is how many bytes at the end of the data are padding.
    pub(crate) fn open(
        &self,
        layout: Layout,
        token: &mut [u8],
        payload: &mut dyn Scatter,
        padding: &mut [u8],
    ) -> Result<(Opened, usize), MessageError> {
        let behind = if self.counts_token_alone(layout) {
            0
        } else {
            sealed_length(payload) + padding.len()
        };
        let framing = read_frame(token, behind)?;
        let found = token.len();
        let fields = token.get_mut(framing.length..).unwrap_or_default();
        // RFC 4757 section 7.3
        if fields.len() != WRAP_LENGTH {
            return Err(wrong_length(found, framing.length + WRAP_LENGTH));
        }
        let (head, rest) = fields.split_at_mut(HEADER_LENGTH);
        let (number, rest) = rest.split_at_mut(FIELD_LENGTH);
        let (checksum, confounder) = rest.split_at_mut(FIELD_LENGTH);
        let sealed = wrap_is_sealed(head)?;
        let sequence = self.read_sequence(number, checksum)?;
        if sealed {
            let mut cipher = self.data_cipher(sequence);
            cipher.apply(confounder);
            for_each_sealed(payload, |bytes| cipher.apply(bytes));
            cipher.apply(padding);
        }
        let plain = gather(payload);
        let sum = self.checksum(WRAP_SALT, &[head, confounder, plain.expose(), padding]);
        if !constant_time_eq(&sum, checksum) {
            wipe(payload);
            return Err(MessageError::IntegrityCheckFailed);
        }
        let inside = self.check_padding(layout, payload, padding)?;
        Ok((Opened { sealed, sequence }, inside))
    }

    /// Bytes of padding at the end of the data, once the checksum held.
    fn check_padding(
        &self,
        layout: Layout,
        payload: &mut dyn Scatter,
        padding: &[u8],
    ) -> Result<usize, MessageError> {
        if self.counts_token_alone(layout) {
            return Ok(0);
        }
        let (last, inside) = match padding.last() {
            Some(&last) => (Some(last), 0),
            None => (last_byte(payload), PADDING.len()),
        };
        // RFC 4757 section 7.3: one byte of value 1.
        if last != Some(PADDING[0]) || padding.len() > PADDING.len() {
            wipe(payload);
            return Err(MessageError::Padding);
        }
        Ok(inside)
    }

    /// Opens a token that stands in one piece; the range is the data's place.
    pub(crate) fn open_stream(
        &self,
        token: &mut [u8],
    ) -> Result<(Range<usize>, Opened), MessageError> {
        let framing = read_frame(token, 0)?;
        let (total, start) = (token.len(), framing.length + WRAP_LENGTH);
        if total < start {
            return Err(wrong_length(total, start));
        }
        let (fields, data) = token.split_at_mut(start);
        let (opened, padding) = self.open(Layout::Stream, fields, &mut Whole(data), &mut [])?;
        Ok((start..total - padding, opened))
    }

    /// Puts the MIC token of `payload` into `token`; the value is the token's length.
    pub(crate) fn mic(
        &self,
        sequence: u64,
        payload: &mut dyn Scatter,
        token: &mut [u8],
    ) -> Result<usize, MessageError> {
        let framing = frame_length(MIC_LENGTH);
        let token = prefix(token, framing + MIC_LENGTH)?;
        let (frame, fields) = token.split_at_mut(framing);
        write_frame(frame, MIC_LENGTH);
        let (head, rest) = fields.split_at_mut(HEADER_LENGTH);
        let (number, checksum) = rest.split_at_mut(FIELD_LENGTH);
        head.copy_from_slice(&MIC_HEADER);
        let plain = gather(payload);
        let sum = self.checksum(MIC_SALT, &[head, plain.expose()]);
        checksum.copy_from_slice(&sum);
        number.copy_from_slice(&self.sequence_field(sequence, self.from_acceptor));
        self.sequence_cipher(&sum).apply(number);
        Ok(framing + MIC_LENGTH)
    }

    /// Checks a MIC token; the value is its sequence number.
    pub(crate) fn verify_mic(
        &self,
        token: &[u8],
        payload: &mut dyn Scatter,
    ) -> Result<u64, MessageError> {
        let framing = read_frame(token, 0)?;
        let fields = token.get(framing.length..).unwrap_or_default();
        let (Some(head), Some(number), Some(checksum)) = (
            fields.get(..HEADER_LENGTH),
            fields.get(HEADER_LENGTH..HEADER_LENGTH + FIELD_LENGTH),
            fields.get(HEADER_LENGTH + FIELD_LENGTH..MIC_LENGTH),
        ) else {
            return Err(wrong_length(token.len(), framing.length + MIC_LENGTH));
        };
        if fields.len() != MIC_LENGTH {
            return Err(wrong_length(token.len(), framing.length + MIC_LENGTH));
        }
        check_header(head, &MIC_HEADER)?;
        let plain = gather(payload);
        let sum = self.checksum(MIC_SALT, &[head, plain.expose()]);
        if !constant_time_eq(&sum, checksum) {
            return Err(MessageError::IntegrityCheckFailed);
        }
        let mut field = [0; FIELD_LENGTH];
        field.copy_from_slice(number);
        self.read_sequence(&mut field, checksum)
    }

    /// RFC 4757 section 7.2: HMAC(Ksign, MD5(salt | header | data)), cut to 8 bytes.
    fn checksum(&self, salt: [u8; 4], parts: &[&[u8]]) -> [u8; FIELD_LENGTH] {
        let signing = rfc4757::hmac_md5(self.key.expose(), &[b"signaturekey\0"]);
        let mut input: Vec<&[u8]> = Vec::with_capacity(parts.len() + 1);
        input.push(&salt);
        input.extend_from_slice(parts);
        first_8(rfc4757::hmac_md5(&signing, &[&md5(&input)]))
    }

    /// RFC 4757 section 7.2: the number in network order, then the direction.
    #[allow(clippy::unused_self, reason = "reads beside sequence_cipher")]
    fn sequence_field(&self, sequence: u64, from_acceptor: bool) -> [u8; FIELD_LENGTH] {
        let direction = if from_acceptor { 0xff } else { 0x00 };
        let [.., n0, n1, n2, n3] = sequence.to_be_bytes();
        [n0, n1, n2, n3, direction, direction, direction, direction]
    }

    fn sequence_cipher(&self, checksum: &[u8]) -> rfc4757::Rc4Stream {
        let inner = SecretArray::from(rfc4757::hmac_md5(self.key.expose(), &[&[0; 4]]));
        let key = SecretArray::from(rfc4757::hmac_md5(inner.expose(), &[checksum]));
        rfc4757::Rc4Stream::new(key.expose())
    }

    /// RFC 4757 section 7.3: the key of the data depends on the sequence number.
    fn data_cipher(&self, sequence: u64) -> rfc4757::Rc4Stream {
        let mut local = self.key.duplicate();
        for byte in local.expose_mut() {
            *byte ^= 0xf0;
        }
        let [.., n0, n1, n2, n3] = sequence.to_be_bytes();
        let inner = SecretArray::from(rfc4757::hmac_md5(local.expose(), &[&[0; 4]]));
        let key = SecretArray::from(rfc4757::hmac_md5(inner.expose(), &[&[n0, n1, n2, n3]]));
        rfc4757::Rc4Stream::new(key.expose())
    }

    fn read_sequence(&self, field: &mut [u8], checksum: &[u8]) -> Result<u64, MessageError> {
        self.sequence_cipher(checksum).apply(field);
        let [n0, n1, n2, n3, direction @ ..] = field else {
            return Err(MessageError::IntegrityCheckFailed);
        };
        let expected = if self.from_acceptor { 0x00 } else { 0xff };
        // RFC 1964 section 1.2.1.2: the direction tells a reflected token.
        if direction.iter().any(|&byte| byte != expected) {
            return Err(MessageError::SentByWrongSide);
        }
        Ok(u64::from(u32::from_be_bytes([*n0, *n1, *n2, *n3])))
    }
}

fn first_8(bytes: [u8; 16]) -> [u8; FIELD_LENGTH] {
    bytes.first_chunk().copied().unwrap_or_default()
}

fn check_header(found: &[u8], expected: &[u8; HEADER_LENGTH]) -> Result<(), MessageError> {
    if found == expected {
        return Ok(());
    }
    let id = [
        found.first().copied().unwrap_or_default(),
        found.get(1).copied().unwrap_or_default(),
    ];
    if id == [expected[0], expected[1]] {
        // RFC 1964 section 1.2.1 and RFC 4757 section 7: algorithms and filler are fixed.
        Err(MessageError::Filler)
    } else if expected[0] == 0x01 {
        Err(MessageError::NotAMicToken { found: id })
    } else {
        Err(MessageError::NotAWrapToken { found: id })
    }
}

fn wrap_is_sealed(head: &[u8]) -> Result<bool, MessageError> {
    if head == SIGNED_HEADER {
        return Ok(false);
    }
    check_header(head, &SEALED_HEADER).map(|()| true)
}

const fn wrong_length(found: usize, needed: usize) -> MessageError {
    if found < needed {
        MessageError::TokenTooShort { needed, found }
    } else {
        MessageError::TokenTooLong { needed, found }
    }
}

/// Bytes of framing in front of `inside` bytes (RFC 2743 section 3.1): tag, length, mechanism.
const fn frame_length(inside: usize) -> usize {
    let mechanism = 2 + KRB5_OID.len();
    1 + length_octets(mechanism + inside) + mechanism
}

const fn length_octets(length: usize) -> usize {
    let mut octets = 1;
    if length > 0x7f {
        let mut rest = length;
        while rest > 0 {
            octets += 1;
            rest >>= 8;
        }
    }
    octets
}

fn write_frame(frame: &mut [u8], inside: usize) {
    let length = 2 + KRB5_OID.len() + inside;
    let mut out = frame.iter_mut();
    let mut put = |byte: u8| {
        if let Some(slot) = out.next() {
            *slot = byte;
        }
    };
    put(0x60);
    let octets = length_octets(length) - 1;
    let bytes = length.to_be_bytes();
    if octets == 0 {
        put(bytes.last().copied().unwrap_or_default());
    } else {
        put(0x80 | u8::try_from(octets).unwrap_or_default());
        for &byte in bytes.iter().skip(bytes.len().saturating_sub(octets)) {
            put(byte);
        }
    }
    put(0x06);
    put(u8::try_from(KRB5_OID.len()).unwrap_or_default());
    for &byte in KRB5_OID {
        put(byte);
    }
}

/// Reads the framing of a token that `behind` more bytes follow.
fn read_frame(token: &[u8], behind: usize) -> Result<Framing, MessageError> {
    let too_short = MessageError::TokenTooShort {
        needed: frame_length(MIC_LENGTH) + MIC_LENGTH,
        found: token.len(),
    };
    let (Some(&tag), Some(&first)) = (token.first(), token.get(1)) else {
        return Err(too_short);
    };
    let octets = if first < 0x80 {
        0
    } else {
        usize::from(first & 0x7f)
    };
    let Some(long) = token.get(2..2 + octets) else {
        return Err(too_short);
    };
    // RFC 2743 section 3.1; four length octets reach past any message.
    if tag != 0x60 || octets > 4 {
        return Err(MessageError::Framing);
    }
    let length = if octets == 0 {
        usize::from(first)
    } else {
        long.iter()
            .fold(0_usize, |sum, &byte| (sum << 8) | usize::from(byte))
    };
    let rest = token.get(2 + octets..).unwrap_or_default();
    // RFC 2743 section 3.1: the length counts exactly what is left.
    if length != rest.len().saturating_add(behind) {
        return Err(MessageError::Framing);
    }
    let mechanism = 2 + KRB5_OID.len();
    // RFC 1964 section 1: the mechanism is Kerberos V5.
    if rest.first() != Some(&0x06)
        || rest.get(1).map(|&byte| usize::from(byte)) != Some(KRB5_OID.len())
        || rest.get(2..mechanism) != Some(KRB5_OID)
    {
        return Err(MessageError::Framing);
    }
    Ok(Framing {
        length: 2 + octets + mechanism,
    })
}

fn gather(payload: &mut dyn Scatter) -> SecretBytes {
    let mut whole = Vec::new();
    let mut length = 0;
    for index in 0..payload.count() {
        length += match payload.segment(index) {
            Segment::Sealed(bytes) => bytes.len(),
            Segment::Signed(bytes) => bytes.len(),
        };
    }
    whole.reserve_exact(length);
    for index in 0..payload.count() {
        match payload.segment(index) {
            Segment::Sealed(bytes) => whole.extend_from_slice(bytes),
            Segment::Signed(bytes) => whole.extend_from_slice(bytes),
        }
    }
    SecretBytes::from(whole)
}

fn for_each_sealed(payload: &mut dyn Scatter, mut apply: impl FnMut(&mut [u8])) {
    for index in 0..payload.count() {
        if let Segment::Sealed(bytes) = payload.segment(index) {
            apply(bytes);
        }
    }
}

fn last_byte(payload: &mut dyn Scatter) -> Option<u8> {
    let mut last = None;
    for_each_sealed(payload, |bytes| last = bytes.last().copied().or(last));
    last
}
