//! Negotiate over the function table, in the shapes that RPC and directory clients ask for: DCE style, a
//! server that may only identify its client, and nobody.

use std::sync::Arc;

use trihound::secret::SecretString;
use trihound::sspi::{
    AcceptorAttributes, AcceptorRequirements, AcquireRequest, ContextAttribute,
    ContextAttributeValue, CredentialUse, EstablishedAttributes, Identity, ImpersonationLevel,
    InitiatorAttributes, InitiatorRequirements,
};
use trihound::{Acceptor, Initiator, KerberosCredential, SecurityContext};
use trihound_test_realm::TestRealm;

use crate::packages::both;
use crate::support::{SERVICE, alice, realm};

const PROTECTED: InitiatorRequirements =
    InitiatorRequirements::CONFIDENTIALITY.union(InitiatorRequirements::INTEGRITY);

/// Both contexts of a negotiation in which the client has these mechanisms, and how many tokens it took.
fn negotiated(
    realm: &Arc<TestRealm>,
    list: &str,
    asked: InitiatorRequirements,
    granted: AcceptorRequirements,
) -> (SecurityContext, SecurityContext, usize) {
    let table = both(realm).table().unwrap();
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

/// The table has every package, in the order of preference.
#[test]
fn the_table_has_negotiate_kerberos_and_ntlm() {
    let table = both(&realm()).table().unwrap();
    let names: Vec<_> = table
        .enumerate_security_packages()
        .into_iter()
        .map(|info| (info.name.into_owned(), info.rpc_id))
        .collect();
    assert_eq!(
        names,
        [
            ("Negotiate".to_owned(), 9),
            ("Kerberos".to_owned(), 16),
            ("NTLM".to_owned(), 10)
        ]
    );
}

/// One Kerberos, one replay cache: what was taken raw is refused in SPNEGO's frame.
#[test]
fn a_token_taken_raw_is_a_replay_for_negotiate() {
    use trihound::asn1::spnego::{KRB5, NegTokenInit};

    let realm = realm();
    let packages = both(&realm);
    let table = packages.table().unwrap();
    let accept = |package| {
        let request = AcquireRequest::new(CredentialUse::INBOUND);
        let credential = table.acquire_credentials_handle(package, request).unwrap();
        Acceptor::new(&table, credential.credential, AcceptorRequirements::empty())
    };
    let credential = KerberosCredential::from_password(alice(), SecretString::from("password"));
    let handle = packages.kerberos().adopt(credential).unwrap();
    let asked = InitiatorRequirements::MUTUAL_AUTH;
    let mut initiator = Initiator::new(&table, handle, SERVICE, asked);
    let mut kdc = realm.transport();
    let token = initiator.step(None, &mut kdc).unwrap().token.unwrap();
    let taken = accept("Kerberos").step(&token).unwrap();
    assert!(taken.complete);

    let mut wrapped = NegTokenInit::new(&[KRB5]).unwrap();
    wrapped.mech_token = Some(token);
    let wrapped = wrapped.to_token().unwrap();
    let refused = accept("Negotiate").step(&wrapped).unwrap_err();
    assert!(refused.error.to_string().contains("replay"), "{refused}");
}
