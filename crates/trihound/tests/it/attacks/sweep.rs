//! Every byte of every message, one at a time: somebody notices, or nothing comes of it.

use super::world::{Scene, Speaks, World};
use super::{at, enough, nobody};

/// The lowest bit, the highest, all.
const CHANGES: [u8; 3] = [0x01, 0x80, 0xff];

/// Changes each byte; says how many changes were refused, waited for, and without effect.
fn sweep(table: &str, scene: &Scene<'_>, may_be_unaltered: bool) {
    let honest = scene.converse(&nobody());
    assert!(honest.is_both(), "{}", honest.describe());
    let (mut refused, mut waiting, mut unaltered) = (0, 0, 0);
    let mut faults = Vec::new();
    for number in 0..honest.wire.len() {
        let places = 0..honest.wire[number].len();
        for (place, xor) in places.flat_map(|place| CHANGES.map(|xor| (place, xor))) {
            let ended = scene.converse(&at(number, move |mut token| {
                // A length of DER may differ by one from message to message.
                let place = place.min(token.len() - 1);
                token[place] ^= xor;
                token
            }));
            if ended.refused.is_some() {
                refused += 1;
            } else if !ended.is_both() {
                waiting += 1;
            } else if let Some(what) = scene.differs(&ended, &honest) {
                faults.push(format!("message {number}, byte {place}: {what}"));
            } else if may_be_unaltered {
                unaltered += 1;
            } else {
                faults.push(format!("message {number}, byte {place}: unnoticed"));
            }
        }
    }
    assert!(faults.is_empty(), "{table}:\n{}", faults.join("\n"));
    println!("attacks: {table}: {refused} refused, {waiting} waiting, {unaltered} without effect");
    enough(table, refused + waiting + unaltered);
}

/// Conformance row 140: the MIC goes over all three messages as they were on the wire.
#[test]
fn row_140_every_byte_of_a_raw_ntlm_handshake_counts() {
    let world = World::new();
    let scene = world.scene(Speaks::Ntlm, Speaks::Ntlm);
    sweep("sweep-raw-ntlm", &scene, false);
}

#[test]
fn row_28_every_byte_of_a_negotiated_ntlm_handshake_counts_or_does_not_matter() {
    let world = World::new();
    let scene = world.scene(Speaks::NegotiateNtlm, Speaks::Negotiate);
    sweep("sweep-negotiated-ntlm", &scene, true);
}

#[test]
fn row_28_every_byte_of_a_negotiated_kerberos_handshake_counts_or_does_not_matter() {
    let world = World::new();
    let scene = world.scene(Speaks::Negotiate, Speaks::Negotiate);
    sweep("sweep-negotiated-kerberos", &scene, true);
}
