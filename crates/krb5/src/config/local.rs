//! From principals to local names: `auth_to_local` and `auth_to_local_names` (krb5.conf(5)).

use super::regex::Regex;
use super::{Config, LocalNameError};
use crate::Principal;

/// The longest text that a rule works on; no name of a person or service comes near it.
const MAX_NAME: usize = 1024;

impl Config {
    /// The local name of a principal by the rules of the default realm: an explicit name in
    /// `auth_to_local_names`, else the first `auth_to_local` rule that fits, or `DEFAULT` if there
    /// are none. `None` if no rule fits.
    ///
    /// Two of MIT's rules look at the name and not at the realm, so that a foreign realm's user gets
    /// the local one's account. Here an entry of `auth_to_local_names` without a realm, and a `RULE:`
    /// without `[n:...]`, hold for principals of the default realm only.
    ///
    /// # Errors
    ///
    /// [`LocalNameError`] without a default realm, or where a rule cannot be read.
    pub fn auth_to_local(&self, principal: &Principal) -> Result<Option<String>, LocalNameError> {
        let realm =
            self.default_realm
                .as_deref()
                .ok_or_else(|| LocalNameError::NoDefaultRealm {
                    principal: principal.to_string(),
                })?;
        let Some(config) = self.realms.get(realm) else {
            return Ok(by_default(principal, realm));
        };
        let named = config.auth_to_local_names.iter().find(|(name, _)| {
            // MIT's names have no realm; written out, one may have.
            Principal::parse(name, Some(realm)).is_ok_and(|named| named == *principal)
        });
        if let Some((_, local)) = named {
            return Ok(Some(local.clone()));
        }
        if config.auth_to_local.is_empty() {
            return Ok(by_default(principal, realm));
        }
        for text in &config.auth_to_local {
            let found = Rule::parse(text)
                .map_err(|reason| LocalNameError::BadRule {
                    realm: realm.to_owned(),
                    rule: text.clone(),
                    reason,
                })?
                .apply(principal, realm);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// One `auth_to_local` value.
pub(super) enum Rule {
    /// `DEFAULT`
    Default,
    /// `RULE:[n:format](expression)s/expression/text/g…`
    Rule {
        selection: Option<Selection>,
        condition: Option<Regex>,
        substitutions: Vec<Substitution>,
    },
}

/// What of the principal the rule looks at.
pub(super) struct Selection {
    components: usize,
    parts: Vec<Part>,
}

enum Part {
    Literal(String),
    /// 0 is the realm, 1 the first component.
    Component(usize),
}

pub(super) struct Substitution {
    expression: Regex,
    text: String,
    everywhere: bool,
}

impl Rule {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "DEFAULT" {
            return Ok(Self::Default);
        }
        let mut rest = text
            .strip_prefix("RULE:")
            .ok_or("a rule is DEFAULT or RULE:[n:format](expression)s/expression/text/g")?;
        let mut selection = None;
        if let Some(inner) = rest.strip_prefix('[') {
            let (count, format) = inner
                .split_once(':')
                .ok_or("the selection is [n:format], with n the number of components")?;
            let components = count
                .parse()
                .map_err(|_| "the selection is [n:format], with n the number of components")?;
            let (parts, behind) = selection_parts(format, components)?;
            selection = Some(Selection { components, parts });
            rest = behind;
        }
        let mut condition = None;
        if let Some(inner) = rest.strip_prefix('(') {
            // As MIT, whose expressions here can have no parenthesis.
            let (expression, behind) = inner.split_once(')').ok_or("a `(` is not closed")?;
            condition = Some(Regex::new(expression)?);
            rest = behind;
        }
        let mut substitutions = Vec::new();
        rest = rest.trim_start();
        while !rest.is_empty() {
            let bad = "a substitution is s/expression/text/ or s/expression/text/g";
            let inner = rest.strip_prefix("s/").ok_or(bad)?;
            let (expression, inner) = inner.split_once('/').ok_or(bad)?;
            let (text, behind) = inner.split_once('/').ok_or(bad)?;
            let everywhere = behind.starts_with('g');
            substitutions.push(Substitution {
                expression: Regex::new(expression)?,
                text: text.to_owned(),
                everywhere,
            });
            rest = behind.strip_prefix('g').unwrap_or(behind).trim_start();
        }
        Ok(Self::Rule {
            selection,
            condition,
            substitutions,
        })
    }

    fn apply(&self, principal: &Principal, default_realm: &str) -> Option<String> {
        let (selection, condition, substitutions) = match self {
            Self::Default => return by_default(principal, default_realm),
            Self::Rule {
                selection,
                condition,
                substitutions,
            } => (selection, condition, substitutions),
        };
        let selected = match selection {
            Some(selection) => selection.of(principal)?,
            None if principal.realm.as_bytes() == default_realm.as_bytes() => joined(principal)?,
            None => return None,
        };
        let mut text: Vec<char> = selected.chars().collect();
        if text.len() > MAX_NAME {
            return None;
        }
        if condition
            .as_ref()
            .is_some_and(|condition| !condition.matches(&text))
        {
            return None;
        }
        for substitution in substitutions {
            text = substitution.apply(&text);
            if text.len() > MAX_NAME {
                return None;
            }
        }
        // An empty name is nobody's.
        (!text.is_empty()).then(|| text.into_iter().collect())
    }
}

/// Reads up to the closing bracket; what stands behind it is the second part.
fn selection_parts(format: &str, components: usize) -> Result<(Vec<Part>, &str), &'static str> {
    let mut parts = Vec::new();
    let mut rest = format;
    loop {
        let end = rest
            .find(['$', ']'])
            .ok_or("the selection [n:format] is not closed")?;
        let (literal, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.to_owned()));
        }
        let Some(tail) = tail.strip_prefix('$') else {
            return Ok((parts, tail.strip_prefix(']').unwrap_or(tail)));
        };
        let digits = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, behind) = tail.split_at_checked(digits).unwrap_or((tail, ""));
        let number = number
            .parse()
            .map_err(|_| "`$` is followed by the number of a component, or by 0 for the realm")?;
        if number > components {
            return Err("`$n` names a component that the principal does not have");
        }
        parts.push(Part::Component(number));
        rest = behind;
    }
}

impl Selection {
    /// `None` if the principal has another number of components, or one that is not UTF-8.
    fn of(&self, principal: &Principal) -> Option<String> {
        if principal.components().count() != self.components {
            return None;
        }
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Component(0) => {
                    text.push_str(core::str::from_utf8(principal.realm.as_bytes()).ok()?);
                }
                Part::Component(number) => {
                    let component = principal.components().nth(number.saturating_sub(1))?;
                    text.push_str(core::str::from_utf8(component).ok()?);
                }
            }
        }
        Some(text)
    }
}

/// The components as text, with `/` between them; what stands in a component and would separate is
/// escaped. `None` if it is not UTF-8.
fn joined(principal: &Principal) -> Option<String> {
    let mut text = String::new();
    for (index, component) in principal.components().enumerate() {
        if index > 0 {
            text.push('/');
        }
        for c in core::str::from_utf8(component).ok()?.chars() {
            if matches!(c, '/' | '@' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
    }
    Some(text)
}

impl Substitution {
    /// As MIT: behind a replacement the rest is a text of its own, so that `^` fits there again.
    fn apply(&self, text: &[char]) -> Vec<char> {
        let mut result = Vec::new();
        let mut rest = text;
        while let Some((start, end)) = self.expression.find(rest) {
            result.extend(rest.iter().take(start));
            result.extend(self.text.chars());
            // A match of nothing must not be found for ever.
            let step = usize::from(start == end);
            result.extend(rest.iter().skip(end).take(step));
            rest = rest.get(end.saturating_add(step)..).unwrap_or_default();
            if !self.everywhere || rest.is_empty() {
                break;
            }
        }
        result.extend(rest);
        result
    }
}

/// A name of one component, or of a second one that is the realm, in the default realm.
fn by_default(principal: &Principal, default_realm: &str) -> Option<String> {
    let realm = default_realm.as_bytes();
    let mut components = principal.components();
    let first = components.next()?;
    let is_plain = components.next().is_none_or(|second| second == realm);
    if principal.realm.as_bytes() != realm || !is_plain || components.next().is_some() {
        return None;
    }
    let name = core::str::from_utf8(first).ok()?;
    (!name.is_empty()).then(|| name.to_owned())
}
