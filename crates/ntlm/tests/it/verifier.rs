//! Accounts, files of accounts, and verification by an exchange.

use std::sync::Arc;

use trihound_crypto::ntlm::NtHash;
use trihound_ntlm::{
    AccountLineFault, HashFile, LocalVerifier, MemoryAccounts, NtlmAccounts, NtlmCredential,
    NtlmLogon, NtlmOutcome, NtlmVerifier, UserFile, Verification, VerifiedAccount, VerifierFailure,
};
use trihound_sansio::{
    Exchange, ExchangeRequest, Progress, Reply, Service, TransportFailure, TransportHint,
};
use trihound_sspi::{
    ContextAttribute, ContextAttributeValue, SecBuffer, SecBufferDesc, SecurityStatus, Step,
};

use crate::world::{ALICE, DOMAIN, PASSWORD, Wishes, World, accounts, cause, failed, secret};

/// Asks a "domain controller", which is the local verifier behind a round trip of its own kind.
struct Remote;

struct Asking {
    logon: Option<NtlmLogon>,
}

impl NtlmVerifier for Remote {
    fn verify(&self, logon: NtlmLogon) -> Verification {
        Box::new(Asking { logon: Some(logon) })
    }
}

impl Exchange for Asking {
    type Output = VerifiedAccount;
    type Error = VerifierFailure;

    fn step(
        &mut self,
        reply: Option<Reply<'_>>,
    ) -> Result<Progress<VerifiedAccount>, VerifierFailure> {
        match reply {
            None => Ok(Progress::Exchange(ExchangeRequest {
                service: Service::Verifier,
                realm: self.logon.as_ref().unwrap().domain.clone(),
                message: self.logon.as_ref().unwrap().nt_response.clone(),
                hint: TransportHint::StreamOnly,
                route: None,
            })),
            Some(Reply::Failed(failure)) => Err(VerifierFailure::Unreachable(failure.clone())),
            Some(Reply::Bytes(b"yes")) => {
                let mut inner = LocalVerifier::new(accounts()).verify(self.logon.take().unwrap());
                inner.step(None).map(|progress| match progress {
                    Progress::Done(mut account) => {
                        account.groups = vec!["Staff".to_owned()];
                        account.sids = vec!["S-1-5-21-1-2-3-1000".to_owned()];
                        Progress::Done(account)
                    }
                    other @ Progress::Exchange(_) => other,
                })
            }
            Some(Reply::Bytes(_)) => Err(VerifierFailure::AccountRestricted {
                reason: "it is disabled".to_owned(),
            }),
        }
    }
}

fn complete(
    world: &World,
    context: trihound_sspi::CtxtHandle,
    reply: Reply<'_>,
) -> Result<Step, trihound_sspi::Error> {
    let mut memory = [0; 10];
    let mut buffers = [SecBuffer::token(&mut memory)];
    let mut output = SecBufferDesc::new(&mut buffers);
    world
        .table
        .complete_exchange(context, reply, &mut output)
        .map(|outcome| outcome.step)
}

#[test]
fn a_domain_controller_is_asked_by_an_exchange() {
    let world = World::new();
    let service = || NtlmCredential::acceptor(Arc::new(Remote));
    let mut sides = world.sides(Wishes::full()).with_service(service());
    let token = sides.up_to_authenticate();
    let outcome = sides.accept(Some(&token)).0.unwrap();
    let request = outcome.exchange().unwrap();
    assert_eq!(request.service, Service::Verifier);
    assert_eq!(request.realm, DOMAIN);
    let (_, acceptor) = sides.contexts();
    let step = complete(&world, acceptor, Reply::Bytes(b"yes")).unwrap();
    assert!(matches!(step, Step::Complete(_)));
    let [_, value] = sides.query_both(ContextAttribute::AccessToken);
    let ContextAttributeValue::AccessToken(token) = value.unwrap() else {
        panic!("no token");
    };
    assert_eq!(token.groups, ["Staff"]);
    assert_eq!(token.sids, ["S-1-5-21-1-2-3-1000"]);
    let [ours, theirs] = sides.session_keys();
    assert_eq!(ours, theirs);
    // Once established, no reply is awaited; the call empties the context.
    let error = complete(&world, acceptor, Reply::Bytes(b"yes")).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
}

#[test]
fn what_a_domain_controller_refuses_or_does_not_answer_is_told_apart_here() {
    let world = World::new();
    let failure = TransportFailure {
        realm: DOMAIN.to_owned(),
        ..TransportFailure::default()
    };
    let disabled = VerifierFailure::AccountRestricted {
        reason: "it is disabled".to_owned(),
    };
    for (reply, status, expected) in [
        (
            Reply::Bytes(b"no"),
            SecurityStatus::SEC_E_LOGON_DENIED,
            disabled,
        ),
        (
            Reply::Failed(&failure),
            SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY,
            VerifierFailure::Unreachable(failure.clone()),
        ),
    ] {
        let mut sides = world
            .sides(Wishes::full())
            .with_service(NtlmCredential::acceptor(Arc::new(Remote)));
        let token = sides.up_to_authenticate();
        assert!(sides.accept(Some(&token)).0.unwrap().exchange().is_some());
        let (_, acceptor) = sides.contexts();
        let error = complete(&world, acceptor, reply).unwrap_err();
        assert_eq!(error.status(), status);
        assert_eq!(*cause::<VerifierFailure>(&error), expected);
        let told = world.uses.take();
        let told = told.last().unwrap();
        assert_eq!(
            (told.outcome, told.user.as_str()),
            (NtlmOutcome::Refused, ALICE)
        );
        let error = complete(&world, acceptor, reply).unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
    }
    // While it is asked, nothing else goes on.
    let mut sides = world
        .sides(Wishes::full())
        .with_service(NtlmCredential::acceptor(Arc::new(Remote)));
    let token = sides.up_to_authenticate();
    assert!(sides.accept(Some(&token)).0.unwrap().exchange().is_some());
    failed(
        sides.accept(Some(&token)),
        SecurityStatus::SEC_E_INVALID_HANDLE,
    );
}

/// Conformance row 161.
#[test]
fn row_161_an_unknown_user_and_a_wrong_password_get_one_answer() {
    let world = World::new();
    let mut texts = Vec::new();
    for (user, domain, password) in [
        (ALICE, DOMAIN, "wrong"),
        (ALICE, "ELSEWHERE", PASSWORD),
        ("mallory", DOMAIN, PASSWORD),
        ("mallory", "", PASSWORD),
        (ALICE, DOMAIN, ""),
    ] {
        let credential = NtlmCredential::from_password(user, domain, secret(password));
        let error = world
            .sides(Wishes::full())
            .with_client(credential)
            .refusal();
        assert_eq!(error.status(), SecurityStatus::SEC_E_LOGON_DENIED);
        assert_eq!(
            *cause::<VerifierFailure>(&error),
            VerifierFailure::LogonFailed
        );
        texts.push(error.to_string());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

/// Conformance row 161: the hash that stands in for a user who is not there lets nobody in.
#[test]
fn row_161_nobody_logs_in_with_the_hash_that_stands_in() {
    let world = World::new();
    let stand_in = NtHash::from_bytes([0x6e; 16]);
    let credential = NtlmCredential::from_nt_hash("mallory", DOMAIN, stand_in);
    let error = world
        .sides(Wishes::full())
        .with_client(credential)
        .refusal();
    assert_eq!(
        *cause::<VerifierFailure>(&error),
        VerifierFailure::LogonFailed
    );
}

#[test]
fn lines_of_a_user_file() {
    let text = "\u{feff}# accounts\r\n\r\nEXAMPLE:alice:correct horse\r\n:bob:a:b # no comment \nÄ:ünal:pässwörd";
    let file = UserFile::parse(text).unwrap();
    let read: Vec<(&str, &str)> = file
        .accounts()
        .iter()
        .map(|account| (account.domain.as_str(), account.user.as_str()))
        .collect();
    assert_eq!(read, [("EXAMPLE", "alice"), ("", "bob"), ("Ä", "ünal")]);
    let hash = |password| *NtHash::from_password(&secret(password)).expose();
    assert_eq!(*file.accounts()[0].nt_hash.expose(), hash("correct horse"));
    assert_eq!(
        *file.accounts()[1].nt_hash.expose(),
        hash("a:b # no comment ")
    );
    assert!(UserFile::parse("").unwrap().accounts().is_empty());
}

#[test]
fn a_broken_line_is_an_error_with_its_number_and_without_its_secret() {
    for (text, line, fault) in [
        ("alice", 1, AccountLineFault::TooFewFields),
        ("# x\nD:alice", 2, AccountLineFault::TooFewFields),
        ("D:a:s3cret\n\nD::s3cret", 3, AccountLineFault::NoUser),
        ("D:alice:", 1, AccountLineFault::NoSecret),
        (
            "D:alice:s3cret\nd:ALICE:s3cret",
            2,
            AccountLineFault::Duplicate,
        ),
        ("D:alice:s3\u{7}cret", 1, AccountLineFault::ControlCharacter),
        ("D:alice:s3\rcret", 1, AccountLineFault::ControlCharacter),
    ] {
        let error = UserFile::parse(text).unwrap_err();
        assert_eq!((error.line, error.fault), (line, fault), "{text:?}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3") && !shown.contains("alice"), "{shown}");
        assert!(shown.contains(&format!("line {line}")));
    }
    for bad in ["xyz", "0123", "0123456789abcdef0123456789abcdeg"] {
        let error = HashFile::parse(&format!("D:a:{}\nD:b:{bad}", "0".repeat(32))).unwrap_err();
        assert_eq!((error.line, error.fault), (2, AccountLineFault::NotAHash));
    }
}

/// The file is read while clients wait for it, so its time must not grow with the square of its lines.
#[test]
fn a_file_of_many_accounts_is_read_at_once() {
    const ACCOUNTS: usize = 30_000;
    let hash = "0123456789abcdef".repeat(2);
    let text: String = (0..ACCOUNTS)
        .map(|number| format!("EXAMPLE:user{number}:{hash}\n"))
        .collect();
    let start = std::time::Instant::now();
    let file = HashFile::parse(&text).unwrap();
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    assert_eq!(file.accounts().len(), ACCOUNTS);
    let twice = format!("{text}example:USER7:{hash}");
    let error = HashFile::parse(&twice).unwrap_err();
    assert_eq!(
        (error.line, error.fault),
        (ACCOUNTS + 1, AccountLineFault::Duplicate)
    );
    // What stands on either side of the colon is not put together.
    let apart = format!("AB:c:{hash}\nA:bc:{hash}\n:abc:{hash}");
    assert_eq!(HashFile::parse(&apart).unwrap().accounts().len(), 3);
}

/// Whoever has the response can try passwords against it.
#[test]
fn a_logon_shows_names_and_no_response() {
    let logon = NtlmLogon {
        user: ALICE.to_owned(),
        domain: DOMAIN.to_owned(),
        workstation: "ws\u{1b}[2J".to_owned(),
        domain_is_own: true,
        server_challenge: [7; 8],
        nt_response: vec![231; 60],
        lm_response: vec![231; 24],
        ntlm_v1: None,
    };
    let shown = format!("{logon:?}");
    assert!(shown.contains(ALICE) && !shown.contains("231"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn a_hash_file_lets_in_whom_a_user_file_does() {
    let hash = NtHash::from_password(&secret(PASSWORD));
    let hex: String = hash.expose().iter().map(|b| format!("{b:02X}")).collect();
    let file = HashFile::parse(&format!("{DOMAIN}:{ALICE}:{hex}\n")).unwrap();
    assert!(!format!("{file:?}").contains(&hex));
    let world = World::new();
    let verifier = Arc::new(LocalVerifier::new(file));
    world
        .sides(Wishes::full())
        .with_service(NtlmCredential::acceptor(verifier))
        .establish();
}

#[test]
fn which_account_a_client_means() {
    let accounts = MemoryAccounts::new()
        .with_password("A", "alice", secret("1"))
        .with_password("B", "alice", secret("2"))
        .with_password("B", "bob", secret("3"))
        .with_password("", "local", secret("4"))
        .with_password("B", "weird@name", secret("5"));
    for (user, domain, own, found) in [
        ("alice", "A", false, Some("A")),
        ("ALICE", "b", false, Some("B")),
        ("alice", "C", false, None),
        // Two accounts have the name, and nothing says which is meant.
        ("alice", "", true, None),
        ("alice", "WEB", true, None),
        ("bob", "", true, Some("B")),
        ("bob", "WEB", true, Some("B")),
        ("bob", "WEB", false, None),
        ("local", "", true, Some("")),
        ("local", "WEB", true, Some("")),
        ("local", "A", false, None),
        ("alice@a", "", true, Some("A")),
        ("alice@c", "", true, None),
        ("weird@name", "B", false, Some("B")),
        ("weird@name", "", true, Some("B")),
        ("@a", "", true, None),
        ("alice@", "", true, None),
    ] {
        let account = accounts.find(user, domain, own);
        assert_eq!(
            account.as_ref().map(|account| account.domain.as_str()),
            found,
            "{user} of {domain:?}"
        );
    }
}
