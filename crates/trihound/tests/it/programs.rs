//! Clients and servers over byte streams.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use trihound::krb5::{Config, MemoryStore};
use trihound::sspi::{AcceptorAttributes, ChannelBindings, InitiatorRequirements, SecurityStatus};
use trihound::{Client, Error, SecureStream, Server};
use trihound_test_realm::{RealmTransport, TestRealm};

use crate::support::{REALM, SERVICE, keytab, realm};

pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.default_realm = Some(REALM.to_owned());
    config
}

pub(crate) fn client(realm: &Arc<TestRealm>) -> Client {
    builder(realm.transport()).build().unwrap()
}

pub(crate) fn builder(transport: RealmTransport) -> trihound::ClientBuilder {
    Client::builder()
        .config(config())
        .password("alice", "password")
        .transport(transport)
}

pub(crate) fn server(realm: &TestRealm) -> Server {
    Server::builder()
        .config(config())
        .keytab(keytab(realm))
        .build()
        .unwrap()
}

/// Both ends of a connection.
pub(crate) fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// A connection on which `server` serves by `serve`.
fn with_server<R>(
    server: &Server,
    serve: impl FnOnce(Result<SecureStream<TcpStream>, Error>) -> R + Send,
    call: impl FnOnce(TcpStream),
) -> R
where
    R: Send,
{
    let (near, far) = connection();
    thread::scope(|scope| {
        let serving = scope.spawn(|| serve(server.accept(far)));
        call(near);
        serving.join().unwrap()
    })
}

fn echo(accepted: Result<SecureStream<TcpStream>, Error>) -> usize {
    let mut secure = accepted.unwrap();
    let mut count = 0;
    while let Some(message) = secure.receive().unwrap() {
        secure.send(&message).unwrap();
        count += 1;
    }
    secure.close().unwrap();
    count
}

#[test]
fn a_client_and_a_server_exchange_messages_and_close() {
    let realm = realm();
    let client = client(&realm);
    assert_eq!(
        client.principal().unwrap().to_string(),
        "alice@EXAMPLE.TEST"
    );
    let echoed = with_server(&server(&realm), echo, |stream| {
        let mut secure = client.connect(SERVICE, stream).unwrap();
        assert_eq!(secure.peer(), "HTTP/localhost@EXAMPLE.TEST");
        let long = vec![7; 300_000];
        for message in [b"hello".as_slice(), b"x", &long] {
            secure.send(message).unwrap();
            assert_eq!(secure.receive().unwrap().unwrap(), message);
        }
        secure.close().unwrap();
        assert!(secure.receive().unwrap().is_none());
        assert!(secure.receive().unwrap().is_none());
        assert!(matches!(secure.send(b"more"), Err(Error::Io(_))));
    });
    assert_eq!(echoed, 3);
}

#[test]
fn the_server_knows_the_client_by_name() {
    let realm = realm();
    let name = with_server(
        &server(&realm),
        |accepted| accepted.unwrap().peer().to_owned(),
        |stream| drop(client(&realm).connect(SERVICE, stream).unwrap()),
    );
    assert_eq!(name, "alice@EXAMPLE.TEST");
}

#[test]
fn bytes_are_read_and_written_as_on_any_stream() {
    let realm = realm();
    let text: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    let heard = with_server(
        &server(&realm),
        |accepted| {
            let mut secure = accepted.unwrap();
            let mut heard = Vec::new();
            secure.read_to_end(&mut heard).unwrap();
            heard
        },
        |stream| {
            let mut secure = client(&realm).connect(SERVICE, stream).unwrap();
            secure.write_all(&text).unwrap();
            secure.flush().unwrap();
            // What was written and not flushed goes with the end.
            secure.write_all(b"end").unwrap();
            secure.close().unwrap();
        },
    );
    assert_eq!(heard[..text.len()], text);
    assert_eq!(heard[text.len()..], *b"end");
}

#[test]
fn a_connection_that_was_cut_is_not_one_that_ended() {
    let realm = realm();
    for part in [0, 2, 6] {
        let error = with_server(
            &server(&realm),
            |accepted| accepted.unwrap().receive().unwrap_err(),
            |stream| {
                let mut secure = client(&realm).connect(SERVICE, stream).unwrap();
                let frame = [0, 0, 0, 9, 1, 2];
                secure.get_mut().write_all(&frame[..part]).unwrap();
                secure.get_ref().shutdown(Shutdown::Both).unwrap();
            },
        );
        assert!(matches!(error, Error::CutOff), "{part}: {error}");
    }
}

#[test]
fn altered_and_overlong_frames_are_refused() {
    let realm = realm();
    for (frame, is_too_long) in [
        (vec![0, 0, 0, 4, 5, 4, 0, 0], false),
        (vec![0xff, 0xff, 0xff, 0xff], true),
        // The end mark cannot be made up.
        (vec![0, 0, 0, 0], false),
    ] {
        let error = with_server(
            &server(&realm),
            |accepted| accepted.unwrap().receive().unwrap_err(),
            |stream| {
                let mut secure = client(&realm).connect(SERVICE, stream).unwrap();
                secure.get_mut().write_all(&frame).unwrap();
                let mut rest = Vec::new();
                // The server's end closes the connection.
                let _ = secure.get_mut().read_to_end(&mut rest);
            },
        );
        assert_eq!(
            matches!(error, Error::FrameTooLong { .. }),
            is_too_long,
            "{error}"
        );
        if !is_too_long {
            assert!(matches!(error, Error::Security(_)), "{error}");
        }
    }
}

#[test]
fn a_message_has_a_length_within_the_limits_of_both() {
    let realm = realm();
    let limited = Server::builder()
        .config(config())
        .keytab(keytab(&realm))
        .max_message(100)
        .build()
        .unwrap();
    let error = with_server(
        &limited,
        |accepted| accepted.unwrap().receive().unwrap_err(),
        |stream| {
            let mut secure = client(&realm).connect(SERVICE, stream).unwrap();
            for wrong in [Vec::new(), vec![0; 16 * 1024 * 1024 + 1]] {
                let error = secure.send(&wrong).unwrap_err();
                assert!(matches!(error, Error::MessageLength { .. }), "{error}");
            }
            secure.send(&[0; 5000]).unwrap();
            let _ = secure.receive();
        },
    );
    assert!(matches!(error, Error::FrameTooLong { .. }), "{error}");
}

/// Conformance row 129.
#[test]
fn row_129_a_stream_with_privacy_takes_no_signed_message() {
    let realm = realm();
    let error = with_server(
        &server(&realm),
        |accepted| accepted.unwrap().receive().unwrap_err(),
        |stream| {
            let secure = client(&realm).connect(SERVICE, stream).unwrap();
            let (mut stream, context) = secure.into_parts();
            let signed = context.sign(b"signed").unwrap();
            let length = u32::try_from(signed.len()).unwrap().to_be_bytes();
            stream.write_all(&length).unwrap();
            stream.write_all(&signed).unwrap();
        },
    );
    let Error::Security(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.status(), SecurityStatus::SEC_E_QOP_NOT_SUPPORTED);
}

#[test]
fn a_server_refuses_who_asked_for_less_than_it_insists_on() {
    let realm = realm();
    let weak = InitiatorRequirements::MUTUAL_AUTH | InitiatorRequirements::INTEGRITY;
    let call = |stream: TcpStream| {
        let connector = client(&realm).connector(SERVICE).requirements(weak);
        connector.connect(stream).map(|mut secure| {
            secure.send(b"signed").unwrap();
            secure.close().unwrap();
        })
    };
    let refused = with_server(
        &server(&realm),
        |accepted| accepted.map(|_| ()).unwrap_err(),
        |stream| {
            let error = call(stream).unwrap_err();
            assert!(matches!(error, Error::ClosedInHandshake), "{error}");
        },
    );
    let Error::AttributesMissing { missing } = refused else {
        panic!("{refused}");
    };
    assert_eq!(missing, "REPLAY_DETECT, SEQUENCE_DETECT, CONFIDENTIALITY");
    // A server that says that less is enough takes signed messages.
    let content = Server::builder()
        .config(config())
        .keytab(keytab(&realm))
        .require(AcceptorAttributes::INTEGRITY)
        .build()
        .unwrap();
    let heard = with_server(
        &content,
        |accepted| accepted.unwrap().receive().unwrap(),
        |stream| call(stream).unwrap(),
    );
    assert_eq!(heard.unwrap(), b"signed");
}

#[test]
fn bindings_have_to_agree_on_both_ends() {
    let realm = realm();
    let server = server(&realm);
    for (near, far, agrees) in [("one", "one", true), ("one", "two", false)] {
        let (stream, accepted) = connection();
        let told = thread::scope(|scope| {
            let serving = scope.spawn(|| {
                let bindings = ChannelBindings::application_data(far.as_bytes());
                let handshake = server.handshake().bind(&bindings).unwrap();
                handshake.accept(accepted).map(|_| ())
            });
            let bindings = ChannelBindings::application_data(near.as_bytes());
            let connector = client(&realm).connector(SERVICE).bind(&bindings).unwrap();
            let connected = connector.connect(stream);
            assert_eq!(connected.is_ok(), agrees);
            serving.join().unwrap()
        });
        match told {
            Ok(()) => assert!(agrees),
            Err(Error::Security(error)) => {
                assert!(!agrees);
                assert_eq!(error.status(), SecurityStatus::SEC_E_BAD_BINDINGS);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn the_reason_of_a_refusal_reaches_the_client() {
    let realm = realm();
    let other = Server::builder()
        .config(config())
        .keytab(realm.keytab(&["host/localhost"]).unwrap())
        .build()
        .unwrap();
    let refused = with_server(
        &other,
        |accepted| accepted.map(|_| ()).unwrap_err(),
        |stream| {
            let error = client(&realm).connect(SERVICE, stream).unwrap_err();
            assert!(matches!(error, Error::Security(_)), "{error}");
            assert!(error.to_string().contains("KRB_AP_ERR"), "{error}");
        },
    );
    assert!(refused.to_string().contains("HTTP/localhost"), "{refused}");
}

#[test]
fn tokens_can_be_carried_by_hand() {
    let realm = realm();
    let (client, server) = (client(&realm), server(&realm));
    let mut initiator = client.connector(SERVICE).handshake();
    let mut acceptor = server.handshake();
    // The client outlives neither its handshake nor its context.
    drop(client);
    let first = initiator.step(None).unwrap();
    assert!(!first.complete);
    let answer = acceptor.step(&first.token.unwrap()).unwrap();
    assert!(answer.complete);
    assert!(initiator.step(answer.token.as_deref()).unwrap().complete);
    let (near, far) = (
        initiator.into_context().unwrap(),
        acceptor.into_context().unwrap(),
    );
    assert_eq!(far.decrypt(&near.encrypt(b"x").unwrap()).unwrap(), b"x");
}

#[test]
fn a_rejected_token_turns_into_an_error_and_tells_the_client() {
    fn serve(server: &Server, token: &[u8]) -> Result<(), Error> {
        let leg = server.handshake().step(token)?;
        assert!(leg.complete);
        Ok(())
    }
    let realm = realm();
    let (client, server) = (client(&realm), server(&realm));
    let mut initiator = client.connector(SERVICE).handshake();
    let token = initiator.step(None).unwrap().token.unwrap();
    serve(&server, &token).unwrap();
    // The same authenticator once more: a replay.
    let rejected = server.handshake().step(&token).unwrap_err();
    let error = serve(&server, &token).unwrap_err();
    assert!(matches!(error, Error::Security(_)), "{error}");
    assert_eq!(rejected.to_string(), error.to_string());
    let refused = initiator.step(rejected.token.as_deref()).unwrap_err();
    assert!(
        refused.to_string().contains("KRB_AP_ERR_REPEAT"),
        "{refused}"
    );
}

#[test]
fn a_peer_of_another_protocol_is_named_as_one() {
    let realm = realm();
    let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(answer).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let stream = std::net::TcpStream::connect(address).unwrap();
    let error = client(&realm).connect(SERVICE, stream).unwrap_err();
    peer.join().unwrap();
    assert!(
        matches!(error, Error::OtherProtocol { first } if &first == b"HTTP"),
        "{error}"
    );
    let error = with_server(
        &server(&realm),
        |accepted| accepted.unwrap_err(),
        |mut stream| {
            stream.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        },
    );
    assert!(
        matches!(
            error,
            Error::OtherProtocol {
                first: [0x16, 3, 1, 2]
            }
        ),
        "{error}"
    );
}

#[test]
fn several_identities_and_realms_live_in_one_process() {
    let build = |name: &str| {
        TestRealm::builder(name)
            .principal("bob", "builder")
            .service("HTTP/localhost")
            .build()
            .unwrap()
    };
    let (one, two) = (build("ONE.TEST"), build("TWO.TEST"));
    for realm in [&one, &two] {
        let mut config = Config::default();
        config.default_realm = Some(realm.name());
        let config = Arc::new(config);
        let client = Client::builder()
            .config(Arc::clone(&config))
            .password("bob", "builder")
            .transport(realm.transport())
            .build()
            .unwrap();
        let server = Server::builder()
            .config(config)
            .keytab(realm.keytab(&["HTTP/localhost"]).unwrap())
            .build()
            .unwrap();
        let name = with_server(
            &server,
            |accepted| accepted.unwrap().peer().to_owned(),
            |stream| drop(client.connect("HTTP/localhost", stream).unwrap()),
        );
        assert_eq!(name, format!("bob@{}", realm.name()));
    }
}

#[test]
fn a_client_and_a_server_of_one_package_share_it() {
    let realm = realm();
    let store = Arc::new(MemoryStore::with_keytab(keytab(&realm)));
    let package = trihound::kerberos(
        Arc::new(config()),
        store,
        Arc::new(trihound::sansio::SystemClock),
        Arc::new(trihound::OsRandom),
    );
    let server = Server::builder().kerberos(&package).build().unwrap();
    let client = builder(realm.transport())
        .kerberos(&package)
        .build()
        .unwrap();
    with_server(
        &server,
        |accepted| drop(accepted.unwrap()),
        |stream| drop(client.connect(SERVICE, stream).unwrap()),
    );
    assert_eq!(package.live().0, 2);
    drop((server, client));
    assert_eq!(package.live(), (0, 0));
}

#[test]
fn what_is_missing_is_told_when_it_is_built() {
    let realm = realm();
    let nobody = Client::builder()
        .config(config())
        .store(Arc::new(MemoryStore::new()))
        .build();
    let Err(Error::Security(error)) = nobody else {
        panic!("nobody is logged in");
    };
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    let Err(Error::Security(error)) = Client::builder()
        .config(config())
        .keytab("alice", "/nonexistent/keytab")
        .build()
    else {
        panic!("there is no such file");
    };
    assert!(error.text().contains("/nonexistent/keytab"), "{error}");
    let Err(Error::Security(error)) = Server::builder()
        .config(config())
        .keytab(keytab(&realm))
        .principal("host/absent")
        .build()
    else {
        panic!("there is no such key");
    };
    assert!(error.text().contains("host/absent"), "{error}");
    let error = client(&realm).get_ticket("HTTP/absent").unwrap_err();
    assert!(error.to_string().contains("HTTP/absent"), "{error}");
}
