use std::fmt;

use crate::graph::{DependencyKind, Graph, Package};
use crate::licence;

/// The floor of each crate below `crates/`, by folder. A crate's normal dependencies are crates of a lower floor.
const FLOORS: [(&str, u8); 14] = [
    ("secret", 0),
    ("asn1", 0),
    ("sansio", 0),
    ("crypto", 1),
    ("sspi", 1),
    ("krb5", 2),
    ("negotiate", 2),
    ("kerberos", 3),
    ("ntlm", 3),
    ("kdc-transport", 3),
    ("test-realm", 3),
    ("trihound", 4),
    ("abi", 5),
    ("cli", 6),
];

/// Features that add an interface and change nothing that is there: asynchronous callers, and an HTTPS client for the
/// program that needs a TLS library which not every processor has.
const ADDING_FEATURES: [(&str, &str); 3] = [
    ("crates/kdc-transport", "tokio"),
    ("crates/trihound", "tokio"),
    ("crates/cli", "kkdcp"),
];

/// Who must not see whom, at any distance, though the floors would let them: a message cannot decrypt itself, an enctype
/// cannot peek at messages, the contract knows no mechanism, Kerberos knows no SSPI, the product has no test KDC.
const BLIND: [(&str, &str); 9] = [
    ("crypto", "asn1"),
    ("sspi", "asn1"),
    ("sspi", "crypto"),
    ("krb5", "sspi"),
    ("kdc-transport", "sspi"),
    ("negotiate", "kerberos"),
    ("negotiate", "ntlm"),
    ("trihound", "test-realm"),
    ("test-realm", "sspi"),
];

/// Crates that bring C, C++ or assembler, or that build or find it.
const BANNED: [&str; 16] = [
    "ring",
    "openssl",
    "native-tls",
    "cc",
    "cmake",
    "bindgen",
    "pkg-config",
    "vcpkg",
    "nasm-rs",
    "autotools",
    "libgssapi",
    "gssapi",
    "alloca",
    "security-framework",
    "schannel",
    "boring",
];
const BANNED_PREFIXES: [&str; 3] = ["aws-lc-", "openssl-", "cxx-"];

/// Crates called -sys that only declare what the system or the JavaScript host has: no C is built or shipped.
const DECLARATIONS_ONLY: [&str; 5] = [
    "windows-sys",
    "core-foundation-sys",
    "linux-raw-sys",
    "js-sys",
    "web-sys",
];

/// Crates whose `links` key only keeps two versions of themselves apart.
const LINKS_NOTHING: [&str; 3] = ["wasm-bindgen-shared", "rayon-core", "prettyplease"];

/// A broken rule. The text says who broke it, how, and where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "the fields are what the variant's sentence names"
)]
pub enum Violation {
    /// A crate below `crates/` that has no floor.
    NoFloor { folder: String },
    /// A dependency on the same or a higher floor.
    Floor {
        from: String,
        from_floor: u8,
        to: String,
        to_floor: u8,
    },
    /// A dependency of the product on a test crate.
    DependsOnTests { from: String, to: String },
    /// A crate that reaches one that it must not see.
    MustNotSee {
        from: String,
        to: String,
        way: String,
    },
    /// A package is not named after its folder.
    Name { folder: String, name: String },
    /// A banned crate in the tree.
    Banned { name: String, way: String },
    /// A crate that links a native library.
    NativeLibrary {
        name: String,
        library: String,
        way: String,
    },
    /// A version before its first release.
    PreRelease { name: String, version: String },
    /// A licence outside the list, or none.
    Licence {
        name: String,
        licence: Option<String>,
    },
    /// A Cargo feature of a member: behaviour would change at a distance.
    Feature { folder: String, feature: String },
    /// A member that does not take the workspace's lints.
    Lints { folder: String },
    /// The workspace's lints no longer forbid or warn of something.
    WorkspaceLint { lint: String },
    /// A file too long, with no reason given.
    LongFile { path: String, lines: usize },
    /// A reason for a file that is short, or gone.
    StaleReason { path: String },
    /// A list entry with no reason.
    NoReason { line: String },
    /// Something at the top of the repository that has no place there.
    TopLevel { name: String },
    /// Something at the top that must be there.
    TopLevelMissing { name: String },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFloor { folder } => write!(
                f,
                "crates/{folder} has no floor: give it one in the table of rules.rs"
            ),
            Self::Floor {
                from,
                from_floor,
                to,
                to_floor,
            } => {
                write!(
                    f,
                    "{from} (floor {from_floor}) depends on {to} (floor {to_floor}): only lower floors may be used"
                )
            }
            Self::DependsOnTests { from, to } => write!(
                f,
                "{from} depends on {to}, a test crate: make it a dev-dependency"
            ),
            Self::MustNotSee { from, to, way } => {
                write!(f, "{from} must not see {to}, and does: {way}")
            }
            Self::Name { folder, name } => write!(f, "the package of {folder} is called {name}"),
            Self::Banned { name, way } => {
                write!(f, "{name} brings C or assembler, or builds it: {way}")
            }
            Self::NativeLibrary { name, library, way } => {
                write!(f, "{name} links the native library {library}: {way}")
            }
            Self::PreRelease { name, version } => write!(f, "{name} {version} is not a release"),
            Self::Licence { name, licence } => {
                write!(
                    f,
                    "{name} has the licence {}, which is not on the list",
                    licence.as_deref().unwrap_or("(none)")
                )
            }
            Self::Feature { folder, feature } => {
                write!(
                    f,
                    "{folder} has the feature {feature}: what weakens or changes behaviour is a value, never a feature"
                )
            }
            Self::Lints { folder } => write!(
                f,
                "{folder}/Cargo.toml does not say `[lints] workspace = true`"
            ),
            Self::WorkspaceLint { lint } => {
                write!(f, "the workspace's lints no longer hold {lint}")
            }
            Self::LongFile { path, lines } => {
                write!(
                    f,
                    "{path} has {lines} lines: split it, or write the reason into tests/architecture/long-files.txt"
                )
            }
            Self::StaleReason { path } => write!(
                f,
                "tests/architecture/long-files.txt excuses {path}, which needs it no longer"
            ),
            Self::NoReason { line } => write!(
                f,
                "tests/architecture/long-files.txt has no reason in the line {line:?}"
            ),
            Self::TopLevel { name } => {
                write!(f, "{name} has no place at the top of the repository")
            }
            Self::TopLevelMissing { name } => {
                write!(f, "{name} is missing at the top of the repository")
            }
        }
    }
}

/// Every rule on the graph: floors, sight, names, bans, versions, licences, features.
#[must_use]
pub fn violations(graph: &Graph) -> Vec<Violation> {
    let mut found = Vec::new();
    floors(graph, &mut found);
    sight(graph, &mut found);
    members(graph, &mut found);
    outside(graph, &mut found);
    found
}

fn short_folder(package: &Package) -> Option<&str> {
    package.folder.as_deref()?.strip_prefix("crates/")
}

fn floor(folder: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(name, _)| *name == folder)
        .map(|(_, floor)| *floor)
}

fn floors(graph: &Graph, found: &mut Vec<Violation>) {
    for (id, package) in graph.members_below("crates") {
        let Some(folder) = short_folder(package) else {
            continue;
        };
        let Some(from_floor) = floor(folder) else {
            found.push(Violation::NoFloor {
                folder: folder.to_owned(),
            });
            continue;
        };
        let edges = graph
            .edges
            .iter()
            .filter(|edge| edge.from == id && edge.kind != DependencyKind::Development);
        for to in edges
            .filter_map(|edge| graph.packages.get(&edge.to))
            .filter(|to| to.folder.is_some())
        {
            match short_folder(to).map(|name| (name, floor(name))) {
                None => found.push(Violation::DependsOnTests {
                    from: package.name.clone(),
                    to: to.name.clone(),
                }),
                Some((name, Some(to_floor))) if to_floor >= from_floor => {
                    found.push(Violation::Floor {
                        from: folder.to_owned(),
                        from_floor,
                        to: name.to_owned(),
                        to_floor,
                    });
                }
                Some(_) => {}
            }
        }
    }
}

fn sight(graph: &Graph, found: &mut Vec<Violation>) {
    for (id, package) in graph.members_below("crates") {
        let reach = graph.reachable(id, &[DependencyKind::Normal, DependencyKind::Build]);
        for (to, way) in &reach {
            let pair = (
                short_folder(package),
                graph.packages.get(*to).and_then(short_folder),
            );
            if let (Some(from), Some(to)) = pair
                && BLIND.contains(&(from, to))
            {
                found.push(Violation::MustNotSee {
                    from: from.to_owned(),
                    to: to.to_owned(),
                    way: way.join(" → "),
                });
            }
        }
    }
}

fn members(graph: &Graph, found: &mut Vec<Violation>) {
    for package in graph.packages.values() {
        let Some(folder) = package.folder.as_deref() else {
            continue;
        };
        let last = folder.rsplit('/').next().unwrap_or(folder);
        let expected = match folder {
            "crates/trihound" => "trihound".to_owned(),
            "tests/support" => "trihound-test-support".to_owned(),
            _ => format!("trihound-{last}"),
        };
        if package.name != expected {
            found.push(Violation::Name {
                folder: folder.to_owned(),
                name: package.name.clone(),
            });
        }
        let adds = |feature: &&String| ADDING_FEATURES.contains(&(folder, feature.as_str()));
        for feature in package.features.iter().filter(|feature| !adds(feature)) {
            found.push(Violation::Feature {
                folder: folder.to_owned(),
                feature: feature.clone(),
            });
        }
    }
}

fn banned(name: &str) -> bool {
    BANNED.contains(&name)
        || BANNED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || (name.ends_with("-sys") && !DECLARATIONS_ONLY.contains(&name))
}

/// The rules for packages from elsewhere. Development dependencies count as well: the tests build without C too.
fn outside(graph: &Graph, found: &mut Vec<Violation>) {
    let mut ways = std::collections::BTreeMap::new();
    let kinds = [
        DependencyKind::Normal,
        DependencyKind::Build,
        DependencyKind::Development,
    ];
    for (id, package) in graph
        .packages
        .iter()
        .filter(|(_, package)| package.folder.is_some())
    {
        ways.entry(id.as_str())
            .or_insert_with(|| vec![package.name.as_str()]);
        for (to, way) in graph.reachable(id, &kinds) {
            ways.entry(to).or_insert(way);
        }
    }
    for (id, way) in ways {
        let Some(package) = graph.packages.get(id) else {
            continue;
        };
        let name = package.name.clone();
        if banned(&name) {
            found.push(Violation::Banned {
                name: name.clone(),
                way: way.join(" → "),
            });
        }
        if let Some(library) = package
            .links
            .clone()
            .filter(|_| !LINKS_NOTHING.contains(&name.as_str()))
        {
            found.push(Violation::NativeLibrary {
                name: name.clone(),
                library,
                way: way.join(" → "),
            });
        }
        // A build label after '+' is no pre-release (Semantic Versioning 2.0.0, 9 and 10).
        if package
            .version
            .split('+')
            .next()
            .unwrap_or_default()
            .contains('-')
        {
            found.push(Violation::PreRelease {
                name: name.clone(),
                version: package.version.clone(),
            });
        }
        if !package.licence.as_deref().is_some_and(licence::allowed) {
            found.push(Violation::Licence {
                name,
                licence: package.licence.clone(),
            });
        }
    }
}
