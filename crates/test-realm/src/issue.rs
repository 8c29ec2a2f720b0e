use std::sync::Arc;
use std::time::Duration;

use trihound_asn1::{
    AsRep, AuthorizationData, EncAsRepPart, EncKdcRepPart, EncTgsRepPart, EncTicketPart,
    EncryptedData, EncryptionKey, HostAddress, KdcOptions, KdcRep, KdcReqBody, LastReqEntry,
    Message, PaData, Raw, Realm, TgsRep, Ticket, TicketFlags, TransitedEncoding, error_code,
};
use trihound_crypto::{Enctype, EnctypePolicy, Key, KeyUsage};
use trihound_krb5::Principal;
use trihound_krb5::pac::PacBuilder;
use trihound_sansio::Timestamp;

use crate::Fault;
use crate::as_exchange::etype_list;
use crate::database::Entry;
use crate::error::{Refusal, wire_time};
use crate::fault::RequestKind;
use crate::realm::Session;

/// The only transited encoding (RFC 4120 section 3.3.3.2).
pub(crate) const DOMAIN_X500_COMPRESS: i32 = 1;
/// Message types (RFC 4120 section 5.10).
const AS_REP: i32 = 11;
const TGS_REP: i32 = 13;

/// When a ticket holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) authtime: Timestamp,
    pub(crate) starttime: Timestamp,
    pub(crate) endtime: Timestamp,
    pub(crate) renew_till: Option<Timestamp>,
}

/// What the KDC decided to give.
pub(crate) struct Grant {
    pub(crate) kind: RequestKind,
    pub(crate) client: Principal,
    pub(crate) server: Principal,
    pub(crate) flags: TicketFlags,
    pub(crate) times: Times,
    pub(crate) addresses: Option<Vec<HostAddress>>,
    pub(crate) transited: Vec<u8>,
    pub(crate) authorization_data: Option<AuthorizationData>,
    /// What the PAC is to say.
    pub(crate) pac: Option<PacBuilder>,
    pub(crate) session_key: Key,
    /// Whose key the ticket is under.
    pub(crate) ticket_entry: Arc<Entry>,
    /// The client, in an AS exchange.
    pub(crate) client_entry: Option<Arc<Entry>>,
}

/// The key of the reply's encrypted part.
#[derive(Clone, Copy)]
pub(crate) struct ReplyKey<'k> {
    pub(crate) key: &'k Key,
    pub(crate) kvno: Option<u32>,
    pub(crate) usage: KeyUsage,
}

impl Session<'_> {
    /// The times of a ticket from nothing but the request and the principals' limits (RFC 4120
    /// section 3.1.3); sets the flags that depend on them.
    pub(crate) fn initial_times(
        &self,
        body: &KdcReqBody,
        client: &Entry,
        server: &Entry,
        flags: &mut TicketFlags,
    ) -> Result<Times, Refusal> {
        let policy = &self.realm.policy;
        let starttime = self.start_of(body, flags)?;
        let shortest = |client: Option<Duration>, server: Option<Duration>, realm: Duration| {
            realm
                .min(client.unwrap_or(realm))
                .min(server.unwrap_or(realm))
        };
        let life = shortest(
            client.options.max_life,
            server.options.max_life,
            policy.max_life,
        );
        let renewable_life = shortest(
            client.options.max_renewable_life,
            server.options.max_renewable_life,
            policy.max_renewable_life,
        );
        let asked = moment_or_max(body.till);
        let endtime = asked.min(starttime.plus(life));
        // RFC 4120 section 3.1.3: a ticket that would end before it begins is KDC_ERR_NEVER_VALID.
        if endtime < starttime.plus(policy.min_life) {
            return Err(never_valid(starttime, endtime));
        }
        // RFC 4120 section 3.1.3: RENEWABLE-OK asks for a renewable ticket where the endtime asked
        // for cannot be had.
        let instead = body.kdc_options.contains(KdcOptions::RENEWABLE_OK) && asked > endtime;
        let rtime = if body.kdc_options.contains(KdcOptions::RENEWABLE) {
            Some(body.rtime.map_or(Timestamp::MAX, moment_or_max))
        } else {
            instead.then_some(asked)
        };
        let renew_till = rtime
            .map(|rtime| rtime.min(starttime.plus(renewable_life)))
            .filter(|&till| till > endtime);
        flags.set(TicketFlags::RENEWABLE, renew_till.is_some());
        Ok(Times {
            authtime: self.now,
            starttime,
            endtime,
            renew_till,
        })
    }

    /// When a ticket begins; a later begin makes it postdated and invalid (RFC 4120 section 3.1.3).
    pub(crate) fn start_of(
        &self,
        body: &KdcReqBody,
        flags: &mut TicketFlags,
    ) -> Result<Timestamp, Refusal> {
        let from = body
            .from
            .map(|time| Timestamp::from_seconds(time.seconds()));
        let postdated = body.kdc_options.contains(KdcOptions::POSTDATED);
        let Some(from) = from.filter(|&from| from > self.now.plus(self.realm.policy.clock_skew))
        else {
            return Ok(self.now);
        };
        // RFC 4120 section 3.1.3: a later begin needs the POSTDATED option and the realm's leave.
        if !postdated || !self.realm.policy.postdatable {
            return Err(Refusal::new(
                error_code::KDC_ERR_CANNOT_POSTDATE,
                format!("a ticket from {from} on is not to be had"),
            ));
        }
        flags.insert(TicketFlags::POSTDATED | TicketFlags::INVALID);
        Ok(from)
    }

    /// A key of the first enctype of the client's list that the service has one of (RFC 4120
    /// section 3.1.3).
    pub(crate) fn session_key(&self, etypes: &[i32], server: &Entry) -> Result<Key, Refusal> {
        let policy = &self.realm.enctypes;
        let enctype = etypes
            .iter()
            .map(|&etype| Enctype(etype))
            .find(|&enctype| policy.permits(enctype) && server.slot(enctype).is_some())
            .ok_or_else(|| {
                Refusal::new(
                    error_code::KDC_ERR_ETYPE_NOSUPP,
                    format!(
                        "{} supports no enctype that the request offers ({})",
                        server.principal,
                        etype_list(etypes)
                    ),
                )
            })?;
        Ok(Key::generate(enctype, policy, &*self.realm.random)?)
    }

    /// The server as the reply names it: as asked, its type included.
    pub(crate) fn server_name(&self, body: &KdcReqBody, server: &Entry) -> Principal {
        match &body.sname {
            Some(name) if server.principal.name.same_name(name) => Principal {
                realm: self.realm.name.clone(),
                name: name.clone(),
            },
            _ => server.principal.with_realm(self.realm.name.clone()),
        }
    }

    /// AS-REP or TGS-REP, with the faults that are set (RFC 4120 section 5.4.2).
    pub(crate) fn reply(
        &self,
        mut grant: Grant,
        body: &KdcReqBody,
        reply_key: ReplyKey<'_>,
        padata: Vec<PaData>,
        encrypted_pa_data: Option<Vec<PaData>>,
    ) -> Result<Vec<u8>, Refusal> {
        self.spoil_grant(&mut grant)?;
        let session_key = encryption_key(&grant.session_key);
        let ticket = self.ticket(&grant, &session_key)?;
        let mut part = EncKdcRepPart {
            key: session_key,
            last_req: vec![LastReqEntry {
                lr_type: 0,
                lr_value: wire_time(self.now),
            }],
            nonce: body.nonce,
            key_expiration: grant
                .client_entry
                .as_ref()
                .and_then(|entry| entry.options.password_expires)
                .map(wire_time),
            flags: grant.flags,
            authtime: wire_time(grant.times.authtime),
            starttime: Some(wire_time(grant.times.starttime)),
            endtime: wire_time(grant.times.endtime),
            renew_till: grant.times.renew_till.map(wire_time),
            srealm: grant.server.realm.clone(),
            sname: grant.server.name.clone(),
            caddr: grant.addresses.clone(),
            encrypted_pa_data,
        };
        self.spoil_part(&mut part);
        let enc_part = self.seal_part(&grant, part, reply_key)?;
        let (crealm, cname) = self.shown_client(&grant);
        let as_rep = (grant.kind == RequestKind::As) != self.has(&Fault::OtherMessageType);
        let rep = KdcRep {
            pvno: 5,
            msg_type: if as_rep { AS_REP } else { TGS_REP },
            padata: (!padata.is_empty()).then_some(padata),
            crealm,
            cname,
            ticket,
            enc_part,
        };
        let der = if as_rep {
            AsRep(rep).to_der()?
        } else {
            TgsRep(rep).to_der()?
        };
        Ok(self.spoil_bytes(grant.kind, der))
    }

    fn has(&self, wanted: &Fault) -> bool {
        self.faults.contains(wanted)
    }

    /// Faults that ticket and reply share.
    fn spoil_grant(&self, grant: &mut Grant) -> Result<(), Refusal> {
        for fault in &self.faults {
            match fault {
                Fault::StartTime(seconds) => {
                    let micros = seconds.saturating_mul(1_000_000);
                    grant.times.authtime = grant.times.authtime.shifted(micros);
                    grant.times.starttime = grant.times.starttime.shifted(micros);
                }
                Fault::EndTime(by) => grant.times.endtime = grant.times.endtime.plus(*by),
                Fault::RenewTill(by) => {
                    let from = grant.times.renew_till.unwrap_or(grant.times.endtime);
                    grant.times.renew_till = Some(from.plus(*by));
                }
                Fault::ExtraFlags(flags) => grant.flags.insert(*flags),
                Fault::RequestChecksumMissing => grant.flags.insert(TicketFlags::ENC_PA_REP),
                Fault::SessionEtype(enctype) => {
                    let policy = any_enctype(&self.realm.enctypes, *enctype);
                    grant.session_key = Key::generate(*enctype, &policy, &*self.realm.random)?;
                }
                Fault::ReferralFrom { issuer, .. } => {
                    grant.server.realm = Realm::from(issuer.as_str());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Faults of the encrypted part alone.
    fn spoil_part(&self, part: &mut EncKdcRepPart) {
        for fault in &self.faults {
            match fault {
                Fault::Nonce => part.nonce = (part.nonce.get() ^ 1).into(),
                Fault::ServerRealm(realm) => part.srealm = Realm::from(realm.as_str()),
                Fault::ServerName(name) => {
                    if let Ok(name) = Principal::parse(name, self.realm.name.to_str()) {
                        part.sname = name.name;
                    }
                }
                Fault::SessionKeyLength => {
                    let mut short = part.key.keyvalue.expose().to_vec();
                    short.pop();
                    part.key.keyvalue = short.into();
                }
                _ => {}
            }
        }
    }

    fn seal_part(
        &self,
        grant: &Grant,
        part: EncKdcRepPart,
        reply_key: ReplyKey<'_>,
    ) -> Result<EncryptedData, Refusal> {
        let as_tag = (grant.kind == RequestKind::As) != self.has(&Fault::OtherTag);
        let plain = if as_tag {
            EncAsRepPart(part).to_der()?
        } else {
            EncTgsRepPart(part).to_der()?
        };
        let usage = if self.has(&Fault::KeyUsage) {
            KeyUsage(reply_key.usage.0 ^ 0x100)
        } else {
            reply_key.usage
        };
        let random = &*self.realm.random;
        let other = if self.has(&Fault::AnotherKey) {
            let enctype = reply_key.key.enctype();
            Some(Key::generate(enctype, &self.realm.enctypes, random)?)
        } else {
            None
        };
        let key = other.as_ref().unwrap_or(reply_key.key);
        let mut cipher = key.encrypt(usage, &plain, random)?;
        if self.has(&Fault::FlipEncryptedPart)
            && let Some(byte) = cipher.last_mut()
        {
            *byte ^= 1;
        }
        let claimed = self.fault(|fault| match fault {
            Fault::ReplyEtype(enctype) => Some(*enctype),
            _ => None,
        });
        Ok(EncryptedData {
            etype: claimed.unwrap_or(key.enctype()).0,
            kvno: reply_key.kvno.map(Into::into),
            cipher: cipher.into(),
        })
    }

    fn shown_client(&self, grant: &Grant) -> (Realm, trihound_asn1::PrincipalName) {
        let mut client = grant.client.clone();
        for fault in &self.faults {
            match fault {
                Fault::ClientRealm(realm) => client.realm = Realm::from(realm.as_str()),
                Fault::ClientName(name) => {
                    if let Ok(other) = Principal::parse(name, self.realm.name.to_str()) {
                        client.name = other.name;
                    }
                }
                _ => {}
            }
        }
        (client.realm, client.name)
    }

    /// The ticket, under the service's key of its own first choice (RFC 4120 section 5.3).
    fn ticket(&self, grant: &Grant, session_key: &EncryptionKey) -> Result<Raw<Ticket>, Refusal> {
        let mut part = EncTicketPart {
            flags: grant.flags,
            key: session_key.clone(),
            crealm: grant.client.realm.clone(),
            cname: grant.client.name.clone(),
            transited: TransitedEncoding {
                tr_type: DOMAIN_X500_COMPRESS,
                contents: grant.transited.clone().into(),
            },
            authtime: wire_time(grant.times.authtime),
            starttime: Some(wire_time(grant.times.starttime)),
            endtime: wire_time(grant.times.endtime),
            renew_till: grant.times.renew_till.map(wire_time),
            caddr: grant.addresses.clone(),
            authorization_data: grant.authorization_data.clone(),
        };
        let entry = match &grant.client_entry {
            Some(client) if self.has(&Fault::TicketUnderAnotherKey) => client,
            _ => &grant.ticket_entry,
        };
        let slot = if self.has(&Fault::OldKeyVersion) {
            entry.previous().next().or_else(|| entry.present().next())
        } else {
            entry.present().next()
        };
        let Some(slot) = slot else {
            return Err(Refusal::new(
                error_code::KDC_ERR_NULL_KEY,
                format!("{} has no key", entry.principal),
            ));
        };
        let key = entry.key(slot, &self.realm.enctypes)?;
        self.put_pac(grant, &mut part, &key)?;
        let cipher = key.encrypt(
            KeyUsage::KDC_REP_TICKET,
            &part.to_der()?,
            &*self.realm.random,
        )?;
        let mut shown = grant.server.clone();
        for fault in &self.faults {
            match fault {
                Fault::TicketRealm(realm) => shown.realm = Realm::from(realm.as_str()),
                Fault::TicketName(name) => {
                    if let Ok(other) = Principal::parse(name, self.realm.name.to_str()) {
                        shown.name = other.name;
                    }
                }
                _ => {}
            }
        }
        Ok(Raw::new(&Ticket {
            tkt_vno: 5,
            realm: shown.realm,
            sname: shown.name,
            enc_part: EncryptedData {
                etype: slot.enctype.0,
                kvno: Some(slot.kvno.into()),
                cipher: cipher.into(),
            },
        })?)
    }

    fn spoil_bytes(&self, kind: RequestKind, mut reply: Vec<u8>) -> Vec<u8> {
        let before = self.realm.history.replace(kind, &reply);
        if self.has(&Fault::StaleReply)
            && let Some(before) = before
        {
            return before;
        }
        for fault in &self.faults {
            if let Fault::FlipReply(offset) = fault
                && let Some(at) = offset.checked_rem(reply.len())
                && let Some(byte) = reply.get_mut(at)
            {
                *byte ^= 1;
            }
        }
        reply
    }
}

/// The realm's policy with one more enctype, for a fault that breaks that policy on purpose.
fn any_enctype(policy: &EnctypePolicy, enctype: Enctype) -> EnctypePolicy {
    trihound_crypto::danger::permit_weak_enctypes(policy.clone(), &[enctype])
}

pub(crate) fn encryption_key(key: &Key) -> EncryptionKey {
    EncryptionKey {
        keytype: key.enctype().0,
        keyvalue: key.expose().into(),
    }
}

/// RFC 4120 section 5.4.1: a till of the epoch asks for the longest.
pub(crate) fn moment_or_max(time: trihound_asn1::KerberosTime) -> Timestamp {
    match time.seconds() {
        0 => Timestamp::MAX,
        seconds => Timestamp::from_seconds(seconds),
    }
}

pub(crate) fn never_valid(starttime: Timestamp, endtime: Timestamp) -> Refusal {
    Refusal::new(
        error_code::KDC_ERR_NEVER_VALID,
        format!("the ticket would hold from {starttime} to {endtime}"),
    )
}
