//! ChangeAccountPassword and the library's function for it, with the embedded KDC.

use std::sync::Arc;

use trihound::krb5::{Config, Error as KerberosError, MemoryStore, NoIncludes, Profile};
use trihound::sansio::{DriveError, SystemClock, drive};
use trihound::secret::SecretString;
use trihound::sspi::{
    ChangePasswordRequest, Error, Function, RegisteredPackage, SecurityFunctionTable,
    SecurityStatus,
};
use trihound::{
    Client, KdcTransport, NegotiatePolicy, Ntlm, NtlmConfig, OsRandom, Packages, PasswordChange,
};
use trihound_test_realm::{
    Fault, PasswordRules, Policy, PrincipalOptions, Repeat, RequestKind, TestKdcServer, TestRealm,
};

use crate::support::REALM;

const NEW: &str = "Wonder-Land-8";

fn realm(rules: PasswordRules) -> Arc<TestRealm> {
    let mut policy = Policy::default();
    policy.passwords = rules;
    let expired = PrincipalOptions::default()
        .password_expires(trihound::sansio::Timestamp::from_seconds(1_000_000));
    TestRealm::builder(REALM)
        .policy(policy)
        .principal("alice", "password")
        .principal("admin", "admin's")
        .principal_with("late", "password", expired)
        .service("HTTP/localhost")
        .build()
        .unwrap()
}

fn config() -> Config {
    let mut config = Config::default();
    config.default_realm = Some(REALM.to_owned());
    config
}

fn table() -> SecurityFunctionTable {
    let kerberos = trihound::kerberos(
        Arc::new(config()),
        Arc::new(MemoryStore::default()),
        Arc::new(SystemClock),
        Arc::new(OsRandom),
    );
    let ntlm = RegisteredPackage::new(Ntlm::new(NtlmConfig::default()));
    let packages = Packages::new(&kerberos, &ntlm, NegotiatePolicy::default()).unwrap();
    packages.table().unwrap()
}

/// ChangeAccountPassword, run to its end.
fn change(
    realm: &Arc<TestRealm>,
    package: &str,
    (domain_name, account_name): (&str, &str),
    old: &str,
) -> Result<(), Error> {
    let exchange = table().change_account_password(
        package,
        ChangePasswordRequest {
            domain_name,
            account_name,
            old_password: &SecretString::from(old),
            new_password: &SecretString::from(NEW),
        },
    )?;
    match drive(exchange, realm.transport()) {
        Ok(()) => Ok(()),
        Err(DriveError::Protocol(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

#[track_caller]
fn logs_in(realm: &Arc<TestRealm>, user: &str, password: &str) {
    let client = Client::builder()
        .config(config())
        .password(user, password)
        .transport(realm.transport())
        .build()
        .unwrap();
    client.log_in().unwrap();
}

#[test]
fn the_table_changes_a_password_by_kerberos_and_by_negotiate() {
    for package in ["Kerberos", "Negotiate"] {
        let offered = table().functions_of(package).unwrap();
        assert!(offered.has(Function::ChangeAccountPassword));
        for name in [
            (REALM, "alice"),
            ("example.test", "alice"),
            ("", "alice@EXAMPLE.TEST"),
            ("", "EXAMPLE.TEST\\alice"),
        ] {
            let realm = realm(PasswordRules::default());
            change(&realm, package, name, "password").unwrap();
            logs_in(&realm, "alice", NEW);
        }
    }
}

#[test]
fn an_expired_password_is_told_and_can_be_changed() {
    let realm = realm(PasswordRules::default());
    let client = Client::builder()
        .config(config())
        .password("late", "password")
        .transport(realm.transport())
        .build()
        .unwrap();
    let error = client.log_in().unwrap_err().to_string();
    assert!(error.contains("KDC_ERR_KEY_EXPIRED"), "{error}");
    assert!(error.contains("ChangeAccountPassword"), "{error}");
    change(&realm, "Kerberos", (REALM, "late"), "password").unwrap();
    logs_in(&realm, "late", NEW);
}

#[test]
fn each_failure_has_its_status_and_its_reason() {
    let short = realm(PasswordRules::at_least(20, 1));
    let error = change(&short, "Kerberos", (REALM, "alice"), "password").unwrap_err();
    assert_eq!(error.status(), SecurityStatus::ERROR_PASSWORD_RESTRICTION);
    assert!(
        error.text().contains("at least 20 characters long"),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("ERROR_PASSWORD_RESTRICTION: ")
    );
    let directory = realm(PasswordRules::at_least(20, 3).as_active_directory());
    let error = change(&directory, "Negotiate", (REALM, "alice"), "password").unwrap_err();
    assert_eq!(error.status(), SecurityStatus::ERROR_PASSWORD_RESTRICTION);
    assert!(
        error
            .text()
            .contains("at least 20 characters, characters of three kinds"),
        "{error}"
    );
    let error = change(&short, "Kerberos", (REALM, "alice"), "wrong").unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_LOGON_DENIED);
    let error = change(&short, "Kerberos", (REALM, "nobody"), "password").unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_LOGON_DENIED);
    let error = change(&short, "Kerberos", ("OTHER.TEST", "alice"), "password").unwrap_err();
    assert_eq!(
        error.status(),
        SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
    );
    let fault = |fault| short.set_fault_for(RequestKind::Kpasswd, fault, Repeat::ONCE);
    // A bit in the KRB-PRIV, at its end.
    fault(Fault::FlipReply(180));
    let error = change(&short, "Kerberos", (REALM, "alice"), "password").unwrap_err();
    assert_eq!(
        error.status(),
        SecurityStatus::SEC_E_MESSAGE_ALTERED,
        "{error}"
    );
    short.set_fault_for(RequestKind::Kpasswd, Fault::Dead, Repeat::Always);
    let error = change(&short, "Kerberos", (REALM, "alice"), "password").unwrap_err();
    assert_eq!(
        error.status(),
        SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
    );
    assert!(
        matches!(error.find_source(), Some(KerberosError::PasswordUnknown(_))),
        "{error:?}"
    );
}

#[test]
fn an_empty_new_password_and_an_unknown_package_are_refused_at_once() {
    let empty = SecretString::from("");
    let request = ChangePasswordRequest {
        domain_name: REALM,
        account_name: "alice",
        old_password: &empty,
        new_password: &empty,
    };
    let refused = |package: &str| match table().change_account_password(package, request) {
        Ok(_) => panic!("an exchange was begun"),
        Err(error) => error.status(),
    };
    assert_eq!(refused("Kerberos"), SecurityStatus::SEC_E_INVALID_PARAMETER);
    assert_eq!(refused("Schannel"), SecurityStatus::SEC_E_SECPKG_NOT_FOUND);
}

#[test]
fn an_administrator_sets_a_password_by_the_library() {
    let realm = realm(PasswordRules::default().administrator("admin"));
    let by = |user: &str, password: &str| {
        PasswordChange::new(user, password, NEW)
            .for_account("late")
            .config(config())
            .run_over(realm.transport())
    };
    let denied = by("alice", "password").unwrap_err();
    assert_eq!(denied.status(), SecurityStatus::SEC_E_LOGON_DENIED);
    assert!(denied.text().contains("Access denied"), "{denied}");
    by("admin", "admin's").unwrap();
    logs_in(&realm, "late", NEW);
}

fn served(server: &TestKdcServer, head: &str) -> Arc<Config> {
    let text =
        server
            .krb5_conf()
            .replacen("[libdefaults]\n", &format!("[libdefaults]\n{head}\n"), 1);
    let profile = Profile::parse(&text, &NoIncludes, "krb5.conf").unwrap();
    Arc::new(Config::from_profile(&profile).unwrap())
}

/// The loopback server's password service, over UDP and over TCP.
#[test]
fn a_password_is_changed_over_sockets() {
    let server = TestKdcServer::start(realm(PasswordRules::default())).unwrap();
    let mut old = "password".to_owned();
    for (head, new) in [
        ("", "first-new"),
        ("udp_preference_limit = 1", "second-new"),
    ] {
        let config = served(&server, head);
        PasswordChange::new("alice", old.as_str(), new)
            .config(Arc::clone(&config))
            .run_over(KdcTransport::new(config))
            .unwrap();
        logs_in(server.realm(), "alice", new);
        old = new.to_owned();
    }
}

#[cfg(feature = "tokio")]
#[test]
fn a_password_is_changed_asynchronously() {
    let server = TestKdcServer::start(realm(PasswordRules::default())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let change = PasswordChange::new("alice", "password", NEW).config(served(&server, ""));
    runtime.block_on(change.run_async()).unwrap();
    logs_in(server.realm(), "alice", NEW);
}

/// ChangeAccountPassword of NTLM rewrites one field of the file of accounts, and leaves the rest as it is.
#[test]
fn accounts_in_files_get_new_passwords() {
    let directory = std::env::temp_dir().join(format!("trihound-password-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (users, hashes) = (directory.join("users"), directory.join("hashes"));
    let before = "# people\r\nWOODS:alice:old\r\n:bob:bob's: own\n";
    std::fs::write(&users, before).unwrap();
    let hash = "8846f7eaee8fb117ad06bdd830b7586c";
    std::fs::write(&hashes, format!("WOODS:carol:{hash}\n")).unwrap();
    let files =
        trihound::environment::NtlmAccountFiles::new(Some(users.clone()), Some(hashes.clone()));
    let config = NtlmConfig::default()
        .with_policy(trihound::NtlmPolicy::both(trihound::NtlmRule::Allow))
        .with_verifier(Arc::new(files));
    let package = RegisteredPackage::new(Ntlm::new(config));
    let table = SecurityFunctionTable::builder()
        .package(&package)
        .build()
        .unwrap();
    let change = |(domain_name, account_name): (&str, &str), old: &str, new: &str| {
        let exchange = table.change_account_password(
            "NTLM",
            ChangePasswordRequest {
                domain_name,
                account_name,
                old_password: &SecretString::from(old),
                new_password: &SecretString::from(new),
            },
        )?;
        match drive(exchange, KdcTransport::new(Arc::new(config_without_dns()))) {
            Ok(()) => Ok(()),
            Err(DriveError::Protocol(error)) => Err(error),
            Err(other) => panic!("{other}"),
        }
    };
    change(("woods", "Alice"), "old", "new: er").unwrap();
    change(("", "bob"), "bob's: own", "another").unwrap();
    let after = "# people\r\nWOODS:alice:new: er\r\n:bob:another\n";
    assert_eq!(std::fs::read_to_string(&users).unwrap(), after);
    change(("WOODS", "carol"), "password", "Password").unwrap();
    let written = std::fs::read_to_string(&hashes).unwrap();
    assert_eq!(written, "WOODS:carol:a4f49c406510bdcab6824ee7c30fd852\n");
    for (name, old, new, status) in [
        (
            ("WOODS", "alice"),
            "old",
            "x",
            SecurityStatus::SEC_E_LOGON_DENIED,
        ),
        (
            ("WOODS", "nobody"),
            "old",
            "x",
            SecurityStatus::SEC_E_LOGON_DENIED,
        ),
        (
            ("", "bob"),
            "another",
            "two\nlines",
            SecurityStatus::SEC_E_LOGON_DENIED,
        ),
    ] {
        let error: Error = change(name, old, new).unwrap_err();
        assert_eq!(error.status(), status, "{name:?}: {error}");
    }
    assert_eq!(std::fs::read_to_string(&users).unwrap(), after);
    std::fs::remove_dir_all(&directory).unwrap();
}

fn config_without_dns() -> Config {
    let mut config = config();
    config.dns_lookup_kdc = false;
    config
}
