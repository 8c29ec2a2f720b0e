use std::fmt;
use std::sync::Mutex;
use std::thread;

use crate::Failure;

/// How many cases run at once.
const WORKERS: usize = 2;

/// What came of a run of cases.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Which matrix it is of.
    pub matrix: &'static str,
    /// How many cases the axes call for.
    pub planned: usize,
    /// How many were tried.
    pub ran: usize,
    /// How many were not.
    pub skipped: usize,
    /// The cases that did not end as they must, and why.
    pub failed: Vec<(String, Failure)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, failure) in &self.failed {
            writeln!(f, "failed: {case}\n    {failure}")?;
        }
        write!(
            f,
            "{}: {} cases planned, {} ran, {} skipped, {} failed",
            self.matrix,
            self.planned,
            self.ran,
            self.skipped,
            self.failed.len()
        )
    }
}

impl Report {
    /// That nothing was tried, for want of peers.
    #[must_use]
    pub fn skipped(matrix: &'static str, planned: usize) -> Self {
        Self {
            matrix,
            planned,
            skipped: planned,
            ..Self::default()
        }
    }

    /// Plays every case, two at a time.
    pub fn of<C: Ord + Copy + Sync + Send + fmt::Display>(
        matrix: &'static str,
        cases: &[C],
        play: impl Fn(&C) -> Result<(), Failure> + Sync,
    ) -> Self {
        let queue = Mutex::new(cases.iter());
        let results = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    loop {
                        let Some(case) = queue.lock().ok().and_then(|mut queue| queue.next())
                        else {
                            return;
                        };
                        let result = play(case);
                        if let Ok(mut results) = results.lock() {
                            results.push((*case, result));
                        }
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_default();
        results.sort_by_key(|(case, _)| *case);
        Self {
            matrix,
            planned: cases.len(),
            ran: results.len(),
            skipped: cases.len().saturating_sub(results.len()),
            failed: results
                .into_iter()
                .filter_map(|(case, result)| Some((case.to_string(), result.err()?)))
                .collect(),
        }
    }
}
