//! One question in the form of DNS messages, and the reading of what comes back. No sockets.

use core::time::Duration;

use hickory_proto::op::{Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{self, DNSClass, Name, RData};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use thiserror::Error;

use super::{Answer, Record, RecordType, ResolveError};

/// URI in the registry of record types (RFC 7553 section 7).
const URI: u16 = 256;
/// The longest chain of aliases that is followed.
const MAX_ALIASES: usize = 16;
/// How many records of an answer are looked at; a message of 64 KiB could have thousands.
const MAX_RECORDS: usize = 256;
/// The longest name as text (RFC 1035 section 2.3.4, less the lengths' overhead).
const MAX_NAME_LENGTH: usize = 253;

/// A question to a name server, with the identifier that its answer must repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    id: u16,
    name: Name,
    kind: RecordType,
}

/// What a name server said to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// An answer, which may be that there is nothing.
    Answer {
        /// What was found.
        answer: Answer,
        /// How long it may be remembered.
        lifetime: Duration,
    },
    /// The answer did not fit: ask again over TCP (RFC 1035 section 4.2.1).
    Truncated,
    /// The server could not or would not answer; the name of its response code.
    Failed(String),
}

/// Why a message is no reply to the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// Another identifier, another question, or no response at all: not to be taken for the
    /// answer, whoever sent it (RFC 5452 section 9.1).
    #[error("the message does not answer the question")]
    NotOurs,
    /// The message cannot be read.
    #[error("the message is not one of DNS")]
    Malformed,
}

impl Question {
    /// A question for `name`, complete and with or without its last dot. `id` is to be random.
    ///
    /// # Errors
    ///
    /// [`ResolveError::NotAName`].
    pub fn new(name: &str, kind: RecordType, id: u16) -> Result<Self, ResolveError> {
        let wrong = || ResolveError::NotAName(name.to_owned());
        let text = name.strip_suffix('.').unwrap_or(name);
        if text.is_empty() || text.len() > MAX_NAME_LENGTH || !is_host_text(text) {
            return Err(wrong());
        }
        let mut name =
            Name::from_labels(text.split('.').map(str::as_bytes)).map_err(|_| wrong())?;
        name.set_fqdn(true);
        Ok(Self { id, name, kind })
    }

    /// The message to send, without the length that TCP has in front.
    ///
    /// # Errors
    ///
    /// [`ResolveError::NotAName`], should the name not fit a message.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ResolveError> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(self.name.clone(), wire_type(self.kind)));
        message
            .to_vec()
            .map_err(|_| ResolveError::NotAName(self.name.to_ascii()))
    }

    /// Reads what came back.
    ///
    /// # Errors
    ///
    /// [`ReplyError`]; such a message is to be passed over, and the wait goes on.
    pub fn read(&self, bytes: &[u8]) -> Result<Reply, ReplyError> {
        let mut decoder = BinDecoder::new(bytes);
        let header = Header::read(&mut decoder).map_err(|_| ReplyError::Malformed)?;
        let metadata = header.metadata;
        // RFC 5452 section 9.1: the ID and the question MUST match before anything is believed.
        if metadata.id != self.id
            || metadata.message_type != MessageType::Response
            || metadata.op_code != OpCode::Query
        {
            return Err(ReplyError::NotOurs);
        }
        let found = metadata.response_code == ResponseCode::NoError;
        let refused = !found && metadata.response_code != ResponseCode::NXDomain;
        match header.counts.queries {
            // A server that could not read the question cannot repeat it.
            0 if refused => {}
            1 => {
                let query = Query::read(&mut decoder).map_err(|_| ReplyError::Malformed)?;
                // RFC 5452 section 9.1: name, type and class of the question section.
                if !query.name().eq_ignore_root(&self.name)
                    || query.query_type() != wire_type(self.kind)
                    || query.query_class() != DNSClass::IN
                {
                    return Err(ReplyError::NotOurs);
                }
            }
            _ => return Err(ReplyError::NotOurs),
        }
        if refused {
            return Ok(Reply::Failed(metadata.response_code.to_string()));
        }
        if metadata.truncation {
            return Ok(Reply::Truncated);
        }
        let message = Message::from_vec(bytes).map_err(|_| ReplyError::Malformed)?;
        Ok(self.answer(&message))
    }

    /// Follows the aliases from the name asked for to the records.
    fn answer(&self, message: &Message) -> Reply {
        let all = message.answers.iter().take(MAX_RECORDS);
        let ours = || {
            all.clone()
                .filter(|record| record.dns_class == DNSClass::IN)
        };
        let mut name = &self.name;
        let mut lifetime = u32::MAX;
        for _ in 0..MAX_ALIASES {
            let alias = ours().find_map(|record| match &record.data {
                RData::CNAME(target) if record.name.eq_ignore_root(name) => {
                    Some((&target.0, record.ttl))
                }
                _ => None,
            });
            let Some((target, ttl)) = alias else { break };
            lifetime = lifetime.min(sane(ttl));
            name = target;
        }
        let mut records = Vec::new();
        for record in ours().filter(|record| record.name.eq_ignore_root(name)) {
            if let Some(data) = read_record(self.kind, &record.data) {
                lifetime = lifetime.min(sane(record.ttl));
                records.push(data);
            }
        }
        if records.is_empty() {
            lifetime = lifetime.min(negative_lifetime(message));
        }
        Reply::Answer {
            answer: Answer {
                name: host_text(name).unwrap_or_default(),
                records,
            },
            lifetime: Duration::from_secs(u64::from(lifetime)),
        }
    }
}

/// RFC 2181 section 8: a TTL with its top bit set is to be treated as zero.
fn sane(ttl: u32) -> u32 {
    if i32::try_from(ttl).is_ok() { ttl } else { 0 }
}

/// RFC 2308 section 5: nothing is remembered for as long as the SOA record says, and not at all
/// without one.
fn negative_lifetime(message: &Message) -> u32 {
    message
        .authorities
        .iter()
        .take(MAX_RECORDS)
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(sane(record.ttl).min(sane(soa.minimum))),
            _ => None,
        })
        .unwrap_or(0)
}

fn wire_type(kind: RecordType) -> rr::RecordType {
    match kind {
        RecordType::Srv => rr::RecordType::SRV,
        RecordType::Uri => rr::RecordType::Unknown(URI),
        RecordType::A => rr::RecordType::A,
        RecordType::Aaaa => rr::RecordType::AAAA,
        RecordType::Ptr => rr::RecordType::PTR,
        RecordType::Txt => rr::RecordType::TXT,
    }
}

/// A record of the type asked for; `None` for others, and for one that names no possible host.
fn read_record(kind: RecordType, data: &RData) -> Option<Record> {
    match (kind, data) {
        (RecordType::Srv, RData::SRV(srv)) => Some(Record::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: host_text(&srv.target)?,
        }),
        (RecordType::Uri, RData::Unknown { code, rdata }) if u16::from(*code) == URI => {
            let (priority, rest) = rdata.anything.split_first_chunk::<2>()?;
            let (weight, target) = rest.split_first_chunk::<2>()?;
            let target = core::str::from_utf8(target).ok()?;
            Some(Record::Uri {
                priority: u16::from_be_bytes(*priority),
                weight: u16::from_be_bytes(*weight),
                target: is_plain(target).then(|| target.to_owned())?,
            })
        }
        (RecordType::A, RData::A(address)) => Some(Record::Address(address.0.into())),
        (RecordType::Aaaa, RData::AAAA(address)) => Some(Record::Address(address.0.into())),
        (RecordType::Ptr, RData::PTR(name)) => Some(Record::Ptr(host_text(&name.0)?)),
        (RecordType::Txt, RData::TXT(text)) => {
            let joined: Vec<u8> = text.txt_data.iter().flatten().copied().collect();
            let text = String::from_utf8(joined).ok()?;
            is_plain(&text).then_some(Record::Txt(text))
        }
        _ => None,
    }
}

/// The name as text; `None` if it has labels that no host has, such as one with a dot inside.
fn host_text(name: &Name) -> Option<String> {
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        let label = core::str::from_utf8(label).ok()?;
        if label.contains('.') || !is_host_text(label) {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(&label.to_ascii_lowercase());
    }
    Some(text)
}

/// Labels of letters, digits, `-` and `_` (the last for services and for what deployed hosts have).
fn is_host_text(text: &str) -> bool {
    text.split('.').all(|label| !label.is_empty())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Visible ASCII without spaces, as URIs and names of realms in DNS are.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}
