//! Messages behind the handshake: altered, repeated, out of order, of the other direction, of another
//! context, and the mechListMIC in the place of one.

use trihound::asn1::spnego::parse_response;
use trihound::sspi::{Error, SecBuffer, SecBufferDesc, SecurityStatus};

use super::edit::read_init;
use super::world::{Ended, Scene, Speaks, World};
use super::{By, nobody};

/// Token and data of a sealed message.
type Sealed = (Vec<u8>, Vec<u8>);

fn seal(scene: &Scene<'_>, ended: &Ended, by: By, data: &[u8]) -> Sealed {
    let (mut token, mut data) = (vec![0; 256], data.to_vec());
    let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
    let context = ended.context(by).unwrap();
    scene
        .table(by)
        .encrypt_message(context, 0, &mut SecBufferDesc::new(&mut buffers), 0)
        .unwrap();
    let length = buffers[0].len();
    token.truncate(length);
    (token, data)
}

fn open(scene: &Scene<'_>, ended: &Ended, by: By, sealed: &Sealed) -> Result<Vec<u8>, Error> {
    let (mut token, mut data) = sealed.clone();
    let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
    let context = ended.context(by).unwrap();
    scene
        .table(by)
        .decrypt_message(context, &mut SecBufferDesc::new(&mut buffers), 0)?;
    Ok(data)
}

fn refused(result: Result<Vec<u8>, Error>, status: SecurityStatus, what: &str) {
    assert_eq!(result.unwrap_err().status(), status, "{what}");
}

/// Both directions of one context, with everything in between that somebody may do; at the end the honest
/// messages are still read.
fn attack(scene: &Scene<'_>) {
    let altered = SecurityStatus::SEC_E_MESSAGE_ALTERED;
    let out_of_order = SecurityStatus::SEC_E_OUT_OF_SEQUENCE;
    let ended = scene.converse(&nobody());
    let other = scene.converse(&nobody());
    assert!(ended.is_both() && other.is_both());
    for (from, to) in [(By::Initiator, By::Acceptor), (By::Acceptor, By::Initiator)] {
        let first = seal(scene, &ended, from, b"pay 10 to bob");
        let (token, data) = &first;
        for at in 0..data.len() {
            let mut changed = first.clone();
            changed.1[at] ^= 1;
            refused(open(scene, &ended, to, &changed), altered, "data");
        }
        for at in 0..token.len() {
            let mut changed = first.clone();
            changed.0[at] ^= 1;
            assert!(
                open(scene, &ended, to, &changed).is_err(),
                "byte {at} of the token"
            );
        }
        refused(
            open(scene, &other, to, &first),
            altered,
            "of another context",
        );
        assert!(
            open(scene, &ended, from, &first).is_err(),
            "sent back to its sender"
        );
        assert_eq!(open(scene, &ended, to, &first).unwrap(), b"pay 10 to bob");
        let again = open(scene, &ended, to, &first).unwrap_err();
        assert!(
            [out_of_order, altered].contains(&again.status()),
            "a message came twice: {again}"
        );
        let second = seal(scene, &ended, from, b"the second");
        let third = seal(scene, &ended, from, b"the third");
        let early = open(scene, &ended, to, &third).unwrap_err();
        assert!(
            [out_of_order, altered].contains(&early.status()),
            "a message came too early: {early}"
        );
        if scene.is_ntlm(&ended) {
            // Its key stream knows no gap: the messages are read in order, or not at all.
            assert_eq!(open(scene, &ended, to, &second).unwrap(), b"the second");
            assert_eq!(open(scene, &ended, to, &third).unwrap(), b"the third");
        }
    }
}

/// Conformance rows 130, 131, 151 and 152, through the negotiation and without it.
#[test]
fn row_131_messages_are_read_once_in_order_and_unaltered() {
    let world = World::new();
    for (initiator, acceptor) in [
        (Speaks::Ntlm, Speaks::Ntlm),
        (Speaks::Ntlm, Speaks::Negotiate),
        (Speaks::NegotiateNtlm, Speaks::Negotiate),
        (Speaks::Kerberos, Speaks::Negotiate),
        (Speaks::Negotiate, Speaks::Negotiate),
        (Speaks::Negotiate, Speaks::NegotiateNtlmFirst),
    ] {
        attack(&world.scene(initiator, acceptor));
    }
}

/// Conformance row 169: the mechListMIC is a signature over the list, and good for that one use.
#[test]
fn row_169_the_mic_of_the_list_is_no_signature_of_a_message() {
    let world = World::new();
    for (initiator, acceptor, mics) in [
        (
            Speaks::NegotiateNtlm,
            Speaks::Negotiate,
            [(2, By::Acceptor), (3, By::Initiator)],
        ),
        (
            Speaks::Negotiate,
            Speaks::NegotiateNtlmFirst,
            [(1, By::Initiator), (2, By::Acceptor)],
        ),
    ] {
        let scene = world.scene(initiator, acceptor);
        let ended = scene.converse(&nobody());
        assert!(ended.is_both());
        let list = read_init(&ended.wire[0]).mech_types_der;
        for (number, to) in mics {
            let mic = parse_response(&ended.wire[number])
                .unwrap()
                .mech_list_mic
                .unwrap();
            let mut buffers = [SecBuffer::data_input(&list), SecBuffer::token_input(&mic)];
            let verified = scene.table(to).verify_signature(
                ended.context(to).unwrap(),
                &mut SecBufferDesc::new(&mut buffers),
                0,
            );
            let error = verified.unwrap_err();
            assert!(
                [
                    SecurityStatus::SEC_E_OUT_OF_SEQUENCE,
                    SecurityStatus::SEC_E_MESSAGE_ALTERED
                ]
                .contains(&error.status()),
                "{error}"
            );
        }
    }
}
