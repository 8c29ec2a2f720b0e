//! Host names are asked for as they are given.

use trihound_asn1::{Message, TgsReq};
use trihound_krb5::{Config, DnsCanonicalization, Error, Principal, TgsExchange, TgsRequest};

use crate::small_kdc::{Kdc, REALM, World, run};

/// A realm, and the components of a service's name.
type Asked = (String, Vec<String>);

/// The names of the services that a TGS exchange asks the KDC for.
fn asked(world: &World, server: Principal) -> (Result<(), Error>, Vec<Asked>) {
    let kdc = Kdc::new(world);
    let exchange = TgsExchange::begin(TgsRequest::new(kdc.tgt(), server), &world.environment);
    let (result, requests) = run(exchange, |request| {
        kdc.tgs_reply(&request.message, &kdc.krbtgt_key, |_| {})
    });
    let names = requests
        .iter()
        .map(|request| {
            let body = TgsReq::from_der(&request.message)
                .unwrap()
                .req_body
                .decode()
                .unwrap();
            let name = body.sname.unwrap().name_string;
            (
                body.realm.to_string(),
                name.iter().map(ToString::to_string).collect(),
            )
        })
        .collect();
    (result.map(drop), names)
}

/// Conformance row 92: a host's name goes to the KDC letter for letter, whatever the configuration
/// says of DNS; neither an address nor a short name is looked up, and DNS is not asked for a realm.
#[test]
fn row_92_host_names_go_to_the_kdc_as_given() {
    assert_eq!(
        Config::default().dns_canonicalize_hostname,
        DnsCanonicalization::No
    );
    for dns in [
        DnsCanonicalization::No,
        DnsCanonicalization::Yes,
        DnsCanonicalization::Fallback,
    ] {
        let mut config = Config::default();
        config.dns_canonicalize_hostname = dns;
        config.rdns = true;
        let world = World::with(config);
        for host in [
            "localhost",
            "Web.Example.COM",
            "web",
            "127.0.0.1",
            "web.",
            "::1",
        ] {
            let (_, names) = asked(&world, Principal::service("HTTP", host, ""));
            assert_eq!(
                names.first(),
                Some(&(REALM.to_owned(), vec!["HTTP".to_owned(), host.to_owned()]))
            );
            assert!(names.iter().all(|(_, name)| name[1] == host), "{names:?}");
        }
    }
}

/// Conformance row 91: the client's realm is the ticket's, whatever realm its host is mapped to.
#[test]
fn row_91_the_clients_realm_is_that_of_its_ticket() {
    let mut config = Config::default();
    config.default_realm = Some("ELSEWHERE.EXAMPLE".to_owned());
    let world = World::with(config);
    let (result, names) = asked(&world, crate::small_kdc::service());
    result.unwrap();
    assert!(names.iter().all(|(realm, _)| realm == REALM));
}
