//! `trihound kinit`: logins, renewal and validation.

mod again;
mod expired;
mod place;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use trihound::environment::{NamedKeytab, load_config, local_addresses};
use trihound_krb5::config::parse_duration;
use trihound_krb5::{
    AsExchange, AsOutcome, AsRequest, ClientSecret, Config, CredentialCache, Environment, Principal,
};
use trihound_sansio::{Clock, SystemClock, Timestamp, drive};

use crate::caches;
use crate::network::kdc_transport;
use crate::outcome::{Failure, complain, finish};
use crate::password::ask;
use crate::phrases::{Doing, failed};
use crate::start_time::StartTime;
use crate::tgs::environment;

use place::Place;

/// MIT's `kinit` options.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::ENVIRONMENT)]
pub(crate) struct Arguments {
    /// Tell what is done, on standard error.
    #[arg(short = 'V')]
    verbose: bool,
    /// How long the ticket should live (10h, 1d2h, 36000, 10:30).
    #[arg(short = 'l', value_name = "LIFETIME", value_parser = positive_lifetime)]
    lifetime: Option<Duration>,
    /// Kerberos 5, as there is no other; without effect.
    #[arg(short = '5')]
    _version_5: bool,
    /// When the ticket should begin: it is postdated, and has to be validated then (10m, 20261231235900).
    #[arg(short = 's', value_name = "START", value_parser = StartTime::parse, conflicts_with = "again")]
    start: Option<StartTime>,
    /// For how long the ticket should be renewable.
    #[arg(short = 'r', value_name = "LIFETIME", value_parser = lifetime)]
    renewable: Option<Duration>,
    /// Ask for a forwardable ticket.
    #[arg(short = 'f', long = "forwardable", conflicts_with = "not_forwardable")]
    forwardable: bool,
    /// Ask for a ticket that is not forwardable.
    #[arg(short = 'F', long = "noforwardable")]
    not_forwardable: bool,
    /// Ask for a proxiable ticket.
    #[arg(short = 'p', long = "proxiable", conflicts_with = "not_proxiable")]
    proxiable: bool,
    /// Ask for a ticket that is not proxiable.
    #[arg(short = 'P', long = "noproxiable")]
    not_proxiable: bool,
    /// Ask for an anonymous ticket; refused, since it is not built yet.
    #[arg(short = 'n')]
    anonymous: bool,
    /// Ask for a ticket that is good from this host's addresses only.
    #[arg(short = 'a', long = "addresses", conflicts_with = "no_addresses")]
    addresses: bool,
    /// Ask for a ticket without addresses.
    #[arg(short = 'A', long = "noaddresses")]
    no_addresses: bool,
    /// Let the KDC answer with the account's canonical name.
    #[arg(short = 'C', long = "canonicalize")]
    canonicalize: bool,
    /// The principal is an enterprise name (user@dns.domain).
    #[arg(short = 'E', long = "enterprise")]
    enterprise: bool,
    /// Ask for a ticket with a PAC.
    #[arg(long, conflicts_with = "no_request_pac")]
    request_pac: bool,
    /// Ask for a ticket without a PAC.
    #[arg(long)]
    no_request_pac: bool,
    /// Validate the postdated ticket of the cache, once its time has come.
    #[arg(short = 'v', group = "again", conflicts_with = "keytab")]
    validate: bool,
    /// Renew the ticket of the cache.
    #[arg(short = 'R', group = "again", conflicts_with = "keytab")]
    renew: bool,
    /// Use a key of a keytab, not a password.
    #[arg(short = 'k')]
    keytab: bool,
    /// The keytab (default: KRB5_KTNAME, then krb5.conf); implies -k.
    #[arg(
        short = 't',
        value_name = "KEYTAB",
        conflicts_with_all = ["client_keytab", "again"]
    )]
    keytab_file: Option<String>,
    /// The client keytab (KRB5_CLIENT_KTNAME, then krb5.conf); implies -k.
    #[arg(short = 'i', conflicts_with = "again")]
    client_keytab: bool,
    /// The credential cache (default: KRB5CCNAME, then krb5.conf).
    #[arg(short = 'c', value_name = "CACHE")]
    cache: Option<String>,
    /// A service to get a ticket for instead of the ticket-granting service.
    #[arg(short = 'S', value_name = "SERVICE")]
    service: Option<String>,
    /// A cache whose ticket was got as this one is to be got.
    #[arg(short = 'I', value_name = "CACHE")]
    input_cache: Option<String>,
    /// An armor cache for FAST; refused, since it is not built yet.
    #[arg(short = 'T', value_name = "CACHE")]
    armor: Option<String>,
    /// An option of pre-authentication, such as PKINIT's; refused, since there is none yet.
    #[arg(short = 'X', value_name = "ATTRIBUTE[=VALUE]")]
    preauthentication: Vec<String>,
    /// Whose ticket; default: with -k the first of the keytab, else the cache's principal, else the user's name.
    principal: Option<String>,
}

impl Arguments {
    /// Whether a keytab's key is used: whoever names one means it, as with MIT's kinit.
    fn uses_keytab(&self) -> bool {
        self.keytab || self.client_keytab || self.keytab_file.is_some()
    }

    /// The option that a keytab was named with.
    fn keytab_option(&self) -> Option<&'static str> {
        self.keytab_file.as_ref().map(|_| "-t")
    }

    fn say(&self, text: &str) {
        if self.verbose {
            // As MIT's kinit: on standard error, which scripts do not read.
            complain(text);
        }
    }

    /// What MIT's kinit can and this one cannot: a login without it would be another than was asked for.
    fn check_built(&self) -> Result<(), Failure> {
        let (option, reason) = if self.anonymous {
            (
                "-n",
                "anonymous tickets are got by PKINIT, which is not built yet; log in as a principal",
            )
        } else if self.armor.is_some() {
            (
                "-T",
                "FAST, whose armor this cache would be for, is not built yet; log in without it",
            )
        } else if !self.preauthentication.is_empty() {
            (
                "-X",
                "the only pre-authentication that is built are encrypted timestamps, which have no options; log in without it",
            )
        } else {
            return Ok(());
        };
        Err(Failure::new(format!("{option} cannot be served: {reason}")))
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| {
        "write seconds (36000), units (1d2h30m) or hours:minutes[:seconds] (10:30)".to_owned()
    })
}

/// A ticket that ends as it begins is none: MIT's words.
fn positive_lifetime(text: &str) -> Result<Duration, String> {
    match lifetime(text) {
        Ok(length) if length.is_zero() => Err(format!("Bad lifetime value {text}")),
        other => other,
    }
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    finish("kinit", kinit(arguments))
}

fn kinit(arguments: &Arguments) -> Result<(), Failure> {
    arguments.check_built()?;
    let config = Arc::new(load_config()?);
    for warning in config.warnings() {
        arguments.say(&warning.to_string());
    }
    if arguments.renew || arguments.validate {
        again::run(arguments, &config)
    } else {
        log_in(arguments, &config)
    }
}

fn log_in(arguments: &Arguments, config: &Arc<Config>) -> Result<(), Failure> {
    let place = Place::for_login(arguments, config)?;
    let client = place.client.clone();
    let doing = if arguments.uses_keytab() {
        Doing::KeytabLogin
    } else {
        Doing::PasswordLogin
    };
    let service = service(arguments, &client)?;
    check_input_cache(arguments, config, &client, service.as_ref())?;
    let mut environment = environment(config);
    let realm = std::str::from_utf8(client.realm.as_bytes()).unwrap_or_default();
    if arguments.addresses || !config.login_defaults(realm).noaddresses {
        environment.addresses = local_addresses()?.into();
    }
    let start_time = arguments
        .start
        .map(|start| later(start, SystemClock.now()))
        .transpose()?;
    let secret = secret(arguments, config, &client)?;
    // A password that has expired is needed once more.
    let typed = match &secret {
        ClientSecret::Password(password) => Some(password.duplicate()),
        ClientSecret::Keys(_) => None,
    };
    let log_in = |secret| {
        let mut request = request(arguments, &environment, &client, secret);
        request.service.clone_from(&service);
        request.start_time = start_time;
        // As MIT's kinit: with a ticket that begins later more such may be got.
        request.options.allow_postdate = start_time.is_some();
        AsExchange::begin(request, &environment)
            .map_err(trihound_sansio::DriveError::Protocol)
            .and_then(|exchange| drive(exchange, kdc_transport(Arc::clone(config))))
    };
    let outcome = match (log_in(secret), typed) {
        (Err(error), Some(typed)) if expired::is_expired(&error) => {
            match expired::change(&client, typed, config, &environment) {
                Ok(Some(password)) => log_in(ClientSecret::Password(password)),
                Ok(None) => Err(error),
                Err(why) => return Err(why.context(failed(error, doing))),
            }
        }
        (outcome, _) => outcome,
    };
    let content = content(outcome.map_err(|error| failed(error, doing))?)?;
    place.fill(config, &content)?;
    arguments.say(&format!(
        "Authenticated to Kerberos v5 as {}",
        content.principal
    ));
    Ok(())
}

/// The cache of a login, with the settings that MIT's programs look for.
fn content(outcome: AsOutcome) -> Result<CredentialCache, Failure> {
    let credentials = Arc::new(outcome.credentials);
    let mut cache = CredentialCache::new(credentials.client.clone());
    cache.time_offset = outcome.time_offset;
    let service = Some(&credentials.server);
    if outcome.fast_available {
        cache.set_config("fast_avail", service, Some(b"yes"));
    }
    if let Some(kind) = outcome.preauthentication {
        cache.set_config("pa_type", service, Some(kind.to_string().as_bytes()));
    }
    cache.store(Arc::clone(&credentials));
    Ok(cache)
}

/// `-I`: the cache notes by which pre-authentication its ticket was got (`pa_type`), and the new one is to be
/// got the same way. A cache that is not there, or has no note, asks for nothing.
fn check_input_cache(
    arguments: &Arguments,
    config: &Config,
    client: &Principal,
    service: Option<&Principal>,
) -> Result<(), Failure> {
    let Some(name) = &arguments.input_cache else {
        return Ok(());
    };
    let cache = caches::open(&caches::choose(Some(name), config)?, config)?;
    arguments.say(&format!("Using specified input cache: {}", cache.name()));
    let krbtgt = Principal::krbtgt(&client.realm);
    let content = cache.read()?;
    let noted = content
        .as_ref()
        .and_then(|content| content.config("pa_type", service.or(Some(&krbtgt))));
    let ours = trihound_asn1::pa_type::PA_ENC_TIMESTAMP.to_string();
    match noted {
        Some(noted) if noted != ours.as_bytes() => Err(Failure::new(format!(
            "-I {}: its ticket was got by pre-authentication of type {}, which is not built yet; without -I \
             an encrypted timestamp is tried",
            cache.name(),
            noted.escape_ascii()
        ))),
        _ => Ok(()),
    }
}

fn keytab(arguments: &Arguments, config: &Config) -> Result<NamedKeytab, Failure> {
    if arguments.client_keytab {
        return caches::client_keytab(config);
    }
    caches::keytab(arguments.keytab_file.as_deref(), config)
}

fn service(arguments: &Arguments, client: &Principal) -> Result<Option<Principal>, Failure> {
    let realm = std::str::from_utf8(client.realm.as_bytes()).ok();
    let parse = |name: &String| Principal::parse(name, realm);
    Ok(arguments.service.as_ref().map(parse).transpose()?)
}

fn request(
    arguments: &Arguments,
    environment: &Environment,
    client: &Principal,
    secret: ClientSecret,
) -> AsRequest {
    let mut request = AsRequest::configured(client.clone(), secret, environment);
    let options = &mut request.options;
    options.forwardable =
        (options.forwardable || arguments.forwardable) && !arguments.not_forwardable;
    options.proxiable = (options.proxiable || arguments.proxiable) && !arguments.not_proxiable;
    options.canonicalize |= arguments.canonicalize;
    options.request_pac = match (arguments.request_pac, arguments.no_request_pac) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    request.lifetime = arguments.lifetime.or(request.lifetime);
    if let Some(length) = arguments.renewable {
        request.renew_lifetime = Some(length).filter(|length| !length.is_zero());
    }
    if arguments.addresses {
        request.bind_to_addresses(environment);
    } else if arguments.no_addresses {
        request.addresses.clear();
    }
    request
}

/// RFC 4120 3.1.3: a KDC takes a start that is past for now, which is not what was asked for.
fn later(start: StartTime, now: Timestamp) -> Result<Timestamp, Failure> {
    let start = start.after(now);
    if start < now {
        return Err(Failure::new(format!(
            "-s {start} is past; a ticket that begins at once needs no -s"
        )));
    }
    Ok(start)
}

fn secret(
    arguments: &Arguments,
    config: &Config,
    client: &Principal,
) -> Result<ClientSecret, Failure> {
    if !arguments.uses_keytab() {
        return Ok(ClientSecret::Password(ask(&format!(
            "Password for {client}: "
        ))?));
    }
    let keytab = keytab(arguments, config)?;
    let name = keytab.name();
    arguments.say(&format!("Using keytab: {name}"));
    let keys = caches::read_keytab(&keytab, arguments.keytab_option())?
        .client_keys(client, &config.permitted_enctypes);
    if keys.is_empty() {
        return Err(Failure::new(format!(
            "{name} has no usable key of {client}; list it with `trihound klist -k -e {name}`"
        )));
    }
    Ok(ClientSecret::Keys(keys))
}
