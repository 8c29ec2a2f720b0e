use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use trihound::environment::{default_client_keytab_path, load_config, read_keytab, user_name};
use trihound_crypto::OsRandom;
use trihound_kdc_transport::KdcTransport;
use trihound_krb5::config::parse_duration;
use trihound_krb5::{
    AsExchange, AsOptions, AsRequest, ClientSecret, Config, CredentialCache, Credentials,
    Environment, Principal,
};
use trihound_sansio::{SystemClock, drive};
use trihound_secret::SecretString;

use crate::caches::{CacheFile, keytab_path};
use crate::outcome::{Failure, finish};
use crate::tgs;

/// MIT's main `kinit` options.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Tell what was done.
    #[arg(short = 'V')]
    verbose: bool,
    /// How long the ticket should live (10h, 1d2h, 36000, 10:30).
    #[arg(short = 'l', value_name = "LIFETIME", value_parser = lifetime)]
    lifetime: Option<Duration>,
    /// For how long the ticket should be renewable.
    #[arg(short = 'r', value_name = "LIFETIME", value_parser = lifetime)]
    renewable: Option<Duration>,
    /// Ask for a forwardable ticket.
    #[arg(short = 'f', overrides_with = "not_forwardable")]
    forwardable: bool,
    /// Ask for a ticket that is not forwardable.
    #[arg(short = 'F', overrides_with = "forwardable")]
    not_forwardable: bool,
    /// Ask for a proxiable ticket.
    #[arg(short = 'p', overrides_with = "not_proxiable")]
    proxiable: bool,
    /// Ask for a ticket that is not proxiable.
    #[arg(short = 'P', overrides_with = "proxiable")]
    not_proxiable: bool,
    /// Ask for a ticket without addresses, which is the default here.
    #[arg(short = 'A')]
    _no_addresses: bool,
    /// Let the KDC answer with the account's canonical name.
    #[arg(short = 'C')]
    canonicalize: bool,
    /// The principal is an enterprise name (user@dns.domain).
    #[arg(short = 'E')]
    enterprise: bool,
    /// Renew the ticket-granting ticket of the cache.
    #[arg(short = 'R', conflicts_with = "keytab")]
    renew: bool,
    /// Use a key of a keytab, not a password.
    #[arg(short = 'k')]
    keytab: bool,
    /// The keytab (default: KRB5_KTNAME, then krb5.conf); implies -k.
    #[arg(
        short = 't',
        value_name = "KEYTAB",
        conflicts_with_all = ["client_keytab", "renew"]
    )]
    keytab_file: Option<String>,
    /// The client keytab (KRB5_CLIENT_KTNAME, then krb5.conf); implies -k.
    #[arg(short = 'i', conflicts_with = "renew")]
    client_keytab: bool,
    /// The credential cache (default: KRB5CCNAME, then krb5.conf).
    #[arg(short = 'c', value_name = "CACHE")]
    cache: Option<String>,
    /// A service to get a ticket for instead of the ticket-granting service.
    #[arg(short = 'S', value_name = "SERVICE")]
    service: Option<String>,
    /// Whose ticket; default: with -k the first of the keytab, else the cache's principal, else the user's name.
    principal: Option<String>,
}

impl Arguments {
    /// Whether a keytab's key is used: whoever names one means it, as with MIT's kinit.
    fn uses_keytab(&self) -> bool {
        self.keytab || self.client_keytab || self.keytab_file.is_some()
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| {
        "write seconds (36000), units (1d2h30m) or hours:minutes[:seconds] (10:30)".to_owned()
    })
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    finish("kinit", kinit(arguments))
}

fn kinit(arguments: &Arguments) -> Result<(), Failure> {
    let config = Arc::new(load_config()?);
    let file = CacheFile::choose(arguments.cache.as_deref())?;
    let say = |text: String| {
        if arguments.verbose {
            // As MIT's kinit: on standard error, which scripts do not read.
            eprintln!("{text}");
        }
    };
    for warning in config.warnings() {
        say(warning.clone());
    }
    say(format!("Using cache: {file}"));
    if arguments.renew {
        renew(arguments, &config, &file)?;
        say("Renewed the ticket".to_owned());
        return Ok(());
    }
    let client = client(arguments, &config, &file)?;
    say(format!("Using principal: {client}"));
    let request = request(arguments, &config, client)?;
    let environment = environment(&config);
    let outcome = drive(
        AsExchange::begin(request, &environment)?,
        KdcTransport::new(Arc::clone(&config)),
    )?;
    let mut cache = CredentialCache::new(outcome.credentials.client.clone());
    cache.time_offset = outcome.time_offset;
    cache.store(Arc::new(outcome.credentials));
    file.write(&cache)?;
    say(format!(
        "Authenticated to Kerberos v5 as {}",
        cache.principal
    ));
    Ok(())
}

pub(crate) fn environment(config: &Arc<Config>) -> Environment {
    Environment::new(
        Arc::new(SystemClock),
        Arc::new(OsRandom),
        Arc::clone(config),
    )
}

fn client(arguments: &Arguments, config: &Config, file: &CacheFile) -> Result<Principal, Failure> {
    let realm = config.default_realm.as_deref();
    if let Some(name) = &arguments.principal {
        return Ok(if arguments.enterprise {
            Principal::parse_enterprise(name, realm)?
        } else {
            Principal::parse(name, realm)?
        });
    }
    if arguments.uses_keytab() {
        let path = keytab_file(arguments, config)?;
        let keytab = read_keytab(&path)?;
        return keytab
            .entries()
            .first()
            .map(|entry| entry.principal.clone())
            .ok_or_else(|| Failure::new(format!("FILE:{} has no key", path.display())));
    }
    if file.exists() {
        return Ok(file.read()?.principal);
    }
    let user = user_name()
        .ok_or_else(|| Failure::new("no principal is given and the environment names no user"))?;
    Ok(Principal::parse(&user, realm)?)
}

fn keytab_file(arguments: &Arguments, config: &Config) -> Result<std::path::PathBuf, Failure> {
    if arguments.client_keytab {
        return Ok(default_client_keytab_path(config)?);
    }
    keytab_path(arguments.keytab_file.as_deref(), config)
}

fn request(
    arguments: &Arguments,
    config: &Config,
    client: Principal,
) -> Result<AsRequest, Failure> {
    let secret = secret(arguments, config, &client)?;
    let service = match &arguments.service {
        Some(name) => Some(Principal::parse(
            name,
            std::str::from_utf8(client.realm.as_bytes()).ok(),
        )?),
        None => None,
    };
    let mut request = AsRequest::new(client, secret);
    request.service = service;
    request.options = AsOptions {
        forwardable: (config.forwardable || arguments.forwardable) && !arguments.not_forwardable,
        proxiable: (config.proxiable || arguments.proxiable) && !arguments.not_proxiable,
        canonicalize: config.canonicalize || arguments.canonicalize,
        ..AsOptions::default()
    };
    request.lifetime = Some(arguments.lifetime.unwrap_or(config.ticket_lifetime));
    request.renew_lifetime = arguments
        .renewable
        .or(Some(config.renew_lifetime))
        .filter(|length| !length.is_zero());
    Ok(request)
}

fn secret(
    arguments: &Arguments,
    config: &Config,
    client: &Principal,
) -> Result<ClientSecret, Failure> {
    if !arguments.uses_keytab() {
        return Ok(ClientSecret::Password(password(&format!(
            "Password for {client}: "
        ))?));
    }
    let path = keytab_file(arguments, config)?;
    let keys = read_keytab(&path)?.client_keys(client, &config.permitted_enctypes);
    if keys.is_empty() {
        return Err(Failure::new(format!(
            "FILE:{} has no usable key of {client}; list it with `trihound klist -k -e {}`",
            path.display(),
            path.display()
        )));
    }
    Ok(ClientSecret::Keys(keys))
}

/// Asks at the terminal; with no terminal, takes the first line of standard input.
fn password(prompt: &str) -> Result<SecretString, Failure> {
    if io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password(prompt)?.into());
    }
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(Failure::new("no password: standard input is at its end"));
    }
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line.into())
}

fn renew(arguments: &Arguments, config: &Arc<Config>, file: &CacheFile) -> Result<(), Failure> {
    let old = file.read()?;
    let server = match &arguments.service {
        Some(name) => Principal::parse(name, config.default_realm.as_deref())?,
        None => Principal::krbtgt(&old.principal.realm),
    };
    let ticket = old
        .credentials
        .iter()
        .find(|credentials| credentials.server == server)
        .ok_or_else(|| Failure::new(format!("{file} has no ticket for {server} to renew")))?;
    let renewed: Credentials = tgs::renew(config, ticket, old.time_offset)?;
    let mut cache = CredentialCache::new(old.principal.clone());
    cache.time_offset = old.time_offset;
    cache.store(Arc::new(renewed));
    file.write(&cache)
}
