//! One request on the wire, however many want what it brings.
//!
//! The first who wants a thing leads a flight for it; whoever comes meanwhile waits for that flight,
//! on a thread or in a task. A flight that fails fails its waiters with the same error, and the thing
//! is not asked for again before a rest that grows from failure to failure. A leader who goes away
//! (a task that was dropped) fails nobody: one of the waiters leads the next flight. So it is with one
//! of whom nothing is heard for longer than a round trip may take (a task in a runtime that nobody
//! polls): what it brings in the end is not counted.
//!
//! A secret that a KDC refused is not sent again by itself: each attempt may count towards locking the
//! account. It rests for long, or until the keytab has others.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
#[cfg(any(feature = "tokio", test))]
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use trihound_asn1::error_code;
use trihound_kerberos::LoginSecret;
use trihound_sansio::{ExchangeRequest, Timestamp, Transport, TransportFailure};
use trihound_sspi::Error;

/// The rest after a first failure; it doubles with each further one.
const FIRST_REST: Duration = Duration::from_secs(1);

/// The longest rest: a KDC that is back is noticed within it.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The rest after a secret was refused: long enough that one guess an hour locks no account by the
/// usual policies (a few failures within some ten minutes), short enough that an account that was
/// mended is noticed the same day.
const REFUSED_REST: Duration = Duration::from_secs(3600);

/// What a leader may take besides its round trip before it counts as gone: caches and keytabs may be
/// on slow disks, behind locks and daemons, and tasks wait for their turn.
pub(crate) const LANDING_MARGIN: Duration = Duration::from_secs(3);

/// Things of which a failure is remembered, before those that may be asked for again are forgotten.
const MAX_REMEMBERED: usize = 1024;

/// What a flight is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Errand {
    /// The credential's ticket-granting ticket.
    Granting,
    /// A ticket for the service of this name.
    Service(String),
}

/// The flights of one credential. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Flights {
    board: Arc<Mutex<HashMap<Errand, Entry>>>,
    /// How long a leader may be silent.
    patience: Duration,
}

#[derive(Debug, Default)]
struct Entry {
    flight: Option<Arc<Flight>>,
    rest: Option<Rest>,
}

/// After a failure.
#[derive(Clone, Debug)]
struct Rest {
    failures: u32,
    since: Timestamp,
    until: Timestamp,
    error: Error,
    /// The secret that the KDC refused.
    refused: Option<LoginSecret>,
}

/// What came of wanting a thing.
#[derive(Debug)]
pub(crate) enum Joined {
    /// Nobody is on the way: the caller goes.
    Leader(Leader),
    /// Somebody is on the way.
    Follower(Arc<Flight>),
    /// The last attempt failed a moment ago.
    Resting(Error),
}

/// A flight under way, as its waiters see it.
#[derive(Debug)]
pub(crate) struct Flight {
    state: Mutex<Waiting>,
    landed: Condvar,
    patience: Duration,
}

#[derive(Debug)]
struct Waiting {
    /// When the leader was last heard of. Not by the credential's clock: that one may be set.
    heard: Instant,
    landing: Option<Landing>,
    wakers: Vec<Waker>,
}

/// How a flight ended; `None` inside: its leader went away.
type Landing = Option<Result<(), Error>>;

/// A flight under way, as its leader has it. Dropping it lands it without a result.
#[derive(Debug)]
pub(crate) struct Leader {
    flights: Flights,
    errand: Errand,
    flight: Arc<Flight>,
    /// What it logs in with.
    secret: Option<LoginSecret>,
    has_landed: bool,
}

impl Rest {
    /// Whether it is over. A clock that was set back prolongs it by no more than its length.
    fn is_over(&self, now: Timestamp) -> bool {
        let length = self.until.distance(self.since);
        now >= self.until || now < self.since.minus(length)
    }

    fn after(failures: u32, now: Timestamp, error: Error, secret: Option<LoginSecret>) -> Self {
        let refused = secret.filter(|_| is_final(&error));
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1));
        let length = match (&refused, doubled) {
            (Some(_), _) => REFUSED_REST,
            (None, Some(factor)) => FIRST_REST.saturating_mul(factor).min(LONGEST_REST),
            (None, None) => LONGEST_REST,
        };
        Self {
            failures,
            since: now,
            until: now.plus(length),
            error,
            refused,
        }
    }

    fn refusal(&self, secret: &LoginSecret) -> String {
        let what = match secret.is_password() {
            true => {
                "the same password is not sent again by itself before {}, lest the account be \
                 locked; mend the password or the account, and build the client anew"
            }
            false => {
                "the same keys are not sent again by themselves before {}, lest the account be \
                 locked; mend the keytab, which is noticed at once, or the account"
            }
        };
        let what = what.replace("{}", &self.until.to_string());
        format!("{} (refused at {}; {what})", self.error.text(), self.since)
    }

    /// The error of the failure, with when the next attempt may be.
    fn error(&self, now: Timestamp) -> Error {
        let wait = self.until.distance(now).as_millis();
        let text = match &self.refused {
            Some(secret) => self.refusal(secret),
            None => format!(
                "{} (attempt {} failed {} ms ago; the next one may be in {wait} ms)",
                self.error.text(),
                self.failures,
                now.distance(self.since).as_millis(),
            ),
        };
        Error::new(self.error.status(), text).with_source(self.error.clone())
    }
}

/// Whether the KDC refused a login for what repetition makes worse or cannot cure.
fn is_final(error: &Error) -> bool {
    let Some(trihound_krb5::Error::KdcRefused(refused)) = error.find_source() else {
        return false;
    };
    matches!(
        refused.code,
        error_code::KDC_ERR_PREAUTH_FAILED
            | error_code::KRB_AP_ERR_BAD_INTEGRITY
            | error_code::KDC_ERR_KEY_EXPIRED
            | error_code::KDC_ERR_CLIENT_REVOKED
            | error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN
            | error_code::KDC_ERR_NAME_EXP
    )
}

impl Flights {
    /// Flights whose leaders are waited for as long as they are not silent for longer than this.
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            board: Arc::default(),
            patience,
        }
    }

    fn board(&self) -> MutexGuard<'_, HashMap<Errand, Entry>> {
        // Each change under the lock is one assignment, so a panic elsewhere leaves the map whole.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lead for `errand`, or a place among its waiters.
    pub(crate) fn join(&self, errand: &Errand, now: Timestamp) -> Joined {
        let mut board = self.board();
        if board.len() >= MAX_REMEMBERED && !board.contains_key(errand) {
            board.retain(|_, entry| {
                entry.flight.is_some() || entry.rest.as_ref().is_some_and(|rest| !rest.is_over(now))
            });
        }
        let entry = board.entry(errand.clone()).or_default();
        if let Some(flight) = entry.flight.as_ref().filter(|flight| !flight.is_lost()) {
            return Joined::Follower(Arc::clone(flight));
        }
        if let Some(rest) = entry.rest.as_ref().filter(|rest| !rest.is_over(now)) {
            return Joined::Resting(rest.error(now));
        }
        let flight = Arc::new(Flight::new(self.patience));
        entry.flight = Some(Arc::clone(&flight));
        Joined::Leader(Leader {
            flights: self.clone(),
            errand: errand.clone(),
            flight,
            secret: None,
            has_landed: false,
        })
    }

    /// When the last attempt failed, and the secret that was refused then.
    pub(crate) fn failure(&self, errand: &Errand) -> Option<(Timestamp, Option<LoginSecret>)> {
        let board = self.board();
        let rest = board.get(errand)?.rest.as_ref()?;
        Some((rest.since, rest.refused.clone()))
    }

    /// Ends the rest after the failure of that moment: there is another secret.
    pub(crate) fn forgive(&self, errand: &Errand, since: Timestamp) {
        let mut board = self.board();
        if let Some(entry) = board.get_mut(errand) {
            entry.rest.take_if(|rest| rest.since == since);
        }
    }

    /// Until when nobody is to be asked for `errand`, if the last attempt failed.
    pub(crate) fn resting_until(&self, errand: &Errand) -> Option<Timestamp> {
        let board = self.board();
        let rest = board.get(errand)?.rest.as_ref()?;
        Some(rest.until)
    }

    /// What `leader` brought. One that counted as gone has no say any more.
    fn land(&self, leader: &Leader, failed: Option<(Error, Timestamp)>) {
        let mut board = self.board();
        let errand = &leader.errand;
        if !is_on_board(&board, leader) {
            return;
        }
        match failed {
            // What is neither under way nor resting needs no entry.
            None => {
                board.remove(errand);
            }
            Some((error, now)) => {
                let entry = board.entry(errand.clone()).or_default();
                let failures = entry.rest.as_ref().map_or(0, |rest| rest.failures);
                entry.flight = None;
                entry.rest = Some(Rest::after(
                    failures.saturating_add(1),
                    now,
                    error,
                    leader.secret.clone(),
                ));
            }
        }
    }

    /// The leader went away: what was known of failures stays.
    fn abandon(&self, leader: &Leader) {
        let mut board = self.board();
        if !is_on_board(&board, leader) {
            return;
        }
        match board.get_mut(&leader.errand) {
            Some(entry) if entry.rest.is_some() => entry.flight = None,
            _ => {
                board.remove(&leader.errand);
            }
        }
    }
}

/// Whether the flight is still the one that all wait for.
fn is_on_board(board: &HashMap<Errand, Entry>, leader: &Leader) -> bool {
    board
        .get(&leader.errand)
        .and_then(|entry| entry.flight.as_ref())
        .is_some_and(|flight| Arc::ptr_eq(flight, &leader.flight))
}

/// A transport whose use is a sign of its leader's life.
pub(crate) struct Heard<'a, T>(pub(crate) &'a Leader, pub(crate) T);

impl<T: Transport> Transport for Heard<'_, T> {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        self.0.is_on_its_way();
        self.1.round_trip(request)
    }
}

impl Leader {
    /// Says what it logs in with, so that the same is not sent again if the KDC refuses it.
    pub(crate) fn with_secret(mut self, secret: Option<LoginSecret>) -> Self {
        self.secret = secret;
        self
    }

    /// Tells those who wait that it goes on: before each round trip.
    pub(crate) fn is_on_its_way(&self) {
        self.flight.lock().heard = Instant::now();
    }

    /// Ends the flight and wakes its waiters.
    pub(crate) fn land(mut self, outcome: &Result<(), Error>, now: Timestamp) {
        self.has_landed = true;
        let failed = outcome.as_ref().err().map(|error| (error.clone(), now));
        self.flights.land(&self, failed);
        self.flight.land(Some(outcome.clone()));
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.has_landed {
            self.flights.abandon(self);
            self.flight.land(None);
        }
    }
}

impl Waiting {
    fn patience(&self, whole: Duration) -> Duration {
        whole.saturating_sub(self.heard.elapsed())
    }
}

impl Flight {
    fn new(patience: Duration) -> Self {
        Self {
            state: Mutex::new(Waiting {
                heard: Instant::now(),
                landing: None,
                wakers: Vec::new(),
            }),
            landed: Condvar::new(),
            patience,
        }
    }

    /// How long it is to be waited for yet, if nothing is heard.
    pub(crate) fn patience(&self) -> Duration {
        self.lock().patience(self.patience)
    }

    fn is_lost(&self) -> bool {
        self.patience().is_zero()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn land(&self, landing: Landing) {
        let mut waiting = self.lock();
        waiting.landing = Some(landing);
        let wakers = core::mem::take(&mut waiting.wakers);
        drop(waiting);
        self.landed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits on this thread; `None` when the leader went away, or was silent for too long.
    pub(crate) fn wait(&self) -> Option<Result<(), Error>> {
        let mut waiting = self.lock();
        loop {
            if let Some(landing) = &waiting.landing {
                return landing.clone();
            }
            let patience = waiting.patience(self.patience);
            if patience.is_zero() {
                return None;
            }
            let woken = self.landed.wait_timeout(waiting, patience);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits in a task; `None` when the leader went away.
    #[cfg(any(feature = "tokio", test))]
    pub(crate) async fn landed(&self) -> Option<Result<(), Error>> {
        core::future::poll_fn(|context| self.poll(context)).await
    }

    #[cfg(any(feature = "tokio", test))]
    fn poll(&self, context: &Context<'_>) -> Poll<Option<Result<(), Error>>> {
        let mut waiting = self.lock();
        if let Some(landing) = &waiting.landing {
            return Poll::Ready(landing.clone());
        }
        let waker = context.waker();
        if !waiting.wakers.iter().any(|known| known.will_wake(waker)) {
            waiting.wakers.push(waker.clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use trihound_sspi::SecurityStatus;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn failure() -> Error {
        Error::new(
            SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY,
            "nobody answered",
        )
    }

    fn lead(flights: &Flights, now: i64) -> Leader {
        match flights.join(&Errand::Granting, at(now)) {
            Joined::Leader(leader) => leader,
            other => panic!("expected the lead, got {other:?}"),
        }
    }

    fn follow(flights: &Flights, now: i64) -> Arc<Flight> {
        match flights.join(&Errand::Granting, at(now)) {
            Joined::Follower(flight) => flight,
            other => panic!("expected a flight to wait for, got {other:?}"),
        }
    }

    #[test]
    fn those_who_come_while_one_is_on_the_way_get_what_it_brings() {
        let flights = Flights::new(Duration::from_secs(60));
        let leader = lead(&flights, 0);
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let flight = follow(&flights, 0);
                std::thread::spawn(move || flight.wait())
            })
            .collect();
        // Another thing is another flight.
        let other = Errand::Service("HTTP/other".into());
        assert!(matches!(flights.join(&other, at(0)), Joined::Leader(_)));
        leader.land(&Ok(()), at(0));
        for thread in waiting {
            assert!(matches!(thread.join().unwrap(), Some(Ok(()))));
        }
        drop(lead(&flights, 0));
    }

    #[test]
    fn a_failure_is_that_of_all_and_the_rest_after_it_grows_to_its_limit() {
        let flights = Flights::new(Duration::from_secs(60));
        let mut now = 0;
        for rest in [1, 2, 4, 8, 16, 30, 30] {
            let leader = lead(&flights, now);
            let waiter = follow(&flights, now);
            leader.land(&Err(failure()), at(now));
            let told = waiter.wait().unwrap().unwrap_err();
            assert_eq!(told.text(), failure().text());
            let Joined::Resting(error) = flights.join(&Errand::Granting, at(now + rest - 1)) else {
                panic!("it has to rest for {rest} s");
            };
            assert_eq!(error.status(), failure().status());
            assert!(
                error.text().starts_with("nobody answered (attempt"),
                "{error}"
            );
            now += rest;
            assert_eq!(flights.resting_until(&Errand::Granting), Some(at(now)));
        }
        lead(&flights, now).land(&Ok(()), at(now));
        assert_eq!(flights.resting_until(&Errand::Granting), None);
        // What went well once begins with the short rest again.
        lead(&flights, now).land(&Err(failure()), at(now));
        drop(lead(&flights, now + 1));
    }

    #[test]
    fn a_clock_set_back_does_not_prolong_a_rest() {
        let flights = Flights::new(Duration::from_secs(60));
        lead(&flights, 1_000).land(&Err(failure()), at(1_000));
        drop(lead(&flights, 10));
    }

    #[test]
    fn a_leader_who_goes_away_leaves_the_lead_to_a_waiter() {
        let flights = Flights::new(Duration::from_secs(60));
        let leader = lead(&flights, 0);
        let waiter = follow(&flights, 0);
        drop(leader);
        assert!(waiter.wait().is_none());
        drop(lead(&flights, 0));
    }

    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_task_that_waits_is_woken_once() {
        let flights = Flights::new(Duration::from_secs(60));
        let leader = lead(&flights, 0);
        let flight = follow(&flights, 0);
        let counting = Arc::new(Counting(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&counting));
        let mut context = Context::from_waker(&waker);
        let mut landed = core::pin::pin!(flight.landed());
        for _ in 0..3 {
            assert!(landed.as_mut().poll(&mut context).is_pending());
        }
        leader.land(&Ok(()), at(0));
        assert_eq!(counting.0.load(Ordering::SeqCst), 1);
        assert!(matches!(
            landed.as_mut().poll(&mut context),
            Poll::Ready(Some(Ok(())))
        ));
    }

    #[test]
    fn failures_that_are_over_are_forgotten() {
        let flights = Flights::new(Duration::from_secs(60));
        for number in 0..2 * MAX_REMEMBERED {
            let errand = Errand::Service(format!("HTTP/h{number}"));
            let now = at(i64::try_from(number).unwrap() * 10);
            let Joined::Leader(leader) = flights.join(&errand, now) else {
                panic!("nobody else asks");
            };
            leader.land(&Err(failure()), now);
        }
        assert!(flights.board().len() <= MAX_REMEMBERED);
    }
}
