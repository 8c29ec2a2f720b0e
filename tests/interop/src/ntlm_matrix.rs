use std::fs;
use std::process::Command;

use crate::realm::clean_command;
use crate::{
    Account, Conversation, Failure, Held, Layer, NtlmCase, NtlmExpected, Peers, Protection, Report,
    Scratch, Side, SideResult, Source, Speaker,
};

/// What the report calls this matrix.
const MATRIX: &str = "ntlm";

/// The acceptor's accounts in the form that every peer reads.
const ACCOUNTS: &str = "TRIHOUND:bob:Builder-Can-8\nTRIHOUND:alice:Wonder-Land-7\n";

/// Runs cases, two at a time. `None` as peers skips them all, which the report tells.
///
/// # Errors
///
/// The stage cannot be set.
pub fn run_ntlm(peers: Option<&Peers>, cases: &[NtlmCase]) -> Result<Report, Failure> {
    let Some(peers) = peers else {
        return Ok(Report::skipped(MATRIX, cases.len()));
    };
    let stage = NtlmStage::new(peers)?;
    Ok(Report::of(MATRIX, cases, |case| stage.play(case)))
}

/// Accounts and an environment without any Kerberos, for programs that speak NTLM.
#[derive(Debug)]
pub struct NtlmStage<'a> {
    peers: &'a Peers,
    scratch: Scratch,
}

impl<'a> NtlmStage<'a> {
    /// Writes the files.
    ///
    /// # Errors
    ///
    /// The temporary folder is not writable.
    pub fn new(peers: &'a Peers) -> Result<Self, Failure> {
        let stage = Self {
            peers,
            scratch: Scratch::new()?,
        };
        fs::write(stage.scratch.join("accounts"), ACCOUNTS)?;
        fs::write(
            stage.scratch.join("krb5.conf"),
            "[libdefaults]\n  default_realm = NOWHERE.TEST\n  dns_lookup_kdc = false\n",
        )?;
        for &account in Account::ALL {
            let [domain, user, password] = words(account);
            fs::write(
                stage.scratch.join(account.word()),
                format!("{domain}:{user}:{password}\n"),
            )?;
        }
        Ok(stage)
    }

    /// A side of NTLM whose accounts, or whose credentials, are those of the file of this name.
    #[must_use]
    pub fn side(&self, speaker: Speaker, file: &str) -> Side {
        let (program, script) = self.peers.speaker(speaker);
        let mut command: Command = clean_command(program);
        command
            .args(script)
            .env("NTLM_USER_FILE", self.scratch.join(file))
            .env("NETBIOS_COMPUTER_NAME", "TRIBOX")
            .env("NETBIOS_DOMAIN_NAME", "TRIHOUND")
            .env("KRB5_CONFIG", self.scratch.join("krb5.conf"))
            .env("KRB5CCNAME", self.scratch.cache("no-tickets"))
            .env("KRB5_KTNAME", self.scratch.join("no-keys"));
        Side::new(command, program, &self.peers.program)
    }

    fn play(&self, case: &NtlmCase) -> Result<(), Failure> {
        let held = ntlm_conversation(case).hold_through(
            None,
            self.side(case.initiator, case.account.word()),
            self.side(case.acceptor, "accounts"),
        )?;
        let verdict = match case.expected() {
            NtlmExpected::Agreement => agreement(case, &held),
            NtlmExpected::BindingsRefused => refused(case, &held, "bindings"),
            NtlmExpected::MechListMicRefused => refused(case, &held, "mechListMIC"),
            NtlmExpected::LogonDenied => refused(case, &held, "SEC_E_LOGON_DENIED"),
        };
        verdict.map_err(|wrong| {
            Failure::new(format!(
                "{wrong}\n{}\n{}",
                held.initiated.finished, held.accepted.finished
            ))
        })
    }
}

/// Domain, user and password that the initiator gives.
fn words(account: Account) -> [&'static str; 3] {
    match account {
        Account::Good => ["TRIHOUND", "alice", "Wonder-Land-7"],
        Account::WrongPassword => ["TRIHOUND", "alice", "Wonder-Land-8"],
        Account::WrongUser => ["TRIHOUND", "carol", "Wonder-Land-7"],
        Account::WrongDomain => ["ELSEWHERE", "alice", "Wonder-Land-7"],
    }
}

/// The words of the two command lines.
#[must_use]
pub fn ntlm_conversation(case: &NtlmCase) -> Conversation {
    let (initiator_channel, acceptor_channel) = case.channel.flags();
    let (asked, said) = case.protection.flags();
    let credential = match case.source {
        Source::Password => {
            let [domain, user, password] = words(case.account);
            format!("user={user},domain={domain},pw={password}")
        }
        Source::File => String::new(),
    };
    let (package, mechs) = match case.layer {
        Layer::Raw => ("ntlm", ""),
        Layer::Spnego => ("negotiate", "mechs=ntlm"),
    };
    // pyspnego's CHALLENGE has the flag of a Version and no Version; gss-ntlmssp does not take it so.
    let version = match (case.initiator, case.acceptor) {
        (Speaker::Gss, Speaker::Python) => "version",
        _ => "",
    };
    // gss-ntlmssp promises a MIC only inside SPNEGO, and Trihound wants one of who signs.
    let mic = match (case.initiator, case.acceptor, case.layer) {
        (Speaker::Gss, Speaker::Ours, Layer::Raw) => "nomic",
        _ => "",
    };
    let extra = case.extra.word();
    Conversation {
        package,
        target: "HTTP/localhost".to_owned(),
        acceptor: "-".to_owned(),
        initiator_flags: [
            asked,
            said,
            case.asked.word(),
            extra,
            initiator_channel,
            mechs,
            &credential,
        ]
        .join(","),
        acceptor_flags: [said, extra, acceptor_channel, mechs, version, mic].join(","),
    }
}

fn agreement(case: &NtlmCase, held: &Held) -> Result<(), String> {
    let sides = [
        ("initiator", case.initiator, &held.initiated),
        ("acceptor", case.acceptor, &held.accepted),
    ];
    for (side, speaker, result) in sides {
        if !result.ok() {
            return Err(format!("the {side} failed"));
        }
        if result.text("mech") != "ntlm" {
            return Err(format!("the {side} speaks {:?}", result.text("mech")));
        }
        flags(case, side, speaker, result)?;
    }
    if held.accepted.text("src") != "TRIHOUND\\alice" {
        return Err(format!(
            "the acceptor calls the user {:?}",
            held.accepted.text("src")
        ));
    }
    let keys = [
        held.initiated.text("session_key"),
        held.accepted.text("session_key"),
    ];
    if keys[0] != keys[1] || keys[0].len() != 32 {
        return Err("the session keys differ or have not 16 bytes".to_owned());
    }
    Ok(())
}

fn flags(case: &NtlmCase, side: &str, speaker: Speaker, result: &SideResult) -> Result<(), String> {
    let flags = result.flags();
    let wanted: &[&str] = match case.protection {
        Protection::Nothing => &[],
        Protection::Integrity => &["integ"],
        Protection::Confidentiality => &["conf", "integ"],
    };
    for flag in wanted {
        if !flags.contains(flag) {
            return Err(format!("the {side} has not {flag}: {flags:?}"));
        }
    }
    // What NTLM has not, nobody may tell of; what was not asked for, Trihound may not.
    let conf = case.protection == Protection::Confidentiality;
    let more = flags.contains("conf") && !conf;
    if flags.contains("deleg") || (speaker == Speaker::Ours && (flags.contains("mutual") || more)) {
        return Err(format!("the {side} tells of too much: {flags:?}"));
    }
    Ok(())
}

/// The acceptor refused, for this reason if it is Trihound. An initiator that expects an answer fails too; one
/// that only sends its AUTHENTICATE message cannot know.
fn refused(case: &NtlmCase, held: &Held, reason: &str) -> Result<(), String> {
    if held.accepted.ok() || held.accepted.finished.success() {
        return Err("the acceptor did not fail".to_owned());
    }
    let answered = case.layer == Layer::Spnego || case.protection != Protection::Nothing;
    if answered && (held.initiated.ok() || held.initiated.finished.success()) {
        return Err("the initiator did not fail".to_owned());
    }
    if case.acceptor == Speaker::Ours && !held.accepted.finished.stderr.contains(reason) {
        return Err(format!(
            "the acceptor fails for another reason than {reason}"
        ));
    }
    Ok(())
}
