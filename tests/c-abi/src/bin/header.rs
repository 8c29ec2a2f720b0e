//! Writes the C header to standard output: `cargo run -p trihound-c-abi --bin header > crates/abi/include/trihound_sspi.h`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match trihound_c_abi::header::header() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
