//! A client that is put together by hand, so that every field can be wrong.

use std::sync::Arc;
use std::time::Duration;

use trihound_asn1::{
    ApOptions, ApReq, AsRep, AsReq, Authenticator, Checksum, EncKdcRepPart, EncTicketPart,
    EncryptedData, EncryptionKey, KdcOptions, KdcReqBody, KerberosTime, KrbError, Message, PaData,
    PaEncTsEnc, PrincipalName, Raw, TgsRep, TgsReq, Ticket, decode_enc_kdc_rep_part, pa_type,
};
use trihound_crypto::{Enctype, EnctypePolicy, Key, KeyUsage, OsRandom};
use trihound_krb5::Principal;
use trihound_sansio::{Clock, FixedClock, Timestamp};
use trihound_test_realm::{Carrier, TestRealm, TestRealmBuilder};

/// The moment at which every clock of these tests stands.
pub(crate) const NOW: i64 = 1_900_000_000;
pub(crate) const NONCE: u32 = 0x1234_5678;
pub(crate) const DAY: i64 = 86_400;

pub(crate) fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::new(Timestamp::from_seconds(NOW)))
}

/// A realm with alice, a service, and a clock that stands still.
pub(crate) fn builder() -> TestRealmBuilder {
    TestRealm::builder("EXAMPLE.TEST")
        .principal("alice", "password")
        .service("HTTP/localhost")
        .clock(clock())
}

pub(crate) fn realm() -> Arc<TestRealm> {
    builder().build().unwrap()
}

/// The body of a request for alice's service by a ticket.
pub(crate) fn service_body() -> KdcReqBody {
    body("EXAMPLE.TEST", None, "HTTP/localhost")
}

pub(crate) fn name(text: &str) -> PrincipalName {
    Principal::parse(text, Some("EXAMPLE.TEST")).unwrap().name
}

/// The body of a usual request of alice for a service.
pub(crate) fn body(realm: &str, client: Option<&str>, server: &str) -> KdcReqBody {
    KdcReqBody {
        kdc_options: KdcOptions::empty(),
        cname: client.map(name),
        realm: realm.into(),
        sname: Some(name(server)),
        from: None,
        till: KerberosTime::from_seconds(NOW + DAY / 2),
        rtime: None,
        nonce: NONCE.into(),
        etype: vec![18, 17, 20, 19],
        addresses: None,
        enc_authorization_data: None,
        additional_tickets: None,
    }
}

pub(crate) fn tgt_body() -> KdcReqBody {
    body("EXAMPLE.TEST", Some("alice"), "krbtgt/EXAMPLE.TEST")
}

pub(crate) fn as_req(body: &KdcReqBody, padata: Vec<PaData>) -> Vec<u8> {
    AsReq::new(Some(padata), Raw::new(body).unwrap())
        .to_der()
        .unwrap()
}

/// PA-ENC-TIMESTAMP of this moment under a key.
pub(crate) fn timestamp(key: &Key, seconds: i64) -> PaData {
    let stamp = PaEncTsEnc {
        patimestamp: KerberosTime::from_seconds(seconds),
        pausec: Some(0),
    };
    let cipher = key
        .encrypt(
            KeyUsage::AS_REQ_PA_ENC_TIMESTAMP,
            &stamp.to_der().unwrap(),
            &OsRandom,
        )
        .unwrap();
    PaData::new(
        pa_type::PA_ENC_TIMESTAMP,
        EncryptedData::new(key.enctype().0, None, cipher)
            .to_der()
            .unwrap(),
    )
}

pub(crate) fn alice_key() -> Key {
    password_key(Enctype::AES256_CTS_HMAC_SHA1_96, "password")
}

pub(crate) fn password_key(enctype: Enctype, password: &str) -> Key {
    Key::from_password(
        enctype,
        password.as_bytes(),
        b"EXAMPLE.TESTalice",
        None,
        &EnctypePolicy::default(),
    )
    .unwrap()
}

/// A ticket and what goes with it.
pub(crate) struct Held {
    pub(crate) ticket: Raw<Ticket>,
    pub(crate) key: Key,
    pub(crate) part: EncKdcRepPart,
    pub(crate) client: Principal,
}

/// What a KDC answered.
pub(crate) enum Answer {
    Reply(Box<Held>),
    Error(Box<KrbError>),
}

impl Answer {
    pub(crate) fn ticket(self) -> Held {
        match self {
            Self::Reply(held) => *held,
            Self::Error(error) => panic!("{} {:?}", error.error_code, error.e_text),
        }
    }

    pub(crate) fn error(self) -> KrbError {
        match self {
            Self::Error(error) => *error,
            Self::Reply(held) => panic!("a ticket: {:?}", held.part),
        }
    }

    pub(crate) fn code(self) -> i32 {
        self.error().error_code
    }
}

pub(crate) fn ask_as(
    realm: &TestRealm,
    body: &KdcReqBody,
    padata: Vec<PaData>,
    key: &Key,
) -> Answer {
    let reply = realm
        .answer(&as_req(body, padata), Carrier::Stream)
        .unwrap();
    if let Ok(error) = KrbError::from_der(&reply) {
        return Answer::Error(Box::new(error));
    }
    let reply = AsRep::from_der(&reply).unwrap();
    let plain = key
        .decrypt(KeyUsage::AS_REP_ENC_PART, &reply.enc_part.cipher)
        .unwrap();
    let part = decode_enc_kdc_rep_part(plain.expose()).unwrap();
    assert_eq!(part.nonce, body.nonce);
    Answer::Reply(Box::new(Held {
        ticket: reply.ticket.clone(),
        key: key_of(&part.key),
        client: Principal {
            realm: reply.crealm.clone(),
            name: reply.cname.clone(),
        },
        part,
    }))
}

/// Alice's ticket-granting ticket, by pre-authentication.
pub(crate) fn login(realm: &TestRealm, options: KdcOptions) -> Held {
    let mut body = tgt_body();
    body.kdc_options = options;
    if options.contains(KdcOptions::RENEWABLE) {
        body.rtime = Some(KerberosTime::from_seconds(NOW + 3 * DAY));
    }
    let key = alice_key();
    ask_as(realm, &body, vec![timestamp(&key, NOW)], &key).ticket()
}

pub(crate) fn key_of(key: &EncryptionKey) -> Key {
    Key::new(
        Enctype(key.keytype),
        key.keyvalue.expose(),
        &EnctypePolicy::default(),
    )
    .unwrap()
}

/// A TGS-REQ whose fields can be spoiled before it is sealed.
pub(crate) struct TgsBuilder {
    pub(crate) authenticator: Authenticator,
    pub(crate) usage: KeyUsage,
    pub(crate) padata: Vec<PaData>,
    /// The body that is checksummed, if it is not the one that is sent.
    pub(crate) checksummed: Option<KdcReqBody>,
    /// Leave the checksum that the authenticator holds.
    pub(crate) keep_checksum: bool,
}

impl TgsBuilder {
    pub(crate) fn new(held: &Held, now: i64) -> Self {
        Self {
            authenticator: Authenticator {
                authenticator_vno: 5,
                crealm: held.client.realm.clone(),
                cname: held.client.name.clone(),
                cksum: None,
                cusec: 0,
                ctime: KerberosTime::from_seconds(now),
                subkey: None,
                seq_number: None,
                authorization_data: None,
            },
            usage: KeyUsage::TGS_REQ_AUTH,
            padata: Vec::new(),
            checksummed: None,
            keep_checksum: false,
        }
    }

    pub(crate) fn bytes(mut self, held: &Held, body: &KdcReqBody) -> Vec<u8> {
        let raw = Raw::new(body).unwrap();
        if !self.keep_checksum {
            let over = self
                .checksummed
                .as_ref()
                .map_or_else(|| raw.der().to_vec(), |other| other.to_der().unwrap());
            let kind = held.key.required_checksum();
            let sum = held
                .key
                .checksum(KeyUsage::TGS_REQ_AUTH_CKSUM, kind, &over)
                .unwrap();
            self.authenticator.cksum = Some(Checksum::new(kind.0, sum));
        }
        let cipher = held
            .key
            .encrypt(self.usage, &self.authenticator.to_der().unwrap(), &OsRandom)
            .unwrap();
        let ap_req = ApReq {
            pvno: 5,
            msg_type: 14,
            ap_options: ApOptions::empty(),
            ticket: held.ticket.clone(),
            authenticator: EncryptedData::new(held.key.enctype().0, None, cipher),
        };
        let mut padata = vec![PaData::new(pa_type::PA_TGS_REQ, ap_req.to_der().unwrap())];
        padata.append(&mut self.padata);
        TgsReq::new(Some(padata), raw).to_der().unwrap()
    }

    pub(crate) fn ask(self, realm: &TestRealm, held: &Held, body: &KdcReqBody) -> Answer {
        let subkey = self.authenticator.subkey.as_ref().map(key_of);
        let reply = realm
            .answer(&self.bytes(held, body), Carrier::Stream)
            .unwrap();
        if let Ok(error) = KrbError::from_der(&reply) {
            return Answer::Error(Box::new(error));
        }
        let reply = TgsRep::from_der(&reply).unwrap();
        let (key, usage) = match &subkey {
            Some(subkey) => (subkey, KeyUsage::TGS_REP_ENC_PART_SUBKEY),
            None => (&held.key, KeyUsage::TGS_REP_ENC_PART_SESSKEY),
        };
        let plain = key.decrypt(usage, &reply.enc_part.cipher).unwrap();
        let part = decode_enc_kdc_rep_part(plain.expose()).unwrap();
        assert_eq!(part.nonce, body.nonce);
        Answer::Reply(Box::new(Held {
            ticket: reply.ticket.clone(),
            key: key_of(&part.key),
            client: Principal {
                realm: reply.crealm.clone(),
                name: reply.cname.clone(),
            },
            part,
        }))
    }
}

pub(crate) fn ask_tgs(realm: &TestRealm, held: &Held, body: &KdcReqBody) -> Answer {
    TgsBuilder::new(held, NOW).ask(realm, held, body)
}

/// The ticket as its service sees it.
pub(crate) fn open_ticket(realm: &TestRealm, service: &str, held: &Held) -> EncTicketPart {
    let ticket = held.ticket.decode().unwrap();
    let keytab = realm.keytab(&[service]).unwrap();
    let principal = Principal::parse(service, Some(&realm.name())).unwrap();
    let entry = keytab
        .find(
            &principal,
            ticket.enc_part.kvno.map(trihound_asn1::UInt32::get),
            Enctype(ticket.enc_part.etype),
        )
        .unwrap();
    let key = entry.key.key(&EnctypePolicy::default()).unwrap();
    let plain = key
        .decrypt(KeyUsage::KDC_REP_TICKET, &ticket.enc_part.cipher)
        .unwrap();
    EncTicketPart::from_der(plain.expose()).unwrap()
}

/// A clock for a realm that a test moves.
pub(crate) fn advance(clock: &FixedClock, by: Duration) -> i64 {
    clock.advance(by);
    clock.now().seconds()
}
