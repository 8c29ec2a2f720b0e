use core::fmt;
use core::mem;
use core::ops::Range;

use crate::{BufferAttributes, BufferType, Error, SecurityStatus};

/// `SECQOP_WRAP_NO_ENCRYPT`: EncryptMessage signs and does not encrypt.
pub const SECQOP_WRAP_NO_ENCRYPT: u32 = 0x8000_0001;
/// `SECQOP_WRAP_OOB_DATA`: the message is out of band; a TLS alert, for Schannel.
pub const SECQOP_WRAP_OOB_DATA: u32 = 0x4000_0000;

enum Memory<'b> {
    None,
    Mutable(&'b mut [u8]),
    Shared(&'b [u8]),
    Owned(Vec<u8>),
}

/// A buffer of SSPI (`SecBuffer`): a type, some memory, and how many bytes of it are in use.
///
/// Memory is the caller's (`&mut [u8]`, `&[u8]`) or the buffer's own. A buffer made by
/// [`Self::allocate`] has none until the package fills it (ALLOCATE_MEMORY);
/// [`crate::SecurityFunctionTable::free_context_buffer`] or dropping the buffer gives it back.
pub struct SecBuffer<'b> {
    buffer_type: BufferType,
    attributes: BufferAttributes,
    memory: Memory<'b>,
    allocate: bool,
    used: usize,
}

impl<'b> SecBuffer<'b> {
    fn with(buffer_type: BufferType, attributes: BufferAttributes, memory: Memory<'b>) -> Self {
        let used = match &memory {
            Memory::None => 0,
            Memory::Mutable(bytes) => bytes.len(),
            Memory::Shared(bytes) => bytes.len(),
            Memory::Owned(bytes) => bytes.len(),
        };
        Self {
            buffer_type,
            attributes,
            memory,
            allocate: false,
            used,
        }
    }

    /// A buffer of any type over the caller's memory; all of it counts as used.
    #[must_use]
    pub fn new(buffer_type: BufferType, memory: &'b mut [u8]) -> Self {
        Self::with(
            buffer_type,
            BufferAttributes::empty(),
            Memory::Mutable(memory),
        )
    }

    /// A buffer of any type over memory that is only read.
    #[must_use]
    pub fn input(buffer_type: BufferType, memory: &'b [u8]) -> Self {
        Self::with(
            buffer_type,
            BufferAttributes::empty(),
            Memory::Shared(memory),
        )
    }

    /// A TOKEN buffer: for an output token, or for the security token of a message.
    #[must_use]
    pub fn token(memory: &'b mut [u8]) -> Self {
        Self::new(BufferType::TOKEN, memory)
    }

    /// A TOKEN buffer with the peer's token.
    #[must_use]
    pub fn token_input(token: &'b [u8]) -> Self {
        Self::input(BufferType::TOKEN, token)
    }

    /// A DATA buffer, which EncryptMessage and DecryptMessage change in place.
    #[must_use]
    pub fn data(memory: &'b mut [u8]) -> Self {
        Self::new(BufferType::DATA, memory)
    }

    /// A DATA buffer that MakeSignature and VerifySignature read. EncryptMessage cannot write it.
    #[must_use]
    pub fn data_input(memory: &'b [u8]) -> Self {
        Self::input(BufferType::DATA, memory)
    }

    /// A DATA buffer with SECBUFFER_READONLY: it travels along, neither signed nor encrypted.
    #[must_use]
    pub fn data_readonly(memory: &'b [u8]) -> Self {
        Self::with(
            BufferType::DATA,
            BufferAttributes::READONLY,
            Memory::Shared(memory),
        )
    }

    /// A DATA buffer with SECBUFFER_READONLY_WITH_CHECKSUM: signed, not encrypted.
    #[must_use]
    pub fn data_readonly_with_checksum(memory: &'b [u8]) -> Self {
        Self::with(
            BufferType::DATA,
            BufferAttributes::READONLY_WITH_CHECKSUM,
            Memory::Shared(memory),
        )
    }

    /// A PADDING buffer; EncryptMessage sets its length.
    #[must_use]
    pub fn padding(memory: &'b mut [u8]) -> Self {
        Self::new(BufferType::PADDING, memory)
    }

    /// A STREAM buffer: one whole message off the wire, to be decrypted in place.
    #[must_use]
    pub fn stream(memory: &'b mut [u8]) -> Self {
        Self::new(BufferType::STREAM, memory)
    }

    /// A CHANNEL_BINDINGS buffer, with the bytes of [`crate::ChannelBindings::to_buffer`].
    #[must_use]
    pub fn channel_bindings(bindings: &'b [u8]) -> Self {
        Self::input(BufferType::CHANNEL_BINDINGS, bindings)
    }

    /// A buffer without memory: the DATA beside a STREAM, for example.
    #[must_use]
    pub fn empty(buffer_type: BufferType) -> Self {
        Self::with(buffer_type, BufferAttributes::empty(), Memory::None)
    }

    /// A buffer that the package allocates (ISC_REQ_ALLOCATE_MEMORY, ASC_REQ_ALLOCATE_MEMORY).
    #[must_use]
    pub fn allocate(buffer_type: BufferType) -> Self {
        let mut buffer = Self::empty(buffer_type);
        buffer.allocate = true;
        buffer
    }

    /// A buffer with memory of its own.
    #[must_use]
    pub fn owned(buffer_type: BufferType, memory: Vec<u8>) -> Self {
        Self::with(
            buffer_type,
            BufferAttributes::empty(),
            Memory::Owned(memory),
        )
    }

    /// The same buffer with these attributes.
    #[must_use]
    pub fn with_attributes(mut self, attributes: BufferAttributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// What the buffer is for, without attribute bits.
    #[must_use]
    pub fn buffer_type(&self) -> BufferType {
        self.buffer_type
    }

    /// Gives the buffer another type; a package does so with EMPTY buffers.
    pub fn set_buffer_type(&mut self, buffer_type: BufferType) {
        self.buffer_type = buffer_type;
    }

    /// The attribute bits.
    #[must_use]
    pub fn attributes(&self) -> BufferAttributes {
        self.attributes
    }

    /// Whether the memory may not be written: READONLY, READONLY_WITH_CHECKSUM, or shared memory.
    #[must_use]
    pub fn is_readonly(&self) -> bool {
        !self.attributes.is_empty() || matches!(self.memory, Memory::Shared(_))
    }

    /// Whether the package is to allocate the contents.
    #[must_use]
    pub fn is_allocate(&self) -> bool {
        self.allocate
    }

    fn memory(&self) -> &[u8] {
        match &self.memory {
            Memory::None => &[],
            Memory::Mutable(bytes) => bytes,
            Memory::Shared(bytes) => bytes,
            Memory::Owned(bytes) => bytes,
        }
    }

    /// The bytes in use (`pvBuffer`, `cbBuffer`).
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.memory().get(..self.used).unwrap_or_default()
    }

    /// The bytes in use, to be changed in place.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_PARAMETER for a buffer that is read-only.
    pub fn bytes_mut(&mut self) -> Result<&mut [u8], Error> {
        if self.is_readonly() {
            return Err(Error::parameter(format!(
                "the {} buffer is read-only and has to be written; give it as &mut [u8] without a \
                 READONLY attribute",
                self.buffer_type
            )));
        }
        let memory: &mut [u8] = match &mut self.memory {
            Memory::Mutable(bytes) => bytes,
            Memory::Owned(bytes) => bytes,
            Memory::None | Memory::Shared(_) => &mut [],
        };
        Ok(memory.get_mut(..self.used).unwrap_or_default())
    }

    /// How many bytes are in use (`cbBuffer`).
    #[must_use]
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether no byte is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// How many bytes the memory has, in use or not.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.memory().len()
    }

    /// Sets how many bytes are in use (`cbBuffer`); an allocate buffer grows to it, with zeros.
    ///
    /// # Errors
    ///
    /// SEC_E_BUFFER_TOO_SMALL when the memory has fewer; nothing changes then.
    pub fn set_len(&mut self, len: usize) -> Result<(), Error> {
        if self.allocate && len > self.capacity() {
            let mut memory = match mem::replace(&mut self.memory, Memory::None) {
                Memory::Owned(memory) => memory,
                _ => Vec::new(),
            };
            memory.resize(len, 0);
            self.memory = Memory::Owned(memory);
        }
        let given = self.capacity();
        if len > given {
            return Err(Error::buffer_too_small(
                self.buffer_type.name().unwrap_or("output"),
                len,
                given,
            ));
        }
        self.used = len;
        Ok(())
    }

    /// Fills the buffer with `bytes` from its start and sets the length to theirs. The whole memory
    /// is there to be filled, whatever the length was.
    ///
    /// # Errors
    ///
    /// SEC_E_BUFFER_TOO_SMALL, which names how many bytes are needed and given;
    /// SEC_E_INVALID_PARAMETER for a buffer that is read-only. Nothing changes then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let before = self.used;
        self.set_len(bytes.len())?;
        match self.bytes_mut() {
            Ok(memory) => {
                memory.copy_from_slice(bytes);
                Ok(())
            }
            Err(error) => {
                self.used = before;
                Err(error)
            }
        }
    }

    /// Gives back memory that a package allocated; the caller's own memory stays.
    pub(crate) fn free(&mut self) {
        if matches!(self.memory, Memory::Owned(_)) {
            self.memory = Memory::None;
            self.used = 0;
        }
    }

    /// Takes the memory out: before `middle`, `middle`, and what follows within the length.
    fn split(&mut self, middle: Range<usize>) -> Option<(Memory<'b>, Memory<'b>)> {
        if middle.start > middle.end || middle.end > self.used || self.is_readonly() {
            return None;
        }
        match mem::replace(&mut self.memory, Memory::None) {
            Memory::Mutable(bytes) => {
                let (front, rest) = bytes.split_at_mut(middle.start);
                let (middle, _) = rest.split_at_mut(middle.end.saturating_sub(middle.start));
                Some((Memory::Mutable(front), Memory::Mutable(middle)))
            }
            Memory::Owned(mut bytes) => {
                bytes.truncate(middle.end);
                bytes.drain(..middle.start);
                Some((Memory::None, Memory::Owned(bytes)))
            }
            other => {
                self.memory = other;
                None
            }
        }
    }
}

impl fmt::Debug for SecBuffer<'_> {
    // Contents may be plaintext or credentials: sizes only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SecBuffer({}, {} of {} bytes",
            self.buffer_type,
            self.used,
            self.capacity()
        )?;
        if !self.attributes.is_empty() {
            write!(f, ", {:?}", self.attributes)?;
        }
        f.write_str(")")
    }
}

/// An array of buffers (`SecBufferDesc`) that a call may write.
///
/// Two lifetimes, so that the array is the caller's again after the call.
#[derive(Debug)]
pub struct SecBufferDesc<'d, 'b> {
    buffers: &'d mut [SecBuffer<'b>],
}

impl<'d, 'b> SecBufferDesc<'d, 'b> {
    /// Over the caller's array, which may be empty.
    #[must_use]
    pub fn new(buffers: &'d mut [SecBuffer<'b>]) -> Self {
        Self { buffers }
    }

    /// All buffers, in order.
    #[must_use]
    pub fn buffers(&self) -> &[SecBuffer<'b>] {
        self.buffers
    }

    /// All buffers, to be written.
    #[must_use]
    pub fn buffers_mut(&mut self) -> &mut [SecBuffer<'b>] {
        self.buffers
    }

    /// The same array for another call.
    #[must_use]
    pub fn reborrow(&mut self) -> SecBufferDesc<'_, 'b> {
        SecBufferDesc {
            buffers: self.buffers,
        }
    }

    /// The array as the input of a handshake call.
    #[must_use]
    pub fn as_input(&self) -> InputDesc<'_> {
        InputDesc::new(self.buffers)
    }

    /// The first buffer of a type.
    #[must_use]
    pub fn find(&self, buffer_type: BufferType) -> Option<&SecBuffer<'b>> {
        self.buffers.iter().find(|b| b.buffer_type == buffer_type)
    }

    /// The first buffer of a type, to be written.
    #[must_use]
    pub fn find_mut(&mut self, buffer_type: BufferType) -> Option<&mut SecBuffer<'b>> {
        self.buffers
            .iter_mut()
            .find(|b| b.buffer_type == buffer_type)
    }

    /// The bytes in use of the first TOKEN buffer.
    #[must_use]
    pub fn token(&self) -> Option<&[u8]> {
        self.find(BufferType::TOKEN).map(SecBuffer::bytes)
    }

    /// An output TOKEN buffer holds no token until the call puts one there.
    pub(crate) fn clear_tokens(&mut self) {
        for buffer in self.buffers.iter_mut() {
            if buffer.buffer_type == BufferType::TOKEN {
                buffer.used = 0;
            }
        }
    }

    /// Puts an output token into the first TOKEN buffer; one made by [`SecBuffer::allocate`] grows.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_PARAMETER without a TOKEN buffer that can be written; SEC_E_BUFFER_TOO_SMALL,
    /// which names how many bytes are needed and given.
    pub fn write_token(&mut self, token: &[u8]) -> Result<(), Error> {
        match self.find_mut(BufferType::TOKEN) {
            Some(buffer) => buffer.write(token),
            None => Err(Error::parameter(
                "there is a token for the peer and no TOKEN buffer for it; give one",
            )),
        }
    }

    /// Lets the DATA buffer have the plaintext of a STREAM message without a copy.
    ///
    /// `plaintext` is where it lies in the STREAM buffer's used bytes. The memory is handed over: DATA
    /// then *is* that part, and STREAM keeps what stands before it. (SSPI lets the two overlap.) An EMPTY
    /// buffer serves as DATA when there is no DATA buffer.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_PARAMETER without a writable STREAM buffer and a DATA or EMPTY one;
    /// SEC_E_INTERNAL_ERROR when `plaintext` does not lie in the stream. Nothing changes then.
    pub fn split_stream(&mut self, plaintext: Range<usize>) -> Result<(), Error> {
        let position = |wanted| self.buffers.iter().position(|b| b.buffer_type == wanted);
        let stream = position(BufferType::STREAM);
        let data = position(BufferType::DATA).or_else(|| position(BufferType::EMPTY));
        let (Some(stream), Some(data)) = (stream, data) else {
            return Err(Error::parameter(
                "DecryptMessage of a stream needs a STREAM buffer with the message and a DATA \
                 buffer without memory for the plaintext",
            ));
        };
        let Some(buffer) = self.buffers.get_mut(stream) else {
            return Ok(());
        };
        if buffer.is_readonly() {
            return Err(Error::parameter(
                "the STREAM buffer is read-only and has to be decrypted in place; give it as \
                 &mut [u8]",
            ));
        }
        let (start, len) = (
            plaintext.start,
            plaintext.end.saturating_sub(plaintext.start),
        );
        let Some((front, middle)) = buffer.split(plaintext) else {
            return Err(Error::new(
                SecurityStatus::SEC_E_INTERNAL_ERROR,
                "the plaintext does not lie within the STREAM buffer; this is a fault of the package",
            ));
        };
        buffer.used = if matches!(front, Memory::None) {
            0
        } else {
            start
        };
        buffer.memory = front;
        if let Some(data) = self.buffers.get_mut(data) {
            data.buffer_type = BufferType::DATA;
            data.memory = middle;
            data.used = len;
        }
        Ok(())
    }
}

impl<'d, 'b> From<&'d mut [SecBuffer<'b>]> for SecBufferDesc<'d, 'b> {
    fn from(buffers: &'d mut [SecBuffer<'b>]) -> Self {
        Self::new(buffers)
    }
}

/// An array of buffers that a handshake call reads (`pInput`).
#[derive(Clone, Copy, Debug)]
pub struct InputDesc<'a> {
    buffers: &'a [SecBuffer<'a>],
}

impl<'a> InputDesc<'a> {
    /// Over the caller's array.
    #[must_use]
    pub fn new(buffers: &'a [SecBuffer<'a>]) -> Self {
        Self { buffers }
    }

    /// All buffers, in order.
    #[must_use]
    pub fn buffers(&self) -> &'a [SecBuffer<'a>] {
        self.buffers
    }

    /// The first buffer of a type.
    #[must_use]
    pub fn find(&self, buffer_type: BufferType) -> Option<&'a SecBuffer<'a>> {
        self.buffers.iter().find(|b| b.buffer_type == buffer_type)
    }

    /// The peer's token: the used bytes of the first TOKEN buffer; empty is none.
    #[must_use]
    pub fn token(&self) -> Option<&'a [u8]> {
        self.find(BufferType::TOKEN)
            .map(SecBuffer::bytes)
            .filter(|token| !token.is_empty())
    }

    /// The channel bindings, read out of the first CHANNEL_BINDINGS buffer.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_TOKEN for a buffer that is not a `SEC_CHANNEL_BINDINGS`.
    pub fn channel_bindings(&self) -> Result<Option<crate::ChannelBindings<'a>>, Error> {
        self.find(BufferType::CHANNEL_BINDINGS)
            .map(|buffer| crate::ChannelBindings::parse(buffer.bytes()))
            .transpose()
    }
}
