//! What name servers answer: read without harm, and what comes out is bounded and plain.

use trihound_kdc_transport::{Question, Record, RecordType, Reply};

const KINDS: [RecordType; 6] = [
    RecordType::Srv,
    RecordType::Uri,
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Ptr,
    RecordType::Txt,
];
/// The bytes of a header in front of the question (RFC 1035 section 4.1.1).
const HEADER: usize = 12;

pub fn run(data: &[u8]) {
    let Some((head, rest)) = data.split_first_chunk::<6>() else {
        return;
    };
    let [kind, flags, code, answers, authorities, additionals] = *head;
    let kind = KINDS[usize::from(kind) % KINDS.len()];
    let question = Question::new("_kerberos._udp.example.test", kind, 0x1234).expect("a name");
    check(&question, kind, data);
    // The header and the question as they must be, so that the records are reached.
    let mut message = question.to_bytes().expect("a question of our own");
    message[2] = flags | 0x80;
    message[3] = code;
    message[7] = answers;
    message[9] = authorities;
    message[11] = additionals;
    assert!(message.len() > HEADER);
    message.extend_from_slice(rest);
    check(&question, kind, &message);
}

fn check(question: &Question, kind: RecordType, message: &[u8]) {
    let Ok(Reply::Answer { answer, .. }) = question.read(message) else {
        return;
    };
    assert!(is_host(&answer.name), "{answer:?}");
    assert!(answer.records.len() <= message.len() / 11, "{answer:?}");
    for record in &answer.records {
        match record {
            Record::Srv { target, .. } => assert!(kind == RecordType::Srv && is_host(target)),
            Record::Uri { target, .. } => assert!(kind == RecordType::Uri && is_plain(target)),
            Record::Address(address) if address.is_ipv4() => assert!(kind == RecordType::A),
            Record::Address(_) => assert!(kind == RecordType::Aaaa),
            Record::Ptr(name) => assert!(kind == RecordType::Ptr && is_host(name)),
            Record::Txt(text) => assert!(kind == RecordType::Txt && is_plain(text)),
            other => panic!("{other:?}"),
        }
    }
}

fn is_host(text: &str) -> bool {
    text.len() <= 255
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}
