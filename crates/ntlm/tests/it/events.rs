//! The event of each use, as whoever collects events gets it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use trihound_ntlm::{NtlmCredential, NtlmPolicy, NtlmRule};

use crate::world::{ALICE, DOMAIN, PASSWORD, TARGET, Wishes, World, allowed, secret};

/// An event of NTLM's own target.
struct Told {
    level: Level,
    fields: BTreeMap<String, String>,
}

thread_local! {
    /// What was told on this thread, where somebody listens.
    static TOLD: RefCell<Option<Vec<Told>>> = const { RefCell::new(None) };
}

/// The one collector of the process: with several that come and go, whether an event is of interest at
/// all would depend on which thread met it first.
struct Collector;

struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "trihound::ntlm"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        TOLD.with_borrow_mut(|told| {
            if let Some(told) = told {
                told.push(Told {
                    level: *event.metadata().level(),
                    fields: fields.0,
                });
            }
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What is told on this thread while `act` runs.
fn told(act: impl FnOnce()) -> Vec<Told> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        tracing::subscriber::set_global_default(Collector).unwrap();
        tracing::callsite::rebuild_interest_cache();
    });
    TOLD.set(Some(Vec::new()));
    act();
    TOLD.take().unwrap()
}

fn field<'t>(event: &'t Told, name: &str) -> &'t str {
    event.fields.get(name).map_or("", String::as_str)
}

#[test]
fn each_use_is_one_event_with_its_fields() {
    for (policy, level, outcome) in [
        (allowed(), Level::INFO, "allowed"),
        (NtlmPolicy::both(NtlmRule::Audit), Level::WARN, "audited"),
    ] {
        let world = World::with_policy(policy);
        let events = told(|| {
            world.sides(Wishes::full()).establish();
        });
        assert_eq!(events.len(), 2);
        for (event, direction) in events.iter().zip(["outgoing", "incoming"]) {
            assert_eq!(event.level, level);
            for (name, value) in [
                ("direction", direction),
                ("outcome", outcome),
                ("target", TARGET),
                ("user", ALICE),
                ("domain", DOMAIN),
                ("kerberos_error", ""),
                ("error", ""),
            ] {
                assert_eq!(field(event, name), value, "{name} of {direction}");
            }
            assert!(field(event, "message").starts_with("NTLM is used: "));
            let all = format!("{:?}", event.fields);
            assert!(!all.contains(PASSWORD), "{all}");
        }
    }
}

#[test]
fn what_is_denied_or_refused_is_a_warning() {
    let world = World::with_policy(NtlmPolicy::default());
    let events = told(|| {
        assert!(world.sides(Wishes::full()).initialize(None).0.is_err());
    });
    let [denied] = events.as_slice() else {
        panic!("{} events", events.len());
    };
    assert_eq!(denied.level, Level::WARN);
    assert_eq!(field(denied, "outcome"), "denied");
    let world = World::new();
    let wrong = NtlmCredential::from_password(ALICE, DOMAIN, secret("wrong"));
    let events = told(|| {
        world.sides(Wishes::full()).with_client(wrong).refusal();
    });
    let refused = events.last().unwrap();
    assert_eq!(refused.level, Level::WARN);
    assert_eq!(field(refused, "outcome"), "refused");
    assert!(field(refused, "error").contains("password"));
}
