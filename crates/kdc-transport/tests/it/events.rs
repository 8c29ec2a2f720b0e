//! What a round trip tells to whoever traces it.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use trihound_kdc_transport::{
    Answer, KdcTransport, RecordType, Resolve, ResolveError, ServerMemory,
};
use trihound_sansio::{Transport, TransportHint};

use crate::servers::{AS_REP, Server, addresses, config, nobody, quick, request};

/// Keeps every event as a line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

impl Lines {
    fn taken(&self) -> Vec<(Level, String)> {
        core::mem::take(&mut *self.0.lock().unwrap())
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn core::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("trihound_kdc_transport")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let level = *event.metadata().level();
        self.0.lock().unwrap().push((level, line.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Debug)]
struct Telling;

impl Resolve for Telling {
    fn query(&self, name: &str, _: RecordType) -> Result<Answer, ResolveError> {
        tracing::debug!(target: "trihound_kdc_transport::tests", "asked for {name}");
        Ok(Answer::default())
    }

    fn addresses(&self, host: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
        tracing::debug!(target: "trihound_kdc_transport::tests", "asked for {host}");
        Ok(vec![std::net::Ipv4Addr::LOCALHOST.into()])
    }
}

#[test]
fn every_attempt_is_told_with_its_kdc_and_its_end() {
    let kdc = Server::udp(|socket, _, from| {
        let _ = socket.send_to(AS_REP, from);
    });
    let dead = nobody();
    let named = format!("kdc.example:{}", kdc.address.port());
    let kdcs = [addresses(&[dead]), vec![named]].concat();
    let mut transport = KdcTransport::with_limits(config(1465, kdcs), quick())
        .with_memory(ServerMemory::new())
        .with_resolver(Arc::new(Telling));
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        transport.round_trip(&request(TransportHint::Any)).unwrap();
    });
    let told = lines.taken();
    assert!(told.iter().all(|(level, _)| *level == Level::DEBUG));
    let mut rest = told.iter().map(|(_, line)| line.as_str());
    // In this order, with others between.
    for words in [
        &["sending to a KDC", "realm=EXAMPLE.TEST", "attempt=1"][..],
        &["a KDC gave no answer", "refused", "error="],
        &["asked last for the next 60 seconds"],
        &["resolving the name of a KDC", "kdc.example"],
        // On a thread of its own.
        &["asked for kdc.example"],
        &["sending to a KDC", "kdc=udp kdc.example", "bytes=4"],
        &["received the answer of a KDC", "bytes=5"],
    ] {
        let found = rest.any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "{words:?} is missing in {told:#?}");
    }
}
