use trihound_crypto::{Enctype, EnctypePolicy, Key, Scatter, Segment, danger};
use trihound_sansio::{RandomFailure, RandomSource};

/// The four AES enctypes, which share the scattered operations.
pub(crate) const AES: [Enctype; 4] = [
    Enctype::AES128_CTS_HMAC_SHA1_96,
    Enctype::AES256_CTS_HMAC_SHA1_96,
    Enctype::AES128_CTS_HMAC_SHA256_128,
    Enctype::AES256_CTS_HMAC_SHA384_192,
];

/// Every supported enctype.
pub(crate) const ALL: [Enctype; 5] = [AES[0], AES[1], AES[2], AES[3], Enctype::RC4_HMAC];

/// A policy that refuses nothing that the crate supports.
pub(crate) fn anything() -> EnctypePolicy {
    danger::permit_weak_iteration_counts(danger::permit_weak_enctypes(
        EnctypePolicy::default(),
        &[Enctype::RC4_HMAC],
    ))
}

/// A key of repeating bytes that depend on `seed`.
pub(crate) fn key(enctype: Enctype, seed: u8) -> Key {
    let length = enctype.profile().unwrap().key_length;
    let bytes: Vec<u8> = (0..length)
        .map(|i| (i as u8).wrapping_mul(37).wrapping_add(seed))
        .collect();
    Key::new(enctype, &bytes, &anything()).unwrap()
}

/// Bytes that count up, so that nothing random hides a fault.
pub(crate) struct Counting;

impl RandomSource for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailure> {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = i as u8;
        }
        Ok(())
    }
}

/// A source that has nothing to give.
pub(crate) struct Broken;

impl RandomSource for Broken {
    fn fill(&self, _bytes: &mut [u8]) -> Result<(), RandomFailure> {
        Err(failure())
    }
}

pub(crate) fn failure() -> RandomFailure {
    RandomFailure {
        reason: "closed".to_owned(),
    }
}

/// One owned segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Sealed(Vec<u8>),
    Signed(Vec<u8>),
}

/// A message in owned segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts(pub(crate) Vec<Part>);

impl Parts {
    pub(crate) fn sealed(bytes: &[u8]) -> Self {
        Self(vec![Part::Sealed(bytes.to_vec())])
    }

    /// All sealed bytes in order.
    pub(crate) fn sealed_bytes(&self) -> Vec<u8> {
        self.0
            .iter()
            .filter_map(|part| match part {
                Part::Sealed(bytes) => Some(bytes.as_slice()),
                Part::Signed(_) => None,
            })
            .collect::<Vec<_>>()
            .concat()
    }

    /// All bytes in order.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0
            .iter()
            .flat_map(|part| match part {
                Part::Sealed(bytes) | Part::Signed(bytes) => bytes.clone(),
            })
            .collect()
    }
}

impl Scatter for Parts {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn segment(&mut self, index: usize) -> Segment<'_> {
        match &mut self.0[index] {
            Part::Sealed(bytes) => Segment::Sealed(bytes),
            Part::Signed(bytes) => Segment::Signed(bytes),
        }
    }
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd hex: {text}");
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}
