//! Referrals and the way through realms.

use super::*;

/// Conformance rows 90 and 91.
#[test]
fn row_90_referrals_lead_through_realms() {
    let world = World::new();
    let (result, requests) = walk(&world, referral_request(&world), |realm, asked| {
        Some(match realm {
            REALM => krbtgt("A.EXAMPLE", REALM),
            "A.EXAMPLE" => krbtgt("B.EXAMPLE", "A.EXAMPLE"),
            _ => asked.clone(),
        })
    });
    let outcome = result.unwrap();
    let server = Principal::service("HTTP", "web.b.example", "B.EXAMPLE");
    assert_eq!(outcome.credentials.server, server);
    assert_eq!(outcome.credentials.client, alice());
    let tgts: Vec<_> = outcome
        .tgts
        .iter()
        .map(|tgt| tgt.server.to_string())
        .collect();
    assert_eq!(
        tgts,
        [
            "krbtgt/A.EXAMPLE@TEST.EXAMPLE",
            "krbtgt/B.EXAMPLE@A.EXAMPLE"
        ]
    );
    let realms: Vec<_> = requests
        .iter()
        .map(|request| request.realm.as_str())
        .collect();
    assert_eq!(realms, [REALM, "A.EXAMPLE", "B.EXAMPLE"]);
}

/// Conformance row 94: OK-AS-DELEGATE of another realm counts where every realm on the way has it on the
/// ticket that leads out of it; the client's own ticket-granting ticket needs none.
#[test]
fn row_94_another_realm_is_trusted_by_every_realm_on_the_way() {
    let flag = TicketFlags::OK_AS_DELEGATE;
    let got = |marked: &'static [&'static str]| {
        let world = World::new();
        let kdc = Kdc::new(&world);
        let exchange = TgsExchange::begin(referral_request(&world), &world.environment);
        let (result, _) = run(exchange, |request| {
            let body = request_body(request);
            let server = match request.realm.as_str() {
                REALM => krbtgt("A.EXAMPLE", REALM),
                "A.EXAMPLE" => krbtgt("B.EXAMPLE", "A.EXAMPLE"),
                realm => Principal {
                    realm: realm.into(),
                    name: body.sname.unwrap(),
                },
            };
            kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |parts| {
                becomes(parts, &server);
                let is_marked = marked.contains(&request.realm.as_str());
                parts.part.flags.set(flag, is_marked);
            })
        });
        result.unwrap().credentials.flags.contains(flag)
    };
    assert!(got(&[REALM, "A.EXAMPLE", "B.EXAMPLE"]));
    assert!(!got(&["A.EXAMPLE", "B.EXAMPLE"]));
    assert!(!got(&[REALM, "B.EXAMPLE"]));
    assert!(!got(&[REALM, "A.EXAMPLE"]));
    assert!(!got(&["B.EXAMPLE"]));
    // Asked with a ticket that leads out of the client's realm already.
    for (marked, trusted) in [(true, true), (false, false)] {
        let world = World::new();
        let kdc = Kdc::new(&world);
        let tgt = kdc.credentials(krbtgt("B.EXAMPLE", REALM), |part| {
            part.flags.set(flag, marked);
        });
        let server = Principal::service("HTTP", "web.b.example", "B.EXAMPLE");
        let request = TgsRequest::new(Arc::new(tgt), server.clone());
        let exchange = TgsExchange::begin(request, &world.environment);
        let (result, _) = run(exchange, |request| {
            kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |parts| {
                becomes(parts, &server);
                parts.part.flags |= flag;
            })
        });
        let credentials = result.unwrap().credentials;
        assert_eq!(credentials.flags.contains(flag), trusted);
    }
}

/// Conformance row 90.
#[test]
fn row_90_referral_loops_and_endless_ones_are_refused() {
    let world = World::new();
    let (result, _) = walk(&world, referral_request(&world), |realm, _| {
        Some(match realm {
            REALM => krbtgt("A.EXAMPLE", REALM),
            _ => krbtgt(REALM, "A.EXAMPLE"),
        })
    });
    let KdcMisbehaved::ReferralLoop { path } = kdc_fault(result) else {
        panic!()
    };
    assert_eq!(path, "TEST.EXAMPLE -> A.EXAMPLE -> TEST.EXAMPLE");
    // To itself once, which is asked again without referrals, and once more.
    let (result, requests) = walk(&world, referral_request(&world), |_, _| {
        Some(krbtgt(REALM, REALM))
    });
    assert!(matches!(
        kdc_fault(result),
        KdcMisbehaved::ServerDiffers { .. }
    ));
    assert_eq!(requests.len(), 2);

    let (result, requests) = walk(&world, referral_request(&world), |realm, _| {
        Some(krbtgt(&format!("{realm}X"), realm))
    });
    assert!(matches!(
        kdc_fault(result),
        KdcMisbehaved::TooManyReferrals { limit: 10, .. }
    ));
    assert_eq!(requests.len(), 10);
}

/// Active Directory leads a second name of its own ticket-granting service to the first; the ticket that is meant
/// comes without canonicalization.
#[test]
fn row_90_a_referral_to_the_realm_itself_is_asked_again_without() {
    let world = World::new();
    let asked = Principal::service("krbtgt", "NETBIOS", "");
    let request = TgsRequest::new(Kdc::new(&world).tgt(), asked);
    let calls = core::cell::Cell::new(0);
    let (result, requests) = walk(&world, request, |_, asked| {
        calls.set(calls.get() + 1);
        Some(match calls.get() {
            1 => krbtgt(REALM, REALM),
            _ => asked.clone(),
        })
    });
    let outcome = result.unwrap();
    assert_eq!(outcome.credentials.server, krbtgt("NETBIOS", REALM));
    assert!(outcome.tgts.is_empty());
    let may_refer: Vec<bool> = requests
        .iter()
        .map(|request| {
            let options = request_body(request).kdc_options;
            options.contains(KdcOptions::CANONICALIZE)
        })
        .collect();
    assert_eq!(may_refer, [true, false]);
}

/// Conformance row 90: a referral is good only if the realm that was asked issued it.
#[test]
fn row_90_a_referral_from_another_realm_is_refused() {
    let world = World::new();
    let (result, _) = walk(&world, referral_request(&world), |_, _| {
        Some(krbtgt("A.EXAMPLE", "EVIL.EXAMPLE"))
    });
    assert_eq!(
        kdc_fault(result),
        KdcMisbehaved::ReferralFromOtherRealm {
            asked: REALM.into(),
            found: "EVIL.EXAMPLE".into()
        }
    );
}

/// Conformance row 4: without canonicalization no referral is taken.
#[test]
fn row_4_a_referral_that_was_not_asked_for_is_refused() {
    let world = World::new();
    let mut request = TgsRequest::new(Kdc::new(&world).tgt(), service());
    request.canonicalize = false;
    let (result, requests) = walk(&world, request, |realm, _| Some(krbtgt("A.EXAMPLE", realm)));
    assert!(matches!(
        kdc_fault(result),
        KdcMisbehaved::ServerDiffers { .. }
    ));
    assert!(
        !request_body(&requests[0])
            .kdc_options
            .contains(KdcOptions::CANONICALIZE)
    );
}

/// Conformance row 91: a known realm is gone to straight, and over the hierarchy where there is no
/// shortcut.
#[test]
fn row_91_a_known_realm_is_reached_straight_or_over_the_hierarchy() {
    let mut config = Config::default();
    config.map_domain(".b.test.example", "B.TEST.EXAMPLE");
    let world = World::with(config);
    let server = || Principal::service("HTTP", "web.b.test.example", "");
    let straight = |realm: &str, asked: &Principal| {
        Some(if realm == REALM {
            krbtgt("B.TEST.EXAMPLE", REALM)
        } else {
            asked.clone()
        })
    };
    let request = TgsRequest::new(Kdc::new(&world).tgt(), server());
    let (result, requests) = walk(&world, request, straight);
    assert_eq!(
        result.unwrap().credentials.server,
        server().with_realm("B.TEST.EXAMPLE")
    );
    assert_eq!(
        request_body(&requests[0]).sname.unwrap(),
        krbtgt("B.TEST.EXAMPLE", REALM).name
    );

    // From A.X.EXAMPLE to B.Y.EXAMPLE: no shortcut, so over EXAMPLE.
    let target = Principal::service("HTTP", "web", "B.Y.TEST.EXAMPLE");
    let request = TgsRequest::new(Kdc::new(&world).tgt(), target.clone());
    let (result, requests) = walk(&world, request, |realm, asked| {
        let wanted = asked.krbtgt_target().map(ToString::to_string);
        match (realm, wanted.as_deref()) {
            (REALM, Some("B.Y.TEST.EXAMPLE")) => None,
            (REALM, Some("Y.TEST.EXAMPLE")) => Some(asked.clone()),
            ("Y.TEST.EXAMPLE", Some("B.Y.TEST.EXAMPLE")) => Some(asked.clone()),
            ("B.Y.TEST.EXAMPLE", None) => Some(asked.clone()),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(result.unwrap().credentials.server, target);
    assert_eq!(requests.len(), 4);

    let nowhere = Principal::service("HTTP", "web", "ELSEWHERE");
    let request = TgsRequest::new(Kdc::new(&world).tgt(), nowhere);
    let (result, requests) = walk(&world, request, |_, _| None);
    let Err(Error::KdcRefused(refused)) = result else {
        panic!()
    };
    assert_eq!(refused.code, error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN);
    assert!(
        refused.request.contains("krbtgt/ELSEWHERE@TEST.EXAMPLE"),
        "{refused}"
    );
    assert_eq!(requests.len(), 1);
}

/// The realms that were asked for, and in which realm.
fn steps(requests: &[ExchangeRequest]) -> Vec<String> {
    let asked = |request: &ExchangeRequest| {
        let name = request_body(request).sname.unwrap();
        let parts = name.name_string.iter().map(ToString::to_string);
        format!("{}@{}", parts.collect::<Vec<_>>().join("/"), request.realm)
    };
    requests.iter().map(asked).collect()
}

/// A KDC that knows no shortcut: from each realm only to those that it has a key with.
fn along<'a>(
    trusts: &'a [(&'a str, &'a str)],
) -> impl Fn(&str, &Principal) -> Option<Principal> + 'a {
    |realm, asked| {
        let Some(wanted) = asked.krbtgt_target() else {
            return Some(asked.clone());
        };
        let wanted = wanted.to_string();
        trusts
            .contains(&(realm, wanted.as_str()))
            .then(|| asked.clone())
    }
}

/// Conformance row 91: the way that `[capaths]` has is gone, its far end first.
#[test]
fn row_91_the_configured_path_is_walked() {
    let target = || Principal::service("HTTP", "web", "FAR");
    let go = |change: &dyn Fn(&mut Config), trusts: &[(&str, &str)]| {
        let mut config = Config::default();
        change(&mut config);
        let world = World::with(config);
        let request = TgsRequest::new(Kdc::new(&world).tgt(), target());
        let (result, requests) = walk(&world, request, along(trusts));
        (
            result.map(|outcome| outcome.credentials.server),
            steps(&requests),
        )
    };
    // Unrelated names: without a path there is none.
    let (result, asked) = go(&|_| {}, &[(REALM, "ONE"), ("ONE", "TWO"), ("TWO", "FAR")]);
    assert!(result.is_err());
    assert_eq!(asked, ["krbtgt/FAR@TEST.EXAMPLE"]);

    let path = |config: &mut Config| config.set_capath(REALM, "FAR", ["ONE", "TWO"]);
    let (result, asked) = go(&path, &[(REALM, "ONE"), ("ONE", "TWO"), ("TWO", "FAR")]);
    assert_eq!(result.unwrap(), target());
    assert_eq!(
        asked,
        [
            "krbtgt/FAR@TEST.EXAMPLE",
            "krbtgt/TWO@TEST.EXAMPLE",
            "krbtgt/ONE@TEST.EXAMPLE",
            "krbtgt/FAR@ONE",
            "krbtgt/TWO@ONE",
            "krbtgt/FAR@TWO",
            "HTTP/web@FAR"
        ]
    );
    // A shortcut is taken where a KDC has one.
    let (result, asked) = go(&path, &[(REALM, "TWO"), ("TWO", "FAR")]);
    assert_eq!(result.unwrap(), target());
    assert_eq!(asked.len(), 4);
}

/// Conformance row 91: two realms that share a key, as `[capaths]` says by a dot, have none between.
#[test]
fn row_91_a_direct_path_excludes_the_hierarchy() {
    let target = Principal::service("HTTP", "web", "B.Y.TEST.EXAMPLE");
    let mut config = Config::default();
    config.set_capath(REALM, "B.Y.TEST.EXAMPLE", [] as [&str; 0]);
    let world = World::with(config);
    let request = TgsRequest::new(Kdc::new(&world).tgt(), target);
    let trusts = [
        (REALM, "Y.TEST.EXAMPLE"),
        ("Y.TEST.EXAMPLE", "B.Y.TEST.EXAMPLE"),
    ];
    let (result, requests) = walk(&world, request, along(&trusts));
    assert!(result.is_err());
    assert_eq!(steps(&requests), ["krbtgt/B.Y.TEST.EXAMPLE@TEST.EXAMPLE"]);
}

/// As MIT: where the KDC of the client's realm knows neither the service nor whom to refer to.
#[test]
fn a_hosts_domain_is_its_realm_at_last() {
    let world = World::new();
    let server = Principal::service("HTTP", "web.b.example", "");
    let request = || TgsRequest::new(Kdc::new(&world).tgt(), server.clone());
    let (result, requests) = walk(&world, request(), |realm, asked| {
        let is_own_service = realm == REALM && asked.krbtgt_target().is_none();
        (!is_own_service).then(|| asked.clone())
    });
    assert_eq!(
        result.unwrap().credentials.server,
        server.with_realm("B.EXAMPLE")
    );
    assert_eq!(
        steps(&requests),
        [
            "HTTP/web.b.example@TEST.EXAMPLE",
            "krbtgt/B.EXAMPLE@TEST.EXAMPLE",
            "HTTP/web.b.example@B.EXAMPLE"
        ]
    );
    // Where there is no such realm the first answer stands, and says what was looked at.
    let (result, requests) = walk(&world, request(), |_, _| None);
    let Err(Error::KdcRefused(refused)) = result else {
        panic!()
    };
    assert_eq!(requests.len(), 3, "EXAMPLE too, which lies between");
    assert!(
        refused
            .request
            .starts_with("a ticket for HTTP/web.b.example@TEST.EXAMPLE"),
        "{refused}"
    );
    assert!(
        refused
            .request
            .contains("no entry of [domain_realm] is for web.b.example"),
        "{refused}"
    );
    // In the domain's realm the service is unknown as well.
    let (result, _) = walk(&world, request(), |_, asked| {
        asked.krbtgt_target().is_some().then(|| asked.clone())
    });
    let Err(Error::KdcRefused(refused)) = result else {
        panic!()
    };
    assert!(
        refused.request.contains("HTTP/web.b.example@B.EXAMPLE")
            && refused.request.contains("the realm is its domain"),
        "{refused}"
    );
    // A realm that somebody named is not second-guessed.
    let named = TgsRequest::new(Kdc::new(&world).tgt(), server.with_realm(REALM));
    let (result, requests) = walk(&world, named, |_, _| None);
    assert!(result.is_err());
    assert_eq!(requests.len(), 1);
}
