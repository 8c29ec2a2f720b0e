//! NTLM's two state machines with somebody between them, who changes what the other side sent or
//! makes up a message of his own.

use std::sync::Arc;

use trihound_crypto::ntlm::NtHash;
use trihound_ntlm::message::{AuthenticateMessage, ChallengeMessage, NegotiateMessage};
use trihound_ntlm::{
    LocalVerifier, MemoryAccounts, MicRequirement, NegotiateFlags, Ntlm, NtlmConfig,
    NtlmCredential, NtlmPolicy, NtlmRule, Requirement, ServerNames,
};
use trihound_sansio::{FixedClock, RandomFailure, RandomSource, Timestamp};
use trihound_sspi::{
    AcceptRequest, AcceptorRequirements, ContextAttribute, ContextAttributeValue, CredHandle,
    CtxtHandle, EstablishedAttributes, InitializeRequest, InitiatorAttributes,
    InitiatorRequirements, InputDesc, RegisteredPackage, SecBuffer, SecBufferDesc,
    SecurityFunctionTable, SecurityStatus, Step,
};

use crate::input::Input;
use crate::mutate::mutate;

/// Bytes of a token at most; the package's own limit is below.
const ROOM: usize = 10_000;

/// The same bytes at every run.
struct Counting;

impl RandomSource for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailure> {
        for (byte, n) in bytes.iter_mut().zip(1..) {
            *byte = n;
        }
        Ok(())
    }
}

struct World {
    table: SecurityFunctionTable,
    client: CredHandle,
    service: CredHandle,
    wants: InitiatorRequirements,
    demands: AcceptorRequirements,
}

fn hash() -> NtHash {
    NtHash::from_bytes([0x11; 16])
}

impl World {
    fn chosen(input: &mut Input<'_>) -> Self {
        let choices = input.byte();
        let requirement = match choices & 3 {
            0 => Requirement::Off,
            1 => Requirement::Always,
            _ => Requirement::WhenSupported,
        };
        let mic = match choices >> 2 & 3 {
            0 => MicRequirement::WhenPromised,
            1 => MicRequirement::Always,
            _ => MicRequirement::WithProtection,
        };
        let policy = NtlmPolicy::both(NtlmRule::Allow)
            .target_name(requirement)
            .mic(mic);
        let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(1_900_000_000)));
        let config = NtlmConfig::new(clock, Arc::new(Counting))
            .with_policy(policy)
            .with_target_names(["HTTP/web.example.com"])
            .with_server_names(ServerNames::of_host("web.example.com"));
        let accounts = MemoryAccounts::new().with_nt_hash("EXAMPLE", "alice", hash());
        let package = RegisteredPackage::new(Ntlm::new(config));
        let adopt = |credential| package.adopt(credential).expect("a handle");
        let client = adopt(NtlmCredential::from_nt_hash("alice", "EXAMPLE", hash()));
        let service = adopt(NtlmCredential::acceptor(Arc::new(LocalVerifier::new(
            accounts,
        ))));
        let table = SecurityFunctionTable::builder()
            .package(&package)
            .build()
            .expect("a table");
        let mut wants = InitiatorRequirements::empty();
        wants.set(InitiatorRequirements::INTEGRITY, choices & 0x10 != 0);
        wants.set(InitiatorRequirements::CONFIDENTIALITY, choices & 0x20 != 0);
        wants.set(InitiatorRequirements::DATAGRAM, choices & 0x40 != 0);
        let mut demands = AcceptorRequirements::empty();
        demands.set(AcceptorRequirements::DATAGRAM, choices & 0x40 != 0);
        demands.set(
            AcceptorRequirements::ALLOW_NULL_SESSION,
            choices & 0x80 != 0,
        );
        Self {
            table,
            client,
            service,
            wants,
            demands,
        }
    }

    fn initialize(&self, context: Option<CtxtHandle>, token: &[u8]) -> Call {
        let buffers = [SecBuffer::token_input(token)];
        let input = InputDesc::new(&buffers);
        let request = InitializeRequest {
            target_name: Some("HTTP/web.example.com"),
            requirements: self.wants,
            input: Some(input),
            ..InitializeRequest::default()
        };
        let mut memory = vec![0; ROOM];
        let mut output = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut output);
        let outcome = self.table.initialize_security_context(
            Some(self.client),
            context,
            request,
            &mut output,
        );
        Call::of(outcome, &output)
    }

    fn accept(&self, context: Option<CtxtHandle>, token: &[u8]) -> Call {
        let buffers = [SecBuffer::token_input(token)];
        let request = AcceptRequest {
            requirements: self.demands,
            input: Some(InputDesc::new(&buffers)),
        };
        let mut memory = vec![0; ROOM];
        let mut output = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut output);
        let outcome =
            self.table
                .accept_security_context(Some(self.service), context, request, &mut output);
        Call::of(outcome, &output)
    }

    fn session_key(&self, context: CtxtHandle) -> Option<Vec<u8>> {
        let value = self
            .table
            .query_context_attributes(context, ContextAttribute::SessionKey);
        match value {
            Ok(ContextAttributeValue::SessionKey(key)) => Some(key.expose().to_vec()),
            _ => None,
        }
    }

    fn name(&self, context: CtxtHandle) -> String {
        match self
            .table
            .query_context_attributes(context, ContextAttribute::Names)
        {
            Ok(ContextAttributeValue::Names(name)) => name,
            other => panic!("an established context has names: {other:?}"),
        }
    }
}

/// What a call gave.
struct Call {
    context: Option<CtxtHandle>,
    step: Option<Step>,
    token: Vec<u8>,
    status: SecurityStatus,
}

impl Call {
    fn of(
        outcome: Result<trihound_sspi::HandshakeOutcome, trihound_sspi::Error>,
        output: &SecBufferDesc<'_, '_>,
    ) -> Self {
        let token = output.token().unwrap_or_default().to_vec();
        match outcome {
            Ok(outcome) => Self {
                status: outcome.status(),
                context: Some(outcome.context),
                step: Some(outcome.step),
                token,
            },
            Err(error) => Self {
                status: error.status(),
                context: None,
                step: None,
                token,
            },
        }
    }

    fn attributes(&self) -> Option<EstablishedAttributes> {
        match &self.step {
            Some(Step::Complete(established)) => Some(established.attributes),
            _ => None,
        }
    }
}

/// A message of the other side, changed, or one of the input's own.
fn between(original: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    match input.byte() % 4 {
        0 => input.rest().to_vec(),
        1 => original.to_vec(),
        _ => mutate(original, input),
    }
}

/// The initiator before a CHALLENGE message that somebody made.
pub fn initiator(data: &[u8]) {
    let mut input = Input::new(data);
    let world = World::chosen(&mut input);
    let first = world.initialize(None, &[]);
    let Some(context) = first.context else {
        panic!("the first call needs nothing of the peer: {}", first.status);
    };
    let honest = world.accept(None, &first.token);
    let challenge = between(&honest.token, &mut input);
    let answer = world.initialize(Some(context), &challenge);
    let Some(EstablishedAttributes::Initiator(got)) = answer.attributes() else {
        let again = world.initialize(Some(context), &challenge);
        assert_eq!(again.status, SecurityStatus::SEC_E_INVALID_HANDLE);
        world
            .table
            .delete_security_context(context)
            .expect("deleted");
        return;
    };
    // What was asked for is there, or the handshake failed.
    for (asked, has) in [
        (
            InitiatorRequirements::INTEGRITY,
            InitiatorAttributes::INTEGRITY,
        ),
        (
            InitiatorRequirements::CONFIDENTIALITY,
            InitiatorAttributes::CONFIDENTIALITY,
        ),
    ] {
        assert!(!world.wants.contains(asked) || got.contains(has), "{got:?}");
    }
    let sent = AuthenticateMessage::parse(&answer.token).expect("a message of ours");
    let offer = ChallengeMessage::parse(&challenge).expect("it was taken");
    let weak = NegotiateFlags::NEGOTIATE_56 | NegotiateFlags::NEGOTIATE_LM_KEY;
    assert!(!sent.flags.intersects(weak), "weak keys");
    let chosen = sent.flags & (NegotiateFlags::NEGOTIATE_SIGN | NegotiateFlags::NEGOTIATE_SEAL);
    assert!(offer.flags.contains(chosen), "more than was offered");
    assert_eq!(sent.lm_response, [0; 24], "an LM response");
    assert!(sent.mic.is_some(), "no MIC");
    // The acceptor takes the answer only if it sees the three messages as the initiator did.
    if let Some(acceptor) = honest.context {
        let end = world.accept(Some(acceptor), &answer.token);
        if end.attributes().is_some() {
            assert_eq!(challenge, honest.token, "a changed CHALLENGE was believed");
            assert_eq!(world.session_key(context), world.session_key(acceptor));
        }
    }
}

/// The acceptor before a NEGOTIATE and an AUTHENTICATE message that somebody made.
pub fn acceptor(data: &[u8]) {
    let mut input = Input::new(data);
    let world = World::chosen(&mut input);
    let first = world.initialize(None, &[]);
    let (Some(initiator), honest) = (first.context, first.token) else {
        panic!("the first call needs nothing of the peer: {}", first.status);
    };
    let own = input.byte() & 1 == 0;
    let negotiate = if own {
        honest.clone()
    } else {
        mutate(&honest, &mut input)
    };
    let offer = world.accept(None, &negotiate);
    let Some(acceptor) = offer.context else {
        return;
    };
    if !negotiate.is_empty() {
        let asked = NegotiateMessage::parse(&negotiate)
            .expect("it was taken")
            .flags;
        let offered = ChallengeMessage::parse(&offer.token)
            .expect("a message of ours")
            .flags;
        let protection = NegotiateFlags::NEGOTIATE_SIGN | NegotiateFlags::NEGOTIATE_SEAL;
        assert!(asked.contains(offered & protection), "more than was asked");
    }
    let answer = world.initialize(Some(initiator), &offer.token);
    let authenticate = between(&answer.token, &mut input);
    let end = world.accept(Some(acceptor), &authenticate);
    let Some(EstablishedAttributes::Acceptor(got)) = end.attributes() else {
        let again = world.accept(Some(acceptor), &authenticate);
        assert_eq!(again.status, SecurityStatus::SEC_E_INVALID_HANDLE);
        world
            .table
            .delete_security_context(acceptor)
            .expect("deleted");
        return;
    };
    let nobody = got.contains(trihound_sspi::AcceptorAttributes::NULL_SESSION);
    if nobody {
        assert!(
            world
                .demands
                .contains(AcceptorRequirements::ALLOW_NULL_SESSION),
            "anonymous and not allowed"
        );
        assert_eq!(world.session_key(acceptor), None, "nobody has a key");
        assert_eq!(world.name(acceptor), "");
        return;
    }
    // Nobody but alice has the hash, and she promised a MIC over all three messages.
    assert_eq!(world.name(acceptor), "EXAMPLE\\alice");
    assert_eq!(
        authenticate, answer.token,
        "a changed AUTHENTICATE was believed"
    );
    assert_eq!(negotiate, honest, "a changed NEGOTIATE was believed");
    assert_eq!(world.session_key(initiator), world.session_key(acceptor));
}
