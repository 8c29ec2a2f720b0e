//! Which key opens a ticket (RFC 4120 section 3.2.3; conformance row 7).

use std::collections::HashSet;
use std::sync::Arc;

use trihound_asn1::{EncTicketPart, Message, Ticket, UInt32};
use trihound_crypto::{Enctype, EnctypePolicy, Key, KeyUsage};
use trihound_secret::SecretBytes;

use super::acceptor::AcceptRequest;
use crate::{
    Config, CredentialFailure, Error, KeytabEntry, PeerMisbehaved, Policy, Principal, trace,
};

/// Keytab entries that an error text lists.
const LISTED_ENTRIES: usize = 8;

/// A ticket that a key of the keytab opened.
pub(super) struct Opened {
    pub(super) part: EncTicketPart,
    /// Whose key it was.
    pub(super) server: Principal,
    /// The key, under which the PAC is signed too.
    pub(super) key: Arc<Key>,
}

/// Decrypts the ticket with the first key that fits.
///
/// With a named principal only its keys count, whatever name the ticket bears; where the
/// configuration ignores the acceptor's host name, those of the same service on any host. Without one, the
/// ticket's own name comes first, and then, where policy has it so, every other key of that type and
/// version, since aliases and letter case in a directory differ from the keytab's names.
pub(super) fn open_ticket(
    ticket: &Ticket,
    request: &AcceptRequest<'_>,
    config: &Config,
) -> Result<Opened, Error> {
    let policy = &config.permitted_enctypes;
    let named = Principal {
        realm: ticket.realm.clone(),
        name: ticket.sname.clone(),
    };
    let enctype = Enctype(ticket.enc_part.etype);
    let kvno = ticket.enc_part.kvno.map(UInt32::get);
    policy
        .check(enctype)
        .map_err(|_| Policy::EnctypeNotPermitted {
            what: "the ticket",
            enctype,
        })?;
    trace::ticket_to_open(&named, enctype, kvno);
    let is_any_host = |principal: &Principal| {
        config.ignore_acceptor_hostname
            && request
                .principal
                .is_some_and(|asked| asked.is_same_service(principal))
    };
    let wanted = match request.principal {
        Some(asked) if !is_any_host(&named) => asked,
        _ => &named,
    };
    let all = request.principal.is_none() && request.policy.try_other_keys;
    let others = (all || config.ignore_acceptor_hostname)
        .then(|| request.keytab.others(wanted, kvno, enctype))
        .into_iter()
        .flatten()
        .filter(|entry| all || is_any_host(&entry.principal));
    let own = request.keytab.candidates(wanted, kvno, enctype);
    let has_own = !own.is_empty();
    let mut tried: usize = 0;
    for entry in own.into_iter().chain(others) {
        tried = tried.saturating_add(1);
        if let Some((plain, key)) = decrypt(ticket, entry, policy) {
            trace::ticket_opened(&entry.principal, enctype, entry.kvno, tried);
            return Ok(Opened {
                part: EncTicketPart::from_der(plain.expose())?,
                server: entry.principal.clone(),
                key,
            });
        }
    }
    let server = named.to_string();
    // RFC 4120 3.2.3: without a key for the ticket's server, KRB_AP_ERR_NOKEY; that none of the others
    // fits either says nothing more.
    if !has_own {
        return Err(CredentialFailure::NoKeyForTicket {
            server,
            enctype,
            kvno,
            available: available(request, wanted),
        }
        .into());
    }
    Err(PeerMisbehaved::TicketDoesNotDecrypt {
        server,
        enctype,
        kvno,
        tried,
    }
    .into())
}

fn decrypt(
    ticket: &Ticket,
    entry: &KeytabEntry,
    policy: &EnctypePolicy,
) -> Option<(SecretBytes, Arc<Key>)> {
    let key = entry.key.key(policy).ok()?;
    let plain = key
        .decrypt(KeyUsage::KDC_REP_TICKET, &ticket.enc_part.cipher)
        .ok()?;
    Some((plain, key))
}

/// What the keytab has instead: the wanted principal's keys, or if it has none, who has some.
fn available(request: &AcceptRequest<'_>, wanted: &Principal) -> String {
    let own: Vec<String> = request
        .keytab
        .of_principal(wanted)
        .map(|entry| format!("version {} {}", entry.kvno, entry.key.enctype()))
        .collect();
    if !own.is_empty() {
        return format!("{} of it", listed(&own));
    }
    let mut seen = HashSet::new();
    let others: Vec<&Principal> = request
        .keytab
        .entries()
        .iter()
        .map(|entry| &entry.principal)
        .filter(|principal| seen.insert(*principal))
        .collect();
    if others.is_empty() {
        return "no keys at all".to_owned();
    }
    format!("none of it, but keys of {}", listed(&others))
}

fn listed(all: &[impl ToString]) -> String {
    let mut text = all
        .iter()
        .take(LISTED_ENTRIES)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more @ 1..) = all.len().checked_sub(LISTED_ENTRIES) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
