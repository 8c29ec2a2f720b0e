//! Tickets of services where ticket-granting tickets are more usual; a host that asks for itself.

use super::*;

/// Conformance row 103: a service's own ticket may be renewed, though no other ticket is got with it.
#[test]
fn row_103_a_service_ticket_is_renewed_but_grants_nothing() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let ticket = Arc::new(kdc.credentials(service(), |part| {
        part.flags |= TicketFlags::RENEWABLE | TicketFlags::FORWARDABLE;
        part.renew_till = Some(time(NOW + 100_000));
    }));
    let (result, _) = run(
        TgsExchange::begin(TgsRequest::renew(ticket.clone()), &world.environment),
        |request| kdc.tgs_reply(&request.message, &kdc.service_key, renewed),
    );
    assert_eq!(result.unwrap().credentials.server, service());
    for request in [
        TgsRequest::new(ticket.clone(), service()),
        TgsRequest::forward(ticket),
    ] {
        assert!(matches!(
            TgsExchange::begin(request, &world.environment),
            Err(Error::ApiMisuse(ApiMisuse::NotATicketGrantingTicket { .. }))
        ));
    }
}

/// Conformance row 103: whether a ticket has ended is for the KDC to say, as long as its clock may be behind by the skew.
#[test]
fn row_103_a_ticket_that_ended_within_the_skew_is_renewed_by_the_kdc() {
    let world = World::new();
    let ticket = renewable(&world);
    let end = ticket.endtime.seconds();
    let now = |seconds| world.clock.set(Timestamp::from_seconds(seconds));
    now(end + 299);
    let renewal = |parts: &mut Parts| {
        renewed(parts);
        parts.part.authtime = time(ticket.authtime.seconds());
    };
    let outcome = get_ticket(&world, TgsRequest::renew(ticket.clone()), renewal);
    assert_eq!(
        outcome.unwrap().credentials.endtime,
        Timestamp::from_seconds(NOW + 50_000)
    );
    // Anything else wants a ticket that still lasts.
    for request in [
        TgsRequest::new(ticket.clone(), service()),
        TgsRequest::validate(ticket.clone()),
        TgsRequest::forward(ticket.clone()),
    ] {
        assert!(matches!(
            TgsExchange::begin(request, &world.environment),
            Err(Error::Credential(CredentialFailure::TicketExpired { .. }))
        ));
    }
    now(end + 300);
    assert!(matches!(
        TgsExchange::begin(TgsRequest::renew(ticket.clone()), &world.environment),
        Err(Error::Credential(CredentialFailure::TicketExpired { .. }))
    ));
}

/// Conformance rows 69 and 185: a host whose clock is wrong checks its KDC all the same.
#[test]
fn row_185_a_wrong_clock_does_not_hinder_the_hosts_own_ticket() {
    let world = World::new();
    let mut kdc = Kdc::new(&world);
    let tgt = kdc.tgt();
    kdc.skew = 7_200;
    let verify = |time_offset| {
        let request = VerifyInitialRequest {
            tgt: tgt.clone(),
            server: service(),
            keytab: Arc::new(keytab(service(), 2, key(2, AES256))),
            time_offset,
        };
        let exchange = VerifyInitialCredentials::begin(request, &world.environment);
        run(exchange, |request| {
            kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |_| {})
        })
        .0
    };
    assert_eq!(verify(7_200_000_000).unwrap().server, service());
    assert!(matches!(
        verify(0),
        Err(Error::PeerMisbehaved(
            trihound_krb5::PeerMisbehaved::TicketNotYetValid { .. }
        ))
    ));
}
