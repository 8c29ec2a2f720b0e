//! ExportSecurityContext and ImportSecurityContext: the image of an established context.
//!
//! ```text
//! "THXN" version(2)
//! acceptor(1) NegotiateFlags(4) attributes(4) user domain target? server start(8) MIC(1) TargetInfo
//! guest(1) anonymous(1) groups SIDs
//! ExportedSessionKey(16)?
//!   for each direction, ours first, where messages are protected:
//!   first number(8) next number(8) encrypted(1) highest datagram(4)? those below it(8) key stream(258)
//! ```
//!
//! Texts and byte strings have their length before them (4), lists their count (4), what may be missing a 0
//! or 1. The key streams go along, so that an image is the only copy of its context.

use trihound_crypto::rfc4757::{RC4_STATE_LENGTH, Rc4Stream};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;
use trihound_sspi::image::{ContextImage, ImageError, ImageReader, ImageWriter};
use trihound_sspi::{AcceptorAttributes, EstablishedAttributes, ExportFlags, InitiatorAttributes};

use crate::NegotiateFlags;
use crate::compute::SessionKey;
use crate::error::{ContextError, Error, sspi_error};
use crate::established::{Facts, Session, Standing};
use crate::session::{SessionSecurity, TrackPosition};

const FORMAT: [u8; 4] = *b"THXN";
const VERSION: u16 = 1;

/// Proof that a session comes out of an image: its handshake was elsewhere, and whoever opened the seal
/// answers for it.
#[derive(Debug)]
pub(crate) struct Imported(());

/// The image of an established context.
pub(crate) fn export(session: &Session, flags: ExportFlags) -> Result<ContextImage, Error> {
    let security = session.security.as_ref();
    // MS-NLMP section 3.4: the key stream goes on from message to message, and no part of it may serve
    // twice.
    if flags.contains(ExportFlags::RESET_NEW) && security.is_some_and(SessionSecurity::has_begun) {
        return Err(ContextError::KeyStreamUsed.into());
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
    image.text(&facts.user);
    image.text(&facts.domain);
    image.optional(facts.target.as_deref(), ImageWriter::text);
    image.text(&facts.server);
    image.i64(facts.start.total_microseconds());
    image.flag(facts.mic);
    image.bytes(&facts.target_info);
    image.flag(facts.guest);
    image.flag(facts.anonymous);
    for names in [&facts.groups, &facts.sids] {
        image.list(names.iter(), |image, name| image.text(name));
    }
    image.optional(session.session_key(), |image, key| image.raw(key.expose()));
    let positions = security.map(SessionSecurity::positions).transpose()?;
    for position in positions.iter().flatten() {
        write_position(&mut image, position);
    }
    Ok(ContextImage {
        bytes: image.finish(),
        only_copy: security.is_some(),
    })
}

/// The context of an image.
pub(crate) fn import(image: &SecretBytes) -> Result<Session, trihound_sspi::Error> {
    let mut image = ImageReader::new(image.expose(), FORMAT, VERSION)?;
    let facts = read_facts(&mut image)?;
    const KEY: &str = "the session key";
    let key = image.optional::<SessionKey, _>(KEY, |image| image.secret(KEY))?;
    let mut session = Session::new(facts, Standing::Imported(key, Imported(())))?;
    if let Some(security) = &mut session.security
        && security.signs()
    {
        let ours = read_position(&mut image)?;
        let peers = read_position(&mut image)?;
        security.go_to(ours, peers).map_err(sspi_error)?;
    }
    image.finish()?;
    Ok(session)
}

fn read_facts(image: &mut ImageReader<'_>) -> Result<Facts, ImageError> {
    let acceptor = image.flag("the role")?;
    let flags = NegotiateFlags::from_bits_retain(image.u32("the negotiated flags")?);
    let attributes = image.u32("the attributes")?;
    let mut text = |field| image.text(field).map(str::to_owned);
    let (user, domain) = (text("the client's name")?, text("the client's domain")?);
    const TARGET: &str = "the target name";
    let target = image.optional(TARGET, |image| image.text(TARGET).map(str::to_owned))?;
    let server = image.text("the server's name")?.to_owned();
    let start = Timestamp::from_microseconds(image.i64("the start")?);
    let mic = image.flag("whether there was a MIC")?;
    let target_info = image.bytes("the server's target information")?.to_vec();
    let guest = image.flag("whether the client is a guest")?;
    let anonymous = image.flag("whether the client is anonymous")?;
    let mut names = |field| {
        image.list(field, |image| {
            Ok::<_, ImageError>(image.text(field)?.to_owned())
        })
    };
    let (groups, sids) = (names("the client's groups")?, names("the client's SIDs")?);
    Ok(Facts {
        user,
        domain,
        target,
        server,
        start,
        flags,
        attributes: if acceptor {
            EstablishedAttributes::Acceptor(AcceptorAttributes::from_bits_retain(attributes))
        } else {
            EstablishedAttributes::Initiator(InitiatorAttributes::from_bits_retain(attributes))
        },
        mic,
        target_info,
        guest,
        anonymous,
        groups,
        sids,
    })
}

fn write_position(image: &mut ImageWriter, position: &TrackPosition) {
    image.u64(position.first);
    image.u64(position.next);
    image.flag(position.encrypted);
    image.optional(position.highest_sent, ImageWriter::u32);
    image.u64(position.sent_below);
    image.raw(position.stream.to_state().expose());
}

fn read_position(image: &mut ImageReader<'_>) -> Result<TrackPosition, ImageError> {
    const SENT: &str = "the highest datagram sent";
    const STREAM: &str = "the key stream";
    Ok(TrackPosition {
        first: image.u64("the first message's number")?,
        next: image.u64("the next message's number")?,
        encrypted: image.flag("whether messages were encrypted")?,
        highest_sent: image.optional(SENT, |image| image.u32(SENT))?,
        sent_below: image.u64("the datagrams sent")?,
        stream: {
            let state = image.secret::<RC4_STATE_LENGTH>(STREAM)?;
            Rc4Stream::from_state(state.expose()).ok_or(ImageError::Value {
                field: STREAM,
                reason: "it is no permutation of all bytes",
            })?
        },
    })
}
