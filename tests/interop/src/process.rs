use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Failure;

/// How long any program may take. A peer gives up after 60 s of silence, so a hang shows as its message.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often a process is asked whether it has ended.
const POLL: Duration = Duration::from_millis(2);

/// What a program left behind.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output, as far as it is UTF-8.
    pub stdout: String,
    /// Standard error, as far as it is UTF-8.
    pub stderr: String,
    command: String,
}

impl Finished {
    /// Whether it exited with 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status.success()
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ended with {}\n--- standard output\n{}\n--- standard error\n{}",
            self.command, self.status, self.stdout, self.stderr
        )
    }
}

/// Runs a program with `input` on its standard input until it ends.
///
/// # Errors
///
/// It cannot be started, or it does not end in time; it is killed then.
pub fn run_to_end(command: Command, input: &str) -> Result<Finished, Failure> {
    let mut background = Background::start_with_input(command, input)?;
    background.finish()
}

/// A program that runs beside the test. Dropping it kills it.
#[derive(Debug)]
pub struct Background {
    child: Child,
    command: String,
    lines: Receiver<String>,
    seen: Vec<String>,
    stderr: Option<JoinHandle<String>>,
}

impl Background {
    /// Starts a program whose standard input is empty.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn start(command: Command) -> Result<Self, Failure> {
        Self::start_with_input(command, "")
    }

    fn start_with_input(mut command: Command, input: &str) -> Result<Self, Failure> {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::from(error).context(&name))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that reads nothing may be gone already, which is for its status to tell.
            let _ = stdin.write_all(input.as_bytes());
        }
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = stdout {
            thread::spawn(move || send_lines(stdout, &sender));
        }
        let stderr = stderr.map(|mut stderr| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                // What came until then is what there is to show.
                let _ = stderr.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        Ok(Self {
            child,
            command: name,
            lines,
            seen: Vec::new(),
            stderr,
        })
    }

    /// Waits for a line of standard output that begins with `prefix` and gives its rest.
    ///
    /// # Errors
    ///
    /// The program ended before, or says nothing of the kind in time.
    pub fn wait_for_line(&mut self, prefix: &str) -> Result<String, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let finished = self.finish()?;
                return Err(Failure::new(format!("no line {prefix:?}: {finished}")));
            };
            let rest = line.strip_prefix(prefix).map(str::to_owned);
            self.seen.push(line);
            if let Some(rest) = rest {
                return Ok(rest);
            }
        }
    }

    /// Waits until the program ends.
    ///
    /// # Errors
    ///
    /// It does not end in time; it is killed then.
    pub fn finish(&mut self) -> Result<Finished, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() >= deadline {
                self.end();
                return Err(Failure::new(format!(
                    "{} did not end within {} s; its output so far: {:?}",
                    self.command,
                    PATIENCE.as_secs(),
                    self.seen
                )));
            }
            thread::sleep(POLL);
        };
        self.seen.extend(self.lines.iter());
        let stderr = self
            .stderr
            .take()
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default();
        Ok(Finished {
            status,
            stdout: self.seen.iter().map(|line| format!("{line}\n")).collect(),
            stderr,
            command: self.command.clone(),
        })
    }

    fn end(&mut self) {
        // Both fail only where the process is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.end();
        }
    }
}

fn send_lines(stdout: ChildStdout, sender: &mpsc::Sender<String>) {
    let mut reader = BufReader::new(stdout);
    let mut bytes = Vec::new();
    while reader
        .read_until(b'\n', &mut bytes)
        .is_ok_and(|count| count > 0)
    {
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if sender
            .send(String::from_utf8_lossy(&bytes).into_owned())
            .is_err()
        {
            return;
        }
        bytes.clear();
    }
}
