//! The `trihound` program: a whole login to watch, MIT's everyday tools, an embedded KDC, and a
//! peer for interoperability tests.

// They panic where nobody reads any more, or the disk is full: `outcome` writes instead.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod caches;
mod demo;
mod display;
#[cfg(feature = "kkdcp")]
mod https;
mod kdc;
mod kdestroy;
mod kinit;
mod klist;
mod kpasswd;
mod kswitch;
mod ktutil;
mod kvno;
mod line;
mod network;
mod outcome;
mod pages;
mod password;
mod peer;
mod phrases;
mod start_time;
mod tgs;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::outcome::{complain, finish, write_out};

/// What stands behind the options of the tools, in their help and on their manual pages.
pub(crate) const ENVIRONMENT: &str = "\
Environment: KRB5_CONFIG (configuration files), KRB5CCNAME (credential cache), KRB5_KTNAME and KRB5_CLIENT_KTNAME \
(keytabs), NTLM_USER_FILE and NTLM_HASH_FILE (NTLM's accounts), KRB5_TRACE (a file that each step is written to). \
Status: 0 for success, 1 for a failure, which is told on standard error; for a wrong command line 1 from klist, kpasswd and kvno, 2 from the others. \
kpasswd ends with 2 where the realm refuses the new password.";

/// Kerberos, NTLM and Negotiate in pure Rust: log in, look at tickets, try a whole login, serve a test realm.
#[derive(Debug, Parser)]
#[command(
    name = "trihound",
    version,
    propagate_version = false,
    after_help = ENVIRONMENT
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole login over real sockets and tell what happens at each step.
    Demo(demo::Arguments),
    /// Get a ticket-granting ticket and keep it in a credential cache.
    Kinit(kinit::Arguments),
    /// List the tickets of credential caches, or the keys of a keytab.
    Klist(klist::Arguments),
    /// Get tickets to services and print their key versions.
    Kvno(kvno::Arguments),
    /// Destroy a credential cache, or all of a collection.
    Kdestroy(kdestroy::Arguments),
    /// Make a credential cache the primary one of its collection.
    Kswitch(kswitch::Arguments),
    /// Change a password.
    Kpasswd(kpasswd::Arguments),
    /// List or change a keytab.
    Ktutil(ktutil::Arguments),
    /// Serve an embedded test KDC from a TOML file.
    Kdc(kdc::Arguments),
    /// One side of a security context over TCP, for interoperability tests.
    Peer(peer::Arguments),
    /// Write the completions of a shell for this program to standard output.
    Completions(pages::CompletionArguments),
    /// Write the manual pages of this program and of each tool.
    Man(pages::ManArguments),
}

fn main() -> ExitCode {
    if let Err(error) = trihound::environment::install_trace() {
        complain(format_args!(
            "trihound: KRB5_TRACE: {error}; going on without a trace"
        ));
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return wrong_use(&error),
    };
    match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Kinit(arguments) => kinit::run(&arguments),
        Command::Klist(arguments) => klist::run(&arguments),
        Command::Kvno(arguments) => kvno::run(&arguments),
        Command::Kdestroy(arguments) => kdestroy::run(&arguments),
        Command::Kpasswd(arguments) => kpasswd::run(&arguments),
        Command::Ktutil(arguments) => ktutil::run(&arguments),
        Command::Kdc(arguments) => kdc::run(&arguments),
        Command::Peer(arguments) => peer::run(&arguments),
        Command::Kswitch(arguments) => kswitch::run(&arguments),
        Command::Completions(arguments) => pages::completions(&arguments, Arguments::command()),
        Command::Man(arguments) => pages::man(&arguments, Arguments::command()),
    }
}

/// Says what is wrong with the command line, or the help that was asked for. MIT's `klist`,
/// `kpasswd` and `kvno` end with 1 then, its `kinit` and `kdestroy` with 2, as nearly every program does.
fn wrong_use(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return finish("trihound", write_out(error.to_string().as_bytes()));
    }
    let given = std::env::args().nth(1).unwrap_or_default();
    let program = Arguments::command();
    let tool = program
        .find_subcommand(&given)
        .map_or("trihound", clap::Command::get_name);
    let text = error.to_string();
    match text.strip_prefix("error: ") {
        Some(text) => complain(format_args!("{tool}: {}", text.trim_end())),
        // The help of a tool that was called without the name of one of its own tools.
        None => complain(text.trim_end()),
    }
    match tool {
        "klist" | "kpasswd" | "kvno" => ExitCode::FAILURE,
        _ => ExitCode::from(2),
    }
}
