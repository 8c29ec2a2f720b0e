//! ExportSecurityContext and ImportSecurityContext: what of a context is in its image, what another process
//! makes of it, and what it makes of bytes that are none.

use trihound_crypto::Enctype;
use trihound_kerberos::{ContextError, SequenceError};
use trihound_krb5::Policy;
use trihound_secret::SecretBytes;
use trihound_sspi::image::ImageError;
use trihound_sspi::{
    ContextAttribute, ContextAttributeValue, CtxtHandle, Error, ExportFlags, InitiatorRequirements,
    SECQOP_WRAP_NO_ENCRYPT, SecBuffer, SecBufferDesc, SecurityStatus,
};

use crate::support::AES;
use crate::world::{HOUR, Sides, Wishes, World, cause};

const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;
const RC4: Enctype = Enctype::RC4_HMAC;
/// Format, version, role.
const NAMES_AT: usize = 4 + 2 + 1 + 4 + 4;

/// A process in which messages are under this type: RC4 is not asked for where there is anything else.
fn process(enctype: Enctype) -> World {
    let policy = trihound_crypto::danger::only_with_weak(&[enctype]).unwrap();
    World::with_policy(enctype, policy)
}

/// A message as it goes over the wire: its token, its data, and behind it its padding.
#[derive(Clone)]
struct Message {
    token: Vec<u8>,
    data: Vec<u8>,
    padding: Vec<u8>,
}

/// A context and the table that it is in.
#[derive(Clone, Copy)]
struct End<'w> {
    world: &'w World,
    context: CtxtHandle,
}

impl<'w> End<'w> {
    fn encrypt(self, qop: u32, text: &[u8]) -> Result<Message, Error> {
        let (mut token, mut data, mut padding) = (vec![0; 200], text.to_vec(), vec![0; 16]);
        let mut buffers = [
            SecBuffer::token(&mut token),
            SecBuffer::data(&mut data),
            SecBuffer::padding(&mut padding),
        ];
        let desc = &mut SecBufferDesc::new(&mut buffers);
        self.world
            .table
            .encrypt_message(self.context, qop, desc, 0)?;
        let [token_length, _, padding_length] = buffers.each_ref().map(SecBuffer::len);
        token.truncate(token_length);
        padding.truncate(padding_length);
        Ok(Message {
            token,
            data,
            padding,
        })
    }

    fn decrypt(self, mut message: Message) -> Result<(Vec<u8>, u32), Error> {
        let mut buffers = [
            SecBuffer::token(&mut message.token),
            SecBuffer::data(&mut message.data),
            SecBuffer::padding(&mut message.padding),
        ];
        let desc = &mut SecBufferDesc::new(&mut buffers);
        let qop = self.world.table.decrypt_message(self.context, desc, 0)?;
        Ok((message.data, qop))
    }

    fn sign(self, text: &[u8]) -> Result<Vec<u8>, Error> {
        let mut token = vec![0; 200];
        let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data_input(text)];
        let desc = &mut SecBufferDesc::new(&mut buffers);
        self.world.table.make_signature(self.context, 0, desc, 0)?;
        let length = buffers[0].len();
        token.truncate(length);
        Ok(token)
    }

    fn verify(self, text: &[u8], token: &[u8]) -> Result<(), Error> {
        let mut buffers = [SecBuffer::token_input(token), SecBuffer::data_input(text)];
        let desc = &mut SecBufferDesc::new(&mut buffers);
        let verified = self.world.table.verify_signature(self.context, desc, 0);
        verified.map(drop)
    }

    fn image(self, flags: ExportFlags) -> Result<(SecretBytes, bool), Error> {
        let image = self.world.table.export_image(self.context, flags)?;
        Ok((image.bytes, image.only_copy))
    }

    /// The same context in another process.
    fn in_another(self, world: &'w World, flags: ExportFlags) -> Self {
        let (image, _) = self.image(flags).unwrap();
        Self {
            world,
            context: import(world, &image).unwrap(),
        }
    }

    /// Every protection, this way.
    fn says_to(self, other: Self) {
        for qop in [0, SECQOP_WRAP_NO_ENCRYPT] {
            let message = self.encrypt(qop, b"over the wire").unwrap();
            let opened = other.decrypt(message).unwrap();
            assert_eq!(opened, (b"over the wire".to_vec(), qop));
        }
        let token = self.sign(b"beside").unwrap();
        other.verify(b"beside", &token).unwrap();
    }
}

fn import(world: &World, image: &SecretBytes) -> Result<CtxtHandle, Error> {
    world.table.import_image("Kerberos", image)
}

fn ends(world: &World, wishes: Wishes) -> (End<'_>, End<'_>) {
    let mut sides = Sides::new(world, wishes);
    sides.establish();
    let (initiator, acceptor) = sides.contexts();
    let end = |context| End { world, context };
    (end(initiator), end(acceptor))
}

fn styles() -> [Wishes; 3] {
    let one_leg = InitiatorRequirements::CONFIDENTIALITY
        | InitiatorRequirements::INTEGRITY
        | InitiatorRequirements::REPLAY_DETECT;
    [Wishes::full(), Wishes::dce(), Wishes::of(one_leg)]
}

fn status<T>(outcome: Result<T, Error>) -> SecurityStatus {
    match outcome {
        Ok(_) => SecurityStatus::SEC_E_OK,
        Err(error) => error.status(),
    }
}

#[test]
fn the_conversation_goes_on_in_both_directions_wherever_its_ends_are() {
    for enctype in AES.into_iter().chain([RC4]) {
        for wishes in styles() {
            let (here, there) = (process(enctype), process(enctype));
            let (initiator, acceptor) = ends(&here, wishes);
            initiator.says_to(acceptor);
            acceptor.says_to(initiator);
            let moved = acceptor.in_another(&there, ExportFlags::empty());
            initiator.says_to(moved);
            moved.says_to(initiator);
            let both = initiator.in_another(&there, ExportFlags::empty());
            both.says_to(moved);
            moved.says_to(both);
            // And back.
            let home = moved.in_another(&here, ExportFlags::empty());
            both.says_to(home);
            home.says_to(both);
        }
    }
}

/// Whoever has the old context after the new one was used is told of it by the sequence numbers.
#[test]
fn a_message_of_before_the_export_is_a_replay_after_it() {
    for enctype in [AES256, RC4] {
        let (here, there) = (process(enctype), process(enctype));
        let (initiator, acceptor) = ends(&here, Wishes::full());
        let first = initiator.encrypt(0, b"first").unwrap();
        let skipped = initiator.encrypt(0, b"skipped").unwrap();
        let third = initiator.encrypt(0, b"third").unwrap();
        acceptor.decrypt(first.clone()).unwrap();
        let gap = acceptor.decrypt(third.clone()).unwrap_err();
        let expected = SequenceError::Gap { missing: 1 };
        assert_eq!(cause::<SequenceError>(&gap), &expected);
        let moved = acceptor.in_another(&there, ExportFlags::empty());
        for (message, expected) in [
            (first, SequenceError::Duplicate { behind: 3 }),
            (third, SequenceError::Duplicate { behind: 1 }),
            // It was never there, and is late.
            (skipped.clone(), SequenceError::Unsequenced { behind: 2 }),
            (skipped, SequenceError::Duplicate { behind: 2 }),
        ] {
            let error = moved.decrypt(message).unwrap_err();
            assert_eq!(error.status(), SecurityStatus::SEC_E_OUT_OF_SEQUENCE);
            assert_eq!(cause::<SequenceError>(&error), &expected);
        }
        initiator.says_to(moved);
    }
}

#[test]
fn reset_new_begins_the_numbers_anew_both_ways() {
    let (here, there) = (process(AES256), process(AES256));
    let (initiator, acceptor) = ends(&here, Wishes::full());
    let first = initiator.encrypt(0, b"first").unwrap();
    acceptor.decrypt(first.clone()).unwrap();
    let answer = acceptor.encrypt(0, b"answer").unwrap();
    let renewed = acceptor.in_another(&there, ExportFlags::RESET_NEW);
    // The first message is the first again, and so is the first answer.
    renewed.decrypt(first).unwrap();
    let again = renewed.encrypt(0, b"answer").unwrap();
    assert_eq!(again.token[..16], answer.token[..16], "header and number");
    initiator.decrypt(again).unwrap();
    // Both ends anew are a new conversation; the exported contexts are where they were.
    let other = initiator.in_another(&there, ExportFlags::RESET_NEW);
    let renewed = acceptor.in_another(&there, ExportFlags::RESET_NEW);
    other.says_to(renewed);
    renewed.says_to(other);
    initiator.says_to(acceptor);
}

/// RFC 4757 section 7.3: the number makes the key stream.
#[test]
fn reset_new_is_refused_where_it_would_use_a_key_stream_twice() {
    let (here, there) = (process(RC4), process(RC4));
    let (initiator, acceptor) = ends(&here, Wishes::full());
    let before = initiator.in_another(&there, ExportFlags::RESET_NEW);
    let message = before.encrypt(0, b"first").unwrap();
    acceptor.decrypt(message).unwrap();
    let refused = before.image(ExportFlags::RESET_NEW).unwrap_err();
    assert_eq!(refused.status(), SecurityStatus::SEC_E_CANNOT_PACK);
    let reason = cause::<ContextError>(&refused);
    assert_eq!(reason, &ContextError::KeyStreamUsed);
    // It can still be exported as it is, and lives.
    let moved = before.in_another(&here, ExportFlags::empty());
    moved.says_to(acceptor);
    // What only received has used no stream of its own.
    assert!(acceptor.image(ExportFlags::RESET_NEW).is_ok());
}

#[test]
fn an_image_is_the_only_copy_where_messages_are_under_a_key_stream() {
    for enctype in AES.into_iter().chain([RC4]) {
        let world = process(enctype);
        let (initiator, _) = ends(&world, Wishes::full());
        let (_, only_copy) = initiator.image(ExportFlags::empty()).unwrap();
        assert_eq!(only_copy, enctype == RC4, "{enctype}");
    }
}

/// Everything that a caller can ask of a context.
fn answers(end: End<'_>) -> Vec<String> {
    ContextAttribute::ALL
        .iter()
        .map(|attribute| {
            let value = end
                .world
                .table
                .query_context_attributes(end.context, *attribute);
            match value {
                Ok(ContextAttributeValue::SessionKey(key)) => format!("{:02x?}", key.expose()),
                other => format!("{other:?}"),
            }
        })
        .collect()
}

#[test]
fn attributes_and_access_token_are_the_same_before_and_after() {
    for wishes in styles() {
        let (here, there) = (process(AES256), process(AES256));
        let (initiator, acceptor) = ends(&here, wishes);
        for end in [initiator, acceptor] {
            let moved = end.in_another(&there, ExportFlags::empty());
            assert_eq!(answers(end), answers(moved));
        }
        let token = |end: End<'_>| {
            let token = end.world.table.query_security_context_token(end.context);
            format!("{:?}", token.unwrap())
        };
        let moved = acceptor.in_another(&there, ExportFlags::empty());
        assert_eq!(token(acceptor), token(moved));
        assert!(token(moved).contains("alice@EXAMPLE.TEST"));
    }
}

#[test]
fn an_imported_context_ends_with_its_ticket() {
    let (here, there) = (process(AES256), process(AES256));
    let (initiator, _) = ends(&here, Wishes::full());
    let moved = initiator.in_another(&there, ExportFlags::empty());
    there.clock.advance(HOUR);
    let expired = moved.sign(b"late");
    assert_eq!(status(expired), SecurityStatus::SEC_E_CONTEXT_EXPIRED);
    // Its image can be made and read, and serves no message there either.
    let again = moved.in_another(&there, ExportFlags::empty());
    assert_eq!(
        status(again.sign(b"late")),
        SecurityStatus::SEC_E_CONTEXT_EXPIRED
    );
}

#[test]
fn a_context_that_is_not_established_is_not_exported() {
    let world = process(AES256);
    let refused = |context| {
        let refused = world.table.export_image(context, ExportFlags::empty());
        let error = refused.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CONTEXT);
        assert_eq!(cause::<ContextError>(&error), &ContextError::NotEstablished);
    };
    // The initiator waits for AP-REP.
    let mut sides = Sides::new(&world, Wishes::dce());
    let (_, token) = sides.initialize(None);
    refused(sides.initiator.unwrap());
    // The acceptor waits for the third leg; the failed calls left both as they were.
    let (_, answer) = sides.accept(Some(&token));
    refused(sides.acceptor.unwrap());
    let (outcome, third) = sides.initialize(Some(&answer));
    assert_eq!(outcome.unwrap().status(), SecurityStatus::SEC_E_OK);
    let (outcome, _) = sides.accept(Some(&third));
    assert_eq!(outcome.unwrap().status(), SecurityStatus::SEC_E_OK);
    let (_, acceptor) = sides.contexts();
    assert!(
        world
            .table
            .export_image(acceptor, ExportFlags::empty())
            .is_ok()
    );
}

// ---- images of nobody's making ----

/// The image of an acceptor's context, with everything in it that one may have.
fn image_of(enctype: Enctype) -> Vec<u8> {
    let world = process(enctype);
    let (initiator, acceptor) = ends(&world, Wishes::full());
    initiator.says_to(acceptor);
    let (image, _) = acceptor.image(ExportFlags::empty()).unwrap();
    image.expose().to_vec()
}

fn refusal(world: &World, image: &[u8]) -> Error {
    import(world, &SecretBytes::from(image)).unwrap_err()
}

fn fault(world: &World, image: &[u8]) -> ImageError {
    let error = refusal(world, image);
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
    cause::<ImageError>(&error).clone()
}

#[test]
fn an_image_that_was_cut_is_refused() {
    let world = process(AES256);
    let image = image_of(AES256);
    for length in 0..image.len() {
        let fault = fault(&world, &image[..length]);
        let cut = matches!(fault, ImageError::Truncated { needed, left, .. } if left < needed);
        assert!(cut, "{length}: {fault:?}");
    }
    assert_eq!(
        world.package.live().1,
        0,
        "nothing is left of what was refused"
    );
}

/// No byte makes anything but a context or an error with a status of its own.
#[test]
fn an_image_with_any_byte_changed_is_refused_or_another_context() {
    for enctype in [AES256, RC4] {
        let world = process(enctype);
        let image = image_of(enctype);
        for at in 0..image.len() {
            for bit in [1, 0x80] {
                let mut altered = image.clone();
                altered[at] ^= bit;
                let Err(error) = import(&world, &SecretBytes::from(altered)) else {
                    assert!(at >= 7, "format, version and role are fixed");
                    continue;
                };
                let known = match error.status() {
                    SecurityStatus::SEC_E_INVALID_TOKEN => {
                        error.find_source::<ImageError>().is_some()
                    }
                    // Of the key's type.
                    SecurityStatus::SEC_E_ALGORITHM_MISMATCH => {
                        error.find_source::<trihound_krb5::Error>().is_some()
                    }
                    _ => false,
                };
                assert!(known, "{at}: {error:?}");
            }
        }
    }
}

#[test]
fn each_fault_of_an_image_has_its_own_error() {
    let world = process(AES256);
    let image = image_of(AES256);
    let with = |at: usize, bytes: &[u8]| {
        let mut altered = image.clone();
        altered[at..at + bytes.len()].copy_from_slice(bytes);
        altered
    };
    let value = |field, reason| ImageError::Value { field, reason };
    let found = *b"THXN";
    let other = ImageError::OtherFormat {
        expected: *b"THXK",
        found,
    };
    assert_eq!(fault(&world, &with(0, &found)), other);
    let other = ImageError::OtherVersion { known: 1, found: 2 };
    assert_eq!(fault(&world, &with(4, &[2, 0])), other);
    let neither = value("the role", "it is neither 0 nor 1");
    assert_eq!(fault(&world, &with(6, &[2])), neither);
    // A name of so many components that it has none of them.
    let no_name = value("the client's name", "it is no principal name");
    assert_eq!(fault(&world, &with(NAMES_AT + 8, &[0xff; 4])), no_name);
    let mut longer = image.clone();
    longer.push(0);
    let extra = ImageError::TrailingBytes { extra: 1 };
    assert_eq!(fault(&world, &longer), extra);
    // The last two bytes say that there is no PAC and no delegated credential.
    let end = image.len();
    let mut with_pac = image[..end - 2].to_vec();
    with_pac.extend_from_slice(&[1, 3, 0, 0, 0, b'p', b'a', b'c', 0]);
    let error = refusal(&world, &with_pac);
    assert!(
        error.find_source::<trihound_krb5::Error>().is_some(),
        "{error:?}"
    );
    let mut with_credential = image[..end - 1].to_vec();
    with_credential.extend_from_slice(&[1, 3, 0, 0, 0, b't', b'g', b't']);
    let error = refusal(&world, &with_credential);
    assert_eq!(error.status(), SecurityStatus::SEC_E_UNKNOWN_CREDENTIALS);
}

/// From the end of an acceptor's image: the key, whether it is the sub-key, six numbers, two absent fields.
const NUMBERS_FROM_END: usize = 2 + 6 * 8;

#[test]
fn the_key_of_an_image_is_held_against_its_type_and_the_policy() {
    let lax = World::new(AES256);
    let image = image_of(AES256);
    let key_at = image.len() - NUMBERS_FROM_END - 1 - 32;
    let enctype_at = key_at - 8;
    assert_eq!(image[enctype_at..key_at], [18, 0, 0, 0, 32, 0, 0, 0]);
    let mut other_type = image.clone();
    other_type[enctype_at] = 17;
    let length = ImageError::Value {
        field: "the key",
        reason: "its length is not that of its encryption type",
    };
    assert_eq!(fault(&lax, &other_type), length);
    // A process that permits no RC4 takes no context under it, whoever sealed it.
    let strict = World::with_policy(AES256, trihound_crypto::EnctypePolicy::default());
    let error = refusal(&strict, &image_of(RC4));
    assert_eq!(error.status(), SecurityStatus::SEC_E_ALGORITHM_MISMATCH);
    let refused = matches!(
        cause::<trihound_krb5::Error>(&error),
        trihound_krb5::Error::Policy(Policy::EnctypeNotPermitted { enctype: RC4, .. })
    );
    assert!(refused, "{error:?}");
    assert!(import(&strict, &SecretBytes::from(image)).is_ok());
}

#[test]
fn the_numbers_of_an_image_have_to_be_possible() {
    let value = |reason| ImageError::Value {
        field: "a sequence number",
        reason,
    };
    // RFC 1964 section 1.2.1.2: 32 bits under RC4.
    let world = process(RC4);
    let image = image_of(RC4);
    for number in 0..4 {
        let mut altered = image.clone();
        altered[image.len() - NUMBERS_FROM_END + 8 * number + 4] = 1;
        let wide = value("it has more bits than the tokens of its key");
        assert_eq!(fault(&world, &altered), wide, "{number}");
    }
    // The window remembers what was never received.
    let world = process(AES256);
    let image = image_of(AES256);
    let mut altered = image.clone();
    altered[image.len() - 3] = 0x80;
    let before = value("it remembers numbers from before the first one");
    assert_eq!(fault(&world, &altered), before);
}
