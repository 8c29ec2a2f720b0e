//! Settings of a credential with the machine's caches, keytabs and sockets behind them.

use std::path::PathBuf;
use std::sync::Arc;

use trihound::environment::{NamedNtlmAccounts, NamedStores, read_cache, write_keytab};
use trihound::krb5::{Config, Environment, MemoryStore};
use trihound::sansio::SystemClock;
use trihound::sspi::{
    AcceptorRequirements, AcquireRequest, ContextAttribute, ContextAttributeValue, CredHandle,
    CredentialAttribute, CredentialAttributeValue, CredentialSettings, CredentialUse, Error,
    Identity, InitiatorRequirements, RegisteredPackage, SecurityFunctionTable, SecurityStatus,
};
use trihound::{
    Acceptor, Initiator, KdcTransport, Kerberos, KerberosConfig, NegotiatePolicy, Ntlm, NtlmConfig,
    OsRandom, Packages, SecurityContext,
};
use trihound_test_realm::{TestKdcServer, TestRealm};

use crate::packages::audited;
use crate::support::{Directory, REALM, SERVICE, keytab, realm};

/// A table over a configuration that leads to no KDC at all, and a transport of the same.
struct Site {
    realm: Arc<TestRealm>,
    server: TestKdcServer,
    directory: Directory,
    table: SecurityFunctionTable,
    transport: KdcTransport,
}

impl Site {
    fn new() -> Self {
        let realm = realm();
        let mut config = Config::default();
        config.default_realm = Some(REALM.to_owned());
        config.dns_lookup_kdc = false;
        let config = Arc::new(config);
        let store = MemoryStore::with_keytab(keytab(&realm));
        let environment =
            Environment::new(Arc::new(SystemClock), Arc::new(OsRandom), config.clone());
        let mut kerberos = KerberosConfig::new(environment, Arc::new(store));
        kerberos.stores = Some(Arc::new(NamedStores::new(config.clone())));
        let ntlm = NtlmConfig::default()
            .with_policy(audited())
            .with_accounts_opener(Arc::new(NamedNtlmAccounts));
        let packages = Packages::new(
            &RegisteredPackage::new(Kerberos::new(kerberos)),
            &RegisteredPackage::new(Ntlm::new(ntlm)),
            NegotiatePolicy::default(),
        );
        Self {
            server: TestKdcServer::start(realm.clone()).unwrap(),
            realm,
            directory: Directory::new(),
            table: packages.unwrap().table().unwrap(),
            transport: KdcTransport::new(config),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.0.join(name)
    }

    fn named(&self, name: &str) -> Option<String> {
        Some(format!("FILE:{}", self.path(name).display()))
    }

    /// Settings that lead to the realm's KDC.
    fn settings(&self) -> CredentialSettings {
        let mut settings = CredentialSettings::default();
        settings.kdc_url = Some(format!("tcp://{}", self.server.address()));
        settings
    }

    fn acquire(
        &self,
        package: &str,
        identity: Option<&Identity>,
        settings: &CredentialSettings,
        direction: CredentialUse,
    ) -> Result<CredHandle, Error> {
        let request = AcquireRequest {
            identity,
            settings: Some(settings),
            ..AcquireRequest::new(direction)
        };
        let acquired = self.table.acquire_credentials_handle(package, request);
        Ok(acquired?.credential)
    }

    fn talk(
        &mut self,
        client: CredHandle,
        service: CredHandle,
    ) -> Result<(SecurityContext, SecurityContext), trihound::Error> {
        let asked = InitiatorRequirements::INTEGRITY | InitiatorRequirements::MUTUAL_AUTH;
        let mut initiator = Initiator::new(&self.table, client, SERVICE, asked);
        let none = AcceptorRequirements::empty();
        let mut acceptor = Acceptor::new(&self.table, service, none);
        let mut to_client = None;
        loop {
            let leg = initiator.step(to_client.as_deref(), &mut self.transport)?;
            let Some(token) = leg.token else { break };
            to_client = acceptor.step(&token)?.token;
            if leg.complete {
                break;
            }
        }
        Ok((initiator.into_context()?, acceptor.into_context()?))
    }

    fn service(&self, package: &str) -> CredHandle {
        let none = CredentialSettings::default();
        self.acquire(package, None, &none, CredentialUse::INBOUND)
            .unwrap()
    }
}

fn alice() -> Identity {
    Identity::password("alice", Some(REALM), "password")
}

fn peer(context: &SecurityContext) -> String {
    match context.query(ContextAttribute::Names).unwrap() {
        ContextAttributeValue::Names(name) => name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_kdc_of_the_credentials_own_is_asked_where_the_configuration_has_none() {
    let mut site = Site::new();
    let service = site.service("Kerberos");
    let outbound = CredentialUse::OUTBOUND;
    let none = CredentialSettings::default();
    let lost = site.acquire("Kerberos", Some(&alice()), &none, outbound);
    let error = site.talk(lost.unwrap(), service).unwrap_err();
    assert!(
        error.to_string().contains("no server is configured"),
        "{error}"
    );
    for scheme in ["tcp://", "udp://", ""] {
        let mut settings = CredentialSettings::default();
        settings.kdc_url = Some(format!("{scheme}{}", site.server.address()));
        let client = site.acquire("Kerberos", Some(&alice()), &settings, outbound);
        let (_, context) = site.talk(client.unwrap(), service).unwrap();
        assert_eq!(peer(&context), "alice@EXAMPLE.TEST");
    }
}

#[test]
fn a_cache_that_is_named_is_made_and_saves_the_next_login() {
    let mut site = Site::new();
    let service = site.service("Kerberos");
    let mut settings = site.settings();
    settings.credential_cache = site.named("cc");
    let outbound = CredentialUse::OUTBOUND;
    let client = site.acquire("Kerberos", Some(&alice()), &settings, outbound);
    site.talk(client.unwrap(), service).unwrap();
    let cache = read_cache(&site.path("cc")).unwrap();
    assert_eq!(cache.principal.to_string(), "alice@EXAMPLE.TEST");
    assert_eq!(cache.credentials.len(), 2);
    // Without an identity, and without a KDC: the tickets of the cache serve.
    settings.kdc_url = None;
    let again = site.acquire("Kerberos", None, &settings, outbound).unwrap();
    let (_, context) = site.talk(again, service).unwrap();
    assert_eq!(peer(&context), "alice@EXAMPLE.TEST");
    settings.credential_cache = Some("MSLSA:".to_owned());
    let error = site
        .acquire("Kerberos", None, &settings, outbound)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_PARAMETER);
    settings.credential_cache = site.named("nothing here");
    let error = site
        .acquire("Kerberos", None, &settings, outbound)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
}

#[test]
fn keytabs_that_are_named_serve_both_sides() {
    let mut site = Site::new();
    for (name, principal) in [("client", "alice"), ("service", SERVICE)] {
        let keys = site.realm.keytab(&[principal]).unwrap();
        write_keytab(&site.path(name), &keys).unwrap();
    }
    let mut settings = site.settings();
    settings.keytab = site.named("client");
    settings.credential_cache = Some("MEMORY:of-a-named-keytab".to_owned());
    let client = site.acquire("Kerberos", None, &settings, CredentialUse::OUTBOUND);
    let mut settings = CredentialSettings::default();
    settings.keytab = site.named("service");
    let service = site.acquire("Kerberos", None, &settings, CredentialUse::INBOUND);
    let (_, context) = site.talk(client.unwrap(), service.unwrap()).unwrap();
    assert_eq!(peer(&context), "alice@EXAMPLE.TEST");
}

/// Each mechanism gets the settings that it follows; what none follows is refused.
#[test]
fn negotiate_hands_settings_to_the_mechanisms_that_follow_them() {
    let mut site = Site::new();
    let sam = site.path("sam");
    // The NT hash of alice's password.
    let line = format!("alice:{REALM}::8846f7eaee8fb117ad06bdd830b7586c:::\n");
    std::fs::write(&sam, line).unwrap();
    let mut settings = site.settings();
    settings.accounts = Some(sam.display().to_string());
    let outbound = CredentialUse::OUTBOUND;
    let client = site.acquire("Negotiate", Some(&alice()), &settings, outbound);
    let service = site.acquire("Negotiate", None, &settings, CredentialUse::INBOUND);
    let (client, service) = (client.unwrap(), service.unwrap());
    let (context, _) = site.talk(client, service).unwrap();
    assert_eq!(context.mechanism().unwrap(), "Kerberos");
    // NTLM alone, by the accounts of the file.
    let request = AcquireRequest {
        identity: Some(&alice()),
        package_list: Some("NTLM"),
        ..AcquireRequest::new(outbound)
    };
    let table = site.table.clone();
    let ntlm = table.acquire_credentials_handle("Negotiate", request);
    let ntlm = ntlm.unwrap().credential;
    let (context, _) = site.talk(ntlm, service).unwrap();
    assert_eq!(context.mechanism().unwrap(), "NTLM");

    settings.pkinit_anchors = site.named("anchors");
    let error = site
        .acquire("Negotiate", Some(&alice()), &settings, outbound)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    assert!(error.to_string().contains("pkinit_anchors"), "{error}");

    // A mechanism that was left out is added, before the one that is preferred less.
    let settings = site.settings();
    let request = AcquireRequest {
        package_list: Some("Kerberos"),
        settings: Some(&settings),
        ..request
    };
    table.add_credentials(ntlm, request).unwrap();
    let (context, _) = site.talk(ntlm, service).unwrap();
    assert_eq!(context.mechanism().unwrap(), "Kerberos");
}

#[test]
fn negotiate_sets_the_proxy_of_its_kerberos() {
    let site = Site::new();
    let none = CredentialSettings::default();
    let client = site.acquire("Negotiate", Some(&alice()), &none, CredentialUse::OUTBOUND);
    let client = client.unwrap();
    let proxy = |server: &str, flags| CredentialAttributeValue::KdcProxySettings {
        proxy_server: server.to_owned(),
        flags,
        client_tls_credential: Vec::new(),
    };
    let attribute = CredentialAttribute::KdcProxySettings;
    let query = || site.table.query_credentials_attributes(client, attribute);
    assert_eq!(query().unwrap(), proxy("", 0));
    let set = |value| site.table.set_credentials_attributes(client, value);
    set(proxy("proxy.test:443:KdcProxy", 1)).unwrap();
    assert_eq!(query().unwrap(), proxy("proxy.test:443:KdcProxy", 1));
    let error = set(proxy("http://proxy.test", 1)).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_PARAMETER);
    // NTLM asks nobody.
    let request = AcquireRequest {
        identity: Some(&alice()),
        package_list: Some("NTLM"),
        ..AcquireRequest::default()
    };
    let ntlm = site.table.acquire_credentials_handle("Negotiate", request);
    let ntlm = ntlm.unwrap().credential;
    let value = proxy("proxy.test", 1);
    let error = site
        .table
        .set_credentials_attributes(ntlm, value)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
}
