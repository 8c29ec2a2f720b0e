//! `trihound demo`: the main job, whole, with an account of each step.

mod narrator;
mod negotiate;
mod ntlm;
mod stage;
mod talk;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use trihound::Initiator;
use trihound::sspi::{InitiatorRequirements, SecurityStatus};
use trihound_kdc_transport::KdcTransport;

use crate::outcome::{Failure, complain, say};
use crate::peer::Package;
use narrator::Narrator;
use stage::{Side, Stage, loopback};

/// Options of `trihound demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Use the KDC of this krb5.conf instead of the embedded one; needs a keytab.
    #[arg(long, value_name = "FILE")]
    kdc_config: Option<PathBuf>,
    /// The keytab with the service's key (default: KRB5_KTNAME, then krb5.conf).
    #[arg(long, value_name = "FILE", requires = "kdc_config")]
    keytab: Option<PathBuf>,
    /// A keytab with the client's key (default: the same keytab).
    #[arg(long, value_name = "FILE", requires = "kdc_config")]
    client_keytab: Option<PathBuf>,
    /// The client (default: the first of the client keytab, else the service itself).
    #[arg(long, value_name = "PRINCIPAL", requires = "kdc_config")]
    client: Option<String>,
    /// The service (default: the first service/host of the keytab).
    #[arg(long, value_name = "SPN", requires = "kdc_config")]
    service: Option<String>,
    /// The security package; NTLM and Negotiate have accounts of their own making.
    #[arg(
        long,
        value_enum,
        default_value_t = Package::Kerberos,
        conflicts_with_all = ["kdc_config", "keytab", "client_keytab", "client", "service"]
    )]
    package: Package,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match play(arguments).and_then(|()| say("\nEverything held.")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(format_args!("\ndemo: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn play(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.package {
        Package::Kerberos => kerberos(arguments),
        Package::Ntlm => ntlm::play(),
        Package::Negotiate => negotiate::play(),
    }
}

fn kerberos(arguments: &Arguments) -> Result<(), Failure> {
    let stage = Stage::set(arguments)?;
    meet(
        |address| visit(&stage, address),
        |listener| serve(&stage, listener),
    )
}

/// Runs client and service side by side.
fn meet(
    client: impl FnOnce(SocketAddr) -> Result<(), Failure>,
    service: impl FnOnce(&TcpListener) -> Result<(), Failure> + Send,
) -> Result<(), Failure> {
    let listener = TcpListener::bind(loopback())?;
    let address = listener.local_addr()?;
    let (client, service) = thread::scope(|scope| {
        let service = scope.spawn(|| service(&listener));
        let waking = Waking(address);
        let client = client(address);
        drop(waking);
        let service = service
            .join()
            .unwrap_or_else(|_| Err(Failure::new("the service's thread panicked")));
        (client, service)
    });
    client.map_err(|failure| failure.context("client"))?;
    service.map_err(|failure| failure.context("service"))
}

/// However the client ends, by a panic too: the service does not wait for a connection that never comes.
struct Waking(SocketAddr);

impl Drop for Waking {
    fn drop(&mut self) {
        drop(TcpStream::connect(self.0));
    }
}

/// The client: login, ticket, context, messages, attacks.
fn visit(stage: &Stage, address: SocketAddr) -> Result<(), Failure> {
    say(format_args!(
        "\n2. {} logs in and asks for a ticket to {}.",
        stage.client_name, stage.service_name
    ))?;
    let mut kdc = Narrator::new(KdcTransport::new(Arc::clone(&stage.config)));
    let mut initiator = Initiator::new(
        &stage.client.table,
        stage.client.credential,
        &stage.service_name,
        requirements(),
    );
    let leg = initiator.step(None, &mut kdc)?;
    expect(kdc.round_trips >= 2, "an AS and a TGS exchange were needed")?;
    say(format_args!(
        "\n3. The two meet at {address} over TCP and authenticate each other."
    ))?;
    let (context, mut wire) = talk::connect(initiator, leg, address, &mut kdc)?;
    talk::describe(&context, true)?;
    say("\n4. They exchange messages, sealed and signed, both ways.")?;
    talk::converse(&context, &mut wire)?;
    say("\n5. An attacker on the line tries its luck.")?;
    talk::attack(&context, &mut wire, SecurityStatus::SEC_E_OUT_OF_SEQUENCE)?;
    reuse(stage, &mut kdc)
}

fn requirements() -> InitiatorRequirements {
    InitiatorRequirements::MUTUAL_AUTH
        | InitiatorRequirements::REPLAY_DETECT
        | InitiatorRequirements::SEQUENCE_DETECT
        | InitiatorRequirements::CONFIDENTIALITY
        | InitiatorRequirements::INTEGRITY
        | InitiatorRequirements::ALLOCATE_MEMORY
}

/// A second context to the same service needs no KDC: its ticket is cached.
fn reuse(stage: &Stage, kdc: &mut Narrator<KdcTransport>) -> Result<(), Failure> {
    let before = kdc.round_trips;
    let mut initiator = Initiator::new(
        &stage.client.table,
        stage.client.credential,
        &stage.service_name,
        requirements(),
    );
    let leg = initiator.step(None, kdc)?;
    expect(leg.token.is_some(), "a second context begins with a token")?;
    expect(kdc.round_trips == before, "the second context asked no KDC")?;
    say(format_args!(
        "\n6. A second context to the same service began without the KDC: its ticket is cached."
    ))?;
    Ok(())
}

/// The service: accept one client, and answer.
fn serve(stage: &Stage, listener: &TcpListener) -> Result<(), Failure> {
    let Side { table, credential } = &stage.service;
    let (context, mut wire) = talk::accept(table, *credential, listener)?;
    expect(
        talk::client_name(&context)? == stage.client_name.to_string(),
        "the service knows who its client is",
    )?;
    talk::answer(&context, &mut wire)
}

fn expect(held: bool, what: &str) -> Result<(), Failure> {
    if held {
        Ok(())
    } else {
        Err(Failure::new(format!("this did not hold: {what}")))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// The panic goes on to the caller, and the service ends.
    #[test]
    fn a_client_that_fails_or_panics_leaves_no_service_waiting() {
        let (ended, ends) = mpsc::channel();
        thread::spawn(move || {
            let accept = |listener: &TcpListener| {
                listener.accept()?;
                Ok(())
            };
            let failed = meet(|_| Err(Failure::new("no ticket")), accept);
            let panicked = catch_unwind(|| meet(|_| panic!("a panic that is wanted"), accept));
            ended.send((
                failed.map_err(|failure| failure.to_string()),
                panicked.is_err(),
            ))
        });
        let ended = ends.recv_timeout(Duration::from_secs(30));
        assert_eq!(ended, Ok((Err("client: no ticket".to_owned()), true)));
    }
}
