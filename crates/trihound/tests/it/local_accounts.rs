//! Which client has which account on this machine, and who is impersonated at all.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use trihound::Error;
use trihound::environment::{CacheName, LocalAccountError, LocalAccounts, UserStore};
use trihound::krb5::{Config, CredentialStore, NoIncludes, Profile};
use trihound::sspi::{
    AccessToken, ImpersonationLevel, InitiatorRequirements, SecurityStatus, ThreadIdentity,
    thread_account, thread_token,
};

use crate::impersonation::{Service, is_root};
use crate::programs::config;
use crate::store::login;
use crate::support::{Directory, REALM};

fn token(package: &str, client: &str) -> AccessToken {
    AccessToken::new(package, client, REALM, ImpersonationLevel::Impersonation)
}

fn rules(text: &str) -> LocalAccounts {
    let text =
        format!("[libdefaults]\ndefault_realm = {REALM}\n[realms]\n{REALM} = {{\n{text}\n}}\n");
    LocalAccounts::new(Arc::new(
        Config::from_profile(&Profile::parse(&text, &NoIncludes, "krb5.conf").unwrap()).unwrap(),
    ))
}

#[test]
fn accounts_are_those_of_auth_to_local() {
    let name = |accounts: &LocalAccounts, client: &str| {
        accounts.name_of(&token("Kerberos", client)).unwrap()
    };
    let by_default = LocalAccounts::new(Arc::new(config()));
    assert_eq!(
        name(&by_default, "nobody@EXAMPLE.TEST").as_deref(),
        Some("nobody")
    );
    assert_eq!(name(&by_default, "nobody@OTHER.TEST"), None);
    assert_eq!(name(&by_default, "nobody/admin@EXAMPLE.TEST"), None);
    assert_eq!(name(&by_default, "no principal"), None);
    let ruled = rules("auth_to_local_names = {\nboss = root\n}\nauth_to_local = RULE:[1:u-$1]");
    assert_eq!(
        name(&ruled, "alice@EXAMPLE.TEST").as_deref(),
        Some("u-alice")
    );
    assert_eq!(name(&ruled, "boss@EXAMPLE.TEST").as_deref(), Some("root"));
    // Names of NTLM are no principals, and no realm vouched for them.
    let ntlm = token("NTLM", "nobody@EXAMPLE.TEST");
    assert_eq!(by_default.name_of(&ntlm).unwrap(), None);
    let told =
        LocalAccounts::mapped_by(|token| token.client_name.split('\\').nth(1).map(str::to_owned));
    assert_eq!(
        told.name_of(&token("NTLM", "D\\nobody"))
            .unwrap()
            .as_deref(),
        Some("nobody")
    );
    let nobody = LocalAccounts::none();
    assert_eq!(
        nobody
            .name_of(&token("Kerberos", "nobody@EXAMPLE.TEST"))
            .unwrap(),
        None
    );
    // No default realm, no rules.
    let bare = LocalAccounts::new(Arc::new(Config::default()));
    assert_eq!(name(&bare, "nobody@EXAMPLE.TEST"), None);
}

#[test]
fn a_rule_that_cannot_be_read_lets_nobody_in() {
    let broken = rules("auth_to_local = RULE:[1:$1\nauth_to_local = DEFAULT");
    let error = broken
        .assume(&token("Kerberos", "nobody@EXAMPLE.TEST"))
        .err()
        .unwrap();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INTERNAL_ERROR);
    let cause = error.find_source::<LocalAccountError>();
    assert!(
        matches!(cause, Some(LocalAccountError::Mapping { .. })),
        "{error}"
    );
    assert_eq!(thread_account(), None);
}

#[test]
fn a_client_without_an_account_is_refused_where_one_is_demanded() {
    let service = Service::with(LocalAccounts::new(Arc::new(config())).required());
    let error = service.context_with("stranger").impersonate().unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_IMPERSONATION);
    let cause = error.find_source::<LocalAccountError>().unwrap();
    // Who may not change looks nobody up.
    let expected = if is_root() {
        "has no account on this machine"
    } else {
        "may not act as"
    };
    assert!(cause.to_string().contains(expected), "{cause}");
    // Zero bytes end no name.
    let odd = LocalAccounts::mapped_by(|_| Some("root\0".to_owned()));
    assert!(odd.assume(&token("Kerberos", "x")).unwrap().is_none());
}

#[test]
fn a_client_that_allows_identification_only_is_not_acted_for() {
    let service = Service::new();
    let asked = InitiatorRequirements::IDENTIFY
        | InitiatorRequirements::MUTUAL_AUTH
        | InitiatorRequirements::CONFIDENTIALITY
        | InitiatorRequirements::INTEGRITY
        | InitiatorRequirements::REPLAY_DETECT
        | InitiatorRequirements::SEQUENCE_DETECT;
    let context = service.handshake("nobody", Some(asked));
    let token = context.access_token().unwrap();
    assert_eq!(token.level, ImpersonationLevel::Identification);
    let refused = SecurityStatus::SEC_E_NO_IMPERSONATION;
    assert_eq!(context.impersonate().unwrap_err().status(), refused);
    let error = service.server.impersonate(&token).unwrap_err();
    assert!(
        matches!(&error, Error::Security(error) if error.status() == refused),
        "{error}"
    );
    assert!(thread_token().is_none());
}

/// A cache that is made while the thread has the client's account would be the client's to read.
#[test]
fn a_cache_of_the_process_is_not_made_as_the_client() {
    if !is_root() {
        return;
    }
    let directory = Directory::new();
    fs::set_permissions(&directory.0, fs::Permissions::from_mode(0o777)).unwrap();
    let path = directory.0.join("cc");
    let none = directory.0.join("keytab");
    let store = || UserStore::new(CacheName::File(path.clone()), none.clone(), none.clone());
    let store = store().making_cache();
    let ticket = login(None);
    let acting = Service::new().context_with("nobody").impersonate().unwrap();
    assert_eq!(acting.account(), Some("nobody"));
    store.store(&ticket).unwrap();
    drop(acting);
    assert!(!path.exists());
    assert_eq!(store.tickets(&ticket.client).unwrap().len(), 1, "in memory");
    store.store(&ticket).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().uid(), 0);
}
