//! Contexts that go to another process: with every package and every protection, under a key that both have.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

use proptest::prelude::*;
use trihound::krb5::{CredentialStore, MemoryStore};
use trihound::ntlm::{NtlmConfig, NtlmPolicy, NtlmRule};
use trihound::sansio::SystemClock;
use trihound::secret::{SecretArray, SecretBytes, SecretString};
use trihound::sspi::{
    AcceptorRequirements, AcquireRequest, ContextAttribute, ContextAttributeValue, ContextSealer,
    CredentialUse, Error as SspiError, ExportFlags, Function, Identity, InitiatorRequirements,
    RegisteredPackage, SecurityFunctionTable, SecurityStatus,
};
use trihound::{
    Acceptor, ContextKey, ContextKeys, Error, Initiator, NegotiatePolicy, Ntlm, OsRandom, Package,
    Packages, SealError, SecureStream, SecurityContext,
};
use trihound_test_realm::TestRealm;

use crate::packages::both;
use crate::programs::config;
use crate::support::{SERVICE, realm};

const PROTECTED: InitiatorRequirements = InitiatorRequirements::CONFIDENTIALITY
    .union(InitiatorRequirements::INTEGRITY)
    .union(InitiatorRequirements::REPLAY_DETECT)
    .union(InitiatorRequirements::SEQUENCE_DETECT);
const MUTUAL: InitiatorRequirements = PROTECTED.union(InitiatorRequirements::MUTUAL_AUTH);

fn shared_key() -> Arc<ContextKeys> {
    let key = ContextKey::new(&SecretArray::from([0x2a; ContextKey::LENGTH])).unwrap();
    Arc::new(ContextKeys::new(key))
}

/// A process that has neither keytab nor accounts, only the key of its fleet.
fn elsewhere() -> SecurityFunctionTable {
    let store: Arc<dyn CredentialStore> = Arc::new(MemoryStore::new());
    let config = Arc::new(config());
    let kerberos = trihound::kerberos(config, store, Arc::new(SystemClock), Arc::new(OsRandom));
    let policy = NtlmPolicy::both(NtlmRule::Allow);
    let ntlm = RegisteredPackage::new(Ntlm::new(NtlmConfig::default().with_policy(policy)));
    Packages::new(&kerberos, &ntlm, NegotiatePolicy::default())
        .unwrap()
        .with_context_sealer(shared_key())
        .table()
        .unwrap()
}

/// Both contexts of `package` with `mechanism`.
fn contexts(
    realm: &Arc<TestRealm>,
    (package, mechanism): (&str, &str),
    asked: InitiatorRequirements,
) -> (Packages, [SecurityContext; 2]) {
    let packages = both(realm).with_context_sealer(shared_key());
    let table = packages.table().unwrap();
    let password = SecretString::from("password");
    let identity = Identity::password("alice@EXAMPLE.TEST", None, password);
    let outbound = AcquireRequest {
        identity: Some(&identity),
        package_list: Some(mechanism),
        ..AcquireRequest::new(CredentialUse::OUTBOUND)
    };
    let acquire = |request| {
        let acquired = table.acquire_credentials_handle(package, request);
        acquired.unwrap().credential
    };
    let mut initiator = Initiator::new(&table, acquire(outbound), SERVICE, asked);
    let inbound = acquire(AcquireRequest::new(CredentialUse::INBOUND));
    let mut acceptor = Acceptor::new(&table, inbound, AcceptorRequirements::empty());
    let mut kdc = realm.transport();
    let mut to_client: Option<Vec<u8>> = None;
    loop {
        let leg = initiator.step(to_client.as_deref(), &mut kdc).unwrap();
        let Some(token) = leg.token else { break };
        to_client = acceptor.step(&token).unwrap().token;
        if leg.complete && to_client.is_none() {
            break;
        }
    }
    let ends = [
        initiator.into_context().unwrap(),
        acceptor.into_context().unwrap(),
    ];
    (packages, ends)
}

/// Every package, the mechanism in it, and what is asked for.
fn cases() -> Vec<((&'static str, &'static str), InitiatorRequirements)> {
    let dce = InitiatorRequirements::USE_DCE_STYLE;
    vec![
        (("Kerberos", "Kerberos"), MUTUAL),
        (("Kerberos", "Kerberos"), MUTUAL | dce),
        (("Kerberos", "Kerberos"), PROTECTED),
        (("NTLM", "NTLM"), PROTECTED),
        (("NTLM", "NTLM"), InitiatorRequirements::INTEGRITY),
        (("Negotiate", "Kerberos"), MUTUAL),
        (("Negotiate", "NTLM"), PROTECTED),
    ]
}

fn is_sealing(asked: InitiatorRequirements) -> bool {
    asked.contains(InitiatorRequirements::CONFIDENTIALITY)
}

/// Every protection, from one to the other.
fn says(from: &SecurityContext, to: &SecurityContext, sealing: bool) {
    if sealing {
        let opened = to.open(&from.encrypt(b"sealed").unwrap()).unwrap();
        assert!(opened.encrypted && opened.data == b"sealed");
        let (token, data) = from.protect(b"in parts", 0).unwrap();
        let whole = [token, data].concat();
        // In DCE style the parts are no stream; the stream's own shape is above.
        if let Ok(opened) = to.open(&whole) {
            assert_eq!(opened.data, b"in parts");
        }
    }
    let opened = to.open(&from.sign(b"signed").unwrap()).unwrap();
    assert!(!opened.encrypted && opened.data == b"signed");
    let signature = from.make_signature(b"beside").unwrap();
    to.verify_signature(b"beside", &signature).unwrap();
}

fn opens(context: &SecurityContext, message: &[u8]) {
    drop(context.open(message).unwrap());
}

fn answers(context: &SecurityContext) -> Vec<String> {
    ContextAttribute::ALL
        .iter()
        .map(|attribute| match context.query(*attribute) {
            Ok(ContextAttributeValue::SessionKey(key)) => format!("{:02x?}", key.expose()),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn contexts_of_every_package_go_on_in_another_process() {
    let realm = realm();
    for ((package, mechanism), asked) in cases() {
        let sealing = is_sealing(asked);
        let (_, [client, service]) = contexts(&realm, (package, mechanism), asked);
        let dce = asked.contains(InitiatorRequirements::USE_DCE_STYLE);
        if !dce {
            says(&client, &service, sealing);
            says(&service, &client, sealing);
        }
        let there = elsewhere();
        let before = answers(&service);
        let established = service.established().attributes;
        let sealed = service.export(ExportFlags::DELETE_OLD).unwrap();
        let gone = service.sign(b"x").unwrap_err();
        assert_eq!(gone.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
        let moved = SecurityContext::import(&there, package, &sealed).unwrap();
        assert_eq!(moved.mechanism().unwrap(), mechanism);
        assert_eq!(answers(&moved), before, "{package} with {mechanism}");
        assert_eq!(moved.established().attributes, established);
        if dce {
            let opened = moved.open(&client.encrypt(b"dce").unwrap()).unwrap();
            assert_eq!(opened.data, b"dce");
            continue;
        }
        says(&client, &moved, sealing);
        says(&moved, &client, sealing);
        // The client's side as well, to a third process.
        let third = elsewhere();
        let sealed = client.export(ExportFlags::DELETE_OLD).unwrap();
        let client = SecurityContext::import(&third, package, &sealed).unwrap();
        says(&client, &moved, sealing);
        says(&moved, &client, sealing);
    }
}

/// The recorded deviation: what has a key stream moves, whether it was asked to or not.
#[test]
fn the_old_context_lives_on_only_where_no_key_stream_would_be_used_twice() {
    let realm = realm();
    for ((package, mechanism), asked) in cases() {
        let (packages, [client, service]) = contexts(&realm, (package, mechanism), asked);
        let table = packages.table().unwrap();
        service.export(ExportFlags::empty()).unwrap();
        let after = service.sign(b"still here?");
        if mechanism == "NTLM" {
            let status = after.unwrap_err().status();
            assert_eq!(status, SecurityStatus::SEC_E_INVALID_HANDLE);
            table.delete_security_context(service.handle()).unwrap();
        } else {
            opens(&client, &after.unwrap());
        }
    }
}

#[test]
fn reset_new_is_for_what_has_no_key_stream() {
    let realm = realm();
    let there = elsewhere();
    for package in ["Kerberos", "Negotiate"] {
        let (_, [client, service]) = contexts(&realm, (package, "Kerberos"), MUTUAL);
        let first = client.encrypt(b"first").unwrap();
        opens(&service, &first);
        let replay = service.open(&first).unwrap_err();
        assert_eq!(replay.status(), SecurityStatus::SEC_E_OUT_OF_SEQUENCE);
        let sealed = service.export(ExportFlags::RESET_NEW).unwrap();
        let renewed = SecurityContext::import(&there, package, &sealed).unwrap();
        assert_eq!(renewed.open(&first).unwrap().data, b"first");
    }
    for package in ["NTLM", "Negotiate"] {
        let (_, [client, service]) = contexts(&realm, (package, "NTLM"), PROTECTED);
        // Nothing but a mechListMIC was protected yet.
        let sealed = client.export(ExportFlags::RESET_NEW).unwrap();
        let client = SecurityContext::import(&there, package, &sealed).unwrap();
        opens(&service, &client.encrypt(b"first").unwrap());
        for used in [&client, &service] {
            let refused = used.export(ExportFlags::RESET_NEW).unwrap_err();
            assert_eq!(refused.status(), SecurityStatus::SEC_E_CANNOT_PACK);
        }
        // They were left as they were.
        opens(&client, &service.encrypt(b"second").unwrap());
    }
}

/// Says no, as a hardware token that was pulled.
struct Pulled;

impl ContextSealer for Pulled {
    fn seal(&self, _: &str, _: &SecretBytes) -> Result<Vec<u8>, SspiError> {
        Err(SspiError::new(
            SecurityStatus::SEC_E_ENCRYPT_FAILURE,
            "pulled",
        ))
    }

    fn open(&self, _: &str, _: &[u8]) -> Result<SecretBytes, SspiError> {
        Err(SspiError::new(
            SecurityStatus::SEC_E_DECRYPT_FAILURE,
            "pulled",
        ))
    }
}

#[test]
fn a_sealer_that_fails_leaves_the_context_usable() {
    let realm = realm();
    for ((package, mechanism), asked) in cases() {
        let (packages, [client, service]) = contexts(&realm, (package, mechanism), asked);
        // The same contexts, behind a table whose sealer is broken.
        let broken = packages.with_context_sealer(Arc::new(Pulled));
        let broken = broken.table().unwrap();
        assert!(broken.supports(Function::ExportSecurityContext));
        for flags in [ExportFlags::empty(), ExportFlags::DELETE_OLD] {
            let refused = broken.export_security_context(service.handle(), flags);
            let status = refused.unwrap_err().status();
            assert_eq!(status, SecurityStatus::SEC_E_ENCRYPT_FAILURE);
        }
        opens(&service, &client.sign(b"usable").unwrap());
        opens(&client, &service.sign(b"both ways").unwrap());
        let refused = broken.import_security_context(package, b"x");
        let status = refused.unwrap_err().status();
        assert_eq!(status, SecurityStatus::SEC_E_DECRYPT_FAILURE);
    }
}

#[test]
fn a_context_of_another_package_process_or_message_is_refused() {
    let realm = realm();
    let (_, [client, _]) = contexts(&realm, ("Negotiate", "Kerberos"), MUTUAL);
    let sealed = client.export(ExportFlags::empty()).unwrap();
    let there = elsewhere();
    let refusal = |table: &SecurityFunctionTable, package: &str, sealed: &[u8]| {
        let error = table.import_security_context(package, sealed).unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_MESSAGE_ALTERED);
        error.find_source::<SealError>().unwrap().clone()
    };
    // What Negotiate made is not Kerberos', although Kerberos is in it.
    let other = refusal(&there, "Kerberos", &sealed);
    assert!(matches!(other, SealError::OtherPackage { .. }), "{other}");
    // A process without the key: the default is one of its own.
    let alone = both(&realm).table().unwrap();
    let other = refusal(&alone, "Negotiate", &sealed);
    assert!(matches!(other, SealError::OtherKey { .. }), "{other}");
    let mut altered = sealed.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(refusal(&there, "Negotiate", &altered), SealError::Altered);
    let nowhere = there.import_security_context("Schannel", &sealed);
    let status = nowhere.unwrap_err().status();
    assert_eq!(status, SecurityStatus::SEC_E_SECPKG_NOT_FOUND);
    assert!(SecurityContext::import(&there, "Negotiate", &sealed).is_ok());
}

/// A process whose Negotiate has no such mechanism, and one whose images are of another's making.
#[test]
fn a_negotiated_image_names_a_mechanism_that_is_here() {
    use trihound::sspi::image::{ImageError, ImageWriter};
    let there = elsewhere();
    let image = |package: &str, rest: bool| {
        let mut writer = ImageWriter::new(*b"THXS", 1);
        writer.text(package);
        writer.flag(false);
        writer.optional(None, ImageWriter::text);
        if rest {
            writer.bytes(b"");
        }
        writer.finish()
    };
    for (package, rest, status) in [
        ("Toys", true, SecurityStatus::SEC_E_SECPKG_NOT_FOUND),
        // Negotiate is none of its own mechanisms.
        ("Negotiate", true, SecurityStatus::SEC_E_SECPKG_NOT_FOUND),
        ("Kerberos", true, SecurityStatus::SEC_E_INVALID_TOKEN),
        ("Kerberos", false, SecurityStatus::SEC_E_INVALID_TOKEN),
    ] {
        let error = there.import_image("Negotiate", &image(package, rest));
        let error = error.unwrap_err();
        assert_eq!(error.status(), status, "{package}: {error}");
        let is_image = status == SecurityStatus::SEC_E_INVALID_TOKEN;
        assert_eq!(error.find_source::<ImageError>().is_some(), is_image);
    }
}

#[test]
fn an_image_of_negotiate_that_was_cut_or_altered_is_refused() {
    use trihound::sspi::image::ImageError;
    let realm = realm();
    for mechanism in ["Kerberos", "NTLM"] {
        let (packages, [_, service]) = contexts(&realm, ("Negotiate", mechanism), PROTECTED);
        let table = packages.table().unwrap();
        let image = table.export_image(service.handle(), ExportFlags::empty());
        let image = image.unwrap().bytes;
        let there = elsewhere();
        for length in 0..image.len() {
            let cut = SecretBytes::from(&image.expose()[..length]);
            let error = there.import_image("Negotiate", &cut).unwrap_err();
            assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
            let fault = error.find_source::<ImageError>().unwrap();
            assert!(matches!(fault, ImageError::Truncated { .. }), "{fault}");
        }
        for at in 0..image.len() {
            let mut altered = image.duplicate();
            altered.expose_mut()[at] ^= 0x80;
            if let Err(error) = there.import_image("Negotiate", &altered) {
                let known = [
                    SecurityStatus::SEC_E_INVALID_TOKEN,
                    SecurityStatus::SEC_E_SECPKG_NOT_FOUND,
                    SecurityStatus::SEC_E_ALGORITHM_MISMATCH,
                    SecurityStatus::SEC_E_SECURITY_QOS_FAILED,
                ];
                assert!(known.contains(&error.status()), "{at}: {error:?}");
            }
        }
    }
}

// ---- a conversation, with contexts moved at any point ----

/// What happens between the two.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// One of them says something of this kind; it arrives, or is lost.
    Says {
        client: bool,
        kind: u8,
        arrives: bool,
    },
    /// What was said last arrives once more.
    Replay,
    /// One of them goes to another process.
    Moves { client: bool },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (any::<bool>(), 0..3_u8, prop::bool::weighted(0.9))
            .prop_map(|(client, kind, arrives)| Event::Says { client, kind, arrives }),
        1 => Just(Event::Replay),
        3 => any::<bool>().prop_map(|client| Event::Moves { client }),
    ]
}

/// What became of an arrival: what was opened, or the status.
type Arrived = Result<Vec<u8>, SecurityStatus>;

struct Talk {
    package: &'static str,
    ends: [SecurityContext; 2],
    last: Option<(usize, u8, Vec<u8>, Vec<u8>)>,
    /// Whether contexts move where they are told to.
    moving: bool,
}

impl Talk {
    fn arrive(&self, to: usize, kind: u8, message: &[u8], beside: &[u8]) -> Arrived {
        let context = &self.ends[to];
        let opened = match kind {
            2 => context
                .verify_signature(message, beside)
                .map(|()| Vec::new()),
            _ => context.open(message).map(|opened| opened.data),
        };
        opened.map_err(|error| error.status())
    }

    fn happen(&mut self, event: Event, text: &[u8]) -> Option<Arrived> {
        match event {
            Event::Says {
                client,
                kind,
                arrives,
            } => {
                let (from, to) = if client { (0, 1) } else { (1, 0) };
                let context = &self.ends[from];
                let (message, beside) = match kind {
                    0 => (context.encrypt(text).unwrap(), Vec::new()),
                    1 => (context.sign(text).unwrap(), Vec::new()),
                    _ => (text.to_vec(), context.make_signature(text).unwrap()),
                };
                let arrived = arrives.then(|| self.arrive(to, kind, &message, &beside));
                self.last = Some((to, kind, message, beside));
                arrived
            }
            Event::Replay => {
                let (to, kind, message, beside) = self.last.clone()?;
                Some(self.arrive(to, kind, &message, &beside))
            }
            Event::Moves { client } if self.moving => {
                let end = &mut self.ends[usize::from(!client)];
                let sealed = end.export(ExportFlags::DELETE_OLD).unwrap();
                *end = SecurityContext::import(&elsewhere(), self.package, &sealed).unwrap();
                None
            }
            Event::Moves { .. } => None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Wherever the two ends are, each arrival ends as it would have without any export: what is new is opened,
    /// what is replayed, lost or late has the same status.
    #[test]
    fn moving_changes_nothing_that_is_said(
        events in prop::collection::vec(event(), 1..24),
        which in 0..5_usize,
    ) {
        let realm = realm();
        let sealing: Vec<_> = cases().into_iter().filter(|(_, asked)| {
            is_sealing(*asked) && !asked.contains(InitiatorRequirements::USE_DCE_STYLE)
        }).collect();
        let ((package, mechanism), asked) = sealing[which % sealing.len()];
        let talk = |moving| Talk {
            package,
            ends: contexts(&realm, (package, mechanism), asked).1,
            last: None,
            moving,
        };
        let (mut moved, mut stayed) = (talk(true), talk(false));
        for (number, event) in events.into_iter().enumerate() {
            let text = format!("message {number}").into_bytes();
            prop_assert_eq!(moved.happen(event, &text), stayed.happen(event, &text), "{:?}", event);
        }
    }
}

// ---- streams, and a process of its own ----

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn a_stream_is_exported_between_messages() {
    let realm = realm();
    let (_, [client, service]) = contexts(&realm, ("Kerberos", "Kerberos"), MUTUAL);
    let (near, far) = connection();
    let mut near = SecureStream::over(near, client).unwrap();
    let mut far = SecureStream::over(far, service).unwrap();
    assert_eq!(far.peer(), "alice@EXAMPLE.TEST");
    near.send(b"one message").unwrap();
    let mut some = [0; 3];
    far.read_exact(&mut some).unwrap();
    let refused = far.export().unwrap_err();
    let reason = "a message was read in part; read the rest first";
    assert!(matches!(refused, Error::NotExported { reason: r } if r == reason));
    assert_eq!(far.receive().unwrap().unwrap(), b" message");
    far.write_all(b"not flushed").unwrap();
    let refused = far.export().unwrap_err();
    let reason = "bytes were written and not sent; flush them first";
    assert!(matches!(refused, Error::NotExported { reason: r } if r == reason));
    far.flush().unwrap();
    assert_eq!(near.receive().unwrap().unwrap(), b"not flushed");
    let sealed = far.export().unwrap();
    let given_up = far.send(b"too late").unwrap_err();
    assert!(
        matches!(given_up, Error::StreamGivenUp { .. }),
        "{given_up}"
    );
    let (stream, _) = far.into_parts();
    let context = SecurityContext::import(&elsewhere(), "Kerberos", &sealed).unwrap();
    let mut far = SecureStream::over(stream, context).unwrap();
    near.send(b"after").unwrap();
    assert_eq!(far.receive().unwrap().unwrap(), b"after");
    near.close().unwrap();
    assert_eq!(far.receive().unwrap(), None);
    let refused = far.export().unwrap_err();
    assert!(matches!(refused, Error::NotExported { .. }), "{refused}");
    far.close().unwrap();
    assert_eq!(near.receive().unwrap(), None);
}

/// By which the child knows what it is.
const CHILD: &str = "TRIHOUND_TEST_IMPORTS";

/// Runs in a child process: its standard input is the connection; the sealed context is in a file.
#[test]
fn the_other_process() {
    let Some(package) = std::env::var_os(CHILD) else {
        return;
    };
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let package = package.into_string().unwrap();
        let stream = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
        let sealed = std::fs::read(std::env::var_os("TRIHOUND_TEST_SEALED").unwrap()).unwrap();
        let context = SecurityContext::import(&elsewhere(), &package, &sealed).unwrap();
        let mut stream = SecureStream::over(TcpStream::from(stream), context).unwrap();
        while let Some(message) = stream.receive().unwrap() {
            let answer = [format!("{} says ", stream.peer()).as_bytes(), &message].concat();
            stream.send(&answer).unwrap();
        }
        stream.close().unwrap();
    }
    #[cfg(not(unix))]
    drop(package);
}

#[cfg(unix)]
#[test]
fn a_real_child_process_goes_on_with_the_connection() {
    use std::os::fd::OwnedFd;
    let realm = realm();
    let scratch = crate::support::Directory::new();
    let packages = [
        (Package::Kerberos, "Kerberos", MUTUAL, "alice@EXAMPLE.TEST"),
        (Package::Ntlm, "NTLM", PROTECTED, "EXAMPLE.TEST\\alice"),
        (Package::Negotiate, "Kerberos", MUTUAL, "alice@EXAMPLE.TEST"),
        (Package::Negotiate, "NTLM", PROTECTED, "EXAMPLE.TEST\\alice"),
    ];
    for (package, mechanism, asked, client_name) in packages {
        let (_, [client, service]) = contexts(&realm, (package.name(), mechanism), asked);
        let (near, far) = connection();
        let mut near = SecureStream::over(near, client).unwrap();
        let mut far = SecureStream::over(far, service).unwrap();
        near.send(b"to the parent").unwrap();
        assert_eq!(far.receive().unwrap().unwrap(), b"to the parent");
        far.send(b"from the parent").unwrap();
        assert_eq!(near.receive().unwrap().unwrap(), b"from the parent");
        let path = scratch.0.join("sealed");
        std::fs::write(&path, far.export().unwrap()).unwrap();
        let (stream, _) = far.into_parts();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "export::the_other_process"])
            .env(CHILD, package.name())
            .env("TRIHOUND_TEST_SEALED", &path)
            .stdin(Stdio::from(OwnedFd::from(stream)))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        for text in ["one", "two"] {
            near.send(text.as_bytes()).unwrap();
            let answer = near.receive().unwrap().unwrap();
            let expected = format!("{client_name} says {text}");
            assert_eq!(String::from_utf8_lossy(&answer), expected);
        }
        near.close().unwrap();
        assert_eq!(near.receive().unwrap(), None);
        assert!(child.wait().unwrap().success());
    }
}
