//! The files that machines have: `fixtures/krb5-conf`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use trihound_crypto::Enctype;
use trihound_krb5::config::DnsCanonicalization;
use trihound_krb5::{Config, Profile, ProfileSource, WarningReason};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/krb5-conf")
}

/// The fixtures, in the place of `/etc` of a machine.
struct Etc(PathBuf);

impl Etc {
    fn place(&self, path: &str) -> PathBuf {
        self.0.join(path.strip_prefix("/etc/").unwrap())
    }
}

impl ProfileSource for Etc {
    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(self.place(path)).map_err(|error| error.to_string())
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, String> {
        let entries =
            std::fs::read_dir(self.place(directory)).map_err(|error| error.to_string())?;
        Ok(entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect())
    }
}

fn config(etc: &str, name: &str) -> Config {
    let etc = Etc(fixtures().join(etc));
    let path = format!("/etc/{name}");
    let profile = Profile::parse(&etc.read(&path).unwrap(), &etc, &path).unwrap();
    Config::from_profile(&profile).unwrap()
}

#[test]
fn debians_file_is_followed_without_a_word() {
    let config = config("", "debian.conf");
    assert_eq!(config.warnings(), []);
    assert_eq!(config.default_realm.as_deref(), Some("EXAMPLE.COM"));
    assert!(config.forwardable && config.proxiable && config.kdc_timesync && !config.rdns);
    assert_eq!(config.ccache_type, Some(4));
    assert_eq!(config.realms.len(), 7);
    assert_eq!(config.kdcs("ATHENA.MIT.EDU").len(), 3);
    assert_eq!(
        config.realms["stanford.edu"].primary_kdcs,
        ["krb5auth1.stanford.edu"]
    );
    assert_eq!(config.realm_of_host("web.mit.edu"), Some("ATHENA.MIT.EDU"));
    assert_eq!(
        config.realm_of_host("www.csail.mit.edu"),
        Some("CSAIL.MIT.EDU")
    );
}

/// A file of twenty years ago: what it says of DES is told, and the rest holds.
#[test]
fn an_old_file_of_debian_is_followed_but_for_des() {
    let config = config("", "debian-squeeze.conf");
    let aes = [
        Enctype::AES256_CTS_HMAC_SHA1_96,
        Enctype::AES128_CTS_HMAC_SHA1_96,
    ];
    assert_eq!(config.permitted_enctypes.enctypes(), aes);
    assert_eq!(
        (config.as_enctypes(), config.tgs_enctypes()),
        (aes.to_vec(), aes.to_vec())
    );
    let mut reasons: Vec<_> = config.warnings().iter().map(|it| &it.reason).collect();
    reasons.retain(|reason| !matches!(reason, WarningReason::RemovedEnctype { .. }));
    assert_eq!(reasons, [&WarningReason::NoEnctypeLeft; 2]);
    assert_eq!(config.kdcs("EXAMPLE.COM"), ["kerberos.example.com:88"]);
}

#[test]
fn fedoras_files_are_followed_without_a_word() {
    let config = config("fedora", "krb5.conf");
    assert_eq!(config.warnings(), []);
    assert_eq!(config.default_realm, None);
    assert_eq!(config.default_ccache_name.as_deref(), Some("KCM:"));
    assert_eq!(
        config.permitted_enctypes.enctypes(),
        [
            Enctype::AES256_CTS_HMAC_SHA1_96,
            Enctype::AES256_CTS_HMAC_SHA384_192,
            Enctype::AES128_CTS_HMAC_SHA1_96,
            Enctype::AES128_CTS_HMAC_SHA256_128,
        ]
    );
    assert_eq!(
        config.dns_canonicalize_hostname,
        DnsCanonicalization::Fallback
    );
    assert_eq!(config.qualify_shortname.as_deref(), Some(""));
    assert_eq!(config.qualified_host("web"), None);
    assert_eq!(config.ticket_lifetime, Duration::from_secs(86_400));
    assert_eq!(config.renew_lifetime, Duration::from_secs(604_800));
    assert!(config.forwardable && !config.rdns && !config.dns_lookup_realm);
}

#[test]
fn macoss_file_is_followed_without_a_word() {
    let config = config("", "macos.conf");
    assert_eq!(config.warnings(), []);
    assert!(config.dns_lookup_kdc && config.dns_lookup_realm);
    assert_eq!(
        config.kdcs("EXAMPLE.COM"),
        ["tcp/server.example.com", "server.example.com:88"]
    );
    assert_eq!(config.realm_of_host("a.example.com"), Some("EXAMPLE.COM"));
}
