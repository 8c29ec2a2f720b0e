//! What works between Trihound's own exchanges and the embedded KDC.

use crate::client::{
    REALM, alice, as_client, environment, environment_at, log_in, logged_in, principal, service,
    ticket, two_realms, without_timesync,
};
use crate::support::{NOW, advance, builder, clock};
use std::sync::Arc;
use std::time::Duration;
use trihound_asn1::TicketFlags;
use trihound_crypto::EnctypePolicy;
use trihound_krb5::{AsRequest, ClientSecret, Config, Error, KdcMisbehaved, Principal, TgsRequest};
use trihound_test_realm::{Fault, Policy, PrincipalOptions};

#[test]
fn a_login_and_a_service_ticket() {
    let (realm, environment, tgt) = logged_in();
    assert_eq!(tgt.client, principal("alice"));
    assert_eq!(tgt.server, Principal::krbtgt(&REALM.into()));
    assert!(
        tgt.flags
            .contains(TicketFlags::INITIAL | TicketFlags::PRE_AUTHENT)
    );
    let outcome = service(&realm, &tgt, &environment).unwrap();
    assert_eq!(outcome.credentials.server, principal("HTTP/localhost"));
    assert!(outcome.tgts.is_empty());
}

#[test]
fn every_enctype_salt_and_count() {
    for enctype in EnctypePolicy::default().enctypes() {
        let realm = builder()
            .only_enctype(*enctype)
            .principal_with(
                "salty",
                "password",
                PrincipalOptions::default().salt("other").iterations(40_000),
            )
            .build()
            .unwrap();
        let environment = environment(Config::default());
        let tgt = log_in(&realm, as_client("salty", "password"), &environment).unwrap();
        assert_eq!(tgt.credentials.session_key.enctype(), *enctype);
        service(&realm, &Arc::new(tgt.credentials), &environment).unwrap();
    }
}

#[test]
fn login_by_keytab_and_without_preauthentication() {
    let realm = builder()
        .principal_with("open", "x", PrincipalOptions::default().without_preauth())
        .build()
        .unwrap();
    let environment = environment(Config::default());
    let keytab = realm.keytab(&["alice"]).unwrap();
    let keys = keytab.client_keys(&principal("alice"), &EnctypePolicy::default());
    let request = AsRequest::new(principal("alice"), ClientSecret::Keys(keys));
    log_in(&realm, request, &environment).unwrap();
    let outcome = log_in(&realm, as_client("open", "x"), &environment).unwrap();
    assert!(!outcome.credentials.flags.contains(TicketFlags::PRE_AUTHENT));
}

/// Conformance row 65: an old KDC's ETYPE-INFO does where there is no ETYPE-INFO2.
#[test]
fn an_old_kdc_and_a_cookie() {
    let mut policy = Policy::default();
    policy.old_etype_info = true;
    policy.cookie = Some(b"cookie".to_vec());
    let realm = builder().policy(policy).build().unwrap();
    log_in(&realm, alice(), &environment(Config::default())).unwrap();
}

/// Conformance row 104: the request comes again over a stream.
#[test]
fn a_reply_that_is_too_big_comes_over_a_stream() {
    let (realm, environment, tgt) = logged_in();
    realm.set_fault(Fault::ResponseTooBig);
    log_in(&realm, alice(), &environment).unwrap();
    service(&realm, &tgt, &environment).unwrap();
}

/// Conformance row 103.
#[test]
fn renewal_and_forwarding() {
    let clock = clock();
    let realm = builder().clock(clock.clone()).build().unwrap();
    let environment = environment_at(clock.clone(), Config::default());
    let mut request = alice();
    request.options.forwardable = true;
    request.renew_lifetime = Some(Duration::from_secs(3 * 86_400));
    request.lifetime = Some(Duration::from_secs(3600));
    let tgt = Arc::new(log_in(&realm, request, &environment).unwrap().credentials);
    advance(&clock, Duration::from_secs(1800));
    let renewed = ticket(
        realm.transport(),
        TgsRequest::renew(Arc::clone(&tgt)),
        &environment,
    )
    .unwrap()
    .credentials;
    assert_eq!(renewed.endtime.seconds(), NOW + 1800 + 3600);
    assert_eq!(renewed.renew_till, tgt.renew_till);
    let forwarded = ticket(realm.transport(), TgsRequest::forward(tgt), &environment)
        .unwrap()
        .credentials;
    assert!(forwarded.flags.contains(TicketFlags::FORWARDED));
}

/// Conformance row 6: either tag on either reply.
#[test]
fn either_tag_is_accepted_on_the_encrypted_part() {
    let (realm, environment, tgt) = logged_in();
    realm.set_fault(Fault::OtherTag);
    log_in(&realm, alice(), &environment).unwrap();
    service(&realm, &tgt, &environment).unwrap();
}

/// Conformance row 69: a verified reply tells the offset; without one the login ends.
#[test]
fn a_kdc_whose_clock_is_off() {
    let realm = builder().build().unwrap();
    realm.set_fault(Fault::ClockSkew(3600));
    let outcome = log_in(&realm, alice(), &environment(Config::default())).unwrap();
    assert_eq!(outcome.time_offset, Some(3_600_000_000));
    let mut request = TgsRequest::new(Arc::new(outcome.credentials), principal("HTTP/localhost"));
    request.time_offset = 3_600_000_000;
    ticket(realm.transport(), request, &environment(Config::default())).unwrap();

    let config = without_timesync();
    let error = log_in(&realm, alice(), &environment(config)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::KdcMisbehaved(KdcMisbehaved::StartTimeDiffers { .. })
        ),
        "{error:?}"
    );
}

#[test]
fn another_realm_by_name_and_by_referral() {
    let (here, there, environment, tgt) = two_realms();
    for server in [
        principal("HTTP/web.b.test@B.TEST"),
        principal("HTTP/web.b.test"),
        Principal::service("HTTP", "web.b.test", ""),
    ] {
        let asked = server.to_string();
        let request = TgsRequest::new(Arc::clone(&tgt), server);
        let outcome = ticket(here.transport().and(&there), request, &environment);
        let outcome = outcome.unwrap_or_else(|error| panic!("{asked}: {error}"));
        assert_eq!(
            outcome.credentials.server,
            principal("HTTP/web.b.test@B.TEST")
        );
        assert_eq!(outcome.credentials.client, principal("alice"));
        assert_eq!(outcome.tgts.len(), 1);
    }
}
