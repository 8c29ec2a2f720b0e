//! PACs that are wrong on demand.

use trihound_asn1::EncTicketPart;
use trihound_crypto::{ChecksumType, Key};
use trihound_krb5::pac::{
    ClientInfo, PacBufferType, PacBuilder, PacInfoBuffer, PacKind, PacSigners, Sid, UnverifiedPac,
    UpnDnsInfo, danger, pac_of_ticket,
};

use crate::Fault;
use crate::error::Refusal;
use crate::pac::{not_trusted, unwritten};
use crate::realm::Session;

/// One thing that is wrong with the PAC of a ticket. All signatures are right but those named.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacFault {
    /// There is none. Caught by: a policy that demands one (row 43).
    Missing,
    /// These bytes stand in its place. Caught by: the bounds (row 41), or the server signature (row
    /// 40).
    Bytes(Vec<u8>),
    /// The directory has two buffers that share bytes. Caught by: row 41 (CVE-2022-42898).
    Overlap,
    /// A bit of the last byte of this buffer is flipped after signing. Caught by: the server signature
    /// (row 40); for the KDC's own signatures, by the KDC (rows 99 and 100).
    Flip(PacBufferType),
    /// The server signature is under some other key of the same enctype. Caught by: row 40.
    AnotherServerKey,
    /// The server signature is an MD5 without a key. Caught by: row 40 (CVE-2014-6324).
    UnkeyedSignature,
    /// The server signature says to be of another key's type. Caught by: row 40 (CVE-2016-2126).
    OtherSignatureType,
    /// This buffer or signature is not there. Caught by: the check that it is there (rows 40, 42, 99
    /// to 101).
    Without(PacBufferType),
    /// This buffer has these contents. Caught by: whoever reads it.
    Contents(PacBufferType, Vec<u8>),
    /// PAC_CLIENT_INFO has this name. Caught by: the comparison with cname (row 42).
    ClientName(String),
    /// PAC_CLIENT_INFO is so many seconds off. Caught by: the comparison with authtime (row 42).
    ClientTime(i64),
    /// PAC_REQUESTOR is this SID. Caught by: the comparison with the user's (row 101).
    Requestor(Sid),
    /// UPN_DNS_INFO has this SID. Caught by: the comparison with LOGON_INFO (row 44).
    UpnSid(Sid),
}

impl Session<'_> {
    /// Signs the PAC into the ticket and spoils it as the faults say.
    pub(crate) fn sign_pac(
        &self,
        mut pac: PacBuilder,
        part: &mut EncTicketPart,
        kind: PacKind,
        signers: &PacSigners<'_>,
    ) -> Result<(), Refusal> {
        let faults: Vec<&PacFault> = self
            .faults
            .iter()
            .filter_map(|fault| match fault {
                Fault::Pac(fault) => Some(fault),
                _ => None,
            })
            .collect();
        for fault in &faults {
            spoil_contents(&mut pac, fault)?;
        }
        let enctype = signers.server.enctype();
        let other = Key::generate(enctype, &self.realm.enctypes, &*self.realm.random)?;
        let signers = PacSigners {
            server: if faults.contains(&&PacFault::AnotherServerKey) {
                &other
            } else {
                signers.server
            },
            kdc: signers.kdc,
        };
        pac.sign_into(part, kind, &signers).map_err(unwritten)?;
        for fault in faults {
            if *fault == PacFault::Missing {
                trihound_krb5::pac::remove_pacs(&mut part.authorization_data);
                continue;
            }
            let Some(mut bytes) = pac_of_ticket(part).map_err(not_trusted)? else {
                continue;
            };
            spoil_bytes(&mut bytes, fault);
            danger::put_unsigned(part, &bytes).map_err(unwritten)?;
        }
        Ok(())
    }
}

/// What is wrong and signed all the same.
fn spoil_contents(pac: &mut PacBuilder, fault: &PacFault) -> Result<(), Refusal> {
    let client = pac
        .contents(PacBufferType::CLIENT_INFO)
        .and_then(|bytes| ClientInfo::from_bytes(bytes).ok());
    let names = pac
        .contents(PacBufferType::UPN_DNS_INFO)
        .and_then(|bytes| UpnDnsInfo::from_bytes(bytes).ok());
    match fault {
        PacFault::Without(buffer) => pac.remove(*buffer),
        PacFault::Contents(buffer, contents) => pac.set(*buffer, contents.as_slice()),
        PacFault::Requestor(sid) => pac.set(PacBufferType::REQUESTOR, sid.to_bytes()),
        PacFault::ClientName(name) => {
            if let Some(mut client) = client {
                client.name.clone_from(name);
                let bytes = client.to_bytes().map_err(unwritten)?;
                pac.set(PacBufferType::CLIENT_INFO, bytes);
            }
        }
        PacFault::ClientTime(seconds) => {
            if let Some(mut client) = client {
                let units = seconds.saturating_mul(10_000_000);
                client.client_id.0 = client.client_id.0.wrapping_add_signed(units);
                let bytes = client.to_bytes().map_err(unwritten)?;
                pac.set(PacBufferType::CLIENT_INFO, bytes);
            }
        }
        PacFault::UpnSid(sid) => {
            if let Some(mut names) = names {
                if let Some(extended) = &mut names.extended {
                    extended.sid = *sid;
                }
                let bytes = names.to_bytes().map_err(unwritten)?;
                pac.set(PacBufferType::UPN_DNS_INFO, bytes);
            }
        }
        _ => {}
    }
    Ok(())
}

/// What is wrong with the bytes after signing.
fn spoil_bytes(bytes: &mut Vec<u8>, fault: &PacFault) {
    let Ok(pac) = UnverifiedPac::parse(bytes) else {
        return;
    };
    let buffers = pac.buffers().to_vec();
    let of = |kind| buffers.iter().find(|buffer| buffer.buffer_type == kind);
    let server = of(PacBufferType::SERVER_SIGNATURE);
    match fault {
        PacFault::Bytes(replacement) => bytes.clone_from(replacement),
        PacFault::Flip(kind) => {
            if let Some(contents) = of(*kind).and_then(|buffer| contents_of(bytes, buffer))
                && let Some(last) = contents.last_mut()
            {
                *last ^= 1;
            }
        }
        PacFault::UnkeyedSignature => set_type(bytes, server, ChecksumType::RSA_MD5),
        PacFault::OtherSignatureType => {
            let found =
                server.and_then(|buffer| contents_of(bytes, buffer)?.first_chunk().copied());
            let kind = match found.map(i32::from_le_bytes).map(ChecksumType) {
                Some(ChecksumType::HMAC_SHA1_96_AES256) => ChecksumType::HMAC_SHA1_96_AES128,
                _ => ChecksumType::HMAC_SHA1_96_AES256,
            };
            set_type(bytes, server, kind);
        }
        PacFault::Overlap => {
            // The second entry of the directory points to where the first does.
            let first = bytes.get(16..24).map(<[u8]>::to_vec);
            if let (Some(first), Some(second)) = (first, bytes.get_mut(32..40)) {
                second.copy_from_slice(&first);
            }
        }
        _ => {}
    }
}

fn contents_of<'b>(bytes: &'b mut [u8], buffer: &PacInfoBuffer) -> Option<&'b mut [u8]> {
    let start = usize::try_from(buffer.offset).ok()?;
    let length = usize::try_from(buffer.size).ok()?;
    bytes.get_mut(start..start.checked_add(length)?)
}

fn set_type(bytes: &mut [u8], buffer: Option<&PacInfoBuffer>, kind: ChecksumType) {
    if let Some(contents) = buffer.and_then(|buffer| contents_of(bytes, buffer))
        && let Some(place) = contents.first_chunk_mut::<4>()
    {
        *place = kind.0.to_le_bytes();
    }
}
