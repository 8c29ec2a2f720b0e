//! Authorization data of tickets and authenticators (RFC 4120 section 5.2.6; conformance rows 111
//! and 112).

use trihound_asn1::{
    AdAndOr, AdKdcIssued, AuthorizationData, AuthorizationDataElement, EtypeList, Message, ad_type,
};
use trihound_crypto::{ChecksumType, Enctype, Key, KeyUsage};

use super::initiator::AP_OPTIONS_CBT;
use crate::{Error, PeerMisbehaved, Policy};

/// How deep containers may stand in each other: AD-IF-RELEVANT in AD-KDC-ISSUED in AD-IF-RELEVANT is
/// the deepest that is known in use.
const MAX_NESTING: usize = 6;

/// What the authorization data of a ticket or an authenticator says that is understood here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizationInfo {
    /// AD-WIN2K-PAC: the PAC, not verified (MS-PAC section 2.1).
    pub pac: Option<Vec<u8>>,
    /// The enctypes that the initiator offers for the acceptor's sub-key, in its order (RFC 4537).
    pub enctypes: Vec<Enctype>,
    /// The client says that it binds to channels wherever it can (KERB_AP_OPTIONS_CBT, MS-KILE
    /// section 2.2.7).
    pub client_binds_channels: bool,
    /// KERB_AUTH_DATA_TOKEN_RESTRICTIONS, undecoded (MS-KILE section 2.2.6).
    pub token_restrictions: Option<Vec<u8>>,
    /// The elements of AD-KDC-ISSUED whose checksum holds.
    pub kdc_issued: AuthorizationData,
}

/// Where the data stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Ticket,
    Authenticator,
}

/// Reads the elements; refuses what must be understood and is not.
pub(super) fn read(
    elements: Option<&AuthorizationData>,
    place: Place,
    session_key: &Key,
) -> Result<AuthorizationInfo, Error> {
    let mut info = AuthorizationInfo::default();
    let mut reader = Reader {
        place,
        session_key,
        info: &mut info,
    };
    for element in elements.into_iter().flatten() {
        reader.element(element, Weight::Critical, MAX_NESTING)?;
    }
    Ok(info)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Must be understood.
    Critical,
    /// May be ignored.
    Relevant,
}

struct Reader<'a> {
    place: Place,
    session_key: &'a Key,
    info: &'a mut AuthorizationInfo,
}

impl Reader<'_> {
    fn element(
        &mut self,
        element: &AuthorizationDataElement,
        weight: Weight,
        nesting: usize,
    ) -> Result<(), Error> {
        let data: &[u8] = &element.ad_data;
        let malformed = |_| {
            Error::from(PeerMisbehaved::AuthorizationDataMalformed {
                ad_type: element.ad_type,
            })
        };
        let Some(inner) = nesting.checked_sub(1) else {
            return Err(malformed(()));
        };
        match element.ad_type {
            ad_type::AD_IF_RELEVANT => {
                let elements = AuthorizationData::from_der(data).map_err(|_| malformed(()))?;
                for element in &elements {
                    self.element(element, Weight::Relevant, inner)?;
                }
            }
            ad_type::AD_KDC_ISSUED => {
                let issued = AdKdcIssued::from_der(data).map_err(|_| malformed(()))?;
                self.kdc_issued(&issued, weight, inner)?;
            }
            ad_type::AD_AND_OR => {
                let and_or = AdAndOr::from_der(data).map_err(|_| malformed(()))?;
                self.and_or(&and_or, weight, inner)?;
            }
            // RFC 4120 5.2.6.4: for the KDC to understand; a service may ignore it. RFC 7751 3: so
            // may a service ignore AD-CAMMAC. Neither gives rights here.
            ad_type::AD_MANDATORY_FOR_KDC
            | ad_type::AD_CAMMAC
            | ad_type::AD_AUTHENTICATION_INDICATOR
            | ad_type::AD_INITIAL_VERIFIED_CAS
            | ad_type::AD_LOGIN_ALIAS
            | ad_type::KERB_LOCAL
            | ad_type::AD_TARGET_PRINCIPAL => {}
            // From an authenticator it would be the client's own word.
            ad_type::AD_WIN2K_PAC if self.place == Place::Authenticator => {}
            ad_type::AD_WIN2K_PAC => {
                self.info.pac.get_or_insert_with(|| data.to_vec());
            }
            ad_type::AD_ETYPE_NEGOTIATION => {
                let list = EtypeList::from_der(data).map_err(|_| malformed(()))?;
                if self.place == Place::Authenticator {
                    self.info.enctypes = list.into_iter().map(Enctype).collect();
                }
            }
            ad_type::AD_AUTH_DATA_AP_OPTIONS => {
                let bytes: [u8; 4] = data.try_into().map_err(|_| malformed(()))?;
                self.info.client_binds_channels |= u32::from_le_bytes(bytes) & AP_OPTIONS_CBT != 0;
            }
            ad_type::KERB_AUTH_DATA_TOKEN_RESTRICTIONS => {
                self.info.token_restrictions = Some(data.to_vec());
            }
            // RFC 4120 5.2.6: "if any ... is not understood ... authentication MUST fail", but for
            // what AD-IF-RELEVANT holds.
            unknown if weight == Weight::Critical => {
                return Err(Policy::AuthorizationDataUnknown { ad_type: unknown }.into());
            }
            _ => {}
        }
        Ok(())
    }

    /// RFC 4120 5.2.6.2: the checksum is over the elements, under the session key; without it
    /// the data is the client's own word and is ignored.
    fn kdc_issued(
        &mut self,
        issued: &AdKdcIssued,
        weight: Weight,
        nesting: usize,
    ) -> Result<(), Error> {
        let holds = self.place == Place::Ticket
            && self
                .session_key
                .verify_checksum(
                    KeyUsage::AD_KDC_ISSUED_CKSUM,
                    ChecksumType(issued.ad_checksum.cksumtype),
                    issued.elements.der(),
                    &issued.ad_checksum.checksum,
                )
                .is_ok();
        if !holds {
            return Ok(());
        }
        let elements = issued.elements.decode()?;
        for element in &elements {
            self.element(element, weight, nesting)?;
        }
        self.info.kdc_issued.extend(elements);
        Ok(())
    }

    /// RFC 4120 5.2.6.3: as many of the elements as the condition count says must be satisfied.
    fn and_or(&mut self, and_or: &AdAndOr, weight: Weight, nesting: usize) -> Result<(), Error> {
        let mut unknown = None;
        let mut satisfied: usize = 0;
        for element in &and_or.elements {
            match self.element(element, Weight::Critical, nesting) {
                Ok(()) => satisfied = satisfied.saturating_add(1),
                Err(Error::Policy(refusal)) => unknown = Some(refusal),
                Err(other) => return Err(other),
            }
        }
        let needed = usize::try_from(and_or.condition_count).unwrap_or(usize::MAX);
        match unknown {
            Some(refusal) if satisfied < needed && weight == Weight::Critical => {
                Err(refusal.into())
            }
            _ => Ok(()),
        }
    }
}
