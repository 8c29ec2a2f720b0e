//! What the tests share: seeded randomness, keys, messages in pieces.

use std::sync::{Arc, Mutex};

use trihound_crypto::{Enctype, EnctypePolicy, Key, Scatter, Segment};
use trihound_kerberos::{MessageSession, SessionParameters};
use trihound_sansio::{RandomFailure, RandomSource};

/// The AES enctypes.
pub(crate) const AES: [Enctype; 4] = [
    Enctype::AES128_CTS_HMAC_SHA1_96,
    Enctype::AES256_CTS_HMAC_SHA1_96,
    Enctype::AES128_CTS_HMAC_SHA256_128,
    Enctype::AES256_CTS_HMAC_SHA384_192,
];

/// Randomness that is the same at every run (xorshift).
pub(crate) struct Seeded(Mutex<u64>);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(
            seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15) | 1,
        ))
    }
}

impl RandomSource for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailure> {
        let mut state = self.0.lock().unwrap();
        for byte in bytes {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            *byte = state.to_be_bytes()[2];
        }
        Ok(())
    }
}

/// Randomness that failed.
pub(crate) struct Dry;

impl RandomSource for Dry {
    fn fill(&self, _bytes: &mut [u8]) -> Result<(), RandomFailure> {
        Err(RandomFailure {
            reason: "dry".to_owned(),
        })
    }
}

/// Every enctype that a test may need, the weak one too.
pub(crate) fn lax_policy() -> EnctypePolicy {
    trihound_crypto::danger::permit_weak_enctypes(EnctypePolicy::default(), &[Enctype::RC4_HMAC])
}

pub(crate) fn key(enctype: Enctype) -> Key {
    let length = enctype.profile().unwrap().key_length;
    let bytes: Vec<u8> = (0..length)
        .map(|n| u8::try_from(n * 7 + 1).unwrap())
        .collect();
    Key::new(enctype, &bytes, &lax_policy()).unwrap()
}

/// A message in pieces; `true` marks one that is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pieces(pub(crate) Vec<(bool, Vec<u8>)>);

impl Pieces {
    /// One piece for each length, with distinct bytes, all encrypted.
    pub(crate) fn of(lengths: &[usize]) -> Self {
        let mut byte = 0_u8;
        Self(
            lengths
                .iter()
                .map(|&length| {
                    let piece = (0..length)
                        .map(|_| {
                            byte = byte.wrapping_add(1);
                            byte
                        })
                        .collect();
                    (true, piece)
                })
                .collect(),
        )
    }

    /// The encrypted pieces in one.
    pub(crate) fn concat(&self) -> Vec<u8> {
        self.0
            .iter()
            .filter(|(sealed, _)| *sealed)
            .flat_map(|(_, bytes)| bytes.clone())
            .collect()
    }
}

impl Scatter for Pieces {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn segment(&mut self, index: usize) -> Segment<'_> {
        let (sealed, bytes) = &mut self.0[index];
        if *sealed {
            Segment::Sealed(bytes)
        } else {
            Segment::Signed(bytes)
        }
    }
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0, "{text}");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// How the two sessions of a context are set up.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) enctype: Enctype,
    pub(crate) dce_style: bool,
    pub(crate) acceptor_subkey: bool,
    pub(crate) replay: bool,
    pub(crate) sequence: bool,
}

impl Setup {
    pub(crate) const fn of(enctype: Enctype) -> Self {
        Self {
            enctype,
            dce_style: false,
            acceptor_subkey: false,
            replay: true,
            sequence: true,
        }
    }

    pub(crate) fn side(self, acceptor: bool, random: Arc<dyn RandomSource>) -> MessageSession {
        let (ours, theirs) = if acceptor { (7000, 40) } else { (40, 7000) };
        MessageSession::new(SessionParameters {
            key: &key(self.enctype),
            acceptor,
            acceptor_subkey: self.acceptor_subkey,
            dce_style: self.dce_style,
            replay_detect: self.replay,
            sequence_detect: self.sequence,
            send_sequence: ours,
            receive_sequence: theirs,
            random,
        })
        .unwrap()
    }

    /// The initiator's and the acceptor's session.
    pub(crate) fn pair(self) -> (MessageSession, MessageSession) {
        (
            self.side(false, Arc::new(Seeded::new(1))),
            self.side(true, Arc::new(Seeded::new(2))),
        )
    }
}

/// Wraps `message` with a token buffer of just the right size; gives token and padding.
pub(crate) fn wrap(
    session: &mut MessageSession,
    seal: bool,
    message: &mut Pieces,
) -> (Vec<u8>, Vec<u8>) {
    let mut token = vec![0; session.sizes().security_trailer];
    let mut padding = vec![0; session.sizes().block_size];
    let wrapped = session
        .wrap(seal, message, &mut token, &mut padding)
        .unwrap();
    token.truncate(wrapped.token);
    padding.truncate(wrapped.padding);
    (token, padding)
}

pub(crate) fn make_mic(session: &mut MessageSession, message: &mut Pieces) -> Vec<u8> {
    let mut token = vec![0; session.sizes().max_signature];
    let length = session.make_mic(message, &mut token).unwrap();
    assert_eq!(length, token.len());
    token
}
