//! The lock of a cache file, which both makes wait for.

use std::process::Command;
use std::time::{Duration, Instant};

use trihound_interop::{Background, run_to_end};

use crate::caches::{granting, open};
use crate::world::{Make, World, succeeded};

/// The lock is one that MIT's programs wait for, and the reverse.
#[test]
fn a_locked_file_is_waited_for() {
    let Some(world) = World::new() else { return };
    world.logged_in(Make::Mit, "cc", &["alice"]);
    let path = world.scratch.join("cc");
    // Python's fcntl has the lock of processes, which those of open files respect.
    let mut command = Command::new("python3");
    command.arg("-c").arg(format!(
        "import fcntl,time\nf=open({:?},'r+b')\nfcntl.lockf(f,fcntl.LOCK_EX)\n\
         print('begun',flush=True)\ntime.sleep(1.5)",
        path.display().to_string()
    ));
    let mut holder = Background::start(command).unwrap();
    holder.wait_for_line("begun").unwrap();
    let begun = Instant::now();
    let content = open(&path).read().unwrap().unwrap();
    assert!(begun.elapsed() > Duration::from_millis(500), "it waited");
    assert!(granting(&content).is_some());
    succeeded(&holder.finish().unwrap());
    let mut command = Command::new("klist");
    command.env("KRB5CCNAME", &path);
    succeeded(&run_to_end(command, "").unwrap());
}
