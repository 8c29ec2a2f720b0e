//! PACs: the directory and every buffer, each reader on its own, and signatures by nobody.

use trihound_crypto::{Enctype, EnctypePolicy, Key};
use trihound_krb5::pac::{
    ClaimsSet, ClientInfo, DeviceInfo, KerbValidationInfo, S4uDelegationInfo, Sid, UnverifiedPac,
    UpnDnsInfo, danger,
};

use crate::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte() % 8;
    let bytes = input.rest();
    match choice {
        0 => whole(bytes),
        1 => {
            if let Ok(info) = KerbValidationInfo::from_bytes(bytes) {
                assert!(info.groups().count() * 8 <= bytes.len());
                let _ = (info.user_sid(), info.primary_group_sid());
            }
        }
        2 => drop(DeviceInfo::from_bytes(bytes)),
        3 => drop(ClaimsSet::from_bytes(bytes)),
        4 => drop(S4uDelegationInfo::from_bytes(bytes)),
        5 => drop(UpnDnsInfo::from_bytes(bytes)),
        6 => drop(ClientInfo::from_bytes(bytes)),
        _ => {
            if let Ok(sid) = Sid::from_bytes(bytes) {
                assert_eq!(sid.to_bytes(), bytes);
                assert_eq!(sid.to_string().parse(), Ok(sid));
            }
        }
    }
}

fn whole(bytes: &[u8]) {
    let Ok(pac) = UnverifiedPac::parse(bytes) else {
        return;
    };
    for buffer in pac.buffers() {
        assert!(buffer.offset + u64::from(buffer.size) <= bytes.len() as u64);
    }
    if let Ok(read) = danger::read_without_verifying(&pac) {
        let _ = (read.user_sid(), read.client_claims(), read.device_claims());
    }
    let enctype = Enctype::AES256_CTS_HMAC_SHA1_96;
    let key = Key::new(enctype, &[0x5a; 32], &EnctypePolicy::default()).expect("a key");
    assert!(pac.verify_server_signature(&key).is_err());
    assert!(pac.verify_kdc_signature(&key).is_err());
    assert!(pac.verify_full_checksum(&key).is_err());
}
