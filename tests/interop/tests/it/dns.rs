//! KDCs found through a real name server: dnsmasq with the records that realms publish.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trihound_crypto::OsRandom;
use trihound_interop::Background;
use trihound_kdc_transport::{
    KdcTransport, Record, RecordType, Resolve, ResolverConfig, SystemResolver,
};
use trihound_krb5::{AsExchange, AsRequest, ClientSecret, Config, Environment, Principal};
use trihound_sansio::{ExchangeRequest, Service, SystemClock, Transport, TransportHint, drive};
use trihound_secret::SecretString;

use crate::world::World;

/// A name server for the realm's domain on a free port of loopback.
struct Names {
    address: SocketAddr,
    _server: Background,
}

impl Names {
    /// Starts dnsmasq with these options beside those that keep it to itself.
    fn start(options: &[String]) -> Self {
        // Somebody may take the port in between: then dnsmasq says so and the next one is tried.
        for _ in 0..10 {
            let address = free_port();
            let mut command = Command::new("dnsmasq");
            let path = std::env::var("PATH").unwrap_or_default();
            command
                .env("PATH", format!("{path}:/usr/sbin:/sbin"))
                .args([
                    "--keep-in-foreground",
                    "--conf-file=/dev/null",
                    "--pid-file=",
                ])
                .args([
                    "--no-hosts",
                    "--no-resolv",
                    "--bind-interfaces",
                    "--local-ttl=60",
                ])
                .args(["--user=", "--group=", "--auth-ttl=60", "--log-facility=-"])
                .arg(format!("--listen-address={}", address.ip()))
                .arg(format!("--port={}", address.port()))
                .args(["--local=/test/", "--local=/TEST/"])
                .args(options);
            let server = Background::start(command)
                .unwrap_or_else(|failure| panic!("{failure}; Debian's package dnsmasq-base?"));
            if answers(address) {
                return Self {
                    address,
                    _server: server,
                };
            }
        }
        panic!("dnsmasq serves no port");
    }

    fn resolver(&self) -> SystemResolver {
        let mut config = ResolverConfig::new(vec![self.address]);
        config.timeout = Duration::from_secs(2);
        SystemResolver::with_config(config)
    }
}

fn free_port() -> SocketAddr {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

fn answers(address: SocketAddr) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        let resolver = SystemResolver::with_config(ResolverConfig::new(vec![address]));
        if resolver.query("anything.test", RecordType::A).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// The data of a URI record for an option of dnsmasq: name, type, data in hexadecimal.
fn uri(name: &str, priority: u16, target: &str) -> String {
    let mut data = [priority, 1].map(u16::to_be_bytes).concat();
    data.extend_from_slice(target.as_bytes());
    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("--dns-rr={name},256,{hex}")
}

/// Logs alice in over a transport whose configuration names no KDC.
fn log_in(world: &World, resolver: SystemResolver) -> Result<String, String> {
    let realm = world.realm.variable("KDC_REALM");
    let mut config = Config::default();
    config.default_realm = Some(realm.to_owned());
    let config = Arc::new(config);
    let transport = KdcTransport::new(Arc::clone(&config)).with_resolver(Arc::new(resolver));
    let random = Arc::new(OsRandom);
    let environment = Environment::new(Arc::new(SystemClock), random, config);
    let client = Principal::parse(&format!("alice@{realm}"), None).unwrap();
    let secret = ClientSecret::Password(SecretString::from("Wonder-Land-7"));
    let request = AsRequest::new(client, secret);
    let exchange = AsExchange::begin(request, &environment).unwrap();
    let outcome = drive(exchange, transport).map_err(|error| error.to_string())?;
    Ok(outcome.credentials.client.to_string())
}

#[test]
fn a_realm_is_found_by_its_srv_records() {
    let Some(world) = World::new() else { return };
    let (realm, port) = (
        world.realm.variable("KDC_REALM"),
        world.realm.variable("KDC_PORT"),
    );
    // The first of the list listens nowhere.
    let names = Names::start(&[
        format!("--srv-host=_kerberos._udp.{realm},localhost,9,0,0"),
        format!("--srv-host=_kerberos._udp.{realm},localhost,{port},1,100"),
        format!("--srv-host=_kerberos._tcp.{realm},localhost,{port},0,100"),
    ]);
    assert_eq!(
        log_in(&world, names.resolver()).unwrap(),
        format!("alice@{realm}")
    );
}

#[test]
fn a_realm_is_found_by_its_uri_records() {
    let Some(world) = World::new() else { return };
    let (realm, port) = (
        world.realm.variable("KDC_REALM"),
        world.realm.variable("KDC_PORT"),
    );
    let names = Names::start(&[
        uri(
            &format!("_kerberos.{realm}"),
            1,
            &format!("krb5srv:m:tcp:localhost:{port}"),
        ),
        format!("--srv-host=_kerberos._udp.{realm},localhost,9,0,0"),
        format!("--srv-host=_kerberos._tcp.{realm},localhost,9,0,0"),
    ]);
    assert_eq!(
        log_in(&world, names.resolver()).unwrap(),
        format!("alice@{realm}")
    );
}

#[test]
fn a_realm_that_is_not_in_dns_says_what_was_looked_for() {
    let Some(world) = World::new() else { return };
    let realm = world.realm.variable("KDC_REALM");
    let names = Names::start(&[]);
    let error = log_in(&world, names.resolver()).unwrap_err();
    assert!(
        error.contains(&format!("no SRV record of _kerberos._udp.{realm}")),
        "{error}"
    );
    assert!(error.contains("`kdc = host`"), "{error}");
}

/// Many records do not fit a datagram of 512 bytes.
#[test]
fn a_long_answer_comes_over_tcp() {
    let Some(_) = World::new() else { return };
    let records: Vec<String> = (0..40)
        .map(|index| {
            format!("--srv-host=_kerberos._udp.long.test,kdc{index}.long.test,88,{index},0")
        })
        .collect();
    let names = Names::start(&records);
    let answer = names
        .resolver()
        .query("_kerberos._udp.long.test", RecordType::Srv)
        .unwrap();
    assert_eq!(answer.records.len(), 40);
    let highest = answer.records.iter().map(|record| match record {
        Record::Srv { priority, .. } => *priority,
        other => panic!("{other:?}"),
    });
    assert_eq!(highest.max(), Some(39));
}

/// Names and realms of hosts, as exchanges over the transport.
#[test]
fn hosts_have_full_names_and_realms() {
    let Some(_) = World::new() else { return };
    let names = Names::start(&[
        "--host-record=web1.example.test,192.0.2.1".to_owned(),
        "--cname=www.example.test,web1.example.test".to_owned(),
        "--txt-record=_kerberos.example.test,EXAMPLE.TEST".to_owned(),
        "--ptr-record=1.2.0.192.in-addr.arpa,pointed.example.test".to_owned(),
    ]);
    let resolver = Arc::new(names.resolver());
    for (service, expected) in [
        (Service::HostName { reverse: false }, "web1.example.test"),
        (Service::HostName { reverse: true }, "pointed.example.test"),
        (Service::HostRealm, "EXAMPLE.TEST"),
    ] {
        let config = Arc::new(Config::default());
        let mut transport = KdcTransport::new(config).with_resolver(resolver.clone());
        let answer = transport.round_trip(&ExchangeRequest {
            service,
            realm: String::new(),
            message: b"www.example.test".to_vec(),
            hint: TransportHint::Any,
            route: None,
        });
        assert_eq!(String::from_utf8(answer.unwrap()).unwrap(), expected);
    }
}
