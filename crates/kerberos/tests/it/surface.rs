//! What the package says of itself and of its contexts, held against what it does.

use trihound_crypto::{Enctype, EnctypePolicy};
use trihound_kerberos::KerberosContext;
use trihound_sansio::{Reply, Timestamp, TransportFailure};
use trihound_secret::{SecretBytes, SecretString};
use trihound_sspi::*;

use crate::support::AES;
use crate::world::{Sides, TARGET, TicketSpec, Wishes, World, acceptor_attributes};

const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;

pub(crate) fn only(enctype: Enctype) -> World {
    World::with_policy(
        enctype,
        trihound_crypto::danger::only_with_weak(&[enctype]).unwrap(),
    )
}

pub(crate) fn enctypes() -> impl Iterator<Item = Enctype> {
    AES.into_iter().chain([Enctype::RC4_HMAC])
}

pub(crate) fn established(world: &World, wishes: Wishes) -> (CtxtHandle, CtxtHandle) {
    let mut sides = Sides::new(world, wishes);
    sides.establish();
    sides.contexts()
}

pub(crate) fn query(
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
    let credential =
        trihound_kerberos::KerberosCredential::from_ticket(world.forge(&TicketSpec::default()))
            .unwrap();
    let mut context: Option<KerberosContext> = None;
    let mut memory = [0; 4000];
    let mut buffers = [
        SecBuffer::token(&mut memory),
        SecBuffer::data_input(b"data"),
    ];
    let mut desc = SecBufferDesc::new(&mut buffers);
    let request = InitializeRequest {
        target_name: Some(TARGET),
        requirements: InitiatorRequirements::INTEGRITY | InitiatorRequirements::CONFIDENTIALITY,
        ..InitializeRequest::default()
    };
    let begun = package.initialize_security_context(&credential, &mut context, request, &mut desc);
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
            CredentialAttributeValue::KdcProxySettings {
                proxy_server: "proxy.test".to_owned(),
                flags: 0,
                client_tls_credential: Vec::new(),
            },
        ),
        Function::AddCredentials => package.add_credentials(&credential, AcquireRequest::default()),
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
            let lifespan = SecPkgContextLifespan {
                start: Timestamp::default(),
                expiry: Expiry::Never,
            };
            package.set_context_attributes(established, ContextAttributeValue::Lifespan(lifespan))
        }
        Function::QuerySecurityContextToken => {
            package.query_security_context_token(established).map(drop)
        }
        Function::ApplyControlToken => package.apply_control_token(established, desc),
        Function::CompleteAuthToken => package.complete_auth_token(established, desc),
        Function::ExportSecurityContext => package
            .export_security_context(established, ExportFlags::empty())
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
        // Who the client is a package tells; to act as it is the table's.
        let impersonates = matches!(
            function,
            Function::ImpersonateSecurityContext | Function::RevertSecurityContext
        );
        // This table has no sealer.
        let seals = matches!(
            function,
            Function::ExportSecurityContext | Function::ImportSecurityContext
        );
        let there =
            said.has(*function) && !seals || FunctionSet::TABLE.has(*function) || impersonates;
        assert_eq!(world.table.supports(*function), there, "{function}");
    }
    assert_eq!(driven, 18);
    let offered = FunctionSet::REQUIRED
        | FunctionSet::QUERY_CREDENTIALS_ATTRIBUTES
        | FunctionSet::SET_CREDENTIALS_ATTRIBUTES
        | FunctionSet::ADD_CREDENTIALS
        | FunctionSet::SET_CONTEXT_ATTRIBUTES
        | FunctionSet::EXPORT_SECURITY_CONTEXT
        | FunctionSet::IMPORT_SECURITY_CONTEXT
        | FunctionSet::CHANGE_ACCOUNT_PASSWORD
        | FunctionSet::QUERY_SECURITY_CONTEXT_TOKEN;
    assert_eq!(said, offered);
}

/// A function that is not there is refused by the table, for a real context and credential.
#[test]
fn functions_that_are_not_there_are_refused() {
    let world = World::new(AES256);
    let (_, acceptor) = established(&world, Wishes::full());
    let table = &world.table;
    let (mut room, mut none) = ([0; 100], [0; 100]);
    let mut buffers = [SecBuffer::token(&mut room), SecBuffer::data(&mut none)];
    let desc = &mut SecBufferDesc::new(&mut buffers);
    for error in [
        table.apply_control_token(acceptor, desc).unwrap_err(),
        table.complete_auth_token(acceptor, desc).unwrap_err(),
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
        (
            AcceptorAttributes::CONNECTION,
            SecPkgCapabilities::CONNECTION,
        ),
        (
            AcceptorAttributes::MUTUAL_AUTH,
            SecPkgCapabilities::MUTUAL_AUTH,
        ),
        (
            AcceptorAttributes::EXTENDED_ERROR,
            SecPkgCapabilities::EXTENDED_ERROR,
        ),
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
        SecPkgCapabilities::NEGOTIABLE,
        world.table.mechanism("Kerberos").unwrap().is_some(),
    );
    works.set(
        SecPkgCapabilities::IMPERSONATION,
        functions.has(Function::ImpersonateSecurityContext),
    );
    works.set(SecPkgCapabilities::DELEGATION, crate::delegation::works());
    assert_eq!(info.capabilities, works);
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
    let (mut token, mut data) = ([0; 76], *b"after the handles");
    let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
    let mut desc = SecBufferDesc::new(&mut buffers);
    table.encrypt_message(initiator, 0, &mut desc, 0).unwrap();
    table.decrypt_message(acceptor, &mut desc, 0).unwrap();
    assert_eq!(&data, b"after the handles");
}
