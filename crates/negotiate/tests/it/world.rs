//! Two sides that negotiate, with somebody on the way who may change what passes.

use trihound_asn1::spnego::{self, InitialToken, NegTokenInit, NegTokenResp};
use trihound_negotiate::{Negotiate, NegotiateConfig, NegotiatePolicy};
use trihound_sansio::{ExchangeRequest, Reply, TransportFailure};
use trihound_sspi::*;

use crate::toy::Toy;

/// One side: a table with Negotiate in it, over a table of toys.
pub(crate) struct Side {
    pub(crate) toys: Vec<RegisteredPackage<Toy>>,
    pub(crate) negotiate: RegisteredPackage<Negotiate>,
    pub(crate) table: SecurityFunctionTable,
    pub(crate) credential: Option<CredHandle>,
    pub(crate) context: Option<CtxtHandle>,
    pub(crate) target: String,
    pub(crate) initiator: InitiatorRequirements,
    pub(crate) acceptor: AcceptorRequirements,
    pub(crate) bindings: Option<Vec<u8>>,
    /// The size of the output buffer; `None` lets the package allocate.
    pub(crate) room: Option<usize>,
}

pub(crate) type Called = (Result<Step, Error>, Vec<u8>);

impl Side {
    pub(crate) fn new(toys: Vec<RegisteredPackage<Toy>>) -> Self {
        Self::with_policy(toys, NegotiatePolicy::default())
    }

    pub(crate) fn with_policy(toys: Vec<RegisteredPackage<Toy>>, policy: NegotiatePolicy) -> Self {
        let mut mechanisms = SecurityFunctionTable::builder();
        for toy in &toys {
            mechanisms = mechanisms.package(toy);
        }
        let config = NegotiateConfig::new(mechanisms.build().unwrap()).with_policy(policy);
        let negotiate = RegisteredPackage::new(Negotiate::new(config));
        let table = SecurityFunctionTable::builder()
            .package(&negotiate)
            .build()
            .unwrap();
        Self {
            toys,
            negotiate,
            table,
            credential: None,
            context: None,
            target: "HTTP/web.example".to_owned(),
            initiator: InitiatorRequirements::empty(),
            acceptor: AcceptorRequirements::empty(),
            bindings: None,
            room: None,
        }
    }

    pub(crate) fn acquire(&mut self, request: AcquireRequest<'_>) -> Result<CredHandle, Error> {
        let acquired = self
            .table
            .acquire_credentials_handle("Negotiate", request)?;
        self.credential = Some(acquired.credential);
        Ok(acquired.credential)
    }

    fn credential(&mut self, direction: CredentialUse) -> CredHandle {
        match self.credential {
            Some(credential) => credential,
            None => self.acquire(AcquireRequest::new(direction)).unwrap(),
        }
    }

    fn output(&self) -> SecBuffer<'static> {
        match self.room {
            Some(room) => SecBuffer::owned(BufferType::TOKEN, vec![0; room]),
            None => SecBuffer::allocate(BufferType::TOKEN),
        }
    }

    pub(crate) fn initialize(&mut self, token: Option<&[u8]>) -> Called {
        let credential = self.credential(CredentialUse::OUTBOUND);
        let mut input: Vec<SecBuffer<'_>> = token.map(SecBuffer::token_input).into_iter().collect();
        input.extend(self.bindings.as_deref().map(SecBuffer::channel_bindings));
        let request = InitializeRequest {
            target_name: Some(&self.target),
            requirements: self.initiator,
            input: (!input.is_empty()).then(|| InputDesc::new(&input)),
            ..InitializeRequest::default()
        };
        let mut buffers = [self.output()];
        let outcome = self.table.initialize_security_context(
            Some(credential),
            self.context,
            request,
            &mut SecBufferDesc::new(&mut buffers),
        );
        let token = buffers[0].bytes().to_vec();
        (self.keep(outcome), token)
    }

    pub(crate) fn accept(&mut self, token: Option<&[u8]>) -> Called {
        let credential = self.credential(CredentialUse::INBOUND);
        let mut input: Vec<SecBuffer<'_>> = token.map(SecBuffer::token_input).into_iter().collect();
        input.extend(self.bindings.as_deref().map(SecBuffer::channel_bindings));
        let request = AcceptRequest {
            requirements: self.acceptor,
            input: (!input.is_empty()).then(|| InputDesc::new(&input)),
        };
        let mut buffers = [self.output()];
        let outcome = self.table.accept_security_context(
            Some(credential),
            self.context,
            request,
            &mut SecBufferDesc::new(&mut buffers),
        );
        let token = buffers[0].bytes().to_vec();
        (self.keep(outcome), token)
    }

    pub(crate) fn complete(&mut self, reply: Reply<'_>) -> Called {
        let mut buffers = [self.output()];
        let outcome = self.table.complete_exchange(
            self.context.unwrap(),
            reply,
            &mut SecBufferDesc::new(&mut buffers),
        );
        let token = buffers[0].bytes().to_vec();
        (self.keep(outcome), token)
    }

    fn keep(&mut self, outcome: Result<HandshakeOutcome, Error>) -> Result<Step, Error> {
        outcome.map(|outcome| {
            self.context = Some(outcome.context);
            outcome.step
        })
    }

    pub(crate) fn toy(&self, name: &str) -> &Toy {
        let named = |toy: &&RegisteredPackage<Toy>| {
            toy.package().query_security_package_info().name == name
        };
        self.toys.iter().find(named).unwrap().package()
    }

    /// How many contexts of the toys are alive.
    pub(crate) fn live_contexts(&self) -> usize {
        self.toys.iter().map(|toy| toy.live().1).sum()
    }

    /// How many credentials of the toys are alive.
    pub(crate) fn live_credentials(&self) -> usize {
        self.toys.iter().map(|toy| toy.live().0).sum()
    }

    pub(crate) fn negotiation(&self) -> (String, NegotiationState) {
        let asked = ContextAttribute::NegotiationInfo;
        let value = self
            .table
            .query_context_attributes(self.context.unwrap(), asked)
            .unwrap();
        match value {
            ContextAttributeValue::NegotiationInfo(info) => {
                (info.package.name.into_owned(), info.state)
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        let mut token = [0; 8];
        let mut buffers = [SecBuffer::data_input(text), SecBuffer::token(&mut token)];
        self.table
            .make_signature(
                self.context.unwrap(),
                0,
                &mut SecBufferDesc::new(&mut buffers),
                0,
            )
            .unwrap();
        buffers[1].bytes().to_vec()
    }

    pub(crate) fn verify(&self, text: &[u8], signature: &[u8]) -> Result<u32, Error> {
        let mut buffers = [
            SecBuffer::data_input(text),
            SecBuffer::token_input(signature),
        ];
        self.table.verify_signature(
            self.context.unwrap(),
            &mut SecBufferDesc::new(&mut buffers),
            0,
        )
    }
}

/// Who an error comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Initiator,
    Acceptor,
}

/// Each token on its way, numbered from 1: what arrives in its place.
pub(crate) type Way<'a> = &'a dyn Fn(usize, Vec<u8>) -> Vec<u8>;

pub(crate) fn unchanged(_number: usize, token: Vec<u8>) -> Vec<u8> {
    token
}

/// What became of a handshake.
pub(crate) struct Ran {
    pub(crate) tokens: Vec<Vec<u8>>,
    pub(crate) end: Result<(), (Who, Error)>,
    /// What the side that failed put out for its peer.
    pub(crate) last_words: Vec<u8>,
}

impl Ran {
    pub(crate) fn error(&self) -> (Who, &Error) {
        match &self.end {
            Ok(()) => panic!("the handshake succeeded"),
            Err((who, error)) => (*who, error),
        }
    }
}

/// Runs both sides to the end of both; round trips are granted.
pub(crate) fn run(client: &mut Side, server: &mut Side, way: Way<'_>) -> Ran {
    let mut ran = Ran {
        tokens: Vec::new(),
        end: Ok(()),
        last_words: Vec::new(),
    };
    let (mut client_done, mut server_done) = (false, false);
    let mut to_client: Option<Vec<u8>> = None;
    loop {
        if !client_done {
            let called = client.initialize(to_client.as_deref());
            let (step, token) = granted(client, called);
            match step {
                Ok(step) => client_done = matches!(step, Step::Complete(_)),
                Err(error) => {
                    ran.end = Err((Who::Initiator, error));
                    ran.last_words = token;
                    return ran;
                }
            }
            if token.is_empty() {
                assert!(client_done, "the initiator waits and sends nothing");
                assert!(
                    server_done,
                    "the acceptor waits for a token that does not come"
                );
                return ran;
            }
            ran.tokens.push(token);
        }
        if client_done && server_done {
            return ran;
        }
        let token = way(ran.tokens.len(), ran.tokens.last().unwrap().clone());
        assert!(!server_done, "a token for an acceptor that is done");
        let called = server.accept(Some(&token));
        let (step, token) = granted(server, called);
        match step {
            Ok(step) => server_done = matches!(step, Step::Complete(_)),
            Err(error) => {
                ran.end = Err((Who::Acceptor, error));
                ran.last_words = token;
                return ran;
            }
        }
        if token.is_empty() {
            assert!(client_done && server_done, "somebody waits for a token");
            return ran;
        }
        assert!(!client_done, "a token for an initiator that is done");
        ran.tokens.push(token.clone());
        to_client = Some(way(ran.tokens.len(), token));
    }
}

fn granted(side: &mut Side, called: Called) -> Called {
    match called {
        (Ok(Step::ExchangeNeeded(_)), _) => {
            let called = side.complete(Reply::Bytes(b"granted"));
            granted(side, called)
        }
        other => other,
    }
}

/// Both sides end with the same package, and their messages verify.
pub(crate) fn assert_agreed(client: &Side, server: &Side, package: &str) {
    let expected = (package.to_owned(), NegotiationState::Complete);
    assert_eq!(client.negotiation(), expected);
    assert_eq!(server.negotiation(), expected);
    server
        .verify(b"ping", &client.sign(b"ping"))
        .expect("the client's message verifies");
    client
        .verify(b"pong", &server.sign(b"pong"))
        .expect("the server's message verifies");
}

pub(crate) fn init(token: &[u8]) -> NegTokenInit {
    match spnego::parse_initial(token).unwrap() {
        InitialToken::Init(message) => message,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn resp(token: &[u8]) -> NegTokenResp {
    spnego::parse_response(token).unwrap()
}

/// A NegTokenInit with these identifiers, changed on the way.
pub(crate) fn with_mechs(token: &[u8], oids: &[&str], mech_token: Option<&[u8]>) -> Vec<u8> {
    let before = init(token);
    let mut after = NegTokenInit::new(oids).unwrap();
    after.mech_list_mic = before.mech_list_mic;
    after.mech_token = mech_token.map(<[u8]>::to_vec);
    after.to_token().unwrap()
}

pub(crate) fn edit_resp(token: &[u8], edit: impl FnOnce(&mut NegTokenResp)) -> Vec<u8> {
    let mut message = resp(token);
    edit(&mut message);
    message.to_token().unwrap()
}

pub(crate) fn nobody() -> TransportFailure {
    TransportFailure {
        realm: "R".into(),
        attempts: vec!["127.0.0.1:88: refused".into()],
        advice: "start it".into(),
    }
}

pub(crate) fn exchange(step: &Result<Step, Error>) -> &ExchangeRequest {
    match step {
        Ok(Step::ExchangeNeeded(request)) => request,
        other => panic!("{other:?}"),
    }
}
