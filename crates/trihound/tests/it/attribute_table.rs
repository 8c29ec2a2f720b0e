//! QueryContextAttributes of every package, on both sides and in each state: the tables of
//! docs/manual/attributes.md are these answers.

use std::fmt::Write as _;
use std::sync::Arc;

use trihound::krb5::{Config, MemoryStore};
use trihound::sansio::{Reply, SystemClock, Transport};
use trihound::sspi::{
    AcceptRequest, AcceptorRequirements, AcquireRequest, ContextAttribute, ContextAttributeValue,
    CredHandle, CredentialUse, CtxtHandle, Error, HandshakeOutcome, Identity, InitializeRequest,
    InitiatorRequirements, InputDesc, NegotiationState, RegisteredPackage, SecBuffer,
    SecBufferDesc, SecurityFunctionTable, SecurityStatus, Step,
};
use trihound::{NegotiatePolicy, Ntlm, NtlmConfig, OsRandom, Packages};
use trihound_test_realm::{PacIssue, RealmTransport, TestRealm};

use crate::packages::{accounts, audited};
use crate::support::{REALM, SERVICE, keytab};

const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/manual/attributes.md"
);

struct Site {
    table: SecurityFunctionTable,
    transport: RealmTransport,
}

/// A package, and the mechanism that it comes to.
#[derive(Clone, Copy)]
struct Way {
    package: &'static str,
    mechanism: &'static str,
}

const KERBEROS: Way = Way {
    package: "Kerberos",
    mechanism: "Kerberos",
};
const NTLM: Way = Way {
    package: "NTLM",
    mechanism: "NTLM",
};

/// The contexts of both sides after each token.
type Stage = [Option<CtxtHandle>; 2];

impl Site {
    fn new(pac: PacIssue) -> Self {
        let realm = TestRealm::builder(REALM)
            .principal("alice", "password")
            .service(SERVICE)
            .pac(pac)
            .build()
            .unwrap();
        let mut config = Config::default();
        config.default_realm = Some(REALM.to_owned());
        let store = MemoryStore::with_keytab(keytab(&realm));
        let kerberos = trihound::kerberos(
            Arc::new(config),
            Arc::new(store),
            Arc::new(SystemClock),
            Arc::new(OsRandom),
        );
        let ntlm = NtlmConfig::default()
            .with_policy(audited())
            .with_verifier(accounts());
        let ntlm = RegisteredPackage::new(Ntlm::new(ntlm));
        let packages = Packages::new(&kerberos, &ntlm, NegotiatePolicy::default()).unwrap();
        Self {
            table: packages.table().unwrap(),
            transport: realm.transport(),
        }
    }

    fn acquire(&self, way: Way, direction: CredentialUse) -> CredHandle {
        let identity = Identity::password("alice", Some(REALM), "password");
        let request = AcquireRequest {
            identity: (direction == CredentialUse::OUTBOUND).then_some(&identity),
            package_list: Some(way.mechanism),
            ..AcquireRequest::new(direction)
        };
        let acquired = self.table.acquire_credentials_handle(way.package, request);
        acquired.unwrap().credential
    }

    /// Goes through a handshake, looking at both contexts after each call.
    fn walk(
        &mut self,
        way: Way,
        dce: bool,
        look: &mut dyn FnMut(&SecurityFunctionTable, Stage, bool),
    ) {
        let ours = self.acquire(way, CredentialUse::OUTBOUND);
        let theirs = self.acquire(way, CredentialUse::INBOUND);
        let mut stage: Stage = [None, None];
        let (mut token, mut done) = (Vec::new(), [false, false]);
        for turn in 0..8 {
            let side = turn % 2;
            if done == [true, true] {
                return;
            }
            let (outcome, next) = match side {
                0 => self.initialize(ours, stage[0], dce, &token),
                _ => self.accept(theirs, stage[1], dce, &token),
            }
            .unwrap();
            token = next;
            stage[side] = Some(outcome.context);
            done[side] = matches!(outcome.step, Step::Complete(_));
            look(&self.table, stage, done == [true, true]);
        }
        assert_eq!(done, [true, true]);
    }

    fn initialize(
        &mut self,
        credential: CredHandle,
        context: Option<CtxtHandle>,
        dce: bool,
        token: &[u8],
    ) -> Result<(HandshakeOutcome, Vec<u8>), Error> {
        let mut memory = [0; 16_000];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut buffers);
        let input = [SecBuffer::token_input(token)];
        let mut requirements = InitiatorRequirements::CONFIDENTIALITY
            | InitiatorRequirements::INTEGRITY
            | InitiatorRequirements::MUTUAL_AUTH;
        requirements.set(InitiatorRequirements::USE_DCE_STYLE, dce);
        let request = InitializeRequest {
            target_name: Some(SERVICE),
            requirements,
            input: context.map(|_| InputDesc::new(&input)),
            ..InitializeRequest::default()
        };
        let mut outcome = self.table.initialize_security_context(
            Some(credential),
            context,
            request,
            &mut output,
        )?;
        while let Some(request) = outcome.exchange() {
            let answer = self.transport.round_trip(request).unwrap();
            let reply = Reply::Bytes(&answer);
            outcome = self
                .table
                .complete_exchange(outcome.context, reply, &mut output)?;
        }
        Ok((outcome, output.token().unwrap_or_default().to_vec()))
    }

    fn accept(
        &mut self,
        credential: CredHandle,
        context: Option<CtxtHandle>,
        dce: bool,
        token: &[u8],
    ) -> Result<(HandshakeOutcome, Vec<u8>), Error> {
        let mut memory = [0; 16_000];
        let mut buffers = [SecBuffer::token(&mut memory)];
        let mut output = SecBufferDesc::new(&mut buffers);
        let input = [SecBuffer::token_input(token)];
        let mut requirements = AcceptorRequirements::CONFIDENTIALITY;
        requirements.set(AcceptorRequirements::USE_DCE_STYLE, dce);
        let request = AcceptRequest {
            requirements,
            input: Some(InputDesc::new(&input)),
        };
        let outcome =
            self.table
                .accept_security_context(Some(credential), context, request, &mut output)?;
        Ok((outcome, output.token().unwrap_or_default().to_vec()))
    }
}

/// `yes`, `no` (SEC_E_UNSUPPORTED_FUNCTION) or `later` (SEC_E_NO_CONTEXT).
fn answer(
    table: &SecurityFunctionTable,
    context: CtxtHandle,
    attribute: ContextAttribute,
) -> &'static str {
    match table.query_context_attributes(context, attribute) {
        Ok(value) => {
            assert_eq!(value.attribute(), attribute);
            "yes"
        }
        Err(error) => match error.status() {
            SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION => "no",
            SecurityStatus::SEC_E_NO_CONTEXT => "later",
            status => panic!("{attribute:?}: {status:?}: {error}"),
        },
    }
}

/// Every attribute's answer on both sides, when both are done and when both are half-way.
struct Answers {
    done: [Vec<&'static str>; 2],
    under_way: [Vec<&'static str>; 2],
}

fn answers(pac: PacIssue, way: Way) -> Answers {
    let mut site = Site::new(pac);
    let mut found = Answers {
        done: Default::default(),
        under_way: Default::default(),
    };
    let all = |table: &SecurityFunctionTable, context| -> Vec<_> {
        let attributes = ContextAttribute::ALL.iter();
        attributes
            .map(|attribute| answer(table, context, *attribute))
            .collect()
    };
    // DCE style has a stage at which both sides of Kerberos are half-way; of the others each has one anyway.
    for dce in [false, true] {
        site.walk(way, dce, &mut |table, stage, over| {
            for (side, context) in stage.iter().enumerate() {
                let Some(context) = *context else { continue };
                let answers = all(table, context);
                let half = answers[0] == "later";
                let place = match half {
                    true => &mut found.under_way[side],
                    false => &mut found.done[side],
                };
                assert!(!(half && over), "a context that is done has sizes");
                assert!(place.is_empty() || *place == answers, "{}", way.package);
                *place = answers;
            }
        });
    }
    found
}

/// TARGET_INFORMATION of [`ContextAttribute::TargetInformation`].
fn name(attribute: ContextAttribute) -> String {
    let mut name = String::new();
    for letter in format!("{attribute:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn rows(head: &str, columns: &[&[&str]]) -> String {
    let mut text = format!("{head}\n|{}\n", "---|".repeat(columns.len() + 2));
    for (index, attribute) in ContextAttribute::ALL.iter().enumerate() {
        write!(text, "| {} | {} |", name(*attribute), attribute.number()).unwrap();
        for column in columns {
            write!(text, " {} |", column[index]).unwrap();
        }
        text.push('\n');
    }
    text
}

/// What the page has between two markers, when it is not the table.
fn differs(marker: &str, table: &str) -> Option<String> {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let begin = format!("<!-- {marker} -->\n");
    let end = format!("<!-- end of {marker} -->");
    let found = page
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once(&end))
        .map(|(found, _)| found);
    (found != Some(table)).then(|| format!("{marker}: the answers are\n{table}"))
}

#[test]
fn the_pages_tables_are_what_contexts_answer() {
    let kerberos = answers(PacIssue::Domain, KERBEROS);
    let bare = answers(PacIssue::None, KERBEROS);
    let ntlm = answers(PacIssue::Domain, NTLM);
    // What hangs on the ticket's PAC.
    let acceptor: Vec<&str> = kerberos.done[1]
        .iter()
        .zip(&bare.done[1])
        .map(|pair| match pair {
            (one, other) if one == other => *one,
            (&"yes", &"no") => "with a PAC",
            pair => panic!("{pair:?}"),
        })
        .collect();
    assert_eq!(kerberos.done[0], bare.done[0]);
    let established = differs(
        "established",
        &rows(
            "| attribute | number | Kerberos initiator | Kerberos acceptor | NTLM initiator | NTLM acceptor |",
            &[&kerberos.done[0], &acceptor, &ntlm.done[0], &ntlm.done[1]],
        ),
    );
    let negotiate = |mechanism| {
        let package = "Negotiate";
        answers(PacIssue::Domain, Way { package, mechanism })
    };
    let (over_kerberos, over_ntlm) = (negotiate("Kerberos"), negotiate("NTLM"));
    // What Negotiate chose answers, once it is chosen.
    assert_eq!(over_kerberos.done, kerberos.done);
    assert_eq!(over_ntlm.done, ntlm.done);
    assert_eq!(over_kerberos.under_way, over_ntlm.under_way);
    let under_way = differs(
        "under way",
        &rows(
            "| attribute | number | Kerberos initiator | Kerberos acceptor | NTLM initiator | NTLM acceptor \
             | Negotiate initiator | Negotiate acceptor |",
            &[
                &kerberos.under_way[0],
                &kerberos.under_way[1],
                &ntlm.under_way[0],
                &ntlm.under_way[1],
                &over_ntlm.under_way[0],
                &over_ntlm.under_way[1],
            ],
        ),
    );
    let wrong: Vec<_> = established.into_iter().chain(under_way).collect();
    assert!(wrong.is_empty(), "{PAGE}, {}", wrong.join("\n"));
}

/// Who is negotiated with, and how far it is: SECPKG_ATTR_NEGOTIATION_INFO at every step.
#[test]
fn negotiation_info_tells_the_package_and_the_state_at_every_step() {
    use NegotiationState::{Complete, Direct, InProgress, Optimistic};
    let mut site = Site::new(PacIssue::Domain);
    for (package, mechanism, expected) in [
        (
            "Kerberos",
            "Kerberos",
            vec![
                [Some(InProgress), None],
                [Some(InProgress), Some(Direct)],
                [Some(Direct), Some(Direct)],
            ],
        ),
        (
            "NTLM",
            "NTLM",
            vec![
                [Some(InProgress), None],
                [Some(InProgress), Some(InProgress)],
                [Some(Direct), Some(InProgress)],
                [Some(Direct), Some(Direct)],
            ],
        ),
        (
            "Negotiate",
            "Kerberos",
            vec![
                [Some(Optimistic), None],
                [Some(Optimistic), Some(Complete)],
                [Some(Complete), Some(Complete)],
            ],
        ),
        (
            "Negotiate",
            "NTLM",
            vec![
                [Some(Optimistic), None],
                [Some(Optimistic), Some(InProgress)],
                [Some(InProgress), Some(InProgress)],
                [Some(InProgress), Some(Complete)],
                [Some(Complete), Some(Complete)],
            ],
        ),
    ] {
        let mut found = Vec::new();
        let way = Way { package, mechanism };
        site.walk(way, false, &mut |table, stage, _| {
            found.push(stage.map(|context| {
                let asked = ContextAttribute::NegotiationInfo;
                match table.query_context_attributes(context?, asked) {
                    Ok(ContextAttributeValue::NegotiationInfo(info)) => {
                        assert_eq!(info.package.name, mechanism, "{package}");
                        Some(info.state)
                    }
                    other => panic!("{other:?}"),
                }
            }));
        });
        assert_eq!(found, expected, "{package} over {mechanism}");
    }
}
