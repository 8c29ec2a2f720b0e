use std::sync::Arc;

use trihound_asn1::TicketFlags;
use trihound_krb5::{Config, CredentialCache, Credentials, Principal};

use super::Arguments;
use super::place::Place;
use crate::outcome::Failure;
use crate::tgs;

/// Settings that tell of how the ticket was got, which stay true of the renewed one.
const LASTING_SETTINGS: [&str; 2] = ["fast_avail", "pa_type"];

/// Renews or validates the ticket of a cache. As with MIT's kinit it is then the cache's only one.
pub(super) fn run(arguments: &Arguments, config: &Arc<Config>) -> Result<(), Failure> {
    let (place, old) = Place::of_ticket(arguments, config)?;
    let server = match &arguments.service {
        Some(name) => Principal::parse(name, config.default_realm.as_deref())?,
        None => Principal::krbtgt(&old.principal.realm),
    };
    let ticket = find(arguments, &old, &server).ok_or_else(|| {
        let what = if arguments.validate {
            "validate"
        } else {
            "renew"
        };
        Failure::new(format!(
            "Matching credential not found: the cache of {} has no ticket for {server} to {what}",
            old.principal
        ))
    })?;
    let credentials = if arguments.validate {
        if !ticket.flags.contains(TicketFlags::INVALID) {
            return Err(Failure::new(format!(
                "the ticket for {server} is valid already; only a postdated one (kinit -s) has to be validated"
            )));
        }
        tgs::validate(config, ticket, old.time_offset)?
    } else {
        tgs::renew(config, ticket, old.time_offset)?
    };
    let mut cache = CredentialCache::new(old.principal.clone());
    cache.time_offset = old.time_offset;
    for key in LASTING_SETTINGS {
        cache.set_config(key, Some(&server), old.config(key, Some(&server)));
    }
    cache.store(Arc::new(credentials));
    place.fill(config, &cache)?;
    arguments.say(if arguments.validate {
        "Validated the ticket"
    } else {
        "Renewed the ticket"
    });
    Ok(())
}

/// Of several tickets for the service the one that the operation is for, and of those the latest.
fn find<'a>(
    arguments: &Arguments,
    cache: &'a CredentialCache,
    server: &Principal,
) -> Option<&'a Arc<Credentials>> {
    cache
        .credentials
        .iter()
        .filter(|credentials| credentials.server == *server)
        .max_by_key(|credentials| {
            let fits = if arguments.validate {
                TicketFlags::INVALID
            } else {
                TicketFlags::RENEWABLE
            };
            (credentials.flags.contains(fits), credentials.endtime)
        })
}
