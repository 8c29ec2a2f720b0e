//! The bytes of the FILE format.

use std::sync::Arc;

use trihound_asn1::{AuthorizationDataElement, HostAddress, TicketFlags, name_type};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use super::{CacheError, ConfigEntry, CredentialCache, enctype_from_file, is_config_realm};
use crate::credentials::{Credentials, KeyMaterial};
use crate::name::Principal;
use crate::reader::{Order, Reader, Short};

const FORMAT: u8 = 5;
const VERSION_1: u8 = 1;
const VERSION_2: u8 = 2;
const VERSION_3: u8 = 3;
pub(super) const VERSION_4: u8 = 4;

/// Header tag of the time offset: seconds and microseconds, 32 bits each.
const TAG_DELTA_TIME: u16 = 1;
const DELTA_TIME_LENGTH: u16 = 8;

/// MIT marks a removed ticket by an end at 0 and an authentication at -1.
const REMOVED_AUTHTIME: u32 = u32::MAX;

pub(super) fn parse(bytes: &[u8]) -> Result<CredentialCache, CacheError> {
    match bytes {
        [FORMAT, version @ (VERSION_1 | VERSION_2), body @ ..] => {
            let other = match Order::NATIVE {
                Order::Big => Order::Little,
                Order::Little => Order::Big,
            };
            let native = parse_body(body, *version, Order::NATIVE);
            native.or_else(|error| parse_body(body, *version, other).map_err(|_| error))
        }
        [FORMAT, version @ (VERSION_3 | VERSION_4), body @ ..] => {
            parse_body(body, *version, Order::Big)
        }
        _ => Err(CacheError::UnknownVersion {
            found: bytes.iter().take(2).copied().collect(),
        }),
    }
}

fn parse_body(body: &[u8], version: u8, order: Order) -> Result<CredentialCache, CacheError> {
    let mut parser = Parser {
        reader: Reader::new(body, order),
        version,
    };
    let time_offset = if version == VERSION_4 {
        parser.header()?
    } else {
        None
    };
    let mut cache = CredentialCache::new(parser.principal("the default principal")?);
    cache.version = version;
    cache.time_offset = time_offset;
    while !parser.reader.is_empty() {
        match parser.credential()? {
            Record::Removed => {}
            Record::Config(entry) => cache.config.push(entry),
            Record::Ticket(credentials) => cache.credentials.push(Arc::new(*credentials)),
        }
    }
    Ok(cache)
}

enum Record {
    Ticket(Box<Credentials>),
    Config(ConfigEntry),
    Removed,
}

struct Parser<'a> {
    reader: Reader<'a>,
    version: u8,
}

fn cut(what: &'static str) -> impl Fn(Short) -> CacheError {
    move |short| CacheError::Truncated {
        what,
        // The reader begins behind the two bytes of the version.
        offset: short.offset.saturating_add(2),
        needed: short.needed,
    }
}

impl<'a> Parser<'a> {
    fn header(&mut self) -> Result<Option<i64>, CacheError> {
        let short = cut("the header");
        let length = self.reader.u16().map_err(&short)?;
        let mut header = self.reader.sub(usize::from(length)).map_err(&short)?;
        let mut offset = None;
        while !header.is_empty() {
            let tag = header.u16().map_err(&short)?;
            let length = header.u16().map_err(&short)?;
            let mut field = header.sub(usize::from(length)).map_err(&short)?;
            // MIT doc formats/ccache: unknown tags are to be ignored.
            if tag == TAG_DELTA_TIME {
                let seconds = field.i32().map_err(&short)?;
                let microseconds = field.i32().map_err(&short)?;
                let total = i64::from(seconds)
                    .saturating_mul(1_000_000)
                    .saturating_add(i64::from(microseconds));
                offset = Some(total);
            }
        }
        Ok(offset)
    }

    fn principal(&mut self, what: &'static str) -> Result<Principal, CacheError> {
        let short = cut(what);
        let name_type = if self.version == VERSION_1 {
            name_type::NT_UNKNOWN
        } else {
            self.reader.i32().map_err(&short)?
        };
        let at = self.reader.offset();
        let mut count = self.reader.u32().map_err(&short)?;
        if self.version == VERSION_1 {
            // MIT doc formats/ccache: version 1 counts the realm among the components.
            count = count.checked_sub(1).ok_or(CacheError::NoRealm {
                offset: at.saturating_add(2),
            })?;
        }
        let realm = self.reader.counted32().map_err(&short)?;
        let mut components = Vec::new();
        for _ in 0..count {
            components.push(self.reader.counted32().map_err(&short)?);
        }
        Ok(Principal::new(realm, name_type, components))
    }

    fn credential(&mut self) -> Result<Record, CacheError> {
        let client = self.principal("a ticket's client")?;
        let server = self.principal("a ticket's server")?;
        let session_key = self.key()?;
        let short = cut("a ticket's times and flags");
        let authtime = self.reader.u32().map_err(&short)?;
        let starttime = self.reader.u32().map_err(&short)?;
        let endtime = self.reader.u32().map_err(&short)?;
        let renew_till = self.reader.u32().map_err(&short)?;
        let is_skey = self.reader.u8().map_err(&short)? != 0;
        let flags = self.reader.u32().map_err(&short)?;
        let addresses = self.addresses()?;
        let authdata = self.authdata()?;
        let ticket = self.reader.counted32().map_err(cut("a ticket"))?.to_vec();
        let second_ticket = self
            .reader
            .counted32()
            .map_err(cut("a second ticket"))?
            .to_vec();
        if is_config_realm(&server.realm) {
            return Ok(Record::Config(ConfigEntry {
                server,
                data: ticket,
            }));
        }
        if endtime == 0 && authtime == REMOVED_AUTHTIME {
            return Ok(Record::Removed);
        }
        let time = |seconds: u32| Timestamp::from_seconds(i64::from(seconds));
        let optional = |seconds: u32| (seconds != 0).then(|| time(seconds));
        Ok(Record::Ticket(Box::new(Credentials {
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
        })))
    }

    fn key(&mut self) -> Result<KeyMaterial, CacheError> {
        let short = cut("a session key");
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
        let short = cut(what);
        let count = self.reader.u32().map_err(&short)?;
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

pub(super) fn write(cache: &CredentialCache) -> Result<SecretBytes, CacheError> {
    // Measured first and written then: a buffer that grew would leave keys behind.
    let mut measure = Writer::Length(0);
    write_cache(&mut measure, cache)?;
    let length = match measure {
        Writer::Length(length) => length,
        Writer::Bytes(_) => 0,
    };
    let mut writer = Writer::Bytes(Vec::with_capacity(length));
    write_cache(&mut writer, cache)?;
    match writer {
        Writer::Bytes(bytes) => Ok(SecretBytes::from(bytes)),
        Writer::Length(_) => Ok(SecretBytes::default()),
    }
}

enum Writer {
    Length(usize),
    Bytes(Vec<u8>),
}

impl Writer {
    fn raw(&mut self, bytes: &[u8]) {
        match self {
            Self::Length(length) => *length = length.saturating_add(bytes.len()),
            Self::Bytes(out) => out.extend_from_slice(bytes),
        }
    }

    fn u32(&mut self, number: u32) {
        self.raw(&number.to_be_bytes());
    }

    fn count(&mut self, count: usize, what: &'static str) -> Result<(), CacheError> {
        self.u32(u32::try_from(count).map_err(|_| CacheError::TooLong { what })?);
        Ok(())
    }

    fn counted(&mut self, bytes: &[u8], what: &'static str) -> Result<(), CacheError> {
        self.count(bytes.len(), what)?;
        self.raw(bytes);
        Ok(())
    }

    fn number(&mut self, number: i32, what: &'static str) -> Result<(), CacheError> {
        let number = i16::try_from(number).map_err(|_| CacheError::TooLong { what })?;
        self.raw(&number.to_be_bytes());
        Ok(())
    }

    fn time(&mut self, time: Option<Timestamp>) {
        let seconds = time.map_or(0, Timestamp::seconds).max(0);
        self.u32(u32::try_from(seconds).unwrap_or(u32::MAX));
    }

    fn principal(&mut self, principal: &Principal) -> Result<(), CacheError> {
        let what = "a principal name";
        self.raw(&principal.name.name_type.to_be_bytes());
        self.count(principal.components().count(), what)?;
        self.counted(principal.realm.as_bytes(), what)?;
        for component in principal.components() {
            self.counted(component, what)?;
        }
        Ok(())
    }
}

fn write_cache(out: &mut Writer, cache: &CredentialCache) -> Result<(), CacheError> {
    out.raw(&[FORMAT, VERSION_4]);
    if let Some(offset) = cache.time_offset {
        let seconds =
            i32::try_from(offset.div_euclid(1_000_000)).map_err(|_| CacheError::TooLong {
                what: "the time offset",
            })?;
        let microseconds = i32::try_from(offset.rem_euclid(1_000_000)).unwrap_or_default();
        out.raw(&DELTA_TIME_LENGTH.saturating_add(4).to_be_bytes());
        out.raw(&TAG_DELTA_TIME.to_be_bytes());
        out.raw(&DELTA_TIME_LENGTH.to_be_bytes());
        out.raw(&seconds.to_be_bytes());
        out.raw(&microseconds.to_be_bytes());
    } else {
        out.raw(&[0, 0]);
    }
    out.principal(&cache.principal)?;
    for entry in &cache.config {
        write_config(out, &cache.principal, entry)?;
    }
    for credentials in &cache.credentials {
        write_credential(out, credentials)?;
    }
    Ok(())
}

fn write_config(
    out: &mut Writer,
    client: &Principal,
    entry: &ConfigEntry,
) -> Result<(), CacheError> {
    out.principal(client)?;
    out.principal(&entry.server)?;
    // Key of type and length 0, four times, is-skey, flags, no addresses, no authorization data.
    out.raw(&[0; 2 + 4 + 16 + 1 + 4 + 4 + 4]);
    out.counted(&entry.data, "a setting")?;
    out.u32(0);
    Ok(())
}

fn write_credential(out: &mut Writer, credentials: &Credentials) -> Result<(), CacheError> {
    out.principal(&credentials.client)?;
    out.principal(&credentials.server)?;
    let key = &credentials.session_key;
    out.number(key.enctype().0, "an encryption type")?;
    out.counted(key.expose(), "a session key")?;
    out.time(Some(credentials.authtime));
    out.time(credentials.starttime);
    out.time(Some(credentials.endtime));
    out.time(credentials.renew_till);
    out.raw(&[u8::from(credentials.is_skey)]);
    out.u32(credentials.flags.bits());
    let what = "an address";
    out.count(credentials.addresses.len(), what)?;
    for address in &credentials.addresses {
        out.number(address.addr_type, what)?;
        out.counted(&address.address, what)?;
    }
    let what = "authorization data";
    out.count(credentials.authdata.len(), what)?;
    for element in &credentials.authdata {
        out.number(element.ad_type, what)?;
        out.counted(&element.ad_data, what)?;
    }
    out.counted(&credentials.ticket, "a ticket")?;
    out.counted(&credentials.second_ticket, "a second ticket")
}
