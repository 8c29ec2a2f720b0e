//! Each example runs, as a process of its own, against an embedded KDC on sockets.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use trihound::environment::write_keytab;
use trihound_test_realm::{TestKdcServer, TestRealm};

use crate::support::{Directory, REALM};

/// A machine with a krb5.conf, keytabs and a KDC.
struct Machine {
    directory: Directory,
    kdc: TestKdcServer,
}

/// A service under way, ended with its handle.
struct Service {
    process: Child,
    address: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Machine {
    fn new() -> Self {
        let realm = TestRealm::builder(REALM)
            .principal("alice", "password")
            .service("host/localhost")
            .service("relay/localhost")
            .build()
            .unwrap();
        let directory = Directory::new();
        for (file, principals) in [
            ("keytab", ["host/localhost"]),
            ("client.keytab", ["alice"]),
            ("relay.keytab", ["relay/localhost"]),
        ] {
            let keytab = realm.keytab(&principals).unwrap();
            write_keytab(&directory.0.join(file), &keytab).unwrap();
        }
        let kdc = TestKdcServer::start(realm).unwrap();
        fs::write(directory.0.join("krb5.conf"), kdc.krb5_conf()).unwrap();
        Self { directory, kdc }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.0.join(file)
    }

    fn example(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program(name));
        command
            .args(arguments)
            .env("KRB5_CONFIG", self.path("krb5.conf"))
            .env("KRB5CCNAME", self.path("cc"))
            .env("KRB5_KTNAME", self.path("keytab"))
            .env("KRB5_CLIENT_KTNAME", self.path("client.keytab"))
            .env_remove("KRB5_TRACE");
        command
    }

    fn run(&self, name: &str, arguments: &[&str], input: &str) -> Output {
        let mut process = self
            .example(name, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = process.stdin.take().unwrap();
        pipe.write_all(input.as_bytes()).unwrap();
        drop(pipe);
        process.wait_with_output().unwrap()
    }

    fn start(&self, name: &str, arguments: &[&str]) -> Service {
        let mut process = self
            .example(name, arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").map(str::to_owned);
        // What it says later is read, so that it does not wait for somebody to do so.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let mut service = Service {
            process,
            address: String::new(),
        };
        service.address = address.unwrap_or_else(|| panic!("{name} says {line:?}"));
        service
    }

    fn call(&self, target: &str, service: &Service, message: &str) -> String {
        let output = self.run("client", &[target, &service.address, message], "");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().unwrap().parent().unwrap().join("examples");
    let program = built.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.exists(),
        "{} is not built; run the whole of `cargo test -p trihound`, which builds the examples",
        program.display()
    );
    program
}

#[test]
fn the_client_and_the_server_of_ten_lines() {
    let machine = Machine::new();
    let server = machine.start("server", &["127.0.0.1:0"]);
    for message in ["hello", "hello again"] {
        assert_eq!(
            machine.call("host/localhost", &server, message),
            format!("host/localhost@EXAMPLE.TEST says: {message}\n")
        );
    }
    let output = machine.run("client", &["host/absent", &server.address, "x"], "");
    assert!(!output.status.success());
}

#[cfg(feature = "tokio")]
#[test]
fn the_echo_service_on_tokio() {
    let machine = Machine::new();
    let server = machine.start("async_echo", &["127.0.0.1:0"]);
    assert_eq!(
        machine.call("host/localhost", &server, "hello"),
        "host/localhost@EXAMPLE.TEST says: hello\n"
    );
}

#[test]
fn the_relay_that_keeps_its_tickets() {
    let machine = Machine::new();
    let server = machine.start("server", &["127.0.0.1:0"]);
    let keytab = machine.path("relay.keytab");
    let relay = machine.start(
        "relay",
        &[
            "127.0.0.1:0",
            "relay/localhost",
            keytab.to_str().unwrap(),
            "host/localhost",
            &server.address,
        ],
    );
    assert_eq!(
        machine.call("relay/localhost", &relay, "through two contexts"),
        "relay/localhost@EXAMPLE.TEST says: through two contexts\n"
    );
}

#[test]
fn the_transport_of_ones_own() {
    let machine = Machine::new();
    let kdc = machine.kdc.address().to_string();
    let arguments = [kdc.as_str(), "alice@EXAMPLE.TEST", "host/localhost"];
    let output = machine.run("transport", &arguments, "password\n");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "a ticket for host/localhost is there\n"
    );
    let output = machine.run("transport", &arguments, "wrong\n");
    assert!(!output.status.success(), "{output:?}");
}
