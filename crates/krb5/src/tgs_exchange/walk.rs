//! Which realm to ask for what (RFC 4120 section 1.2, RFC 6806 section 8).

use core::fmt;
use std::collections::VecDeque;
use std::sync::Arc;

use trihound_asn1::{Realm, TicketFlags, printable};

use super::{TgsOperation, TgsRequest};
use crate::ap::hierarchy_between;
use crate::as_exchange::path;
use crate::{ApiMisuse, Credentials, Environment, Error, KdcMisbehaved, Principal};

/// Realms that a walk may lead through. MIT krb5 has the same limit.
const MAX_REFERRALS: usize = 10;

/// A walk from the first ticket-granting ticket to the service.
pub(super) struct Walk {
    pub(super) environment: Environment,
    pub(super) request: TgsRequest,
    /// The ticket to ask with next.
    pub(super) tgt: Arc<Credentials>,
    /// The realm that this ticket is good in.
    realm: Realm,
    /// The service's realm, where it is known.
    target: Option<Realm>,
    /// Realms to ask a ticket-granting ticket for, the next one first, when the service is in
    /// another realm.
    candidates: VecDeque<Realm>,
    visited: Vec<Realm>,
    tgts: Vec<Arc<Credentials>>,
    /// Why the service is looked for where it is.
    origin: Origin,
    /// What the client's own realm said before another was tried on suspicion.
    refusal: Option<Error>,
}

/// Who named the realm of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The caller, or the operation.
    Given,
    /// `[domain_realm]`.
    DomainRealm,
    /// Nobody: the KDC of the client's realm is to know or to refer.
    Referral,
    /// The host's domain, after the KDC of the client's realm knew nothing.
    HostDomain,
}

/// Where a ticket led.
pub(super) enum Arrived {
    There {
        credentials: Box<Credentials>,
        tgts: Vec<Arc<Credentials>>,
    },
    OnTheWay(Box<Walk>),
}

impl Walk {
    pub(super) fn new(request: TgsRequest, environment: &Environment) -> Result<Self, Error> {
        let tgt = Arc::clone(&request.tgt);
        let realm = match request.operation {
            TgsOperation::Renew | TgsOperation::Validate => tgt.server.realm.clone(),
            TgsOperation::Ticket | TgsOperation::Forward => {
                let target = tgt.server.krbtgt_target().cloned();
                target.ok_or_else(|| ApiMisuse::NotATicketGrantingTicket {
                    server: tgt.server.to_string(),
                })?
            }
        };
        let (target, origin) = match request.operation {
            TgsOperation::Ticket => known_realm(&request.server, environment),
            _ => (Some(realm.clone()), Origin::Given),
        };
        let mut walk = Self {
            environment: environment.clone(),
            request,
            tgt,
            visited: vec![realm.clone()],
            realm,
            target,
            candidates: VecDeque::new(),
            tgts: Vec::new(),
            origin,
            refusal: None,
        };
        walk.plan();
        Ok(walk)
    }

    pub(super) fn client(&self) -> &Principal {
        &self.request.tgt.client
    }

    /// Whether the next request is for the service itself.
    pub(super) fn is_last_step(&self) -> bool {
        self.candidates.is_empty()
    }

    /// What to ask for next.
    pub(super) fn next_server(&self) -> Principal {
        match (self.candidates.front(), self.request.operation) {
            (Some(next), _) => Principal::krbtgt_for(next, &self.realm),
            (None, TgsOperation::Forward) => Principal::krbtgt(&self.realm),
            (None, _) => self.request.server.with_realm(self.realm.clone()),
        }
    }

    /// After "no such service": whether there is another realm to ask about.
    pub(super) fn try_next_realm(&mut self) -> bool {
        self.candidates.pop_front();
        !self.candidates.is_empty()
    }

    /// After "no such service" where nobody named its realm: whether the domain of its host may be
    /// one, as MIT krb5 tries. `refusal` is the answer if that comes to nothing.
    pub(super) fn try_host_domain(&mut self, refusal: impl FnOnce(&Self) -> Error) -> bool {
        if self.origin != Origin::Referral || !self.tgts.is_empty() {
            return false;
        }
        let host = self.request.server.name.name_string.get(1);
        let realm = host
            .and_then(|host| self.environment.config.fallback_realm(host.to_str()?))
            .map(Realm::from);
        let Some(realm) = realm.filter(|realm| *realm != self.realm) else {
            return false;
        };
        self.refusal = Some(refusal(self));
        self.origin = Origin::HostDomain;
        self.target = Some(realm);
        self.plan();
        true
    }

    /// The answer of the client's own realm, if another was tried and is not there.
    pub(super) fn first_refusal(&mut self) -> Option<Error> {
        self.refusal.take().filter(|_| self.tgts.is_empty())
    }

    /// How the service's realm was found, for whoever wonders at the name that was asked for.
    pub(super) fn origin(&self) -> String {
        let host = self.request.server.components().nth(1).unwrap_or_default();
        match self.origin {
            Origin::Given => String::new(),
            Origin::DomainRealm => {
                format!(" (the realm is [domain_realm]'s for {})", printable(host))
            }
            Origin::Referral => format!(
                " (no entry of [domain_realm] is for {}, and the KDC referred to no other realm)",
                printable(host)
            ),
            Origin::HostDomain => format!(
                " (no entry of [domain_realm] is for {}; the realm is its domain)",
                printable(host)
            ),
        }
    }

    /// Straight to the service's realm first, then the realms before it, from the far end (RFC 4120
    /// 1.2: a shortcut is to be preferred to the hierarchy).
    fn plan(&mut self) {
        self.candidates.clear();
        let Some(target) = self.target.clone().filter(|target| *target != self.realm) else {
            return;
        };
        let between = self.between(&target);
        self.candidates.push_back(target);
        for realm in between.into_iter().rev() {
            if !self.visited.contains(&realm) {
                self.candidates.push_back(realm);
            }
        }
    }

    /// The realms between the one at hand and the service's: those of `[capaths]` for the client's
    /// realm, else for the one at hand, else those of the hierarchy.
    fn between(&self, target: &Realm) -> Vec<Realm> {
        let config = &self.environment.config;
        let capath = |from: &Realm| config.capath(from.to_str()?, target.to_str()?);
        let owned = |path: &[String]| {
            path.iter()
                .map(|realm| Realm::from(realm.as_str()))
                .collect()
        };
        let client = &self.request.tgt.client.realm;
        if let Some(path) = capath(client) {
            let here = self.realm.as_bytes();
            let passed = path.iter().position(|realm| realm.as_bytes() == here);
            match passed {
                Some(position) => {
                    let rest = path.get(position.saturating_add(1)..).unwrap_or_default();
                    return owned(rest);
                }
                None if *client == self.realm => return owned(path),
                None => {}
            }
        }
        if let Some(path) = capath(&self.realm) {
            return owned(path);
        }
        hierarchy_between(self.realm.as_bytes(), target.as_bytes())
            .into_iter()
            .map(Realm::from)
            .collect()
    }

    /// Whether every ticket-granting ticket on the way that leads out of its realm has OK-AS-DELEGATE.
    fn is_trusted_to_delegate(&self) -> bool {
        let leads_out = |ticket: &Credentials| {
            ticket
                .server
                .krbtgt_target()
                .is_some_and(|target| *target != ticket.server.realm)
        };
        core::iter::once(&self.request.tgt)
            .chain(&self.tgts)
            .filter(|ticket| leads_out(ticket))
            .all(|ticket| ticket.flags.contains(TicketFlags::OK_AS_DELEGATE))
    }

    /// Takes the ticket that came for `asked`.
    pub(super) fn arrive(
        mut self,
        credentials: Credentials,
        asked: &Principal,
    ) -> Result<Arrived, Error> {
        if self.is_last_step() && credentials.server == *asked {
            let mut credentials = Box::new(credentials);
            // RFC 4120 2.8: OK-AS-DELEGATE is a realm's word to its own clients. That of another realm
            // counts as far as each realm on the way vouches for the next one by the same flag; MIT krb5 and
            // Windows (MS-KILE 3.3.5.7.5) hold it so.
            if !self.is_trusted_to_delegate() {
                credentials.flags.remove(TicketFlags::OK_AS_DELEGATE);
            }
            return Ok(Arrived::There {
                credentials,
                tgts: self.tgts,
            });
        }
        // RFC 6806 8: a referral is a ticket-granting ticket issued by the realm that was asked.
        if credentials.server.realm != asked.realm {
            return Err(KdcMisbehaved::ReferralFromOtherRealm {
                asked: asked.realm.to_string(),
                found: credentials.server.realm.to_string(),
            }
            .into());
        }
        let Some(next) = credentials.server.krbtgt_target().cloned() else {
            return Err(KdcMisbehaved::ServerDiffers {
                asked: asked.to_string(),
                found: credentials.server.to_string(),
            }
            .into());
        };
        // Active Directory answers for another name of a ticket-granting service of its own, such as the
        // domain's NetBIOS name, with a ticket-granting ticket for itself; asked without canonicalization
        // it gives the name that was meant. MIT krb5 asks again, too.
        if next == self.realm && self.is_last_step() && self.request.canonicalize {
            self.request.canonicalize = false;
            return Ok(Arrived::OnTheWay(Box::new(self)));
        }
        let is_loop = self.visited.contains(&next);
        self.visited.push(next.clone());
        // RFC 6806 8: a client detects loops and limits the number of referrals.
        if is_loop {
            return Err(KdcMisbehaved::ReferralLoop {
                path: path(&self.visited),
            }
            .into());
        }
        if self.visited.len() > MAX_REFERRALS {
            return Err(KdcMisbehaved::TooManyReferrals {
                limit: MAX_REFERRALS,
                path: path(&self.visited),
            }
            .into());
        }
        if self.target.as_ref() == Some(&self.realm) {
            // The realm that was taken for the service's refers elsewhere: from here on the KDCs
            // are to find it.
            self.target = None;
        }
        self.tgt = Arc::new(credentials);
        self.tgts.push(Arc::clone(&self.tgt));
        self.realm = next;
        self.plan();
        Ok(Arrived::OnTheWay(Box::new(self)))
    }
}

/// The service's realm as named, or as `[domain_realm]` has it for the host.
fn known_realm(server: &Principal, environment: &Environment) -> (Option<Realm>, Origin) {
    if !server.realm.is_empty() {
        return (Some(server.realm.clone()), Origin::Given);
    }
    let host = server
        .name
        .name_string
        .get(1)
        .and_then(|host| host.to_str());
    match host.and_then(|host| environment.config.realm_of_host(host)) {
        Some(realm) => (Some(Realm::from(realm)), Origin::DomainRealm),
        None if host.is_some() => (None, Origin::Referral),
        None => (None, Origin::Given),
    }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("server", &self.request.server.to_string())
            .field("visited", &path(&self.visited))
            .finish_non_exhaustive()
    }
}
