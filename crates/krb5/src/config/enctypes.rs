//! Lists of encryption types: names, families, `DEFAULT`, and signs (kdc.conf(5)).

use trihound_crypto::{Enctype, EnctypePolicy, Status, danger};

use super::values::{Found, LibDefaults};
use super::{Config, ConfigError, ConfigWarning, WarningReason};

/// Which weak encryption types the configuration allows.
#[derive(Clone, Copy, Default)]
struct Weak {
    /// RC4, also as a part of the default list.
    rc4: bool,
    /// Those that a list names.
    listed: bool,
}

/// What a word of a list stands for.
enum Meaning {
    Enctypes(Vec<Enctype>),
    /// A type that others have and we do not; as good as absent.
    Elsewhere,
    /// DES, triple DES and the export RC4.
    Removed,
    Unknown,
}

impl Config {
    pub(super) fn read_enctypes(&mut self, lib: LibDefaults<'_>) -> Result<(), ConfigError> {
        let allow = Weak {
            rc4: lib.boolean("allow_rc4")?.unwrap_or_default(),
            listed: lib.boolean("allow_weak_crypto")?.unwrap_or_default(),
        };
        if let Some(found) = lib.find("permitted_enctypes") {
            let list = enctypes(&found, allow, &mut self.warnings);
            match danger::only_with_weak(&list) {
                Ok(policy) => self.permitted_enctypes = policy,
                // A list of nothing but dead types is one that was never looked at since: the default,
                // in which nothing is weak, holds, as if it had not been written.
                Err(_) => self
                    .warnings
                    .push(found.warning(WarningReason::NoEnctypeLeft)),
            }
        } else if allow.rc4 {
            let default = self.permitted_enctypes.enctypes();
            let list: Vec<Enctype> = default.iter().copied().chain([Enctype::RC4_HMAC]).collect();
            if let Ok(policy) = danger::only_with_weak(&list) {
                self.permitted_enctypes = policy;
            }
        }
        self.default_tkt_enctypes = self.requested_list(lib, "default_tkt_enctypes", allow);
        self.default_tgs_enctypes = self.requested_list(lib, "default_tgs_enctypes", allow);
        Ok(())
    }

    /// A list of those to ask for; where nothing of it is left, the permitted ones are asked for.
    fn requested_list<'a>(
        &mut self,
        lib: LibDefaults<'a>,
        name: &'a str,
        allow: Weak,
    ) -> Option<EnctypePolicy> {
        let found = lib.find(name)?;
        let list = enctypes(&found, allow, &mut self.warnings);
        let policy = danger::only_with_weak(&list).ok();
        if policy.is_none() {
            self.warnings
                .push(found.warning(WarningReason::NoEnctypeLeft));
        }
        policy
    }
}

impl Found<'_> {
    pub(super) fn warning(&self, reason: WarningReason) -> ConfigWarning {
        ConfigWarning {
            place: self.relation.place.clone(),
            subject: self.subject.clone(),
            reason,
        }
    }
}

/// Reads a list; a `-` stands before what is to go. What is not known is passed over.
fn enctypes(found: &Found<'_>, allow: Weak, warnings: &mut Vec<ConfigWarning>) -> Vec<Enctype> {
    let mut list: Vec<Enctype> = Vec::new();
    for token in found.value.split([' ', '\t', ',', '\r', '\n']) {
        let (removes, token) = match token.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, token.strip_prefix('+').unwrap_or(token)),
        };
        if token.is_empty() {
            continue;
        }
        let name = || token.to_owned();
        let meant = match meaning(token, allow) {
            Meaning::Enctypes(enctypes) => enctypes,
            Meaning::Elsewhere => continue,
            Meaning::Removed => {
                warnings.push(found.warning(WarningReason::RemovedEnctype { name: name() }));
                continue;
            }
            Meaning::Unknown => {
                warnings.push(found.warning(WarningReason::UnknownEnctype { name: name() }));
                continue;
            }
        };
        for enctype in meant {
            if removes {
                list.retain(|listed| *listed != enctype);
            } else if !list.contains(&enctype) {
                list.push(enctype);
            }
        }
    }
    list.retain(|enctype| {
        let is_weak = enctype
            .profile()
            .is_some_and(|profile| profile.status == Status::Weak);
        let allowed = allow.listed || (allow.rc4 && *enctype == Enctype::RC4_HMAC);
        if is_weak && !allowed {
            let enctype = *enctype;
            warnings.push(found.warning(WarningReason::WeakEnctype { enctype }));
        }
        !is_weak || allowed
    });
    list
}

fn meaning(token: &str, allow: Weak) -> Meaning {
    let token = token.to_ascii_lowercase();
    let default = EnctypePolicy::default();
    Meaning::Enctypes(match token.as_str() {
        "default" if allow.rc4 => {
            let list = default.enctypes().iter().copied();
            list.chain([Enctype::RC4_HMAC]).collect()
        }
        "default" | "aes" => default.enctypes().to_vec(),
        "rc4" => vec![Enctype::RC4_HMAC],
        "camellia" => return Meaning::Elsewhere,
        _ => match Enctype::from_name(&token) {
            Some(enctype) => vec![enctype],
            None if token.starts_with("camellia") => return Meaning::Elsewhere,
            None if is_removed(&token) => return Meaning::Removed,
            None => return Meaning::Unknown,
        },
    })
}

fn is_removed(token: &str) -> bool {
    [
        "des",
        "3des",
        "rc4-hmac-exp",
        "arcfour-hmac-exp",
        "arcfour-hmac-md5-exp",
    ]
    .iter()
    .any(|name| token.starts_with(name))
}
