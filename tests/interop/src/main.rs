//! The interop matrices as a program: `cargo run -p trihound-interop [ntlm|negotiate|attacks] [WORD...]` runs the cases
//! whose names have all the words, tells of each failure, and ends with the counts.

use std::fmt::Display;
use std::process::ExitCode;

use trihound_interop::{
    Failure, Report, find, planned_attacks, planned_cases, planned_negotiate_cases,
    planned_ntlm_cases, run, run_attacks, run_negotiate, run_ntlm,
};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let report = match words.split_first() {
        Some((matrix, words)) if matrix == "ntlm" => ntlm(words),
        Some((matrix, words)) if matrix == "negotiate" => negotiate(words),
        Some((matrix, words)) if matrix == "attacks" => attacks(words),
        _ => kerberos(&words),
    };
    match report {
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

fn kerberos(words: &[String]) -> Result<Report, Failure> {
    run(find()?.as_ref(), &chosen(planned_cases(), words))
}

fn ntlm(words: &[String]) -> Result<Report, Failure> {
    run_ntlm(find()?.as_ref(), &chosen(planned_ntlm_cases(), words))
}

fn negotiate(words: &[String]) -> Result<Report, Failure> {
    run_negotiate(find()?.as_ref(), &chosen(planned_negotiate_cases(), words))
}

fn attacks(words: &[String]) -> Result<Report, Failure> {
    run_attacks(find()?.as_ref(), &chosen(planned_attacks(), words))
}

fn chosen<C: Display>(cases: Vec<C>, words: &[String]) -> Vec<C> {
    cases
        .into_iter()
        .filter(|case| {
            let name = case.to_string();
            words
                .iter()
                .all(|word| name.split([' ', '>']).any(|part| part == word))
        })
        .collect()
}
