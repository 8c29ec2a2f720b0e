//! Memory that goes to a C caller and comes back by FreeContextBuffer.
//!
//! What is out is known by its address, so that memory of others, or memory that came back already, is
//! answered with a status instead of being freed. Memory is wiped when it comes back: it may be a key.

use core::ffi::c_void;
use core::ptr::NonNull;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use trihound::sspi::{Error, SecurityStatus};
use zeroize::Zeroize;

use crate::text::Text;

/// One piece that is out.
#[derive(Clone, Copy)]
struct Piece {
    words: usize,
    number: u64,
}

#[derive(Default)]
struct Pieces {
    /// By the address's complement: a leak checker, to which whatever an address leads to is in use,
    /// then still finds what a caller forgot.
    out: BTreeMap<usize, Piece>,
    next: u64,
}

static PIECES: Mutex<Pieces> = Mutex::new(Pieces {
    out: BTreeMap::new(),
    next: 1,
});

fn pieces() -> MutexGuard<'static, Pieces> {
    // Nothing under this lock panics with the map half-changed.
    PIECES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names one piece for ever; an address is given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PieceNumber(u64);

fn hand_out(words: Box<[u64]>) -> NonNull<u64> {
    let count = words.len();
    let start = NonNull::from(Box::leak(words)).cast::<u64>();
    let mut pieces = pieces();
    let number = pieces.next;
    pieces.next = number.wrapping_add(1);
    let piece = Piece {
        words: count,
        number,
    };
    pieces.out.insert(!start.as_ptr().addr(), piece);
    start
}

/// Takes a piece back and wipes it.
///
/// # Errors
///
/// SEC_E_INVALID_HANDLE for what is not out.
pub(crate) fn take_back(pointer: *mut c_void) -> Result<(), Error> {
    let Some(piece) = pieces().out.remove(&!pointer.addr()) else {
        return Err(Error::new(
            SecurityStatus::SEC_E_INVALID_HANDLE,
            format!(
                "{pointer:p} is no memory that this library gave out, or it was given back already; free \
                 each piece once, and the program's own memory by its own means"
            ),
        ));
    };
    let whole = core::ptr::slice_from_raw_parts_mut(pointer.cast::<u64>(), piece.words);
    // SAFETY: the piece was out, so this is what `hand_out` leaked, and it left the map just now.
    let mut words = unsafe { Box::from_raw(whole) };
    words.zeroize();
    Ok(())
}

/// Whether a piece is out, and how many bytes it may have.
pub(crate) fn size_of_piece(pointer: *const c_void) -> Option<usize> {
    let piece = pieces().out.get(&!pointer.addr()).copied()?;
    piece.words.checked_mul(8)
}

/// The number of a piece that is out.
pub(crate) fn number_of(pointer: *const c_void) -> Option<PieceNumber> {
    Some(PieceNumber(pieces().out.get(&!pointer.addr())?.number))
}

/// Builds one piece: a structure, and behind it what it points to.
pub(crate) struct Builder {
    head: usize,
    tail: Vec<u8>,
}

/// Where something is in the piece.
#[derive(Clone, Copy)]
pub(crate) struct Offset(usize);

/// The finished piece, to be filled in.
pub(crate) struct Finished {
    start: NonNull<u64>,
}

impl Builder {
    /// A piece that begins with `count` of `S`.
    pub(crate) fn new<S>(count: usize) -> Self {
        Self {
            head: size_of::<S>().saturating_mul(count).next_multiple_of(8),
            tail: Vec::new(),
        }
    }

    /// Adds bytes; they begin at a multiple of eight.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Offset {
        let at = self.tail.len().next_multiple_of(8);
        let end = at.saturating_add(bytes.len());
        // Memory that is outgrown would keep what may be a password.
        if end > self.tail.capacity() {
            let mut larger = Vec::with_capacity(end.saturating_mul(2));
            larger.extend_from_slice(&self.tail);
            self.tail.zeroize();
            self.tail = larger;
        }
        self.tail.resize(at, 0);
        self.tail.extend_from_slice(bytes);
        Offset(self.head.saturating_add(at))
    }

    /// Adds room for `count` pointers.
    pub(crate) fn pointers(&mut self, count: usize) -> Offset {
        self.bytes(&vec![0; count.saturating_mul(size_of::<usize>())])
    }

    /// Adds a text with its end.
    pub(crate) fn text<T: Text>(&mut self, text: &str) -> Offset {
        let mut bytes: Vec<u8> = Vec::with_capacity(text.len().saturating_mul(2).saturating_add(2));
        if T::WIDE {
            bytes.extend(text.encode_utf16().flat_map(u16::to_ne_bytes));
            bytes.push(0);
        } else {
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.push(0);
        let at = self.bytes(&bytes);
        bytes.zeroize();
        at
    }

    /// Hands the piece out.
    pub(crate) fn finish(mut self) -> Finished {
        let head = self.head / 8;
        let mut words = vec![0u64; head.saturating_add(self.tail.len().div_ceil(8))];
        for (word, chunk) in words.iter_mut().skip(head).zip(self.tail.chunks(8)) {
            let mut bytes = [0; 8];
            for (to, from) in bytes.iter_mut().zip(chunk) {
                *to = *from;
            }
            *word = u64::from_ne_bytes(bytes);
        }
        self.tail.zeroize();
        Finished {
            start: hand_out(words.into_boxed_slice()),
        }
    }
}

impl Finished {
    /// The address of what was added.
    pub(crate) fn at<U>(&self, offset: Offset) -> *mut U {
        self.start.as_ptr().wrapping_byte_add(offset.0).cast::<U>()
    }

    /// The whole.
    pub(crate) fn start<S>(&self) -> *mut S {
        self.start.as_ptr().cast::<S>()
    }

    /// Fills in the structure at the start, or the one at `index` of several.
    ///
    /// # Safety
    ///
    /// The piece was made for structures of this type, and for more of them than `index`.
    pub(crate) unsafe fn fill<S>(&self, index: usize, value: S) {
        const { assert!(align_of::<S>() <= 8) };
        // SAFETY: the contract; the start is aligned to eight.
        unsafe { self.start::<S>().add(index).write(value) }
    }

    /// Fills in one of the pointers that room was made for.
    ///
    /// # Safety
    ///
    /// `offset` is of [`Builder::pointers`] for more of them than `index`.
    pub(crate) unsafe fn point<U>(&self, offset: Offset, index: usize, to: *mut U) {
        // SAFETY: the contract; the room is aligned to eight.
        unsafe { self.at::<*mut U>(offset).add(index).write(to) }
    }
}

/// Bytes as a piece of their own; NULL for none.
pub(crate) fn bytes<U>(bytes: &[u8]) -> *mut U {
    if bytes.is_empty() {
        return core::ptr::null_mut();
    }
    let mut piece = Builder::new::<u8>(0);
    let at = piece.bytes(bytes);
    piece.finish().at(at)
}

/// A text as a piece of its own.
pub(crate) fn text<T: Text, U>(text: &str) -> *mut U {
    let mut piece = Builder::new::<u8>(0);
    let at = piece.text::<T>(text);
    piece.finish().at(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Narrow, Wide, text as read_text};
    use crate::types::{SecPkgContext_NativeNamesW, SecPkgInfoA};

    #[test]
    fn memory_of_others_and_memory_that_came_back_are_refused() {
        let mut own = 5u64;
        let foreign = take_back((&raw mut own).cast());
        assert_eq!(
            foreign.unwrap_err().status(),
            SecurityStatus::SEC_E_INVALID_HANDLE
        );
        let piece: *mut c_void = bytes(b"secret");
        assert!(take_back(piece.wrapping_byte_add(1)).is_err());
        assert!(number_of(piece).is_some());
        assert!(take_back(piece).is_ok());
        assert_eq!(
            take_back(piece).unwrap_err().status(),
            SecurityStatus::SEC_E_INVALID_HANDLE
        );
        assert_eq!(number_of(piece), None);
        assert!(take_back(core::ptr::null_mut()).is_err());
    }

    #[test]
    fn a_structure_and_its_texts_are_one_piece() {
        let mut piece = Builder::new::<SecPkgContext_NativeNamesW>(1);
        let client = piece.text::<Wide>("alice");
        let server = piece.text::<Wide>("HTTP/wébsite");
        let piece = piece.finish();
        let names = SecPkgContext_NativeNamesW {
            sClientName: piece.at(client),
            sServerName: piece.at(server),
        };
        // SAFETY: the piece was made for this structure, and the texts were added to it.
        unsafe {
            piece.fill(0, names);
            let read = piece.start::<SecPkgContext_NativeNamesW>().read();
            assert_eq!(
                read_text::<Wide>(read.sClientName, "it").unwrap().unwrap(),
                "alice"
            );
            let server = read_text::<Wide>(read.sServerName, "it").unwrap();
            assert_eq!(server.unwrap(), "HTTP/wébsite");
        }
        assert!(take_back(piece.start()).is_ok());
    }

    #[test]
    fn several_structures_stand_in_a_row() {
        let mut piece = Builder::new::<SecPkgInfoA>(3);
        let name = piece.text::<Narrow>("Kerberos");
        let piece = piece.finish();
        for index in 0..3u16 {
            let info = SecPkgInfoA {
                fCapabilities: 1,
                wVersion: index,
                wRPCID: 2,
                cbMaxToken: 3,
                Name: piece.at(name),
                Comment: piece.at(name),
            };
            // SAFETY: the piece was made for three.
            unsafe { piece.fill(usize::from(index), info) };
        }
        // SAFETY: three were filled in.
        let last = unsafe { piece.start::<SecPkgInfoA>().add(2).read() };
        assert_eq!(last.wVersion, 2);
        // SAFETY: the text was added with its end.
        let name = unsafe { read_text::<Narrow>(last.Name, "it") };
        assert_eq!(name.unwrap().as_deref(), Some("Kerberos"));
        assert!(take_back(piece.start()).is_ok());
    }

    #[test]
    fn no_bytes_are_null() {
        assert!(bytes::<u8>(b"").is_null());
    }
}
