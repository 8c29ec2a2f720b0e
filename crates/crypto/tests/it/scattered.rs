//! A scattered message is the contiguous one, however it is cut.

use proptest::prelude::*;
use trihound_crypto::{Enctype, Error, KeyUsage, Scatter, Segment};

use crate::support::{AES, Part, Parts, key};

const USAGE: KeyUsage = KeyUsage::INITIATOR_SEAL;

fn enctypes() -> impl Strategy<Value = Enctype> {
    proptest::sample::select(AES.to_vec())
}

/// Segments of every small length, now and then of some blocks, and empty ones.
fn lengths() -> impl Strategy<Value = Vec<(bool, usize)>> {
    let length = prop_oneof![4 => 0usize..40, 2 => Just(16), 1 => 100usize..300];
    proptest::collection::vec((any::<bool>(), length), 1..12)
}

fn build(lengths: &[(bool, usize)]) -> Parts {
    let mut next = 0u8;
    Parts(
        lengths
            .iter()
            .map(|&(sealed, length)| {
                let bytes = (0..length)
                    .map(|_| {
                        next = next.wrapping_mul(5).wrapping_add(17);
                        next
                    })
                    .collect();
                if sealed {
                    Part::Sealed(bytes)
                } else {
                    Part::Signed(bytes)
                }
            })
            .collect(),
    )
}

fn seal(enctype: Enctype, message: &mut Parts) -> Result<Vec<u8>, Error> {
    let key = key(enctype, 7).usage(USAGE)?;
    let mut mac = vec![0; key.profile().checksum_length];
    key.seal(message, &mut mac)?;
    Ok(mac)
}

fn open(enctype: Enctype, message: &mut Parts, mac: &[u8]) -> Result<(), Error> {
    key(enctype, 7).usage(USAGE)?.open(message, mac)
}

proptest! {
    #[test]
    fn any_cut_of_a_sealed_message_gives_the_contiguous_bytes(
        enctype in enctypes(),
        lengths in lengths(),
    ) {
        let sealed: Vec<_> = lengths.iter().map(|&(_, length)| (true, length)).collect();
        let plain = build(&sealed);
        let mut whole = Parts::sealed(&plain.bytes());
        let mut cut = plain.clone();
        let whole_mac = seal(enctype, &mut whole);
        let cut_mac = seal(enctype, &mut cut);
        prop_assert_eq!(&whole_mac, &cut_mac);
        prop_assert_eq!(whole.bytes(), cut.bytes());
        if let Ok(mac) = cut_mac {
            // The message of RFC 3961 is the same one, with the MAC behind it.
            let plaintext = plain.bytes();
            let (confounder, text) = plaintext.split_at(16);
            let message = key(enctype, 7).encrypt_with_confounder(USAGE, confounder, text).unwrap();
            prop_assert_eq!([cut.bytes(), mac.clone()].concat(), message);
            prop_assert_eq!(open(enctype, &mut cut, &mac), Ok(()));
            prop_assert_eq!(&cut, &plain);
        }
    }

    #[test]
    fn signed_segments_are_under_the_mac_in_their_place_and_stay_as_they_are(
        enctype in enctypes(),
        lengths in lengths(),
    ) {
        let plain = build(&lengths);
        let mut cut = plain.clone();
        let Ok(mac) = seal(enctype, &mut cut) else {
            prop_assert!(plain.sealed_bytes().len() < 16);
            return Ok(());
        };
        // The cipher sees the sealed bytes alone.
        let mut whole = Parts::sealed(&plain.sealed_bytes());
        seal(enctype, &mut whole).unwrap();
        prop_assert_eq!(cut.sealed_bytes(), whole.bytes());
        // Cutting every segment into bytes changes nothing, and neither does joining.
        let mut bytewise = Parts(plain.0.iter().flat_map(|part| match part {
            Part::Sealed(bytes) => bytes.iter().map(|&b| Part::Sealed(vec![b])).collect::<Vec<_>>(),
            Part::Signed(bytes) => bytes.iter().map(|&b| Part::Signed(vec![b])).collect(),
        }).collect());
        prop_assert_eq!(seal(enctype, &mut bytewise).unwrap(), mac.clone());
        prop_assert_eq!(bytewise.bytes(), cut.bytes());
        prop_assert_eq!(open(enctype, &mut bytewise, &mac), Ok(()));
        prop_assert_eq!(bytewise.bytes(), plain.bytes());
        prop_assert_eq!(open(enctype, &mut cut, &mac), Ok(()));
        prop_assert_eq!(cut, plain);
    }

    #[test]
    fn a_signature_is_the_checksum_of_all_bytes_in_order(
        enctype in enctypes(),
        lengths in lengths(),
    ) {
        let key = key(enctype, 7);
        let mut message = build(&lengths);
        let expected = key.checksum(USAGE, key.required_checksum(), &message.bytes()).unwrap();
        let usage = key.usage(USAGE).unwrap();
        let mut mac = vec![0; expected.len()];
        usage.sign(&mut message, &mut mac).unwrap();
        prop_assert_eq!(&mac, &expected);
        prop_assert_eq!(usage.verify(&mut message, &mac), Ok(()));
        prop_assert_eq!(message, build(&lengths));
    }

    #[test]
    fn every_length_comes_back(enctype in enctypes(), plaintext in proptest::collection::vec(any::<u8>(), 0..9000)) {
        let key = key(enctype, 7);
        let ciphertext = key.encrypt(USAGE, &plaintext, &crate::support::Counting).unwrap();
        let decrypted = key.decrypt(USAGE, &ciphertext).unwrap();
        prop_assert_eq!(decrypted.expose(), plaintext.as_slice());
    }
}

/// What the MAC covers, computed from parts: RFC 3962 the plaintext, RFC 8009 IV and ciphertext.
#[test]
fn where_signed_bytes_lie_counts() {
    for enctype in AES {
        let parts = |signed: &[(usize, &[u8])]| {
            let mut parts = vec![Part::Sealed((0..16).collect()), Part::Sealed(vec![9; 30])];
            for &(at, bytes) in signed.iter().rev() {
                parts.insert(at, Part::Signed(bytes.to_vec()));
            }
            Parts(parts)
        };
        let mac = |message: Parts| seal(enctype, &mut message.clone()).unwrap();
        let front = mac(parts(&[(0, b"ab")]));
        assert_ne!(front, mac(parts(&[(1, b"ab")])));
        assert_ne!(front, mac(parts(&[(2, b"ab")])));
        assert_ne!(front, mac(parts(&[])));
        assert_eq!(mac(parts(&[(2, b"")])), mac(parts(&[])));
    }
}

/// A message whose sealed part shrinks between two walks.
struct Shrinking {
    bytes: Vec<u8>,
    walks: usize,
}

impl Scatter for Shrinking {
    fn count(&self) -> usize {
        1
    }

    fn segment(&mut self, _index: usize) -> Segment<'_> {
        self.walks += 1;
        let length = if self.walks > 1 { 20 } else { 64 };
        Segment::Sealed(&mut self.bytes[..length])
    }
}

#[test]
fn segments_that_change_between_walks_are_an_error() {
    for enctype in AES {
        let key = key(enctype, 7).usage(USAGE).unwrap();
        let mut mac = vec![0; key.profile().checksum_length];
        let mut message = Shrinking {
            bytes: vec![0; 64],
            walks: 0,
        };
        assert_eq!(
            key.seal(&mut message, &mut mac),
            Err(Error::SegmentsChanged)
        );
    }
}

/// Both lengths in bytes at a count of looks.
type Lengths = fn(usize) -> [usize; 2];

/// A message of two sealed segments whose lengths depend on how often the first was looked at.
struct Moving {
    bytes: [Vec<u8>; 2],
    looks: usize,
    lengths: Lengths,
}

impl Scatter for Moving {
    fn count(&self) -> usize {
        2
    }

    fn segment(&mut self, index: usize) -> Segment<'_> {
        if index == 0 {
            self.looks += 1;
        }
        let length = (self.lengths)(self.looks)[index];
        Segment::Sealed(&mut self.bytes[index][..length])
    }
}

fn seal_moving(enctype: Enctype, lengths: Lengths) -> Result<(), Error> {
    let key = key(enctype, 7).usage(USAGE)?;
    let mut message = Moving {
        bytes: [vec![1; 512], vec![2; 512]],
        looks: 0,
        lengths,
    };
    key.seal(&mut message, &mut vec![0; key.profile().checksum_length])
}

#[test]
fn a_segment_that_ends_before_the_place_reached_in_it_is_an_error() {
    let cases: [(Lengths, Lengths); 2] = [
        // The next whole block is looked for behind the 400 bytes.
        (
            |_| [400, 48],
            |looks| [if looks > 2 { 100 } else { 400 }, 48],
        ),
        // The end of the message is.
        (
            |_| [400, 20],
            |looks| [if looks > 2 { 100 } else { 400 }, 20],
        ),
    ];
    for enctype in AES {
        for (steady, moving) in cases {
            assert_eq!(seal_moving(enctype, steady), Ok(()));
            assert_eq!(seal_moving(enctype, moving), Err(Error::SegmentsChanged));
        }
    }
}

#[test]
fn sealed_bytes_that_appear_behind_the_end_are_an_error() {
    for enctype in AES {
        assert_eq!(seal_moving(enctype, |_| [64, 0]), Ok(()));
        // In the segment that held the end, and in the one behind it.
        assert_eq!(
            seal_moving(enctype, |looks| [if looks > 1 { 80 } else { 64 }, 0]),
            Err(Error::SegmentsChanged)
        );
        assert_eq!(
            seal_moving(enctype, |looks| [64, usize::from(looks > 1)]),
            Err(Error::SegmentsChanged)
        );
    }
}
