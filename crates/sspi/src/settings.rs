use core::time::Duration;

use bitflags::bitflags;

use crate::{Error, SecurityStatus};

/// What one credential has of its own, beside its identity.
///
/// Names of files and the like are those of the machine's configuration: `FILE:/path`, `MEMORY:name` and so
/// on. A field that a package has no use for, and that is set, makes AcquireCredentialsHandle fail with
/// SEC_E_UNSUPPORTED_FUNCTION and the field's name: a setting is never passed over. Negotiate hands each
/// mechanism those that it follows, and refuses what none of them does.
///
/// What concerns one direction only (`accounts` the acceptor; `kdc_url`, `credential_cache` and the
/// lifetimes the initiator) waits unused in a credential of the other one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialSettings {
    /// Whom this credential asks instead of the KDCs that the configuration or DNS has for its realm:
    ///
    /// - `host`, `host:port`, `tcp://host:port` or `udp://host:port`: a KDC of the client's realm. Other
    ///   realms on the way to a service are asked where the configuration has them.
    /// - `https://host:port/path`: a KDC proxy (MS-KKDCP), for every realm.
    pub kdc_url: Option<String>,
    /// The keytab with the keys: of the service for inbound use, of the client for outbound use. A
    /// client's keytab goes before its password.
    pub keytab: Option<String>,
    /// The credential cache that tickets are taken from and put into. It is made where there is none.
    pub credential_cache: Option<String>,
    /// The credential cache with the ticket that armours the login (RFC 6113).
    pub armor_cache: Option<String>,
    /// Where the certificate authorities of the KDC are (RFC 4556).
    pub pkinit_anchors: Option<String>,
    /// How long the tickets of a login are asked for; a whole number of seconds, and not zero.
    pub lifetime: Option<Duration>,
    /// From when on they are asked for, counted from AcquireCredentialsHandle.
    pub start_time: Option<Duration>,
    /// How long they are to be renewable; zero asks for tickets that are not.
    pub renewable_lifetime: Option<Duration>,
    /// The file of accounts whose passwords an NTLM acceptor checks (WinPR's `samFile`).
    pub accounts: Option<String>,
}

bitflags! {
    /// Fields of [`CredentialSettings`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SettingFields: u16 {
        /// `kdc_url`.
        const KDC_URL = 1;
        /// `keytab`.
        const KEYTAB = 1 << 1;
        /// `credential_cache`.
        const CREDENTIAL_CACHE = 1 << 2;
        /// `armor_cache`.
        const ARMOR_CACHE = 1 << 3;
        /// `pkinit_anchors`.
        const PKINIT_ANCHORS = 1 << 4;
        /// `lifetime`.
        const LIFETIME = 1 << 5;
        /// `start_time`.
        const START_TIME = 1 << 6;
        /// `renewable_lifetime`.
        const RENEWABLE_LIFETIME = 1 << 7;
        /// `accounts`.
        const ACCOUNTS = 1 << 8;
    }
}

impl CredentialSettings {
    /// Which fields are set.
    #[must_use]
    pub fn fields(&self) -> SettingFields {
        let mut fields = SettingFields::empty();
        fields.set(SettingFields::KDC_URL, self.kdc_url.is_some());
        fields.set(SettingFields::KEYTAB, self.keytab.is_some());
        fields.set(
            SettingFields::CREDENTIAL_CACHE,
            self.credential_cache.is_some(),
        );
        fields.set(SettingFields::ARMOR_CACHE, self.armor_cache.is_some());
        fields.set(SettingFields::PKINIT_ANCHORS, self.pkinit_anchors.is_some());
        fields.set(SettingFields::LIFETIME, self.lifetime.is_some());
        fields.set(SettingFields::START_TIME, self.start_time.is_some());
        fields.set(
            SettingFields::RENEWABLE_LIFETIME,
            self.renewable_lifetime.is_some(),
        );
        fields.set(SettingFields::ACCOUNTS, self.accounts.is_some());
        fields
    }

    /// The settings without the fields that are not in `fields`.
    #[must_use]
    pub fn only(&self, fields: SettingFields) -> Self {
        let text = |field, value: &Option<String>| value.clone().filter(|_| fields.contains(field));
        let time = |field, value: Option<Duration>| value.filter(|_| fields.contains(field));
        Self {
            kdc_url: text(SettingFields::KDC_URL, &self.kdc_url),
            keytab: text(SettingFields::KEYTAB, &self.keytab),
            credential_cache: text(SettingFields::CREDENTIAL_CACHE, &self.credential_cache),
            armor_cache: text(SettingFields::ARMOR_CACHE, &self.armor_cache),
            pkinit_anchors: text(SettingFields::PKINIT_ANCHORS, &self.pkinit_anchors),
            lifetime: time(SettingFields::LIFETIME, self.lifetime),
            start_time: time(SettingFields::START_TIME, self.start_time),
            renewable_lifetime: time(SettingFields::RENEWABLE_LIFETIME, self.renewable_lifetime),
            accounts: text(SettingFields::ACCOUNTS, &self.accounts),
        }
    }

    /// Refuses what is set here and not among the fields that the package follows.
    ///
    /// # Errors
    ///
    /// SEC_E_UNSUPPORTED_FUNCTION, with the fields' names.
    pub fn require(&self, followed: SettingFields, package: &str) -> Result<(), Error> {
        let foreign = self.fields() - followed;
        if foreign.is_empty() {
            return Ok(());
        }
        let named: Vec<&str> = foreign.iter().map(SettingFields::describe).collect();
        Err(Error::new(
            SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION,
            format!(
                "{package} does not follow these settings of a credential, and passes none over: {}; \
                 leave them out, or use a package that does",
                named.join(", ")
            ),
        ))
    }
}

impl SettingFields {
    /// The field's name, and what it stands for where it is not plain.
    fn describe(self) -> &'static str {
        match self {
            Self::KDC_URL => "kdc_url",
            Self::KEYTAB => "keytab",
            Self::CREDENTIAL_CACHE => "credential_cache",
            Self::ARMOR_CACHE => "armor_cache (FAST, RFC 6113)",
            Self::PKINIT_ANCHORS => "pkinit_anchors (PKINIT, RFC 4556)",
            Self::LIFETIME => "lifetime",
            Self::START_TIME => "start_time",
            Self::RENEWABLE_LIFETIME => "renewable_lifetime",
            Self::ACCOUNTS => "accounts",
            _ => "a field of a later version",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_field() -> CredentialSettings {
        let text = || Some("x".to_owned());
        let time = Some(Duration::from_secs(1));
        CredentialSettings {
            kdc_url: text(),
            keytab: text(),
            credential_cache: text(),
            armor_cache: text(),
            pkinit_anchors: text(),
            lifetime: time,
            start_time: time,
            renewable_lifetime: time,
            accounts: text(),
        }
    }

    #[test]
    fn each_field_is_known_by_its_flag_and_its_name() {
        let all = every_field();
        assert_eq!(all.fields(), SettingFields::all());
        assert_eq!(CredentialSettings::default().fields().bits(), 0);
        for field in SettingFields::all().iter() {
            let one = all.only(field);
            assert_eq!(one.fields(), field);
            assert!(one.require(field, "Toy").is_ok());
            let error = one
                .require(SettingFields::all() - field, "Toy")
                .unwrap_err();
            assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
            let text = error.to_string();
            assert!(text.contains(field.describe()), "{text}");
            assert!(!field.describe().contains("later"), "{field:?}");
        }
        assert_eq!(all.only(SettingFields::all()), all);
    }
}
