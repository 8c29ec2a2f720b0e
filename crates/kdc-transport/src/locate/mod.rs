//! Which servers of a realm there are: those of the configuration, else those of DNS.

mod entry;
mod order;
mod records;
mod server;

use tracing::debug;
use trihound_krb5::Config;
use trihound_krb5::config::RealmConfig;
use trihound_sansio::{ExchangeRequest, Service, TransportFailure};

use crate::dns::Resolve;
use records::{Found, Lookup};
pub use server::{Server, ServerProtocol};

/// The port of the Kerberos service (RFC 4120 section 7.2).
pub const KDC_PORT: u16 = 88;
/// The port of the password-change service (RFC 3244 section 2).
pub const KPASSWD_PORT: u16 = 464;
/// The port of HTTPS, where a KDC proxy listens.
pub const HTTPS_PORT: u16 = 443;

/// How many servers of a realm are tried.
const MAX_SERVERS: usize = 64;

/// The servers to ask, in the order of asking. Blocking, since DNS may be asked.
///
/// With [`trihound_sansio::TransportHint::is_primary_only`], only those that are known to be
/// primary KDCs.
///
/// # Errors
///
/// [`TransportFailure`] that says what was looked for and what to configure, when there is none.
pub(crate) fn locate(
    config: &Config,
    request: &ExchangeRequest,
    resolver: &dyn Resolve,
) -> Result<Vec<Server>, TransportFailure> {
    let mut found = Found::default();
    let primary_only = request.hint.is_primary_only();
    match (&request.route, request.service) {
        // Nobody says of a prescribed server that it is a primary one, and asking it again would count
        // one wrong password twice.
        (Some(_), Service::Kdc) if primary_only => {}
        // What the protocol or the credential prescribes goes before what is configured.
        (Some(route), service) => take([route.0.as_str()], port_of(service), &mut found),
        (None, Service::Kdc) => kdcs(config, &request.realm, primary_only, resolver, &mut found),
        (None, Service::Kpasswd) => kpasswd(config, &request.realm, resolver, &mut found),
        (None, _) => {}
    }
    found.servers.truncate(MAX_SERVERS);
    if found.servers.is_empty() {
        return Err(nobody(config, request, found));
    }
    let realm = request.realm.as_str();
    let servers: Vec<_> = found.servers.iter().map(ToString::to_string).collect();
    debug!(
        realm,
        kdc = servers.join(" "),
        "servers of {realm}: {}",
        servers.join(" ")
    );
    Ok(found.servers)
}

fn port_of(service: Service) -> u16 {
    match service {
        Service::Kpasswd => KPASSWD_PORT,
        _ => KDC_PORT,
    }
}

/// Reads configured entries; what cannot be used becomes a line.
fn take<'a>(texts: impl IntoIterator<Item = &'a str>, default_port: u16, found: &mut Found) {
    for text in texts {
        match entry::parse(text, default_port) {
            Ok(server) => found.add(server),
            Err(line) => found.lines.push(line),
        }
    }
}

fn texts(list: &[String]) -> impl Iterator<Item = &str> {
    list.iter().map(String::as_str)
}

fn kdcs(
    config: &Config,
    realm: &str,
    primary_only: bool,
    resolver: &dyn Resolve,
    found: &mut Found,
) {
    let none = RealmConfig::default();
    let configured = config.realms.get(realm).unwrap_or(&none);
    let mut primary = Found::default();
    take(texts(&configured.primary_kdcs), KDC_PORT, &mut primary);
    for server in &mut primary.servers {
        server.primary = true;
    }
    if primary_only {
        *found = primary;
    } else {
        take(texts(config.kdcs(realm)), KDC_PORT, found);
        for server in &mut found.servers {
            server.primary = primary.servers.iter().any(|one| one.same_place(server));
        }
    }
    // Where the configuration names servers, it alone counts: a mistake in it is to be seen, and
    // who lists a realm's KDCs and no primary one has none, so that a wrong password does not wait
    // for DNS.
    let primary_named = primary_only && !configured.primary_kdcs.is_empty();
    if config.kdcs(realm).is_empty() && !primary_named {
        let srv_service = if primary_only {
            "_kerberos-master"
        } else {
            "_kerberos"
        };
        dns(
            config,
            realm,
            resolver,
            found,
            &Lookup {
                realm: "",
                service: "_kerberos",
                srv_service,
                port: KDC_PORT,
                site: configured.sitename.as_deref(),
                uri: config.dns_uri_lookup,
                primary_only,
            },
        );
    }
}

/// `kpasswd_server`, else the hosts of `admin_server` at the password-change port, else DNS.
fn kpasswd(config: &Config, realm: &str, resolver: &dyn Resolve, found: &mut Found) {
    let none = RealmConfig::default();
    let configured = config.realms.get(realm).unwrap_or(&none);
    take(texts(&configured.kpasswd_servers), KPASSWD_PORT, found);
    if configured.kpasswd_servers.is_empty() {
        take(texts(&configured.admin_servers), KPASSWD_PORT, found);
        move_to_kpasswd_port(found);
    }
    if !configured.kpasswd_servers.is_empty() || !configured.admin_servers.is_empty() {
        return;
    }
    for service in ["_kpasswd", "_kerberos-adm"] {
        if !found.servers.is_empty() || found.over {
            return;
        }
        dns(
            config,
            realm,
            resolver,
            found,
            &Lookup {
                realm: "",
                service,
                srv_service: service,
                port: KPASSWD_PORT,
                site: configured.sitename.as_deref(),
                uri: config.dns_uri_lookup,
                primary_only: false,
            },
        );
        if service == "_kerberos-adm" {
            move_to_kpasswd_port(found);
        }
    }
}

/// The port of an administration server is that of kadmin, a different protocol; what changes
/// passwords runs on the same host, and takes datagrams too.
fn move_to_kpasswd_port(found: &mut Found) {
    for server in core::mem::take(&mut found.servers) {
        if !matches!(server.protocol, ServerProtocol::Https { .. }) {
            found.add(Server::new(server.host, KPASSWD_PORT, ServerProtocol::Any));
        }
    }
}

fn dns(
    config: &Config,
    realm: &str,
    resolver: &dyn Resolve,
    found: &mut Found,
    lookup: &Lookup<'_>,
) {
    if config.dns_lookup_kdc && is_domain(realm) {
        Lookup { realm, ..*lookup }.run(resolver, found);
    }
}

/// RFC 4120 section 7.2.3.2: only realms of the domain style are found in DNS; those of X.500 and
/// others have characters that no domain has.
fn is_domain(realm: &str) -> bool {
    !realm.is_empty()
        && realm
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn nobody(config: &Config, request: &ExchangeRequest, found: Found) -> TransportFailure {
    let realm = request.realm.as_str();
    if request.hint.is_primary_only() {
        let mut failure = TransportFailure::no_primary(realm);
        failure.attempts = found.lines;
        return failure;
    }
    let relation = match request.service {
        Service::Kdc => "`kdc = host`",
        Service::Kpasswd => "`kpasswd_server = host` or `admin_server = host`",
        other => {
            return TransportFailure {
                realm: realm.to_owned(),
                attempts: found.lines,
                advice: format!("this transport does not reach services of the kind {other:?}"),
            };
        }
    };
    if found.lines.iter().any(|line| !line.starts_with("DNS: ")) {
        return TransportFailure {
            realm: realm.to_owned(),
            attempts: found.lines,
            advice: format!(
                "no server that is configured can be used: write {relation} for {realm} in the \
                 [realms] section of krb5.conf"
            ),
        };
    }
    let dns = if !config.dns_lookup_kdc {
        "DNS was not asked, since `dns_lookup_kdc = false`"
    } else if !is_domain(realm) {
        "DNS was not asked, since the realm's name is not that of a domain"
    } else if found.over {
        "DNS could not be asked"
    } else {
        "DNS has none either"
    };
    TransportFailure {
        realm: realm.to_owned(),
        attempts: found.lines,
        advice: format!(
            "no server is configured, and {dns}: check the realm's name, or write {relation} for \
             {realm} in the [realms] section of krb5.conf"
        ),
    }
}

#[cfg(test)]
mod tests;
