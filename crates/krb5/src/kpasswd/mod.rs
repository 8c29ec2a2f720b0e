//! The password change (RFC 3244): a new password for one's own account, or, with the right to do so, for
//! another's.
//!
//! ```text
//! AS exchange for kadmin/changepw ──► PasswordTicket: an initial ticket, never from a cache
//! KpasswdExchange
//!   ├ which address of this host?    KRB-PRIV names its sender
//!   └ AP-REQ, KRB-PRIV ──► ExpectReply
//!       ├ AP-REP, KRB-PRIV           both verified ──► done, or PasswordRefused
//!       ├ KRB-ERROR                  PasswordRefused, told as one that nobody signed
//!       └ nobody answered            whether it was changed is not known
//! ```
//!
//! [`ChangePasswordExchange`] is both in a row. Nothing is ever sent twice: a change that was made and whose
//! answer was lost would be made again.

mod frame;
mod reply;
mod request;
mod result;

use std::sync::Arc;

use trihound_asn1::{HostAddress, TicketFlags, name_type};
use trihound_sansio::{
    Exchange, ExchangeRequest, Progress, Reply, Service, TransportFailure, TransportHint,
};
use trihound_secret::SecretString;

use crate::as_exchange::{AsExchange, AsOutcome, AsRequest, ClientSecret, host_address};
use crate::{
    ApiMisuse, Credentials, Environment, Error, KdcMisbehaved, PasswordUnknown, Principal, trace,
};

pub use frame::{Frame, VERSION_CHANGE, VERSION_SET};
pub use result::{KpasswdResult, PasswordPolicy};

use reply::ExpectReply;

/// How long the ticket for a password change is asked to live: MIT's five minutes.
const TICKET_LIFETIME: core::time::Duration = core::time::Duration::from_secs(300);

/// Proof that the password service answered this request: its AP-REP was verified, and the answer came in a
/// KRB-PRIV under the sub-key of the login (RFC 3244 section 2).
#[derive(Debug)]
pub struct KpasswdReplyVerified(());

/// The service that changes the passwords of a realm.
#[must_use]
pub fn changepw_principal(realm: &trihound_asn1::Realm) -> Principal {
    Principal::new(
        realm.clone(),
        name_type::NT_PRINCIPAL,
        ["kadmin", "changepw"],
    )
}

/// An initial ticket for a password change. It is made of an AS exchange and of nothing else, so that no
/// ticket of a cache, and none that a ticket-granting ticket got, can change a password.
#[derive(Debug)]
pub struct PasswordTicket {
    credentials: Credentials,
    time_offset: i64,
}

impl PasswordTicket {
    /// What to ask the KDC for; an expired password does not stand in the way of it.
    #[must_use]
    pub fn request(client: Principal, secret: ClientSecret) -> AsRequest {
        AsRequest {
            service: Some(changepw_principal(&client.realm)),
            lifetime: Some(TICKET_LIFETIME),
            ..AsRequest::new(client, secret)
        }
    }

    /// Takes the ticket that [`Self::request`] got.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::NotAPasswordTicket`], [`KdcMisbehaved::TicketNotInitial`].
    pub fn from_outcome(outcome: AsOutcome) -> Result<Self, Error> {
        let credentials = outcome.credentials;
        let service = changepw_principal(&credentials.client.realm);
        // RFC 3244 2: the ticket's server is kadmin/changepw of the realm (conformance row 85).
        if credentials.server != service {
            return Err(ApiMisuse::NotAPasswordTicket {
                server: credentials.server.to_string(),
            }
            .into());
        }
        // RFC 3244 2: the INITIAL flag is required for change requests (conformance row 85).
        if !credentials.flags.contains(TicketFlags::INITIAL) {
            return Err(KdcMisbehaved::TicketNotInitial {
                server: service.to_string(),
            }
            .into());
        }
        Ok(Self {
            credentials,
            time_offset: outcome.time_offset.unwrap_or_default(),
        })
    }

    /// Whose ticket it is, as the KDC writes the name.
    #[must_use]
    pub fn client(&self) -> &Principal {
        &self.credentials.client
    }
}

/// A new password, and with which ticket to set it.
#[derive(Debug)]
pub struct KpasswdRequest {
    /// The ticket; it serves for several tries.
    pub ticket: Arc<PasswordTicket>,
    /// The new password.
    pub new_password: SecretString,
    /// Whose password, if not that of the ticket's client: the service's administrator decides who may.
    pub target: Option<Principal>,
}

/// A password that was changed.
#[derive(Debug)]
#[non_exhaustive]
pub struct PasswordChanged {
    /// Whose.
    pub account: Principal,
    /// The service's own words, if it has any.
    pub text: Option<String>,
    /// Proof that the service said so.
    pub verified: KpasswdReplyVerified,
}

/// One try of a password change, with a ticket that is there.
#[derive(Debug)]
pub struct KpasswdExchange {
    state: State,
}

#[derive(Debug)]
enum State {
    Begin(Box<Change>),
    ExpectAddress(Box<Change>),
    ExpectReply(Box<ExpectReply>),
    Over,
}

/// What is to be sent.
#[derive(Debug)]
struct Change {
    request: KpasswdRequest,
    environment: Environment,
}

impl KpasswdExchange {
    /// Prepares the change.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::EmptyName`] for an empty password.
    pub fn begin(request: KpasswdRequest, environment: &Environment) -> Result<Self, Error> {
        // An empty password is none to any service, and some would lock the account with it.
        if request.new_password.expose().is_empty() {
            return Err(ApiMisuse::EmptyName("new password").into());
        }
        Ok(Self {
            state: State::Begin(Box::new(Change {
                request,
                environment: environment.clone(),
            })),
        })
    }
}

impl Exchange for KpasswdExchange {
    type Output = PasswordChanged;
    type Error = Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<PasswordChanged>, Error> {
        match (core::mem::replace(&mut self.state, State::Over), reply) {
            (State::Begin(change), None) => {
                let request = change.exchange_request(Service::LocalAddress, Vec::new());
                self.state = State::ExpectAddress(change);
                Ok(Progress::Exchange(request))
            }
            (State::ExpectAddress(change), Some(reply)) => {
                let (expected, message) = request::send(&change, &change.sender(reply))?;
                let request = change.exchange_request(Service::Kpasswd, message);
                self.state = State::ExpectReply(Box::new(expected));
                Ok(Progress::Exchange(request))
            }
            (State::ExpectReply(state), Some(Reply::Bytes(bytes))) => {
                state.handle(bytes).map(Progress::Done)
            }
            (State::ExpectReply(state), Some(Reply::Failed(failure))) => {
                Err(unanswered(state.account(), failure))
            }
            (State::Begin(_), Some(_)) => {
                Err(ApiMisuse::OutOfStep("a reply came before the first request").into())
            }
            (State::ExpectAddress(_) | State::ExpectReply(_), None) => {
                Err(ApiMisuse::OutOfStep("the reply is missing").into())
            }
            (State::Over, _) => Err(ApiMisuse::OutOfStep("the exchange is over").into()),
        }
    }
}

impl Change {
    fn exchange_request(&self, service: Service, message: Vec<u8>) -> ExchangeRequest {
        ExchangeRequest {
            service,
            realm: self.request.ticket.client().realm.to_string(),
            message,
            hint: TransportHint::Any,
            route: None,
        }
    }

    /// The s-address of the KRB-PRIV (RFC 4120 section 5.7.1): MIT's kadmind compares it with where the
    /// request comes from. Who cannot tell gets the first address of the environment.
    fn sender(&self, reply: Reply<'_>) -> HostAddress {
        let told = match reply {
            Reply::Bytes(bytes) => request::address(bytes),
            Reply::Failed(_) => None,
        };
        let known = || self.environment.addresses.first().copied();
        let loopback = std::net::Ipv4Addr::LOCALHOST.into();
        host_address(told.or_else(known).unwrap_or(loopback))
    }

    /// Whose password it is.
    fn account(&self) -> &Principal {
        let client = self.request.ticket.client();
        self.request.target.as_ref().unwrap_or(client)
    }
}

fn unanswered(account: &Principal, failure: &TransportFailure) -> Error {
    trace::password_unanswered(account, failure);
    Error::PasswordUnknown(Box::new(PasswordUnknown {
        account: account.to_string(),
        failure: failure.clone(),
    }))
}

/// Who changes whose password to what.
#[derive(Debug)]
pub struct ChangePasswordRequest {
    /// Who logs in for it.
    pub client: Principal,
    /// The client's present secret; an expired password will do.
    pub secret: ClientSecret,
    /// The new password.
    pub new_password: SecretString,
    /// Whose password, if not the client's own.
    pub target: Option<Principal>,
}

impl ChangePasswordRequest {
    /// A new password for the client itself.
    #[must_use]
    pub fn new(client: Principal, old_password: SecretString, new_password: SecretString) -> Self {
        Self {
            client,
            secret: ClientSecret::Password(old_password),
            new_password,
            target: None,
        }
    }
}

/// A password change with its login: AS exchange, then [`KpasswdExchange`].
#[derive(Debug)]
pub struct ChangePasswordExchange {
    stage: Stage,
    environment: Environment,
}

#[derive(Debug)]
enum Stage {
    Login(Box<AsExchange>, SecretString, Option<Principal>),
    Change(Box<KpasswdExchange>),
    Over,
}

impl ChangePasswordExchange {
    /// Prepares login and change.
    ///
    /// # Errors
    ///
    /// Those of [`AsExchange::begin`]; [`ApiMisuse::EmptyName`] for an empty new password.
    pub fn begin(request: ChangePasswordRequest, environment: &Environment) -> Result<Self, Error> {
        if request.new_password.expose().is_empty() {
            return Err(ApiMisuse::EmptyName("new password").into());
        }
        let login = PasswordTicket::request(request.client, request.secret);
        let login = AsExchange::begin(login, environment)?;
        Ok(Self {
            stage: Stage::Login(Box::new(login), request.new_password, request.target),
            environment: environment.clone(),
        })
    }
}

impl Exchange for ChangePasswordExchange {
    type Output = PasswordChanged;
    type Error = Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<PasswordChanged>, Error> {
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Login(mut login, new_password, target) => match login.step(reply)? {
                Progress::Exchange(request) => {
                    self.stage = Stage::Login(login, new_password, target);
                    Ok(Progress::Exchange(request))
                }
                Progress::Done(outcome) => {
                    let request = KpasswdRequest {
                        ticket: Arc::new(PasswordTicket::from_outcome(outcome)?),
                        new_password,
                        target,
                    };
                    let mut change = KpasswdExchange::begin(request, &self.environment)?;
                    let progress = change.step(None)?;
                    self.stage = Stage::Change(Box::new(change));
                    Ok(progress)
                }
            },
            Stage::Change(mut change) => {
                let progress = change.step(reply)?;
                if matches!(progress, Progress::Exchange(_)) {
                    self.stage = Stage::Change(change);
                }
                Ok(progress)
            }
            Stage::Over => Err(ApiMisuse::OutOfStep("the exchange is over").into()),
        }
    }
}
