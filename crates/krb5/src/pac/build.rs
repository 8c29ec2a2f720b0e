//! PACs as a KDC issues them (MS-PAC sections 2.3 and 2.8).

use trihound_asn1::{AuthorizationData, AuthorizationDataElement, EncTicketPart, Message, ad_type};
use trihound_crypto::{Key, KeyUsage};

use super::verify::{PLACEHOLDER, is_pac};
use super::{
    HEADER_LENGTH, INFO_LENGTH, MAX_PAC_LENGTH, PacBufferType, PacSignatureData, PacVerified,
    UnverifiedPac,
};
use crate::{Error, InvalidPac};

/// With which keys a PAC is signed.
#[derive(Clone, Copy, Debug)]
pub struct PacSigners<'a> {
    /// The key under which the ticket is encrypted.
    pub server: &'a Key,
    /// The key of the realm's ticket-granting service.
    pub kdc: &'a Key,
}

/// Which signatures a PAC gets, by what the ticket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacKind {
    /// A ticket-granting ticket: server and KDC signature.
    TicketGranting,
    /// Any other: the ticket signature and the checksum over the full PAC as well (MS-PAC sections
    /// 2.8.3 and 2.8.4).
    Service,
}

/// A PAC in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacBuilder {
    buffers: Vec<(PacBufferType, Vec<u8>)>,
    left_out: Vec<PacBufferType>,
}

impl PacBuilder {
    /// Without a buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a verified PAC says, to be signed anew for another ticket of the same login.
    #[must_use]
    pub fn of(pac: &UnverifiedPac<'_>, _proof: &PacVerified) -> Self {
        let mut builder = Self::new();
        for info in pac.buffers() {
            if !info.buffer_type.is_signature()
                && let Some(contents) = pac.find(info.buffer_type)
            {
                builder.set(info.buffer_type, contents);
            }
        }
        builder
    }

    /// Puts a buffer behind the others, or its contents in place of those that it had. A signature
    /// buffer's are made by [`Self::sign_into`].
    pub fn set(&mut self, buffer_type: PacBufferType, contents: impl Into<Vec<u8>>) {
        let contents = contents.into();
        match self
            .buffers
            .iter_mut()
            .find(|(found, _)| *found == buffer_type)
        {
            Some((_, place)) => *place = contents,
            None => self.buffers.push((buffer_type, contents)),
        }
    }

    /// Takes a buffer out. A signature of that type is not made.
    pub fn remove(&mut self, buffer_type: PacBufferType) {
        self.buffers.retain(|(found, _)| *found != buffer_type);
        self.left_out.push(buffer_type);
    }

    /// What the buffer holds; `None` where there is none.
    #[must_use]
    pub fn contents(&self, buffer_type: PacBufferType) -> Option<&[u8]> {
        self.buffers
            .iter()
            .find_map(|(found, contents)| (*found == buffer_type).then_some(contents.as_slice()))
    }

    /// Signs the PAC and puts it into the ticket, in place of one that is there. Nothing of the ticket may
    /// change afterwards.
    ///
    /// # Errors
    ///
    /// [`InvalidPac::TooLong`]; the ticket cannot be encoded; crypto fails.
    pub fn sign_into(
        mut self,
        ticket: &mut EncTicketPart,
        kind: PacKind,
        signers: &PacSigners<'_>,
    ) -> Result<(), Error> {
        insert(ticket, &PLACEHOLDER)?;
        let signed_ticket = ticket.to_der()?;
        let mut wanted = vec![
            (PacBufferType::SERVER_SIGNATURE, signers.server),
            (PacBufferType::KDC_SIGNATURE, signers.kdc),
        ];
        if kind == PacKind::Service {
            wanted.push((PacBufferType::TICKET_SIGNATURE, signers.kdc));
            wanted.push((PacBufferType::FULL_CHECKSUM, signers.kdc));
        }
        wanted.retain(|(buffer_type, _)| !self.left_out.contains(buffer_type));
        for (buffer_type, key) in &wanted {
            self.set(*buffer_type, unsigned(key));
        }
        let mut bytes = self.layout()?;
        // Each is made over those before it (MS-PAC section 2.8.5): the KDC signature last.
        for buffer_type in [
            PacBufferType::TICKET_SIGNATURE,
            PacBufferType::FULL_CHECKSUM,
            PacBufferType::SERVER_SIGNATURE,
            PacBufferType::KDC_SIGNATURE,
        ] {
            if let Some((_, key)) = wanted.iter().find(|(found, _)| *found == buffer_type) {
                fill(&mut bytes, buffer_type, key, &signed_ticket)?;
            }
        }
        insert(ticket, &bytes)
    }

    /// PACTYPE and its buffers, each on its boundary (MS-PAC section 2.3).
    fn layout(&self) -> Result<Vec<u8>, Error> {
        let too_long = |length| InvalidPac::TooLong {
            length,
            limit: MAX_PAC_LENGTH,
        };
        let size = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let count = u32::try_from(self.buffers.len()).unwrap_or(u32::MAX);
        let mut offset = u64::from(count)
            .saturating_mul(INFO_LENGTH)
            .saturating_add(HEADER_LENGTH);
        let mut bytes = count.to_le_bytes().to_vec();
        bytes.extend([0; 4]);
        for (buffer_type, contents) in &self.buffers {
            let length = u32::try_from(contents.len()).map_err(|_| too_long(contents.len()))?;
            bytes.extend(buffer_type.0.to_le_bytes());
            bytes.extend(length.to_le_bytes());
            bytes.extend(offset.to_le_bytes());
            offset = offset
                .saturating_add(size(contents.len()))
                .next_multiple_of(super::ALIGNMENT);
        }
        for (_, contents) in &self.buffers {
            bytes.extend(contents);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        if bytes.len() > MAX_PAC_LENGTH {
            return Err(too_long(bytes.len()).into());
        }
        Ok(bytes)
    }
}

/// PAC_SIGNATURE_DATA of that key with a checksum of zeros.
fn unsigned(key: &Key) -> Vec<u8> {
    let mut bytes = key.required_checksum().0.to_le_bytes().to_vec();
    let length = key.profile().checksum_length;
    bytes.resize(PacSignatureData::TYPE_LENGTH.saturating_add(length), 0);
    bytes
}

/// Makes one signature in its place.
fn fill(
    bytes: &mut [u8],
    buffer_type: PacBufferType,
    key: &Key,
    ticket: &[u8],
) -> Result<(), Error> {
    let server = signature(bytes, PacBufferType::SERVER_SIGNATURE);
    let data = match buffer_type {
        PacBufferType::TICKET_SIGNATURE => ticket,
        PacBufferType::KDC_SIGNATURE => server
            .and_then(|place| bytes.get(place))
            .unwrap_or_default(),
        // The signatures that are to be zero have not been made yet.
        _ => bytes,
    };
    let usage = KeyUsage::KERB_NON_KERB_CKSUM_SALT;
    let checksum = key
        .checksum(usage, key.required_checksum(), data)
        .map_err(Error::crypto("signing of a PAC"))?;
    if let Some(place) = signature(bytes, buffer_type)
        && let Some(place) = bytes.get_mut(place)
    {
        place.copy_from_slice(&checksum);
    }
    Ok(())
}

/// Where the checksum of that signature is.
fn signature(bytes: &[u8], buffer_type: PacBufferType) -> Option<core::ops::Range<usize>> {
    let pac = UnverifiedPac::parse(bytes).ok()?;
    let found = pac
        .buffers()
        .iter()
        .find(|buffer| buffer.buffer_type == buffer_type)?;
    let range = found.range()?;
    Some(range.start.checked_add(PacSignatureData::TYPE_LENGTH)?..range.end)
}

/// Puts a PAC in an AD-IF-RELEVANT of its own before everything else, and takes out whatever PAC there
/// was (MS-PAC section 3.2).
pub(super) fn insert(ticket: &mut EncTicketPart, pac: &[u8]) -> Result<(), Error> {
    remove_pacs(&mut ticket.authorization_data);
    let element = AuthorizationDataElement::new(ad_type::AD_WIN2K_PAC, pac.to_vec());
    let inner: AuthorizationData = vec![element];
    let outer = AuthorizationDataElement::new(ad_type::AD_IF_RELEVANT, inner.to_der()?);
    ticket
        .authorization_data
        .get_or_insert_default()
        .insert(0, outer);
    Ok(())
}

/// Takes every PAC out of authorization data, at the top and within AD-IF-RELEVANT, as a KDC does with
/// what a client sends and with a ticket's PAC before it makes the new one.
pub fn remove_pacs(data: &mut Option<AuthorizationData>) {
    let Some(elements) = data else {
        return;
    };
    elements.retain_mut(|element| {
        if is_pac(element) {
            return false;
        }
        if element.ad_type != ad_type::AD_IF_RELEVANT {
            return true;
        }
        let Ok(mut inner) = AuthorizationData::from_der(&element.ad_data) else {
            return true;
        };
        if !inner.iter().any(is_pac) {
            return true;
        }
        inner.retain(|element| !is_pac(element));
        match inner.to_der() {
            Ok(der) if !inner.is_empty() => {
                *element = AuthorizationDataElement::new(ad_type::AD_IF_RELEVANT, der);
                true
            }
            _ => false,
        }
    });
    if elements.is_empty() {
        *data = None;
    }
}
