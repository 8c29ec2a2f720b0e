use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use trihound_sspi::*;

use crate::toy::{Bench, Credential, Toy, status};

const INVALID: SecurityStatus = SecurityStatus::SEC_E_INVALID_HANDLE;

fn signature(table: &SecurityFunctionTable, context: CtxtHandle) -> Result<(), Error> {
    let mut buffers = [
        SecBuffer::allocate(BufferType::TOKEN),
        SecBuffer::data_input(b"data"),
    ];
    table.make_signature(context, 0, &mut SecBufferDesc::new(&mut buffers), 0)
}

fn sequence(table: &SecurityFunctionTable, context: CtxtHandle) -> u32 {
    match table.query_context_attributes(context, ContextAttribute::UserFlags) {
        Ok(ContextAttributeValue::UserFlags(sequence)) => sequence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_freed_handle_names_nothing_even_when_its_slot_is_used_again() {
    let bench = Bench::new();
    let first = bench.established();
    bench.table.delete_security_context(first).unwrap();
    let second = bench.established();
    assert_ne!(first, second);
    assert_eq!(status(signature(&bench.table, first)), INVALID);
    assert_eq!(status(bench.table.delete_security_context(first)), INVALID);
    signature(&bench.table, second).unwrap();

    bench
        .table
        .free_credentials_handle(bench.credential)
        .unwrap();
    let next = bench
        .registered
        .adopt(Credential { user: "bob".into() })
        .unwrap();
    assert_ne!(next, bench.credential);
    assert_eq!(
        status(bench.table.free_credentials_handle(bench.credential)),
        INVALID
    );
    assert_eq!(
        status(bench.table.credential_expiry(bench.credential)),
        INVALID
    );
    assert_eq!(bench.table.credential_expiry(next).unwrap(), Expiry::Never);
}

#[test]
fn a_handle_of_another_table_names_nothing() {
    let (bench, other) = (Bench::new(), Bench::new());
    let context = other.established();
    assert_eq!(status(signature(&bench.table, context)), INVALID);
    assert_eq!(
        status(bench.table.delete_security_context(context)),
        INVALID
    );
    assert_eq!(
        status(bench.table.free_credentials_handle(other.credential)),
        INVALID
    );
    signature(&other.table, context).unwrap();
}

#[test]
fn words_of_a_caller_that_were_never_given_out_name_nothing() {
    let bench = Bench::new();
    let context = bench.established();
    let [place, generation] = context.to_words();
    assert_eq!(CtxtHandle::from_words([place, generation]), context);
    for words in [
        [0, 0],
        [u64::MAX, u64::MAX],
        [place, 0],
        [place, u64::MAX],
        [place, generation + 1],
        [place + 1, generation],
        [place ^ (1 << 32), generation],
        // A credential handle where a context handle belongs.
        bench.credential.to_words(),
    ] {
        assert_eq!(
            status(signature(&bench.table, CtxtHandle::from_words(words))),
            INVALID,
            "{words:?}"
        );
    }
    assert_eq!(
        status(
            bench
                .table
                .free_credentials_handle(CredHandle::from_words(context.to_words()))
        ),
        INVALID
    );
    signature(&bench.table, context).unwrap();
}

#[test]
fn a_later_handshake_call_takes_no_credential_of_another_package() {
    let bench = Bench::new();
    let other = RegisteredPackage::new(Toy::offering("Other", FunctionSet::all()));
    bench.table.add_security_package(&other).unwrap();
    let foreign = other
        .adopt(Credential {
            user: "mallory".into(),
        })
        .unwrap();
    let context = bench.initialize(None, "x", None).0.unwrap().context;
    let mut none = [];
    let outcome = bench.table.initialize_security_context(
        Some(foreign),
        Some(context),
        InitializeRequest::default(),
        &mut SecBufferDesc::new(&mut none),
    );
    assert_eq!(status(outcome), INVALID);
    // The call never reached the context.
    let (outcome, _) = bench.initialize(Some(context), "x", Some(b"welcome"));
    assert_eq!(outcome.unwrap().status(), SecurityStatus::SEC_E_OK);
}

#[test]
fn owned_handles_free_what_they_name() {
    let bench = Bench::new();
    let context = bench.established();
    let owned = bench.table.own_context(context).unwrap();
    let credential = bench.table.own_credential(bench.credential).unwrap();
    assert_eq!(owned.handle(), context);
    assert_eq!(credential.handle(), bench.credential);
    assert_eq!(bench.registered.live(), (1, 1));
    drop(owned);
    assert_eq!(status(signature(&bench.table, context)), INVALID);
    // One that was freed by its handle before is dropped in silence.
    bench
        .table
        .free_credentials_handle(bench.credential)
        .unwrap();
    drop(credential);
    assert_eq!(bench.registered.live(), (0, 0));
    assert_eq!(status(bench.table.own_context(context)), INVALID);
    assert_eq!(
        status(bench.table.own_credential(bench.credential)),
        INVALID
    );
}

#[test]
fn a_registered_package_serves_several_tables_with_the_same_handles() {
    let bench = Bench::new();
    let second = SecurityFunctionTable::builder()
        .package(&bench.registered)
        .build()
        .unwrap();
    let context = bench.established();
    signature(&second, context).unwrap();
    signature(&bench.table, context).unwrap();
    assert_eq!(sequence(&second, context), 2);
    second.delete_security_context(context).unwrap();
    assert_eq!(status(signature(&bench.table, context)), INVALID);
}

#[test]
fn calls_on_one_context_from_many_threads_wait_for_each_other() {
    const THREADS: u32 = 8;
    const CALLS: u32 = 500;
    let bench = Bench::new();
    let context = bench.established();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..CALLS {
                    signature(&bench.table, context).unwrap();
                }
            });
        }
    });
    assert_eq!(sequence(&bench.table, context), THREADS * CALLS);
}

#[test]
fn contexts_come_and_go_on_many_threads() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 200;
    let bench = Bench::new();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let context = bench.established();
                    signature(&bench.table, context).unwrap();
                    assert_eq!(sequence(&bench.table, context), 1);
                    bench.table.delete_security_context(context).unwrap();
                    assert_eq!(status(signature(&bench.table, context)), INVALID);
                }
            });
        }
    });
    assert_eq!(bench.registered.live(), (1, 0));
}

#[test]
fn a_context_may_be_deleted_while_others_call_it() {
    for _ in 0..50 {
        let bench = Bench::new();
        let context = bench.established();
        let started = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        started.store(true, Ordering::SeqCst);
                        match signature(&bench.table, context) {
                            Ok(()) => {}
                            Err(error) => {
                                assert_eq!(error.status(), INVALID);
                                break;
                            }
                        }
                    }
                });
            }
            while !started.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            bench.table.delete_security_context(context).unwrap();
        });
        assert_eq!(bench.registered.live(), (1, 0));
    }
}

#[test]
fn of_many_threads_that_free_one_handle_one_succeeds() {
    let bench = Bench::new();
    let context = bench.established();
    let freed = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| bench.table.delete_security_context(context).is_ok()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .filter(|freed| *freed)
            .count()
    });
    assert_eq!(freed, 1);
}

#[test]
fn a_credential_may_be_freed_while_others_use_it() {
    for _ in 0..50 {
        let bench = Bench::new();
        let started = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        started.store(true, Ordering::SeqCst);
                        match bench.accept(None, b"hello").0 {
                            Ok(outcome) => {
                                signature(&bench.table, outcome.context).unwrap();
                                let deleted = bench.table.delete_security_context(outcome.context);
                                deleted.unwrap();
                            }
                            Err(error) => {
                                assert_eq!(error.status(), INVALID);
                                break;
                            }
                        }
                    }
                });
            }
            while !started.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            let freed = bench.table.free_credentials_handle(bench.credential);
            freed.unwrap();
        });
        assert_eq!(bench.registered.live(), (0, 0));
    }
}

#[test]
fn a_call_under_way_keeps_no_other_context_waiting_and_ends_before_its_own_is_gone() {
    let bench = Bench::new();
    let (busy, other) = (bench.established(), bench.established());
    let toy = bench.registered.package();
    let gate = toy.gate.lock().unwrap();
    thread::scope(|scope| {
        let call = scope.spawn(|| {
            bench
                .table
                .set_context_attributes(busy, ContextAttributeValue::UserFlags(0))
        });
        while toy.optional_calls.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        // All of these would hang if they waited for the call above.
        signature(&bench.table, other).unwrap();
        bench.table.delete_security_context(other).unwrap();
        let third = bench.established();
        signature(&bench.table, third).unwrap();
        bench
            .table
            .free_credentials_handle(bench.credential)
            .unwrap();

        let deletion = scope.spawn(|| bench.table.delete_security_context(busy));
        drop(gate);
        call.join().unwrap().unwrap();
        deletion.join().unwrap().unwrap();
    });
    assert_eq!(status(signature(&bench.table, busy)), INVALID);
    assert_eq!(bench.registered.live(), (0, 1));
}
