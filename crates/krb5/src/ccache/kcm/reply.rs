//! Replies of the KCM protocol.

use super::super::{CacheError, Entry, unmarshal_credentials, unmarshal_principal};
use super::{ID_LENGTH, KcmError, MAX_IDS, MAX_REPLY, Operation, REPLY_HEADER, Status, Uuid};
use crate::name::Principal;
use crate::reader::{Order, Reader, Short};

/// How many bytes follow the header of a reply.
///
/// # Errors
///
/// [`KcmError::ReplyTooLong`]; [`KcmError::Refused`] where the status stands in the header, as sssd
/// has it for what it does not know, and nothing follows.
pub fn reply_length(operation: Operation, header: [u8; REPLY_HEADER]) -> Result<usize, KcmError> {
    let [a, b, c, d, e, f, g, h] = header;
    let (length, status) = (
        u32::from_be_bytes([a, b, c, d]),
        Status(i32::from_be_bytes([e, f, g, h])),
    );
    if status != Status(0) {
        return Err(KcmError::Refused { operation, status });
    }
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= MAX_REPLY)
        .ok_or(KcmError::ReplyTooLong { operation, length })
}

/// What followed the header of a reply, to be read as what was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    operation: Operation,
    body: &'a [u8],
}

impl<'a> Reply<'a> {
    /// Reads the operation's own status.
    ///
    /// # Errors
    ///
    /// [`KcmError::ReplyTooShort`], [`KcmError::Refused`].
    pub fn parse(operation: Operation, bytes: &'a [u8]) -> Result<Self, KcmError> {
        let (status, body) = bytes.split_first_chunk().ok_or(KcmError::ReplyTooShort {
            operation,
            what: "its status",
        })?;
        let status = Status(i32::from_be_bytes(*status));
        if status != Status(0) {
            return Err(KcmError::Refused { operation, status });
        }
        Ok(Self { operation, body })
    }

    /// A name.
    ///
    /// # Errors
    ///
    /// [`KcmError::BadName`].
    pub fn name(&self) -> Result<String, KcmError> {
        let bad = || KcmError::BadName {
            operation: self.operation,
        };
        let end = self
            .body
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(bad)?;
        let name = self.body.get(..end).unwrap_or_default();
        match core::str::from_utf8(name) {
            // An empty name means the default cache, which a reply to the question for it cannot.
            Ok(name) if !name.is_empty() => Ok(name.to_owned()),
            _ => Err(bad()),
        }
    }

    /// A principal; `None` where Heimdal's daemon has a cache that was never initialised.
    ///
    /// # Errors
    ///
    /// [`KcmError::BadContent`].
    pub fn principal(&self) -> Result<Option<Principal>, KcmError> {
        if self.body.is_empty() {
            return Ok(None);
        }
        unmarshal_principal(self.body)
            .map(Some)
            .map_err(|error| self.bad(error))
    }

    /// Identifiers, to the end of the reply.
    ///
    /// # Errors
    ///
    /// [`KcmError::BadIdList`], [`KcmError::TooMany`].
    pub fn ids(&self) -> Result<Vec<Uuid>, KcmError> {
        let (ids, rest) = self.body.as_chunks::<ID_LENGTH>();
        if !rest.is_empty() {
            return Err(KcmError::BadIdList {
                operation: self.operation,
                length: self.body.len(),
            });
        }
        self.few(ids.len())?;
        Ok(ids.iter().copied().map(Uuid).collect())
    }

    /// A ticket or a setting.
    ///
    /// # Errors
    ///
    /// [`KcmError::BadContent`].
    pub fn entry(&self) -> Result<Entry, KcmError> {
        unmarshal_credentials(self.body).map_err(|error| self.bad(error))
    }

    /// Tickets and settings behind their number.
    ///
    /// # Errors
    ///
    /// [`KcmError::ReplyTooShort`], [`KcmError::TooMany`], [`KcmError::BadContent`].
    pub fn entries(&self) -> Result<Vec<Entry>, KcmError> {
        let mut reader = Reader::new(self.body, Order::Big);
        let count = reader.u32().map_err(self.cut("the number of tickets"))?;
        self.few(usize::try_from(count).unwrap_or(usize::MAX))?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let bytes = reader.counted32().map_err(self.cut("a ticket"))?;
            entries.push(unmarshal_credentials(bytes).map_err(|error| self.bad(error))?);
        }
        Ok(entries)
    }

    /// How far the KDC's clock is ahead, in seconds.
    ///
    /// # Errors
    ///
    /// [`KcmError::ReplyTooShort`].
    pub fn offset(&self) -> Result<i32, KcmError> {
        Reader::new(self.body, Order::Big)
            .i32()
            .map_err(self.cut("the time offset"))
    }

    fn few(&self, count: usize) -> Result<(), KcmError> {
        if count > MAX_IDS {
            return Err(KcmError::TooMany {
                operation: self.operation,
                count,
            });
        }
        Ok(())
    }

    fn bad(&self, error: CacheError) -> KcmError {
        KcmError::BadContent {
            operation: self.operation,
            error,
        }
    }

    fn cut(&self, what: &'static str) -> impl Fn(Short) -> KcmError {
        let operation = self.operation;
        move |_| KcmError::ReplyTooShort { operation, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Operation = Operation::GetCredList;

    fn with(body: &[u8]) -> Vec<u8> {
        [&[0; 4], body].concat()
    }

    #[test]
    fn headers_that_lie_or_refuse() {
        let header = |length: u32, status: i32| {
            let mut header = [0; REPLY_HEADER];
            header[..4].copy_from_slice(&length.to_be_bytes());
            header[4..].copy_from_slice(&status.to_be_bytes());
            reply_length(LIST, header)
        };
        assert_eq!(header(4, 0).unwrap(), 4);
        let long = header(0xffff_ffff, 0).unwrap_err();
        assert!(
            matches!(
                long,
                KcmError::ReplyTooLong {
                    length: u32::MAX,
                    ..
                }
            ),
            "{long}"
        );
        // sssd's answer to what it does not know.
        let unknown = header(0, -1_765_328_188).unwrap_err();
        assert!(
            unknown.is_unsupported() && !unknown.is_absent(),
            "{unknown}"
        );
        let quota = header(0, 122).unwrap_err();
        assert!(
            !quota.is_unsupported() && quota.to_string().contains("quota"),
            "{quota}"
        );
    }

    #[test]
    fn replies_that_end_early_or_are_rubbish() {
        let short = Reply::parse(LIST, &[0, 0, 0]).unwrap_err();
        assert!(matches!(short, KcmError::ReplyTooShort { .. }), "{short}");
        let absent = Reply::parse(LIST, &(-1_765_328_189_i32).to_be_bytes()).unwrap_err();
        assert!(absent.is_absent(), "{absent}");

        for name in [&b"no zero"[..], b"\0", b"\xff\0", b""] {
            let reply = with(name);
            let bad = Reply::parse(Operation::GenNew, &reply).unwrap().name();
            assert!(matches!(bad, Err(KcmError::BadName { .. })), "{bad:?}");
        }
        let uneven = with(&[0; 17]);
        let uneven = Reply::parse(LIST, &uneven).unwrap().ids();
        assert!(
            matches!(uneven, Err(KcmError::BadIdList { length: 17, .. })),
            "{uneven:?}"
        );
        let many = with(&vec![0; (MAX_IDS + 1) * ID_LENGTH]);
        let many = Reply::parse(LIST, &many).unwrap().ids();
        assert!(matches!(many, Err(KcmError::TooMany { .. })), "{many:?}");
        let counted = with(&[0xff; 4]);
        let counted = Reply::parse(LIST, &counted).unwrap().entries();
        assert!(
            matches!(counted, Err(KcmError::TooMany { .. })),
            "{counted:?}"
        );
        let cut = with(&[0, 0, 0, 1, 0, 0, 0, 9, 1]);
        let cut = Reply::parse(LIST, &cut).unwrap().entries();
        assert!(
            matches!(
                cut,
                Err(KcmError::ReplyTooShort {
                    what: "a ticket",
                    ..
                })
            ),
            "{cut:?}"
        );
        let damaged = with(&[1, 2, 3]);
        let damaged = Reply::parse(LIST, &damaged).unwrap();
        assert!(matches!(damaged.entry(), Err(KcmError::BadContent { .. })));
        assert!(matches!(
            damaged.principal(),
            Err(KcmError::BadContent { .. })
        ));
        assert!(matches!(
            damaged.offset(),
            Err(KcmError::ReplyTooShort { .. })
        ));
        let nothing = with(&[]);
        let nothing = Reply::parse(LIST, &nothing).unwrap();
        assert!(nothing.principal().unwrap().is_none());
        assert!(nothing.ids().unwrap().is_empty());
    }
}
