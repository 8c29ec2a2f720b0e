//! What the two of a demo say to each other, and what an attacker makes of it.

use std::net::{SocketAddr, TcpListener, TcpStream};

use trihound::sspi::{
    AcceptorRequirements, ContextAttribute, ContextAttributeValue, CredHandle,
    EstablishedAttributes, Expiry, InitiatorAttributes, SecurityFunctionTable, SecurityStatus,
};
use trihound::{Acceptor, Initiator, Leg, SecurityContext};
use trihound_sansio::Transport;

use super::expect;
use crate::outcome::{Failure, say};
use crate::peer::Wire;

const QUESTION: &[u8] = b"Which way to the underworld?";
const ANSWER: &[u8] = b"Past the dog with the three heads.";
const NOTICE: &[u8] = b"Posted in clear, but signed.";

/// The client's handshake over TCP, from its first leg on.
pub(super) fn connect(
    mut initiator: Initiator,
    mut leg: Leg,
    address: SocketAddr,
    transport: &mut dyn Transport,
) -> Result<(SecurityContext, Wire), Failure> {
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
            return Ok((initiator.into_context()?, wire));
        }
        let answer = wire.receive()?;
        say(format_args!(
            "   service → client: a token of {} bytes",
            answer.len()
        ))?;
        leg = initiator.step(Some(&answer), transport)?;
    }
}

/// The service's handshake with the next client.
pub(super) fn accept(
    table: &SecurityFunctionTable,
    credential: CredHandle,
    listener: &TcpListener,
) -> Result<(SecurityContext, Wire), Failure> {
    let (stream, _) = listener.accept()?;
    let mut wire = Wire::new(stream)?;
    let mut acceptor = Acceptor::new(table, credential, AcceptorRequirements::ALLOCATE_MEMORY);
    loop {
        let leg = acceptor.step(&wire.receive()?)?;
        if let Some(token) = &leg.token {
            wire.send(token)?;
        }
        if leg.complete {
            return Ok((acceptor.into_context()?, wire));
        }
    }
}

/// Who the client is, as the service knows it.
pub(super) fn client_name(context: &SecurityContext) -> Result<String, Failure> {
    match context.query(ContextAttribute::Names)? {
        ContextAttributeValue::Names(client) => Ok(client),
        _ => Err(Failure::new("the context does not tell its client")),
    }
}

/// What was agreed on; `mutual`: whether the service has to have proved itself.
pub(super) fn describe(context: &SecurityContext, mutual: bool) -> Result<(), Failure> {
    let EstablishedAttributes::Initiator(attributes) = context.established().attributes else {
        return Err(Failure::new("the client got the attributes of an acceptor"));
    };
    expect(
        attributes.contains(InitiatorAttributes::MUTUAL_AUTH) == mutual,
        "the service proved itself where the mechanism has that",
    )?;
    for wanted in [
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
    let proof = match mutual {
        true => "The service proved itself.",
        false => "The service did not prove itself: NTLM has no way to.",
    };
    say(format_args!("   {proof} Negotiated: {}", names.join(", ")))?;
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

/// The client's half.
pub(super) fn converse(context: &SecurityContext, wire: &mut Wire) -> Result<(), Failure> {
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
pub(super) fn attack(
    context: &SecurityContext,
    wire: &mut Wire,
    replayed: SecurityStatus,
) -> Result<(), Failure> {
    let message = context.encrypt(QUESTION)?;
    wire.send(&message)?;
    expect(wire.receive()? == b"taken", "an honest message is taken")?;
    wire.send(&message)?;
    verdict(wire, "the same message again", replayed)?;
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

/// The service's half of both.
pub(super) fn answer(context: &SecurityContext, wire: &mut Wire) -> Result<(), Failure> {
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
