//! ImpersonateSecurityContext and RevertSecurityContext: whose thread it is, and until when.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;

use trihound_sansio::Reply;
use trihound_sspi::*;

use crate::toy::{Bench, Toy, ToySealer, status};

/// Whom the thread impersonates.
fn acting_for() -> Option<String> {
    Some(thread_token()?.client_name.clone())
}

fn named(name: &str) -> Option<String> {
    Some(name.to_owned())
}

/// An operating system that writes down what becomes of a thread.
#[derive(Default)]
struct Recorder {
    events: Arc<Mutex<Vec<String>>>,
}

struct Assumed(String, Arc<Mutex<Vec<String>>>);

impl ThreadIdentity for Recorder {
    fn assume(&self, token: &AccessToken) -> Result<Option<Box<dyn AssumedIdentity>>, Error> {
        let name = token.client_name.as_str();
        match name {
            "broken" => Err(Error::new(
                SecurityStatus::SEC_E_INTERNAL_ERROR,
                "no accounts",
            )),
            "faulty" => panic!("a fault of the operating system's part"),
            "stranger" => Ok(None),
            _ => {
                self.events.lock().unwrap().push(format!("+{name}"));
                let assumed = Assumed(name.to_owned(), Arc::clone(&self.events));
                Ok(Some(Box::new(assumed)))
            }
        }
    }
}

impl AssumedIdentity for Assumed {
    fn account(&self) -> &str {
        &self.0
    }

    fn revert(&self) {
        self.1.lock().unwrap().push(format!("-{}", self.0));
    }

    fn resume(&self) {
        self.1.lock().unwrap().push(format!("+{}", self.0));
    }
}

/// A bench whose threads have identities, and what became of them.
fn recorded() -> (Bench, Arc<Mutex<Vec<String>>>) {
    let recorder = Recorder::default();
    let events = Arc::clone(&recorder.events);
    let registered = RegisteredPackage::new(Toy::new());
    let table = SecurityFunctionTable::builder()
        .package(&registered)
        .context_sealer(Arc::new(ToySealer))
        .thread_identity(Arc::new(recorder))
        .build()
        .unwrap();
    (Bench::over(registered, table), events)
}

fn taken(events: &Mutex<Vec<String>>) -> Vec<String> {
    core::mem::take(&mut *events.lock().unwrap())
}

#[test]
fn a_thread_acts_for_the_client_until_it_reverts() {
    let bench = Bench::new();
    let context = bench.with_client("carol");
    assert_eq!(acting_for(), None);
    bench.table.impersonate_security_context(context).unwrap();
    assert_eq!(acting_for(), named("carol"));
    assert_eq!(thread_account(), None, "this table changes no accounts");
    bench.table.revert_security_context(context).unwrap();
    assert_eq!(acting_for(), None);
}

#[test]
fn levels_below_impersonation_are_refused_at_once() {
    let (bench, events) = recorded();
    for client in ["unknown", "known"] {
        let context = bench.with_client(client);
        let token = bench.table.query_security_context_token(context).unwrap();
        let answers = [
            bench.table.impersonate_security_context(context),
            bench.table.impersonate(context).map(drop),
            bench
                .table
                .context(context)
                .unwrap()
                .impersonate()
                .map(drop),
            bench.table.impersonate_token(&token).map(drop),
        ];
        for answer in answers {
            assert_eq!(status(answer), SecurityStatus::SEC_E_NO_IMPERSONATION);
        }
        assert_eq!(acting_for(), None, "{client}");
    }
    assert_eq!(taken(&events), [""; 0], "no identity was touched");
    for client in ["carol", "trusting"] {
        let acting = bench.table.impersonate(bench.with_client(client)).unwrap();
        assert_eq!(acting.token().client_name, client);
    }
}

#[test]
fn other_threads_impersonate_nobody_and_cannot_revert() {
    let bench = Bench::new();
    let context = bench.with_client("carol");
    bench.table.impersonate_security_context(context).unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            assert_eq!(acting_for(), None);
            let answer = bench.table.revert_security_context(context);
            assert_eq!(status(answer), SecurityStatus::SEC_E_NO_IMPERSONATION);
        });
        other.join().unwrap();
    });
    assert_eq!(acting_for(), named("carol"));
    bench.table.revert_security_context(context).unwrap();
}

#[test]
fn a_revert_without_an_impersonation_is_refused() {
    let bench = Bench::new();
    let context = bench.with_client("carol");
    let no = SecurityStatus::SEC_E_NO_IMPERSONATION;
    assert_eq!(status(bench.table.revert_security_context(context)), no);
    bench.table.impersonate_security_context(context).unwrap();
    bench.table.revert_security_context(context).unwrap();
    assert_eq!(status(bench.table.revert_security_context(context)), no);
}

#[test]
fn the_handle_of_another_context_reverts_nothing() {
    let bench = Bench::new();
    let (carol, dave) = (bench.with_client("carol"), bench.with_client("dave"));
    bench.table.impersonate_security_context(carol).unwrap();
    let answer = bench.table.revert_security_context(dave);
    assert_eq!(status(answer), SecurityStatus::SEC_E_NO_IMPERSONATION);
    assert_eq!(acting_for(), named("carol"));
    bench.table.revert_security_context(carol).unwrap();
}

#[test]
fn handles_that_name_nothing_are_invalid() {
    let bench = Bench::new();
    let context = bench.with_client("carol");
    let resolved = bench.table.context(context).unwrap();
    bench.table.delete_security_context(context).unwrap();
    let answers = [
        bench.table.impersonate_security_context(context),
        bench.table.impersonate(context).map(drop),
        resolved.impersonate().map(drop),
        bench.table.revert_security_context(context),
    ];
    for answer in answers {
        assert_eq!(status(answer), SecurityStatus::SEC_E_INVALID_HANDLE);
    }
    assert_eq!(acting_for(), None);
}

#[test]
fn a_context_without_a_client_is_not_impersonated() {
    let bench = Bench::new();
    let (outcome, _) = bench.initialize(None, "service", None);
    let context = outcome.unwrap().context;
    let answer = bench.table.impersonate_security_context(context);
    assert_eq!(status(answer), SecurityStatus::SEC_E_NO_IMPERSONATION);
    assert_eq!(acting_for(), None);
}

#[test]
fn the_token_outlives_its_context_and_the_handle_still_reverts() {
    let (bench, events) = recorded();
    let context = bench.with_client("carol");
    bench.table.impersonate_security_context(context).unwrap();
    bench.table.delete_security_context(context).unwrap();
    assert_eq!(acting_for(), named("carol"));
    // The place is taken by another context, whose handle is another.
    let next = bench.with_client("dave");
    let answer = bench.table.revert_security_context(next);
    assert_eq!(status(answer), SecurityStatus::SEC_E_NO_IMPERSONATION);
    bench.table.revert_security_context(context).unwrap();
    assert_eq!(acting_for(), None);
    assert_eq!(taken(&events), ["+carol", "-carol"]);
}

#[test]
fn a_second_call_replaces_the_first() {
    let (bench, events) = recorded();
    let (carol, dave) = (bench.with_client("carol"), bench.with_client("dave"));
    bench.table.impersonate_security_context(carol).unwrap();
    bench.table.impersonate_security_context(dave).unwrap();
    assert_eq!(acting_for(), named("dave"));
    assert_eq!(thread_account(), named("dave"));
    let answer = bench.table.revert_security_context(carol);
    assert_eq!(status(answer), SecurityStatus::SEC_E_NO_IMPERSONATION);
    bench.table.revert_security_context(dave).unwrap();
    assert_eq!(acting_for(), None, "and not carol");
    assert_eq!(taken(&events), ["+carol", "-carol", "+dave", "-dave"]);
    // Twice the same is once.
    bench.table.impersonate_security_context(carol).unwrap();
    bench.table.impersonate_security_context(carol).unwrap();
    bench.table.revert_security_context(carol).unwrap();
    assert_eq!(acting_for(), None);
}

#[test]
fn guards_nest_and_give_back_what_was_before() {
    let (bench, events) = recorded();
    let carol = bench.table.impersonate(bench.with_client("carol")).unwrap();
    assert_eq!(carol.account(), Some("carol"));
    {
        let stranger = bench
            .table
            .impersonate(bench.with_client("stranger"))
            .unwrap();
        assert_eq!(acting_for(), named("stranger"));
        assert_eq!((stranger.account(), thread_account()), (None, None));
        let dave = bench.table.impersonate(bench.with_client("dave")).unwrap();
        assert_eq!(acting_for(), named("dave"));
        dave.revert();
        assert_eq!(acting_for(), named("stranger"));
    }
    assert_eq!(
        (acting_for(), thread_account()),
        (named("carol"), named("carol"))
    );
    drop(carol);
    assert_eq!(acting_for(), None);
    let expected = ["+carol", "-carol", "+dave", "-dave", "+carol", "-carol"];
    assert_eq!(taken(&events), expected);
}

#[test]
fn guards_dropped_in_another_order_take_away_their_own_only() {
    let (bench, events) = recorded();
    let carol = bench.table.impersonate(bench.with_client("carol")).unwrap();
    let dave = bench.table.impersonate(bench.with_client("dave")).unwrap();
    drop(carol);
    assert_eq!(
        (acting_for(), thread_account()),
        (named("dave"), named("dave"))
    );
    drop(dave);
    assert_eq!((acting_for(), thread_account()), (None, None));
    assert_eq!(taken(&events), ["+carol", "-carol", "+dave", "-dave"]);
}

#[test]
fn a_call_reverts_no_guard_and_a_guard_no_call() {
    let bench = Bench::new();
    let (carol, dave) = (bench.with_client("carol"), bench.with_client("dave"));
    let guard = bench.table.impersonate(carol).unwrap();
    let answer = bench.table.revert_security_context(carol);
    assert_eq!(status(answer), SecurityStatus::SEC_E_NO_IMPERSONATION);
    bench.table.impersonate_security_context(dave).unwrap();
    assert_eq!(acting_for(), named("dave"));
    drop(guard);
    assert_eq!(acting_for(), named("dave"));
    bench.table.revert_security_context(dave).unwrap();
    assert_eq!(acting_for(), None);
}

#[test]
fn a_guard_reverts_while_the_thread_panics() {
    let (bench, events) = recorded();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _acting = bench.table.impersonate(bench.with_client("carol")).unwrap();
        assert_eq!(acting_for(), named("carol"));
        panic!("in the client's name");
    }));
    assert!(outcome.is_err());
    assert_eq!(acting_for(), None);
    assert_eq!(taken(&events), ["+carol", "-carol"]);
}

#[test]
fn an_identity_that_cannot_be_had_leaves_the_thread_as_it_was() {
    let (bench, events) = recorded();
    let broken = bench.with_client("broken");
    let answer = bench.table.impersonate_security_context(broken);
    assert_eq!(status(answer), SecurityStatus::SEC_E_INTERNAL_ERROR);
    assert_eq!(acting_for(), None);

    let _carol = bench.table.impersonate(bench.with_client("carol")).unwrap();
    let answer = bench.table.impersonate(broken);
    assert_eq!(status(answer), SecurityStatus::SEC_E_INTERNAL_ERROR);
    assert_eq!(
        (acting_for(), thread_account()),
        (named("carol"), named("carol"))
    );
    let faulty = bench.with_client("faulty");
    let outcome = catch_unwind(AssertUnwindSafe(|| bench.table.impersonate(faulty)));
    assert!(outcome.is_err());
    assert_eq!(
        (acting_for(), thread_account()),
        (named("carol"), named("carol"))
    );
    assert_eq!(
        taken(&events),
        ["+carol", "-carol", "+carol", "-carol", "+carol"]
    );
}

#[test]
fn a_token_is_impersonated_on_another_thread_than_that_of_its_context() {
    let bench = Bench::new();
    let context = bench.with_client("carol");
    let token = bench.table.query_security_context_token(context).unwrap();
    bench.table.delete_security_context(context).unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let _acting = bench.table.impersonate_token(&token).unwrap();
            assert_eq!(acting_for(), named("carol"));
        });
        other.join().unwrap();
    });
    assert_eq!(acting_for(), None);
}

fn told(registered: &RegisteredPackage<Toy>) -> Vec<Option<String>> {
    core::mem::take(&mut *registered.package().told.lock().unwrap())
}

fn acquire(bench: &Bench, impersonation: Option<&Arc<AccessToken>>) {
    let request = AcquireRequest {
        principal: Some("bob"),
        impersonation,
        ..AcquireRequest::default()
    };
    let package = bench.registered.package().info.name.clone();
    bench
        .table
        .acquire_credentials_handle(&package, request)
        .unwrap();
}

#[test]
fn calls_of_an_impersonating_thread_hand_its_token_to_the_package() {
    let bench = Bench::new();
    let context = bench.with_client("carol");
    acquire(&bench, None);
    let acting = bench.table.impersonate(context).unwrap();
    acquire(&bench, None);
    let _ = bench.initialize(None, "service", None).0.unwrap();
    // What the caller says goes before what the thread has.
    let other = Arc::new(AccessToken::new(
        "Toy",
        "dave",
        "R",
        ImpersonationLevel::Delegation,
    ));
    acquire(&bench, Some(&other));
    drop(acting);
    acquire(&bench, None);
    let expected = [None, named("carol"), named("carol"), named("dave"), None];
    assert_eq!(told(&bench.registered), expected);
}

#[test]
fn the_outermost_table_alone_reads_the_thread() {
    let inner = RegisteredPackage::new(Toy::offering("Inner", FunctionSet::all()));
    let mut outer = Toy::new();
    outer.inner = Some(
        SecurityFunctionTable::builder()
            .package(&inner)
            .build()
            .unwrap(),
    );
    let bench = Bench::with(outer);
    let acting = bench.table.impersonate(bench.with_client("carol")).unwrap();
    acquire(&bench, None);
    assert_eq!(
        told(&inner),
        [named("carol")],
        "what flows down is the request's"
    );
    drop(acting);

    // A handshake that was begun for the process goes on for it, whoever the thread acts for meanwhile.
    let (outcome, _) = bench.initialize(None, "online", None);
    let context = outcome.unwrap().context;
    let _acting = bench.table.impersonate(bench.with_client("carol")).unwrap();
    let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
    let desc = &mut SecBufferDesc::new(&mut buffers);
    let outcome = bench
        .table
        .complete_exchange(context, Reply::Bytes(b"ticket!"), desc);
    assert!(outcome.is_ok());
    assert_eq!(told(&inner), [None]);

    let (outcome, _) = bench.initialize(None, "online", None);
    let context = bench.table.context(outcome.unwrap().context).unwrap();
    let step = context.complete_exchange(Reply::Bytes(b"ticket!"), desc);
    assert!(step.is_ok());
    assert_eq!(told(&inner), [None]);
    // The next call is an outermost one again.
    acquire(&bench, None);
    assert_eq!(told(&inner), [named("carol")]);
}

#[test]
fn a_call_that_panicked_is_no_longer_under_way() {
    let bench = Bench::new();
    let (outcome, _) = bench.initialize(None, "service", None);
    let context = outcome.unwrap().context;
    let broken = catch_unwind(AssertUnwindSafe(|| {
        bench.initialize(Some(context), "service", Some(b"panic"))
    }));
    assert!(broken.is_err());
    let _acting = bench.table.impersonate(bench.with_client("carol")).unwrap();
    told(&bench.registered);
    acquire(&bench, None);
    assert_eq!(told(&bench.registered), [named("carol")]);
}
