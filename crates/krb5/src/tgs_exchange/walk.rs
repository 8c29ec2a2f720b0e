//! Which realm to ask for what (RFC 4120 section 1.2, RFC 6806 section 8).

use core::fmt;
use std::collections::VecDeque;
use std::sync::Arc;

use trihound_asn1::Realm;

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
        let target = match request.operation {
            TgsOperation::Ticket => known_realm(&request.server, environment),
            _ => Some(realm.clone()),
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

    /// Straight to the service's realm first, then the realms before it on the hierarchy, from the
    /// far end (RFC 4120 1.2: a shortcut is to be preferred to the hierarchy).
    fn plan(&mut self) {
        self.candidates.clear();
        let Some(target) = self.target.clone().filter(|target| *target != self.realm) else {
            return;
        };
        let between = hierarchy_between(self.realm.as_bytes(), target.as_bytes());
        self.candidates.push_back(target);
        for realm in between.into_iter().rev() {
            let realm = Realm::from(realm);
            if !self.visited.contains(&realm) {
                self.candidates.push_back(realm);
            }
        }
    }

    /// Takes the ticket that came for `asked`.
    pub(super) fn arrive(
        mut self,
        credentials: Credentials,
        asked: &Principal,
    ) -> Result<Arrived, Error> {
        if self.is_last_step() && credentials.server == *asked {
            let credentials = Box::new(credentials);
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
fn known_realm(server: &Principal, environment: &Environment) -> Option<Realm> {
    if !server.realm.is_empty() {
        return Some(server.realm.clone());
    }
    let host = server.name.name_string.get(1)?.to_str()?;
    environment.config.realm_of_host(host).map(Realm::from)
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("server", &self.request.server.to_string())
            .field("visited", &path(&self.visited))
            .finish_non_exhaustive()
    }
}
