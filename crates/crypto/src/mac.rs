//! HMAC (RFC 2104) with the padded key already hashed in, so that one is cloned per message.

use hmac::digest::common::Key;
use hmac::digest::{FixedOutput, KeyInit, Update};
use hmac::{EagerHash, Hmac};
use zeroize::Zeroize;

/// A keyed MAC. Cloning one restarts it: the pads stay hashed.
pub(crate) trait Mac: Clone + Send + Sync + 'static {
    fn keyed(key: &[u8]) -> Self;
    fn update(&mut self, bytes: &[u8]);
    /// Writes the leftmost bytes, as many as `out` takes.
    fn finish(self, out: &mut [u8]);

    fn once(&self, parts: &[&[u8]], out: &mut [u8]) {
        let mut mac = self.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finish(out);
    }
}

impl<H> Mac for Hmac<H>
where
    H: EagerHash + 'static,
    H::Core: Send + Sync + 'static,
{
    fn keyed(key: &[u8]) -> Self {
        // RFC 2104 section 2: a key longer than the block is hashed first, then padded with zeros.
        let mut block = Key::<Self>::default();
        if key.len() > block.len() {
            copy_front(&mut block, &H::digest(key));
        } else {
            copy_front(&mut block, key);
        }
        let mac = Self::new(&block);
        block.zeroize();
        mac
    }

    fn update(&mut self, bytes: &[u8]) {
        Update::update(self, bytes);
    }

    fn finish(self, out: &mut [u8]) {
        let mut full = self.finalize_fixed();
        copy_front(out, &full);
        full.zeroize();
    }
}

/// Copies as many bytes as both have.
pub(crate) fn copy_front(to: &mut [u8], from: &[u8]) {
    let length = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) {
        to.copy_from_slice(from);
    }
}
