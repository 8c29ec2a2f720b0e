use trihound_secret::SecretString;

use super::onward::Next;
use crate::outcome::Failure;

/// The comma-separated words at the end of `trihound peer`'s command line.
#[derive(Debug, Default)]
pub(super) struct Flags {
    pub(super) mutual: bool,
    pub(super) sequence: bool,
    pub(super) replay: bool,
    pub(super) confidentiality: bool,
    pub(super) integrity: bool,
    pub(super) delegate: bool,
    pub(super) dce: bool,
    pub(super) identify: bool,
    pub(super) anonymous: bool,
    pub(super) bindings: Option<Vec<u8>>,
    pub(super) user: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) password: Option<SecretString>,
    /// What negotiate may choose of, as AcquireCredentialsHandle's package list has it.
    pub(super) package_list: Option<String>,
    pub(super) iov: bool,
    pub(super) big: Option<usize>,
    pub(super) no_data: bool,
    pub(super) no_wrap: bool,
    /// NTLM clients may sign and seal without a MIC over the handshake's messages.
    pub(super) no_mic: bool,
    pub(super) for_ever: bool,
    /// The context goes to a child process in the middle of the conversation.
    pub(super) moves: bool,
    pub(super) onward: Option<Next>,
}

/// The largest `big=N`: a message of it still fits a frame with its token.
const MAX_BIG: usize = 32 << 20;

impl Flags {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let mut flags = Self::default();
        for word in text
            .split(',')
            .filter(|word| !word.is_empty() && *word != "-")
        {
            match word.split_once('=') {
                None => flags.switch_on(word)?,
                Some((name, value)) => flags.set(name, value)?,
            }
        }
        // A context in DCE style has three legs, which is mutual authentication.
        flags.mutual |= flags.dce;
        if flags.password.is_some() && flags.user.is_none() {
            return Err(Failure::new("pw= needs a user= beside it"));
        }
        if flags.domain.is_some() && flags.user.is_none() {
            return Err(Failure::new("domain= needs a user= beside it"));
        }
        Ok(flags)
    }

    fn switch_on(&mut self, word: &str) -> Result<(), Failure> {
        *match word {
            "mutual" => &mut self.mutual,
            "seq" => &mut self.sequence,
            "replay" => &mut self.replay,
            "conf" => &mut self.confidentiality,
            "integ" => &mut self.integrity,
            "deleg" => &mut self.delegate,
            "dce" => &mut self.dce,
            "identify" => &mut self.identify,
            "anon" => &mut self.anonymous,
            "iov" => &mut self.iov,
            "nodata" => &mut self.no_data,
            "nowrap" => &mut self.no_wrap,
            "nomic" => &mut self.no_mic,
            "loop" => &mut self.for_ever,
            "moves" => &mut self.moves,
            _ => return Err(unknown(word)),
        } = true;
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "cb" => self.bindings = Some(hex(value)?),
            "user" => self.user = Some(value.to_owned()),
            "domain" => self.domain = Some(value.to_owned()),
            "mechs" => self.package_list = Some(package_list(value)?),
            "onward" => self.onward = Some(Next::parse(value)?),
            "pw" => self.password = Some(value.into()),
            "big" => {
                let size = value.parse().ok().filter(|size| *size <= MAX_BIG);
                self.big = Some(size.ok_or_else(|| {
                    Failure::new(format!(
                        "big={value} is not a number of bytes up to {MAX_BIG}"
                    ))
                })?);
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }
}

fn unknown(word: &str) -> Failure {
    Failure::new(format!(
        "unknown flag {word:?}; there are mutual, seq, replay, conf, integ, deleg, dce, identify, anon, \
         cb=HEX, user=U, domain=D, pw=P, mechs=krb5:ntlm, iov, big=N, nowrap, nomic, nodata, loop, moves, onward=PORT:SPN"
    ))
}

/// The C peer's words, and those of a package list; a colon stands for its comma, which ends a flag here.
fn package_list(words: &str) -> Result<String, Failure> {
    let packages: Result<Vec<_>, Failure> = words.split(':').map(package).collect();
    Ok(packages?.join(","))
}

fn package(word: &str) -> Result<String, Failure> {
    let (mark, name) = match word.strip_prefix('!') {
        Some(name) => ("!", name),
        None => ("", word),
    };
    let name = match name.to_ascii_lowercase().as_str() {
        "krb5" | "kerberos" => "Kerberos",
        "ntlm" => "NTLM",
        _ => {
            return Err(Failure::new(format!(
                "mechs={word}: there are krb5 and ntlm, with a colon between them and with ! for all but one"
            )));
        }
    };
    Ok(format!("{mark}{name}"))
}

fn hex(text: &str) -> Result<Vec<u8>, Failure> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => Ok(digits
            .chunks(2)
            .filter_map(|pair| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok())
            .collect()),
        _ => Err(Failure::new(format!(
            "cb={text} is not an even number of hexadecimal digits"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dce_implies_mutual() {
        let flags = Flags::parse("dce,conf,cb=00ff,big=5,user=alice,pw=x").unwrap();
        assert!(flags.mutual && flags.dce && flags.confidentiality);
        assert_eq!(flags.bindings.as_deref(), Some(&[0, 255][..]));
        assert_eq!((flags.big, flags.user.as_deref()), (Some(5), Some("alice")));
    }

    #[test]
    fn mechanisms_become_a_package_list() {
        let list = |text| Flags::parse(text).unwrap().package_list;
        assert_eq!(list("mutual"), None);
        assert_eq!(list("mechs=krb5").as_deref(), Some("Kerberos"));
        assert_eq!(list("mechs=krb5:ntlm").as_deref(), Some("Kerberos,NTLM"));
        assert_eq!(
            list("mechs=Kerberos:!NTLM").as_deref(),
            Some("Kerberos,!NTLM")
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "mutal",
            "cb=0",
            "cb=zz",
            "big=x",
            "big=99999999999",
            "pw=x",
            "mutual=1",
            "domain=x",
            "mechs=",
            "mechs=krb5:",
            "mechs=spnego",
        ] {
            assert!(Flags::parse(text).is_err(), "{text}");
        }
    }
}
