//! Credential caches of real KCM daemons, Heimdal's and sssd's, with MIT's tools at the same socket.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use trihound_interop::{Background, Scratch, run_to_end};

use crate::desk::{self, Desk};
use crate::world::{World, succeeded};

/// Where the tests' own folder of the build has the unpacked daemons.
fn store() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("kcm-daemons")
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kcm.sh")
}

/// A daemon of one make, with a realm whose profile names its socket.
struct Daemon {
    make: &'static str,
    process: Option<Background>,
    desk: Desk,
    place: Scratch,
}

impl Daemon {
    fn start(make: &'static str) -> Option<Self> {
        let world = World::new()?;
        let mut fetch = Command::new(script());
        fetch.arg("fetch").arg(store());
        succeeded(&run_to_end(fetch, "").unwrap());
        let place = Scratch::new().unwrap();
        let profile = world.realm.profile(
            &format!("kcm-{}", place.path().file_name().unwrap().display()),
            &[format!("  kcm_socket = {}", place.join("socket").display())],
        );
        let mut daemon = Self {
            make,
            process: None,
            desk: Desk {
                world,
                profile: profile.unwrap(),
                collection: "KCM:".to_owned(),
            },
            place,
        };
        daemon.launch();
        Some(daemon)
    }

    fn launch(&mut self) {
        let mut command = Command::new(script());
        command.arg("run").arg(self.make).arg(store());
        command.arg(self.place.path());
        self.process = Some(Background::start(command).unwrap());
        let end = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(self.place.join("socket")).is_err() {
            assert!(Instant::now() < end, "{} does not listen", self.make);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn with(make: &'static str, test: impl FnOnce(Daemon)) {
    if let Some(daemon) = Daemon::start(make) {
        test(daemon);
    }
}

#[test]
fn mit_reads_what_ours_wrote_to_heimdals_kcm() {
    with("heimdal", |daemon| desk::mit_reads_ours(&daemon.desk, true));
}

#[test]
fn mit_reads_what_ours_wrote_to_sssds_kcm() {
    with("sssd", |daemon| desk::mit_reads_ours(&daemon.desk, true));
}

#[test]
fn tickets_and_settings_come_and_go_in_heimdals_kcm() {
    with("heimdal", |daemon| {
        desk::changes_one_by_one(&daemon.desk, true);
    });
}

#[test]
fn tickets_and_settings_come_and_go_in_sssds_kcm() {
    with("sssd", |daemon| {
        desk::changes_one_by_one(&daemon.desk, true);
    });
}

#[test]
fn the_collection_of_heimdals_kcm_is_mits_and_ours() {
    with("heimdal", |daemon| desk::collections(&daemon.desk));
}

#[test]
fn the_collection_of_sssds_kcm_is_mits_and_ours() {
    with("sssd", |daemon| desk::collections(&daemon.desk));
}

#[test]
fn one_cache_of_heimdals_kcm_stands_for_itself() {
    with("heimdal", |daemon| desk::one_alone(&daemon.desk));
}

#[test]
fn one_cache_of_sssds_kcm_stands_for_itself() {
    with("sssd", |daemon| desk::one_alone(&daemon.desk));
}

#[test]
fn many_at_once_lose_nothing_in_heimdals_kcm() {
    with("heimdal", |daemon| desk::many_at_once(&daemon.desk));
}

#[test]
fn many_at_once_lose_nothing_in_sssds_kcm() {
    with("sssd", |daemon| desk::many_at_once(&daemon.desk));
}

#[test]
fn tools_of_both_makes_work_on_heimdals_kcm() {
    with("heimdal", |daemon| desk::tools(&daemon.desk));
}

#[test]
fn tools_of_both_makes_work_on_sssds_kcm() {
    with("sssd", |daemon| desk::tools(&daemon.desk));
}

/// A cache that was opened before goes on with the daemon that is there now.
#[test]
fn a_daemon_that_was_started_anew_is_found_again() {
    with("heimdal", |mut daemon| {
        let (_, content) = daemon.desk.mit_file();
        let cache = daemon.desk.open("KCM:");
        cache.initialize(&content).unwrap();
        daemon.process = None;
        let nobody = cache.read().unwrap_err().to_string();
        assert!(nobody.contains("nobody listens at"), "{nobody}");
        assert!(nobody.contains("kcm_socket"), "{nobody}");
        daemon.launch();
        assert!(cache.read().unwrap().is_none(), "it had all in memory");
        cache.initialize(&content).unwrap();
        let read = cache.read().unwrap().unwrap();
        assert_eq!(read.credentials.len(), content.credentials.len());
    });
}
