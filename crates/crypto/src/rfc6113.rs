//! KRB-FX-CF2 (RFC 6113 section 5.1): two keys and two peppers make a third key.

use trihound_secret::SecretBytes;
use zeroize::Zeroizing;

use crate::{Enctype, EnctypePolicy, Error, Key};

/// Combines two keys (RFC 6113 section 5.1; conformance row 63). The keys may be of different
/// enctypes; the result is of the enctype `out`.
///
/// # Errors
/// [`Error::UnknownEnctype`], [`Error::WeakEnctype`] or [`Error::NotPermitted`] for `out`.
pub fn krb_fx_cf2(
    k1: &Key,
    k2: &Key,
    pepper1: &[u8],
    pepper2: &[u8],
    out: Enctype,
    policy: &EnctypePolicy,
) -> Result<Key, Error> {
    policy.check(out)?;
    let profile = out.profile().ok_or(Error::UnknownEnctype(out))?;
    let mut key = SecretBytes::zeroed(profile.key_length);
    xor_prf_plus(k1, pepper1, key.expose_mut())?;
    xor_prf_plus(k2, pepper2, key.expose_mut())?;
    // Random-to-key is the identity for every supported enctype.
    Ok(Key::from_checked(profile, key))
}

/// Adds PRF+ of the pepper, whose counter of one byte begins at 1.
fn xor_prf_plus(key: &Key, pepper: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let mut input = Zeroizing::new(Vec::with_capacity(pepper.len().saturating_add(1)));
    input.push(0);
    input.extend_from_slice(pepper);
    for chunk in out.chunks_mut(key.profile().prf_length) {
        if let Some(counter) = input.first_mut() {
            *counter = counter.wrapping_add(1);
        }
        let block = key.prf(&input)?;
        for (out, prf) in chunk.iter_mut().zip(block.expose()) {
            *out ^= *prf;
        }
    }
    Ok(())
}
