//! Whether a PAC may be believed (MS-PAC section 2.8; conformance rows 40, 42, 99 to 101).

use trihound_asn1::{
    AuthorizationData, AuthorizationDataElement, EncTicketPart, KerberosTime, Message,
    PrincipalName, Realm, ad_type,
};
use trihound_crypto::{Error as CryptoError, Key, KeyUsage};
use trihound_sansio::Timestamp;

use super::{
    ClientInfo, FileTime, KerbValidationInfo, Pac, PacBufferType, PacInfoBuffer, PacSignatureData,
    UnverifiedPac,
};
use crate::{Error, PacNotTrusted, PeerMisbehaved, Principal};

/// What stands for the PAC in the ticket over which the ticket signature is made
/// (MS-PAC section 2.8.3).
pub(super) const PLACEHOLDER: [u8; 1] = [0];

/// Proof that a PAC's server signature was made with the service's key, and that the PAC belongs to the
/// ticket in which it came.
#[derive(Debug)]
pub struct PacVerified(());

/// Whether a part must be there that older KDCs leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Checked where it is there.
    IfPresent,
    /// Missing, it is an error.
    Required,
}

/// Of whom the ticket is in which the PAC came.
#[derive(Clone, Copy, Debug)]
pub struct TicketClient<'a> {
    /// crealm.
    pub realm: &'a Realm,
    /// cname.
    pub name: &'a PrincipalName,
    /// authtime.
    pub authtime: KerberosTime,
    /// Whether PAC_CLIENT_INFO may hold the name with its realm, as in referrals of S4U2self.
    pub name_with_realm: bool,
}

impl<'a> TicketClient<'a> {
    /// The client of a ticket.
    #[must_use]
    pub fn of(ticket: &'a EncTicketPart) -> Self {
        Self {
            realm: &ticket.crealm,
            name: &ticket.cname,
            authtime: ticket.authtime,
            name_with_realm: false,
        }
    }
}

/// What a KDC, or whoever has its key, checks as well.
#[derive(Clone, Copy, Debug)]
pub struct KdcChecks<'a> {
    /// The key of krbtgt that the PAC names.
    pub key: &'a Key,
    /// The ticket in which the PAC came, decrypted.
    pub ticket: &'a EncTicketPart,
    /// The ticket signature, which is in service tickets and not in ticket-granting tickets
    /// (conformance row 99).
    pub ticket_signature: Demand,
    /// The checksum over the full PAC, which KDCs before 2022 do not make (conformance row 100).
    pub full_checksum: Demand,
}

/// Against what a PAC is held.
#[derive(Clone, Copy, Debug)]
pub struct PacCheck<'a> {
    /// The key under which the ticket was encrypted.
    pub server_key: &'a Key,
    /// The ticket's client.
    pub client: TicketClient<'a>,
    /// PAC_REQUESTOR: required in a ticket-granting ticket, absent from others (conformance row 101).
    pub requestor: Demand,
    /// Further checks with the KDC's key.
    pub kdc: Option<KdcChecks<'a>>,
}

impl<'a> PacCheck<'a> {
    /// What a service checks that knows nothing but its own key.
    #[must_use]
    pub fn of_service(server_key: &'a Key, client: TicketClient<'a>) -> Self {
        Self {
            server_key,
            client,
            requestor: Demand::IfPresent,
            kdc: None,
        }
    }
}

impl UnverifiedPac<'_> {
    /// Verifies the server signature before anything else of the PAC is looked at, then whatever the
    /// check names, and gives what the PAC says.
    ///
    /// # Errors
    /// [`PacNotTrusted`]: a signature, the client, the requestor. [`crate::InvalidPac`]: a buffer is not what
    /// its type says.
    pub fn verify(&self, check: &PacCheck<'_>) -> Result<(Pac, PacVerified), Error> {
        self.verify_server_signature(check.server_key)?;
        // MS-PAC 2.4: PAC structures MUST contain a KDC signature, whoever can check it.
        self.signature(PacBufferType::KDC_SIGNATURE)?;
        if let Some(kdc) = &check.kdc {
            self.verify_kdc_signature(kdc.key)?;
            if self.wants(PacBufferType::TICKET_SIGNATURE, kdc.ticket_signature) {
                self.verify_ticket_signature(kdc.key, kdc.ticket)?;
            }
            if self.wants(PacBufferType::FULL_CHECKSUM, kdc.full_checksum) {
                self.verify_full_checksum(kdc.key)?;
            }
        }
        let client = self.required(PacBufferType::CLIENT_INFO)?;
        check_client(&ClientInfo::from_bytes(client)?, &check.client)?;
        let pac = Pac::read(self)?;
        check_sids(&pac, check.requestor)?;
        Ok((pac, PacVerified(())))
    }

    /// Verifies the server signature: over the whole PAC, with the signatures of server and KDC zeroed
    /// (MS-PAC section 2.8.1; conformance row 40).
    ///
    /// # Errors
    /// [`PacNotTrusted`], [`crate::InvalidPac`].
    pub fn verify_server_signature(&self, key: &Key) -> Result<(), Error> {
        let zeroed = self.with_zeroed(&[
            PacBufferType::SERVER_SIGNATURE,
            PacBufferType::KDC_SIGNATURE,
        ]);
        self.verify_signature(PacBufferType::SERVER_SIGNATURE, key, &zeroed)
    }

    /// Verifies the KDC signature: over the server signature (MS-PAC section 2.8.2).
    ///
    /// # Errors
    /// [`PacNotTrusted`], [`crate::InvalidPac`].
    pub fn verify_kdc_signature(&self, key: &Key) -> Result<(), Error> {
        let server = self.signature(PacBufferType::SERVER_SIGNATURE)?;
        self.verify_signature(PacBufferType::KDC_SIGNATURE, key, &server.signature)
    }

    /// Verifies the checksum over the full PAC, with the signatures of server and KDC and itself
    /// zeroed (MS-PAC section 2.8.4; conformance row 100).
    ///
    /// # Errors
    /// [`PacNotTrusted`], [`crate::InvalidPac`].
    pub fn verify_full_checksum(&self, key: &Key) -> Result<(), Error> {
        let zeroed = self.with_zeroed(&[
            PacBufferType::SERVER_SIGNATURE,
            PacBufferType::KDC_SIGNATURE,
            PacBufferType::FULL_CHECKSUM,
        ]);
        self.verify_signature(PacBufferType::FULL_CHECKSUM, key, &zeroed)
    }

    /// Verifies the ticket signature: over the ticket's encrypted part with one zero byte in the PAC's
    /// place (MS-PAC section 2.8.3; conformance row 99).
    ///
    /// # Errors
    /// [`PacNotTrusted`], [`crate::InvalidPac`]; the ticket cannot be encoded.
    pub fn verify_ticket_signature(&self, key: &Key, ticket: &EncTicketPart) -> Result<(), Error> {
        let signed = without_pac(ticket, self.bytes)?;
        self.verify_signature(PacBufferType::TICKET_SIGNATURE, key, &signed)
    }

    fn wants(&self, buffer: PacBufferType, demand: Demand) -> bool {
        demand == Demand::Required || self.find(buffer).is_some()
    }

    fn required(&self, buffer: PacBufferType) -> Result<&[u8], PacNotTrusted> {
        // MS-PAC 2.4: "PAC structures MUST contain one buffer of this type."
        self.find(buffer)
            .ok_or(PacNotTrusted::BufferMissing { buffer })
    }

    fn signature(&self, buffer: PacBufferType) -> Result<PacSignatureData, Error> {
        let bytes = self.required(buffer)?;
        Ok(PacSignatureData::from_bytes(buffer, bytes)?)
    }

    fn verify_signature(&self, buffer: PacBufferType, key: &Key, data: &[u8]) -> Result<(), Error> {
        let signature = self.signature(buffer)?;
        let (kind, expected) = (signature.signature_type, key.required_checksum());
        // MS-PAC 2.8: SignatureType is one of the keyed checksums (CVE-2014-6324).
        if kind.is_unkeyed() {
            return Err(PacNotTrusted::SignatureNotKeyed { buffer, kind }.into());
        }
        // MS-PAC 2.8: the type corresponds to the key's encryption type (CVE-2016-2126).
        if kind != expected {
            return Err(PacNotTrusted::SignatureTypeDiffers {
                buffer,
                kind,
                expected,
            }
            .into());
        }
        let usage = KeyUsage::KERB_NON_KERB_CKSUM_SALT;
        match key.verify_checksum(usage, kind, data, &signature.signature) {
            Ok(()) => Ok(()),
            Err(CryptoError::IntegrityCheckFailed) => {
                Err(PacNotTrusted::SignatureInvalid { buffer }.into())
            }
            Err(other) => Err(Error::crypto("verification of a PAC signature")(other)),
        }
    }

    /// The PAC's bytes with everything behind the type zeroed in these signatures: the checksum, and
    /// the identifier that a read-only domain controller adds.
    fn with_zeroed(&self, signatures: &[PacBufferType]) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        for buffer_type in signatures {
            let found = self
                .buffers
                .iter()
                .find(|buffer| buffer.buffer_type == *buffer_type);
            if let Some(buffer) = found.and_then(PacInfoBuffer::range)
                && let Some(contents) = bytes.get_mut(buffer)
                && let Some(signature) = contents.get_mut(PacSignatureData::TYPE_LENGTH..)
            {
                signature.fill(0);
            }
        }
        bytes
    }
}

/// The DER of the ticket's encrypted part with [`PLACEHOLDER`] for the PAC. This is made anew and not
/// kept as received, since what was signed never travels.
fn without_pac(ticket: &EncTicketPart, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut ticket = ticket.clone();
    let elements = ticket.authorization_data.as_mut().into_iter().flatten();
    for element in elements {
        if element.ad_type == ad_type::AD_IF_RELEVANT
            && let Ok(mut inner) = AuthorizationData::from_der(&element.ad_data)
            && let Some(pac) = inner
                .iter_mut()
                .find(|element| is_pac(element) && *element.ad_data == *bytes)
        {
            *pac = AuthorizationDataElement::new(ad_type::AD_WIN2K_PAC, PLACEHOLDER.to_vec());
            *element = AuthorizationDataElement::new(ad_type::AD_IF_RELEVANT, inner.to_der()?);
            return Ok(ticket.to_der()?);
        }
    }
    Err(PacNotTrusted::TicketWithoutPac.into())
}

pub(super) fn is_pac(element: &AuthorizationDataElement) -> bool {
    element.ad_type == ad_type::AD_WIN2K_PAC
}

/// The PAC in a ticket, within AD-IF-RELEVANT (MS-PAC section 3.2); `None` where there is none, which
/// is not the same as a PAC without groups (conformance row 43).
///
/// # Errors
/// [`PeerMisbehaved::AuthorizationDataMalformed`].
pub fn pac_of_ticket(ticket: &EncTicketPart) -> Result<Option<Vec<u8>>, Error> {
    for element in ticket.authorization_data.iter().flatten() {
        if element.ad_type != ad_type::AD_IF_RELEVANT {
            continue;
        }
        let inner = AuthorizationData::from_der(&element.ad_data).map_err(|_| {
            PeerMisbehaved::AuthorizationDataMalformed {
                ad_type: element.ad_type,
            }
        })?;
        if let Some(pac) = inner.iter().find(|element| is_pac(element)) {
            return Ok(Some(pac.ad_data.to_vec()));
        }
    }
    Ok(None)
}

/// PAC_CLIENT_INFO against the ticket (MS-PAC section 2.7; conformance row 42).
fn check_client(info: &ClientInfo, client: &TicketClient<'_>) -> Result<(), PacNotTrusted> {
    // MS-PAC 2.7: ClientId is the authtime of the ticket.
    if FileTime::from_seconds(client.authtime.seconds()) != Some(info.client_id) {
        return Err(PacNotTrusted::ClientIdDiffers {
            pac: info.client_id.0,
            ticket: Timestamp::from_seconds(client.authtime.seconds()),
        });
    }
    // MS-PAC 2.7: Name is the client's account name, of which the ticket has it in cname.
    if !same_client(&info.name, client) {
        return Err(PacNotTrusted::ClientNameDiffers {
            pac: info.name.clone(),
            ticket: Principal {
                realm: client.realm.clone(),
                name: client.name.clone(),
            }
            .to_string(),
        });
    }
    Ok(())
}

/// A name of one component stands in the PAC as it is, an enterprise name with its `@` too; several
/// components are joined by `/`, with what would part them escaped.
fn same_client(name: &str, client: &TicketClient<'_>) -> bool {
    let without_realm = || match client.name.name_string.as_slice() {
        [only] => only.as_bytes() == name.as_bytes(),
        _ => Principal::parse(name, Some("")).is_ok_and(|parsed| {
            parsed.realm.as_bytes().is_empty() && parsed.name.same_name(client.name)
        }),
    };
    let with_realm = || {
        Principal::parse(name, None)
            .is_ok_and(|parsed| parsed.realm == *client.realm && parsed.name.same_name(client.name))
    };
    without_realm() || (client.name_with_realm && with_realm())
}

/// All the places that tell the user's SID tell the same one.
fn check_sids(pac: &Pac, requestor: Demand) -> Result<(), PacNotTrusted> {
    let logon_info = pac.logon_info().and_then(KerbValidationInfo::user_sid);
    // MS-PAC 2.10: Sid is the user's, whom KERB_VALIDATION_INFO describes.
    if let (Some(logon_info), Some(upn_dns_info)) = (logon_info, pac.upn_sid())
        && logon_info != upn_dns_info
    {
        return Err(PacNotTrusted::UserSidsDiffer {
            logon_info: Box::new(logon_info),
            upn_dns_info: Box::new(upn_dns_info),
        });
    }
    match (pac.requestor(), requestor) {
        (None, Demand::IfPresent) => Ok(()),
        (None, Demand::Required) => Err(PacNotTrusted::BufferMissing {
            buffer: PacBufferType::REQUESTOR,
        }),
        // MS-PAC 2.15: UserSid is of the client that the ticket was given to (CVE-2021-42287).
        (Some(requestor), _) => match pac.user_sid() {
            Some(user) if user != *requestor => Err(PacNotTrusted::RequestorDiffers {
                requestor: Box::new(*requestor),
                user: Box::new(user),
            }),
            _ => Ok(()),
        },
    }
}
