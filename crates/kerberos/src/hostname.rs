//! The host in a service's name, made whole where the configuration says so (krb5.conf(5):
//! `dns_canonicalize_hostname`, `rdns`, `qualify_shortname`, `dns_lookup_realm`).
//!
//! ```text
//! false      as given; a short name with the domain of qualify_shortname
//! true       DNS is asked first; where it does not know the host, as for false
//! fallback   as for false; DNS is asked when the KDC does not know the service
//! ```
//!
//! With `dns_lookup_realm` DNS is asked for the host's realm at last, when the KDCs did not know it.
//!
//! DNS is not authenticated: whoever answers for it chooses the service that the client then trusts
//! (RFC 4120 section 1.3). So it is asked only when somebody configured it, and about the reverse name
//! only when somebody wrote `rdns = true` too.

use std::net::IpAddr;

use trihound_asn1::error_code;
use trihound_krb5::{Config, DnsCanonicalization, Error as KerberosError, Principal};
use trihound_sansio::{ExchangeRequest, Reply, Service, TransportHint};

use crate::error::Error;

/// The longest host name that DNS can have (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;

/// The name of the service under way.
#[derive(Debug)]
pub(crate) struct HostName {
    /// The service as the caller named it.
    asked: Principal,
    origin: Origin,
    /// What DNS was asked for last.
    question: Question,
    /// Whether the realm at hand is DNS's.
    realm_is_dns: bool,
    /// Why DNS was asked after all, to be told if it does not help.
    refusal: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Name,
    Realm,
}

/// How the name at hand was made from the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    AsGiven,
    Qualified,
    Dns,
}

impl HostName {
    /// The name to begin with.
    pub(crate) fn new(asked: Principal, config: &Config) -> (Self, Principal) {
        let qualified = qualified(&asked, config);
        let origin = match qualified {
            Some(_) => Origin::Qualified,
            None => Origin::AsGiven,
        };
        let server = qualified.unwrap_or_else(|| asked.clone());
        let name = Self {
            asked,
            origin,
            question: Question::Name,
            realm_is_dns: false,
            refusal: None,
        };
        (name, server)
    }

    /// What DNS is to be asked before anything else.
    pub(crate) fn before(&self, config: &Config) -> Option<ExchangeRequest> {
        let is_first = self.origin != Origin::Dns;
        let wanted = config.dns_canonicalize_hostname == DnsCanonicalization::Yes;
        (is_first && wanted).then(|| self.request(config)).flatten()
    }

    /// What DNS is to be asked after `error`, if the KDCs do not know the service, which was asked for
    /// as `server`; else the error, with how the name was made.
    pub(crate) fn after(
        &mut self,
        error: Error,
        server: &Principal,
        config: &Config,
    ) -> Result<ExchangeRequest, Error> {
        let error = self.explained(error);
        if !is_unknown(&error) {
            return Err(error);
        }
        let falls_back = config.dns_canonicalize_hostname == DnsCanonicalization::Fallback
            && self.origin != Origin::Dns
            && self.question == Question::Name
            && self.refusal.is_none();
        let request = if falls_back {
            self.request(config)
        } else if config.dns_lookup_realm && self.question == Question::Name {
            self.question = Question::Realm;
            realm_request(server, config)
        } else {
            None
        };
        match request {
            Some(request) => {
                self.refusal = Some(error);
                Ok(request)
            }
            None => Err(error),
        }
    }

    /// The service's name after DNS answered, `server` being the one at hand.
    ///
    /// # Errors
    ///
    /// What the KDC said, where it was asked already and DNS knows nothing new.
    pub(crate) fn answered(
        &mut self,
        reply: Option<Reply<'_>>,
        server: &Principal,
    ) -> Result<Principal, Error> {
        let bytes = match reply {
            Some(Reply::Bytes(bytes)) => Some(bytes),
            // As MIT krb5: the name stays what it is.
            Some(Reply::Failed(_)) | None => None,
        };
        let found = match self.question {
            Question::Name => bytes
                .and_then(host_name)
                .and_then(|host| with_host(&self.asked, &host)),
            Question::Realm => bytes
                .and_then(realm_name)
                .filter(|realm| !self.was_refused_by(realm))
                .map(|realm| server.with_realm(realm)),
        };
        let refusal = self.refusal.take();
        let is_news = found.as_ref().is_some_and(|found| found != server);
        if let (Some(refusal), false) = (refusal, is_news) {
            return Err(refusal);
        }
        let Some(found) = found else {
            return Ok(server.clone());
        };
        match self.question {
            Question::Name => self.origin = Origin::Dns,
            Question::Realm => self.realm_is_dns = true,
        }
        Ok(found)
    }

    /// Whether the KDC of that realm is the one that did not know the service.
    fn was_refused_by(&self, realm: &str) -> bool {
        matches!(
            &self.refusal,
            Some(Error::Kerberos(KerberosError::KdcRefused(refused))) if refused.realm == realm
        )
    }

    fn request(&self, config: &Config) -> Option<ExchangeRequest> {
        let (host, _) = host(&self.asked)?;
        Some(ExchangeRequest {
            service: Service::HostName {
                reverse: config.rdns,
            },
            realm: String::new(),
            message: host.as_bytes().to_vec(),
            hint: TransportHint::Any,
            route: None,
        })
    }

    /// Says of a service that the KDC does not know where its name is from.
    fn explained(&self, mut error: Error) -> Error {
        if is_unknown(&error)
            && let Error::Kerberos(KerberosError::KdcRefused(refused)) = &mut error
        {
            if self.realm_is_dns {
                let told = "; the realm is what DNS says of the host, dns_lookup_realm";
                refused.request.push_str(told);
            }
            let how = match self.origin {
                Origin::AsGiven => return error,
                Origin::Qualified => "by qualify_shortname",
                Origin::Dns => "by DNS, dns_canonicalize_hostname",
            };
            let asked = self.asked.to_string();
            let asked = asked.trim_end_matches('@');
            let told = format!("; the host name was made from that of {asked} {how}");
            refused.request.push_str(&told);
        }
        error
    }
}

/// DNS is asked for the realm of a host that nothing else has one for.
fn realm_request(server: &Principal, config: &Config) -> Option<ExchangeRequest> {
    let (host, _) = host(server)?;
    if config.realm_of_host(host).is_some() {
        return None;
    }
    Some(ExchangeRequest {
        service: Service::HostRealm,
        realm: String::new(),
        message: host.as_bytes().to_vec(),
        hint: TransportHint::Any,
        route: None,
    })
}

fn is_unknown(error: &Error) -> bool {
    matches!(
        error,
        Error::Kerberos(KerberosError::KdcRefused(refused))
            if refused.code == error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN
    )
}

/// The host of a service's name and what follows it (a port, as in `MSSQLSvc/host:1433`); `None` for a
/// name of another form, one whose realm was given, and an address.
fn host(server: &Principal) -> Option<(&str, &str)> {
    let mut components = server.components();
    let service = components.next()?;
    let second = core::str::from_utf8(components.next()?).ok()?;
    if components.next().is_some() || service == b"krbtgt" || !server.realm.is_empty() {
        return None;
    }
    let (host, trailer) = match second.find(':') {
        Some(colon) if !second.ends_with(':') => second.split_at_checked(colon)?,
        _ => (second, ""),
    };
    // More than one colon is an IPv6 address.
    let is_name = !host.is_empty()
        && !trailer.get(1..).unwrap_or_default().contains(':')
        && host.parse::<IpAddr>().is_err();
    is_name.then_some((host, trailer))
}

fn qualified(server: &Principal, config: &Config) -> Option<Principal> {
    let (host, _) = host(server)?;
    with_host(server, &config.qualified_host(host)?)
}

fn with_host(server: &Principal, name: &str) -> Option<Principal> {
    let (_, trailer) = host(server)?;
    let mut with = server.clone();
    let second = with.name.name_string.get_mut(1)?;
    *second = format!("{name}{trailer}").as_str().into();
    Some(with)
}

/// The name in an answer; `None` if it is none.
fn host_name(bytes: &[u8]) -> Option<String> {
    let name = core::str::from_utf8(bytes).ok()?;
    let name = name.strip_suffix('.').unwrap_or(name);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(plain);
    is_name.then(|| name.to_ascii_lowercase())
}

/// The realm in an answer; `None` if it is none. RFC 4120 6.1: a realm has neither separators nor
/// control characters.
fn realm_name(bytes: &[u8]) -> Option<&str> {
    let name = core::str::from_utf8(bytes).ok()?;
    let bad = |c: char| c.is_control() || matches!(c, '/' | '@' | ':' | '\\');
    let is_realm = !name.is_empty() && name.len() <= MAX_NAME && !name.contains(bad);
    is_realm.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(text: &str) -> Principal {
        Principal::parse(text, Some("")).unwrap()
    }

    #[test]
    fn hosts_are_the_second_of_two_components() {
        for (text, found) in [
            ("HTTP/web", Some(("web", ""))),
            ("MSSQLSvc/db.example:1433", Some(("db.example", ":1433"))),
            ("HTTP/web:", Some(("web:", ""))),
            ("HTTP/2001:db8::1", None),
            ("HTTP/10.0.0.1", None),
            ("HTTP/10.0.0.1:80", None),
            ("HTTP/:80", None),
            ("HTTP/", None),
            ("alice", None),
            ("ldap/dc/example", None),
            ("krbtgt/X", None),
            ("HTTP/web@REALM", None),
        ] {
            assert_eq!(host(&principal(text)), found, "{text}");
        }
        let named = with_host(&principal("a/b:1"), "c.example").unwrap();
        assert_eq!(named, principal("a/c.example:1"));
    }

    #[test]
    fn an_answer_that_is_no_host_name_is_none() {
        assert_eq!(host_name(b"Web.Example.").as_deref(), Some("web.example"));
        for bytes in [
            &b""[..],
            b".",
            b"a b",
            b"a/b",
            b"a@b",
            b"\xff",
            b"a\0",
            &[b'a'; 256],
        ] {
            assert_eq!(host_name(bytes), None, "{bytes:?}");
        }
    }
}
