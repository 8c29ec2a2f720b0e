use std::sync::Arc;
use std::sync::atomic::Ordering;

use trihound_sansio::{DriveError, ExchangeRequest, Transport, TransportFailure, drive};
use trihound_secret::{SecretBytes, SecretString};
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

/// A sealer that says no, or panics.
struct BrokenSealer(&'static str);

impl ContextSealer for BrokenSealer {
    fn seal(&self, _: &str, _: &SecretBytes) -> Result<Vec<u8>, Error> {
        assert_ne!(self.0, "panics", "as it was told");
        Err(Error::new(SecurityStatus::SEC_E_ENCRYPT_FAILURE, self.0))
    }

    fn open(&self, _: &str, _: &[u8]) -> Result<SecretBytes, Error> {
        Err(Error::new(SecurityStatus::SEC_E_DECRYPT_FAILURE, self.0))
    }
}

fn sealing(bench: &Bench, sealer: impl ContextSealer + 'static) -> SecurityFunctionTable {
    SecurityFunctionTable::builder()
        .package(&bench.registered)
        .context_sealer(Arc::new(sealer))
        .build()
        .unwrap()
}

fn only_copy() -> Bench {
    let mut toy = Toy::new();
    toy.only_copy = true;
    Bench::with(toy)
}

fn signs(bench: &Bench, context: CtxtHandle) -> Result<(), Error> {
    let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
    let desc = &mut SecBufferDesc::new(&mut buffers);
    bench.table.make_signature(context, 0, desc, 0)
}

#[test]
fn the_only_copy_ends_where_it_was_exported() {
    let bench = only_copy();
    let context = bench.established();
    let table = &bench.table;
    let resolved = table.context(context).unwrap();
    let sealed = table
        .export_security_context(context, ExportFlags::empty())
        .unwrap();
    // Neither by its handle nor by what was resolved before is there anything left of it.
    let again = table.export_security_context(context, ExportFlags::empty());
    assert_eq!(status(again), SecurityStatus::SEC_E_INVALID_HANDLE);
    let ended = signs(&bench, context);
    assert_eq!(status(ended), SecurityStatus::SEC_E_INVALID_HANDLE);
    let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
    let ended = resolved.make_signature(0, &mut SecBufferDesc::new(&mut buffers), 0);
    assert_eq!(status(ended), SecurityStatus::SEC_E_INVALID_HANDLE);
    // The handle itself is the caller's to give back.
    table.delete_security_context(context).unwrap();
    let imported = table.import_security_context("Toy", &sealed).unwrap();
    signs(&bench, imported).unwrap();
}

#[test]
fn a_sealer_that_fails_leaves_the_context_as_it_was() {
    for bench in [Bench::new(), only_copy()] {
        let table = sealing(&bench, BrokenSealer("no room on the token"));
        let context = bench.established();
        for flags in [ExportFlags::empty(), ExportFlags::DELETE_OLD] {
            let refused = table.export_security_context(context, flags);
            assert_eq!(status(refused), SecurityStatus::SEC_E_ENCRYPT_FAILURE);
        }
        signs(&bench, context).unwrap();
        let refused = table.import_security_context("Toy", b"x");
        assert_eq!(status(refused), SecurityStatus::SEC_E_DECRYPT_FAILURE);
    }
}

#[test]
fn of_a_context_whose_sealer_panicked_nothing_is_kept() {
    let bench = Bench::new();
    let table = sealing(&bench, BrokenSealer("panics"));
    let context = bench.established();
    let export = || table.export_security_context(context, ExportFlags::empty());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(export));
    assert!(panicked.is_err());
    let discarded = signs(&bench, context);
    assert_eq!(status(discarded), SecurityStatus::SEC_E_INTERNAL_ERROR);
    bench.table.delete_security_context(context).unwrap();
}

/// Two who export the only copy at once: one has it, the other gets nothing.
#[test]
fn the_only_copy_is_exported_once_whoever_asks_at_the_same_time() {
    for _ in 0..50 {
        let bench = only_copy();
        let context = bench.established();
        let export = || {
            bench
                .table
                .export_security_context(context, ExportFlags::empty())
        };
        let outcomes = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(export)).collect();
            let joined = threads.into_iter().map(|thread| thread.join().unwrap());
            joined.collect::<Vec<_>>()
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    }
}

#[test]
fn a_plain_image_is_for_packages_that_hold_a_table() {
    let registered = RegisteredPackage::new(Toy::new());
    let inner = SecurityFunctionTable::builder()
        .package(&registered)
        .build()
        .unwrap();
    let within = inner.functions_within("Toy").unwrap();
    assert!(within.has(Function::ExportSecurityContext));
    let image = SecretBytes::from(b"3:alice".as_slice());
    let context = inner.import_image("Toy", &image).unwrap();
    let again = inner.export_image(context, ExportFlags::empty()).unwrap();
    assert!(again.bytes.equals(b"3:alice") && !again.only_copy);
    let fresh = inner.export_image(context, ExportFlags::RESET_NEW).unwrap();
    assert!(fresh.bytes.equals(b"0:alice"));
    // The context is there still, and the kernel is not.
    let kernel = inner.export_image(context, ExportFlags::TO_KERNEL);
    assert_eq!(status(kernel), SecurityStatus::SEC_E_INVALID_PARAMETER);
    inner.delete_security_context(context).unwrap();
    let gone = inner.export_image(context, ExportFlags::empty());
    assert_eq!(status(gone), SecurityStatus::SEC_E_INVALID_HANDLE);
    let elsewhere = inner.import_image("Other", &image);
    assert_eq!(status(elsewhere), SecurityStatus::SEC_E_SECPKG_NOT_FOUND);
    let small = RegisteredPackage::new(Toy::offering("Small", FunctionSet::REQUIRED));
    inner.add_security_package(&small).unwrap();
    let refused = inner.import_image("Small", &image);
    assert_eq!(status(refused), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
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
