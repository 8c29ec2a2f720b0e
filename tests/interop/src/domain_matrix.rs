use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use crate::axes::axis;
use crate::{
    Conversation, Domain, Failure, Layer, Peers, Protection, Report, Scratch, Side, SideResult,
};

/// What the report calls this matrix.
const MATRIX: &str = "samba";

axis! {
    /// The programs that speak in the domain.
    Member {
        /// `trihound peer`.
        Ours = "ours",
        /// MIT's libgssapi.
        Mit = "mit",
        /// Samba's own library of mechanisms; as acceptor, the domain controller.
        Gensec = "gensec",
        /// Samba's helper for proxies; as acceptor it asks winbindd.
        NtlmAuth = "ntlm_auth",
    }
}

axis! {
    /// What both sides can speak.
    Mechanism {
        /// Kerberos, with tickets that carry a PAC.
        Kerberos = "krb5",
        /// NTLM.
        Ntlm = "ntlm",
        /// Either; Kerberos is to be chosen.
        Both = "krb5:ntlm",
    }
}

axis! {
    /// Mutual authentication and DCE style.
    Legs {
        /// Neither.
        One = "one-leg",
        /// Mutual authentication.
        Mutual = "mutual",
        /// DCE style.
        Dce = "dce",
    }
}

axis! {
    /// Whose keys the ticket is sealed with.
    Target {
        /// The controller's own, a machine's account.
        Controller = "controller",
        /// Another machine's account.
        Station = "station",
        /// A service's account whose only enctype is AES with 256 bits.
        Aes256 = "aes256",
        /// AES with 128 bits.
        Aes128 = "aes128",
        /// RC4.
        Rc4 = "rc4",
    }
}

axis! {
    /// Whether the initiator's password is right.
    Password {
        /// It is.
        Right = "right",
        /// It is not.
        Wrong = "wrong",
    }
}

/// One context in the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DomainCase {
    /// Who begins.
    pub initiator: Member,
    /// Who answers.
    pub acceptor: Member,
    /// What they can speak.
    pub mechanism: Mechanism,
    /// Raw or inside SPNEGO.
    pub layer: Layer,
    /// How many legs.
    pub legs: Legs,
    /// Whose ticket.
    pub target: Target,
    /// What is protected and said.
    pub protection: Protection,
    /// The initiator's password.
    pub password: Password,
}

impl fmt::Display for DomainCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.initiator.word(), self.acceptor.word())?;
        for word in [
            self.mechanism.word(),
            self.layer.word(),
            self.legs.word(),
            self.target.word(),
            self.protection.word(),
            self.password.word(),
        ] {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

impl DomainCase {
    fn is_kerberos(self) -> bool {
        self.mechanism != Mechanism::Ntlm
    }

    fn members(self) -> [Member; 2] {
        [self.initiator, self.acceptor]
    }

    fn has(self, member: Member) -> bool {
        self.members().contains(&member)
    }

    /// Whether there is such a context, and whether it says something that no other case does.
    fn is_planned(self) -> bool {
        let is_ours = self.initiator == Member::Ours || self.acceptor == Member::Ours;
        // The controller's keys are on the controller; its own programs have no others.
        let has_keys = match self.acceptor {
            Member::Gensec | Member::NtlmAuth => self.target == Target::Controller,
            Member::Ours | Member::Mit => true,
        };
        // The helpers have nothing but the handshake, and Kerberos only as SPNEGO's acceptor.
        let helper_can = !self.has(Member::NtlmAuth)
            || (self.protection == Protection::Nothing
                && self.legs != Legs::Dce
                && (!self.is_kerberos()
                    || (self.acceptor == Member::NtlmAuth && self.layer == Layer::Spnego)));
        // Samba's initiators always want the acceptor's proof.
        let asks_for_proof =
            self.initiator != Member::Gensec || !self.is_kerberos() || self.legs != Legs::One;
        let is_of_mechanism = match self.mechanism {
            Mechanism::Kerberos => true,
            // gss-ntlmssp has a matrix of its own, and NTLM neither tickets nor mutual authentication.
            Mechanism::Ntlm => {
                !self.has(Member::Mit)
                    && self.has_samba()
                    && self.target == Target::Controller
                    && self.legs != Legs::Mutual
            }
            Mechanism::Both => {
                self.layer == Layer::Spnego
                    && self.has(Member::Gensec)
                    && self.legs == Legs::Mutual
                    && self.target == Target::Controller
            }
        };
        // One protection is enough where the other side is no other program than in the matrix of MIT.
        let is_new = self.has_samba() || self.protection == Protection::Confidentiality;
        let is_refusable = self.password == Password::Right
            || (self.legs != Legs::Dce
                && self.target == Target::Controller
                && self.protection == Protection::Nothing
                && self.mechanism != Mechanism::Both);
        is_ours
            && has_keys
            && helper_can
            && asks_for_proof
            && is_of_mechanism
            && is_new
            && is_refusable
    }

    fn has_samba(self) -> bool {
        self.has(Member::Gensec) || self.has(Member::NtlmAuth)
    }
}

/// Every case: the whole cross of the axes, as far as the programs can do it.
#[must_use]
pub fn planned_domain_cases() -> Vec<DomainCase> {
    let mut cases = BTreeSet::new();
    for &initiator in Member::ALL {
        for &acceptor in Member::ALL {
            for &mechanism in Mechanism::ALL {
                for &layer in Layer::ALL {
                    for &legs in Legs::ALL {
                        for &target in Target::ALL {
                            for &protection in Protection::ALL {
                                cases.extend(Password::ALL.iter().map(|&password| DomainCase {
                                    initiator,
                                    acceptor,
                                    mechanism,
                                    layer,
                                    legs,
                                    target,
                                    protection,
                                    password,
                                }));
                            }
                        }
                    }
                }
            }
        }
    }
    cases.into_iter().filter(|case| case.is_planned()).collect()
}

/// Runs cases, two at a time.
///
/// # Errors
///
/// The stage cannot be set.
pub fn run_domain(peers: &Peers, domain: &Domain, cases: &[DomainCase]) -> Result<Report, Failure> {
    let stage = Stage::new(peers, domain)?;
    Ok(Report::of(MATRIX, cases, |case| stage.play(case)))
}

struct Stage<'a> {
    peers: &'a Peers,
    domain: &'a Domain,
    scratch: Scratch,
}

impl<'a> Stage<'a> {
    fn new(peers: &'a Peers, domain: &'a Domain) -> Result<Self, Failure> {
        let stage = Self {
            peers,
            domain,
            scratch: Scratch::new()?,
        };
        let accounts = format!("{}:alice:Wonder-Land-7\n", domain.variable("SAMBA_DOMAIN"));
        fs::write(stage.scratch.join("accounts"), accounts)?;
        Ok(stage)
    }

    fn play(&self, case: &DomainCase) -> Result<(), Failure> {
        let conversation = self.conversation(*case);
        let [initiator, acceptor] = [
            self.side(case.initiator, *case)?,
            self.side(case.acceptor, *case)?,
        ];
        let (initiated, accepted) = conversation.hold(initiator, acceptor)?;
        let verdict = match case.password {
            Password::Right => self.agreement(*case, &initiated, &accepted),
            Password::Wrong => refused(*case, &initiated, &accepted),
        };
        verdict.map_err(|wrong| {
            Failure::new(format!(
                "{wrong}\n{}\n{}",
                initiated.finished, accepted.finished
            ))
        })
    }

    fn side(&self, member: Member, case: DomainCase) -> Result<Side, Failure> {
        let cache = self.scratch.cache("no-tickets");
        let mut command = match member {
            Member::Ours => self.domain.command(&self.peers.program, &cache),
            Member::Mit => self.domain.command(&self.peers.c_peer, &cache),
            Member::Gensec | Member::NtlmAuth => self.domain.samba_peer(member.word(), &cache)?,
        };
        let keytab = match case.target {
            Target::Controller => "dc1.keytab",
            Target::Station => "station.keytab",
            Target::Aes256 | Target::Aes128 | Target::Rc4 => "service.keytab",
        };
        command
            .env("KRB5_KTNAME", self.domain.file(keytab))
            .env("NTLM_USER_FILE", self.scratch.join("accounts"));
        Ok(Side {
            command,
            ours: member == Member::Ours,
        })
    }

    fn conversation(&self, case: DomainCase) -> Conversation {
        let package = match (case.layer, case.mechanism) {
            (Layer::Spnego, _) => "negotiate",
            (Layer::Raw, Mechanism::Ntlm) => "ntlm",
            (Layer::Raw, _) => "kerberos",
        };
        let dns_domain = self.domain.variable("SAMBA_DNS_DOMAIN");
        let target = match case.target {
            Target::Controller => format!("host/{}", self.domain.variable("SAMBA_HOST")),
            Target::Station => format!("host/station.{dns_domain}"),
            _ => format!("host/{}.localhost", case.target.word()),
        };
        let mechs = match case.layer {
            Layer::Spnego => format!("mechs={}", case.mechanism.word()),
            Layer::Raw => String::new(),
        };
        let legs = match case.legs {
            Legs::One => "",
            Legs::Mutual => "mutual",
            Legs::Dce => "dce",
        };
        let credential = format!(
            "user=alice,pw={}{}",
            match case.password {
                Password::Right => "Wonder-Land-7",
                Password::Wrong => "Wonder-Land-8",
            },
            match case.mechanism {
                Mechanism::Kerberos => String::new(),
                Mechanism::Ntlm => format!(",domain={}", self.domain.variable("SAMBA_DOMAIN")),
                Mechanism::Both => format!(",domain={}", self.domain.variable("SAMBA_REALM")),
            }
        );
        let said = said(case);
        // In DCE style the acceptor of Samba has to be told; the others see it in the initiator's token.
        let acceptor_legs = if case.legs == Legs::Dce { "dce" } else { "" };
        Conversation {
            package,
            target,
            acceptor: "-".to_owned(),
            initiator_flags: [legs, said, &mechs, &credential].join(","),
            acceptor_flags: [acceptor_legs, said, &mechs].join(","),
        }
    }

    fn agreement(
        &self,
        case: DomainCase,
        initiated: &SideResult,
        accepted: &SideResult,
    ) -> Result<(), String> {
        let mechanism = if case.is_kerberos() { "krb5" } else { "ntlm" };
        for (side, member, result) in [
            ("initiator", case.initiator, initiated),
            ("acceptor", case.acceptor, accepted),
        ] {
            if !result.ok() {
                return Err(format!("the {side} failed"));
            }
            let spoken = result.text("mech");
            if spoken != mechanism && matches!(member, Member::Ours | Member::Mit) {
                return Err(format!("the {side} speaks {spoken:?}"));
            }
            if member == Member::Ours {
                attributes(case, result).map_err(|wrong| format!("the {side} {wrong}"))?;
            }
        }
        let user =
            if case.is_kerberos() && !matches!(case.acceptor, Member::Gensec | Member::NtlmAuth) {
                format!("alice@{}", self.domain.variable("SAMBA_REALM"))
            } else {
                format!("{}\\alice", self.domain.variable("SAMBA_DOMAIN"))
            };
        if accepted.text("src") != user {
            return Err(format!(
                "the acceptor calls the user {:?}, not {user:?}",
                accepted.text("src")
            ));
        }
        same_keys(
            case,
            initiated.text("session_key"),
            accepted.text("session_key"),
        )
    }
}

/// The flags that say what is talked of.
fn said(case: DomainCase) -> &'static str {
    let with_gensec = case.has(Member::Gensec);
    match case.protection {
        Protection::Nothing => "nodata",
        Protection::Integrity => "integ,nowrap",
        // GENSEC has no Kerberos wrap that is only signed, and no token apart from its data.
        Protection::Confidentiality if with_gensec && case.is_kerberos() => "conf,nowrap,big=70000",
        Protection::Confidentiality if with_gensec => "big=70000",
        Protection::Confidentiality => "iov,big=70000",
    }
}

/// What was asked for is there, and what cannot be is not told.
fn attributes(case: DomainCase, result: &SideResult) -> Result<(), String> {
    let flags = result.flags();
    let mutual = case.is_kerberos() && case.legs != Legs::One;
    let wanted = [
        ("mutual", mutual),
        ("dce", case.legs == Legs::Dce),
        ("conf", case.protection == Protection::Confidentiality),
    ];
    for (flag, wanted) in wanted {
        if flags.contains(flag) != wanted {
            return Err(format!("tells of {flags:?}; {flag} must be {wanted}"));
        }
    }
    if case.protection != Protection::Nothing && !flags.contains("integ") {
        return Err(format!("tells of {flags:?} without integ"));
    }
    Ok(())
}

fn same_keys(case: DomainCase, initiator: &str, acceptor: &str) -> Result<(), String> {
    // The helpers for SPNEGO do not tell the key. The initiator's for NTLM draws one even where nothing is to be
    // protected, where MS-NLMP section 3.2.5.1.2 has both sides compute it.
    if case.initiator == Member::NtlmAuth
        || (case.acceptor == Member::NtlmAuth && case.layer == Layer::Spnego)
    {
        return Ok(());
    }
    let is_whole = matches!(initiator.len(), 32 | 64);
    if initiator == acceptor && is_whole {
        return Ok(());
    }
    Err(format!(
        "the session keys differ, or are none: {initiator:?} and {acceptor:?}"
    ))
}

/// How a wrong password is told: in our words, then in those of the others.
const KDC_REFUSES: &[&str] = &[
    "KDC_ERR_PREAUTH_FAILED",
    "Password incorrect",
    "Preauthentication failed",
    "LOGON_FAILURE",
    "password",
];
const ACCEPTOR_REFUSES: &[&str] = &["SEC_E_LOGON_DENIED", "LOGON_FAILURE", "password"];

/// With Kerberos the KDC refuses the initiator; with NTLM it is the acceptor that knows better.
fn refused(case: DomainCase, initiated: &SideResult, accepted: &SideResult) -> Result<(), String> {
    if accepted.ok() || accepted.finished.success() {
        return Err("the acceptor did not fail".to_owned());
    }
    let is_told = case.is_kerberos() || case.layer == Layer::Spnego;
    if is_told && (initiated.ok() || initiated.finished.success()) {
        return Err("the initiator did not fail".to_owned());
    }
    let (knows, member, texts) = if case.is_kerberos() {
        (initiated, case.initiator, KDC_REFUSES)
    } else {
        (accepted, case.acceptor, ACCEPTOR_REFUSES)
    };
    // Ours says the first of the texts, the others one of theirs.
    let texts = if member == Member::Ours {
        &texts[..1]
    } else {
        texts
    };
    let told = &knows.finished.stderr;
    if texts.iter().any(|text| told.contains(text)) {
        return Ok(());
    }
    Err(format!("{} fails for another reason", member.word()))
}
