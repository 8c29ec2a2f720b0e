//! Runs known answers: JSON files of one schema, whoever made them. `fixtures/README.md` describes the schema.
//!
//! A vector passes when the crates give the answer that its file gives, in every field that the file gives. What the
//! project does not do yet is named, a closed list ([`NotSupported`]); everything else that does not pass fails: an
//! operation that no runner knows, a field that no runner compared, a file that cannot be read.

mod fields;
mod ops;
mod report;
mod run;

pub use ops::{NotSupported, Outcome};
pub use report::{FileReport, Report};
pub use run::{run_file, run_folder, run_text};
