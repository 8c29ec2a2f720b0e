//! hosts(5): the names that the machine knows by itself.

use std::net::IpAddr;

/// The longest file that is looked at.
const MAX_LENGTH: u64 = 1024 * 1024;

/// A name that the machine knows by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostEntry {
    /// The full name: the first of its line. In lower case, without the dot at the end.
    pub name: String,
    /// The addresses, in the file's order.
    pub addresses: Vec<IpAddr>,
}

/// Looks for `name` in the text of a hosts file. Its first line gives the full name, all lines
/// with it give addresses.
pub(super) fn find(text: &str, name: &str) -> Option<HostEntry> {
    let name = name.trim_end_matches('.');
    let mut found: Option<HostEntry> = None;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
            continue;
        };
        let mut names = words.peekable();
        let Some(first) = names.peek().map(|first| first.trim_end_matches('.')) else {
            continue;
        };
        if names.any(|other| other.trim_end_matches('.').eq_ignore_ascii_case(name)) {
            found
                .get_or_insert_with(|| HostEntry {
                    name: first.to_ascii_lowercase(),
                    addresses: Vec::new(),
                })
                .addresses
                .push(address);
        }
    }
    found
}

/// The text of the file, empty if it cannot be read.
pub(super) fn read(path: &std::path::Path) -> String {
    use std::io::Read;
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|f| f.take(MAX_LENGTH).read_to_end(&mut text));
    if read.is_err() {
        return String::new();
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "127.0.0.1 localhost\n# 192.0.2.9 web\n\
        192.0.2.1\tWeb.Example. web www # the web\n2001:db8::1 web.example web\nrubbish web\n192.0.2.3\n";

    #[test]
    fn the_first_name_of_the_line_is_the_full_one() {
        let entry = find(FILE, "WEB").unwrap();
        assert_eq!(entry.name, "web.example");
        let expected: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        assert_eq!(entry.addresses, expected);
        assert_eq!(find(FILE, "web.example").unwrap().name, "web.example");
        assert_eq!(find(FILE, "www.").unwrap().addresses.len(), 1);
        assert_eq!(find(FILE, "the"), None);
        assert_eq!(find("", "web"), None);
    }
}
