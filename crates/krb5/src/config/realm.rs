//! `[realms]`, `[capaths]`, and what `[libdefaults]` says for one realm.

use std::collections::HashMap;
use std::time::Duration;

use super::local::Rule;
use super::values::{Found, LibDefaults};
use super::{Config, ConfigError, ConfigWarning, WarningReason};
use crate::profile::Profile;

/// The configuration of a realm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealmConfig {
    /// KDCs in the order to try, each `host`, `host:port`, `[address]:port` or a URL.
    pub kdcs: Vec<String>,
    /// KDCs that know a changed password first (`primary_kdc`, once `master_kdc`).
    pub primary_kdcs: Vec<String>,
    /// Administration servers.
    pub admin_servers: Vec<String>,
    /// Password-change servers; when empty, the administration servers at port 464.
    pub kpasswd_servers: Vec<String>,
    /// Domain of the realm's hosts with short names.
    pub default_domain: Option<String>,
    /// Certificates that a KDC proxy's may be checked against, each `FILE:path`, `DIR:path` or
    /// `ENV:variable`; when empty, those of the system.
    pub http_anchors: Vec<String>,
    /// The site of this host, whose KDCs are asked for first in DNS.
    pub sitename: Option<String>,
    /// Whether a password is never proved by an encrypted timestamp.
    pub disable_encrypted_timestamp: bool,
    /// Rules from principals to local names, in order, as written; those of the default realm count
    /// ([`Config::auth_to_local`]).
    pub auth_to_local: Vec<String>,
    /// Principals, with or without their realm, and their local names.
    pub auth_to_local_names: Vec<(String, String)>,
}

/// What a client of one realm asks for when it logs in, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginDefaults {
    /// How long the ticket is to live.
    pub ticket_lifetime: Duration,
    /// How long it is to be renewable; zero for a ticket that cannot be renewed.
    pub renew_lifetime: Duration,
    /// Whether it is to be forwardable.
    pub forwardable: bool,
    /// Whether it is to be proxiable.
    pub proxiable: bool,
    /// Whether the KDC may give the client another name (RFC 6806).
    pub canonicalize: bool,
    /// Whether it is to be bound to no addresses.
    pub noaddresses: bool,
}

/// What a realm's sub-section of `[libdefaults]` sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RealmDefaults {
    ticket_lifetime: Option<Duration>,
    renew_lifetime: Option<Duration>,
    forwardable: Option<bool>,
    proxiable: Option<bool>,
    canonicalize: Option<bool>,
    noaddresses: Option<bool>,
}

impl Config {
    /// What a client of `realm` asks for: `[libdefaults]`, and before it what a sub-section of the
    /// realm's name there sets.
    #[must_use]
    pub fn login_defaults(&self, realm: &str) -> LoginDefaults {
        let own = self.realm_defaults.get(realm).copied().unwrap_or_default();
        LoginDefaults {
            ticket_lifetime: own.ticket_lifetime.unwrap_or(self.ticket_lifetime),
            renew_lifetime: own.renew_lifetime.unwrap_or(self.renew_lifetime),
            forwardable: own.forwardable.unwrap_or(self.forwardable),
            proxiable: own.proxiable.unwrap_or(self.proxiable),
            canonicalize: own.canonicalize.unwrap_or(self.canonicalize),
            noaddresses: own.noaddresses.unwrap_or(self.noaddresses),
        }
    }

    /// The realms between a client's realm and a server's, in order, as `[capaths]` has them: empty
    /// where the two share a key, `None` where nothing is said and the hierarchy holds.
    #[must_use]
    pub fn capath(&self, client_realm: &str, server_realm: &str) -> Option<&[String]> {
        let path = self.capaths.get(client_realm)?.get(server_realm)?;
        Some(path)
    }

    /// Sets the realms between a client's realm and a server's; none for two that share a key.
    pub fn set_capath<I, R>(&mut self, client_realm: &str, server_realm: &str, between: I)
    where
        I: IntoIterator<Item = R>,
        R: Into<String>,
    {
        self.capaths
            .entry(client_realm.to_owned())
            .or_default()
            .insert(
                server_realm.to_owned(),
                between.into_iter().map(Into::into).collect(),
            );
    }

    pub(super) fn read_realms(&mut self, profile: &Profile) -> Result<(), ConfigError> {
        for realm in profile.subsections(&["realms"]) {
            let read = self.realm_config(profile, realm)?;
            self.realms.insert(realm.to_owned(), read);
        }
        for realm in profile.subsections(&["libdefaults"]) {
            let lib = LibDefaults {
                profile,
                realm: Some(realm),
            };
            let defaults = RealmDefaults {
                ticket_lifetime: lib.duration("ticket_lifetime")?,
                renew_lifetime: lib.duration("renew_lifetime")?,
                forwardable: lib.boolean("forwardable")?,
                proxiable: lib.boolean("proxiable")?,
                canonicalize: lib.boolean("canonicalize")?,
                noaddresses: lib.boolean("noaddresses")?,
            };
            if defaults != RealmDefaults::default() {
                self.realm_defaults.insert(realm.to_owned(), defaults);
            }
        }
        Ok(())
    }

    pub(super) fn read_capaths(&mut self, profile: &Profile) {
        for client in profile.subsections(&["capaths"]) {
            let mut paths: HashMap<&str, Vec<&str>> = HashMap::new();
            for (server, value) in profile.relations(&["capaths", client]) {
                // MIT takes what stands behind the first blank of a value for a comment.
                let name = value.split_whitespace().next();
                paths.entry(server).or_default().extend(name);
            }
            for (server, names) in paths {
                // krb5.conf(5): a dot says that the two realms share a key.
                let between = names.into_iter().take_while(|name| !name.starts_with('.'));
                self.set_capath(client, server, between);
            }
        }
    }

    fn realm_config(&mut self, profile: &Profile, realm: &str) -> Result<RealmConfig, ConfigError> {
        let list = |name: &str| -> Vec<String> {
            let values = profile.values(&["realms", realm, name]);
            values.into_iter().map(str::to_owned).collect()
        };
        let mut primary_kdcs = list("primary_kdc");
        if primary_kdcs.is_empty() {
            primary_kdcs = list("master_kdc");
        }
        let mut read = RealmConfig {
            kdcs: list("kdc"),
            primary_kdcs,
            admin_servers: list("admin_server"),
            kpasswd_servers: list("kpasswd_server"),
            default_domain: list("default_domain").into_iter().next(),
            http_anchors: list("http_anchors"),
            sitename: list("sitename").into_iter().next(),
            disable_encrypted_timestamp: false,
            auth_to_local: list("auth_to_local"),
            auth_to_local_names: profile
                .relations(&["realms", realm, "auth_to_local_names"])
                .into_iter()
                .map(|(name, local)| (name.to_owned(), local.to_owned()))
                .collect(),
        };
        let name = "disable_encrypted_timestamp";
        if let Some(relation) = profile.first(&["realms", realm, name]) {
            let found = Found {
                value: relation.value.unwrap_or_default(),
                subject: format!("[realms] {realm} {name}"),
                relation,
            };
            read.disable_encrypted_timestamp = found.boolean()?;
        }
        for relation in profile.located(&["realms", realm, "auth_to_local"]) {
            let rule = Rule::parse(relation.value.unwrap_or_default());
            if let Err(reason) = rule {
                self.warnings.push(ConfigWarning {
                    place: relation.place.clone(),
                    subject: format!("[realms] {realm} auth_to_local"),
                    reason: WarningReason::LocalRule { reason },
                });
            }
        }
        Ok(read)
    }
}
