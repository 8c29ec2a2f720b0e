//! Each example runs, as a process of its own, against an embedded KDC on sockets.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use trihound::environment::{read_cache, read_keytab, write_cache, write_keytab};
use trihound::krb5::{CredentialCache, Principal};
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

/// What a newcomer copies first has been compiled and run.
#[test]
fn the_lines_of_the_readme_are_those_of_the_client() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    };
    let readme = fs::read_to_string(root.join("../../README.md")).unwrap();
    let (_, block) = readme.split_once("```rust\n").unwrap();
    let shown = lines(block.split_once("```").unwrap().0);
    let example = lines(&fs::read_to_string(root.join("examples/client.rs")).unwrap());
    assert!(shown.len() >= 6, "{shown:?}");
    assert!(
        example.windows(shown.len()).any(|part| part == shown),
        "{shown:#?}"
    );
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
            .env_remove("KRB5_TRACE")
            .env_remove("TRIHOUND_NTLM")
            .env_remove("NTLM_USER_FILE")
            .env_remove("NTLM_HASH_FILE");
        command
    }

    fn run(&self, name: &str, arguments: &[&str], input: &str) -> Output {
        finish(&mut self.example(name, arguments), input)
    }

    /// What a run of an example tells in the file that KRB5_TRACE names.
    fn traced(&self, name: &str, arguments: &[&str], input: &str) -> (Output, String) {
        let file = self.path("trace");
        let mut command = self.example(name, arguments);
        let output = finish(command.env("KRB5_TRACE", &file), input);
        (output, fs::read_to_string(file).unwrap_or_default())
    }

    fn start(&self, name: &str, arguments: &[&str]) -> Service {
        listening(name, &mut self.example(name, arguments))
    }

    fn call(&self, target: &str, service: &Service, message: &str) -> String {
        let output = self.run("client", &[target, &service.address, message], "");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn finish(command: &mut Command, input: &str) -> Output {
    let mut process = command
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

/// A service, once it listens.
fn listening(name: &str, command: &mut Command) -> Service {
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
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

/// Each of these is told, in this order.
fn assert_tells(trace: &str, sentences: &[&str]) {
    let mut rest = trace;
    for sentence in sentences {
        let Some((_, behind)) = rest.split_once(sentence) else {
            panic!("{sentence:?} is not told, or not in its turn, in\n{trace}");
        };
        rest = behind;
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

/// What the variables of the environment let NTLM do, and nothing where they say nothing.
#[test]
fn negotiation_uses_ntlm_only_where_the_variable_says_so() {
    let machine = Machine::new();
    let users = machine.path("users");
    fs::write(&users, "EXAMPLE.TEST:alice:password\n").unwrap();
    let mut server = machine.example("negotiate", &["accept", "127.0.0.1:0"]);
    server
        .env("TRIHOUND_NTLM", "incoming=allow")
        .env("NTLM_USER_FILE", &users);
    let server = listening("negotiate", &mut server);
    let call = |target: &str, ntlm: Option<&str>| {
        let arguments = ["init", target, &server.address, "hello"];
        let mut command = machine.example("negotiate", &arguments);
        command
            .env("USER_NAME", "alice@EXAMPLE.TEST")
            .env("PASSWORD", "password");
        if let Some(rule) = ntlm {
            command.env("TRIHOUND_NTLM", rule);
        }
        let output = finish(&mut command, "");
        let told = String::from_utf8(output.stdout).unwrap();
        (told, String::from_utf8(output.stderr).unwrap())
    };
    let (told, wrong) = call("host/localhost", None);
    assert!(told.starts_with("speaking Kerberos\n"), "{told}{wrong}");
    let (told, wrong) = call("host/127.0.0.1", Some("outgoing=audit"));
    assert!(told.starts_with("speaking NTLM\n"), "{told}{wrong}");
    assert!(told.ends_with("the service says: hello\n"), "{told}");
    for rule in [None, Some("deny"), Some("incoming=allow")] {
        let (told, wrong) = call("host/127.0.0.1", rule);
        assert_eq!(told, "", "{rule:?}");
        assert!(wrong.contains("SEC_E_TARGET_UNKNOWN"), "{rule:?}: {wrong}");
        assert!(wrong.contains("TRIHOUND_NTLM"), "{rule:?}: {wrong}");
    }
    let (_, wrong) = call("host/localhost", Some("please"));
    assert!(wrong.contains("TRIHOUND_NTLM=\"please\""), "{wrong}");
}

/// The first account of the file is whoever nobody else is; a broken file is told at the start.
#[test]
fn accounts_of_the_environment_serve_who_has_no_tickets() {
    let machine = Machine::new();
    let users = machine.path("users");
    fs::write(&users, "EXAMPLE.TEST:bob:password\n").unwrap();
    let example = |arguments: &[&str]| {
        let mut command = machine.example("negotiate", arguments);
        command
            .env("TRIHOUND_NTLM", "allow")
            .env("NTLM_USER_FILE", &users)
            .env("KRB5_CLIENT_KTNAME", machine.path("none"))
            .env("KRB5_KTNAME", machine.path("none"));
        command
    };
    let server = listening("negotiate", &mut example(&["accept", "127.0.0.1:0"]));
    let arguments = ["init", "host/localhost", &server.address, "hello"];
    let output = finish(&mut example(&arguments), "");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.starts_with("speaking NTLM\n"), "{told}");
    fs::write(&users, "EXAMPLE.TEST:bob:password\nhunter2\n").unwrap();
    let output = finish(&mut example(&arguments), "");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("line 2 ") && !told.contains("hunter2"),
        "{told}"
    );
    assert!(told.contains("SEC_E_CANNOT_INSTALL"), "{told}");
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

#[test]
fn krb5_trace_tells_the_login_of_a_client_and_none_of_its_secrets() {
    let machine = Machine::new();
    let server = machine.start("server", &["127.0.0.1:0"]);
    // A cache of alice, so that her tickets are kept where the test finds them.
    let alice = Principal::parse("alice", Some(REALM)).unwrap();
    write_cache(&machine.path("cc"), &CredentialCache::new(alice)).unwrap();
    let arguments = ["host/localhost", server.address.as_str(), "hello"];
    let (output, trace) = machine.traced("client", &arguments, "");
    assert!(output.status.success(), "{output:?}");
    let cache = format!("FILE:{}", machine.path("cc").display());
    let kept =
        |service: &str| format!("Kept ticket of alice@{REALM} for {service}@{REALM} in {cache}");
    assert_tells(
        &trace,
        &[
            &format!("Getting initial credentials for alice@{REALM}"),
            "KDC_ERR_PREAUTH_REQUIRED",
            &kept(&format!("krbtgt/{REALM}")),
            &format!("Asking realm {REALM} for a ticket for host/localhost@{REALM}"),
            &kept("host/localhost"),
            &format!(
                "Found ticket of alice@{REALM} for host/localhost@{REALM} in {cache}, valid until "
            ),
            &format!("The security context of alice@{REALM} with host/localhost@{REALM}"),
        ],
    );
    let told = trace.to_ascii_lowercase();
    let tickets = read_cache(&machine.path("cc")).unwrap().credentials;
    assert_eq!(tickets.len(), 2);
    let keytab = |file: &str| read_keytab(&machine.path(file)).unwrap();
    let keytabs = [keytab("keytab"), keytab("client.keytab")];
    let keys = keytabs.iter().flat_map(trihound::krb5::Keytab::entries);
    let secrets = tickets
        .iter()
        .flat_map(|ticket| [ticket.session_key.expose().to_vec(), ticket.ticket.clone()])
        .chain(keys.map(|entry| entry.key.expose().to_vec()));
    for secret in secrets {
        for window in secret.windows(4) {
            let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
            let list = format!("{window:?}");
            assert!(
                !told.contains(&hex) && !told.contains(list.trim_matches(['[', ']'])),
                "bytes of a secret"
            );
        }
    }
    // The variable is not followed where it is not set.
    fs::remove_file(machine.path("trace")).unwrap();
    assert!(machine.run("client", &arguments, "").status.success());
    assert!(!machine.path("trace").exists());
}

#[test]
fn krb5_trace_tells_what_a_server_accepts() {
    let machine = Machine::new();
    let file = machine.path("trace");
    let mut command = machine.example("server", &["127.0.0.1:0"]);
    command.env("KRB5_TRACE", &file);
    let server = listening("server", &mut command);
    machine.call("host/localhost", &server, "hello");
    let trace = fs::read_to_string(file).unwrap();
    assert_tells(
        &trace,
        &[
            "Decrypted the ticket with version ",
            &format!("Accepted alice@{REALM} at host/localhost@{REALM}"),
        ],
    );
}

#[test]
fn krb5_trace_tells_of_init_security_interface_too() {
    let machine = Machine::new();
    let (output, trace) = machine.traced("sspi", &["host/localhost"], "");
    assert!(output.status.success(), "{output:?}");
    assert_tells(
        &trace,
        &[
            &format!("Getting initial credentials for alice@{REALM}"),
            &format!("Creating authenticator of alice@{REALM} for host/localhost@{REALM}"),
        ],
    );
}

#[test]
fn krb5_trace_tells_that_there_is_no_primary_kdc() {
    let machine = Machine::new();
    let kdc = machine.kdc.address().to_string();
    let mut command = machine.example("transport", &[&kdc, "alice@EXAMPLE.TEST", "host/localhost"]);
    let file = machine.path("trace");
    let output = finish(command.env("KRB5_TRACE", &file), "wrong\n");
    assert!(!output.status.success(), "{output:?}");
    let trace = fs::read_to_string(file).unwrap();
    assert_tells(
        &trace,
        &[
            "KDC_ERR_PREAUTH_FAILED",
            "Asking the primary KDC of realm EXAMPLE.TEST",
            "No primary KDC of realm EXAMPLE.TEST can be asked",
        ],
    );
    assert!(!trace.contains("wrong"), "{trace}");
}

/// A service goes on after clients that speak something else, or nothing.
#[test]
fn a_bad_client_does_not_end_the_server() {
    let machine = Machine::new();
    let server = machine.start("server", &["127.0.0.1:0"]);
    for bad in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b""] {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(bad).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // The server's end closes the connection.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(
        machine.call("host/localhost", &server, "still here"),
        "host/localhost@EXAMPLE.TEST says: still here\n"
    );
}
