use std::fs;
use std::path::PathBuf;

use crate::process::run_to_end;
use crate::{
    Case, Conversation, Credential, Enctype, Expected, Failure, Peers, Permitted, Realm, Report,
    Role, Scratch, Side, SideResult, Transport,
};

/// What the report calls this matrix.
const MATRIX: &str = "interop";

/// The realm's ticket lifetime and the clock skew that an acceptor adds, in seconds; and one, since libgssapi
/// counts by time(2), which may be a tick behind the KDC's gettimeofday(2) when a second begins.
const LONGEST_LIFETIME: u64 = 8 * 3600 + 300 + 1;

/// Runs cases, two at a time. `None` as peers skips them all, which the report tells.
///
/// # Errors
///
/// The realm does not start, or a user of it cannot log in.
pub fn run(peers: Option<&Peers>, cases: &[Case]) -> Result<Report, Failure> {
    let Some(peers) = peers else {
        return Ok(Report::skipped(MATRIX, cases.len()));
    };
    let realm = Realm::start(peers)?;
    let stage = Stage::new(peers, &realm)?;
    Ok(Report::of(MATRIX, cases, |case| stage.play(case)))
}

/// A realm and what the cases share: caches filled by either kinit.
struct Stage<'a> {
    peers: &'a Peers,
    realm: &'a Realm,
    scratch: Scratch,
}

impl<'a> Stage<'a> {
    fn new(peers: &'a Peers, realm: &'a Realm) -> Result<Self, Failure> {
        let stage = Self {
            peers,
            realm,
            scratch: Scratch::new()?,
        };
        for &enctype in Enctype::ALL {
            for credential in [Credential::MitCache, Credential::OurCache] {
                stage.log_in(enctype, credential)?;
            }
        }
        Ok(stage)
    }

    fn log_in(&self, enctype: Enctype, credential: Credential) -> Result<(), Failure> {
        let cache = self.scratch.cache(&shared_cache(enctype, credential));
        let mut command = if credential == Credential::OurCache {
            let mut command = self.realm.command(&self.peers.program, &cache);
            command.arg("kinit");
            command
        } else {
            self.realm.command("kinit", &cache)
        };
        // The session key has to serve where this enctype alone is permitted, too.
        command
            .env("KRB5_CONFIG", self.profile(Transport::Udp, Some(enctype))?)
            .arg(user(enctype));
        let done = run_to_end(command, &format!("{}\n", password(enctype)))?;
        if done.success() {
            return Ok(());
        }
        Err(Failure::new(format!("no login of {enctype:?}: {done}")))
    }

    fn play(&self, case: &Case) -> Result<(), Failure> {
        let scratch = Scratch::new()?;
        let (initiator, acceptor) = match case.role {
            Role::OursToMit => (&self.peers.program, &self.peers.c_peer),
            Role::MitToOurs => (&self.peers.c_peer, &self.peers.program),
            Role::OursToOurs => (&self.peers.program, &self.peers.program),
        };
        let initiator = self.side(case, initiator, &self.initiator_cache(case, &scratch)?)?;
        let acceptor = self.side(case, acceptor, &scratch.cache("acceptor"))?;
        let (initiated, accepted) = conversation(case).hold(initiator, acceptor)?;
        let verdict = match case.expected() {
            Expected::Agreement => self.agreement(case, &initiated, &accepted),
            Expected::BindingsRefused => bindings_refused(&initiated, &accepted),
        };
        verdict.map_err(|wrong| {
            Failure::new(format!(
                "{wrong}\n{}\n{}",
                initiated.finished, accepted.finished
            ))
        })
    }

    fn side(&self, case: &Case, program: &PathBuf, cache: &str) -> Result<Side, Failure> {
        let only = (case.permitted == Permitted::Only).then_some(case.enctype);
        let mut command = self.realm.command(program, cache);
        command.env("KRB5_CONFIG", self.profile(case.transport, only)?);
        Ok(Side::new(command, program, &self.peers.program))
    }

    fn profile(&self, transport: Transport, only: Option<Enctype>) -> Result<PathBuf, Failure> {
        let mut lines = Vec::new();
        let mut name = transport.word().to_owned();
        if transport == Transport::Tcp {
            lines.push("  udp_preference_limit = 1".to_owned());
        }
        if let Some(enctype) = only {
            lines.push(format!("  permitted_enctypes = {}", enctype.long_name()));
            name.push_str(enctype.word());
        }
        self.realm.profile(&name, &lines)
    }

    /// A copy for each case, so that each asks the KDC for its ticket.
    fn initiator_cache(&self, case: &Case, scratch: &Scratch) -> Result<String, Failure> {
        if matches!(case.credential, Credential::MitCache | Credential::OurCache) {
            let shared = shared_cache(case.enctype, case.credential);
            fs::copy(self.scratch.join(shared), scratch.join("initiator"))?;
        }
        Ok(scratch.cache("initiator"))
    }

    fn agreement(
        &self,
        case: &Case,
        initiated: &SideResult,
        accepted: &SideResult,
    ) -> Result<(), String> {
        let realm = self.realm.variable("KDC_REALM");
        let source = format!("{}@{realm}", user(case.enctype));
        let target = format!("{}@{realm}", service(case.enctype));
        for (side, result) in [("initiator", initiated), ("acceptor", accepted)] {
            if !result.ok() {
                return Err(format!("the {side} failed"));
            }
            if (result.text("src"), result.text("dst")) != (&source, &target) {
                return Err(format!("the {side} names other principals"));
            }
            if result.flags() != case.expected_flags() {
                return Err(format!(
                    "the {side} has the attributes {:?}, not {:?}",
                    result.flags(),
                    case.expected_flags()
                ));
            }
            if !(1..=LONGEST_LIFETIME).contains(&result.lifetime()) {
                return Err(format!("the {side}'s lifetime is {} s", result.lifetime()));
            }
            if result.flag("delegated") != Some(false) {
                return Err(format!(
                    "the {side} tells of a delegation that nobody asked for"
                ));
            }
        }
        session_keys(
            case,
            initiated.text("session_key"),
            accepted.text("session_key"),
        )
    }
}

fn session_keys(case: &Case, initiator: &str, acceptor: &str) -> Result<(), String> {
    if initiator != acceptor || initiator.is_empty() {
        return Err("the session keys differ".to_owned());
    }
    if case.permitted == Permitted::Only && initiator.len() != 2 * case.enctype.key_length() {
        return Err(format!(
            "the session key has {} bytes, not {}",
            initiator.len() / 2,
            case.enctype.key_length()
        ));
    }
    Ok(())
}

fn bindings_refused(initiated: &SideResult, accepted: &SideResult) -> Result<(), String> {
    if initiated.ok() || initiated.finished.success() {
        return Err("the initiator did not fail".to_owned());
    }
    if accepted.ok() || accepted.finished.success() {
        return Err("the acceptor did not fail".to_owned());
    }
    if !accepted.finished.stderr.contains("bindings") {
        return Err("the acceptor fails for another reason than the channel bindings".to_owned());
    }
    Ok(())
}

fn conversation(case: &Case) -> Conversation {
    let (initiator_channel, acceptor_channel) = case.bindings.flags();
    let name = user(case.enctype);
    let credential = match case.credential {
        Credential::Password => format!("user={name},pw={}", password(case.enctype)),
        Credential::Keytab => format!("user={name}"),
        Credential::MitCache | Credential::OurCache => String::new(),
    };
    Conversation {
        package: "kerberos",
        target: service(case.enctype),
        // A name and any key, by turns.
        acceptor: match case.transport {
            Transport::Udp => service(case.enctype),
            Transport::Tcp => "-".to_owned(),
        },
        initiator_flags: [
            case.style.word(),
            case.order.word(),
            case.messages.word(),
            initiator_channel,
            &credential,
        ]
        .join(","),
        acceptor_flags: [case.messages.word(), acceptor_channel].join(","),
    }
}

fn user(enctype: Enctype) -> String {
    format!("user-{}", enctype.word())
}

fn password(enctype: Enctype) -> String {
    format!("secret-{}", enctype.word())
}

fn service(enctype: Enctype) -> String {
    format!("host/{}.localhost", enctype.word())
}

fn shared_cache(enctype: Enctype, credential: Credential) -> String {
    format!("{}-{}", credential.word(), enctype.word())
}
