//! Negotiate in the shapes that RPC and directory clients ask for, with each mechanism: DCE style, a
//! server that may only identify its client, and nobody.

use std::sync::Arc;

use trihound::krb5::MemoryStore;
use trihound::sansio::SystemClock;
use trihound::secret::SecretString;
use trihound::sspi::{
    AcceptorAttributes, AcceptorRequirements, AcquireRequest, ContextAttribute,
    ContextAttributeValue, CredentialUse, EstablishedAttributes, Identity, ImpersonationLevel,
    InitiatorAttributes, InitiatorRequirements, RegisteredPackage,
};
use trihound::{
    Acceptor, Initiator, NegotiatePolicy, Ntlm, NtlmConfig, OsRandom, Packages, SecurityContext,
};
use trihound_test_realm::TestRealm;

use crate::packages::{accounts, audited};
use crate::programs::config;
use crate::support::{SERVICE, keytab, realm};

const PROTECTED: InitiatorRequirements =
    InitiatorRequirements::CONFIDENTIALITY.union(InitiatorRequirements::INTEGRITY);

fn packages(realm: &TestRealm) -> Packages {
    let kerberos = trihound::kerberos(
        Arc::new(config()),
        Arc::new(MemoryStore::with_keytab(keytab(realm))),
        Arc::new(SystemClock),
        Arc::new(OsRandom),
    );
    let ntlm = NtlmConfig::default()
        .with_policy(audited())
        .with_verifier(accounts());
    let ntlm = RegisteredPackage::new(Ntlm::new(ntlm));
    Packages::new(&kerberos, &ntlm, NegotiatePolicy::default()).unwrap()
}

/// Both contexts of a negotiation in which the client has these mechanisms, and how many tokens it took.
fn negotiated(
    realm: &Arc<TestRealm>,
    list: &str,
    asked: InitiatorRequirements,
    granted: AcceptorRequirements,
) -> (SecurityContext, SecurityContext, usize) {
    let table = packages(realm).table().unwrap();
    let identity = Identity::Password {
        user: "alice@EXAMPLE.TEST".to_owned(),
        domain: None,
        password: SecretString::from("password"),
    };
    let outbound = AcquireRequest {
        identity: Some(&identity),
        package_list: Some(list),
        ..AcquireRequest::new(CredentialUse::OUTBOUND)
    };
    let acquire = |request| {
        let acquired = table.acquire_credentials_handle("Negotiate", request);
        acquired.unwrap().credential
    };
    let mut initiator = Initiator::new(&table, acquire(outbound), SERVICE, asked);
    let inbound = acquire(AcquireRequest::new(CredentialUse::INBOUND));
    let mut acceptor = Acceptor::new(&table, inbound, granted);
    let mut kdc = realm.transport();
    let (mut tokens, mut to_client) = (0, None);
    loop {
        let leg = initiator.step(to_client.as_deref(), &mut kdc).unwrap();
        let Some(token) = leg.token else { break };
        let answer = acceptor.step(&token).unwrap();
        tokens += 1 + usize::from(answer.token.is_some());
        to_client = answer.token;
        if leg.complete {
            break;
        }
    }
    (
        initiator.into_context().unwrap(),
        acceptor.into_context().unwrap(),
        tokens,
    )
}

fn attributes(context: &SecurityContext) -> EstablishedAttributes {
    match context.query(ContextAttribute::Flags).unwrap() {
        ContextAttributeValue::Flags(flags) => flags,
        other => panic!("{other:?}"),
    }
}

/// Conformance row 175: the third leg, and the MICs of the list with the last tokens.
#[test]
fn row_175_dce_style_is_negotiated_with_each_mechanism() {
    let realm = realm();
    for (mechanism, tokens) in [("Kerberos", 4), ("NTLM", 4)] {
        let (client, service, took) = negotiated(
            &realm,
            mechanism,
            PROTECTED | InitiatorRequirements::USE_DCE_STYLE,
            AcceptorRequirements::USE_DCE_STYLE,
        );
        assert_eq!(took, tokens, "{mechanism}");
        for context in [&client, &service] {
            assert_eq!(context.mechanism().unwrap(), mechanism);
            let dce = match attributes(context) {
                EstablishedAttributes::Initiator(got) => {
                    got.contains(InitiatorAttributes::USED_DCE_STYLE)
                }
                EstablishedAttributes::Acceptor(got) => {
                    got.contains(AcceptorAttributes::USED_DCE_STYLE)
                }
            };
            assert!(dce, "{mechanism}");
        }
        for (from, to) in [(&client, &service), (&service, &client)] {
            assert_eq!(
                to.open(&from.encrypt(b"rpc").unwrap()).unwrap().data,
                b"rpc"
            );
        }
    }
}

fn access(service: &SecurityContext) -> (String, ImpersonationLevel) {
    match service.query(ContextAttribute::AccessToken).unwrap() {
        ContextAttributeValue::AccessToken(token) => (token.client_name.clone(), token.level),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_may_let_itself_be_identified_and_no_more() {
    let realm = realm();
    for mechanism in ["Kerberos", "NTLM"] {
        let asked = PROTECTED | InitiatorRequirements::IDENTIFY;
        let none = AcceptorRequirements::empty();
        let (_, service, _) = negotiated(&realm, mechanism, asked, none);
        let (name, level) = access(&service);
        assert!(name.contains("alice"), "{name}");
        assert_eq!(level, ImpersonationLevel::Identification, "{mechanism}");
        let (_, service, _) = negotiated(&realm, mechanism, PROTECTED, none);
        assert_eq!(access(&service).1, ImpersonationLevel::Impersonation);
    }
}

/// Conformance rows 39 and 170: nobody is negotiated where both sides ask, without a MIC of the list.
#[test]
fn rows_39_and_170_nobody_is_negotiated_where_both_ask() {
    let realm = realm();
    let (client, service, _) = negotiated(
        &realm,
        "NTLM",
        InitiatorRequirements::NULL_SESSION,
        AcceptorRequirements::ALLOW_NULL_SESSION,
    );
    let (name, level) = access(&service);
    assert_eq!((name.as_str(), level), ("", ImpersonationLevel::Anonymous));
    for context in [&client, &service] {
        assert!(context.query(ContextAttribute::SessionKey).is_err());
        assert!(context.encrypt(b"x").is_err());
    }
}
