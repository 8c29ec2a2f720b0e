//! Caches that are there or not, one or many; their content comes from the library.

use std::sync::Arc;
use std::time::Duration;

use trihound::environment::{CacheName, ccache};
use trihound_asn1::{EncryptedData, HostAddress, OctetString, Raw, Ticket, TicketFlags};
use trihound_crypto::Enctype;
use trihound_krb5::{Config, CredentialCache, Credentials, KeyMaterial, Principal};
use trihound_sansio::{Clock, SystemClock};

use crate::Scratch;

fn name(text: &str) -> Principal {
    Principal::parse(text, Some("TEST.EXAMPLE")).unwrap()
}

/// A ticket of `client` that ends `lasts` seconds from now, or has ended.
fn ticket(client: &str, server: &str, lasts: i64) -> Credentials {
    let now = SystemClock.now();
    let server = name(server);
    let ticket = Ticket {
        tkt_vno: 5,
        realm: server.realm.clone(),
        sname: server.name.clone(),
        enc_part: EncryptedData {
            etype: 18,
            kvno: None,
            cipher: OctetString::from(vec![7; 40]),
        },
    };
    Credentials {
        client: name(client),
        session_key: KeyMaterial::new(Enctype::AES256_CTS_HMAC_SHA1_96, vec![1; 32].into()),
        ticket: Raw::new(&ticket).unwrap().der().to_vec(),
        server,
        flags: TicketFlags::FORWARDABLE | TicketFlags::INITIAL,
        authtime: now.minus(Duration::from_secs(36_000)),
        starttime: None,
        endtime: now.shifted(lasts * 1_000_000),
        renew_till: None,
        addresses: vec![],
        authdata: vec![],
        is_skey: false,
        second_ticket: vec![],
    }
}

fn fill(cache: &str, client: &str, tickets: Vec<Credentials>) {
    let mut content = CredentialCache::new(name(client));
    for ticket in tickets {
        content.store(Arc::new(ticket));
    }
    let cache = CacheName::parse(cache).unwrap();
    ccache::open(&cache, &Config::default())
        .unwrap()
        .initialize(&content)
        .unwrap();
}

/// Three caches in a directory: alice's, bob's that has ended, and carol's; alice's is the primary one.
fn collection(scratch: &Scratch) -> String {
    let directory = scratch.path().join("caches").display().to_string();
    for (file, client, lasts) in [
        ("tkt", "alice", 3_600),
        ("tktb", "bob", -60),
        ("tktc", "carol-of-the-very-long-principal-name", 3_600),
    ] {
        let cache = format!("DIR::{directory}/{file}");
        fill(
            &cache,
            client,
            vec![ticket(client, "krbtgt/TEST.EXAMPLE", lasts)],
        );
    }
    directory
}

#[test]
fn a_collection_is_listed_switched_and_destroyed() {
    let scratch = Scratch::new();
    let directory = collection(&scratch);
    let run = |arguments: &[&str]| {
        let mut command = scratch.program(arguments);
        command.env("KRB5CCNAME", format!("DIR:{directory}"));
        crate::Done::new(command.output().unwrap())
    };
    let line = |principal: &str, file: &str, mark: &str| {
        format!("{principal:<30} DIR::{directory}/{file}{mark}\n")
    };
    let head = format!(
        "{:<30} Cache name\n{:<30} ----------\n",
        "Principal name", "--------------"
    );
    let listed = run(&["klist", "-l"]).said().to_owned();
    let alice = line("alice@TEST.EXAMPLE", "tkt", "");
    let bob = line("bob@TEST.EXAMPLE", "tktb", " (Expired)");
    let carol = line("carol-of-the-very-long-princip", "tktc", "");
    assert!(listed.starts_with(&(head + &alice)), "{listed}");
    assert!(listed.contains(&bob) && listed.contains(&carol), "{listed}");
    assert_eq!(listed.lines().count(), 5);

    run(&["kswitch", "-p", "bob"]).said();
    assert!(run(&["klist"]).said().contains("Default principal: bob@"));
    // bob's ticket has ended, and the others' have not.
    run(&["klist", "-s"]).refused(1, "");
    run(&["klist", "-s", "-A"]).said();
    // The name of the collection leads to its primary cache.
    run(&["kswitch", "-c", &format!("DIR:{directory}")]).said();
    let none = format!("DIR::{directory}/tktx");
    run(&["kswitch", "-c", &none]).refused(1, "kswitch: No credentials cache found");
    run(&["kswitch", "-p", "dave"]).refused(1, "Matching credential not found");
    let contents = run(&["klist", "-A"]).said().to_owned();
    assert_eq!(
        contents.matches("\n\nTicket cache: DIR::").count(),
        2,
        "{contents}"
    );
    assert!(contents.starts_with(&format!("Ticket cache: DIR::{directory}/tktb\n")));

    run(&["kdestroy", "-p", "bob"]).said();
    run(&["kdestroy", "-p", "bob"]).refused(1, "Matching credential not found");
    run(&["kdestroy", "-c", &format!("DIR::{directory}/tkt")]).said();
    run(&["kdestroy", "-A"]).said();
    let none = run(&["klist", "-l"]);
    assert_eq!((none.status, none.stdout.lines().count()), (Some(1), 2));
    assert_eq!(run(&["klist", "-A"]).status, Some(1));
    run(&["klist"]).refused(1, "klist: No credentials cache found");
}

#[test]
fn kdestroy_tells_of_the_caches_that_stay() {
    let scratch = Scratch::new();
    let directory = collection(&scratch);
    let mut command = scratch.program(&["kdestroy"]);
    command.env("KRB5CCNAME", format!("DIR:{directory}"));
    let done = crate::Done::new(command.output().unwrap());
    assert_eq!(done.status, Some(0));
    assert_eq!(
        done.stderr,
        "Other credential caches present, use -A to destroy all\n"
    );
}

/// The primary is gone, and the others wait to be chosen.
#[test]
fn a_collection_without_its_primary_tells_of_the_others() {
    let scratch = Scratch::new();
    let directory = collection(&scratch);
    let run = |arguments: &[&str]| {
        let mut command = scratch.program(arguments);
        command.env("KRB5CCNAME", format!("DIR:{directory}"));
        crate::Done::new(command.output().unwrap())
    };
    assert_eq!(run(&["kdestroy"]).status, Some(0));
    for tool in [&["klist"][..], &["kvno", "x"], &["kinit", "-R"]] {
        let done = run(tool);
        done.refused(1, "No credentials cache found (DIR:");
        done.refused(1, "`klist -l` lists them, and `kswitch -p PRINCIPAL`");
    }
    run(&["kdestroy", "-A"]);
    run(&["klist"]).refused(1, "log in with kinit, or name another cache");
}

#[test]
fn without_a_cache_each_tool_says_so_in_mits_words() {
    let scratch = Scratch::new();
    let words = "No credentials cache found";
    scratch
        .run(&["klist"])
        .refused(1, &format!("klist: {words} (FILE:"));
    scratch
        .run(&["kvno", "x/y"])
        .refused(1, &format!("kvno: {words}"));
    scratch
        .run(&["kinit", "-R"])
        .refused(1, &format!("kinit: {words}"));
    scratch
        .run(&["kinit", "-v"])
        .refused(1, &format!("kinit: {words}"));
    scratch
        .run(&["kdestroy"])
        .refused(0, &format!("kdestroy: {words}"));
    scratch.run(&["kdestroy", "-q"]).said();
    let quiet = scratch.run(&["klist", "-s"]);
    quiet.refused(1, "");
    assert_eq!(quiet.stderr, "");
}

#[test]
fn a_file_is_a_collection_of_one_that_has_nothing_to_switch() {
    let scratch = Scratch::new();
    let cache = scratch.path().join("cc").display().to_string();
    fill(
        &cache,
        "alice",
        vec![ticket("alice", "krbtgt/TEST.EXAMPLE", 60)],
    );
    let listed = scratch.run(&["klist", "-l"]).said().to_owned();
    assert!(listed.ends_with(&format!("{:<30} FILE:{cache}\n", "alice@TEST.EXAMPLE")));
    let done = scratch.run(&["kswitch", "-c", &cache]);
    done.refused(0, "in no collection with a primary cache");
    scratch
        .run(&["kinit", "-R", "bob"])
        .refused(1, "Matching credential not found");
    scratch
        .run(&["kinit", "-R", "-c", &cache, "bob"])
        .refused(1, "Matching credential not found");
}

/// What a cache without a ticket to renew or validate is told.
#[test]
fn renewal_and_validation_look_at_the_ticket_first() {
    let scratch = Scratch::new();
    let cache = scratch.path().join("cc").display().to_string();
    fill(
        &cache,
        "alice",
        vec![ticket("alice", "krbtgt/TEST.EXAMPLE", 60)],
    );
    scratch.run(&["kinit", "-v"]).refused(1, "is valid already");
    scratch.run(&["kinit", "-R"]).refused(1, "is not renewable");
    scratch
        .run(&["kinit", "-R", "-S", "host/x"])
        .refused(1, "has no ticket for host/x@TEST.EXAMPLE to renew");
    let mut old = ticket("alice", "krbtgt/TEST.EXAMPLE", -3_600);
    old.flags |= TicketFlags::RENEWABLE;
    fill(&cache, "alice", vec![old]);
    scratch
        .run(&["kinit", "-R"])
        .refused(1, "kinit: Ticket expired while renewing credentials: ");
}

#[test]
fn an_input_cache_whose_preauthentication_is_not_built_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.path().join("from");
    let cache = CacheName::File(path.clone());
    fill(&path.display().to_string(), "alice", vec![]);
    let opened = ccache::open(&cache, &Config::default()).unwrap();
    let krbtgt = name("krbtgt/TEST.EXAMPLE");
    opened
        .set_config("pa_type", Some(&krbtgt), Some(b"138"))
        .unwrap();
    // Before any password is asked for: standard input has none.
    scratch
        .run(&["kinit", "-I", "from", "alice"])
        .refused(1, "pre-authentication of type 138");
    scratch
        .run(&["kinit", "-I", "from", "-S", "host/x", "alice"])
        .refused(1, "no password");
}

#[test]
fn details_of_tickets_are_shown_where_they_are_asked_for() {
    let scratch = Scratch::new();
    let cache = scratch.path().join("cc").display().to_string();
    let mut odd = ticket("bob", "HTTP/web", 60);
    odd.addresses = vec![
        HostAddress {
            addr_type: 2,
            address: OctetString::from(vec![192, 0, 2, 7]),
        },
        HostAddress {
            addr_type: 20,
            address: OctetString::from(b"HOST".to_vec()),
        },
    ];
    odd.renew_till = Some(odd.endtime);
    odd.server = name("HTTP/alias");
    fill(&cache, "alice", vec![odd]);
    let shown = scratch
        .run(&["klist", "-a", "-d", "-e", "-f"])
        .said()
        .to_owned();
    let lines: Vec<&str> = shown.lines().skip(4).collect();
    assert!(lines[0].ends_with("  HTTP/alias@TEST.EXAMPLE"), "{shown}");
    assert!(
        lines[1].starts_with("\tfor client bob@TEST.EXAMPLE, renew until "),
        "{shown}"
    );
    assert!(lines[1].ends_with(", Flags: FI"), "{shown}");
    let enctype = "aes256-cts-hmac-sha1-96";
    assert_eq!(
        lines[2],
        format!("\tEtype (skey, tkt): {enctype}, {enctype} , AD types: ")
    );
    assert_eq!(lines[3], "\tAddresses: 192.0.2.7, unknown addrtype 20");
    assert_eq!(lines[4], "\tTicket server: HTTP/web@TEST.EXAMPLE");
    let plain = scratch.run(&["klist"]).said().to_owned();
    assert!(!plain.contains("Addresses") && !plain.contains("Flags"));
}

#[test]
fn json_has_every_cache_and_its_settings() {
    let scratch = Scratch::new();
    let directory = collection(&scratch);
    let name = format!("DIR:{directory}");
    for (options, caches) in [(&["-l"][..], 3), (&["-A"], 3)] {
        let mut arguments = vec!["klist", "--json"];
        arguments.extend(options);
        arguments.push(&name);
        let done = scratch.run(&arguments);
        let value: serde_json::Value = serde_json::from_str(done.said()).unwrap();
        let list = value.as_array().unwrap();
        assert_eq!(list.len(), caches);
        assert_eq!(list[0]["principal"], "alice@TEST.EXAMPLE");
        assert_eq!(list[0]["usable"], true);
        assert!(list.iter().any(|cache| cache["usable"] == false));
    }
}
