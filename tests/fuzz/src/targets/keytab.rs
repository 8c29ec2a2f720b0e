//! Keytab files: what was read is written and read to the same entries.

use trihound_crypto::EnctypePolicy;
use trihound_krb5::{Keytab, KeytabEntry};

pub fn run(data: &[u8]) {
    let Ok(keytab) = Keytab::parse(data) else {
        return;
    };
    let policy = EnctypePolicy::default();
    for entry in keytab.entries() {
        let _ = keytab.find(&entry.principal, Some(entry.kvno), entry.key.enctype());
        let _ = keytab.client_keys(&entry.principal, &policy).len();
    }
    let Ok(bytes) = keytab.to_bytes() else {
        return;
    };
    let again = Keytab::parse(bytes.expose()).expect("a keytab of our own");
    assert_eq!(keytab.entries().len(), again.entries().len());
    for (before, after) in keytab.entries().iter().zip(again.entries()) {
        assert!(same(before, after), "{before:?} became {after:?}");
    }
}

fn same(a: &KeytabEntry, b: &KeytabEntry) -> bool {
    a.principal == b.principal
        && a.principal.name.name_type == b.principal.name.name_type
        && a.kvno == b.kvno
        && a.timestamp == b.timestamp
        && a.key.enctype() == b.key.enctype()
        && a.key.expose() == b.key.expose()
}
