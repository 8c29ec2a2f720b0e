//! Credential caches in the kernel's keyrings, with MIT's tools in the same session.
//!
//! The tests proper are run by [`keyrings_are_mits_and_ours`] as a program of their own, in a user
//! namespace, so that the user's and the persistent keyring are theirs alone and end with them.

use std::process::Command;

use trihound::environment::ccache::{self, Cache};
use trihound::environment::{CacheName, load_config_from};
use trihound_interop::run_to_end;

use crate::desk::{self, Desk};
use crate::world::{Make, World, peers, succeeded};

#[test]
fn keyrings_are_mits_and_ours() {
    let Some(peers) = peers() else { return };
    let mut inside = Command::new("unshare");
    inside
        .args(["--user", "--map-root-user"])
        .arg(std::env::current_exe().unwrap())
        .args(["keyring::inside::", "--ignored"])
        .env("TRIHOUND_PROGRAM", &peers.program)
        .env("TRIHOUND_C_PEER", &peers.c_peer)
        .env("TRIHOUND_KDC_SCRIPT", &peers.kdc_script)
        // A namespace starts no container; keyrings do not see where the KDC runs.
        .env("KDC_MODE", "native");
    let finished = run_to_end(inside, "").unwrap();
    succeeded(&finished);
    assert!(!finished.stdout.contains(" 0 passed"), "{finished}");
    println!("{}", finished.stdout);
}

/// A collection of its own, in a session of the calling thread and of what it starts.
fn with(collection: &str, test: impl FnOnce(&Desk)) {
    keyutils_raw::keyctl_join_session_keyring(None).unwrap();
    if let Some(world) = World::new() {
        let profile = world.realm.profile("keyring", &[]).unwrap();
        test(&Desk {
            world,
            profile,
            collection: collection.to_owned(),
        });
    }
}

/// Whether a key of that name ends, by the fifth column of the kernel's table.
fn ends(description: &str) -> Vec<bool> {
    let table = std::fs::read_to_string("/proc/keys").unwrap();
    let mut ends = Vec::new();
    for line in table.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if columns.get(8) == Some(&format!("{description}:").as_str()) {
            ends.push(columns.get(3) != Some(&"perm"));
        }
    }
    ends
}

mod inside {
    use super::*;

    #[test]
    #[ignore = "run by keyrings_are_mits_and_ours, in a namespace of its own"]
    fn mit_reads_ours() {
        for (collection, keeps_offset) in [
            ("KEYRING:session:written", true),
            ("KEYRING:written", false),
            ("KEYRING:user:written", true),
            ("KEYRING:persistent:", true),
            ("KEYRING:session:", true),
        ] {
            with(collection, |desk| {
                desk::mit_reads_ours(desk, keeps_offset);
                desk.open(collection).destroy().unwrap();
            });
        }
    }

    #[test]
    #[ignore = "run by keyrings_are_mits_and_ours, in a namespace of its own"]
    fn tickets_and_settings_come_and_go() {
        for (collection, keeps_offset) in [
            ("KEYRING:session:changed", true),
            ("KEYRING:changed", false),
            ("KEYRING:user:changed", true),
            ("KEYRING:persistent:0:changed", true),
        ] {
            with(collection, |desk| {
                desk::changes_one_by_one(desk, keeps_offset);
            });
        }
    }

    #[test]
    #[ignore = "run by keyrings_are_mits_and_ours, in a namespace of its own"]
    fn collections_are_mits_and_ours() {
        for collection in [
            "KEYRING:session:listed",
            "KEYRING:listed",
            "KEYRING:user:listed",
        ] {
            with(collection, desk::collections);
        }
    }

    #[test]
    #[ignore = "run by keyrings_are_mits_and_ours, in a namespace of its own"]
    fn one_cache_stands_for_itself() {
        with("KEYRING:user:one", desk::one_alone);
    }

    #[test]
    #[ignore = "run by keyrings_are_mits_and_ours, in a namespace of its own"]
    fn many_at_once_lose_nothing() {
        for collection in ["KEYRING:session:many", "KEYRING:persistent:0:many"] {
            with(collection, |desk| {
                desk::many_at_once(desk);
                desk.open(collection).destroy().unwrap();
            });
        }
    }

    #[test]
    #[ignore = "run by keyrings_are_mits_and_ours, in a namespace of its own"]
    fn tools_of_both_makes() {
        for collection in [
            "KEYRING:session:tools",
            "KEYRING:tools",
            "KEYRING:user:tools",
        ] {
            with(collection, desk::tools);
        }
    }

    /// A ticket's key ends with the ticket, and the cache's keyring with the last of them.
    #[test]
    #[ignore = "run by keyrings_are_mits_and_ours, in a namespace of its own"]
    fn keys_end_with_their_tickets() {
        // The kernel's table shows root the keys of everybody.
        let own = format!("ending-{}", std::process::id());
        with(&format!("KEYRING:session:{own}"), |desk| {
            let (_, content) = desk.mit_file();
            let cache = desk.open(&desk.collection);
            let mut nothing = trihound::krb5::CredentialCache::new(content.principal.clone());
            nothing.set_config(&own, None, Some(b"1"));
            cache.initialize(&nothing).unwrap();
            assert_eq!(ends(&own), [false], "there is no ticket yet");
            cache.store(&content.credentials[0]).unwrap();
            assert_eq!(ends(&own), [true]);
            let setting = format!("krb5_ccache_conf_data/{own}@X-CACHECONF:");
            assert_eq!(ends(&setting), [false]);
            assert!(ends("krbtgt/TRIHOUND.TEST@TRIHOUND.TEST").contains(&true));
        });
    }

    /// A program from before collections left its cache in the session itself.
    #[test]
    #[ignore = "run by keyrings_are_mits_and_ours, in a namespace of its own"]
    fn a_cache_from_before_collections() {
        with("KEYRING:before", |desk| {
            desk.login(Make::Mit, &desk.collection, "alice");
            assert!(desk.open("KEYRING:before").read().unwrap().is_some());
            // The link in the session alone stays.
            let session = std::num::NonZeroI32::new(-3).unwrap();
            let all = keyutils_raw::keyctl_search(session, "keyring", "_krb_before", None);
            keyutils_raw::keyctl_unlink(all.unwrap(), session).unwrap();
            let cache = desk.open("KEYRING:before");
            let found = cache.read().unwrap().unwrap();
            assert_eq!(found.principal.to_string(), "alice@TRIHOUND.TEST");
            cache.initialize(&found).unwrap();
            assert!(
                desk.run(Make::Mit, "KEYRING:before", "klist", &["-s"])
                    .success()
            );
            assert!(cache.destroy().unwrap());
            assert!(desk.open("KEYRING:before").read().unwrap().is_none());
        });
    }

    /// What is in the process's or thread's keyring, no other process or thread sees.
    #[test]
    #[ignore = "run by keyrings_are_mits_and_ours, in a namespace of its own"]
    fn keyrings_of_process_and_thread() {
        with("KEYRING:process:own", |desk| {
            let (_, content) = desk.mit_file();
            for collection in ["KEYRING:process:own", "KEYRING:thread:own"] {
                let cache = desk.open(collection);
                cache.initialize(&content).unwrap();
                let count = cache.read().unwrap().unwrap().credentials.len();
                assert_eq!(count, content.credentials.len());
                assert!(!desk.run(Make::Mit, collection, "klist", &["-s"]).success());
            }
            let elsewhere = std::thread::scope(|scope| {
                let other = scope.spawn(|| desk.open("KEYRING:thread:own").read());
                other.join().unwrap()
            });
            assert!(elsewhere.unwrap().is_none());
        });
    }

    #[test]
    #[ignore = "run by keyrings_are_mits_and_ours, in a namespace of its own"]
    fn what_is_damaged_or_not_ours_is_told() {
        with("KEYRING:session:bad", |desk| {
            let config = load_config_from(&desk.profile).unwrap();
            let open = |name: &str| -> Result<Box<dyn Cache>, String> {
                let name = CacheName::parse(name).unwrap();
                ccache::open(&name, &config).map_err(|error| error.to_string())
            };
            let anchor = open("KEYRING:sesion:x").unwrap_err();
            assert!(anchor.contains("\"sesion\" is no keyring"), "{anchor}");
            let uid = open("KEYRING:persistent:me").unwrap_err();
            assert!(uid.contains("no user's number"), "{uid}");

            desk.login(Make::Mit, &desk.collection, "alice");
            let add = |ring: &str, key: &str, payload: &[u8]| {
                let session = std::num::NonZeroI32::new(-3).unwrap();
                let ring = keyutils_raw::keyctl_search(session, "keyring", ring, None);
                keyutils_raw::add_key("user", key, payload, ring.unwrap()).unwrap();
            };
            let cache = desk.open(&desk.collection);
            add("bad", "rubbish", b"no ticket");
            let rubbish = cache.read().unwrap_err().to_string();
            assert!(rubbish.starts_with("KEYRING:session:bad:bad "), "{rubbish}");
            cache.destroy().unwrap();
            add("_krb_bad", "krb_ccache:primary", b"\0\0\0\x02\0\0\0\x01a");
            let version = open(&desk.collection).unwrap_err();
            assert!(version.contains("of version 2"), "{version}");
            add("_krb_bad", "krb_ccache:primary", b"\0\0");
            let cut = open(&desk.collection).unwrap_err();
            assert!(cut.contains("kswitch"), "{cut}");
        });
    }
}
