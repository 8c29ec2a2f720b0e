//! Password changes with MIT's kadmind, and MIT's kpasswd and kinit with the embedded password service.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use trihound::PasswordChange;
use trihound::krb5::kpasswd::KpasswdResult;
use trihound::krb5::{Config, NoIncludes, Profile};
use trihound::sspi::SecurityStatus;
use trihound_interop::{Finished, Peers, Realm, Scratch};

use crate::world::{BOTH, Make, finished, peers, refused, succeeded};

/// A realm of the test's own: what it changes nobody else looks at.
struct World {
    peers: &'static Peers,
    realm: Realm,
    scratch: Scratch,
}

impl World {
    fn new() -> Option<Self> {
        let peers = peers()?;
        Some(Self {
            peers,
            realm: Realm::start_with_kpasswd(peers).unwrap_or_else(|failure| panic!("{failure}")),
            scratch: Scratch::new().unwrap(),
        })
    }

    fn tool(&self, make: Make, name: &str, arguments: &[&str]) -> Command {
        let (program, subcommand) = make.tool(self.peers, name);
        let mut command = self.realm.command(program, &self.scratch.cache("cc"));
        command.args(subcommand).args(arguments);
        command
    }

    fn run(&self, make: Make, name: &str, arguments: &[&str], typed: &[&str]) -> Finished {
        finished(self.tool(make, name, arguments), &lines(typed))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.realm.directory().join(name)
    }

    fn config(&self, name: &str) -> Arc<Config> {
        let text = std::fs::read_to_string(self.file(name)).unwrap();
        let profile = Profile::parse(&text, &NoIncludes, name).unwrap();
        Arc::new(Config::from_profile(&profile).unwrap())
    }

    #[track_caller]
    fn logs_in(&self, user: &str, password: &str) {
        succeeded(&self.run(Make::Mit, "kinit", &[user], &[password]));
    }
}

fn lines(typed: &[&str]) -> String {
    typed.iter().map(|line| format!("{line}\n")).collect()
}

/// The standard output behind the prompts, which both makes write to it.
fn answer(done: &Finished) -> String {
    let last = done.stdout.rsplit("Enter it again: ").next();
    last.unwrap_or_default().trim().to_owned()
}

/// Both makes over UDP and TCP: a change, a refusal by the policy with its words, a wrong password, two that differ.
#[test]
fn both_makes_change_a_password_and_are_refused_alike() {
    let Some(world) = World::new() else { return };
    let mut old = "secret-change-1".to_owned();
    for (number, profile) in ["krb5.conf", "krb5-tcp.conf"].into_iter().enumerate() {
        for make in BOTH {
            let run = |typed: &[&str]| {
                let mut command = world.tool(make, "kpasswd", &["user-change"]);
                command.env("KRB5_CONFIG", world.file(profile));
                finished(command, &lines(typed))
            };
            let short = run(&[&old, "short", "short"]);
            assert_eq!(short.status.code(), Some(2), "{short}");
            let words = answer(&short)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            assert_eq!(
                words,
                "Password change rejected: New password is too short. Please choose a password which is at \
                 least 8 characters long."
            );
            refused(
                &run(&["wrong", "Longer-than-8", "Longer-than-8"]),
                &[
                    "Password incorrect while getting initial ticket",
                    "Preauthentication failed getting initial ticket",
                ],
            );
            refused(
                &run(&[&old, "Longer-than-8", "Longer-than-9"]),
                &["Password mismatch while reading password"],
            );
            let new = format!("Changed-{number}-{make:?}");
            let done = run(&[&old, &new, &new]);
            succeeded(&done);
            assert_eq!(answer(&done), "Password changed.");
            world.logs_in("user-change", &new);
            let again = run(&[&new, &old, &old]);
            assert_eq!(again.status.code(), Some(2), "reused: {again}");
            old = new;
        }
    }
}

/// MIT's kinit and ours lead to the change and then to the ticket.
#[test]
fn a_password_that_has_to_be_changed_is_changed_at_kinit() {
    let Some(world) = World::new() else { return };
    for (make, user, old) in [
        (Make::Ours, "user-needchange", "secret-needchange-1"),
        (Make::Mit, "user-pwexpired", "secret-pwexpired"),
    ] {
        let done = world.run(
            make,
            "kinit",
            &[user],
            &[
                old,
                "short-1",
                "another-2",
                "Longer-than-8",
                "Longer-than-8",
            ],
        );
        succeeded(&done);
        assert!(
            done.stdout
                .contains("Password expired.  You must change it now."),
            "{done}"
        );
        assert!(done.stdout.contains("Please try again."), "{done}");
        let listed = world.run(make.other(), "klist", &[], &[]);
        assert!(
            listed
                .stdout
                .contains(&format!("krbtgt/{0}@{0}", "TRIHOUND.TEST")),
            "{listed}"
        );
        assert!(
            listed
                .stdout
                .contains(&format!("Default principal: {user}@")),
            "{listed}"
        );
        world.logs_in(user, "Longer-than-8");
    }
}

#[test]
fn a_wrong_expired_password_changes_nothing() {
    let Some(world) = World::new() else { return };
    let done = world.run(
        Make::Ours,
        "kinit",
        &["user-needchange"],
        &["wrong", "Longer-than-8", "Longer-than-8"],
    );
    refused(&done, &["Password incorrect", "PREAUTH_FAILED"]);
    assert!(!world.scratch.join("cc").exists());
}

#[test]
fn an_administrator_sets_the_password_of_another_and_nobody_else_does() {
    let Some(world) = World::new() else { return };
    let new = "Set-by-another-1";
    let done = world.run(
        Make::Ours,
        "kpasswd",
        &["--admin-principal", "user/admin", "user-change"],
        &["secret-admin", new, new],
    );
    succeeded(&done);
    world.logs_in("user-change", new);
    let denied = world.run(
        Make::Ours,
        "kpasswd",
        &["--admin-principal", "user-change", "alice"],
        &[new, new, new],
    );
    assert_eq!(denied.status.code(), Some(2), "{denied}");
    assert!(answer(&denied).starts_with("Access denied"), "{denied}");
    world.logs_in("alice", "Wonder-Land-7");
}

/// The function of the library, with the policy's words in the error and a status of its own for it.
#[test]
fn a_program_changes_a_password() {
    let Some(world) = World::new() else { return };
    let change = |old: &str, new: &str| {
        PasswordChange::new("user-change", old, new)
            .config(world.config("krb5.conf"))
            .run()
    };
    let short = change("secret-change-1", "short").unwrap_err();
    assert_eq!(short.status(), SecurityStatus::ERROR_PASSWORD_RESTRICTION);
    let Some(trihound::krb5::Error::PasswordRefused(refusal)) = short.find_source() else {
        panic!("{short:?}");
    };
    assert_eq!(refusal.result, Some(KpasswdResult::SOFT_ERROR));
    assert!(
        short.text().contains("at least 8 characters long"),
        "{short}"
    );
    let wrong = change("wrong", "Longer-than-8").unwrap_err();
    assert_eq!(wrong.status(), SecurityStatus::SEC_E_LOGON_DENIED);
    change("secret-change-1", "Longer-than-8").unwrap();
    world.logs_in("user-change", "Longer-than-8");
}

/// ChangeAccountPassword of the function table, directly and over Negotiate.
#[test]
fn change_account_password_of_the_table() {
    use trihound::sspi::ChangePasswordRequest;
    let Some(world) = World::new() else { return };
    let config = world.config("krb5.conf");
    let store = Arc::new(trihound::krb5::MemoryStore::default());
    let kerberos = trihound::kerberos(
        Arc::clone(&config),
        store,
        Arc::new(trihound::sansio::SystemClock),
        Arc::new(trihound::OsRandom),
    );
    let ntlm = trihound::sspi::RegisteredPackage::new(trihound::Ntlm::new(
        trihound::NtlmConfig::default(),
    ));
    let packages =
        trihound::Packages::new(&kerberos, &ntlm, trihound::NegotiatePolicy::default()).unwrap();
    let table = packages.table().unwrap();
    let mut old = "secret-change-1".to_owned();
    for package in ["Kerberos", "Negotiate"] {
        let new = format!("Longer-than-8-{package}");
        let exchange = table
            .change_account_password(
                package,
                ChangePasswordRequest {
                    domain_name: "trihound.test",
                    account_name: "user-change",
                    old_password: &old.as_str().into(),
                    new_password: &new.as_str().into(),
                },
            )
            .unwrap();
        let transport = trihound::KdcTransport::new(Arc::clone(&config));
        trihound::sansio::drive(exchange, transport).unwrap();
        world.logs_in("user-change", &new);
        old = new;
    }
}

/// kadmind is gone after the login: the outcome is not known, and the text says so.
#[test]
fn a_service_that_does_not_answer_leaves_it_open() {
    let Some(peers) = peers() else { return };
    // Without kadmind; the KDC gives the ticket.
    let realm = crate::world::realm(peers);
    let text = std::fs::read_to_string(realm.variable("KRB5_CONFIG")).unwrap();
    let text = text.replace("    kdc = ", "    kpasswd_server = 127.0.0.1:1\n    kdc = ");
    let profile = Profile::parse(&text, &NoIncludes, "krb5.conf").unwrap();
    let error = PasswordChange::new("alice", "Wonder-Land-7", "Longer-than-8")
        .config(Config::from_profile(&profile).unwrap())
        .run()
        .unwrap_err();
    assert_eq!(
        error.status(),
        SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
    );
    assert!(
        matches!(
            error.find_source(),
            Some(trihound::krb5::Error::PasswordUnknown(_))
        ),
        "{error}"
    );
    assert!(error.text().contains("is not known"), "{error}");
}
