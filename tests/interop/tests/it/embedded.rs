//! MIT's tools against `trihound kdc`.

use std::fs;
use std::process::Command;

use trihound_interop::{Background, Scratch};

use crate::world::{BOTH, Make, finished, peers, refused, succeeded};

const SETTINGS: &str = "
realm = \"EMBEDDED.TEST\"
max_life = \"10h\"
max_renewable_life = \"7d\"

[[principal]]
name = \"alice\"
password = \"Wonder-Land-7\"

[[principal]]
name = \"bob\"
password = \"Builder-Can-8\"
requires_preauth = false

[[principal]]
name = \"locked\"
password = \"secret\"
locked = true

[[principal]]
name = \"HTTP/localhost\"
";

#[test]
fn mit_logs_in_against_trihound_kdc() {
    let Some(peers) = peers() else { return };
    let scratch = Scratch::new().unwrap();
    fs::write(scratch.join("realm.toml"), SETTINGS).unwrap();
    let mut kdc = Command::new(&peers.program);
    kdc.arg("kdc")
        .arg(scratch.join("realm.toml"))
        .arg("--krb5-conf")
        .arg(scratch.join("krb5.conf"))
        .arg("--keytab")
        .arg(scratch.join("service.keytab"));
    let mut kdc = Background::start(kdc).unwrap();
    kdc.wait_for_line("listening ").unwrap();

    let tcp = fs::read_to_string(scratch.join("krb5.conf"))
        .unwrap()
        .replacen(
            "[libdefaults]\n",
            "[libdefaults]\n  udp_preference_limit = 1\n",
            1,
        );
    fs::write(scratch.join("tcp.conf"), tcp).unwrap();
    for conf in ["krb5.conf", "tcp.conf"] {
        for make in BOTH {
            let run = |name: &str, arguments: &[&str], input: &str| {
                let (program, subcommand) = make.tool(peers, name);
                let mut command = Command::new(program);
                command
                    .env("KRB5_CONFIG", scratch.join(conf))
                    .env("KRB5CCNAME", scratch.cache("cc"))
                    .env("LC_ALL", "C.UTF-8")
                    .args(subcommand)
                    .args(arguments);
                finished(command, input)
            };
            for (user, password) in [("alice", "Wonder-Land-7\n"), ("bob", "Builder-Can-8\n")] {
                succeeded(&run("kinit", &["-r", "1d", user], password));
                let keytab = scratch.join("service.keytab").display().to_string();
                let asked = run("kvno", &["-k", &keytab, "HTTP/localhost"], "");
                succeeded(&asked);
                assert!(asked.stdout.contains("keytab entry valid"), "{asked}");
                succeeded(&run("kinit", &["-R"], ""));
                succeeded(&run("klist", &["-s"], ""));
            }
            refused(&run("kinit", &["alice"], "wrong\n"), &["assword"]);
            refused(
                &run("kinit", &["locked"], "secret\n"),
                &["revoked", "REVOKED"],
            );
            let unknown = run("kvno", &["HTTP/nowhere"], "");
            refused(&unknown, &["HTTP/nowhere"]);
            if make == Make::Mit {
                assert!(unknown.stderr.contains("not found"), "{unknown}");
            }
        }
    }
}
