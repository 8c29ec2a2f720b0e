//! `SecBufferDesc` of C, as the function table has buffers, and back.

use core::ffi::c_void;

use trihound::sspi::{
    BufferAttributes, BufferType, Error, InputDesc, SecBuffer, SecBufferDesc, SecurityStatus,
};

use crate::memory;
use crate::pointer::{bytes, bytes_mut, parameter, read};
use crate::types as c;

/// More buffers than any call of SSPI takes.
const MOST_BUFFERS: u32 = 64;

/// No token is longer, in bytes. A caller's output buffer may be.
const LONGEST_TOKEN: u32 = 1 << 20;

/// The buffers of a descriptor: where they are, and what they were when the call began.
pub(crate) struct Raw {
    array: *mut c::SecBuffer,
    buffers: Vec<c::SecBuffer>,
}

impl Raw {
    /// `None` for NULL.
    ///
    /// # Safety
    ///
    /// The pointer is NULL, not aligned, or a descriptor is there with as many buffers as it says, which
    /// can be read and written for as long as this lives.
    pub(crate) unsafe fn read(
        descriptor: *const c::SecBufferDesc,
        what: &str,
    ) -> Result<Option<Self>, Error> {
        if descriptor.is_null() {
            return Ok(None);
        }
        // SAFETY: the contract is the same.
        let descriptor = unsafe { read(descriptor, what) }?;
        if descriptor.ulVersion != c::SECBUFFER_VERSION {
            return Err(parameter(format!(
                "{what} has ulVersion {}; SECBUFFER_VERSION is {}",
                descriptor.ulVersion,
                c::SECBUFFER_VERSION
            )));
        }
        if descriptor.cBuffers > MOST_BUFFERS {
            return Err(parameter(format!(
                "{what} says that it has {} buffers, more than the {MOST_BUFFERS} that a call takes",
                descriptor.cBuffers
            )));
        }
        let mut buffers = Vec::new();
        for at in 0..descriptor.cBuffers as usize {
            // SAFETY: the descriptor says that the buffer is there.
            buffers.push(unsafe { read(descriptor.pBuffers.wrapping_add(at), what) }?);
        }
        Ok(Some(Self {
            array: descriptor.pBuffers,
            buffers,
        }))
    }

    /// Writes a buffer back.
    fn write(&self, index: usize, buffer: c::SecBuffer) {
        // SAFETY: `read` found the buffer there, and was promised that it can be written.
        unsafe { self.array.wrapping_add(index).write(buffer) }
    }
}

fn kind(buffer: &c::SecBuffer) -> (BufferType, BufferAttributes) {
    (
        BufferType::from_number(buffer.BufferType),
        BufferAttributes::from_bits_truncate(buffer.BufferType),
    )
}

fn length(bytes: &[u8]) -> Result<u32, Error> {
    u32::try_from(bytes.len()).map_err(|_| {
        Error::new(
            SecurityStatus::SEC_E_INTERNAL_ERROR,
            "a buffer became longer than 32 bits can say",
        )
    })
}

/// The input of a handshake call, copied: it may lie where the output goes.
pub(crate) struct Input(Vec<SecBuffer<'static>>);

impl Input {
    /// # Safety
    ///
    /// As [`Raw::read`], and each buffer has as many bytes as it says.
    pub(crate) unsafe fn read(descriptor: *const c::SecBufferDesc) -> Result<Self, Error> {
        // SAFETY: the contract is the same.
        let raw = unsafe { Raw::read(descriptor, "pInput") }?;
        let mut buffers = Vec::new();
        for buffer in raw.iter().flat_map(|raw| &raw.buffers) {
            let (buffer_type, attributes) = kind(buffer);
            // SAFETY: the contract says that the bytes are there.
            let memory = unsafe { bytes(buffer.pvBuffer.cast(), buffer.cbBuffer, "pInput") }?;
            let copy = SecBuffer::owned(buffer_type, memory.to_vec());
            buffers.push(copy.with_attributes(attributes));
        }
        Ok(Self(buffers))
    }

    /// `None` where there is nothing in it: an empty token is none.
    pub(crate) fn desc(&self) -> Option<InputDesc<'_>> {
        let is_there = self.0.iter().any(|buffer| !buffer.is_empty());
        is_there.then(|| InputDesc::new(&self.0))
    }
}

/// The output of a handshake call: made in memory of our own, and put where C wants it afterwards.
pub(crate) struct Output {
    raw: Option<Raw>,
    buffers: Vec<SecBuffer<'static>>,
    allocate: bool,
}

impl Output {
    /// # Safety
    ///
    /// As [`Raw::read`], and each buffer has as many bytes as it says, unless they are to be allocated.
    pub(crate) unsafe fn new(
        descriptor: *const c::SecBufferDesc,
        allocate: bool,
    ) -> Result<Self, Error> {
        // SAFETY: the contract is the same.
        let raw = unsafe { Raw::read(descriptor, "pOutput") }?;
        let mut buffers = Vec::new();
        for buffer in raw.iter().flat_map(|raw| &raw.buffers) {
            let (buffer_type, _) = kind(buffer);
            buffers.push(if buffer_type != BufferType::TOKEN {
                SecBuffer::empty(buffer_type)
            } else if allocate {
                SecBuffer::allocate(BufferType::TOKEN)
            } else {
                if buffer.pvBuffer.is_null() && buffer.cbBuffer != 0 {
                    return Err(parameter(format!(
                        "the TOKEN buffer of pOutput has {} bytes at NULL; give it memory, or ask for \
                         ALLOCATE_MEMORY",
                        buffer.cbBuffer
                    )));
                }
                let room = buffer.cbBuffer.min(LONGEST_TOKEN) as usize;
                SecBuffer::owned(BufferType::TOKEN, vec![0; room])
            });
        }
        Ok(Self {
            raw,
            buffers,
            allocate,
        })
    }

    /// For the function table.
    pub(crate) fn desc(&mut self) -> SecBufferDesc<'_, 'static> {
        SecBufferDesc::new(&mut self.buffers)
    }

    /// Puts the tokens where C wants them; their lengths shrink to what was used.
    ///
    /// A buffer that was too small stays as it was, for the next try.
    pub(crate) fn put(&self, status: SecurityStatus) -> Result<(), Error> {
        let Some(raw) = &self.raw else {
            return Ok(());
        };
        if status == SecurityStatus::SEC_E_BUFFER_TOO_SMALL {
            return Ok(());
        }
        for (index, (made, was)) in self.buffers.iter().zip(&raw.buffers).enumerate() {
            if made.buffer_type() != BufferType::TOKEN {
                continue;
            }
            let mut buffer = *was;
            buffer.cbBuffer = length(made.bytes())?;
            if self.allocate {
                buffer.pvBuffer = memory::bytes(made.bytes());
            } else {
                // SAFETY: the caller promised that as many bytes can be written as the buffer had, and
                // what was made has no more.
                unsafe {
                    core::ptr::copy_nonoverlapping(
                        made.bytes().as_ptr(),
                        buffer.pvBuffer.cast(),
                        made.len(),
                    );
                }
            }
            raw.write(index, buffer);
        }
        Ok(())
    }
}

/// What a message function does with DATA buffers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    /// Reads them.
    Read,
    /// Changes them in place.
    Changed,
}

/// The buffers of a message, in place.
pub(crate) struct Message<'a> {
    raw: Raw,
    buffers: Vec<SecBuffer<'a>>,
}

impl Message<'_> {
    /// # Safety
    ///
    /// As [`Raw::read`], and each buffer has as many bytes as it says, which nobody else uses for as long
    /// as this lives.
    pub(crate) unsafe fn new(
        descriptor: *const c::SecBufferDesc,
        data: Data,
        what: &str,
    ) -> Result<Self, Error> {
        // SAFETY: the contract is the same.
        let raw = unsafe { Raw::read(descriptor, what) }?
            .ok_or_else(|| parameter(format!("{what} is NULL and has to name buffers")))?;
        let is_read = |buffer: &c::SecBuffer| {
            let (buffer_type, attributes) = kind(buffer);
            !attributes.is_empty() || (data == Data::Read && buffer_type == BufferType::DATA)
        };
        keep_apart(&raw.buffers, is_read, what)?;
        let mut buffers = Vec::new();
        for buffer in &raw.buffers {
            let (buffer_type, attributes) = kind(buffer);
            let start = buffer.pvBuffer.cast::<u8>();
            let made = if buffer.cbBuffer == 0 {
                SecBuffer::empty(buffer_type)
            } else if is_read(buffer) {
                // SAFETY: the contract says that the bytes are there.
                let memory = unsafe { bytes(start, buffer.cbBuffer, what) }?;
                SecBuffer::input(buffer_type, memory)
            } else {
                // SAFETY: the contract says that the bytes are there and nobody else's, and no other buffer
                // of this message has them: `keep_apart`.
                let memory = unsafe { bytes_mut(start, buffer.cbBuffer, what) }?;
                SecBuffer::new(buffer_type, memory)
            };
            buffers.push(made.with_attributes(attributes));
        }
        Ok(Self { raw, buffers })
    }

    /// Runs a call on the buffers and, if it succeeds, tells C of their new types and lengths.
    pub(crate) fn run<R>(
        mut self,
        call: impl FnOnce(&mut SecBufferDesc<'_, '_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let result = call(&mut SecBufferDesc::new(&mut self.buffers))?;
        for (index, (made, was)) in self.buffers.iter().zip(&self.raw.buffers).enumerate() {
            let (buffer_type, _) = kind(was);
            // What DATA has got of a STREAM is part of it still.
            if buffer_type == BufferType::STREAM {
                continue;
            }
            let attributes = was.BufferType & BufferAttributes::MASK;
            let buffer = c::SecBuffer {
                cbBuffer: length(made.bytes())?,
                BufferType: made.buffer_type().number() | attributes,
                pvBuffer: self.place(made, was),
            };
            self.raw.write(index, buffer);
        }
        Ok(result)
    }

    /// Where the bytes of a buffer are: its own memory, or a part of another's.
    fn place(&self, made: &SecBuffer<'_>, was: &c::SecBuffer) -> *mut c_void {
        if made.is_empty() {
            return was.pvBuffer;
        }
        let address = made.bytes().as_ptr().addr();
        core::iter::once(was)
            .chain(&self.raw.buffers)
            .find_map(|buffer| {
                let at = address.checked_sub(buffer.pvBuffer.addr())?;
                let is_inside = at < buffer.cbBuffer as usize;
                is_inside.then(|| buffer.pvBuffer.wrapping_byte_add(at))
            })
            .unwrap_or_else(|| memory::bytes(made.bytes()))
    }
}

/// Refuses memory that is in two buffers where one of them is written.
fn keep_apart(
    buffers: &[c::SecBuffer],
    is_read: impl Fn(&c::SecBuffer) -> bool,
    what: &str,
) -> Result<(), Error> {
    let end = |buffer: &c::SecBuffer| {
        let length = buffer.cbBuffer as usize;
        buffer.pvBuffer.addr().saturating_add(length)
    };
    let meet = |one: &c::SecBuffer, other: &c::SecBuffer| {
        one.pvBuffer.addr() < end(other) && other.pvBuffer.addr() < end(one)
    };
    let filled = |buffer: &&c::SecBuffer| buffer.cbBuffer != 0;
    for (index, one) in buffers.iter().enumerate() {
        for other in buffers.iter().skip(index.saturating_add(1)).filter(filled) {
            if one.cbBuffer != 0 && meet(one, other) && !(is_read(one) && is_read(other)) {
                return Err(parameter(format!(
                    "two buffers of {what} have memory in common, and one of them is written; give each \
                     its own"
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "buffers_tests.rs"]
mod tests;
