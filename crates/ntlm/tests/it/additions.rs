//! AddCredentials, and the accounts that a credential's settings name.

use std::sync::Arc;

use trihound_ntlm::{
    CredentialError, LocalVerifier, NtlmAccountsOpener, NtlmCredential, NtlmVerifier, SamFile,
    VerifierFailure,
};
use trihound_sspi::{
    AcquireRequest, CredHandle, CredentialAttribute, CredentialAttributeValue, CredentialSettings,
    CredentialUse, Error, Identity, SecurityStatus,
};

use crate::world::{ALICE, DOMAIN, PASSWORD, Wishes, World, cause, failed, secret};

/// Alice, with `PASSWORD`, in the form of WinPR's file.
const SAM: &str = "# comment\nalice:EXAMPLE::cfc43211ba8dc470832267827cac1407:::\n";

struct Sam;

impl NtlmAccountsOpener for Sam {
    fn open(&self, name: &str) -> Result<Arc<dyn NtlmVerifier>, VerifierFailure> {
        if name != "sam" {
            return Err(VerifierFailure::Unavailable {
                reason: format!("there is no {name}"),
            });
        }
        let file = SamFile::parse(SAM).unwrap();
        Ok(Arc::new(LocalVerifier::new(file)))
    }
}

fn add(world: &World, handle: CredHandle, user: &str, password: &str) -> Result<(), Error> {
    let identity = Identity::password(user, Some(DOMAIN), password);
    let request = AcquireRequest {
        identity: Some(&identity),
        ..AcquireRequest::default()
    };
    world.table.add_credentials(handle, request)
}

#[test]
fn the_same_account_added_has_its_new_password_from_then_on() {
    let world = World::new();
    let wrong = NtlmCredential::from_password(ALICE, DOMAIN, secret("old"));
    let mut sides = world.sides(Wishes::full()).with_client(wrong);
    let error = sides.refusal();
    assert_eq!(error.status(), SecurityStatus::SEC_E_LOGON_DENIED);
    add(&world, sides.client, "ALICE", PASSWORD).unwrap();
    let client = sides.client;
    let mut sides = world.sides(Wishes::full());
    sides.client = client;
    sides.establish();
}

#[test]
fn another_account_is_not_added() {
    let world = World::new();
    let handle = world.sides(Wishes::full()).client;
    let error = add(&world, handle, "bob", "x").unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    assert!(
        matches!(cause::<CredentialError>(&error), CredentialError::OtherAccount { has } if has == "EXAMPLE\\alice"),
        "{error}"
    );
    let attribute = CredentialAttribute::Names;
    let names = world.table.query_credentials_attributes(handle, attribute);
    let user_name = "EXAMPLE\\alice".to_owned();
    assert_eq!(
        names.unwrap(),
        CredentialAttributeValue::Names { user_name }
    );
}

#[test]
fn a_direction_that_was_missing_is_added() {
    let world = World::new();
    let client = world.sides(Wishes::full()).client;
    let mut sides = world.sides(Wishes::full());
    sides.service = client;
    let negotiate = sides.negotiate();
    let leg = sides.accept(Some(&negotiate));
    failed(leg, SecurityStatus::SEC_E_NO_CREDENTIALS);
    let request = AcquireRequest::new(CredentialUse::INBOUND);
    world.table.add_credentials(client, request).unwrap();
    // The same accounts once more change nothing.
    world.table.add_credentials(client, request).unwrap();
    let mut sides = world.sides(Wishes::full());
    sides.service = client;
    sides.establish();
}

#[test]
fn accounts_are_those_that_the_settings_name() {
    let world = World::with(|config| config.with_accounts_opener(Arc::new(Sam)));
    let acquire = |name: &str| {
        let mut settings = CredentialSettings::default();
        settings.accounts = Some(name.to_owned());
        let request = AcquireRequest {
            settings: Some(&settings),
            ..AcquireRequest::new(CredentialUse::INBOUND)
        };
        world.table.acquire_credentials_handle("NTLM", request)
    };
    let mut sides = world.sides(Wishes::full());
    sides.service = acquire("sam").unwrap().credential;
    sides.establish();
    let error = acquire("nowhere").unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    assert!(error.to_string().contains("there is no nowhere"), "{error}");
    // Other accounts than those that it has are not added to a handle.
    let service = world.service();
    let mut settings = CredentialSettings::default();
    settings.accounts = Some("sam".to_owned());
    let request = AcquireRequest {
        settings: Some(&settings),
        ..AcquireRequest::new(CredentialUse::INBOUND)
    };
    let error = world.table.add_credentials(service, request).unwrap_err();
    assert!(
        matches!(
            cause::<CredentialError>(&error),
            CredentialError::OtherVerifier
        ),
        "{error}"
    );
}

#[test]
fn settings_that_ntlm_does_not_follow_are_refused() {
    let world = World::new();
    let mut settings = CredentialSettings::default();
    settings.accounts = Some("sam".to_owned());
    settings.kdc_url = Some("kdc".to_owned());
    let request = AcquireRequest {
        settings: Some(&settings),
        ..AcquireRequest::new(CredentialUse::INBOUND)
    };
    let error = world
        .table
        .acquire_credentials_handle("NTLM", request)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    let text = error.to_string();
    assert!(text.contains("kdc_url, accounts"), "{text}");
}

#[test]
fn a_file_of_winprs_form_has_the_hash_in_its_fourth_field() {
    let hash = "00112233445566778899aabbccddeeff";
    let file = SamFile::parse(&format!("alice:EXAMPLE:{hash}:{hash}:::\nbob:::{hash}\n")).unwrap();
    let names: Vec<_> = file
        .accounts()
        .iter()
        .map(|account| (account.domain.as_str(), account.user.as_str()))
        .collect();
    assert_eq!(names, [("EXAMPLE", "alice"), ("", "bob")]);
    for (text, fault) in [
        ("alice:EXAMPLE:x", "colons"),
        (":EXAMPLE::x", "no user"),
        ("alice:EXAMPLE:::", "no password"),
        ("alice:EXAMPLE::0011:::", "hexadecimal"),
    ] {
        let error = SamFile::parse(text).unwrap_err().to_string();
        assert!(error.contains(fault), "{text}: {error}");
        assert!(error.contains("USER:DOMAIN:LMHASH:NTHASH"), "{error}");
    }
}
