//! The password service: what it does, and whom it refuses (RFC 3244).

use std::sync::Arc;

use trihound_asn1::{ApReq, HostAddress, KrbError, Message, error_code};
use trihound_krb5::ap::{AfterApReq, ApRequest, build_ap_req};
use trihound_krb5::kpasswd::{
    ChangePasswordExchange, ChangePasswordRequest, Frame, KpasswdResult, PasswordTicket,
    VERSION_CHANGE, VERSION_SET,
};
use trihound_krb5::{
    AsRequest, ClientSecret, Config, Credentials, Environment, Error, KdcMisbehaved,
    KpasswdMisbehaved, PasswordRefused, TgsRequest, build_krb_priv,
};
use trihound_sansio::{DriveError, Timestamp, drive};
use trihound_secret::SecretString;
use trihound_test_realm::{
    Carrier, Fault, PasswordRules, Policy, PrincipalOptions, Repeat, RequestKind, TestRealm,
};

use crate::client::{environment, log_in, principal, ticket};
use crate::support::{NOW, builder};

const NEW: &str = "Wonder-Land-8";

fn realm(rules: PasswordRules) -> Arc<TestRealm> {
    let mut policy = Policy::default();
    policy.passwords = rules;
    let past = Timestamp::from_seconds(NOW - 1);
    builder()
        .policy(policy)
        .principal("admin", "admin's")
        .principal_with(
            "late",
            "password",
            PrincipalOptions::default().password_expires(past),
        )
        .build()
        .unwrap()
}

fn change(
    realm: &Arc<TestRealm>,
    user: &str,
    old: &str,
    target: Option<&str>,
) -> Result<(), Error> {
    let environment = environment(Config::default());
    let request = ChangePasswordRequest {
        target: target.map(principal),
        ..ChangePasswordRequest::new(
            principal(user),
            SecretString::from(old),
            SecretString::from(NEW),
        )
    };
    let exchange = ChangePasswordExchange::begin(request, &environment)?;
    match drive(exchange, realm.transport()) {
        Ok(_) => Ok(()),
        Err(DriveError::Protocol(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

fn refused(error: Error) -> PasswordRefused {
    match error {
        Error::PasswordRefused(refusal) => *refusal,
        other => panic!("{other:?}"),
    }
}

fn logs_in(realm: &Arc<TestRealm>, user: &str, password: &str) -> bool {
    let secret = ClientSecret::Password(SecretString::from(password));
    let request = AsRequest::new(principal(user), secret);
    log_in(realm, request, &environment(Config::default())).is_ok()
}

#[test]
fn a_user_changes_the_own_password_once() {
    let realm = realm(PasswordRules::default());
    change(&realm, "alice", "password", None).unwrap();
    assert!(logs_in(&realm, "alice", NEW));
    assert!(!logs_in(&realm, "alice", "password"));
    let error = change(&realm, "alice", "password", None).unwrap_err();
    assert!(matches!(error, Error::KdcRefused(_)), "{error:?}");
}

#[test]
fn an_expired_password_serves_for_its_change_and_for_nothing_else() {
    let realm = realm(PasswordRules::default());
    assert!(!logs_in(&realm, "late", "password"));
    change(&realm, "late", "password", None).unwrap();
    assert!(logs_in(&realm, "late", NEW));
}

#[test]
fn rules_refuse_with_a_text_or_as_an_active_directory() {
    let rules = PasswordRules::at_least(20, 3);
    let error = change(&realm(rules.clone()), "alice", "password", None).unwrap_err();
    let refusal = refused(error);
    assert_eq!(refusal.result, Some(KpasswdResult::SOFT_ERROR));
    let text = refusal.text.unwrap();
    assert!(text.contains("at least 20 characters long"), "{text}");
    let directory = realm(rules.as_active_directory());
    let refusal = refused(change(&directory, "alice", "password", None).unwrap_err());
    assert_eq!(refusal.policy.unwrap().min_length, 20);
    assert!(logs_in(&directory, "alice", "password"));
}

#[test]
fn only_an_administrator_sets_anothers_password() {
    let realm = realm(PasswordRules::default().administrator("admin"));
    let error = change(&realm, "alice", "password", Some("late")).unwrap_err();
    let refusal = refused(error);
    assert_eq!(refusal.result, Some(KpasswdResult::ACCESS_DENIED));
    assert!(refusal.is_authenticated());
    change(&realm, "admin", "admin's", Some("alice")).unwrap();
    assert!(logs_in(&realm, "alice", NEW));
    let error = change(&realm, "admin", "admin's", Some("nobody")).unwrap_err();
    assert_eq!(refused(error).result, Some(KpasswdResult::HARD_ERROR));
}

/// A request that is put together by hand, with any ticket.
fn request(ticket: &Credentials, version: u16, environment: &Environment) -> Vec<u8> {
    let sent = build_ap_req(&ApRequest::new(ticket), environment).unwrap();
    assert!(matches!(sent.next, AfterApReq::ExpectApReply(_)));
    let ap_req = ApReq::from_der(&sent.message).unwrap();
    // The sub-key is in the authenticator, and the ticket's session key opens that.
    let session = ticket
        .session_key
        .key(&environment.config.permitted_enctypes)
        .unwrap();
    let plain = session
        .decrypt(
            trihound_crypto::KeyUsage::AP_REQ_AUTH,
            &ap_req.authenticator.cipher,
        )
        .unwrap();
    let authenticator = trihound_asn1::Authenticator::from_der(plain.expose()).unwrap();
    let subkey = authenticator.subkey.unwrap();
    let subkey = trihound_crypto::Key::new(
        trihound_crypto::Enctype(subkey.keytype),
        subkey.keyvalue.expose(),
        &environment.config.permitted_enctypes,
    )
    .unwrap();
    let address = HostAddress {
        addr_type: 2,
        address: vec![127, 0, 0, 1].into(),
    };
    let sequence = authenticator.seq_number.unwrap().get();
    let private = build_krb_priv(NEW.as_bytes(), &subkey, sequence, address, environment).unwrap();
    Frame::new(version, &sent.message, &private)
        .to_bytes()
        .unwrap()
}

/// The result in an answer that nobody signed.
fn unsigned_result(answer: &[u8]) -> (u16, String) {
    let frame = Frame::parse(answer).unwrap();
    assert!(frame.ap.is_empty());
    let error = KrbError::from_der(frame.body).unwrap();
    let data = error.e_data.unwrap();
    let (code, text) = data.split_first_chunk::<2>().unwrap();
    (
        u16::from_be_bytes(*code),
        String::from_utf8(text.to_vec()).unwrap(),
    )
}

fn changepw_ticket(realm: &Arc<TestRealm>, environment: &Environment) -> Credentials {
    let secret = ClientSecret::Password(SecretString::from("password"));
    let request = PasswordTicket::request(principal("alice"), secret);
    log_in(realm, request, environment).unwrap().credentials
}

#[test]
fn row_85_no_ticket_granting_ticket_gets_a_ticket_for_the_service() {
    let realm = realm(PasswordRules::default());
    let environment = environment(Config::default());
    let secret = ClientSecret::Password(SecretString::from("password"));
    let login = AsRequest::new(principal("alice"), secret);
    let tgt = Arc::new(log_in(&realm, login, &environment).unwrap().credentials);
    let asked = TgsRequest::new(tgt, principal("kadmin/changepw"));
    let error = ticket(realm.transport(), asked, &environment).unwrap_err();
    let Error::KdcRefused(refusal) = error else {
        panic!("{error:?}");
    };
    assert_eq!(refusal.code, error_code::KDC_ERR_POLICY);
}

/// Samba's fault of CVE-2022-32744: a ticket under another account's key made its owner whoever it wanted to be.
#[test]
fn row_85_a_ticket_for_another_service_is_no_login() {
    let realm = realm(PasswordRules::default());
    let environment = environment(Config::default());
    for service in ["HTTP/localhost", "krbtgt/EXAMPLE.TEST"] {
        let mut login = AsRequest::new(
            principal("alice"),
            ClientSecret::Password(SecretString::from("password")),
        );
        login.service = Some(principal(service));
        let ticket = log_in(&realm, login, &environment).unwrap().credentials;
        let request = request(&ticket, VERSION_CHANGE, &environment);
        let answer = realm.answer_kpasswd(&request, Carrier::Stream).unwrap();
        let (result, _) = unsigned_result(&answer);
        assert_eq!(result, KpasswdResult::AUTH_ERROR.0, "{service}");
    }
    assert!(logs_in(&realm, "alice", "password"));
}

#[test]
fn a_request_is_taken_once() {
    let realm = realm(PasswordRules::default());
    let environment = environment(Config::default());
    let ticket = changepw_ticket(&realm, &environment);
    let request = request(&ticket, VERSION_CHANGE, &environment);
    let first = realm.answer_kpasswd(&request, Carrier::Stream).unwrap();
    assert!(!Frame::parse(&first).unwrap().ap.is_empty());
    let second = realm.answer_kpasswd(&request, Carrier::Stream).unwrap();
    let (result, _) = unsigned_result(&second);
    assert_eq!(result, KpasswdResult::AUTH_ERROR.0);
}

#[test]
fn what_is_no_request_gets_no_answer_and_an_unknown_version_is_told() {
    let realm = realm(PasswordRules::default());
    let environment = environment(Config::default());
    let ticket = changepw_ticket(&realm, &environment);
    for junk in [&b""[..], b"\0", &[0, 6, 0, 1], &[0x6a; 40]] {
        assert!(realm.answer_kpasswd(junk, Carrier::Stream).is_none());
    }
    let answer = realm.answer_kpasswd(&request(&ticket, 2, &environment), Carrier::Stream);
    assert_eq!(
        unsigned_result(&answer.unwrap()).0,
        KpasswdResult::BAD_VERSION.0
    );
    // Version 0xff80 wants a structure.
    let answer = realm
        .answer_kpasswd(
            &request(&ticket, VERSION_SET, &environment),
            Carrier::Stream,
        )
        .unwrap();
    assert!(!Frame::parse(&answer).unwrap().ap.is_empty());
    assert!(logs_in(&realm, "alice", "password"));
}

/// Whatever bit of a refusal is another, the client never takes it for success.
#[test]
fn row_86_an_altered_refusal_is_never_success() {
    let realm = realm(PasswordRules::at_least(40, 1));
    let mut outcomes = std::collections::BTreeSet::new();
    for offset in 0..400 {
        realm.set_fault_for(RequestKind::Kpasswd, Fault::FlipReply(offset), Repeat::ONCE);
        let error = change(&realm, "alice", "password", None).expect_err("a flipped bit");
        outcomes.insert(match error {
            Error::KpasswdMisbehaved(KpasswdMisbehaved::PrivateDoesNotDecrypt) => "private",
            Error::KpasswdMisbehaved(_) => "frame",
            Error::PeerMisbehaved(_) => "AP-REP",
            Error::InvalidMessage(_) => "syntax",
            // A bit that says nothing, such as of the AP-REP's clear enctype.
            Error::PasswordRefused(refusal) => {
                assert_eq!(refusal.result, Some(KpasswdResult::SOFT_ERROR));
                "refusal"
            }
            other => panic!("{other:?}"),
        });
    }
    for part in ["private", "frame", "AP-REP", "syntax"] {
        assert!(outcomes.contains(part), "{outcomes:?}");
    }
}

#[test]
fn faults_of_the_service_are_its_own() {
    let realm = realm(PasswordRules::default());
    realm.set_fault_for(
        RequestKind::Kpasswd,
        Fault::Error {
            code: error_code::KRB_AP_ERR_SKEW,
            text: "too late".to_owned(),
        },
        Repeat::ONCE,
    );
    let refusal = refused(change(&realm, "alice", "password", None).unwrap_err());
    assert_eq!(refusal.krb_error, Some(error_code::KRB_AP_ERR_SKEW));
    assert_eq!(refusal.text.as_deref(), Some("too late"));
    realm.set_fault_for(RequestKind::Kpasswd, Fault::Dead, Repeat::Always);
    let error = change(&realm, "alice", "password", None).unwrap_err();
    assert!(matches!(error, Error::PasswordUnknown(_)), "{error:?}");
    realm.clear_faults();
    realm.set_fault_for(RequestKind::Kpasswd, Fault::ClockSkew(3600), Repeat::ONCE);
    let refusal = refused(change(&realm, "alice", "password", None).unwrap_err());
    assert_eq!(refusal.result, Some(KpasswdResult::AUTH_ERROR));
    change(&realm, "alice", "password", None).unwrap();
}

#[test]
fn row_85_the_login_for_a_change_holds_the_ticket_against_its_name() {
    let realm = realm(PasswordRules::default());
    realm.set_fault_for(
        RequestKind::As,
        Fault::ServerName("krbtgt/EXAMPLE.TEST".to_owned()),
        Repeat::Always,
    );
    let error = change(&realm, "alice", "password", None).unwrap_err();
    assert!(
        matches!(
            error,
            Error::KdcMisbehaved(KdcMisbehaved::ServerDiffers { .. })
        ),
        "{error:?}"
    );
}
