//! Credential caches of all versions: what was read is written, and reading that is a fixed point.

use trihound_krb5::CredentialCache;
use trihound_sansio::Timestamp;

pub fn run(data: &[u8]) {
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
