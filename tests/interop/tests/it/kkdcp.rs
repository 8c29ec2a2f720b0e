//! Logins through kdcproxy, which speaks MS-KKDCP over TLS in front of the MIT KDC.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use trihound_interop::{Background, Finished, run_to_end};

use crate::world::{World, finished, succeeded};

/// Names the program that was built with the feature kkdcp, if there is one already.
const PROGRAM: &str = "TRIHOUND_PROGRAM_HTTPS";

/// The program with HTTPS, built beside the other one so that neither takes the other's place.
fn program() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Some(path) = std::env::var_os(PROGRAM) {
            return path.into();
        }
        let own = std::env::current_exe().unwrap();
        let target = own.ancestors().nth(3).unwrap().join("https");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .args(["build", "-q", "-p", "trihound-cli", "--features", "kkdcp"])
            .arg("--target-dir")
            .arg(&target);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the program with HTTPS: {said}");
        target.join("debug/trihound")
    })
}

/// A proxy in front of the realm's KDC.
struct Proxy {
    world: World,
    server: Background,
    port: String,
}

impl Proxy {
    fn start() -> Option<Self> {
        let world = World::new()?;
        authority(&world, "ours");
        authority(&world, "other");
        let realm = world.realm.variable("KDC_REALM");
        let kdc = format!(
            "{}:{}",
            world.realm.variable("KDC_ADDRESS"),
            world.realm.variable("KDC_PORT")
        );
        // kdcproxy joins what it is told with what krb5.conf and DNS say, unless it is told not to.
        let config =
            format!("[global]\nuse_dns = false\n\n[{realm}]\nkerberos = kerberos+tcp://{kdc}\n");
        let path = world.scratch.join("kdcproxy.conf");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new("/usr/bin/python3");
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/kkdcp.py"))
            .arg(world.scratch.join("ours-leaf.pem"))
            .arg(world.scratch.join("ours-leaf.key"))
            .env("KDCPROXY_CONFIG", path);
        let mut server = Background::start(command).unwrap();
        let port = server
            .wait_for_line("listening ")
            .unwrap_or_else(|failure| panic!("{failure}; Debian's package python3-kdcproxy?"));
        Some(Self {
            world,
            server,
            port,
        })
    }

    /// Our kinit of alice, with these values in the realm's section in place of its KDC.
    fn login(&self, name: &str, program: &PathBuf, relations: &[String]) -> Finished {
        let base = std::fs::read_to_string(self.world.realm.variable("KRB5_CONFIG")).unwrap();
        let kdc = base.lines().find(|line| line.trim().starts_with("kdc = "));
        let text = base.replacen(kdc.unwrap(), &relations.join("\n"), 1);
        let path = self.world.scratch.join(format!("{name}.conf"));
        std::fs::write(&path, text).unwrap();
        finished(
            self.command(name, program, &["kinit", "alice"]),
            "Wonder-Land-7\n",
        )
    }

    fn command(&self, name: &str, program: &PathBuf, arguments: &[&str]) -> Command {
        let cache = self.world.scratch.cache(name);
        let mut command = self.world.realm.command(program, &cache);
        command
            .args(arguments)
            .env(
                "KRB5_CONFIG",
                self.world.scratch.join(format!("{name}.conf")),
            )
            .env_remove("SSL_CERT_FILE");
        command
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("kdc = https://{host}:{}{path}", self.port)
    }

    fn anchors(&self, authority: &str) -> String {
        let path = self.world.scratch.join(format!("{authority}.pem"));
        format!("http_anchors = FILE:{}", path.display())
    }
}

/// An authority, and a certificate of it for the name localhost and no other.
fn authority(world: &World, name: &str) {
    let path = |suffix: &str| {
        let path = world.scratch.join(format!("{name}{suffix}"));
        path.display().to_string()
    };
    let extensions = path(".ext");
    let text = "subjectAltName = DNS:localhost\nbasicConstraints = CA:FALSE\n";
    std::fs::write(&extensions, text).unwrap();
    let curve = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let (key, root) = (path(".key"), path(".pem"));
    let (leaf_key, request, leaf) = (path("-leaf.key"), path(".csr"), path("-leaf.pem"));
    let subject = format!("/CN={name} authority");
    let own = [
        "req", "-x509", "-days", "2", "-subj", &subject, "-keyout", &key, "-out", &root,
    ];
    openssl(&[&own[..], &curve].concat());
    let asked = [
        "req",
        "-subj",
        "/CN=localhost",
        "-keyout",
        &leaf_key,
        "-out",
        &request,
    ];
    openssl(&[&asked[..], &curve].concat());
    openssl(&[
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        &request,
        "-CA",
        &root,
        "-CAkey",
        &key,
        "-CAcreateserial",
        "-extfile",
        &extensions,
        "-out",
        &leaf,
    ]);
}

fn openssl(arguments: &[&str]) {
    let mut command = Command::new("openssl");
    command.args(arguments);
    succeeded(&run_to_end(command, "").unwrap());
}

/// Conformance row 183: a login and a service ticket, every message through the proxy.
#[test]
fn a_login_goes_through_the_proxy() {
    let Some(mut proxy) = Proxy::start() else {
        return;
    };
    let relations = [proxy.url("localhost", "/KdcProxy"), proxy.anchors("ours")];
    succeeded(&proxy.login("cc", program(), &relations));
    let command = proxy.command("cc", program(), &["kvno", "HTTP/localhost"]);
    succeeded(&finished(command, ""));
    // Two for the login, since the KDC asks for pre-authentication; one for the service.
    for _ in 0..3 {
        let line = proxy.server.wait_for_line("POST ").unwrap();
        assert_eq!(line, "/KdcProxy application/kerberos 200");
    }
}

#[test]
fn a_directory_and_the_environment_may_name_the_authority() {
    let Some(proxy) = Proxy::start() else { return };
    let folder = proxy.world.scratch.join("anchors");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(proxy.world.scratch.join("ours.pem"), folder.join("a.pem")).unwrap();
    let anchors = format!("http_anchors = DIR:{}", folder.display());
    let relations = [proxy.url("localhost", "/"), anchors];
    succeeded(&proxy.login("directory", program(), &relations));
    // With no anchors of the realm, those of the system count, which a variable may name.
    let relations = [proxy.url("localhost", "/")];
    let refused = proxy.login("system", program(), &relations);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    let mut command = proxy.command("system", program(), &["kinit", "alice"]);
    command.env("SSL_CERT_FILE", proxy.world.scratch.join("ours.pem"));
    succeeded(&finished(command, "Wonder-Land-7\n"));
}

/// Conformance row 183: the proxy's certificate and its name are verified.
#[test]
fn a_proxy_that_cannot_show_who_it_is_gets_no_message() {
    let Some(proxy) = Proxy::start() else { return };
    for (name, host, authority) in [
        ("other", "localhost", "other"),
        ("name", "127.0.0.1", "ours"),
    ] {
        let relations = [proxy.url(host, "/KdcProxy"), proxy.anchors(authority)];
        let refused = proxy.login(name, program(), &relations);
        assert_eq!(refused.status.code(), Some(1), "{refused}");
        assert!(refused.stderr.contains("certificate"), "{refused}");
        assert!(refused.stderr.contains("http_anchors"), "{refused}");
    }
    let seen = format!("{:?}", proxy.server);
    assert!(!seen.contains("POST"), "{seen}");
}

#[test]
fn a_redirect_is_not_followed_and_what_the_proxy_says_is_told() {
    let Some(proxy) = Proxy::start() else { return };
    let relations = [proxy.url("localhost", "/elsewhere"), proxy.anchors("ours")];
    let refused = proxy.login("redirect", program(), &relations);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(refused.stderr.contains("307"), "{refused}");
}

/// The default build brings no HTTPS and says what to do.
#[test]
fn a_program_without_https_says_so() {
    let Some(proxy) = Proxy::start() else { return };
    let relations = [proxy.url("localhost", "/KdcProxy"), proxy.anchors("ours")];
    let refused = proxy.login("without", &proxy.world.peers.program, &relations);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(refused.stderr.contains("feature kkdcp"), "{refused}");
}

/// Where the proxy is out of reach, the KDC itself is asked.
#[test]
fn a_proxy_that_is_gone_is_followed_by_the_kdc() {
    let Some(proxy) = Proxy::start() else { return };
    let kdc = format!(
        "kdc = {}:{}",
        proxy.world.realm.variable("KDC_ADDRESS"),
        proxy.world.realm.variable("KDC_PORT")
    );
    // Nothing listens at the discard port of loopback.
    let relations = ["kdc = https://localhost:9/KdcProxy".to_owned(), kdc];
    succeeded(&proxy.login("gone", program(), &relations));
}
