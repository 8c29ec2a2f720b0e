use std::fs;

use trihound_architecture::{
    DependencyKind, Edge, Graph, LongFiles, Package, Violation, lint_violations, source_violations,
    top_level_violations, violations,
};

/// A graph in order: asn1 and secret below krb5 below kerberos, one package from elsewhere, one test crate.
fn sound() -> Graph {
    let mut graph = Graph::default();
    for folder in [
        "crates/secret",
        "crates/asn1",
        "crates/crypto",
        "crates/sspi",
        "crates/krb5",
        "crates/kerberos",
        "tests/vectors",
    ] {
        let name = format!("trihound-{}", folder.rsplit('/').next().unwrap());
        add(&mut graph, &name, Some(folder));
    }
    add(&mut graph, "rasn", None);
    for (from, to) in [
        ("trihound-crypto", "trihound-secret"),
        ("trihound-krb5", "trihound-asn1"),
        ("trihound-krb5", "trihound-crypto"),
        ("trihound-kerberos", "trihound-krb5"),
        ("trihound-kerberos", "trihound-sspi"),
        ("trihound-asn1", "rasn"),
        ("trihound-vectors", "trihound-kerberos"),
    ] {
        link(&mut graph, from, to, DependencyKind::Normal);
    }
    graph
}

fn add<'a>(graph: &'a mut Graph, name: &str, folder: Option<&str>) -> &'a mut Package {
    let package = Package {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        licence: Some("MIT OR Apache-2.0".to_owned()),
        folder: folder.map(str::to_owned),
        ..Package::default()
    };
    graph.packages.entry(name.to_owned()).or_insert(package)
}

fn link(graph: &mut Graph, from: &str, to: &str, kind: DependencyKind) {
    graph.edges.insert(Edge {
        from: from.to_owned(),
        to: to.to_owned(),
        kind,
    });
}

/// The rules' answer to the sound graph with one thing changed.
fn with(change: impl FnOnce(&mut Graph)) -> Vec<Violation> {
    let mut graph = sound();
    change(&mut graph);
    violations(&graph)
}

fn with_package(name: &str, change: impl FnOnce(&mut Package)) -> Vec<Violation> {
    with(|graph| {
        change(add(graph, name, None));
        link(graph, "rasn", name, DependencyKind::Normal);
    })
}

#[test]
fn a_sound_graph_breaks_no_rule() {
    assert_eq!(with(|_| {}), []);
}

#[test]
fn an_arrow_upwards_or_sideways_is_found() {
    for kind in [DependencyKind::Normal, DependencyKind::Build] {
        let found = with(|graph| link(graph, "trihound-asn1", "trihound-krb5", kind));
        let up = Violation::Floor {
            from: "asn1".to_owned(),
            from_floor: 0,
            to: "krb5".to_owned(),
            to_floor: 2,
        };
        assert!(found.contains(&up), "{found:?}");
    }
    let found = with(|graph| {
        link(
            graph,
            "trihound-asn1",
            "trihound-secret",
            DependencyKind::Normal,
        );
    });
    let sideways = Violation::Floor {
        from: "asn1".to_owned(),
        from_floor: 0,
        to: "secret".to_owned(),
        to_floor: 0,
    };
    assert_eq!(found, [sideways]);
}

#[test]
fn a_dev_dependency_may_point_upwards() {
    let change = |graph: &mut Graph| {
        link(
            graph,
            "trihound-asn1",
            "trihound-krb5",
            DependencyKind::Development,
        );
    };
    assert_eq!(with(change), []);
}

#[test]
fn a_crate_without_a_floor_is_found() {
    let found = with(|graph| {
        add(graph, "trihound-cellar", Some("crates/cellar"));
    });
    assert_eq!(
        found,
        [Violation::NoFloor {
            folder: "cellar".to_owned()
        }]
    );
}

#[test]
fn a_product_crate_that_links_a_test_crate_is_found() {
    let found = with(|graph| {
        link(
            graph,
            "trihound-krb5",
            "trihound-vectors",
            DependencyKind::Normal,
        );
    });
    let expected = Violation::DependsOnTests {
        from: "trihound-krb5".to_owned(),
        to: "trihound-vectors".to_owned(),
    };
    assert!(found.contains(&expected), "{found:?}");
}

#[test]
fn a_crate_that_sees_what_it_must_not_is_found_at_any_distance() {
    let found = with(|graph| {
        link(
            graph,
            "trihound-sspi",
            "trihound-asn1",
            DependencyKind::Normal,
        );
    });
    let near = Violation::MustNotSee {
        from: "sspi".to_owned(),
        to: "asn1".to_owned(),
        way: "trihound-sspi → trihound-asn1".to_owned(),
    };
    assert_eq!(found, [near]);
    let found = with(|graph| {
        add(graph, "go-between", None);
        link(graph, "trihound-sspi", "go-between", DependencyKind::Normal);
        link(graph, "go-between", "trihound-asn1", DependencyKind::Normal);
    });
    assert!(
        matches!(&found[..], [Violation::MustNotSee { way, .. }] if way.contains("go-between")),
        "{found:?}"
    );
}

#[test]
fn a_package_not_named_after_its_folder_is_found() {
    let found = with(|graph| {
        add(graph, "wrong-name", Some("crates/ntlm"));
    });
    assert_eq!(
        found,
        [Violation::Name {
            folder: "crates/ntlm".to_owned(),
            name: "wrong-name".to_owned()
        }]
    );
}

#[test]
fn banned_crates_are_found_with_the_way_to_them() {
    for name in [
        "ring",
        "aws-lc-rs",
        "aws-lc-fips-sys",
        "openssl",
        "openssl-probe",
        "native-tls",
        "cc",
        "cmake",
        "bindgen",
        "pkg-config",
        "libz-sys",
    ] {
        for kind in [DependencyKind::Normal, DependencyKind::Build] {
            let found = with(|graph| {
                add(graph, name, None);
                link(graph, "rasn", name, kind);
            });
            let banned = |violation: &Violation| matches!(violation, Violation::Banned { name: found, way } if found == name && way.contains("rasn"));
            assert!(found.iter().any(banned), "{name}: {found:?}");
        }
    }
    assert_eq!(with_package("windows-sys", |_| {}), []);
}

#[test]
fn a_crate_that_links_a_native_library_is_found() {
    let found = with_package("quiet", |package| package.links = Some("z".to_owned()));
    assert!(
        matches!(&found[..], [Violation::NativeLibrary { name, library, .. }] if name == "quiet" && library == "z")
    );
}

#[test]
fn a_pre_release_is_found_and_a_build_label_is_none() {
    let found = with_package("early", |package| {
        package.version = "0.10.0-rc.20".to_owned();
    });
    assert_eq!(
        found,
        [Violation::PreRelease {
            name: "early".to_owned(),
            version: "0.10.0-rc.20".to_owned()
        }]
    );
    assert_eq!(
        with_package("labelled", |package| package.version =
            "1.2.1+spec-1.1.0".to_owned()),
        []
    );
}

#[test]
fn a_licence_off_the_list_or_missing_is_found() {
    for licence in [
        Some("MPL-2.0".to_owned()),
        Some("AGPL-3.0".to_owned()),
        None,
    ] {
        let found = with_package("strict", |package| package.licence = licence.clone());
        assert_eq!(
            found,
            [Violation::Licence {
                name: "strict".to_owned(),
                licence
            }]
        );
    }
}

/// `cargo metadata` of one package with an optional dependency, whose feature `std` has this entry.
fn optional_dependency(entry: &str) -> Graph {
    let package = |name: &str, dependencies: &str, features: &str| {
        format!(
            r#"{{"name":"{name}","version":"1.0.0","id":"{name}","dependencies":[{dependencies}],"targets":[],
            "features":{features},"manifest_path":"/{name}/Cargo.toml","authors":[],"categories":[],"keywords":[],
            "edition":"2024"}}"#
        )
    };
    let dependency = r#"{"name":"inner","req":"^1","kind":null,"optional":true,"uses_default_features":true,"features":[]}"#;
    let text = format!(
        r#"{{"packages":[{},{}],"workspace_members":[],"workspace_root":"/","target_directory":"/t","version":1,
        "resolve":{{"root":null,"nodes":[{{"id":"outer","dependencies":["inner"],"features":["std"],
        "deps":[{{"name":"inner","pkg":"inner","dep_kinds":[{{"kind":null,"target":null}}]}}]}},
        {{"id":"inner","dependencies":[],"features":[],"deps":[]}}]}}}}"#,
        package("outer", dependency, &format!(r#"{{"std":["{entry}"]}}"#)),
        package("inner", "", "{}")
    );
    Graph::from_metadata(&cargo_metadata::MetadataCommand::parse(text).unwrap())
}

#[test]
fn an_optional_dependency_counts_once_something_turns_it_on() {
    for (entry, edges) in [("inner?/std", 0), ("inner/std", 1), ("dep:inner", 1)] {
        assert_eq!(optional_dependency(entry).edges.len(), edges, "{entry}");
    }
}

#[test]
fn a_feature_of_a_member_is_found() {
    let found = with(|graph| {
        graph
            .packages
            .get_mut("trihound-crypto")
            .unwrap()
            .features
            .push("weak".to_owned());
    });
    assert_eq!(
        found,
        [Violation::Feature {
            folder: "crates/crypto".to_owned(),
            feature: "weak".to_owned()
        }]
    );
}

const LINTS: &str = r#"
[workspace.lints.rust]
unsafe_code = "forbid"
missing_docs = "warn"
unused_must_use = "deny"
[workspace.lints.clippy]
unwrap_used = "warn"
expect_used = "warn"
panic = "warn"
unreachable = "warn"
todo = "warn"
unimplemented = { level = "warn", priority = 1 }
"#;

#[test]
fn a_weakened_workspace_lint_is_found() {
    assert_eq!(lint_violations(LINTS, &[]).unwrap(), []);
    for (before, after, lint) in [
        (
            r#"unsafe_code = "forbid""#,
            r#"unsafe_code = "deny""#,
            "rust.unsafe_code",
        ),
        (r#"unwrap_used = "warn""#, "", "clippy.unwrap_used"),
        (r#"panic = "warn""#, r#"panic = "allow""#, "clippy.panic"),
    ] {
        let found = lint_violations(&LINTS.replace(before, after), &[]).unwrap();
        assert_eq!(
            found,
            [Violation::WorkspaceLint {
                lint: lint.to_owned()
            }]
        );
    }
}

#[test]
fn a_member_with_lints_of_its_own_is_found_unless_c_calls_it() {
    let own = "[lints.rust]\nunsafe_code = \"allow\"\n".to_owned();
    let member = |folder: &str, text: &str| [(folder.to_owned(), text.to_owned())];
    for text in [own.as_str(), "", "[lints]\nworkspace = false\n"] {
        let found = lint_violations(LINTS, &member("crates/crypto", text)).unwrap();
        assert_eq!(
            found,
            [Violation::Lints {
                folder: "crates/crypto".to_owned()
            }]
        );
    }
    assert_eq!(
        lint_violations(LINTS, &member("crates/abi", &own)).unwrap(),
        []
    );
    assert_eq!(
        lint_violations(
            LINTS,
            &member("crates/crypto", "[lints]\nworkspace = true\n")
        )
        .unwrap(),
        []
    );
}

#[test]
fn a_long_file_is_found_and_a_reason_must_be_needed() {
    let root = std::env::temp_dir().join(format!("trihound-architecture-{}", std::process::id()));
    fs::create_dir_all(root.join("crates/x/src")).unwrap();
    fs::create_dir_all(root.join("crates/x/target")).unwrap();
    fs::write(root.join("crates/x/src/long.rs"), "//\n".repeat(601)).unwrap();
    fs::write(root.join("crates/x/src/short.rs"), "//\n".repeat(600)).unwrap();
    fs::write(root.join("crates/x/target/built.rs"), "//\n".repeat(900)).unwrap();
    let look = |list: &str| source_violations(&root, &LongFiles::parse(list).unwrap()).unwrap();
    let long = "crates/x/src/long.rs";
    let bare = look("");
    let excused = look(&format!("# why\n{long}: a table that nobody reads twice\n"));
    let stale = look(&format!(
        "{long}: a table that nobody reads twice\ncrates/x/src/short.rs: was once a longer file\n"
    ));
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(
        bare,
        [Violation::LongFile {
            path: long.to_owned(),
            lines: 601
        }]
    );
    assert_eq!(excused, []);
    assert_eq!(
        stale,
        [Violation::StaleReason {
            path: "crates/x/src/short.rs".to_owned()
        }]
    );
}

#[test]
fn an_excuse_without_a_reason_is_refused() {
    for line in [
        "crates/x/src/long.rs",
        "crates/x/src/long.rs: long",
        "crates/x/src/long.rs:",
    ] {
        assert_eq!(
            LongFiles::parse(line).unwrap_err(),
            Violation::NoReason {
                line: line.to_owned()
            }
        );
    }
}

#[test]
fn a_stray_or_missing_name_at_the_top_is_found() {
    let full: Vec<String> = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "crates",
        "fixtures",
        "tests",
        "docs",
        ".ci",
        ".git",
        "target",
    ]
    .map(str::to_owned)
    .to_vec();
    assert_eq!(top_level_violations(&full), []);
    let mut more = full.clone();
    more.push("scratch".to_owned());
    assert_eq!(
        top_level_violations(&more),
        [Violation::TopLevel {
            name: "scratch".to_owned()
        }]
    );
    let fewer: Vec<String> = full.into_iter().filter(|name| name != "docs").collect();
    assert_eq!(
        top_level_violations(&fewer),
        [Violation::TopLevelMissing {
            name: "docs".to_owned()
        }]
    );
}
