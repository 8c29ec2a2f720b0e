//! `trihound demo`: the main job, whole, with an account of each step.

mod narrator;
mod stage;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use trihound::sspi::{
    AcceptorRequirements, ContextAttribute, ContextAttributeValue, EstablishedAttributes, Expiry,
    InitiatorAttributes, InitiatorRequirements, SecurityStatus,
};
use trihound::{Acceptor, Initiator, SecurityContext};
use trihound_kdc_transport::KdcTransport;

use crate::outcome::{Failure, complain, say};
use crate::peer::Wire;
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
}

const QUESTION: &[u8] = b"Which way to the underworld?";
const ANSWER: &[u8] = b"Past the dog with the three heads.";
const NOTICE: &[u8] = b"Posted in clear, but signed.";

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
    let mut leg = initiator.step(None, &mut kdc)?;
    expect(kdc.round_trips >= 2, "an AS and a TGS exchange were needed")?;
    say(format_args!(
        "\n3. The two meet at {address} over TCP and authenticate each other."
    ))?;
    let mut wire = Wire::new(TcpStream::connect(address)?)?;
    loop {
        if let Some(token) = &leg.token {
            say(format_args!(
                "   client → service: a token of {} bytes",
                token.len()
            ))?;
            wire.send(token)?;
        }
        if leg.complete {
            break;
        }
        let answer = wire.receive()?;
        say(format_args!(
            "   service → client: a token of {} bytes",
            answer.len()
        ))?;
        leg = initiator.step(Some(&answer), &mut kdc)?;
    }
    let context = initiator.into_context()?;
    describe(&context)?;
    converse(&context, &mut wire)?;
    attack(&context, &mut wire)?;
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

fn describe(context: &SecurityContext) -> Result<(), Failure> {
    let EstablishedAttributes::Initiator(attributes) = context.established().attributes else {
        return Err(Failure::new("the client got the attributes of an acceptor"));
    };
    for wanted in [
        InitiatorAttributes::MUTUAL_AUTH,
        InitiatorAttributes::REPLAY_DETECT,
        InitiatorAttributes::SEQUENCE_DETECT,
        InitiatorAttributes::CONFIDENTIALITY,
        InitiatorAttributes::INTEGRITY,
    ] {
        expect(
            attributes.contains(wanted),
            "every attribute that was asked for was negotiated",
        )?;
    }
    let names: Vec<&str> = attributes.iter_names().map(|(name, _)| name).collect();
    say(format_args!(
        "   The service proved itself. Negotiated: {}",
        names.join(", ")
    ))?;
    if let ContextAttributeValue::KeyInfo(info) = context.query(ContextAttribute::KeyInfo)? {
        say(format_args!(
            "   Keys: {}, {} bits",
            info.encrypt_algorithm_name, info.key_size
        ))?;
    }
    if let Expiry::At(end) = context.established().expiry {
        say(format_args!("   The context ends at {end}."))?;
    }
    Ok(())
}

fn converse(context: &SecurityContext, wire: &mut Wire) -> Result<(), Failure> {
    say(format_args!(
        "\n4. They exchange messages, sealed and signed, both ways."
    ))?;
    let sealed = context.encrypt(QUESTION)?;
    expect(
        !sealed
            .windows(QUESTION.len())
            .any(|window| window == QUESTION),
        "a sealed message does not show its text",
    )?;
    say(format_args!(
        "   client → service, sealed: {} bytes for {}",
        sealed.len(),
        QUESTION.len()
    ))?;
    wire.send(&sealed)?;
    let opened = context.open(&wire.receive()?)?;
    expect(
        opened.encrypted && opened.data == ANSWER,
        "the service's sealed answer is what it said",
    )?;
    say(format_args!(
        "   service → client, sealed: {:?}",
        String::from_utf8_lossy(&opened.data)
    ))?;
    let signature = context.make_signature(NOTICE)?;
    say(format_args!(
        "   client → service, signed: {} bytes of signature beside the text",
        signature.len()
    ))?;
    wire.send(NOTICE)?;
    wire.send(&signature)?;
    let (text, signature) = (wire.receive()?, wire.receive()?);
    context.verify_signature(&text, &signature)?;
    expect(text == NOTICE, "the service's signed text is what it said")?;
    say(format_args!(
        "   service → client, signed: {:?}",
        String::from_utf8_lossy(&text)
    ))?;
    Ok(())
}

/// The same message twice, then one with a bit turned; the service tells what it made of each.
fn attack(context: &SecurityContext, wire: &mut Wire) -> Result<(), Failure> {
    say(format_args!("\n5. An attacker on the line tries its luck."))?;
    let message = context.encrypt(QUESTION)?;
    wire.send(&message)?;
    expect(wire.receive()? == b"taken", "an honest message is taken")?;
    wire.send(&message)?;
    verdict(
        wire,
        "the same message again",
        SecurityStatus::SEC_E_OUT_OF_SEQUENCE,
    )?;
    let mut altered = context.encrypt(QUESTION)?;
    if let Some(last) = altered.last_mut() {
        *last ^= 1;
    }
    wire.send(&altered)?;
    verdict(
        wire,
        "a message with one bit turned",
        SecurityStatus::SEC_E_MESSAGE_ALTERED,
    )
}

fn verdict(wire: &mut Wire, what: &str, wanted: SecurityStatus) -> Result<(), Failure> {
    let verdict = String::from_utf8_lossy(&wire.receive()?).into_owned();
    say(format_args!("   {what}: {verdict}"))?;
    expect(
        verdict.contains(&wanted.to_string()),
        &format!("{what} is refused with {wanted}"),
    )
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
    let (stream, _) = listener.accept()?;
    let mut wire = Wire::new(stream)?;
    let Side { table, credential } = &stage.service;
    let mut acceptor = Acceptor::new(table, *credential, AcceptorRequirements::ALLOCATE_MEMORY);
    loop {
        let leg = acceptor.step(&wire.receive()?)?;
        if let Some(token) = &leg.token {
            wire.send(token)?;
        }
        if leg.complete {
            break;
        }
    }
    let context = acceptor.into_context()?;
    let ContextAttributeValue::Names(client) = context.query(ContextAttribute::Names)? else {
        return Err(Failure::new("the context does not tell its client"));
    };
    expect(
        client == stage.client_name.to_string(),
        "the service knows who its client is",
    )?;
    let opened = context.open(&wire.receive()?)?;
    expect(
        opened.encrypted && opened.data == QUESTION,
        "the client's sealed question is what it said",
    )?;
    wire.send(&context.encrypt(ANSWER)?)?;
    let (text, signature) = (wire.receive()?, wire.receive()?);
    context.verify_signature(&text, &signature)?;
    wire.send(&text)?;
    wire.send(&context.make_signature(&text)?)?;
    for _ in 0..3 {
        let verdict = match context.open(&wire.receive()?) {
            Ok(_) => "taken".to_owned(),
            Err(error) => format!("refused by the service: {error}"),
        };
        wire.send(verdict.as_bytes())?;
    }
    Ok(())
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
