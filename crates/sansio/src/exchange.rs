use core::fmt;

use thiserror::Error;

/// A message that has to reach a service and be answered, before the protocol can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeRequest {
    /// Which service of the realm is meant.
    pub service: Service,
    /// The realm (or domain) whose service is meant.
    pub realm: String,
    /// The request, without the transport's own framing.
    pub message: Vec<u8>,
    /// What is known about how to send it.
    pub hint: TransportHint,
    /// Where to, when the protocol itself decides it.
    pub route: Option<Route>,
}

/// The kinds of services that an exchange may be with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Service {
    /// A Key Distribution Center (RFC 4120 section 7.2).
    Kdc,
    /// The password-change service (RFC 3244).
    Kpasswd,
    /// A replay cache that several hosts share.
    ReplayCache,
    /// A domain controller that verifies an NTLM response.
    Verifier,
    /// DNS, which is asked for the full name of a host: the last name of its chain of CNAME records
    /// (RFC 4120 section 1.3 says why that is asked for only when somebody configured it).
    ///
    /// The message is the host name in UTF-8, perhaps short, and the realm is empty. The answer is
    /// the full name in UTF-8, in lower case and without a final dot. A host that DNS does not know
    /// is a failure.
    HostName {
        /// Whether the full name is then that of the first address's PTR record, where it has one.
        reverse: bool,
    },
    /// DNS, which is asked for the realm of a host: the TXT record `_kerberos.HOST`, else that of
    /// the domains around it (krb5.conf(5), `dns_lookup_realm`).
    ///
    /// The message is the host name in UTF-8 and the realm is empty. The answer is the realm's name.
    /// A host for which DNS names no realm is a failure.
    HostRealm,
    /// This host itself: from which of its addresses it would reach the password-change service of the
    /// realm. Nothing is sent for it.
    ///
    /// The message is empty. The answer is the address, 4 or 16 bytes in network byte order. A transport that
    /// does not know fails, and the exchange goes on with a guess.
    LocalAddress,
}

/// How the message should travel, and to whom.
///
/// A transport that cannot tell a primary KDC from its replicas fails where
/// [`Self::is_primary_only`] ([`TransportFailure::no_primary`]): asking the same server again would
/// only count one wrong password twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportHint {
    /// The transport's choice, by size.
    #[default]
    Any,
    /// A stream only: a datagram's answer would not fit (KRB_ERR_RESPONSE_TOO_BIG, RFC 4120
    /// section 7.2.1).
    StreamOnly,
    /// A primary KDC only, which knows of a password change before its replicas do. With no such
    /// server, or none that answers, the round trip fails.
    PrimaryOnly,
    /// A primary KDC only, and over a stream only.
    PrimaryStreamOnly,
}

impl TransportHint {
    /// Whether no datagram may be sent.
    #[must_use]
    pub const fn is_stream_only(self) -> bool {
        matches!(self, Self::StreamOnly | Self::PrimaryStreamOnly)
    }

    /// Whether only a primary KDC may be asked.
    #[must_use]
    pub const fn is_primary_only(self) -> bool {
        matches!(self, Self::PrimaryOnly | Self::PrimaryStreamOnly)
    }

    /// The same servers, over a stream.
    #[must_use]
    pub const fn over_a_stream(self) -> Self {
        if self.is_primary_only() {
            Self::PrimaryStreamOnly
        } else {
            Self::StreamOnly
        }
    }
}

/// Whom the protocol or the credential prescribes: `host`, `host:port`, `tcp/host:port` or
/// `udp/host:port`, or `https://host:port/path`, a KDC proxy (MS-KKDCP).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route(pub String);

/// What became of an [`ExchangeRequest`].
#[derive(Clone, Copy, Debug)]
pub enum Reply<'a> {
    /// The service's answer, without the transport's framing.
    Bytes(&'a [u8]),
    /// Nobody answered.
    Failed(&'a TransportFailure),
}

/// Where an exchange stands after a step.
#[must_use]
#[derive(Debug)]
pub enum Progress<T> {
    /// A round trip is needed; step again with its [`Reply`].
    Exchange(ExchangeRequest),
    /// The exchange is over.
    Done(T),
}

/// A protocol that needs some round trips and then has a result.
pub trait Exchange {
    /// What the exchange is for.
    type Output;
    /// Why it may fail.
    type Error;

    /// Goes on. `None` is for the first step only; each later one brings the reply to the request
    /// of the step before. After an error or `Done` the exchange is over.
    ///
    /// # Errors
    ///
    /// Whatever the protocol says; a failed step is final.
    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<Self::Output>, Self::Error>;
}

impl<X: Exchange + ?Sized> Exchange for Box<X> {
    type Output = X::Output;
    type Error = X::Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<Self::Output>, Self::Error> {
        (**self).step(reply)
    }
}

/// Sends a request and waits for its answer.
///
/// Ten lines over a socket make one: send `request.message` to a KDC of `request.realm`, return
/// the bytes of the answer. Timeouts, retries and the choice among several KDCs are its business.
pub trait Transport {
    /// One round trip.
    ///
    /// # Errors
    ///
    /// [`TransportFailure`] when nobody answered.
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure>;
}

impl<T: Transport + ?Sized> Transport for &mut T {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        (**self).round_trip(request)
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        (**self).round_trip(request)
    }
}

/// The asynchronous counterpart of [`Transport`], for whichever runtime its maker chose.
///
/// Dropping the future gives the round trip up; nothing that it opened may stay behind for long.
///
/// ```
/// use trihound_sansio::{AsyncTransport, ExchangeRequest, TransportFailure};
///
/// struct Recorded(Vec<u8>);
///
/// impl AsyncTransport for Recorded {
///     async fn round_trip(&mut self, _: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
///         Ok(self.0.clone())
///     }
/// }
/// ```
pub trait AsyncTransport: Send {
    /// One round trip.
    ///
    /// # Errors
    ///
    /// [`TransportFailure`] when nobody answered.
    fn round_trip(
        &mut self,
        request: &ExchangeRequest,
    ) -> impl Future<Output = Result<Vec<u8>, TransportFailure>> + Send;
}

impl<T: AsyncTransport + ?Sized> AsyncTransport for &mut T {
    fn round_trip(
        &mut self,
        request: &ExchangeRequest,
    ) -> impl Future<Output = Result<Vec<u8>, TransportFailure>> + Send {
        (**self).round_trip(request)
    }
}

impl<T: AsyncTransport + ?Sized> AsyncTransport for Box<T> {
    fn round_trip(
        &mut self,
        request: &ExchangeRequest,
    ) -> impl Future<Output = Result<Vec<u8>, TransportFailure>> + Send {
        (**self).round_trip(request)
    }
}

/// Nobody answered a request; `attempts` tells what was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransportFailure {
    /// The realm whose service was asked.
    pub realm: String,
    /// One line for each thing tried: where, and what came of it.
    pub attempts: Vec<String>,
    /// What the caller can do about it.
    pub advice: String,
}

impl TransportFailure {
    /// No server of `realm` is known as a primary one; see [`TransportHint::PrimaryOnly`].
    #[must_use]
    pub fn no_primary(realm: &str) -> Self {
        Self {
            realm: realm.to_owned(),
            attempts: Vec::new(),
            advice: format!("no KDC of {realm} is known as its primary one"),
        }
    }
}

impl fmt::Display for TransportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no service of realm {} answered", self.realm)?;
        if !self.attempts.is_empty() {
            write!(f, " ({})", self.attempts.join("; "))?;
        }
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

impl core::error::Error for TransportFailure {}

/// Why [`drive`] or [`drive_async`] ended without a result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DriveError<E> {
    /// The protocol failed.
    #[error(transparent)]
    Protocol(E),
    /// The protocol asked for more round trips than any of ours needs; a limit of last resort.
    #[error(
        "the exchange did not end within {MAX_ROUND_TRIPS} round trips; the service sends it in circles"
    )]
    TooManyRoundTrips,
}

/// Round trips that [`drive`] and [`drive_async`] allow. The exchanges have tighter limits of their own (pre-auth
/// rounds, referral hops); this one only makes a mistake there end.
pub const MAX_ROUND_TRIPS: usize = 64;

/// Runs an exchange to its end over a blocking transport.
///
/// A transport failure goes into the exchange as [`Reply::Failed`], so that the protocol's own
/// error tells what it was about.
///
/// # Errors
///
/// The exchange's error, or [`DriveError::TooManyRoundTrips`].
pub fn drive<X: Exchange, T: Transport>(
    mut exchange: X,
    mut transport: T,
) -> Result<X::Output, DriveError<X::Error>> {
    let mut answer = None;
    for _ in 0..=MAX_ROUND_TRIPS {
        match step(&mut exchange, answer.as_ref())? {
            Progress::Done(output) => return Ok(output),
            Progress::Exchange(request) => answer = Some(transport.round_trip(&request)),
        }
    }
    Err(DriveError::TooManyRoundTrips)
}

/// Runs an exchange to its end over an asynchronous transport: [`drive`] with `.await`.
///
/// The future is `Send` where the exchange is, and needs no particular runtime but the
/// transport's. Dropping it gives the exchange up.
///
/// # Errors
///
/// The exchange's error, or [`DriveError::TooManyRoundTrips`].
pub async fn drive_async<X: Exchange, T: AsyncTransport>(
    mut exchange: X,
    mut transport: T,
) -> Result<X::Output, DriveError<X::Error>> {
    let mut answer = None;
    for _ in 0..=MAX_ROUND_TRIPS {
        match step(&mut exchange, answer.as_ref())? {
            Progress::Done(output) => return Ok(output),
            Progress::Exchange(request) => answer = Some(transport.round_trip(&request).await),
        }
    }
    Err(DriveError::TooManyRoundTrips)
}

fn step<X: Exchange>(
    exchange: &mut X,
    answer: Option<&Result<Vec<u8>, TransportFailure>>,
) -> Result<Progress<X::Output>, DriveError<X::Error>> {
    let reply = answer.map(|answer| match answer {
        Ok(bytes) => Reply::Bytes(bytes),
        Err(failure) => Reply::Failed(failure),
    });
    exchange.step(reply).map_err(DriveError::Protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Countdown(usize);

    impl Exchange for Countdown {
        type Output = &'static str;
        type Error = String;

        fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<Self::Output>, String> {
            if let Some(Reply::Failed(failure)) = reply {
                return Err(failure.to_string());
            }
            if self.0 == 0 {
                return Ok(Progress::Done("lift-off"));
            }
            self.0 -= 1;
            Ok(Progress::Exchange(ExchangeRequest {
                service: Service::Kdc,
                realm: "R".into(),
                message: vec![],
                hint: TransportHint::Any,
                route: None,
            }))
        }
    }

    struct Echo;

    impl Transport for Echo {
        fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
            Ok(request.message.clone())
        }
    }

    struct Dead;

    impl Transport for Dead {
        fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
            Err(TransportFailure {
                realm: request.realm.clone(),
                attempts: vec!["127.0.0.1:88: refused".into()],
                advice: "start a KDC".into(),
            })
        }
    }

    impl AsyncTransport for Echo {
        async fn round_trip(&mut self, r: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
            // One turn of waiting, so that a driver that polls only once is found out.
            let mut waited = false;
            core::future::poll_fn(|context| {
                if core::mem::replace(&mut waited, true) {
                    return core::task::Poll::Ready(());
                }
                context.waker().wake_by_ref();
                core::task::Poll::Pending
            })
            .await;
            Ok(r.message.clone())
        }
    }

    impl AsyncTransport for Dead {
        async fn round_trip(&mut self, r: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
            Transport::round_trip(self, r)
        }
    }

    /// Polls to the end; nothing here waits for anything outside.
    fn finish<F: Future + Send>(future: F) -> F::Output {
        let mut future = core::pin::pin!(future);
        let mut context = core::task::Context::from_waker(core::task::Waker::noop());
        loop {
            if let core::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
        }
    }

    #[test]
    fn an_asynchronous_driver_does_as_the_blocking_one() {
        let to_the_end = |count, transport: Echo| finish(drive_async(Countdown(count), transport));
        assert_eq!(to_the_end(3, Echo).unwrap(), "lift-off");
        assert_eq!(to_the_end(MAX_ROUND_TRIPS, Echo).unwrap(), "lift-off");
        assert!(matches!(
            to_the_end(MAX_ROUND_TRIPS + 1, Echo),
            Err(DriveError::TooManyRoundTrips)
        ));
        let Err(DriveError::Protocol(text)) = finish(drive_async(Countdown(1), &mut Dead)) else {
            panic!("must fail");
        };
        assert!(text.contains("start a KDC"), "{text}");
    }

    #[test]
    fn a_hint_keeps_its_servers_when_it_turns_to_a_stream() {
        for (hint, stream) in [
            (TransportHint::Any, TransportHint::StreamOnly),
            (TransportHint::StreamOnly, TransportHint::StreamOnly),
            (TransportHint::PrimaryOnly, TransportHint::PrimaryStreamOnly),
            (
                TransportHint::PrimaryStreamOnly,
                TransportHint::PrimaryStreamOnly,
            ),
        ] {
            assert_eq!(hint.over_a_stream(), stream);
            assert_eq!(hint.is_primary_only(), stream.is_primary_only());
            assert!(stream.is_stream_only());
        }
        assert!(!TransportHint::Any.is_stream_only());
        assert!(!TransportHint::PrimaryOnly.is_stream_only());
    }

    #[test]
    fn drives_to_the_end() {
        assert_eq!(drive(Countdown(3), Echo).unwrap(), "lift-off");
        assert_eq!(drive(Countdown(MAX_ROUND_TRIPS), Echo).unwrap(), "lift-off");
    }

    #[test]
    fn an_endless_exchange_is_cut_off() {
        assert!(matches!(
            drive(Countdown(MAX_ROUND_TRIPS + 1), Echo),
            Err(DriveError::TooManyRoundTrips)
        ));
    }

    #[test]
    fn a_dead_service_reaches_the_protocol_with_what_was_tried() {
        let Err(DriveError::Protocol(text)) = drive(Countdown(1), Dead) else {
            panic!("must fail");
        };
        assert_eq!(
            text,
            "no service of realm R answered (127.0.0.1:88: refused); start a KDC"
        );
    }
}
