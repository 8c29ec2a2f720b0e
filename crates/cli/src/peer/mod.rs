//! `trihound peer`: one side of a security context over TCP, with the wire of the C peer on MIT's
//! libgssapi (`tests/interop/c/peer.c`), so that either side can be either program.

mod exchange;
mod flags;
mod moved;
mod onward;
mod report;
mod wire;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;

use trihound::environment::{self, UserStore};
use trihound::ntlm::MicRequirement;
use trihound::sspi::{
    AcceptorRequirements, AcquireRequest, ChannelBindings, CredentialUse, Identity,
    InitiatorRequirements, OwnedCredHandle, RegisteredPackage, SecurityFunctionTable,
};
use trihound::{
    Acceptor, ContextKey, ContextKeys, Initiator, NegotiatePolicy, Ntlm, NtlmPolicy, NtlmRule,
    Packages, SecurityContext,
};
use trihound_crypto::OsRandom;
use trihound_kdc_transport::KdcTransport;
use trihound_krb5::Config;
use trihound_sansio::{RandomSource, SystemClock};

use crate::network::kdc_transport;
use crate::outcome::{Failure, complain, say};
use flags::Flags;
pub(crate) use wire::Wire;

/// Options of `trihound peer`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// init connects and begins; accept listens and answers.
    role: Role,
    /// The port on 127.0.0.1; accept takes a free one for 0 and prints `listening N`.
    port: u16,
    /// The service, such as HTTP/localhost or HTTP/localhost@REALM; - for accept: any of the keytab.
    service: String,
    /// The security package.
    package: Package,
    /// Comma-separated: mutual, seq, replay, conf, integ, deleg, dce, identify, anon, cb=HEX, user=U,
    /// domain=D, pw=P, mechs=krb5:ntlm, iov, big=N, nowrap, nomic, nodata, loop, moves; onward=PORT:SPN lets accept
    /// go on to another peer as its client.
    #[arg(default_value = "", hide_default_value = true)]
    flags: String,
    /// Put the session key into the report.
    #[arg(long)]
    show_session_key: bool,
    /// Go on with a context that another process gives (standard input) over its connection (standard output).
    #[arg(long, hide = true)]
    resume: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    Init,
    Accept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Package {
    /// Kerberos, directly.
    Kerberos,
    /// NTLM, directly.
    Ntlm,
    /// SPNEGO over both.
    Negotiate,
}

impl Package {
    fn name(self) -> &'static str {
        match self {
            Self::Kerberos => "Kerberos",
            Self::Ntlm => "NTLM",
            Self::Negotiate => "Negotiate",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Kerberos => "kerberos",
            Self::Ntlm => "ntlm",
            Self::Negotiate => "negotiate",
        }
    }
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Accept => "accept",
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let result = Flags::parse(&arguments.flags).and_then(|flags| match arguments.role {
        _ if arguments.resume => moved::resume(arguments, &flags),
        Role::Init => initiate(arguments, &flags),
        Role::Accept => accept(arguments, &flags),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if arguments.resume => {
            // Standard output is the connection; the parent reports.
            complain(format_args!(
                "peer {}, imported: {failure}",
                arguments.role.word()
            ));
            ExitCode::FAILURE
        }
        Err(failure) => {
            report::failure(arguments, &failure);
            ExitCode::FAILURE
        }
    }
}

/// Everything that a side needs besides its connection.
struct Side {
    table: SecurityFunctionTable,
    credential: OwnedCredHandle,
    config: Arc<Config>,
    /// Under which the context moves, if it does.
    key: Option<moved::Key>,
}

impl Side {
    fn new(
        arguments: &Arguments,
        flags: &Flags,
        credential_use: CredentialUse,
        principal: Option<&str>,
    ) -> Result<Self, Failure> {
        let config = match arguments.package {
            Package::Ntlm => Arc::default(),
            _ => Arc::new(environment::load_config()?),
        };
        let key = flags.moves.then(drawn_key).transpose()?;
        let table = table(arguments.package, &config, flags, key.as_ref())?;
        let identity = identity(flags);
        let acquired = table.acquire_credentials_handle(
            arguments.package.name(),
            AcquireRequest {
                principal,
                credential_use,
                identity: identity.as_ref(),
                package_list: flags.package_list.as_deref(),
                ..AcquireRequest::new(credential_use)
            },
        )?;
        let credential = table.own_credential(acquired.credential)?;
        Ok(Self {
            table,
            credential,
            config,
            key,
        })
    }
}

fn drawn_key() -> Result<moved::Key, Failure> {
    let mut key = moved::Key::from([0; ContextKey::LENGTH]);
    OsRandom.fill(key.expose_mut())?;
    Ok(key)
}

/// Who names NTLM on the command line wants it: it may be used, and each use is a warning.
fn table(
    package: Package,
    config: &Arc<Config>,
    flags: &Flags,
    key: Option<&moved::Key>,
) -> Result<SecurityFunctionTable, Failure> {
    let keys = key.map(ContextKey::new).transpose()?;
    let sealer = match keys {
        Some(key) => Arc::new(ContextKeys::new(key)),
        None => ContextKeys::of_this_process()?,
    };
    let ntlm = || -> Result<_, Failure> {
        let mut policy = NtlmPolicy::both(NtlmRule::Audit);
        if flags.no_mic {
            policy = policy.mic(MicRequirement::WhenPromised);
        }
        let config = environment::ntlm_config_under(policy)?;
        Ok(RegisteredPackage::new(Ntlm::new(config)))
    };
    if package == Package::Ntlm {
        let table = SecurityFunctionTable::builder().package(&ntlm()?);
        return Ok(table.context_sealer(sealer).build()?);
    }
    let store = UserStore::from_environment(config)?;
    let kerberos = trihound::kerberos(
        Arc::clone(config),
        Arc::new(store),
        Arc::new(SystemClock),
        Arc::new(OsRandom),
    );
    if package == Package::Kerberos && key.is_some() {
        let table = SecurityFunctionTable::builder().package(&kerberos);
        return Ok(table.context_sealer(sealer).build()?);
    }
    if package == Package::Kerberos {
        return Ok(trihound::security_function_table(&kerberos)?);
    }
    Ok(
        Packages::new(&kerberos, &ntlm()?, NegotiatePolicy::default())?
            .with_context_sealer(sealer)
            .table()?,
    )
}

/// `user=` may be a name alone, `name@REALM` or `DOMAIN\name`.
fn identity(flags: &Flags) -> Option<Identity> {
    if flags.anonymous && flags.user.is_none() {
        // As Windows' callers ask for an anonymous credential of NTLM.
        return Some(Identity::password("", None, ""));
    }
    let password = flags.password.as_ref()?;
    let user = flags.user.as_deref()?;
    Some(Identity::password(
        user,
        flags.domain.as_deref(),
        password.duplicate(),
    ))
}

/// Whose credential is wanted where no password is given.
fn principal(flags: &Flags) -> Option<String> {
    let user = flags.user.as_deref().filter(|_| flags.password.is_none())?;
    Some(match &flags.domain {
        Some(domain) => format!("{domain}\\{user}"),
        None => user.to_owned(),
    })
}

fn initiate(arguments: &Arguments, flags: &Flags) -> Result<(), Failure> {
    // Connected before anything can fail, so that an acceptor that waits for one peer sees it go.
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, arguments.port))
        .map_err(|error| Failure::from(error).context(format!("127.0.0.1:{}", arguments.port)))?;
    let mut wire = Wire::new(stream)?;
    let user = principal(flags);
    let side = Side::new(arguments, flags, CredentialUse::OUTBOUND, user.as_deref())?;
    let mut transport = kdc_transport(Arc::clone(&side.config));
    let mut initiator = Initiator::new(
        &side.table,
        side.credential.handle(),
        &arguments.service,
        initiator_requirements(flags),
    );
    if let Some(data) = &flags.bindings {
        initiator = initiator.bind(&ChannelBindings::application_data(data))?;
    }
    connect(&mut initiator, &mut transport, &mut wire)?;
    let context = initiator.into_context()?;
    if let Some(key) = &side.key {
        exchange::speak_first(&context, &mut wire, flags)?;
        report::success(arguments, &context)?;
        return moved::send(arguments, &context, key, wire);
    }
    if !flags.no_data {
        exchange::speak(&context, &mut wire, flags)?;
    }
    report::success(arguments, &context)
}

/// The initiator's legs.
fn connect(
    initiator: &mut Initiator,
    transport: &mut KdcTransport,
    wire: &mut Wire,
) -> Result<(), Failure> {
    let mut leg = initiator.step(None, &mut *transport)?;
    loop {
        if let Some(token) = &leg.token {
            wire.send(token)?;
        }
        if leg.complete {
            return Ok(());
        }
        let answer = wire.receive()?;
        leg = initiator.step(Some(&answer), &mut *transport)?;
    }
}

fn accept(arguments: &Arguments, flags: &Flags) -> Result<(), Failure> {
    let service = Some(arguments.service.as_str()).filter(|service| *service != "-");
    let side = Side::new(arguments, flags, CredentialUse::INBOUND, service)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port))?;
    say(format_args!("listening {}", listener.local_addr()?.port()))?;
    loop {
        let (stream, _) = listener.accept()?;
        let served = serve(arguments, flags, &side, stream);
        match served {
            Err(failure) if flags.for_ever => report::failure(arguments, &failure),
            Ok(()) if flags.for_ever => {}
            once => return once,
        }
    }
}

fn serve(
    arguments: &Arguments,
    flags: &Flags,
    side: &Side,
    stream: TcpStream,
) -> Result<(), Failure> {
    let mut wire = Wire::new(stream)?;
    let mut acceptor = Acceptor::new(
        &side.table,
        side.credential.handle(),
        acceptor_requirements(flags),
    );
    if let Some(data) = &flags.bindings {
        acceptor = acceptor.bind(&ChannelBindings::application_data(data))?;
    }
    loop {
        let token = wire.receive()?;
        let leg = match acceptor.step(&token) {
            Ok(leg) => leg,
            Err(refused) => {
                if let Some(token) = &refused.token {
                    wire.send(token)?;
                }
                return Err(refused.into());
            }
        };
        if let Some(token) = &leg.token {
            wire.send(token)?;
        }
        if leg.complete {
            break;
        }
    }
    let context: SecurityContext = acceptor.into_context()?;
    if let Some(key) = &side.key {
        exchange::answer_first(&context, &mut wire, flags)?;
        report::success(arguments, &context)?;
        return moved::send(arguments, &context, key, wire);
    }
    if !flags.no_data {
        exchange::answer(&context, &mut wire, flags)?;
    }
    onward::go_on(arguments, flags, side, &context)?;
    report::success(arguments, &context)
}

fn initiator_requirements(flags: &Flags) -> InitiatorRequirements {
    use InitiatorRequirements as R;
    let mut requirements = R::ALLOCATE_MEMORY;
    for (wanted, requirement) in [
        (flags.mutual, R::MUTUAL_AUTH),
        (flags.sequence, R::SEQUENCE_DETECT),
        (flags.replay, R::REPLAY_DETECT),
        (flags.confidentiality, R::CONFIDENTIALITY),
        (flags.integrity, R::INTEGRITY),
        (flags.delegate, R::DELEGATE),
        (flags.dce, R::USE_DCE_STYLE),
        (flags.identify, R::IDENTIFY),
        (flags.anonymous, R::NULL_SESSION),
        // A program that is going to seal and sign has to ask for both.
        (!flags.no_data, R::INTEGRITY),
        (!flags.no_data && !flags.no_wrap, R::CONFIDENTIALITY),
    ] {
        requirements.set(requirement, wanted || requirements.contains(requirement));
    }
    requirements
}

fn acceptor_requirements(flags: &Flags) -> AcceptorRequirements {
    use AcceptorRequirements as R;
    let mut requirements = R::ALLOCATE_MEMORY;
    for (wanted, requirement) in [
        (flags.mutual, R::MUTUAL_AUTH),
        (flags.sequence, R::SEQUENCE_DETECT),
        (flags.replay, R::REPLAY_DETECT),
        (flags.confidentiality, R::CONFIDENTIALITY),
        (flags.integrity, R::INTEGRITY),
        (flags.dce, R::USE_DCE_STYLE),
        (flags.identify, R::IDENTIFY),
        (flags.anonymous, R::ALLOW_NULL_SESSION),
        (!flags.no_data, R::INTEGRITY),
        (!flags.no_data && !flags.no_wrap, R::CONFIDENTIALITY),
    ] {
        requirements.set(requirement, wanted || requirements.contains(requirement));
    }
    requirements
}
