use std::sync::Arc;

use trihound::krb5::{Config, MemoryStore, Principal};
use trihound::sansio::SystemClock;
use trihound::secret::SecretString;
use trihound::sspi::{
    AcceptorRequirements, BufferType, CredHandle, InitiatorRequirements, SECQOP_WRAP_NO_ENCRYPT,
    SecBuffer, SecBufferDesc, SecurityFunctionTable,
};
use trihound::{Acceptor, Initiator, KerberosCredential, SecurityContext};
use trihound_crypto::{Enctype, OsRandom};
use trihound_test_realm::TestRealm;
use trihound_test_support::allocations;

const REALM: &str = "EXAMPLE.TEST";
const SERVICE: &str = "HTTP/localhost";

const ENCTYPES: [Enctype; 4] = [
    Enctype::AES256_CTS_HMAC_SHA1_96,
    Enctype::AES128_CTS_HMAC_SHA1_96,
    Enctype::AES256_CTS_HMAC_SHA384_192,
    Enctype::AES128_CTS_HMAC_SHA256_128,
];

/// What the contexts are asked for beside every protection.
const STYLES: [InitiatorRequirements; 2] = [
    InitiatorRequirements::empty(),
    InitiatorRequirements::USE_DCE_STYLE,
];

/// Longer than any token: 16 of header, 16 of filler, 32 of confounder and header copy, 24 of MAC.
const TOKEN_ROOM: usize = 128;

fn side(credential: KerberosCredential) -> (SecurityFunctionTable, CredHandle) {
    let mut config = Config::default();
    config.default_realm = Some(REALM.to_owned());
    let package = trihound::kerberos(
        Arc::new(config),
        Arc::new(MemoryStore::new()),
        Arc::new(SystemClock),
        Arc::new(OsRandom),
    );
    let table = trihound::security_function_table(&package).unwrap();
    let handle = package.adopt(credential).unwrap();
    (table, handle)
}

fn pair(enctype: Enctype, style: InitiatorRequirements) -> (SecurityContext, SecurityContext) {
    let realm = TestRealm::builder(REALM)
        .principal("alice", "password")
        .service(SERVICE)
        .only_enctype(enctype)
        .build()
        .unwrap();
    let keytab = Arc::new(realm.keytab(&[SERVICE]).unwrap());
    let alice = Principal::parse("alice", Some(REALM)).unwrap();
    let password = SecretString::from("password");
    let client = side(KerberosCredential::from_password(alice, password));
    let service = side(KerberosCredential::acceptor(keytab, None));
    let asked = InitiatorRequirements::MUTUAL_AUTH
        | InitiatorRequirements::CONFIDENTIALITY
        | InitiatorRequirements::INTEGRITY
        | InitiatorRequirements::REPLAY_DETECT
        | InitiatorRequirements::SEQUENCE_DETECT
        | style;
    let mut initiator = Initiator::new(&client.0, client.1, SERVICE, asked);
    let mut acceptor = Acceptor::new(&service.0, service.1, AcceptorRequirements::empty());
    let mut kdc = realm.transport();
    let mut answer = None;
    loop {
        let leg = initiator.step(answer.as_deref(), &mut kdc).unwrap();
        let Some(token) = leg.token else { break };
        answer = acceptor.step(&token).unwrap().token;
        if leg.complete {
            break;
        }
    }
    (
        initiator.into_context().unwrap(),
        acceptor.into_context().unwrap(),
    )
}

/// Lets both sides of a context of every kind send to the other.
fn every_direction(exchange: impl Fn(&SecurityContext, &SecurityContext, &str)) {
    for enctype in ENCTYPES {
        for style in STYLES {
            let (client, service) = pair(enctype, style);
            exchange(
                &client,
                &service,
                &format!("{enctype} {style:?}, initiator"),
            );
            exchange(&service, &client, &format!("{enctype} {style:?}, acceptor"));
        }
    }
}

fn plain() -> ([u8; 1], [u8; 15], [u8; 16], [u8; 17]) {
    ([1; 1], [2; 15], [3; 16], [4; 17])
}

/// A message in four DATA buffers of 1, 15, 16 and 17 bytes, sealed or signed and opened in place.
fn four_buffers(quality: u32) {
    every_direction(|from, to, name| {
        // The first round too: nothing is left to be made at first use.
        for round in 0..3 {
            let mut token = [0; TOKEN_ROOM];
            let (mut a, mut b, mut c, mut d) = plain();
            let (sealing, length) = allocations(|| {
                let mut buffers = [
                    SecBuffer::token(&mut token),
                    SecBuffer::data(&mut a),
                    SecBuffer::data(&mut b),
                    SecBuffer::data(&mut c),
                    SecBuffer::data(&mut d),
                ];
                let mut message = SecBufferDesc::new(&mut buffers);
                from.context()
                    .encrypt_message(quality, &mut message, 0)
                    .unwrap();
                message.find(BufferType::TOKEN).unwrap().len()
            });
            assert_eq!(sealing, 0, "{name}, round {round}: EncryptMessage");
            let changed = (a, b, c, d) != plain();
            assert_eq!(changed, quality == 0, "{name}, round {round}");
            let (opening, found) = allocations(|| {
                let mut buffers = [
                    SecBuffer::token(&mut token[..length]),
                    SecBuffer::data(&mut a),
                    SecBuffer::data(&mut b),
                    SecBuffer::data(&mut c),
                    SecBuffer::data(&mut d),
                ];
                let mut message = SecBufferDesc::new(&mut buffers);
                to.context().decrypt_message(&mut message, 0).unwrap()
            });
            assert_eq!(opening, 0, "{name}, round {round}: DecryptMessage");
            assert_eq!(found, quality);
            assert_eq!((a, b, c, d), plain(), "{name}, round {round}");
        }
    });
}

#[test]
fn sealing_four_buffers_allocates_nothing() {
    four_buffers(0);
}

#[test]
fn signing_without_encryption_allocates_nothing() {
    four_buffers(SECQOP_WRAP_NO_ENCRYPT);
}

#[test]
fn signatures_allocate_nothing() {
    every_direction(|from, to, name| {
        for round in 0..3 {
            let mut token = [0; TOKEN_ROOM];
            let (a, b, c, d) = plain();
            let (signing, length) = allocations(|| {
                let mut buffers = [
                    SecBuffer::token(&mut token),
                    SecBuffer::data_input(&a),
                    SecBuffer::data_input(&b),
                    SecBuffer::data_input(&c),
                    SecBuffer::data_input(&d),
                ];
                let mut message = SecBufferDesc::new(&mut buffers);
                from.context().make_signature(0, &mut message, 0).unwrap();
                message.find(BufferType::TOKEN).unwrap().len()
            });
            assert_eq!(signing, 0, "{name}, round {round}: MakeSignature");
            let (verifying, ()) = allocations(|| {
                let mut buffers = [
                    SecBuffer::token_input(&token[..length]),
                    SecBuffer::data_input(&a),
                    SecBuffer::data_input(&b),
                    SecBuffer::data_input(&c),
                    SecBuffer::data_input(&d),
                ];
                let mut message = SecBufferDesc::new(&mut buffers);
                to.context().verify_signature(&mut message, 0).unwrap();
            });
            assert_eq!(verifying, 0, "{name}, round {round}: VerifySignature");
        }
    });
}

/// A message in one piece is opened where it lies.
#[test]
fn opening_a_stream_allocates_nothing() {
    every_direction(|from, to, name| {
        let mut message = from.encrypt(&[5; 49]).unwrap();
        let (opening, ()) = allocations(|| {
            let mut buffers = [
                SecBuffer::stream(&mut message),
                SecBuffer::empty(BufferType::DATA),
            ];
            to.context()
                .decrypt_message(&mut SecBufferDesc::new(&mut buffers), 0)
                .unwrap();
            assert_eq!(buffers[1].bytes(), [5; 49]);
        });
        assert_eq!(opening, 0, "{name}");
    });
}
