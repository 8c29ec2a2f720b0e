/// The named classes of a bracket expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Alpha,
    Digit,
    Alnum,
    Upper,
    Lower,
    Space,
    Blank,
    Punct,
    Print,
    Graph,
    Cntrl,
    XDigit,
    /// Not one of POSIX: what `\w` stands for in GNU's.
    Word,
}

impl Class {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "alpha" => Self::Alpha,
            "digit" => Self::Digit,
            "alnum" => Self::Alnum,
            "upper" => Self::Upper,
            "lower" => Self::Lower,
            "space" => Self::Space,
            "blank" => Self::Blank,
            "punct" => Self::Punct,
            "print" => Self::Print,
            "graph" => Self::Graph,
            "cntrl" => Self::Cntrl,
            "xdigit" => Self::XDigit,
            _ => return None,
        })
    }

    /// As in the C locale, so that a rule means the same on every machine.
    pub(super) fn has(self, c: char) -> bool {
        match self {
            Self::Alpha => c.is_ascii_alphabetic(),
            Self::Digit => c.is_ascii_digit(),
            Self::Alnum => c.is_ascii_alphanumeric(),
            Self::Upper => c.is_ascii_uppercase(),
            Self::Lower => c.is_ascii_lowercase(),
            Self::Space => c.is_ascii_whitespace() || c == '\u{b}',
            Self::Blank => c == ' ' || c == '\t',
            Self::Punct => c.is_ascii_punctuation(),
            Self::Print => c == ' ' || c.is_ascii_graphic(),
            Self::Graph => c.is_ascii_graphic(),
            Self::Cntrl => c.is_ascii_control(),
            Self::XDigit => c.is_ascii_hexdigit(),
            Self::Word => c.is_ascii_alphanumeric() || c == '_',
        }
    }
}
