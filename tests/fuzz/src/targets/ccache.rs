//! Credential caches of all versions: what was read is written, and reading that is a fixed point;
//! files are changed where they lie, and a record alone is a record of a file.

use trihound_krb5::CredentialCache;
use trihound_krb5::ccache::{
    CacheFile, Entry, Patch, marshal_credentials, unmarshal_credentials, unmarshal_principal,
};
use trihound_sansio::Timestamp;

pub fn run(data: &[u8]) {
    let _ = unmarshal_principal(data);
    if let Ok(Entry::Ticket(credentials)) = unmarshal_credentials(data) {
        let bytes = marshal_credentials(&credentials).expect("what was read fits");
        unmarshal_credentials(bytes.expose()).expect("a record of our own");
    }
    changes(data);
    let Ok(cache) = CredentialCache::parse(data) else {
        return;
    };
    let now = Timestamp::from_seconds(1_800_000_000);
    let _ = cache.tgt(now);
    for credentials in &cache.credentials {
        let _ = cache.find(&credentials.client, &credentials.server, now);
        let _ = (credentials.is_valid_at(now), format!("{credentials:?}"));
    }
    let Ok(bytes) = cache.to_bytes() else {
        return;
    };
    let again = CredentialCache::parse(bytes.expose()).expect("a cache of our own");
    assert_eq!(cache.credentials.len(), again.credentials.len());
    assert_eq!(cache.principal, again.principal);
    let twice = again.to_bytes().expect("what was written once");
    assert_eq!(bytes.expose(), twice.expose());
}

/// Removing and adding the last ticket leaves as many as there were, and a file without a cut.
fn changes(data: &[u8]) {
    let Ok(Some(file)) = CacheFile::parse(data) else {
        return;
    };
    let Some(last) = file.cache().credentials.last().cloned() else {
        return;
    };
    let same = |cache: &CredentialCache| {
        let held = cache.credentials.iter();
        held.filter(|held| held.client == last.client && held.server == last.server)
            .count()
    };
    let whole = usize::try_from(file.end()).expect("an offset in memory");
    let mut bytes = data[..whole].to_vec();
    let patches = file.remove(&last.client, &last.server);
    assert_eq!(patches.len(), same(file.cache()));
    apply(&mut bytes, &patches);
    let removed = CacheFile::parse(&bytes)
        .expect("what was whole")
        .expect("what was there");
    assert_eq!((same(removed.cache()), removed.cut()), (0, 0));
    let Ok(patches) = removed.store(&last) else {
        return;
    };
    apply(&mut bytes, &patches);
    let added = CacheFile::parse(&bytes)
        .expect("what was whole")
        .expect("what was there");
    assert_eq!((same(added.cache()), added.cut()), (1, 0));
}

fn apply(bytes: &mut Vec<u8>, patches: &[Patch]) {
    for patch in patches {
        let start = usize::try_from(patch.offset).expect("an offset in memory");
        let new = patch.bytes.expose();
        let over = new.len().min(bytes.len() - start);
        bytes[start..start + over].copy_from_slice(&new[..over]);
        bytes.extend(&new[over..]);
    }
}
