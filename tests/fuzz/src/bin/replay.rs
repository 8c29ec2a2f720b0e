//! Runs every file of the corpora, and of the regressions, through its target: `replay [TARGET...]`.
//!
//! Needs no libFuzzer. A panic ends the program with the file's name on the last line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use trihound_fuzz::{TARGETS, Target, chosen};

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

fn replay(target: Target, root: &Path) -> Result<usize, String> {
    let folders = [
        root.join("corpus").join(target.name),
        root.join("../../fixtures/regressions/fuzz")
            .join(target.name),
    ];
    let mut count = 0;
    for file in folders.iter().flat_map(|folder| files(folder)) {
        let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        std::panic::catch_unwind(|| (target.run)(&bytes))
            .map_err(|_| format!("{} breaks target {}", file.display(), target.name))?;
        count += 1;
    }
    Ok(count)
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names: Vec<String> = std::env::args().skip(1).collect();
    let targets: Result<Vec<Target>, String> = if names.is_empty() {
        Ok(TARGETS.to_vec())
    } else {
        names.iter().map(|name| chosen(name)).collect()
    };
    let targets = match targets {
        Ok(targets) => targets,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    let (mut inputs, mut failed) = (0, 0);
    for target in targets {
        let began = Instant::now();
        match replay(target, root) {
            Ok(count) => {
                inputs += count;
                let seconds = began.elapsed().as_secs_f64();
                println!("{:<20} {count:5} inputs, {seconds:.1} s", target.name);
            }
            Err(text) => {
                failed += 1;
                println!("{:<20} FAILED: {text}", target.name);
            }
        }
    }
    println!("{inputs} inputs replayed, {failed} targets failed");
    if failed == 0 && inputs > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
