//! PACs as a KDC writes them, with one thing altered at a time (conformance rows 40 to 44, 99 to 101
//! and 191).

mod bounds;
mod contents;
mod verify;
mod write;

use trihound_asn1::EncTicketPart;
use trihound_krb5::pac::{
    Demand, KdcChecks, Pac, PacBufferType, PacCheck, TicketClient, UnverifiedPac,
};
use trihound_krb5::{Error, InvalidPac, PacNotTrusted};

use self::write::*;

/// What a service says to a PAC.
fn accept(issue: &Issue, bytes: &[u8]) -> Result<Pac, Error> {
    let ticket = ticket(bytes);
    accept_with(issue, bytes, &ticket, |_| {})
}

fn accept_with<'a>(
    issue: &'a Issue,
    bytes: &[u8],
    ticket: &'a EncTicketPart,
    alter: impl FnOnce(&mut PacCheck<'a>),
) -> Result<Pac, Error> {
    let mut check = PacCheck::of_service(&issue.server, TicketClient::of(ticket));
    alter(&mut check);
    let (pac, _proof) = UnverifiedPac::parse(bytes)?.verify(&check)?;
    Ok(pac)
}

/// What a KDC says, which insists on every signature.
fn accept_as_kdc(issue: &Issue, bytes: &[u8], ticket: &EncTicketPart) -> Result<Pac, Error> {
    accept_with(issue, bytes, ticket, |check| {
        check.requestor = Demand::Required;
        check.kdc = Some(KdcChecks {
            key: &issue.kdc,
            ticket,
            ticket_signature: Demand::Required,
            full_checksum: Demand::Required,
        });
    })
}

fn not_trusted<T>(result: Result<T, Error>) -> PacNotTrusted {
    match result {
        Err(Error::PacNotTrusted(fault)) => fault,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("must be refused"),
    }
}

fn invalid<T>(result: Result<T, Error>) -> InvalidPac {
    match result {
        Err(Error::InvalidPac(fault)) => fault,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("must be refused"),
    }
}
