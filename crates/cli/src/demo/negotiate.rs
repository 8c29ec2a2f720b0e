//! The demo over Negotiate: Kerberos where it can be had, NTLM where not, and an attacker who would like
//! to choose.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use trihound::ntlm::{LocalVerifier, MemoryAccounts};
use trihound::sspi::{
    AcceptorRequirements, AcquireRequest, CredentialUse, Identity, RegisteredPackage,
    SecurityStatus,
};
use trihound::{
    Acceptor, Initiator, NegotiatePolicy, Ntlm, NtlmConfig, NtlmPolicy, NtlmRule, Packages,
};
use trihound_asn1::spnego::{self, InitialToken, NegTokenInit};
use trihound_crypto::OsRandom;
use trihound_kdc_transport::KdcTransport;
use trihound_krb5::{Config, CredentialStore, MemoryStore};
use trihound_sansio::{SystemClock, Transport};
use trihound_secret::SecretString;
use trihound_test_realm::{TestKdcServer, TestRealm};

use super::narrator::Narrator;
use super::ntlm::Log;
use super::stage::{CLIENT, PASSWORD, REALM, SERVICE, Side, config_of};
use super::{expect, meet, requirements, talk};
use crate::outcome::{Failure, say};

/// The same service by its address, which no KDC knows.
const BY_ADDRESS: &str = "HTTP/127.0.0.1";

/// The actors. Client and service share a realm and an account, and the client's owner lets NTLM be used.
struct Cast {
    config: Arc<Config>,
    client: Side,
    stranger: Side,
    service: Side,
    log: Arc<Log>,
    /// Held so that it answers until the end.
    _kdc: TestKdcServer,
}

impl Cast {
    fn gather() -> Result<Self, Failure> {
        let realm = TestRealm::builder(REALM)
            .principal(CLIENT, PASSWORD)
            .service(SERVICE)
            .build()?;
        let keytab = Arc::new(realm.keytab(&[SERVICE])?);
        let kdc = TestKdcServer::start(realm)?;
        say(format_args!(
            "1. An embedded KDC serves realm {REALM} on {}; the service also knows {CLIENT} by the hash \
             of the password.",
            kdc.address()
        ))?;
        let config = config_of(&kdc)?;
        let log = Arc::new(Log::default());
        let ntlm = || NtlmConfig::default().with_policy(NtlmPolicy::both(NtlmRule::Audit));
        let accounts =
            MemoryAccounts::new().with_password(REALM, CLIENT, SecretString::from(PASSWORD));
        let accounts = Arc::new(LocalVerifier::new(accounts));
        let side = |password: &str| {
            let store = Arc::new(MemoryStore::new());
            let packages = packages(&config, store, ntlm().with_observer(Arc::clone(&log) as _))?;
            let identity = Identity::password(CLIENT, Some(REALM), password);
            side(&packages, CredentialUse::OUTBOUND, Some(&identity))
        };
        let store = Arc::new(MemoryStore::with_keytab(keytab));
        let service = packages(&config, store, ntlm().with_verifier(accounts))?;
        Ok(Self {
            client: side(PASSWORD)?,
            stranger: side("a guess")?,
            service: self::side(&service, CredentialUse::INBOUND, None)?,
            config,
            log,
            _kdc: kdc,
        })
    }

    fn kdc(&self) -> Narrator<KdcTransport> {
        Narrator::new(KdcTransport::new(Arc::clone(&self.config)))
    }

    fn initiator(&self, target: &str) -> Initiator {
        let Side { table, credential } = &self.client;
        Initiator::new(table, *credential, target, requirements())
    }
}

fn packages(
    config: &Arc<Config>,
    store: Arc<dyn CredentialStore>,
    ntlm: NtlmConfig,
) -> Result<Packages, Failure> {
    let kerberos = trihound::kerberos(
        Arc::clone(config),
        store,
        Arc::new(SystemClock),
        Arc::new(OsRandom),
    );
    let ntlm = RegisteredPackage::new(Ntlm::new(ntlm));
    Ok(Packages::new(&kerberos, &ntlm, NegotiatePolicy::default())?)
}

fn side(
    packages: &Packages,
    credential_use: CredentialUse,
    identity: Option<&Identity>,
) -> Result<Side, Failure> {
    let table = packages.table()?;
    let mut request = AcquireRequest::new(credential_use);
    request.identity = identity;
    let credential = table
        .acquire_credentials_handle("Negotiate", request)?
        .credential;
    Ok(Side { table, credential })
}

pub(super) fn play() -> Result<(), Failure> {
    let cast = Cast::gather()?;
    meet(
        |address| {
            by_name(&cast, address)?;
            by_address(&cast, address)
        },
        |listener| {
            serve(&cast, listener, "Kerberos")?;
            serve(&cast, listener, "NTLM")
        },
    )?;
    wrong_password(&cast)?;
    downgrade(&cast)
}

/// Kerberos is what both sides have and prefer.
fn by_name(cast: &Cast, address: SocketAddr) -> Result<(), Failure> {
    say(format_args!("\n2. {CLIENT} asks for {SERVICE}."))?;
    let mut kdc = cast.kdc();
    let mut initiator = cast.initiator(SERVICE);
    let leg = initiator.step(None, &mut kdc)?;
    expect(kdc.round_trips >= 2, "an AS and a TGS exchange were needed")?;
    tell_offer(leg.token.as_deref().unwrap_or_default())?;
    let (context, mut wire) = talk::connect(initiator, leg, address, &mut kdc)?;
    say(format_args!("   Chosen: {}", context.mechanism()?))?;
    talk::describe(&context, true)?;
    talk::converse(&context, &mut wire)?;
    say("\n3. An attacker on the line tries its luck.")?;
    talk::attack(&context, &mut wire, SecurityStatus::SEC_E_OUT_OF_SEQUENCE)
}

/// An address leads to NTLM, and the owner learns of it.
fn by_address(cast: &Cast, address: SocketAddr) -> Result<(), Failure> {
    say(format_args!(
        "\n4. {CLIENT} asks for {BY_ADDRESS}, which no KDC knows."
    ))?;
    let mut kdc = cast.kdc();
    let mut initiator = cast.initiator(BY_ADDRESS);
    let leg = initiator.step(None, &mut kdc)?;
    tell_offer(leg.token.as_deref().unwrap_or_default())?;
    let (context, mut wire) = talk::connect(initiator, leg, address, &mut kdc)?;
    say(format_args!("   Chosen: {}", context.mechanism()?))?;
    talk::describe(&context, false)?;
    talk::converse(&context, &mut wire)?;
    talk::attack(&context, &mut wire, SecurityStatus::SEC_E_OUT_OF_SEQUENCE)?;
    for line in cast.log.lines().iter() {
        say(format_args!("   The owner was told: {line}"))?;
    }
    expect(cast.log.lines().len() == 1, "the use of NTLM is told once")
}

fn serve(cast: &Cast, listener: &TcpListener, mechanism: &str) -> Result<(), Failure> {
    let (context, mut wire) = talk::accept(&cast.service.table, cast.service.credential, listener)?;
    expect(
        context.mechanism()? == mechanism,
        &format!("the service speaks {mechanism}"),
    )?;
    talk::answer(&context, &mut wire)
}

/// What a KDC refuses is not tried with NTLM.
fn wrong_password(cast: &Cast) -> Result<(), Failure> {
    say("\n5. Somebody guesses the password.")?;
    let before = cast.log.lines().len();
    let Side { table, credential } = &cast.stranger;
    let mut initiator = Initiator::new(table, *credential, SERVICE, requirements());
    let Err(refused) = initiator.step(None, &mut cast.kdc()) else {
        return Err(Failure::new("a guessed password led to a token"));
    };
    say(format_args!("   refused by the KDC: {}", refused.error))?;
    expect(
        refused.error.status() == SecurityStatus::SEC_E_LOGON_DENIED,
        "a wrong password is SEC_E_LOGON_DENIED",
    )?;
    expect(
        cast.log.lines().len() == before,
        "a refused password is not tried with NTLM",
    )
}

/// Somebody between the two alters the list, so that they would settle for NTLM.
fn downgrade(cast: &Cast) -> Result<(), Failure> {
    for (number, deed, list) in [
        (
            6,
            "takes Kerberos off the client's list",
            &[spnego::NTLMSSP][..],
        ),
        (
            7,
            "puts NTLM first on the client's list",
            &[spnego::NTLMSSP, spnego::MS_KRB5, spnego::KRB5],
        ),
    ] {
        say(format_args!("\n{number}. Somebody between the two {deed}."))?;
        let mut kdc = cast.kdc();
        let mut initiator = cast.initiator(SERVICE);
        let first = initiator.step(None, &mut kdc)?.token.unwrap_or_default();
        let altered = alter(&first, list)?;
        tell_offer(&altered)?;
        let Side { table, credential } = &cast.service;
        let mut acceptor = Acceptor::new(table, *credential, AcceptorRequirements::ALLOCATE_MEMORY);
        let refused = relay(&mut initiator, &mut acceptor, altered, &mut kdc)?;
        say(format_args!("   {refused}"))?;
        expect(
            refused.contains(&SecurityStatus::SEC_E_DOWNGRADE_DETECTED.to_string()),
            "a list that was altered is a downgrade",
        )?;
    }
    Ok(())
}

/// Carries tokens until one side refuses, and tells which and why.
fn relay(
    initiator: &mut Initiator,
    acceptor: &mut Acceptor,
    mut token: Vec<u8>,
    kdc: &mut dyn Transport,
) -> Result<String, Failure> {
    loop {
        let answer = match acceptor.step(&token) {
            Ok(leg) => leg,
            Err(refused) => return Ok(format!("refused by the service: {}", refused.error)),
        };
        let Some(answer) = answer.token else {
            return Err(Failure::new("the downgrade was not noticed"));
        };
        let leg = match initiator.step(Some(&answer), kdc) {
            Ok(leg) => leg,
            Err(refused) => return Ok(format!("refused by the client: {}", refused.error)),
        };
        token = match leg.token {
            Some(token) => token,
            None => return Err(Failure::new("the downgrade was not noticed")),
        };
    }
}

/// A NegTokenInit with this list in place of the client's, and without Kerberos' token.
fn alter(token: &[u8], list: &[&str]) -> Result<Vec<u8>, Failure> {
    let whole = offer(token)?;
    expect(
        whole.mech_types.iter().any(|oid| oid == spnego::NTLMSSP),
        "the client offers NTLM too",
    )?;
    Ok(NegTokenInit::new(list)?.to_token()?)
}

fn offer(token: &[u8]) -> Result<NegTokenInit, Failure> {
    match spnego::parse_initial(token)? {
        InitialToken::Init(init) => Ok(init),
        _ => Err(Failure::new("the client's first token is no NegTokenInit")),
    }
}

/// What stands in the client's first token, for whoever reads along.
fn tell_offer(token: &[u8]) -> Result<(), Failure> {
    let offer = offer(token)?;
    let names: Vec<&str> = offer
        .mech_types
        .iter()
        .map(|oid| match oid.as_str() {
            spnego::KRB5 => "Kerberos",
            spnego::MS_KRB5 => "Kerberos (Windows 2000's number)",
            spnego::NTLMSSP => "NTLM",
            other => other,
        })
        .collect();
    say(format_args!(
        "   On the client's list: {}",
        names.join(", ")
    ))
}
