//! A secret on the first line of standard input or of a file.

use std::fs::File;
use std::io::{self, ErrorKind, Read};

use trihound_secret::{SecretBytes, SecretString};

/// The longest line, in bytes, with its end.
const MAX_LINE: usize = 4096;

/// Standard input without the buffer of [`io::stdin`], which would keep a copy of a password that nobody wipes.
pub(crate) fn unbuffered_stdin() -> io::Result<File> {
    #[cfg(unix)]
    let own = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned()?;
    #[cfg(windows)]
    let own = std::os::windows::io::AsHandle::as_handle(&io::stdin()).try_clone_to_owned()?;
    Ok(File::from(own))
}

/// The first line without its end, the rest left unread; `None` where there is nothing at all.
///
/// # Errors
///
/// Those of reading; [`ErrorKind::InvalidData`] for a line that is too long or not in UTF-8.
pub(crate) fn first_line(mut input: impl Read) -> io::Result<Option<SecretString>> {
    // Wiped as a whole, and never grown: a larger one would leave its beginning behind.
    let mut line = SecretBytes::zeroed(MAX_LINE);
    let mut length = 0_usize;
    loop {
        let Some(byte) = line.expose_mut().get_mut(length..=length) else {
            return Err(invalid("it is longer than 4096 bytes"));
        };
        match input.read(byte) {
            Ok(0) if length == 0 => return Ok(None),
            Ok(0) => break,
            Ok(_) if *byte == *b"\n" => break,
            Ok(_) => length = length.saturating_add(1),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let read = line.expose().get(..length).unwrap_or_default();
    let text = std::str::from_utf8(read).map_err(|_| invalid("it is not in UTF-8"))?;
    Ok(Some(text.trim_end_matches('\r').into()))
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("the first line cannot be used: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(input: &[u8]) -> Option<String> {
        let line = first_line(input).unwrap();
        line.map(|line| line.expose().to_owned())
    }

    #[test]
    fn the_first_line_comes_without_its_end() {
        for (input, expected) in [
            (&b"pass word\nmore\n"[..], Some("pass word")),
            (b"pass", Some("pass")),
            (b"p\xc3\xa4ss\r\n", Some("p\u{e4}ss")),
            (b"\n", Some("")),
            (b"", None),
        ] {
            assert_eq!(line(input).as_deref(), expected, "{input:?}");
        }
        let longest = "x".repeat(MAX_LINE - 1);
        assert_eq!(line(longest.as_bytes()).as_deref(), Some(&*longest));
    }

    #[test]
    fn the_rest_is_left_for_others() {
        let mut input = &b"one\ntwo\n"[..];
        assert!(first_line(&mut input).unwrap().is_some());
        assert_eq!(input, b"two\n");
    }

    #[test]
    fn a_line_that_cannot_be_one_is_refused_without_telling_it() {
        for input in [vec![b'x'; MAX_LINE], b"secret\xff\n".to_vec()] {
            let error = first_line(&input[..]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let text = error.to_string();
            assert!(!text.contains("xxx") && !text.contains("secret"), "{text}");
        }
    }
}
