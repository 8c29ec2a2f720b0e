//! What holds of every collection of credential caches that MIT's tools and ours share, whatever its
//! type.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use trihound::environment::CacheName;
use trihound::environment::ccache::{self, Cache, Collection};
use trihound::environment::{load_config_from, read_cache};
use trihound::krb5::{Config, CredentialCache, Credentials, Principal};
use trihound_interop::Finished;

use crate::world::{BOTH, Make, World, finished, lines, succeeded};

/// A realm with a collection of caches that both makes know by the same name.
pub(crate) struct Desk {
    pub(crate) world: World,
    /// The krb5.conf that both read.
    pub(crate) profile: PathBuf,
    /// The collection's name.
    pub(crate) collection: String,
}

impl Desk {
    pub(crate) fn config(&self) -> Config {
        load_config_from(&self.profile).unwrap()
    }

    pub(crate) fn open(&self, name: &str) -> Box<dyn Cache> {
        ccache::open(&CacheName::parse(name).unwrap(), &self.config()).unwrap()
    }

    pub(crate) fn collection(&self) -> Box<dyn Collection> {
        let name = CacheName::parse(&self.collection).unwrap();
        ccache::collection(&name, &self.config()).unwrap()
    }

    fn tool(&self, make: Make, cache: &str, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.world.tool(make, "unused", name, arguments);
        command
            .env("KRB5_CONFIG", &self.profile)
            .env("KRB5CCNAME", cache);
        command
    }

    pub(crate) fn run(&self, make: Make, cache: &str, name: &str, arguments: &[&str]) -> Finished {
        finished(self.tool(make, cache, name, arguments), "")
    }

    pub(crate) fn login(&self, make: Make, cache: &str, user: &str) {
        let password = match user {
            "bob" => "Builder-Can-8\n",
            _ => "Wonder-Land-7\n",
        };
        succeeded(&finished(
            self.tool(make, cache, "kinit", &[user]),
            password,
        ));
    }

    /// What MIT's klist says of a cache, without the line that names it.
    fn mit_lists(&self, cache: &str) -> Vec<String> {
        let listed = self.run(Make::Mit, cache, "klist", &["-e", "-f", "-c", cache]);
        succeeded(&listed);
        let named = |line: &String| !line.starts_with("Ticket cache:");
        lines(&listed.stdout).into_iter().filter(named).collect()
    }

    /// Tickets that MIT's tools got into a file.
    pub(crate) fn mit_file(&self) -> (String, CredentialCache) {
        let path = self.world.scratch.join("file");
        let name = format!("FILE:{}", path.display());
        self.login(Make::Mit, &name, "alice");
        let services = ["HTTP/localhost", "host/localhost"];
        succeeded(&self.run(Make::Mit, &name, "kvno", &services));
        (name, read_cache(&path).unwrap())
    }
}

fn servers(cache: &CredentialCache) -> Vec<String> {
    let tickets = cache.credentials.iter();
    let mut servers: Vec<_> = tickets.map(|ticket| ticket.server.to_string()).collect();
    servers.sort();
    servers
}

/// What one writes in a file and the other in the collection is the same to MIT's klist, and a ticket
/// of ours serves MIT's kvno.
pub(crate) fn mit_reads_ours(desk: &Desk, keeps_offset: bool) {
    let (file, mut content) = desk.mit_file();
    content.time_offset = Some(-3_000_000);
    let cache = desk.open(&desk.collection);
    assert!(cache.read().unwrap().is_none(), "there is none yet");
    assert!(cache.principal().unwrap().is_none());
    assert!(cache.version().unwrap().is_none());
    assert!(!cache.destroy().unwrap());
    cache.initialize(&content).unwrap();
    let name = cache.name().to_string();
    assert_eq!(desk.mit_lists(&name), desk.mit_lists(&file));
    succeeded(&desk.run(Make::Mit, &name, "kvno", &["host/rolled.localhost"]));

    let read = cache.read().unwrap().unwrap();
    assert_eq!(read.principal.to_string(), content.principal.to_string());
    assert_eq!(read.time_offset, keeps_offset.then_some(-3_000_000));
    assert_eq!(read.config.len(), content.config.len());
    assert_eq!(read.credentials.len(), content.credentials.len() + 1);
    for ticket in &content.credentials {
        let mut held = read.credentials.iter();
        let held = held.find(|held| held.server == ticket.server).unwrap();
        assert_eq!(held.ticket, ticket.ticket);
        assert!(held.session_key.expose() == ticket.session_key.expose());
        assert_eq!((held.endtime, held.flags), (ticket.endtime, ticket.flags));
    }
}

/// Single tickets and settings come and go, and MIT's klist agrees at each step.
pub(crate) fn changes_one_by_one(desk: &Desk, keeps_offset: bool) {
    let (_, content) = desk.mit_file();
    let cache = desk.open(&desk.collection);
    let is_http = |server: &Principal| server.to_string().starts_with("HTTP/");
    let mut tickets = content.credentials.iter();
    let http = Arc::clone(tickets.find(|ticket| is_http(&ticket.server)).unwrap());
    let missing = cache.store(&http).unwrap_err().to_string();
    assert!(missing.starts_with("no credential cache: "), "{missing}");
    assert!(cache.set_config("a", None, Some(b"1")).is_err());
    assert!(cache.set_time_offset(1).is_err());
    assert_eq!(cache.remove(&http.client, &http.server).unwrap(), 0);

    let empty = CredentialCache::new(content.principal.clone());
    cache.initialize(&empty).unwrap();
    for ticket in &content.credentials {
        cache.store(ticket).unwrap();
    }
    let version = cache.version().unwrap();
    assert!(version == cache.version().unwrap());
    // Once more changes nothing to whom reads.
    cache.store(&http).unwrap();
    assert!(version.is_none() || version != cache.version().unwrap());
    assert_eq!(servers(&cache.read().unwrap().unwrap()), servers(&content));

    settings(desk, cache.as_ref());
    assert_eq!(cache.remove(&http.client, &http.client).unwrap(), 0);
    assert!(cache.remove(&http.client, &http.server).unwrap() > 0);
    assert_eq!(cache.remove(&http.client, &http.server).unwrap(), 0);
    let name = cache.name().to_string();
    let listed = desk.mit_lists(&name).join("\n");
    assert!(!listed.contains("HTTP/"), "{listed}");
    assert!(listed.contains("host/localhost"), "{listed}");

    cache.set_time_offset(7_000_000).unwrap();
    let offset = cache.read().unwrap().unwrap().time_offset;
    assert_eq!(offset, keeps_offset.then_some(7_000_000));
    assert!(cache.destroy().unwrap());
    assert!(!cache.destroy().unwrap());
    assert!(!desk.run(Make::Mit, &name, "klist", &[]).success());
}

fn settings(desk: &Desk, cache: &dyn Cache) {
    let service = Principal::parse("HTTP/localhost@TRIHOUND.TEST", None).unwrap();
    for value in [&b"one"[..], b"two"] {
        let set = cache.set_config("pa_type", Some(&service), Some(value));
        set.unwrap();
        let read = cache.read().unwrap().unwrap();
        assert_eq!(read.config("pa_type", Some(&service)), Some(value));
        assert_eq!(read.config.len(), 1);
    }
    cache.set_config("other", None, Some(b"3")).unwrap();
    let shown = desk.run(Make::Mit, &cache.name().to_string(), "klist", &["-C"]);
    assert!(shown.stdout.contains("pa_type"), "{shown}");
    assert!(shown.stdout.contains("other"), "{shown}");
    cache.set_config("pa_type", Some(&service), None).unwrap();
    let read = cache.read().unwrap().unwrap();
    assert_eq!(read.config("pa_type", Some(&service)), None);
    assert_eq!(read.config("other", None), Some(&b"3"[..]));
}

/// MIT's logins, read and switched by ours, and the reverse.
pub(crate) fn collections(desk: &Desk) {
    let (all, name) = (desk.collection(), desk.collection.as_str());
    assert!(all.list().unwrap().is_empty());
    desk.login(Make::Mit, name, "alice");
    desk.login(Make::Mit, name, "bob");
    let listed = all.list().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(all.primary().unwrap().as_ref(), listed.first());
    let client = |name: &CacheName| desk.open(&name.to_string()).principal().unwrap().unwrap();
    let clients: Vec<_> = listed.iter().map(|name| client(name).to_string()).collect();
    assert_eq!(clients, ["bob@TRIHOUND.TEST", "alice@TRIHOUND.TEST"]);
    let config = desk.config();
    let found = ccache::find_by_principal(all.as_ref(), &config, &client(&listed[1]));
    assert_eq!(found.unwrap().as_ref(), listed.last());

    all.switch_to(listed.last().unwrap()).unwrap();
    let mit = desk.run(Make::Mit, name, "klist", &["-l"]);
    let first = mit.stdout.lines().nth(2).unwrap_or_default();
    assert!(first.starts_with("alice@"), "{mit}");
    assert_eq!(desk.open(name).name(), listed.last().unwrap());

    let fresh = all.create().unwrap();
    assert!(all.switch_to(&fresh).is_err(), "there is nothing in it");
    assert_eq!(all.list().unwrap().len(), 2);
    let third = desk.open(&fresh.to_string());
    third.initialize(&desk.mit_file().1).unwrap();
    all.switch_to(&fresh).unwrap();
    let mit = desk.run(Make::Mit, name, "klist", &["-l"]);
    assert_eq!(mit.stdout.matches("@TRIHOUND.TEST").count(), 3, "{mit}");
    let first = mit.stdout.lines().nth(2).unwrap_or_default();
    // MIT cuts long names at their beginning, so that they fit a terminal.
    assert!(!first.starts_with("bob@"), "{mit}");
    assert_eq!(desk.open(name).name(), &fresh);

    succeeded(&desk.run(Make::Mit, name, "kswitch", &["-p", "bob"]));
    assert_eq!(all.primary().unwrap().as_ref(), listed.first());
    succeeded(&desk.run(Make::Mit, name, "kdestroy", &["-A"]));
    assert!(all.list().unwrap().is_empty());
    assert!(third.read().unwrap().is_none());
}

/// The name of one cache stands for that one alone.
pub(crate) fn one_alone(desk: &Desk) {
    desk.login(Make::Mit, &desk.collection, "alice");
    desk.login(Make::Mit, &desk.collection, "bob");
    let listed = desk.collection().list().unwrap();
    let single = ccache::collection(&listed[1], &desk.config()).unwrap();
    assert_eq!(single.list().unwrap(), listed[1..]);
    assert_eq!(single.primary().unwrap().as_ref(), listed.last());
    assert!(single.create().is_err());
    single.switch_to(&listed[1]).unwrap();
    assert_eq!(desk.collection().primary().unwrap().as_ref(), listed.last());
    let elsewhere = CacheName::parse("FILE:/nonexistent").unwrap();
    assert!(single.switch_to(&elsewhere).is_err());
}

/// Threads of ours and MIT's kvno add tickets at once, and none is lost.
pub(crate) fn many_at_once(desk: &Desk) {
    let (_, content) = desk.mit_file();
    let cache = desk.open(&desk.collection);
    cache.initialize(&content).unwrap();
    let name = cache.name().to_string();
    let made = |server: String| {
        let first = &content.credentials[0];
        Arc::new(Credentials {
            client: first.client.clone(),
            server: Principal::parse(&server, Some("TRIHOUND.TEST")).unwrap(),
            session_key: first.session_key.duplicate(),
            ticket: b"ticket".to_vec(),
            addresses: Vec::new(),
            authdata: Vec::new(),
            second_ticket: Vec::new(),
            ..*first.as_ref()
        })
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (made, name) = (&made, &name);
            scope.spawn(move || {
                let cache = desk.open(name);
                for number in 0..5 {
                    cache.store(&made(format!("s{thread}-{number}"))).unwrap();
                }
            });
        }
        for service in ["host/rolled.localhost", "host/aes256.localhost"] {
            succeeded(&desk.run(Make::Mit, &name, "kvno", &["-q", service]));
        }
    });
    let held = servers(&cache.read().unwrap().unwrap());
    assert_eq!(held.len(), content.credentials.len() + 20 + 2, "{held:?}");
}

/// The tools of both makes, each with the other's tickets.
pub(crate) fn tools(desk: &Desk) {
    let name = desk.collection.as_str();
    let kind = name.split(':').next().unwrap();
    for make in BOTH {
        desk.login(make, name, "alice");
        succeeded(&desk.run(make.other(), name, "kvno", &["HTTP/localhost"]));
        for reader in BOTH {
            let listed = desk.run(reader, name, "klist", &[]);
            succeeded(&listed);
            assert!(
                listed.stdout.contains(&format!("Ticket cache: {kind}:")),
                "{listed}"
            );
            assert!(
                listed.stdout.contains("HTTP/localhost@TRIHOUND.TEST"),
                "{listed}"
            );
        }
        succeeded(&desk.run(make.other(), name, "kdestroy", &[]));
        assert!(!desk.run(make, name, "klist", &["-s"]).success());
    }
}
