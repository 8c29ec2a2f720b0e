use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::process::{Background, run_to_end};
use crate::relay::{Change, Relay, Sender};
use crate::{Failure, Finished};

/// One side of a context: the program and its environment, without the arguments.
#[derive(Debug)]
pub struct Side {
    /// The program in its environment.
    pub command: Command,
    /// Whether it is the `trihound` program, whose subcommand comes first.
    pub ours: bool,
}

impl Side {
    /// A side that the program at `path` plays.
    #[must_use]
    pub fn new(command: Command, path: &PathBuf, ours: &PathBuf) -> Self {
        Self {
            command,
            ours: path == ours,
        }
    }

    fn into_command(
        self,
        role: &str,
        port: u16,
        service: &str,
        package: &str,
        flags: &str,
    ) -> Command {
        let mut command = self.command;
        if self.ours {
            command.arg("peer");
        }
        command.args([
            role,
            &port.to_string(),
            service,
            package,
            flags,
            "--show-session-key",
        ]);
        command
    }
}

/// What both sides are told.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The security package: kerberos, ntlm or negotiate.
    pub package: &'static str,
    /// The service that the initiator asks for.
    pub target: String,
    /// The service whose keys the acceptor uses; `-` for any.
    pub acceptor: String,
    /// The initiator's flags.
    pub initiator_flags: String,
    /// The acceptor's flags.
    pub acceptor_flags: String,
}

/// How one side ended.
#[derive(Clone, Debug)]
pub struct SideResult {
    /// The program's output.
    pub finished: Finished,
    report: Value,
}

impl SideResult {
    fn new(finished: Finished) -> Self {
        let report = finished
            .stdout
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str(line).ok())
            .unwrap_or(Value::Null);
        Self { finished, report }
    }

    /// Whether it exited with 0 and its report says so too.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.finished.success() && self.report["ok"] == Value::Bool(true)
    }

    /// A word of its report; empty if there is none of that name.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.report[name].as_str().unwrap_or_default()
    }

    /// A yes or no of its report.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.report[name].as_bool()
    }

    /// The lifetime that it reports, in seconds.
    #[must_use]
    pub fn lifetime(&self) -> u64 {
        self.report["lifetime"].as_u64().unwrap_or(0)
    }

    /// A list of words of its report; empty if there is none of that name.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = self.report[name].as_array();
        list.into_iter()
            .flatten()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    }

    /// The context attributes that it reports.
    #[must_use]
    pub fn flags(&self) -> BTreeSet<&str> {
        self.report["flags"]
            .as_array()
            .map(|words| words.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default()
    }
}

/// A conversation that came to its end.
#[derive(Clone, Debug)]
pub struct Held {
    /// How the initiator ended.
    pub initiated: SideResult,
    /// How the acceptor ended.
    pub accepted: SideResult,
    /// What both sent, if somebody stood between them.
    pub transcript: Vec<(Sender, Vec<u8>)>,
}

impl Conversation {
    /// Lets the two sides talk to their end; gives the initiator's result and the acceptor's.
    ///
    /// # Errors
    ///
    /// A program that does not start, does not listen, or does not end.
    pub fn hold(
        &self,
        initiator: Side,
        acceptor: Side,
    ) -> Result<(SideResult, SideResult), Failure> {
        let held = self.hold_through(None, initiator, acceptor)?;
        Ok((held.initiated, held.accepted))
    }

    /// The same with somebody in the middle, who may change what goes by.
    ///
    /// # Errors
    ///
    /// As those of [`Self::hold`].
    pub fn hold_through(
        &self,
        change: Option<Change>,
        initiator: Side,
        acceptor: Side,
    ) -> Result<Held, Failure> {
        let listening = acceptor.into_command(
            "accept",
            0,
            &self.acceptor,
            self.package,
            &self.acceptor_flags,
        );
        let mut accepting = Background::start(listening)?;
        let port = accepting.wait_for_line("listening ")?;
        let port = port
            .trim()
            .parse()
            .map_err(|_| Failure::new(format!("the acceptor listens on {port:?}, no port")))?;
        let relay = change
            .map(|change| Relay::start(port, change))
            .transpose()?;
        let port = relay.as_ref().map_or(port, Relay::port);
        let speaking = initiator.into_command(
            "init",
            port,
            &self.target,
            self.package,
            &self.initiator_flags,
        );
        let initiated = run_to_end(speaking, "")?;
        let accepted = accepting.finish()?;
        Ok(Held {
            initiated: SideResult::new(initiated),
            accepted: SideResult::new(accepted),
            transcript: relay.map(|relay| relay.transcript()).unwrap_or_default(),
        })
    }
}
