//! The plain image of a context: what ExportSecurityContext writes and ImportSecurityContext reads.
//!
//! An image begins with four bytes that name its package's format and a version, and has its numbers in
//! little-endian order. Between the package and the sealer it is a secret: a context's keys are in it.
//! Where it is read it is a stranger's bytes all the same, since whoever has the sealer's key could have
//! written it: each field is held against what is left, and each value against what it may be.
//!
//! ```
//! use trihound_sspi::image::{ImageError, ImageReader, ImageWriter};
//!
//! let mut writer = ImageWriter::new(*b"TOY ", 1);
//! writer.text("alice");
//! writer.u64(7);
//! let image = writer.finish();
//!
//! let mut reader = ImageReader::new(image.expose(), *b"TOY ", 1)?;
//! assert_eq!(reader.text("the client's name")?, "alice");
//! assert_eq!(reader.u64("the sequence number")?, 7);
//! reader.finish()?;
//! # Ok::<(), ImageError>(())
//! ```

use thiserror::Error;
use trihound_secret::{SecretArray, SecretBytes};

use crate::{Error, SecurityStatus};

/// What a package gives of a context that is exported.
#[derive(Debug)]
pub struct ContextImage {
    /// The plain image.
    pub bytes: SecretBytes,
    /// Whether the context may live in one place only: its messages are under a key stream, which two
    /// copies would use twice over. The context that was exported is then gone once the image is sealed,
    /// also without [`crate::ExportFlags::DELETE_OLD`].
    pub only_copy: bool,
}

/// The bytes are not an image, or not one that can be read here.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageError {
    /// It ends within a field.
    #[error("the image ends within {field}: {needed} bytes belong there and {left} are left")]
    Truncated {
        /// What the field says.
        field: &'static str,
        /// Its length in bytes.
        needed: usize,
        /// How many bytes there are.
        left: usize,
    },
    /// It goes on behind its last field.
    #[error("{extra} bytes follow the end of the image; it is of another version than it says")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },
    /// It is of another package, or nothing of the kind.
    #[error(
        "the image begins with {found:02x?} and not with {expected:02x?}; import it into the package that \
         it was exported from"
    )]
    OtherFormat {
        /// The format's four bytes.
        expected: [u8; 4],
        /// What is there.
        found: [u8; 4],
    },
    /// It is of another version of the format.
    #[error(
        "the image is of version {found} of its format and this program reads {known}; contexts go between \
         programs of one release"
    )]
    OtherVersion {
        /// The version that can be read.
        known: u16,
        /// The image's.
        found: u16,
    },
    /// A value that its field cannot have.
    #[error("{field} of the image cannot be what it is: {reason}")]
    Value {
        /// What the field says.
        field: &'static str,
        /// Which rule it breaks.
        reason: &'static str,
    },
}

impl ImageError {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> SecurityStatus {
        match self {
            Self::Truncated { .. }
            | Self::TrailingBytes { .. }
            | Self::OtherFormat { .. }
            | Self::OtherVersion { .. }
            | Self::Value { .. } => SecurityStatus::SEC_E_INVALID_TOKEN,
        }
    }
}

impl From<ImageError> for Error {
    fn from(error: ImageError) -> Self {
        Self::from_source(error.status(), error)
    }
}

/// Writes an image. Memory that it outgrows is wiped.
#[derive(Debug)]
pub struct ImageWriter {
    bytes: SecretBytes,
    length: usize,
}

/// Room for most images; others grow.
const ROOM: usize = 1024;

impl ImageWriter {
    /// An image of this format and version.
    #[must_use]
    pub fn new(format: [u8; 4], version: u16) -> Self {
        let mut writer = Self {
            bytes: SecretBytes::zeroed(ROOM),
            length: 0,
        };
        writer.raw(&format);
        writer.raw(&version.to_le_bytes());
        writer
    }

    /// Bytes whose number the reader knows.
    pub fn raw(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if end > self.bytes.len() {
            let mut larger = SecretBytes::zeroed(end.saturating_mul(2));
            if let Some((front, _)) = larger.expose_mut().split_at_mut_checked(self.length) {
                front.copy_from_slice(self.written());
            }
            self.bytes = larger;
        }
        if let Some(place) = self.bytes.expose_mut().get_mut(self.length..end) {
            place.copy_from_slice(bytes);
        }
        self.length = end;
    }

    fn written(&self) -> &[u8] {
        self.bytes.expose().get(..self.length).unwrap_or_default()
    }

    /// A number of one byte.
    pub fn u8(&mut self, value: u8) {
        self.raw(&[value]);
    }

    /// Yes or no.
    pub fn flag(&mut self, value: bool) {
        self.u8(value.into());
    }

    /// A number of four bytes.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    /// A number of four bytes with a sign.
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_le_bytes());
    }

    /// A number of eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// A number of eight bytes with a sign.
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_le_bytes());
    }

    /// Bytes behind their number. More than 4 GiB cannot be said, and are cut.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let cut = usize::try_from(length).unwrap_or(usize::MAX);
        self.u32(length);
        self.raw(bytes.get(..cut).unwrap_or(bytes));
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Something that may be missing.
    pub fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// A list behind the number of its elements.
    pub fn list<T>(
        &mut self,
        values: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        self.u32(count);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        values.take(count).for_each(|value| write(self, value));
    }

    /// The image.
    #[must_use]
    pub fn finish(mut self) -> SecretBytes {
        self.bytes.truncate(self.length);
        self.bytes
    }
}

/// Reads an image, field by field in the order in which they were written.
///
/// `field` of each method says what is read, as an error's text has it: `the client's name`.
#[derive(Clone, Copy)]
pub struct ImageReader<'a> {
    rest: &'a [u8],
}

impl core::fmt::Debug for ImageReader<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ImageReader({} bytes left)", self.rest.len())
    }
}

impl<'a> ImageReader<'a> {
    /// An image of this format and version.
    ///
    /// # Errors
    ///
    /// [`ImageError::OtherFormat`], [`ImageError::OtherVersion`], [`ImageError::Truncated`].
    pub fn new(image: &'a [u8], format: [u8; 4], version: u16) -> Result<Self, ImageError> {
        let mut reader = Self { rest: image };
        let found = reader.array("its format")?;
        if found != format {
            return Err(ImageError::OtherFormat {
                expected: format,
                found,
            });
        }
        let found = u16::from_le_bytes(reader.array("its version")?);
        if found != version {
            return Err(ImageError::OtherVersion {
                known: version,
                found,
            });
        }
        Ok(reader)
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    ///
    /// [`ImageError::Truncated`].
    pub fn raw(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], ImageError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.truncated(length, field));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn truncated(&self, needed: usize, field: &'static str) -> ImageError {
        ImageError::Truncated {
            field,
            needed,
            left: self.rest.len(),
        }
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    ///
    /// [`ImageError::Truncated`].
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ImageError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated(N, field));
        };
        self.rest = rest;
        Ok(*taken)
    }

    /// The next `N` bytes, which are a secret.
    ///
    /// # Errors
    ///
    /// [`ImageError::Truncated`].
    pub fn secret<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<SecretArray<N>, ImageError> {
        let bytes = self.raw(N, field)?;
        let mut secret = SecretArray::from([0; N]);
        secret.expose_mut().copy_from_slice(bytes);
        Ok(secret)
    }

    /// A number of one byte.
    ///
    /// # Errors
    ///
    /// [`ImageError::Truncated`].
    pub fn u8(&mut self, field: &'static str) -> Result<u8, ImageError> {
        self.array(field).map(u8::from_le_bytes)
    }

    /// Yes or no.
    ///
    /// # Errors
    ///
    /// [`ImageError::Truncated`]; [`ImageError::Value`] for anything but 0 and 1.
    pub fn flag(&mut self, field: &'static str) -> Result<bool, ImageError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(ImageError::Value {
                field,
                reason: "it is neither 0 nor 1",
            }),
        }
    }

    /// A number of four bytes.
    ///
    /// # Errors
    ///
    /// [`ImageError::Truncated`].
    pub fn u32(&mut self, field: &'static str) -> Result<u32, ImageError> {
        self.array(field).map(u32::from_le_bytes)
    }

    /// A number of four bytes with a sign.
    ///
    /// # Errors
    ///
    /// [`ImageError::Truncated`].
    pub fn i32(&mut self, field: &'static str) -> Result<i32, ImageError> {
        self.array(field).map(i32::from_le_bytes)
    }

    /// A number of eight bytes.
    ///
    /// # Errors
    ///
    /// [`ImageError::Truncated`].
    pub fn u64(&mut self, field: &'static str) -> Result<u64, ImageError> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// A number of eight bytes with a sign.
    ///
    /// # Errors
    ///
    /// [`ImageError::Truncated`].
    pub fn i64(&mut self, field: &'static str) -> Result<i64, ImageError> {
        self.array(field).map(i64::from_le_bytes)
    }

    /// Bytes behind their number.
    ///
    /// # Errors
    ///
    /// [`ImageError::Truncated`].
    pub fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], ImageError> {
        let length = self.u32(field)?;
        self.raw(usize::try_from(length).unwrap_or(usize::MAX), field)
    }

    /// A text.
    ///
    /// # Errors
    ///
    /// [`ImageError::Truncated`]; [`ImageError::Value`] for what is no UTF-8.
    pub fn text(&mut self, field: &'static str) -> Result<&'a str, ImageError> {
        core::str::from_utf8(self.bytes(field)?).map_err(|_| ImageError::Value {
            field,
            reason: "it is no UTF-8",
        })
    }

    /// Something that may be missing.
    ///
    /// # Errors
    ///
    /// Those of `read`; [`ImageError::Truncated`], [`ImageError::Value`].
    pub fn optional<T, E: From<ImageError>>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        if self.flag(field)? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A list behind the number of its elements. Memory is taken as they come: each has to be at least one byte.
    ///
    /// # Errors
    ///
    /// Those of `read`; [`ImageError::Truncated`], also where there are fewer bytes left than elements.
    pub fn list<T, E: From<ImageError>>(
        &mut self,
        field: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        let count = usize::try_from(self.u32(field)?).unwrap_or(usize::MAX);
        // A count that cannot be true is refused before the work that it asks for.
        if count > self.rest.len() {
            return Err(self.truncated(count, field).into());
        }
        (0..count).map(|_| read(self)).collect()
    }

    /// The end, which has to be here.
    ///
    /// # Errors
    ///
    /// [`ImageError::TrailingBytes`].
    pub fn finish(self) -> Result<(), ImageError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(ImageError::TrailingBytes {
            extra: self.rest.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: [u8; 4] = *b"TEST";

    fn image() -> SecretBytes {
        let mut writer = ImageWriter::new(FORMAT, 3);
        writer.u8(200);
        writer.flag(true);
        writer.u32(0x0102_0304);
        writer.i32(-2);
        writer.u64(u64::MAX - 1);
        writer.i64(i64::MIN);
        writer.text("grüß");
        writer.optional(Some(b"x".as_slice()), ImageWriter::bytes);
        writer.optional(None, ImageWriter::bytes);
        writer.list(["a", "bc"].iter(), |writer, text| writer.text(text));
        writer.finish()
    }

    fn read(image: &[u8]) -> Result<(), ImageError> {
        let mut reader = ImageReader::new(image, FORMAT, 3)?;
        assert_eq!(reader.u8("a")?, 200);
        reader.flag("b")?;
        reader.u32("c")?;
        assert_eq!(reader.i32("d")?, -2);
        assert_eq!(reader.u64("e")?, u64::MAX - 1);
        assert_eq!(reader.i64("f")?, i64::MIN);
        assert_eq!(reader.text("g")?, "grüß");
        let some = reader.optional("h", |reader| reader.bytes("h"))?;
        assert_eq!(some, Some(b"x".as_slice()));
        assert_eq!(reader.optional("i", |reader| reader.bytes("i"))?, None);
        assert_eq!(reader.list("j", |reader| reader.text("k"))?, ["a", "bc"]);
        reader.finish()
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(read(image().expose()), Ok(()));
    }

    #[test]
    fn an_image_that_was_cut_says_where() {
        let whole = image();
        for length in 0..whole.len() {
            let cut = whole.expose().get(..length).unwrap();
            let outcome = read(cut);
            assert!(
                matches!(outcome, Err(ImageError::Truncated { needed, left, .. }) if left < needed),
                "{length}: {outcome:?}"
            );
        }
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let whole = image().expose().to_vec();
        let with = |at: usize, value: u8| {
            let mut bytes = whole.clone();
            bytes[at] = value;
            read(&bytes).unwrap_err()
        };
        let other = ImageError::OtherFormat {
            expected: FORMAT,
            found: *b"TESt",
        };
        assert_eq!(with(3, b't'), other);
        let other = ImageError::OtherVersion { known: 3, found: 4 };
        assert_eq!(with(4, 4), other);
        let neither = ImageError::Value {
            field: "b",
            reason: "it is neither 0 nor 1",
        };
        assert_eq!(with(7, 2), neither);
        let no_text = ImageError::Value {
            field: "g",
            reason: "it is no UTF-8",
        };
        assert_eq!(with(38, 0xff), no_text);
        let mut longer = whole.clone();
        longer.push(0);
        let extra = ImageError::TrailingBytes { extra: 1 };
        assert_eq!(read(&longer), Err(extra));
    }

    #[test]
    fn a_count_that_cannot_be_true_is_refused_at_once() {
        let mut writer = ImageWriter::new(FORMAT, 3);
        writer.u32(u32::MAX);
        let image = writer.finish();
        let mut reader = ImageReader::new(image.expose(), FORMAT, 3).unwrap();
        let list = reader.list("j", |reader| reader.u8("an element"));
        let refused = ImageError::Truncated {
            field: "j",
            needed: u32::MAX as usize,
            left: 0,
        };
        assert_eq!(list, Err(refused));
    }

    #[test]
    fn an_image_grows_beyond_its_first_room() {
        let mut writer = ImageWriter::new(FORMAT, 1);
        let long = vec![7; 3 * ROOM];
        writer.u8(1);
        writer.bytes(&long);
        writer.bytes(&long);
        let image = writer.finish();
        assert_eq!(image.len(), 7 + 2 * (4 + long.len()));
        let mut reader = ImageReader::new(image.expose(), FORMAT, 1).unwrap();
        assert_eq!(reader.u8("a"), Ok(1));
        assert_eq!(reader.bytes("b").unwrap(), long);
        assert_eq!(reader.bytes("c").unwrap(), long);
    }
}
