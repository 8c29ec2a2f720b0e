//! The same bytes through trihound-asn1 and through rasn-kerberos: where both read them, both write
//! the same.
//!
//! Only types that rasn-kerberos gets right stand here: no strings of bytes above 127, no flags, no
//! key versions (docs/design on the ASN.1 layer names its faults).

use trihound_asn1::{self as ours, Message};

type Pair = fn(&[u8]) -> Option<(Vec<u8>, Vec<u8>)>;

const TYPES: &[Pair] = &[
    both::<ours::EncryptionKey, rasn_kerberos::EncryptionKey>,
    both::<ours::Checksum, rasn_kerberos::Checksum>,
    both::<ours::HostAddresses, rasn_kerberos::HostAddresses>,
    both::<ours::AuthorizationData, rasn_kerberos::AuthorizationData>,
    both::<ours::MethodData, rasn_kerberos::MethodData>,
    both::<ours::PaEncTsEnc, rasn_kerberos::PaEncTsEnc>,
];

fn both<O: Message, T: rasn::Decode + rasn::Encode>(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mine = O::from_der(der).ok()?;
    let other = rasn::der::decode::<T>(der).ok()?;
    Some((mine.to_der().ok()?, rasn::der::encode(&other).ok()?))
}

pub fn run(data: &[u8]) {
    let Some((&choice, der)) = data.split_first() else {
        return;
    };
    let pair = TYPES[usize::from(choice) % TYPES.len()];
    if let Some((mine, other)) = pair(der) {
        assert_eq!(mine, other, "type {}", usize::from(choice) % TYPES.len());
    }
}
