//! The machine against servers that are only told of, on a clock that is only said.

use super::*;
use trihound_krb5::config::RealmConfig;
use trihound_sansio::TransportHint;

use crate::ServerProtocol;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A race under way, at a moment.
struct Course {
    race: Race,
    now: Instant,
}

/// What a race is run with.
struct Field {
    config: Arc<Config>,
    request: Arc<ExchangeRequest>,
    limits: Limits,
    memory: ServerMemory,
    https: bool,
    last: Option<Candidate>,
    start: Instant,
}

impl Field {
    fn new() -> Self {
        let mut config = Config::default();
        let realm = RealmConfig::default();
        config.realms.insert("R".into(), realm);
        Self {
            config: Arc::new(config),
            request: Arc::new(ExchangeRequest {
                service: Service::Kdc,
                realm: "R".into(),
                message: vec![0x6a, 0],
                hint: TransportHint::Any,
                route: None,
            }),
            limits: Limits::default(),
            memory: ServerMemory::new(),
            https: false,
            last: None,
            start: Instant::now(),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut ExchangeRequest)) -> Self {
        let mut request = (*self.request).clone();
        change(&mut request);
        self.request = Arc::new(request);
        self
    }

    /// A race whose servers are found at once.
    fn run(&self, servers: &[Server]) -> Course {
        self.run_at(self.start, servers)
    }

    fn run_at(&self, now: Instant, servers: &[Server]) -> Course {
        let stakes = Stakes {
            config: &self.config,
            request: &self.request,
            limits: &self.limits,
            memory: &self.memory,
            https: self.https,
            last: self.last.as_ref(),
        };
        let race = Race::new(&stakes, now);
        let mut course = Course { race, now };
        let (id, work) = course.started();
        assert_eq!(work, Work::Locate);
        course.told(id, Outcome::Located(Ok(servers.to_vec())));
        course
    }
}

impl Course {
    #[track_caller]
    fn started(&mut self) -> (u32, Work) {
        match self.race.next(self.now) {
            Action::Start { id, work, .. } => (id, work),
            other => panic!("{other:?}"),
        }
    }

    /// The next action must start just this.
    #[track_caller]
    fn starts(&mut self, work: &Work) -> u32 {
        let (id, started) = self.started();
        assert_eq!(started, *work);
        id
    }

    /// The next action must be to wait; how long.
    #[track_caller]
    fn waits(&mut self) -> Duration {
        match self.race.next(self.now) {
            Action::Wait(until) => until - self.now,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn done(&mut self) -> Result<Answered, TransportFailure> {
        match self.race.next(self.now) {
            Action::Done(result) => result,
            other => panic!("{other:?}"),
        }
    }

    fn told(&mut self, id: u32, outcome: Outcome) {
        self.race.finished(id, outcome, self.now);
    }

    fn replies(&mut self, id: u32) {
        self.told(id, Outcome::Reply(b"answer".to_vec()));
    }

    fn refuses(&mut self, id: u32) {
        self.told(id, Outcome::Failed(AttemptError::Refused));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

fn address(last: u8) -> SocketAddr {
    ([192, 0, 2, last], 88).into()
}

fn server(last: u8) -> Server {
    Server::new(address(last).ip().to_string(), 88, ServerProtocol::Any)
}

fn named(name: &str) -> Server {
    Server::new(name, 88, ServerProtocol::Any)
}

fn udp(last: u8) -> Work {
    Work::Datagram(address(last))
}

fn tcp(last: u8) -> Work {
    Work::Stream(address(last))
}

#[test]
fn the_first_answer_wins_and_nobody_else_is_asked() {
    let mut course = Field::new().run(&[server(1), server(2)]);
    let first = course.starts(&udp(1));
    assert_eq!(course.waits(), SECOND);
    course.replies(first);
    let answered = course.done().unwrap();
    assert_eq!(answered.reply, b"answer");
    assert_eq!(answered.by.unwrap().address, Some(address(1)));
}

#[test]
fn a_silent_server_is_joined_by_the_next_after_a_second() {
    let mut course = Field::new().run(&[server(1), server(2)]);
    let first = course.starts(&udp(1));
    course.pass(SECOND - MILLISECOND);
    assert_eq!(course.waits(), MILLISECOND);
    course.pass(MILLISECOND);
    course.starts(&udp(2));
    // The first may still answer.
    course.replies(first);
    assert_eq!(course.done().unwrap().by.unwrap().address, Some(address(1)));
}

#[test]
fn a_server_that_refuses_is_followed_by_the_next_at_once() {
    let mut course = Field::new().run(&[server(1), server(2)]);
    for work in [udp(1), udp(2), tcp(1), tcp(2)] {
        let id = course.starts(&work);
        course.refuses(id);
    }
    let failure = course.done().unwrap_err();
    let text = failure.to_string();
    let places: Vec<_> = failure
        .attempts
        .iter()
        .map(|line| line.split_once(": ").unwrap().0)
        .collect();
    assert_eq!(
        places,
        [
            "udp 192.0.2.1:88",
            "udp 192.0.2.2:88",
            "tcp 192.0.2.1:88",
            "tcp 192.0.2.2:88"
        ]
    );
    assert!(text.contains("check that a KDC of R runs"), "{text}");
}

/// Conformance row 184: the whole is bounded, and every attempt is told.
#[test]
fn the_whole_ends_when_its_time_is_up() {
    let servers: Vec<_> = (1..=30).map(server).collect();
    let mut course = Field::new().run(&servers);
    let mut started = 0;
    let failure = loop {
        match course.race.next(course.now) {
            Action::Start { span, .. } => {
                started += 1;
                assert!(span.until <= course.now + Limits::ATTEMPT);
            }
            Action::Wait(until) => course.now = until,
            Action::Done(result) => break result.unwrap_err(),
        }
    };
    assert_eq!(started, 20);
    assert_eq!(failure.attempts.len(), 21);
    assert!(failure.attempts[20].contains("40 more were not asked"));
    assert!(failure.attempts[0].contains("no reply within 20s"));
}

#[test]
fn a_dead_server_costs_its_second_once_in_all_races_of_a_memory() {
    let field = Field::new();
    let mut course = field.run(&[server(1), server(2), server(3)]);
    course.starts(&udp(1));
    course.pass(SECOND);
    let second = course.starts(&udp(2));
    course.refuses(second);
    let third = course.starts(&udp(3));
    course.replies(third);
    course.done().unwrap();

    let mut course = field.run_at(course.now, &[server(1), server(2), server(3)]);
    let id = course.starts(&udp(3));
    course.replies(id);
    course.done().unwrap();

    // Over another carrier, too, the silent one comes last; one that refused costs nothing.
    let field = field.with(|request| request.hint = TransportHint::StreamOnly);
    let mut course = field.run_at(course.now, &[server(1), server(2), server(3)]);
    for work in [tcp(2), tcp(3), tcp(1)] {
        let id = course.starts(&work);
        course.refuses(id);
    }
}

#[test]
fn what_was_asked_a_moment_ago_is_not_dead_because_another_was_faster() {
    let field = Field::new();
    let mut course = field.run(&[server(1), server(2)]);
    let first = course.starts(&udp(1));
    course.pass(SECOND);
    course.starts(&udp(2));
    course.pass(MILLISECOND);
    course.replies(first);
    course.done().unwrap();
    for (last, standing) in [(1, Standing::Alive), (2, Standing::Alive)] {
        let place = Candidate::new(&server(last), Some(Carrier::Udp)).place();
        let found = field.memory.standing(&place, course.now, SECOND);
        assert_eq!(found, standing, "{last}");
    }
}

#[test]
fn a_server_that_was_dead_a_minute_ago_gets_a_tenth_of_a_second() {
    let field = Field::new();
    let dead = Candidate::new(&server(1), Some(Carrier::Udp)).place();
    field.memory.died(dead.clone(), true, field.start);
    let later = field.start + Limits::REMEMBER_DEAD;

    let mut course = field.run_at(later, &[server(1), server(2)]);
    course.starts(&udp(1));
    assert_eq!(course.waits(), SUSPECT_HEAD_START);
    course.pass(SUSPECT_HEAD_START);
    let second = course.starts(&udp(2));
    course.pass(MILLISECOND);
    course.replies(second);
    course.done().unwrap();
    let keep = Limits::REMEMBER_DEAD;
    let standing = field.memory.standing(&dead, course.now, keep);
    assert_eq!(standing, Standing::Dead, "still silent");

    let mut course = field.run_at(course.now + keep, &[server(1), server(2)]);
    let first = course.starts(&udp(1));
    course.replies(first);
    course.done().unwrap();
    let standing = field.memory.standing(&dead, course.now, keep);
    assert_eq!(standing, Standing::Alive);
}

#[test]
fn all_dead_are_asked_nevertheless() {
    let field = Field::new();
    for carrier in [Carrier::Udp, Carrier::Tcp] {
        let place = Candidate::new(&server(1), Some(carrier)).place();
        field.memory.died(place, true, field.start);
    }
    let mut course = field.run(&[server(1)]);
    let id = course.starts(&udp(1));
    course.refuses(id);
    course.starts(&tcp(1));
}

#[test]
fn a_name_is_resolved_once_and_its_addresses_follow_in_its_place() {
    let mut course = Field::new().run(&[named("kdc"), server(9)]);
    let id = course.starts(&Work::Resolve("kdc".into()));
    course.told(
        id,
        Outcome::Resolved(vec![address(1).ip(), address(2).ip()]),
    );
    for work in [udp(1), udp(2), udp(9), tcp(1), tcp(2), tcp(9)] {
        let id = course.starts(&work);
        course.refuses(id);
    }
    assert_eq!(course.done().unwrap_err().attempts.len(), 6);
}

#[test]
fn a_name_that_is_slow_to_resolve_holds_nobody_up_and_is_not_asked_for_twice() {
    let mut course = Field::new().run(&[named("kdc"), server(9)]);
    let slow = course.starts(&Work::Resolve("kdc".into()));
    course.pass(SECOND);
    let id = course.starts(&udp(9));
    course.refuses(id);
    // The name over the other carrier waits for the same result.
    let id = course.starts(&tcp(9));
    course.told(slow, Outcome::Resolved(vec![address(1).ip()]));
    for work in [udp(1), tcp(1)] {
        let id = course.starts(&work);
        course.refuses(id);
    }
    assert_eq!(course.waits(), Limits::TOTAL - SECOND);
    course.replies(id);
    course.done().unwrap();
}

#[test]
fn a_name_that_does_not_resolve_is_told_once() {
    let mut course = Field::new().run(&[named("kdc")]);
    let id = course.starts(&Work::Resolve("kdc".into()));
    course.told(id, Outcome::Resolved(Vec::new()));
    let failure = course.done().unwrap_err();
    assert_eq!(
        failure.attempts,
        ["udp kdc:88: the name resolves to no address"]
    );
}

#[test]
fn a_dead_address_of_a_name_comes_after_the_living() {
    let field = Field::new();
    let dead = Candidate::new(&server(1), Some(Carrier::Udp)).place();
    field.memory.died(dead, true, field.start);
    let mut course = field.run(&[named("kdc")]);
    let id = course.starts(&Work::Resolve("kdc".into()));
    let both = vec![address(1).ip(), address(2).ip()];
    course.told(id, Outcome::Resolved(both));
    course.starts(&udp(2));
}

#[test]
fn a_password_change_goes_to_one_server_at_a_time() {
    let field = Field::new().with(|request| request.service = Service::Kpasswd);
    let mut course = field.run(&[server(1), server(2)]);
    let first = course.starts(&udp(1));
    assert_eq!(course.waits(), Limits::TOTAL);
    course.pass(Limits::ATTEMPT);
    course.told(
        first,
        Outcome::Failed(AttemptError::Silent(Limits::ATTEMPT)),
    );
    course.starts(&udp(2));
}

#[test]
fn a_server_that_cannot_serve_is_the_last_resort() {
    let mut course = Field::new().run(&[server(1)]);
    for work in [udp(1), tcp(1)] {
        let id = course.starts(&work);
        let error = AttemptError::Unavailable(b"busy".to_vec());
        course.told(id, Outcome::Failed(error));
    }
    assert_eq!(course.done().unwrap().reply, b"busy");
}

#[test]
fn a_proxy_is_asked_where_there_is_a_function_that_posts() {
    let https = ServerProtocol::Https {
        path: "/KdcProxy".into(),
    };
    let proxy = Server::new("proxy.example", 443, https);
    let mut field = Field::new();
    let failure = field.run(core::slice::from_ref(&proxy)).done().unwrap_err();
    assert!(
        failure.attempts[0].starts_with("https://proxy.example/KdcProxy: a KDC proxy, and"),
        "{failure}"
    );
    field.https = true;
    let mut course = field.run(core::slice::from_ref(&proxy));
    let id = course.starts(&Work::Proxy(proxy));
    course.replies(id);
    course.done().unwrap();
}

#[test]
fn a_primary_kdc_that_has_answered_is_not_asked_again() {
    let mut field = Field::new().with(|request| request.hint = TransportHint::PrimaryOnly);
    field.last = Some(Candidate::new(&server(1), Some(Carrier::Udp)));
    let failure = field.run(&[server(1)]).done().unwrap_err();
    assert!(failure.advice.contains("already"), "{failure}");
    // Under a name, too.
    let mut course = field.run(&[named("kdc")]);
    let id = course.starts(&Work::Resolve("kdc".into()));
    course.told(id, Outcome::Resolved(vec![address(1).ip()]));
    let failure = course.done().unwrap_err();
    assert!(failure.advice.contains("already"), "{failure}");
    // Another one is.
    field.run(&[server(2)]).starts(&udp(2));
    // A request that wants no primary one does not care.
    let mut field = Field::new();
    field.last = Some(Candidate::new(&server(1), Some(Carrier::Udp)));
    field.run(&[server(1)]).starts(&udp(1));
}

#[test]
fn servers_that_are_not_found_are_told_of() {
    let field = Field::new();
    let stakes = Stakes {
        config: &field.config,
        request: &field.request,
        limits: &field.limits,
        memory: &field.memory,
        https: false,
        last: None,
    };
    let begin = || {
        let mut course = Course {
            race: Race::new(&stakes, field.start),
            now: field.start,
        };
        let id = course.starts(&Work::Locate);
        assert_eq!(course.waits(), Limits::TOTAL);
        (course, id)
    };
    let (mut course, id) = begin();
    let missing = TransportFailure::no_primary("R");
    course.told(id, Outcome::Located(Err(missing.clone())));
    assert_eq!(course.done().unwrap_err(), missing);
    let (mut course, id) = begin();
    course.told(id, Outcome::Failed(AttemptError::Panicked));
    let failure = course.done().unwrap_err();
    assert!(failure.attempts[0].contains("panicked"), "{failure}");
    // DNS that hangs is bounded as everything else.
    let (mut course, _) = begin();
    course.pass(Limits::TOTAL);
    course.done().unwrap_err();
}

#[test]
fn an_outcome_nobody_asked_for_changes_nothing() {
    let mut course = Field::new().run(&[server(1)]);
    let id = course.starts(&udp(1));
    course.replies(99);
    course.refuses(0);
    course.waits();
    course.replies(id);
    course.done().unwrap();
}

/// "Without a limit", as a program may well say it.
#[test]
fn limits_that_no_clock_can_count_are_no_overflow() {
    let mut field = Field::new();
    field.limits = Limits {
        next_server_after: Duration::MAX,
        retransmit_after: Duration::MAX,
        sends: None,
        connect: Duration::MAX,
        attempt: Duration::MAX,
        total: Duration::MAX,
        remember_dead: Duration::MAX,
    };
    let mut course = field.run(&[server(1), server(2)]);
    let first = course.starts(&udp(1));
    assert!(course.waits() >= Duration::from_secs(24 * 3600));
    course.refuses(first);
    let second = course.starts(&udp(2));
    course.replies(second);
    assert_eq!(course.done().unwrap().reply, b"answer");
}

/// Who writes the answers of DNS does not decide how many are asked.
#[test]
fn of_the_addresses_of_a_name_only_so_many_are_asked() {
    let field = Field::new();
    let mut course = field.run(&[Server::new("kdc", 88, ServerProtocol::Tcp)]);
    let id = course.starts(&Work::Resolve("kdc".into()));
    let all = (0..=u16::MAX).map(|n| IpAddr::from([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]]));
    course.told(id, Outcome::Resolved(all.collect()));
    for _ in 0..MAX_ADDRESSES {
        let (id, _) = course.started();
        course.told(id, Outcome::Failed(AttemptError::Refused));
    }
    let failure = course.done().unwrap_err();
    assert_eq!(failure.attempts.len(), MAX_ADDRESSES);
}
