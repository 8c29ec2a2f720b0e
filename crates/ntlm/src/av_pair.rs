//! AV pairs: what server and client tell of themselves, names and times and bindings (MS-NLMP section 2.2.2.1).

use core::fmt;

use bitflags::bitflags;

use crate::message::{FileTime, MessageError, text};

/// AvId: what an AV pair holds (MS-NLMP section 2.2.2.1). Numbers without a name are kept and passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AvId(pub u16);

impl AvId {
    /// MsvAvEOL: the end of the list.
    pub const EOL: Self = Self(0);
    /// MsvAvNbComputerName: the server's NetBIOS name.
    pub const NB_COMPUTER_NAME: Self = Self(1);
    /// MsvAvNbDomainName: the server's NetBIOS domain.
    pub const NB_DOMAIN_NAME: Self = Self(2);
    /// MsvAvDnsComputerName: the server's full DNS name.
    pub const DNS_COMPUTER_NAME: Self = Self(3);
    /// MsvAvDnsDomainName: the server's DNS domain.
    pub const DNS_DOMAIN_NAME: Self = Self(4);
    /// MsvAvDnsTreeName: the DNS name of the server's forest.
    pub const DNS_TREE_NAME: Self = Self(5);
    /// MsvAvFlags: [`AvFlags`].
    pub const FLAGS: Self = Self(6);
    /// MsvAvTimestamp: the server's time, and its wish for a MIC.
    pub const TIMESTAMP: Self = Self(7);
    /// MsvAvSingleHost: [`SingleHost`].
    pub const SINGLE_HOST: Self = Self(8);
    /// MsvAvTargetName: the service principal name that the client means.
    pub const TARGET_NAME: Self = Self(9);
    /// MsvAvChannelBindings: MD5 of the channel bindings, zero where there are none.
    pub const CHANNEL_BINDINGS: Self = Self(10);

    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::EOL => "MsvAvEOL",
            Self::NB_COMPUTER_NAME => "MsvAvNbComputerName",
            Self::NB_DOMAIN_NAME => "MsvAvNbDomainName",
            Self::DNS_COMPUTER_NAME => "MsvAvDnsComputerName",
            Self::DNS_DOMAIN_NAME => "MsvAvDnsDomainName",
            Self::DNS_TREE_NAME => "MsvAvDnsTreeName",
            Self::FLAGS => "MsvAvFlags",
            Self::TIMESTAMP => "MsvAvTimestamp",
            Self::SINGLE_HOST => "MsvAvSingleHost",
            Self::TARGET_NAME => "MsvAvTargetName",
            Self::CHANNEL_BINDINGS => "MsvAvChannelBindings",
            _ => return None,
        })
    }

    /// The size of a value that has one size only, in bytes.
    const fn fixed_size(self) -> Option<usize> {
        match self {
            Self::EOL => Some(0),
            Self::FLAGS => Some(4),
            Self::TIMESTAMP => Some(8),
            Self::SINGLE_HOST => Some(SingleHost::LENGTH),
            Self::CHANNEL_BINDINGS => Some(16),
            _ => None,
        }
    }

    /// Whether the value is UTF-16LE text.
    const fn is_text(self) -> bool {
        matches!(self.0, 1..=5 | 9)
    }
}

impl fmt::Display for AvId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "AV pair {}", self.0),
        }
    }
}

bitflags! {
    /// The value of MsvAvFlags (MS-NLMP section 2.2.2.1). Bits without a name are kept as they came.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AvFlags: u32 {
        /// The account's authentication is constrained.
        const CONSTRAINED = 0x0000_0001;
        /// The client promises a MIC in its AUTHENTICATE message.
        const MIC_PROVIDED = 0x0000_0002;
        /// The client took the target name from a source that it does not trust.
        const UNVERIFIED_TARGET_NAME = 0x0000_0004;

        const _ = !0;
    }
}

/// Single_Host_Data, by which a machine knows its own messages (MS-NLMP section 2.2.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SingleHost {
    /// CustomData, which nobody but its sender reads.
    pub custom_data: [u8; 8],
    /// MachineID, drawn when the sender started.
    pub machine_id: [u8; 32],
}

impl SingleHost {
    /// Size of the value in bytes, which it says itself in its first field.
    pub const LENGTH: usize = 48;

    fn from_value(value: &[u8]) -> Option<Self> {
        let (custom_data, machine_id) = value.get(8..)?.split_first_chunk()?;
        Some(Self {
            custom_data: *custom_data,
            machine_id: machine_id.try_into().ok()?,
        })
    }

    /// The value of the AV pair.
    #[must_use]
    pub fn to_value(&self) -> Vec<u8> {
        // Size, then Z4, which is zero.
        let mut value = vec![48, 0, 0, 0, 0, 0, 0, 0];
        value.extend_from_slice(&self.custom_data);
        value.extend_from_slice(&self.machine_id);
        value
    }
}

/// AV_PAIR: one entry of a list (MS-NLMP section 2.2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvPair<'a> {
    /// What it holds.
    pub id: AvId,
    /// The value's bytes.
    pub value: &'a [u8],
}

/// A list of AV pairs, every length of which was checked: TargetInfo of a CHALLENGE message, AvPairs of an
/// NTLMv2 response (conformance rows 142 to 144).
///
/// Of several pairs with one id the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetInfo<'a> {
    /// The pairs before MsvAvEOL.
    pairs: &'a [u8],
}

impl<'a> TargetInfo<'a> {
    /// Takes a list that ends in MsvAvEOL; what follows that is not looked at.
    ///
    /// # Errors
    /// [`MessageError::AvPairCut`], [`MessageError::AvListUnterminated`], [`MessageError::AvLength`], and
    /// [`MessageError::OddTextLength`] for a name.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let mut rest = bytes;
        loop {
            // MS-NLMP section 2.2.2.1: MsvAvEOL must be the last pair.
            let Some((header, behind)) = rest.split_first_chunk() else {
                return Err(MessageError::AvListUnterminated);
            };
            let (id, length) = pair_header(*header);
            let cut = MessageError::AvPairCut {
                id,
                length,
                left: behind.len(),
            };
            // MS-NLMP section 2.2.2.1: AvLen is the length of the value that follows.
            let Some((value, next)) = behind.split_at_checked(length.into()) else {
                return Err(cut);
            };
            check_size(id, value)?;
            if id == AvId::EOL {
                let pairs = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
                return Ok(Self { pairs });
            }
            rest = next;
        }
    }

    /// The pairs in order, without MsvAvEOL.
    pub fn iter(&self) -> impl Iterator<Item = AvPair<'a>> + use<'a> {
        let mut rest = self.pairs;
        core::iter::from_fn(move || {
            let (header, behind) = rest.split_first_chunk()?;
            let (id, length) = pair_header(*header);
            let (value, next) = behind.split_at_checked(length.into())?;
            rest = next;
            Some(AvPair { id, value })
        })
    }

    /// The value of the first pair with this id.
    #[must_use]
    pub fn get(&self, id: AvId) -> Option<&'a [u8]> {
        self.iter()
            .find(|pair| pair.id == id)
            .map(|pair| pair.value)
    }

    /// The text of the first pair with this id.
    ///
    /// # Errors
    /// [`MessageError::OddTextLength`], [`MessageError::LoneSurrogate`].
    pub fn text(&self, id: AvId) -> Result<Option<String>, MessageError> {
        self.get(id).map(text::from_utf16).transpose()
    }

    fn array<const N: usize>(&self, id: AvId) -> Option<[u8; N]> {
        self.get(id)?.try_into().ok()
    }

    /// MsvAvFlags; no bit is set where there is no such pair.
    #[must_use]
    pub fn flags(&self) -> AvFlags {
        let bits = self.array(AvId::FLAGS).map_or(0, u32::from_le_bytes);
        AvFlags::from_bits_retain(bits)
    }

    /// MsvAvTimestamp.
    #[must_use]
    pub fn timestamp(&self) -> Option<FileTime> {
        self.array(AvId::TIMESTAMP).map(FileTime::from_bytes)
    }

    /// MsvAvChannelBindings: MD5 of the bindings, or zero bytes for "none".
    #[must_use]
    pub fn channel_bindings(&self) -> Option<[u8; 16]> {
        self.array(AvId::CHANNEL_BINDINGS)
    }

    /// MsvAvTargetName.
    ///
    /// # Errors
    /// [`MessageError::OddTextLength`], [`MessageError::LoneSurrogate`].
    pub fn target_name(&self) -> Result<Option<String>, MessageError> {
        self.text(AvId::TARGET_NAME)
    }

    /// MsvAvSingleHost.
    #[must_use]
    pub fn single_host(&self) -> Option<SingleHost> {
        SingleHost::from_value(self.get(AvId::SINGLE_HOST)?)
    }
}

fn pair_header([i0, i1, l0, l1]: [u8; 4]) -> (AvId, u16) {
    (
        AvId(u16::from_le_bytes([i0, i1])),
        u16::from_le_bytes([l0, l1]),
    )
}

fn check_size(id: AvId, value: &[u8]) -> Result<(), MessageError> {
    if let Some(expected) = id.fixed_size()
        // MS-NLMP section 2.2.2.1: numbers, hashes and the end have one size.
        && value.len() != expected
    {
        return Err(MessageError::AvLength {
            id,
            expected,
            found: value.len(),
        });
    }
    // MS-NLMP section 2.2.2.1: names are Unicode, whatever was negotiated.
    if id.is_text() && !value.len().is_multiple_of(2) {
        return Err(MessageError::OddTextLength {
            length: value.len(),
        });
    }
    Ok(())
}

/// A list of AV pairs in the making.
#[derive(Clone, Debug, Default)]
pub struct TargetInfoBuilder {
    bytes: Vec<u8>,
}

impl TargetInfoBuilder {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The pairs of another list in their order, but for those with an id of `except`.
    ///
    /// A client copies a server's list so, and must leave out what only a client may say, since of two
    /// pairs the first counts.
    #[must_use]
    pub fn copy_of(other: &TargetInfo<'_>, except: &[AvId]) -> Self {
        let mut builder = Self {
            bytes: Vec::with_capacity(other.pairs.len().saturating_add(128)),
        };
        for pair in other.iter().filter(|pair| !except.contains(&pair.id)) {
            // The length came out of 16 bits, so it goes back into them.
            let length = u16::try_from(pair.value.len()).unwrap_or(u16::MAX);
            builder.append(pair.id, length, pair.value);
        }
        builder
    }

    fn append(&mut self, id: AvId, length: u16, value: &[u8]) {
        self.bytes.extend_from_slice(&id.0.to_le_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(value);
    }

    /// Adds a pair at the end. MsvAvEOL adds itself in [`Self::finish`].
    ///
    /// # Errors
    /// [`MessageError::AvPairTooLong`], and the errors of [`TargetInfo::parse`] for a value of another size than the
    /// id's.
    pub fn push(&mut self, id: AvId, value: &[u8]) -> Result<&mut Self, MessageError> {
        check_size(id, value)?;
        let length = u16::try_from(value.len()).map_err(|_| MessageError::AvPairTooLong {
            id,
            length: value.len(),
        })?;
        if id != AvId::EOL {
            self.append(id, length, value);
        }
        Ok(self)
    }

    /// Adds a name at the end.
    ///
    /// # Errors
    /// [`MessageError::AvPairTooLong`].
    pub fn push_text(&mut self, id: AvId, value: &str) -> Result<&mut Self, MessageError> {
        self.push(id, &text::to_utf16(value))
    }

    /// The list with its MsvAvEOL.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.append(AvId::EOL, 0, &[]);
        self.bytes
    }
}
