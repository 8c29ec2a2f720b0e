use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde::Deserialize;
use trihound::environment::{read_keytab, write_keytab};
use trihound_crypto::danger::only_with_weak;
use trihound_crypto::{Enctype, EnctypePolicy};
use trihound_krb5::config::parse_duration;
use trihound_sansio::Timestamp;
use trihound_test_realm::{
    PasswordRules, Policy, PrincipalOptions, TestKdcServer, TestRealm, TestRealmBuilder,
};

use crate::outcome::{Failure, finish, say, write_out};

/// Options of `trihound kdc`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The realm, as a TOML file; `docs/manual/kdc.md` has all its keys.
    file: PathBuf,
    /// Where to write a krb5.conf that leads to this KDC.
    #[arg(long, value_name = "FILE")]
    krb5_conf: Option<PathBuf>,
    /// Where to write the keytab with the services' keys.
    #[arg(long, value_name = "FILE")]
    keytab: Option<PathBuf>,
}

/// The TOML file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    realm: String,
    /// `host:port`; by default a free port of 127.0.0.1.
    listen: Option<SocketAddr>,
    max_life: Option<String>,
    max_renewable_life: Option<String>,
    enctypes: Option<Vec<String>>,
    /// What new passwords have to have; by default nothing.
    min_password_length: Option<usize>,
    /// Who may set the passwords of others.
    #[serde(default)]
    password_administrators: Vec<String>,
    /// rc4-hmac among `enctypes` works only with this.
    #[serde(default)]
    allow_weak_enctypes: bool,
    #[serde(default)]
    principal: Vec<PrincipalSettings>,
    /// Other realms, with the password that both share.
    #[serde(default)]
    trust: BTreeMap<String, String>,
    /// Domains whose hosts belong to another realm.
    #[serde(default)]
    domain: BTreeMap<String, String>,
}

/// One `[[principal]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalSettings {
    name: Option<String>,
    password: Option<String>,
    /// Takes all principals of the realm from a keytab, instead of a name and a password.
    keytab: Option<PathBuf>,
    enctypes: Option<Vec<String>>,
    salt: Option<String>,
    #[serde(default = "yes")]
    requires_preauth: bool,
    #[serde(default)]
    locked: bool,
    #[serde(default)]
    ok_as_delegate: bool,
    /// The password has to be changed first.
    #[serde(default)]
    password_expired: bool,
}

fn yes() -> bool {
    true
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    finish("kdc", serve(arguments))
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let settings = read_settings(&arguments.file)?;
    let realm = build(&settings, arguments.file.parent())?;
    let server = match settings.listen {
        Some(address) => TestKdcServer::start_at(Arc::clone(&realm), address)
            .map_err(|error| Failure::from(error).context(address))?,
        None => TestKdcServer::start(Arc::clone(&realm))?,
    };
    if let Some(path) = &arguments.krb5_conf {
        fs::write(path, server.krb5_conf())
            .map_err(|error| Failure::from(error).context(path.display()))?;
    }
    if let Some(path) = &arguments.keytab {
        let services: Vec<String> = settings
            .principal
            .iter()
            .filter(|principal| principal.password.is_none())
            .filter_map(|principal| principal.name.clone())
            .collect();
        let names: Vec<&str> = services.iter().map(String::as_str).collect();
        write_keytab(path, &realm.keytab(&names)?)?;
    }
    say(format_args!(
        "realm {} on {}, passwords on {} (UDP and TCP)",
        realm.name(),
        server.address(),
        server.kpasswd_address()
    ))?;
    if arguments.krb5_conf.is_none() {
        write_out(format!("\n{}", server.krb5_conf()).as_bytes())?;
    }
    say(format_args!("listening {}", server.address().port()))?;
    loop {
        std::thread::park();
    }
}

fn read_settings(file: &Path) -> Result<Settings, Failure> {
    let text =
        fs::read_to_string(file).map_err(|error| Failure::from(error).context(file.display()))?;
    toml::from_str(&text).map_err(|error| Failure::from(error).context(file.display()))
}

fn build(settings: &Settings, directory: Option<&Path>) -> Result<Arc<TestRealm>, Failure> {
    let mut policy = Policy::default();
    if let Some(text) = &settings.max_life {
        policy.max_life = length("max_life", text)?;
    }
    if let Some(text) = &settings.max_renewable_life {
        policy.max_renewable_life = length("max_renewable_life", text)?;
    }
    let rules = PasswordRules::at_least(settings.min_password_length.unwrap_or_default(), 0);
    policy.passwords = settings
        .password_administrators
        .iter()
        .fold(rules, PasswordRules::administrator);
    let mut builder = TestRealm::builder(&settings.realm).policy(policy);
    if let Some(names) = &settings.enctypes {
        builder = builder.enctypes(enctype_policy(names, settings.allow_weak_enctypes)?);
    }
    for principal in &settings.principal {
        builder = add(builder, principal, settings.allow_weak_enctypes, directory)?;
    }
    for (realm, password) in &settings.trust {
        builder = builder.trust(realm, password);
    }
    for (domain, realm) in &settings.domain {
        builder = builder.domain(domain, realm);
    }
    Ok(builder.build()?)
}

fn add(
    builder: TestRealmBuilder,
    settings: &PrincipalSettings,
    allow_weak: bool,
    directory: Option<&Path>,
) -> Result<TestRealmBuilder, Failure> {
    let mut options = PrincipalOptions::default();
    options.requires_preauth = settings.requires_preauth;
    options.locked = settings.locked;
    options.ok_as_delegate = settings.ok_as_delegate;
    if settings.password_expired {
        options = options.password_expires(Timestamp::default());
    }
    options.salt = settings.salt.as_ref().map(|salt| salt.clone().into_bytes());
    options.enctypes = match &settings.enctypes {
        Some(names) => Some(enctype_policy(names, allow_weak)?.enctypes().to_vec()),
        None => None,
    };
    match (&settings.name, &settings.password, &settings.keytab) {
        (Some(name), Some(password), None) => Ok(builder.principal_with(name, password, options)),
        (Some(name), None, None) => Ok(builder.service_with(name, options)),
        (None, None, Some(keytab)) => {
            let path = directory.unwrap_or(Path::new(".")).join(keytab);
            Ok(builder.principals_of_keytab(&read_keytab(&path)?, &options))
        }
        _ => Err(Failure::new(
            "a [[principal]] has a name and a password (a user), a name alone (a service with \
             random keys), or a keytab alone",
        )),
    }
}

fn length(key: &str, text: &str) -> Result<std::time::Duration, Failure> {
    parse_duration(text).ok_or_else(|| {
        Failure::new(format!(
            "{key}: {text:?} is not a length of time such as \"10h\""
        ))
    })
}

fn enctypes(names: &[String]) -> Result<Vec<Enctype>, Failure> {
    names
        .iter()
        .map(|name| {
            Enctype::from_name(name).ok_or_else(|| {
                Failure::new(format!("enctypes: there is no encryption type {name:?}"))
            })
        })
        .collect()
}

fn enctype_policy(names: &[String], allow_weak: bool) -> Result<EnctypePolicy, Failure> {
    let enctypes = enctypes(names)?;
    Ok(if allow_weak {
        only_with_weak(&enctypes)?
    } else {
        EnctypePolicy::only(&enctypes)?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_small_file_makes_a_realm() {
        let settings = settings(
            "realm = \"EXAMPLE.TEST\"\nmax_life = \"10h\"\n[[principal]]\nname = \"alice\"\n\
             password = \"secret\"\n[[principal]]\nname = \"HTTP/localhost\"\n",
        );
        let realm = build(&settings, None).unwrap();
        assert_eq!(realm.name(), "EXAMPLE.TEST");
        assert!(!realm.keytab(&["HTTP/localhost"]).unwrap().is_empty());
    }

    #[test]
    fn weak_enctypes_come_with_leave_only() {
        let allowed = settings(
            "realm = \"R\"\nallow_weak_enctypes = true\nenctypes = [\"aes256-cts\", \"rc4-hmac\"]\n\
             [[principal]]\nname = \"HTTP/localhost\"\nenctypes = [\"rc4-hmac\"]\n",
        );
        let keytab = build(&allowed, None)
            .unwrap()
            .keytab(&["HTTP/localhost"])
            .unwrap();
        assert!(!keytab.is_empty());
        for entry in keytab.entries() {
            assert_eq!(entry.key.enctype(), Enctype::RC4_HMAC);
        }
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (text, part) in [
            ("realm = \"R\"\nmax_life = \"soon\"", "max_life"),
            ("realm = \"R\"\nenctypes = [\"des-cbc-crc\"]", "des-cbc-crc"),
            (
                "realm = \"R\"\n[[principal]]\npassword = \"x\"",
                "[[principal]]",
            ),
            ("realm = \"R\"\nenctypes = [\"rc4-hmac\"]", "RFC 8429"),
            (
                "realm = \"R\"\n[[principal]]\nname = \"a\"\npassword = \"x\"\nenctypes = [\"rc4-hmac\"]",
                "RFC 8429",
            ),
        ] {
            let failure = build(&settings(text), None).unwrap_err().to_string();
            assert!(failure.contains(part), "{text}: {failure}");
        }
        assert!(toml::from_str::<Settings>("realm = \"R\"\ntypo = 1").is_err());
    }
}
