use std::sync::Arc;
use std::sync::atomic::Ordering;

use trihound_sansio::{DriveError, ExchangeRequest, Transport, TransportFailure, drive};
use trihound_secret::SecretString;
use trihound_sspi::*;

use crate::toy::{Bench, Toy, ToySealer, status};

#[test]
fn packages_are_listed_in_order_of_preference_and_found_by_name() {
    let table = SecurityFunctionTable::builder()
        .package(&RegisteredPackage::new(Toy::offering(
            "First",
            FunctionSet::REQUIRED,
        )))
        .package(&RegisteredPackage::new(Toy::new()))
        .build()
        .unwrap();
    let late = RegisteredPackage::new(Toy::offering("Late", FunctionSet::REQUIRED));
    table.add_security_package(&late).unwrap();
    let names: Vec<_> = table
        .enumerate_security_packages()
        .into_iter()
        .map(|info| info.name)
        .collect();
    assert_eq!(names, ["First", "Toy", "Late"]);
    let info = table.query_security_package_info("tOY").unwrap();
    assert_eq!((info.name.as_ref(), info.max_token), ("Toy", 64));
    assert_eq!(
        format!("{table:?}"),
        r#"SecurityFunctionTable["First", "Toy", "Late"]"#
    );
}

#[test]
fn an_unknown_package_is_named_beside_those_that_are_there() {
    let bench = Bench::new();
    let error = bench
        .table
        .query_security_package_info("Schannel")
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_SECPKG_NOT_FOUND);
    assert!(
        error.text().contains("Schannel") && error.text().contains("[Toy]"),
        "{error}"
    );
    for result in [
        bench.table.functions_of("Schannel").map(|_| ()),
        bench.table.mechanism("Schannel").map(|_| ()),
        bench
            .table
            .acquire_credentials_handle("Schannel", AcquireRequest::default())
            .map(|_| ()),
        bench
            .table
            .import_security_context("Schannel", b"")
            .map(|_| ()),
    ] {
        assert_eq!(status(result), SecurityStatus::SEC_E_SECPKG_NOT_FOUND);
    }
}

#[test]
fn a_package_is_added_once_and_a_name_is_taken_once() {
    let bench = Bench::new();
    let refused = SecurityStatus::SEC_E_CANNOT_INSTALL;
    assert_eq!(
        status(bench.table.add_security_package(&bench.registered)),
        refused
    );
    let namesake = RegisteredPackage::new(Toy::offering("TOY", FunctionSet::all()));
    assert_eq!(status(bench.table.add_security_package(&namesake)), refused);
    let twice = SecurityFunctionTable::builder()
        .package(&namesake)
        .package(&namesake.clone())
        .build();
    assert_eq!(status(twice), refused);
    assert_eq!(bench.table.enumerate_security_packages().len(), 1);
}

#[test]
fn credentials_are_acquired_asked_and_freed() {
    let bench = Bench::new();
    let request = AcquireRequest {
        principal: Some("bob"),
        credential_use: CredentialUse::BOTH,
        ..AcquireRequest::default()
    };
    let acquired = bench
        .table
        .acquire_credentials_handle("Toy", request)
        .unwrap();
    assert_eq!(acquired.expiry, Expiry::Never);
    let credential = acquired.credential;
    assert_eq!(
        bench
            .table
            .query_credentials_attributes(credential, CredentialAttribute::Names)
            .unwrap(),
        CredentialAttributeValue::Names {
            user_name: "bob".into()
        }
    );
    let names = CredentialAttributeValue::Names {
        user_name: "eve".into(),
    };
    bench
        .table
        .set_credentials_attributes(credential, names.clone())
        .unwrap();
    bench.table.add_credentials(credential, request).unwrap();
    bench.table.free_credentials_handle(credential).unwrap();

    let invalid = SecurityStatus::SEC_E_INVALID_HANDLE;
    let table = &bench.table;
    assert_eq!(status(table.free_credentials_handle(credential)), invalid);
    assert_eq!(
        status(table.query_credentials_attributes(credential, CredentialAttribute::Names)),
        invalid
    );
    assert_eq!(
        status(table.set_credentials_attributes(credential, names)),
        invalid
    );
    assert_eq!(status(table.add_credentials(credential, request)), invalid);
    assert_eq!(
        status(table.acquire_credentials_handle("Toy", AcquireRequest::default())),
        SecurityStatus::SEC_E_NO_CREDENTIALS
    );
    assert_eq!(bench.registered.live(), (1, 0));
}

struct Kpasswd(&'static [u8]);

impl Transport for Kpasswd {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        assert_eq!(request.message, b"alice");
        Ok(self.0.to_vec())
    }
}

#[test]
fn a_password_change_is_an_exchange_to_be_driven() {
    let bench = Bench::new();
    let (old, new) = (SecretString::from("old"), SecretString::from("new"));
    let begin = || {
        bench.table.change_account_password(
            "Toy",
            ChangePasswordRequest {
                domain_name: "R",
                account_name: "alice",
                old_password: &old,
                new_password: &new,
            },
        )
    };
    drive(begin().unwrap(), Kpasswd(b"changed")).unwrap();
    let refused = drive(begin().unwrap(), Kpasswd(b"refused"));
    let Err(error @ DriveError::Protocol(_)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        Error::from(error).status(),
        SecurityStatus::SEC_E_LOGON_DENIED
    );
}

#[test]
fn an_exported_context_goes_on_where_it_is_imported() {
    let bench = Bench::new();
    let context = bench.established();
    let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
    bench
        .table
        .make_signature(context, 0, &mut SecBufferDesc::new(&mut buffers), 0)
        .unwrap();
    let sealed = bench
        .table
        .export_security_context(context, ExportFlags::empty())
        .unwrap();
    assert_eq!(sealed, b"sealed for Toy|1:alice");
    // Without DELETE_OLD the context stays.
    let fresh = bench
        .table
        .export_security_context(context, ExportFlags::RESET_NEW | ExportFlags::DELETE_OLD)
        .unwrap();
    assert_eq!(fresh, b"sealed for Toy|0:alice");
    assert_eq!(
        status(
            bench
                .table
                .export_security_context(context, ExportFlags::empty())
        ),
        SecurityStatus::SEC_E_INVALID_HANDLE
    );
    let imported = bench.table.import_security_context("Toy", &sealed).unwrap();
    let value = bench
        .table
        .query_context_attributes(imported, ContextAttribute::UserFlags)
        .unwrap();
    assert!(matches!(value, ContextAttributeValue::UserFlags(1)));
}

#[test]
fn what_was_not_sealed_here_is_not_imported() {
    let bench = Bench::new();
    for (sealed, expected) in [
        (&b"1:alice"[..], SecurityStatus::SEC_E_MESSAGE_ALTERED),
        (
            b"sealed for Other|1:alice",
            SecurityStatus::SEC_E_MESSAGE_ALTERED,
        ),
        (
            b"sealed for Toy|nonsense",
            SecurityStatus::SEC_E_INVALID_TOKEN,
        ),
    ] {
        assert_eq!(
            status(bench.table.import_security_context("Toy", sealed)),
            expected
        );
    }
    assert_eq!(bench.registered.live(), (1, 0));
}

#[test]
fn a_context_that_cannot_be_exported_stays() {
    let bench = Bench::new();
    let context = bench.initialize(None, "x", None).0.unwrap().context;
    assert_eq!(
        status(
            bench
                .table
                .export_security_context(context, ExportFlags::DELETE_OLD)
        ),
        SecurityStatus::SEC_E_CANNOT_PACK
    );
    assert_eq!(
        status(
            bench
                .table
                .export_security_context(context, ExportFlags::TO_KERNEL)
        ),
        SecurityStatus::SEC_E_INVALID_PARAMETER
    );
    let (outcome, _) = bench.initialize(Some(context), "x", Some(b"welcome"));
    assert_eq!(outcome.unwrap().status(), SecurityStatus::SEC_E_OK);
}

#[test]
fn a_context_whose_handshake_failed_is_not_exported() {
    let bench = Bench::new();
    let context = bench.initialize(None, "x", None).0.unwrap().context;
    let (outcome, _) = bench.initialize(Some(context), "x", Some(b"nonsense"));
    assert_eq!(status(outcome), SecurityStatus::SEC_E_INVALID_TOKEN);
    assert_eq!(
        status(
            bench
                .table
                .export_security_context(context, ExportFlags::DELETE_OLD)
        ),
        SecurityStatus::SEC_E_INVALID_HANDLE
    );
    // Not asked of the package, and still there to be deleted.
    let asked = &bench.registered.package().optional_calls;
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    bench.table.delete_security_context(context).unwrap();
}

#[test]
fn without_a_sealer_nothing_is_exported() {
    let registered = RegisteredPackage::new(Toy::new());
    let table = SecurityFunctionTable::builder()
        .package(&registered)
        .build()
        .unwrap();
    assert!(!table.supports(Function::ExportSecurityContext));
    assert!(!table.supports(Function::ImportSecurityContext));
    assert_eq!(
        status(table.import_security_context("Toy", b"sealed for Toy|1:alice")),
        SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION
    );
    let sealing = SecurityFunctionTable::builder()
        .package(&registered)
        .context_sealer(Arc::new(ToySealer))
        .build()
        .unwrap();
    assert!(sealing.supports(Function::ExportSecurityContext));
}
