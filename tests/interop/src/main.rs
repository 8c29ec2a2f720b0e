//! The interop matrix as a program: `cargo run -p trihound-interop [WORD...]` runs the cases whose names
//! have all the words, tells of each failure, and ends with the counts.

use std::process::ExitCode;

use trihound_interop::{Case, find, planned_cases, run};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let cases: Vec<Case> = planned_cases()
        .into_iter()
        .filter(|case| {
            let name = case.to_string();
            words
                .iter()
                .all(|word| name.split(' ').any(|part| part == word))
        })
        .collect();
    match find().and_then(|peers| run(peers.as_ref(), &cases)) {
        Ok(report) => {
            println!("{report}");
            if report.failed.is_empty() && report.skipped == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(failure) => {
            eprintln!("interop: {failure}");
            ExitCode::FAILURE
        }
    }
}
