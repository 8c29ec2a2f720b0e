//! What an answer of a password service has to be (conformance row 86), and how a refusal is told.

use trihound_asn1::{UInt32, error_code};
use trihound_crypto::KeyUsage;
use trihound_krb5::kpasswd::{Frame, KpasswdResult, PasswordPolicy, VERSION_CHANGE, VERSION_SET};
use trihound_krb5::{Error, InvalidMessage, KpasswdMisbehaved, PeerMisbehaved};

use super::{Answer, DONE, altered, answer, change, changed, misbehaved, refusal, refused};
use crate::small_kdc::{AES128, AES256, Kdc, NOW, World, key, time};

#[test]
fn row_86_an_ap_rep_of_somebody_else_is_refused() {
    let error = altered(DONE, |answer| answer.ap_key = key(5, AES256));
    assert!(
        matches!(
            error,
            Error::PeerMisbehaved(PeerMisbehaved::ApReplyDoesNotDecrypt { .. })
        ),
        "{error:?}"
    );
    let error = altered(DONE, |answer| {
        answer.ap.cusec = (answer.ap.cusec + 1) % 1_000_000;
    });
    assert!(
        matches!(
            error,
            Error::PeerMisbehaved(PeerMisbehaved::ApReplyTimeDiffers { .. })
        ),
        "{error:?}"
    );
}

#[test]
fn row_86_a_krb_priv_under_any_other_key_or_usage_is_refused() {
    let foreign = |answer: &mut Answer| answer.key = key(5, AES256);
    let session = |answer: &mut Answer| answer.key = answer.ap_key.duplicate();
    let usage = |answer: &mut Answer| answer.usage = KeyUsage::KRB_CRED_ENC_PART;
    let etype = |answer: &mut Answer| answer.etype = Some(AES128.0);
    let all: [&dyn Fn(&mut Answer); 4] = [&foreign, &session, &usage, &etype];
    for alter in all {
        let fault = misbehaved(altered(DONE, alter));
        assert_eq!(fault, KpasswdMisbehaved::PrivateDoesNotDecrypt);
    }
}

#[test]
fn row_86_a_sub_key_in_the_ap_rep_is_not_the_key_of_the_answer() {
    let with = |answer: &mut Answer| {
        let other = key(6, AES256);
        answer.ap.subkey = Some(crate::small_kdc::wire(&other));
    };
    let world = World::new();
    let service = |message: &[u8]| answer(&world, message, DONE, with);
    assert!(changed(&world, change(None), service).0.is_ok());
    let fault = misbehaved(altered(DONE, |answer| {
        with(answer);
        answer.key = key(6, AES256);
    }));
    assert_eq!(fault, KpasswdMisbehaved::PrivateDoesNotDecrypt);
}

#[test]
fn row_86_the_sequence_number_is_that_of_the_ap_rep() {
    let other = |answer: &mut Answer| answer.part.seq_number = Some(UInt32::new(78));
    let fault = misbehaved(altered(DONE, other));
    assert_eq!(fault, KpasswdMisbehaved::SequenceDiffers);
    let none = |answer: &mut Answer| answer.part.seq_number = None;
    let fault = misbehaved(altered(DONE, none));
    assert_eq!(fault, KpasswdMisbehaved::FreshnessMissing);
}

#[test]
fn row_86_a_time_in_the_answer_is_the_present_one() {
    let at = |seconds: i64| {
        move |answer: &mut Answer| {
            answer.part.seq_number = None;
            answer.part.timestamp = Some(time(NOW + seconds));
            answer.part.usec = Some(0);
        }
    };
    let world = World::new();
    let service = |message: &[u8]| answer(&world, message, DONE, at(299));
    assert!(changed(&world, change(None), service).0.is_ok());
    for seconds in [-301, 301] {
        let fault = misbehaved(altered(DONE, at(seconds)));
        assert_eq!(fault, KpasswdMisbehaved::TimeDiffers);
    }
}

#[test]
fn row_86_the_requests_own_krb_priv_is_no_answer() {
    let world = World::new();
    let reflect = |message: &[u8]| {
        let honest = answer(&world, message, DONE, |_| {});
        let ap = Frame::parse(&honest).unwrap().ap.to_vec();
        let own = Frame::parse(message).unwrap().body;
        Frame::new(VERSION_CHANGE, &ap, own).to_bytes().unwrap()
    };
    let error = changed(&world, change(None), reflect).0.unwrap_err();
    assert_eq!(misbehaved(error), KpasswdMisbehaved::Reflected);
}

#[test]
fn row_86_an_answer_to_another_change_is_refused() {
    let world = World::new();
    let (_, first) = changed(&world, change(None), |message| {
        answer(&world, message, DONE, |_| {})
    });
    let old = answer(&world, &first[2].message, DONE, |_| {});
    let (result, _) = changed(&world, change(None), |_| old.clone());
    let error = result.unwrap_err();
    assert!(
        matches!(
            error,
            Error::PeerMisbehaved(PeerMisbehaved::ApReplyTimeDiffers { .. })
        ),
        "{error:?}"
    );
}

#[test]
fn row_86_a_krb_error_is_told_as_one_that_nobody_signed() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let data = refusal(
        KpasswdResult::AUTH_ERROR,
        b"Failed reading application request",
    );
    let error = kdc.error(error_code::KRB_AP_ERR_SKEW, Some(data));
    let framed = Frame::new(VERSION_CHANGE, &[], &error).to_bytes().unwrap();
    // Active Directory leaves the frame out.
    for reply in [framed, error] {
        let (result, _) = changed(&world, change(None), |_| reply.clone());
        let refusal = refused(result.unwrap_err());
        assert!(!refusal.is_authenticated());
        assert_eq!(refusal.krb_error, Some(error_code::KRB_AP_ERR_SKEW));
        assert_eq!(refusal.result, Some(KpasswdResult::AUTH_ERROR));
        let text = refusal.to_string();
        assert!(
            text.contains("Failed reading application request"),
            "{text}"
        );
        assert!(text.contains("not authenticated"), "{text}");
    }
}

#[test]
fn row_86_a_krb_error_without_a_result_shows_its_code_and_text() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let error = kdc.error_with(error_code::KRB_AP_ERR_NOKEY, None, |error| {
        error.e_text = Some("no key\x1b[2J here".into());
    });
    let (result, _) = changed(&world, change(None), |_| error.clone());
    let refusal = refused(result.unwrap_err());
    assert_eq!(refusal.result, None);
    assert_eq!(refusal.text.as_deref(), Some("no key[2J here"));
    let text = refusal.to_string();
    assert!(text.contains("KRB_AP_ERR_NOKEY (45)"), "{text}");
}

#[test]
fn row_86_success_in_a_krb_error_is_not_believed() {
    let world = World::new();
    let error = Kdc::new(&world).error(60, Some(DONE.to_vec()));
    let framed = Frame::new(VERSION_CHANGE, &[], &error).to_bytes().unwrap();
    for reply in [framed, error] {
        let (result, _) = changed(&world, change(None), |_| reply.clone());
        let fault = misbehaved(result.unwrap_err());
        assert_eq!(fault, KpasswdMisbehaved::SuccessNotAuthenticated);
    }
}

#[test]
fn a_refusal_has_the_services_words_in_one_line() {
    let data = refusal(
        KpasswdResult::SOFT_ERROR,
        b"New password is too short.\nPlease choose a password which is at least 8 characters long.\n",
    );
    let refusal = refused(altered(&data, |_| {}));
    assert!(refusal.is_authenticated());
    assert_eq!(refusal.result, Some(KpasswdResult::SOFT_ERROR));
    assert_eq!(
        refusal.to_string(),
        "the password service of realm TEST.EXAMPLE did not change the password of alice@TEST.EXAMPLE: \
         Password change rejected (4) \"New password is too short. Please choose a password which is at \
         least 8 characters long.\"; choose another password"
    );
}

#[test]
fn the_policy_of_an_active_directory_is_told_in_words() {
    let mut policy = vec![0, 0];
    for number in [7_u32, 24, 1] {
        policy.extend(number.to_be_bytes());
    }
    for days in [42_u64, 1] {
        policy.extend((days * 86_400 * 10_000_000).to_be_bytes());
    }
    let data = refusal(KpasswdResult::SOFT_ERROR, &policy);
    let refusal = refused(altered(&data, |_| {}));
    let found = refusal.policy.unwrap();
    assert_eq!((found.min_length, found.history), (7, 24));
    assert_eq!(found.properties, PasswordPolicy::COMPLEX);
    assert_eq!(found.max_age.unwrap().as_secs(), 42 * 86_400);
    assert_eq!(refusal.text, None);
    let text = refusal.to_string();
    assert!(
        text.contains(
            "\"at least 7 characters, characters of three kinds (upper case, lower case, digits, others) and \
             no part of the name, none of the last 24 passwords, one change a day\""
        ),
        "{text}"
    );
}

#[test]
fn a_policy_is_read_to_its_bounds_only() {
    assert_eq!(PasswordPolicy::parse(&[0; 29]), None);
    assert_eq!(PasswordPolicy::parse(&[0; 31]), None);
    let mut text = [b'x'; 30];
    assert_eq!(PasswordPolicy::parse(&text), None);
    text = [0xff; 30];
    text[..2].fill(0);
    let worst = PasswordPolicy::parse(&text).unwrap();
    assert_eq!(worst.max_age, None);
    assert!(worst.to_string().contains("4294967295 characters"));
    let none = PasswordPolicy::parse(&[0; 30]).unwrap();
    assert_eq!(none.to_string(), "");
}

#[test]
fn an_answer_without_a_result_code_is_refused() {
    for data in [&b""[..], b"\0"] {
        let fault = misbehaved(altered(data, |_| {}));
        assert_eq!(fault, KpasswdMisbehaved::ResultMissing);
    }
}

#[test]
fn a_frame_is_held_against_its_lengths_and_its_version() {
    let version = |answer: &mut Answer| answer.version = VERSION_SET;
    assert_eq!(
        misbehaved(altered(DONE, version)),
        KpasswdMisbehaved::VersionUnknown {
            expected: "1",
            found: VERSION_SET
        }
    );
    for (message, fault) in [
        (
            &[0_u8][..],
            KpasswdMisbehaved::CutShort {
                needed: 2,
                found: 1,
            },
        ),
        (
            &[0, 4, 0, 1],
            KpasswdMisbehaved::CutShort {
                needed: 6,
                found: 4,
            },
        ),
        (
            &[0, 7, 0, 1, 0, 2, 9],
            KpasswdMisbehaved::CutShort {
                needed: 8,
                found: 7,
            },
        ),
        (
            &[0, 9, 0, 1, 0, 0],
            KpasswdMisbehaved::LengthDiffers {
                announced: 9,
                found: 6,
            },
        ),
    ] {
        let world = World::new();
        let (result, _) = changed(&world, change(None), |_| message.to_vec());
        assert_eq!(misbehaved(result.unwrap_err()), fault);
    }
    let world = World::new();
    let (result, _) = changed(&world, change(None), |_| vec![0, 6, 0, 1, 0, 0]);
    let error = result.unwrap_err();
    assert!(
        matches!(error, Error::InvalidMessage(InvalidMessage::Decode(_))),
        "{error:?}"
    );
}
