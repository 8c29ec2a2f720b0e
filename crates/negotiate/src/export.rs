//! ExportSecurityContext and ImportSecurityContext: the image of an established context.
//!
//! ```text
//! "THXS" version(2) package negotiation(1) target? image
//! ```
//!
//! The last is the mechanism's own image, which its package reads; texts and byte strings have their
//! length before them (4).

use trihound_secret::SecretBytes;
use trihound_sspi::image::{ContextImage, ImageError, ImageReader, ImageWriter};
use trihound_sspi::{Error as SspiError, ExportFlags, NegotiationState, SecurityFunctionTable};

use crate::context::Session;
use crate::error::{ApiMisuse, sspi_error};

const FORMAT: [u8; 4] = *b"THXS";
const VERSION: u16 = 1;

/// Proof that a session comes out of an image: the mechanism was chosen elsewhere, and whoever opened the
/// seal answers for it.
#[derive(Debug)]
pub(crate) struct Imported(());

/// The image of an established context.
pub(crate) fn export(
    session: &Session,
    mechanisms: &SecurityFunctionTable,
    flags: ExportFlags,
) -> Result<ContextImage, SspiError> {
    let inner = mechanisms.export_image(session.handle(), flags)?;
    let mut image = ImageWriter::new(FORMAT, VERSION);
    image.text(&session.package.name);
    image.flag(session.negotiation == NegotiationState::Direct);
    image.optional(session.target.as_deref(), ImageWriter::text);
    image.bytes(inner.bytes.expose());
    Ok(ContextImage {
        bytes: image.finish(),
        only_copy: inner.only_copy,
    })
}

/// The context of an image.
pub(crate) fn import(
    image: &SecretBytes,
    mechanisms: &SecurityFunctionTable,
) -> Result<Session, SspiError> {
    let mut image = ImageReader::new(image.expose(), FORMAT, VERSION)?;
    let package = image.text("the mechanism's package")?;
    let negotiation = if image.flag("whether there was no negotiation")? {
        NegotiationState::Direct
    } else {
        NegotiationState::Complete
    };
    const TARGET: &str = "the target name";
    let target = image.optional::<_, ImageError>(TARGET, |image| image.text(TARGET))?;
    let inner = SecretBytes::from(image.bytes("the mechanism's image")?);
    image.finish()?;
    let info = mechanisms.query_security_package_info(package)?;
    // What cannot be negotiated was not chosen.
    if mechanisms.mechanism(package)?.is_none() {
        return Err(sspi_error(ApiMisuse::NotAMechanism {
            package: package.to_owned(),
            reason: "it has no object identifier, and the image of a negotiated context names it",
        }));
    }
    let context = mechanisms.import_image(package, &inner)?;
    let handle = mechanisms.own_context(context)?;
    let target = target.map(str::to_owned);
    Session::imported(mechanisms, handle, info, negotiation, target, Imported(()))
}
