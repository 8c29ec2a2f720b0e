//! Writing the FILE format's records, in any of its versions.

use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use super::format::{
    Encoding, FORMAT, MAX_LIST, MAX_NAME_COMPONENTS, TAG_DELTA_TIME, VERSION_1, VERSION_3,
    VERSION_4,
};
use super::{CacheError, ConfigEntry, CredentialCache};
use crate::credentials::Credentials;
use crate::name::Principal;
use crate::reader::Order;

pub(super) const DELTA_TIME_LENGTH: u16 = 8;

/// Measured first and written then: a buffer that grew would leave keys behind.
pub(super) fn to_secret(
    encoding: Encoding,
    write: impl Fn(&mut Writer) -> Result<(), CacheError>,
) -> Result<SecretBytes, CacheError> {
    let mut measure = Writer {
        encoding,
        out: Output::Length(0),
    };
    write(&mut measure)?;
    let length = match measure.out {
        Output::Length(length) => length,
        Output::Bytes(_) => 0,
    };
    let mut writer = Writer {
        encoding,
        out: Output::Bytes(Vec::with_capacity(length)),
    };
    write(&mut writer)?;
    match writer.out {
        Output::Bytes(bytes) => Ok(SecretBytes::from(bytes)),
        Output::Length(_) => Ok(SecretBytes::default()),
    }
}

enum Output {
    Length(usize),
    Bytes(Vec<u8>),
}

pub(super) struct Writer {
    encoding: Encoding,
    out: Output,
}

impl Writer {
    fn raw(&mut self, bytes: &[u8]) {
        match &mut self.out {
            Output::Length(length) => *length = length.saturating_add(bytes.len()),
            Output::Bytes(out) => out.extend_from_slice(bytes),
        }
    }

    fn u16(&mut self, number: u16) {
        self.raw(&match self.encoding.order {
            Order::Big => number.to_be_bytes(),
            Order::Little => number.to_le_bytes(),
        });
    }

    fn u32(&mut self, number: u32) {
        self.raw(&self.encoding.order.u32(number));
    }

    fn count(&mut self, count: usize, what: &'static str) -> Result<(), CacheError> {
        self.u32(u32::try_from(count).map_err(|_| CacheError::TooLong { what })?);
        Ok(())
    }

    /// What is written must be read again.
    fn list_count(&mut self, count: usize, what: &'static str) -> Result<(), CacheError> {
        if count > MAX_LIST as usize {
            return Err(CacheError::TooLong { what });
        }
        self.count(count, what)
    }

    fn counted(&mut self, bytes: &[u8], what: &'static str) -> Result<(), CacheError> {
        self.count(bytes.len(), what)?;
        self.raw(bytes);
        Ok(())
    }

    fn number(&mut self, number: i32, what: &'static str) -> Result<(), CacheError> {
        let number = i16::try_from(number).map_err(|_| CacheError::TooLong { what })?;
        self.u16(number.cast_unsigned());
        Ok(())
    }

    fn time(&mut self, time: Option<Timestamp>) {
        let seconds = time.map_or(0, Timestamp::seconds).max(0);
        self.u32(u32::try_from(seconds).unwrap_or(u32::MAX));
    }

    pub(super) fn principal(&mut self, principal: &Principal) -> Result<(), CacheError> {
        let what = "a principal name";
        let mut count = principal.components().count();
        if count > MAX_NAME_COMPONENTS as usize {
            return Err(CacheError::TooLong { what });
        }
        if self.encoding.version == VERSION_1 {
            // MIT doc formats/ccache: version 1 counts the realm among the components.
            count = count.saturating_add(1);
        } else {
            self.u32(principal.name.name_type.cast_unsigned());
        }
        self.count(count, what)?;
        self.counted(principal.realm.as_bytes(), what)?;
        for component in principal.components() {
            self.counted(component, what)?;
        }
        Ok(())
    }

    fn enctype(&mut self, number: i32) -> Result<(), CacheError> {
        let what = "an encryption type";
        self.number(number, what)?;
        if self.encoding.version == VERSION_3 {
            // MIT doc formats/ccache: version 3 has the encryption type twice.
            self.number(number, what)?;
        }
        Ok(())
    }

    pub(super) fn config(
        &mut self,
        client: &Principal,
        entry: &ConfigEntry,
    ) -> Result<(), CacheError> {
        self.principal(client)?;
        self.principal(&entry.server)?;
        self.enctype(0)?;
        // A key of no length, four times, is-skey, flags, no addresses, no authorization data.
        self.raw(&[0; 4 + 16 + 1 + 4 + 4 + 4]);
        self.counted(&entry.data, "a setting")?;
        self.u32(0);
        Ok(())
    }

    pub(super) fn credential(&mut self, credentials: &Credentials) -> Result<(), CacheError> {
        self.principal(&credentials.client)?;
        self.principal(&credentials.server)?;
        let key = &credentials.session_key;
        self.enctype(key.enctype().0)?;
        self.counted(key.expose(), "a session key")?;
        self.time(Some(credentials.authtime));
        self.time(credentials.starttime);
        self.time(Some(credentials.endtime));
        self.time(credentials.renew_till);
        self.raw(&[u8::from(credentials.is_skey)]);
        self.u32(credentials.flags.bits());
        let what = "an address";
        self.list_count(credentials.addresses.len(), what)?;
        for address in &credentials.addresses {
            self.number(address.addr_type, what)?;
            self.counted(&address.address, what)?;
        }
        let what = "authorization data";
        self.list_count(credentials.authdata.len(), what)?;
        for element in &credentials.authdata {
            self.number(element.ad_type, what)?;
            self.counted(&element.ad_data, what)?;
        }
        self.counted(&credentials.ticket, "a ticket")?;
        self.counted(&credentials.second_ticket, "a second ticket")
    }

    /// A whole file of version 4.
    pub(super) fn cache(&mut self, cache: &CredentialCache) -> Result<(), CacheError> {
        self.raw(&[FORMAT, VERSION_4]);
        if let Some(offset) = cache.time_offset {
            self.u16(DELTA_TIME_LENGTH.saturating_add(4));
            self.u16(TAG_DELTA_TIME);
            self.u16(DELTA_TIME_LENGTH);
            self.raw(&delta_time(offset)?);
        } else {
            self.u16(0);
        }
        self.principal(&cache.principal)?;
        for entry in &cache.config {
            self.config(&cache.principal, entry)?;
        }
        for credentials in &cache.credentials {
            self.credential(credentials)?;
        }
        Ok(())
    }
}

/// The value of the header's time offset: seconds, and microseconds that are never negative.
pub(super) fn delta_time(microseconds: i64) -> Result<[u8; 8], CacheError> {
    let seconds =
        i32::try_from(microseconds.div_euclid(1_000_000)).map_err(|_| CacheError::TooLong {
            what: "the time offset",
        })?;
    let rest = i32::try_from(microseconds.rem_euclid(1_000_000)).unwrap_or_default();
    let mut value = [0; 8];
    let (head, tail) = value.split_at_mut(4);
    head.copy_from_slice(&seconds.to_be_bytes());
    tail.copy_from_slice(&rest.to_be_bytes());
    Ok(value)
}
