//! A client, a service and a forged ticket between them, without any KDC; all calls go through the
//! function table.

use std::sync::Arc;
use std::time::Duration;

use trihound_asn1::{
    ApOptions, ApReq, Authenticator, AuthorizationDataElement, EncTicketPart, EncryptedData,
    EncryptionKey, KerberosTime, Message, Raw, Ticket, TicketFlags, TransitedEncoding, UInt32,
};
use trihound_crypto::{Enctype, EnctypePolicy, Key, KeyUsage};
use trihound_kerberos::{Kerberos, KerberosConfig, KerberosCredential};
use trihound_krb5::{
    Config, Credentials, Environment, KeyMaterial, Keytab, KeytabEntry, MemoryStore, Principal,
};
use trihound_sansio::{FixedClock, Timestamp};
use trihound_secret::SecretBytes;
use trihound_sspi::{
    AcceptRequest, AcceptorRequirements, CredHandle, CtxtHandle, Error, Established,
    EstablishedAttributes, HandshakeOutcome, InitializeRequest, InitiatorRequirements, InputDesc,
    RegisteredPackage, SecBuffer, SecBufferDesc, SecurityFunctionTable, SecurityStatus,
};

use crate::support::{Seeded, key, lax_policy};

pub(crate) const NOW: i64 = 1_900_000_000;
pub(crate) const REALM: &str = "EXAMPLE.TEST";
pub(crate) const TARGET: &str = "HTTP/localhost";
pub(crate) const ALICE: &str = "alice@EXAMPLE.TEST";
const KVNO: u32 = 3;

pub(crate) fn principal(text: &str) -> Principal {
    Principal::parse(text, Some(REALM)).unwrap()
}

/// A client, a service, and the table between them and their callers.
pub(crate) struct World {
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) environment: Environment,
    pub(crate) package: RegisteredPackage<Kerberos>,
    pub(crate) table: SecurityFunctionTable,
    pub(crate) enctype: Enctype,
    pub(crate) keytab: Arc<Keytab>,
    service_key: Key,
}

/// What a forged ticket says.
#[derive(Clone)]
pub(crate) struct TicketSpec {
    pub(crate) client: &'static str,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) flags: TicketFlags,
    pub(crate) kvno: u32,
    pub(crate) server: &'static str,
}

impl Default for TicketSpec {
    fn default() -> Self {
        Self {
            client: ALICE,
            start: NOW - 60,
            end: NOW + 3600,
            flags: TicketFlags::PRE_AUTHENT,
            kvno: KVNO,
            server: TARGET,
        }
    }
}

impl World {
    pub(crate) fn new(enctype: Enctype) -> Self {
        Self::with_policy(enctype, lax_policy())
    }

    pub(crate) fn with_policy(enctype: Enctype, policy: EnctypePolicy) -> Self {
        Self::with(enctype, policy, |_| {})
    }

    pub(crate) fn with(
        enctype: Enctype,
        policy: EnctypePolicy,
        change: impl FnOnce(&mut KerberosConfig),
    ) -> Self {
        let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(NOW)));
        let mut config = Config::default();
        config.default_realm = Some(REALM.to_owned());
        config.permitted_enctypes = policy;
        let environment =
            Environment::new(clock.clone(), Arc::new(Seeded::new(7)), Arc::new(config));
        let service_key = key(enctype);
        let mut keytab = Keytab::new();
        keytab.push(KeytabEntry::new(
            principal(TARGET),
            KVNO,
            Timestamp::from_seconds(NOW),
            KeyMaterial::new(enctype, SecretBytes::from(service_key.expose())),
        ));
        let store = Arc::new(MemoryStore::new());
        let mut config = KerberosConfig::new(environment.clone(), store);
        change(&mut config);
        let package = RegisteredPackage::new(Kerberos::new(config));
        let table = SecurityFunctionTable::builder()
            .package(&package)
            .build()
            .unwrap();
        Self {
            clock,
            environment,
            package,
            table,
            enctype,
            keytab: Arc::new(keytab),
            service_key,
        }
    }

    /// The session key of every forged ticket.
    pub(crate) fn session_key(&self) -> Key {
        let length = self.enctype.profile().unwrap().key_length;
        Key::new(self.enctype, &vec![0x5a; length], &lax_policy()).unwrap()
    }

    pub(crate) fn forge(&self, spec: &TicketSpec) -> Arc<Credentials> {
        self.forge_with(spec, |_| {})
    }

    pub(crate) fn forge_with(
        &self,
        spec: &TicketSpec,
        change: impl FnOnce(&mut EncTicketPart),
    ) -> Arc<Credentials> {
        let session = self.session_key();
        let (client, server) = (principal(spec.client), principal(spec.server));
        let mut part = EncTicketPart {
            flags: spec.flags,
            key: EncryptionKey::new(self.enctype.0, session.expose()),
            crealm: client.realm.clone(),
            cname: client.name.clone(),
            transited: TransitedEncoding {
                tr_type: 1,
                contents: Vec::new().into(),
            },
            authtime: KerberosTime::from_seconds(spec.start),
            starttime: None,
            endtime: KerberosTime::from_seconds(spec.end),
            renew_till: None,
            caddr: None,
            authorization_data: None,
        };
        change(&mut part);
        let cipher = self
            .service_key
            .encrypt(
                KeyUsage::KDC_REP_TICKET,
                &part.to_der().unwrap(),
                &*self.environment.random,
            )
            .unwrap();
        let ticket = Ticket {
            tkt_vno: 5,
            realm: server.realm.clone(),
            sname: server.name.clone(),
            enc_part: EncryptedData::new(self.enctype.0, Some(spec.kvno), cipher),
        };
        Arc::new(Credentials {
            client,
            server,
            session_key: KeyMaterial::new(self.enctype, SecretBytes::from(session.expose())),
            ticket: ticket.to_der().unwrap(),
            flags: spec.flags,
            authtime: Timestamp::from_seconds(spec.start),
            starttime: None,
            endtime: Timestamp::from_seconds(spec.end),
            renew_till: None,
            addresses: Vec::new(),
            authdata: Vec::new(),
            is_skey: false,
            second_ticket: Vec::new(),
        })
    }

    pub(crate) fn client(&self) -> CredHandle {
        self.client_with(self.forge(&TicketSpec::default()))
    }

    pub(crate) fn client_with(&self, ticket: Arc<Credentials>) -> CredHandle {
        self.package
            .adopt(KerberosCredential::from_ticket(ticket).unwrap())
            .unwrap()
    }

    pub(crate) fn service(&self) -> CredHandle {
        self.package
            .adopt(KerberosCredential::acceptor(self.keytab.clone(), None))
            .unwrap()
    }

    /// An AP-REQ of our own making: every field of the authenticator can be changed.
    pub(crate) fn ap_req(
        &self,
        options: ApOptions,
        change: impl FnOnce(&mut Authenticator),
    ) -> Vec<u8> {
        let credentials = self.forge(&TicketSpec::default());
        let now = self.environment.now(0);
        let mut authenticator = Authenticator {
            authenticator_vno: 5,
            crealm: credentials.client.realm.clone(),
            cname: credentials.client.name.clone(),
            cksum: Some(gss_checksum(&[0; 16], 0)),
            cusec: 5,
            ctime: KerberosTime::from_seconds(now.seconds()),
            subkey: None,
            seq_number: Some(UInt32::new(100)),
            authorization_data: None,
        };
        change(&mut authenticator);
        let session = self.session_key();
        let cipher = session
            .encrypt(
                KeyUsage::AP_REQ_AUTH,
                &authenticator.to_der().unwrap(),
                &*self.environment.random,
            )
            .unwrap();
        let sealed = EncryptedData::new(self.enctype.0, None, cipher);
        let ticket = Raw::from_der(credentials.ticket.as_slice()).unwrap();
        ApReq::new(options, ticket, sealed).to_der().unwrap()
    }
}

/// The checksum 0x8003 with these bindings and flags.
pub(crate) fn gss_checksum(bindings: &[u8; 16], flags: u32) -> trihound_asn1::Checksum {
    let mut bytes = 16_u32.to_le_bytes().to_vec();
    bytes.extend_from_slice(bindings);
    bytes.extend_from_slice(&flags.to_le_bytes());
    trihound_asn1::Checksum::new(0x8003, bytes)
}

/// Authorization data inside of AD-IF-RELEVANT.
pub(crate) fn if_relevant(ad_type: i32, data: Vec<u8>) -> Vec<AuthorizationDataElement> {
    let inner = vec![AuthorizationDataElement::new(ad_type, data)];
    vec![AuthorizationDataElement::new(1, inner.to_der().unwrap())]
}

/// What the two callers ask for.
#[derive(Clone, Default)]
pub(crate) struct Wishes {
    pub(crate) initiator: InitiatorRequirements,
    pub(crate) acceptor: AcceptorRequirements,
    pub(crate) initiator_bindings: Option<Vec<u8>>,
    pub(crate) acceptor_bindings: Option<Vec<u8>>,
}

impl Wishes {
    pub(crate) fn of(initiator: InitiatorRequirements) -> Self {
        Self {
            initiator,
            ..Self::default()
        }
    }

    /// Mutual authentication and every protection.
    pub(crate) fn full() -> Self {
        Self::of(
            InitiatorRequirements::MUTUAL_AUTH
                | InitiatorRequirements::REPLAY_DETECT
                | InitiatorRequirements::SEQUENCE_DETECT
                | InitiatorRequirements::CONFIDENTIALITY
                | InitiatorRequirements::INTEGRITY,
        )
    }

    pub(crate) fn dce() -> Self {
        let mut wishes = Self::full();
        wishes.initiator |= InitiatorRequirements::USE_DCE_STYLE;
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

impl<'w> Sides<'w> {
    pub(crate) fn new(world: &'w World, wishes: Wishes) -> Self {
        Self {
            world,
            wishes,
            client: world.client(),
            service: world.service(),
            initiator: None,
            acceptor: None,
        }
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
            target_name: Some(TARGET),
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

    /// SSPI's classic loop, until neither side has more to say; gives what each got.
    pub(crate) fn establish(&mut self) -> (Established, Established) {
        let mut token: Option<Vec<u8>> = None;
        let (mut ours, mut theirs) = (None, None);
        for _ in 0..3 {
            if ours.is_none() || token.is_some() {
                let (outcome, out) = self.initialize(token.as_deref());
                ours = outcome.unwrap().established().cloned();
                token = (!out.is_empty()).then_some(out);
            }
            if theirs.is_none() || token.is_some() {
                let (outcome, out) = self.accept(token.as_deref());
                theirs = outcome.unwrap().established().cloned();
                token = (!out.is_empty()).then_some(out);
            }
            if let (Some(ours), Some(theirs), None) = (&ours, &theirs, &token) {
                return (ours.clone(), theirs.clone());
            }
        }
        panic!("the handshake does not end");
    }

    pub(crate) fn contexts(&self) -> (CtxtHandle, CtxtHandle) {
        (self.initiator.unwrap(), self.acceptor.unwrap())
    }
}

pub(crate) fn initiator_attributes(
    established: &Established,
) -> trihound_sspi::InitiatorAttributes {
    match established.attributes {
        EstablishedAttributes::Initiator(attributes) => attributes,
        EstablishedAttributes::Acceptor(_) => panic!("an acceptor's attributes"),
    }
}

pub(crate) fn acceptor_attributes(established: &Established) -> trihound_sspi::AcceptorAttributes {
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

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
