//! ChangeAccountPassword for accounts that the acceptor keeps.

use std::sync::{Arc, RwLock};

use trihound_ntlm::{
    LocalVerifier, MemoryAccounts, NtHash, Ntlm, NtlmAccounts, NtlmConfig, NtlmPolicy, NtlmRule,
    ServerNames, VerifierFailure,
};
use trihound_sansio::{DriveError, ExchangeRequest, Transport, TransportFailure, drive};
use trihound_secret::SecretString;
use trihound_sspi::{
    ChangePasswordRequest, Error, Function, RegisteredPackage, SecurityFunctionTable,
    SecurityStatus,
};

use crate::world::cause;

/// Nothing here needs a round trip.
struct Nowhere;

impl Transport for Nowhere {
    fn round_trip(&mut self, _: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        panic!("a local account needs nobody");
    }
}

type Accounts = RwLock<MemoryAccounts>;

/// The accounts as the test sees them, and the verifier's own.
#[derive(Clone)]
struct Shared(Arc<Accounts>);

impl NtlmAccounts for Shared {
    fn find(&self, user: &str, domain: &str, own: bool) -> Option<trihound_ntlm::Account> {
        self.0.find(user, domain, own)
    }

    fn changes_passwords(&self) -> bool {
        self.0.changes_passwords()
    }

    fn change_password(
        &self,
        change: &trihound_ntlm::NtlmPasswordChange,
    ) -> Result<(), VerifierFailure> {
        self.0.change_password(change)
    }
}

fn table(accounts: impl NtlmAccounts + 'static, incoming: NtlmRule) -> SecurityFunctionTable {
    let config = NtlmConfig::default()
        .with_policy(NtlmPolicy::default().incoming(incoming))
        .with_server_names(ServerNames::of_host("web.example"))
        .with_verifier(Arc::new(LocalVerifier::new(accounts)));
    let package = RegisteredPackage::new(Ntlm::new(config));
    SecurityFunctionTable::builder()
        .package(&package)
        .build()
        .unwrap()
}

fn accounts() -> Shared {
    let accounts = MemoryAccounts::new()
        .with_password("", "alice", SecretString::from("old"))
        .with_password("WOODS", "bob", SecretString::from("bob's"));
    Shared(Arc::new(RwLock::new(accounts)))
}

fn change(
    table: &SecurityFunctionTable,
    (domain_name, account_name): (&str, &str),
    old: &str,
    new: &str,
) -> Result<(), Error> {
    let exchange = table.change_account_password(
        "NTLM",
        ChangePasswordRequest {
            domain_name,
            account_name,
            old_password: &SecretString::from(old),
            new_password: &SecretString::from(new),
        },
    )?;
    match drive(exchange, Nowhere) {
        Ok(()) => Ok(()),
        Err(DriveError::Protocol(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

fn has(accounts: &Shared, user: &str, domain: &str, password: &str) -> bool {
    let hash = NtHash::from_password(&SecretString::from(password));
    let account = accounts.find(user, domain, domain.is_empty()).unwrap();
    account.nt_hash.expose() == hash.expose()
}

#[test]
fn who_knows_the_old_password_sets_the_new_one() {
    let accounts = accounts();
    let table = table(accounts.clone(), NtlmRule::Allow);
    let offered = table.functions_of(Ntlm::NAME).unwrap();
    assert!(offered.has(Function::ChangeAccountPassword));
    change(&table, ("WEB", "Alice"), "old", "new").unwrap();
    assert!(has(&accounts, "alice", "", "new"));
    change(&table, ("woods", "bob"), "bob's", "newer").unwrap();
    assert!(has(&accounts, "bob", "WOODS", "newer"));
    assert!(has(&accounts, "alice", "", "new"));
}

#[test]
fn a_wrong_password_and_an_unknown_account_are_refused_alike() {
    let accounts = accounts();
    let table = table(accounts.clone(), NtlmRule::Allow);
    let texts = [
        (("", "alice"), "wrong"),
        (("", "nobody"), "old"),
        (("OTHER", "bob"), "bob's"),
        (("WOODS", "alice"), "old"),
    ]
    .map(|(name, old)| {
        let error = change(&table, name, old, "new").unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_LOGON_DENIED);
        assert_eq!(
            *cause::<VerifierFailure>(&error),
            VerifierFailure::LogonFailed
        );
        error.to_string()
    });
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    assert!(has(&accounts, "alice", "", "old"));
    let empty = change(&table, ("", "alice"), "old", "").unwrap_err();
    assert_eq!(empty.status(), SecurityStatus::SEC_E_INVALID_PARAMETER);
}

#[test]
fn accounts_that_cannot_change_and_a_policy_that_denies_offer_nothing() {
    let fixed = MemoryAccounts::new().with_password("", "alice", SecretString::from("old"));
    for table in [
        table(fixed, NtlmRule::Allow),
        table(accounts(), NtlmRule::Deny),
    ] {
        let offered = table.functions_of(Ntlm::NAME).unwrap();
        assert!(!offered.has(Function::ChangeAccountPassword));
        let error = change(&table, ("", "alice"), "old", "new").unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    }
}
