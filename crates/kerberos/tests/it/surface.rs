//! What the package says of itself and of its contexts, held against what it does.

use trihound_crypto::{Enctype, EnctypePolicy};
use trihound_kerberos::KerberosContext;
use trihound_sansio::{Reply, Timestamp, TransportFailure};
use trihound_secret::{SecretBytes, SecretString};
use trihound_sspi::*;

use crate::support::AES;
use crate::world::{ALICE, NOW, Sides, TARGET, TicketSpec, Wishes, World, acceptor_attributes};

const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;
const SERVICE: &str = "HTTP/localhost@EXAMPLE.TEST";

fn only(enctype: Enctype) -> World {
    World::with_policy(
        enctype,
        trihound_crypto::danger::only_with_weak(&[enctype]).unwrap(),
    )
}

fn enctypes() -> impl Iterator<Item = Enctype> {
    AES.into_iter().chain([Enctype::RC4_HMAC])
}

fn established(world: &World, wishes: Wishes) -> (CtxtHandle, CtxtHandle) {
    let mut sides = Sides::new(world, wishes);
    sides.establish();
    sides.contexts()
}

fn query(
    world: &World,
    context: CtxtHandle,
    attribute: ContextAttribute,
) -> Result<ContextAttributeValue, SecurityStatus> {
    world
        .table
        .query_context_attributes(context, attribute)
        .map_err(|error| error.status())
}

/// What the package itself answers when the table does not look first; `None` where the table
/// answers without asking a package.
fn answer(world: &World, function: Function) -> Option<SecurityStatus> {
    let package = world.package.package();
    let credential = trihound_kerberos::KerberosCredential::from_ticket(
        world.forge(&TicketSpec::default()),
    )
    .unwrap();
    let mut context: Option<KerberosContext> = None;
    let mut memory = [0; 4000];
    let mut buffers = [SecBuffer::token(&mut memory), SecBuffer::data_input(b"data")];
    let mut desc = SecBufferDesc::new(&mut buffers);
    let request = InitializeRequest {
        target_name: Some(TARGET),
        requirements: InitiatorRequirements::INTEGRITY | InitiatorRequirements::CONFIDENTIALITY,
        ..InitializeRequest::default()
    };
    let begun =
        package.initialize_security_context(&credential, &mut context, request, &mut desc);
    assert!(matches!(begun, Ok(Step::Complete(_))));
    let established = context.as_mut().unwrap();
    let secret = SecretString::from("x");
    let mut room = [0; 100];
    let mut buffers = [SecBuffer::token(&mut room), SecBuffer::data_input(b"")];
    let desc = &mut SecBufferDesc::new(&mut buffers);
    let result = match function {
        Function::AcquireCredentialsHandle => package
            .acquire_credentials_handle(AcquireRequest::default())
            .map(drop),
        Function::QueryCredentialsAttributes => package
            .query_credentials_attributes(&credential, CredentialAttribute::Names)
            .map(drop),
        Function::SetCredentialsAttributes => package.set_credentials_attributes(
            &credential,
            CredentialAttributeValue::Names {
                user_name: "eve".to_owned(),
            },
        ),
        Function::AddCredentials => {
            package.add_credentials(&credential, AcquireRequest::default())
        }
        Function::InitializeSecurityContext => package
            .initialize_security_context(&credential, &mut None, InitializeRequest::default(), desc)
            .map(drop),
        Function::AcceptSecurityContext => package
            .accept_security_context(&credential, &mut None, AcceptRequest::default(), desc)
            .map(drop),
        Function::QueryContextAttributes => package
            .query_context_attributes(established, ContextAttribute::Sizes)
            .map(drop),
        Function::SetContextAttributes => {
            package.set_context_attributes(established, ContextAttributeValue::UserFlags(0))
        }
        Function::QuerySecurityContextToken => {
            package.query_security_context_token(established).map(drop)
        }
        Function::ApplyControlToken => package.apply_control_token(established, desc),
        Function::CompleteAuthToken => package.complete_auth_token(established, desc),
        Function::ExportSecurityContext => package
            .export_security_context(&mut context, ExportFlags::empty())
            .map(drop),
        Function::ImportSecurityContext => package
            .import_security_context(&SecretBytes::from(b"image".as_slice()))
            .map(drop),
        Function::MakeSignature => package.make_signature(established, 0, desc, 0),
        Function::VerifySignature => package.verify_signature(established, desc, 0).map(drop),
        Function::EncryptMessage => package.encrypt_message(established, 7, desc, 0),
        Function::DecryptMessage => package.decrypt_message(established, desc, 0).map(drop),
        Function::ChangeAccountPassword => package
            .change_account_password(ChangePasswordRequest {
                domain_name: "EXAMPLE.TEST",
                account_name: "alice",
                old_password: &secret,
                new_password: &secret,
            })
            .map(drop),
        // No method of a package: the table answers, or refuses, by itself.
        Function::FreeCredentialsHandle
        | Function::DeleteSecurityContext
        | Function::FreeContextBuffer
        | Function::ImpersonateSecurityContext
        | Function::RevertSecurityContext
        | Function::InitSecurityInterface
        | Function::EnumerateSecurityPackages
        | Function::QuerySecurityPackageInfo
        | Function::AddSecurityPackage => return None,
        other => panic!("{other} is not driven by this test"),
    };
    Some(result.map_or_else(|error| error.status(), |()| SecurityStatus::SEC_E_OK))
}

/// A slot is there exactly where the package has the function.
#[test]
fn the_function_set_is_what_answers() {
    let world = World::new(AES256);
    let said = world.package.package().functions();
    let mut driven = 0;
    for function in Function::ALL {
        if let Some(status) = answer(&world, *function) {
            driven += 1;
            assert_eq!(
                status != SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION,
                said.has(*function),
                "{function}: {status:?}"
            );
        } else {
            assert!(!said.has(*function), "{function}");
        }
        let there = said.has(*function) || FunctionSet::TABLE.has(*function);
        assert_eq!(world.table.supports(*function), there, "{function}");
    }
    assert_eq!(driven, 18);
    let offered = FunctionSet::REQUIRED
        | FunctionSet::QUERY_CREDENTIALS_ATTRIBUTES
        | FunctionSet::QUERY_SECURITY_CONTEXT_TOKEN;
    assert_eq!(said, offered);
}

/// A function that is not there is refused by the table, for a real context and credential.
#[test]
fn functions_that_are_not_there_are_refused() {
    let world = World::new(AES256);
    let (_, acceptor) = established(&world, Wishes::full());
    let table = &world.table;
    for error in [
        table.impersonate_security_context(acceptor).unwrap_err(),
        table.revert_security_context(acceptor).unwrap_err(),
        table
            .export_security_context(acceptor, ExportFlags::empty())
            .unwrap_err(),
        table
            .set_context_attributes(acceptor, ContextAttributeValue::UserFlags(0))
            .unwrap_err(),
    ] {
        assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    }
}

/// Each capability that is claimed has a function or an attribute behind it, and none is claimed
/// besides.
#[test]
fn capabilities_are_what_works() {
    let world = World::new(AES256);
    let (initiator, acceptor) = established(&world, Wishes::full());
    let info = world.table.query_security_package_info("Kerberos").unwrap();
    let mut works = SecPkgCapabilities::empty();
    let functions = world.table.functions_of("Kerberos").unwrap();

    let (mut token, mut data) = ([0; 60], *b"text");
    let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
    let mut desc = SecBufferDesc::new(&mut buffers);
    world
        .table
        .encrypt_message(initiator, 0, &mut desc, 0)
        .unwrap();
    world.table.decrypt_message(acceptor, &mut desc, 0).unwrap();
    works |= SecPkgCapabilities::PRIVACY;
    // Tokens alone carry the context: the data of a signature is the caller's own, and read only.
    let mut buffers = [
        SecBuffer::token(&mut token),
        SecBuffer::data_readonly_with_checksum(b"text"),
    ];
    let mut desc = SecBufferDesc::new(&mut buffers);
    world
        .table
        .make_signature(initiator, 0, &mut desc, 0)
        .unwrap();
    world
        .table
        .verify_signature(acceptor, &mut desc, 0)
        .unwrap();
    works |= SecPkgCapabilities::INTEGRITY
        | SecPkgCapabilities::TOKEN_ONLY
        | SecPkgCapabilities::READONLY_WITH_CHECKSUM;

    let mut wishes = Wishes::full();
    wishes.initiator |= InitiatorRequirements::CONNECTION;
    wishes.acceptor |= AcceptorRequirements::CONNECTION | AcceptorRequirements::EXTENDED_ERROR;
    let mut sides = Sides::new(&world, wishes);
    // More than one leg is needed, and its end proves the service.
    let (first, token) = sides.initialize(None);
    assert_eq!(
        first.unwrap().status(),
        SecurityStatus::SEC_I_CONTINUE_NEEDED
    );
    works |= SecPkgCapabilities::MULTI_REQUIRED;
    let (outcome, reply) = sides.accept(Some(&token));
    let got = acceptor_attributes(outcome.unwrap().established().unwrap());
    for (attribute, capability) in [
        (AcceptorAttributes::CONNECTION, SecPkgCapabilities::CONNECTION),
        (AcceptorAttributes::MUTUAL_AUTH, SecPkgCapabilities::MUTUAL_AUTH),
        (AcceptorAttributes::EXTENDED_ERROR, SecPkgCapabilities::EXTENDED_ERROR),
    ] {
        works.set(capability, got.contains(attribute));
    }
    // The tokens are those of RFC 4121, framed as RFC 2743 section 3.1 has it.
    works.set(
        SecPkgCapabilities::GSS_COMPATIBLE,
        trihound_asn1::gss::unwrap_token(&token).is_ok()
            && trihound_asn1::gss::unwrap_token(&reply).is_ok(),
    );
    works.set(
        SecPkgCapabilities::IMPERSONATION,
        functions.has(Function::ImpersonateSecurityContext),
    );
    assert_eq!(info.capabilities, works);
}

/// QueryContextAttributes, value for value, of an initiator and an acceptor, with each enctype.
#[test]
fn every_attribute_of_a_context_has_its_exact_value() {
    for (enctype, figures) in enctypes().zip([
        (28, 60, 128, 17, "aes128-cts-hmac-sha1-96", 15, "hmac-sha1-96-aes128"),
        (28, 60, 256, 18, "aes256-cts-hmac-sha1-96", 16, "hmac-sha1-96-aes256"),
        (32, 64, 128, 19, "aes128-cts-hmac-sha256-128", 19, "hmac-sha256-128-aes128"),
        (40, 72, 256, 20, "aes256-cts-hmac-sha384-192", 20, "hmac-sha384-192-aes256"),
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
                    maximum_message: u32::MAX - trailer - 1,
                    buffers: 2,
                    block_size: 1,
                })
            ),
        ),
        (Attribute::Names, format!("{:?}", Value::Names(ALICE.to_owned()))),
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
        (Attribute::Flags, format!("{:?}", Value::Flags(established.attributes))),
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
        (Attribute::PackageInfo, format!("{:?}", Value::PackageInfo(info.clone()))),
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
            format!("{:?}", Value::LastClientTokenStatus(LastClientTokenStatus::Yes)),
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
                        let octets = match 11 + 2 + 32 + length + 1 {
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
        let token =
            trihound_asn1::gss::wrap_token(trihound_asn1::gss::KRB5_OID, [1, 0], &message);
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

/// Conformance row 59: the MIC of RC4 can be forged, so no context of the default policy comes to
/// rest on one; and where policy lets RC4 in beside AES, mutual authentication still ends on AES.
#[test]
fn no_context_rests_on_rc4_unless_policy_leaves_nothing_else() {
    let strict = World::with_policy(Enctype::RC4_HMAC, EnctypePolicy::default());
    let (outcome, token) = Sides::new(&strict, Wishes::full()).initialize(None);
    assert_eq!(
        outcome.unwrap_err().status(),
        SecurityStatus::SEC_E_ALGORITHM_MISMATCH
    );
    assert!(token.is_empty());
    let lax = World::new(Enctype::RC4_HMAC);
    let (initiator, acceptor) = established(&lax, Wishes::full());
    for context in [initiator, acceptor] {
        assert!(matches!(
            query(&lax, context, ContextAttribute::KeyInfo),
            Ok(ContextAttributeValue::KeyInfo(info)) if info.encrypt_algorithm == 18
        ));
    }
}

/// Conformance row 118: a half-made context serves no message and takes no KDC's reply that it did
/// not ask for; a context that failed is gone for every function.
#[test]
fn half_made_and_failed_contexts_serve_nothing() {
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::full());
    let (_, _) = sides.initialize(None);
    let context = sides.initiator.unwrap();
    for expected in [
        SecurityStatus::SEC_E_NO_CONTEXT,
        SecurityStatus::SEC_E_INVALID_HANDLE,
    ] {
        let table = &world.table;
        let (mut token, mut data) = ([0; 100], *b"text");
        let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
        let mut desc = SecBufferDesc::new(&mut buffers);
        for error in [
            table.make_signature(context, 0, &mut desc, 0).unwrap_err(),
            table.verify_signature(context, &mut desc, 0).unwrap_err(),
            table.encrypt_message(context, 0, &mut desc, 0).unwrap_err(),
            table.decrypt_message(context, &mut desc, 0).unwrap_err(),
            table.query_security_context_token(context).unwrap_err(),
            table
                .query_context_attributes(context, ContextAttribute::Sizes)
                .unwrap_err(),
        ] {
            assert_eq!(error.status(), expected);
        }
        assert_eq!(
            desc.find(BufferType::DATA).map(SecBuffer::bytes),
            Some(b"text".as_slice())
        );
        // The first round leaves the context half made; this reply, which nobody asked for, ends it.
        let failure = TransportFailure {
            realm: "EXAMPLE.TEST".to_owned(),
            attempts: Vec::new(),
            advice: String::new(),
        };
        let error = table
            .complete_exchange(context, Reply::Failed(&failure), &mut desc)
            .unwrap_err();
        assert_ne!(error.status(), SecurityStatus::SEC_E_OK);
    }
    world.table.delete_security_context(context).unwrap();
}

/// A context outlives its credential handle in the middle of the handshake and in use.
#[test]
fn a_context_outlives_its_credential_handle() {
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::dce());
    let (_, token) = sides.initialize(None);
    let (_, answer) = sides.accept(Some(&token));
    world.table.free_credentials_handle(sides.client).unwrap();
    world.table.free_credentials_handle(sides.service).unwrap();
    let (mut memory, table) = ([0; 4000], &world.table);
    let input = [SecBuffer::token_input(&answer)];
    let request = InitializeRequest {
        target_name: Some(TARGET),
        requirements: sides.wishes.initiator,
        input: Some(InputDesc::new(&input)),
        ..InitializeRequest::default()
    };
    let mut buffers = [SecBuffer::token(&mut memory)];
    let mut desc = SecBufferDesc::new(&mut buffers);
    let outcome = table
        .initialize_security_context(None, sides.initiator, request, &mut desc)
        .unwrap();
    assert!(outcome.established().is_some());
    let third = desc.token().unwrap().to_vec();
    let input = [SecBuffer::token_input(&third)];
    let request = AcceptRequest {
        requirements: sides.wishes.acceptor,
        input: Some(InputDesc::new(&input)),
    };
    let mut buffers: [SecBuffer<'_>; 0] = [];
    let outcome = table
        .accept_security_context(
            None,
            sides.acceptor,
            request,
            &mut SecBufferDesc::new(&mut buffers),
        )
        .unwrap();
    assert!(outcome.established().is_some());
    let (initiator, acceptor) = sides.contexts();
    let (mut token, mut data) = ([0; 60], *b"after the handles");
    let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
    let mut desc = SecBufferDesc::new(&mut buffers);
    table.encrypt_message(initiator, 0, &mut desc, 0).unwrap();
    table.decrypt_message(acceptor, &mut desc, 0).unwrap();
    assert_eq!(&data, b"after the handles");
}
