//! Images of exported contexts: a real one with edits, or bytes of nobody's making, into each package. What is
//! taken answers every question and every message, and its own image is taken again.

use std::cell::RefCell;
use std::sync::Arc;

use trihound_crypto::Enctype;
use trihound_crypto::ntlm::NtHash;
use trihound_negotiate::{Negotiate, NegotiateConfig};
use trihound_ntlm::{
    LocalVerifier, MemoryAccounts, Ntlm, NtlmConfig, NtlmCredential, NtlmPolicy, NtlmRule,
};
use trihound_sansio::{FixedClock, RandomFailure, RandomSource, Timestamp};
use trihound_secret::SecretBytes;
use trihound_sspi::image::ImageWriter;
use trihound_sspi::{
    AcceptRequest, ContextAttribute, CredHandle, CtxtHandle, ExportFlags, InitializeRequest,
    InitiatorRequirements, InputDesc, RegisteredPackage, SecBuffer, SecBufferDesc,
    SecurityFunctionTable, SecurityStatus,
};

use crate::input::Input;
use crate::mutate::mutate;
use crate::world::{NOW, SERVICE, World};

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

/// Tables to import into, and the images of real contexts.
struct Stage {
    /// Negotiate over the two others, and each of them by itself.
    table: SecurityFunctionTable,
    /// A package's name and the image of a context of its.
    images: Vec<(&'static str, Vec<u8>)>,
}

fn stage(enctype: Enctype) -> Stage {
    let world = World::of(enctype);
    let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(NOW)));
    let config =
        NtlmConfig::new(clock, Arc::new(Counting)).with_policy(NtlmPolicy::both(NtlmRule::Allow));
    let ntlm = RegisteredPackage::new(Ntlm::new(config));
    let hash = || NtHash::from_bytes([0x11; 16]);
    let accounts = MemoryAccounts::new().with_nt_hash("EXAMPLE", "alice", hash());
    let client = NtlmCredential::from_nt_hash("alice", "EXAMPLE", hash());
    let service = NtlmCredential::acceptor(Arc::new(LocalVerifier::new(accounts)));
    let adopt = |credential| ntlm.adopt(credential).expect("a handle");
    let (client, service) = (adopt(client), adopt(service));
    let mechanisms = world.table.clone();
    mechanisms.add_security_package(&ntlm).ok();
    let negotiate = Negotiate::new(NegotiateConfig::new(mechanisms.clone()));
    let negotiate = RegisteredPackage::new(negotiate);
    let table = SecurityFunctionTable::builder()
        .package(&negotiate)
        .build()
        .expect("a table");
    let mut images = Vec::new();
    for (package, client, service) in [
        ("Kerberos", world.initiator, world.acceptor),
        ("NTLM", client, service),
    ] {
        for context in contexts(&mechanisms, client, service) {
            let image = mechanisms.export_image(context, ExportFlags::empty());
            let image = image.expect("an image").bytes;
            images.push(("Negotiate", negotiated(package, image.expose())));
        }
    }
    Stage { table, images }
}

/// An image of Negotiate around a mechanism's.
fn negotiated(package: &str, image: &[u8]) -> Vec<u8> {
    let mut writer = ImageWriter::new(*b"THXS", 1);
    writer.text(package);
    writer.flag(false);
    writer.optional(Some(SERVICE), ImageWriter::text);
    writer.bytes(image);
    writer.finish().expose().to_vec()
}

/// Both ends of a handshake in one table.
fn contexts(
    table: &SecurityFunctionTable,
    client: CredHandle,
    service: CredHandle,
) -> [CtxtHandle; 2] {
    let (mut ours, mut theirs) = (None, None);
    let mut token: Vec<u8> = Vec::new();
    for _ in 0..3 {
        let mut room = vec![0; 10_000];
        let input = [SecBuffer::token_input(&token)];
        let mut buffers = [SecBuffer::token(&mut room)];
        let request = InitializeRequest {
            target_name: Some(SERVICE),
            requirements: InitiatorRequirements::MUTUAL_AUTH
                | InitiatorRequirements::SEQUENCE_DETECT
                | InitiatorRequirements::CONFIDENTIALITY,
            input: (!token.is_empty()).then(|| InputDesc::new(&input)),
            ..InitializeRequest::default()
        };
        let desc = &mut SecBufferDesc::new(&mut buffers);
        let outcome = table.initialize_security_context(Some(client), ours, request, desc);
        ours = Some(outcome.expect("the initiator's leg").context);
        let sent = buffers[0].bytes().to_vec();
        if sent.is_empty() {
            break;
        }
        let input = [SecBuffer::token_input(&sent)];
        let mut room = vec![0; 10_000];
        let mut buffers = [SecBuffer::token(&mut room)];
        let request = AcceptRequest {
            input: Some(InputDesc::new(&input)),
            ..AcceptRequest::default()
        };
        let desc = &mut SecBufferDesc::new(&mut buffers);
        let outcome = table.accept_security_context(Some(service), theirs, request, desc);
        theirs = Some(outcome.expect("the acceptor's leg").context);
        token = buffers[0].bytes().to_vec();
        if token.is_empty() {
            break;
        }
    }
    [ours.expect("an initiator"), theirs.expect("an acceptor")]
}

thread_local! {
    static STAGES: RefCell<Vec<Stage>> = const { RefCell::new(Vec::new()) };
}

pub fn run(data: &[u8]) {
    STAGES.with_borrow_mut(|stages| {
        if stages.is_empty() {
            stages.push(stage(Enctype::AES256_CTS_HMAC_SHA1_96));
            stages.push(stage(Enctype::RC4_HMAC));
        }
        let mut input = Input::new(data);
        let choice = usize::from(input.byte());
        let stage = &stages[choice & 1];
        let (package, image) = &stage.images[(choice >> 1) % stage.images.len()];
        let bytes = match choice >> 6 {
            0 | 1 => mutate(image, &mut input),
            2 => negotiated("Kerberos", input.rest()),
            _ => negotiated("NTLM", input.rest()),
        };
        import(&stage.table, package, &bytes);
    });
}

fn import(table: &SecurityFunctionTable, package: &str, bytes: &[u8]) {
    let image = SecretBytes::from(bytes);
    let context = match table.import_image(package, &image) {
        Ok(context) => context,
        Err(error) => {
            assert_ne!(
                error.status(),
                SecurityStatus::SEC_E_INTERNAL_ERROR,
                "{error:?}"
            );
            return;
        }
    };
    let again = table.export_image(context, ExportFlags::empty());
    if let Ok(again) = again {
        let twice = table
            .import_image(package, &again.bytes)
            .expect("our own image");
        let third = table.export_image(twice, ExportFlags::empty());
        let third = third.expect("what was exported before");
        assert!(
            third.bytes.equals(again.bytes.expose()),
            "an image goes on as it is"
        );
        table
            .delete_security_context(twice)
            .expect("our own context");
    }
    for attribute in ContextAttribute::ALL {
        let _ = table.query_context_attributes(context, *attribute);
    }
    let _ = table.query_security_context_token(context);
    let (mut token, mut text) = ([0; 200], *b"any message");
    let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut text)];
    let desc = &mut SecBufferDesc::new(&mut buffers);
    if table.make_signature(context, 0, desc, 7).is_ok() {
        let _ = table.verify_signature(context, desc, 7);
    }
    let (mut token, mut text, mut padding) = ([0; 200], *b"any message", [0; 16]);
    let mut buffers = [
        SecBuffer::token(&mut token),
        SecBuffer::data(&mut text),
        SecBuffer::padding(&mut padding),
    ];
    let desc = &mut SecBufferDesc::new(&mut buffers);
    if table.encrypt_message(context, 0, desc, 8).is_ok() {
        let _ = table.decrypt_message(context, desc, 8);
    }
    let _ = table.export_image(context, ExportFlags::RESET_NEW);
    table
        .delete_security_context(context)
        .expect("our own context");
}
