//! The known answers of `fixtures/vectors` that this layer has a part in.

use serde_json::Value;
use trihound_asn1::gss::{ChannelBindings, GssChecksum, GssFlags};
use trihound_asn1::registry::{roundtrip_by_name, type_names};
use trihound_asn1::{DecodeError, KerberosTime, Message, MethodData, UInt32};

use crate::model::hex;

fn load(file: &str) -> Vec<Value> {
    let path = format!(
        "{}/../../fixtures/vectors/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(file["vectors"].take()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex(value.as_str().unwrap())
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

/// Conformance row 45.
#[test]
fn der_primitives() {
    let vectors = load("der-primitives.json");
    assert_eq!(vectors.len(), 5);
    for vector in vectors {
        let id = vector["id"].as_str().unwrap();
        let input = &vector["in"];
        let der = match vector["op"].as_str().unwrap() {
            "der_strict" => bytes(&input["der"]),
            "der_depth" => bytes(&input["der_prefix"])
                .repeat(usize::try_from(input["repeat"].as_u64().unwrap()).unwrap()),
            other => panic!("{id}: {other}"),
        };
        let outcomes: Vec<bool> = type_names()
            .map(|name| roundtrip_by_name(name, &der).unwrap().is_ok())
            .collect();
        if vector["out"]["reject"] == true {
            assert!(!outcomes.contains(&true), "{id}");
        } else {
            assert_eq!(vector["out"]["no_crash"], true, "{id}");
        }
    }
}

/// Conformance row 45: the variant says what is wrong.
#[test]
fn der_primitives_by_variant() {
    let type_name = "METHOD-DATA";
    assert_eq!(
        MethodData::from_der(&[0x30, 0x80].repeat(20_000)).unwrap_err(),
        DecodeError::IndefiniteLength {
            type_name,
            offset: 0
        }
    );
    assert_eq!(
        MethodData::from_der(&hex("3084ffffffff")).unwrap_err(),
        DecodeError::Truncated {
            type_name,
            offset: 0
        }
    );
}

/// Conformance row 135.
#[test]
fn gss_0x8003() {
    let vectors = load("gss-0x8003.json");
    assert_eq!(vectors.len(), 5);
    for vector in vectors {
        let id = vector["id"].as_str().unwrap();
        let input = &vector["in"];
        match vector["op"].as_str().unwrap() {
            "encode_8003" => {
                let checksum = GssChecksum {
                    bindings: bytes(&input["bnd"]).try_into().unwrap(),
                    flags: GssFlags::from_bits_retain(number(&input["flags"])),
                    delegation: input.get("krb_cred").map(bytes),
                    extensions: Vec::new(),
                };
                let expected = bytes(&vector["out"]["checksum"]);
                assert_eq!(checksum.encode().unwrap(), expected, "{id}");
                assert_eq!(GssChecksum::parse(&expected).unwrap(), checksum, "{id}");
            }
            "parse_8003" => {
                assert_eq!(vector["out"]["reject"], true, "{id}");
                let error = GssChecksum::parse(&bytes(&input["checksum"])).unwrap_err();
                let expected = match id {
                    "gss-0x8003-d003" => DecodeError::GssChecksumTooShort { length: 23 },
                    "gss-0x8003-d004" => DecodeError::GssBindingsLength { found: 15 },
                    _ => DecodeError::GssDelegationTruncated,
                };
                assert_eq!(error, expected, "{id}");
            }
            other => panic!("{id}: {other}"),
        }
    }
}

#[test]
fn channel_bindings_are_packed_as_the_vectors_say() {
    let vectors = load("channel-bindings.json");
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let input = &vector["in"];
        let bindings = ChannelBindings {
            initiator_addrtype: number(&input["initiator_addrtype"]),
            initiator_address: bytes(&input["initiator_address"]),
            acceptor_addrtype: number(&input["acceptor_addrtype"]),
            acceptor_address: bytes(&input["acceptor_address"]),
            application_data: bytes(&input["application_data"]),
        };
        assert_eq!(
            bindings.packed(),
            bytes(&vector["out"]["packed"]),
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn channel_bindings_keep_addresses_apart_from_data() {
    let bindings = ChannelBindings {
        initiator_addrtype: 2,
        initiator_address: vec![10, 0, 0, 1],
        acceptor_addrtype: 24,
        acceptor_address: vec![9; 3],
        application_data: b"data".to_vec(),
    };
    assert_eq!(
        bindings.packed(),
        hex("02000000040000000a000001180000000300000009090904000000")
            .into_iter()
            .chain(*b"data")
            .collect::<Vec<_>>()
    );
    assert_eq!(
        ChannelBindings::from_application_data(*b"data").application_data,
        b"data"
    );
}

#[test]
fn integers_and_times_of_all_sizes_stand_for_themselves() {
    for value in [0, 1, 127, 128, 255, 256, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        assert_eq!(UInt32::new(value).get(), value);
    }
    assert_eq!(KerberosTime::from_seconds(0).to_string(), "19700101000000Z");
}
