//! Extended regular expressions of POSIX (IEEE Std 1003.1, section 9.4), as `auth_to_local` rules
//! use them.
//!
//! The longest of the leftmost matches counts. Texts are matched by following all alternatives at
//! once, so that the time grows with the product of text and expression and no further.

mod class;

use class::Class;

/// Characters of an expression as it is written.
const MAX_LENGTH: usize = 1024;
/// States of a compiled expression; repetitions multiply them.
const MAX_STATES: usize = 4096;
/// Steps that compiling may take; repetitions of what has no states multiply these.
const MAX_STEPS: usize = 16 * MAX_STATES;
/// Parentheses within each other.
const MAX_DEPTH: usize = 32;
/// Repetitions behind each other, each of which repeats the one before.
const MAX_REPETITIONS: usize = 8;
/// The largest count in braces (RE_DUP_MAX).
const MAX_COUNT: usize = 255;

const TOO_LARGE: &str = "the expression is too large";

/// A compiled expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Regex {
    states: Vec<State>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Takes one character and goes on with the next state.
    Take(Set),
    /// Goes on here only at the start of the text.
    Start,
    /// Goes on here only at its end.
    End,
    /// Goes on at either.
    Split(usize, usize),
    /// Goes on there.
    Jump(usize),
    /// The expression is through.
    Match,
}

/// A set of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set {
    ranges: Vec<(char, char)>,
    classes: Vec<Class>,
    is_negated: bool,
}

impl Set {
    fn one(c: char) -> Self {
        Self {
            ranges: vec![(c, c)],
            ..Self::default()
        }
    }

    fn class(class: Class, is_negated: bool) -> Self {
        Self {
            classes: vec![class],
            is_negated,
            ..Self::default()
        }
    }

    fn has(&self, c: char) -> bool {
        let in_range = |(first, last): &(char, char)| (*first..=*last).contains(&c);
        let found = self.ranges.iter().any(in_range) || self.classes.iter().any(|it| it.has(c));
        found != self.is_negated
    }
}

#[derive(Clone)]
enum Node {
    Take(Set),
    Start,
    End,
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat(Box<Node>, usize, Option<usize>),
}

impl Regex {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in a few words.
    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        if text.chars().count() > MAX_LENGTH {
            return Err(TOO_LARGE);
        }
        let mut parser = Parser {
            rest: text.chars().peekable(),
            depth: 0,
        };
        let node = parser.either()?;
        if parser.rest.next().is_some() {
            return Err("a `)` closes nothing");
        }
        let mut compiler = Compiler::default();
        compiler.emit(&node)?;
        compiler.push(State::Match)?;
        Ok(Self {
            states: compiler.states,
        })
    }

    /// The longest of the leftmost matches: where it begins and where it ends.
    pub(super) fn find(&self, text: &[char]) -> Option<(usize, usize)> {
        (0..=text.len()).find_map(|start| self.longest(text, start).map(|end| (start, end)))
    }

    /// Whether the whole text matches.
    pub(super) fn matches(&self, text: &[char]) -> bool {
        // The longest match from the start is the whole text if any is.
        self.longest(text, 0) == Some(text.len())
    }

    fn longest(&self, text: &[char], start: usize) -> Option<usize> {
        let mut here = Threads::new(self.states.len());
        let mut next = Threads::new(self.states.len());
        let mut found = None;
        self.follow(0, start, text, &mut here);
        for position in start..=text.len() {
            if here.matched {
                found = Some(position);
            }
            if here.list.is_empty() {
                break;
            }
            let Some(&c) = text.get(position) else { break };
            next.clear();
            for &state in &here.list {
                if let Some(State::Take(set)) = self.states.get(state)
                    && set.has(c)
                {
                    self.follow(
                        state.saturating_add(1),
                        position.saturating_add(1),
                        text,
                        &mut next,
                    );
                }
            }
            core::mem::swap(&mut here, &mut next);
        }
        found
    }

    /// Adds the states that are reached from `state` without taking a character.
    fn follow(&self, state: usize, position: usize, text: &[char], into: &mut Threads) {
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            if !into.visit(state) {
                continue;
            }
            let next = state.saturating_add(1);
            match self.states.get(state) {
                Some(State::Take(_)) => into.list.push(state),
                Some(State::Start) if position == 0 => open.push(next),
                Some(State::End) if position == text.len() => open.push(next),
                Some(State::Split(one, other)) => open.extend([*one, *other]),
                Some(State::Jump(to)) => open.push(*to),
                Some(State::Match) => into.matched = true,
                Some(State::Start | State::End) | None => {}
            }
        }
    }
}

/// Makes states of nodes.
#[derive(Default)]
struct Compiler {
    states: Vec<State>,
    steps: usize,
}

impl Compiler {
    fn push(&mut self, state: State) -> Result<usize, &'static str> {
        if self.states.len() >= MAX_STATES {
            return Err(TOO_LARGE);
        }
        self.states.push(state);
        Ok(self.states.len().saturating_sub(1))
    }

    fn patch(&mut self, at: usize, state: State) {
        if let Some(slot) = self.states.get_mut(at) {
            *slot = state;
        }
    }

    fn emit(&mut self, node: &Node) -> Result<(), &'static str> {
        self.steps = self.steps.saturating_add(1);
        if self.steps > MAX_STEPS {
            return Err(TOO_LARGE);
        }
        match node {
            Node::Take(set) => self.push(State::Take(set.clone())).map(drop),
            Node::Start => self.push(State::Start).map(drop),
            Node::End => self.push(State::End).map(drop),
            Node::Sequence(nodes) => nodes.iter().try_for_each(|node| self.emit(node)),
            Node::Either(branches) => self.emit_either(branches),
            Node::Repeat(node, least, most) => self.emit_repeat(node, *least, *most),
        }
    }

    fn emit_either(&mut self, branches: &[Node]) -> Result<(), &'static str> {
        let mut jumps = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            let is_last = index.saturating_add(1) == branches.len();
            let split = (!is_last).then(|| self.push(State::Match)).transpose()?;
            self.emit(branch)?;
            if let Some(split) = split {
                jumps.push(self.push(State::Match)?);
                let (one, other) = (split.saturating_add(1), self.states.len());
                self.patch(split, State::Split(one, other));
            }
        }
        let end = self.states.len();
        for jump in jumps {
            self.patch(jump, State::Jump(end));
        }
        Ok(())
    }

    fn emit_repeat(
        &mut self,
        node: &Node,
        least: usize,
        most: Option<usize>,
    ) -> Result<(), &'static str> {
        for _ in 0..least {
            self.emit(node)?;
        }
        let Some(most) = most else {
            let split = self.push(State::Match)?;
            self.emit(node)?;
            self.push(State::Jump(split))?;
            let (one, other) = (split.saturating_add(1), self.states.len());
            self.patch(split, State::Split(one, other));
            return Ok(());
        };
        let mut splits = Vec::new();
        for _ in least..most {
            splits.push(self.push(State::Match)?);
            self.emit(node)?;
        }
        let end = self.states.len();
        for split in splits {
            self.patch(split, State::Split(split.saturating_add(1), end));
        }
        Ok(())
    }
}

/// The states that a match may be in.
struct Threads {
    list: Vec<usize>,
    visited: Vec<bool>,
    matched: bool,
}

impl Threads {
    fn new(states: usize) -> Self {
        Self {
            list: Vec::new(),
            visited: vec![false; states],
            matched: false,
        }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.visited.fill(false);
        self.matched = false;
    }

    /// Whether the state is new.
    fn visit(&mut self, state: usize) -> bool {
        self.visited
            .get_mut(state)
            .is_some_and(|visited| !core::mem::replace(visited, true))
    }
}

struct Parser<'a> {
    rest: core::iter::Peekable<core::str::Chars<'a>>,
    depth: usize,
}

impl Parser<'_> {
    fn either(&mut self) -> Result<Node, &'static str> {
        let mut branches = vec![self.sequence()?];
        while self.rest.next_if_eq(&'|').is_some() {
            branches.push(self.sequence()?);
        }
        Ok(Node::Either(branches))
    }

    fn sequence(&mut self) -> Result<Node, &'static str> {
        let mut nodes = Vec::new();
        while let Some(&c) = self.rest.peek() {
            if c == '|' || (c == ')' && self.depth > 0) {
                break;
            }
            if c == ')' {
                return Err("a `)` closes nothing");
            }
            let node = self.atom()?;
            nodes.push(self.repeated(node)?);
        }
        Ok(Node::Sequence(nodes))
    }

    fn repeated(&mut self, mut node: Node) -> Result<Node, &'static str> {
        let mut repetitions = 0_usize;
        while let Some(c) = self.rest.next_if(|c| matches!(c, '*' | '+' | '?' | '{')) {
            repetitions = repetitions.saturating_add(1);
            if repetitions > MAX_REPETITIONS {
                return Err("too many repetitions behind each other");
            }
            let (least, most) = match c {
                '*' => (0, None),
                '+' => (1, None),
                '?' => (0, Some(1)),
                _ => self.counts()?,
            };
            node = Node::Repeat(Box::new(node), least, most);
        }
        Ok(node)
    }

    fn counts(&mut self) -> Result<(usize, Option<usize>), &'static str> {
        const BAD: &str = "a count is `{n}`, `{n,}` or `{n,m}`";
        let least = self.number().ok_or(BAD)?;
        let most = if self.rest.next_if_eq(&',').is_none() {
            Some(least)
        } else if self.rest.peek() == Some(&'}') {
            None
        } else {
            Some(self.number().ok_or(BAD)?)
        };
        let is_right = most.is_none_or(|most| least <= most && most <= MAX_COUNT);
        if self.rest.next() != Some('}') || !is_right || least > MAX_COUNT {
            return Err(BAD);
        }
        Ok((least, most))
    }

    fn number(&mut self) -> Option<usize> {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        digits.parse().ok()
    }

    fn atom(&mut self) -> Result<Node, &'static str> {
        match self.rest.next() {
            Some('(') => {
                if self.depth >= MAX_DEPTH {
                    return Err("too many parentheses within each other");
                }
                self.depth = self.depth.saturating_add(1);
                let node = self.either()?;
                self.depth = self.depth.saturating_sub(1);
                if self.rest.next() != Some(')') {
                    return Err("a `(` is not closed");
                }
                Ok(node)
            }
            Some('[') => self.bracket().map(Node::Take),
            Some('.') => Ok(Node::Take(Set {
                is_negated: true,
                ..Set::default()
            })),
            Some('^') => Ok(Node::Start),
            Some('$') => Ok(Node::End),
            Some('\\') => self.escape(),
            Some('*' | '+' | '?' | '{') | None => Err("a repetition follows nothing"),
            Some(c) => Ok(Node::Take(Set::one(c))),
        }
    }

    fn escape(&mut self) -> Result<Node, &'static str> {
        let set = match self.rest.next() {
            Some('w') => Set::class(Class::Word, false),
            Some('W') => Set::class(Class::Word, true),
            Some('s') => Set::class(Class::Space, false),
            Some('S') => Set::class(Class::Space, true),
            Some(c) if c.is_ascii_alphanumeric() => {
                return Err(
                    "of the escapes with a letter or digit only \\w, \\W, \\s and \\S are known",
                );
            }
            Some(c) => Set::one(c),
            None => return Err("it ends in a backslash"),
        };
        Ok(Node::Take(set))
    }

    fn bracket(&mut self) -> Result<Set, &'static str> {
        const OPEN: &str = "a `[` is not closed";
        let mut set = Set {
            is_negated: self.rest.next_if_eq(&'^').is_some(),
            ..Set::default()
        };
        let mut is_first = true;
        loop {
            let c = self.rest.next().ok_or(OPEN)?;
            match c {
                // POSIX: a `]` that comes first stands for itself, and so does a backslash.
                ']' if !is_first => return Ok(set),
                '[' if self.rest.next_if_eq(&':').is_some() => set.classes.push(self.class()?),
                '[' if matches!(self.rest.peek(), Some('.' | '=')) => {
                    return Err("collating elements and equivalence classes are not known");
                }
                first => {
                    let last = self.range_end(first)?;
                    set.ranges.push((first, last));
                }
            }
            is_first = false;
        }
    }

    /// The end of a range that begins with `first`; itself if none is written.
    fn range_end(&mut self, first: char) -> Result<char, &'static str> {
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || matches!(ahead.peek(), Some(']') | None) {
            return Ok(first);
        }
        self.rest.next();
        match self.rest.next() {
            Some(last) if last >= first => Ok(last),
            _ => Err("a range ends before it begins"),
        }
    }

    fn class(&mut self) -> Result<Class, &'static str> {
        let mut name = String::new();
        while let Some(letter) = self.rest.next_if(char::is_ascii_lowercase) {
            name.push(letter);
        }
        let closed = self.rest.next() == Some(':') && self.rest.next() == Some(']');
        let class = Class::named(&name).filter(|_| closed);
        class.ok_or("a class of characters is [:alpha:], [:digit:] and the like")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(expression: &str, text: &str) -> Option<(usize, usize)> {
        let text: Vec<char> = text.chars().collect();
        Regex::new(expression).unwrap().find(&text)
    }

    fn matches(expression: &str, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        Regex::new(expression).unwrap().matches(&text)
    }

    #[test]
    fn the_longest_of_the_leftmost_matches_counts() {
        for (expression, text, found) in [
            ("a", "bab", Some((1, 2))),
            ("a|ab", "xab", Some((1, 3))),
            ("(a|ab)(c|bcd)", "abcd", Some((0, 4))),
            ("x*", "aaxx", Some((0, 0))),
            ("x+", "aaxxxa", Some((2, 5))),
            ("colou?r", "my color", Some((3, 8))),
            ("^a", "ba", None),
            ("a$", "ab", None),
            ("^$", "", Some((0, 0))),
            ("a{2}", "aaaa", Some((0, 2))),
            ("a{2,}", "xaaaa", Some((1, 5))),
            ("a{1,3}", "aaaa", Some((0, 3))),
            ("(ab){0,2}c", "ababc", Some((0, 5))),
            ("[a-c]+", "xxabcd", Some((2, 5))),
            ("[^a-c]+", "abxyc", Some((2, 4))),
            ("[]x]+", "a]x]", Some((1, 4))),
            ("[a-]+", "b-a-", Some((1, 4))),
            ("[[:digit:]_]+", "ab1_2", Some((2, 5))),
            ("\\.", "a.b", Some((1, 2))),
            ("[\\.]", "\\", Some((0, 1))),
            ("\\w+\\s", "ab_1 c", Some((0, 5))),
            (".", "\n", Some((0, 1))),
            ("(a*)*b", "aaab", Some((0, 4))),
            ("a||b", "b", Some((0, 1))),
            ("ä.", "xäö", Some((1, 3))),
        ] {
            assert_eq!(find(expression, text), found, "{expression} in {text}");
        }
    }

    #[test]
    fn a_whole_match_is_found_whatever_the_order_of_alternatives() {
        assert!(matches("a|ab|abc", "abc"));
        assert!(matches("^.*;admin$", "joe;admin"));
        assert!(!matches("joh", "john"));
        assert!(!matches("ohn", "john"));
        assert!(matches("", ""));
    }

    #[test]
    fn what_is_no_expression_says_why() {
        for expression in [
            "(",
            ")",
            "a)",
            "(a",
            "[a",
            "[",
            "[[:nonsense:]]",
            "[[:alpha:",
            "*",
            "a|*",
            "a{",
            "a{2",
            "a{x}",
            "a{3,2}",
            "a{256}",
            "\\",
            "\\1",
            "\\d",
            "[z-a]",
            "[[.a.]]",
            "+a",
        ] {
            assert!(Regex::new(expression).is_err(), "{expression}");
        }
        assert!(Regex::new(&"(".repeat(100)).is_err());
        assert!(Regex::new("((a{255}){255}){255}").is_err());
    }

    /// Backtracking would need longer than the universe has.
    #[test]
    fn the_time_does_not_explode() {
        let text = "a".repeat(60);
        assert!(!matches("(a|a)*(a|a)*(a|a)*b", &text));
        assert!(matches(
            &format!("{}{}", "a?".repeat(60), "a".repeat(60)),
            &text
        ));
    }

    /// Each of these is small to write; followed to the letter, they take hours or the whole stack.
    #[test]
    fn an_expression_that_is_too_much_is_refused_at_once() {
        let begun = std::time::Instant::now();
        for expression in [
            "a{0}{255}{255}{255}{255}{255}".to_owned(),
            "(){255}{255}{255}{255}{255}".to_owned(),
            "((((a{0}){255}){255}){255}){255}".to_owned(),
            "(a{0}|){200}{200}{200}".to_owned(),
            format!("a{}", "{1}".repeat(60_000)),
            format!("a{}", "*".repeat(60_000)),
            format!("a{}", "*".repeat(9)),
            "a".repeat(1025),
            "|".repeat(1025),
        ] {
            assert!(Regex::new(&expression).is_err(), "{expression:.40}");
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(20));
    }

    #[test]
    fn repetitions_of_repetitions_are_taken_up_to_the_bound() {
        assert_eq!(find("a{2}{2}", "xaaaaa"), Some((1, 5)));
        assert!(matches(&format!("a{}", "{1}".repeat(8)), "a"));
        assert!(matches("a{0}{255}{200}", ""));
        assert!(matches(&"a".repeat(1024), &"a".repeat(1024)));
        let nested = format!("{}a{}", "(".repeat(32), "){1}*".repeat(32));
        assert!(matches(&nested, "aaa"));
    }
}
