//! NTLM's accounts in files.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use trihound::environment::{NtlmAccountFiles, NtlmEnvironmentError};
use trihound::ntlm::{AccountLineFault, LocalVerifier, MemoryAccounts, NtlmCredentialSource};
use trihound::sspi::{AcceptorRequirements, RegisteredPackage, SecurityFunctionTable};
use trihound::sspi::{InitiatorRequirements, SecurityStatus};
use trihound::{Acceptor, Initiator, NtHash, NtlmCredential, NtlmPolicy, NtlmRule};
use trihound::{Ntlm, NtlmConfig, Package, Server};

use crate::support::{Counted, Directory, realm};
use crate::trace::Lines;

struct Files {
    directory: Directory,
}

impl Files {
    fn new() -> Self {
        Self {
            directory: Directory::new(),
        }
    }

    fn users(&self) -> PathBuf {
        self.directory.0.join("users")
    }

    fn hashes(&self) -> PathBuf {
        self.directory.0.join("hashes")
    }

    fn open(&self) -> NtlmAccountFiles {
        NtlmAccountFiles::new(Some(self.users()), Some(self.hashes()))
    }

    fn write(path: &PathBuf, text: &str) {
        fs::write(path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// The status with which a server over these files answers, or the client's name.
fn log_in(
    files: &Arc<NtlmAccountFiles>,
    domain: &str,
    user: &str,
    password: &str,
) -> Result<String, SecurityStatus> {
    let config = NtlmConfig::default().with_policy(NtlmPolicy::both(NtlmRule::Allow));
    let package = RegisteredPackage::new(Ntlm::new(config));
    let table = SecurityFunctionTable::builder()
        .package(&package)
        .build()
        .unwrap();
    let client = NtlmCredential::from_password(user, domain, password.into());
    let client = package.adopt(client).unwrap();
    let service = NtlmCredential::acceptor(Arc::clone(files) as _);
    let service = package.adopt(service).unwrap();
    let asked = InitiatorRequirements::INTEGRITY;
    let mut initiator = Initiator::new(&table, client, "HTTP/localhost", asked);
    let mut acceptor = Acceptor::new(&table, service, AcceptorRequirements::empty());
    let mut nobody = Counted::new(&realm());
    let negotiate = initiator.step(None, &mut nobody).unwrap().token.unwrap();
    let challenge = acceptor.step(&negotiate).unwrap().token.unwrap();
    let leg = initiator.step(Some(&challenge), &mut nobody).unwrap();
    match acceptor.step(&leg.token.unwrap()) {
        Ok(_) => {
            let context = acceptor.into_context().unwrap();
            match context
                .query(trihound::sspi::ContextAttribute::Names)
                .unwrap()
            {
                trihound::sspi::ContextAttributeValue::Names(name) => Ok(name),
                other => panic!("{other:?}"),
            }
        }
        Err(refused) => Err(refused.error.status()),
    }
}

#[test]
fn accounts_of_both_files_log_in() {
    let files = Files::new();
    Files::write(
        &files.users(),
        "# people\nDEMO:alice:pass word:with:colons\n",
    );
    let hash = "8846f7eaee8fb117ad06bdd830b7586c"; // of "password" (MS-NLMP section 4.2.2 has others)
    assert!(NtHash::parse_hex(hash).is_ok());
    Files::write(&files.hashes(), &format!("DEMO:bob:{hash}\n"));
    let open = Arc::new(files.open());
    open.check().unwrap();
    let name = log_in(&open, "DEMO", "alice", "pass word:with:colons");
    assert_eq!(name.as_deref(), Ok("DEMO\\alice"));
    let name = log_in(&open, "DEMO", "bob", "password");
    assert_eq!(name.as_deref(), Ok("DEMO\\bob"));
    for (user, password) in [("alice", "password"), ("bob", hash), ("carol", "password")] {
        let refused = log_in(&open, "DEMO", user, password);
        assert_eq!(refused, Err(SecurityStatus::SEC_E_LOGON_DENIED), "{user}");
    }
}

/// The first line of the file of passwords, else of that of hashes, is whom an initiator is.
#[test]
fn the_first_account_is_the_default_credential() {
    let files = Files::new();
    Files::write(&files.users(), "DEMO:alice:one\nOTHER:bob:two\n");
    Files::write(&files.hashes(), "");
    let open = files.open();
    let name = |principal| {
        open.default_credential(principal)
            .and_then(|credential| credential.account_name())
    };
    assert_eq!(name(None).as_deref(), Some("DEMO\\alice"));
    assert_eq!(name(Some("bob")).as_deref(), Some("OTHER\\bob"));
    assert_eq!(name(Some("OTHER\\bob")).as_deref(), Some("OTHER\\bob"));
    assert_eq!(name(Some("carol")), None);
}

/// A running service serves the file as it is now; where that is broken, nobody.
#[test]
fn a_changed_file_is_read_again() {
    let files = Files::new();
    Files::write(&files.users(), "DEMO:alice:one\n");
    Files::write(&files.hashes(), "");
    let open = Arc::new(files.open());
    assert!(log_in(&open, "DEMO", "alice", "one").is_ok());
    Files::write(&files.users(), "DEMO:alice:another\n");
    assert!(log_in(&open, "DEMO", "alice", "one").is_err());
    assert!(log_in(&open, "DEMO", "alice", "another").is_ok());
    Files::write(&files.users(), "DEMO:alice:another\nDEMO:bob\n");
    assert!(log_in(&open, "DEMO", "alice", "another").is_err());
    assert!(open.default_credential(None).is_none());
    fs::remove_file(files.users()).unwrap();
    assert!(log_in(&open, "DEMO", "alice", "another").is_err());
    Files::write(&files.users(), "DEMO:alice:another\n");
    assert!(log_in(&open, "DEMO", "alice", "another").is_ok());
}

/// A file whose last change is long ago is kept; that it has changed since shows by its time alone.
#[test]
fn a_file_that_was_kept_is_read_again_once_it_has_changed() {
    let files = Files::new();
    let settle = || thread::sleep(Duration::from_millis(if cfg!(unix) { 300 } else { 3_000 }));
    Files::write(&files.users(), "DEMO:alice:one\n");
    Files::write(&files.hashes(), "");
    settle();
    let open = files.open();
    let name = || open.default_credential(None)?.account_name();
    assert_eq!(name().as_deref(), Some("DEMO\\alice"));
    Files::write(&files.users(), "DEMO:carol:one\n");
    assert_eq!(name().as_deref(), Some("DEMO\\carol"));
    settle();
    assert_eq!(name().as_deref(), Some("DEMO\\carol"));
    Files::write(&files.users(), "DEMO:diane:one\n");
    settle();
    assert_eq!(name().as_deref(), Some("DEMO\\diane"));
}

/// The number of the line, and nothing of what it says.
#[test]
fn a_broken_line_is_told_by_its_number() {
    let files = Files::new();
    Files::write(&files.hashes(), "");
    for (text, line) in [
        ("DEMO:alice:one\n\nDEMO:hunter2\n", 3),
        ("hunter2\n", 1),
        ("DEMO:alice:one\nDEMO:alice:hunter2\n", 2),
        ("DEMO::hunter2\n", 1),
    ] {
        Files::write(&files.users(), text);
        let error = files.open().check().unwrap_err();
        let told = error.to_string();
        let NtlmEnvironmentError::Line { error, .. } = error else {
            panic!("{told}");
        };
        assert_eq!(error.line, line, "{text}");
        assert!(told.contains(&format!("line {line} ")), "{told}");
        assert!(
            told.contains("users") && !told.contains("hunter2"),
            "{told}"
        );
    }
    // The file of hashes has numbers of its own, and a password in it is no hash.
    Files::write(&files.users(), "DEMO:alice:one\n");
    Files::write(&files.hashes(), "# hashes\n\nDEMO:bob:hunter2\n");
    let error = files.open().check().unwrap_err();
    let told = error.to_string();
    let NtlmEnvironmentError::Line { error, .. } = error else {
        panic!("{told}");
    };
    assert_eq!((error.line, error.fault), (3, AccountLineFault::NotAHash));
    assert!(
        told.contains("hashes") && !told.contains("hunter2"),
        "{told}"
    );
    let open = Arc::new(files.open());
    assert!(log_in(&open, "DEMO", "alice", "one").is_err());
    Files::write(&files.hashes(), "");
    fs::write(files.users(), b"DEMO:alice:one\nDEMO:b\xfcro:two\n").unwrap();
    let told = files.open().check().unwrap_err().to_string();
    assert!(told.contains("line 2 is not UTF-8"), "{told}");
    fs::remove_file(files.users()).unwrap();
    let error = files.open().check().unwrap_err();
    assert!(
        matches!(error, NtlmEnvironmentError::Unreadable { .. }),
        "{error}"
    );
}

/// A pipe gives its contents once, and who opens it again waits for a writer who may never come.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_is_refused_and_nobody_waits() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let files = Files::new();
    mknodat(
        CWD,
        files.users(),
        FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    Files::write(&files.hashes(), "");
    let (told, tells) = std::sync::mpsc::channel();
    let open = files.open();
    std::thread::spawn(move || told.send(open.check().unwrap_err().to_string()));
    let told = tells.recv_timeout(std::time::Duration::from_secs(20));
    assert!(told.unwrap().contains("pipe"));
}

#[cfg(unix)]
#[test]
fn a_file_that_every_user_may_read_gives_a_warning() {
    use std::os::unix::fs::PermissionsExt;

    let files = Files::new();
    Files::write(&files.users(), "DEMO:alice:hunter2\n");
    Files::write(&files.hashes(), "");
    let told = Lines::default().traced(|| files.open().check().unwrap());
    assert!(!told.contains("chmod"), "{told}");
    fs::set_permissions(files.users(), fs::Permissions::from_mode(0o604)).unwrap();
    let told = Lines::default().traced(|| files.open().check().unwrap());
    let advice = format!("chmod o= {}", files.users().display());
    assert!(
        told.contains("Warning: ") && told.contains(&advice),
        "{told}"
    );
}

/// Each use is told with its outcome, and no secret with it.
#[test]
fn the_uses_of_ntlm_are_in_the_trace() {
    let files = Files::new();
    Files::write(&files.users(), "DEMO:alice:hunter2\n");
    Files::write(&files.hashes(), "");
    let open = Arc::new(files.open());
    let trace = || {
        Lines::default().traced(|| {
            log_in(&open, "DEMO", "alice", "hunter2").unwrap();
            log_in(&open, "DEMO", "alice", "guessed4711").unwrap_err();
        })
    };
    let wanted = [
        "NTLM is used: outgoing, allowed",
        "NTLM is used: incoming, allowed",
        "NTLM is used: incoming, refused",
    ];
    let is_whole = |told: &String| wanted.iter().all(|line| told.contains(line));
    // An event that another test's thread meets for the first time just now may count as unwanted until
    // the next subscriber comes.
    let told = (0..5).map(|_| trace()).find(is_whole);
    let told = told.unwrap_or_else(|| panic!("{}", trace()));
    assert!(
        !told.contains("hunter2") && !told.contains("guessed4711"),
        "{told}"
    );
}

/// Run again by the test below, in a process whose NTLM_HASH_FILE is broken.
#[test]
fn a_server_with_a_verifier_of_its_own() {
    let builder = || {
        Server::builder()
            .package(Package::Ntlm)
            .ntlm_policy(NtlmPolicy::both(NtlmRule::Allow))
    };
    let own = LocalVerifier::new(MemoryAccounts::new());
    builder().ntlm_verifier(Arc::new(own)).build().unwrap();
    if std::env::var_os("NTLM_HASH_FILE").is_some() {
        let error = builder().build().unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}

#[test]
fn a_file_that_nobody_would_ask_keeps_no_server_from_starting() {
    let files = Files::new();
    Files::write(&files.hashes(), "no account\n");
    let again = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "accounts::a_server_with_a_verifier_of_its_own"])
        .env("NTLM_HASH_FILE", files.hashes())
        .env_remove("NTLM_USER_FILE")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&again.stdout);
    assert!(told.contains("1 passed"), "{told}");
}
