//! Credentials as one message: KRB-CRED.

use proptest::prelude::*;
use trihound_asn1::{
    EncKrbCredPart, EncryptedData, HostAddress, KrbCred, Message, OctetString, Raw, TicketFlags,
};
use trihound_crypto::{Enctype, EnctypePolicy, Error as CryptoError, Key, KeyUsage, OsRandom};
use trihound_krb5::CacheError;
use trihound_krb5::ccache::{from_krb_cred, from_krb_cred_parts, krb_cred_info, to_krb_cred};
use trihound_sansio::Timestamp;

use crate::samples::{credentials, name};

#[test]
fn a_krb_cred_in_the_clear_goes_both_ways() {
    let mut full = credentials("krbtgt/R@R", 1_900_000_000);
    full.starttime = Some(Timestamp::from_seconds(1_600_000_001));
    full.renew_till = Some(Timestamp::from_seconds(2_000_000_000));
    full.addresses = vec![HostAddress {
        addr_type: 2,
        address: vec![10, 0, 0, 1].into(),
    }];
    let plain = credentials("HTTP/web@R", 1_800_000_000);
    let der = to_krb_cred(&[&full, &plain]).unwrap();
    let read = from_krb_cred(der.expose(), None).unwrap();
    assert_eq!(read.len(), 2);
    for (read, written) in read.iter().zip([&full, &plain]) {
        assert_eq!(
            (&read.client, &read.server),
            (&written.client, &written.server)
        );
        assert_eq!(read.ticket, written.ticket);
        assert_eq!(read.flags, written.flags);
        assert_eq!(read.session_key.enctype(), written.session_key.enctype());
        assert_eq!(read.session_key.expose(), written.session_key.expose());
        assert_eq!(
            (read.authtime, read.starttime, read.endtime, read.renew_till),
            (
                written.authtime,
                written.starttime,
                written.endtime,
                written.renew_till
            )
        );
        assert_eq!(read.addresses, written.addresses);
    }
}

fn sealed(key: &Key, infos: usize) -> Vec<u8> {
    let one = credentials("krbtgt/R@R", 1_900_000_000);
    let part = EncKrbCredPart {
        ticket_info: (0..infos).map(|_| krb_cred_info(&one)).collect(),
        nonce: None,
        timestamp: None,
        usec: None,
        s_address: None,
        r_address: None,
    };
    let clear = part.to_der().unwrap();
    let cipher = key
        .encrypt(KeyUsage::KRB_CRED_ENC_PART, &clear, &OsRandom)
        .unwrap();
    let enc_part = EncryptedData {
        etype: key.enctype().0,
        kvno: None,
        cipher: OctetString::from(cipher),
    };
    let tickets = vec![Raw::from_der(one.ticket).unwrap()];
    KrbCred::new(tickets, enc_part).to_der().unwrap()
}

#[test]
fn an_encrypted_krb_cred_opens_with_its_key_only() {
    let policy = EnctypePolicy::default();
    let new = || Key::generate(Enctype::AES256_CTS_HMAC_SHA1_96, &policy, &OsRandom).unwrap();
    let key = new();
    let der = sealed(&key, 1);
    assert_eq!(
        from_krb_cred(&der, Some(&key)).unwrap()[0].server,
        name("krbtgt/R@R")
    );
    assert!(matches!(
        from_krb_cred(&der, Some(&new())),
        Err(CacheError::Decrypt(CryptoError::IntegrityCheckFailed))
    ));
    assert!(matches!(
        from_krb_cred(&der, None),
        Err(CacheError::KeyNeeded { found: 18 })
    ));
    // Who expects encryption does not take what anyone could have written.
    let clear = to_krb_cred(&[&credentials("krbtgt/R@R", 1_900_000_000)]).unwrap();
    assert!(matches!(
        from_krb_cred(clear.expose(), Some(&key)),
        Err(CacheError::KeyNeeded { found: 0 })
    ));
}

/// RFC 4120 section 5.8.1.
#[test]
fn tickets_and_information_have_to_pair() {
    let policy = EnctypePolicy::default();
    let key = Key::generate(Enctype::AES256_CTS_HMAC_SHA1_96, &policy, &OsRandom).unwrap();
    for infos in [0, 2] {
        assert!(matches!(
            from_krb_cred(&sealed(&key, infos), Some(&key)),
            Err(CacheError::TicketCountDiffers { tickets: 1, infos: found }) if found == infos
        ));
    }
}

/// RFC 4120 section 5.8.1: every field but the key may be left out.
#[test]
fn what_a_krb_cred_leaves_out_comes_from_the_ticket_or_is_missed() {
    let one = credentials("HTTP/web@R", 1_900_000_000);
    let message = KrbCred::new(
        vec![Raw::from_der(one.ticket.clone()).unwrap()],
        EncryptedData {
            etype: 0,
            kvno: None,
            cipher: OctetString::default(),
        },
    );
    let with = |change: fn(&mut trihound_asn1::KrbCredInfo)| {
        let mut info = krb_cred_info(&one);
        change(&mut info);
        let part = EncKrbCredPart {
            ticket_info: vec![info],
            nonce: None,
            timestamp: None,
            usec: None,
            s_address: None,
            r_address: None,
        };
        from_krb_cred_parts(&message, &part)
    };
    let read = with(|info| {
        info.sname = None;
        info.srealm = None;
        info.authtime = None;
        info.flags = None;
    })
    .unwrap();
    assert_eq!(read[0].server, name("HTTP/web@R"));
    assert_eq!(read[0].flags, TicketFlags::empty());
    assert_eq!(read[0].authtime, Timestamp::default());
    for (change, missing) in [
        (
            (|info| info.prealm = None) as fn(&mut trihound_asn1::KrbCredInfo),
            "prealm",
        ),
        (|info| info.pname = None, "pname"),
        (|info| info.endtime = None, "endtime"),
    ] {
        assert!(matches!(
            with(change),
            Err(CacheError::MissingField { index: 0, field }) if field == missing
        ));
    }
}

#[test]
fn no_krb_cred_is_made_of_what_is_no_ticket() {
    let mut one = credentials("HTTP/web@R", 1_900_000_000);
    one.ticket = b"no ticket".to_vec();
    assert!(matches!(to_krb_cred(&[&one]), Err(CacheError::Decode(_))));
    assert!(matches!(
        from_krb_cred(b"\x76\x00", None),
        Err(CacheError::Decode(_))
    ));
}

proptest! {
    #[test]
    fn a_krb_cred_with_one_byte_changed_does_not_panic(
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let whole = to_krb_cred(&[&credentials("krbtgt/R@R", 1_900_000_000)]).unwrap();
        let mut bytes = whole.expose().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = from_krb_cred(&bytes, None);
    }
}

#[test]
fn a_krb_cred_cut_anywhere_is_refused() {
    let whole = to_krb_cred(&[&credentials("krbtgt/R@R", 1_900_000_000)]).unwrap();
    for length in 0..whole.len() {
        assert!(matches!(
            from_krb_cred(&whole.expose()[..length], None),
            Err(CacheError::Decode(_))
        ));
    }
}
