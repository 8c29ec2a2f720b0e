//! KRB-CRED: tickets with their session keys for somebody else to use (RFC 4120 section 5.8).

use trihound_asn1::{EncKrbCredPart, EncryptedData, KrbCred, Message, Raw};
use trihound_crypto::{Enctype, Key, KeyUsage};
use trihound_secret::SecretBytes;

use crate::ap::AcceptedApReq;
use crate::as_exchange::time;
use crate::ccache::{from_krb_cred_parts, krb_cred_info};
use crate::refusal::{microseconds, moment};
use crate::{CacheError, Credentials, Environment, Error, InvalidMessage, PeerMisbehaved};

/// First byte of a KRB-CRED: `[APPLICATION 22]`, constructed.
const KRB_CRED_TAG: u8 = 0x76;

/// The etype of data that is not encrypted at all.
const NULL_ENCTYPE: i32 = 0;

/// What an acceptor does about a delegated credential that is not encrypted (etype 0).
///
/// By default it is not read, and [`PeerMisbehaved::CredentialNotEncrypted`]: Heimdal's initiators, and
/// with them Samba's, leave encryption to the authenticator around it. What reads it is
/// [`take_plain_credentials`](crate::ap::danger::take_plain_credentials).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlainCredentials {
    are_taken: bool,
}

impl PlainCredentials {
    pub(crate) const TAKEN: Self = Self { are_taken: true };
}

/// Builds a KRB-CRED encrypted under `key`; within a GSS checksum that is the session key of the
/// ticket that the AP-REQ shows (RFC 4121 section 4.1.1.1).
///
/// # Errors
///
/// Failing randomness, or a ticket that is none.
pub fn build_krb_cred(
    credentials: &[&Credentials],
    key: &Key,
    time_offset: i64,
    environment: &Environment,
) -> Result<Vec<u8>, Error> {
    let mut tickets = Vec::with_capacity(credentials.len());
    let mut infos = Vec::with_capacity(credentials.len());
    for entry in credentials {
        tickets.push(Raw::from_der(entry.ticket.as_slice())?);
        infos.push(krb_cred_info(entry));
    }
    let now = environment.unique_time(time_offset);
    let part = EncKrbCredPart {
        ticket_info: infos,
        nonce: None,
        timestamp: Some(time(now)),
        usec: Some(microseconds(now)),
        s_address: None,
        r_address: None,
    };
    let plain = SecretBytes::from(part.to_der()?);
    let cipher = key
        .encrypt(
            KeyUsage::KRB_CRED_ENC_PART,
            plain.expose(),
            &*environment.random,
        )
        .map_err(Error::crypto("encryption of the delegated credential"))?;
    let message = KrbCred::new(tickets, EncryptedData::new(key.enctype().0, None, cipher));
    Ok(message.to_der()?)
}

/// Opens a KRB-CRED with each of `keys` in turn: the session key, and the authenticator's sub-key,
/// which some senders take.
///
/// # Errors
///
/// [`PeerMisbehaved`]: not encrypted, does not decrypt, tickets and descriptions do not pair up, a
/// name or time is missing.
pub fn read_krb_cred(der: &[u8], keys: &[&Key]) -> Result<Vec<Credentials>, Error> {
    let (message, part) = open(der, keys, PlainCredentials::default())?;
    from_krb_cred_parts(&message, &part).map_err(fault)
}

impl AcceptedApReq {
    /// Opens the KRB-CRED in the authenticator's checksum (RFC 4121 section 4.1.1): tickets of the client
    /// that the AP-REQ is of, made for this login. That it comes for the first time is what
    /// [`Self::not_replayed`] proves of the authenticator around it.
    ///
    /// # Errors
    ///
    /// As [`read_krb_cred`]; [`PeerMisbehaved::CredentialNotCurrent`],
    /// [`PeerMisbehaved::CredentialOfOther`].
    pub fn delegated_credentials(
        &self,
        der: &[u8],
        plain: PlainCredentials,
        environment: &Environment,
    ) -> Result<Vec<Credentials>, Error> {
        // RFC 4121 4.1.1.1: the session key; the sub-key is what some senders take.
        let keys: Vec<&Key> = [Some(&self.session_key), self.initiator_subkey.as_ref()]
            .into_iter()
            .flatten()
            .map(|key| &**key)
            .collect();
        let (message, part) = open(der, &keys, plain)?;
        let (now, skew) = (environment.now(0), environment.config.clock_skew);
        // RFC 4120 3.6.2: a timestamp that is "present but not current" is KRB_AP_ERR_SKEW.
        if let Some(timestamp) = part.timestamp {
            let found = moment(timestamp, part.usec.unwrap_or_default());
            if found.distance(now) > skew {
                return Err(PeerMisbehaved::CredentialNotCurrent {
                    found,
                    now,
                    skew: skew.as_secs(),
                }
                .into());
            }
        }
        let credentials = from_krb_cred_parts(&message, &part).map_err(fault)?;
        // RFC 4121 4.1.1: delegation is of "the initiator's" credentials.
        if let Some(other) = credentials.iter().find(|one| one.client != self.client) {
            return Err(PeerMisbehaved::CredentialOfOther {
                client: self.client.to_string(),
                found: other.client.to_string(),
            }
            .into());
        }
        Ok(credentials)
    }
}

fn open(
    der: &[u8],
    keys: &[&Key],
    plain: PlainCredentials,
) -> Result<(KrbCred, EncKrbCredPart), Error> {
    if der.first() != Some(&KRB_CRED_TAG) {
        return Err(InvalidMessage::Unexpected {
            expected: "a KRB-CRED",
            found: der.first().copied(),
        }
        .into());
    }
    let message = KrbCred::from_der(der)?;
    // RFC 4120 5.8.1: the encrypted part is under the session key; etype 0 leaves it open.
    if message.enc_part.etype == NULL_ENCTYPE {
        if !plain.are_taken {
            return Err(PeerMisbehaved::CredentialNotEncrypted.into());
        }
        let part = EncKrbCredPart::from_der(&message.enc_part.cipher)?;
        return Ok((message, part));
    }
    let plain = keys
        .iter()
        .filter(|key| key.enctype() == Enctype(message.enc_part.etype))
        .find_map(|key| {
            key.decrypt(KeyUsage::KRB_CRED_ENC_PART, &message.enc_part.cipher)
                .ok()
        })
        .ok_or(PeerMisbehaved::CredentialDoesNotDecrypt)?;
    let part = EncKrbCredPart::from_der(plain.expose())?;
    Ok((message, part))
}

/// RFC 4120 5.8.1: ticket-info has one entry for each ticket, with what a ticket cannot do without.
fn fault(error: CacheError) -> Error {
    match error {
        CacheError::TicketCountDiffers { tickets, infos } => {
            PeerMisbehaved::CredentialCountDiffers {
                tickets,
                descriptions: infos,
            }
            .into()
        }
        CacheError::MissingField { field, .. } => {
            PeerMisbehaved::CredentialIncomplete { field }.into()
        }
        CacheError::Decode(error) => error.into(),
        _ => PeerMisbehaved::CredentialIncomplete {
            field: "ticket-info",
        }
        .into(),
    }
}
