use core::pin::Pin;

use trihound_sansio::{AsyncTransport, ExchangeRequest, Transport, TransportFailure};

type RoundTrip<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, TransportFailure>> + Send + 'a>>;

/// A blocking transport for asynchronous programs: each round trip has a thread of the runtime's for
/// blocking work. Dropping the future does not end a round trip that has begun.
#[derive(Clone, Debug)]
pub struct OffThread<T>(pub T);

impl<T: Transport + Clone + Send + 'static> AsyncTransport for OffThread<T> {
    async fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        let (mut transport, request) = (self.0.clone(), request.clone());
        let realm = request.realm.clone();
        let outcome = super::off_thread(move || {
            let answer = transport.round_trip(&request);
            (transport, answer)
        });
        match outcome.await {
            Ok((transport, answer)) => {
                // What it learnt on the way, such as who answered, is kept.
                self.0 = transport;
                answer
            }
            Err(error) => Err(TransportFailure {
                realm,
                attempts: vec![error.to_string()],
                advice: String::new(),
            }),
        }
    }
}

/// Makes the transports of single exchanges.
pub(super) trait AsyncTransports: Send + Sync {
    fn transport(&self) -> AnyTransport;
}

impl<T: AsyncTransport + Clone + Sync + 'static> AsyncTransports for T {
    fn transport(&self) -> AnyTransport {
        AnyTransport(Box::new(self.clone()))
    }
}

/// An asynchronous transport of whatever type.
pub(super) struct AnyTransport(pub(super) Box<dyn BoxedTransport>);

pub(super) trait BoxedTransport: Send {
    fn boxed_round_trip<'a>(&'a mut self, request: &'a ExchangeRequest) -> RoundTrip<'a>;
}

impl<T: AsyncTransport> BoxedTransport for T {
    fn boxed_round_trip<'a>(&'a mut self, request: &'a ExchangeRequest) -> RoundTrip<'a> {
        Box::pin(self.round_trip(request))
    }
}

impl AsyncTransport for AnyTransport {
    async fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        self.0.boxed_round_trip(request).await
    }
}
