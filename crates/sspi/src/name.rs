use core::fmt;

use crate::{Error, SecurityStatus};

/// The longest name that is taken, in bytes; a DNS name has at most 255 (RFC 1035 section 2.3.4)
/// and the other parts are of that order.
const MAX_NAME_LENGTH: usize = 1024;

/// How every marshalled `CREDENTIAL_TARGET_INFORMATION` begins when Windows appends one to a host
/// name.
const MARSHALLED_TARGET_INFO: &[u8] = b"1UWhRCA";

/// A service principal name, `service/host[:port][/name][@REALM]` (MS-KILE section 3.1.5.11).
///
/// # Security
///
/// A name with marshalled target information behind the host is refused: Windows cuts that suffix off
/// before it looks the host up, so the name asked of the KDC and the host connected to would differ
/// (CVE-2025-33073).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServicePrincipalName {
    /// The service class: `HTTP`, `host`, `ldap`.
    pub service: String,
    /// The host, or what stands for it; as given, in its own case.
    pub host: String,
    /// A port, or an instance's name.
    pub port: Option<String>,
    /// A name behind the host: a domain, for `ldap/dc1.example.com/example.com`.
    pub name: Option<String>,
    /// The realm.
    pub realm: Option<String>,
}

impl ServicePrincipalName {
    /// Reads a target name.
    ///
    /// # Errors
    ///
    /// SEC_E_TARGET_UNKNOWN for a text of another form, or with marshalled target information.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_NAME_LENGTH {
            return Err(refused(text, "it is longer than 1024 bytes"));
        }
        if text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || c == '\\')
        {
            return Err(refused(
                text,
                "it has a space, a control character or a backslash",
            ));
        }
        if contains_target_info(text) {
            return Err(refused(
                text,
                "it carries marshalled target information (1UWhRCA...), which a service name never \
                 does; someone may be redirecting the connection",
            ));
        }
        let (principal, realm) = match text.rsplit_once('@') {
            Some((principal, realm)) => (principal, Some(realm)),
            None => (text, None),
        };
        let mut parts = principal.split('/');
        let (Some(service), Some(instance), name, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refused(text, "it needs two or three parts"));
        };
        let (host, port) = split_port(instance);
        let parts = [Some(service), Some(host), port, name, realm];
        if parts.into_iter().flatten().any(str::is_empty) {
            return Err(refused(text, "one of its parts is empty"));
        }
        if principal.contains('@') || service.contains(':') {
            return Err(refused(text, "an @ or : stands in the wrong place"));
        }
        Ok(Self {
            service: service.to_owned(),
            host: host.to_owned(),
            port: port.map(str::to_owned),
            name: name.map(str::to_owned),
            realm: realm.map(str::to_owned),
        })
    }

    /// Whether a target name carries marshalled target information (`1UWhRCA…`), by which whoever
    /// controls a name in DNS makes one host's ticket of another's: [`Self::parse`] refuses it. A
    /// package that takes targets of other forms too asks here.
    #[must_use]
    pub fn carries_target_information(text: &str) -> bool {
        contains_target_info(text)
    }

    /// The components of the Kerberos principal: service, host with port, name.
    #[must_use]
    pub fn components(&self) -> Vec<String> {
        let instance = match &self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        };
        [self.service.clone(), instance]
            .into_iter()
            .chain(self.name.clone())
            .collect()
    }
}

/// An address in brackets has colons of its own (RFC 3986 section 3.2.2).
fn split_port(instance: &str) -> (&str, Option<&str>) {
    let behind_bracket = instance
        .starts_with('[')
        .then(|| instance.find(']'))
        .flatten();
    let (address, rest) = match behind_bracket {
        Some(bracket) => instance.split_at(bracket.saturating_add(1)),
        None => ("", instance),
    };
    match rest.split_once(':') {
        Some(("", port)) if !address.is_empty() => (address, Some(port)),
        Some((host, port)) if address.is_empty() => (host, Some(port)),
        _ => (instance, None),
    }
}

fn contains_target_info(text: &str) -> bool {
    text.as_bytes()
        .windows(MARSHALLED_TARGET_INFO.len())
        .any(|window| window.eq_ignore_ascii_case(MARSHALLED_TARGET_INFO))
}

fn refused(text: &str, why: &str) -> Error {
    let shown: String = text.chars().take(80).collect();
    Error::new(
        SecurityStatus::SEC_E_TARGET_UNKNOWN,
        format!(
            "{shown:?} is not a service principal name: {why}; the form is \
             service/host[:port][/name][@REALM]"
        ),
    )
}

impl fmt::Display for ServicePrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.host)?;
        if let Some(port) = &self.port {
            write!(f, ":{port}")?;
        }
        if let Some(name) = &self.name {
            write!(f, "/{name}")?;
        }
        if let Some(realm) = &self.realm {
            write!(f, "@{realm}")?;
        }
        Ok(())
    }
}

impl core::str::FromStr for ServicePrincipalName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// A user's name in one of the forms that SSPI takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccountName {
    /// `alice`.
    Plain {
        /// The account.
        user: String,
    },
    /// A user principal name, `alice@example.com`. The last `@` divides it.
    UserPrincipal {
        /// What stands before the last `@`.
        user: String,
        /// The suffix: a realm, a DNS domain, or an alias of one.
        suffix: String,
    },
    /// A down-level name, `EXAMPLE\alice`.
    DownLevel {
        /// The domain.
        domain: String,
        /// The account.
        user: String,
    },
}

impl AccountName {
    /// Reads a user's name.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_UPN_NAME for a text with an `@` and an empty side; SEC_E_INVALID_PARAMETER for
    /// an empty name or part, a control character, more than one backslash, or more than 1024 bytes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() || text.len() > MAX_NAME_LENGTH || text.chars().any(char::is_control) {
            return Err(Error::parameter(
                "a user's name is empty, longer than 1024 bytes or has a control character; \
                 give alice, alice@example.com or EXAMPLE\\alice",
            ));
        }
        if let Some((domain, user)) = text.split_once('\\') {
            if domain.is_empty() || user.is_empty() || user.contains('\\') {
                return Err(Error::parameter(format!(
                    "{text:?} is not a domain, one backslash and a user, as in EXAMPLE\\alice"
                )));
            }
            return Ok(Self::DownLevel {
                domain: domain.to_owned(),
                user: user.to_owned(),
            });
        }
        match text.rsplit_once('@') {
            None => Ok(Self::Plain {
                user: text.to_owned(),
            }),
            Some((user, suffix)) if !user.is_empty() && !suffix.is_empty() => {
                Ok(Self::UserPrincipal {
                    user: user.to_owned(),
                    suffix: suffix.to_owned(),
                })
            }
            Some(_) => Err(Error::new(
                SecurityStatus::SEC_E_INVALID_UPN_NAME,
                format!("{text:?} has nothing before or behind its @, as in alice@example.com"),
            )),
        }
    }

    /// The account's name without its domain.
    #[must_use]
    pub fn user(&self) -> &str {
        match self {
            Self::Plain { user }
            | Self::UserPrincipal { user, .. }
            | Self::DownLevel { user, .. } => user,
        }
    }

    /// The domain, realm or suffix.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        match self {
            Self::Plain { .. } => None,
            Self::UserPrincipal { suffix, .. } => Some(suffix),
            Self::DownLevel { domain, .. } => Some(domain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marshalled_target_information_is_found_in_any_text() {
        for text in [
            "cifs/web1UWhRCAAAAAAAAAAAAAAAAAAAAAAAAAAAAYBAAAA",
            "web1uwhrcaAAAA",
            "1UWhRCA",
        ] {
            assert!(ServicePrincipalName::carries_target_information(text));
            assert!(ServicePrincipalName::parse(text).is_err());
        }
        for text in ["", "cifs/web", "cifs/web1UWhRC"] {
            assert!(!ServicePrincipalName::carries_target_information(text));
        }
    }

    #[test]
    fn service_names_are_taken_apart_and_put_together() {
        for (text, components, realm) in [
            ("HTTP/localhost", vec!["HTTP", "localhost"], None),
            (
                "HTTP/web.example@EXAMPLE",
                vec!["HTTP", "web.example"],
                Some("EXAMPLE"),
            ),
            ("MSSQLSvc/db:1433", vec!["MSSQLSvc", "db:1433"], None),
            (
                "ldap/dc1.example:389/example@R",
                vec!["ldap", "dc1.example:389", "example"],
                Some("R"),
            ),
            ("HTTP/[::1]:80", vec!["HTTP", "[::1]:80"], None),
            ("HTTP/[::1]", vec!["HTTP", "[::1]"], None),
        ] {
            let name = ServicePrincipalName::parse(text).unwrap();
            assert_eq!(name.components(), components, "{text}");
            assert_eq!(name.realm.as_deref(), realm);
            assert_eq!(name.to_string(), text);
        }
        let name = ServicePrincipalName::parse("HTTP/[::1]:80").unwrap();
        assert_eq!(
            (name.host.as_str(), name.port.as_deref()),
            ("[::1]", Some("80"))
        );
    }

    #[test]
    fn what_is_no_service_name_is_refused() {
        let long = format!("HTTP/{}", "a".repeat(MAX_NAME_LENGTH));
        for text in [
            "",
            "HTTP",
            "/",
            "HTTP/",
            "/host",
            "HTTP/host@",
            "HTTP/host:",
            "HTTP/:80",
            "a/b/c/d",
            "HTTP/ho st",
            "HTTP/host\0",
            "HTTP/host\\x",
            "HTTP/a@b@c",
            "H:1/host",
            "HTTP/host/",
            "alice@R",
            &long,
        ] {
            let error = ServicePrincipalName::parse(text).unwrap_err();
            assert_eq!(
                error.status(),
                SecurityStatus::SEC_E_TARGET_UNKNOWN,
                "{text:?}"
            );
        }
    }

    /// Conformance row 93.
    #[test]
    fn row_93_marshalled_target_information_is_refused_wherever_it_stands() {
        const SUFFIX: &str = "1UWhRCAAAAAAAAAAAAAAAAAAAAAAAAAAAAwbEAYBAAAA";
        for text in [
            format!("cifs/srv{SUFFIX}"),
            format!("cifs/srv{}", SUFFIX.to_lowercase()),
            format!("cifs/srv{SUFFIX}@EXAMPLE"),
            format!("cifs/srv/name{SUFFIX}"),
            format!("cifs{SUFFIX}/srv"),
        ] {
            let error = ServicePrincipalName::parse(&text).unwrap_err();
            assert_eq!(error.status(), SecurityStatus::SEC_E_TARGET_UNKNOWN);
            assert!(error.text().contains("marshalled"), "{error}");
        }
        assert!(ServicePrincipalName::parse("cifs/srv1uwhrc").is_ok());
    }

    #[test]
    fn user_names_of_each_form_are_taken_apart() {
        for (text, user, domain) in [
            ("alice", "alice", None),
            ("alice@example.com", "alice", Some("example.com")),
            ("alice@corp@EXAMPLE", "alice@corp", Some("EXAMPLE")),
            ("EXAMPLE\\alice", "alice", Some("EXAMPLE")),
            ("EXAMPLE\\alice@corp", "alice@corp", Some("EXAMPLE")),
        ] {
            let name = AccountName::parse(text).unwrap();
            assert_eq!((name.user(), name.domain()), (user, domain), "{text}");
        }
    }

    #[test]
    fn what_is_no_user_name_is_refused() {
        let long = "a".repeat(MAX_NAME_LENGTH + 1);
        for (text, status) in [
            ("", SecurityStatus::SEC_E_INVALID_PARAMETER),
            (&long, SecurityStatus::SEC_E_INVALID_PARAMETER),
            ("al\nice", SecurityStatus::SEC_E_INVALID_PARAMETER),
            ("\\alice", SecurityStatus::SEC_E_INVALID_PARAMETER),
            ("EXAMPLE\\", SecurityStatus::SEC_E_INVALID_PARAMETER),
            ("A\\b\\c", SecurityStatus::SEC_E_INVALID_PARAMETER),
            ("@example.com", SecurityStatus::SEC_E_INVALID_UPN_NAME),
            ("alice@", SecurityStatus::SEC_E_INVALID_UPN_NAME),
        ] {
            assert_eq!(
                AccountName::parse(text).unwrap_err().status(),
                status,
                "{text:?}"
            );
        }
    }
}
