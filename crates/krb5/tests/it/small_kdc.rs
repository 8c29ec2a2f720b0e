//! A KDC of a hundred lines whose every answer can be altered before it is sealed.

use std::sync::{Arc, Mutex};

use trihound_asn1::{
    ApReq, AsRep, AsReq, Authenticator, Checksum, EncAsRepPart, EncKdcRepPart, EncTgsRepPart,
    EncTicketPart, EncryptedData, EncryptionKey, EtypeInfo2Entry, KdcOptions, KdcRep, KdcReqBody,
    KerberosTime, KrbError, Message, MethodData, PaData, PaEncTsEnc, PrincipalName, Raw, Realm,
    TgsRep, TgsReq, Ticket, TicketFlags, TransitedEncoding, UInt32, name_type, pa_type,
};
use trihound_crypto::{Enctype, EnctypePolicy, Key, KeyUsage};
use trihound_krb5::{
    AsExchange, AsOutcome, AsRequest, ClientSecret, Config, Credentials, Environment, Error,
    KeyMaterial, Keytab, KeytabEntry, Principal, TgsExchange, TgsOutcome, TgsRequest,
};
use trihound_sansio::{
    Clock, Exchange, ExchangeRequest, FixedClock, Progress, RandomFailure, RandomSource, Reply,
    Timestamp, TransportFailure,
};
use trihound_secret::{SecretBytes, SecretString};

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const REALM: &str = "TEST.EXAMPLE";
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;
pub(crate) const AES128: Enctype = Enctype::AES128_CTS_HMAC_SHA1_96;

/// The same bytes at every run, different ones at every call.
#[derive(Default)]
pub(crate) struct Seeded(Mutex<u64>);

impl RandomSource for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailure> {
        let mut state = self.0.lock().unwrap();
        for byte in bytes {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (*state >> 56) as u8;
        }
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) environment: Environment,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(NOW)));
        let shared: Arc<dyn Clock> = clock.clone();
        let environment = Environment::new(shared, Arc::new(Seeded::default()), Arc::new(config));
        Self { clock, environment }
    }
}

pub(crate) fn time(seconds: i64) -> KerberosTime {
    KerberosTime::from_seconds(seconds)
}

pub(crate) fn alice() -> Principal {
    Principal::parse("alice", Some(REALM)).unwrap()
}

pub(crate) fn service() -> Principal {
    Principal::service("HTTP", "web.test.example", REALM)
}

pub(crate) fn key(seed: u8, enctype: Enctype) -> Key {
    let length = enctype.profile().unwrap().key_length;
    Key::new(enctype, &vec![seed; length], &EnctypePolicy::default()).unwrap()
}

pub(crate) fn wire(key: &Key) -> EncryptionKey {
    EncryptionKey::new(key.enctype().0, key.expose())
}

pub(crate) fn keytab(principal: Principal, kvno: u32, key: Key) -> Keytab {
    let material = KeyMaterial::from_key(Arc::new(key));
    let stamp = Timestamp::from_seconds(NOW);
    [KeytabEntry::new(principal, kvno, stamp, material)]
        .into_iter()
        .collect()
}

/// All that a reply is made of, before it is sealed.
pub(crate) struct Parts {
    pub(crate) crealm: Realm,
    pub(crate) cname: PrincipalName,
    pub(crate) padata: Option<Vec<PaData>>,
    pub(crate) ticket_name: Principal,
    pub(crate) ticket: EncTicketPart,
    pub(crate) part: EncKdcRepPart,
    pub(crate) etype: Option<i32>,
    pub(crate) usage: KeyUsage,
    pub(crate) key: Key,
    pub(crate) other_tag: bool,
    /// The request over which PA-REQ-ENC-PA-REP is made; `None` for no such thing.
    pub(crate) confirms: Option<Vec<u8>>,
}

/// An entry of ETYPE-INFO2: type, salt, parameters.
pub(crate) type KeyInfo = (Enctype, Option<&'static str>, Option<Vec<u8>>);

pub(crate) struct Kdc {
    pub(crate) realm: &'static str,
    pub(crate) client_key: Key,
    pub(crate) krbtgt_key: Key,
    pub(crate) service_key: Key,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) skew: i64,
    pub(crate) salt: &'static str,
    pub(crate) info: Vec<KeyInfo>,
}

pub(crate) fn password_key(enctype: Enctype, salt: &str, params: Option<&[u8]>) -> Key {
    let policy = EnctypePolicy::default();
    Key::from_password(
        enctype,
        PASSWORD.as_bytes(),
        salt.as_bytes(),
        params,
        &policy,
    )
    .unwrap()
}

impl Kdc {
    pub(crate) fn new(world: &World) -> Self {
        let salt = "TEST.EXAMPLEalice";
        Self {
            realm: REALM,
            client_key: password_key(AES256, salt, None),
            krbtgt_key: key(1, AES256),
            service_key: key(2, AES256),
            clock: world.clock.clone(),
            skew: 0,
            salt,
            info: vec![(AES256, None, None)],
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().seconds() + self.skew
    }

    pub(crate) fn error(&self, code: i32, e_data: Option<Vec<u8>>) -> Vec<u8> {
        self.error_with(code, e_data, |_| {})
    }

    pub(crate) fn error_with(
        &self,
        code: i32,
        e_data: Option<Vec<u8>>,
        alter: impl FnOnce(&mut KrbError),
    ) -> Vec<u8> {
        let mut error = KrbError {
            pvno: 5,
            msg_type: 30,
            ctime: None,
            cusec: None,
            stime: time(self.now()),
            susec: 5,
            error_code: code,
            crealm: None,
            cname: None,
            realm: self.realm.into(),
            sname: Principal::krbtgt(&self.realm.into()).name,
            e_text: None,
            e_data: e_data.map(Into::into),
        };
        alter(&mut error);
        error.to_der().unwrap()
    }

    pub(crate) fn info2(&self) -> PaData {
        let entries: Vec<EtypeInfo2Entry> = self
            .info
            .iter()
            .map(|(enctype, salt, params)| EtypeInfo2Entry {
                etype: enctype.0,
                salt: salt.map(Into::into),
                s2kparams: params.clone().map(Into::into),
            })
            .collect();
        PaData::new(pa_type::PA_ETYPE_INFO2, entries.to_der().unwrap())
    }

    pub(crate) fn method_data(&self) -> MethodData {
        vec![
            PaData::new(pa_type::PA_FX_COOKIE, b"cookie".to_vec()),
            PaData::new(pa_type::PA_ENC_TIMESTAMP, Vec::new()),
            self.info2(),
        ]
    }

    pub(crate) fn preauth_required(&self) -> Vec<u8> {
        self.error(25, Some(self.method_data().to_der().unwrap()))
    }

    /// The timestamp in a request, if it has one that decrypts under the client's key.
    pub(crate) fn timestamp(&self, request: &[u8]) -> Option<PaEncTsEnc> {
        let request = AsReq::from_der(request).unwrap();
        let data = find(request.padata.as_ref()?, pa_type::PA_ENC_TIMESTAMP)?;
        let data = EncryptedData::from_der(&data).unwrap();
        let plain = self
            .client_key
            .decrypt(KeyUsage::AS_REQ_PA_ENC_TIMESTAMP, &data.cipher)
            .unwrap();
        Some(PaEncTsEnc::from_der(plain.expose()).unwrap())
    }

    fn parts(&self, body: &KdcReqBody, client: Principal, reply_key: Key) -> Parts {
        let session = key(9, AES256);
        let flags = [
            (KdcOptions::FORWARDABLE, TicketFlags::FORWARDABLE),
            (KdcOptions::FORWARDED, TicketFlags::FORWARDED),
            (KdcOptions::PROXIABLE, TicketFlags::PROXIABLE),
            (
                KdcOptions::POSTDATED,
                TicketFlags::POSTDATED | TicketFlags::INVALID,
            ),
            (KdcOptions::RENEWABLE, TicketFlags::RENEWABLE),
        ]
        .into_iter()
        .filter(|(option, _)| body.kdc_options.contains(*option))
        .fold(TicketFlags::PRE_AUTHENT, |flags, (_, flag)| flags | flag);
        let starttime = body.from.map_or(self.now(), KerberosTime::seconds);
        let mut endtime = starttime + 36_000;
        if body.till.seconds() != 0 {
            endtime = endtime.min(body.till.seconds());
        }
        let renew_till = flags
            .contains(TicketFlags::RENEWABLE)
            .then(|| time(body.rtime.map_or(endtime, KerberosTime::seconds)));
        let server = Principal {
            realm: body.realm.clone(),
            name: body.sname.clone().unwrap(),
        };
        let ticket = EncTicketPart {
            flags,
            key: wire(&session),
            crealm: client.realm.clone(),
            cname: client.name.clone(),
            transited: TransitedEncoding {
                tr_type: 1,
                contents: Vec::new().into(),
            },
            authtime: time(self.now()),
            starttime: Some(time(starttime)),
            endtime: time(endtime),
            renew_till,
            caddr: None,
            authorization_data: None,
        };
        let part = EncKdcRepPart {
            key: wire(&session),
            last_req: Vec::new(),
            nonce: body.nonce,
            key_expiration: None,
            flags,
            authtime: time(self.now()),
            starttime: Some(time(starttime)),
            endtime: time(endtime),
            renew_till,
            srealm: server.realm.clone(),
            sname: server.name.clone(),
            caddr: None,
            encrypted_pa_data: None,
        };
        Parts {
            crealm: client.realm,
            cname: client.name,
            padata: None,
            ticket_name: server,
            ticket,
            part,
            etype: None,
            usage: KeyUsage::AS_REP_ENC_PART,
            key: reply_key,
            other_tag: false,
            confirms: None,
        }
    }

    pub(crate) fn as_reply(&self, request: &[u8], alter: impl FnOnce(&mut Parts)) -> Vec<u8> {
        let decoded = AsReq::from_der(request).unwrap();
        let body = decoded.req_body.decode().unwrap();
        let client = Principal {
            realm: body.realm.clone(),
            name: body.cname.clone().unwrap(),
        };
        let mut parts = self.parts(&body, client, self.client_key.duplicate());
        parts.part.flags |= TicketFlags::INITIAL;
        parts.padata = Some(vec![self.info2()]);
        assert!(find(decoded.padata.as_ref().unwrap(), pa_type::PA_REQ_ENC_PA_REP).is_some());
        parts.confirms = Some(request.to_vec());
        parts.part.flags |= TicketFlags::ENC_PA_REP;
        alter(&mut parts);
        AsRep(self.seal(parts, 11)).to_der().unwrap()
    }

    /// Reads a TGS-REQ with the key `tgt_key` as a KDC must, then answers.
    pub(crate) fn tgs_reply(
        &self,
        request: &[u8],
        tgt_key: &Key,
        alter: impl FnOnce(&mut Parts),
    ) -> Vec<u8> {
        let (body, client, authenticator) = self.open_tgs_request(request, tgt_key);
        let subkey = authenticator.subkey.unwrap();
        let subkey = Key::new(
            Enctype(subkey.keytype),
            subkey.keyvalue.expose(),
            &EnctypePolicy::default(),
        )
        .unwrap();
        let mut parts = self.parts(&body, client, subkey);
        parts.usage = KeyUsage::TGS_REP_ENC_PART_SUBKEY;
        parts.other_tag = true;
        alter(&mut parts);
        TgsRep(self.seal(parts, 13)).to_der().unwrap()
    }

    pub(crate) fn open_tgs_request(
        &self,
        request: &[u8],
        tgt_key: &Key,
    ) -> (KdcReqBody, Principal, Authenticator) {
        let request = TgsReq::from_der(request).unwrap();
        let ap_req = find(request.padata.as_ref().unwrap(), pa_type::PA_TGS_REQ).unwrap();
        let ap_req = ApReq::from_der(&ap_req).unwrap();
        let ticket = ap_req.ticket.decode().unwrap();
        let ticket = tgt_key
            .decrypt(KeyUsage::KDC_REP_TICKET, &ticket.enc_part.cipher)
            .unwrap();
        let ticket = EncTicketPart::from_der(ticket.expose()).unwrap();
        let session = Key::new(
            Enctype(ticket.key.keytype),
            ticket.key.keyvalue.expose(),
            &EnctypePolicy::default(),
        )
        .unwrap();
        let plain = session
            .decrypt(KeyUsage::TGS_REQ_AUTH, &ap_req.authenticator.cipher)
            .unwrap();
        let authenticator = Authenticator::from_der(plain.expose()).unwrap();
        let checksum = authenticator.cksum.as_ref().unwrap();
        assert_eq!(checksum.cksumtype, session.required_checksum().0);
        session
            .verify_checksum(
                KeyUsage::TGS_REQ_AUTH_CKSUM,
                session.required_checksum(),
                request.req_body.der(),
                &checksum.checksum,
            )
            .unwrap();
        let client = Principal {
            realm: ticket.crealm,
            name: ticket.cname,
        };
        (request.req_body.decode().unwrap(), client, authenticator)
    }

    fn seal(&self, mut parts: Parts, msg_type: i32) -> KdcRep {
        if let Some(request) = &parts.confirms {
            let kind = parts.key.required_checksum();
            let checksum = parts.key.checksum(KeyUsage::AS_REQ, kind, request).unwrap();
            let checksum = Checksum::new(kind.0, checksum).to_der().unwrap();
            parts.part.encrypted_pa_data = Some(vec![
                PaData::new(pa_type::PA_REQ_ENC_PA_REP, checksum),
                PaData::new(pa_type::PA_FX_FAST, Vec::new()),
            ]);
        }
        let is_tgt = parts.ticket_name.is_krbtgt();
        let ticket_key = if is_tgt {
            &self.krbtgt_key
        } else {
            &self.service_key
        };
        let ticket = seal_ticket(&parts.ticket_name, &parts.ticket, ticket_key, Some(2));
        let plain = if parts.other_tag {
            EncTgsRepPart(parts.part).to_der().unwrap()
        } else {
            EncAsRepPart(parts.part).to_der().unwrap()
        };
        let cipher = parts
            .key
            .encrypt(parts.usage, &plain, &Seeded::default())
            .unwrap();
        let etype = parts.etype.unwrap_or(parts.key.enctype().0);
        KdcRep {
            pvno: 5,
            msg_type,
            padata: parts.padata,
            crealm: parts.crealm,
            cname: parts.cname,
            ticket: Raw::from_der(ticket).unwrap(),
            enc_part: EncryptedData::new(etype, None, cipher),
        }
    }

    /// A ticket as if it had been got by an exchange; alter both sides of it at will.
    pub(crate) fn credentials(
        &self,
        server: Principal,
        alter: impl FnOnce(&mut EncTicketPart),
    ) -> Credentials {
        let session = key(9, AES256);
        let is_tgt = server.is_krbtgt();
        let ticket_key = if is_tgt {
            &self.krbtgt_key
        } else {
            &self.service_key
        };
        let mut part = EncTicketPart {
            flags: TicketFlags::PRE_AUTHENT,
            key: wire(&session),
            crealm: alice().realm,
            cname: alice().name,
            transited: TransitedEncoding {
                tr_type: 1,
                contents: Vec::new().into(),
            },
            authtime: time(NOW),
            starttime: Some(time(NOW)),
            endtime: time(NOW + 36_000),
            renew_till: None,
            caddr: None,
            authorization_data: None,
        };
        alter(&mut part);
        Credentials {
            client: alice(),
            ticket: seal_ticket(&server, &part, ticket_key, Some(2)),
            server,
            session_key: KeyMaterial::new(
                Enctype(part.key.keytype),
                SecretBytes::from(part.key.keyvalue.expose()),
            ),
            flags: part.flags,
            authtime: Timestamp::from_seconds(NOW),
            starttime: None,
            endtime: Timestamp::from_seconds(NOW + 36_000),
            renew_till: part
                .renew_till
                .map(|till| Timestamp::from_seconds(till.seconds())),
            addresses: Vec::new(),
            authdata: Vec::new(),
            is_skey: false,
            second_ticket: Vec::new(),
        }
    }

    pub(crate) fn tgt(&self) -> Arc<Credentials> {
        Arc::new(self.credentials(Principal::krbtgt(&self.realm.into()), |_| {}))
    }
}

pub(crate) fn seal_ticket(
    name: &Principal,
    part: &EncTicketPart,
    key: &Key,
    kvno: Option<u32>,
) -> Vec<u8> {
    let plain = part.to_der().unwrap();
    let cipher = key
        .encrypt(KeyUsage::KDC_REP_TICKET, &plain, &Seeded::default())
        .unwrap();
    let ticket = Ticket {
        tkt_vno: 5,
        realm: name.realm.clone(),
        sname: name.name.clone(),
        enc_part: EncryptedData::new(key.enctype().0, kvno, cipher),
    };
    ticket.to_der().unwrap()
}

pub(crate) fn find(padata: &[PaData], wanted: i32) -> Option<Vec<u8>> {
    padata
        .iter()
        .find(|entry| entry.padata_type == wanted)
        .map(|entry| entry.padata_value.to_vec())
}

pub(crate) fn body(request: &ExchangeRequest) -> KdcReqBody {
    AsReq::from_der(&request.message)
        .unwrap()
        .req_body
        .decode()
        .unwrap()
}

pub(crate) fn password_login() -> AsRequest {
    AsRequest::new(
        alice(),
        ClientSecret::Password(SecretString::from(PASSWORD)),
    )
}

/// Runs an exchange against a function that answers; gives the requests, too.
pub(crate) fn run<X: Exchange<Error = Error>>(
    exchange: Result<X, Error>,
    mut answer: impl FnMut(&ExchangeRequest) -> Vec<u8>,
) -> (Result<X::Output, Error>, Vec<ExchangeRequest>) {
    let mut requests = Vec::new();
    let result = (|| {
        let mut exchange = exchange?;
        let mut progress = exchange.step(None)?;
        loop {
            let request = match progress {
                Progress::Done(output) => return Ok(output),
                Progress::Exchange(request) => request,
            };
            assert!(requests.len() < 40, "the exchange does not end");
            // The realm has one KDC.
            if request.hint.is_primary_only() {
                let failure = TransportFailure::no_primary(&request.realm);
                progress = exchange.step(Some(Reply::Failed(&failure)))?;
                continue;
            }
            let reply = answer(&request);
            requests.push(request);
            progress = exchange.step(Some(Reply::Bytes(&reply)))?;
        }
    })();
    (result, requests)
}

/// An AS exchange with a KDC that wants no pre-authentication and alters its reply.
pub(crate) fn login(
    world: &World,
    request: AsRequest,
    alter: impl Fn(&mut Parts),
) -> Result<AsOutcome, Error> {
    let kdc = Kdc::new(world);
    let exchange = AsExchange::begin(request, &world.environment);
    run(exchange, |request| kdc.as_reply(&request.message, &alter)).0
}

/// A TGS exchange with a KDC that alters its reply.
pub(crate) fn get_ticket(
    world: &World,
    request: TgsRequest,
    alter: impl Fn(&mut Parts),
) -> Result<TgsOutcome, Error> {
    let kdc = Kdc::new(world);
    let exchange = TgsExchange::begin(request, &world.environment);
    run(exchange, |request| {
        kdc.tgs_reply(&request.message, &kdc.krbtgt_key, &alter)
    })
    .0
}

pub(crate) fn nonce(value: u32) -> UInt32 {
    UInt32::new(value)
}

pub(crate) fn name(components: &[&str]) -> PrincipalName {
    PrincipalName::new(name_type::NT_PRINCIPAL, components.iter().copied())
}
