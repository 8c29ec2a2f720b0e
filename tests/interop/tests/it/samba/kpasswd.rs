//! Password changes with Samba's password service.

use trihound_interop::Finished;

use super::{PASSWORD, World};
use crate::world::{BOTH, Make, finished, refused, succeeded};

/// The password of the domain's administrator.
const ADMINISTRATOR: &str = "Head-Forester-1";

/// An account of the test's own, under a policy of its own: 12 characters, none of the last 2 passwords.
struct Account {
    world: World,
    name: String,
}

impl Account {
    fn new(password: &str, options: &[&str]) -> Self {
        let account = Self {
            world: World::new(),
            name: format!("change-{}-{}", std::process::id(), options.len()),
        };
        let create = ["user", "create", &account.name, password];
        account.samba_tool(&[&create, options].concat());
        let policy = format!("strict-{}", account.name);
        let pso = ["domain", "passwordsettings", "pso"];
        let rules = [
            "create",
            &policy,
            "10",
            "--min-pwd-length=12",
            "--history-length=2",
            "--min-pwd-age=0",
            "--complexity=off",
        ];
        account.samba_tool(&[&pso[..], &rules].concat());
        account.samba_tool(&[&pso[..], &["apply", &policy, &account.name]].concat());
        account
    }

    #[track_caller]
    fn samba_tool(&self, arguments: &[&str]) {
        let domain = &self.world.domain;
        let mut command = domain.command("samba-tool", &self.world.scratch.cache("none"));
        let conf = format!("--configfile={}", domain.variable("SAMBA_CONF"));
        command.args(arguments).arg(conf);
        succeeded(&finished(command, ""));
    }

    fn run(&self, make: Make, name: &str, arguments: &[&str], typed: &[&str]) -> Finished {
        let typed: String = typed.iter().map(|line| format!("{line}\n")).collect();
        let command = self.world.tool(make, "cc", name, arguments);
        finished(command, &typed)
    }

    #[track_caller]
    fn logs_in(&self, password: &str) {
        succeeded(&self.run(Make::Mit, "kinit", &[&self.name], &[password]));
    }
}

#[track_caller]
fn rejected(done: &Finished, text: &str) {
    assert_eq!(done.status.code(), Some(2), "{done}");
    assert!(done.stdout.contains(text), "{done}");
}

#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn both_makes_change_a_password_and_hear_the_policy() {
    let account = Account::new("secret-change-1", &[]);
    let mut old = "secret-change-1".to_owned();
    for (number, profile) in ["krb5.conf", "krb5-tcp.conf", "krb5-dns.conf"]
        .iter()
        .enumerate()
    {
        for make in BOTH {
            let run = |typed: &[&str]| {
                let mut command = account.world.tool(make, "cc", "kpasswd", &[&account.name]);
                command.env("KRB5_CONFIG", account.world.domain.file(profile));
                let typed: String = typed.iter().map(|line| format!("{line}\n")).collect();
                finished(command, &typed)
            };
            rejected(
                &run(&[&old, "short", "short"]),
                "Password change rejected: Password too short, password must be at least 12 characters long.",
            );
            refused(
                &run(&["wrong", "Longer-than-12-", "Longer-than-12-"]),
                &["Password incorrect", "Preauthentication failed"],
            );
            let new = format!("Longer-than-12-{number}-{make:?}");
            let done = run(&[&old, &new, &new]);
            succeeded(&done);
            assert!(done.stdout.contains("Password changed."), "{done}");
            account.logs_in(&new);
            old = new;
        }
    }
}

#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn an_expired_password_is_changed_at_kinit() {
    let account = Account::new("secret-change-1", &["--must-change-at-next-login"]);
    let new = "Longer-than-12-kinit";
    let done = account.run(
        Make::Ours,
        "kinit",
        &[&account.name],
        &["secret-change-1", "short", "short", new, new],
    );
    succeeded(&done);
    assert!(
        done.stdout
            .contains("Password expired.  You must change it now."),
        "{done}"
    );
    assert!(done.stdout.contains("at least 12 characters"), "{done}");
    let owner = account.world.owner("cc");
    assert_eq!(owner, format!("{}@{}", account.name, account.world.realm()));
    account.logs_in(new);
}

#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn an_administrator_sets_the_password_of_another_and_nobody_else_does() {
    let account = Account::new(
        "secret-change-1",
        &["--use-username-as-cn", "--surname=Change"],
    );
    let new = "Longer-than-12-set";
    let done = account.run(
        Make::Ours,
        "kpasswd",
        &["--admin-principal", "Administrator", &account.name],
        &[ADMINISTRATOR, new, new],
    );
    succeeded(&done);
    account.logs_in(new);
    let denied = account.run(
        Make::Ours,
        "kpasswd",
        &["--admin-principal", "alice", &account.name],
        &[PASSWORD, "Longer-than-12-not", "Longer-than-12-not"],
    );
    rejected(&denied, "Access denied");
    account.logs_in(new);
}
