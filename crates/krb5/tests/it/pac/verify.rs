//! Signatures, client and requestor.

use trihound_asn1::{TicketFlags, error_code};
use trihound_crypto::ChecksumType;
use trihound_krb5::Principal;
use trihound_krb5::pac::{Sid, pac_of_ticket};
use trihound_sansio::Timestamp;

use super::*;
use crate::small_kdc::*;

#[test]
fn a_pac_verifies_for_service_and_kdc_and_says_who_the_user_is() {
    let issue = Issue::new();
    let bytes = issue.sign();
    let ticket = ticket(&bytes);
    for pac in [
        accept(&issue, &bytes).unwrap(),
        accept_as_kdc(&issue, &bytes, &ticket).unwrap(),
    ] {
        assert_eq!(pac.user_sid(), Some(user()));
        assert_eq!(pac.buffers().len(), 9);
    }
}

/// Conformance row 40.
#[test]
fn row_40_the_server_signature_covers_every_byte_but_the_signatures() {
    let issue = Issue::new();
    let mut bytes = issue.sign();
    let kdc = place(&bytes, PacBufferType::KDC_SIGNATURE).unwrap();
    let server = place(&bytes, PacBufferType::SERVER_SIGNATURE).unwrap();
    for index in 0..bytes.len() {
        bytes[index] ^= 1;
        let result = accept(&issue, &bytes);
        if kdc.contains(&index) {
            result.unwrap();
        } else if server.contains(&index) {
            let buffer = PacBufferType::SERVER_SIGNATURE;
            assert_eq!(
                not_trusted(result),
                PacNotTrusted::SignatureInvalid { buffer }
            );
        } else {
            let code = result.unwrap_err().krb_error_code();
            assert_eq!(code, Some(error_code::KRB_AP_ERR_MODIFIED), "byte {index}");
        }
        bytes[index] ^= 1;
    }
}

/// Conformance row 40.
#[test]
fn row_40_nothing_is_read_before_the_signature_is_good() {
    // The logon information is no NDR at all, and still the signature is what is refused.
    let issue = Issue::new().set(PacBufferType::LOGON_INFO, vec![0xff; 64]);
    let mut bytes = issue.sign();
    assert!(matches!(
        invalid(accept(&issue, &bytes)),
        InvalidPac::NotNdr { .. }
    ));
    let at = place(&bytes, PacBufferType::SERVER_SIGNATURE).unwrap();
    bytes[at.start] ^= 1;
    let buffer = PacBufferType::SERVER_SIGNATURE;
    assert_eq!(
        not_trusted(accept(&issue, &bytes)),
        PacNotTrusted::SignatureInvalid { buffer }
    );
}

/// Conformance row 40: CVE-2014-6324.
#[test]
fn row_40_a_checksum_without_a_key_is_no_signature() {
    let mut forged = ChecksumType::RSA_MD5.0.to_le_bytes().to_vec();
    forged.extend([0; 16]);
    let issue = Issue::new().set(PacBufferType::SERVER_SIGNATURE, forged);
    assert_eq!(
        not_trusted(accept(&issue, &pac(&issue.buffers))),
        PacNotTrusted::SignatureNotKeyed {
            buffer: PacBufferType::SERVER_SIGNATURE,
            kind: ChecksumType::RSA_MD5
        }
    );
}

/// Conformance row 40: CVE-2016-2126.
#[test]
fn row_40_the_signature_is_of_the_keys_own_type() {
    let issue = Issue::new();
    let bytes = issue.sign();
    let other = Issue {
        server: key(2, AES128),
        ..Issue::new()
    };
    assert_eq!(
        not_trusted(accept(&other, &bytes)),
        PacNotTrusted::SignatureTypeDiffers {
            buffer: PacBufferType::SERVER_SIGNATURE,
            kind: ChecksumType::HMAC_SHA1_96_AES256,
            expected: ChecksumType::HMAC_SHA1_96_AES128,
        }
    );
}

#[test]
fn what_every_pac_must_have_is_missed() {
    for buffer in [
        PacBufferType::SERVER_SIGNATURE,
        PacBufferType::KDC_SIGNATURE,
        PacBufferType::CLIENT_INFO,
    ] {
        let issue = Issue::new().without(buffer);
        assert_eq!(
            not_trusted(accept(&issue, &issue.sign())),
            PacNotTrusted::BufferMissing { buffer }
        );
    }
    // A KDC that is no domain controller knows of no logon information.
    let issue = Issue::new()
        .without(PacBufferType::LOGON_INFO)
        .without(PacBufferType::UPN_DNS_INFO)
        .without(PacBufferType::REQUESTOR);
    assert_eq!(accept(&issue, &issue.sign()).unwrap().user_sid(), None);
}

#[test]
fn the_kdc_signature_is_under_the_kdcs_key() {
    let issue = Issue::new();
    let mut bytes = issue.sign();
    let at = place(&bytes, PacBufferType::KDC_SIGNATURE).unwrap();
    bytes[at.start] ^= 1;
    let buffer = PacBufferType::KDC_SIGNATURE;
    assert_eq!(
        not_trusted(accept_as_kdc(&issue, &bytes, &ticket(&bytes))),
        PacNotTrusted::SignatureInvalid { buffer }
    );
}

/// Conformance row 42.
#[test]
fn row_42_the_client_is_the_tickets() {
    let issue = Issue::new().set(PacBufferType::CLIENT_INFO, client_info(NOW, "mallory"));
    assert_eq!(
        not_trusted(accept(&issue, &issue.sign())),
        PacNotTrusted::ClientNameDiffers {
            pac: "mallory".into(),
            ticket: "alice@TEST.EXAMPLE".into()
        }
    );
    let issue = Issue::new().set(PacBufferType::CLIENT_INFO, client_info(NOW + 1, "alice"));
    let filetime = 116_444_736_000_000_000 + 10_000_000 * (NOW as u64 + 1);
    assert_eq!(
        not_trusted(accept(&issue, &issue.sign())),
        PacNotTrusted::ClientIdDiffers {
            pac: filetime,
            ticket: Timestamp::from_seconds(NOW)
        }
    );
}

/// Conformance row 42.
#[test]
fn row_42_names_of_other_forms() {
    let case = |pac_name: &str, name: &Principal, with_realm: bool| {
        let issue = Issue::new().set(PacBufferType::CLIENT_INFO, client_info(NOW, pac_name));
        let bytes = issue.sign();
        let mut ticket = ticket(&bytes);
        ticket.cname = name.name.clone();
        accept_with(&issue, &bytes, &ticket, |check| {
            check.client.name_with_realm = with_realm;
        })
    };
    let host = Principal::parse("host/web.test.example", Some(REALM)).unwrap();
    let enterprise = Principal::parse_enterprise("alice@corp.example", Some(REALM)).unwrap();
    let good = [
        ("host/web.test.example", &host, false),
        ("alice@corp.example", &enterprise, false),
        ("alice@TEST.EXAMPLE", &alice(), true),
        ("alice", &alice(), true),
    ];
    for (text, name, with_realm) in good {
        case(text, name, with_realm).unwrap();
    }
    let bad = [
        ("alice@TEST.EXAMPLE", &alice(), false),
        ("alice@OTHER.EXAMPLE", &alice(), true),
        ("Alice", &alice(), false),
        ("host", &host, false),
        ("host/web.test.example@TEST.EXAMPLE", &host, false),
        ("alice", &host, true),
        ("", &alice(), false),
    ];
    for (text, name, with_realm) in bad {
        let fault = not_trusted(case(text, name, with_realm));
        assert!(
            matches!(fault, PacNotTrusted::ClientNameDiffers { .. }),
            "{text}"
        );
    }
}

/// Conformance row 43: no PAC is not an empty one.
#[test]
fn row_43_a_ticket_without_a_pac_is_told_from_one_with() {
    let bytes = Issue::new().sign();
    let mut part = ticket(&bytes);
    assert_eq!(pac_of_ticket(&part).unwrap(), Some(bytes));
    part.authorization_data = None;
    assert_eq!(pac_of_ticket(&part).unwrap(), None);
    assert!(matches!(
        UnverifiedPac::parse(&[]),
        Err(InvalidPac::Truncated { .. })
    ));
}

/// Conformance row 99.
#[test]
fn row_99_the_ticket_signature_binds_the_ticket() {
    let issue = Issue::new();
    let bytes = issue.sign();
    let buffer = PacBufferType::TICKET_SIGNATURE;
    // CVE-2020-17049: the forwardable flag that a service with the ticket's key could set.
    let mut altered = ticket(&bytes);
    altered.flags |= TicketFlags::FORWARDABLE;
    assert_eq!(
        not_trusted(accept_as_kdc(&issue, &bytes, &altered)),
        PacNotTrusted::SignatureInvalid { buffer }
    );
    // A service without the KDC's key cannot tell.
    accept_with(&issue, &bytes, &altered, |_| {}).unwrap();

    let other = ticket(&[1, 2, 3]);
    assert_eq!(
        not_trusted(accept_as_kdc(&issue, &bytes, &other)),
        PacNotTrusted::TicketWithoutPac
    );
    let stripped = Issue::new().without(buffer);
    let bytes = stripped.sign();
    assert_eq!(
        not_trusted(accept_as_kdc(&stripped, &bytes, &ticket(&bytes))),
        PacNotTrusted::BufferMissing { buffer }
    );
}

/// Conformance row 100: CVE-2022-37967, a PAC signed anew by who has the service's key alone.
#[test]
fn row_100_the_full_checksum_covers_the_pac() {
    let issue = Issue::new();
    let mut bytes = issue.sign();
    let at = place(&bytes, PacBufferType::FULL_CHECKSUM).unwrap();
    bytes[at.start] ^= 1;
    let ticket_part = ticket(&bytes);
    let pac = UnverifiedPac::parse(&bytes).unwrap();
    let buffer = PacBufferType::FULL_CHECKSUM;
    assert_eq!(
        not_trusted(pac.verify_full_checksum(&issue.kdc)),
        PacNotTrusted::SignatureInvalid { buffer }
    );
    assert!(accept_as_kdc(&issue, &bytes, &ticket_part).is_err());

    let mut bytes = issue.sign();
    let pac_type = place(&bytes, PacBufferType::ATTRIBUTES).unwrap();
    bytes[pac_type.start] ^= 2;
    let pac = UnverifiedPac::parse(&bytes).unwrap();
    assert_eq!(
        not_trusted(pac.verify_full_checksum(&issue.kdc)),
        PacNotTrusted::SignatureInvalid { buffer }
    );

    let stripped = Issue::new().without(buffer);
    let bytes = stripped.sign();
    accept(&stripped, &bytes).unwrap();
    assert_eq!(
        not_trusted(accept_as_kdc(&stripped, &bytes, &ticket(&bytes))),
        PacNotTrusted::BufferMissing { buffer }
    );
}

/// Conformance row 101: CVE-2021-42287.
#[test]
fn row_101_the_requestor_is_the_user() {
    let requestor = domain().member(USER + 1).unwrap();
    let issue = Issue::new().set(PacBufferType::REQUESTOR, requestor.to_bytes());
    let (requestor, user) = (Box::new(requestor), Box::new(user()));
    assert_eq!(
        not_trusted(accept(&issue, &issue.sign())),
        PacNotTrusted::RequestorDiffers { requestor, user }
    );
    let issue = Issue::new().without(PacBufferType::REQUESTOR);
    let bytes = issue.sign();
    accept(&issue, &bytes).unwrap();
    let buffer = PacBufferType::REQUESTOR;
    assert_eq!(
        not_trusted(accept_as_kdc(&issue, &bytes, &ticket(&bytes))),
        PacNotTrusted::BufferMissing { buffer }
    );
    let attributes = accept(&issue, &bytes)
        .unwrap()
        .attributes()
        .copied()
        .unwrap();
    assert_eq!((attributes.flags_length, attributes.flags), (2, 1));
}

/// Conformance row 44.
#[test]
fn row_44_the_user_is_known_by_one_sid() {
    let other: Sid = "S-1-5-21-1-2-3-500".parse().unwrap();
    let issue = Issue::new().set(PacBufferType::UPN_DNS_INFO, upn_dns_info(&other));
    assert_eq!(
        not_trusted(accept(&issue, &issue.sign())),
        PacNotTrusted::UserSidsDiffer {
            logon_info: Box::new(user()),
            upn_dns_info: Box::new(other)
        }
    );
    let issue = Issue::new().without(PacBufferType::LOGON_INFO);
    assert_eq!(
        accept(&issue, &issue.sign()).unwrap().user_sid(),
        Some(user())
    );
}
