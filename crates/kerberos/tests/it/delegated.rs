//! What a service does with a delegated ticket, and the form in which an access token carries it.

use std::sync::Arc;
use std::time::Duration;

use trihound_kerberos::{CredentialError, Kerberos, KerberosConfig};
use trihound_krb5::{CredentialStore, MemoryStore};
use trihound_secret::SecretBytes;
use trihound_sspi::{
    AccessToken, AcquireRequest, CredentialUse, Identity, ImpersonationLevel,
    InitiatorRequirements, PackedCredential, RegisteredPackage, SecurityFunctionTable,
    SecurityStatus,
};

use crate::delegation::{FRONT, MIDDLE, Of, PLAIN, Site};
use crate::world::{ALICE, REALM, cause};

/// The chain: each service goes on as the client of the first one.
#[test]
fn a_delegated_ticket_leads_from_service_to_service_as_the_first_client() {
    let site = Site::new();
    let mut contexts = site.delegate(site.alice(), FRONT);
    for target in [MIDDLE, FRONT, MIDDLE, PLAIN] {
        let token = site.token_of(&contexts);
        assert_eq!(token.client_name, ALICE);
        let request = AcquireRequest {
            impersonation: Some(&token),
            ..AcquireRequest::default()
        };
        let onward = site.acquire(Of::Services, request).unwrap();
        let asked = InitiatorRequirements::DELEGATE;
        contexts = site
            .connect_as(Of::Services, onward, target, asked, None)
            .unwrap();
    }
    let last = site.token_of(&contexts);
    assert_eq!(last.client_name, ALICE);
    assert_eq!(last.level, ImpersonationLevel::Impersonation);
}

/// SECPKG_CRED_BOTH: one handle accepts, and initiates as whomever the thread impersonates.
#[test]
fn a_credential_for_both_directions_goes_on_as_the_client() {
    let site = Site::new();
    let both = AcquireRequest::new(CredentialUse::BOTH);
    let service = site.acquire(Of::Services, both).unwrap();
    let contexts = site.delegate(site.alice(), FRONT);
    let token = site.token_of(&contexts);
    let asked = InitiatorRequirements::empty();
    let onward = site
        .connect_as(Of::Services, service, MIDDLE, asked, Some(&token))
        .unwrap();
    assert_eq!(site.token_of(&onward).client_name, ALICE);
    // By itself this service has no tickets, and says so.
    let error = site.connect_as(Of::Services, service, MIDDLE, asked, None);
    let error = error.err().unwrap();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    assert!(matches!(
        cause::<CredentialError>(&error),
        CredentialError::NoIdentity { .. }
    ));
    // A client that delegated nothing leads nowhere.
    let plain = site.token_of(&site.delegate(site.alice(), PLAIN));
    let error = site.connect_as(Of::Services, service, MIDDLE, asked, Some(&plain));
    let nothing = CredentialError::NothingDelegated {
        client: ALICE.to_owned(),
    };
    assert_eq!(*cause::<CredentialError>(&error.err().unwrap()), nothing);
}

/// A handle that was acquired as somebody is theirs, whoever the thread impersonates later.
#[test]
fn a_credential_of_somebody_stays_theirs() {
    let site = Site::new();
    let token = site.token_of(&site.delegate(site.alice(), FRONT));
    let asked = InitiatorRequirements::empty();
    let bob = site.user("bob");
    let contexts = site
        .connect_as(Of::Clients, bob, MIDDLE, asked, Some(&token))
        .unwrap();
    assert_eq!(site.token_of(&contexts).client_name, "bob@EXAMPLE.TEST");
}

/// Never the service's own credential in the place of the client's.
#[test]
fn without_a_delegated_ticket_an_impersonating_thread_has_no_credentials() {
    let site = Site::new();
    let own = site.granting_ticket("bob", true);
    let delegated = site.token_of(&site.delegate(site.alice(), FRONT));
    // A service with tickets of its own.
    let keytab = Arc::new(site.realm.keytab(&[FRONT]).unwrap());
    let store = MemoryStore::with_keytab(keytab);
    store.store(&own).unwrap();
    let environment = site.services.package().environment().clone();
    let package = RegisteredPackage::new(Kerberos::new(KerberosConfig::new(
        environment,
        Arc::new(store),
    )));
    let table = SecurityFunctionTable::builder()
        .package(&package)
        .build()
        .unwrap();
    let acquire = |token: &Arc<AccessToken>, credential_use| {
        let request = AcquireRequest {
            credential_use,
            impersonation: Some(token),
            ..AcquireRequest::default()
        };
        table.acquire_credentials_handle("Kerberos", request)
    };
    let levels = [
        ImpersonationLevel::Anonymous,
        ImpersonationLevel::Identification,
        ImpersonationLevel::Impersonation,
    ];
    for level in levels {
        let mut token = AccessToken::new("Kerberos", ALICE, REALM, level);
        // A level below delegation is not lifted by what lies in the token.
        let packed = delegated.delegated_credential.as_ref().unwrap();
        token.delegated_credential = Some(packed.duplicate());
        let token = Arc::new(token);
        for direction in [CredentialUse::OUTBOUND, CredentialUse::BOTH] {
            let error = acquire(&token, direction).unwrap_err();
            assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
            let nothing = CredentialError::NothingDelegated {
                client: ALICE.to_owned(),
            };
            assert_eq!(*cause::<CredentialError>(&error), nothing);
        }
        // To accept is the service's own business.
        acquire(&token, CredentialUse::INBOUND).unwrap();
    }
    acquire(&delegated, CredentialUse::OUTBOUND).unwrap();
}

/// The name beside a delegated credential is the client's, or there is none.
#[test]
fn a_delegated_credential_serves_under_its_clients_name_only() {
    let site = Site::new();
    let token = site.token_of(&site.delegate(site.alice(), FRONT));
    let acquire = |name| {
        let request = AcquireRequest {
            principal: Some(name),
            impersonation: Some(&token),
            ..AcquireRequest::default()
        };
        site.acquire(Of::Services, request)
    };
    acquire("alice").unwrap();
    let error = acquire("bob").unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    let other = CredentialError::OtherClient {
        asked: "bob@EXAMPLE.TEST".into(),
        client: ALICE.into(),
    };
    assert_eq!(*cause::<CredentialError>(&error), other);
}

// ---- the packed form

/// Opened again by whoever has it, as an identity.
#[test]
fn a_packed_credential_is_an_identity() {
    let site = Site::new();
    let token = site.token_of(&site.delegate(site.alice(), FRONT));
    let packed = token.delegated_credential.as_ref().unwrap();
    assert_eq!(packed.package, "Kerberos");
    let identity = Identity::Packed(packed.duplicate());
    let request = AcquireRequest {
        identity: Some(&identity),
        ..AcquireRequest::default()
    };
    let credential = site.acquire(Of::Services, request).unwrap();
    let asked = InitiatorRequirements::empty();
    let contexts = site
        .connect_as(Of::Services, credential, MIDDLE, asked, None)
        .unwrap();
    assert_eq!(site.token_of(&contexts).client_name, ALICE);
    // It ends with its ticket.
    site.clock.advance(Duration::from_secs(25 * 3600));
    let error = site.connect_as(Of::Services, credential, MIDDLE, asked, None);
    assert_eq!(
        error.err().unwrap().status(),
        SecurityStatus::SEC_E_NO_CREDENTIALS
    );
}

/// The blob comes from anywhere: every cut, every changed byte is refused or opened, and nothing panics.
#[test]
fn a_packed_credential_is_read_with_bounds() {
    let site = Site::new();
    let token = site.token_of(&site.delegate(site.alice(), FRONT));
    let whole = token.delegated_credential.as_ref().unwrap();
    let open = |package: &str, blob: &[u8]| {
        let identity = Identity::Packed(PackedCredential {
            package: package.to_owned(),
            blob: SecretBytes::from(blob),
        });
        let request = AcquireRequest {
            identity: Some(&identity),
            ..AcquireRequest::default()
        };
        site.acquire(Of::Services, request)
    };
    let bytes = whole.blob.expose();
    open("kerberos", bytes).unwrap();
    let refused = |package: &str, blob: &[u8]| {
        let error = open(package, blob).unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_UNKNOWN_CREDENTIALS);
        assert!(matches!(
            cause::<CredentialError>(&error),
            CredentialError::UnknownIdentity { .. }
        ));
    };
    refused("NTLM", bytes);
    for length in 0..bytes.len() {
        refused("Kerberos", &bytes[..length]);
    }
    for at in 0..5 {
        let mut other = bytes.to_vec();
        other[at] ^= 1;
        refused("Kerberos", &other);
    }
    refused("Kerberos", &[bytes, &[0]].concat());
    for at in 5..bytes.len() {
        for bit in [0x01, 0x80, 0xff] {
            let mut other = bytes.to_vec();
            other[at] ^= bit;
            let _ = open("Kerberos", &other);
        }
    }
}

/// Two clients' tickets in one blob would make a credential of either.
#[test]
fn a_packed_credential_is_of_one_client() {
    let site = Site::new();
    let (alice, bob) = (
        site.granting_ticket("alice", true),
        site.granting_ticket("bob", true),
    );
    let message = trihound_krb5::ccache::to_krb_cred(&[&alice, &bob]).unwrap();
    let blob = [b"THKC\x01", message.expose()].concat();
    let identity = Identity::Packed(PackedCredential {
        package: "Kerberos".into(),
        blob: SecretBytes::from(blob),
    });
    let request = AcquireRequest {
        identity: Some(&identity),
        ..AcquireRequest::default()
    };
    let error = site.acquire(Of::Services, request).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_UNKNOWN_CREDENTIALS);
}
