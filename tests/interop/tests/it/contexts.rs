//! Contexts that the axes of the matrix do not reach.

use trihound_interop::{Conversation, Side, SideResult};

use crate::world::{Make, World, finished, succeeded};

fn hold(
    world: &World,
    [initiator, acceptor]: [Make; 2],
    conversation: &Conversation,
) -> (SideResult, SideResult) {
    let side = |make: Make, cache: &str| {
        let program = match make {
            Make::Ours => &world.peers.program,
            Make::Mit => &world.peers.c_peer,
        };
        let command = world.realm.command(program, &world.scratch.cache(cache));
        Side::new(command, program, &world.peers.program)
    };
    conversation
        .hold(side(initiator, "cc"), side(acceptor, "other"))
        .unwrap_or_else(|failure| panic!("{failure}"))
}

fn alice(target: &str, acceptor: &str, flags: &str) -> Conversation {
    Conversation {
        package: "kerberos",
        target: target.to_owned(),
        acceptor: acceptor.to_owned(),
        initiator_flags: format!("{flags},user=alice,pw=Wonder-Land-7"),
        acceptor_flags: flags.split(',').filter(|flag| *flag == "nodata").collect(),
    }
}

const EVERY_PAIRING: [[Make; 2]; 3] = [
    [Make::Ours, Make::Mit],
    [Make::Mit, Make::Ours],
    [Make::Ours, Make::Ours],
];

#[track_caller]
fn both_fail((initiated, accepted): &(SideResult, SideResult)) {
    assert!(!initiated.finished.success(), "{}", initiated.finished);
    assert!(!accepted.finished.success(), "{}", accepted.finished);
}

#[test]
fn a_ticket_for_another_service_is_refused() {
    let Some(world) = World::new() else { return };
    for pairing in EVERY_PAIRING {
        let ended = hold(
            &world,
            pairing,
            &alice("host/localhost", "HTTP/localhost", "mutual"),
        );
        both_fail(&ended);
    }
}

#[test]
fn a_ticket_without_a_key_in_the_keytab_is_refused() {
    let Some(world) = World::new() else { return };
    for pairing in EVERY_PAIRING {
        let ended = hold(
            &world,
            pairing,
            &alice("host/absent.localhost", "-", "mutual"),
        );
        both_fail(&ended);
        if pairing[1] == Make::Ours {
            let told = &ended.1.finished.stderr;
            assert!(told.contains("host/absent.localhost"), "{told}");
        }
    }
}

#[test]
fn a_wrong_password_ends_the_handshake() {
    let Some(world) = World::new() else { return };
    for pairing in EVERY_PAIRING {
        let mut conversation = alice("HTTP/localhost", "-", "mutual");
        conversation.initiator_flags = "mutual,user=alice,pw=wrong".to_owned();
        both_fail(&hold(&world, pairing, &conversation));
    }
}

/// A service is found by its whole principal too, with every attribute at once.
#[test]
fn every_attribute_at_once() {
    let Some(world) = World::new() else { return };
    let realm = world.realm.variable("KDC_REALM");
    for pairing in EVERY_PAIRING {
        let conversation = alice(
            &format!("HTTP/localhost@{realm}"),
            "HTTP/localhost",
            "mutual,replay,seq,conf,integ,identify",
        );
        let (initiated, accepted) = hold(&world, pairing, &conversation);
        for side in [&initiated, &accepted] {
            assert!(side.ok(), "{}", side.finished);
            for flag in ["mutual", "replay", "seq", "conf", "integ", "identify"] {
                assert!(side.flags().contains(flag), "{flag}: {}", side.finished);
            }
        }
        assert_eq!(initiated.text("session_key"), accepted.text("session_key"));
    }
}

/// Nothing asked for, nothing said: authentication only.
#[test]
fn a_handshake_alone() {
    let Some(world) = World::new() else { return };
    for pairing in EVERY_PAIRING {
        let (initiated, accepted) = hold(
            &world,
            pairing,
            &alice("HTTP/localhost", "-", "mutual,nodata"),
        );
        for side in [&initiated, &accepted] {
            assert!(side.ok(), "{}", side.finished);
            assert!(side.flags().contains("mutual"), "{}", side.finished);
        }
        if pairing[0] == Make::Ours {
            for side in [&initiated, &accepted] {
                assert!(!side.flags().contains("conf"), "{}", side.finished);
                assert!(!side.flags().contains("integ"), "{}", side.finished);
            }
        }
    }
}

/// What the initiator did not ask for is neither told nor done, whatever the acceptor wishes; `noci` keeps
/// libgssapi from asking by itself.
#[test]
fn protections_that_were_not_asked_for_are_refused() {
    let Some(world) = World::new() else { return };
    let pairing = [Make::Mit, Make::Ours];
    let (initiated, accepted) = hold(
        &world,
        pairing,
        &alice("HTTP/localhost", "-", "noci,mutual,nodata"),
    );
    for side in [&initiated, &accepted] {
        assert!(side.ok(), "{}", side.finished);
        assert!(!side.flags().contains("conf"), "{}", side.finished);
        assert!(!side.flags().contains("integ"), "{}", side.finished);
    }
    let ended = hold(
        &world,
        pairing,
        &alice("HTTP/localhost", "-", "noci,mutual"),
    );
    both_fail(&ended);
    let told = &ended.1.finished.stderr;
    assert!(told.contains("SEC_E_QOP_NOT_SUPPORTED"), "{told}");
}

/// The whole login that people see, with the embedded KDC and with MIT's.
#[test]
fn the_demo_holds_against_mit() {
    let Some(world) = World::new() else { return };
    let embedded = world.run::<&str>(Make::Ours, "cc", "demo", &[]);
    succeeded(&embedded);
    assert!(embedded.stdout.contains("Everything held."), "{embedded}");
    let mut command = world.tool(Make::Ours, "cc", "demo", &["--kdc-config"]);
    command
        .arg(world.realm.directory().join("krb5.conf"))
        .arg("--keytab")
        .arg(world.realm.directory().join("service.keytab"))
        .arg("--client-keytab")
        .arg(world.realm.directory().join("client.keytab"))
        .args(["--client", "alice", "--service", "HTTP/localhost"]);
    let mit = finished(command, "");
    succeeded(&mit);
    assert!(mit.stdout.contains("Everything held."), "{mit}");
}

/// One service's keytab is all that the demo needs.
#[test]
fn the_demo_is_content_with_one_keytab() {
    let Some(world) = World::new() else { return };
    let mut command = world.tool(Make::Ours, "cc", "demo", &["--kdc-config"]);
    command
        .arg(world.realm.directory().join("krb5.conf"))
        .arg("--keytab")
        .arg(world.realm.directory().join("service.keytab"));
    succeeded(&finished(command, ""));
}
