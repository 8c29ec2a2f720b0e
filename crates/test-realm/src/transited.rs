//! The transited encoding DOMAIN-X500-COMPRESS (RFC 4120 section 3.3.3.2).

/// Why an encoding cannot be expanded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadTransited {
    /// An empty entry stands for realms in between, which only a hierarchy could tell.
    Implied,
    /// Not UTF-8, or an escape of nothing.
    Malformed,
}

/// The realms that an encoding lists, expanded.
pub(crate) fn decode(contents: &[u8]) -> Result<Vec<String>, BadTransited> {
    if contents.is_empty() {
        return Ok(Vec::new());
    }
    let text = core::str::from_utf8(contents).map_err(|_| BadTransited::Malformed)?;
    let mut realms: Vec<String> = Vec::new();
    for (entry, ends_in_dot) in split(text)? {
        let before = realms.last().map(String::as_str).unwrap_or_default();
        // RFC 4120 section 3.3.3.2: a trailing dot is completed by the realm before, a leading
        // slash completes it.
        let realm = if entry.is_empty() {
            return Err(BadTransited::Implied);
        } else if ends_in_dot {
            format!("{entry}{before}")
        } else if entry.starts_with('/') && before.starts_with('/') {
            format!("{before}{entry}")
        } else {
            // A leading blank says that a slash begins a realm that is not completed.
            entry.strip_prefix(' ').unwrap_or(&entry).to_owned()
        };
        realms.push(realm);
    }
    Ok(realms)
}

/// Entries without their escapes, and whether each ends in a dot that is not escaped.
fn split(text: &str) -> Result<Vec<(String, bool)>, BadTransited> {
    let mut entries = Vec::new();
    let (mut entry, mut dot) = (String::new(), false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                entry.push(characters.next().ok_or(BadTransited::Malformed)?);
                dot = false;
            }
            ',' => {
                entries.push((core::mem::take(&mut entry), dot));
                dot = false;
            }
            other => {
                entry.push(other);
                dot = other == '.';
            }
        }
    }
    entries.push((entry, dot));
    Ok(entries)
}

/// Appends one realm, uncompressed.
pub(crate) fn append(contents: &[u8], realm: &str) -> Vec<u8> {
    let mut longer = contents.to_vec();
    if !longer.is_empty() {
        longer.push(b',');
    }
    if realm.starts_with('/') || realm.starts_with(' ') {
        longer.push(b' ');
    }
    let last = realm.chars().count().saturating_sub(1);
    for (at, character) in realm.chars().enumerate() {
        let escaped = matches!(character, ',' | '\\') || (character == '.' && at == last);
        if escaped {
            longer.push(b'\\');
        }
        longer.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    longer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 4120 section 3.3.3.2.
    #[test]
    fn expands_the_compressed_forms() {
        let expand = |text: &str| decode(text.as_bytes()).unwrap();
        assert_eq!(
            expand("EDU,MIT.,ATHENA.,WASHINGTON.EDU,CS."),
            [
                "EDU",
                "MIT.EDU",
                "ATHENA.MIT.EDU",
                "WASHINGTON.EDU",
                "CS.WASHINGTON.EDU"
            ]
        );
        assert_eq!(
            expand("/COM/HP,/APOLLO, /COM/DEC"),
            ["/COM/HP", "/COM/HP/APOLLO", "/COM/DEC"]
        );
        assert!(expand("").is_empty());
    }

    #[test]
    fn implied_realms_and_broken_escapes_are_refused() {
        assert_eq!(decode(b",A,"), Err(BadTransited::Implied));
        assert_eq!(decode(b"A\\"), Err(BadTransited::Malformed));
        assert_eq!(decode(b"\xff"), Err(BadTransited::Malformed));
    }

    #[test]
    fn what_was_appended_comes_back() {
        let realms = ["A.TEST", "/C=X/O=Y", "odd,name\\", "ends.", " blank"];
        let contents = realms
            .iter()
            .fold(Vec::new(), |contents, realm| append(&contents, realm));
        assert_eq!(decode(&contents).unwrap(), realms);
    }
}
