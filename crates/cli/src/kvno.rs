use std::process::ExitCode;
use std::sync::Arc;

use trihound::environment::{keytab_path, load_config, read_keytab};
use trihound_asn1::{EncTicketPart, Message, Raw, Ticket, UInt32};
use trihound_crypto::danger::only_with_weak;
use trihound_crypto::{Enctype, KeyUsage};
use trihound_krb5::{Config, CredentialCache, Credentials, Keytab, Principal};
use trihound_sansio::{Clock, SystemClock};

use crate::caches::CacheFile;
use crate::outcome::Failure;
use crate::tgs;

/// MIT's main `kvno` options.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The credential cache (default: KRB5CCNAME, then krb5.conf).
    #[arg(short = 'c', value_name = "CACHE")]
    cache: Option<String>,
    /// The encryption type that the session key is to have.
    #[arg(short = 'e', value_name = "ENCTYPE", value_parser = enctype)]
    enctype: Option<Enctype>,
    /// Open the tickets with the keys of this keytab, to prove that they fit.
    #[arg(short = 'k', value_name = "KEYTAB")]
    keytab: Option<String>,
    /// Print failures only.
    #[arg(short = 'q')]
    quiet: bool,
    /// The services.
    #[arg(required = true)]
    services: Vec<String>,
}

fn enctype(name: &str) -> Result<Enctype, String> {
    Enctype::from_name(name).ok_or_else(|| "no such encryption type".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match kvno(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("kvno: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn kvno(arguments: &Arguments) -> Result<bool, Failure> {
    let mut config = load_config()?;
    if let Some(enctype) = arguments.enctype {
        config.permitted_enctypes.check(enctype)?;
        // Checked: one that is weak got here by allow_rc4.
        config.default_tgs_enctypes = Some(only_with_weak(&[enctype])?);
    }
    let config = Arc::new(config);
    let keytab = match &arguments.keytab {
        Some(name) => Some(read_keytab(&keytab_path(name)?)?),
        None => None,
    };
    let file = CacheFile::choose(arguments.cache.as_deref())?;
    let mut cache = file.read()?;
    let mut all_succeeded = true;
    for service in &arguments.services {
        match one(&config, &file, &mut cache, service, keytab.as_ref()) {
            Ok(text) if arguments.quiet => drop(text),
            Ok(text) => println!("{text}"),
            Err(failure) => {
                eprintln!("kvno: {}", failure.context(service));
                all_succeeded = false;
            }
        }
    }
    Ok(all_succeeded)
}

/// Gets the ticket, from the cache or the KDC, and tells its key version.
fn one(
    config: &Arc<Config>,
    file: &CacheFile,
    cache: &mut CredentialCache,
    service: &str,
    keytab: Option<&Keytab>,
) -> Result<String, Failure> {
    let realm = std::str::from_utf8(cache.principal.realm.as_bytes()).ok();
    let server = tgs::service(config, service, realm)?;
    let held = cache
        .find(&cache.principal, &server, SystemClock.now())
        .cloned();
    // A cached ticket serves only if its session key is of a type that was asked for.
    let offered = config.tgs_enctypes();
    let held = held.filter(|held| offered.contains(&held.session_key.enctype()));
    let credentials = match held {
        Some(credentials) => credentials,
        None => {
            let got = tgs::get(config, cache, &server)?;
            for credentials in &got {
                cache.store(Arc::clone(credentials));
            }
            file.write(cache)?;
            got.last()
                .cloned()
                .ok_or_else(|| Failure::new("the KDC gave no ticket"))?
        }
    };
    let ticket = Raw::<Ticket>::from_der(credentials.ticket.clone())?.decode()?;
    let version = ticket.enc_part.kvno.map_or(0, UInt32::get);
    let mut text = format!("{}: kvno = {version}", credentials.server);
    if let Some(keytab) = keytab {
        open(config, keytab, &credentials, &ticket)?;
        text.push_str(", keytab entry valid");
    }
    Ok(text)
}

/// Opens the ticket with the keytab's key (RFC 4120 section 5.3, key usage 2).
fn open(
    config: &Config,
    keytab: &Keytab,
    credentials: &Credentials,
    ticket: &Ticket,
) -> Result<(), Failure> {
    let server = Principal {
        realm: ticket.realm.clone(),
        name: ticket.sname.clone(),
    };
    let kvno = ticket.enc_part.kvno.map(UInt32::get);
    let entry = keytab.find(&server, kvno, Enctype(ticket.enc_part.etype))?;
    let key = entry.key.key(&config.permitted_enctypes)?;
    let plain = key
        .decrypt(KeyUsage::KDC_REP_TICKET, ticket.enc_part.cipher.as_ref())
        .map_err(|error| {
            Failure::from(error).context(format!(
                "the ticket for {} does not open with the keytab's key of version {}",
                credentials.server, entry.kvno
            ))
        })?;
    EncTicketPart::from_der(plain.expose())?;
    Ok(())
}
