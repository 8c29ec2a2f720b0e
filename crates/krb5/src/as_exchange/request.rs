//! What a login keeps over its rounds, and the AS-REQ (RFC 4120 section 5.4.1).

use core::fmt;
use core::time::Duration;

use trihound_asn1::{
    AsReq, EncryptedData, HostAddress, KdcOptions, KdcReqBody, KerbPaPacRequest, KerberosTime,
    KrbError, Message, PaData, PaEncTsEnc, Raw, Realm, TicketFlags, UInt32, name_type, pa_type,
};
use trihound_crypto::{Enctype, EnctypePolicy, KeyUsage};
use trihound_sansio::{Timestamp, TransportHint};

use super::preauth::ClientKey;
use super::{
    AsOptions, AsRequest, ClientSecret, ExpectAsReply, MAX_PREAUTH_ROUNDS, MAX_REALM_REFERRALS,
};
use crate::refusal::microseconds;
use crate::{
    ApiMisuse, CredentialFailure, Environment, Error, InvalidMessage, KdcMisbehaved, Principal,
    trace,
};

/// How long a ticket is asked to live when nobody says: longer than any KDC grants, since Windows
/// takes the 19700101000000Z of RFC 4120 section 5.4.1 for a time that is past.
const AS_LONG_AS_GRANTED: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What lasts from the first request to the reply.
pub(super) struct Login {
    pub(super) environment: Environment,
    pub(super) client: Principal,
    pub(super) secret: ClientSecret,
    pub(super) policy: EnctypePolicy,
    /// The etype field of every request: the policy's types, those with a key first.
    pub(super) enctypes: Vec<Enctype>,
    pub(super) cookie: Option<Vec<u8>>,
    pub(super) hint: TransportHint,
    /// What the first KDC said, once a primary one is asked instead.
    pub(super) refused: Option<Box<Error>>,
    /// The KDC's clock less ours by its last KRB_AP_ERR_SKEW, in microseconds; else 0.
    pub(super) preauth_offset: i64,
    pub(super) clock_corrected: bool,
    service: Option<Principal>,
    options: AsOptions,
    lifetime: Option<Duration>,
    renew_lifetime: Option<Duration>,
    start_time: Option<Timestamp>,
    addresses: Vec<HostAddress>,
    rounds: usize,
    realms: Vec<Realm>,
}

/// A request as it went out, with what the reply is compared with.
pub(super) struct Sent {
    pub(super) der: Vec<u8>,
    pub(super) nonce: u32,
    pub(super) options: KdcOptions,
    pub(super) from: Option<Timestamp>,
    pub(super) till: Option<Timestamp>,
    pub(super) rtime: Option<Timestamp>,
    /// What PA-ENC-TIMESTAMP was made with, if there was one.
    pub(super) preauth_key: Option<ClientKey>,
}

impl Login {
    pub(super) fn new(request: AsRequest, environment: &Environment) -> Result<Self, Error> {
        let client = request.client;
        if client.realm.is_empty() {
            return Err(ApiMisuse::EmptyName("realm of the client").into());
        }
        if client.name.name_string.is_empty() {
            return Err(ApiMisuse::EmptyName("name of the client").into());
        }
        let config = &environment.config;
        let (policy, enctypes) = match request.enctypes {
            Some(policy) => {
                let enctypes = policy.enctypes().to_vec();
                (policy, enctypes)
            }
            None => (config.permitted_enctypes.clone(), config.as_enctypes()),
        };
        let enctypes = offered(&request.secret, enctypes, &client)?;
        Ok(Self {
            environment: environment.clone(),
            realms: vec![client.realm.clone()],
            client,
            secret: request.secret,
            policy,
            enctypes,
            cookie: None,
            hint: TransportHint::Any,
            refused: None,
            preauth_offset: 0,
            clock_corrected: false,
            service: request.service,
            options: request.options,
            lifetime: request.lifetime,
            renew_lifetime: request.renew_lifetime,
            start_time: request.start_time,
            addresses: request.addresses,
            rounds: 0,
        })
    }

    /// The service that the ticket is asked for.
    pub(super) fn service(&self) -> Principal {
        self.service
            .clone()
            .unwrap_or_else(|| Principal::krbtgt(&self.client.realm))
    }

    /// RFC 6806 5: an enterprise name can only be found by canonicalization.
    pub(super) fn canonicalize(&self) -> bool {
        self.options.canonicalize || self.client.name.name_type == name_type::NT_ENTERPRISE
    }

    pub(super) fn count_round(&mut self) -> Result<(), Error> {
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds > MAX_PREAUTH_ROUNDS {
            return Err(KdcMisbehaved::TooManyPreauthRounds {
                limit: MAX_PREAUTH_ROUNDS,
            }
            .into());
        }
        Ok(())
    }

    /// Starts anew with a primary KDC, which knows of a changed password, a new principal or a new
    /// key before its replicas do. Once in an exchange; `refused` counts if there is no such KDC.
    pub(super) fn turn_to_primary(&mut self, refused: Error) {
        self.hint = TransportHint::PrimaryOnly;
        self.refused = Some(Box::new(refused));
        self.cookie = None;
        self.rounds = 0;
    }

    /// RFC 6806 7: the realm to ask is in the error's crealm. Pre-authentication starts anew there,
    /// by that realm's own METHOD-DATA.
    pub(super) fn change_realm(&mut self, error: &KrbError) -> Result<(), Error> {
        let Some(realm) = error.crealm.clone().filter(|realm| !realm.is_empty()) else {
            return Err(InvalidMessage::RealmMissing.into());
        };
        let is_loop = self.realms.contains(&realm);
        self.realms.push(realm.clone());
        if is_loop || self.realms.len() > MAX_REALM_REFERRALS {
            return Err(KdcMisbehaved::WrongRealmLoop {
                path: path(&self.realms),
            }
            .into());
        }
        // A service of the client's own realm, such as kadmin/changepw, is then one of that realm.
        if let Some(service) = &mut self.service
            && service.realm == self.client.realm
        {
            service.realm = realm.clone();
        }
        self.client.realm = realm;
        self.cookie = None;
        self.rounds = 0;
        self.preauth_offset = 0;
        self.clock_corrected = false;
        Ok(())
    }

    /// The requestable flags that the reply may have.
    pub(super) fn flags(options: KdcOptions) -> TicketFlags {
        [
            (KdcOptions::FORWARDABLE, TicketFlags::FORWARDABLE),
            (KdcOptions::PROXIABLE, TicketFlags::PROXIABLE),
            (KdcOptions::ALLOW_POSTDATE, TicketFlags::MAY_POSTDATE),
            (KdcOptions::POSTDATED, TicketFlags::POSTDATED),
            (KdcOptions::RENEWABLE, TicketFlags::RENEWABLE),
        ]
        .into_iter()
        .filter(|(option, _)| options.contains(*option))
        .fold(TicketFlags::empty(), |flags, (_, flag)| flags | flag)
    }

    fn kdc_options(&self) -> KdcOptions {
        [
            (self.options.forwardable, KdcOptions::FORWARDABLE),
            (self.options.proxiable, KdcOptions::PROXIABLE),
            (self.options.allow_postdate, KdcOptions::ALLOW_POSTDATE),
            (self.start_time.is_some(), KdcOptions::POSTDATED),
            (self.renew_lifetime.is_some(), KdcOptions::RENEWABLE),
            (self.canonicalize(), KdcOptions::CANONICALIZE),
        ]
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .fold(KdcOptions::empty(), |options, (_, option)| options | option)
    }

    /// Builds the next request, with a fresh nonce, and waits for its answer.
    pub(super) fn send(mut self, preauth_key: Option<ClientKey>) -> Result<ExpectAsReply, Error> {
        let now = self.environment.now(self.preauth_offset);
        let options = self.kdc_options();
        let start = self.start_time.unwrap_or(now);
        let till = start.plus(self.lifetime.unwrap_or(AS_LONG_AS_GRANTED));
        let rtime = self.renew_lifetime.map(|lifetime| start.plus(lifetime));
        let nonce = self.environment.random_31_bits()?;
        let body = KdcReqBody {
            kdc_options: options,
            cname: Some(self.client.name.clone()),
            realm: self.client.realm.clone(),
            sname: Some(self.service().name),
            from: self.start_time.map(time),
            till: time(till),
            rtime: rtime.map(time),
            nonce: UInt32::new(nonce),
            etype: self.enctypes.iter().map(|enctype| enctype.0).collect(),
            addresses: (!self.addresses.is_empty()).then(|| self.addresses.clone()),
            enc_authorization_data: None,
            additional_tickets: None,
        };
        let enctype = preauth_key.as_ref().map(|key| key.key.enctype());
        trace::as_request(&self.client, enctype);
        let request = AsReq::new(Some(self.padata(preauth_key.as_ref())?), Raw::new(&body)?);
        let sent = Sent {
            der: request.to_der()?,
            nonce,
            options,
            from: self.start_time,
            till: Some(whole_seconds(till)),
            rtime: rtime.map(whole_seconds),
            preauth_key,
        };
        Ok(ExpectAsReply { login: self, sent })
    }

    fn padata(&mut self, preauth_key: Option<&ClientKey>) -> Result<Vec<PaData>, Error> {
        let mut padata = Vec::new();
        if let Some(cookie) = &self.cookie {
            // RFC 6113 5.2: the cookie is copied into the next request.
            padata.push(PaData::new(pa_type::PA_FX_COOKIE, cookie.clone()));
        }
        if let Some(key) = preauth_key {
            padata.push(self.encrypted_timestamp(key)?);
        }
        if let Some(include_pac) = self.options.request_pac {
            let request = KerbPaPacRequest { include_pac }.to_der()?;
            padata.push(PaData::new(pa_type::PA_PAC_REQUEST, request));
        }
        // RFC 6806 11: asks for a checksum of this request in the reply.
        padata.push(PaData::new(pa_type::PA_REQ_ENC_PA_REP, Vec::new()));
        Ok(padata)
    }

    /// PA-ENC-TIMESTAMP (RFC 4120 section 5.2.7.2).
    fn encrypted_timestamp(&self, key: &ClientKey) -> Result<PaData, Error> {
        let now = self.environment.unique_time(self.preauth_offset);
        let plain = PaEncTsEnc {
            patimestamp: time(now),
            pausec: Some(microseconds(now)),
        };
        let cipher = key
            .key
            .encrypt(
                KeyUsage::AS_REQ_PA_ENC_TIMESTAMP,
                &plain.to_der()?,
                &*self.environment.random,
            )
            .map_err(Error::crypto("encryption of the timestamp"))?;
        let data = EncryptedData::new(key.key.enctype().0, key.kvno, cipher);
        Ok(PaData::new(pa_type::PA_ENC_TIMESTAMP, data.to_der()?))
    }
}

/// The permitted enctypes, those that there is a key for first: the KDC then picks a type that works.
fn offered(
    secret: &ClientSecret,
    mut enctypes: Vec<Enctype>,
    client: &Principal,
) -> Result<Vec<Enctype>, Error> {
    if let ClientSecret::Keys(keys) = secret {
        let has_key = |enctype: &Enctype| keys.iter().any(|key| key.key.enctype() == *enctype);
        if keys.is_empty() {
            return Err(ApiMisuse::NoKeys {
                client: client.to_string(),
            }
            .into());
        }
        if !enctypes.iter().any(has_key) {
            return Err(CredentialFailure::NoPermittedClientKey {
                client: client.to_string(),
                permitted: list(&enctypes),
                available: list(&keys.iter().map(|key| key.key.enctype()).collect::<Vec<_>>()),
            }
            .into());
        }
        enctypes.sort_by_key(|enctype| !has_key(enctype));
    }
    Ok(enctypes)
}

/// Encryption types as text.
pub(crate) fn list(enctypes: &[Enctype]) -> String {
    if enctypes.is_empty() {
        return "none".to_owned();
    }
    enctypes
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Realms as text.
pub(crate) fn path(realms: &[Realm]) -> String {
    realms
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" -> ")
}

pub(crate) fn time(time: Timestamp) -> KerberosTime {
    KerberosTime::from_seconds(time.seconds())
}

/// What is left of a moment in a message.
pub(crate) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_seconds(time.seconds())
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("client", &self.client.to_string())
            .field("service", &self.service().to_string())
            .field("rounds", &self.rounds)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent")
            .field("length", &self.der.len())
            .field("preauth_key", &self.preauth_key)
            .finish_non_exhaustive()
    }
}
