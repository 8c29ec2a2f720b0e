//! Logins: options, and the users that a KDC refuses.

use crate::world::{BOTH, Make, World, refused, succeeded};

/// The flags that MIT's klist prints of the only ticket in a cache.
fn flags(world: &World, reader: Make, cache: &str) -> String {
    let listed = world.run(reader, cache, "klist", &["-f"]);
    succeeded(&listed);
    let (_, flags) = listed.stdout.split_once("Flags: ").unwrap_or_default();
    flags.lines().next().unwrap_or_default().trim().to_owned()
}

#[test]
fn the_same_options_give_the_same_flags() {
    let Some(world) = World::new() else { return };
    for (options, flag, wanted) in [
        (&["-f"][..], 'F', true),
        (&["-F"], 'F', false),
        (&["-p"], 'P', true),
        (&["-P"], 'P', false),
        (&["-r", "2d"], 'R', true),
        (&["-f", "-p", "-r", "1d"], 'R', true),
        (&["-A"], 'I', true),
    ] {
        let arguments: Vec<&str> = options.iter().copied().chain(["alice"]).collect();
        let [ours, mit] = BOTH.map(|make| {
            world.logged_in(make, "cc", &arguments);
            let [a, b] = BOTH.map(|reader| flags(&world, reader, "cc"));
            assert_eq!(a, b, "{options:?}: the two klists differ");
            a
        });
        assert_eq!(ours, mit, "{options:?}: the two kinits differ");
        assert_eq!(ours.contains(flag), wanted, "{options:?}: {ours}");
    }
}

#[test]
fn the_lifetime_is_the_one_asked_for() {
    let Some(world) = World::new() else { return };
    for (asked, seconds) in [("1h", 3600), ("90m", 5400), ("2:30", 9000), ("600", 600)] {
        world.logged_in(Make::Ours, "cc", &["-l", asked, "alice"]);
        let listed = world.run(Make::Ours, "cc", "klist", &["--json"]);
        let value: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
        let time = |name: &str| value["tickets"][0][name].as_str().unwrap().to_owned();
        let of_day = |text: &str| -> i64 {
            let clock = text.split(['T', ' ']).nth(1).unwrap();
            let parts: Vec<i64> = clock
                .trim_end_matches(['Z', 'U', 'T', 'C', ' '])
                .split(':')
                .map(|part| part.split('.').next().unwrap().parse().unwrap())
                .collect();
            parts[0] * 3600 + parts[1] * 60 + parts[2]
        };
        let length = of_day(&time("endtime")) - of_day(&time("starttime"));
        assert!(
            (length.rem_euclid(86400) - seconds).abs() <= 2,
            "{asked}: {listed}"
        );
    }
}

#[test]
fn every_kind_of_user_logs_in() {
    let Some(world) = World::new() else { return };
    for (user, password) in [
        ("bob", "Builder-Can-8"),
        ("user-aes256", "secret-aes256"),
        ("user-aes128", "secret-aes128"),
        ("user-aes256sha2", "secret-aes256sha2"),
        ("user-aes128sha2", "secret-aes128sha2"),
        ("user-rc4", "secret-rc4"),
        ("user-salt", "secret-salt"),
        ("user-utf8", "grüße-世界"),
    ] {
        succeeded(&world.kinit(Make::Ours, "cc", &[user], password));
        succeeded(&world.run(Make::Mit, "cc", "kvno", &["-q", "HTTP/localhost"]));
        let keytab = world.path("client.keytab");
        succeeded(&world.run(Make::Ours, "cc", "kinit", &["-k", "-t", &keytab, user]));
        succeeded(&world.run(Make::Mit, "cc", "kvno", &["-q", "HTTP/localhost"]));
        succeeded(&world.run(Make::Ours, "cc", "kinit", &["-k", "-i", user]));
    }
}

#[test]
fn refused_users_are_told_why() {
    let Some(world) = World::new() else { return };
    for (user, password, texts) in [
        ("alice", "Wonder-Land-8", &["assword", "PREAUTH_FAILED"][..]),
        ("nobody", "x", &["nobody"]),
        ("user-locked", "secret-locked", &["REVOKED", "revoked"]),
        ("user-expired", "secret-expired", &["NAME_EXP", "expired"]),
        (
            "user-pwexpired",
            "secret-pwexpired",
            &["KEY_EXP", "KEY_EXPIRED", "expired"],
        ),
        ("user-utf8", "grusse-世界", &["assword", "PREAUTH_FAILED"]),
    ] {
        let done = world.kinit(Make::Ours, "cc", &[user], password);
        refused(&done, texts);
        assert!(!done.stderr.contains(password) || password == "x", "{done}");
        assert!(!world.scratch.join("cc").exists(), "{user}");
    }
    let keytab = world.path("client.keytab");
    let absent = world.run(
        Make::Ours,
        "cc",
        "kinit",
        &["-k", "-t", &keytab, "user-locked"],
    );
    refused(&absent, &["user-locked"]);
    world.logged_in(Make::Ours, "cc", &["alice"]);
    let unknown = world.run(Make::Ours, "cc", "kvno", &["HTTP/nowhere"]);
    refused(&unknown, &["S_PRINCIPAL_UNKNOWN", "HTTP/nowhere"]);
    let user_to_user = world.run(Make::Ours, "cc", "kvno", &["host/refused.localhost"]);
    refused(&user_to_user, &["host/refused.localhost"]);
}

/// `kinit -S` gets a ticket to a service with the AS exchange alone.
#[test]
fn a_service_ticket_straight_from_the_as() {
    let Some(world) = World::new() else { return };
    for make in BOTH {
        world.logged_in(make, "cc", &["-S", "host/localhost", "alice"]);
        let keytab = world.path("service.keytab");
        let opened = world.run(
            make.other(),
            "cc",
            "kvno",
            &["-k", &keytab, "host/localhost"],
        );
        succeeded(&opened);
    }
}
