//! The kernel checks what a thread does that impersonates a client with an account on this machine.
//!
//! Only root can show it; elsewhere these tests say that they saw nothing.

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use nix::unistd::{Gid, User, getgrouplist};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, get_keep_capabilities, set_capabilities,
    set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use trihound::environment::{LocalAccountError, LocalAccounts, is_privileged};
use trihound::krb5::MemoryStore;
use trihound::sansio::SystemClock;
use trihound::sspi::{
    Function, InitiatorRequirements, RegisteredPackage, SecPkgCapabilities, SecurityStatus,
    thread_account, thread_token,
};
use trihound::{
    Client, NegotiatePolicy, NtlmConfig, Package, Packages, SecurityContext, Server, ServerBuilder,
};
use trihound_test_realm::TestRealm;

use crate::programs::config;
use crate::support::{Directory, REALM, SERVICE, keytab};

/// Two accounts that every Linux has.
const CLIENTS: [&str; 2] = ["nobody", "daemon"];

pub(crate) fn is_root() -> bool {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::DAC_OVERRIDE;
    let root = rustix::process::geteuid().is_root()
        && capabilities(None).is_ok_and(|sets| sets.effective.contains(needed));
    if !root {
        eprintln!(
            "SKIPPED: only root can act as another user, and this is not root: nothing to see"
        );
    }
    root
}

fn realm() -> Arc<TestRealm> {
    TestRealm::builder(REALM)
        .principal(CLIENTS[0], "password")
        .principal(CLIENTS[1], "password")
        .principal("stranger", "password")
        .service(SERVICE)
        .build()
        .unwrap()
}

/// A service, and its contexts with clients.
pub(crate) struct Service {
    realm: Arc<TestRealm>,
    pub(crate) server: Server,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self::with(LocalAccounts::new(Arc::new(config())))
    }

    pub(crate) fn with(accounts: LocalAccounts) -> Self {
        Self::of(|builder| builder.thread_identity(Arc::new(accounts)))
    }

    fn of(choose: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let realm = realm();
        let builder = Server::builder().config(config()).keytab(keytab(&realm));
        let server = choose(builder).build().unwrap();
        Self { realm, server }
    }

    pub(crate) fn context_with(&self, client: &str) -> SecurityContext {
        self.handshake(client, None)
    }

    pub(crate) fn handshake(
        &self,
        client: &str,
        asked: Option<InitiatorRequirements>,
    ) -> SecurityContext {
        let mut builder = Client::builder()
            .config(config())
            .password(client, "password")
            .transport(self.realm.transport());
        if let Some(asked) = asked {
            builder = builder.requirements(asked);
        }
        let client = builder.build().unwrap();
        let mut initiator = client.connector(SERVICE).handshake();
        let mut acceptor = self.server.handshake();
        let mut to_client: Option<Vec<u8>> = None;
        loop {
            let leg = initiator.step(to_client.as_deref()).unwrap();
            if let Some(token) = &leg.token {
                to_client = acceptor.step(token).unwrap().token;
            }
            if leg.complete {
                break;
            }
        }
        // The same on the way as behind it.
        drop(acceptor.impersonate());
        acceptor.into_context().unwrap()
    }
}

/// A directory that everybody may enter, with files of several owners.
struct Files(Directory);

impl Files {
    fn new() -> Self {
        let directory = Directory::new();
        fs::set_permissions(&directory.0, Permissions::from_mode(0o777)).unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.0.join(name)
    }

    fn owned(&self, name: &str, uid: u32, gid: u32, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, name).unwrap();
        chown(&path, Some(uid), Some(gid)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }
}

fn may_read(path: &Path) -> bool {
    match File::open(path) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => false,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn account(name: &str) -> User {
    User::from_name(name).unwrap().unwrap()
}

/// Numbers, groups and capabilities of the calling thread, as the kernel tells them.
fn rights() -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let lines = ["Uid", "Gid", "Groups", "CapPrm", "CapEff"];
    status
        .lines()
        .filter(|line| {
            lines
                .iter()
                .any(|name| line.starts_with(&format!("{name}:")))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_kernel_checks_files_as_the_client() {
    if !is_root() {
        return;
    }
    let service = Service::new();
    let files = Files::new();
    let [nobody, daemon] = CLIENTS.map(account);
    let own = files.owned("process", 0, 0, 0o600);
    let clients = files.owned("client", nobody.uid.as_raw(), 0, 0o600);
    let of_group = files.owned("group", 0, nobody.gid.as_raw(), 0o640);
    let others = files.owned("other", daemon.uid.as_raw(), 0, 0o600);
    let before = rights();
    let context = service.context_with("nobody");
    {
        let acting = context.impersonate().unwrap();
        assert_eq!(acting.account(), Some("nobody"));
        assert_eq!(thread_account().as_deref(), Some("nobody"));
        assert_eq!(acting.token().client_name, format!("nobody@{REALM}"));
        assert!(!may_read(&own), "what the process could read");
        assert!(may_read(&clients) && may_read(&of_group));
        assert!(!may_read(&others));
        fs::write(files.path("new"), "made by the client").unwrap();
        // The context goes on meanwhile, and the environment is not that of somebody else.
        let _ = context.encrypt(b"x").unwrap();
        assert!(!is_privileged());
        // Threads that were there before keep their rights; here the test's own main thread does.
        let leader = fs::read_to_string("/proc/self/status").unwrap();
        assert!(leader.contains("\nUid:\t0\t0\t0\t0\n"), "{leader}");
    }
    assert!(may_read(&own));
    assert_eq!(rights(), before);
    let made = fs::metadata(files.path("new")).unwrap();
    assert_eq!(
        (made.uid(), made.gid()),
        (nobody.uid.as_raw(), nobody.gid.as_raw())
    );
}

#[test]
fn other_threads_keep_their_rights() {
    if !is_root() {
        return;
    }
    let service = Service::new();
    let files = Files::new();
    let own = files.owned("process", 0, 0, 0o600);
    let context = service.context_with("daemon");
    let before = rights();
    let (acts, acting) = std::sync::mpsc::channel();
    let (ends, end) = std::sync::mpsc::channel::<()>();
    thread::scope(|scope| {
        let (context, own) = (&context, &own);
        scope.spawn(move || {
            let acting = context.impersonate().unwrap();
            acts.send(may_read(own)).unwrap();
            end.recv().unwrap();
            assert!(!may_read(own));
            drop(acting);
            assert!(may_read(own));
        });
        assert_eq!(acting.recv(), Ok(false));
        assert!(may_read(own));
        assert_eq!(rights(), before);
        assert!(thread_token().is_none());
        ends.send(()).unwrap();
    });
}

#[test]
fn the_groups_are_the_clients_and_not_the_process_s() {
    if !is_root() {
        return;
    }
    let service = Service::with(LocalAccounts::mapped_by(|_| {
        many_groups().map(|(name, _)| name)
    }));
    let files = Files::new();
    let of_process = files.owned("process", 0, 54_321, 0o640);
    // In a thread of its own, whose groups change.
    let own_group = rustix::process::Gid::from_raw(54_321);
    let context = service.context_with("nobody");
    thread::scope(|scope| {
        scope.spawn(|| {
            set_thread_groups(&[own_group]).unwrap();
            let before = rights();
            let Some((name, group)) = many_groups() else {
                eprintln!("SKIPPED: no account here has a second group: nothing to see of it");
                return;
            };
            let of_client = files.owned("client", 0, group.as_raw(), 0o640);
            let acting = context.impersonate().unwrap();
            assert_eq!(acting.account(), Some(name.as_str()));
            assert!(may_read(&of_client), "{name} is in {group}");
            assert!(!may_read(&of_process));
            drop(acting);
            assert_eq!(rights(), before);
        });
    });
    let nobody = Service::new().context_with("nobody");
    thread::scope(|scope| {
        scope.spawn(|| {
            set_thread_groups(&[own_group]).unwrap();
            let acting = nobody.impersonate().unwrap();
            assert!(!may_read(&of_process), "{:?}", acting.account());
        });
    });
}

/// An account that is in a group beside its own.
fn many_groups() -> Option<(String, Gid)> {
    let names = fs::read_to_string("/etc/passwd").ok()?;
    names.lines().find_map(|line| {
        let user = User::from_name(line.split(':').next()?).ok()??;
        let name = std::ffi::CString::new(user.name.as_str()).ok()?;
        let groups = getgrouplist(&name, user.gid).ok()?;
        let second = groups.into_iter().find(|group| *group != user.gid)?;
        (!user.uid.is_root()).then_some((user.name, second))
    })
}

#[test]
fn nested_clients_have_their_own_rights_each() {
    if !is_root() {
        return;
    }
    let service = Service::new();
    let files = Files::new();
    let [nobody, daemon] =
        CLIENTS.map(|name| files.owned(name, account(name).uid.as_raw(), 0, 0o600));
    let before = rights();
    let outer = service.context_with("nobody").impersonate().unwrap();
    let as_nobody = rights();
    {
        let inner = service.context_with("daemon").impersonate().unwrap();
        assert_eq!(inner.account(), Some("daemon"));
        assert!(may_read(&daemon) && !may_read(&nobody));
        // Whoever has no account leaves the thread with the rights of the process, and says so.
        let stranger = service.context_with("stranger").impersonate().unwrap();
        assert_eq!(stranger.account(), None);
        assert_eq!(rights(), before);
    }
    assert_eq!((rights(), outer.account()), (as_nobody, Some("nobody")));
    assert!(may_read(&nobody) && !may_read(&daemon));
    drop(outer);
    assert_eq!(rights(), before);
}

#[test]
fn a_panic_in_the_clients_name_gives_the_rights_back() {
    if !is_root() {
        return;
    }
    let service = Service::new();
    let context = service.context_with("nobody");
    let before = rights();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _acting = context.impersonate().unwrap();
        assert_ne!(rights(), before);
        panic!("in the client's name");
    }));
    assert!(outcome.is_err());
    assert_eq!(rights(), before);
}

#[test]
fn the_functions_of_sspi_change_the_rights_too() {
    if !is_root() {
        return;
    }
    let service = Service::new();
    let table = service.server.table();
    let before = rights();
    let (nobody, daemon) = (
        service.context_with("nobody"),
        service.context_with("daemon"),
    );
    table.impersonate_security_context(nobody.handle()).unwrap();
    table.impersonate_security_context(daemon.handle()).unwrap();
    assert_eq!(thread_account().as_deref(), Some("daemon"));
    let handle = daemon.handle();
    drop(daemon);
    table.revert_security_context(handle).unwrap();
    assert_eq!(rights(), before);
}

/// By the rules of the configuration, where the program chooses nothing; and through Negotiate.
#[test]
fn accounts_are_the_default_of_every_server() {
    if !is_root() {
        return;
    }
    let before = rights();
    for package in [Package::Kerberos, Package::Negotiate] {
        let service = Service::of(|builder| builder.package(package));
        let acting = service.context_with("nobody").impersonate().unwrap();
        assert_eq!(acting.account(), Some("nobody"), "{package:?}");
        drop(acting);
        let own = LocalAccounts::mapped_by(|_| Some("daemon".to_owned()));
        let service =
            Service::of(|builder| builder.package(package).thread_identity(Arc::new(own)));
        let acting = service.context_with("nobody").impersonate().unwrap();
        assert_eq!(acting.account(), Some("daemon"), "{package:?}");
        drop(acting);
        let service = Service::of(|builder| {
            builder
                .package(package)
                .thread_identity(Arc::new(LocalAccounts::none()))
        });
        let acting = service.context_with("nobody").impersonate().unwrap();
        assert_eq!(acting.account(), None, "{package:?}");
    }
    assert_eq!(rights(), before);
}

#[test]
fn each_package_says_that_it_impersonates() {
    let kerberos = trihound::kerberos(
        Arc::new(config()),
        Arc::new(MemoryStore::new()),
        Arc::new(SystemClock),
        Arc::new(trihound::OsRandom),
    );
    let ntlm = RegisteredPackage::new(trihound::Ntlm::new(NtlmConfig::default()));
    let packages = Packages::new(&kerberos, &ntlm, NegotiatePolicy::default()).unwrap();
    let table = packages.table().unwrap();
    let infos = table.enumerate_security_packages();
    assert_eq!(infos.len(), 3);
    for info in infos {
        let functions = table.functions_of(&info.name).unwrap();
        assert!(
            info.capabilities
                .contains(SecPkgCapabilities::IMPERSONATION),
            "{}",
            info.name
        );
        assert!(
            functions.has(Function::ImpersonateSecurityContext),
            "{}",
            info.name
        );
        assert!(
            functions.has(Function::RevertSecurityContext),
            "{}",
            info.name
        );
    }
}

/// Capabilities of a process that is not root, such as a service with CAP_SETUID of its unit file, would make the
/// kernel's checks vain.
#[test]
fn a_thread_has_no_capabilities_while_it_acts_for_a_client() {
    if !is_root() {
        return;
    }
    let service = Service::new();
    let files = Files::new();
    let own = files.owned("root", 0, 0, 0o600);
    let context = service.context_with("nobody");
    let daemon = rustix::process::Uid::from_raw(account("daemon").uid.as_raw());
    let group = rustix::process::Gid::from_raw(account("daemon").gid.as_raw());
    thread::scope(|scope| {
        scope.spawn(|| {
            set_keep_capabilities(true).unwrap();
            set_thread_res_gid(group, group, group).unwrap();
            set_thread_res_uid(daemon, daemon, daemon).unwrap();
            let kept = CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::DAC_OVERRIDE;
            let sets = CapabilitySets {
                effective: kept,
                permitted: kept,
                inheritable: CapabilitySet::empty(),
            };
            set_capabilities(None, sets).unwrap();
            let before = rights();
            assert!(may_read(&own));
            let acting = context.impersonate().unwrap();
            assert_eq!(acting.account(), Some("nobody"));
            assert!(
                !may_read(&own),
                "CAP_DAC_OVERRIDE is the process's and not the client's"
            );
            drop(acting);
            assert!(may_read(&own));
            assert_eq!(rights(), before);
        });
    });
}

/// The kernel takes the capabilities of a thread that was root and is no more, and with them the way back.
#[test]
fn a_thread_that_is_not_root_comes_back_from_the_account_of_root() {
    if !is_root() {
        return;
    }
    let service = Service::with(LocalAccounts::mapped_by(|_| Some("root".to_owned())));
    let context = service.context_with("stranger");
    let daemon = rustix::process::Uid::from_raw(account("daemon").uid.as_raw());
    let group = rustix::process::Gid::from_raw(account("daemon").gid.as_raw());
    thread::scope(|scope| {
        scope.spawn(|| {
            set_keep_capabilities(true).unwrap();
            set_thread_res_gid(group, group, group).unwrap();
            set_thread_res_uid(daemon, daemon, daemon).unwrap();
            set_keep_capabilities(false).unwrap();
            let kept = CapabilitySet::SETUID | CapabilitySet::SETGID;
            let sets = CapabilitySets {
                effective: kept,
                permitted: kept,
                inheritable: CapabilitySet::empty(),
            };
            set_capabilities(None, sets).unwrap();
            let before = rights();
            let acting = context.impersonate().unwrap();
            assert_eq!(acting.account(), Some("root"));
            assert!(rustix::process::geteuid().is_root());
            drop(acting);
            assert_eq!(rights(), before);
            assert!(!get_keep_capabilities().unwrap());
        });
    });
}

#[test]
fn a_process_without_the_right_to_change_impersonates_by_token_alone_or_not_at_all() {
    if !is_root() {
        return;
    }
    let config = Arc::new(config());
    let lenient = Service::new();
    let strict = Service::with(LocalAccounts::new(config).required());
    let [lenient, strict] = [&lenient, &strict].map(|service| service.context_with("nobody"));
    let daemon = rustix::process::Uid::from_raw(account("daemon").uid.as_raw());
    thread::scope(|scope| {
        scope.spawn(|| {
            set_thread_res_uid(daemon, daemon, daemon).unwrap();
            let before = rights();
            let acting = lenient.impersonate().unwrap();
            assert_eq!((acting.account(), rights()), (None, before.clone()));
            drop(acting);
            let error = strict.impersonate().unwrap_err();
            assert_eq!(error.status(), SecurityStatus::SEC_E_NO_IMPERSONATION);
            let cause = error.find_source::<LocalAccountError>();
            assert!(
                matches!(cause, Some(LocalAccountError::NotPermitted { .. })),
                "{error}"
            );
            assert_eq!(rights(), before);
            assert!(thread_token().is_none());
        });
    });
}

/// What the child of the next test does: it must not come to its end.
#[test]
fn a_child_that_cannot_revert() {
    if std::env::var_os("TRIHOUND_TEST_CANNOT_REVERT").is_none() || !is_root() {
        return;
    }
    let context = Service::new().context_with("nobody");
    let acting = context.impersonate().unwrap();
    assert_eq!(acting.account(), Some("nobody"));
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).unwrap();
    println!("reverting");
    drop(acting);
    println!("went on with the wrong rights");
}

#[test]
fn a_thread_that_cannot_get_its_rights_back_ends_the_process() {
    if !is_root() {
        return;
    }
    let name = "impersonation::a_child_that_cannot_revert";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("TRIHOUND_TEST_CANNOT_REVERT", "1")
        .output()
        .unwrap();
    let (told, errors) = (
        child.stdout,
        String::from_utf8_lossy(&child.stderr).into_owned(),
    );
    let told = String::from_utf8_lossy(&told);
    assert_eq!(child.status.signal(), Some(6), "SIGABRT: {told}{errors}");
    assert!(
        told.contains("reverting") && !told.contains("went on"),
        "{told}"
    );
    assert!(
        errors.contains("gives up the user \"nobody\" cannot: capset"),
        "{errors}"
    );
}
