//! Names as tokens that can be compared byte for byte (RFC 2743 section 3.2).

use trihound_asn1::gss::KRB5_OID;

use super::{NameError, Principal, escape};
use crate::reader::{Order, Reader, Short};

/// The token identifier (RFC 2743 section 3.2).
const TOKEN_ID: u16 = 0x0401;
/// The tag of an OBJECT IDENTIFIER in DER.
const OID_TAG: u8 = 0x06;

fn short(what: &'static str) -> impl Fn(Short) -> NameError {
    move |short| NameError::NotExported {
        what,
        offset: short.offset,
    }
}

impl Principal {
    /// The name as an exported name token of the Kerberos mechanism (RFC 2743 section 3.2, RFC 1964
    /// section 2.1.3): equal tokens are equal names.
    #[must_use]
    pub fn to_exported_name(&self) -> Vec<u8> {
        let mut name = Vec::new();
        self.escape_components(&mut name);
        name.push(b'@');
        escape(self.realm.as_bytes(), &mut name);
        let mut token = TOKEN_ID.to_be_bytes().to_vec();
        // The OID is a constant of nine bytes, and no name in memory is longer than 32 bits tell.
        let oid_length = u8::try_from(KRB5_OID.len()).unwrap_or_default();
        token.extend_from_slice(&u16::from(oid_length).saturating_add(2).to_be_bytes());
        token.extend_from_slice(&[OID_TAG, oid_length]);
        token.extend_from_slice(KRB5_OID);
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
        token.extend_from_slice(&length.to_be_bytes());
        token.extend_from_slice(&name);
        token
    }

    /// Reads an exported name token of the Kerberos mechanism (conformance row 137).
    ///
    /// # Errors
    ///
    /// [`NameError::NotExported`] when a length is not exactly what is there or the mechanism is
    /// another, and those of [`Self::parse`]; a token without a realm is not exported by anyone.
    pub fn from_exported_name(token: &[u8]) -> Result<Self, NameError> {
        let mut reader = Reader::new(token, Order::Big);
        let wrong = |what, offset| NameError::NotExported { what, offset };
        // RFC 2743 section 3.2: TOK_ID is 04 01.
        if reader.u16().map_err(short("the token identifier"))? != TOKEN_ID {
            return Err(wrong("the token identifier", 0));
        }
        let oid = reader
            .counted16()
            .map_err(short("the mechanism's length"))?;
        // RFC 2743 section 3.2: the mechanism's OID with its DER tag and length.
        if !matches!(oid, [OID_TAG, length, body @ ..]
            if usize::from(*length) == body.len() && body == KRB5_OID)
        {
            return Err(wrong("the mechanism", 4));
        }
        let at = reader.offset();
        let name = reader.counted32().map_err(short("the name's length"))?;
        // RFC 2743 section 3.2: the name is the rest of the token, all of it.
        if !reader.is_empty() {
            return Err(wrong("the name's length", at));
        }
        Self::parse_bytes(name, None)
    }
}
