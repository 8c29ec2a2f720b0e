//! A realm, a client and a service in memory: fixed clock, seeded randomness, keys that are known.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use trihound_asn1::{ApReq, EncryptedData, Message, Ticket};
use trihound_crypto::{Enctype, EnctypePolicy, Key, KeyUsage, danger};
use trihound_kerberos::danger::NoReplayCache;
use trihound_kerberos::{Kerberos, KerberosConfig, KerberosCredential};
use trihound_krb5::{
    AsExchange, AsRequest, ClientSecret, Config, Credentials, Environment, Keytab, MemoryStore,
    Principal, TgsExchange, TgsRequest,
};
use trihound_sansio::{FixedClock, RandomFailure, RandomSource, Timestamp, drive};
use trihound_secret::SecretString;
use trihound_sspi::{CredHandle, RegisteredPackage, SecurityFunctionTable};
use trihound_test_realm::{PrincipalOptions, TestRealm};

use crate::input::Input;
use crate::mutate::mutate;

/// The time of every world, in seconds since 1970.
pub const NOW: i64 = 1_900_000_000;
/// The realm of every world.
pub const REALM: &str = "EXAMPLE.TEST";
/// The client.
pub const CLIENT: &str = "alice";
/// The client's password.
pub const PASSWORD: &str = "password";
/// The service.
pub const SERVICE: &str = "HTTP/localhost";
/// Iterations of the client's string-to-key: cheap, and not to be had outside of tests.
const ITERATIONS: u32 = 4;

/// Randomness that begins anew with every input (splitmix64).
#[derive(Debug, Default)]
pub struct Seeded(AtomicU64);

impl Seeded {
    /// Begins anew.
    pub fn reset(&self) {
        self.0.store(0x5eed, Ordering::Relaxed);
    }
}

impl RandomSource for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailure> {
        for chunk in bytes.chunks_mut(8) {
            let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let mixed = (mixed ^ (mixed >> 31)).to_le_bytes();
            chunk
                .iter_mut()
                .zip(mixed)
                .for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

/// The enctypes that a world may be of.
pub const ENCTYPES: [Enctype; 5] = [
    Enctype::AES256_CTS_HMAC_SHA1_96,
    Enctype::AES128_CTS_HMAC_SHA256_128,
    Enctype::RC4_HMAC,
    Enctype::AES256_CTS_HMAC_SHA384_192,
    Enctype::AES128_CTS_HMAC_SHA1_96,
];

/// Everything permitted, the weak enctype and the low counts too.
#[must_use]
pub fn lax_policy() -> EnctypePolicy {
    let policy = danger::permit_weak_enctypes(EnctypePolicy::default(), &[Enctype::RC4_HMAC]);
    danger::permit_weak_iteration_counts(policy)
}

/// One realm with what belongs to it.
pub struct World {
    /// Enctype of every key.
    pub enctype: Enctype,
    /// Randomness of client, service and KDC.
    pub random: Arc<Seeded>,
    /// The embedded KDC.
    pub realm: Arc<TestRealm>,
    /// For the exchanges.
    pub environment: Environment,
    /// Keys of client, service and the ticket-granting service.
    pub keytab: Arc<Keytab>,
    /// The client's ticket-granting ticket.
    pub tgt: Arc<Credentials>,
    /// The client's ticket for the service.
    pub ticket: Arc<Credentials>,
    /// SSPI over Kerberos, without a memory for replays: what is sent once is tried many times.
    pub table: SecurityFunctionTable,
    /// The client's credential.
    pub initiator: CredHandle,
    /// The service's credential.
    pub acceptor: CredHandle,
}

/// A principal of the realm.
#[must_use]
pub fn principal(text: &str) -> Principal {
    Principal::parse(text, Some(REALM)).expect("a name of ours")
}

thread_local! {
    static WORLDS: RefCell<Vec<Rc<World>>> = const { RefCell::new(Vec::new()) };
}

impl World {
    /// The world of this enctype, with its randomness begun anew; made once.
    #[must_use]
    pub fn of(enctype: Enctype) -> Rc<Self> {
        let world = WORLDS.with_borrow_mut(|worlds| {
            if let Some(world) = worlds.iter().find(|world| world.enctype == enctype) {
                return Rc::clone(world);
            }
            let world = Rc::new(Self::new(enctype));
            worlds.push(Rc::clone(&world));
            world
        });
        world.random.reset();
        world
    }

    /// The world that `input` chooses.
    #[must_use]
    pub fn chosen(input: &mut Input<'_>) -> Rc<Self> {
        Self::of(ENCTYPES[usize::from(input.byte()) % ENCTYPES.len()])
    }

    fn new(enctype: Enctype) -> Self {
        let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(NOW)));
        let random = Arc::new(Seeded::default());
        let user = PrincipalOptions::default().iterations(ITERATIONS);
        let user = if enctype == Enctype::RC4_HMAC {
            PrincipalOptions::default()
        } else {
            user
        };
        let policy = danger::only_with_weak(&[enctype]).expect("a known enctype");
        let realm = TestRealm::builder(REALM)
            .enctypes(danger::permit_weak_iteration_counts(policy))
            .principal_with(CLIENT, PASSWORD, user)
            .service(SERVICE)
            .trust("OTHER.TEST", "between")
            .clock(clock.clone())
            .random(random.clone())
            .build()
            .expect("a realm");
        let mut config = Config::default();
        config.default_realm = Some(REALM.to_owned());
        config.permitted_enctypes = lax_policy();
        let environment = Environment::new(clock, random.clone(), Arc::new(config));
        let names = [CLIENT, SERVICE, "krbtgt/EXAMPLE.TEST"];
        let keytab = Arc::new(realm.keytab(&names).expect("keys"));
        let secret = ClientSecret::Password(SecretString::from(PASSWORD));
        let request = AsRequest::new(principal(CLIENT), secret);
        let exchange = AsExchange::begin(request, &environment).expect("a request");
        let outcome = drive(exchange, realm.transport()).expect("a ticket-granting ticket");
        let tgt = Arc::new(outcome.credentials);
        let request = TgsRequest::new(Arc::clone(&tgt), principal(SERVICE));
        let exchange = TgsExchange::begin(request, &environment).expect("a request");
        let outcome = drive(exchange, realm.transport()).expect("a service ticket");
        let ticket = Arc::new(outcome.credentials);
        let mut config = KerberosConfig::new(environment.clone(), Arc::new(MemoryStore::new()));
        config.replay_cache = Arc::new(NoReplayCache);
        let package = RegisteredPackage::new(Kerberos::new(config));
        let credential =
            KerberosCredential::from_ticket(Arc::clone(&ticket)).expect("a store in memory");
        let initiator = package.adopt(credential).expect("room");
        let service = KerberosCredential::acceptor(Arc::clone(&keytab), Some(principal(SERVICE)));
        let acceptor = package.adopt(service).expect("room");
        let table = SecurityFunctionTable::builder()
            .package(&package)
            .build()
            .expect("a table");
        Self {
            enctype,
            random,
            realm,
            environment,
            keytab,
            tgt,
            ticket,
            table,
            initiator,
            acceptor,
        }
    }

    /// The long-term key of a principal.
    #[must_use]
    pub fn key_of(&self, name: &str) -> Arc<Key> {
        let name = principal(name);
        let entry = self
            .keytab
            .of_principal(&name)
            .find(|entry| entry.key.enctype() == self.enctype)
            .expect("a key of each principal");
        entry
            .key
            .key(&lax_policy())
            .expect("a key that is permitted")
    }

    /// Decrypts, edits as `input` says, and encrypts again; gives the plaintext too.
    pub fn reseal(
        &self,
        data: &EncryptedData,
        key: &Key,
        usage: KeyUsage,
        input: &mut Input<'_>,
    ) -> Option<(EncryptedData, Vec<u8>)> {
        let plain = key.decrypt(usage, &data.cipher).ok()?;
        let changed = mutate(plain.expose(), input);
        let cipher = key.encrypt(usage, &changed, &*self.random).ok()?;
        let sealed = EncryptedData {
            cipher: cipher.into(),
            ..data.clone()
        };
        Some((sealed, changed))
    }

    /// The same with the authenticator of an AP-REQ, and with its ticket under `server_key`.
    ///
    /// The value is the AP-REQ, and whether anything within it differs from before.
    pub fn reseal_ap_req(
        &self,
        der: &[u8],
        server_key: &Key,
        session_key: &Key,
        usage: KeyUsage,
        input: &mut Input<'_>,
    ) -> Option<Vec<u8>> {
        let mut request = ApReq::from_der(der).ok()?;
        let mut ticket: Ticket = request.ticket.decode().ok()?;
        let sealed = self.reseal(
            &ticket.enc_part,
            server_key,
            KeyUsage::KDC_REP_TICKET,
            input,
        )?;
        ticket.enc_part = sealed.0;
        request.ticket = trihound_asn1::Raw::new(&ticket).ok()?;
        request.authenticator = self
            .reseal(&request.authenticator, session_key, usage, input)?
            .0;
        request.to_der().ok()
    }
}

/// Whether `part` stands anywhere in `whole`.
#[must_use]
pub fn contains(whole: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && whole.windows(part.len()).any(|window| window == part)
}
