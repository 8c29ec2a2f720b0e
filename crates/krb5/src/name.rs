//! Principal names: text with escapes, comparison, default salts (RFC 4120 section 6).

mod exported;

use core::fmt;
use core::hash::{Hash, Hasher};

use thiserror::Error;
use trihound_asn1::{KerberosString, PrincipalName, Realm, name_type, printable};

/// The name of the ticket-granting service (RFC 4120 section 7.3).
const TGS_NAME: &[u8] = b"krbtgt";
/// First component of every well-known name (RFC 6111 section 3.1).
const WELLKNOWN_NAME: &[u8] = b"WELLKNOWN";

/// A name and its realm: a user, a service or a realm's ticket-granting service.
///
/// Components and realm are byte strings: whatever a peer sends survives, UTF-8 or not. Two
/// principals are equal when realm and components are; the name type does not count
/// (RFC 4120 section 6.2).
#[derive(Clone, Debug)]
pub struct Principal {
    /// The realm; empty when it is to be found out by the KDC (RFC 6806 section 8).
    pub realm: Realm,
    /// The components and the name type.
    pub name: PrincipalName,
}

/// Why a text is not a principal name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// The last character is a `\` that escapes nothing.
    #[error("the principal name {0:?} ends in a lone backslash; write \\\\ for a backslash")]
    TrailingBackslash(String),
    /// A second `@`, or a `/`, stands unescaped in the realm.
    #[error("the realm of {0:?} holds an unescaped '/' or '@'; escape it with a backslash")]
    SeparatorInRealm(String),
    /// The text has no realm and no default realm is known.
    #[error(
        "the principal name {0:?} has no realm and no default realm is configured; \
         append @REALM or set default_realm in krb5.conf"
    )]
    NoRealm(String),
    /// There is no name before the realm.
    #[error("the principal name {0:?} is empty before its realm")]
    Empty(String),
    /// An exported name is not one, or not of Kerberos.
    #[error("not an exported Kerberos name: {what} at offset {offset}")]
    NotExported {
        /// What does not fit.
        what: &'static str,
        /// Where, in bytes from the beginning.
        offset: usize,
    },
    /// A host-based service name is not of the form `service` or `service@host`.
    #[error("{0:?} is not a host-based service name; write service@host")]
    NotHostBased(String),
}

impl Principal {
    /// From its parts.
    pub fn new<I, C>(realm: impl Into<Realm>, name_type: i32, components: I) -> Self
    where
        I: IntoIterator<Item = C>,
        C: Into<KerberosString>,
    {
        Self {
            realm: realm.into(),
            name: PrincipalName {
                name_type,
                name_string: components.into_iter().map(Into::into).collect(),
            },
        }
    }

    /// Reads MIT's text form: components between `/`, then `@` and the realm.
    ///
    /// `\` takes the next character literally, but for `\n`, `\t`, `\b` and `\0`. Without an `@`
    /// the realm is `default_realm`; with nothing after the `@` it is empty. The name type is
    /// `NT-SRV-INST` for two components that begin with `krbtgt`, `NT-WELLKNOWN` for names that
    /// begin with `WELLKNOWN`, else `NT-PRINCIPAL`.
    ///
    /// # Errors
    ///
    /// [`NameError`]: lone backslash, separator within the realm, no realm, no name.
    pub fn parse(text: &str, default_realm: Option<&str>) -> Result<Self, NameError> {
        Self::parse_bytes(text.as_bytes(), default_realm)
    }

    /// As [`Self::parse`], for names that are not UTF-8.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn parse_bytes(text: &[u8], default_realm: Option<&str>) -> Result<Self, NameError> {
        let (components, realm) = split(text)?;
        if let [only] = components.as_slice()
            && only.is_empty()
        {
            return Err(NameError::Empty(shown(text)));
        }
        let realm = realm_or_default(text, realm, default_realm)?;
        let name_type = match components.as_slice() {
            [first, _] if first == TGS_NAME => name_type::NT_SRV_INST,
            [first, ..] if first == WELLKNOWN_NAME => name_type::NT_WELLKNOWN,
            _ => name_type::NT_PRINCIPAL,
        };
        Ok(Self::new(
            realm.as_slice(),
            name_type,
            components.iter().map(Vec::as_slice),
        ))
    }

    /// Reads an enterprise name, such as a user principal name of Active Directory
    /// (RFC 6806 section 5).
    ///
    /// The whole name is one component, the first `@` and every `/` included; only a second
    /// unescaped `@` begins the realm, as in `user@suffix.example@REALM`.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn parse_enterprise(text: &str, default_realm: Option<&str>) -> Result<Self, NameError> {
        let mut component = Vec::new();
        let mut realm: Option<Vec<u8>> = None;
        let mut seen_at = false;
        let mut input = text.bytes();
        while let Some(byte) = input.next() {
            match byte {
                b'\\' => {
                    let literal = unescape(text.as_bytes(), input.next())?;
                    realm.as_mut().unwrap_or(&mut component).push(literal);
                }
                b'@' if realm.is_some() => {
                    return Err(NameError::SeparatorInRealm(text.to_owned()));
                }
                b'@' if seen_at => realm = Some(Vec::new()),
                _ => {
                    seen_at |= byte == b'@';
                    realm.as_mut().unwrap_or(&mut component).push(byte);
                }
            }
        }
        if component.is_empty() {
            return Err(NameError::Empty(text.to_owned()));
        }
        let realm = realm_or_default(text.as_bytes(), realm, default_realm)?;
        Ok(Self::new(
            realm.as_slice(),
            name_type::NT_ENTERPRISE,
            [component.as_slice()],
        ))
    }

    /// A service on a host: `service/host@realm`, of type `NT-SRV-HST` (RFC 4120 section 6.2.1).
    #[must_use]
    pub fn service(service: &str, host: &str, realm: &str) -> Self {
        Self::new(realm, name_type::NT_SRV_HST, [service, host])
    }

    /// From a host-based service name of GSS-API, `service@host` (RFC 2743 section 4.1, RFC 1964
    /// section 2.1.2). The host is lowered; without `@host`, `local_host` stands in for it.
    ///
    /// # Errors
    ///
    /// [`NameError::NotHostBased`] when the service or the host is empty.
    pub fn from_host_based_service(
        text: &str,
        local_host: &str,
        realm: &str,
    ) -> Result<Self, NameError> {
        let (service, host) = text.split_once('@').unwrap_or((text, local_host));
        if service.is_empty() || host.is_empty() || service.contains('/') {
            return Err(NameError::NotHostBased(text.to_owned()));
        }
        Ok(Self::service(service, &host.to_ascii_lowercase(), realm))
    }

    /// The ticket-granting service of `realm` itself: `krbtgt/realm@realm`.
    #[must_use]
    pub fn krbtgt(realm: &Realm) -> Self {
        Self::krbtgt_for(realm, realm)
    }

    /// The ticket-granting service of `target` as a service of `realm`: `krbtgt/target@realm`
    /// (RFC 4120 section 7.3).
    #[must_use]
    pub fn krbtgt_for(target: &Realm, realm: &Realm) -> Self {
        Self::new(
            realm.clone(),
            name_type::NT_SRV_INST,
            [KerberosString::from(TGS_NAME), target.clone()],
        )
    }

    /// Whether this is a ticket-granting service: `krbtgt` and one more component.
    #[must_use]
    pub fn is_krbtgt(&self) -> bool {
        self.krbtgt_target().is_some()
    }

    /// The realm that this ticket-granting service is for; `None` for any other principal.
    #[must_use]
    pub fn krbtgt_target(&self) -> Option<&Realm> {
        match self.name.name_string.as_slice() {
            [service, target] if service.as_bytes() == TGS_NAME => Some(target),
            _ => None,
        }
    }

    /// Whether the name stands for nobody: `WELLKNOWN/ANONYMOUS` of any realm (RFC 8062 section 3).
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.components().eq([&b"WELLKNOWN"[..], b"ANONYMOUS"])
    }

    /// The components as byte strings.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.name.name_string.iter().map(KerberosString::as_bytes)
    }

    /// Whether both are the same service of one realm, be it on different hosts: two components, of
    /// which the first are equal.
    #[must_use]
    pub fn is_same_service(&self, other: &Self) -> bool {
        let service = |name: &Self| match name.name.name_string.as_slice() {
            [service, _] => Some(service.as_bytes().to_vec()),
            _ => None,
        };
        let own = service(self);
        own.is_some() && own == service(other) && self.realm == other.realm
    }

    /// The same name in another realm.
    #[must_use]
    pub fn with_realm(&self, realm: impl Into<Realm>) -> Self {
        Self {
            realm: realm.into(),
            name: self.name.clone(),
        }
    }

    /// The name without its realm, escaped as in [`fmt::Display`].
    #[must_use]
    pub fn name_text(&self) -> String {
        let mut out = Vec::new();
        self.escape_components(&mut out);
        printable(&out).into_owned()
    }

    /// The default salt of string-to-key: the realm, then the components, nothing between
    /// (RFC 4120 section 4; conformance row 186).
    #[must_use]
    pub fn default_salt(&self) -> Vec<u8> {
        let mut salt = self.realm.as_bytes().to_vec();
        for component in self.components() {
            salt.extend_from_slice(component);
        }
        salt
    }

    fn escape_components(&self, out: &mut Vec<u8>) {
        for (index, component) in self.components().enumerate() {
            if index > 0 {
                out.push(b'/');
            }
            escape(component, out);
        }
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        // RFC 4120 section 6.2: the name type is a hint and does not take part.
        self.realm == other.realm && self.name.name_string == other.name.name_string
    }
}

impl Eq for Principal {}

impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.realm.hash(state);
        self.name.name_string.hash(state);
    }
}

impl fmt::Display for Principal {
    /// MIT's text form with escapes. Bytes that are not UTF-8, and control characters that MIT's form
    /// has no escape for, show as U+FFFD: a name comes from a peer and goes to terminals and logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        self.escape_components(&mut out);
        out.push(b'@');
        escape(self.realm.as_bytes(), &mut out);
        f.write_str(&printable(&out))
    }
}

/// The salt of an Active Directory user: the realm in upper case, then the account name
/// (MS-KILE section 3.1.1.2; conformance row 186).
#[must_use]
pub fn ad_user_salt(realm: &str, sam_account_name: &str) -> Vec<u8> {
    let mut salt = realm.to_uppercase().into_bytes();
    salt.extend_from_slice(sam_account_name.as_bytes());
    salt
}

/// The salt of an Active Directory computer: the realm in upper case, `host`, then the account
/// name without its `$`, a dot and the realm, all in lower case (MS-KILE section 3.1.1.2;
/// conformance row 186).
#[must_use]
pub fn ad_computer_salt(realm: &str, sam_account_name: &str) -> Vec<u8> {
    let account = sam_account_name
        .strip_suffix('$')
        .unwrap_or(sam_account_name)
        .to_lowercase();
    let upper = realm.to_uppercase();
    let lower = realm.to_lowercase();
    format!("{upper}host{account}.{lower}").into_bytes()
}

type Split = (Vec<Vec<u8>>, Option<Vec<u8>>);

fn split(text: &[u8]) -> Result<Split, NameError> {
    let mut components: Vec<Vec<u8>> = Vec::new();
    let mut realm = false;
    let mut current = Vec::new();
    let mut input = text.iter().copied();
    while let Some(byte) = input.next() {
        match byte {
            b'\\' => current.push(unescape(text, input.next())?),
            b'/' | b'@' if realm => return Err(NameError::SeparatorInRealm(shown(text))),
            b'/' => components.push(core::mem::take(&mut current)),
            b'@' => {
                components.push(core::mem::take(&mut current));
                realm = true;
            }
            _ => current.push(byte),
        }
    }
    if realm {
        return Ok((components, Some(current)));
    }
    components.push(current);
    Ok((components, None))
}

fn unescape(text: &[u8], byte: Option<u8>) -> Result<u8, NameError> {
    match byte {
        None => Err(NameError::TrailingBackslash(shown(text))),
        Some(b'n') => Ok(b'\n'),
        Some(b't') => Ok(b'\t'),
        Some(b'b') => Ok(0x08),
        Some(b'0') => Ok(0),
        Some(literal) => Ok(literal),
    }
}

fn realm_or_default(
    text: &[u8],
    realm: Option<Vec<u8>>,
    default_realm: Option<&str>,
) -> Result<Vec<u8>, NameError> {
    match (realm, default_realm) {
        (Some(realm), _) => Ok(realm),
        (None, Some(default)) => Ok(default.as_bytes().to_vec()),
        (None, None) => Err(NameError::NoRealm(shown(text))),
    }
}

/// A name for an error text.
fn shown(text: &[u8]) -> String {
    printable(text).into_owned()
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        let letter = match byte {
            b'/' | b'@' | b'\\' => byte,
            b'\n' => b'n',
            b'\t' => b't',
            0x08 => b'b',
            0 => b'0',
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
}
