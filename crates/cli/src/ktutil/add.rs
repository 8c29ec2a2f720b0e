//! Keys that are put into a keytab: of a password, as they are, or random ones.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::sync::Arc;

use trihound::environment::NamedKeytab;
use trihound_crypto::{Enctype, EnctypePolicy, Key, OsRandom};
use trihound_krb5::{
    Config, Environment, EtypeInfoExchange, KeyMaterial, KeytabEdit, Principal, StringToKeyInfo,
};
use trihound_sansio::{Clock, SystemClock, drive};
use trihound_secret::{SecretBytes, SecretString};

use super::{entry_text, has, made, principal, same_version};
use crate::line::{first_line, unbuffered_stdin};
use crate::network::kdc_transport;
use crate::outcome::Failure;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("secret"))]
pub(super) struct Arguments {
    /// Whose keys.
    principal: String,
    /// The version of the keys, as the KDC has it (default with --random: the next one).
    #[arg(short = 'k', value_name = "KVNO", value_parser = super::kvno, required_unless_present = "random")]
    kvno: Option<u32>,
    /// The encryption types, by name (default: all that krb5.conf permits; with -f those of them that
    /// the KDC has keys of).
    #[arg(short = 'e', value_name = "ENCTYPE", value_parser = super::enctype, value_delimiter = ',')]
    enctypes: Vec<Enctype>,
    /// Read the password from the first line of this file, or of standard input if it is - (default:
    /// the terminal).
    #[arg(long, value_name = "FILE", group = "secret")]
    password_file: Option<String>,
    /// Read the key in hexadecimal digits from the first line of this file, or of standard input if it
    /// is -; needs one -e.
    #[arg(long, value_name = "FILE", group = "secret")]
    key_file: Option<String>,
    /// Make random keys, for a KDC that takes them from this keytab.
    #[arg(long, group = "secret")]
    random: bool,
    /// The salt of the password (default: realm and principal, one behind the other).
    #[arg(short = 's', value_name = "SALT", conflicts_with_all = ["key_file", "random"])]
    salt: Option<String>,
    /// Ask the KDC for the salt.
    #[arg(short = 'f', conflicts_with_all = ["salt", "key_file", "random"])]
    fetch: bool,
    /// Take the place of other keys of the same version and type.
    #[arg(long)]
    replace: bool,
}

impl Arguments {
    pub(super) fn add(&self, keytab: &NamedKeytab, config: Config) -> Result<Vec<String>, Failure> {
        let principal = principal(&self.principal, &config)?;
        let keys = self.keys(&principal, &Arc::new(config))?;
        let now = SystemClock.now();
        keytab.create()?;
        let mut changes = Vec::new();
        let mut conflict = None;
        keytab.edit(|there| {
            let next = || {
                let of_principal = there.of_principal(&principal);
                let last = of_principal.map(|entry| entry.kvno).max();
                last.unwrap_or_default().saturating_add(1)
            };
            let kvno = self.kvno.unwrap_or_else(next);
            let mut edit = KeytabEdit::default();
            for key in keys {
                let entry = made(&principal, kvno, key, now);
                if has(there, &entry) {
                    changes.push(format!("Already there: {}", entry_text(&entry)));
                    continue;
                }
                let mut others = same_version(there, &entry).peekable();
                if others.peek().is_some() && !self.replace {
                    conflict = Some(entry_text(&entry));
                    return KeytabEdit::default();
                }
                edit.remove.extend(others.map(|(index, _)| index));
                changes.push(format!("Added {}", entry_text(&entry)));
                edit.add.push(entry);
            }
            edit
        })?;
        match conflict {
            Some(entry) => Err(Failure::new(format!(
                "{} has another key of {entry}; nothing was added: give the version that the KDC has \
                 (-k), or replace the key (--replace)",
                keytab.name()
            ))),
            None => Ok(changes),
        }
    }

    fn keys(
        &self,
        principal: &Principal,
        config: &Arc<Config>,
    ) -> Result<Vec<KeyMaterial>, Failure> {
        let policy = &config.permitted_enctypes;
        if let Some(place) = &self.key_file {
            let [enctype] = self.enctypes[..] else {
                return Err(Failure::new(
                    "a key in digits needs its one type: -e ENCTYPE",
                ));
            };
            let bytes = from_hex(&secret_line(place)?)?;
            // It must be one that can be used.
            Key::new(enctype, bytes.expose(), policy)?;
            return Ok(vec![KeyMaterial::new(enctype, bytes)]);
        }
        if self.random {
            let random = |enctype: &Enctype| {
                let key = Key::generate(*enctype, policy, &OsRandom)?;
                Ok(KeyMaterial::from_key(Arc::new(key)))
            };
            return self.enctypes(policy).iter().map(random).collect();
        }
        let told = self.string_to_key(principal, config)?;
        let password = self.password(principal)?;
        let of_password = |info: &StringToKeyInfo| {
            let key = Key::from_password(
                info.enctype,
                password.expose().as_bytes(),
                &info.salt,
                info.s2kparams.as_deref(),
                policy,
            )?;
            Ok(KeyMaterial::from_key(Arc::new(key)))
        };
        told.iter().map(of_password).collect()
    }

    fn enctypes<'a>(&'a self, policy: &'a EnctypePolicy) -> &'a [Enctype] {
        if self.enctypes.is_empty() {
            policy.enctypes()
        } else {
            &self.enctypes
        }
    }

    /// What each of the keys is made with.
    fn string_to_key(
        &self,
        principal: &Principal,
        config: &Arc<Config>,
    ) -> Result<Vec<StringToKeyInfo>, Failure> {
        let policy = &config.permitted_enctypes;
        if !self.fetch {
            let salt = match &self.salt {
                Some(salt) => salt.as_bytes().to_vec(),
                None => principal.default_salt(),
            };
            return Ok(self
                .enctypes(policy)
                .iter()
                .map(|enctype| StringToKeyInfo::new(*enctype, salt.clone()))
                .collect());
        }
        let environment = Environment::new(
            Arc::new(SystemClock),
            Arc::new(OsRandom),
            Arc::clone(config),
        );
        let exchange = EtypeInfoExchange::begin(principal.clone(), None, &environment)?;
        let mut told = drive(exchange, kdc_transport(Arc::clone(config)))?;
        if self.enctypes.is_empty() {
            return Ok(told);
        }
        told.retain(|info| self.enctypes.contains(&info.enctype));
        for enctype in &self.enctypes {
            if !told.iter().any(|info| info.enctype == *enctype) {
                return Err(Failure::new(format!(
                    "the KDC has no {enctype} key of {principal}, or krb5.conf does not permit it; \
                     leave -e out to take what it has"
                )));
            }
        }
        Ok(told)
    }

    fn password(&self, principal: &Principal) -> Result<SecretString, Failure> {
        match &self.password_file {
            Some(place) => secret_line(place),
            None if io::stdin().is_terminal() => {
                let prompt = format!("Password for {principal}: ");
                Ok(rpassword::prompt_password(prompt)?.into())
            }
            None => secret_line("-"),
        }
    }
}

/// The first line of a file, or of standard input, without its end.
fn secret_line(place: &str) -> Result<SecretString, Failure> {
    let input = match place {
        "-" => unbuffered_stdin(),
        path => File::open(path),
    };
    let line = input
        .and_then(first_line)
        .map_err(|error| Failure::from(error).context(place))?;
    line.filter(|line| !line.expose().is_empty())
        .ok_or_else(|| Failure::new(format!("{place}: the first line is empty")))
}

fn from_hex(digits: &SecretString) -> Result<SecretBytes, Failure> {
    let wrong = || Failure::new("a key is an even number of hexadecimal digits");
    let digits = digits.expose().trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits).as_bytes();
    let mut bytes = SecretBytes::zeroed(digits.len() / 2);
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong());
    }
    for (byte, [high, low]) in bytes.expose_mut().iter_mut().zip(pairs) {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let (Some(high), Some(low)) = (digit(high), digit(low)) else {
            return Err(wrong());
        };
        *byte = u8::try_from(high << 4 | low).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_an_even_number_of_digits() {
        let bytes = |text: &str| from_hex(&SecretString::from(text.to_owned()));
        assert_eq!(bytes("00ffAb").unwrap().expose(), [0, 0xff, 0xab]);
        assert_eq!(bytes(" 0x1f \n").unwrap().expose(), [0x1f]);
        for wrong in ["0", "0g", "ä", "+1"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
