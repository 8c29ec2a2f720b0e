//! `trihound ktutil`: what is in a keytab, and changes to it, without a dialogue.

mod add;
pub(crate) mod list;

use std::collections::HashMap;
use std::process::ExitCode;

use trihound::environment::{KeytabName, NamedKeytab, load_config};
use trihound_crypto::Enctype;
use trihound_krb5::{Config, KeyMaterial, Keytab, KeytabEdit, KeytabEntry, Principal};

use crate::caches;
use crate::display::enctype_name;
use crate::outcome::{Failure, finish, say, write_out};

/// Looks at a keytab or changes it, in one call each; MIT's programs may work on it meanwhile.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The keytab (default: KRB5_KTNAME, then krb5.conf).
    #[arg(short = 'k', long, value_name = "KEYTAB")]
    keytab: Option<String>,
    /// Do not tell what was changed.
    #[arg(short = 'q', long)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the entries.
    List(list::Arguments),
    /// Add keys of a principal: of a password, of hexadecimal digits, or random ones.
    Add(add::Arguments),
    /// Remove the entries that all the given conditions hold for.
    Remove(Remove),
    /// Add the entries of other keytabs that this one lacks.
    Merge(Merge),
    /// Give the keys of a principal to another name of it.
    Rename(Rename),
}

impl Command {
    /// The keytab as it may be named behind the subcommand too, where `-k` is not the key version.
    fn keytab(&self) -> Option<&str> {
        match self {
            Self::List(options) => options.keytab.as_deref(),
            Self::Merge(options) => options.keytab.as_deref(),
            Self::Rename(options) => options.keytab.as_deref(),
            Self::Add(_) | Self::Remove(_) => None,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
struct Remove {
    /// Of this principal.
    #[arg(group = "which")]
    principal: Option<String>,
    /// Of this key version.
    #[arg(short = 'k', value_name = "KVNO", value_parser = kvno, group = "which")]
    kvno: Option<u32>,
    /// Of these encryption types, by name or number.
    #[arg(short = 'e', value_name = "ENCTYPE", value_parser = enctype, value_delimiter = ',', group = "which")]
    enctypes: Vec<Enctype>,
    /// Older than the newest version of their principal.
    #[arg(long, group = "which")]
    old: bool,
    /// All of them.
    #[arg(long, group = "which", conflicts_with_all = ["principal", "kvno", "enctypes", "old"])]
    all: bool,
}

#[derive(Debug, clap::Args)]
struct Merge {
    /// The keytabs to take entries from; they stay as they are.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// The keytab; it may stand here too.
    #[arg(id = "same_keytab", short = 'k', value_name = "KEYTAB")]
    keytab: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Rename {
    /// The principal whose keys they are.
    old: String,
    /// The principal whose keys they become.
    new: String,
    /// The keytab; it may stand here too.
    #[arg(id = "same_keytab", short = 'k', value_name = "KEYTAB")]
    keytab: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    finish("ktutil", ktutil(arguments))
}

fn ktutil(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.keytab.is_some() && arguments.command.keytab().is_some() {
        return Err(Failure::new(
            "the keytab is named twice, in front of the subcommand and behind it; write one -k",
        ));
    }
    let config = load_config()?;
    let named = arguments.keytab.as_deref().or(arguments.command.keytab());
    let keytab = caches::keytab(named, &config)?;
    let changed = match &arguments.command {
        Command::List(options) => {
            let content = caches::read_keytab(&keytab, named.map(|_| "-k"))?;
            return write_out(options.text(keytab.name(), &content)?.as_bytes());
        }
        Command::Add(options) => options.add(&keytab, config)?,
        Command::Remove(options) => options.remove(&keytab, &config)?,
        Command::Merge(options) => options.merge(&keytab)?,
        Command::Rename(options) => options.rename(&keytab, &config)?,
    };
    if !arguments.quiet {
        for line in changed {
            say(line)?;
        }
    }
    Ok(())
}

/// A name of the table, an alias, or the number of a type that no longer has a name.
fn enctype(text: &str) -> Result<Enctype, String> {
    Enctype::from_name(text)
        .or_else(|| text.parse().ok().map(Enctype))
        .ok_or_else(|| "no encryption type of that name; write aes256-cts or a number".to_owned())
}

/// Behind `add` and `remove` the letter of the keytab is that of the key version, as MIT's ktutil has it.
fn kvno(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| {
        "a key version is a number; the keytab is named in front: ktutil -k KEYTAB add|remove ..."
            .to_owned()
    })
}

fn principal(name: &str, config: &Config) -> Result<Principal, Failure> {
    Ok(Principal::parse(name, config.default_realm.as_deref())?)
}

/// An entry in the words of the messages.
fn entry_text(entry: &KeytabEntry) -> String {
    format!(
        "{} kvno {} {}",
        entry.principal,
        entry.kvno,
        enctype_name(entry.key.enctype())
    )
}

fn duplicate(entry: &KeytabEntry, principal: Principal) -> KeytabEntry {
    KeytabEntry {
        principal,
        timestamp: entry.timestamp,
        kvno: entry.kvno,
        kvno_is_8_bit: entry.kvno_is_8_bit,
        key: entry.key.duplicate(),
    }
}

/// Whether a keytab has this very key of this principal.
fn has(keytab: &Keytab, entry: &KeytabEntry) -> bool {
    same_version(keytab, entry)
        .any(|(_, other)| trihound_secret::constant_time_eq(other.key.expose(), entry.key.expose()))
}

/// The entries of the same principal, version and type, with their indexes.
fn same_version<'a>(
    keytab: &'a Keytab,
    entry: &'a KeytabEntry,
) -> impl Iterator<Item = (usize, &'a KeytabEntry)> {
    (0..)
        .zip(keytab.entries())
        .map(|(index, other)| (index, &**other))
        .filter(|(_, other)| {
            other.principal == entry.principal
                && other.kvno == entry.kvno
                && other.key.enctype() == entry.key.enctype()
        })
}

impl Remove {
    fn remove(&self, keytab: &NamedKeytab, config: &Config) -> Result<Vec<String>, Failure> {
        let named = self
            .principal
            .as_ref()
            .map(|name| principal(name, config))
            .transpose()?;
        let mut removed = Vec::new();
        keytab.edit(|keytab| {
            let newest = newest(keytab);
            let goes = |entry: &KeytabEntry| {
                named.as_ref().is_none_or(|named| entry.principal == *named)
                    && self.kvno.is_none_or(|kvno| entry.kvno == kvno)
                    && (self.enctypes.is_empty() || self.enctypes.contains(&entry.key.enctype()))
                    && (!self.old
                        || newest
                            .get(&entry.principal)
                            .is_some_and(|(kvno, _)| *kvno != entry.kvno))
            };
            let mut remove = Vec::new();
            for (index, entry) in (0..).zip(keytab.entries()) {
                if goes(entry) {
                    remove.push(index);
                    removed.push(format!("Removed {}", entry_text(entry)));
                }
            }
            KeytabEdit {
                add: Vec::new(),
                remove,
            }
        })?;
        if removed.is_empty() {
            return Err(Failure::new(format!(
                "{} has no such entry; list it with `trihound ktutil list`",
                keytab.name()
            )));
        }
        Ok(removed)
    }
}

/// The newest version of each principal. Where versions have 8 bits they wrap, and the time decides.
fn newest(keytab: &Keytab) -> HashMap<Principal, (u32, trihound_sansio::Timestamp)> {
    let mut newest = HashMap::new();
    for entry in keytab.entries() {
        let found = newest
            .entry(entry.principal.clone())
            .or_insert((entry.kvno, entry.timestamp));
        let newer = match entry.kvno_is_8_bit {
            true => (entry.timestamp, entry.kvno) > (found.1, found.0),
            false => entry.kvno > found.0,
        };
        if newer {
            *found = (entry.kvno, entry.timestamp);
        }
    }
    newest
}

impl Merge {
    fn merge(&self, keytab: &NamedKeytab) -> Result<Vec<String>, Failure> {
        let mut sources = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            let named = NamedKeytab::open(KeytabName::parse(source)?);
            sources.push(caches::read_keytab(&named, Some("SOURCE"))?);
        }
        keytab.create()?;
        let mut added = Vec::new();
        keytab.edit(|there| {
            let mut lacking = Keytab::new();
            for entry in sources.iter().flat_map(|source| source.entries()) {
                if !has(there, entry) && !has(&lacking, entry) {
                    lacking.push(duplicate(entry, entry.principal.clone()));
                    added.push(format!("Added {}", entry_text(entry)));
                }
            }
            let add = lacking.entries().iter();
            KeytabEdit {
                add: add
                    .map(|entry| duplicate(entry, entry.principal.clone()))
                    .collect(),
                remove: Vec::new(),
            }
        })?;
        if added.is_empty() {
            added.push(format!(
                "Nothing to add: {} has every entry of the sources",
                keytab.name()
            ));
        }
        Ok(added)
    }
}

impl Rename {
    fn rename(&self, keytab: &NamedKeytab, config: &Config) -> Result<Vec<String>, Failure> {
        let old = principal(&self.old, config)?;
        let new = principal(&self.new, config)?;
        if old == new {
            return Err(Failure::new(format!("{old} has that name already")));
        }
        let mut renamed = Vec::new();
        keytab.edit(|keytab| {
            let mut edit = KeytabEdit::default();
            for (index, entry) in (0..).zip(keytab.entries()) {
                if entry.principal == old {
                    let fresh = duplicate(entry, new.clone());
                    renamed.push(format!("Renamed {} to {new}", entry_text(entry)));
                    edit.remove.push(index);
                    if !has(keytab, &fresh) {
                        edit.add.push(fresh);
                    }
                }
            }
            edit
        })?;
        if renamed.is_empty() {
            return Err(Failure::new(format!(
                "{} has no key of {old}; list it with `trihound ktutil list`",
                keytab.name()
            )));
        }
        Ok(renamed)
    }
}

/// A key that was made here.
fn made(
    principal: &Principal,
    kvno: u32,
    key: KeyMaterial,
    now: trihound_sansio::Timestamp,
) -> KeytabEntry {
    KeytabEntry::new(principal.clone(), kvno, now, key)
}
