use std::sync::Arc;

use trihound_sansio::{ExchangeRequest, Service, Transport, TransportFailure};

use crate::realm::{Carrier, TestRealm};

/// The longest request that goes as a datagram.
const MAX_DATAGRAM: usize = 1465;

/// An in-process transport: the KDCs of some realms, without a socket.
#[derive(Clone, Debug)]
pub struct RealmTransport {
    realms: Vec<Arc<TestRealm>>,
    round_trips: usize,
}

impl RealmTransport {
    /// A transport to these realms.
    #[must_use]
    pub fn to(realms: impl IntoIterator<Item = Arc<TestRealm>>) -> Self {
        Self {
            realms: realms.into_iter().collect(),
            round_trips: 0,
        }
    }

    /// The same with one more realm.
    #[must_use]
    pub fn and(mut self, realm: &Arc<TestRealm>) -> Self {
        self.realms.push(Arc::clone(realm));
        self
    }

    /// How many round trips there were, the lost ones included.
    #[must_use]
    pub fn round_trips(&self) -> usize {
        self.round_trips
    }
}

impl Transport for RealmTransport {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        // A realm has one KDC, and asking it as the primary would be asking it again.
        if request.hint.is_primary_only() {
            return Err(TransportFailure::no_primary(&request.realm));
        }
        self.round_trips = self.round_trips.saturating_add(1);
        let failure = |attempt: &str, advice: &str| TransportFailure {
            realm: request.realm.clone(),
            attempts: vec![format!("in process: {attempt}")],
            advice: advice.to_owned(),
        };
        if request.service == Service::LocalAddress {
            return Ok(vec![127, 0, 0, 1]);
        }
        if !matches!(request.service, Service::Kdc | Service::Kpasswd) {
            return Err(failure(
                "a test realm has a KDC and a password service only",
                "use a real server for this service",
            ));
        }
        let Some(realm) = self.realms.iter().find(|r| r.name() == request.realm) else {
            return Err(failure(
                "no such test realm",
                "add the realm to the transport with RealmTransport::and",
            ));
        };
        let datagram = !request.hint.is_stream_only() && request.message.len() <= MAX_DATAGRAM;
        // A lost datagram is followed by a stream, as a real transport does.
        let carriers: &[Carrier] = if datagram {
            &[Carrier::Datagram, Carrier::Stream]
        } else {
            &[Carrier::Stream]
        };
        carriers
            .iter()
            .find_map(|&carrier| match request.service {
                Service::Kpasswd => realm.answer_kpasswd(&request.message, carrier),
                _ => realm.answer(&request.message, carrier),
            })
            .ok_or_else(|| failure("no reply", "clear the faults of the test realm"))
    }
}
