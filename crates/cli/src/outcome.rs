use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// A failure as a person reads it: one sentence, and each cause behind it that adds something.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What was being done, before the cause.
    pub(crate) fn context(self, doing: impl fmt::Display) -> Self {
        Self(format!("{doing}: {}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: StdError> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // `#[error(transparent)]` layers repeat the text of what they wrap.
            if !text.contains(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        Self(text)
    }
}

/// Ends a tool as MIT's do: silence and 0, or `tool: why` on standard error and 1.
pub(crate) fn finish(tool: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(format_args!("{tool}: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// A line on standard error. If nobody can be told there is nobody to tell that either.
pub(crate) fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A line on standard output, under the rules of [`write_out`].
pub(crate) fn say(line: impl fmt::Display) -> Result<(), Failure> {
    write_out(format!("{line}\n").as_bytes())
}

/// Writes to standard output. A reader that has seen enough and closed the pipe is no failure.
pub(crate) fn write_out(text: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output.write_all(text).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::from(error).context("standard output"))
        }
        _ => Ok(()),
    }
}
