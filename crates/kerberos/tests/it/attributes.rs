//! QueryContextAttributes: every value, and the sizes against the tokens.

use trihound_crypto::Enctype;
use trihound_sansio::Timestamp;
use trihound_sspi::*;

use crate::surface::{enctypes, established, only, query};
use crate::world::{ALICE, NOW, Sides, TARGET, Wishes, World};

const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;
const SERVICE: &str = "HTTP/localhost@EXAMPLE.TEST";

/// QueryContextAttributes, value for value, of an initiator and an acceptor, with each enctype.
#[test]
fn every_attribute_of_a_context_has_its_exact_value() {
    for (enctype, figures) in enctypes().zip([
        (
            28,
            60,
            128,
            17,
            "aes128-cts-hmac-sha1-96",
            15,
            "hmac-sha1-96-aes128",
        ),
        (
            28,
            60,
            256,
            18,
            "aes256-cts-hmac-sha1-96",
            16,
            "hmac-sha1-96-aes256",
        ),
        (
            32,
            64,
            128,
            19,
            "aes128-cts-hmac-sha256-128",
            19,
            "hmac-sha256-128-aes128",
        ),
        (
            40,
            72,
            256,
            20,
            "aes256-cts-hmac-sha384-192",
            20,
            "hmac-sha384-192-aes256",
        ),
        (37, 49, 128, 23, "arcfour-hmac", -138, "hmac-md5-rc4"),
    ]) {
        let world = only(enctype);
        let mut sides = Sides::new(&world, Wishes::full());
        let (ours, theirs) = sides.establish();
        let (initiator, acceptor) = sides.contexts();
        for (context, got, target) in [(initiator, &ours, TARGET), (acceptor, &theirs, SERVICE)] {
            exact(&world, context, got, target, figures);
        }
        let key = |context| match query(&world, context, ContextAttribute::SessionKey) {
            Ok(ContextAttributeValue::SessionKey(key)) => key.expose().to_vec(),
            other => panic!("{other:?}"),
        };
        assert_eq!(key(initiator), key(acceptor));
        assert_eq!(key(initiator).len() * 8, figures.2 as usize);
    }
}

type Figures = (u32, u32, u32, i32, &'static str, i32, &'static str);

fn exact(
    world: &World,
    context: CtxtHandle,
    established: &Established,
    target: &str,
    (signature, trailer, bits, enctype, name, checksum, checksum_name): Figures,
) {
    use ContextAttribute as Attribute;
    use ContextAttributeValue as Value;
    let padding = u32::from(enctype == 23);
    let info = world.table.query_security_package_info("Kerberos").unwrap();
    let expected = [
        (
            Attribute::Sizes,
            format!(
                "{:?}",
                Value::Sizes(SecPkgContextSizes {
                    max_token: 48_000,
                    max_signature: signature,
                    block_size: 1,
                    security_trailer: trailer,
                })
            ),
        ),
        (
            Attribute::StreamSizes,
            format!(
                "{:?}",
                Value::StreamSizes(SecPkgContextStreamSizes {
                    header: trailer,
                    trailer: padding,
                    maximum_message: u32::MAX - trailer - padding,
                    buffers: 3,
                    block_size: 1,
                })
            ),
        ),
        (
            Attribute::Names,
            format!("{:?}", Value::Names(ALICE.to_owned())),
        ),
        (
            Attribute::NativeNames,
            format!(
                "{:?}",
                Value::NativeNames(SecPkgContextNativeNames {
                    client_name: ALICE.to_owned(),
                    server_name: SERVICE.to_owned(),
                })
            ),
        ),
        (
            Attribute::Lifespan,
            format!(
                "{:?}",
                Value::Lifespan(SecPkgContextLifespan {
                    start: Timestamp::from_seconds(NOW - 60),
                    expiry: established.expiry,
                })
            ),
        ),
        (
            Attribute::Flags,
            format!("{:?}", Value::Flags(established.attributes)),
        ),
        (
            Attribute::KeyInfo,
            format!(
                "{:?}",
                Value::KeyInfo(SecPkgContextKeyInfo {
                    signature_algorithm_name: checksum_name.to_owned(),
                    encrypt_algorithm_name: name.to_owned(),
                    key_size: bits,
                    signature_algorithm: u32::from_ne_bytes(checksum.to_ne_bytes()),
                    encrypt_algorithm: u32::from_ne_bytes(enctype.to_ne_bytes()),
                })
            ),
        ),
        (
            Attribute::PackageInfo,
            format!("{:?}", Value::PackageInfo(info.clone())),
        ),
        (
            Attribute::NegotiationInfo,
            format!(
                "{:?}",
                Value::NegotiationInfo(SecPkgContextNegotiationInfo {
                    package: info,
                    state: NegotiationState::Direct,
                })
            ),
        ),
        (
            Attribute::ClientSpecifiedTarget,
            format!("{:?}", Value::ClientSpecifiedTarget(target.to_owned())),
        ),
        (
            Attribute::LastClientTokenStatus,
            format!(
                "{:?}",
                Value::LastClientTokenStatus(LastClientTokenStatus::Yes)
            ),
        ),
    ];
    for (attribute, expected) in expected {
        let found = query(world, context, attribute).unwrap();
        assert_eq!(found.attribute(), attribute);
        assert_eq!(format!("{found:?}"), expected);
    }
}

/// Before a context is established only what is known then is told; the rest is SEC_E_NO_CONTEXT.
#[test]
fn attributes_of_a_half_made_context() {
    use ContextAttribute as Attribute;
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::dce());
    let (_, token) = sides.initialize(None);
    let (_, _) = sides.accept(Some(&token));
    let (initiator, acceptor) = sides.contexts();
    for context in [initiator, acceptor] {
        for attribute in [
            Attribute::Sizes,
            Attribute::StreamSizes,
            Attribute::Names,
            Attribute::NativeNames,
            Attribute::Lifespan,
            Attribute::Flags,
            Attribute::KeyInfo,
            Attribute::SessionKey,
        ] {
            assert_eq!(
                query(&world, context, attribute).unwrap_err(),
                SecurityStatus::SEC_E_NO_CONTEXT,
                "{attribute:?}"
            );
        }
        let Ok(ContextAttributeValue::NegotiationInfo(info)) =
            query(&world, context, Attribute::NegotiationInfo)
        else {
            panic!("no negotiation info");
        };
        assert_eq!(info.state, NegotiationState::InProgress);
        assert!(matches!(
            query(&world, context, Attribute::PackageInfo),
            Ok(ContextAttributeValue::PackageInfo(info)) if info.name == "Kerberos"
        ));
    }
    let status = |context| match query(&world, context, Attribute::LastClientTokenStatus) {
        Ok(ContextAttributeValue::LastClientTokenStatus(status)) => status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status(initiator), LastClientTokenStatus::Maybe);
    assert_eq!(status(acceptor), LastClientTokenStatus::No);
    assert!(matches!(
        query(&world, initiator, Attribute::ClientSpecifiedTarget),
        Ok(ContextAttributeValue::ClientSpecifiedTarget(target)) if target == TARGET
    ));
}

/// Bytes that EncryptMessage and MakeSignature write, for one message.
fn written(world: &World, context: CtxtHandle, qop: Option<u32>, length: usize) -> (usize, usize) {
    let (mut token, mut data, mut padding) = ([0; 200], vec![7; length], [0; 16]);
    let mut buffers = [
        SecBuffer::token(&mut token),
        SecBuffer::data(&mut data),
        SecBuffer::padding(&mut padding),
    ];
    let mut desc = SecBufferDesc::new(&mut buffers);
    match qop {
        Some(qop) => world.table.encrypt_message(context, qop, &mut desc, 0),
        None => world.table.make_signature(context, 0, &mut desc, 0),
    }
    .unwrap();
    let [token, _, padding] = buffers.each_ref().map(SecBuffer::len);
    (token, padding)
}

/// Conformance row 133: cbSecurityTrailer and cbMaxSignature are what the tokens have, to the byte,
/// whatever the message's length; RC4's framing outside of DCE style counts the data, so its length
/// octets are one to five and the figure is the most.
#[test]
fn the_sizes_are_exact() {
    for enctype in enctypes() {
        for wishes in [Wishes::full(), Wishes::dce()] {
            let dce = wishes
                .initiator
                .contains(InitiatorRequirements::USE_DCE_STYLE);
            let world = only(enctype);
            let (initiator, acceptor) = established(&world, wishes);
            let rc4 = enctype == Enctype::RC4_HMAC;
            for context in [initiator, acceptor] {
                let Ok(ContextAttributeValue::Sizes(sizes)) =
                    query(&world, context, ContextAttribute::Sizes)
                else {
                    panic!("no sizes");
                };
                let (trailer, signature) = (
                    sizes.security_trailer as usize,
                    sizes.max_signature as usize,
                );
                for length in (0..=100).chain([127, 128, 255, 256, 65_535, 65_536]) {
                    let (token, padding) = written(&world, context, Some(0), length);
                    if rc4 && !dce {
                        // Object identifier, header, fields, confounder, data and its padding.
                        let octets = match 11 + 32 + length + 1 {
                            0..128 => 1,
                            128..256 => 2,
                            256..65_536 => 3,
                            _ => 4,
                        };
                        assert_eq!((token, padding), (44 + octets, 1), "{enctype} {length}");
                        assert!(token <= trailer);
                    } else {
                        assert_eq!((token, padding), (trailer, 0), "{enctype} {length}");
                    }
                    assert_eq!(
                        written(&world, context, None, length).0,
                        signature,
                        "{enctype} {length}"
                    );
                    let signed = written(&world, context, Some(SECQOP_WRAP_NO_ENCRYPT), length);
                    assert!(signed.0 <= trailer && signed.1 <= sizes.block_size as usize);
                    if !rc4 {
                        assert_eq!(signed, (signature, 0), "{enctype} {length}");
                    }
                }
            }
        }
    }
}

fn session_key(world: &World, context: CtxtHandle) -> Vec<u8> {
    match query(world, context, ContextAttribute::SessionKey) {
        Ok(ContextAttributeValue::SessionKey(key)) => key.expose().to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Conformance row 136: SESSION_KEY is the key of the messages: the initiator's sub-key without an
/// AP-REP, the ticket's session key where the authenticator has no sub-key.
#[test]
fn the_exported_key_is_that_of_the_messages() {
    use trihound_asn1::{ApOptions, EncryptionKey};
    let world = World::new(AES256);
    for (subkey, expected) in [
        (None, world.session_key().expose().to_vec()),
        (Some(vec![0x17; 32]), vec![0x17; 32]),
    ] {
        let message = world.ap_req(ApOptions::empty(), |authenticator| {
            authenticator.cusec = i32::from(subkey.is_some());
            authenticator.subkey = subkey.map(|bytes| EncryptionKey::new(AES256.0, bytes));
        });
        let token = trihound_asn1::gss::wrap_token(trihound_asn1::gss::KRB5_OID, [1, 0], &message);
        let mut sides = Sides::new(&world, Wishes::default());
        let (outcome, _) = sides.accept(Some(&token));
        assert!(outcome.unwrap().established().is_some());
        assert_eq!(session_key(&world, sides.acceptor.unwrap()), expected);
    }
    // With an AP-REP it is the acceptor's own, which neither ticket nor authenticator has.
    let (initiator, acceptor) = established(&world, Wishes::full());
    let key = session_key(&world, initiator);
    assert_eq!(key, session_key(&world, acceptor));
    assert_ne!(key, world.session_key().expose());
}
