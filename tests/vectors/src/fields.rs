use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Why a vector did not pass: a mismatch, or a fault of the vector itself.
pub(crate) type Fault = String;

/// The `in` or the `out` of a vector. What was looked at is remembered, so that a field nobody compared can be told.
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    seen: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(map: &'a Map<String, Value>) -> Self {
        Self {
            map,
            seen: RefCell::default(),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    fn get(&self, name: &str) -> Result<&'a Value, Fault> {
        let (key, value) = self
            .map
            .get_key_value(name)
            .ok_or_else(|| format!("the vector has no field {name}"))?;
        self.seen.borrow_mut().insert(key);
        Ok(value)
    }

    /// Bytes in hex.
    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, Fault> {
        let text = self
            .get(name)?
            .as_str()
            .ok_or_else(|| format!("{name} is not a string"))?;
        unhex(text).ok_or_else(|| format!("{name} is not lower-case hex"))
    }

    /// Plain text: the name of such a field ends in `_text`.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Fault> {
        self.get(name)?
            .as_str()
            .ok_or_else(|| format!("{name} is not a string"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<i64, Fault> {
        self.get(name)?
            .as_i64()
            .ok_or_else(|| format!("{name} is not an integer"))
    }

    /// An integer of a narrower type.
    pub(crate) fn narrow<N: TryFrom<i64>>(&self, name: &str) -> Result<N, Fault> {
        N::try_from(self.number(name)?).map_err(|_| format!("{name} is out of range"))
    }

    pub(crate) fn truth(&self, name: &str) -> Result<bool, Fault> {
        self.get(name)?
            .as_bool()
            .ok_or_else(|| format!("{name} is not true or false"))
    }

    /// A truth that may be left out, which is false.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Fault> {
        if self.has(name) {
            self.truth(name)
        } else {
            Ok(false)
        }
    }

    pub(crate) fn list(&self, name: &str) -> Result<&'a [Value], Fault> {
        Ok(self
            .get(name)?
            .as_array()
            .ok_or_else(|| format!("{name} is not a list"))?)
    }

    pub(crate) fn object(&self, name: &str) -> Result<Fields<'a>, Fault> {
        object(self.get(name)?).map_err(|_| format!("{name} is not an object"))
    }

    /// An error if there is a field that was not looked at.
    pub(crate) fn all_seen(&self) -> Result<(), Fault> {
        let seen = self.seen.borrow();
        match self.map.keys().find(|name| !seen.contains(name.as_str())) {
            Some(name) => Err(format!("nothing compares the field {name}")),
            None => Ok(()),
        }
    }

    /// Compares bytes if the field is there.
    pub(crate) fn same_bytes(&self, name: &str, found: &[u8]) -> Result<(), Fault> {
        if !self.has(name) {
            return Ok(());
        }
        let expected = self.bytes(name)?;
        if expected == found {
            Ok(())
        } else {
            Err(format!(
                "{name} is {}, expected {}",
                hex(found),
                hex(&expected)
            ))
        }
    }

    /// Compares text if the field is there.
    pub(crate) fn same_text(&self, name: &str, found: &str) -> Result<(), Fault> {
        if !self.has(name) {
            return Ok(());
        }
        let expected = self.text(name)?;
        if expected == found {
            Ok(())
        } else {
            Err(format!("{name} is {found:?}, expected {expected:?}"))
        }
    }

    /// Compares an integer if the field is there.
    pub(crate) fn same_number(&self, name: &str, found: i64) -> Result<(), Fault> {
        if !self.has(name) {
            return Ok(());
        }
        let expected = self.number(name)?;
        if expected == found {
            Ok(())
        } else {
            Err(format!("{name} is {found}, expected {expected}"))
        }
    }

    /// Compares a truth if the field is there.
    pub(crate) fn same_truth(&self, name: &str, found: bool) -> Result<(), Fault> {
        if !self.has(name) {
            return Ok(());
        }
        let expected = self.truth(name)?;
        if expected == found {
            Ok(())
        } else {
            Err(format!("{name} is {found}, expected {expected}"))
        }
    }

    /// Compares a list of integers if the field is there.
    pub(crate) fn same_numbers(&self, name: &str, found: &[i64]) -> Result<(), Fault> {
        if !self.has(name) {
            return Ok(());
        }
        let expected: Option<Vec<i64>> = self.list(name)?.iter().map(Value::as_i64).collect();
        let expected = expected.ok_or_else(|| format!("{name} is not a list of integers"))?;
        if expected == found {
            Ok(())
        } else {
            Err(format!("{name} is {found:?}, expected {expected:?}"))
        }
    }

    /// The vector's `reject` or `no_crash`, of which the value must be true.
    pub(crate) fn demands(&self, name: &str) -> Result<bool, Fault> {
        if !self.has(name) {
            return Ok(false);
        }
        if self.truth(name)? {
            Ok(true)
        } else {
            Err(format!("{name} may only be true"))
        }
    }
}

pub(crate) fn object(value: &Value) -> Result<Fields<'_>, Fault> {
    value
        .as_object()
        .map(Fields::new)
        .ok_or_else(|| "a list entry is not an object".to_owned())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}
