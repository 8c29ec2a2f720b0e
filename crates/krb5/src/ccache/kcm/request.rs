//! Requests of the KCM protocol.

use trihound_crypto::Enctype;
use trihound_secret::SecretBytes;

use super::super::{
    CacheError, ConfigEntry, CredentialCache, marshal_config, marshal_credentials,
    marshal_principal,
};
use super::{KcmError, MAX_REPLY, Operation, Uuid};
use crate::credentials::Credentials;
use crate::name::Principal;

const VERSION: [u8; 2] = [2, 0];

/// Parts that a tag names, and how the named ones are compared: Heimdal's numbers.
const HAS_CLIENT: u32 = 0x0001;
const HAS_SERVER: u32 = 0x0002;
const HAS_SESSION_KEY: u32 = 0x0004;
const MATCH_KEYTYPE: u32 = 1 << 30;
const MATCH_IS_SKEY: u32 = 1 << 22;

/// Which tickets to remove.
#[derive(Clone, Copy, Debug)]
pub struct Tag<'a> {
    /// The client, compared whole.
    pub client: &'a Principal,
    /// The service, compared whole.
    pub server: &'a Principal,
    /// Only those whose session key is of this type, and that are or are not encrypted in a session
    /// key; `None` for all.
    pub kind: Option<(Enctype, bool)>,
}

impl<'a> Tag<'a> {
    /// The tickets that `new` makes superfluous ([`CredentialCache::replaces`]).
    #[must_use]
    pub fn replaced_by(new: &'a Credentials) -> Self {
        Self {
            client: &new.client,
            server: &new.server,
            kind: Some((new.session_key.enctype(), new.is_skey)),
        }
    }

    /// A setting of the cache of `client`.
    #[must_use]
    pub fn of_config(client: &'a Principal, entry: &'a ConfigEntry) -> Self {
        Self {
            client,
            server: &entry.server,
            kind: None,
        }
    }
}

/// A request with its parameters.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Request<'a> {
    /// A fresh name.
    GenNew,
    /// Empties a cache or makes a new one.
    Initialize(&'a str, &'a Principal),
    /// Removes a cache.
    Destroy(&'a str),
    /// Adds a ticket.
    Store(&'a str, &'a Credentials),
    /// Adds a setting to the cache of a client.
    StoreConfig(&'a str, &'a Principal, &'a ConfigEntry),
    /// The client of a cache.
    GetPrincipal(&'a str),
    /// What the tickets of a cache are identified by.
    GetCredUuidList(&'a str),
    /// One ticket.
    GetCredByUuid(&'a str, Uuid),
    /// Removes tickets.
    RemoveCred(&'a str, Tag<'a>),
    /// What the caches of the user are identified by.
    GetCacheUuidList,
    /// The name of a cache.
    GetCacheByUuid(Uuid),
    /// The name of the user's default cache, whether or not there is one of that name.
    GetDefaultCache,
    /// Makes a cache the default one; no daemon checks that there is one of that name.
    SetDefaultCache(&'a str),
    /// How far the KDC's clock is ahead, in seconds.
    GetKdcOffset(&'a str),
    /// Notes how far the KDC's clock is ahead, in seconds.
    SetKdcOffset(&'a str, i32),
    /// All tickets of a cache.
    GetCredList(&'a str),
    /// Puts a whole cache in the place of another.
    Replace(&'a str, &'a CredentialCache),
}

impl Request<'_> {
    /// What is asked for.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::GenNew => Operation::GenNew,
            Self::Initialize(..) => Operation::Initialize,
            Self::Destroy(..) => Operation::Destroy,
            Self::Store(..) | Self::StoreConfig(..) => Operation::Store,
            Self::GetPrincipal(..) => Operation::GetPrincipal,
            Self::GetCredUuidList(..) => Operation::GetCredUuidList,
            Self::GetCredByUuid(..) => Operation::GetCredByUuid,
            Self::RemoveCred(..) => Operation::RemoveCred,
            Self::GetCacheUuidList => Operation::GetCacheUuidList,
            Self::GetCacheByUuid(..) => Operation::GetCacheByUuid,
            Self::GetDefaultCache => Operation::GetDefaultCache,
            Self::SetDefaultCache(..) => Operation::SetDefaultCache,
            Self::GetKdcOffset(..) => Operation::GetKdcOffset,
            Self::SetKdcOffset(..) => Operation::SetKdcOffset,
            Self::GetCredList(..) => Operation::GetCredList,
            Self::Replace(..) => Operation::Replace,
        }
    }

    /// The bytes for the daemon's socket, the length in front included.
    ///
    /// # Errors
    ///
    /// [`KcmError::NameWithZero`], [`KcmError::RequestTooLong`], [`KcmError::Unwritable`].
    pub fn to_bytes(&self) -> Result<SecretBytes, KcmError> {
        let mut parts = Parts::new(self.operation());
        match *self {
            Self::GenNew | Self::GetCacheUuidList | Self::GetDefaultCache => {}
            Self::Destroy(name)
            | Self::GetPrincipal(name)
            | Self::GetCredUuidList(name)
            | Self::GetKdcOffset(name)
            | Self::GetCredList(name)
            | Self::SetDefaultCache(name) => parts.name(name)?,
            Self::Initialize(name, principal) => {
                parts.name(name)?;
                parts.principal(principal)?;
            }
            Self::Store(name, credentials) => {
                parts.name(name)?;
                parts.content(marshal_credentials(credentials))?;
            }
            Self::StoreConfig(name, client, entry) => {
                parts.name(name)?;
                parts.content(marshal_config(client, entry))?;
            }
            Self::GetCredByUuid(name, id) => {
                parts.name(name)?;
                parts.plain(&id.0);
            }
            Self::GetCacheByUuid(id) => parts.plain(&id.0),
            Self::RemoveCred(name, tag) => {
                parts.name(name)?;
                parts.tag(&tag)?;
            }
            Self::SetKdcOffset(name, seconds) => {
                parts.name(name)?;
                parts.plain(&seconds.to_be_bytes());
            }
            Self::Replace(name, cache) => {
                parts.name(name)?;
                parts.cache(cache)?;
            }
        }
        parts.join()
    }
}

/// How far the KDC's clock is ahead, in the protocol's whole seconds.
#[must_use]
pub fn offset_in_seconds(microseconds: i64) -> i32 {
    let seconds = microseconds
        .saturating_add(500_000)
        .div_euclid(1_000_000)
        .clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    i32::try_from(seconds).unwrap_or_default()
}

/// The parts of a request, put together in one piece: a buffer that grew would leave keys behind.
struct Parts {
    operation: Operation,
    parts: Vec<SecretBytes>,
}

impl Parts {
    fn new(operation: Operation) -> Self {
        let mut parts = Self {
            operation,
            parts: Vec::new(),
        };
        parts.plain(&VERSION);
        parts.plain(&(operation as u16).to_be_bytes());
        parts
    }

    fn plain(&mut self, bytes: &[u8]) {
        self.parts.push(SecretBytes::from(bytes));
    }

    fn name(&mut self, name: &str) -> Result<(), KcmError> {
        if name.contains('\0') {
            return Err(KcmError::NameWithZero {
                name: name.to_owned(),
            });
        }
        self.plain(name.as_bytes());
        self.plain(&[0]);
        Ok(())
    }

    fn content(&mut self, written: Result<SecretBytes, CacheError>) -> Result<(), KcmError> {
        self.parts
            .push(written.map_err(|error| KcmError::Unwritable {
                operation: self.operation,
                error,
            })?);
        Ok(())
    }

    fn principal(&mut self, principal: &Principal) -> Result<(), KcmError> {
        self.content(marshal_principal(principal).map(SecretBytes::from))
    }

    fn tag(&mut self, tag: &Tag<'_>) -> Result<(), KcmError> {
        let (flags, named) = match tag.kind {
            Some(_) => (MATCH_KEYTYPE | MATCH_IS_SKEY, HAS_SESSION_KEY),
            None => (0, 0),
        };
        self.plain(&flags.to_be_bytes());
        self.plain(&(HAS_CLIENT | HAS_SERVER | named).to_be_bytes());
        self.principal(tag.client)?;
        self.principal(tag.server)?;
        if let Some((enctype, _)) = tag.kind {
            let number = i16::try_from(enctype.0).map_err(|_| CacheError::TooLong {
                what: "an encryption type",
            });
            self.content(number.map(|number| SecretBytes::from(&number.to_be_bytes()[..])))?;
            // The key itself is not compared.
            self.plain(&0_u32.to_be_bytes());
        }
        // Four times, which are not compared, whether it is in a session key, and the flags.
        self.plain(&[0; 16]);
        self.plain(&[u8::from(tag.kind.is_some_and(|(_, is_skey)| is_skey))]);
        self.plain(&[0; 4]);
        Ok(())
    }

    fn cache(&mut self, cache: &CredentialCache) -> Result<(), KcmError> {
        let offset = offset_in_seconds(cache.time_offset.unwrap_or_default());
        self.plain(&offset.to_be_bytes());
        self.principal(&cache.principal)?;
        self.count(cache.config.len().saturating_add(cache.credentials.len()))?;
        for entry in &cache.config {
            self.counted(marshal_config(&cache.principal, entry))?;
        }
        for credentials in &cache.credentials {
            self.counted(marshal_credentials(credentials))?;
        }
        Ok(())
    }

    fn count(&mut self, count: usize) -> Result<(), KcmError> {
        let number = u32::try_from(count).map_err(|_| self.too_long(count))?;
        self.plain(&number.to_be_bytes());
        Ok(())
    }

    fn counted(&mut self, written: Result<SecretBytes, CacheError>) -> Result<(), KcmError> {
        self.count(written.as_ref().map_or(0, SecretBytes::len))?;
        self.content(written)
    }

    fn too_long(&self, length: usize) -> KcmError {
        KcmError::RequestTooLong {
            operation: self.operation,
            length,
        }
    }

    fn join(self) -> Result<SecretBytes, KcmError> {
        let length = self.parts.iter().map(SecretBytes::len).sum::<usize>();
        let announced = u32::try_from(length)
            .ok()
            .filter(|_| length <= MAX_REPLY)
            .ok_or_else(|| self.too_long(length))?;
        let mut out = Vec::with_capacity(length.saturating_add(4));
        out.extend_from_slice(&announced.to_be_bytes());
        for part in &self.parts {
            out.extend_from_slice(part.expose());
        }
        Ok(SecretBytes::from(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use trihound_asn1::TicketFlags;
    use trihound_sansio::Timestamp;

    use super::super::super::Entry;
    use super::super::Reply;
    use crate::credentials::KeyMaterial;

    const LIST: Operation = Operation::GetCredList;

    fn alice() -> Principal {
        Principal::parse("alice@R", None).unwrap()
    }

    fn ticket(server: &str) -> Credentials {
        Credentials {
            client: alice(),
            server: Principal::parse(server, None).unwrap(),
            session_key: KeyMaterial::new(Enctype(18), SecretBytes::from(&[7; 32][..])),
            ticket: b"ticket".to_vec(),
            flags: TicketFlags::INITIAL,
            authtime: Timestamp::from_seconds(1000),
            starttime: None,
            endtime: Timestamp::from_seconds(2000),
            renew_till: None,
            addresses: Vec::new(),
            authdata: Vec::new(),
            is_skey: false,
            second_ticket: Vec::new(),
        }
    }

    fn bytes(request: Request<'_>) -> Vec<u8> {
        request.to_bytes().unwrap().expose().to_vec()
    }

    #[test]
    fn requests_begin_with_length_version_and_operation() {
        assert_eq!(bytes(Request::GetDefaultCache), [0, 0, 0, 4, 2, 0, 0, 20],);
        assert_eq!(
            bytes(Request::SetKdcOffset("0:1", -2)),
            b"\0\0\0\x0c\x02\0\0\x170:1\0\xff\xff\xff\xfe",
        );
        assert_eq!(bytes(Request::GetCredList("a"))[4..8], [2, 0, 0x32, 0xc9]);
        assert_eq!(
            bytes(Request::Initialize("a", &alice())),
            b"\0\0\0\x1c\x02\0\0\x04a\0\0\0\0\x01\0\0\0\x01\0\0\0\x01R\0\0\0\x05alice",
        );
    }

    /// Heimdal's matching credential: what it names, then only that, then times, is-skey and flags.
    #[test]
    fn a_tag_names_client_server_and_kind() {
        let (client, server) = (alice(), Principal::parse("h@R", None).unwrap());
        let all = Tag {
            client: &client,
            server: &server,
            kind: None,
        };
        let names = b"\0\0\0\x01\0\0\0\x01\0\0\0\x01R\0\0\0\x05alice\0\0\0\x01\0\0\0\x01\0\0\0\x01R\0\0\0\x01h";
        let mut expected = b"\x02\0\0\x0bc\0\0\0\0\0\0\0\0\x03".to_vec();
        expected.extend_from_slice(names);
        expected.extend_from_slice(&[0; 21]);
        assert_eq!(bytes(Request::RemoveCred("c", all))[4..], expected);

        let kind = Tag {
            kind: Some((Enctype(18), true)),
            ..all
        };
        let mut expected = b"\x02\0\0\x0bc\0\x40\x40\0\0\0\0\0\x07".to_vec();
        expected.extend_from_slice(names);
        expected.extend_from_slice(b"\0\x12\0\0\0\0");
        expected.extend_from_slice(&[0; 16]);
        expected.extend_from_slice(&[1, 0, 0, 0, 0]);
        assert_eq!(bytes(Request::RemoveCred("c", kind))[4..], expected);
    }

    #[test]
    fn a_whole_cache_is_its_offset_client_and_counted_entries() {
        let mut cache = CredentialCache::new(alice());
        cache.time_offset = Some(-1_600_000);
        cache.set_config("pa_type", None, Some(b"2"));
        cache.store(Arc::new(ticket("h@R")));
        let request = bytes(Request::Replace("c", &cache));
        // What REPLACE sends behind offset and client is what GET_CRED_LIST brings.
        let start = 4 + 4 + 2 + 4 + marshal_principal(&alice()).unwrap().len();
        assert_eq!(request[10..14], (-2_i32).to_be_bytes());
        let reply = [&[0; 4], &request[start..]].concat();
        let entries = Reply::parse(LIST, &reply).unwrap().entries().unwrap();
        assert!(
            matches!(&entries[..], [Entry::Config(config), Entry::Ticket(ticket)]
                if config.key() == b"pa_type" && ticket.server.to_string() == "h@R"),
            "{entries:?}"
        );
    }

    #[test]
    fn what_cannot_be_asked_is_not() {
        let zero = Request::Destroy("a\0b").to_bytes().unwrap_err();
        assert!(matches!(zero, KcmError::NameWithZero { .. }), "{zero}");
        let mut big = ticket("h@R");
        big.ticket = vec![0; MAX_REPLY];
        let long = Request::Store("a", &big).to_bytes().unwrap_err();
        assert!(
            matches!(long, KcmError::RequestTooLong { operation: Operation::Store, length } if length > MAX_REPLY),
            "{long}"
        );
        big.ticket.clear();
        big.session_key = KeyMaterial::new(Enctype(70_000), SecretBytes::default());
        let wide = Request::Store("a", &big).to_bytes().unwrap_err();
        assert!(matches!(wide, KcmError::Unwritable { .. }), "{wide}");
        let wide = Request::RemoveCred("a", Tag::replaced_by(&big)).to_bytes();
        assert!(matches!(wide, Err(KcmError::Unwritable { .. })), "{wide:?}");
    }

    #[test]
    fn offsets_are_whole_seconds() {
        for (microseconds, seconds) in [
            (0, 0),
            (-7_000_000, -7),
            (1_499_999, 1),
            (1_500_000, 2),
            (-1_600_000, -2),
            (i64::MAX, i32::MAX),
            (i64::MIN, i32::MIN),
        ] {
            assert_eq!(offset_in_seconds(microseconds), seconds);
        }
    }
}
