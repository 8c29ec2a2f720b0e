use std::process::ExitCode;

use serde_json::{Value, json};
use trihound::environment::{load_config, read_keytab};
use trihound_asn1::{Raw, Ticket, UInt32};
use trihound_crypto::Enctype;
use trihound_krb5::{CredentialCache, Credentials, KeytabEntry};
use trihound_sansio::{Clock, SystemClock, Timestamp};

use crate::caches::{CacheFile, keytab_path};
use crate::display::{enctype_name, flag_letters, hex, local_time};
use crate::outcome::{Failure, finish};

/// MIT's main `klist` options.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The encryption types of tickets and session keys.
    #[arg(short = 'e')]
    enctypes: bool,
    /// The flags of tickets.
    #[arg(short = 'f')]
    flags: bool,
    /// List a credential cache (the default).
    #[arg(short = 'c', conflicts_with = "keytab")]
    cache: bool,
    /// List a keytab.
    #[arg(short = 'k')]
    keytab: bool,
    /// The times of keytab entries.
    #[arg(short = 't', requires = "keytab")]
    times: bool,
    /// The keys of keytab entries.
    #[arg(short = 'K', requires = "keytab")]
    keys: bool,
    /// Print nothing; the exit status tells whether there is a ticket-granting ticket to use.
    #[arg(short = 's', conflicts_with = "keytab")]
    silent: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The cache or keytab; default: the environment's, then krb5.conf's.
    name: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.silent {
        return match CacheFile::choose(arguments.name.as_deref()).and_then(|file| file.read()) {
            Ok(cache) if is_usable(&cache, SystemClock.now()) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        };
    }
    let printed = match (arguments.keytab, arguments.json) {
        (true, false) => keytab(arguments),
        (true, true) => keytab_json(arguments),
        (false, false) => cache(arguments),
        (false, true) => cache_json(arguments),
    };
    finish("klist", printed.map(|text| print!("{text}")))
}

/// MIT's rule: a ticket-granting ticket of the client's realm that has not expired; in a cache
/// without any, some ticket that has not.
fn is_usable(cache: &CredentialCache, now: Timestamp) -> bool {
    let mut tgts = cache
        .credentials
        .iter()
        .filter(|credentials| credentials.server.krbtgt_target() == Some(&cache.principal.realm))
        .peekable();
    if tgts.peek().is_some() {
        return tgts.any(|tgt| tgt.is_valid_at(now));
    }
    cache
        .credentials
        .iter()
        .any(|credentials| credentials.is_valid_at(now))
}

fn cache(arguments: &Arguments) -> Result<String, Failure> {
    let file = CacheFile::choose(arguments.name.as_deref())?;
    let cache = file.read()?;
    let mut text = format!(
        "Ticket cache: {file}\nDefault principal: {}\n\nValid starting       Expires              Service principal\n",
        cache.principal
    );
    for credentials in &cache.credentials {
        text.push_str(&ticket_lines(arguments, &cache, credentials));
    }
    Ok(text)
}

fn ticket_lines(
    arguments: &Arguments,
    cache: &CredentialCache,
    credentials: &Credentials,
) -> String {
    let mut text = format!(
        "{}  {}  {}\n",
        local_time(credentials.valid_from()),
        local_time(credentials.endtime),
        credentials.server
    );
    if credentials.client != cache.principal {
        text.push_str(&format!("\tfor client {}\n", credentials.client));
    }
    let mut details = Vec::new();
    if let Some(until) = credentials.renew_till {
        details.push(format!("renew until {}", local_time(until)));
    }
    let flags = flag_letters(credentials.flags);
    if arguments.flags && !flags.is_empty() {
        details.push(format!("Flags: {flags}"));
    }
    if arguments.enctypes {
        let enctypes = format!(
            "Etype (skey, tkt): {}, {} ",
            enctype_name(credentials.session_key.enctype()),
            ticket_enctype(credentials).map_or_else(|| "unreadable".to_owned(), enctype_name)
        );
        // As MIT's klist breaks lines: two details go on one, the encryption types never as the third.
        if details.len() == 2 {
            text.push_str(&format!("\t{}\n", details.join(", ")));
            details.clear();
        }
        details.push(enctypes);
    }
    if !details.is_empty() {
        text.push_str(&format!("\t{}\n", details.join(", ")));
    }
    text
}

fn ticket_enctype(credentials: &Credentials) -> Option<Enctype> {
    Some(Enctype(parsed_ticket(credentials)?.enc_part.etype))
}

fn parsed_ticket(credentials: &Credentials) -> Option<Ticket> {
    Raw::<Ticket>::from_der(credentials.ticket.clone())
        .ok()?
        .decode()
        .ok()
}

fn cache_json(arguments: &Arguments) -> Result<String, Failure> {
    let file = CacheFile::choose(arguments.name.as_deref())?;
    let cache = file.read()?;
    let now = SystemClock.now();
    let tickets: Vec<Value> = cache
        .credentials
        .iter()
        .map(|credentials| {
            let ticket = parsed_ticket(credentials);
            json!({
                "client": credentials.client.to_string(),
                "server": credentials.server.to_string(),
                "authtime": credentials.authtime.to_string(),
                "starttime": credentials.valid_from().to_string(),
                "endtime": credentials.endtime.to_string(),
                "renew_till": credentials.renew_till.map(|until| until.to_string()),
                "expired": !credentials.is_valid_at(now),
                "flags": flag_letters(credentials.flags),
                "session_enctype": credentials.session_key.enctype().to_string(),
                "ticket_enctype": ticket.as_ref().map(|ticket| Enctype(ticket.enc_part.etype).to_string()),
                "kvno": ticket.and_then(|ticket| ticket.enc_part.kvno).map(UInt32::get),
            })
        })
        .collect();
    print_json(&json!({
        "cache": file.to_string(),
        "principal": cache.principal.to_string(),
        "usable": is_usable(&cache, now),
        "tickets": tickets,
    }))
}

fn keytab(arguments: &Arguments) -> Result<String, Failure> {
    let path = keytab_path(arguments.name.as_deref(), &load_config()?)?;
    let keytab = read_keytab(&path)?;
    let mut text = format!("Keytab name: FILE:{}\nKVNO ", path.display());
    text.push_str(if arguments.times {
        "Timestamp           Principal\n---- ------------------- "
    } else {
        "Principal\n---- "
    });
    // Up to column 79.
    text.push_str(&"-".repeat(if arguments.times { 54 } else { 74 }));
    text.push('\n');
    for entry in keytab.entries() {
        text.push_str(&entry_line(arguments, entry));
    }
    Ok(text)
}

fn entry_line(arguments: &Arguments, entry: &KeytabEntry) -> String {
    let mut line = format!("{:>4} ", entry.kvno);
    if arguments.times {
        line.push_str(&format!("{} ", local_time(entry.timestamp)));
    }
    line.push_str(&entry.principal.to_string());
    if arguments.enctypes {
        line.push_str(&format!(" ({}) ", enctype_name(entry.key.enctype())));
    }
    if arguments.keys {
        line.push_str(&format!(" (0x{})", hex(entry.key.expose())));
    }
    line.push('\n');
    line
}

fn keytab_json(arguments: &Arguments) -> Result<String, Failure> {
    let path = keytab_path(arguments.name.as_deref(), &load_config()?)?;
    let keytab = read_keytab(&path)?;
    let entries: Vec<Value> = keytab
        .entries()
        .iter()
        .map(|entry| {
            let mut value = json!({
                "principal": entry.principal.to_string(),
                "kvno": entry.kvno,
                "timestamp": entry.timestamp.to_string(),
                "enctype": entry.key.enctype().to_string(),
            });
            if arguments.keys
                && let Some(fields) = value.as_object_mut()
            {
                fields.insert("key".to_owned(), hex(entry.key.expose()).into());
            }
            value
        })
        .collect();
    print_json(&json!({ "keytab": format!("FILE:{}", path.display()), "entries": entries }))
}

fn print_json(value: &Value) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
