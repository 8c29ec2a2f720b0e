//! Keytab files: what was read is written and read to the same entries, and a file changed in place has
//! what it had, without what was deleted, with what was added.

use trihound_crypto::EnctypePolicy;
use trihound_krb5::{KeyMaterial, Keytab, KeytabEdit, KeytabEntry};

pub fn run(data: &[u8]) {
    let Ok(keytab) = Keytab::parse(data) else {
        return;
    };
    let policy = EnctypePolicy::default();
    for entry in keytab.entries() {
        let _ = keytab.find(&entry.principal, Some(entry.kvno), entry.key.enctype());
        let _ = keytab.client_keys(&entry.principal, &policy).len();
    }
    change(data, &keytab);
    let Ok(bytes) = keytab.to_bytes() else {
        return;
    };
    let again = Keytab::parse(bytes.expose()).expect("a keytab of our own");
    assert_eq!(keytab.entries().len(), again.entries().len());
    for (before, after) in keytab.entries().iter().zip(again.entries()) {
        assert!(same(before, after), "{before:?} became {after:?}");
    }
}

/// Deletes one entry of the file as it is and adds one.
fn change(data: &[u8], keytab: &Keytab) {
    let Some(first) = keytab.entries().first() else {
        return;
    };
    let added = KeytabEntry::new(
        first.principal.clone(),
        7,
        first.timestamp,
        KeyMaterial::new(first.key.enctype(), vec![7; 16].into()),
    );
    let edit = KeytabEdit {
        add: vec![added],
        remove: vec![keytab.entries().len() / 2],
    };
    let Ok(stages) = edit.plan(data) else {
        return;
    };
    let mut file = data.to_vec();
    for write in stages.iter().flatten() {
        let end = write.offset + write.bytes.len();
        file.resize(file.len().max(end), 0);
        file[write.offset..end].copy_from_slice(write.bytes.expose());
        Keytab::parse(&file).expect("a keytab at every moment");
    }
    let after = Keytab::parse(&file).expect("a keytab in the end");
    assert_eq!(after.entries().len(), keytab.entries().len());
}

fn same(a: &KeytabEntry, b: &KeytabEntry) -> bool {
    a.principal == b.principal
        && a.principal.name.name_type == b.principal.name.name_type
        && a.kvno == b.kvno
        && a.timestamp == b.timestamp
        && a.key.enctype() == b.key.enctype()
        && a.key.expose() == b.key.expose()
}
