//! Trihound's own client, in process.

use crate::support::{builder, clock};
use std::sync::Arc;
use std::time::Duration;
use trihound_crypto::OsRandom;
use trihound_krb5::{
    AsExchange, AsOutcome, AsRequest, ClientSecret, Config, Credentials, Environment, Error,
    Principal, TgsExchange, TgsOutcome, TgsRequest,
};
use trihound_sansio::{DriveError, FixedClock, drive};
use trihound_secret::SecretString;
use trihound_test_realm::{RealmTransport, TestRealm};

pub(crate) const REALM: &str = "EXAMPLE.TEST";

pub(crate) fn environment(config: Config) -> Environment {
    environment_at(clock(), config)
}

pub(crate) fn without_timesync() -> Config {
    let mut config = Config::default();
    config.kdc_timesync = false;
    config
}

pub(crate) fn environment_at(clock: Arc<FixedClock>, config: Config) -> Environment {
    Environment::new(clock, Arc::new(OsRandom), Arc::new(config))
}

pub(crate) fn principal(text: &str) -> Principal {
    Principal::parse(text, Some(REALM)).unwrap()
}

pub(crate) fn alice() -> AsRequest {
    as_client("alice", "password")
}

pub(crate) fn as_client(client: &str, password: &str) -> AsRequest {
    let secret = ClientSecret::Password(SecretString::from(password));
    let mut request = AsRequest::new(principal(client), secret);
    request.lifetime = Some(Duration::from_secs(36_000));
    request
}

pub(crate) fn ended<T>(result: Result<T, DriveError<Error>>) -> Result<T, Error> {
    result.map_err(|error| match error {
        DriveError::Protocol(error) => error,
        other => panic!("{other}"),
    })
}

pub(crate) fn log_in(
    realm: &Arc<TestRealm>,
    request: AsRequest,
    environment: &Environment,
) -> Result<AsOutcome, Error> {
    let exchange = AsExchange::begin(request, environment)?;
    ended(drive(exchange, realm.transport()))
}

pub(crate) fn ticket(
    transport: RealmTransport,
    request: TgsRequest,
    environment: &Environment,
) -> Result<TgsOutcome, Error> {
    let exchange = TgsExchange::begin(request, environment)?;
    ended(drive(exchange, transport))
}

/// A realm and a ticket-granting ticket of its client.
pub(crate) fn logged_in() -> (Arc<TestRealm>, Environment, Arc<Credentials>) {
    let realm = builder().build().unwrap();
    let environment = environment(Config::default());
    let outcome = log_in(&realm, alice(), &environment).unwrap();
    (realm, environment, Arc::new(outcome.credentials))
}

pub(crate) fn service(
    realm: &Arc<TestRealm>,
    tgt: &Arc<Credentials>,
    environment: &Environment,
) -> Result<TgsOutcome, Error> {
    let request = TgsRequest::new(Arc::clone(tgt), principal("HTTP/localhost"));
    ticket(realm.transport(), request, environment)
}

pub(crate) fn two_realms() -> (
    Arc<TestRealm>,
    Arc<TestRealm>,
    Environment,
    Arc<Credentials>,
) {
    let here = builder()
        .trust("B.TEST", "shared")
        .domain("b.test", "B.TEST")
        .build()
        .unwrap();
    let there = TestRealm::builder("B.TEST")
        .trust(REALM, "shared")
        .service("HTTP/web.b.test")
        .clock(clock())
        .build()
        .unwrap();
    let environment = environment(Config::default());
    let tgt = log_in(&here, alice(), &environment).unwrap().credentials;
    (here, there, environment, Arc::new(tgt))
}
