//! Contexts that are exported to another process of ours in the middle of a conversation (`moves`), while the
//! peer is a program of another make that notices nothing.

use trihound_interop::{
    Conversation, Layer, NtlmCase, NtlmStage, Side, SideResult, Speaker, ntlm_conversation,
};

use crate::world::{Make, World, peers};

#[track_caller]
fn both_end_well((initiated, accepted): &(SideResult, SideResult), what: &str) {
    for side in [initiated, accepted] {
        assert!(side.ok(), "{what}: {}", side.finished);
    }
    let keys = [initiated.text("session_key"), accepted.text("session_key")];
    assert_eq!(keys[0], keys[1], "{what}");
}

/// Kerberos and SPNEGO with MIT's libgssapi and with ourselves: sealed and signed messages before the export; MICs,
/// EncryptMessage in parts and large messages after it, with replay and order detection on.
#[test]
fn kerberos_contexts_move_and_mits_libgssapi_goes_on() {
    let Some(world) = World::new() else { return };
    let pairings = [
        [(Make::Ours, true), (Make::Mit, false)],
        [(Make::Mit, false), (Make::Ours, true)],
        [(Make::Ours, true), (Make::Ours, true)],
        [(Make::Ours, false), (Make::Ours, true)],
    ];
    let shapes = [
        "mutual,replay,seq,conf,integ,big=70000",
        "replay,conf,integ",
        "dce,seq,conf,integ,iov,nowrap",
    ];
    for package in ["kerberos", "negotiate"] {
        for pairing in pairings {
            for shape in shapes {
                // libgssapi's SPNEGO has no data after a DCE handshake that this wire could carry.
                if package == "negotiate" && shape.starts_with("dce") {
                    continue;
                }
                let flags = |moves| {
                    if moves {
                        format!("{shape},moves")
                    } else {
                        shape.to_owned()
                    }
                };
                let [(first, moves_first), (second, moves_second)] = pairing;
                let conversation = Conversation {
                    package,
                    target: "HTTP/localhost".to_owned(),
                    acceptor: "HTTP/localhost".to_owned(),
                    initiator_flags: format!("{},user=alice,pw=Wonder-Land-7", flags(moves_first)),
                    acceptor_flags: flags(moves_second),
                };
                let side = |make: Make, cache: &str| {
                    let program = match make {
                        Make::Ours => &world.peers.program,
                        Make::Mit => &world.peers.c_peer,
                    };
                    let command = world.realm.command(program, &world.scratch.cache(cache));
                    Side::new(command, program, &world.peers.program)
                };
                let ended = conversation.hold(side(first, "cc"), side(second, "other"));
                let ended = ended.unwrap_or_else(|failure| panic!("{failure}"));
                both_end_well(&ended, &format!("{package} {pairing:?} {shape}"));
            }
        }
    }
}

/// NTLM, raw and in SPNEGO, with gss-ntlmssp and pyspnego: the key streams go along.
#[test]
fn ntlm_contexts_move_and_other_makes_go_on() {
    let Some(peers) = peers() else { return };
    let stage = NtlmStage::new(peers).unwrap();
    for layer in [Layer::Raw, Layer::Spnego] {
        for (initiator, acceptor) in [
            (Speaker::Ours, Speaker::Gss),
            (Speaker::Gss, Speaker::Ours),
            (Speaker::Ours, Speaker::Python),
            (Speaker::Python, Speaker::Ours),
            (Speaker::Ours, Speaker::Ours),
        ] {
            let case = NtlmCase::plain(initiator, acceptor, layer);
            let mut conversation = ntlm_conversation(&case);
            for (speaker, flags) in [
                (initiator, &mut conversation.initiator_flags),
                (acceptor, &mut conversation.acceptor_flags),
            ] {
                if speaker == Speaker::Ours {
                    flags.push_str(",moves");
                }
            }
            let ended = conversation.hold(
                stage.side(initiator, case.account.word()),
                stage.side(acceptor, "accounts"),
            );
            let ended = ended.unwrap_or_else(|failure| panic!("{failure}"));
            both_end_well(&ended, &format!("{layer:?} {initiator:?} {acceptor:?}"));
        }
    }
}
