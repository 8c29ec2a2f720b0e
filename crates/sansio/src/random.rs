use thiserror::Error;

/// Gives unpredictable bytes: nonces, confounders, sub-keys, sequence numbers.
///
/// # Security
///
/// An implementation draws from the operating system, or from a generator that was seeded from it,
/// is reseeded, and notices a fork (RFC 4120 section 10, RFC 4086). A test may hand in a seeded one.
pub trait RandomSource: Send + Sync {
    /// Fills all of `bytes`, or says why not; never partly.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailure>;
}

/// The source of randomness failed. Nothing secret was produced from it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the source of randomness failed: {reason}; no key or nonce was made from it")]
pub struct RandomFailure {
    /// What the source said.
    pub reason: String,
}
