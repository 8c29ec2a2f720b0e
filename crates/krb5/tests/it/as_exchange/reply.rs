//! The checks of the reply.

use super::*;

/// Conformance row 2.
#[test]
fn row_2_a_reply_with_another_nonce_is_refused() {
    let fault = kdc_fault(altered(|parts| {
        parts.part.nonce = nonce(parts.part.nonce.get() ^ 1);
    }));
    assert_eq!(fault, KdcMisbehaved::ReplyNonceDiffers);
}

/// Conformance row 2: the nonce has 31 bits and is new each time.
#[test]
fn row_2_nonces_are_fresh_and_positive() {
    let world = World::new();
    let mut seen = Vec::new();
    for _ in 0..20 {
        let mut exchange = AsExchange::begin(password_login(), &world.environment).unwrap();
        let Progress::Exchange(request) = exchange.step(None).unwrap() else {
            panic!()
        };
        let nonce = body(&request).nonce.get();
        assert!(nonce <= 0x7fff_ffff);
        assert!(!seen.contains(&nonce));
        seen.push(nonce);
    }
}

/// Conformance row 3.
#[test]
fn row_3_a_reply_for_another_client_is_refused() {
    for alter in [
        (|parts: &mut Parts| parts.cname = name(&["mallory"])) as fn(&mut Parts),
        |parts| parts.cname = name(&["alice", "admin"]),
        |parts| parts.crealm = "OTHER.EXAMPLE".into(),
    ] {
        assert!(matches!(
            kdc_fault(altered(alter)),
            KdcMisbehaved::ClientDiffers { .. }
        ));
    }
    // The type of a name is not part of it (RFC 4120 6.2).
    assert!(altered(|parts| parts.cname.name_type = name_type::NT_UNKNOWN).is_ok());
}

/// Conformance row 3: canonicalization, asked for or implied, lets the KDC change the name.
#[test]
fn row_3_canonicalization_may_change_the_client() {
    let mut canonical = password_login();
    canonical.options.canonicalize = true;
    let renamed = |parts: &mut Parts| parts.cname = name(&["Alice"]);
    let outcome = login(&World::new(), canonical, renamed).unwrap();
    assert_eq!(outcome.credentials.client.name, name(&["Alice"]));

    let world = World::new();
    let mut kdc = Kdc::new(&world);
    kdc.salt = "TEST.EXAMPLEalice";
    kdc.info = vec![(AES256, Some(kdc.salt), None)];
    let enterprise = AsRequest::new(
        Principal::parse_enterprise("alice@mail.example", Some(REALM)).unwrap(),
        ClientSecret::Password(SecretString::from(PASSWORD)),
    );
    let (result, requests) = run(
        AsExchange::begin(enterprise, &world.environment),
        |request| kdc.as_reply(&request.message, |parts| parts.cname = name(&["alice"])),
    );
    assert_eq!(result.unwrap().credentials.client, alice());
    let body = body(&requests[0]);
    assert!(body.kdc_options.contains(KdcOptions::CANONICALIZE));
    let cname = body.cname.unwrap();
    assert_eq!(cname.name_type, name_type::NT_ENTERPRISE);
    assert_eq!(cname.name_string, ["alice@mail.example"]);
}

/// Conformance rows 1 and 4.
#[test]
fn row_4_a_reply_for_another_service_is_refused() {
    for alter in [
        (|parts: &mut Parts| parts.part.sname = name(&["krbtgt", "OTHER"])) as fn(&mut Parts),
        |parts| parts.part.sname = name(&["kadmin", "changepw"]),
        |parts| parts.part.srealm = "OTHER.EXAMPLE".into(),
    ] {
        assert!(matches!(
            kdc_fault(altered(alter)),
            KdcMisbehaved::ServerDiffers { .. }
        ));
    }
}

/// Conformance row 4: canonicalization lets the KDC choose among ticket-granting services, and turns
/// no other service into one.
#[test]
fn row_4_canonicalization_makes_no_other_service_a_ticket_granting_one() {
    let mut request = password_login();
    request.options.canonicalize = true;
    request.service = Some(Principal::parse("kadmin/changepw", Some(REALM)).unwrap());
    let fault = kdc_fault(login(&World::new(), request, |parts| {
        parts.part.sname = name(&["krbtgt", REALM]);
        parts.ticket_name.name = name(&["krbtgt", REALM]);
    }));
    let KdcMisbehaved::ServerDiffers { asked, found } = fault else {
        panic!("{fault}")
    };
    assert_eq!(asked, format!("kadmin/changepw@{REALM}"));
    assert_eq!(found, format!("krbtgt/{REALM}@{REALM}"));
}

/// Conformance row 1: what stands in clear in the ticket is never believed, and has to agree.
#[test]
fn row_1_a_ticket_whose_clear_name_differs_is_refused() {
    for alter in [
        (|parts: &mut Parts| parts.ticket_name = service()) as fn(&mut Parts),
        |parts| parts.ticket_name.realm = "OTHER.EXAMPLE".into(),
    ] {
        assert!(matches!(
            kdc_fault(altered(alter)),
            KdcMisbehaved::TicketServerDiffers { .. }
        ));
    }
    // With canonicalization the encrypted name still has to be a ticket-granting service's.
    let mut canonical = password_login();
    canonical.options.canonicalize = true;
    let result = login(&World::new(), canonical, |parts| {
        parts.part.sname = service().name;
        parts.ticket_name.name = service().name;
    });
    assert!(matches!(
        kdc_fault(result),
        KdcMisbehaved::ServerDiffers { .. }
    ));
}

/// Conformance row 5.
#[test]
fn row_5_times_beyond_the_request_are_refused() {
    let mut request = password_login();
    request.lifetime = Some(Duration::from_secs(3_600));
    request.renew_lifetime = Some(Duration::from_secs(7_200));
    let again = || AsRequest {
        lifetime: request.lifetime,
        renew_lifetime: request.renew_lifetime,
        ..password_login()
    };
    let outcome = login(&World::new(), again(), |_| {}).unwrap();
    assert_eq!(
        outcome.credentials.endtime,
        Timestamp::from_seconds(NOW + 3_600)
    );
    assert_eq!(
        outcome.credentials.renew_till,
        Some(Timestamp::from_seconds(NOW + 7_200))
    );
    let fault = kdc_fault(login(&World::new(), again(), |parts| {
        parts.part.endtime = time(NOW + 3_601);
    }));
    assert_eq!(
        fault,
        KdcMisbehaved::EndTimeBeyondRequest {
            asked: Timestamp::from_seconds(NOW + 3_600),
            found: Timestamp::from_seconds(NOW + 3_601),
        }
    );
    let fault = kdc_fault(login(&World::new(), again(), |parts| {
        parts.part.renew_till = Some(time(NOW + 7_201));
    }));
    assert!(matches!(
        fault,
        KdcMisbehaved::RenewTillBeyondRequest { .. }
    ));
}

/// Conformance row 5: with no renewable ticket asked for, none comes by the back door.
#[test]
fn row_5_a_renewal_limit_without_the_flag_is_refused() {
    for renew_lifetime in [None, Some(Duration::from_secs(7_200))] {
        let mut request = password_login();
        request.renew_lifetime = renew_lifetime;
        let fault = kdc_fault(login(&World::new(), request, |parts| {
            parts.part.flags.remove(TicketFlags::RENEWABLE);
            parts.part.renew_till = Some(time(NOW + 7_200));
        }));
        assert_eq!(
            fault,
            KdcMisbehaved::RenewTillOfNoRenewableTicket {
                found: Timestamp::from_seconds(NOW + 7_200)
            }
        );
    }
}

/// Conformance row 5.
#[test]
fn row_5_a_start_apart_from_the_kdcs_present_is_refused() {
    for shift in [301, -301] {
        let fault = kdc_fault(altered(|parts| {
            parts.part.starttime = Some(time(NOW + shift));
        }));
        assert!(matches!(
            fault,
            KdcMisbehaved::StartTimeDiffers { skew: 300, .. }
        ));
    }
    assert!(altered(|parts| parts.part.starttime = Some(time(NOW + 300))).is_ok());
    assert!(altered(|parts| parts.part.starttime = None).is_ok());

    let mut postdated = password_login();
    postdated.start_time = Some(Timestamp::from_seconds(NOW + 86_400));
    let outcome = login(&World::new(), postdated, |_| {}).unwrap();
    assert!(outcome.credentials.flags.contains(TicketFlags::INVALID));
    let mut postdated = password_login();
    postdated.start_time = Some(Timestamp::from_seconds(NOW + 86_400));
    let fault = kdc_fault(login(&World::new(), postdated, |parts| {
        parts.part.starttime = Some(time(NOW));
    }));
    assert!(matches!(fault, KdcMisbehaved::StartTimeDiffers { .. }));
}

/// Conformance row 5.
#[test]
fn row_5_flags_that_nobody_asked_for_are_refused() {
    for flag in [
        TicketFlags::FORWARDABLE,
        TicketFlags::FORWARDED,
        TicketFlags::PROXIABLE,
        TicketFlags::PROXY,
        TicketFlags::MAY_POSTDATE,
        TicketFlags::POSTDATED,
        TicketFlags::RENEWABLE,
    ] {
        let fault = kdc_fault(altered(|parts| parts.part.flags |= flag));
        let KdcMisbehaved::FlagsBeyondRequest { flags } = fault else {
            panic!("{fault}")
        };
        assert_eq!(flags, flag.iter_names().next().unwrap().0.to_lowercase());
    }
    // These are the KDC's own to set.
    for flag in [
        TicketFlags::HW_AUTHENT,
        TicketFlags::OK_AS_DELEGATE,
        TicketFlags::TRANSITED_POLICY_CHECKED,
    ] {
        assert!(altered(|parts| parts.part.flags |= flag).is_ok());
    }
    let mut request = password_login();
    request.options.forwardable = true;
    request.options.proxiable = true;
    let outcome = login(&World::new(), request, |_| {}).unwrap();
    let flags = outcome.credentials.flags;
    assert!(flags.contains(TicketFlags::FORWARDABLE | TicketFlags::PROXIABLE));
}

/// Conformance row 6.
#[test]
fn row_6_another_key_or_key_usage_does_not_decrypt() {
    for alter in [
        (|parts: &mut Parts| parts.usage = KeyUsage::TGS_REP_ENC_PART_SESSKEY) as fn(&mut Parts),
        |parts| parts.usage = KeyUsage::KDC_REP_TICKET,
        |parts| parts.key = key(7, AES256),
    ] {
        let fault = kdc_fault(altered(alter));
        assert!(matches!(
            fault,
            KdcMisbehaved::ReplyDoesNotDecrypt {
                message: "AS-REP",
                enctype: AES256,
                ..
            }
        ));
    }
}

/// Conformance row 66.
#[test]
fn row_66_enctypes_that_were_not_requested_are_refused() {
    let world = || World::new();
    let only = || AsRequest {
        enctypes: Some(EnctypePolicy::only(&[AES256]).unwrap()),
        ..password_login()
    };
    let fault = kdc_fault(login(&world(), only(), |parts| {
        parts.part.key = wire(&key(9, AES128));
    }));
    assert_eq!(
        fault,
        KdcMisbehaved::SessionEnctypeNotRequested { enctype: AES128 }
    );
    let fault = kdc_fault(login(&world(), only(), |parts| {
        parts.etype = Some(AES128.0);
    }));
    assert_eq!(
        fault,
        KdcMisbehaved::ReplyEnctypeNotRequested { enctype: AES128 }
    );
    let fault = kdc_fault(altered(|parts| parts.etype = Some(Enctype::RC4_HMAC.0)));
    assert_eq!(
        fault,
        KdcMisbehaved::ReplyEnctypeNotRequested {
            enctype: Enctype::RC4_HMAC
        }
    );
}

/// Conformance row 75.
#[test]
fn row_75_the_kdcs_checksum_of_the_request_is_verified() {
    let fault = kdc_fault(altered(|parts| parts.confirms = None));
    assert_eq!(fault, KdcMisbehaved::RequestChecksumMissing);
    let fault = kdc_fault(altered(|parts| {
        if let Some(last) = parts
            .confirms
            .as_mut()
            .and_then(|request| request.last_mut())
        {
            *last ^= 1;
        }
    }));
    assert_eq!(fault, KdcMisbehaved::RequestChecksumDiffers);
    // A KDC that does not know the extension sets no flag.
    let outcome = altered(|parts| {
        parts.confirms = None;
        parts.part.flags.remove(TicketFlags::ENC_PA_REP);
    })
    .unwrap();
    assert!(!outcome.fast_available);
}

/// Conformance row 75: an attacker who takes the strong enctypes out of the request is noticed.
#[test]
fn row_75_a_request_that_was_altered_on_the_way_is_noticed() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let (result, _) = run(
        AsExchange::begin(password_login(), &world.environment),
        |request| {
            let original = AsReq::from_der(&request.message).unwrap();
            let mut body = original.req_body.decode().unwrap();
            body.etype.truncate(1);
            let altered = AsReq::new(original.padata.clone(), Raw::new(&body).unwrap());
            kdc.as_reply(&altered.to_der().unwrap(), |_| {})
        },
    );
    assert_eq!(kdc_fault(result), KdcMisbehaved::RequestChecksumDiffers);
}

/// Every byte of a reply, flipped: never accepted with other content, never a panic.
#[test]
fn a_reply_with_any_bit_flipped_gives_no_other_ticket() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let mut length = 0;
    let (result, _) = run(
        AsExchange::begin(password_login(), &world.environment),
        |request| {
            let reply = kdc.as_reply(&request.message, |_| {});
            length = reply.len();
            reply
        },
    );
    let good = result.unwrap().credentials;
    for position in 0..length {
        let (result, _) = run(
            AsExchange::begin(password_login(), &world.environment),
            |request| {
                let mut reply = kdc.as_reply(&request.message, |_| {});
                reply[position % length] ^= 1 << (position % 8);
                reply
            },
        );
        if let Ok(outcome) = result {
            let other = outcome.credentials;
            assert_eq!((&other.client, &other.server), (&good.client, &good.server));
            assert_eq!(other.session_key.expose(), good.session_key.expose());
        }
    }
}
