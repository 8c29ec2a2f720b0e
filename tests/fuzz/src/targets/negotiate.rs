//! Negotiate between two toys: somebody on the way edits what goes to one of the sides.
//!
//! Whatever is edited, both sides are done only with the mechanism that both would have chosen, and a
//! failed or finished handshake leaves none of the mechanisms' contexts behind but the chosen one.

use trihound_negotiate::{Negotiate, NegotiateConfig};
use trihound_sansio::{Reply, TransportFailure};
use trihound_sspi::{
    AcceptRequest, AcquireRequest, BufferType, ContextAttribute, ContextAttributeValue, CredHandle,
    CredentialUse, CtxtHandle, Error, HandshakeOutcome, InitializeRequest, InputDesc, MechListMic,
    RegisteredPackage, SecBuffer, SecBufferDesc, SecurityFunctionTable, Step,
};

use crate::input::Input;
use crate::mutate::mutate;

use super::negotiate_toy::{Script, Toy};

/// Above the package's own bound of legs on both sides.
const MAX_TOKENS: usize = 80;

struct Side {
    toys: Vec<RegisteredPackage<Toy>>,
    table: SecurityFunctionTable,
    credential: CredHandle,
    context: Option<CtxtHandle>,
    initiator: bool,
}

impl Side {
    fn new(toys: Vec<RegisteredPackage<Toy>>, initiator: bool) -> Self {
        let mut mechanisms = SecurityFunctionTable::builder();
        for toy in &toys {
            mechanisms = mechanisms.package(toy);
        }
        let config = NegotiateConfig::new(mechanisms.build().expect("distinct toys"));
        let negotiate = RegisteredPackage::new(Negotiate::new(config));
        let table = SecurityFunctionTable::builder().package(&negotiate);
        let table = table.build().expect("one package");
        let direction = if initiator {
            CredentialUse::OUTBOUND
        } else {
            CredentialUse::INBOUND
        };
        let acquired = table
            .acquire_credentials_handle("Negotiate", AcquireRequest::new(direction))
            .expect("toys have credentials");
        Self {
            toys,
            table,
            credential: acquired.credential,
            context: None,
            initiator,
        }
    }

    /// One call; round trips are granted, or fail where `fails` says so.
    fn call(&mut self, token: Option<&[u8]>, fails: bool) -> (Result<Step, Error>, Vec<u8>) {
        let input: Vec<SecBuffer<'_>> = token.map(SecBuffer::token_input).into_iter().collect();
        let input = (!input.is_empty()).then(|| InputDesc::new(&input));
        let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
        let mut output = SecBufferDesc::new(&mut buffers);
        let credential = Some(self.credential);
        let outcome = if self.initiator {
            let request = InitializeRequest {
                target_name: Some("HTTP/web.example"),
                input,
                ..InitializeRequest::default()
            };
            self.table
                .initialize_security_context(credential, self.context, request, &mut output)
        } else {
            let request = AcceptRequest {
                input,
                ..AcceptRequest::default()
            };
            self.table
                .accept_security_context(credential, self.context, request, &mut output)
        };
        let mut step = self.keep(outcome);
        if let (Ok(Step::ExchangeNeeded(_)), Some(context)) = (&step, self.context) {
            let failure = TransportFailure::default();
            let reply = if fails {
                Reply::Failed(&failure)
            } else {
                Reply::Bytes(b"granted")
            };
            let outcome = self.table.complete_exchange(context, reply, &mut output);
            step = self.keep(outcome);
        }
        let token = buffers[0].bytes().to_vec();
        (step, token)
    }

    fn keep(&mut self, outcome: Result<HandshakeOutcome, Error>) -> Result<Step, Error> {
        outcome.map(|outcome| {
            self.context = Some(outcome.context);
            outcome.step
        })
    }

    fn chosen(&self) -> Option<String> {
        let asked = ContextAttribute::NegotiationInfo;
        let value = self.table.query_context_attributes(self.context?, asked);
        match value {
            Ok(ContextAttributeValue::NegotiationInfo(info)) => {
                Some(info.package.name.into_owned())
            }
            _ => None,
        }
    }

    fn live(&self) -> usize {
        self.toys.iter().map(|toy| toy.live().1).sum()
    }

    fn end(&mut self) {
        if let Some(context) = self.context.take() {
            let _ = self.table.delete_security_context(context);
        }
        assert_eq!(self.live(), 0, "a mechanism's context is left");
    }
}

fn script(choices: u8) -> Script {
    Script {
        legs: u32::from(choices & 3) + 1,
        mic: match choices >> 2 & 3 {
            0 | 1 => MechListMic::Possible,
            2 => MechListMic::Required,
            _ => MechListMic::Impossible,
        },
        initiator_asks: choices & 0x10 != 0,
        acceptor_asks: choices & 0x20 != 0,
        ..Script::default()
    }
}

/// Edits of what the acceptor sends.
pub fn initiator(data: &[u8]) {
    run(data, false);
}

/// Edits of what the initiator sends.
pub fn acceptor(data: &[u8]) {
    run(data, true);
}

fn run(data: &[u8], to_acceptor: bool) {
    let mut input = Input::new(data);
    let (alpha, beta, choices) = (input.byte(), input.byte(), input.byte());
    let mut client = Side::new(
        vec![Toy::alpha(script(alpha)), Toy::beta(script(beta))],
        true,
    );
    let (server_toys, best) = match choices & 3 {
        0 => (vec![Toy::beta(script(beta))], "Beta"),
        1 => (
            vec![Toy::beta(script(beta)), Toy::alpha(script(alpha))],
            "Alpha",
        ),
        _ => (
            vec![Toy::alpha(script(alpha)), Toy::beta(script(beta))],
            "Alpha",
        ),
    };
    let mut server = Side::new(server_toys, false);
    let fails = choices & 4 != 0;
    if choices & 8 != 0 {
        alone(&mut client, &mut server, to_acceptor, &mut input);
    } else {
        let done = handshake(&mut client, &mut server, to_acceptor, fails, &mut input);
        // A round trip that fails before anything is out leads on, and then the list is another one.
        if done && !fails {
            assert_eq!(client.chosen().as_deref(), Some(best));
            assert_eq!(server.chosen().as_deref(), Some(best));
        }
        if done {
            assert_eq!(client.chosen(), server.chosen());
            assert_eq!((client.live(), server.live()), (1, 1));
        }
    }
    client.end();
    server.end();
}

/// Whether both sides were done.
fn handshake(
    client: &mut Side,
    server: &mut Side,
    to_acceptor: bool,
    fails: bool,
    input: &mut Input<'_>,
) -> bool {
    let (mut client_done, mut server_done) = (false, false);
    let mut token = Vec::new();
    for number in 0..MAX_TOKENS {
        let for_server = number % 2 == 1;
        let side = if for_server {
            &mut *server
        } else {
            &mut *client
        };
        let given = (number > 0).then_some(&token[..]);
        let (step, out) = match side.call(given, fails && !for_server) {
            (Ok(step), out) => (step, out),
            (Err(_), _) => return false,
        };
        let done = matches!(step, Step::Complete(_));
        if for_server {
            server_done = done;
        } else {
            client_done = done;
        }
        if client_done && server_done && out.is_empty() {
            return true;
        }
        if out.is_empty() {
            return false;
        }
        token = if for_server == to_acceptor {
            out
        } else {
            mutate(&out, input)
        };
    }
    panic!("two sides that never end");
}

/// One side alone, which gets nothing but bytes of the input. Toys have no secrets, so that the bytes may
/// be a good handshake; what is asserted is that nothing is left of it.
fn alone(client: &mut Side, server: &mut Side, to_acceptor: bool, input: &mut Input<'_>) {
    let side = if to_acceptor { server } else { client };
    if !to_acceptor && side.call(None, false).0.is_err() {
        return;
    }
    while !input.is_empty() {
        let token = input.chunk();
        match side.call(Some(token), false).0 {
            Ok(_) => assert_eq!(side.live().min(1), side.live()),
            Err(_) => {
                assert_eq!(side.live(), 0);
                return;
            }
        }
    }
}
