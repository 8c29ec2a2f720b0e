//! Floors, bans and licences: what holds between the crates of the workspace, checked on a plain [`Graph`] so that each
//! rule can be shown to bite on a made-up one. `tests/it` reads the real workspace.

mod conformance;
mod files;
mod graph;
mod licence;
mod rules;

pub use conformance::{ConformanceFault, conformance_faults, test_functions, tests_in};
pub use files::{LongFiles, lint_violations, source_violations, top_level_violations};
pub use graph::{DependencyKind, Edge, Graph, Package};
pub use rules::{Violation, violations};
