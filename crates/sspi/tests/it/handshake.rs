use trihound_sansio::{Reply, TransportFailure};
use trihound_sspi::*;

use crate::toy::{Bench, REJECT, status};

#[test]
fn a_handshake_runs_over_a_round_trip_and_two_tokens() {
    let bench = Bench::new();
    let (outcome, token) = bench.initialize(None, "online", None);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.status(), SecurityStatus::SEC_I_ASYNC_CALL_PENDING);
    assert_eq!(outcome.exchange().unwrap().message, b"ticket?");
    assert!(token.is_empty());
    let context = outcome.context;

    let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
    let mut output = SecBufferDesc::new(&mut buffers);
    let outcome = bench
        .table
        .complete_exchange(context, Reply::Bytes(b"ticket!"), &mut output)
        .unwrap();
    assert_eq!(outcome.status(), SecurityStatus::SEC_I_CONTINUE_NEEDED);
    assert_eq!(outcome.context, context);
    let hello = output.token().unwrap().to_vec();

    let (accepted, welcome) = bench.accept(None, &hello);
    let accepted = accepted.unwrap();
    assert_eq!(accepted.status(), SecurityStatus::SEC_E_OK);
    assert_ne!(accepted.context, context);

    let (outcome, _) = bench.initialize(Some(context), "online", Some(&welcome));
    let outcome = outcome.unwrap();
    assert_eq!(outcome.context, context);
    assert_eq!(
        outcome.established().unwrap().attributes,
        EstablishedAttributes::Initiator(InitiatorAttributes::INTEGRITY)
    );
    assert!(matches!(
        outcome.established().unwrap().expiry,
        Expiry::At(_)
    ));
}

#[test]
fn a_first_call_that_fails_leaves_no_slot_and_may_leave_a_token() {
    let bench = Bench::new();
    // "half" fails with a context in hand, which must go too.
    let (outcome, token) = bench.initialize(None, "half", None);
    assert_eq!(status(outcome), SecurityStatus::SEC_E_INVALID_TOKEN);
    assert_eq!(token, REJECT);
    let (outcome, token) = bench.accept(None, b"nonsense");
    assert_eq!(status(outcome), SecurityStatus::SEC_E_INVALID_TOKEN);
    assert_eq!(token, REJECT);
    assert_eq!(bench.registered.live(), (1, 0));
}

#[test]
fn a_later_call_that_fails_empties_the_context_and_delete_still_succeeds() {
    let bench = Bench::new();
    let context = bench.initialize(None, "x", None).0.unwrap().context;
    let (outcome, token) = bench.initialize(Some(context), "x", Some(b"nonsense"));
    assert_eq!(status(outcome), SecurityStatus::SEC_E_INVALID_TOKEN);
    assert_eq!(token, REJECT);

    let (outcome, _) = bench.initialize(Some(context), "x", Some(b"welcome"));
    assert_eq!(status(outcome), SecurityStatus::SEC_E_INVALID_HANDLE);
    assert_eq!(
        status(
            bench
                .table
                .query_context_attributes(context, ContextAttribute::Names)
        ),
        SecurityStatus::SEC_E_INVALID_HANDLE
    );
    bench.table.delete_security_context(context).unwrap();
    assert_eq!(
        status(bench.table.delete_security_context(context)),
        SecurityStatus::SEC_E_INVALID_HANDLE
    );
    assert_eq!(bench.registered.live(), (1, 0));
}

#[test]
fn a_failed_round_trip_ends_the_handshake_with_what_was_tried() {
    let bench = Bench::new();
    let context = bench.initialize(None, "online", None).0.unwrap().context;
    let failure = TransportFailure {
        realm: "R".into(),
        attempts: vec!["kdc1:88: refused".into()],
        advice: String::new(),
    };
    let mut none = [];
    let error = bench
        .table
        .complete_exchange(
            context,
            Reply::Failed(&failure),
            &mut SecBufferDesc::new(&mut none),
        )
        .unwrap_err();
    assert_eq!(
        error.status(),
        SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
    );
    assert_eq!(error.find_source::<TransportFailure>(), Some(&failure));
    assert_eq!(
        status(bench.table.complete_exchange(
            context,
            Reply::Bytes(b"ticket!"),
            &mut SecBufferDesc::new(&mut none)
        )),
        SecurityStatus::SEC_E_INVALID_HANDLE
    );
}

#[test]
fn a_buffer_that_is_too_small_leaves_the_context_for_another_try() {
    let bench = Bench::new();
    let context = bench.initialize(None, "online", None).0.unwrap().context;
    let mut small = [0u8; 4];
    let mut buffers = [SecBuffer::token(&mut small)];
    let mut output = SecBufferDesc::new(&mut buffers);
    let error = bench
        .table
        .complete_exchange(context, Reply::Bytes(b"ticket!"), &mut output)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_BUFFER_TOO_SMALL);
    assert!(
        error.text().contains("4 bytes") && error.text().contains("5 are needed"),
        "{error}"
    );
    assert_eq!(output.token(), Some(&b""[..]));

    let mut large = [0u8; 5];
    let mut buffers = [SecBuffer::token(&mut large)];
    let mut output = SecBufferDesc::new(&mut buffers);
    let _ = bench
        .table
        .complete_exchange(context, Reply::Bytes(b"ticket!"), &mut output)
        .unwrap();
    assert_eq!(output.token(), Some(&b"hello"[..]));
}

#[test]
fn an_output_buffer_shows_no_token_when_the_step_made_none() {
    let bench = Bench::new();
    let context = bench.initialize(None, "x", None).0.unwrap().context;
    // The memory is 64 bytes; none of them is a token.
    let (outcome, token) = bench.initialize(Some(context), "x", Some(b"welcome"));
    assert_eq!(outcome.unwrap().status(), SecurityStatus::SEC_E_OK);
    assert!(token.is_empty());
}

#[test]
fn nor_does_it_for_an_acceptor_or_a_resolved_context() {
    let bench = Bench::new();
    let input = [SecBuffer::token_input(b"datagram")];
    let mut memory = [9u8; 64];
    let mut buffers = [SecBuffer::token(&mut memory)];
    let mut output = SecBufferDesc::new(&mut buffers);
    let request = AcceptRequest {
        input: Some(InputDesc::new(&input)),
        ..AcceptRequest::default()
    };
    let accepted =
        bench
            .table
            .accept_security_context(Some(bench.credential), None, request, &mut output);
    assert!(accepted.is_ok());
    assert_eq!(output.token(), Some(&b""[..]));

    let context = bench.initialize(None, "online", None).0.unwrap().context;
    let context = bench.table.context(context).unwrap();
    let mut memory = [9u8; 4];
    let mut buffers = [SecBuffer::token(&mut memory)];
    let mut output = SecBufferDesc::new(&mut buffers);
    let too_small = context.complete_exchange(Reply::Bytes(b"ticket!"), &mut output);
    assert_eq!(status(too_small), SecurityStatus::SEC_E_BUFFER_TOO_SMALL);
    assert_eq!(output.token(), Some(&b""[..]));
    let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
    let mut output = SecBufferDesc::new(&mut buffers);
    let step = context.complete_exchange(Reply::Bytes(b"ticket!"), &mut output);
    assert!(matches!(step, Ok(Step::ContinueNeeded)));
    assert_eq!(output.token(), Some(&b"hello"[..]));
}

#[test]
fn a_token_without_a_buffer_for_it_is_an_error_that_says_so() {
    let bench = Bench::new();
    let mut none = [];
    let error = bench
        .table
        .initialize_security_context(
            Some(bench.credential),
            None,
            InitializeRequest::default(),
            &mut SecBufferDesc::new(&mut none),
        )
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_PARAMETER);
    assert!(error.text().contains("TOKEN buffer"), "{error}");
    assert_eq!(bench.registered.live(), (1, 0));
}

#[test]
fn progress_without_a_context_is_a_fault_of_the_package() {
    let bench = Bench::new();
    let (outcome, _) = bench.initialize(None, "lost", None);
    assert_eq!(status(outcome), SecurityStatus::SEC_E_INTERNAL_ERROR);
    assert_eq!(bench.registered.live(), (1, 0));
}

#[test]
fn a_context_outlives_its_credential_handle() {
    let bench = Bench::new();
    let context = bench.initialize(None, "x", None).0.unwrap().context;
    bench
        .table
        .free_credentials_handle(bench.credential)
        .unwrap();
    let input = [SecBuffer::token_input(b"welcome")];
    let request = InitializeRequest {
        input: Some(InputDesc::new(&input)),
        ..InitializeRequest::default()
    };
    let mut none = [];
    let mut output = SecBufferDesc::new(&mut none);
    // A freed handle is still an error; no handle means the context's own credential.
    let freed = bench.table.initialize_security_context(
        Some(bench.credential),
        Some(context),
        request,
        &mut output,
    );
    assert_eq!(status(freed), SecurityStatus::SEC_E_INVALID_HANDLE);
    let outcome = bench
        .table
        .initialize_security_context(None, Some(context), request, &mut output)
        .unwrap();
    assert_eq!(outcome.status(), SecurityStatus::SEC_E_OK);
    let ContextAttributeValue::Names(name) = bench
        .table
        .query_context_attributes(context, ContextAttribute::Names)
        .unwrap()
    else {
        panic!("asked for names");
    };
    assert_eq!(name, "alice");
}

#[test]
fn a_first_call_needs_a_credential() {
    let bench = Bench::new();
    let mut none = [];
    let mut output = SecBufferDesc::new(&mut none);
    assert_eq!(
        status(bench.table.initialize_security_context(
            None,
            None,
            InitializeRequest::default(),
            &mut output
        )),
        SecurityStatus::SEC_E_INVALID_HANDLE
    );
    assert_eq!(
        status(bench.table.accept_security_context(
            None,
            None,
            AcceptRequest::default(),
            &mut output
        )),
        SecurityStatus::SEC_E_INVALID_HANDLE
    );
}

#[test]
fn a_panic_in_the_package_costs_one_context_and_nothing_else() {
    let bench = Bench::new();
    let context = bench.initialize(None, "x", None).0.unwrap().context;
    let panicked = std::thread::scope(|scope| {
        scope
            .spawn(|| bench.initialize(Some(context), "x", Some(b"panic")))
            .join()
            .is_err()
    });
    assert!(panicked);
    let (outcome, _) = bench.initialize(Some(context), "x", Some(b"welcome"));
    assert_eq!(status(outcome), SecurityStatus::SEC_E_INTERNAL_ERROR);
    let (outcome, _) = bench.initialize(Some(context), "x", Some(b"welcome"));
    assert_eq!(status(outcome), SecurityStatus::SEC_E_INVALID_HANDLE);
    bench.table.delete_security_context(context).unwrap();
    assert!(bench.initialize(None, "x", None).0.is_ok());
}

#[test]
fn each_step_has_the_status_of_sspi() {
    let bench = Bench::new();
    let outcome = bench.accept(None, b"datagram").0.unwrap();
    assert_eq!(
        outcome.status(),
        SecurityStatus::SEC_I_COMPLETE_AND_CONTINUE
    );
    assert_eq!(
        Step::CompleteNeeded {
            and_continue: false
        }
        .status(),
        SecurityStatus::SEC_I_COMPLETE_NEEDED
    );
    assert!(outcome.established().is_none() && outcome.exchange().is_none());
}
