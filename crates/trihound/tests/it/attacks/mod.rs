//! Somebody between an initiator and an acceptor who changes one thing at a time, over Kerberos and NTLM,
//! negotiated and raw. A case says who has to notice, with which error, or that nothing comes of it: both
//! sides then have what they would have had without him.

mod edit;
mod kerberos;
mod kerberos_mic;
mod messages;
mod negotiated_ntlm;
mod ntlm;
mod ntlm_flags;
mod relay;
mod replay;
mod selection;
mod sweep;
mod world;

use trihound::sspi::{Error, SecurityStatus};

use world::{Ended, Scene};

/// The counts of cases that there were when this was last looked at, by module; fewer means that some are gone.
const LEAST: &str = include_str!("least.txt");

/// What the man in the middle delivers for a message: it, another, several, none.
type Attack = Box<dyn Fn(usize, Vec<u8>) -> Vec<Vec<u8>>>;

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Initiator,
    Acceptor,
}

/// What has to come of an attack.
#[derive(Clone, Copy)]
enum Expect {
    /// This side refuses, with this status and this source.
    Refused(By, SecurityStatus, &'static str, fn(&Error) -> bool),
    /// Both sides have what they would have without the attack.
    Unaltered,
    /// This side waits for a token that does not come.
    Waits(By),
}

/// Refused by a side, with a status and a variant of an error of a type.
macro_rules! refused {
    ($by:ident, $status:ident, $source:ty, $pattern:pat) => {
        super::Expect::Refused(
            super::By::$by,
            trihound::sspi::SecurityStatus::$status,
            stringify!($pattern),
            |error| matches!(error.find_source::<$source>(), Some($pattern)),
        )
    };
}
use refused;

/// One attack.
struct Case {
    name: &'static str,
    attack: Attack,
    expect: Expect,
}

fn case(name: &'static str, attack: Attack, expect: Expect) -> Case {
    Case {
        name,
        attack,
        expect,
    }
}

/// Nobody between.
fn nobody() -> Attack {
    Box::new(|_, token| vec![token])
}

/// Changes the message of this number, counted from 0.
fn at(number: usize, change: impl Fn(Vec<u8>) -> Vec<u8> + 'static) -> Attack {
    Box::new(move |found, token| {
        vec![if found == number {
            change(token)
        } else {
            token
        }]
    })
}

/// Changes messages by their number; `None` leaves one as it is.
fn each(change: impl Fn(usize, &[u8]) -> Option<Vec<u8>> + 'static) -> Attack {
    Box::new(move |number, token| vec![change(number, &token).unwrap_or(token)])
}

/// Delivers the message of this number so many times.
fn times(number: usize, count: usize) -> Attack {
    Box::new(move |found, token| {
        let count = if found == number { count } else { 1 };
        vec![token; count]
    })
}

/// What `expect` says and `ended` does not.
fn fault(scene: &Scene<'_>, expect: &Expect, ended: &Ended, honest: &Ended) -> Option<String> {
    let told = ended.describe();
    match (expect, &ended.refused) {
        (Expect::Refused(by, status, variant, is_it), Some((found, error))) => {
            let right = by == found && error.status() == *status && is_it(error);
            if !right {
                return Some(format!("expected {by:?} {status} {variant}, {told}"));
            }
            scene
                .leftover(*by, ended)
                .map(|what| format!("{what}, {told}"))
        }
        (Expect::Unaltered, None) => scene.differs(ended, honest),
        (Expect::Waits(by), None) if ended.established(*by).is_none() => None,
        (Expect::Refused(by, status, variant, _), None) => {
            Some(format!("expected {by:?} {status} {variant}, {told}"))
        }
        (Expect::Unaltered, Some(_)) => Some(format!("expected nothing to come of it, {told}")),
        (Expect::Waits(by), _) => Some(format!("expected {by:?} to wait, {told}")),
    }
}

/// Runs the cases over fresh contexts of a scene, prints their number, and compares it with the least.
fn run(table: &str, scene: &Scene<'_>, cases: Vec<Case>) {
    let honest = scene.converse(&nobody());
    assert!(honest.refused.is_none(), "{table}: {}", honest.describe());
    assert!(scene.differs(&honest, &honest).is_none(), "{table}");
    let count = cases.len();
    let mut names = std::collections::BTreeSet::new();
    let mut faults = Vec::new();
    for case in cases {
        assert!(names.insert(case.name), "{}: twice", case.name);
        let ended = scene.converse(&case.attack);
        if let Some(fault) = fault(scene, &case.expect, &ended, &honest) {
            faults.push(format!("{}: {fault}", case.name));
        }
    }
    assert!(faults.is_empty(), "{table}:\n{}", faults.join("\n"));
    enough(table, count);
}

/// Prints how many cases a table has, and fails if there were more before.
fn enough(table: &str, count: usize) {
    println!("attacks: {table}: {count} cases");
    let least = LEAST
        .lines()
        .find_map(|line| line.strip_prefix(table)?.strip_prefix(' ')?.parse().ok())
        .unwrap_or_else(|| panic!("least.txt has no line for {table}"));
    assert!(count >= least, "{table}: {count} cases, {least} before");
}

#[test]
fn every_table_is_one_that_runs() {
    let tables: Vec<&str> = LEAST
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        tables,
        [
            "raw-ntlm",
            "raw-ntlm-login",
            "negotiated-ntlm",
            "negotiated-kerberos",
            "negotiated-kerberos-mic",
            "raw-kerberos",
            "selection",
            "sweep-raw-ntlm",
            "sweep-negotiated-ntlm",
            "sweep-negotiated-kerberos",
        ]
    );
}
