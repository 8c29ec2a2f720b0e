//! Writes PACs and NDR, the reverse of what is tested, with room for every fault.

use trihound_asn1::{
    AuthorizationData, AuthorizationDataElement, EncTicketPart, Message, TicketFlags,
    TransitedEncoding, ad_type,
};
use trihound_crypto::{Key, KeyUsage};
use trihound_krb5::pac::{FileTime, PacBufferType, Sid, UnverifiedPac};

use crate::small_kdc::*;

pub(super) const USER: u32 = 1104;
pub(super) const USAGE: KeyUsage = KeyUsage::KERB_NON_KERB_CKSUM_SALT;

pub(super) fn domain() -> Sid {
    Sid::new(5, &[21, 1_000, 2_000, 3_000]).unwrap()
}

pub(super) fn user() -> Sid {
    domain().member(USER).unwrap()
}

/// An NDR stream: fixed parts and what pointers name in the order of the calls.
#[derive(Default)]
pub(super) struct Ndr {
    bytes: Vec<u8>,
    pointers: u32,
}

impl Ndr {
    fn align(mut self, size: usize) -> Self {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(size), 0);
        self
    }

    pub(super) fn u16(self, number: u16) -> Self {
        let mut this = self.align(2);
        this.bytes.extend(number.to_le_bytes());
        this
    }

    pub(super) fn u32(self, number: u32) -> Self {
        let mut this = self.align(4);
        this.bytes.extend(number.to_le_bytes());
        this
    }

    pub(super) fn u64(self, number: u64) -> Self {
        let mut this = self.align(8);
        this.bytes.extend(number.to_le_bytes());
        this
    }

    pub(super) fn words(self, words: &[u32]) -> Self {
        words.iter().fold(self, |this, word| this.u32(*word))
    }

    pub(super) fn file_time(self, time: u64) -> Self {
        self.u32(time as u32).u32((time >> 32) as u32)
    }

    pub(super) fn pointer(mut self) -> Self {
        self.pointers += 4;
        let referent = 0x0002_0000 + self.pointers;
        self.u32(referent)
    }

    pub(super) fn null(self) -> Self {
        self.u32(0)
    }

    pub(super) fn string_header(self, text: &str) -> Self {
        let length = (text.encode_utf16().count() * 2) as u16;
        self.u16(length).u16(length).pointer()
    }

    pub(super) fn string(self, text: &str) -> Self {
        let count = text.encode_utf16().count() as u32;
        let this = self.words(&[count, 0, count]);
        text.encode_utf16().fold(this, Self::u16)
    }

    pub(super) fn sid(self, sid: &Sid) -> Self {
        let mut this = self.u32(sid.sub_authorities().len() as u32);
        this.bytes.extend(sid.to_bytes());
        this
    }

    /// With the headers of type serialization in front, and a pointer to it all.
    pub(super) fn serialized(self) -> Vec<u8> {
        let body = self.align(8).bytes;
        let mut all = vec![0x01, 0x10, 0x08, 0x00, 0xcc, 0xcc, 0xcc, 0xcc];
        all.extend((body.len() as u32).to_le_bytes());
        all.extend([0; 4]);
        all.extend(body);
        all
    }
}

/// What of KERB_VALIDATION_INFO the tests vary.
#[derive(Clone)]
pub(super) struct Logon {
    pub(super) user_id: u32,
    pub(super) user_flags: u32,
    pub(super) groups: Vec<u32>,
    /// The count in the fixed part, if it is not the array's.
    pub(super) group_count: Option<u32>,
    pub(super) extra: Vec<Sid>,
    pub(super) resource: Vec<u32>,
}

impl Default for Logon {
    fn default() -> Self {
        Self {
            user_id: USER,
            user_flags: 0x220,
            groups: vec![513, 1120],
            group_count: None,
            extra: vec![Sid::new(18, &[1]).unwrap()],
            resource: vec![2200],
        }
    }
}

pub(super) fn resource_domain() -> Sid {
    Sid::new(5, &[21, 7, 8, 9]).unwrap()
}

impl Logon {
    pub(super) fn write(&self) -> Vec<u8> {
        let names = ["alice", "Alice Example", "", "", "", ""];
        let count = |list: &[u32]| list.len() as u32;
        let mut ndr = Ndr::default().pointer();
        for time in [100, u64::MAX >> 1, u64::MAX >> 1, 200, 300, u64::MAX >> 1] {
            ndr = ndr.file_time(time);
        }
        for name in names {
            ndr = ndr.string_header(name);
        }
        ndr = ndr.u16(7).u16(1).words(&[self.user_id, 513]);
        ndr = ndr
            .u32(self.group_count.unwrap_or(count(&self.groups)))
            .pointer()
            .u32(self.user_flags)
            .words(&[0; 4])
            .string_header("DC1")
            .string_header("TEST")
            .pointer()
            .words(&[0, 0, 0x210, 0, 0, 0, 0, 0, 0, 0]);
        ndr = ndr.u32(self.extra.len() as u32).pointer().pointer();
        ndr = ndr.u32(count(&self.resource)).pointer();
        for name in names {
            ndr = ndr.string(name);
        }
        let memberships = |ndr: Ndr, list: &[u32]| {
            list.iter()
                .fold(ndr.u32(count(list)), |ndr, id| ndr.words(&[*id, 7]))
        };
        ndr = memberships(ndr, &self.groups)
            .string("DC1")
            .string("TEST")
            .sid(&domain())
            .u32(self.extra.len() as u32);
        for _ in &self.extra {
            ndr = ndr.pointer().u32(7);
        }
        for sid in &self.extra {
            ndr = ndr.sid(sid);
        }
        memberships(ndr.sid(&resource_domain()), &self.resource).serialized()
    }
}

pub(super) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

pub(super) fn client_info(seconds: i64, name: &str) -> Vec<u8> {
    let mut bytes = FileTime::from_seconds(seconds)
        .unwrap()
        .0
        .to_le_bytes()
        .to_vec();
    bytes.extend((wide(name).len() as u16).to_le_bytes());
    bytes.extend(wide(name));
    bytes
}

/// UPN_DNS_INFO with the extension.
pub(super) fn upn_dns_info(sid: &Sid) -> Vec<u8> {
    let parts = [
        wide("alice@test.example"),
        wide("TEST.EXAMPLE"),
        wide("alice"),
        sid.to_bytes(),
    ];
    let mut places = Vec::new();
    let mut tail = Vec::new();
    for part in parts {
        let offset = 24 + tail.len() as u16;
        places.push([(part.len() as u16).to_le_bytes(), offset.to_le_bytes()].concat());
        tail.extend(part);
        tail.resize(tail.len().next_multiple_of(8), 0);
    }
    let flags = 2u32.to_le_bytes().to_vec();
    places.insert(2, flags);
    places.push(vec![0; 4]);
    [places.concat(), tail].concat()
}

/// Buffers one behind the other, each on its boundary.
pub(super) fn pac(buffers: &[(PacBufferType, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = (buffers.len() as u32).to_le_bytes().to_vec();
    bytes.extend([0; 4]);
    let mut offset = 8 + 16 * buffers.len();
    for (kind, contents) in buffers {
        bytes.extend(kind.0.to_le_bytes());
        bytes.extend((contents.len() as u32).to_le_bytes());
        bytes.extend((offset as u64).to_le_bytes());
        offset = (offset + contents.len()).next_multiple_of(8);
    }
    for (_, contents) in buffers {
        bytes.extend(contents);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes
}

/// What goes into a ticket of alice, and with which keys it is signed.
pub(super) struct Issue {
    pub(super) server: Key,
    pub(super) kdc: Key,
    pub(super) buffers: Vec<(PacBufferType, Vec<u8>)>,
}

impl Issue {
    pub(super) fn new() -> Self {
        let (server, kdc) = (key(2, AES256), key(1, AES128));
        let empty = |key: &Key| {
            let mut bytes = key.required_checksum().0.to_le_bytes().to_vec();
            bytes.resize(4 + key.profile().checksum_length, 0);
            bytes
        };
        let buffers = vec![
            (PacBufferType::LOGON_INFO, Logon::default().write()),
            (PacBufferType::CLIENT_INFO, client_info(NOW, "alice")),
            (PacBufferType::UPN_DNS_INFO, upn_dns_info(&user())),
            (PacBufferType::REQUESTOR, user().to_bytes()),
            (
                PacBufferType::ATTRIBUTES,
                [2u32, 1].map(u32::to_le_bytes).concat(),
            ),
            (PacBufferType::SERVER_SIGNATURE, empty(&server)),
            (PacBufferType::KDC_SIGNATURE, empty(&kdc)),
            (PacBufferType::TICKET_SIGNATURE, empty(&kdc)),
            (PacBufferType::FULL_CHECKSUM, empty(&kdc)),
        ];
        Self {
            server,
            kdc,
            buffers,
        }
    }

    pub(super) fn set(mut self, kind: PacBufferType, contents: impl Into<Vec<u8>>) -> Self {
        let contents = contents.into();
        for buffer in &mut self.buffers {
            if buffer.0 == kind {
                buffer.1.clone_from(&contents);
            }
        }
        self
    }

    pub(super) fn without(mut self, kind: PacBufferType) -> Self {
        self.buffers.retain(|buffer| buffer.0 != kind);
        self
    }

    /// The PAC, each signature made in the order in which the later ones cover the earlier.
    pub(super) fn sign(&self) -> Vec<u8> {
        let mut bytes = pac(&self.buffers);
        let ticket = ticket(&[0]).to_der().unwrap();
        fill(
            &mut bytes,
            PacBufferType::TICKET_SIGNATURE,
            &self.kdc,
            &ticket,
        );
        // Whatever stands behind the KDC signature's type is zero while the others are made.
        let kdc = place(&bytes, PacBufferType::KDC_SIGNATURE).unwrap_or_default();
        let behind_type = bytes[kdc.clone()].to_vec();
        bytes[kdc.clone()].fill(0);
        for (kind, key) in [
            (PacBufferType::FULL_CHECKSUM, &self.kdc),
            (PacBufferType::SERVER_SIGNATURE, &self.server),
        ] {
            let unsigned = bytes.clone();
            fill(&mut bytes, kind, key, &unsigned);
        }
        bytes[kdc].copy_from_slice(&behind_type);
        let at = place(&bytes, PacBufferType::SERVER_SIGNATURE);
        let server = at.map(|at| bytes[at].to_vec()).unwrap_or_default();
        fill(&mut bytes, PacBufferType::KDC_SIGNATURE, &self.kdc, &server);
        bytes
    }
}

/// Where the checksum of a signature is.
pub(super) fn place(bytes: &[u8], kind: PacBufferType) -> Option<std::ops::Range<usize>> {
    let pac = UnverifiedPac::parse(bytes).unwrap();
    let found = pac
        .buffers()
        .iter()
        .find(|buffer| buffer.buffer_type == kind)?;
    let start = found.offset as usize + 4;
    Some(start..start - 4 + found.size as usize)
}

fn fill(bytes: &mut [u8], kind: PacBufferType, key: &Key, data: &[u8]) {
    let Some(place) = place(bytes, kind) else {
        return;
    };
    let checksum = key.checksum(USAGE, key.required_checksum(), data).unwrap();
    // A signature whose length was altered stays as it is.
    if place.len() >= checksum.len() {
        bytes[place.start..place.start + checksum.len()].copy_from_slice(&checksum);
    }
}

/// The encrypted part of a ticket of alice, with a PAC in it.
pub(super) fn ticket(pac: &[u8]) -> EncTicketPart {
    let pac = AuthorizationDataElement::new(ad_type::AD_WIN2K_PAC, pac.to_vec());
    let inner: AuthorizationData = vec![pac];
    let outer = AuthorizationDataElement::new(ad_type::AD_IF_RELEVANT, inner.to_der().unwrap());
    EncTicketPart {
        flags: TicketFlags::PRE_AUTHENT,
        key: wire(&key(9, AES256)),
        crealm: alice().realm,
        cname: alice().name,
        transited: TransitedEncoding {
            tr_type: 1,
            contents: Vec::new().into(),
        },
        authtime: time(NOW),
        starttime: None,
        endtime: time(NOW + 3600),
        renew_till: None,
        caddr: None,
        authorization_data: Some(vec![outer]),
    }
}
