//! ExportSecurityContext and ImportSecurityContext: the image of an established context.
//!
//! ```text
//! "THXK" version(2)
//! acceptor(1) GSS flags(4) attributes(4) client server target
//! start(8) end(8) time offset(8)                     microseconds
//! enctype(4) key acceptor's sub-key(1)
//! first sent(8) next sent(8) first received(8) next received(8) span(8) seen(8)
//! PAC? delegated credential?                         acceptors only
//! ```
//!
//! Texts and byte strings have their length before them (4), what may be missing a 0 or 1. A PAC is in the
//! image as it came and is read again: its signature was verified before the context was established.

use std::sync::Arc;

use trihound_asn1::gss::GssFlags;
use trihound_crypto::{Enctype, Key};
use trihound_krb5::ccache::{marshal_principal, unmarshal_principal};
use trihound_krb5::{Credentials, Environment, Policy, Principal};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;
use trihound_sspi::image::{ContextImage, ImageError, ImageReader, ImageWriter};
use trihound_sspi::{
    AcceptorAttributes, EstablishedAttributes, ExportFlags, InitiatorAttributes, PackedCredential,
};

use crate::Kerberos;
use crate::authorization::Authorization;
use crate::delegation;
use crate::error::{ContextError, Error};
use crate::messages::{MessageSession, Numbers, SessionParameters, WindowPosition};
use crate::session::{Facts, Session};

const FORMAT: [u8; 4] = *b"THXK";
const VERSION: u16 = 1;

/// Proof that a session comes out of an image: its handshake was elsewhere, and whoever opened the seal
/// answers for it.
#[derive(Debug)]
pub(crate) struct Imported(());

/// The image of an established context.
pub(crate) fn export(session: &Session, flags: ExportFlags) -> Result<ContextImage, Error> {
    let only_copy = session.messages.has_key_stream();
    let mut numbers = session.messages.numbers();
    if flags.contains(ExportFlags::RESET_NEW) {
        // RFC 4757 section 7.3: the sequence number makes the key stream, and none may serve twice.
        if only_copy && numbers.send != numbers.first_send {
            return Err(ContextError::KeyStreamUsed.into());
        }
        numbers = numbers.reset();
    }
    let facts = &session.facts;
    let mut image = ImageWriter::new(FORMAT, VERSION);
    let (acceptor, attributes) = match facts.attributes {
        EstablishedAttributes::Initiator(got) => (false, got.bits()),
        EstablishedAttributes::Acceptor(got) => (true, got.bits()),
    };
    image.flag(acceptor);
    image.u32(facts.flags.bits());
    image.u32(attributes);
    write_principal(&mut image, &facts.client)?;
    write_principal(&mut image, &facts.server)?;
    image.text(&facts.target);
    image.i64(facts.start.total_microseconds());
    image.i64(facts.end.total_microseconds());
    image.i64(facts.time_offset);
    image.i32(session.message_key.enctype().0);
    image.bytes(session.message_key.expose());
    image.flag(session.acceptor_subkey);
    write_numbers(&mut image, numbers);
    if acceptor {
        let authorization = facts.authorization.as_deref();
        image.optional(
            authorization.and_then(Authorization::pac_bytes),
            ImageWriter::bytes,
        );
        let packed = facts.delegated.as_deref().map(delegation::packed);
        image.optional(packed.transpose()?, |image, packed| {
            image.bytes(packed.blob.expose());
        });
    }
    Ok(ContextImage {
        bytes: image.finish(),
        only_copy,
    })
}

/// The context of an image.
pub(crate) fn import(image: &SecretBytes, environment: &Environment) -> Result<Session, Error> {
    let mut image = ImageReader::new(image.expose(), FORMAT, VERSION)?;
    let acceptor = image.flag("the role")?;
    let flags = GssFlags::from_bits_retain(image.u32("the negotiated flags")?);
    let attributes = image.u32("the attributes")?;
    let client = read_principal(&mut image, "the client's name")?;
    let server = read_principal(&mut image, "the server's name")?;
    let target = image.text("the target name")?.to_owned();
    let mut moment = |field| image.i64(field).map(Timestamp::from_microseconds);
    let (start, end) = (moment("the start")?, moment("the end")?);
    let time_offset = image.i64("the clock's offset")?;
    let key = read_key(&mut image, environment)?;
    let acceptor_subkey = image.flag("whether the key is the acceptor's sub-key")?;
    let numbers = read_numbers(&mut image)?;
    let (authorization, delegated) = if acceptor {
        read_authorization(&mut image)?
    } else {
        (None, None)
    };
    image.finish()?;
    let facts = Facts {
        client,
        server,
        target,
        start,
        end,
        flags,
        attributes: if acceptor {
            EstablishedAttributes::Acceptor(AcceptorAttributes::from_bits_retain(attributes))
        } else {
            EstablishedAttributes::Initiator(InitiatorAttributes::from_bits_retain(attributes))
        },
        time_offset,
        authorization,
        delegated,
    };
    let mut messages = MessageSession::new(SessionParameters {
        key: &key,
        acceptor,
        acceptor_subkey,
        dce_style: flags.contains(GssFlags::DCE_STYLE),
        replay_detect: flags.contains(GssFlags::REPLAY),
        sequence_detect: flags.contains(GssFlags::SEQUENCE),
        send_sequence: 0,
        receive_sequence: 0,
        random: Arc::clone(&environment.random),
    })?;
    messages
        .go_to(numbers)
        .map_err(value("a sequence number"))?;
    let key = Arc::new(key);
    let imported = Imported(());
    Ok(Session::imported(
        facts,
        messages,
        (key, acceptor_subkey),
        environment,
        imported,
    ))
}

fn value(field: &'static str) -> impl Fn(&'static str) -> ImageError {
    move |reason| ImageError::Value { field, reason }
}

fn write_principal(image: &mut ImageWriter, principal: &Principal) -> Result<(), Error> {
    let bytes = marshal_principal(principal).map_err(|_| ContextError::NotWritable {
        what: "a name that is longer than 4 GiB",
    })?;
    image.bytes(&bytes);
    Ok(())
}

fn read_principal(
    image: &mut ImageReader<'_>,
    field: &'static str,
) -> Result<Principal, ImageError> {
    let bytes = image.bytes(field)?;
    unmarshal_principal(bytes).map_err(|_| value(field)("it is no principal name"))
}

/// The key, if this process lets its encryption type be used.
fn read_key(image: &mut ImageReader<'_>, environment: &Environment) -> Result<Key, Error> {
    const FIELD: &str = "the key";
    let enctype = Enctype(image.i32("the key's encryption type")?);
    let bytes = image.bytes(FIELD)?;
    let policy = &environment.config.permitted_enctypes;
    // RFC 8429 section 4: what is weak is let in by whoever owns the process, here as at a handshake.
    policy
        .check(enctype)
        .map_err(|_| Policy::EnctypeNotPermitted {
            what: "the exported context's key",
            enctype,
        })
        .map_err(trihound_krb5::Error::from)?;
    Ok(Key::new(enctype, bytes, policy)
        .map_err(|_| value(FIELD)("its length is not that of its encryption type"))?)
}

fn write_numbers(image: &mut ImageWriter, numbers: Numbers) {
    let receive = numbers.receive;
    for number in [
        numbers.first_send,
        numbers.send,
        numbers.first_receive,
        receive.next,
        receive.span,
        receive.seen,
    ] {
        image.u64(number);
    }
}

fn read_numbers(image: &mut ImageReader<'_>) -> Result<Numbers, ImageError> {
    Ok(Numbers {
        first_send: image.u64("the first number sent")?,
        send: image.u64("the next number to be sent")?,
        first_receive: image.u64("the first number received")?,
        receive: WindowPosition {
            next: image.u64("the next number to be received")?,
            span: image.u64("the length of the window")?,
            seen: image.u64("the numbers in the window")?,
        },
    })
}

type OfAcceptor = (Option<Box<Authorization>>, Option<Vec<Credentials>>);

fn read_authorization(image: &mut ImageReader<'_>) -> Result<OfAcceptor, Error> {
    let pac = image.optional("the PAC", |image| image.bytes("the PAC"))?;
    let authorization = Authorization::imported(pac.map(<[u8]>::to_vec))?;
    const DELEGATED: &str = "the delegated credential";
    let delegated = image.optional(DELEGATED, |image| image.bytes(DELEGATED))?;
    let delegated = delegated.map(|blob| {
        delegation::open(&PackedCredential {
            package: Kerberos::NAME.to_owned(),
            blob: SecretBytes::from(blob),
        })
    });
    Ok((Some(Box::new(authorization)), delegated.transpose()?))
}
