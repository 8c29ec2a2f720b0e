//! Tokens of other logins.

use trihound::krb5::{Error as KerberosError, ReplayError};
use trihound::ntlm::VerifierFailure;

use super::edit::{init, read_init};
use super::world::{Scene, Speaks, World};
use super::{Expect, at, each, fault, nobody, refused};

/// The message of this number of an honest handshake.
fn overheard(scene: &Scene<'_>, number: usize) -> Vec<u8> {
    let ended = scene.converse(&nobody());
    assert!(ended.is_both(), "{}", ended.describe());
    ended.wire[number].clone()
}

fn replayed() -> Expect {
    refused!(
        Acceptor,
        SEC_E_LOGON_DENIED,
        KerberosError,
        KerberosError::Replay(ReplayError::ReplayedAuthenticator { .. })
    )
}

/// Conformance row 11. One replay cache for all of a host: from raw to raw, to negotiated, and back.
#[test]
fn row_11_an_authenticator_is_good_for_one_context_negotiated_or_not() {
    let world = World::new();
    let raw = world.scene(Speaks::Kerberos, Speaks::Kerberos);
    let taken_raw = world.scene(Speaks::Kerberos, Speaks::Negotiate);
    let negotiated = world.scene(Speaks::Negotiate, Speaks::Negotiate);
    let of_raw = overheard(&raw, 0);
    let of_negotiated = read_init(&overheard(&negotiated, 0)).mech_token.unwrap();
    for ap_req in [of_raw, of_negotiated] {
        for scene in [&raw, &taken_raw] {
            let ap_req = ap_req.clone();
            let ended = scene.converse(&at(0, move |_| ap_req.clone()));
            assert_eq!(fault(scene, &replayed(), &ended, &ended), None);
        }
        let attack = at(0, move |token| {
            init(&token, |init| init.mech_token = Some(ap_req.clone()))
        });
        let ended = negotiated.converse(&attack);
        assert_eq!(fault(&negotiated, &replayed(), &ended, &ended), None);
    }
}

/// Conformance row 11. A whole first token of another login, as it was.
#[test]
fn row_11_a_negotiation_that_was_overheard_is_refused() {
    let world = World::new();
    let scene = world.scene(Speaks::Negotiate, Speaks::Negotiate);
    let token = overheard(&scene, 0);
    let ended = scene.converse(&at(0, move |_| token.clone()));
    assert_eq!(fault(&scene, &replayed(), &ended, &ended), None);
}

/// Conformance row 13. The acceptor's answer of another login proves nothing to the initiator.
#[test]
fn row_13_an_answer_to_another_login_is_no_mutual_authentication() {
    let world = World::new();
    for speaks in [Speaks::Kerberos, Speaks::Negotiate] {
        let scene = world.scene(speaks, speaks);
        let token = overheard(&scene, 1);
        let ended = scene.converse(&at(1, move |_| token.clone()));
        let failed = refused!(
            Initiator,
            SEC_E_MUTUAL_AUTH_FAILED,
            KerberosError,
            KerberosError::PeerMisbehaved(_)
        );
        assert_eq!(fault(&scene, &failed, &ended, &ended), None);
    }
}

/// Conformance row 155: a response is for one challenge, and a challenge for one context.
#[test]
fn row_155_a_response_to_another_challenge_is_refused() {
    let world = World::new();
    for speaks in [Speaks::Ntlm, Speaks::NegotiateNtlm] {
        let scene = world.scene(speaks, speaks);
        let token = overheard(&scene, 2);
        let ended = scene.converse(&at(2, move |_| token.clone()));
        let denied = refused!(
            Acceptor,
            SEC_E_LOGON_DENIED,
            VerifierFailure,
            VerifierFailure::LogonFailed
        );
        assert_eq!(fault(&scene, &denied, &ended, &ended), None);
    }
}

/// Two contexts of one host do not take each other's messages: the challenge of the one and the answer to
/// it, given to the other.
#[test]
fn row_155_a_challenge_of_another_context_is_of_no_use() {
    let world = World::new();
    let scene = world.scene(Speaks::Ntlm, Speaks::Ntlm);
    let challenge = overheard(&scene, 1);
    let ended = scene.converse(&each(move |number, _| {
        (number == 1).then(|| challenge.clone())
    }));
    let denied = refused!(
        Acceptor,
        SEC_E_LOGON_DENIED,
        VerifierFailure,
        VerifierFailure::LogonFailed
    );
    assert_eq!(fault(&scene, &denied, &ended, &ended), None);
}

/// The same token given to a mechanism raw and negotiated: NTLM's NEGOTIATE is nobody's in particular, and
/// what it leads to is proved anew each time.
#[test]
fn a_negotiate_message_of_another_login_changes_nothing() {
    let world = World::new();
    let scene = world.scene(Speaks::Ntlm, Speaks::Ntlm);
    let token = overheard(&scene, 0);
    let honest = scene.converse(&nobody());
    let ended = scene.converse(&at(0, move |_| token.clone()));
    // It has no secret and nothing random, so that it is the same message.
    assert_eq!(fault(&scene, &Expect::Unaltered, &ended, &honest), None);
}
