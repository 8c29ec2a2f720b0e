//! The PAC of a client's ticket at an acceptor, through the function table: what a good one says, and the
//! exact error of every broken one that the embedded KDC issues.

use std::sync::Arc;

use trihound_crypto::{ChecksumType, Enctype, EnctypePolicy};
use trihound_kerberos::{Kerberos, KerberosConfig, KerberosCredential};
use trihound_krb5::ap::AcceptPolicy;
use trihound_krb5::pac::{
    ClaimEntry, ClaimValues, ClaimsArray, ClaimsSet, ClaimsSource, PacBufferType, PacPolicy, Sid,
    UnverifiedPac, danger,
};
use trihound_krb5::{
    Config, Environment, Error as KerberosError, InvalidPac, MemoryStore, PacNotTrusted, Policy,
};
use trihound_sansio::{FixedClock, Reply, Timestamp, Transport};
use trihound_sspi::{
    AcceptRequest, AccessToken, ContextAttribute as Attribute, ContextAttributeValue as Value,
    CtxtHandle, Error, ImpersonationLevel, InitializeRequest, InitiatorRequirements, InputDesc,
    RegisteredPackage, SecBuffer, SecBufferDesc, SecurityFunctionTable, SecurityStatus as Status,
};
use trihound_test_realm::{
    Fault, PacFault, PacIssue, PrincipalOptions, Repeat, RequestKind, TestRealm, TestRealmBuilder,
};

use crate::support::{AES, Seeded, lax_policy};
use crate::world::{ALICE, NOW, REALM, TARGET, cause, principal};

const PASSWORD_ENDS: i64 = NOW + 1000;
const OTHER: &str = "OTHER.TEST";

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::new(Timestamp::from_seconds(NOW)))
}

fn department() -> ClaimsSet {
    ClaimsSet {
        arrays: vec![ClaimsArray {
            source: ClaimsSource::ActiveDirectory,
            entries: vec![
                ClaimEntry {
                    id: "ad://ext/department".into(),
                    values: ClaimValues::String(vec!["Research".into(), "Ä".into()]),
                },
                ClaimEntry {
                    id: "ad://ext/level".into(),
                    values: ClaimValues::Int64(vec![-7]),
                },
                ClaimEntry {
                    id: "ad://ext/badge".into(),
                    values: ClaimValues::Uint64(vec![u64::MAX]),
                },
                ClaimEntry {
                    id: "ad://ext/guest".into(),
                    values: ClaimValues::Boolean(vec![false]),
                },
            ],
        }],
    }
}

fn builder() -> TestRealmBuilder {
    let alice = PrincipalOptions::default()
        .groups(&[1200, 1201])
        .extra_sids(&["S-1-5-21-7-8-9-2200".parse().unwrap()])
        .claims(department())
        .password_expires(Timestamp::from_seconds(PASSWORD_ENDS));
    TestRealm::builder(REALM)
        .principal_with("alice", "correct horse", alice)
        .service(TARGET)
        .service_with("host/plain.test", PrincipalOptions::default().without_pac())
        .clock(clock())
        .random(Arc::new(Seeded::new(3)))
}

fn realm() -> Arc<TestRealm> {
    builder().build().unwrap()
}

/// A client and a service, each with a package of its own.
struct Login {
    package: RegisteredPackage<Kerberos>,
    table: SecurityFunctionTable,
}

impl Login {
    fn new(pac: PacPolicy, enctypes: EnctypePolicy) -> Self {
        let mut config = Config::default();
        config.default_realm = Some(REALM.to_owned());
        config.permitted_enctypes = enctypes;
        let random = Arc::new(Seeded::new(5));
        let environment = Environment::new(clock(), random, Arc::new(config));
        let mut config = KerberosConfig::new(environment, Arc::new(MemoryStore::new()));
        config.accept_policy = AcceptPolicy {
            pac,
            ..AcceptPolicy::default()
        };
        let package = RegisteredPackage::new(Kerberos::new(config));
        let table = SecurityFunctionTable::builder()
            .package(&package)
            .build()
            .unwrap();
        Self { package, table }
    }

    /// Alice's first token for a service of the last of these realms.
    fn token(&self, realms: &[&Arc<TestRealm>], target: &str) -> Result<Vec<u8>, Error> {
        let store = Arc::new(MemoryStore::new());
        let keytab = Arc::new(realms[0].keytab(&["alice"]).unwrap());
        let alice =
            KerberosCredential::from_keytab_in_store(principal("alice"), keytab, store.clone());
        let alice = self.package.adopt(alice).unwrap();
        let mut transport = realms[0].transport();
        for realm in &realms[1..] {
            transport = transport.and(realm);
        }
        let mut memory = vec![0; 8000];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut buffers);
        let request = InitializeRequest {
            target_name: Some(target),
            requirements: InitiatorRequirements::INTEGRITY,
            ..InitializeRequest::default()
        };
        let mut outcome =
            self.table
                .initialize_security_context(Some(alice), None, request, &mut output)?;
        while let Some(request) = outcome.exchange() {
            let answer = transport.round_trip(request);
            let reply = match &answer {
                Ok(bytes) => Reply::Bytes(bytes),
                Err(failure) => Reply::Failed(failure),
            };
            outcome = self
                .table
                .complete_exchange(outcome.context, reply, &mut output)?;
        }
        Ok(output.token().unwrap().to_vec())
    }

    fn accept(&self, realm: &TestRealm, target: &str, token: &[u8]) -> Result<CtxtHandle, Error> {
        let keytab = Arc::new(realm.keytab(&[target]).unwrap());
        let service = KerberosCredential::acceptor(keytab, None);
        let service = self.package.adopt(service).unwrap();
        let input = [SecBuffer::token_input(token)];
        let request = AcceptRequest {
            input: Some(InputDesc::new(&input)),
            ..AcceptRequest::default()
        };
        let mut output = SecBufferDesc::new(&mut []);
        self.table
            .accept_security_context(Some(service), None, request, &mut output)
            .map(|outcome| outcome.context)
    }

    fn who(&self, context: CtxtHandle) -> Arc<AccessToken> {
        self.table.query_security_context_token(context).unwrap()
    }

    fn query(&self, context: CtxtHandle, attribute: Attribute) -> Result<Value, Status> {
        self.table
            .query_context_attributes(context, attribute)
            .map_err(|error| error.status())
    }
}

fn login(realm: &Arc<TestRealm>, policy: PacPolicy) -> Result<(Login, CtxtHandle), Error> {
    let login = Login::new(policy, EnctypePolicy::default());
    let token = login.token(&[realm], TARGET).unwrap();
    let context = login.accept(realm, TARGET, &token)?;
    Ok((login, context))
}

fn sid(realm: &TestRealm, rid: u32) -> String {
    realm.domain_sid().unwrap().member(rid).unwrap().to_string()
}

#[test]
fn the_access_token_has_what_the_pac_says() {
    let realm = realm();
    let (login, context) = login(&realm, PacPolicy::USER_SID_REQUIRED).unwrap();
    let token = login.who(context);
    let own = realm.sid("alice").unwrap().to_string();
    assert_eq!(
        token.sids,
        [
            own.clone(),
            sid(&realm, 513),
            sid(&realm, 1200),
            sid(&realm, 1201),
            "S-1-18-1".to_owned(),
            "S-1-5-21-7-8-9-2200".to_owned(),
        ]
    );
    assert_eq!(token.client_name, ALICE);
    assert_eq!(token.level, ImpersonationLevel::Impersonation);
    let logon = token.logon.as_ref().unwrap();
    assert_eq!(logon.user_sid.as_ref(), Some(&own));
    assert_eq!(logon.primary_group_sid, Some(sid(&realm, 513)));
    assert_eq!(logon.account_name.as_deref(), Some("alice"));
    assert_eq!(logon.domain_name.as_deref(), Some("EXAMPLE"));
    assert_eq!(logon.dns_domain_name.as_deref(), Some(REALM));
    assert_eq!(
        logon.user_principal_name.as_deref(),
        Some("alice@example.test")
    );
    assert_eq!(logon.logon_server.as_deref(), Some("KDC"));
    assert_eq!(logon.full_name, None);
    assert_eq!(logon.user_flags, Some(0x20));
    let ends = Timestamp::from_seconds(PASSWORD_ENDS);
    assert_eq!(logon.password_expiry, Some(ends));
    assert_eq!(logon.logon_time, Some(Timestamp::from_seconds(NOW)));
    assert_eq!(logon.logoff_time, None);
    let claims: Vec<_> = logon
        .claims
        .iter()
        .map(|claim| format!("{} {:?}", claim.id, claim.values))
        .collect();
    assert_eq!(
        claims,
        [
            "ad://ext/department String([\"Research\", \"Ä\"])",
            "ad://ext/level Int64([-7])",
            "ad://ext/badge Uint64([18446744073709551615])",
            "ad://ext/guest Boolean([false])",
        ]
    );
}

#[test]
fn the_attributes_of_the_pac_are_answered() {
    let realm = realm();
    let (login, context) = login(&realm, PacPolicy::default()).unwrap();
    let Ok(Value::DceInfo(dce)) = login.query(context, Attribute::DceInfo) else {
        panic!("no DCE_INFO");
    };
    assert_eq!(dce.authorization_service, 2);
    let pac = UnverifiedPac::parse(&dce.pac).unwrap();
    let pac = danger::read_without_verifying(&pac).unwrap();
    assert_eq!(pac.user_sid(), realm.sid("alice"));
    let ends = Timestamp::from_seconds(PASSWORD_ENDS);
    assert!(matches!(
        login.query(context, Attribute::PasswordExpiry),
        Ok(Value::PasswordExpiry(time)) if time == ends
    ));
    assert!(matches!(
        login.query(context, Attribute::UserFlags),
        Ok(Value::UserFlags(0x20))
    ));
    assert!(matches!(
        login.query(context, Attribute::Authority),
        Ok(Value::Authority(realm)) if realm == REALM
    ));
    let Ok(Value::AccessToken(token)) = login.query(context, Attribute::AccessToken) else {
        panic!("no ACCESS_TOKEN");
    };
    assert_eq!(token.sids.len(), 6);
}

/// Without a domain's PAC there is a name and nothing else.
#[test]
fn without_logon_information_nothing_is_made_up() {
    for issue in [PacIssue::Minimal, PacIssue::None] {
        let realm = builder().pac(issue).build().unwrap();
        let (login, context) = login(&realm, PacPolicy::default()).unwrap();
        let token = login.who(context);
        assert_eq!(token.client_name, ALICE);
        assert!(token.sids.is_empty());
        assert_eq!(token.logon.is_some(), issue == PacIssue::Minimal);
        for attribute in [Attribute::UserFlags, Attribute::PasswordExpiry] {
            assert_eq!(
                login.query(context, attribute).unwrap_err(),
                Status::SEC_E_UNSUPPORTED_FUNCTION
            );
        }
        let Ok(Value::DceInfo(dce)) = login.query(context, Attribute::DceInfo) else {
            panic!("no DCE_INFO");
        };
        let name: Vec<u8> = ALICE
            .encode_utf16()
            .chain([0])
            .flat_map(u16::to_le_bytes)
            .collect();
        let expected = match issue {
            PacIssue::None => (1, true),
            _ => (2, false),
        };
        assert_eq!((dce.authorization_service, dce.pac == name), expected);
    }
}

/// Conformance row 43: no PAC is not an empty one, and a service may insist.
#[test]
fn row_43_a_ticket_without_a_pac_is_refused_where_one_is_demanded() {
    let none = builder().pac(PacIssue::None).build().unwrap();
    let minimal = builder().pac(PacIssue::Minimal).build().unwrap();
    let missing = Policy::PacMissing {
        client: ALICE.to_owned(),
    };
    let nameless = Policy::PacWithoutUserSid {
        client: ALICE.to_owned(),
    };
    for (realm, policy, expected) in [
        (&none, PacPolicy::IF_PRESENT, None),
        (&none, PacPolicy::REQUIRED, Some(&missing)),
        (&none, PacPolicy::USER_SID_REQUIRED, Some(&missing)),
        (&minimal, PacPolicy::IF_PRESENT, None),
        (&minimal, PacPolicy::REQUIRED, None),
        (&minimal, PacPolicy::USER_SID_REQUIRED, Some(&nameless)),
    ] {
        let outcome = login(realm, policy);
        match (outcome, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                assert_eq!(error.status(), Status::SEC_E_LOGON_DENIED);
                let KerberosError::Policy(found) = cause(&error) else {
                    panic!("{error}");
                };
                assert_eq!(found, expected);
            }
            (outcome, expected) => panic!("{:?} {expected:?}", outcome.map(|_| ())),
        }
    }
    // So too a service whose account says that it wants none.
    let realm = realm();
    let login = Login::new(PacPolicy::REQUIRED, EnctypePolicy::default());
    let target = "host/plain.test";
    let token = login.token(&[&realm], target).unwrap();
    let error = login.accept(&realm, target, &token).unwrap_err();
    assert!(matches!(
        cause(&error),
        KerberosError::Policy(Policy::PacMissing { .. })
    ));
}

fn refused(fault: &PacFault, status: Status) -> KerberosError {
    let realm = realm();
    realm.set_fault_for(RequestKind::Tgs, Fault::Pac(fault.clone()), Repeat::Always);
    let Err(error) = login(&realm, PacPolicy::default()) else {
        panic!("{fault:?} must be refused");
    };
    assert_eq!(error.status(), status, "{fault:?}: {error}");
    // Whoever says that PACs are to be ignored gets in, with nothing but a name.
    let (login, context) = login(&realm, danger::ignore_pacs()).unwrap();
    let token = login.who(context);
    assert!(token.sids.is_empty() && token.logon.is_none());
    match cause(&error) {
        KerberosError::PacNotTrusted(found) => KerberosError::PacNotTrusted(found.clone()),
        KerberosError::InvalidPac(found) => KerberosError::InvalidPac(found.clone()),
        other => panic!("{fault:?}: {other}"),
    }
}

fn not_trusted(fault: &PacFault, status: Status) -> PacNotTrusted {
    match refused(fault, status) {
        KerberosError::PacNotTrusted(found) => found,
        other => panic!("{other}"),
    }
}

fn invalid(fault: &PacFault) -> InvalidPac {
    match refused(fault, Status::SEC_E_INVALID_TOKEN) {
        KerberosError::InvalidPac(found) => found,
        other => panic!("{other}"),
    }
}

/// Conformance row 40.
#[test]
fn row_40_a_pac_that_the_kdc_did_not_sign_is_refused() {
    let altered = Status::SEC_E_MESSAGE_ALTERED;
    let buffer = PacBufferType::SERVER_SIGNATURE;
    let invalid = PacNotTrusted::SignatureInvalid { buffer };
    for fault in [
        PacFault::AnotherServerKey,
        PacFault::Flip(PacBufferType::SERVER_SIGNATURE),
        PacFault::Flip(PacBufferType::LOGON_INFO),
        PacFault::Flip(PacBufferType::CLIENT_INFO),
        PacFault::Flip(PacBufferType::UPN_DNS_INFO),
        PacFault::Flip(PacBufferType::CLIENT_CLAIMS),
        PacFault::Flip(PacBufferType::TICKET_SIGNATURE),
        PacFault::Flip(PacBufferType::FULL_CHECKSUM),
    ] {
        assert_eq!(not_trusted(&fault, altered), invalid);
    }
    assert_eq!(
        not_trusted(&PacFault::UnkeyedSignature, altered),
        PacNotTrusted::SignatureNotKeyed {
            buffer,
            kind: ChecksumType::RSA_MD5
        }
    );
    assert_eq!(
        not_trusted(&PacFault::OtherSignatureType, altered),
        PacNotTrusted::SignatureTypeDiffers {
            buffer,
            kind: ChecksumType::HMAC_SHA1_96_AES128,
            expected: ChecksumType::HMAC_SHA1_96_AES256,
        }
    );
    for buffer in [
        PacBufferType::SERVER_SIGNATURE,
        PacBufferType::KDC_SIGNATURE,
        PacBufferType::CLIENT_INFO,
    ] {
        assert_eq!(
            not_trusted(&PacFault::Without(buffer), Status::SEC_E_INVALID_TOKEN),
            PacNotTrusted::BufferMissing { buffer }
        );
    }
    // What the service has no key for is the KDC's to check.
    for fault in [
        PacFault::Flip(PacBufferType::KDC_SIGNATURE),
        PacFault::Without(PacBufferType::TICKET_SIGNATURE),
        PacFault::Without(PacBufferType::FULL_CHECKSUM),
        PacFault::Without(PacBufferType::LOGON_INFO),
    ] {
        let realm = realm();
        realm.set_fault_for(RequestKind::Tgs, Fault::Pac(fault), Repeat::Always);
        login(&realm, PacPolicy::default()).unwrap();
    }
}

/// Conformance row 41: CVE-2022-42898.
#[test]
fn row_41_a_pac_whose_bounds_do_not_hold_is_refused() {
    let empty = PacFault::Bytes(Vec::new());
    assert!(matches!(invalid(&empty), InvalidPac::Truncated { .. }));
    let mut version = vec![0; 8];
    version[4] = 1;
    assert_eq!(
        invalid(&PacFault::Bytes(version)),
        InvalidPac::Version { found: 1 }
    );
    let wrapping = [0x1000_0001_u32, 0].map(u32::to_le_bytes).concat();
    assert_eq!(
        invalid(&PacFault::Bytes(wrapping)),
        InvalidPac::TooManyBuffers {
            count: 0x1000_0001,
            limit: 64
        }
    );
    let outside = [1_u32, 0, 1, 8, 0xffff_fff8, 0xffff_ffff];
    let outside = outside.map(u32::to_le_bytes).concat();
    assert!(matches!(
        invalid(&PacFault::Bytes(outside)),
        InvalidPac::BufferOutside { .. }
    ));
    assert!(matches!(
        invalid(&PacFault::Overlap),
        InvalidPac::BuffersOverlap { .. }
    ));
    let garbage = PacFault::Contents(PacBufferType::LOGON_INFO, vec![0xff; 64]);
    assert!(matches!(invalid(&garbage), InvalidPac::NotNdr { .. }));
}

/// Conformance row 42.
#[test]
fn row_42_the_pac_of_another_login_is_refused() {
    let denied = Status::SEC_E_LOGON_DENIED;
    assert_eq!(
        not_trusted(&PacFault::ClientName("bob".into()), denied),
        PacNotTrusted::ClientNameDiffers {
            pac: "bob".into(),
            ticket: ALICE.into()
        }
    );
    assert!(matches!(
        not_trusted(&PacFault::ClientTime(-1), denied),
        PacNotTrusted::ClientIdDiffers { .. }
    ));
}

/// Conformance rows 44 and 101: CVE-2021-42287.
#[test]
fn row_44_and_row_101_one_user_has_one_sid() {
    let denied = Status::SEC_E_LOGON_DENIED;
    let administrator: Sid = "S-1-5-21-1-2-3-500".parse().unwrap();
    assert!(matches!(
        not_trusted(&PacFault::Requestor(administrator), denied),
        PacNotTrusted::RequestorDiffers { requestor, .. } if *requestor == administrator
    ));
    assert!(matches!(
        not_trusted(&PacFault::UpnSid(administrator), denied),
        PacNotTrusted::UserSidsDiffer { upn_dns_info, .. } if *upn_dns_info == administrator
    ));
}

/// The texts stand in `docs/manual/authorization.md`.
#[test]
fn the_manual_has_the_texts() {
    const MANUAL: &str = include_str!("../../../../docs/manual/authorization.md");
    let minimal = builder().pac(PacIssue::Minimal).build().unwrap();
    let none = builder().pac(PacIssue::None).build().unwrap();
    let mut texts = Vec::new();
    for realm in [&minimal, &none] {
        let Err(error) = login(realm, PacPolicy::USER_SID_REQUIRED) else {
            panic!("must be refused");
        };
        texts.push(cause::<KerberosError>(&error).to_string());
    }
    for (fault, status) in [
        (PacFault::AnotherServerKey, Status::SEC_E_MESSAGE_ALTERED),
        (PacFault::UnkeyedSignature, Status::SEC_E_MESSAGE_ALTERED),
        (
            PacFault::ClientName("bob".into()),
            Status::SEC_E_LOGON_DENIED,
        ),
    ] {
        texts.push(refused(&fault, status).to_string());
    }
    for text in texts {
        let section = format!("```text\n{text}\n```");
        assert!(MANUAL.contains(&section), "{text}");
    }
}

/// The server signature is of the type of whatever key the ticket is under.
#[test]
fn every_enctype_signs_pacs() {
    for enctype in AES.into_iter().chain([Enctype::RC4_HMAC]) {
        let only = trihound_crypto::danger::only_with_weak(&[enctype]).unwrap();
        let realm = builder().enctypes(only).build().unwrap();
        let login = Login::new(PacPolicy::REQUIRED, lax_policy());
        let token = login.token(&[&realm], TARGET).unwrap();
        let context = login.accept(&realm, TARGET, &token).unwrap();
        assert_eq!(login.who(context).sids.len(), 6, "{enctype}");
    }
}

/// The KDC of each realm on the way signs the PAC anew, and says the same.
#[test]
fn the_pac_of_another_realms_client_is_of_its_own_domain() {
    let ours = builder()
        .trust(OTHER, "shared")
        .domain("other.test", OTHER)
        .build()
        .unwrap();
    let target = "HTTP/web.other.test";
    let theirs = TestRealm::builder(OTHER)
        .service(target)
        .trust(REALM, "shared")
        .clock(clock())
        .random(Arc::new(Seeded::new(4)))
        .build()
        .unwrap();
    let login = Login::new(PacPolicy::USER_SID_REQUIRED, EnctypePolicy::default());
    let token = login.token(&[&ours, &theirs], target).unwrap();
    let context = login.accept(&theirs, target, &token).unwrap();
    let sids = &login.who(context).sids;
    assert_eq!(sids[0], ours.sid("alice").unwrap().to_string());
    assert_eq!(sids.len(), 6);
}

/// A group that is switched off or counts for refusals only gives nothing.
#[test]
fn groups_that_are_off_are_not_among_the_identifiers() {
    let group = |attributes| trihound_sspi::GroupSid {
        sid: "S-1-5-32-544".into(),
        attributes,
    };
    assert!(group(0x7).is_enabled());
    assert!(!group(0x3).is_enabled());
    assert!(!group(0x14).is_enabled());
}
