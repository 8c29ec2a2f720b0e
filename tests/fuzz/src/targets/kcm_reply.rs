//! Replies of KCM daemons: the first byte says what was asked for, the rest is what comes behind the
//! length. What is taken for a ticket or name is one, and goes back as it came.

use trihound_krb5::ccache::kcm::{
    MAX_IDS, MAX_REPLY, Operation, REPLY_HEADER, Reply, reply_length,
};
use trihound_krb5::ccache::{
    Entry, marshal_credentials, marshal_principal, unmarshal_credentials, unmarshal_principal,
};

pub fn run(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let operation = match first % 6 {
        0 => Operation::GetDefaultCache,
        1 => Operation::GetPrincipal,
        2 => Operation::GetCredUuidList,
        3 => Operation::GetCredByUuid,
        4 => Operation::GetCredList,
        _ => Operation::GetKdcOffset,
    };
    if let Some(header) = bytes.first_chunk::<REPLY_HEADER>() {
        match reply_length(operation, *header) {
            Ok(length) => assert!(length <= MAX_REPLY),
            Err(error) => drop(error.to_string()),
        }
    }
    let reply = match Reply::parse(operation, bytes) {
        Ok(reply) => reply,
        Err(error) => {
            let _ = (error.is_absent(), error.is_unsupported(), error.to_string());
            return;
        }
    };
    match operation {
        Operation::GetDefaultCache => {
            if let Ok(name) = reply.name() {
                assert!(!name.is_empty() && !name.contains('\0'));
                assert!(bytes[4..].starts_with(name.as_bytes()));
            }
        }
        Operation::GetPrincipal => {
            if let Ok(Some(principal)) = reply.principal() {
                let written = marshal_principal(&principal).expect("it was read");
                assert_eq!(written, bytes[4..]);
                assert_eq!(unmarshal_principal(&written).expect("ours"), principal);
            }
        }
        Operation::GetCredUuidList => {
            if let Ok(ids) = reply.ids() {
                assert!(ids.len() <= MAX_IDS && ids.len() * 16 == bytes.len() - 4);
            }
        }
        Operation::GetCredByUuid => reply.entry().iter().for_each(entry),
        Operation::GetCredList => reply.entries().iter().flatten().for_each(entry),
        _ => drop(reply.offset()),
    }
}

/// A ticket that was read is written, and reading that is a fixed point.
pub(super) fn entry(entry: &Entry) {
    let Entry::Ticket(ticket) = entry else {
        return;
    };
    let written = marshal_credentials(ticket).expect("it was read");
    let Ok(Entry::Ticket(again)) = unmarshal_credentials(written.expose()) else {
        panic!("{ticket:?} is no ticket any more");
    };
    let twice = marshal_credentials(&again).expect("what was written once");
    assert_eq!(written.expose(), twice.expose());
}
