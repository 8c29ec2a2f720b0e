//! Forged and altered AP-REPs: the second leg, and the third of DCE style.

use trihound_asn1::{
    ApRep, EncApRepPart, EncryptedData, EncryptionKey, KerberosTime, Message, UInt32, gss,
};
use trihound_crypto::{Enctype, KeyUsage};
use trihound_kerberos::TokenError;
use trihound_krb5::PeerMisbehaved;
use trihound_sspi::SecurityStatus;

use crate::attacks::{peer_fault, token_fault};
use crate::world::{Leg, NOW, Sides, Wishes, World};

const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;

/// Conformance rows 13 and 189: whichever bit of the AP-REP is flipped, the acceptor has not proven
/// itself.
#[test]
fn any_flipped_bit_of_the_reply_is_refused() {
    for wishes in [Wishes::full(), Wishes::dce()] {
        let world = World::new(AES256);
        let mut first = Sides::new(&world, wishes.clone());
        let (_, token) = first.initialize(None);
        let (_, answer) = first.accept(Some(&token));
        for bit in 0..answer.len() * 8 {
            let mut altered = answer.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let mut sides = Sides::new(&world, wishes.clone());
            sides.client = first.client;
            let (_, _) = sides.initialize(None);
            assert!(sides.initialize(Some(&altered)).0.is_err(), "bit {bit}");
        }
        assert!(first.initialize(Some(&answer)).0.is_ok());
    }
}

fn reply_with(world: &World, change: impl FnOnce(&mut EncApRepPart)) -> Vec<u8> {
    let mut part = EncApRepPart {
        ctime: KerberosTime::from_seconds(NOW),
        cusec: 0,
        subkey: None,
        seq_number: Some(UInt32::new(1)),
    };
    change(&mut part);
    let cipher = world
        .session_key()
        .encrypt(
            KeyUsage::AP_REP_ENC_PART,
            &part.to_der().unwrap(),
            &*world.environment.random,
        )
        .unwrap();
    let sealed = EncryptedData::new(world.enctype.0, None, cipher);
    let message = ApRep::new(sealed).to_der().unwrap();
    gss::wrap_token(gss::KRB5_OID, [2, 0], &message)
}

/// What an initiator says of an AP-REP of our own making. The clock stands still and each world is
/// new, so the authenticator's time is known.
fn answered(change: impl FnOnce(&mut EncApRepPart)) -> Leg {
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::full());
    let (_, _) = sides.initialize(None);
    let token = reply_with(&world, change);
    sides.initialize(Some(&token))
}

/// Conformance rows 13 and 108: time and sub-key of the AP-REP.
#[test]
fn the_replys_fields_are_checked() {
    assert!(answered(|_| {}).0.is_ok());
    for change in [
        (|part: &mut EncApRepPart| part.cusec = 1) as fn(&mut EncApRepPart),
        |part| part.ctime = KerberosTime::from_seconds(NOW + 1),
    ] {
        assert!(matches!(
            peer_fault(answered(change), SecurityStatus::SEC_E_MUTUAL_AUTH_FAILED),
            PeerMisbehaved::ApReplyTimeDiffers { .. }
        ));
    }
    let short = answered(|part| part.subkey = Some(EncryptionKey::new(18, vec![1; 16])));
    assert!(matches!(
        peer_fault(short, SecurityStatus::SEC_E_INVALID_TOKEN),
        PeerMisbehaved::SubkeyMalformed { .. }
    ));
    let weak = answered(|part| part.subkey = Some(EncryptionKey::new(3, vec![1; 8])));
    assert!(matches!(
        peer_fault(weak, SecurityStatus::SEC_E_ALGORITHM_MISMATCH),
        PeerMisbehaved::SubkeyEnctypeNotOffered { .. }
    ));
}

/// Another service, without the key, answers.
#[test]
fn a_reply_under_another_key_proves_nothing() {
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::full());
    let (_, _) = sides.initialize(None);
    let cipher = crate::support::key(AES256)
        .encrypt(
            KeyUsage::AP_REP_ENC_PART,
            &[0; 40],
            &*world.environment.random,
        )
        .unwrap();
    let message = ApRep::new(EncryptedData::new(18, None, cipher))
        .to_der()
        .unwrap();
    let token = gss::wrap_token(gss::KRB5_OID, [2, 0], &message);
    assert!(matches!(
        peer_fault(
            sides.initialize(Some(&token)),
            SecurityStatus::SEC_E_MUTUAL_AUTH_FAILED
        ),
        PeerMisbehaved::ApReplyDoesNotDecrypt { .. }
    ));
}

/// Conformance row 13: the AP-REP of another login with the same ticket.
#[test]
fn a_reply_to_another_login_is_refused() {
    let world = World::new(AES256);
    let mut first = Sides::new(&world, Wishes::full());
    let (_, token) = first.initialize(None);
    let (_, answer) = first.accept(Some(&token));
    let mut second = Sides::new(&world, Wishes::full());
    let (_, _) = second.initialize(None);
    assert!(matches!(
        peer_fault(
            second.initialize(Some(&answer)),
            SecurityStatus::SEC_E_MUTUAL_AUTH_FAILED
        ),
        PeerMisbehaved::ApReplyTimeDiffers { .. }
    ));
}

/// The acceptor after its answer, and that answer, in DCE style.
fn half_open(world: &World) -> (Sides<'_>, Vec<u8>) {
    let mut sides = Sides::new(world, Wishes::dce());
    let (_, token) = sides.initialize(None);
    let (_, answer) = sides.accept(Some(&token));
    (sides, answer)
}

fn third_leg(world: &World, sequence: Option<u32>, seconds: i64) -> Vec<u8> {
    let token = reply_with(world, |part| {
        part.ctime = KerberosTime::from_seconds(seconds);
        part.seq_number = sequence.map(UInt32::new);
    });
    gss::unwrap_token(&token).unwrap().inner.to_vec()
}

fn sequence_in(world: &World, answer: &[u8]) -> u32 {
    let reply = ApRep::from_der(answer).unwrap();
    let plain = world
        .session_key()
        .decrypt(KeyUsage::AP_REP_ENC_PART, &reply.enc_part.cipher)
        .unwrap();
    let part = EncApRepPart::from_der(plain.expose()).unwrap();
    part.seq_number.unwrap().get()
}

/// Conformance row 128: the third leg repeats the acceptor's number and time.
#[test]
fn the_third_leg_is_checked() {
    let world = World::new(AES256);
    let (mut sides, answer) = half_open(&world);
    let right = sequence_in(&world, &answer);
    assert!(
        sides
            .accept(Some(&third_leg(&world, Some(right), NOW)))
            .0
            .is_ok()
    );
    for wrong in [Some(right ^ 1), None] {
        let (mut sides, answer) = half_open(&world);
        let right = sequence_in(&world, &answer);
        let token = third_leg(&world, wrong.map(|_| right ^ 1), NOW);
        assert_eq!(
            peer_fault(
                sides.accept(Some(&token)),
                SecurityStatus::SEC_E_LOGON_DENIED
            ),
            PeerMisbehaved::ThirdLegSequenceDiffers
        );
    }
    let (mut sides, answer) = half_open(&world);
    let right = sequence_in(&world, &answer);
    let token = third_leg(&world, Some(right), NOW - 1000);
    assert!(matches!(
        peer_fault(
            sides.accept(Some(&token)),
            SecurityStatus::SEC_E_LOGON_DENIED
        ),
        PeerMisbehaved::ThirdLegTimeDiffers { .. }
    ));
}

/// Conformance rows 22, 119 and 128: the acceptor gets its own AP-REP back, nothing, or altered bits.
#[test]
fn a_forged_third_leg_is_refused() {
    let world = World::new(AES256);
    let (mut sides, answer) = half_open(&world);
    assert_eq!(
        peer_fault(
            sides.accept(Some(&answer)),
            SecurityStatus::SEC_E_LOGON_DENIED
        ),
        PeerMisbehaved::ThirdLegReflected
    );
    let (mut sides, _) = half_open(&world);
    assert_eq!(
        token_fault(sides.accept(None)),
        TokenError::Missing {
            expected: "third leg's AP-REP"
        }
    );
    let (_, answer) = half_open(&world);
    let third = third_leg(&world, Some(sequence_in(&world, &answer)), NOW);
    for at in 0..third.len() {
        let (mut sides, _) = half_open(&world);
        let mut altered = third.clone();
        altered[at] ^= 0x10;
        assert!(sides.accept(Some(&altered)).0.is_err(), "byte {at}");
    }
}
