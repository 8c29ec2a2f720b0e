//! What the program leaves behind in memory, and what it obeys, on Linux.

use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Scratch;

/// How often the process has these bytes in its memory.
fn copies(process: u32, wanted: &[u8]) -> usize {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut count = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (range, _) = line.split_once(' ').unwrap();
        let (first, last) = range.split_once('-').unwrap();
        let first = u64::from_str_radix(first, 16).unwrap();
        let last = u64::from_str_radix(last, 16).unwrap();
        let mut bytes = vec![0; usize::try_from(last - first).unwrap()];
        memory.seek(SeekFrom::Start(first)).unwrap();
        // Guard pages and the kernel's own cannot be read.
        if memory.read_exact(&mut bytes).is_ok() {
            let here = bytes.windows(wanted.len());
            count += here.filter(|window| *window == wanted).count();
        }
    }
    count
}

/// While the KDC is waited for, the password is there as the secret that it is, twice, since one that has
/// expired is needed again for its change; and no more as the line that was read.
#[test]
fn a_password_from_a_pipe_leaves_no_line_in_memory() {
    let kdc = UdpSocket::bind("127.0.0.1:0").unwrap();
    kdc.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let scratch = Scratch::new();
    let config = format!(
        "[libdefaults]\n default_realm = TEST.EXAMPLE\n dns_lookup_kdc = false\n\
         [realms]\n TEST.EXAMPLE = {{\n kdc = {}\n }}\n",
        kdc.local_addr().unwrap()
    );
    fs::write(scratch.path().join("krb5.conf"), config).unwrap();
    let password = format!("quite-unusual-{}-password", std::process::id());
    let mut kinit = scratch
        .program(&["kinit", "alice"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = kinit.stdin.take().unwrap();
    writeln!(input, "{password}").unwrap();
    drop(input);
    kdc.recv_from(&mut [0; 4096]).expect("a request");
    let held = copies(kinit.id(), password.as_bytes());
    let line = copies(kinit.id(), format!("{password}\n").as_bytes());
    kinit.kill().unwrap();
    kinit.wait().unwrap();
    assert_eq!((line, held), (0, 2));
}

/// The program started by nobody with a trace to be written; whether it was. `None` where this system
/// cannot give a file capabilities, or this user may not.
fn follows_the_trace(program: &Path, capability: Option<&str>) -> Option<bool> {
    if let Some(capability) = capability {
        let set = Command::new("setcap").arg(capability).arg(program).status();
        if !set.is_ok_and(|status| status.success()) {
            return None;
        }
    }
    let directory = program.parent().unwrap();
    let trace = directory.join("trace");
    let _ = fs::remove_file(&trace);
    Command::new(program)
        .args(["klist"])
        .env("KRB5_TRACE", &trace)
        .env("KRB5_CONFIG", "/dev/null")
        .stdin(Stdio::null())
        .uid(65_534)
        .gid(65_534)
        .output()
        .ok()?;
    Some(trace.exists())
}

/// With capabilities of its file the numbers of users are alike; the kernel's word counts.
#[test]
fn a_program_with_capabilities_of_its_file_follows_no_variable() {
    if !nobody_can_be_started() {
        eprintln!("only root can start a program as somebody else: nothing to see");
        return;
    }
    let scratch = Scratch::new();
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o777)).unwrap();
    let program = scratch.path().join("trihound");
    fs::copy(env!("CARGO_BIN_EXE_trihound"), &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(follows_the_trace(&program, None), Some(true));
    match follows_the_trace(&program, Some("cap_net_raw+ep")) {
        Some(followed) => assert!(!followed, "as nobody, with rights of the file"),
        None => eprintln!("no file can be given capabilities here: nothing to see"),
    }
}

fn nobody_can_be_started() -> bool {
    let started = Command::new("true").uid(65_534).gid(65_534).status();
    started.is_ok_and(|status| status.success())
}
