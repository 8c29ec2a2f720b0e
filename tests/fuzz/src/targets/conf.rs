//! krb5.conf: the grammar with includes, and the meaning.
//!
//! NUL bytes part the input into files: the first is the main one, the others are what `include`
//! and `includedir` find under the digit that a path ends in.

use trihound_krb5::config::{parse_boolean, parse_duration};
use trihound_krb5::{Config, Principal, Profile, ProfileSource};

struct Files(Vec<String>);

impl ProfileSource for Files {
    fn read(&self, path: &str) -> Result<String, String> {
        let index = path.bytes().last().unwrap_or_default().wrapping_sub(b'0');
        self.0
            .get(usize::from(index))
            .cloned()
            .ok_or_else(|| "no such file".to_owned())
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, String> {
        if directory.contains("none") {
            return Err("no such directory".to_owned());
        }
        Ok((0..self.0.len()).map(|index| index.to_string()).collect())
    }
}

pub fn run(data: &[u8]) {
    let files: Vec<String> = data
        .split(|&byte| byte == 0)
        .take(6)
        .map(|file| String::from_utf8_lossy(file).into_owned())
        .collect();
    let main = files.first().cloned().unwrap_or_default();
    let _ = (parse_duration(&main), parse_boolean(&main));
    let source = Files(files);
    let Ok(profile) = Profile::parse(&main, &source, "main") else {
        return;
    };
    let again = Profile::parse(&main, &source, "main");
    assert_eq!(again.as_ref(), Ok(&profile));
    let _ = profile.relations(&["libdefaults"]);
    for realm in profile.subsections(&["realms"]) {
        let _ = profile.values(&["realms", realm, "kdc"]);
    }
    if let Ok(config) = Config::from_profile(&profile) {
        for realm in config.realms.keys() {
            let _ = config.kdcs(realm);
        }
        let _ = config.realm_of_host("www.example.test");
        let _ = config.realm_of_host("");
        let _ = (config.as_enctypes(), config.tgs_enctypes());
        for warning in config.warnings() {
            let _ = warning.to_string();
        }
        for realm in config.realms.keys() {
            let _ = (
                config.login_defaults(realm),
                config.capath(realm, "EXAMPLE.TEST"),
            );
            let _ = config.appdefault("telnet", Some(realm), "option");
        }
        let _ = (
            config.fallback_realm("www.example.test"),
            config.qualified_host("www"),
        );
        for name in ["joe", "joe/admin", "host/www.example.test@OTHER"] {
            if let Ok(principal) = Principal::parse(name, Some("EXAMPLE.TEST")) {
                let _ = config.auth_to_local(&principal);
            }
        }
    }
    let mut twice = profile.clone();
    twice.append(profile);
    let _ = Config::from_profile(&twice);
}
