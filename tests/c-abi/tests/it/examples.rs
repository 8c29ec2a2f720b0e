//! The examples in C and their like in Rust: each client with each server, over a socket, by each package.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::realm::Realm;
use crate::tools::{Scratch, build_examples, have, include, library, root, succeed};

/// A pair of programs, in one language.
struct Pair {
    client: PathBuf,
    server: PathBuf,
    /// Whether the library is the programs' first argument.
    loads: bool,
}

fn in_c(folder: &Path) -> Pair {
    let made = |name: &str| {
        let made = folder.join(name);
        succeed(
            Command::new("gcc")
                .args([
                    "-std=c11",
                    "-D_DEFAULT_SOURCE",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    "-I",
                ])
                .arg(include())
                .arg("-o")
                .arg(&made)
                .arg(root().join(format!("crates/abi/examples/{name}.c")))
                .arg("-ldl"),
        );
        made
    };
    Pair {
        client: made("client"),
        server: made("server"),
        loads: true,
    }
}

fn in_rust() -> Pair {
    let folder = build_examples();
    Pair {
        client: folder.join("table_client"),
        server: folder.join("table_server"),
        loads: false,
    }
}

fn command(realm: &Realm, program: &Path, loads: bool) -> Command {
    let mut command = realm.environment(Command::new(program));
    if loads {
        command.arg(library());
    }
    command
}

fn serve(
    realm: &Realm,
    pair: &Pair,
    package: &str,
) -> (Child, String, BufReader<std::process::ChildStdout>) {
    let mut command = command(realm, &pair.server, pair.loads);
    let place = if pair.loads { "0" } else { "127.0.0.1:0" };
    let mut child = command
        .args([package, place])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let port = line.trim().strip_prefix("listening ").unwrap().to_owned();
    (child, port, lines)
}

fn meet(realm: &Realm, client: &Pair, server: &Pair, package: &str) {
    let (mut child, port, mut lines) = serve(realm, server, package);
    let mut command = command(realm, &client.client, client.loads);
    command.args([package, "host/localhost"]);
    if client.loads {
        command.args(["127.0.0.1", &port]);
    } else {
        command.arg(format!("127.0.0.1:{port}"));
    }
    let (name, proved) = match package {
        "NTLM" => ("CTEST\\alice", "not proved"),
        _ => ("alice@C.TEST", "proved"),
    };
    assert_eq!(
        succeed(&mut command),
        format!("the server is {proved}\nthe server says: you are {name}\n")
    );
    let mut said = String::new();
    lines.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert_eq!(
        said,
        "the client says: good morning\nthe client asks: what am I called here?\n"
    );
}

#[test]
fn the_examples_of_both_languages_talk_to_each_other_by_every_package() {
    if !have("gcc") {
        return;
    }
    let scratch = Scratch::new();
    let pairs = [in_c(scratch.path()), in_rust()];
    let realm = Realm::start();
    for package in ["Kerberos", "NTLM", "Negotiate"] {
        for client in &pairs {
            for server in &pairs {
                meet(&realm, client, server, package);
            }
        }
    }
}
