//! krb5.conf as MIT's library reads it.

use std::process::Command;

use trihound_interop::{Finished, Scratch};

use crate::world::{BOTH, Make, finished, peers};

/// What a tool takes for the default realm under these files; `None` where it takes the files for
/// broken, or finds no default realm.
fn default_realm(make: Make, scratch: &Scratch, list: &str) -> (Option<String>, Finished) {
    let peers = peers().unwrap();
    let (program, subcommand) = make.tool(peers, "kinit");
    let place = |name: &str| scratch.path().join(name).display().to_string();
    let list: Vec<String> = list.split(':').map(place).collect();
    let mut command = Command::new(program);
    command
        .args(subcommand)
        .args(["-V", "-c", &place("cc"), "nobody"])
        .env("KRB5_CONFIG", list.join(":"));
    let finished = finished(command, "x\n");
    assert!(!finished.success(), "nobody can log in: {finished}");
    let all = format!("{}\n{}", finished.stdout, finished.stderr);
    let realm = all
        .lines()
        .find_map(|line| line.strip_prefix("Using principal: nobody@"))
        .map(str::to_owned);
    (realm, finished)
}

/// One relation, read through every part of the grammar; the KDC is looked for nowhere.
#[test]
fn files_are_read_as_mit_reads_them() {
    let Some(_) = peers() else { return };
    let quiet = "[libdefaults]\ndns_lookup_kdc = false\n";
    for (name, files, list, expected) in [
        ("plain", &[("a", "default_realm = A\n")][..], "a", Some("A")),
        (
            "first value",
            &[("a", "default_realm = A\ndefault_realm = B\n")],
            "a",
            Some("A"),
        ),
        (
            "quotes",
            &[("a", "default_realm = \"A\" and more\n")],
            "a",
            Some("A"),
        ),
        (
            "open quotes",
            &[("a", "default_realm = \"A\n")],
            "a",
            Some("A"),
        ),
        (
            "escapes",
            &[("a", "default_realm = \"A\\\\B\"\n")],
            "a",
            Some("A\\\\B"),
        ),
        (
            "no comment behind",
            &[("a", "default_realm = A#b\n")],
            "a",
            Some("A#b"),
        ),
        (
            "first file",
            &[
                ("a", "default_realm = A\n"),
                ("b", "[libdefaults]\ndefault_realm = B\n"),
            ],
            "a:b",
            Some("A"),
        ),
        (
            "later file",
            &[("a", ""), ("b", "[libdefaults]\ndefault_realm = B\n")],
            "a:b",
            Some("B"),
        ),
        (
            "missing file",
            &[("a", "default_realm = A\n")],
            "none:a",
            Some("A"),
        ),
        (
            "final section",
            &[
                ("a", "[libdefaults]*\n"),
                ("b", "[libdefaults]\ndefault_realm = B\n"),
            ],
            "a:b",
            None,
        ),
        (
            "final elsewhere",
            &[
                ("a", "[realms]*\n"),
                ("b", "[libdefaults]\ndefault_realm = B\n"),
            ],
            "a:b",
            Some("B"),
        ),
        (
            "include",
            &[
                ("a", "include {}/b\n"),
                ("b", "[libdefaults]\ndefault_realm = B\n"),
            ],
            "a",
            Some("B"),
        ),
        (
            "include before",
            &[
                ("b", "[libdefaults]\ndefault_realm = B\n"),
                ("a", "include {}/b\ndefault_realm = A\n"),
            ],
            "a",
            Some("B"),
        ),
        (
            "include in braces",
            &[
                ("a", "x = {\ninclude {}/b\n}\n"),
                ("b", "[libdefaults]\ndefault_realm = B\n"),
            ],
            "a",
            Some("B"),
        ),
        (
            "stray lines included",
            &[
                ("a", "include {}/b\ndefault_realm = A\n"),
                ("b", "default_realm = B\n"),
            ],
            "a",
            Some("A"),
        ),
        (
            "missing include",
            &[("a", "include {}/none\ndefault_realm = A\n")],
            "a",
            None,
        ),
        (
            "directory",
            &[
                ("a", "includedir {}/d\n"),
                ("d/2.conf", "[libdefaults]\ndefault_realm = TWO\n"),
                ("d/1", "[libdefaults]\ndefault_realm = ONE\n"),
            ],
            "a",
            Some("ONE"),
        ),
        (
            "names in a directory",
            &[
                ("a", "includedir {}/d\ndefault_realm = A\n"),
                ("d/1~", "[libdefaults]\ndefault_realm = B\n"),
                ("d/.x.conf", "[libdefaults]\ndefault_realm = C\n"),
            ],
            "a",
            Some("A"),
        ),
        (
            "directory in the list",
            &[(
                "d/x.conf",
                "[libdefaults]\ndefault_realm = X\ndns_lookup_kdc = false\n",
            )],
            "d",
            Some("X"),
        ),
        (
            "sections twice",
            &[("a", "[realms]\n[libdefaults]\ndefault_realm = A\n")],
            "a",
            Some("A"),
        ),
        (
            "brace on the next line",
            &[("a", "x =\n{\ny = z\n}\ndefault_realm = A\n")],
            "a",
            Some("A"),
        ),
        (
            "text behind a brace",
            &[("a", "x = {\ny = z\n} # done\ndefault_realm = A\n")],
            "a",
            Some("A"),
        ),
        (
            "relation syntax",
            &[("a", "default_realm = A\noops\n")],
            "a",
            None,
        ),
        (
            "blank in a name",
            &[("a", "default realm = A\n")],
            "a",
            None,
        ),
        ("extra brace", &[("a", "default_realm = A\n}\n")], "a", None),
        (
            "section in braces",
            &[("a", "default_realm = A\nx = {\n[realms]\n")],
            "a",
            None,
        ),
        (
            "section syntax",
            &[("a", "default_realm = A\n[realms\n")],
            "a",
            None,
        ),
        (
            "no brace",
            &[("a", "default_realm = A\nx =\ny = z\n")],
            "a",
            None,
        ),
    ] {
        let scratch = Scratch::new().unwrap();
        let root = scratch.path().display().to_string();
        for (file, text) in files {
            let path = scratch.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = text.replace("{}", &root);
            let head = if *file == "a" { quiet } else { "" };
            std::fs::write(path, format!("{head}{text}")).unwrap();
        }
        for make in BOTH {
            let (realm, finished) = default_realm(make, &scratch, list);
            assert_eq!(realm.as_deref(), expected, "{name}: {make:?}\n{finished}");
            if expected.is_none() && make == Make::Ours && !name.starts_with("final") {
                // Ours says which line.
                assert!(finished.stderr.contains(", line "), "{name}: {finished}");
            }
        }
    }
}
