//! The message side of an established context: keys, counters and windows.

use core::ops::Range;
use std::sync::Arc;

use trihound_crypto::{Enctype, Key, Scatter};
use trihound_sansio::RandomSource;

use super::rfc4121::Rfc4121;
use super::rfc4757::{Layout, Rfc4757};
use super::sequence::{Detection, Width, Window, WindowPosition};
use crate::error::{MessageError, SequenceError};

/// What a handshake hands to its message session.
pub struct SessionParameters<'k> {
    /// The key by the rule of RFC 4121 section 2: the acceptor's sub-key if there is one, else the
    /// initiator's, else the ticket's session key.
    pub key: &'k Key,
    /// Whether this side is the context's acceptor.
    pub acceptor: bool,
    /// Whether `key` is the acceptor's sub-key.
    pub acceptor_subkey: bool,
    /// Whether the context is in DCE style (MS-KILE section 3.4.5.4.1).
    pub dce_style: bool,
    /// REPLAY_DETECT was negotiated.
    pub replay_detect: bool,
    /// SEQUENCE_DETECT was negotiated.
    pub sequence_detect: bool,
    /// Sequence number of the first message that this side sends.
    pub send_sequence: u32,
    /// Sequence number of the first message that the peer sends.
    pub receive_sequence: u32,
    /// Where confounders come from.
    pub random: Arc<dyn RandomSource>,
}

enum Mechanism {
    Rfc4121(Rfc4121),
    Rfc4757(Rfc4757),
}

/// Where the numbers of a context's messages begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct First {
    send: u64,
    receive: u64,
}

/// How far the messages of a context have come, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) first_send: u64,
    pub(crate) send: u64,
    pub(crate) first_receive: u64,
    pub(crate) receive: WindowPosition,
}

impl Numbers {
    /// The same context before its first message.
    pub(crate) const fn reset(self) -> Self {
        Self {
            send: self.first_send,
            receive: WindowPosition::first(self.first_receive),
            ..self
        }
    }
}

/// Signs, seals, verifies and opens the messages of one context.
///
/// For the AES enctypes no method allocates.
pub struct MessageSession {
    mechanism: Mechanism,
    enctype: Enctype,
    send: u64,
    receive: Window,
    /// The numbers that both sides began with.
    first: First,
    random: Arc<dyn RandomSource>,
}

impl core::fmt::Debug for MessageSession {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MessageSession")
            .field("enctype", &self.enctype)
            .field("send", &self.send)
            .field("receive", &self.receive)
            .finish_non_exhaustive()
    }
}

/// Buffer lengths in bytes: the figures of `SecPkgContext_Sizes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageSizes {
    /// `cbMaxSignature`: a MIC token.
    pub max_signature: usize,
    /// `cbBlockSize`: the most that a PADDING buffer receives; 1 where nothing is padded.
    pub block_size: usize,
    /// `cbSecurityTrailer`: the TOKEN buffer of EncryptMessage.
    pub security_trailer: usize,
}

/// What EncryptMessage wrote besides the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// Bytes in the TOKEN buffer.
    pub token: usize,
    /// Bytes in the PADDING buffer.
    pub padding: usize,
}

/// A message whose MAC held.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub struct Unwrapped {
    /// Whether it was encrypted, or signed only.
    pub sealed: bool,
    /// Bytes at the end of the data that are the mechanism's padding.
    pub padding: usize,
    /// What replay and sequence detection say of it.
    pub sequence: Result<(), SequenceError>,
}

impl MessageSession {
    /// A session with the keys of `parameters`.
    ///
    /// # Errors
    ///
    /// [`MessageError::Crypto`] when the key's enctype has no per-message tokens.
    pub fn new(parameters: SessionParameters<'_>) -> Result<Self, MessageError> {
        let key = parameters.key;
        let (mechanism, width) = if key.enctype() == Enctype::RC4_HMAC {
            let rc4 = Rfc4757::new(key, parameters.acceptor, parameters.dce_style);
            (Mechanism::Rfc4757(rc4), Width::Bits32)
        } else {
            let aes = Rfc4121::new(
                key,
                parameters.acceptor,
                parameters.acceptor_subkey,
                parameters.dce_style,
            )?;
            (Mechanism::Rfc4121(aes), Width::Bits64)
        };
        let detection = Detection {
            replay: parameters.replay_detect,
            sequence: parameters.sequence_detect,
        };
        let first = First {
            send: u64::from(parameters.send_sequence),
            receive: u64::from(parameters.receive_sequence),
        };
        Ok(Self {
            mechanism,
            enctype: key.enctype(),
            send: first.send,
            receive: Window::new(first.receive, width, detection),
            first,
            random: parameters.random,
        })
    }

    /// Whether the cipher is a key stream that depends on the sequence number, so that two messages
    /// under one number give each other away (RFC 4757 section 7.3).
    pub(crate) const fn has_key_stream(&self) -> bool {
        matches!(self.mechanism, Mechanism::Rfc4757(_))
    }

    pub(crate) const fn numbers(&self) -> Numbers {
        Numbers {
            first_send: self.first.send,
            send: self.send,
            first_receive: self.first.receive,
            receive: self.receive.position(),
        }
    }

    /// Goes on where another session with this key stopped; the error is what is wrong with `numbers`.
    pub(crate) fn go_to(&mut self, numbers: Numbers) -> Result<(), &'static str> {
        let width = self.width();
        for number in [numbers.first_send, numbers.send, numbers.first_receive] {
            width.check(number)?;
        }
        self.receive.go_to(numbers.receive)?;
        self.send = numbers.send;
        self.first = First {
            send: numbers.first_send,
            receive: numbers.first_receive,
        };
        Ok(())
    }

    /// Messages so far belonged to the handshake (a mechListMIC): those of the program begin here.
    pub(crate) const fn begin_here(&mut self) {
        self.first = First {
            send: self.send,
            receive: self.receive.position().next,
        };
    }

    const fn width(&self) -> Width {
        match &self.mechanism {
            Mechanism::Rfc4121(_) => Width::Bits64,
            Mechanism::Rfc4757(_) => Width::Bits32,
        }
    }

    /// The enctype that protects the messages.
    #[must_use]
    pub const fn enctype(&self) -> Enctype {
        self.enctype
    }

    /// The lengths that a caller's buffers need.
    #[must_use]
    pub const fn sizes(&self) -> MessageSizes {
        match &self.mechanism {
            Mechanism::Rfc4121(aes) => MessageSizes {
                max_signature: aes.mic_length(),
                block_size: 1,
                security_trailer: aes.seal_length(),
            },
            Mechanism::Rfc4757(rc4) => MessageSizes {
                max_signature: rc4.mic_length(),
                block_size: 1,
                security_trailer: rc4.wrap_length(),
            },
        }
    }

    /// Bytes that every message is padded with; they go behind the data.
    #[must_use]
    pub const fn padding_length(&self) -> usize {
        match &self.mechanism {
            Mechanism::Rfc4121(_) => 0,
            Mechanism::Rfc4757(rc4) => rc4.padding_length(Layout::Parts),
        }
    }

    /// The most bytes that a message of [`Self::wrap_stream`] has before its data.
    #[must_use]
    pub const fn stream_header_length(&self) -> usize {
        match &self.mechanism {
            Mechanism::Rfc4121(aes) => aes.stream_seal_length(),
            Mechanism::Rfc4757(rc4) => rc4.stream_wrap_length(),
        }
    }

    /// The bytes that a message of [`Self::wrap_stream`] has behind its data.
    #[must_use]
    pub const fn stream_trailer_length(&self) -> usize {
        match &self.mechanism {
            Mechanism::Rfc4121(_) => 0,
            Mechanism::Rfc4757(rc4) => rc4.padding_length(Layout::Stream),
        }
    }

    /// Seals (or only signs) `payload` in place; header and MAC go into `token`.
    ///
    /// # Errors
    ///
    /// [`MessageError::BufferTooSmall`]; the session is as it was then.
    pub fn wrap(
        &mut self,
        seal: bool,
        payload: &mut dyn Scatter,
        token: &mut [u8],
        padding: &mut [u8],
    ) -> Result<Wrapped, MessageError> {
        let random = &*self.random;
        let wrapped = match &self.mechanism {
            Mechanism::Rfc4121(aes) => Wrapped {
                token: if seal {
                    aes.seal(self.send, payload, token, random)?
                } else {
                    aes.sign(self.send, payload, token)?
                },
                padding: 0,
            },
            Mechanism::Rfc4757(rc4) => Wrapped {
                token: rc4.wrap(
                    Layout::Parts,
                    self.send,
                    seal,
                    payload,
                    token,
                    padding,
                    random,
                )?,
                padding: rc4.padding_length(Layout::Parts),
            },
        };
        self.sent();
        Ok(wrapped)
    }

    /// As [`Self::wrap`], but `header`, data and `trailer` in a row are one token of `GSS_Wrap`, which
    /// in DCE style those of [`Self::wrap`] are not. [`Self::unwrap_stream`] opens it.
    ///
    /// # Errors
    ///
    /// [`MessageError::BufferTooSmall`]; the session is as it was then.
    pub fn wrap_stream(
        &mut self,
        seal: bool,
        payload: &mut dyn Scatter,
        header: &mut [u8],
        trailer: &mut [u8],
    ) -> Result<Wrapped, MessageError> {
        let random = &*self.random;
        let wrapped = match &self.mechanism {
            Mechanism::Rfc4121(aes) => Wrapped {
                token: if seal {
                    aes.seal_stream(self.send, payload, header, random)?
                } else {
                    aes.sign(self.send, payload, header)?
                },
                padding: 0,
            },
            Mechanism::Rfc4757(rc4) => Wrapped {
                token: rc4.wrap(
                    Layout::Stream,
                    self.send,
                    seal,
                    payload,
                    header,
                    trailer,
                    random,
                )?,
                padding: rc4.padding_length(Layout::Stream),
            },
        };
        self.sent();
        Ok(wrapped)
    }

    /// Opens a message in place whose token is apart from its data.
    ///
    /// # Errors
    ///
    /// What is wrong with the token; the session is as it was then, and no plaintext is left.
    pub fn unwrap(
        &mut self,
        token: &mut [u8],
        payload: &mut dyn Scatter,
        padding: &mut [u8],
    ) -> Result<Unwrapped, MessageError> {
        let (opened, padding) = match &self.mechanism {
            Mechanism::Rfc4121(aes) => (aes.open(token, payload)?, 0),
            Mechanism::Rfc4757(rc4) => rc4.open(Layout::Parts, token, payload, padding)?,
        };
        Ok(Unwrapped {
            sealed: opened.sealed,
            padding,
            sequence: self.receive.accept(opened.sequence),
        })
    }

    /// Opens a token that stands in one piece; the range is the place of its data.
    ///
    /// # Errors
    ///
    /// As [`Self::unwrap`].
    pub fn unwrap_stream(
        &mut self,
        token: &mut [u8],
    ) -> Result<(Range<usize>, Unwrapped), MessageError> {
        let (range, opened) = match &self.mechanism {
            Mechanism::Rfc4121(aes) => aes.open_stream(token)?,
            Mechanism::Rfc4757(rc4) => rc4.open_stream(token)?,
        };
        let unwrapped = Unwrapped {
            sealed: opened.sealed,
            padding: 0,
            sequence: self.receive.accept(opened.sequence),
        };
        Ok((range, unwrapped))
    }

    /// Puts the MIC of `payload` into `token`; the value is the token's length.
    ///
    /// # Errors
    ///
    /// [`MessageError::BufferTooSmall`]; the session is as it was then.
    pub fn make_mic(
        &mut self,
        payload: &mut dyn Scatter,
        token: &mut [u8],
    ) -> Result<usize, MessageError> {
        let length = match &self.mechanism {
            Mechanism::Rfc4121(aes) => aes.mic(self.send, payload, token)?,
            Mechanism::Rfc4757(rc4) => rc4.mic(self.send, payload, token)?,
        };
        self.sent();
        Ok(length)
    }

    /// Checks the MIC of `payload`; the value is what replay and sequence detection say of it.
    ///
    /// # Errors
    ///
    /// What is wrong with the token; the session is as it was then.
    pub fn verify_mic(
        &mut self,
        token: &[u8],
        payload: &mut dyn Scatter,
    ) -> Result<Result<(), SequenceError>, MessageError> {
        let number = match &self.mechanism {
            Mechanism::Rfc4121(aes) => aes.verify_mic(token, payload)?,
            Mechanism::Rfc4757(rc4) => rc4.verify_mic(token, payload)?,
        };
        Ok(self.receive.accept(number))
    }

    const fn sent(&mut self) {
        let next = self.send.wrapping_add(1);
        self.send = match &self.mechanism {
            Mechanism::Rfc4121(_) => next,
            // RFC 1964 section 1.2.1.2: 32 bits, wrapping.
            Mechanism::Rfc4757(_) => next & 0xffff_ffff,
        };
    }
}
