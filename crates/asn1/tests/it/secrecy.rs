//! Keys and passwords are in no debug output and in no error.

use trihound_asn1::gss::GssChecksum;
use trihound_asn1::{
    Authenticator, ChangePasswdData, Checksum, DecodeError, EncApRepPart, EncAsRepPart,
    EncKrbCredPart, EncKrbPrivPart, EncTicketPart, EncryptedData, EncryptionKey, KrbFastResponse,
    Message, PaOtpRequest, SecretOctets, Ticket,
};

use crate::model::*;
use crate::samples;

fn shows(text: &str, secret: &[u8]) -> bool {
    let printable = String::from_utf8_lossy(secret).into_owned();
    let numbers = format!("{secret:?}");
    let hexed: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    [
        printable,
        secret.escape_ascii().to_string(),
        numbers[1..numbers.len() - 1].to_owned(),
        hexed,
    ]
    .iter()
    .any(|form| text.contains(form.as_str()))
}

#[test]
fn debug_of_what_holds_a_key_does_not_show_it() {
    fn debug<T: Message + core::fmt::Debug>(name: &str, secret: &[u8]) {
        let value = T::from_der(&samples::named(name)).unwrap();
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            assert!(!shows(&text, secret), "{name}: {text}");
            assert!(text.contains("SecretOctets("), "{name}: {text}");
        }
    }
    debug::<EncryptionKey>("keyblock", KEY);
    debug::<EncTicketPart>("enc_tkt_part", KEY);
    debug::<EncAsRepPart>("enc_kdc_rep_part", KEY);
    debug::<Authenticator>("authenticator", KEY);
    debug::<EncApRepPart>("ap_rep_enc_part", KEY);
    debug::<EncKrbCredPart>("enc_cred_part", KEY);
    debug::<KrbFastResponse>("fast_response", KEY);
    debug::<EncKrbPrivPart>("enc_priv_part", b"user data");
    debug::<ChangePasswdData>("setpw_req", "пароль".as_bytes());
    debug::<PaOtpRequest>("pa_otp_req", b"123456");
}

/// Etype 0 leaves the keys of a KRB-CRED open, in a checksum of type 0x8003 too.
#[test]
fn debug_of_a_delegation_in_the_clear_does_not_show_it() {
    let open = EncryptedData::new(0, None, KEY.to_vec());
    assert_eq!(
        format!("{open:?}"),
        format!(
            "EncryptedData {{ etype: 0, kvno: None, cipher: {} bytes }}",
            KEY.len()
        )
    );
    let whole = GssChecksum {
        delegation: Some(KEY.to_vec()),
        ..GssChecksum::default()
    };
    let wire = Checksum::new(0x8003, whole.encode().unwrap());
    for text in [format!("{whole:?}"), format!("{wire:?}")] {
        assert!(!shows(&text, KEY), "{text}");
    }
    assert!(format!("{wire:?}").contains("cksumtype: 32771"));
}

#[test]
fn debug_of_a_kept_value_says_its_type_and_length_only() {
    let ticket = Ticket::from_der(&ticket()).unwrap();
    let raw = trihound_asn1::Raw::new(&ticket).unwrap();
    assert_eq!(
        format!("{raw:?}"),
        format!("Raw<Ticket>({} bytes)", raw.der().len())
    );
}

/// The decoder's own error quotes its input; ours names the field.
#[test]
fn errors_name_the_field_and_quote_no_input() {
    let der = samples::named("enc_tkt_part");
    let mut failures = 0;
    for at in 0..der.len() {
        for value in [0x00, 0x04, 0x30, 0x7f, 0x81, 0xff] {
            let mut altered = der.clone();
            altered[at] = value;
            if let Err(error) = EncTicketPart::from_der(&altered) {
                failures += 1;
                for text in [error.to_string(), format!("{error:?}")] {
                    assert!(!shows(&text, KEY), "{text}");
                    assert!(!shows(&text, &KEY[4..12]), "{text}");
                    assert!(!shows(&text, REALM), "{text}");
                }
            }
        }
    }
    assert!(failures > der.len());

    let missing = app(3, &[&ctx(0, &flags(0)), &ctx(1, &key())]);
    let error = EncTicketPart::from_der(&missing).unwrap_err();
    assert!(
        matches!(&error, DecodeError::Malformed { type_name: "EncTicketPart", field, .. } if field == "crealm"),
        "{error:?}"
    );
    let nested = app(
        3,
        &[
            &ctx(0, &flags(0)),
            &ctx(1, &seq(&[&ctx(0, &int(17)), &ctx(1, &int(1))])),
        ],
    );
    let error = EncTicketPart::from_der(&nested).unwrap_err();
    assert!(
        matches!(&error, DecodeError::Malformed { field, .. } if field == "key.keyvalue"),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .starts_with("EncTicketPart is not valid in field key.keyvalue: expected tag")
    );
}

#[test]
fn a_secret_is_exposed_by_name_only() {
    let secret = SecretOctets::from(KEY);
    assert_eq!(secret.expose(), KEY);
    assert_eq!(secret.len(), 16);
    assert!(!secret.is_empty());
    assert_eq!(format!("{secret:?}"), "SecretOctets(16 bytes)");
}
