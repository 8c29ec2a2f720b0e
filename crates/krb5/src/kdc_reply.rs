//! The checks that every reply of a KDC goes through (RFC 4120 sections 3.1.5 and 3.3.4).

use core::time::Duration;

use trihound_asn1::{EncKdcRepPart, PrincipalName, Raw, Realm, Ticket, TicketFlags};
use trihound_crypto::Enctype;
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use crate::refusal::whole;
use crate::{Credentials, Error, KdcMisbehaved, KeyMaterial, Principal};

/// Proof that a KDC's reply was decrypted and compared with the request, field by field.
#[derive(Debug)]
pub struct KdcReplyVerified(());

/// The flags that a client asks for by a KDC option; the others are the KDC's own to set.
pub(crate) const REQUESTABLE: TicketFlags = TicketFlags::FORWARDABLE
    .union(TicketFlags::FORWARDED)
    .union(TicketFlags::PROXIABLE)
    .union(TicketFlags::PROXY)
    .union(TicketFlags::MAY_POSTDATE)
    .union(TicketFlags::POSTDATED)
    .union(TicketFlags::RENEWABLE);

/// What a reply is compared with.
pub(crate) struct Asked<'a> {
    pub(crate) client: &'a Principal,
    /// Whether the KDC may answer under the client's canonical name (RFC 6806 section 6).
    pub(crate) may_rename_client: bool,
    pub(crate) server: &'a Principal,
    /// Whether canonicalize was set, so that the ticket may be a referral (RFC 6806 section 8).
    pub(crate) may_refer: bool,
    pub(crate) nonce: u32,
    pub(crate) enctypes: &'a [Enctype],
    /// The requestable flags that the ticket may have.
    pub(crate) flags: TicketFlags,
    pub(crate) start: Start,
    pub(crate) till: Option<Timestamp>,
    pub(crate) renew_till: Option<Timestamp>,
    pub(crate) skew: Duration,
}

/// When the ticket has to begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// At this moment, give or take the skew.
    At(Timestamp),
    /// The TGS copies or chooses the start; only the AS promises one.
    Any,
}

/// The clear parts of a reply.
pub(crate) struct Clear<'a> {
    pub(crate) crealm: &'a Realm,
    pub(crate) cname: &'a PrincipalName,
    pub(crate) ticket: &'a Raw<Ticket>,
}

/// Compares the decrypted part and the clear parts with the request.
///
/// Names of the service, times, flags and the key are taken from the encrypted part only
/// (conformance row 1).
pub(crate) fn verify(
    clear: &Clear<'_>,
    part: EncKdcRepPart,
    asked: &Asked<'_>,
) -> Result<(Credentials, KdcReplyVerified), Error> {
    // RFC 4120 3.1.5 and 3.3.4: "the nonce ... matches the nonce it supplied in its request".
    if part.nonce != asked.nonce {
        return Err(KdcMisbehaved::ReplyNonceDiffers.into());
    }
    let client = Principal {
        realm: clear.crealm.clone(),
        name: clear.cname.clone(),
    };
    // RFC 4120 3.1.5: the client verifies that "the cname and crealm fields in the reply match
    // those in the request"; RFC 6806 6 lets canonicalize change them.
    if client != *asked.client && !asked.may_rename_client {
        return Err(KdcMisbehaved::ClientDiffers {
            asked: asked.client.to_string(),
            found: client.to_string(),
        }
        .into());
    }
    let server = Principal {
        realm: part.srealm.clone(),
        name: part.sname.clone(),
    };
    check_server(&server, clear.ticket, asked)?;
    let session_enctype = Enctype(part.key.keytype);
    // RFC 4120 3.1.3: the session key's type is one of the request's etype list.
    if !asked.enctypes.contains(&session_enctype) {
        return Err(KdcMisbehaved::SessionEnctypeNotRequested {
            enctype: session_enctype,
        }
        .into());
    }
    check_times(&part, asked)?;
    let beyond = (part.flags & REQUESTABLE).difference(asked.flags);
    // RFC 4120 3.1.5: "verify that ... the ticket flags match what was requested".
    if !beyond.is_empty() {
        return Err(KdcMisbehaved::FlagsBeyondRequest {
            flags: flag_names(beyond),
        }
        .into());
    }
    let credentials = Credentials {
        client,
        server,
        session_key: KeyMaterial::new(
            session_enctype,
            SecretBytes::from(part.key.keyvalue.expose()),
        ),
        ticket: clear.ticket.der().to_vec(),
        flags: part.flags,
        authtime: whole(part.authtime),
        starttime: part.starttime.map(whole),
        endtime: whole(part.endtime),
        renew_till: part.renew_till.map(whole),
        addresses: part.caddr.unwrap_or_default(),
        authdata: Vec::new(),
        is_skey: false,
        second_ticket: Vec::new(),
    };
    Ok((credentials, KdcReplyVerified(())))
}

fn check_server(server: &Principal, ticket: &Raw<Ticket>, asked: &Asked<'_>) -> Result<(), Error> {
    let is_referral = asked.may_refer && server.is_krbtgt();
    // RFC 4120 3.3.4 with 3.1.5: "the sname and srealm" are those of the request; RFC 6806 8 lets
    // canonicalize answer with a ticket-granting ticket for the next realm.
    if server != asked.server && !is_referral {
        return Err(KdcMisbehaved::ServerDiffers {
            asked: asked.server.to_string(),
            found: server.to_string(),
        }
        .into());
    }
    let ticket = ticket.decode()?;
    let clear = Principal {
        realm: ticket.realm,
        name: ticket.sname,
    };
    // RFC 4120 3.1.5: the clear part of the ticket is not protected, so it has to agree with the
    // encrypted part (CVE-2017-11103 came of believing it).
    if clear != *server {
        return Err(KdcMisbehaved::TicketServerDiffers {
            encrypted: server.to_string(),
            clear: clear.to_string(),
        }
        .into());
    }
    Ok(())
}

fn check_times(part: &EncKdcRepPart, asked: &Asked<'_>) -> Result<(), Error> {
    let starttime = whole(part.starttime.unwrap_or(part.authtime));
    // RFC 4120 3.1.5: the times in the reply match those requested; with none requested the ticket
    // starts now.
    if let Start::At(expected) = asked.start
        && starttime.distance(expected) > asked.skew
    {
        return Err(KdcMisbehaved::StartTimeDiffers {
            expected,
            found: starttime,
            skew: asked.skew.as_secs(),
        }
        .into());
    }
    let endtime = whole(part.endtime);
    // RFC 4120 3.1.3: the end time is "the minimum of" the request's till and the KDC's limits.
    if let Some(till) = asked.till
        && endtime > till
    {
        return Err(KdcMisbehaved::EndTimeBeyondRequest {
            asked: till,
            found: endtime,
        }
        .into());
    }
    // RFC 4120 5.3: renew-till "is only present in tickets that have the RENEWABLE flag set"; whether
    // that flag was asked for is checked with the others.
    if let Some(found) = part.renew_till.map(whole)
        && !part.flags.contains(TicketFlags::RENEWABLE)
    {
        return Err(KdcMisbehaved::RenewTillOfNoRenewableTicket { found }.into());
    }
    // RFC 4120 3.1.3: renew-till is "the minimum of" the request's rtime and the KDC's limits.
    if let (Some(limit), Some(found)) = (asked.renew_till, part.renew_till.map(whole))
        && found > limit
    {
        return Err(KdcMisbehaved::RenewTillBeyondRequest {
            asked: limit,
            found,
        }
        .into());
    }
    Ok(())
}

pub(crate) fn flag_names(flags: TicketFlags) -> String {
    flags
        .iter_names()
        .map(|(name, _)| name.to_lowercase())
        .collect::<Vec<_>>()
        .join(", ")
}
