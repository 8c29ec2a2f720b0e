//! `trihound-vectors DIR`: runs every known answer of a folder.
//!
//! A line a file, each failure by name, and last `vectors: N passed, N failed, N not supported`. The exit status is 0 when
//! nothing failed, 1 when something did, 2 when there was nothing to run.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let (Some(folder), None) = (words.next(), words.next()) else {
        eprintln!("usage: trihound-vectors DIR");
        return ExitCode::from(2);
    };
    match trihound_vectors::run_folder(Path::new(&folder)) {
        Ok(report) => {
            println!("{report}");
            if report.failed() == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("trihound-vectors: {}: {error}", folder.display());
            ExitCode::from(2)
        }
    }
}
