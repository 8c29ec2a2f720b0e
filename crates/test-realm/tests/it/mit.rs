//! MIT's kinit, kvno and klist log in against the loopback server.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use trihound_crypto::{Enctype, EnctypePolicy};
use trihound_test_realm::{
    Fault, PrincipalOptions, Repeat, RequestKind, TestKdcServer, TestRealm, danger, krb5_conf,
};

/// A directory with a krb5.conf and a cache, removed when dropped.
struct Desk {
    directory: PathBuf,
}

impl Desk {
    fn new(krb5_conf: &str, libdefaults: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let directory = std::env::temp_dir().join(format!(
            "trihound-test-realm-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::SeqCst)
        ));
        std::fs::create_dir_all(&directory).unwrap();
        let text = krb5_conf.replacen(
            "[libdefaults]\n",
            &format!("[libdefaults]\n{libdefaults}\n"),
            1,
        );
        std::fs::write(directory.join("krb5.conf"), text).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn run(&self, program: &str, arguments: &[&str], input: &str) -> Output {
        let child = Command::new(program)
            .args(arguments)
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("KRB5_CONFIG", self.path("krb5.conf"))
            .env("KRB5CCNAME", format!("FILE:{}", self.path("cc").display()))
            .env(
                "KRB5_KTNAME",
                format!("FILE:{}", self.path("keytab").display()),
            )
            .env_remove("KRB5_TRACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("{program} does not start ({error}): install the package krb5-user")
        });
        // A program that ends without reading its input is judged by its status.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn ok(&self, program: &str, arguments: &[&str], input: &str) -> String {
        let output = self.run(program, arguments, input);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}\n{text}{error}",
            output.status
        );
        text
    }

    fn fails(&self, program: &str, arguments: &[&str], input: &str) -> String {
        let output = self.run(program, arguments, input);
        assert!(
            !output.status.success(),
            "{program} {arguments:?} succeeded"
        );
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn realm() -> Arc<TestRealm> {
    TestRealm::builder("EXAMPLE.TEST")
        .principal("alice", "password")
        .service("HTTP/localhost")
        .build()
        .unwrap()
}

fn login(libdefaults: &str) -> (TestKdcServer, Desk) {
    let server = TestKdcServer::start(realm()).unwrap();
    let desk = Desk::new(&server.krb5_conf(), libdefaults);
    (server, desk)
}

#[test]
fn kinit_and_kvno_over_udp() {
    let (_server, desk) = login("");
    desk.ok("kinit", &["alice"], "password\n");
    let text = desk.ok("kvno", &["HTTP/localhost"], "");
    assert_eq!(text.trim(), "HTTP/localhost@EXAMPLE.TEST: kvno = 2");
    let list = desk.ok("klist", &["-e", "-f"], "");
    assert!(
        list.contains("Default principal: alice@EXAMPLE.TEST"),
        "{list}"
    );
    assert!(list.contains("krbtgt/EXAMPLE.TEST@EXAMPLE.TEST"), "{list}");
    assert!(list.contains("HTTP/localhost@EXAMPLE.TEST"), "{list}");
    // Initial, pre-authenticated; A is MIT's own letter for what its forwardable default gives.
    assert!(list.contains("Flags: "), "{list}");
    assert!(list.contains("aes256-cts-hmac-sha1-96"), "{list}");
}

#[test]
fn kinit_and_kvno_over_tcp() {
    let (server, desk) = login("    udp_preference_limit = 1");
    // Every datagram is lost: only streams can have done it.
    server.realm().set_fault(Fault::DropDatagram);
    desk.ok("kinit", &["alice"], "password\n");
    desk.ok("kvno", &["HTTP/localhost"], "");
}

/// Conformance row 181: the client comes again over TCP.
#[test]
fn response_too_big_moves_mit_to_tcp() {
    let (server, desk) = login("");
    server.realm().set_fault(Fault::ResponseTooBig);
    desk.ok("kinit", &["alice"], "password\n");
    desk.ok("kvno", &["HTTP/localhost"], "");
}

#[test]
fn each_enctype_serves_a_login() {
    for enctype in [
        Enctype::AES128_CTS_HMAC_SHA1_96,
        Enctype::AES256_CTS_HMAC_SHA1_96,
        Enctype::AES128_CTS_HMAC_SHA256_128,
        Enctype::AES256_CTS_HMAC_SHA384_192,
    ] {
        let realm = TestRealm::builder("EXAMPLE.TEST")
            .principal("alice", "password")
            .service("HTTP/localhost")
            .only_enctype(enctype)
            .build()
            .unwrap();
        let server = TestKdcServer::start(realm).unwrap();
        let desk = Desk::new(&server.krb5_conf(), "");
        desk.ok("kinit", &["alice"], "password\n");
        desk.ok("kvno", &["HTTP/localhost"], "");
        let list = desk.ok("klist", &["-e"], "");
        let name = enctype.name().unwrap();
        let expected = format!("Etype (skey, tkt): {name}, {name}");
        assert_eq!(list.matches(&expected).count(), 2, "{enctype}: {list}");
    }
}

#[test]
fn rc4_serves_only_through_danger() {
    let rc4 = danger::enctypes(EnctypePolicy::default(), &[Enctype::RC4_HMAC]);
    let options = PrincipalOptions::default().enctypes(&[Enctype::RC4_HMAC]);
    let build = |policy| {
        TestRealm::builder("EXAMPLE.TEST")
            .principal_with("alice", "password", options.clone())
            .service_with("HTTP/localhost", options.clone())
            .enctypes(policy)
            .build()
    };
    assert!(build(EnctypePolicy::default()).is_err());
    let server = TestKdcServer::start(build(rc4).unwrap()).unwrap();
    let desk = Desk::new(
        &server.krb5_conf(),
        "    allow_weak_crypto = true\n    allow_rc4 = true\n    permitted_enctypes = rc4-hmac aes256-cts",
    );
    desk.ok("kinit", &["alice"], "password\n");
    desk.ok("kvno", &["HTTP/localhost"], "");
    let list = desk.ok("klist", &["-e"], "");
    assert!(list.contains("arcfour-hmac"), "{list}");
}

#[test]
fn salt_iterations_and_no_preauth_are_as_the_kdc_says() {
    let realm = TestRealm::builder("EXAMPLE.TEST")
        .principal_with(
            "salty",
            "password",
            PrincipalOptions::default()
                .salt("other salt")
                .iterations(8192)
                .enctypes(&[Enctype::AES256_CTS_HMAC_SHA1_96]),
        )
        .principal_with(
            "open",
            "password",
            PrincipalOptions::default().without_preauth(),
        )
        .build()
        .unwrap();
    let server = TestKdcServer::start(realm).unwrap();
    let desk = Desk::new(&server.krb5_conf(), "");
    desk.ok("kinit", &["salty"], "password\n");
    desk.ok("kinit", &["open"], "password\n");
    let list = desk.ok("klist", &["-f"], "");
    assert!(list.contains("Flags: I\n"), "{list}");
}

#[test]
fn renewal_and_forwarding() {
    let (_server, desk) = login("");
    desk.ok(
        "kinit",
        &["-f", "-p", "-r", "2d", "-l", "1h", "alice"],
        "password\n",
    );
    let list = desk.ok("klist", &["-f"], "");
    assert!(list.contains("Flags: FPRIA"), "{list}");
    desk.ok("kinit", &["-R"], "");
    let list = desk.ok("klist", &["-f"], "");
    assert!(list.contains("Flags: FPRA"), "{list}");
    // Service tickets take the flags that were asked for and held.
    desk.ok("kvno", &["HTTP/localhost"], "");
    let list = desk.ok("klist", &["-f"], "");
    assert!(
        list.contains("Flags: FPRAT") || list.contains("Flags: FPRA"),
        "{list}"
    );
}

#[test]
fn a_ticket_that_is_not_renewable_stays_as_it_is() {
    let (_server, desk) = login("");
    desk.ok("kinit", &["alice"], "password\n");
    let error = desk.fails("kinit", &["-R"], "");
    assert!(
        error.contains("KDC can't fulfill requested option"),
        "{error}"
    );
}

#[test]
fn keytab_login() {
    let (server, desk) = login("");
    let keytab = server.realm().keytab(&["alice"]).unwrap();
    let bytes = keytab.to_bytes().unwrap();
    std::fs::write(desk.path("keytab"), bytes.expose()).unwrap();
    desk.ok("kinit", &["-k", "alice"], "");
    // kvno decrypts the ticket with the keytab and fails if it cannot.
    let keytab = server.realm().keytab(&["HTTP/localhost"]).unwrap();
    std::fs::write(desk.path("keytab"), keytab.to_bytes().unwrap().expose()).unwrap();
    let path = desk.path("keytab").display().to_string();
    let text = desk.ok("kvno", &["-k", &path, "HTTP/localhost"], "");
    assert!(text.contains("keytab entry valid"), "{text}");
}

/// Conformance row 7, from the KDC's side: a ticket under an old key is told by its version.
#[test]
fn an_old_key_version_does_not_fit_the_keytab() {
    let (server, desk) = login("");
    let keytab = server.realm().keytab(&["HTTP/localhost"]).unwrap();
    std::fs::write(desk.path("keytab"), keytab.to_bytes().unwrap().expose()).unwrap();
    let path = desk.path("keytab").display().to_string();
    desk.ok("kinit", &["alice"], "password\n");
    server
        .realm()
        .set_fault_for(RequestKind::Tgs, Fault::OldKeyVersion, Repeat::Always);
    let output = desk.run("kvno", &["-k", &path, "HTTP/localhost"], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("kvno = 1, keytab entry invalid"), "{text}");
}

#[test]
fn wrong_password_and_unknown_names() {
    let (_server, desk) = login("");
    let error = desk.fails("kinit", &["alice"], "wrong\n");
    assert!(error.contains("Password incorrect"), "{error}");
    let error = desk.fails("kinit", &["nobody"], "password\n");
    assert!(error.contains("not found in Kerberos database"), "{error}");
    desk.ok("kinit", &["alice"], "password\n");
    let error = desk.fails("kvno", &["HTTP/elsewhere"], "");
    assert!(error.contains("not found in Kerberos database"), "{error}");
}

#[test]
fn a_clock_that_is_off_is_told() {
    let (server, desk) = login("    kdc_timesync = 0");
    server.realm().set_fault(Fault::ClockSkew(3600));
    let error = desk.fails("kinit", &["alice"], "password\n");
    assert!(error.contains("Clock skew too great"), "{error}");
}

#[test]
fn mit_refuses_what_its_checks_catch() {
    let (server, desk) = login("");
    for (fault, expected) in [
        (Fault::Nonce, "KDC reply did not match expectations"),
        (
            Fault::ServerName("krbtgt/OTHER.TEST".into()),
            "KDC reply did not match expectations",
        ),
        (
            Fault::ClientName("mallory".into()),
            "KDC reply did not match expectations",
        ),
        (Fault::AnotherKey, "Password incorrect"),
        (Fault::FlipEncryptedPart, "Password incorrect"),
        (Fault::KeyUsage, "Password incorrect"),
        (
            Fault::Error {
                code: 60,
                text: "made up".into(),
            },
            "Generic error",
        ),
    ] {
        server.realm().clear_faults();
        server
            .realm()
            .set_fault_for(RequestKind::As, fault.clone(), Repeat::Always);
        let error = desk.fails("kinit", &["alice"], "password\n");
        assert!(error.contains(expected), "{fault:?}: {error}");
    }
}

fn two_realms() -> (TestKdcServer, TestKdcServer, Desk) {
    let a = TestRealm::builder("A.TEST")
        .principal("alice", "password")
        .trust("B.TEST", "shared secret")
        .domain("b.test", "B.TEST")
        .build()
        .unwrap();
    let b = TestRealm::builder("B.TEST")
        .principal("bob", "password")
        .service("HTTP/web.b.test")
        .trust("A.TEST", "shared secret")
        .build()
        .unwrap();
    let (a, b) = (
        TestKdcServer::start(a).unwrap(),
        TestKdcServer::start(b).unwrap(),
    );
    let conf = krb5_conf(&[&a, &b]);
    let desk = Desk::new(&conf, "");
    (a, b, desk)
}

#[test]
fn cross_realm_by_direct_trust() {
    let (_a, b, desk) = two_realms();
    desk.ok("kinit", &["alice@A.TEST"], "password\n");
    let text = desk.ok("kvno", &["HTTP/web.b.test@B.TEST"], "");
    assert!(text.contains("HTTP/web.b.test@B.TEST: kvno = 2"), "{text}");
    let list = desk.ok("klist", &["-f"], "");
    assert!(list.contains("krbtgt/B.TEST@A.TEST"), "{list}");
    let keytab = b.realm().keytab(&["HTTP/web.b.test"]).unwrap();
    std::fs::write(desk.path("keytab"), keytab.to_bytes().unwrap().expose()).unwrap();
    let path = desk.path("keytab").display().to_string();
    desk.ok("kvno", &["-k", &path, "HTTP/web.b.test@B.TEST"], "");
}

#[test]
fn cross_realm_by_referral() {
    let (_a, _b, desk) = two_realms();
    desk.ok("kinit", &["alice@A.TEST"], "password\n");
    // Without [domain_realm] MIT asks the realm of its own ticket, which refers to the other.
    let conf = std::fs::read_to_string(desk.path("krb5.conf")).unwrap();
    let (front, _) = conf.split_once("[domain_realm]").unwrap();
    std::fs::write(desk.path("krb5.conf"), front).unwrap();
    let text = desk.ok("kvno", &["-S", "HTTP", "web.b.test"], "");
    assert!(text.contains("HTTP/web.b.test"), "{text}");
    let list = desk.ok("klist", &[], "");
    assert!(
        list.contains("Ticket server: HTTP/web.b.test@B.TEST"),
        "{list}"
    );
}

#[test]
fn a_dead_kdc_is_told() {
    let (server, desk) = login("    udp_preference_limit = 1");
    drop(server);
    let error = desk.fails("kinit", &["alice"], "password\n");
    assert!(error.contains("Cannot contact any KDC"), "{error}");
}

#[test]
fn the_server_ends_when_it_is_dropped() {
    let realm = realm();
    let server = TestKdcServer::start(Arc::clone(&realm)).unwrap();
    let held = std::net::TcpStream::connect(server.address()).unwrap();
    let began = std::time::Instant::now();
    drop(server);
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(held);
    // Every thread of the server holds the realm while it runs.
    assert_eq!(Arc::strong_count(&realm), 1);
}
