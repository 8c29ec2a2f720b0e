//! Names and payloads of keyrings: the first byte says which, and what was read is written as it came.

use trihound_krb5::ccache::keyring::{
    KeyringName, MAX_DESCRIPTION, config_key, marshal_primary, marshal_time_offset, ticket_key,
    unmarshal_primary, unmarshal_time_offset,
};
use trihound_krb5::ccache::{Entry, marshal_principal, unmarshal_credentials, unmarshal_principal};

use super::kcm_reply;

pub fn run(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    match first % 5 {
        0 => name(bytes),
        1 => {
            if let Ok(primary) = unmarshal_primary(bytes) {
                assert!(bytes.starts_with(&marshal_primary(&primary)));
            }
        }
        2 => {
            if let Ok(offset) = unmarshal_time_offset(bytes) {
                let written = marshal_time_offset(offset);
                // Where the seconds do not fit any more they stay at their end.
                let again = unmarshal_time_offset(&written).expect("ours");
                assert!(
                    (again - offset).abs() < 3_000_000_000,
                    "{offset} became {again}"
                );
            }
        }
        3 => {
            if let Ok(principal) = unmarshal_principal(bytes) {
                assert_eq!(marshal_principal(&principal).expect("it was read"), bytes);
            }
        }
        _ => match unmarshal_credentials(bytes) {
            Ok(Entry::Config(entry)) => assert!(!config_key(&entry).contains('\0')),
            Ok(entry) => {
                if let Entry::Ticket(ticket) = &entry {
                    assert!(!ticket_key(&ticket.server).contains('\0'));
                }
                kcm_reply::entry(&entry);
            }
            Err(error) => drop(error.to_string()),
        },
    }
}

fn name(bytes: &[u8]) {
    let Ok(residual) = std::str::from_utf8(bytes) else {
        return;
    };
    match KeyringName::parse(residual) {
        Ok(name) => {
            let shown = name.to_string();
            assert!(shown.ends_with(residual), "{residual:?} became {shown:?}");
            assert_eq!(KeyringName::parse(&shown).as_ref(), Ok(&name));
            let cache = name.with_subsidiary(name.first_primary());
            assert!(cache.collection_key().len() < MAX_DESCRIPTION);
            assert_eq!(cache.subsidiary(), Some(name.first_primary()));
        }
        Err(error) => drop(error.to_string()),
    }
}
