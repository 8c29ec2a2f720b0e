//! Credentials as one message: KRB-CRED (RFC 4120 section 5.8), the "kirbi" of some tools.

use trihound_asn1::{
    EncKrbCredPart, EncryptedData, EncryptionKey, KerberosTime, KrbCred, KrbCredInfo, Message,
    OctetString, Raw, SecretOctets,
};
use trihound_crypto::{Enctype, Key, KeyUsage};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use super::CacheError;
use crate::credentials::{Credentials, KeyMaterial};
use crate::name::Principal;

/// The encryption type of what is not encrypted (RFC 4120 section 5.8.1 leaves the choice to the
/// parties; files and TLS-protected channels use it).
const ETYPE_NULL: i32 = 0;

/// Reads a KRB-CRED: with `key`, one that is encrypted in it; without, one in the clear.
///
/// # Errors
///
/// [`CacheError::KeyNeeded`] when the message is encrypted and should not be, or the other way
/// round; else as [`from_krb_cred_parts`], decoding and decryption errors.
pub fn from_krb_cred(der: &[u8], key: Option<&Key>) -> Result<Vec<Credentials>, CacheError> {
    let message = KrbCred::from_der(der)?;
    let is_clear = message.enc_part.etype == ETYPE_NULL;
    if is_clear == key.is_some() {
        return Err(CacheError::KeyNeeded {
            found: message.enc_part.etype,
        });
    }
    let opened = match key {
        Some(key) => key.decrypt(KeyUsage::KRB_CRED_ENC_PART, &message.enc_part.cipher)?,
        None => SecretBytes::from(message.enc_part.cipher.as_ref()),
    };
    let part = EncKrbCredPart::from_der(opened.expose())?;
    from_krb_cred_parts(&message, &part)
}

/// Puts tickets and the information on them together.
///
/// # Errors
///
/// [`CacheError::TicketCountDiffers`] when they do not pair, [`CacheError::MissingField`] when
/// client or end are not told, and decoding errors of a ticket whose service is not told.
pub fn from_krb_cred_parts(
    message: &KrbCred,
    part: &EncKrbCredPart,
) -> Result<Vec<Credentials>, CacheError> {
    let (tickets, infos) = (message.tickets.len(), part.ticket_info.len());
    // RFC 4120 section 5.8.1: ticket-info has one element for each ticket, in the same order.
    if tickets != infos {
        return Err(CacheError::TicketCountDiffers { tickets, infos });
    }
    let pairs = message.tickets.iter().zip(&part.ticket_info);
    pairs
        .enumerate()
        .map(|(index, (ticket, info))| {
            let missing = |field| CacheError::MissingField { index, field };
            let client = match (&info.prealm, &info.pname) {
                (Some(realm), Some(name)) => Principal {
                    realm: realm.clone(),
                    name: name.clone(),
                },
                (None, _) => return Err(missing("prealm")),
                (_, None) => return Err(missing("pname")),
            };
            let server = match (&info.srealm, &info.sname) {
                (Some(realm), Some(name)) => Principal {
                    realm: realm.clone(),
                    name: name.clone(),
                },
                _ => {
                    let ticket = ticket.decode()?;
                    Principal {
                        realm: ticket.realm,
                        name: ticket.sname,
                    }
                }
            };
            let time = |time: &KerberosTime| Timestamp::from_seconds(time.seconds());
            let starttime = info.starttime.as_ref().map(time);
            Ok(Credentials {
                client,
                server,
                session_key: KeyMaterial::new(
                    Enctype(info.key.keytype),
                    SecretBytes::from(info.key.keyvalue.expose()),
                ),
                ticket: ticket.der().to_vec(),
                flags: info.flags.unwrap_or_default(),
                // Some senders leave it out; a ticket does not begin before its authentication.
                authtime: info
                    .authtime
                    .as_ref()
                    .map(time)
                    .or(starttime)
                    .unwrap_or_default(),
                starttime,
                endtime: info
                    .endtime
                    .as_ref()
                    .map(time)
                    .ok_or_else(|| missing("endtime"))?,
                renew_till: info.renew_till.as_ref().map(time),
                addresses: info.caddr.clone().unwrap_or_default(),
                authdata: Vec::new(),
                is_skey: false,
                second_ticket: Vec::new(),
            })
        })
        .collect()
}

/// What a KRB-CRED tells about a ticket; the caller seals it.
#[must_use]
pub fn krb_cred_info(credentials: &Credentials) -> KrbCredInfo {
    let time = |time: Timestamp| KerberosTime::from_seconds(time.seconds());
    KrbCredInfo {
        key: EncryptionKey {
            keytype: credentials.session_key.enctype().0,
            keyvalue: SecretOctets::from(credentials.session_key.expose()),
        },
        prealm: Some(credentials.client.realm.clone()),
        pname: Some(credentials.client.name.clone()),
        flags: Some(credentials.flags),
        authtime: Some(time(credentials.authtime)),
        starttime: credentials.starttime.map(time),
        endtime: Some(time(credentials.endtime)),
        renew_till: credentials.renew_till.map(time),
        srealm: Some(credentials.server.realm.clone()),
        sname: Some(credentials.server.name.clone()),
        caddr: (!credentials.addresses.is_empty()).then(|| credentials.addresses.clone()),
    }
}

/// Writes a KRB-CRED in the clear, for a file.
///
/// # Errors
///
/// [`CacheError::Decode`] when a ticket is not one, [`CacheError::Encode`] when a time or name does
/// not fit.
pub fn to_krb_cred(credentials: &[&Credentials]) -> Result<SecretBytes, CacheError> {
    let tickets = credentials
        .iter()
        .map(|credentials| Raw::from_der(credentials.ticket.as_slice()))
        .collect::<Result<Vec<_>, _>>()?;
    let part = EncKrbCredPart {
        ticket_info: credentials
            .iter()
            .map(|credentials| krb_cred_info(credentials))
            .collect(),
        nonce: None,
        timestamp: None,
        usec: None,
        s_address: None,
        r_address: None,
    };
    let clear = EncryptedData {
        etype: ETYPE_NULL,
        kvno: None,
        cipher: OctetString::from(part.to_der()?),
    };
    Ok(SecretBytes::from(KrbCred::new(tickets, clear).to_der()?))
}
