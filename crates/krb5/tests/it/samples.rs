//! Tickets to put into caches and messages.

use trihound_asn1::{EncryptedData, Message, OctetString, Ticket, TicketFlags};
use trihound_crypto::Enctype;
use trihound_krb5::{Credentials, KeyMaterial, Principal};
use trihound_sansio::Timestamp;

pub(crate) fn name(text: &str) -> Principal {
    Principal::parse(text, None).unwrap()
}

fn ticket_der(server: &Principal) -> Vec<u8> {
    Ticket {
        tkt_vno: 5,
        realm: server.realm.clone(),
        sname: server.name.clone(),
        enc_part: EncryptedData {
            etype: 18,
            kvno: None,
            cipher: OctetString::from(vec![7; 40]),
        },
    }
    .to_der()
    .unwrap()
}

/// A ticket of `alice@R` that ends at `endtime` seconds.
pub(crate) fn credentials(server: &str, endtime: i64) -> Credentials {
    let server = name(server);
    Credentials {
        client: name("alice@R"),
        session_key: KeyMaterial::new(Enctype::AES128_CTS_HMAC_SHA1_96, vec![0xa1; 16].into()),
        ticket: ticket_der(&server),
        server,
        flags: TicketFlags::FORWARDABLE | TicketFlags::PRE_AUTHENT,
        authtime: Timestamp::from_seconds(1_600_000_000),
        starttime: None,
        endtime: Timestamp::from_seconds(endtime),
        renew_till: None,
        addresses: vec![],
        authdata: vec![],
        is_skey: false,
        second_ticket: vec![],
    }
}
