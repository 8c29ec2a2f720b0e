//! `moves`: the context goes to a child process in the middle of the conversation, and the child goes on with it.
//!
//! The child's standard input has the key of the seal and the sealed context, its standard output is the
//! connection.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use trihound::sspi::ExportFlags;
use trihound::{ContextKey, SecurityContext};
use trihound_secret::SecretArray;

use super::flags::Flags;
use super::wire::Wire;
use super::{Arguments, Package, Role, exchange};
use crate::outcome::Failure;

/// The key under which a context moves.
pub(super) type Key = SecretArray<{ ContextKey::LENGTH }>;

/// Exports the context to a child, and waits for it to end the conversation.
pub(super) fn send(
    arguments: &Arguments,
    context: &SecurityContext,
    key: &Key,
    wire: Wire,
) -> Result<(), Failure> {
    let sealed = context.export(ExportFlags::DELETE_OLD)?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["peer", "--resume", arguments.role.word()])
        .args([&arguments.port.to_string(), &arguments.service])
        .args([arguments.package.word(), &arguments.flags])
        .stdin(Stdio::piped())
        .stdout(wire.into_stdio()?)
        .spawn()?;
    let mut input = child.stdin.take().ok_or_else(closed)?;
    input.write_all(key.expose())?;
    input.write_all(&sealed)?;
    drop(input);
    let status = child.wait()?;
    if !status.success() {
        return Err(Failure::new(format!(
            "the process that the context went to ended with {status}; it says above why"
        )));
    }
    Ok(())
}

fn closed() -> Failure {
    Failure::new("the child's standard input is not there")
}

/// The child's part.
pub(super) fn resume(arguments: &Arguments, flags: &Flags) -> Result<(), Failure> {
    let mut input = std::io::stdin();
    let mut key = Key::from([0; ContextKey::LENGTH]);
    input.read_exact(key.expose_mut())?;
    let mut sealed = Vec::new();
    input.read_to_end(&mut sealed)?;
    let config = match arguments.package {
        Package::Ntlm => Arc::default(),
        _ => Arc::new(trihound::environment::load_config()?),
    };
    let table = super::table(arguments.package, &config, flags, Some(&key))?;
    let context = SecurityContext::import(&table, arguments.package.name(), &sealed)?;
    let mut wire = Wire::of_stdout()?;
    match arguments.role {
        Role::Init => exchange::speak_rest(&context, &mut wire, flags),
        Role::Accept => exchange::answer_rest(&context, &mut wire, flags),
    }
}
