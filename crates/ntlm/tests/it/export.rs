//! ExportSecurityContext and ImportSecurityContext: key streams and numbers go along, and bytes that are no
//! image are refused.

use trihound_ntlm::{ContextError, SessionError};
use trihound_secret::SecretBytes;
use trihound_sspi::image::ImageError;
use trihound_sspi::{
    AcceptorRequirements, ContextAttribute, ContextAttributeValue, CtxtHandle, Error, ExportFlags,
    InitiatorRequirements, SECQOP_WRAP_NO_ENCRYPT, SecBuffer, SecBufferDesc, SecurityStatus,
};

use crate::world::{Sides, Wishes, World, cause};

const RC4_STATE: usize = 258;

/// A context and the process that it is in.
#[derive(Clone, Copy)]
struct End<'w> {
    world: &'w World,
    context: CtxtHandle,
}

impl<'w> End<'w> {
    fn encrypt(self, qop: u32, text: &[u8], number: u32) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let (mut token, mut data) = (vec![0; 16], text.to_vec());
        let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
        let desc = &mut SecBufferDesc::new(&mut buffers);
        let table = &self.world.table;
        table.encrypt_message(self.context, qop, desc, number)?;
        Ok((token, data))
    }

    fn decrypt(self, message: &(Vec<u8>, Vec<u8>), number: u32) -> Result<(Vec<u8>, u32), Error> {
        let (mut token, mut data) = message.clone();
        let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
        let desc = &mut SecBufferDesc::new(&mut buffers);
        let qop = self
            .world
            .table
            .decrypt_message(self.context, desc, number)?;
        Ok((data, qop))
    }

    fn image(self, flags: ExportFlags) -> Result<SecretBytes, Error> {
        let image = self.world.table.export_image(self.context, flags)?;
        Ok(image.bytes)
    }

    fn in_another(self, world: &'w World) -> Self {
        let image = self.image(ExportFlags::empty()).unwrap();
        // What the table does for an image that is the only copy.
        self.world
            .table
            .delete_security_context(self.context)
            .unwrap();
        Self {
            world,
            context: import(world, image.expose()).unwrap(),
        }
    }

    /// Every protection, this way; datagrams are numbered from `first`.
    fn says_to(self, other: Self, first: u32) {
        for (number, qop) in (first..).zip([0, SECQOP_WRAP_NO_ENCRYPT]) {
            let message = self.encrypt(qop, b"over the wire", number).unwrap();
            let opened = other.decrypt(&message, number).unwrap();
            assert_eq!(opened, (b"over the wire".to_vec(), qop));
        }
        let mut token = [0; 16];
        let mut buffers = [
            SecBuffer::token(&mut token),
            SecBuffer::data_input(b"beside"),
        ];
        let desc = &mut SecBufferDesc::new(&mut buffers);
        let table = &self.world.table;
        table
            .make_signature(self.context, 0, desc, first + 2)
            .unwrap();
        let mut buffers = [
            SecBuffer::token_input(&token),
            SecBuffer::data_input(b"beside"),
        ];
        let desc = &mut SecBufferDesc::new(&mut buffers);
        let table = &other.world.table;
        table
            .verify_signature(other.context, desc, first + 2)
            .unwrap();
    }
}

fn import(world: &World, image: &[u8]) -> Result<CtxtHandle, Error> {
    world.table.import_image("NTLM", &SecretBytes::from(image))
}

fn ends(sides: &Sides<'_>) -> [CtxtHandle; 2] {
    sides.contexts().into()
}

fn established(world: &World, wishes: Wishes) -> [End<'_>; 2] {
    let mut sides = world.sides(wishes);
    sides.establish();
    ends(&sides).map(|context| End { world, context })
}

#[test]
fn the_conversation_goes_on_in_both_directions_wherever_its_ends_are() {
    let (here, there) = (World::new(), World::new());
    let [initiator, acceptor] = established(&here, Wishes::full());
    initiator.says_to(acceptor, 0);
    acceptor.says_to(initiator, 0);
    let moved = acceptor.in_another(&there);
    initiator.says_to(moved, 0);
    moved.says_to(initiator, 0);
    let both = initiator.in_another(&there);
    both.says_to(moved, 0);
    moved.says_to(both, 0);
    let home = moved.in_another(&here);
    both.says_to(home, 0);
    home.says_to(both, 0);
}

/// Without a key exchange a signature does not depend on the key stream, and with one it does.
#[test]
fn contexts_that_only_sign_go_on_too() {
    let (here, there) = (World::new(), World::new());
    let wishes = Wishes::of(InitiatorRequirements::INTEGRITY);
    let [initiator, acceptor] = established(&here, wishes);
    let signs = |from: End<'_>, to: End<'_>| {
        let message = from.encrypt(SECQOP_WRAP_NO_ENCRYPT, b"signed", 0);
        let opened = to.decrypt(&message.unwrap(), 0).unwrap();
        assert_eq!(opened, (b"signed".to_vec(), SECQOP_WRAP_NO_ENCRYPT));
    };
    signs(initiator, acceptor);
    let moved = acceptor.in_another(&there);
    signs(initiator, moved);
    signs(moved, initiator);
    let refused = moved.encrypt(0, b"not negotiated", 0).unwrap_err();
    assert_eq!(refused.status(), SecurityStatus::SEC_E_QOP_NOT_SUPPORTED);
}

#[test]
fn a_message_of_before_the_export_is_a_replay_after_it() {
    let (here, there) = (World::new(), World::new());
    let [initiator, acceptor] = established(&here, Wishes::full());
    let first = initiator.encrypt(0, b"first", 0).unwrap();
    acceptor.decrypt(&first, 0).unwrap();
    let second = initiator.encrypt(0, b"second", 0).unwrap();
    let third = initiator.encrypt(0, b"third", 0).unwrap();
    let moved = acceptor.in_another(&there);
    for (message, found) in [(&first, 0), (&third, 2)] {
        let error = moved.decrypt(message, 0).unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_OUT_OF_SEQUENCE);
        let expected = SessionError::SequenceNumber { expected: 1, found };
        assert_eq!(cause::<SessionError>(&error), &expected);
    }
    assert_eq!(moved.decrypt(&second, 0).unwrap().0, b"second");
    assert_eq!(moved.decrypt(&third, 0).unwrap().0, b"third");
}

/// MS-NLMP section 3.4: a datagram's number makes its key stream; those of before the export are used.
#[test]
fn numbers_of_datagrams_stay_used() {
    let (here, there) = (World::new(), World::new());
    let mut sides = here.sides(Wishes::datagram());
    sides.negotiate();
    let challenge = sides.challenge(&[]);
    let (_, authenticate) = sides.authenticate(&challenge);
    let (outcome, _) = sides.accept(Some(&authenticate));
    assert!(outcome.is_ok());
    let world = &here;
    let [initiator, acceptor] = ends(&sides).map(|context| End { world, context });
    initiator.says_to(acceptor, 10);
    let late = initiator.encrypt(0, b"late", 9).unwrap();
    let moved = initiator.in_another(&there);
    for number in [9, 10, 11, 12] {
        let error = moved.encrypt(0, b"again", number).unwrap_err();
        let expected = SessionError::DatagramNumberUsed { number };
        assert_eq!(cause::<SessionError>(&error), &expected);
    }
    let receiver = acceptor.in_another(&there);
    moved.says_to(receiver, 20);
    receiver.says_to(moved, 1);
    // Which datagrams came is for the caller to know, here as before.
    assert_eq!(receiver.decrypt(&late, 9).unwrap().0, b"late");
}

#[test]
fn an_image_is_the_only_copy_where_there_is_a_key() {
    let world = World::new();
    for end in established(&world, Wishes::full()) {
        let image = world.table.export_image(end.context, ExportFlags::empty());
        assert!(image.unwrap().only_copy);
    }
}

/// MS-NLMP section 3.4: the stream that went would come again.
#[test]
fn reset_new_is_for_contexts_that_have_protected_nothing() {
    let (here, there) = (World::new(), World::new());
    let [initiator, acceptor] = established(&here, Wishes::full());
    let fresh = initiator.image(ExportFlags::RESET_NEW).unwrap();
    let context = import(&there, fresh.expose()).unwrap();
    let world = &there;
    let renewed = End { world, context };
    renewed.says_to(acceptor, 0);
    for used in [renewed, acceptor] {
        let refused = used.image(ExportFlags::RESET_NEW).unwrap_err();
        assert_eq!(refused.status(), SecurityStatus::SEC_E_CANNOT_PACK);
        let reason = cause::<ContextError>(&refused);
        assert_eq!(reason, &ContextError::KeyStreamUsed);
    }
    acceptor.says_to(renewed, 0);
}

fn answers(end: End<'_>) -> Vec<String> {
    ContextAttribute::ALL
        .iter()
        .map(|attribute| {
            let table = &end.world.table;
            match table.query_context_attributes(end.context, *attribute) {
                Ok(ContextAttributeValue::SessionKey(key)) => format!("{:02x?}", key.expose()),
                other => format!("{other:?}"),
            }
        })
        .collect()
}

#[test]
fn attributes_and_access_token_are_the_same_before_and_after() {
    let wishes = [Wishes::full(), Wishes::none()];
    for wishes in wishes {
        let (here, there) = (World::new(), World::new());
        for end in established(&here, wishes.clone()) {
            let before = answers(end);
            let moved = end.in_another(&there);
            assert_eq!(before, answers(moved));
        }
        let [_, acceptor] = established(&here, wishes);
        let token = |end: End<'_>| {
            let token = end.world.table.query_security_context_token(end.context);
            format!("{:?}", token.unwrap())
        };
        let before = token(acceptor);
        assert_eq!(before, token(acceptor.in_another(&there)));
        assert!(before.contains("alice"), "{before}");
    }
}

/// Who proved nothing has no key, in any process.
#[test]
fn a_context_without_a_key_has_none_after_its_import_either() {
    let world = World::new();
    let mut wishes = Wishes::of(InitiatorRequirements::NULL_SESSION);
    wishes.acceptor = AcceptorRequirements::ALLOW_NULL_SESSION;
    let mut sides = world.sides(wishes);
    sides.establish();
    for context in ends(&sides) {
        let image = world
            .table
            .export_image(context, ExportFlags::empty())
            .unwrap();
        assert!(!image.only_copy);
        let again = End {
            world: &world,
            context: import(&world, image.bytes.expose()).unwrap(),
        };
        let refused = again.encrypt(0, b"x", 0).unwrap_err();
        assert_eq!(refused.status(), SecurityStatus::SEC_E_QOP_NOT_SUPPORTED);
        let end = End {
            world: &world,
            context,
        };
        assert_eq!(answers(end), answers(again));
    }
}

#[test]
fn a_context_that_is_not_established_is_not_exported() {
    let world = World::new();
    let mut sides = world.sides(Wishes::full());
    let negotiate = sides.negotiate();
    let challenge = sides.challenge(&negotiate);
    for context in ends(&sides) {
        let refused = world.table.export_image(context, ExportFlags::empty());
        let error = refused.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CONTEXT);
        assert_eq!(cause::<ContextError>(&error), &ContextError::NotEstablished);
    }
    let (_, authenticate) = sides.authenticate(&challenge);
    assert!(sides.accept(Some(&authenticate)).0.is_ok());
}

// ---- images of nobody's making ----

fn image_of(world: &World) -> Vec<u8> {
    let [initiator, acceptor] = established(world, Wishes::full());
    initiator.says_to(acceptor, 0);
    acceptor.says_to(initiator, 0);
    let image = acceptor.image(ExportFlags::empty()).unwrap();
    image.expose().to_vec()
}

fn fault(world: &World, image: &[u8]) -> ImageError {
    let error = import(world, image).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
    cause::<ImageError>(&error).clone()
}

#[test]
fn an_image_that_was_cut_is_refused() {
    let world = World::new();
    let image = image_of(&world);
    let alive = world.package.live().1;
    for length in 0..image.len() {
        let fault = fault(&world, &image[..length]);
        let cut = matches!(fault, ImageError::Truncated { needed, left, .. } if left < needed);
        assert!(cut, "{length}: {fault:?}");
    }
    assert_eq!(world.package.live().1, alive);
}

#[test]
fn an_image_with_any_byte_changed_is_refused_or_another_context() {
    let world = World::new();
    let image = image_of(&world);
    for at in 0..image.len() {
        for bit in [1, 0x80] {
            let mut altered = image.clone();
            altered[at] ^= bit;
            let Err(error) = import(&world, &altered) else {
                assert!(at >= 6, "format and version are fixed");
                continue;
            };
            let known = match error.status() {
                SecurityStatus::SEC_E_INVALID_TOKEN => error.find_source::<ImageError>().is_some(),
                // Flags with which nothing is protected well enough.
                SecurityStatus::SEC_E_SECURITY_QOS_FAILED => {
                    error.find_source::<SessionError>().is_some()
                }
                _ => false,
            };
            assert!(known, "{at}: {error:?}");
        }
    }
}

/// The last direction in an image: first(8) next(8) encrypted(1) no datagram(1) below(8) stream(258).
const DIRECTION: usize = 8 + 8 + 1 + 1 + 8 + RC4_STATE;

#[test]
fn each_fault_of_an_image_has_its_own_error() {
    let world = World::new();
    let image = image_of(&world);
    let direction = image.len() - DIRECTION;
    let with = |at: usize, bytes: &[u8]| {
        let mut altered = image.clone();
        altered[at..at + bytes.len()].copy_from_slice(bytes);
        fault(&world, &altered)
    };
    let value = |field, reason| ImageError::Value { field, reason };
    let other = ImageError::OtherFormat {
        expected: *b"THXN",
        found: *b"THXK",
    };
    assert_eq!(with(3, b"K"), other);
    let other = ImageError::OtherVersion { known: 1, found: 9 };
    assert_eq!(with(4, &[9]), other);
    let neither = value("the role", "it is neither 0 nor 1");
    assert_eq!(with(6, &[0xff]), neither);
    let above = value(
        "the first message's number",
        "it is above that of the next one",
    );
    assert_eq!(with(direction, &[9, 0, 0, 0, 0, 0, 0, 1]), above);
    let among = value(
        "the datagrams sent",
        "the highest of them is not among them, or there is none",
    );
    assert_eq!(with(direction + 18, &[1]), among);
    let stream = value("the key stream", "it is no permutation of all bytes");
    let twice = [image[image.len() - 3]];
    assert_eq!(with(image.len() - 4, &twice), stream);
    let mut longer = image.clone();
    longer.push(0);
    let extra = ImageError::TrailingBytes { extra: 1 };
    assert_eq!(fault(&world, &longer), extra);
}

/// What no handshake may end with is no context either (conformance row 147).
#[test]
fn flags_of_an_image_that_protect_nothing_are_refused() {
    let world = World::new();
    let image = image_of(&world);
    // NegotiateFlags, behind format, version and role.
    for (at, bit, expected) in [
        (7 + 2, 0x08, SessionError::NoExtendedSessionSecurity),
        (7 + 3, 0x20, SessionError::WeakKey { bits: 40 }),
    ] {
        let mut altered = image.clone();
        assert_ne!(altered[at] & bit, 0);
        altered[at] &= !bit;
        let error = import(&world, &altered).unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_SECURITY_QOS_FAILED);
        assert_eq!(cause::<SessionError>(&error), &expected);
    }
}
