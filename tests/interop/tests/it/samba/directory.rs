//! Samba's own tools over tickets that ours got.

use super::World;
use crate::world::{Make, finished, succeeded};

/// SMB, signed and encrypted, LDAP and RPC, each with Kerberos from a credential cache of ours.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn sambas_clients_use_our_tickets() {
    let world = World::new();
    world.logged_in(Make::Ours, "cc", &["alice"]);
    let cache = world.scratch.join("cc").display().to_string();
    let ccache = format!("--use-krb5-ccache={cache}");
    let host = world.domain.variable("SAMBA_HOST");
    let configuration = format!("--configfile={}", world.domain.variable("SAMBA_CONF"));
    let kerberos = ["--use-kerberos=required", &ccache, &configuration];
    let samba = |program: &str, arguments: &[&str]| {
        let mut command = world.domain.command(program, &world.scratch.cache("cc"));
        command.args(kerberos).args(arguments);
        finished(command, "")
    };
    let share = format!("//{host}/share");
    for protection in ["sign", "encrypt"] {
        let protection = format!("--client-protection={protection}");
        let listed = samba("smbclient", &[&share, &protection, "-c", "ls"]);
        succeeded(&listed);
        assert!(listed.stdout.contains("leaves.txt"), "{listed}");
    }
    let found = samba(
        "ldbsearch",
        &[
            "-H",
            &format!("ldap://{host}"),
            "(sAMAccountName=alice)",
            "userPrincipalName",
        ],
    );
    succeeded(&found);
    assert!(
        found
            .stdout
            .contains("userPrincipalName: alice.liddell@trees.example"),
        "{found}"
    );
    let binding = format!("ncacn_ip_tcp:{host}[seal]");
    let told = samba("rpcclient", &[&binding, "-c", "querydominfo"]);
    succeeded(&told);
    assert!(told.stdout.contains("WOODS"), "{told}");
    // Each service's ticket went into the cache that was handed in.
    let kept = world.run::<&str>(Make::Ours, "cc", "klist", &[]);
    assert!(kept.stdout.contains(&format!("cifs/{host}@")), "{kept}");
    assert!(kept.stdout.contains(&format!("ldap/{host}@")), "{kept}");
}
