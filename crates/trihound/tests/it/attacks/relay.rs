//! Logins that are carried to another channel or service.

use trihound::krb5::{Error as KerberosError, PeerMisbehaved as KerberosMisbehaved};
use trihound::ntlm::{AvId, PeerMisbehaved, PolicyError, VerifierFailure};

use super::edit::av_pair;
use super::world::{Scene, Speaks, World};
use super::{Expect, at, nobody, refused};

/// One refusal of a scene without an attack.
fn refusal(scene: &Scene<'_>, expect: Expect) {
    let ended = scene.converse(&nobody());
    let fault = super::fault(scene, &expect, &ended, &ended);
    assert!(fault.is_none(), "{fault:?}");
}

/// Conformance row 35: a login that is carried to another channel.
#[test]
fn row_35_a_login_bound_to_another_channel_is_refused() {
    let world = World::new();
    for speaks in [Speaks::Ntlm, Speaks::NegotiateNtlm] {
        let mut scene = world.scene(speaks, speaks);
        scene.bindings = [
            Some(b"the client's channel"),
            Some(b"the attacker's channel"),
        ];
        let differ = refused!(
            Acceptor,
            SEC_E_BAD_BINDINGS,
            PeerMisbehaved,
            PeerMisbehaved::ChannelBindingsDiffer
        );
        refusal(&scene, differ);
        scene.bindings = [None, Some(b"the attacker's channel")];
        let missing = refused!(
            Acceptor,
            SEC_E_BAD_BINDINGS,
            PolicyError,
            PolicyError::ChannelBindingsMissing { empty: true }
        );
        refusal(&scene, missing);
        scene.bindings = [Some(b"one channel"), Some(b"one channel")];
        let honest = scene.converse(&nobody());
        assert_eq!(scene.differs(&honest, &honest), None);
    }
}

/// Conformance rows 35 and 36: the pairs lie under the proof, so that they cannot be made to fit.
#[test]
fn row_36_bindings_and_target_cannot_be_altered_in_the_response() {
    let world = World::new();
    let mut scene = world.scene(Speaks::Ntlm, Speaks::Ntlm);
    scene.bindings = [
        Some(b"the client's channel"),
        Some(b"the attacker's channel"),
    ];
    for attack in [
        at(2, |token| {
            av_pair(token, AvId::CHANNEL_BINDINGS, |value| value.fill(0))
        }),
        at(2, |token| {
            av_pair(token, AvId::CHANNEL_BINDINGS, |value| value[0] ^= 1)
        }),
    ] {
        let ended = scene.converse(&attack);
        let denied = refused!(
            Acceptor,
            SEC_E_LOGON_DENIED,
            VerifierFailure,
            VerifierFailure::LogonFailed
        );
        assert_eq!(super::fault(&scene, &denied, &ended, &ended), None);
    }
}

/// Conformance row 36: a login meant for another service.
#[test]
fn row_36_a_login_for_another_service_is_refused() {
    let world = World::new();
    for speaks in [Speaks::Ntlm, Speaks::NegotiateNtlm] {
        for target in ["HTTP/attacker.example.test", "cifs/localhost"] {
            let mut scene = world.scene(speaks, speaks);
            scene.target = target;
            let differs = refused!(
                Acceptor,
                SEC_E_WRONG_PRINCIPAL,
                PeerMisbehaved,
                PeerMisbehaved::TargetNameDiffers { .. }
            );
            refusal(&scene, differs);
        }
    }
}

/// Channel bindings reach Kerberos through the negotiation as well.
#[test]
fn a_negotiated_login_bound_to_another_channel_is_refused() {
    let world = World::new();
    for speaks in [
        Speaks::Negotiate,
        Speaks::NegotiateKerberos,
        Speaks::Kerberos,
    ] {
        let mut scene = world.scene(speaks, speaks);
        scene.bindings = [
            Some(b"the client's channel"),
            Some(b"the attacker's channel"),
        ];
        let differ = refused!(
            Acceptor,
            SEC_E_BAD_BINDINGS,
            KerberosError,
            KerberosError::PeerMisbehaved(KerberosMisbehaved::ChannelBindingsDiffer)
        );
        refusal(&scene, differ);
        scene.bindings = [Some(b"one channel"), Some(b"one channel")];
        let honest = scene.converse(&nobody());
        assert_eq!(scene.differs(&honest, &honest), None);
    }
}
