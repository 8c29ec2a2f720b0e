use trihound::environment::{CacheName, ccache, user_name};
use trihound_krb5::{Config, CredentialCache, Principal};

use super::{Arguments, keytab};
use crate::caches;
use crate::outcome::{Failure, complain};

/// Whose tickets go into which cache.
pub(super) struct Place {
    /// The client.
    pub(super) client: Principal,
    name: CacheName,
    /// Whether the cache becomes the primary one of its collection.
    becomes_primary: bool,
}

impl Place {
    /// The client of a login, and the cache that its ticket goes into.
    pub(super) fn for_login(arguments: &Arguments, config: &Config) -> Result<Self, Failure> {
        let default = caches::choose(arguments.cache.as_deref(), config)?;
        if let CacheName::Memory(_) = default {
            return Err(Failure::new(format!(
                "{default} would be gone when this program ends; use FILE:/path or another type (-c or KRB5CCNAME)"
            )));
        }
        if let Some(lasting) = lasting(&default) {
            complain(format_args!(
                "kinit: warning: the keyring of {default} ends with this program, and the tickets with it; \
                 KEYRING:{lasting} lasts longer"
            ));
        }
        let client = client(arguments, config, &default)?;
        let place = Self::choose(arguments, config, default, client)?;
        arguments.say(&format!("Using principal: {}", place.client));
        Ok(place)
    }

    fn choose(
        arguments: &Arguments,
        config: &Config,
        default: CacheName,
        client: Principal,
    ) -> Result<Self, Failure> {
        if arguments.cache.is_some() {
            if let CacheName::Kcm(_) = default {
                // A daemon that does not answer is told of before a password is asked for.
                caches::open(&default, config)?.principal()?;
            }
            arguments.say(&format!("Using specified cache: {default}"));
            return Ok(Self {
                client,
                name: default,
                becomes_primary: false,
            });
        }
        let name = ccache::for_login(&default, config, &client)?;
        let kind = match caches::open(&name, config)?.principal() {
            Ok(Some(_)) if name != default => "existing",
            _ if caches::open(&default, config)?.name() == caches::open(&name, config)?.name() => {
                "default"
            }
            _ => "new",
        };
        arguments.say(&format!("Using {kind} cache: {name}"));
        Ok(Self {
            becomes_primary: caches::collection(&default, config)?.can_switch(),
            client,
            name,
        })
    }

    /// Puts the tickets there, in the place of what there was.
    pub(super) fn fill(&self, config: &Config, content: &CredentialCache) -> Result<(), Failure> {
        let cache = caches::open(&self.name, config)?;
        cache.initialize(content)?;
        if self.becomes_primary {
            caches::collection(cache.name(), config)?.switch_to(cache.name())?;
        }
        Ok(())
    }

    /// The cache whose ticket is renewed or validated, and its content.
    pub(super) fn of_ticket(
        arguments: &Arguments,
        config: &Config,
    ) -> Result<(Self, CredentialCache), Failure> {
        let default = caches::choose(arguments.cache.as_deref(), config)?;
        let named = match &arguments.principal {
            Some(name) => Some(parse(arguments, config, name)?),
            None => None,
        };
        // As MIT's kinit: the principal chooses among the caches of the collection.
        let name = match &named {
            Some(principal) if arguments.cache.is_none() => {
                caches::of_principal(&default, config, principal)?
            }
            _ => default,
        };
        let cache = caches::open(&name, config)?;
        arguments.say(&format!("Using cache: {}", cache.name()));
        let content = caches::read(&*cache, &name, config)?;
        if let Some(named) = named.filter(|named| *named != content.principal) {
            return Err(Failure::new(format!(
                "Matching credential not found: {} is {}'s, not {named}'s",
                cache.name(),
                content.principal
            )));
        }
        arguments.say(&format!("Using principal: {}", content.principal));
        let place = Self {
            client: content.principal.clone(),
            becomes_primary: arguments.cache.is_none()
                && caches::collection(&name, config)?.can_switch(),
            name,
        };
        Ok((place, content))
    }
}

/// What to write in the place of a keyring that a program does not outlive (keyrings(7)).
fn lasting(name: &CacheName) -> Option<String> {
    let CacheName::Keyring(residual) = name else {
        return None;
    };
    let (anchor, rest) = residual.split_once(':')?;
    matches!(anchor, "process" | "thread").then(|| format!("session:{rest}"))
}

fn parse(arguments: &Arguments, config: &Config, name: &str) -> Result<Principal, Failure> {
    let realm = config.default_realm.as_deref();
    Ok(if arguments.enterprise {
        Principal::parse_enterprise(name, realm)?
    } else {
        Principal::parse(name, realm)?
    })
}

fn client(
    arguments: &Arguments,
    config: &Config,
    default: &CacheName,
) -> Result<Principal, Failure> {
    if let Some(name) = &arguments.principal {
        return parse(arguments, config, name);
    }
    if arguments.uses_keytab() {
        let keytab = keytab(arguments, config)?;
        return caches::read_keytab(&keytab, arguments.keytab_option())?
            .entries()
            .first()
            .map(|entry| entry.principal.clone())
            .ok_or_else(|| Failure::new(format!("{} has no key", keytab.name())));
    }
    if let Some(principal) = caches::open(default, config)?.principal()? {
        return Ok(principal);
    }
    let user = user_name()
        .ok_or_else(|| Failure::new("no principal is given and the environment names no user"))?;
    parse(arguments, config, &user)
}
