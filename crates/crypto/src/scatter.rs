//! Messages in pieces: one pass of a block cipher and a MAC over segments of any lengths, in place.

use trihound_secret::wipe;

use crate::Error;
use crate::cts::{BLOCK, tail_length};

/// One piece of a scattered message.
#[derive(Debug)]
pub enum Segment<'a> {
    /// Under the MAC and encrypted in place.
    Sealed(&'a mut [u8]),
    /// Under the MAC only.
    Signed(&'a [u8]),
}

/// A message in segments, in logical order, that can be walked several times.
///
/// An implementation gives the same segments at every walk; only [`crate::UsageKey`] changes the
/// bytes of sealed ones in between.
pub trait Scatter {
    /// How many segments there are.
    fn count(&self) -> usize;

    /// The segment at `index`, which is below [`Self::count`].
    fn segment(&mut self, index: usize) -> Segment<'_>;
}

/// One contiguous message, all of it sealed.
pub(crate) struct Contiguous<'a>(pub(crate) &'a mut [u8]);

impl Scatter for Contiguous<'_> {
    fn count(&self) -> usize {
        1
    }

    fn segment(&mut self, _index: usize) -> Segment<'_> {
        Segment::Sealed(self.0)
    }
}

/// What is done to the sealed bytes on one walk.
pub(crate) trait Pass {
    /// Whether the MAC takes the bytes as they were before the cipher, or as they are after it.
    const ABSORB_BEFORE: bool;
    /// Feeds the MAC.
    fn absorb(&mut self, bytes: &[u8]);
    /// Transforms whole blocks and feeds the MAC with them.
    fn blocks(&mut self, bytes: &mut [u8]);
    /// Transforms one block that lay across segments; the MAC is fed apart.
    fn block(&mut self, bytes: &mut [u8; BLOCK]);
    /// Transforms the end of the message, one block or more; the MAC is fed apart.
    fn end(&mut self, bytes: &mut [u8]);
}

/// The longest message that is gathered whole; at least the longest end of ciphertext stealing.
const WINDOW: usize = 8 * BLOCK;

#[derive(Clone, Copy, Default)]
struct Cursor {
    index: usize,
    offset: usize,
}

/// Total length of the sealed segments in bytes.
pub(crate) fn sealed_length(message: &mut dyn Scatter) -> Result<usize, Error> {
    let mut total = 0usize;
    for index in 0..message.count() {
        if let Segment::Sealed(bytes) = message.segment(index) {
            total = total.checked_add(bytes.len()).ok_or(Error::TooLong)?;
        }
    }
    Ok(total)
}

/// Hands over every byte of the message in order.
pub(crate) fn each(message: &mut dyn Scatter, mut absorb: impl FnMut(&[u8])) {
    for index in 0..message.count() {
        match message.segment(index) {
            Segment::Sealed(bytes) => absorb(bytes),
            Segment::Signed(bytes) => absorb(bytes),
        }
    }
}

/// Overwrites every sealed segment with zeros.
pub(crate) fn wipe_sealed(message: &mut dyn Scatter) {
    for index in 0..message.count() {
        if let Segment::Sealed(bytes) = message.segment(index) {
            wipe(bytes);
        }
    }
}

/// Walks the whole message once; `sealed` is [`sealed_length`] and at least one block.
pub(crate) fn walk<P: Pass>(
    message: &mut dyn Scatter,
    sealed: usize,
    pass: &mut P,
) -> Result<(), Error> {
    // A cipher's start costs more than copying so little, so a short message is gathered whole.
    let tail = if sealed <= WINDOW {
        sealed
    } else {
        tail_length(sealed)
    };
    let mut body = sealed.saturating_sub(tail);
    let mut cursor = Cursor::default();
    let mut window = [0u8; WINDOW];
    while body >= BLOCK {
        let mut done = run_of_blocks(message, &mut cursor, body, pass)?;
        if done == 0 {
            let (block, _) = window
                .split_first_chunk_mut::<BLOCK>()
                .ok_or(Error::SegmentsChanged)?;
            across(message, &mut cursor, block, pass, Pass::block)?;
            done = BLOCK;
        }
        body = body.saturating_sub(done);
    }
    let (end, _) = window
        .split_at_mut_checked(tail)
        .ok_or(Error::SegmentsChanged)?;
    across(message, &mut cursor, end, pass, Pass::end)?;
    wipe(end);
    after_sealed(message, cursor, pass)
}

/// Processes the whole blocks that lie in the next sealed segment, at most `body` bytes. None is
/// there if the next block lies across segments.
fn run_of_blocks<P: Pass>(
    message: &mut dyn Scatter,
    cursor: &mut Cursor,
    body: usize,
    pass: &mut P,
) -> Result<usize, Error> {
    while cursor.index < message.count() {
        match message.segment(cursor.index) {
            Segment::Signed(bytes) => pass.absorb(bytes),
            Segment::Sealed(bytes) => {
                let rest = bytes
                    .get_mut(cursor.offset..)
                    .ok_or(Error::SegmentsChanged)?;
                if !rest.is_empty() {
                    let whole = rest.len().min(body) / BLOCK * BLOCK;
                    if let Some((run, _)) = rest.split_at_mut_checked(whole)
                        && whole > 0
                    {
                        pass.blocks(run);
                        cursor.offset = cursor.offset.saturating_add(whole);
                    }
                    return Ok(whole);
                }
            }
        }
        *cursor = Cursor {
            index: cursor.index.saturating_add(1),
            offset: 0,
        };
    }
    Err(Error::SegmentsChanged)
}

/// Gathers bytes that may lie across segments, transforms them, and puts them back.
fn across<P: Pass, W: ?Sized + AsMut<[u8]>>(
    message: &mut dyn Scatter,
    cursor: &mut Cursor,
    window: &mut W,
    pass: &mut P,
    transform: impl FnOnce(&mut P, &mut W),
) -> Result<(), Error> {
    let start = *cursor;
    *cursor = visit(message, start, window.as_mut(), |piece| match piece {
        Piece::Sealed { segment, window } => {
            window.copy_from_slice(segment);
            if P::ABSORB_BEFORE {
                pass.absorb(window);
            }
        }
        Piece::Signed(bytes) => {
            if P::ABSORB_BEFORE {
                pass.absorb(bytes);
            }
        }
    })?;
    transform(pass, window);
    visit(message, start, window.as_mut(), |piece| match piece {
        Piece::Sealed { segment, window } => {
            segment.copy_from_slice(window);
            if !P::ABSORB_BEFORE {
                pass.absorb(segment);
            }
        }
        Piece::Signed(bytes) => {
            if !P::ABSORB_BEFORE {
                pass.absorb(bytes);
            }
        }
    })?;
    Ok(())
}

enum Piece<'a> {
    /// Two slices of one length.
    Sealed {
        segment: &'a mut [u8],
        window: &'a mut [u8],
    },
    Signed(&'a [u8]),
}

/// Lays `window` over the sealed bytes from `cursor` on, and shows the signed segments in between.
fn visit(
    message: &mut dyn Scatter,
    mut cursor: Cursor,
    mut window: &mut [u8],
    mut see: impl FnMut(Piece<'_>),
) -> Result<Cursor, Error> {
    while !window.is_empty() {
        if cursor.index >= message.count() {
            return Err(Error::SegmentsChanged);
        }
        match message.segment(cursor.index) {
            Segment::Signed(bytes) => see(Piece::Signed(bytes)),
            Segment::Sealed(bytes) => {
                let rest = bytes
                    .get_mut(cursor.offset..)
                    .ok_or(Error::SegmentsChanged)?;
                let length = rest.len().min(window.len());
                let (segment, left) = rest.split_at_mut(length);
                let (part, more) = window.split_at_mut(length);
                let exhausted = left.is_empty();
                see(Piece::Sealed {
                    segment,
                    window: part,
                });
                window = more;
                if !exhausted {
                    cursor.offset = cursor.offset.saturating_add(length);
                    continue;
                }
            }
        }
        cursor = Cursor {
            index: cursor.index.saturating_add(1),
            offset: 0,
        };
    }
    Ok(cursor)
}

/// Feeds the MAC with the signed segments behind the last sealed byte.
fn after_sealed<P: Pass>(
    message: &mut dyn Scatter,
    cursor: Cursor,
    pass: &mut P,
) -> Result<(), Error> {
    let mut offset = cursor.offset;
    for index in cursor.index..message.count() {
        match message.segment(index) {
            Segment::Signed(bytes) => pass.absorb(bytes),
            Segment::Sealed(bytes) if bytes.len() > offset => return Err(Error::SegmentsChanged),
            Segment::Sealed(_) => {}
        }
        offset = 0;
    }
    Ok(())
}
