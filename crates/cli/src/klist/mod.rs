//! `trihound klist`: what is in caches, collections of caches and keytabs.

mod cache;
mod keytab;

use std::process::ExitCode;

use serde_json::{Value, json};
use trihound::environment::{CacheName, load_config};
use trihound_krb5::{Config, CredentialCache, Credentials};
use trihound_sansio::{Clock, SystemClock, Timestamp};

use crate::caches;
use crate::outcome::{Failure, complain, finish, write_out};

/// MIT's `klist` options.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true, after_help = crate::ENVIRONMENT)]
pub(crate) struct Arguments {
    /// The encryption types of tickets and session keys.
    #[arg(short = 'e')]
    enctypes: bool,
    /// The flags of tickets.
    #[arg(short = 'f', conflicts_with = "keytab")]
    flags: bool,
    /// The addresses that tickets may be used from.
    #[arg(short = 'a', conflicts_with = "keytab")]
    addresses: bool,
    /// Addresses as numbers, which is always done here.
    #[arg(short = 'n', requires = "addresses")]
    _numeric: bool,
    /// The types of the authorization data that the client sent along.
    #[arg(short = 'd')]
    authdata: bool,
    /// The settings that are kept in the cache, too.
    #[arg(short = 'C')]
    config: bool,
    /// Kerberos 5, as there is no other; without effect.
    #[arg(short = '5')]
    _version_5: bool,
    /// List a credential cache (the default).
    #[arg(short = 'c', conflicts_with = "keytab")]
    cache: bool,
    /// List the caches of the collection: principals and names.
    #[arg(short = 'l', conflicts_with_all = ["all", "silent", "keytab"])]
    list: bool,
    /// List the contents of all caches of the collection.
    #[arg(short = 'A', conflicts_with = "keytab")]
    all: bool,
    /// Print nothing; the exit status tells whether there is a ticket-granting ticket to use.
    #[arg(short = 's', conflicts_with = "keytab")]
    silent: bool,
    /// List a keytab.
    #[arg(short = 'k')]
    keytab: bool,
    /// The client keytab, when no name is given.
    #[arg(short = 'i', requires = "keytab")]
    client_keytab: bool,
    /// The times of keytab entries.
    #[arg(short = 't', requires = "keytab")]
    times: bool,
    /// The keys of keytab entries.
    #[arg(short = 'K', requires = "keytab")]
    keys: bool,
    /// Print the version of this program.
    #[arg(short = 'V')]
    version: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The cache, a cache of the collection, or the keytab; default: the environment's, then krb5.conf's.
    name: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.version {
        let text = concat!("Trihound ", env!("CARGO_PKG_VERSION"), "\n");
        return finish("klist", write_out(text.as_bytes()));
    }
    if arguments.silent {
        return match status(arguments) {
            Ok(true) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        };
    }
    let listed = match (arguments.keytab, arguments.list, arguments.all) {
        (true, ..) => keytab::list(arguments).map(Listed::of),
        (_, true, _) => collection(arguments),
        (.., true) => all(arguments),
        _ => one(arguments).map(Listed::of),
    };
    let printed = listed.and_then(|listed| {
        write_out(listed.text.as_bytes())?;
        Ok(listed.is_empty)
    });
    match printed {
        // MIT's klist ends so where a collection has nothing to show.
        Ok(true) => ExitCode::FAILURE,
        Ok(false) => ExitCode::SUCCESS,
        Err(failure) => finish("klist", Err(failure)),
    }
}

/// What is printed, and whether there was nothing to list.
struct Listed {
    text: String,
    is_empty: bool,
}

impl Listed {
    fn of(text: String) -> Self {
        Self {
            text,
            is_empty: false,
        }
    }
}

/// A cache that could be read.
struct Found {
    name: CacheName,
    content: CredentialCache,
}

fn one(arguments: &Arguments) -> Result<String, Failure> {
    let config = load_config()?;
    let chosen = caches::choose(arguments.name.as_deref(), &config)?;
    let cache = caches::open(&chosen, &config)?;
    let found = Found {
        content: caches::read(&*cache, &chosen, &config)?,
        name: cache.name().clone(),
    };
    if arguments.json {
        return print_json(&cache::json(&found, SystemClock.now()));
    }
    Ok(cache::text(arguments, &found))
}

fn all(arguments: &Arguments) -> Result<Listed, Failure> {
    let found = found(arguments)?;
    let is_empty = found.is_empty();
    if arguments.json {
        let now = SystemClock.now();
        let caches: Vec<Value> = found.iter().map(|found| cache::json(found, now)).collect();
        let text = print_json(&caches.into())?;
        return Ok(Listed { text, is_empty });
    }
    let texts: Vec<String> = found
        .iter()
        .map(|found| cache::text(arguments, found))
        .collect();
    Ok(Listed {
        text: texts.join("\n"),
        is_empty,
    })
}

/// The caches of the collection, those that can be read, the primary one first.
fn found(arguments: &Arguments) -> Result<Vec<Found>, Failure> {
    let config = load_config()?;
    let name = caches::choose(arguments.name.as_deref(), &config)?;
    let mut found = Vec::new();
    for name in caches::collection(&name, &config)?.list()? {
        match content(&name, &config) {
            Ok(Some(content)) => found.push(Found { name, content }),
            // Destroyed since it was listed.
            Ok(None) => {}
            // One that cannot be read must not hide the others.
            Err(failure) => complain(format_args!("klist: {failure}")),
        }
    }
    Ok(found)
}

fn content(name: &CacheName, config: &Config) -> Result<Option<CredentialCache>, Failure> {
    Ok(caches::open(name, config)?.read()?)
}

fn collection(arguments: &Arguments) -> Result<Listed, Failure> {
    let found = found(arguments)?;
    let now = SystemClock.now();
    let is_empty = found.is_empty();
    if arguments.json {
        let caches: Vec<Value> = found
            .iter()
            .map(|found| {
                json!({
                    "cache": found.name.to_string(),
                    "principal": found.content.principal.to_string(),
                    "usable": is_usable(&found.content, now),
                })
            })
            .collect();
        let text = print_json(&caches.into())?;
        return Ok(Listed { text, is_empty });
    }
    let mut text = format!(
        "{:<30} Cache name\n{:<30} ----------\n",
        "Principal name", "--------------"
    );
    for Found { name, content } in &found {
        let expired = if is_usable(content, now) {
            ""
        } else {
            " (Expired)"
        };
        // The column is as wide as MIT's, which cuts what is longer.
        text.push_str(&format!(
            "{:<30.30} {name}{expired}\n",
            content.principal.to_string()
        ));
    }
    Ok(Listed { text, is_empty })
}

fn status(arguments: &Arguments) -> Result<bool, Failure> {
    let config = load_config()?;
    let name = caches::choose(arguments.name.as_deref(), &config)?;
    let names = if arguments.all {
        caches::collection(&name, &config)?.list()?
    } else {
        vec![name]
    };
    let now = SystemClock.now();
    let is_usable_cache = |name| {
        content(name, &config)
            .ok()
            .flatten()
            .is_some_and(|content| is_usable(&content, now))
    };
    Ok(names.iter().any(is_usable_cache))
}

/// MIT's rule: a ticket-granting ticket of the client's realm that has not expired; in a cache
/// without any, some ticket that has not.
fn is_usable(cache: &CredentialCache, now: Timestamp) -> bool {
    let is_tgt = |credentials: &&std::sync::Arc<Credentials>| {
        credentials.server.krbtgt_target() == Some(&cache.principal.realm)
            && credentials.server.realm == cache.principal.realm
    };
    let mut tgts = cache.credentials.iter().filter(is_tgt).peekable();
    if tgts.peek().is_some() {
        return tgts.any(|tgt| tgt.is_valid_at(now));
    }
    cache
        .credentials
        .iter()
        .any(|credentials| credentials.is_valid_at(now))
}

fn print_json(value: &Value) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
