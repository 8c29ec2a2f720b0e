use core::fmt;

use bitflags::bitflags;

/// What a buffer is for: the `SECBUFFER_` types of sspi.h, without the attribute bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BufferType(u32);

macro_rules! buffer_types {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)+) => {
        impl BufferType {
            $($(#[$doc])* pub const $name: Self = Self($value);)+

            /// The name in sspi.h without `SECBUFFER_`; `None` for a number that it does not name.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)+
                    _ => None,
                }
            }
        }
    };
}

buffer_types! {
    /// Nothing; a package may give it a type and contents.
    EMPTY = 0;
    /// The message.
    DATA = 1;
    /// A token of the handshake, or the security token of a message.
    TOKEN = 2;
    /// Parameters that only the package knows.
    PKG_PARAMS = 3;
    /// How many bytes are missing.
    MISSING = 4;
    /// Bytes that were not needed.
    EXTRA = 5;
    /// The trailer of a stream record.
    STREAM_TRAILER = 6;
    /// The header of a stream record.
    STREAM_HEADER = 7;
    /// Hints for Negotiate.
    NEGOTIATION_INFO = 8;
    /// The padding that belongs behind the message.
    PADDING = 9;
    /// A whole message with its token, as it came from the wire.
    STREAM = 10;
    /// The list of mechanisms (SPNEGO).
    MECHLIST = 11;
    /// The MIC over the list of mechanisms (SPNEGO).
    MECHLIST_SIGNATURE = 12;
    /// A target; obsolete.
    TARGET = 13;
    /// `SEC_CHANNEL_BINDINGS`.
    CHANNEL_BINDINGS = 14;
    /// A password-change response.
    CHANGE_PASS_RESPONSE = 15;
    /// The target's host name.
    TARGET_HOST = 16;
    /// A TLS alert.
    ALERT = 17;
    /// Application protocols (ALPN).
    APPLICATION_PROTOCOLS = 18;
    /// SRTP protection profiles.
    SRTP_PROTECTION_PROFILES = 19;
    /// SRTP master key identifier.
    SRTP_MASTER_KEY_IDENTIFIER = 20;
    /// Token binding.
    TOKEN_BINDING = 21;
    /// A pre-shared key.
    PRESHARED_KEY = 22;
    /// Whose the pre-shared key is.
    PRESHARED_KEY_IDENTITY = 23;
    /// The MTU of DTLS.
    DTLS_MTU = 24;
    /// A generic TLS extension to send.
    SEND_GENERIC_TLS_EXTENSION = 25;
    /// The generic TLS extensions to be told of.
    SUBSCRIBE_GENERIC_TLS_EXTENSION = 26;
    /// Flags of Schannel.
    FLAGS = 27;
    /// TLS traffic secrets.
    TRAFFIC_SECRETS = 28;
    /// The context of a TLS certificate request.
    CERTIFICATE_REQUEST_CONTEXT = 29;
}

impl BufferType {
    /// From the number, without attribute bits.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number & !BufferAttributes::MASK)
    }

    /// The number in sspi.h.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for BufferType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "type {}", self.0),
        }
    }
}

impl fmt::Debug for BufferType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

bitflags! {
    /// The attribute bits of a buffer's type (sspi.h).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct BufferAttributes: u32 {
        /// SECBUFFER_READONLY_WITH_CHECKSUM: signed, neither encrypted nor changed.
        const READONLY_WITH_CHECKSUM = 0x1000_0000;
        /// SECBUFFER_READONLY: neither signed, encrypted nor changed.
        const READONLY = 0x8000_0000;
    }
}

impl BufferAttributes {
    /// SECBUFFER_ATTRMASK.
    pub const MASK: u32 = 0xF000_0000;
}
