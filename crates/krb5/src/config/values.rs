//! The values of relations: truth values, durations, numbers.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use super::ConfigError;
use crate::profile::{Profile, Relation};

/// The relations of `[libdefaults]`, or of a realm's sub-section of it.
#[derive(Clone, Copy)]
pub(super) struct LibDefaults<'a> {
    pub(super) profile: &'a Profile,
    /// The realm of the sub-section.
    pub(super) realm: Option<&'a str>,
}

/// One relation and what to call it.
pub(super) struct Found<'a> {
    pub(super) value: &'a str,
    pub(super) subject: String,
    pub(super) relation: Relation<'a>,
}

impl<'a> LibDefaults<'a> {
    /// The first relation of that name.
    pub(super) fn find(self, name: &'a str) -> Option<Found<'a>> {
        let (relation, subject) = match self.realm {
            None => (
                self.profile.first(&["libdefaults", name])?,
                format!("[libdefaults] {name}"),
            ),
            Some(realm) => (
                self.profile.first(&["libdefaults", realm, name])?,
                format!("[libdefaults] {realm} {name}"),
            ),
        };
        Some(Found {
            value: relation.value?,
            subject,
            relation,
        })
    }

    pub(super) fn text(self, name: &'a str) -> Option<String> {
        self.find(name).map(|found| found.value.to_owned())
    }

    pub(super) fn duration(self, name: &'a str) -> Result<Option<Duration>, ConfigError> {
        self.find(name)
            .map(|found| {
                parse_duration(found.value).ok_or_else(|| ConfigError::Duration {
                    place: found.relation.place.clone(),
                    relation: found.subject,
                    value: found.value.to_owned(),
                })
            })
            .transpose()
    }

    pub(super) fn boolean(self, name: &'a str) -> Result<Option<bool>, ConfigError> {
        self.find(name).as_ref().map(Found::boolean).transpose()
    }

    pub(super) fn number<N: FromStr>(self, name: &'a str) -> Result<Option<N>, ConfigError> {
        self.parsed(name, |text| text.parse().ok())
    }

    /// A number that `parse` reads.
    pub(super) fn parsed<N>(
        self,
        name: &'a str,
        parse: impl Fn(&str) -> Option<N>,
    ) -> Result<Option<N>, ConfigError> {
        self.find(name)
            .map(|found| {
                parse(found.value).ok_or_else(|| ConfigError::Number {
                    place: found.relation.place.clone(),
                    relation: found.subject,
                    value: found.value.to_owned(),
                })
            })
            .transpose()
    }

    /// Addresses with commas between them.
    pub(super) fn addresses(self, name: &'a str) -> Result<Vec<IpAddr>, ConfigError> {
        let Some(found) = self.find(name) else {
            return Ok(Vec::new());
        };
        let parts = found.value.split([',', ' ', '\t']);
        parts
            .filter(|part| !part.is_empty())
            .map(|part| {
                part.parse().map_err(|_| ConfigError::Addresses {
                    place: found.relation.place.clone(),
                    relation: found.subject.clone(),
                    value: found.value.to_owned(),
                })
            })
            .collect()
    }
}

impl Found<'_> {
    pub(super) fn boolean(&self) -> Result<bool, ConfigError> {
        parse_boolean(self.value).ok_or_else(|| ConfigError::Boolean {
            place: self.relation.place.clone(),
            relation: self.subject.clone(),
            value: self.value.to_owned(),
        })
    }
}

/// Reads a truth value as krb5.conf spells it.
#[must_use]
pub fn parse_boolean(text: &str) -> Option<bool> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(&["y", "yes", "true", "t", "1", "on"]) {
        return Some(true);
    }
    is_one_of(&["n", "no", "false", "nil", "0", "off"]).then_some(false)
}

/// Reads a duration as krb5.conf and kinit spell it: seconds, `1d 2h 3m 4s` in this order with
/// any part left out, `h:m`, `h:m:s`, or `d-h:m:s`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let seconds = if text.contains(':') {
        let (days, clock) = match text.split_once('-') {
            Some((days, clock)) => (number(days)?, clock),
            None => (0, text),
        };
        let mut parts = clock.split(':');
        let (hours, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
        let seconds = parts.next().map_or(Some(0), number)?;
        if parts.next().is_some() {
            return None;
        }
        sum(&[(days, 86_400), (hours, 3600), (minutes, 60), (seconds, 1)])?
    } else if let Some(seconds) = number(text) {
        seconds
    } else {
        if text.is_empty() {
            return None;
        }
        let mut rest = text;
        let mut total: u64 = 0;
        let mut units = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)].iter();
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let (digits, tail) = rest.split_at_checked(end)?;
            let tail = tail.trim_start();
            let letter = tail.chars().next()?.to_ascii_lowercase();
            let (_, unit) = units.find(|(name, _)| *name == letter)?;
            total = total.checked_add(number(digits)?.checked_mul(*unit)?)?;
            rest = tail.get(1..)?.trim_start();
        }
        total
    };
    // A duration past 32 bits of seconds cannot be told from a mistake, nor put into a file.
    u32::try_from(seconds)
        .ok()
        .map(|seconds| Duration::from_secs(seconds.into()))
}

/// Digits only: neither a sign nor an empty text is a number here.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn sum(parts: &[(u64, u64)]) -> Option<u64> {
    parts.iter().try_fold(0_u64, |total, (count, unit)| {
        total.checked_add(count.checked_mul(*unit)?)
    })
}
