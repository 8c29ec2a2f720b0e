//! `KRB5_TRACE`: the library's events as lines of text in a file, as MIT's libraries write theirs.

use std::fmt::{self, Write as _};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use trihound_sansio::{Clock, SystemClock};

use super::privilege::is_privileged;

/// The variable that names the file.
const VARIABLE: &str = "KRB5_TRACE";

/// What the targets of this library's events begin with.
const TARGETS: &str = "trihound";

/// The longest line, in bytes; what a peer sent may be part of one.
const MAX_LINE: usize = 4096;

/// A [`tracing::Subscriber`] that writes one line per event of this library, in the form of MIT's:
/// `[process] seconds.microseconds: sentence`.
///
/// A program that has a subscriber of its own needs none of this: the same events come there, with the
/// fields `realm`, `spn`, `client`, `etype`, `kvno`, `kdc`, `attempt`, `error`, `cache` and `keytab`. For
/// a part of a program, [`tracing::dispatcher::with_default`] takes `Dispatch::new(TraceWriter...)`.
///
/// No line has a key, a password, a ticket or the bytes of a token; names of people, services and
/// machines are in it.
pub struct TraceWriter {
    output: Mutex<Box<dyn Write + Send>>,
}

impl fmt::Debug for TraceWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TraceWriter")
    }
}

impl TraceWriter {
    /// Lines go to `output`, each in one write.
    #[must_use]
    pub fn new(output: impl Write + Send + 'static) -> Self {
        Self {
            output: Mutex::new(Box::new(output)),
        }
    }

    /// Lines go to the end of a file, which is made readable by its owner alone if it is not there.
    /// `/dev/stderr` is one.
    ///
    /// # Errors
    ///
    /// Those of opening it.
    pub fn append_to(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self::new(options.open(path)?))
    }

    /// The one that KRB5_TRACE asks for; `None` where it is not set, and in a program that runs with
    /// more rights than its user has ([`is_privileged`]), who must not choose a file for it to write to.
    ///
    /// # Errors
    ///
    /// Those of opening the file.
    pub fn from_environment() -> io::Result<Option<Self>> {
        match std::env::var_os(VARIABLE) {
            Some(path) if !path.is_empty() && !is_privileged() => {
                Self::append_to(Path::new(&path)).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn write(&self, event: &Event<'_>) -> io::Result<()> {
        let mut sentence = Sentence::default();
        event.record(&mut sentence);
        let now = SystemClock.now();
        let mut line = format!(
            "[{}] {}.{:06}: ",
            std::process::id(),
            now.seconds(),
            now.microseconds()
        );
        if *event.metadata().level() <= Level::WARN {
            line.push_str("Warning: ");
        }
        push_visible(&mut line, &sentence.with_fields());
        line.push('\n');
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(line.as_bytes())?;
        output.flush()
    }
}

/// Sends the events of this library where KRB5_TRACE says, unless the program has a subscriber of its
/// own already; tells whether it does. The program `trihound` calls it first of all, and
/// [`crate::init_security_interface`] does.
///
/// # Errors
///
/// The file cannot be opened.
pub fn install_trace() -> io::Result<bool> {
    if tracing::dispatcher::has_been_set() {
        return Ok(false);
    }
    let Some(writer) = TraceWriter::from_environment()? else {
        return Ok(false);
    };
    // Another thread may have been quicker: then the program has its own.
    Ok(tracing::dispatcher::set_global_default(Dispatch::new(writer)).is_ok())
}

/// An event as text.
#[derive(Default)]
struct Sentence {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Sentence {
    /// The sentence, and behind it the fields whose values it does not tell.
    fn with_fields(mut self) -> String {
        let lacking: Vec<_> = self
            .fields
            .iter()
            .filter(|(_, value)| !value.is_empty() && !tells(&self.message, value))
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        if !lacking.is_empty() {
            // Writing to a String does not fail.
            let _ = write!(self.message, " ({})", lacking.join(", "));
        }
        self.message
    }
}

/// Whether one of the sentence's words is the value, or the value has several words and is part of it.
fn tells(sentence: &str, value: &str) -> bool {
    let is_mark = |letter: char| matches!(letter, ',' | ';' | ':' | '"' | '.' | '(' | ')');
    let has_words = value.contains(char::is_whitespace);
    (has_words && sentence.contains(value))
        || sentence
            .split_whitespace()
            .any(|word| word == value || word.trim_matches(is_mark) == value)
}

impl Visit for Sentence {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.push((field.name(), text));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.to_owned()));
    }
}

/// One line whatever a peer or a KDC has put into its texts.
fn push_visible(line: &mut String, text: &str) {
    for letter in text.chars() {
        if line.len() >= MAX_LINE {
            line.push_str("...");
            return;
        }
        if trihound_asn1::is_treacherous(letter) {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
}

impl Subscriber for TraceWriter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && *metadata.level() <= Level::DEBUG
            && metadata.target().starts_with(TARGETS)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        // A full disk is no reason to fail a login.
        let _ = self.write(event);
    }

    // There are no spans: none is ever enabled.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_the_sentence_does_not_tell_follow_it() {
        let sentence = Sentence {
            message: "sent to 127.0.0.1:88, again".to_owned(),
            fields: vec![
                ("kdc", "127.0.0.1:88".to_owned()),
                ("attempt", "1".to_owned()),
                ("error", "no answer".to_owned()),
                ("realm", String::new()),
            ],
        };
        assert_eq!(
            sentence.with_fields(),
            "sent to 127.0.0.1:88, again (attempt 1, error no answer)"
        );
    }

    #[test]
    fn control_characters_make_no_new_line_and_lines_end() {
        let mut line = String::new();
        push_visible(&mut line, "a\nb\u{1b}[31mc é\u{202e}");
        assert_eq!(line, "a\\nb\\u{1b}[31mc é\\u{202e}");
        let mut line = String::new();
        push_visible(&mut line, &"x".repeat(10_000));
        assert_eq!(line.len(), MAX_LINE + 3);
    }
}
