//! Credentials against the embedded KDC: how they are acquired, how many round trips a context takes,
//! and what happens when tickets end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use trihound_asn1::error_code;
use trihound_kerberos::{
    ContextError, CredentialError, Kerberos, KerberosConfig, KerberosCredential,
};
use trihound_krb5::{
    Config, CredentialStore, Environment, Error as KerberosError, KdcMisbehaved, Keytab,
    MemoryStore, Principal,
};
use trihound_sansio::{FixedClock, Reply, Timestamp, Transport, TransportFailure};
use trihound_sspi::{
    AccessToken, AcquireRequest, CredHandle, CredentialAttribute, CredentialAttributeValue,
    CredentialUse, CtxtHandle, Error, Expiry, Identity, ImpersonationLevel, InitializeRequest,
    InitiatorRequirements, InputDesc, PackedCredential, RegisteredPackage, SecBuffer,
    SecBufferDesc, SecurityFunctionTable, SecurityStatus,
};
use trihound_test_realm::{Fault, RealmTransport, TestRealm};

use crate::support::Seeded;
use crate::world::{ALICE, HOUR, NOW, REALM, TARGET, cause, principal};

const PASSWORD: &str = "correct horse";
/// Longer than any ticket of the realm.
const DAY: Duration = Duration::from_secs(25 * 3600);

/// A realm with a client and a service, and the package that both use.
struct Site {
    clock: Arc<FixedClock>,
    realm: Arc<TestRealm>,
    transport: Mutex<RealmTransport>,
    store: Arc<MemoryStore>,
    package: RegisteredPackage<Kerberos>,
    table: SecurityFunctionTable,
}

impl Site {
    fn new() -> Self {
        Self::with_config(|_| {})
    }

    fn with_config(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(NOW)));
        let realm = TestRealm::builder(REALM)
            .principal("alice", PASSWORD)
            .service(TARGET)
            .service("host/localhost")
            .clock(clock.clone())
            .random(Arc::new(Seeded::new(3)))
            .build()
            .unwrap();
        let mut config = Config::default();
        config.default_realm = Some(REALM.to_owned());
        change(&mut config);
        let environment =
            Environment::new(clock.clone(), Arc::new(Seeded::new(5)), Arc::new(config));
        let store = Arc::new(MemoryStore::with_keytab(Arc::new(
            realm.keytab(&[TARGET]).unwrap(),
        )));
        let package = RegisteredPackage::new(Kerberos::new(KerberosConfig::new(
            environment,
            store.clone(),
        )));
        let table = SecurityFunctionTable::builder()
            .package(&package)
            .build()
            .unwrap();
        Self {
            clock,
            transport: Mutex::new(realm.transport()),
            realm,
            store,
            package,
            table,
        }
    }

    fn acquire(&self, request: AcquireRequest<'_>) -> Result<CredHandle, Error> {
        self.table
            .acquire_credentials_handle("Kerberos", request)
            .map(|acquired| acquired.credential)
    }

    fn password(&self, user: &str, domain: Option<&str>, password: &str) -> CredHandle {
        self.acquire(AcquireRequest {
            identity: Some(&Identity::password(user, domain, password)),
            ..AcquireRequest::default()
        })
        .unwrap()
    }

    fn round_trips(&self) -> usize {
        self.transport.lock().unwrap().round_trips()
    }

    /// The first legs of a context up to its AP-REQ, and the round trips that it took.
    fn connect(
        &self,
        credential: CredHandle,
        target: &str,
    ) -> Result<(CtxtHandle, Vec<u8>, usize), Error> {
        let before = self.round_trips();
        let mut memory = [0; 4000];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut buffers);
        let request = InitializeRequest {
            target_name: Some(target),
            requirements: InitiatorRequirements::MUTUAL_AUTH,
            ..InitializeRequest::default()
        };
        let mut outcome =
            self.table
                .initialize_security_context(Some(credential), None, request, &mut output)?;
        while let Some(request) = outcome.exchange() {
            let answer = self.transport.lock().unwrap().round_trip(request);
            let reply = match &answer {
                Ok(bytes) => Reply::Bytes(bytes),
                Err(failure) => Reply::Failed(failure),
            };
            outcome = self
                .table
                .complete_exchange(outcome.context, reply, &mut output)?;
        }
        let token = output.token().unwrap().to_vec();
        Ok((outcome.context, token, self.round_trips() - before))
    }

    /// A whole login; gives the round trips that it took.
    fn log_in(&self, credential: CredHandle) -> Result<usize, Error> {
        let (context, token, trips) = self.connect(credential, TARGET)?;
        let service = self.acquire(AcquireRequest {
            credential_use: CredentialUse::INBOUND,
            ..AcquireRequest::default()
        })?;
        let mut memory = [0; 400];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut buffers);
        let input = [SecBuffer::token_input(&token)];
        let request = trihound_sspi::AcceptRequest {
            input: Some(InputDesc::new(&input)),
            ..Default::default()
        };
        let accepted =
            self.table
                .accept_security_context(Some(service), None, request, &mut output)?;
        assert!(accepted.established().is_some());
        let answer = output.token().unwrap().to_vec();
        let input = [SecBuffer::token_input(&answer)];
        let request = InitializeRequest {
            input: Some(InputDesc::new(&input)),
            ..InitializeRequest::default()
        };
        let done = self.table.initialize_security_context(
            Some(credential),
            Some(context),
            request,
            &mut SecBufferDesc::new(&mut []),
        )?;
        assert!(done.established().is_some());
        Ok(trips)
    }
}

/// A first login asks the KDC for pre-authentication, for the TGT and for the ticket; a second one
/// to the same service asks nobody, one to another service asks once.
#[test]
fn a_second_context_asks_no_kdc() {
    let site = Site::new();
    let alice = site.password("alice", Some(REALM), PASSWORD);
    assert_eq!(site.log_in(alice).unwrap(), 3);
    assert_eq!(site.log_in(alice).unwrap(), 0);
    assert_eq!(site.connect(alice, "host/localhost").unwrap().2, 1);
    assert_eq!(site.connect(alice, "host/localhost").unwrap().2, 0);
    // Another credential of the same name has tickets of its own.
    let again = site.password("alice", Some(REALM), PASSWORD);
    assert_eq!(site.log_in(again).unwrap(), 3);
}

/// What people type as a name leads to the same principal.
#[test]
fn names_are_read_as_people_write_them() {
    let site = Site::new();
    for (user, domain) in [
        ("alice", None),
        ("alice", Some("")),
        ("alice", Some("example.test")),
        ("alice@EXAMPLE.TEST", None),
        ("alice@example.test", None),
        ("EXAMPLE.TEST\\alice", None),
        ("example.test\\alice", None),
    ] {
        let credential = site.password(user, domain, PASSWORD);
        let name = site
            .table
            .query_credentials_attributes(credential, CredentialAttribute::Names)
            .unwrap();
        let expected = CredentialAttributeValue::Names {
            user_name: ALICE.to_owned(),
        };
        assert_eq!(name, expected, "{user} {domain:?}");
    }
}

/// A user principal name whose suffix is no realm is left to the KDC of the default realm; one in capitals, or that the
/// configuration has, is a realm's.
#[test]
fn a_suffix_is_no_realm() {
    let site = Site::new();
    for (user, domain, principal) in [
        (
            "alice@trees.example",
            None,
            "alice\\@trees.example@EXAMPLE.TEST",
        ),
        ("alice@OTHER.EXAMPLE", None, "alice@OTHER.EXAMPLE"),
        ("alice@Example.Test", None, ALICE),
        (
            "alice@trees.example",
            Some("example.test"),
            "alice\\@trees.example@EXAMPLE.TEST",
        ),
    ] {
        let credential = site.password(user, domain, PASSWORD);
        let name = site
            .table
            .query_credentials_attributes(credential, CredentialAttribute::Names)
            .unwrap();
        let user_name = principal.to_owned();
        assert_eq!(
            name,
            CredentialAttributeValue::Names { user_name },
            "{user}"
        );
    }
}

/// Tickets that an enterprise name led to are the account's, and are found again.
#[test]
fn an_enterprise_name_logs_in_once() {
    let site = Site::new();
    let name = Principal::parse_enterprise("alice@example.test", Some(REALM)).unwrap();
    let credential = KerberosCredential::from_password(name, PASSWORD.into());
    let credential = site.package.adopt(credential).unwrap();
    assert_eq!(site.log_in(credential).unwrap(), 3);
    assert_eq!(site.log_in(credential).unwrap(), 0);
    assert_eq!(site.connect(credential, "host/localhost").unwrap().2, 1);
    site.clock.advance(DAY);
    assert_eq!(site.log_in(credential).unwrap(), 3);
}

/// A long-lived credential logs in anew when its tickets end.
#[test]
fn a_credential_with_a_secret_renews_itself() {
    let site = Site::new();
    let keytab = || Arc::new(site.realm.keytab(&["alice"]).unwrap());
    let from_keytab = KerberosCredential::from_keytab(principal("alice"), keytab());
    let handles = [
        site.password("alice", None, PASSWORD),
        site.package.adopt(from_keytab).unwrap(),
    ];
    for credential in handles {
        assert_eq!(
            site.table.credential_expiry(credential).unwrap(),
            Expiry::Never
        );
        assert_eq!(site.log_in(credential).unwrap(), 3);
        site.clock.advance(DAY);
        assert_eq!(site.log_in(credential).unwrap(), 3);
    }
}

/// Tickets without a secret: they serve until they end, and then nothing does.
#[test]
fn tickets_without_a_secret_end() {
    let site = Site::new();
    let alice = principal("alice");
    let tickets = ticket_granting_ticket(&site);
    site.store.store(&tickets).unwrap();
    let credential = site.acquire(AcquireRequest::default()).unwrap();
    let end = Expiry::At(tickets.endtime);
    assert_eq!(site.table.credential_expiry(credential).unwrap(), end);
    assert_eq!(site.log_in(credential).unwrap(), 1);
    assert_eq!(site.log_in(credential).unwrap(), 0);
    // What was got went into the store, where others find it.
    assert_eq!(site.store.tickets(&alice).unwrap().len(), 2);
    site.clock.advance(DAY);
    let error = site.connect(credential, TARGET).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    let expected = CredentialError::NoTicketGrantingTicket {
        client: ALICE.to_owned(),
    };
    assert_eq!(cause::<CredentialError>(&error), &expected);
    let error = site.acquire(AcquireRequest::default()).unwrap_err();
    assert_eq!(cause::<CredentialError>(&error), &expected);
}

/// The ticket-granting ticket that a credential gets on its way to a service.
fn ticket_granting_ticket(site: &Site) -> Arc<trihound_krb5::Credentials> {
    let store = Arc::new(MemoryStore::new());
    let keytab = Arc::new(site.realm.keytab(&["alice"]).unwrap());
    let keyed = KerberosCredential::from_keytab_in_store(principal("alice"), keytab, store.clone());
    let handle = site.package.adopt(keyed).unwrap();
    let (_, _, trips) = site.connect(handle, "host/localhost").unwrap();
    assert_eq!(trips, 3);
    let krbtgt = Principal::krbtgt(&principal("alice").realm);
    store
        .find(&principal("alice"), &krbtgt, Timestamp::from_seconds(NOW))
        .unwrap()
        .unwrap()
}

/// A renewable ticket-granting ticket in a store is renewed shortly before its end; where the KDC
/// refuses, the old one serves as long as it lasts.
#[test]
fn a_renewable_ticket_is_renewed_before_its_end() {
    let site = Site::with_config(|config| {
        config.ticket_lifetime = HOUR;
        config.renew_lifetime = DAY;
    });
    let tickets = ticket_granting_ticket(&site);
    assert_eq!(tickets.endtime, Timestamp::from_seconds(NOW).plus(HOUR));
    assert!(tickets.renew_till.unwrap() > tickets.endtime);
    site.store.store(&tickets).unwrap();
    let credential = site.acquire(AcquireRequest::default()).unwrap();
    site.clock.advance(HOUR - Duration::from_secs(200));
    site.realm.set_fault(Fault::Error {
        code: error_code::KDC_ERR_POLICY,
        text: String::new(),
    });
    let error = site.connect(credential, TARGET).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_LOGON_DENIED);
    site.realm.clear_faults();
    assert_eq!(site.connect(credential, TARGET).unwrap().2, 2);
    site.clock.advance(Duration::from_secs(1800));
    assert_eq!(site.connect(credential, "host/localhost").unwrap().2, 1);
}

/// A wrong password, an unknown user, an unknown service, an altered reply: each has its status.
#[test]
fn what_the_kdc_refuses_has_its_status() {
    let site = Site::new();
    let wrong = site.password("alice", None, "wrong");
    let error = site.connect(wrong, TARGET).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_LOGON_DENIED);
    assert!(matches!(cause(&error), KerberosError::KdcRefused(refusal)
        if refusal.code == error_code::KDC_ERR_PREAUTH_FAILED));
    let nobody = site.password("nobody", None, PASSWORD);
    let error = site.connect(nobody, TARGET).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_LOGON_DENIED);
    let alice = site.password("alice", None, PASSWORD);
    let error = site.connect(alice, "HTTP/elsewhere").unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_TARGET_UNKNOWN);
    site.realm.set_fault(Fault::Nonce);
    let error = site.connect(alice, TARGET).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_ILLEGAL_MESSAGE);
    assert!(matches!(
        cause(&error),
        KerberosError::KdcMisbehaved(KdcMisbehaved::ReplyNonceDiffers)
    ));
    site.realm.clear_faults();
    site.realm.set_fault(Fault::Dead);
    let error = site.connect(alice, TARGET).unwrap_err();
    assert_eq!(
        error.status(),
        SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
    );
    assert!(matches!(cause(&error), KerberosError::Unreachable(failure)
        if failure.realm == REALM));
}

/// A failed exchange leaves no context behind, and no slot in use.
#[test]
fn a_failed_exchange_leaves_nothing() {
    let site = Site::new();
    let wrong = site.password("alice", None, "wrong");
    let request = InitializeRequest {
        target_name: Some(TARGET),
        ..InitializeRequest::default()
    };
    let mut memory = [0; 4000];
    let mut buffers = [SecBuffer::token(&mut memory)];
    let mut output = SecBufferDesc::new(&mut buffers);
    let outcome = site
        .table
        .initialize_security_context(Some(wrong), None, request, &mut output)
        .unwrap();
    assert_eq!(outcome.status(), SecurityStatus::SEC_I_ASYNC_CALL_PENDING);
    let context = outcome.context;
    let failure = TransportFailure::default();
    let error = site
        .table
        .complete_exchange(context, Reply::Failed(&failure), &mut output)
        .unwrap_err();
    assert_eq!(
        error.status(),
        SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
    );
    let error = site
        .table
        .complete_exchange(context, Reply::Bytes(&[]), &mut output)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
    site.table.delete_security_context(context).unwrap();
    assert_eq!(site.package.live().1, 0);
}

/// Initialize in the middle of an exchange, and complete_exchange outside of one.
#[test]
fn an_exchange_is_completed_before_the_next_call() {
    let site = Site::new();
    let alice = site.password("alice", None, PASSWORD);
    let request = InitializeRequest {
        target_name: Some(TARGET),
        requirements: InitiatorRequirements::MUTUAL_AUTH,
        ..InitializeRequest::default()
    };
    let mut memory = [0; 4000];
    let mut buffers = [SecBuffer::token(&mut memory)];
    let mut output = SecBufferDesc::new(&mut buffers);
    let table = &site.table;
    let pending = table
        .initialize_security_context(Some(alice), None, request, &mut output)
        .unwrap();
    let error = table
        .initialize_security_context(Some(alice), Some(pending.context), request, &mut output)
        .unwrap_err();
    assert_eq!(
        cause::<ContextError>(&error),
        &ContextError::ExchangeUnderWay
    );
    let (context, _, _) = site.connect(alice, TARGET).unwrap();
    let error = table
        .complete_exchange(context, Reply::Bytes(&[]), &mut output)
        .unwrap_err();
    assert_eq!(cause::<ContextError>(&error), &ContextError::NoExchange);
}

/// A service whose key was changed refuses the ticket that is kept; the next context gets a new one.
#[test]
fn a_ticket_for_an_old_key_is_replaced() {
    let site = Site::new();
    let alice = site.password("alice", None, PASSWORD);
    assert_eq!(site.log_in(alice).unwrap(), 3);
    site.realm.rotate_keys(TARGET).unwrap();
    let renewed = Arc::new(site.realm.keytab(&[TARGET]).unwrap());
    site.store.set_keytab(Some(renewed));
    let (context, token, trips) = site.connect(alice, TARGET).unwrap();
    assert_eq!(trips, 0);
    let service = site
        .acquire(AcquireRequest {
            credential_use: CredentialUse::INBOUND,
            ..AcquireRequest::default()
        })
        .unwrap();
    let mut memory = [0; 400];
    let mut buffers = [SecBuffer::token(&mut memory)];
    let mut output = SecBufferDesc::new(&mut buffers);
    let input = [SecBuffer::token_input(&token)];
    let request = trihound_sspi::AcceptRequest {
        input: Some(InputDesc::new(&input)),
        ..Default::default()
    };
    let error = site
        .table
        .accept_security_context(Some(service), None, request, &mut output)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_KERB_KEY);
    let refusal = output.token().unwrap().to_vec();
    let input = [SecBuffer::token_input(&refusal)];
    let request = InitializeRequest {
        input: Some(InputDesc::new(&input)),
        ..InitializeRequest::default()
    };
    let error = site
        .table
        .initialize_security_context(Some(alice), Some(context), request, &mut output)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_WRONG_PRINCIPAL);
    assert_eq!(site.log_in(alice).unwrap(), 1);
}

/// AcquireCredentialsHandle says at once what is missing.
#[test]
fn acquiring_names_what_is_missing() {
    let site = Site::new();
    let inbound = |principal| AcquireRequest {
        principal,
        credential_use: CredentialUse::INBOUND,
        ..AcquireRequest::default()
    };
    let fault = |request: AcquireRequest<'_>| {
        let error = site.acquire(request).unwrap_err();
        cause::<CredentialError>(&error).clone()
    };
    assert!(matches!(
        fault(AcquireRequest::default()),
        CredentialError::NoIdentity { .. }
    ));
    assert_eq!(
        fault(inbound(Some("ldap/localhost"))),
        CredentialError::NoKeyOfPrincipal {
            principal: "ldap/localhost@EXAMPLE.TEST".to_owned()
        }
    );
    assert!(site.acquire(inbound(Some(TARGET))).is_ok());
    assert!(matches!(
        fault(AcquireRequest {
            credential_use: CredentialUse::empty(),
            ..AcquireRequest::default()
        }),
        CredentialError::OtherDirection { .. }
    ));
    let packed = Identity::Packed(PackedCredential {
        package: "Kerberos".to_owned(),
        blob: trihound_secret::SecretBytes::default(),
    });
    assert!(matches!(
        fault(AcquireRequest {
            identity: Some(&packed),
            ..AcquireRequest::default()
        }),
        CredentialError::UnknownIdentity { .. }
    ));
    let token = Arc::new(AccessToken::new(
        "Kerberos",
        ALICE,
        REALM,
        ImpersonationLevel::Impersonation,
    ));
    let expected = CredentialError::NothingDelegated {
        client: ALICE.to_owned(),
    };
    assert_eq!(
        fault(AcquireRequest {
            package_list: None,
            impersonation: Some(&token),
            ..AcquireRequest::default()
        }),
        expected
    );
    site.store.set_keytab(Some(Arc::new(Keytab::new())));
    assert_eq!(fault(inbound(None)), CredentialError::EmptyKeytab);
    site.store.set_keytab(None);
    let error = site.acquire(inbound(None)).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
}

/// One credential in many threads at once.
#[test]
fn a_credential_may_be_used_by_many_threads() {
    let site = Site::new();
    let alice = site.password("alice", None, PASSWORD);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    site.log_in(alice).unwrap();
                }
            });
        }
    });
    assert_eq!(site.connect(alice, TARGET).unwrap().2, 0);
}
