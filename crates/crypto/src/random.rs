use rand::TryRng;
use rand::rngs::SysRng;
use trihound_sansio::{RandomFailure, RandomSource};

/// The operating system's source of randomness, asked anew for every draw.
///
/// There is no generator in this process that a fork could duplicate (RFC 4120 section 10,
/// RFC 4086; conformance row 60).
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl RandomSource for OsRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailure> {
        SysRng.try_fill_bytes(bytes).map_err(|error| RandomFailure {
            reason: error.to_string(),
        })
    }
}
