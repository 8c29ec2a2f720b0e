//! AddCredentials: what joined a credential after it was acquired.
//!
//! A client's identity of another principal serves the services of its realm; one of the same principal takes
//! the place of the old one. A service's keys join the others: a ticket is opened with whichever fits.

use std::sync::{Arc, PoisonError, RwLock};

use tracing::warn;
use trihound_krb5::{Config, Keytab, Principal};

use crate::credential::{Inbound, Outbound};
use crate::error::Error;

/// What one handle takes. Each identity of a client has a cache and each keytab is looked at in every
/// accept; nobody has as many.
const MAX_ADDED: usize = 64;

/// What was added, in the order of adding. Clones of the credential share it.
#[derive(Debug, Default)]
pub(crate) struct Added {
    outbound: RwLock<Vec<Arc<Outbound>>>,
    inbound: RwLock<Vec<Arc<Inbound>>>,
}

impl Added {
    /// Adds an identity of a client; tells whether there was room.
    pub(crate) fn add_outbound(&self, new: &Arc<Outbound>) -> bool {
        // Each change is one insertion or exchange, so a panic elsewhere leaves the list whole.
        let mut list = self
            .outbound
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = list.iter_mut().find(|old| old.client == new.client) {
            *old = Arc::clone(new);
            return true;
        }
        push(&mut list, new)
    }

    /// Adds keys of a service; tells whether there was room.
    pub(crate) fn add_inbound(&self, new: &Arc<Inbound>) -> bool {
        let mut list = self.inbound.write().unwrap_or_else(PoisonError::into_inner);
        push(&mut list, new)
    }

    /// The identities of clients, `own` first, each in the place of an older one of the same client.
    pub(crate) fn outbound(&self, own: Option<&Arc<Outbound>>) -> Vec<Arc<Outbound>> {
        let mut all: Vec<_> = own.cloned().into_iter().collect();
        let list = self.outbound.read().unwrap_or_else(PoisonError::into_inner);
        for new in list.iter() {
            match all.iter_mut().find(|old| old.client == new.client) {
                Some(old) => *old = Arc::clone(new),
                None => all.push(Arc::clone(new)),
            }
        }
        all
    }

    /// The keys of services, `own` first.
    pub(crate) fn inbound(&self, own: Option<&Arc<Inbound>>) -> Vec<Arc<Inbound>> {
        let list = self.inbound.read().unwrap_or_else(PoisonError::into_inner);
        own.into_iter().chain(list.iter()).cloned().collect()
    }
}

fn push<T>(list: &mut Vec<Arc<T>>, new: &Arc<T>) -> bool {
    let room = list.len() < MAX_ADDED;
    if room {
        list.push(Arc::clone(new));
    }
    room
}

/// The identity for a service: the one of the service's realm, as far as that is known without asking, else
/// the first.
pub(crate) fn for_service(
    all: &[Arc<Outbound>],
    server: &Principal,
    config: &Config,
) -> Option<Arc<Outbound>> {
    let host = server.components().nth(1).unwrap_or_default();
    let named = Some(server.realm.to_string()).filter(|realm| !realm.is_empty());
    let realm = named.or_else(|| {
        let host = core::str::from_utf8(host).ok()?;
        config.realm_of_host(host).map(str::to_owned)
    });
    let of_realm = |outbound: &&Arc<Outbound>| {
        realm.as_deref() == Some(outbound.account().realm.to_string().as_str())
    };
    let found = all.iter().find(of_realm).or_else(|| all.first());
    found.cloned()
}

/// One keytab of several, with the keys of those principals that each is for. A keytab that cannot be read
/// now leaves the others in service.
pub(crate) fn joined(all: &[Arc<Inbound>]) -> Result<Arc<Inbound>, Error> {
    let mut keytab = Keytab::new();
    let mut first_error = None;
    let mut read = false;
    for inbound in all {
        match inbound.keytab() {
            Ok(part) => {
                read = true;
                let wanted = |principal: &Principal| {
                    inbound
                        .principal
                        .as_ref()
                        .is_none_or(|own| own == principal)
                };
                let entries = part.entries().iter();
                for entry in entries.filter(|entry| wanted(&entry.principal)) {
                    keytab.push_shared(Arc::clone(entry));
                }
            }
            Err(error) => {
                warn!(%error, "A keytab of the credential cannot be read: {error}");
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if !read => Err(error),
        _ => Ok(Arc::new(Inbound::of_keytab(Arc::new(keytab)))),
    }
}
