//! The C test program over the library: the loopback matrix, wrong arguments, threads.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use crate::realm::Realm;
use crate::tools::{Scratch, compile, have, library, printed, root, run};

/// Runs a part of the program, and gives what it printed.
pub(crate) fn run_part(
    realm: &Realm,
    wrapper: &[&str],
    made: &std::path::Path,
    part: &[&str],
) -> String {
    let mut command = match wrapper {
        [] => Command::new(made),
        [tool, arguments @ ..] => {
            let mut command = Command::new(tool);
            command.args(arguments).arg(made);
            command
        }
    };
    command.arg(library()).args(part);
    let output = run(&mut realm.environment(command), Duration::from_secs(900));
    let text = printed(&output);
    assert!(
        output.status.success(),
        "{part:?}: {}\n{text}",
        output.status
    );
    println!("{text}");
    text
}

fn part(words: &[&str]) -> Option<String> {
    have("gcc").then(|| {
        let scratch = Scratch::new();
        let made = compile(scratch.path(), &[]);
        run_part(&Realm::start(), &[], &made, words)
    })
}

/// `matrix: N planned, N ran, N skipped`.
fn counts(text: &str) -> [u32; 3] {
    let line = text
        .lines()
        .find(|line| line.starts_with("matrix: "))
        .unwrap();
    let numbers: Vec<u32> = line
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers.try_into().unwrap()
}

/// What a whole run of the tests tells at its end.
fn figure(line: &str) {
    if let Ok(file) = std::env::var("TRIHOUND_FIGURES") {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

#[test]
fn the_tables_are_the_same_at_every_call_and_reach_to_the_ex_entries() {
    part(&["interfaces"]);
}

/// The number in planned.txt says how many cases there were when somebody last looked.
#[test]
fn the_loopback_matrix_runs_as_a_whole() {
    let Some(text) = part(&["matrix"]) else {
        return;
    };
    let [planned, ran, skipped] = counts(&text);
    let file = root().join("tests/c-abi/planned.txt");
    let least: u32 = std::fs::read_to_string(file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(
        planned >= least,
        "{planned} cases are planned, and {least} were before"
    );
    assert_eq!((ran, skipped), (planned, 0));
    figure(&format!(
        "C loopback {}",
        text.lines()
            .find(|line| line.starts_with("matrix: "))
            .unwrap()
    ));
}

#[test]
fn wrong_arguments_each_give_a_status() {
    part(&["arguments"]);
}

#[test]
fn identities_of_every_form_log_in_and_what_is_not_there_is_refused_with_its_reason() {
    part(&["logins"]);
}

#[test]
fn a_chain_of_services_goes_on_as_its_client_and_without_delegation_not_at_all() {
    part(&["onward"]);
}

/// Each run of the program is a process of its own.
#[test]
fn contexts_go_from_one_process_to_another_that_has_the_same_key() {
    if !have("gcc") {
        return;
    }
    let scratch = Scratch::new();
    let made = compile(scratch.path(), &[]);
    let realm = Realm::start();
    let file = scratch.path().join("contexts").display().to_string();
    let under = |byte: u8| {
        let key = scratch.path().join(format!("key-{byte}"));
        std::fs::write(&key, [byte; 32]).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        format!("TRIHOUND_CONTEXT_KEY_FILE={}", key.display())
    };
    let (key, other) = (under(1), under(2));
    run_part(&realm, &["env", &key], &made, &["leave", &file]);
    run_part(&realm, &[], &made, &["refused", &file]);
    run_part(&realm, &["env", &other], &made, &["refused", &file]);
    run_part(&realm, &["env", &key], &made, &["arrive", &file]);
}

#[test]
fn two_threads_share_a_context_and_eight_have_a_thousand() {
    let Some(text) = part(&["threads"]) else {
        return;
    };
    assert!(
        text.contains("threads: 1000 contexts on 8 threads"),
        "{text}"
    );
}
