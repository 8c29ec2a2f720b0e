use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{Metadata, Node, PackageId};

/// What a dependency is for, as `cargo metadata` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DependencyKind {
    /// Linked into the crate.
    Normal,
    /// Linked into its build script.
    Build,
    /// For its tests, examples and benchmarks.
    Development,
}

/// One package of the resolved graph.
#[derive(Debug, Clone, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its whole version.
    pub version: String,
    /// The SPDX expression of its manifest.
    pub licence: Option<String>,
    /// The folder of a workspace member, relative to the workspace; none for a package from elsewhere.
    pub folder: Option<String>,
    /// The native library that it says it links, the manifest's `links`.
    pub links: Option<String>,
    /// Its Cargo features.
    pub features: Vec<String>,
}

/// One arrow of the resolved graph, between package ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Who depends.
    pub from: String,
    /// On whom.
    pub to: String,
    /// What for.
    pub kind: DependencyKind,
}

/// Whether anything turns the dependency on. A weak feature (`ring?/std`) puts an optional package into the lock file that
/// is never built; it is on only if a feature that is on names it without the question mark.
fn is_on(metadata: &Metadata, node: &Node, to: &PackageId) -> bool {
    let package = |id: &PackageId| metadata.packages.iter().find(|package| package.id == *id);
    let (Some(from), Some(to)) = (package(&node.id), package(to)) else {
        return true;
    };
    let mut declared = from
        .dependencies
        .iter()
        .filter(|dependency| dependency.name == to.name.as_str())
        .peekable();
    let turned_on = |key: &str| {
        let (as_dependency, with_feature) = (format!("dep:{key}"), format!("{key}/"));
        node.features
            .iter()
            .filter_map(|feature| from.features.get(&feature.to_string()))
            .flatten()
            .any(|entry| *entry == as_dependency || entry.starts_with(&with_feature))
    };
    declared.peek().is_none()
        || declared.any(|dependency| {
            !dependency.optional
                || turned_on(dependency.rename.as_deref().unwrap_or(&dependency.name))
        })
}

/// The resolved graph: packages by id, and the arrows.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// Packages by an id that is unique in the graph.
    pub packages: BTreeMap<String, Package>,
    /// The arrows, sorted.
    pub edges: BTreeSet<Edge>,
}

impl Graph {
    /// The graph of `cargo metadata`, which must have been asked for dependencies.
    #[must_use]
    pub fn from_metadata(metadata: &Metadata) -> Self {
        let root = metadata.workspace_root.as_std_path();
        let packages = metadata.packages.iter().map(|package| {
            let member = metadata.workspace_members.contains(&package.id);
            let folder = package
                .manifest_path
                .parent()
                .filter(|_| member)
                .and_then(|folder| {
                    Some(
                        folder
                            .as_std_path()
                            .strip_prefix(root)
                            .ok()?
                            .to_string_lossy()
                            .replace('\\', "/"),
                    )
                });
            let package_of_graph = Package {
                name: package.name.to_string(),
                version: package.version.to_string(),
                licence: package.license.clone(),
                folder,
                links: package.links.clone(),
                features: package.features.keys().cloned().collect(),
            };
            (package.id.repr.clone(), package_of_graph)
        });
        let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
        let edges = nodes.flat_map(|node| {
            let depended = node
                .deps
                .iter()
                .filter(|dependency| is_on(metadata, node, &dependency.pkg));
            depended.flat_map(|dependency| {
                dependency.dep_kinds.iter().map(|kind| Edge {
                    from: node.id.repr.clone(),
                    to: dependency.pkg.repr.clone(),
                    kind: match kind.kind {
                        cargo_metadata::DependencyKind::Build => DependencyKind::Build,
                        cargo_metadata::DependencyKind::Development => DependencyKind::Development,
                        _ => DependencyKind::Normal,
                    },
                })
            })
        });
        Self {
            packages: packages.collect(),
            edges: edges.collect(),
        }
    }

    /// The workspace members below `folder` (`crates` or `tests`), as id and package.
    pub fn members_below<'a>(
        &'a self,
        folder: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Package)> {
        self.packages.iter().filter_map(move |(id, package)| {
            let inside = package
                .folder
                .as_deref()
                .is_some_and(|at| Path::new(at).starts_with(folder));
            inside.then_some((id.as_str(), package))
        })
    }

    /// Everything that `from` reaches over arrows of these kinds, each with the way to it (names, from first to last).
    #[must_use]
    pub fn reachable(&self, from: &str, kinds: &[DependencyKind]) -> BTreeMap<&str, Vec<&str>> {
        let name = |id: &str| {
            self.packages
                .get(id)
                .map_or("?", |package| package.name.as_str())
        };
        let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut open = vec![(from.to_owned(), vec![name(from)])];
        while let Some((at, way)) = open.pop() {
            for edge in self
                .edges
                .iter()
                .filter(|edge| edge.from == at && kinds.contains(&edge.kind))
            {
                if !found.contains_key(edge.to.as_str()) {
                    let mut longer = way.clone();
                    longer.push(name(&edge.to));
                    found.insert(&edge.to, longer.clone());
                    open.push((edge.to.clone(), longer));
                }
            }
        }
        found
    }
}
