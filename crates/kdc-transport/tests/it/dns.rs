//! The resolver against name servers on loopback, honest and hostile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use trihound_kdc_transport::{
    Record, RecordType, Resolve, ResolveError, ResolverConfig, SystemResolver,
};

const NAME: &str = "_kerberos._udp.example.test";
/// The header of a message (RFC 1035 section 4.1.1).
const HEADER: usize = 12;
const SRV: u16 = 33;

/// A name server on both of its ports, which answers as it is told.
struct NameServer {
    address: SocketAddr,
    datagrams: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What to send for a question: any number of datagrams, or any bytes of a stream.
type Answers = fn(&[u8]) -> Vec<Vec<u8>>;

impl NameServer {
    fn start(over_udp: Answers, over_tcp: Answers) -> Self {
        let (socket, listener) = same_port();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (datagrams, streams) = (Arc::default(), Arc::default());
        let threads = vec![
            thread::spawn({
                let (stop, count) = (Arc::clone(&stop), Arc::clone(&datagrams));
                move || serve_udp(&socket, over_udp, &stop, &count)
            }),
            thread::spawn({
                let (stop, count) = (Arc::clone(&stop), Arc::clone(&streams));
                move || serve_tcp(&listener, over_tcp, &stop, &count)
            }),
        ];
        Self {
            address,
            datagrams,
            streams,
            stop,
            threads,
        }
    }

    fn datagrams(&self) -> usize {
        self.datagrams.load(Ordering::SeqCst)
    }

    fn streams(&self) -> usize {
        self.streams.load(Ordering::SeqCst)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A port that both protocols have free.
fn same_port() -> (UdpSocket, TcpListener) {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()) {
            return (socket, listener);
        }
    }
}

fn serve_udp(socket: &UdpSocket, answers: Answers, stop: &AtomicBool, count: &AtomicUsize) {
    socket
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        count.fetch_add(1, Ordering::SeqCst);
        for answer in answers(&buffer[..length]) {
            socket.send_to(&answer, from).unwrap();
        }
    }
}

fn serve_tcp(listener: &TcpListener, answers: Answers, stop: &AtomicBool, count: &AtomicUsize) {
    listener.set_nonblocking(true).unwrap();
    let mut open = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let Ok((mut stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        count.fetch_add(1, Ordering::SeqCst);
        stream.set_nonblocking(false).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question).unwrap();
        for bytes in answers(&question) {
            stream.write_all(&bytes).unwrap();
        }
        // Left open: whoever waits for more must give up by itself.
        open.push(stream);
    }
}

/// The question back as a response with this response code and these records behind it.
fn response(question: &[u8], flags: u8, code: u8, records: &[Vec<u8>]) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2] = 0x80 | flags;
    message[3] = 0x80 | code;
    message[7] = u8::try_from(records.len()).unwrap();
    message.extend(records.concat());
    message
}

fn record(name: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend(1u16.to_be_bytes());
    bytes.extend(ttl.to_be_bytes());
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    bytes
}

fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> = labels
        .flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat())
        .collect();
    bytes.push(0);
    bytes
}

/// A pointer to the name in the question.
const ASKED: &[u8] = &[0xc0, 0x0c];

fn srv(owner: &[u8], ttl: u32, port: u16, target: &str) -> Vec<u8> {
    let mut data = vec![0, 0, 0, 0];
    data.extend(port.to_be_bytes());
    data.extend(name(target));
    record(owner, SRV, ttl, &data)
}

fn good(question: &[u8]) -> Vec<Vec<u8>> {
    vec![response(
        question,
        0,
        0,
        &[srv(ASKED, 60, 88, "kdc.example.test")],
    )]
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message].concat()
}

fn good_stream(question: &[u8]) -> Vec<Vec<u8>> {
    good(question)
        .iter()
        .map(|message| framed(message))
        .collect()
}

fn truncated(question: &[u8]) -> Vec<Vec<u8>> {
    vec![response(question, 0x02, 0, &[])]
}

fn nothing(_: &[u8]) -> Vec<Vec<u8>> {
    Vec::new()
}

/// A resolver over these servers with times for a test.
fn resolver(servers: &[&NameServer]) -> SystemResolver {
    let addresses = servers.iter().map(|server| server.address).collect();
    let mut config = ResolverConfig::new(addresses);
    config.timeout = Duration::from_millis(600);
    config.attempts = 1;
    SystemResolver::with_config(config)
}

fn ports(resolver: &SystemResolver) -> Result<Vec<u16>, ResolveError> {
    let answer = resolver.query(NAME, RecordType::Srv)?;
    let port = |record: &Record| match record {
        Record::Srv { port, target, .. } => {
            assert_eq!(target, "kdc.example.test");
            *port
        }
        other => panic!("{other:?}"),
    };
    Ok(answer.records.iter().map(port).collect())
}

#[test]
fn an_answer_is_remembered_for_as_long_as_it_says() {
    let server = NameServer::start(good, nothing);
    let resolver = resolver(&[&server]);
    for _ in 0..3 {
        assert_eq!(ports(&resolver).unwrap(), [88]);
    }
    assert_eq!(server.datagrams(), 1);
    let asked = resolver
        .query(&NAME.to_uppercase(), RecordType::Srv)
        .unwrap();
    assert_eq!((asked.records.len(), server.datagrams()), (1, 1));

    let brief = NameServer::start(
        |question| {
            vec![response(
                question,
                0,
                0,
                &[srv(ASKED, 0, 88, "kdc.example.test")],
            )]
        },
        nothing,
    );
    let resolver = self::resolver(&[&brief]);
    for _ in 0..3 {
        assert_eq!(ports(&resolver).unwrap(), [88]);
    }
    assert_eq!(brief.datagrams(), 3);
}

/// The question's name, as two aliases in a row, and the records of the last.
#[test]
fn aliases_are_followed_to_the_records() {
    let server = NameServer::start(
        |question| {
            let records = [
                record(ASKED, 5, 60, &name("one.test")),
                srv(&name("two.test"), 60, 89, "kdc.example.test"),
                srv(&name("elsewhere.test"), 60, 90, "kdc.example.test"),
                record(&name("ONE.test"), 5, 60, &name("two.test")),
            ];
            vec![response(question, 0, 0, &records)]
        },
        nothing,
    );
    let resolver = resolver(&[&server]);
    assert_eq!(ports(&resolver).unwrap(), [89]);
    assert_eq!(
        resolver.query(NAME, RecordType::Srv).unwrap().name,
        "two.test"
    );
}

#[test]
fn aliases_in_a_circle_end() {
    let server = NameServer::start(
        |question| {
            let records = [
                record(ASKED, 5, 60, &name("b.test")),
                record(&name("b.test"), 5, 60, ASKED),
            ];
            vec![response(question, 0, 0, &records)]
        },
        nothing,
    );
    assert_eq!(ports(&resolver(&[&server])).unwrap(), [0; 0]);
}

/// RFC 2308: that there is none is remembered if the SOA record says for how long.
#[test]
fn no_such_name_is_an_answer() {
    fn soa(question: &[u8]) -> Vec<Vec<u8>> {
        let numbers = [1u32, 2, 3, 4, 60].map(u32::to_be_bytes).concat();
        let data = [name("ns.test"), name("root.test"), numbers].concat();
        let mut message = response(question, 0, 3, &[]);
        message[9] = 1;
        message.extend(record(&name("test"), 6, 60, &data));
        vec![message]
    }
    let server = NameServer::start(soa, nothing);
    let unsaid = NameServer::start(|question| vec![response(question, 0, 3, &[])], nothing);
    for (server, questions) in [(server, 1), (unsaid, 2)] {
        let resolver = resolver(&[&server]);
        for _ in 0..2 {
            assert_eq!(ports(&resolver).unwrap(), [0; 0]);
        }
        assert_eq!(server.datagrams(), questions);
    }
}

#[test]
fn a_truncated_answer_is_asked_for_over_tcp() {
    let server = NameServer::start(truncated, good_stream);
    assert_eq!(ports(&resolver(&[&server])).unwrap(), [88]);
    assert_eq!((server.datagrams(), server.streams()), (1, 1));
}

#[test]
fn tcp_may_be_used_from_the_start() {
    let server = NameServer::start(nothing, good_stream);
    let mut config = ResolverConfig::new(vec![server.address]);
    config.use_tcp = true;
    assert_eq!(ports(&SystemResolver::with_config(config)).unwrap(), [88]);
    assert_eq!((server.datagrams(), server.streams()), (0, 1));
}

/// RFC 5452: what does not repeat the identifier and the question is not looked at.
#[test]
fn forged_answers_are_passed_over() {
    fn forged(question: &[u8]) -> Vec<Vec<u8>> {
        let evil = response(question, 0, 0, &[srv(ASKED, 60, 666, "kdc.example.test")]);
        let mut other_id = evil.clone();
        other_id[0] ^= 1;
        let mut other_name = evil.clone();
        other_name[HEADER + 1] ^= 2;
        let mut other_type = evil.clone();
        other_type[question.len() - 3] ^= 1;
        let mut a_query = evil.clone();
        a_query[2] &= 0x7f;
        let mut two_questions = evil.clone();
        two_questions[5] = 2;
        let mut no_question = evil;
        no_question[5] = 0;
        let mut all = vec![
            other_id,
            other_name,
            other_type,
            a_query,
            two_questions,
            no_question,
        ];
        all.push(b"rubbish".to_vec());
        all.push(Vec::new());
        all.extend(good(question));
        all
    }
    let server = NameServer::start(forged, nothing);
    assert_eq!(ports(&resolver(&[&server])).unwrap(), [88]);
}

#[test]
fn records_that_cannot_be_read_are_no_answer() {
    fn pointer_to_itself(question: &[u8]) -> Vec<Vec<u8>> {
        let at = u8::try_from(question.len()).unwrap();
        vec![response(
            question,
            0,
            0,
            &[record(&[0xc0, at], SRV, 60, &[0; 7])],
        )]
    }
    fn too_many_announced(question: &[u8]) -> Vec<Vec<u8>> {
        let mut message = good(question).remove(0);
        message[6] = 0xff;
        vec![message]
    }
    fn data_beyond_the_end(question: &[u8]) -> Vec<Vec<u8>> {
        let mut message = good(question).remove(0);
        message.truncate(message.len() - 3);
        vec![message]
    }
    for answers in [pointer_to_itself, too_many_announced, data_beyond_the_end] {
        let server = NameServer::start(answers, nothing);
        let error = ports(&resolver(&[&server])).unwrap_err();
        assert!(matches!(error, ResolveError::Silent { .. }), "{error}");
        assert!(error.to_string().contains("do not answer"), "{error}");
    }
}

/// Targets that no host has: a dot or a control character within a label.
#[test]
fn records_that_name_no_host_are_left_out() {
    let server = NameServer::start(
        |question| {
            let with = |label: &[u8]| {
                let length = u8::try_from(label.len()).unwrap();
                let data = [&[0, 0, 0, 0, 0, 1, length], label, &[0]].concat();
                record(ASKED, SRV, 60, &data)
            };
            let mut records = vec![with(b"a.b"), with(b"a\0b"), with(b"a b"), with(b"\xff")];
            records.push(srv(ASKED, 60, 88, "kdc.example.test"));
            vec![response(question, 0, 0, &records)]
        },
        nothing,
    );
    assert_eq!(ports(&resolver(&[&server])).unwrap(), [88]);
}

#[test]
fn a_server_that_refuses_is_followed_by_the_next_at_once() {
    for code in [1, 2, 4, 5] {
        let answers: Answers = match code {
            1 => |question| vec![response(question, 0, 1, &[])],
            2 => |question| vec![response(question, 0, 2, &[])],
            4 => |question| vec![response(question, 0, 4, &[])],
            // Without the question, as a server answers that could not read it.
            _ => |question| {
                let mut message = response(question, 0, 5, &[]);
                message[5] = 0;
                message.truncate(HEADER);
                vec![message]
            },
        };
        let (refuses, answers) = (
            NameServer::start(answers, nothing),
            NameServer::start(good, nothing),
        );
        let begun = Instant::now();
        assert_eq!(ports(&resolver(&[&refuses, &answers])).unwrap(), [88]);
        assert!(
            begun.elapsed() < Duration::from_millis(400),
            "{:?}",
            begun.elapsed()
        );
        let error = ports(&resolver(&[&refuses])).unwrap_err();
        assert!(matches!(error, ResolveError::Failed { .. }), "{error}");
    }
}

#[test]
fn a_silent_server_is_joined_by_the_next_and_then_asked_last() {
    let (silent, answers) = (
        NameServer::start(nothing, nothing),
        NameServer::start(good, nothing),
    );
    let mut config = ResolverConfig::new(vec![silent.address, answers.address]);
    config.timeout = Duration::from_millis(300);
    let resolver = SystemResolver::with_config(config);
    assert_eq!(ports(&resolver).unwrap(), [88]);
    assert_eq!((silent.datagrams(), answers.datagrams()), (1, 1));
    let begun = Instant::now();
    let other = resolver
        .query("_kerberos._tcp.example.test", RecordType::Srv)
        .unwrap();
    assert_eq!(other.records.len(), 1);
    assert!(
        begun.elapsed() < Duration::from_millis(250),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!((silent.datagrams(), answers.datagrams()), (1, 2));
}

/// An answer that comes after the next server was asked still counts.
#[test]
fn a_slow_server_is_listened_to_while_the_next_is_asked() {
    let slow = NameServer::start(
        |question| {
            thread::sleep(Duration::from_millis(1300));
            good(question)
        },
        nothing,
    );
    let silent = NameServer::start(nothing, nothing);
    let mut config = ResolverConfig::new(vec![slow.address, silent.address]);
    config.timeout = Duration::from_secs(3);
    assert_eq!(ports(&SystemResolver::with_config(config)).unwrap(), [88]);
    assert_eq!(silent.datagrams(), 1);
}

#[test]
fn nobody_there_is_told_with_every_server_and_remembered_for_a_moment() {
    let silent = NameServer::start(nothing, nothing);
    // A port that was free a moment ago: refused at once.
    let (gone, _) = same_port();
    let closed = gone.local_addr().unwrap();
    drop(gone);
    let mut config = ResolverConfig::new(vec![closed, silent.address]);
    config.timeout = Duration::from_millis(300);
    config.attempts = 2;
    let resolver = SystemResolver::with_config(config);
    let begun = Instant::now();
    let error = ports(&resolver).unwrap_err();
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    let ResolveError::Silent {
        name,
        kind,
        attempts,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((name.as_str(), *kind), (NAME, RecordType::Srv));
    assert!(
        attempts
            .iter()
            .any(|line| line.contains(&silent.address.to_string())),
        "{error}"
    );
    assert!(
        attempts.iter().any(|line| line.contains("refused")),
        "{error}"
    );
    let begun = Instant::now();
    assert_eq!(ports(&resolver).unwrap_err(), error);
    assert!(begun.elapsed() < Duration::from_millis(100));
    assert_eq!(silent.datagrams(), 2);
}

/// Streams that announce much and send little, or never end, cost the timeout and no memory.
#[test]
fn hostile_streams_end_in_time() {
    for over_tcp in [
        (|_: &[u8]| vec![vec![0xff, 0xff, 1, 2, 3]]) as Answers,
        |_| vec![vec![0]],
        |_| vec![vec![0, 0]],
        |question| vec![framed(&truncated(question)[0])],
        |_| vec![framed(b"rubbish")],
    ] {
        let server = NameServer::start(truncated, over_tcp);
        let begun = Instant::now();
        let error = ports(&resolver(&[&server])).unwrap_err();
        assert!(matches!(error, ResolveError::Failed { .. }), "{error}");
        assert!(error.to_string().contains("tcp "), "{error}");
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
    }
}

/// A flood of datagrams that do not answer is not read for ever.
#[test]
fn a_flood_ends_the_attempt() {
    let flood = NameServer::start(|_| vec![b"rubbish".to_vec(); 200], nothing);
    let good = NameServer::start(good, nothing);
    assert_eq!(ports(&resolver(&[&flood, &good])).unwrap(), [88]);
}

#[test]
fn a_name_that_dns_cannot_have_is_not_asked_for() {
    let server = NameServer::start(good, nothing);
    let resolver = resolver(&[&server]);
    let long = format!("{}.test", "a".repeat(64));
    let longer = "a.".repeat(130);
    for name in [
        "", ".", "a..b", "a b", "a/b", "é.test", "a\0b", &long, &longer,
    ] {
        let error = resolver.query(name, RecordType::A).unwrap_err();
        assert_eq!(error, ResolveError::NotAName(name.to_owned()));
    }
    assert_eq!(server.datagrams(), 0);
}

/// A changed resolv.conf is read again, and what the old servers said is forgotten.
#[test]
fn resolv_conf_is_read_again_when_it_changes() {
    let folder = std::env::temp_dir().join(format!("trihound-resolv-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (conf, hosts) = (folder.join("resolv.conf"), folder.join("hosts"));
    std::fs::write(&conf, "search a.test\nnameserver 127.0.0.1\n").unwrap();
    std::fs::write(&hosts, "192.0.2.7 web.a.test web\n").unwrap();
    let resolver = SystemResolver::at(&conf, &hosts);
    assert_eq!(resolver.search_rules().domains, ["a.test"]);
    assert_eq!(resolver.host_entry("web").unwrap().name, "web.a.test");
    std::fs::write(&conf, "search b.example.test\nnameserver 127.0.0.1\n").unwrap();
    assert_eq!(resolver.search_rules().domains, ["b.example.test"]);
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(resolver.search_rules().domains.is_empty());
    assert_eq!(resolver.host_entry("web"), None);
}

/// A byte of another encoding, in a comment say, does not make the whole file unreadable.
#[test]
fn resolv_conf_of_another_encoding_is_read() {
    let path = std::env::temp_dir().join(format!("trihound-latin-{}", std::process::id()));
    std::fs::write(&path, b"# B\xfcro\nsearch office.example\n").unwrap();
    let rules = SystemResolver::at(&path, "/does/not/exist").search_rules();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(rules.domains, ["office.example"]);
}

/// Times that no clock can count, which a caller may mean as "without a limit".
#[test]
fn a_timeout_that_no_clock_can_count_is_no_overflow() {
    let server = NameServer::start(good, good_stream);
    for use_tcp in [false, true] {
        let mut config = ResolverConfig::new(vec![server.address]);
        config.timeout = Duration::MAX;
        config.attempts = usize::MAX;
        config.use_tcp = use_tcp;
        assert_eq!(ports(&SystemResolver::with_config(config)).unwrap(), [88]);
    }
}
