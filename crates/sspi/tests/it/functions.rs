//! What a table says is there, held against what answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use trihound_secret::SecretString;
use trihound_sspi::*;

use crate::toy::{Bench, Toy, ToySealer};

/// Calls one function with arguments that the toy likes; the status of the answer.
fn call(bench: &Bench, function: Function) -> SecurityStatus {
    let table = &bench.table;
    let package = bench.registered.package().info.name.as_ref();
    let credential = bench.credential;
    let context = bench.imported_context();
    let names = || CredentialAttributeValue::Names {
        user_name: "eve".into(),
    };
    let request = AcquireRequest {
        principal: Some("bob"),
        ..AcquireRequest::default()
    };
    let secret = SecretString::from("x");
    let mut buffers = [
        SecBuffer::allocate(BufferType::TOKEN),
        SecBuffer::data_input(b""),
    ];
    let desc = &mut SecBufferDesc::new(&mut buffers);
    let result = match function {
        Function::AcquireCredentialsHandle => {
            table.acquire_credentials_handle(package, request).map(drop)
        }
        Function::FreeCredentialsHandle => table.free_credentials_handle(credential),
        Function::QueryCredentialsAttributes => table
            .query_credentials_attributes(credential, CredentialAttribute::Names)
            .map(drop),
        Function::SetCredentialsAttributes => table.set_credentials_attributes(credential, names()),
        Function::AddCredentials => table.add_credentials(credential, request),
        Function::InitializeSecurityContext => table
            .initialize_security_context(Some(credential), None, InitializeRequest::default(), desc)
            .map(drop),
        Function::AcceptSecurityContext => {
            let input = [SecBuffer::token_input(b"hello")];
            let request = AcceptRequest {
                input: Some(InputDesc::new(&input)),
                ..AcceptRequest::default()
            };
            table
                .accept_security_context(Some(credential), None, request, desc)
                .map(drop)
        }
        Function::DeleteSecurityContext => table.delete_security_context(context),
        Function::QueryContextAttributes => table
            .query_context_attributes(context, ContextAttribute::Names)
            .map(drop),
        Function::SetContextAttributes => {
            table.set_context_attributes(context, ContextAttributeValue::UserFlags(0))
        }
        Function::QuerySecurityContextToken => {
            table.query_security_context_token(context).map(drop)
        }
        Function::ApplyControlToken => table.apply_control_token(context, desc),
        Function::CompleteAuthToken => table.complete_auth_token(context, desc),
        Function::FreeContextBuffer => {
            table.free_context_buffer(&mut desc.buffers_mut()[0]);
            Ok(())
        }
        Function::ImpersonateSecurityContext => table.impersonate(context).map(drop),
        Function::RevertSecurityContext => {
            // Where it cannot be impersonated, the answer is that of the second call.
            let _ = table.impersonate_security_context(context);
            table.revert_security_context(context)
        }
        Function::ExportSecurityContext => table
            .export_security_context(context, ExportFlags::empty())
            .map(drop),
        Function::ImportSecurityContext => table
            .import_security_context(package, format!("sealed for {package}|0:x").as_bytes())
            .map(drop),
        Function::MakeSignature => table.make_signature(context, 0, desc, 0),
        Function::VerifySignature => {
            desc.write_token(&[0]).unwrap();
            table.verify_signature(context, desc, 0).map(drop)
        }
        Function::EncryptMessage => {
            let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
            table.encrypt_message(context, 0, &mut SecBufferDesc::new(&mut buffers), 0)
        }
        Function::DecryptMessage => {
            let mut token = [0];
            let mut buffers = [SecBuffer::token(&mut token)];
            table
                .decrypt_message(context, &mut SecBufferDesc::new(&mut buffers), 0)
                .map(drop)
        }
        Function::InitSecurityInterface => SecurityFunctionTable::builder()
            .package(&bench.registered)
            .build()
            .map(drop),
        Function::EnumerateSecurityPackages => {
            assert!(!table.enumerate_security_packages().is_empty());
            Ok(())
        }
        Function::QuerySecurityPackageInfo => table.query_security_package_info(package).map(drop),
        Function::AddSecurityPackage => table.add_security_package(&RegisteredPackage::new(
            Toy::offering("Another", FunctionSet::REQUIRED),
        )),
        Function::ChangeAccountPassword => table
            .change_account_password(
                package,
                ChangePasswordRequest {
                    domain_name: "R",
                    account_name: "alice",
                    old_password: &secret,
                    new_password: &secret,
                },
            )
            .map(drop),
        other => panic!("{other} is not driven by this test"),
    };
    result.map_or_else(|error| error.status(), |()| SecurityStatus::SEC_E_OK)
}

impl Bench {
    /// An established context that needs no function of the table under test.
    fn imported_context(&self) -> CtxtHandle {
        let shared = RegisteredPackage::clone(&self.registered);
        let table = SecurityFunctionTable::builder()
            .package(&shared)
            .context_sealer(Arc::new(ToySealer))
            .build()
            .unwrap();
        let input = [SecBuffer::token_input(b"hello")];
        let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
        let request = AcceptRequest {
            input: Some(InputDesc::new(&input)),
            ..AcceptRequest::default()
        };
        let outcome = table.accept_security_context(
            Some(self.credential),
            None,
            request,
            &mut SecBufferDesc::new(&mut buffers),
        );
        outcome.unwrap().context
    }
}

#[test]
fn every_function_that_is_there_answers() {
    let offered = FunctionSet::all();
    for function in Function::ALL {
        let bench = Bench::new();
        assert_eq!(bench.table.functions(), offered);
        assert_eq!(
            bench.table.supports(*function),
            offered.has(*function),
            "{function}"
        );
        let expected = if offered.has(*function) {
            SecurityStatus::SEC_E_OK
        } else {
            SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION
        };
        assert_eq!(call(&bench, *function), expected, "{function}");
    }
}

#[test]
fn a_function_that_is_not_there_says_so_without_asking_the_package() {
    for function in Function::ALL {
        let bench = Bench::with(Toy::offering("Small", FunctionSet::REQUIRED));
        let offered = FunctionSet::REQUIRED | FunctionSet::TABLE;
        assert_eq!(bench.table.functions(), offered);
        assert_eq!(bench.table.functions_of("Small").unwrap(), offered);
        let expected = if offered.has(*function) {
            SecurityStatus::SEC_E_OK
        } else {
            SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION
        };
        assert_eq!(call(&bench, *function), expected, "{function}");
        let asked = &bench.registered.package().optional_calls;
        assert_eq!(asked.load(Ordering::SeqCst), 0, "{function}");
    }
}

#[test]
fn a_required_function_left_out_of_the_set_is_not_asked_either() {
    // The context under test needs AcceptSecurityContext, so that one stays.
    for function in [
        Function::AcquireCredentialsHandle,
        Function::InitializeSecurityContext,
        Function::QueryContextAttributes,
        Function::MakeSignature,
        Function::VerifySignature,
        Function::EncryptMessage,
        Function::DecryptMessage,
    ] {
        let bench = Bench::with(Toy::offering("Less", FunctionSet::all() - function.set()));
        assert_eq!(
            call(&bench, function),
            SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION,
            "{function}"
        );
    }
}

/// A package that implements nothing beyond what the trait demands.
struct Bare(SecPkgInfo, FunctionSet);

impl SecurityPackage for Bare {
    type Credential = ();
    type Context = ();

    fn query_security_package_info(&self) -> &SecPkgInfo {
        &self.0
    }
    fn functions(&self) -> FunctionSet {
        self.1
    }
    fn acquire_credentials_handle(&self, _: AcquireRequest<'_>) -> Result<(), Error> {
        Ok(())
    }
    fn credential_expiry(&self, (): &()) -> Expiry {
        Expiry::Never
    }
    fn initialize_security_context(
        &self,
        (): &(),
        context: &mut Option<()>,
        _: InitializeRequest<'_>,
        _: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        *context = Some(());
        Ok(Step::ContinueNeeded)
    }
    fn accept_security_context(
        &self,
        (): &(),
        context: &mut Option<()>,
        _: AcceptRequest<'_>,
        _: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        *context = Some(());
        Ok(Step::ContinueNeeded)
    }
    fn complete_exchange(
        &self,
        _: &mut Option<()>,
        _: trihound_sansio::Reply<'_>,
        _: &mut SecBufferDesc<'_, '_>,
    ) -> Result<Step, Error> {
        Ok(Step::ContinueNeeded)
    }
    fn make_signature(
        &self,
        (): &mut (),
        _: u32,
        _: &mut SecBufferDesc<'_, '_>,
        _: u32,
    ) -> Result<(), Error> {
        Ok(())
    }
    fn verify_signature(
        &self,
        (): &mut (),
        _: &mut SecBufferDesc<'_, '_>,
        _: u32,
    ) -> Result<u32, Error> {
        Ok(0)
    }
    fn encrypt_message(
        &self,
        (): &mut (),
        _: u32,
        _: &mut SecBufferDesc<'_, '_>,
        _: u32,
    ) -> Result<(), Error> {
        Ok(())
    }
    fn decrypt_message(
        &self,
        (): &mut (),
        _: &mut SecBufferDesc<'_, '_>,
        _: u32,
    ) -> Result<u32, Error> {
        Ok(0)
    }
    fn query_context_attributes(
        &self,
        (): &(),
        _: ContextAttribute,
    ) -> Result<ContextAttributeValue, Error> {
        Ok(ContextAttributeValue::UserFlags(0))
    }
}

#[test]
fn the_defaults_of_the_trait_say_unsupported_even_when_the_set_promises_them() {
    let info = Toy::new().info;
    let registered = RegisteredPackage::new(Bare(info, FunctionSet::all()));
    let table = SecurityFunctionTable::builder()
        .package(&registered)
        .context_sealer(Arc::new(ToySealer))
        .build()
        .unwrap();
    let credential = registered.adopt(()).unwrap();
    let mut none = [];
    let desc = &mut SecBufferDesc::new(&mut none);
    let context = table
        .initialize_security_context(Some(credential), None, InitializeRequest::default(), desc)
        .unwrap()
        .context;
    let secret = SecretString::from("x");
    let names = CredentialAttributeValue::Names {
        user_name: String::new(),
    };
    let change = ChangePasswordRequest {
        domain_name: "R",
        account_name: "alice",
        old_password: &secret,
        new_password: &secret,
    };
    let answers = [
        table
            .query_credentials_attributes(credential, CredentialAttribute::Names)
            .map(drop),
        table.set_credentials_attributes(credential, names),
        table.add_credentials(credential, AcquireRequest::default()),
        table.complete_auth_token(context, desc),
        table.apply_control_token(context, desc),
        table.set_context_attributes(context, ContextAttributeValue::UserFlags(0)),
        table.query_security_context_token(context).map(drop),
        table.impersonate_security_context(context),
        table
            .export_security_context(context, ExportFlags::empty())
            .map(drop),
        table
            .import_security_context("Toy", b"sealed for Toy|x")
            .map(drop),
        table.change_account_password("Toy", change).map(drop),
    ];
    for answer in answers {
        assert_eq!(
            answer.unwrap_err().status(),
            SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION
        );
    }
    assert!(table.mechanism("Toy").unwrap().is_none());
    // A context whose export failed is there still.
    assert!(
        table
            .query_context_attributes(context, ContextAttribute::Names)
            .is_ok()
    );
}

#[test]
fn the_functions_of_a_table_are_those_of_any_of_its_packages() {
    let table = SecurityFunctionTable::builder()
        .package(&RegisteredPackage::new(Toy::offering(
            "Small",
            FunctionSet::REQUIRED,
        )))
        .build()
        .unwrap();
    assert!(!table.supports(Function::CompleteAuthToken));
    table
        .add_security_package(&RegisteredPackage::new(Toy::new()))
        .unwrap();
    assert!(table.supports(Function::CompleteAuthToken));
    assert!(
        !table
            .functions_of("Small")
            .unwrap()
            .has(Function::CompleteAuthToken)
    );
}

#[test]
fn a_handle_that_names_nothing_comes_before_a_function_that_is_not_there() {
    let bench = Bench::with(Toy::offering("Small", FunctionSet::REQUIRED));
    let context = bench.imported_context();
    bench.table.delete_security_context(context).unwrap();
    bench
        .table
        .free_credentials_handle(bench.credential)
        .unwrap();
    let mut none = [];
    let answers = [
        bench
            .table
            .add_credentials(bench.credential, AcquireRequest::default()),
        bench
            .table
            .apply_control_token(context, &mut SecBufferDesc::new(&mut none)),
        bench.table.impersonate_security_context(context),
        bench.table.revert_security_context(context),
        bench
            .table
            .export_security_context(context, ExportFlags::empty())
            .map(drop),
    ];
    for answer in answers {
        assert_eq!(
            answer.unwrap_err().status(),
            SecurityStatus::SEC_E_INVALID_HANDLE
        );
    }
}
