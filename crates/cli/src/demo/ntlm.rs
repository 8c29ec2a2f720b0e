//! The demo over NTLM: one account, no KDC.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use trihound::ntlm::{LocalVerifier, MemoryAccounts, NtlmObserver, NtlmUse};
use trihound::sspi::{RegisteredPackage, SecurityFunctionTable, SecurityStatus};
use trihound::{Acceptor, Initiator, Ntlm, NtlmConfig, NtlmCredential, NtlmPolicy, NtlmRule};
use trihound_sansio::{ExchangeRequest, Transport, TransportFailure};
use trihound_secret::SecretString;

use super::stage::Side;
use super::{expect, meet, requirements, talk};
use crate::outcome::{Failure, say};

const DOMAIN: &str = "DEMO";
const USER: &str = "alice";
const PASSWORD: &str = "correct horse battery staple";
const TARGET: &str = "HTTP/localhost";

/// What each use of NTLM was told as.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Vec<String>>);

impl NtlmObserver for Log {
    fn used(&self, event: &NtlmUse) {
        let reason = match &event.kerberos_error {
            Some(error) => format!(", because of {error}"),
            None => String::new(),
        };
        let line = format!(
            "{} {}: {}{reason}",
            event.direction,
            event.target.as_deref().unwrap_or("(no target)"),
            event.outcome
        );
        self.lines().push(line);
    }
}

impl Log {
    pub(super) fn lines(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// NTLM asks nobody.
pub(super) struct Nobody;

impl Transport for Nobody {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        Err(TransportFailure {
            realm: request.realm.clone(),
            ..TransportFailure::default()
        })
    }
}

fn side(config: NtlmConfig, credential: NtlmCredential) -> Result<Side, Failure> {
    let package = RegisteredPackage::new(Ntlm::new(config));
    Ok(Side {
        table: SecurityFunctionTable::builder().package(&package).build()?,
        credential: package.adopt(credential)?,
    })
}

fn client(password: &str) -> NtlmCredential {
    NtlmCredential::from_password(USER, DOMAIN, SecretString::from(password))
}

pub(super) fn play() -> Result<(), Failure> {
    say(format_args!(
        "1. A service knows {DOMAIN}\\{USER} by the hash of a password. No KDC takes part."
    ))?;
    denied()?;
    let log = Arc::new(Log::default());
    let audited = || NtlmConfig::default().with_policy(NtlmPolicy::both(NtlmRule::Audit));
    let accounts = MemoryAccounts::new().with_password(DOMAIN, USER, SecretString::from(PASSWORD));
    let service = side(
        audited(),
        NtlmCredential::acceptor(Arc::new(LocalVerifier::new(accounts))),
    )?;
    let own = side(
        audited().with_observer(Arc::clone(&log) as _),
        client(PASSWORD),
    )?;
    meet(
        |address| visit(&own, address),
        |listener| serve(&service, listener),
    )?;
    wrong_password(&side(audited(), client("a guess"))?, &service)?;
    say("\n6. What the owner of the client was told:")?;
    for line in log.lines().iter() {
        say(format_args!("   {line}"))?;
    }
    expect(log.lines().len() == 1, "each use is told once")
}

/// Nobody may use NTLM unless the owner says so.
fn denied() -> Result<(), Failure> {
    let side = side(NtlmConfig::default(), client(PASSWORD))?;
    let mut initiator = Initiator::new(&side.table, side.credential, TARGET, requirements());
    match initiator.step(None, &mut Nobody) {
        Ok(_) => Err(Failure::new("NTLM was used although nobody allowed it")),
        Err(refused) => say(format_args!("   By default: {}", refused.error)),
    }
}

fn visit(side: &Side, address: SocketAddr) -> Result<(), Failure> {
    say(format_args!(
        "\n2. Its owner allows it, and the two meet at {address} over TCP."
    ))?;
    let mut initiator = Initiator::new(&side.table, side.credential, TARGET, requirements());
    let leg = initiator.step(None, &mut Nobody)?;
    let (context, mut wire) = talk::connect(initiator, leg, address, &mut Nobody)?;
    talk::describe(&context, false)?;
    say("\n3. They exchange messages, sealed and signed, both ways.")?;
    talk::converse(&context, &mut wire)?;
    say("\n4. An attacker on the line tries its luck.")?;
    talk::attack(&context, &mut wire, SecurityStatus::SEC_E_OUT_OF_SEQUENCE)
}

fn serve(side: &Side, listener: &TcpListener) -> Result<(), Failure> {
    let (context, mut wire) = talk::accept(&side.table, side.credential, listener)?;
    expect(
        talk::client_name(&context)? == format!("{DOMAIN}\\{USER}"),
        "the service knows who its client is",
    )?;
    talk::answer(&context, &mut wire)
}

fn wrong_password(client: &Side, service: &Side) -> Result<(), Failure> {
    say("\n5. Somebody guesses the password.")?;
    let mut initiator = Initiator::new(&client.table, client.credential, TARGET, requirements());
    let mut acceptor = Acceptor::new(
        &service.table,
        service.credential,
        trihound::sspi::AcceptorRequirements::ALLOCATE_MEMORY,
    );
    let negotiate = initiator.step(None, &mut Nobody)?.token;
    let challenge = acceptor.step(&negotiate.unwrap_or_default())?.token;
    let authenticate = initiator.step(challenge.as_deref(), &mut Nobody)?.token;
    let Err(refused) = acceptor.step(&authenticate.unwrap_or_default()) else {
        return Err(Failure::new("a guessed password was taken"));
    };
    say(format_args!("   refused by the service: {}", refused.error))?;
    expect(
        refused.error.status() == SecurityStatus::SEC_E_LOGON_DENIED,
        "a wrong password is SEC_E_LOGON_DENIED",
    )
}
