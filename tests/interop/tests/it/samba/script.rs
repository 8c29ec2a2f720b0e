//! The script that serves the domain, where it has to take care.

use std::process::Command;

use trihound_interop::run_to_end;

/// What `dc.sh stop` is told to end: a process that has no network of its own yet, as a controller of a moment ago.
/// The other process lives in the same network, which is this machine's.
const STOP: &str = r#"
    sleep 60 & early=$!
    sleep 60 & other=$!
    echo "$early $(sed 's/.*) //' "/proc/$early/stat" | cut -d' ' -f20)" > "$2/process"
    bash "$1" stop "$2" || exit 1
    wait "$early"
    kill "$other"
"#;

/// In processes of its own number space, so that a script that ends too many ends nothing but this test.
#[test]
#[ignore = "needs root: tests/run.sh --all"]
fn stop_ends_nobody_outside_the_controllers_network() {
    let scratch = trihound_interop::Scratch::new().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/samba/dc.sh");
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["bash", "-c", STOP, "bash", script])
        .arg(scratch.path());
    let done = run_to_end(command, "").unwrap();
    assert!(done.success(), "{done}");
    assert!(!scratch.join("process").exists(), "{done}");
}
