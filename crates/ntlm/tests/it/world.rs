//! An initiator, an acceptor and somebody between them; all calls go through the function table.

use std::sync::{Arc, Mutex};

use trihound_ntlm::{
    LocalVerifier, MemoryAccounts, Ntlm, NtlmConfig, NtlmCredential, NtlmObserver, NtlmPolicy,
    NtlmRule, NtlmUse, ServerNames,
};
use trihound_sansio::{FixedClock, RandomFailure, RandomSource, Timestamp};
use trihound_secret::SecretString;
use trihound_sspi::{
    AcceptRequest, AcceptorAttributes, AcceptorRequirements, ContextAttribute,
    ContextAttributeValue, CredHandle, CtxtHandle, Error, Established, EstablishedAttributes,
    HandshakeOutcome, InitializeRequest, InitiatorAttributes, InitiatorRequirements, InputDesc,
    RegisteredPackage, SecBuffer, SecBufferDesc, SecurityFunctionTable, SecurityStatus,
};

pub(crate) const NOW: i64 = 1_900_000_000;
pub(crate) const TARGET: &str = "HTTP/web.example.com";
pub(crate) const DOMAIN: &str = "EXAMPLE";
pub(crate) const ALICE: &str = "alice";
pub(crate) const PASSWORD: &str = "correct horse";

/// Randomness that is the same at every run (xorshift).
pub(crate) struct Seeded(Mutex<u64>);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(
            seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15) | 1,
        ))
    }
}

impl RandomSource for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailure> {
        let mut state = self.0.lock().unwrap();
        for byte in bytes {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            *byte = state.to_be_bytes()[2];
        }
        Ok(())
    }
}

/// Randomness that failed.
pub(crate) struct Dry;

impl RandomSource for Dry {
    fn fill(&self, _bytes: &mut [u8]) -> Result<(), RandomFailure> {
        Err(RandomFailure {
            reason: "dry".to_owned(),
        })
    }
}

/// Remembers each use.
#[derive(Default)]
pub(crate) struct Uses(Mutex<Vec<NtlmUse>>);

impl Uses {
    pub(crate) fn take(&self) -> Vec<NtlmUse> {
        core::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl NtlmObserver for Uses {
    fn used(&self, event: &NtlmUse) {
        self.0.lock().unwrap().push(event.clone());
    }
}

pub(crate) fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

pub(crate) fn accounts() -> MemoryAccounts {
    MemoryAccounts::new()
        .with_password(DOMAIN, ALICE, secret(PASSWORD))
        .with_password(DOMAIN, "bob", secret("hunter2"))
}

pub(crate) fn alice() -> NtlmCredential {
    NtlmCredential::from_password(ALICE, DOMAIN, secret(PASSWORD))
}

pub(crate) fn allowed() -> NtlmPolicy {
    NtlmPolicy::both(NtlmRule::Allow)
}

/// A package that both sides use, and the table between it and its callers.
pub(crate) struct World {
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) uses: Arc<Uses>,
    pub(crate) package: RegisteredPackage<Ntlm>,
    pub(crate) table: SecurityFunctionTable,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_policy(allowed())
    }

    pub(crate) fn with_policy(policy: NtlmPolicy) -> Self {
        Self::with(|config| config.with_policy(policy))
    }

    pub(crate) fn with(change: impl FnOnce(NtlmConfig) -> NtlmConfig) -> Self {
        let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(NOW)));
        let uses = Arc::new(Uses::default());
        let config = NtlmConfig::new(clock.clone(), Arc::new(Seeded::new(1)))
            .with_policy(allowed())
            .with_verifier(Arc::new(LocalVerifier::new(accounts())))
            .with_observer(uses.clone())
            .with_server_names(
                ServerNames::of_host("web.example.com")
                    .in_domain(DOMAIN, Some("example.com".to_owned())),
            );
        let package = RegisteredPackage::new(Ntlm::new(change(config)));
        let table = SecurityFunctionTable::builder()
            .package(&package)
            .build()
            .unwrap();
        Self {
            clock,
            uses,
            package,
            table,
        }
    }

    pub(crate) fn adopt(&self, credential: NtlmCredential) -> CredHandle {
        self.package.adopt(credential).unwrap()
    }

    pub(crate) fn service(&self) -> CredHandle {
        self.adopt(NtlmCredential::acceptor(Arc::new(LocalVerifier::new(
            accounts(),
        ))))
    }

    pub(crate) fn sides(&self, wishes: Wishes) -> Sides<'_> {
        Sides {
            world: self,
            client: self.adopt(alice()),
            service: self.service(),
            wishes,
            initiator: None,
            acceptor: None,
        }
    }
}

/// What the two callers ask for.
#[derive(Clone, Default)]
pub(crate) struct Wishes {
    pub(crate) initiator: InitiatorRequirements,
    pub(crate) acceptor: AcceptorRequirements,
    pub(crate) target: Option<&'static str>,
    pub(crate) initiator_bindings: Option<Vec<u8>>,
    pub(crate) acceptor_bindings: Option<Vec<u8>>,
}

impl Wishes {
    pub(crate) fn of(initiator: InitiatorRequirements) -> Self {
        Self {
            initiator,
            target: Some(TARGET),
            ..Self::default()
        }
    }

    pub(crate) fn none() -> Self {
        Self::of(InitiatorRequirements::empty())
    }

    /// Every protection.
    pub(crate) fn full() -> Self {
        Self::of(
            InitiatorRequirements::REPLAY_DETECT
                | InitiatorRequirements::SEQUENCE_DETECT
                | InitiatorRequirements::CONFIDENTIALITY
                | InitiatorRequirements::INTEGRITY,
        )
    }

    pub(crate) fn datagram() -> Self {
        let mut wishes = Self::of(
            InitiatorRequirements::DATAGRAM
                | InitiatorRequirements::CONFIDENTIALITY
                | InitiatorRequirements::INTEGRITY,
        );
        wishes.acceptor = AcceptorRequirements::DATAGRAM;
        wishes
    }
}

/// What a call gave, and the token that it wrote, if any.
pub(crate) type Leg = (Result<HandshakeOutcome, Error>, Vec<u8>);

/// The two sides of one handshake.
pub(crate) struct Sides<'w> {
    pub(crate) world: &'w World,
    pub(crate) wishes: Wishes,
    pub(crate) client: CredHandle,
    pub(crate) service: CredHandle,
    pub(crate) initiator: Option<CtxtHandle>,
    pub(crate) acceptor: Option<CtxtHandle>,
}

fn input<'a>(token: Option<&'a [u8]>, bindings: Option<&'a [u8]>) -> Vec<SecBuffer<'a>> {
    let mut buffers = Vec::new();
    buffers.extend(token.map(SecBuffer::token_input));
    buffers.extend(bindings.map(SecBuffer::channel_bindings));
    buffers
}

impl Sides<'_> {
    pub(crate) fn with_client(mut self, credential: NtlmCredential) -> Self {
        self.client = self.world.adopt(credential);
        self
    }

    pub(crate) fn with_service(mut self, credential: NtlmCredential) -> Self {
        self.service = self.world.adopt(credential);
        self
    }

    pub(crate) fn initialize(&mut self, token: Option<&[u8]>) -> Leg {
        self.initialize_into(token, 4000)
    }

    pub(crate) fn initialize_into(&mut self, token: Option<&[u8]>, room: usize) -> Leg {
        let mut memory = vec![0; room];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut buffers);
        let input = input(token, self.wishes.initiator_bindings.as_deref());
        let request = InitializeRequest {
            target_name: self.wishes.target,
            requirements: self.wishes.initiator,
            input: Some(InputDesc::new(&input)),
            ..InitializeRequest::default()
        };
        let outcome = self.world.table.initialize_security_context(
            Some(self.client),
            self.initiator,
            request,
            &mut output,
        );
        if let Ok(outcome) = &outcome {
            self.initiator = Some(outcome.context);
        }
        let token = output.token().unwrap_or_default().to_vec();
        (outcome, token)
    }

    pub(crate) fn accept(&mut self, token: Option<&[u8]>) -> Leg {
        self.accept_into(token, 4000)
    }

    pub(crate) fn accept_into(&mut self, token: Option<&[u8]>, room: usize) -> Leg {
        let mut memory = vec![0; room];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut buffers);
        let input = input(token, self.wishes.acceptor_bindings.as_deref());
        let request = AcceptRequest {
            requirements: self.wishes.acceptor,
            input: Some(InputDesc::new(&input)),
        };
        let outcome = self.world.table.accept_security_context(
            Some(self.service),
            self.acceptor,
            request,
            &mut output,
        );
        if let Ok(outcome) = &outcome {
            self.acceptor = Some(outcome.context);
        }
        let token = output.token().unwrap_or_default().to_vec();
        (outcome, token)
    }

    /// The NEGOTIATE message.
    pub(crate) fn negotiate(&mut self) -> Vec<u8> {
        let (outcome, token) = self.initialize(None);
        assert_eq!(
            outcome.unwrap().status(),
            SecurityStatus::SEC_I_CONTINUE_NEEDED
        );
        token
    }

    /// The CHALLENGE message to a NEGOTIATE message.
    pub(crate) fn challenge(&mut self, negotiate: &[u8]) -> Vec<u8> {
        let token = (!negotiate.is_empty()).then_some(negotiate);
        let (outcome, token) = self.accept(token);
        assert_eq!(
            outcome.unwrap().status(),
            SecurityStatus::SEC_I_CONTINUE_NEEDED
        );
        token
    }

    /// The AUTHENTICATE message to a CHALLENGE message, and what the initiator got.
    pub(crate) fn authenticate(&mut self, challenge: &[u8]) -> (Established, Vec<u8>) {
        let (outcome, token) = self.initialize(Some(challenge));
        (outcome.unwrap().established().cloned().unwrap(), token)
    }

    /// Up to the AUTHENTICATE message.
    pub(crate) fn up_to_authenticate(&mut self) -> Vec<u8> {
        let negotiate = self.negotiate();
        let challenge = self.challenge(&negotiate);
        self.authenticate(&challenge).1
    }

    /// The whole handshake; gives what each got.
    pub(crate) fn establish(&mut self) -> (Established, Established) {
        let negotiate = self.negotiate();
        let challenge = self.challenge(&negotiate);
        let (ours, authenticate) = self.authenticate(&challenge);
        let (outcome, token) = self.accept(Some(&authenticate));
        let theirs = outcome.unwrap().established().cloned().unwrap();
        assert_eq!(token, Vec::<u8>::new());
        (ours, theirs)
    }

    /// The acceptor's refusal of the last message.
    pub(crate) fn refusal(&mut self) -> Error {
        let authenticate = self.up_to_authenticate();
        self.accept(Some(&authenticate)).0.unwrap_err()
    }

    pub(crate) fn contexts(&self) -> (CtxtHandle, CtxtHandle) {
        (self.initiator.unwrap(), self.acceptor.unwrap())
    }

    pub(crate) fn query_both(
        &self,
        attribute: ContextAttribute,
    ) -> [Result<ContextAttributeValue, Error>; 2] {
        let (ours, theirs) = self.contexts();
        let query = |context| {
            self.world
                .table
                .query_context_attributes(context, attribute)
        };
        [query(ours), query(theirs)]
    }

    /// The session keys of both sides.
    pub(crate) fn session_keys(&self) -> [Vec<u8>; 2] {
        self.query_both(ContextAttribute::SessionKey)
            .map(|value| match value.unwrap() {
                ContextAttributeValue::SessionKey(key) => key.expose().to_vec(),
                other => panic!("{other:?}"),
            })
    }
}

pub(crate) fn initiator_attributes(established: &Established) -> InitiatorAttributes {
    match established.attributes {
        EstablishedAttributes::Initiator(attributes) => attributes,
        EstablishedAttributes::Acceptor(_) => panic!("an acceptor's attributes"),
    }
}

pub(crate) fn acceptor_attributes(established: &Established) -> AcceptorAttributes {
    match established.attributes {
        EstablishedAttributes::Acceptor(attributes) => attributes,
        EstablishedAttributes::Initiator(_) => panic!("an initiator's attributes"),
    }
}

/// The error of a leg that has to fail, with its status.
pub(crate) fn failed(leg: Leg, status: SecurityStatus) -> Error {
    let error = leg.0.expect_err("must be refused");
    assert_eq!(error.status(), status, "{error}");
    error
}

/// The error below SSPI's, of the type that found it.
pub(crate) fn cause<E: core::error::Error + 'static>(error: &Error) -> &E {
    error
        .find_source::<E>()
        .unwrap_or_else(|| panic!("{error:?} has no {}", core::any::type_name::<E>()))
}
