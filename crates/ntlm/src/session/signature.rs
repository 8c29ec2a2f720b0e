//! NTLMSSP_MESSAGE_SIGNATURE (MS-NLMP section 2.2.2.9).

use trihound_crypto::rfc4757::Rc4Stream;

use super::error::SessionError;

/// Bytes of a signature.
pub const SIGNATURE_LENGTH: usize = 16;

/// The only version (MS-NLMP section 2.2.2.9).
const VERSION: [u8; 4] = 1_u32.to_le_bytes();

/// What a peer that does not sign puts where a signature belongs (MS-NLMP section 2.2.2.5, flag M): the
/// version, and nothing.
pub(crate) const DUMMY: [u8; SIGNATURE_LENGTH] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A signature as it is on the wire, of version 1.
pub(crate) struct Signature {
    /// Behind the version: a checksum of eight bytes and the number; or, without extended session
    /// security, a pad, a checksum of four bytes, and the number.
    fields: [u8; 12],
}

impl Signature {
    /// With extended session security (MS-NLMP section 2.2.2.9.2).
    pub(crate) fn extended(checksum: [u8; 8], number: u32) -> Self {
        let [c0, c1, c2, c3, c4, c5, c6, c7] = checksum;
        let [n0, n1, n2, n3] = number.to_le_bytes();
        Self {
            fields: [c0, c1, c2, c3, c4, c5, c6, c7, n0, n1, n2, n3],
        }
    }

    /// Without (MS-NLMP section 2.2.2.9.1): pad, checksum and number go through the cipher, and then
    /// the pad is zero.
    pub(crate) fn legacy(checksum: u32, number: u32, stream: &mut Rc4Stream) -> Self {
        let [c0, c1, c2, c3] = checksum.to_le_bytes();
        let [n0, n1, n2, n3] = number.to_le_bytes();
        let mut fields = [0, 0, 0, 0, c0, c1, c2, c3, n0, n1, n2, n3];
        stream.apply(&mut fields);
        let [p0, p1, p2, p3, ..] = &mut fields;
        (*p0, *p1, *p2, *p3) = (0, 0, 0, 0);
        Self { fields }
    }

    /// Checksum and number of a signature without extended session security. The pad says nothing.
    pub(crate) fn read_legacy(&self, stream: &mut Rc4Stream) -> (u32, u32) {
        let mut fields = self.fields;
        stream.apply(&mut fields);
        let [_, _, _, _, c0, c1, c2, c3, n0, n1, n2, n3] = fields;
        (
            u32::from_le_bytes([c0, c1, c2, c3]),
            u32::from_le_bytes([n0, n1, n2, n3]),
        )
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, SessionError> {
        let found = bytes.len();
        let Some((head, rest)) = bytes.split_first_chunk::<SIGNATURE_LENGTH>() else {
            return Err(SessionError::SignatureTooShort { found });
        };
        // MS-NLMP section 2.2.2.9: a signature has 16 bytes.
        if !rest.is_empty() {
            return Err(SessionError::SignatureTooLong { found });
        }
        let [v0, v1, v2, v3, fields @ ..] = *head;
        let version = [v0, v1, v2, v3];
        // MS-NLMP section 2.2.2.9.1 and 2.2.2.9.2: "This field MUST be 0x00000001."
        if version != VERSION {
            return Err(SessionError::SignatureVersion {
                found: u32::from_le_bytes(version),
            });
        }
        // MS-NLMP section 2.2.2.5, flag M: a dummy is no signature (conformance row 153).
        if *head == DUMMY {
            return Err(SessionError::DummySignature);
        }
        Ok(Self { fields })
    }

    /// The number of a signature with extended session security, where it is in the clear.
    pub(crate) const fn number(&self) -> u32 {
        let [.., n0, n1, n2, n3] = self.fields;
        u32::from_le_bytes([n0, n1, n2, n3])
    }

    pub(crate) fn to_bytes(&self) -> [u8; SIGNATURE_LENGTH] {
        let [v0, v1, v2, v3] = VERSION;
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.fields;
        [v0, v1, v2, v3, a, b, c, d, e, f, g, h, i, j, k, l]
    }
}
