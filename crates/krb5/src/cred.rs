//! KRB-CRED: tickets with their session keys for somebody else to use (RFC 4120 section 5.8).

use trihound_asn1::{
    EncKrbCredPart, EncryptedData, EncryptionKey, KrbCred, KrbCredInfo, Message, Raw,
};
use trihound_crypto::{Enctype, Key, KeyUsage};
use trihound_secret::SecretBytes;

use crate::as_exchange::time;
use crate::refusal::{microseconds, whole};
use crate::{
    Credentials, Environment, Error, InvalidMessage, KeyMaterial, PeerMisbehaved, Principal,
};

/// First byte of a KRB-CRED: `[APPLICATION 22]`, constructed.
const KRB_CRED_TAG: u8 = 0x76;

/// The etype of data that is not encrypted at all.
const NULL_ENCTYPE: i32 = 0;

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
        infos.push(info(entry));
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
        return Err(PeerMisbehaved::CredentialNotEncrypted.into());
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
    // RFC 4120 5.8.1: ticket-info has one entry for each ticket, in the same order.
    if part.ticket_info.len() != message.tickets.len() {
        return Err(PeerMisbehaved::CredentialCountDiffers {
            tickets: message.tickets.len(),
            descriptions: part.ticket_info.len(),
        }
        .into());
    }
    part.ticket_info
        .into_iter()
        .zip(message.tickets)
        .map(|(info, ticket)| credentials(info, ticket.der()))
        .collect()
}

fn info(credentials: &Credentials) -> KrbCredInfo {
    KrbCredInfo {
        key: EncryptionKey::new(
            credentials.session_key.enctype().0,
            credentials.session_key.expose(),
        ),
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

fn credentials(info: KrbCredInfo, ticket: &[u8]) -> Result<Credentials, Error> {
    let missing = |field| PeerMisbehaved::CredentialIncomplete { field };
    let endtime = whole(info.endtime.ok_or(missing("endtime"))?);
    let starttime = info.starttime.map(whole);
    Ok(Credentials {
        client: Principal {
            realm: info.prealm.ok_or(missing("prealm"))?,
            name: info.pname.ok_or(missing("pname"))?,
        },
        server: Principal {
            realm: info.srealm.ok_or(missing("srealm"))?,
            name: info.sname.ok_or(missing("sname"))?,
        },
        session_key: KeyMaterial::new(
            Enctype(info.key.keytype),
            SecretBytes::from(info.key.keyvalue.expose()),
        ),
        ticket: ticket.to_vec(),
        flags: info.flags.unwrap_or_default(),
        // Windows and MIT krb5 leave authtime out; the start is the best that is known then.
        authtime: info.authtime.map(whole).or(starttime).unwrap_or_default(),
        starttime,
        endtime,
        renew_till: info.renew_till.map(whole),
        addresses: info.caddr.unwrap_or_default(),
        authdata: Vec::new(),
        is_skey: false,
        second_ticket: Vec::new(),
    })
}
