//! The two sides, each with its own packages, and the way between them.

use std::sync::Arc;

use trihound::krb5::{Config, MemoryStore};
use trihound::negotiate::{NegotiateCredential, NegotiatePolicy, RawTokens};
use trihound::ntlm::{
    LocalVerifier, MemoryAccounts, Ntlm, NtlmConfig, NtlmCredential, NtlmPolicy, NtlmRule,
    ServerNames,
};
use trihound::sansio::{Reply, SystemClock, Transport};
use trihound::secret::SecretString;
use trihound::sspi::{
    AcceptRequest, AcceptorRequirements, BufferType, ChannelBindings, ContextAttribute,
    ContextAttributeValue, CredHandle, CtxtHandle, Error, Established, HandshakeOutcome,
    InitializeRequest, InitiatorRequirements, InputDesc, RegisteredPackage, SecBuffer,
    SecBufferDesc, SecurityFunctionTable, SecurityStatus, Step,
};
use trihound::{KerberosCredential, Packages};
use trihound_crypto::OsRandom;
use trihound_test_realm::TestRealm;

use super::{Attack, By};
use crate::support::{REALM, SERVICE, alice, keytab, realm};

const DOMAIN: &str = "EXAMPLE";
const PASSWORD: &str = "password";

/// The packages of one host.
pub(super) struct Host {
    pub(super) table: SecurityFunctionTable,
    packages: Packages,
}

impl Host {
    fn new(ntlm: NtlmConfig) -> Self {
        let mut config = Config::default();
        config.default_realm = Some(REALM.to_owned());
        let kerberos = trihound::kerberos(
            Arc::new(config),
            Arc::new(MemoryStore::new()),
            Arc::new(SystemClock),
            Arc::new(OsRandom),
        );
        let ntlm = RegisteredPackage::new(Ntlm::new(ntlm));
        let packages = Packages::new(&kerberos, &ntlm, NegotiatePolicy::default()).unwrap();
        Self {
            table: packages.table().unwrap(),
            packages,
        }
    }

    /// A credential of what one side speaks.
    fn adopt(
        &self,
        speaks: Speaks,
        kerberos: KerberosCredential,
        ntlm: NtlmCredential,
    ) -> CredHandle {
        let kerberos = || self.packages.kerberos().adopt(kerberos).unwrap();
        let ntlm = || self.packages.ntlm().adopt(ntlm).unwrap();
        let parts = match speaks {
            Speaks::Kerberos => return kerberos(),
            Speaks::Ntlm => return ntlm(),
            Speaks::Negotiate | Speaks::NegotiateStrict => {
                vec![("Kerberos", kerberos()), ("NTLM", ntlm())]
            }
            Speaks::NegotiateNtlm => vec![("NTLM", ntlm())],
            Speaks::NegotiateKerberos => vec![("Kerberos", kerberos())],
            Speaks::NegotiateNtlmFirst => vec![("NTLM", ntlm()), ("Kerberos", kerberos())],
        };
        let raw_tokens = match speaks {
            Speaks::NegotiateStrict => RawTokens::Refuse,
            _ => RawTokens::Accept,
        };
        let negotiate = self.packages.negotiate();
        let credential =
            NegotiateCredential::from_handles(negotiate.package().mechanisms(), &parts)
                .unwrap()
                .with_policy(NegotiatePolicy::default().with_raw_tokens(raw_tokens));
        negotiate.adopt(credential).unwrap()
    }
}

/// A client and a service, and the realm's KDC.
pub(super) struct World {
    pub(super) realm: Arc<TestRealm>,
    pub(super) client: Host,
    pub(super) service: Host,
    verifier: Arc<LocalVerifier<MemoryAccounts>>,
}

/// Who speaks on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Kerberos,
    Ntlm,
    /// Negotiate with Kerberos and NTLM.
    Negotiate,
    /// Negotiate with NTLM alone.
    NegotiateNtlm,
    /// Negotiate with Kerberos alone.
    NegotiateKerberos,
    /// Negotiate with NTLM and Kerberos, in this order.
    NegotiateNtlmFirst,
    /// Negotiate with Kerberos and NTLM, and no raw tokens.
    NegotiateStrict,
}

fn password() -> SecretString {
    SecretString::from(PASSWORD)
}

impl World {
    pub(super) fn new() -> Self {
        let clock = Arc::new(SystemClock);
        let policy = NtlmPolicy::both(NtlmRule::Allow);
        let accounts = MemoryAccounts::new()
            .with_password(DOMAIN, "alice", password())
            .with_password(DOMAIN, "bob", password());
        let client = NtlmConfig::new(clock.clone(), Arc::new(OsRandom)).with_policy(policy.clone());
        let service = NtlmConfig::new(clock, Arc::new(OsRandom))
            .with_policy(policy)
            .with_target_names([SERVICE])
            .with_server_names(
                ServerNames::of_host("web.example.test")
                    .in_domain(DOMAIN, Some("example.test".to_owned())),
            );
        Self {
            realm: realm(),
            client: Host::new(client),
            service: Host::new(service),
            verifier: Arc::new(LocalVerifier::new(accounts)),
        }
    }

    fn initiator(&self, speaks: Speaks) -> CredHandle {
        let kerberos = KerberosCredential::from_password(alice(), password());
        let ntlm = NtlmCredential::from_password("alice", DOMAIN, password());
        self.client.adopt(speaks, kerberos, ntlm)
    }

    fn acceptor(&self, speaks: Speaks) -> CredHandle {
        let kerberos = KerberosCredential::acceptor(keytab(&self.realm), None);
        let ntlm = NtlmCredential::acceptor(self.verifier.clone());
        self.service.adopt(speaks, kerberos, ntlm)
    }

    /// Both sides with every protection.
    pub(super) fn scene(&self, initiator: Speaks, acceptor: Speaks) -> Scene<'_> {
        Scene {
            world: self,
            client: self.initiator(initiator),
            service: self.acceptor(acceptor),
            target: SERVICE,
            wishes: InitiatorRequirements::REPLAY_DETECT
                | InitiatorRequirements::SEQUENCE_DETECT
                | InitiatorRequirements::CONFIDENTIALITY
                | InitiatorRequirements::INTEGRITY
                | InitiatorRequirements::MUTUAL_AUTH,
            bindings: [None, None],
        }
    }
}

/// What the two sides want.
pub(super) struct Scene<'w> {
    pub(super) world: &'w World,
    pub(super) client: CredHandle,
    pub(super) service: CredHandle,
    pub(super) target: &'static str,
    pub(super) wishes: InitiatorRequirements,
    /// Application data of the channel bindings: the initiator's, the acceptor's.
    pub(super) bindings: [Option<&'static [u8]>; 2],
}

/// How a conversation ended.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) refused: Option<(By, Error)>,
    initiator: Option<CtxtHandle>,
    acceptor: Option<CtxtHandle>,
    initiator_has: Option<Established>,
    acceptor_has: Option<Established>,
    /// The messages as they were sent, before the attack.
    pub(super) wire: Vec<Vec<u8>>,
}

impl Ended {
    pub(super) fn established(&self, by: By) -> Option<&Established> {
        match by {
            By::Initiator => self.initiator_has.as_ref(),
            By::Acceptor => self.acceptor_has.as_ref(),
        }
    }

    pub(super) fn context(&self, by: By) -> Option<CtxtHandle> {
        match by {
            By::Initiator => self.initiator,
            By::Acceptor => self.acceptor,
        }
    }

    pub(super) fn is_both(&self) -> bool {
        self.initiator_has.is_some() && self.acceptor_has.is_some()
    }

    pub(super) fn describe(&self) -> String {
        let has = |has: bool| {
            if has {
                "established"
            } else {
                "not established"
            }
        };
        let sides = format!(
            "initiator {}, acceptor {}, {} messages",
            has(self.initiator_has.is_some()),
            has(self.acceptor_has.is_some()),
            self.wire.len()
        );
        match &self.refused {
            Some((by, error)) => format!("found {by:?} {} {error:?} ({sides})", error.status()),
            None => format!("found {sides}"),
        }
    }
}

fn marshalled(bindings: Option<&[u8]>) -> Option<Vec<u8>> {
    bindings.map(|data| ChannelBindings::application_data(data).to_buffer().unwrap())
}

fn input<'a>(token: Option<&'a [u8]>, bindings: Option<&'a [u8]>) -> Vec<SecBuffer<'a>> {
    let mut buffers: Vec<SecBuffer<'a>> = token.map(SecBuffer::token_input).into_iter().collect();
    buffers.extend(bindings.map(SecBuffer::channel_bindings));
    buffers
}

impl Scene<'_> {
    pub(super) fn table(&self, by: By) -> &SecurityFunctionTable {
        match by {
            By::Initiator => &self.world.client.table,
            By::Acceptor => &self.world.service.table,
        }
    }

    /// One call of one side, with the KDC's round trips.
    fn call(&self, by: By, ended: &mut Ended, token: Option<&[u8]>) -> Result<Vec<u8>, Error> {
        let table = self.table(by);
        let bindings = marshalled(self.bindings[usize::from(by == By::Acceptor)]);
        let input = input(token, bindings.as_deref());
        let input = (!input.is_empty()).then(|| InputDesc::new(&input));
        let mut output = [SecBuffer::allocate(BufferType::TOKEN)];
        let mut outcome = match by {
            By::Initiator => table.initialize_security_context(
                Some(self.client),
                ended.initiator,
                InitializeRequest {
                    target_name: Some(self.target),
                    requirements: self.wishes,
                    input,
                    ..InitializeRequest::default()
                },
                &mut SecBufferDesc::new(&mut output),
            )?,
            By::Acceptor => table.accept_security_context(
                Some(self.service),
                ended.acceptor,
                AcceptRequest {
                    requirements: AcceptorRequirements::empty(),
                    input,
                },
                &mut SecBufferDesc::new(&mut output),
            )?,
        };
        loop {
            let HandshakeOutcome { context, step } = outcome;
            let (handle, has) = match by {
                By::Initiator => (&mut ended.initiator, &mut ended.initiator_has),
                By::Acceptor => (&mut ended.acceptor, &mut ended.acceptor_has),
            };
            *handle = Some(context);
            let request = match step {
                Step::Complete(established) => {
                    *has = Some(established);
                    return Ok(output[0].bytes().to_vec());
                }
                Step::ExchangeNeeded(request) => request,
                _ => return Ok(output[0].bytes().to_vec()),
            };
            let reply = self.world.realm.transport().round_trip(&request);
            let reply = match &reply {
                Ok(bytes) => Reply::Bytes(bytes),
                Err(failure) => Reply::Failed(failure),
            };
            output = [SecBuffer::allocate(BufferType::TOKEN)];
            outcome =
                table.complete_exchange(context, reply, &mut SecBufferDesc::new(&mut output))?;
        }
    }

    /// A handshake, with somebody between.
    pub(super) fn converse(&self, attack: &Attack) -> Ended {
        let mut ended = Ended::default();
        let (mut by, mut tokens) = (By::Initiator, vec![None]);
        loop {
            let mut answer = Vec::new();
            for token in &tokens {
                match self.call(by, &mut ended, token.as_deref()) {
                    Ok(said) => answer = said,
                    Err(error) => {
                        ended.refused = Some((by, error));
                        return ended;
                    }
                }
            }
            if answer.is_empty() {
                return ended;
            }
            ended.wire.push(answer.clone());
            tokens = attack(ended.wire.len() - 1, answer)
                .into_iter()
                .map(Some)
                .collect();
            by = match by {
                By::Initiator => By::Acceptor,
                By::Acceptor => By::Initiator,
            };
            if tokens.is_empty() {
                return ended;
            }
        }
    }

    /// What a side that refused still has and must not have.
    pub(super) fn leftover(&self, by: By, ended: &Ended) -> Option<String> {
        let context = ended.context(by)?;
        if ended.established(by).is_some() {
            // A surplus token, or one that comes twice, takes nothing from a context that is established.
            return None;
        }
        let names = self
            .table(by)
            .query_context_attributes(context, ContextAttribute::SessionKey);
        match names {
            Err(error) if error.status() == SecurityStatus::SEC_E_INVALID_HANDLE => None,
            other => Some(format!("{by:?} refused and its context answers {other:?}")),
        }
    }

    fn query(&self, by: By, ended: &Ended, attribute: ContextAttribute) -> ContextAttributeValue {
        let context = ended.context(by).unwrap();
        self.table(by)
            .query_context_attributes(context, attribute)
            .unwrap()
    }

    fn key(&self, by: By, ended: &Ended) -> Vec<u8> {
        match self.query(by, ended, ContextAttribute::SessionKey) {
            ContextAttributeValue::SessionKey(key) => key.expose().to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// Whether NTLM is what was established.
    pub(super) fn is_ntlm(&self, ended: &Ended) -> bool {
        match self.query(By::Initiator, ended, ContextAttribute::NegotiationInfo) {
            ContextAttributeValue::NegotiationInfo(info) => info.package.name == "NTLM",
            other => panic!("{other:?}"),
        }
    }

    /// What of the two contexts is not as it would be without an attack.
    pub(super) fn differs(&self, ended: &Ended, honest: &Ended) -> Option<String> {
        if !ended.is_both() {
            return Some(format!("not both are established, {}", ended.describe()));
        }
        for by in [By::Initiator, By::Acceptor] {
            let has = |ended: &Ended| {
                let established = ended.established(by).unwrap();
                let package = match self.query(by, ended, ContextAttribute::PackageInfo) {
                    ContextAttributeValue::PackageInfo(info) => info.name.into_owned(),
                    other => panic!("{other:?}"),
                };
                let chosen = match self.query(by, ended, ContextAttribute::NegotiationInfo) {
                    ContextAttributeValue::NegotiationInfo(info) => format!("{info:?}"),
                    other => panic!("{other:?}"),
                };
                let name = match self.query(by, ended, ContextAttribute::Names) {
                    ContextAttributeValue::Names(name) => name,
                    other => panic!("{other:?}"),
                };
                (established.attributes, package, chosen, name)
            };
            if has(ended) != has(honest) {
                return Some(format!("{:?} and not {:?}", has(ended), has(honest)));
            }
        }
        if self.key(By::Initiator, ended) != self.key(By::Acceptor, ended) {
            return Some("the two keys differ".to_owned());
        }
        self.wishes
            .contains(InitiatorRequirements::CONFIDENTIALITY)
            .then(|| self.exchange(ended))?
    }

    /// A sealed message each way.
    fn exchange(&self, ended: &Ended) -> Option<String> {
        for (from, to) in [(By::Initiator, By::Acceptor), (By::Acceptor, By::Initiator)] {
            let mut token = vec![0; 256];
            let mut data = *b"attack at dawn";
            let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
            let mut message = SecBufferDesc::new(&mut buffers);
            let sealed = self
                .table(from)
                .encrypt_message(ended.context(from)?, 0, &mut message, 0);
            let length = buffers[0].len();
            token.truncate(length);
            if let Err(error) = sealed {
                return Some(format!("{from:?} cannot seal: {error}"));
            }
            let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
            let mut message = SecBufferDesc::new(&mut buffers);
            let opened = self
                .table(to)
                .decrypt_message(ended.context(to)?, &mut message, 0);
            if let Err(error) = opened {
                return Some(format!("{to:?} cannot open: {error}"));
            }
            if &data != b"attack at dawn" {
                return Some("another message came out".to_owned());
            }
        }
        None
    }
}
