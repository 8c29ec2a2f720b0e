//! The TGS-REQ and what its TGS-REP is held against (RFC 4120 sections 5.4.1, 5.4.2 and 3.3.4).

use core::fmt;
use std::sync::Arc;

use trihound_asn1::{
    ApOptions, ApReq, Checksum, KdcOptions, KdcReqBody, KerberosTime, Message, PaData, Raw, TgsRep,
    TgsReq, TicketFlags, UInt32, decode_enc_kdc_rep_part, pa_type,
};
use trihound_crypto::{Enctype, Key, KeyUsage};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use super::TgsOperation;
use super::walk::Walk;
use crate::ap::{AuthenticatorParts, seal_authenticator, session_key};
use crate::as_exchange::{time, whole_seconds};
use crate::kdc_reply::{Asked, Clear, KdcReplyVerified, REQUESTABLE, Start, verify};
use crate::{Credentials, Error, KdcMisbehaved, Principal};

/// A request as it went out, with what the reply is compared with.
pub(super) struct Sent {
    pub(super) der: Vec<u8>,
    pub(super) asked: Principal,
    nonce: u32,
    enctypes: Vec<Enctype>,
    session_key: Arc<Key>,
    subkey: Key,
    may_refer: bool,
    flags: TicketFlags,
    till: Option<Timestamp>,
    rtime: Option<Timestamp>,
}

impl Sent {
    /// Builds the request for the walk's next step.
    pub(super) fn new(walk: &Walk) -> Result<Self, Error> {
        let environment = &walk.environment;
        let policy = &environment.config.permitted_enctypes;
        let enctypes = environment.config.tgs_enctypes();
        let asked = walk.next_server();
        let nonce = environment.random_31_bits()?;
        let may_refer = walk.request.canonicalize || !walk.is_last_step();
        let options = kdc_options(walk, may_refer);
        let till = till(walk);
        let rtime = options
            .contains(KdcOptions::RENEWABLE)
            .then_some(walk.tgt.renew_till)
            .flatten();
        let body = Raw::new(&KdcReqBody {
            kdc_options: options,
            cname: None,
            realm: asked.realm.clone(),
            sname: Some(asked.name.clone()),
            from: None,
            till: till.map_or(KerberosTime::from_seconds(0), time),
            rtime: rtime.map(time),
            nonce: UInt32::new(nonce),
            etype: enctypes.iter().map(|enctype| enctype.0).collect(),
            addresses: None,
            enc_authorization_data: None,
            additional_tickets: None,
        })?;
        let session_key = session_key(&walk.tgt, environment)?;
        let subkey = Key::generate(session_key.enctype(), policy, &*environment.random)
            .map_err(Error::crypto("making of a sub-key"))?;
        let padata = pa_tgs_req(walk, &body, &session_key, &subkey)?;
        Ok(Self {
            der: TgsReq::new(Some(vec![padata]), body).to_der()?,
            asked,
            nonce,
            enctypes,
            session_key,
            subkey,
            may_refer,
            flags: (flags_of(options) | walk.tgt.flags) & REQUESTABLE,
            // A renewed ticket is as long as the old one, to the limit that the old one tells.
            till: till.or(walk.tgt.renew_till),
            rtime: rtime.or(walk.tgt.renew_till).map(whole_seconds),
        })
    }
}

/// PA-TGS-REQ: an AP-REQ whose authenticator has a keyed checksum of the body and a sub-key for the
/// reply (RFC 4120 section 5.4.1, conformance rows 87 and 88).
fn pa_tgs_req(
    walk: &Walk,
    body: &Raw<KdcReqBody>,
    session_key: &Key,
    subkey: &Key,
) -> Result<PaData, Error> {
    let checksum_type = session_key.required_checksum();
    let checksum = session_key
        .checksum(KeyUsage::TGS_REQ_AUTH_CKSUM, checksum_type, body.der())
        .map_err(Error::crypto("checksum of the request"))?;
    let authenticator = seal_authenticator(
        AuthenticatorParts {
            client: &walk.tgt.client,
            checksum: Some(Checksum::new(checksum_type.0, checksum)),
            time: walk.environment.unique_time(walk.request.time_offset),
            subkey: Some(subkey),
            sequence: None,
            authorization_data: None,
        },
        session_key,
        KeyUsage::TGS_REQ_AUTH,
        &walk.environment,
    )?;
    let ticket = Raw::from_der(walk.tgt.ticket.as_slice())?;
    let request = ApReq::new(ApOptions::empty(), ticket, authenticator);
    Ok(PaData::new(pa_type::PA_TGS_REQ, request.to_der()?))
}

/// The ticket-granting ticket's own properties are asked for again, so that a service can be given
/// what the client has; MIT krb5 asks for the same.
fn kdc_options(walk: &Walk, may_refer: bool) -> KdcOptions {
    let mut options = [
        (TicketFlags::FORWARDABLE, KdcOptions::FORWARDABLE),
        (TicketFlags::PROXIABLE, KdcOptions::PROXIABLE),
        (TicketFlags::RENEWABLE, KdcOptions::RENEWABLE),
    ]
    .into_iter()
    .filter(|(flag, _)| walk.tgt.flags.contains(*flag))
    .fold(KdcOptions::empty(), |options, (_, option)| options | option);
    options |= match walk.request.operation {
        TgsOperation::Ticket => KdcOptions::empty(),
        TgsOperation::Renew => KdcOptions::RENEW,
        TgsOperation::Validate => KdcOptions::VALIDATE,
        TgsOperation::Forward => KdcOptions::FORWARDED,
    };
    if may_refer {
        options |= KdcOptions::CANONICALIZE;
    }
    options
}

fn flags_of(options: KdcOptions) -> TicketFlags {
    [
        (KdcOptions::FORWARDABLE, TicketFlags::FORWARDABLE),
        (KdcOptions::FORWARDED, TicketFlags::FORWARDED),
        (KdcOptions::PROXIABLE, TicketFlags::PROXIABLE),
        (KdcOptions::RENEWABLE, TicketFlags::RENEWABLE),
    ]
    .into_iter()
    .filter(|(option, _)| options.contains(*option))
    .fold(TicketFlags::empty(), |flags, (_, flag)| flags | flag)
}

/// The latest end to ask for; `None` leaves it to the KDC, as renewal has to.
fn till(walk: &Walk) -> Option<Timestamp> {
    match walk.request.operation {
        TgsOperation::Renew => None,
        _ => {
            let end = walk.tgt.endtime;
            let now = walk.environment.now(walk.request.time_offset);
            let wanted = walk
                .request
                .lifetime
                .map_or(end, |lifetime| now.plus(lifetime));
            Some(whole_seconds(wanted.min(end)))
        }
    }
}

/// Opens and checks the reply to `sent`.
pub(super) fn accept(
    walk: &Walk,
    sent: &Sent,
    der: &[u8],
) -> Result<(Credentials, KdcReplyVerified), Error> {
    let reply = TgsRep::from_der(der)?;
    let enctype = Enctype(reply.enc_part.etype);
    // RFC 4120 3.3.3: the reply is under the sub-key or the session key, both of this type.
    if enctype != sent.subkey.enctype() {
        return Err(KdcMisbehaved::ReplyEnctypeNotRequested { enctype }.into());
    }
    let plain = open(sent, &reply.enc_part.cipher, enctype)?;
    let part = decode_enc_kdc_rep_part(plain.expose())?;
    let (credentials, verified) = verify(
        &Clear {
            crealm: &reply.crealm,
            cname: &reply.cname,
            ticket: &reply.ticket,
        },
        part,
        &Asked {
            client: walk.client(),
            may_rename_client: false,
            server: &sent.asked,
            may_refer: sent.may_refer,
            nonce: sent.nonce,
            enctypes: &sent.enctypes,
            flags: sent.flags,
            start: Start::Any,
            till: sent.till,
            renew_till: sent.rtime,
            skew: walk.environment.config.clock_skew,
        },
    )?;
    check_same_ticket(walk, &credentials)?;
    Ok((credentials, verified))
}

/// RFC 4120 5.4.2: key usage 9 with the authenticator's sub-key; some KDCs take the session key and
/// usage 8 all the same.
fn open(sent: &Sent, cipher: &[u8], enctype: Enctype) -> Result<SecretBytes, Error> {
    sent.subkey
        .decrypt(KeyUsage::TGS_REP_ENC_PART_SUBKEY, cipher)
        .or_else(|_| {
            sent.session_key
                .decrypt(KeyUsage::TGS_REP_ENC_PART_SESSKEY, cipher)
        })
        .map_err(|_| {
            KdcMisbehaved::ReplyDoesNotDecrypt {
                message: "TGS-REP",
                enctype,
                key: "the sub-key of the request or the session key",
                advice: "the reply was altered, or it answers another request; try again",
            }
            .into()
        })
}

/// RFC 4120 3.3.3: a renewed or validated ticket is the old one with new times; a forwarded one says
/// so.
fn check_same_ticket(walk: &Walk, new: &Credentials) -> Result<(), Error> {
    let (old, operation) = (&walk.tgt, walk.request.operation);
    let fault = |operation, difference| {
        Err(KdcMisbehaved::NotTheSameTicket {
            operation,
            difference,
        }
        .into())
    };
    match operation {
        TgsOperation::Ticket => Ok(()),
        TgsOperation::Forward if !new.flags.contains(TicketFlags::FORWARDED) => {
            fault("forwarding", "it is not marked as forwarded")
        }
        TgsOperation::Forward => Ok(()),
        TgsOperation::Renew | TgsOperation::Validate => {
            let name = if operation == TgsOperation::Renew {
                "renewal"
            } else {
                "validation"
            };
            let kept = REQUESTABLE.difference(TicketFlags::RENEWABLE);
            if !(old.flags & kept).difference(new.flags).is_empty() {
                return fault(name, "it lost flags");
            }
            if new.authtime != old.authtime {
                return fault(name, "it tells another time of authentication");
            }
            if new.flags.contains(TicketFlags::INVALID) {
                return fault(name, "it is still invalid");
            }
            Ok(())
        }
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent")
            .field("asked", &self.asked.to_string())
            .field("length", &self.der.len())
            .finish_non_exhaustive()
    }
}
