//! Conformance row 188: encoding again gives the bytes that came.

use std::collections::BTreeSet;

use rasn::{Decode, Encode};
use trihound_asn1::registry::{roundtrip_by_name, type_names};

use crate::samples;

/// Conformance row 188.
#[test]
fn every_sample_comes_back_byte_for_byte() {
    for (name, der) in samples::all() {
        let back = roundtrip_by_name(name, &der).unwrap_or_else(|| panic!("{name} is not known"));
        assert_eq!(
            back.unwrap_or_else(|error| panic!("{name}: {error}")),
            der,
            "{name}"
        );
    }
}

#[test]
fn every_type_of_the_registry_has_a_sample() {
    let sampled: BTreeSet<&str> = samples::all().iter().map(|(name, _)| *name).collect();
    let known: BTreeSet<&str> = type_names().collect();
    assert_eq!(known, sampled);
}

#[test]
fn an_unknown_name_is_told_apart_from_a_failure() {
    assert!(roundtrip_by_name("auth_pack", &[0x30, 0]).is_none());
    assert!(roundtrip_by_name("ticket", &[0x30, 0]).unwrap().is_err());
}

/// A second implementation of the same ASN.1 reads our samples and writes them alike, where it can:
/// fields and tags are then those of the standard, not of one reading of it.
#[test]
fn rasn_kerberos_reads_and_writes_the_same_bytes() {
    fn other<T: Decode + Encode>(name: &str, der: &[u8]) {
        let value: T = rasn::der::decode(der).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(rasn::der::encode(&value).unwrap(), der, "{name}");
    }
    let mut compared = 0;
    for (name, der) in samples::all() {
        let der = der.as_slice();
        match name {
            "principal" => other::<rasn_kerberos::PrincipalName>(name, der),
            "keyblock" => other::<rasn_kerberos::EncryptionKey>(name, der),
            "enc_data" => other::<rasn_kerberos::EncryptedData>(name, der),
            "checksum" => other::<rasn_kerberos::Checksum>(name, der),
            "host_addresses" => other::<rasn_kerberos::HostAddresses>(name, der),
            "authorization_data" => other::<rasn_kerberos::AuthorizationData>(name, der),
            "padata_sequence" => other::<rasn_kerberos::MethodData>(name, der),
            "ticket" => other::<rasn_kerberos::Ticket>(name, der),
            "enc_tkt_part" => other::<rasn_kerberos::EncTicketPart>(name, der),
            "as_req" => other::<rasn_kerberos::AsReq>(name, der),
            "tgs_req" => other::<rasn_kerberos::TgsReq>(name, der),
            "kdc_req_body" => other::<rasn_kerberos::KdcReqBody>(name, der),
            "as_rep" => other::<rasn_kerberos::AsRep>(name, der),
            "tgs_rep" => other::<rasn_kerberos::TgsRep>(name, der),
            "ap_req" => other::<rasn_kerberos::ApReq>(name, der),
            "authenticator" => other::<rasn_kerberos::Authenticator>(name, der),
            "ap_rep" => other::<rasn_kerberos::ApRep>(name, der),
            "ap_rep_enc_part" => other::<rasn_kerberos::EncApRepPart>(name, der),
            "safe" => other::<rasn_kerberos::KrbSafe>(name, der),
            "priv" => other::<rasn_kerberos::KrbPriv>(name, der),
            "enc_priv_part" => other::<rasn_kerberos::EncKrbPrivPart>(name, der),
            "cred" => other::<rasn_kerberos::KrbCred>(name, der),
            "enc_cred_part" => other::<rasn_kerberos::EncKrbCredPart>(name, der),
            "error" => other::<rasn_kerberos::KrbError>(name, der),
            "pa_enc_ts" => other::<rasn_kerberos::PaEncTsEnc>(name, der),
            "etype_info" => other::<rasn_kerberos::EtypeInfo>(name, der),
            "etype_info2" => other::<rasn_kerberos::EtypeInfo2>(name, der),
            "ad_kdcissued" => other::<rasn_kerberos::AdKdcIssued>(name, der),
            "ad_and_or" => other::<rasn_kerberos::AdAndOr>(name, der),
            "ad_login_alias" => other::<rasn_kerberos::AdLoginAlias>(name, der),
            _ => continue,
        }
        compared += 1;
    }
    assert_eq!(compared, 45);
}
