use std::fs;

use crate::negotiate_axes::{Mechs, NegotiateCase, NegotiateExpected, Ticket};
use crate::process::run_to_end;
use crate::{
    Conversation, Failure, Held, Peers, Protection, Realm, Report, Scratch, Side, Speaker,
};

/// What the report calls this matrix.
const MATRIX: &str = "negotiate";

/// Runs cases, two at a time. `None` as peers skips them all, which the report tells.
///
/// # Errors
///
/// The realm does not start, or its user cannot log in.
pub fn run_negotiate(peers: Option<&Peers>, cases: &[NegotiateCase]) -> Result<Report, Failure> {
    let Some(peers) = peers else {
        return Ok(Report::skipped(MATRIX, cases.len()));
    };
    let realm = Realm::start(peers)?;
    let stage = NegotiateStage::new(peers, &realm)?;
    Ok(Report::of(MATRIX, cases, |case| stage.play(case)))
}

/// An MIT realm, a ticket in it, and the same user's account of NTLM.
#[derive(Debug)]
pub struct NegotiateStage<'a> {
    peers: &'a Peers,
    realm: &'a Realm,
    scratch: Scratch,
}

impl<'a> NegotiateStage<'a> {
    /// Logs the user in and writes the account.
    ///
    /// # Errors
    ///
    /// MIT's kinit fails.
    pub fn new(peers: &'a Peers, realm: &'a Realm) -> Result<Self, Failure> {
        let stage = Self {
            peers,
            realm,
            scratch: Scratch::new()?,
        };
        fs::write(
            stage.scratch.join("accounts"),
            "TRIHOUND:alice:Wonder-Land-7\n",
        )?;
        let mut kinit = realm.command("kinit", &stage.scratch.cache("ticket"));
        kinit.arg("alice");
        let done = run_to_end(kinit, "Wonder-Land-7\n")?;
        if !done.success() {
            return Err(Failure::new(format!("no ticket: {done}")));
        }
        Ok(stage)
    }

    /// A side in the realm, with this cache.
    #[must_use]
    pub fn side(&self, speaker: Speaker, cache: &str) -> Side {
        let (program, script) = self.peers.speaker(speaker);
        let mut command = self.realm.command(program, cache);
        command
            .args(script)
            .env("NTLM_USER_FILE", self.scratch.join("accounts"))
            .env("NETBIOS_COMPUTER_NAME", "TRIBOX")
            .env("NETBIOS_DOMAIN_NAME", "TRIHOUND")
            // An initiator without a ticket shall not get one by the realm's client keytab.
            .env("KRB5_CLIENT_KTNAME", self.scratch.join("no-keys"));
        Side::new(command, program, &self.peers.program)
    }

    fn play(&self, case: &NegotiateCase) -> Result<(), Failure> {
        let scratch = Scratch::new()?;
        if case.ticket == Ticket::There {
            fs::copy(self.scratch.join("ticket"), scratch.join("initiator"))?;
        }
        let held = negotiate_conversation(case).hold_through(
            None,
            self.side(case.initiator, &scratch.cache("initiator")),
            self.side(case.acceptor, &scratch.cache("acceptor")),
        )?;
        let verdict = match case.expected() {
            NegotiateExpected::Agreement(mech) => self.agreement(case, mech, &held),
            NegotiateExpected::NoContext => refused(case, &held, ""),
            NegotiateExpected::BindingsRefused => refused(case, &held, "bindings"),
        };
        verdict.map_err(|wrong| {
            Failure::new(format!(
                "{wrong}\n{}\n{}",
                held.initiated.finished, held.accepted.finished
            ))
        })
    }

    fn agreement(&self, case: &NegotiateCase, mech: Mechs, held: &Held) -> Result<(), String> {
        for (side, result) in [("initiator", &held.initiated), ("acceptor", &held.accepted)] {
            if !result.ok() {
                return Err(format!("the {side} failed"));
            }
            if result.text("mech") != mech.word() {
                return Err(format!(
                    "the {side} speaks {:?}, not {}",
                    result.text("mech"),
                    mech.word()
                ));
            }
            let flags = result.flags();
            let protected = case.protection != Protection::Nothing;
            let sealed = case.protection == Protection::Confidentiality;
            if (protected && !flags.contains("integ")) || (sealed && !flags.contains("conf")) {
                return Err(format!("the {side} lacks protection: {flags:?}"));
            }
            let mutual = mech == Mechs::Kerberos && case.wish.word().contains("mutual");
            if mutual && !flags.contains("mutual") {
                return Err(format!(
                    "the {side} was not told who the other is: {flags:?}"
                ));
            }
        }
        let user = match mech {
            Mechs::Ntlm => "TRIHOUND\\alice".to_owned(),
            _ => format!("alice@{}", self.realm.variable("KDC_REALM")),
        };
        if held.accepted.text("src") != user {
            return Err(format!(
                "the acceptor calls the user {:?}",
                held.accepted.text("src")
            ));
        }
        let key = held.initiated.text("session_key");
        if key.is_empty() || key != held.accepted.text("session_key") {
            return Err("the session keys differ".to_owned());
        }
        Ok(())
    }
}

/// The words of the two command lines.
#[must_use]
pub fn negotiate_conversation(case: &NegotiateCase) -> Conversation {
    let (initiator_channel, acceptor_channel) = case.channel.flags();
    let (asked, said) = case.protection.flags();
    let version = match (case.initiator, case.acceptor) {
        (Speaker::Gss, Speaker::Python) => "version",
        _ => "",
    };
    Conversation {
        package: "negotiate",
        target: "HTTP/localhost".to_owned(),
        acceptor: "-".to_owned(),
        initiator_flags: [
            asked,
            said,
            case.wish.word(),
            initiator_channel,
            &format!("mechs={}", case.offered.word()),
        ]
        .join(","),
        acceptor_flags: [
            said,
            acceptor_channel,
            version,
            &format!("mechs={}", case.taken.word()),
        ]
        .join(","),
    }
}

fn refused(case: &NegotiateCase, held: &Held, reason: &str) -> Result<(), String> {
    for (side, result) in [("initiator", &held.initiated), ("acceptor", &held.accepted)] {
        if result.ok() || result.finished.success() {
            return Err(format!("the {side} did not fail"));
        }
    }
    if case.acceptor == Speaker::Ours && !held.accepted.finished.stderr.contains(reason) {
        return Err(format!(
            "the acceptor fails for another reason than {reason}"
        ));
    }
    Ok(())
}
