use std::process::ExitCode;
use std::sync::Arc;

use trihound::environment::ccache::Cache;
use trihound::environment::load_config;
use trihound_asn1::{EncTicketPart, Message, Raw, Ticket, UInt32, name_type};
use trihound_crypto::danger::only_with_weak;
use trihound_crypto::{Enctype, KeyUsage};
use trihound_krb5::{Config, CredentialCache, Credentials, Keytab, Principal};
use trihound_sansio::{Clock, SystemClock};

use crate::caches;
use crate::outcome::{Failure, complain, say};
use crate::tgs;

/// MIT's main `kvno` options.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::ENVIRONMENT)]
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
    /// The arguments are hosts; ask for this service of each.
    #[arg(short = 'S', value_name = "SERVICE", conflicts_with = "unknown_type")]
    service_name: Option<String>,
    /// Ask for names of unknown type.
    #[arg(short = 'u')]
    unknown_type: bool,
    /// Let the KDC refer to other realms, which is always done here.
    #[arg(short = 'C')]
    _canonicalize: bool,
    /// The user that the tickets are to be for (S4U2Self); refused, since it is not built yet.
    #[arg(short = 'U', value_name = "USER", group = "on_behalf")]
    for_user: Option<String>,
    /// The same by an enterprise name; refused, since it is not built yet.
    #[arg(short = 'I', value_name = "USER", group = "on_behalf")]
    for_enterprise_user: Option<String>,
    /// The same by a certificate; refused, since it is not built yet.
    #[arg(short = 'F', value_name = "FILE", group = "on_behalf")]
    for_certificate: Option<String>,
    /// Ask for further tickets with the user's (S4U2Proxy); refused, since it is not built yet.
    #[arg(short = 'P')]
    proxy: bool,
    /// A cache whose ticket-granting ticket the tickets are to be encrypted for (user to user); refused,
    /// since it is not built yet.
    #[arg(long, value_name = "CACHE", conflicts_with = "on_behalf")]
    u2u: Option<String>,
    /// Take tickets from the cache only; ask no KDC.
    #[arg(long)]
    cached_only: bool,
    /// Keep no ticket.
    #[arg(long)]
    no_store: bool,
    /// Keep the tickets in this cache, with nothing else, and not in the one that was asked with.
    #[arg(long, value_name = "CACHE")]
    out_cache: Option<String>,
    /// The services.
    #[arg(required = true)]
    services: Vec<String>,
}

impl Arguments {
    /// What MIT's kvno can and this one cannot: without it the tickets would be others than were asked for.
    fn check_built(&self) -> Result<(), Failure> {
        const FOR_USER: &str = "a ticket in the name of another user (S4U2Self) is not built yet; log in as the user, or \
             delegate the user's own ticket";
        let (option, reason) = if self.for_user.is_some() {
            ("-U", FOR_USER)
        } else if self.for_enterprise_user.is_some() {
            ("-I", FOR_USER)
        } else if self.for_certificate.is_some() {
            ("-F", FOR_USER)
        } else if self.proxy {
            (
                "-P",
                "tickets got with a user's ticket (S4U2Proxy) are not built yet; delegate the user's own ticket",
            )
        } else if self.u2u.is_some() {
            (
                "--u2u",
                "tickets between two users are not built yet; ask for a service that has a key in a keytab",
            )
        } else {
            return Ok(());
        };
        Err(Failure::new(format!("{option} cannot be served: {reason}")))
    }
}

fn enctype(name: &str) -> Result<Enctype, String> {
    Enctype::from_name(name).ok_or_else(|| "no such encryption type".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match kvno(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            complain(format_args!("kvno: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn kvno(arguments: &Arguments) -> Result<bool, Failure> {
    arguments.check_built()?;
    let mut config = load_config()?;
    if let Some(enctype) = arguments.enctype {
        config.permitted_enctypes.check(enctype)?;
        // Checked: one that is weak got here by allow_rc4.
        config.default_tgs_enctypes = Some(only_with_weak(&[enctype])?);
    }
    let config = Arc::new(config);
    let keytab = match &arguments.keytab {
        Some(name) => Some(caches::read_keytab(
            &caches::keytab(Some(name), &config)?,
            Some("-k"),
        )?),
        None => None,
    };
    let chosen = caches::choose(arguments.cache.as_deref(), &config)?;
    let cache = caches::open(&chosen, &config)?;
    let content = caches::read(&*cache, &chosen, &config)?;
    let mut session = Session {
        arguments,
        config,
        keytab,
        cache,
        got: CredentialCache::new(content.principal.clone()),
        content,
    };
    let mut all_succeeded = true;
    for name in &arguments.services {
        match session.one(name) {
            Ok(text) if arguments.quiet => drop(text),
            Ok(text) => say(text)?,
            Err(failure) => {
                complain(format_args!("kvno: {failure}"));
                all_succeeded = false;
            }
        }
    }
    if let Some(name) = &arguments.out_cache {
        let name = caches::choose(Some(name), &session.config)?;
        caches::open(&name, &session.config)?.initialize(&session.got)?;
    }
    Ok(all_succeeded)
}

/// One run of the tool.
struct Session<'a> {
    arguments: &'a Arguments,
    config: Arc<Config>,
    keytab: Option<Arc<Keytab>>,
    cache: Box<dyn Cache>,
    /// What is in the cache, and what was got.
    content: CredentialCache,
    /// The services' tickets alone.
    got: CredentialCache,
}

impl Session<'_> {
    /// Gets the ticket, from the cache or the KDC, and tells its key version.
    fn one(&mut self, name: &str) -> Result<String, Failure> {
        let server = self.server(name).map_err(|failure| failure.context(name))?;
        let credentials = match self.held(&server) {
            Some(credentials) => credentials,
            None if self.arguments.cached_only => {
                return Err(Failure::new(format!(
                    "Matching credential not found: {} has no ticket for {server} that lasts; without \
                     --cached-only the KDC is asked",
                    self.cache.name()
                )));
            }
            None => self.get(&server)?,
        };
        self.got.store(Arc::clone(&credentials));
        let ticket = Raw::<Ticket>::from_der(credentials.ticket.clone())?.decode()?;
        let version = ticket.enc_part.kvno.map_or(0, UInt32::get);
        let text = format!("{}: kvno = {version}", credentials.server);
        let Some(keytab) = &self.keytab else {
            return Ok(text);
        };
        if let Err(failure) = open(&self.config, keytab, &credentials, &ticket) {
            if !self.arguments.quiet {
                complain(format_args!("{text}, keytab entry invalid"));
            }
            return Err(failure.context(name));
        }
        Ok(text + ", keytab entry valid")
    }

    fn server(&self, name: &str) -> Result<Principal, Failure> {
        let service;
        let name = match &self.arguments.service_name {
            Some(prefix) => {
                service = format!("{prefix}/{name}");
                &service
            }
            None => name,
        };
        let realm = std::str::from_utf8(self.content.principal.realm.as_bytes()).ok();
        let mut server = tgs::service(&self.config, name, realm)?;
        if self.arguments.unknown_type {
            server.name.name_type = name_type::NT_UNKNOWN;
        }
        Ok(server)
    }

    /// The cached ticket whose session key is of the best type among those that would be asked for.
    fn held(&self, server: &Principal) -> Option<Arc<Credentials>> {
        let now = SystemClock.now();
        let client = &self.content.principal;
        let fitting = |enctype: &Enctype| {
            self.content
                .credentials
                .iter()
                .filter(|held| held.session_key.enctype() == *enctype)
                .filter(|held| held.client == *client && held.server == *server)
                .filter(|held| !held.is_skey && held.is_valid_at(now))
                .max_by_key(|held| held.endtime)
        };
        self.config.tgs_enctypes().iter().find_map(fitting).cloned()
    }

    fn get(&mut self, server: &Principal) -> Result<Arc<Credentials>, Failure> {
        let got = tgs::get(&self.config, &self.content, server)?;
        let keeps = !self.arguments.no_store && self.arguments.out_cache.is_none();
        for credentials in &got {
            self.content.store(Arc::clone(credentials));
            if keeps {
                self.cache.store(credentials)?;
            }
        }
        got.last()
            .cloned()
            .ok_or_else(|| Failure::new("the KDC gave no ticket"))
    }
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
