//! Reading the FILE format.

use std::sync::Arc;

use trihound_asn1::{AuthorizationDataElement, HostAddress, TicketFlags, name_type};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use super::{
    CacheError, ConfigEntry, CredentialCache, Entry, enctype_from_file, is_config_realm,
    is_removed_config_realm,
};
use crate::credentials::{Credentials, KeyMaterial};
use crate::name::Principal;
use crate::reader::{Order, Reader, Short};

pub(super) const FORMAT: u8 = 5;
pub(super) const VERSION_1: u8 = 1;
const VERSION_2: u8 = 2;
pub(super) const VERSION_3: u8 = 3;
pub(super) const VERSION_4: u8 = 4;

/// Header tag of the time offset: seconds and microseconds, 32 bits each.
pub(super) const TAG_DELTA_TIME: u16 = 1;

/// How a file's records are written: the versions 1 and 2 are in the order of some machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) version: u8,
    pub(super) order: Order,
}

impl Encoding {
    /// What new files, keyrings and daemons have.
    pub(super) const CURRENT: Self = Self {
        version: VERSION_4,
        order: Order::Big,
    };
}

/// The two bytes in front of what a [`Parser`] reads of a file.
const VERSION_LENGTH: usize = 2;

/// The most components that a name in a file may have. Those of people and services have one to three;
/// without a bound, four bytes of a file would take ten times as many of memory.
pub(super) const MAX_NAME_COMPONENTS: u32 = 32;

/// The most addresses, and elements of authorization data, that a ticket's record may have. Machines
/// have some dozen addresses; the reason is that of [`MAX_NAME_COMPONENTS`].
pub(super) const MAX_LIST: u32 = 256;

/// The largest record that a writer may have been killed in. Tickets with the groups of a large domain
/// have 64 KiB, and a record may hold two.
const MAX_RECORD: usize = 1 << 20;

/// A file's content, and where in the file it stands.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) cache: CredentialCache,
    pub(super) encoding: Encoding,
    /// Where the tickets are, in the order of `cache.credentials`.
    pub(super) tickets: Vec<Place>,
    /// Where the settings are, in the order of `cache.config`.
    pub(super) config: Vec<Place>,
    /// Where the value of the time offset is.
    pub(super) time_offset: Option<usize>,
    /// Up to where the file is whole.
    pub(super) end: usize,
}

/// Where in a file the parts of a record are that mark it as removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The four times.
    pub(super) times: usize,
    /// The second of the times, as it stands there.
    pub(super) starttime: [u8; 4],
    /// The text of the server's realm.
    pub(super) server_realm: usize,
}

/// Whether a last record that is not all there is an error, or is left away: it is what remains
/// when a writer was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutRecord {
    Refuse,
    Leave,
}

pub(super) fn parse(bytes: &[u8], cut_record: CutRecord) -> Result<Content, CacheError> {
    match bytes {
        [FORMAT, version @ (VERSION_1 | VERSION_2), body @ ..] => {
            let other = match Order::NATIVE {
                Order::Big => Order::Little,
                Order::Little => Order::Big,
            };
            let parse = |order, cut_record| parse_body(body, *version, order, cut_record);
            // The wrong order makes a small count a large one, which is not what is wrong with the file.
            let told = |native, foreign| match native {
                CacheError::TooMany { .. } => foreign,
                _ => native,
            };
            // An order in which the whole file makes sense is the right one; only where neither
            // does may a record be cut short.
            parse(Order::NATIVE, CutRecord::Refuse).or_else(|native| {
                let foreign = match parse(other, CutRecord::Refuse) {
                    Err(_) if cut_record == CutRecord::Leave => {
                        return parse(Order::NATIVE, cut_record).or_else(|native| {
                            parse(other, cut_record).map_err(|foreign| told(native, foreign))
                        });
                    }
                    result => result,
                };
                foreign.map_err(|foreign| told(native, foreign))
            })
        }
        [FORMAT, version @ (VERSION_3 | VERSION_4), body @ ..] => {
            parse_body(body, *version, Order::Big, cut_record)
        }
        _ => Err(CacheError::UnknownVersion {
            found: bytes.iter().take(2).copied().collect(),
        }),
    }
}

fn parse_body(
    body: &[u8],
    version: u8,
    order: Order,
    cut_record: CutRecord,
) -> Result<Content, CacheError> {
    let encoding = Encoding { version, order };
    let mut parser = Parser::new(body, encoding, VERSION_LENGTH);
    let (time_offset, time_offset_at) = match version {
        VERSION_4 => parser.header()?.unzip(),
        _ => (None, None),
    };
    let mut cache = CredentialCache::new(parser.principal("the default principal")?);
    cache.version = version;
    cache.time_offset = time_offset;
    let mut content = Content {
        cache,
        encoding,
        tickets: Vec::new(),
        config: Vec::new(),
        time_offset: time_offset_at,
        end: parser.offset(),
    };
    while !parser.reader.is_empty() {
        match parser.record() {
            Ok((Entry::Removed, _)) => {}
            Ok((Entry::Config(entry), place)) => {
                content.cache.config.push(entry);
                content.config.push(place);
            }
            Ok((Entry::Ticket(credentials), place)) => {
                content.cache.credentials.push(Arc::from(credentials));
                content.tickets.push(place);
            }
            Err(CacheError::Truncated { what, needed, .. }) if cut_record == CutRecord::Leave => {
                let start = content.end.saturating_sub(VERSION_LENGTH);
                let tail = body.get(start..).unwrap_or_default();
                if let Some(evidence) = contradicts_cut(tail, needed, encoding) {
                    return Err(CacheError::BrokenRecord {
                        offset: content.end,
                        what,
                        evidence,
                    });
                }
                break;
            }
            Err(error) => return Err(error),
        }
        content.end = parser.offset();
    }
    Ok(content)
}

/// Why the bytes behind the last whole record cannot be the beginning of one whose writer was killed:
/// what such a writer wrote is right, as far as it goes, and nothing follows it.
fn contradicts_cut(tail: &[u8], needed: usize, encoding: Encoding) -> Option<&'static str> {
    if tail.len() > MAX_RECORD || needed > MAX_RECORD {
        return Some("it would be larger than any ticket");
    }
    // Whatever length of the broken record lies, the records behind it are where they were.
    let mut behind = (1..tail.len()).filter_map(|start| tail.get(start..));
    let follows = behind.any(|bytes| is_record(bytes, encoding));
    follows.then_some("whole records follow it")
}

/// Whether bytes begin with a record that makes sense: chance, and the zeros in a ticket, give names
/// without a realm.
fn is_record(bytes: &[u8], encoding: Encoding) -> bool {
    let named = |principal: &Principal| {
        !principal.realm.is_empty() && principal.components().any(|part| !part.is_empty())
    };
    let mut parser = Parser::new(bytes, encoding, 0);
    if !parser.principal("").is_ok_and(|client| named(&client)) {
        return false;
    }
    let (Ok(server), Ok(key)) = (parser.principal(""), parser.key()) else {
        return false;
    };
    let is_setting = is_config_realm(&server.realm) || is_removed_config_realm(&server.realm);
    // Of these two a setting has no key, and a ticket has one.
    let makes_sense = named(&server) && (is_setting || !key.expose().is_empty());
    makes_sense && Parser::new(bytes, encoding, 0).record().is_ok()
}

/// Reads one thing that stands alone, in a keyring or a message.
pub(super) fn alone<T>(
    bytes: &[u8],
    what: &'static str,
    read: impl FnOnce(&mut Parser<'_>) -> Result<T, CacheError>,
) -> Result<T, CacheError> {
    let mut parser = Parser::new(bytes, Encoding::CURRENT, 0);
    let value = read(&mut parser)?;
    match parser.reader.remaining() {
        0 => Ok(value),
        extra => Err(CacheError::TrailingBytes { what, extra }),
    }
}

pub(super) struct Parser<'a> {
    reader: Reader<'a>,
    version: u8,
    /// Where the reader's first byte stands in the file.
    base: usize,
}

impl<'a> Parser<'a> {
    fn new(bytes: &'a [u8], encoding: Encoding, base: usize) -> Self {
        Self {
            reader: Reader::new(bytes, encoding.order),
            version: encoding.version,
            base,
        }
    }

    fn offset(&self) -> usize {
        self.reader.offset().saturating_add(self.base)
    }

    fn cut(&self, what: &'static str) -> impl Fn(Short) -> CacheError + use<> {
        let base = self.base;
        move |short| CacheError::Truncated {
            what,
            offset: short.offset.saturating_add(base),
            needed: short.needed,
        }
    }

    fn bounded(
        &self,
        what: &'static str,
        offset: usize,
        count: u32,
        limit: u32,
    ) -> Result<(), CacheError> {
        if count > limit {
            return Err(CacheError::TooMany {
                what,
                offset,
                count,
                limit,
            });
        }
        Ok(())
    }

    /// The time offset, and where it stands.
    fn header(&mut self) -> Result<Option<(i64, usize)>, CacheError> {
        let short = self.cut("the header");
        let length = self.reader.u16().map_err(&short)?;
        let mut header = self.reader.sub(usize::from(length)).map_err(&short)?;
        let mut offset = None;
        while !header.is_empty() {
            let tag = header.u16().map_err(&short)?;
            let length = header.u16().map_err(&short)?;
            let mut field = header.sub(usize::from(length)).map_err(&short)?;
            // MIT doc formats/ccache: unknown tags are to be ignored.
            if tag == TAG_DELTA_TIME {
                let at = field.offset().saturating_add(self.base);
                let seconds = field.i32().map_err(&short)?;
                let microseconds = field.i32().map_err(&short)?;
                let total = i64::from(seconds)
                    .saturating_mul(1_000_000)
                    .saturating_add(i64::from(microseconds));
                offset = Some((total, at));
            }
        }
        Ok(offset)
    }

    pub(super) fn principal(&mut self, what: &'static str) -> Result<Principal, CacheError> {
        self.placed_principal(what).map(|(principal, _)| principal)
    }

    /// A principal, and where its realm stands.
    fn placed_principal(&mut self, what: &'static str) -> Result<(Principal, usize), CacheError> {
        let short = self.cut(what);
        let name_type = if self.version == VERSION_1 {
            name_type::NT_UNKNOWN
        } else {
            self.reader.i32().map_err(&short)?
        };
        let at = self.offset();
        let mut count = self.reader.u32().map_err(&short)?;
        if self.version == VERSION_1 {
            // MIT doc formats/ccache: version 1 counts the realm among the components.
            count = count
                .checked_sub(1)
                .ok_or(CacheError::NoRealm { offset: at })?;
        }
        self.bounded("the components of a name", at, count, MAX_NAME_COMPONENTS)?;
        let realm = self.reader.counted32().map_err(&short)?;
        let realm_at = self.offset().saturating_sub(realm.len());
        let mut components = Vec::new();
        for _ in 0..count {
            components.push(self.reader.counted32().map_err(&short)?);
        }
        Ok((Principal::new(realm, name_type, components), realm_at))
    }

    pub(super) fn record(&mut self) -> Result<(Entry, Place), CacheError> {
        let client = self.principal("a ticket's client")?;
        let (server, server_realm) = self.placed_principal("a ticket's server")?;
        let session_key = self.key()?;
        let short = self.cut("a ticket's times and flags");
        let times = self.offset();
        let authtime = self.reader.u32().map_err(&short)?;
        let starttime = self.reader.u32().map_err(&short)?;
        let endtime = self.reader.u32().map_err(&short)?;
        let renew_till = self.reader.u32().map_err(&short)?;
        let is_skey = self.reader.u8().map_err(&short)? != 0;
        let flags = self.reader.u32().map_err(&short)?;
        let addresses = self.addresses()?;
        let authdata = self.authdata()?;
        let ticket = self.reader.counted32().map_err(self.cut("a ticket"))?;
        let ticket = ticket.to_vec();
        let second_ticket = self
            .reader
            .counted32()
            .map_err(self.cut("a second ticket"))?
            .to_vec();
        let place = Place {
            times,
            starttime: self.reader.order().u32(starttime),
            server_realm,
        };
        if is_config_realm(&server.realm) {
            let data = ticket;
            return Ok((Entry::Config(ConfigEntry { server, data }), place));
        }
        // MIT gives a removed ticket an end at 0 and an authentication at -1, Heimdal the former
        // alone; one that never had a time was not removed. Of settings both change the realm.
        let is_removed = endtime == 0 && authtime != 0;
        if is_removed || is_removed_config_realm(&server.realm) {
            return Ok((Entry::Removed, place));
        }
        let time = |seconds: u32| Timestamp::from_seconds(i64::from(seconds));
        let optional = |seconds: u32| (seconds != 0).then(|| time(seconds));
        let credentials = Credentials {
            client,
            server,
            session_key,
            ticket,
            flags: TicketFlags::from_bits_retain(flags),
            authtime: time(authtime),
            starttime: optional(starttime),
            endtime: time(endtime),
            renew_till: optional(renew_till),
            addresses,
            authdata,
            is_skey,
            second_ticket,
        };
        Ok((Entry::Ticket(Box::new(credentials)), place))
    }

    fn key(&mut self) -> Result<KeyMaterial, CacheError> {
        let short = self.cut("a session key");
        let enctype = self.reader.i16().map_err(&short)?;
        if self.version == VERSION_3 {
            // MIT doc formats/ccache: version 3 has the encryption type twice.
            self.reader.i16().map_err(&short)?;
        }
        let bytes = self.reader.counted32().map_err(&short)?;
        Ok(KeyMaterial::new(
            enctype_from_file(enctype),
            SecretBytes::from(bytes),
        ))
    }

    fn typed_data(&mut self, what: &'static str) -> Result<Vec<(i32, &'a [u8])>, CacheError> {
        let short = self.cut(what);
        let at = self.offset();
        let count = self.reader.u32().map_err(&short)?;
        self.bounded(what, at, count, MAX_LIST)?;
        let mut items = Vec::new();
        for _ in 0..count {
            let number = i32::from(self.reader.i16().map_err(&short)?);
            items.push((number, self.reader.counted32().map_err(&short)?));
        }
        Ok(items)
    }

    fn addresses(&mut self) -> Result<Vec<HostAddress>, CacheError> {
        let items = self.typed_data("a ticket's addresses")?;
        Ok(items
            .into_iter()
            .map(|(addr_type, address)| HostAddress {
                addr_type,
                address: address.to_vec().into(),
            })
            .collect())
    }

    fn authdata(&mut self) -> Result<Vec<AuthorizationDataElement>, CacheError> {
        let items = self.typed_data("a ticket's authorization data")?;
        Ok(items
            .into_iter()
            .map(|(ad_type, ad_data)| AuthorizationDataElement {
                ad_type,
                ad_data: ad_data.to_vec().into(),
            })
            .collect())
    }
}
