//! curl logs in by NTLM and by Negotiate to a small HTTP server over Trihound's acceptor.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use trihound::environment::load_config_from;
use trihound::ntlm::{LocalVerifier, MemoryAccounts};
use trihound::sspi::{AcceptorAttributes, ContextAttribute, ContextAttributeValue};
use trihound::{
    NtlmPolicy, NtlmRule, Package, SecurityContext, Server, ServerBuilder, ServerHandshake,
};
use trihound_interop::{Finished, Scratch};
use trihound_secret::SecretString;

use crate::world::{World, finished, peers};

/// Longer than any peer is silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server of HTTP/1.1 on a port of its own. A connection that has logged in stays so, as both schemes
/// have it.
struct Site {
    port: u16,
    connections: Arc<AtomicUsize>,
    refusals: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

impl Site {
    fn new(scheme: &'static str, server: Server) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let site = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            refusals: Arc::default(),
            over: Arc::default(),
        };
        let (connections, refusals) = (Arc::clone(&site.connections), Arc::clone(&site.refusals));
        let over = Arc::clone(&site.over);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                connections.fetch_add(1, Ordering::SeqCst);
                let (server, refusals) = (server.clone(), Arc::clone(&refusals));
                thread::spawn(move || {
                    Visit {
                        scheme,
                        server,
                        refusals,
                        handshake: None,
                        user: None,
                    }
                    .serve(&stream);
                });
            }
        });
        site
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn refusals(&self) -> Vec<String> {
        self.refusals.lock().unwrap().clone()
    }

    /// curl for two pages of the site, one after the other; prints each page and each status.
    fn curl(&self, mut command: Command, arguments: &[&str]) -> Finished {
        let url = |page: &str| format!("http://localhost:{}/{page}", self.port);
        // First, as it must be: a .curlrc of whoever runs the tests has no say.
        command
            .arg("--disable")
            .args(["--silent", "--show-error", "--ipv4", "--max-time", "60"])
            .args(["--noproxy", "*", "--write-out", "[%{http_code}]\n"])
            .args(arguments)
            .args([url("one"), url("two")]);
        let done = finished(command, "");
        assert!(done.success(), "{done}");
        done
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listener, so that its thread sees that it is over.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// One connection.
struct Visit {
    scheme: &'static str,
    server: Server,
    refusals: Arc<Mutex<Vec<String>>>,
    handshake: Option<ServerHandshake>,
    user: Option<String>,
}

impl Visit {
    fn serve(mut self, mut stream: &TcpStream) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = Request::read(&mut reader) {
            let answer = self.answer(&request);
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&mut self, request: &Request) -> String {
        if let Some(token) = request.token(self.scheme) {
            // Whoever begins again is nobody until it is through.
            self.user = None;
            return self.step(&token);
        }
        match &self.user {
            Some(user) => reply("200 OK", None, &format!("{} for {user}\n", request.page)),
            None => self.unauthorised(None),
        }
    }

    fn step(&mut self, token: &[u8]) -> String {
        let mut handshake = self
            .handshake
            .take()
            .unwrap_or_else(|| self.server.handshake());
        match handshake.step(token) {
            Ok(leg) if leg.complete => {
                let user = client(&handshake.into_context().unwrap());
                let page = format!("welcome {user}\n");
                self.user = Some(user);
                let header = leg.token.map(|token| self.header(&token));
                reply("200 OK", header.as_deref(), &page)
            }
            Ok(leg) => {
                self.handshake = Some(handshake);
                self.unauthorised(leg.token.as_deref())
            }
            Err(refused) => {
                self.refusals.lock().unwrap().push(refused.to_string());
                self.unauthorised(None)
            }
        }
    }

    fn header(&self, token: &[u8]) -> String {
        format!("WWW-Authenticate: {} {}", self.scheme, encode(token))
    }

    fn unauthorised(&self, token: Option<&[u8]>) -> String {
        let header = match token {
            Some(token) => self.header(token),
            None => format!("WWW-Authenticate: {}", self.scheme),
        };
        reply("401 Unauthorized", Some(&header), "who are you?\n")
    }
}

fn client(context: &SecurityContext) -> String {
    match context.query(ContextAttribute::NativeNames).unwrap() {
        ContextAttributeValue::NativeNames(names) => names.client_name,
        other => panic!("{other:?}"),
    }
}

fn reply(status: &str, header: Option<&str>, page: &str) -> String {
    let header = header.map(|line| format!("{line}\r\n")).unwrap_or_default();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n{header}Content-Length: {}\r\n\r\n{page}",
        page.len()
    )
}

/// The head of a GET request, which is all of it.
struct Request {
    page: String,
    authorization: Option<String>,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        reader
            .read_line(&mut line)
            .ok()
            .filter(|count| *count > 0)?;
        let page = line.split(' ').nth(1)?.trim_start_matches('/').to_owned();
        let mut authorization = None;
        loop {
            let mut line = String::new();
            reader
                .read_line(&mut line)
                .ok()
                .filter(|count| *count > 0)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                return Some(Self {
                    page,
                    authorization,
                });
            };
            if name.eq_ignore_ascii_case("authorization") {
                authorization = Some(value.trim().to_owned());
            }
        }
    }

    fn token(&self, scheme: &str) -> Option<Vec<u8>> {
        let (name, token) = self.authorization.as_deref()?.split_once(' ')?;
        name.eq_ignore_ascii_case(scheme)
            .then(|| decode(token.trim()))
    }
}

/// RFC 4648 section 4.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let value = (0..3).fold(0u32, |value, at| {
            value << 8 | u32::from(chunk.get(at).copied().unwrap_or(0))
        });
        for at in 0..4 {
            let digit = ALPHABET[(value >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { digit.into() } else { '=' });
        }
    }
    text
}

fn decode(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .trim_end_matches('=')
        .bytes()
        .map(|digit| (0u32..).zip(ALPHABET).find(|(_, known)| **known == digit))
        .map(|found| found.unwrap().0)
        .collect();
    let mut bytes = Vec::new();
    for chunk in digits.chunks(4) {
        let value = (0..4).fold(0, |value, at| {
            value << 6 | chunk.get(at).copied().unwrap_or(0)
        });
        bytes.extend(&value.to_be_bytes()[1..chunk.len()]);
    }
    bytes
}

#[test]
fn what_is_encoded_is_decoded() {
    assert_eq!(encode(b"fooba"), "Zm9vYmE=");
    for length in 0..9u8 {
        let bytes: Vec<u8> = (0..length).map(|n| 251 - n).collect();
        assert_eq!(decode(&encode(&bytes)), bytes);
    }
}

/// A client that only logs in asks for no protection of messages, so none is required.
fn builder(package: Package) -> ServerBuilder {
    let password = SecretString::from("Wonder-Land-7");
    let accounts = MemoryAccounts::new().with_password("TRIHOUND", "alice", password);
    Server::builder()
        .package(package)
        .require(AcceptorAttributes::empty())
        .ntlm_policy(NtlmPolicy::both(NtlmRule::Allow))
        .ntlm_verifier(Arc::new(LocalVerifier::new(accounts)))
}

fn ntlm_site() -> Site {
    Site::new("NTLM", builder(Package::Ntlm).build().unwrap())
}

fn negotiate_site(world: &World) -> Site {
    let config = load_config_from(world.realm.variable("KRB5_CONFIG").as_ref()).unwrap();
    let server = builder(Package::Negotiate)
        .config(config)
        .keytab(world.path("service.keytab").as_str())
        .build()
        .unwrap();
    Site::new("Negotiate", server)
}

#[track_caller]
fn both_pages(done: &Finished, user: &str) {
    let wanted = format!("welcome {user}\n[200]\ntwo for {user}\n[200]\n");
    assert_eq!(done.stdout, wanted, "{done}");
}

/// curl asks for neither signing nor sealing and promises no MIC.
#[test]
fn curl_logs_in_by_ntlm_and_the_connection_stays_so() {
    if peers().is_none() {
        return;
    }
    let site = ntlm_site();
    let done = site.curl(
        Command::new("curl"),
        &["--ntlm", "--user", "TRIHOUND\\alice:Wonder-Land-7"],
    );
    both_pages(&done, "TRIHOUND\\alice");
    assert_eq!(site.connections(), 1, "{done}");
    assert!(site.refusals().is_empty());
}

#[test]
fn curl_with_a_wrong_password_user_or_domain_is_asked_again() {
    if peers().is_none() {
        return;
    }
    for login in [
        "TRIHOUND\\alice:wrong",
        "TRIHOUND\\carol:Wonder-Land-7",
        "ELSEWHERE\\alice:Wonder-Land-7",
    ] {
        let site = ntlm_site();
        let done = site.curl(Command::new("curl"), &["--ntlm", "--user", login]);
        let page = "who are you?\n[401]\n";
        assert_eq!(done.stdout, page.repeat(2), "{done}");
        assert!(!site.refusals().is_empty());
        for refusal in site.refusals() {
            assert!(refusal.contains("SEC_E_LOGON_DENIED"), "{refusal}");
        }
    }
}

/// With the realm's ticket curl speaks Kerberos inside SPNEGO.
#[test]
fn curl_logs_in_by_negotiate_with_a_ticket() {
    let Some(world) = World::new() else { return };
    world.logged_in(crate::world::Make::Mit, "cc", &["alice"]);
    let site = negotiate_site(&world);
    let command = world.realm.command("curl", &world.scratch.cache("cc"));
    let done = site.curl(command, &["--negotiate", "--user", ":"]);
    // Kerberos proves each request to curl, on the same connection.
    let page = format!(
        "welcome alice@{}\n[200]\n",
        world.realm.variable("KDC_REALM")
    );
    assert_eq!(done.stdout, page.repeat(2), "{done}");
    assert_eq!(site.connections(), 1, "{done}");
    assert!(site.refusals().is_empty());
}

/// Without a ticket libgssapi offers NTLM, which gss-ntlmssp does inside SPNEGO.
#[test]
fn curl_logs_in_by_negotiate_with_ntlm_inside() {
    let Some(world) = World::new() else { return };
    let accounts = Scratch::new().unwrap();
    for (password, right) in [("Wonder-Land-7", true), ("wrong", false)] {
        std::fs::write(
            accounts.join("users"),
            format!("TRIHOUND:alice:{password}\n"),
        )
        .unwrap();
        let site = negotiate_site(&world);
        let mut command = world.realm.command("curl", &world.scratch.cache("none"));
        command
            .env("NTLM_USER_FILE", accounts.join("users"))
            .env("NETBIOS_COMPUTER_NAME", "TRIBOX")
            .env("KRB5_CLIENT_KTNAME", accounts.join("no-keys"));
        let done = site.curl(command, &["--negotiate", "--user", ":"]);
        if right {
            both_pages(&done, "TRIHOUND\\alice");
            assert_eq!(site.connections(), 1, "{done}");
        } else {
            assert!(done.stdout.contains("[401]"), "{done}");
            assert!(!done.stdout.contains("[200]"), "{done}");
            let refusals = site.refusals();
            assert!(
                refusals
                    .iter()
                    .any(|refusal| refusal.contains("SEC_E_LOGON_DENIED")),
                "{refusals:?}"
            );
        }
    }
}
