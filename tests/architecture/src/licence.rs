/// Licences that code linked into the product may have, by SPDX name.
const ALLOWED: [&str; 10] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
];
/// Dedications to the public, which ask nothing at all.
const DEDICATIONS: [&str; 2] = ["0BSD", "CC0-1.0"];

/// Whether an SPDX expression can be met with allowed licences alone: one side of every OR, both sides of every AND.
/// The old manifest form `A/B` is an OR. An expression that cannot be read is not allowed.
pub(crate) fn allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let result = either(&words, &mut at);
    at == words.len() && result == Some(true)
}

fn either(words: &[&str], at: &mut usize) -> Option<bool> {
    let mut result = both(words, at)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= both(words, at)?;
    }
    Some(result)
}

fn both(words: &[&str], at: &mut usize) -> Option<bool> {
    let mut result = single(words, at)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= single(words, at)?;
    }
    Some(result)
}

fn single(words: &[&str], at: &mut usize) -> Option<bool> {
    let word = *words.get(*at)?;
    *at += 1;
    if word == "(" {
        let inner = either(words, at)?;
        return (words.get(*at) == Some(&")")).then(|| {
            *at += 1;
            inner
        });
    }
    if matches!(word, ")" | "OR" | "AND" | "WITH") {
        return None;
    }
    let mut name = word.to_owned();
    if words.get(*at) == Some(&"WITH") {
        name = format!("{word} WITH {}", words.get(*at + 1)?);
        *at += 2;
    }
    Some(ALLOWED.contains(&name.as_str()) || DEDICATIONS.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn a_choice_needs_one_good_side() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
        ] {
            assert!(allowed(good), "{good}");
        }
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR GPL-2.0"));
    }

    #[test]
    fn what_is_not_allowed_or_not_readable_is_refused() {
        for bad in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "MPL-2.0",
            "",
            "MIT OR",
            "(MIT",
            "MIT)",
            "OR",
            "MIT Apache-2.0",
        ] {
            assert!(!allowed(bad), "{bad}");
        }
        assert!(!allowed("Apache-2.0 WITH Commons-Clause"));
        assert!(!allowed("(MIT OR GPL-3.0) AND AGPL-3.0"));
    }
}
