//! The AS exchange: from a secret to a first ticket (RFC 4120 section 3.1).
//!
//! ```text
//! Begin ── AS-REQ without pre-authentication ──► ExpectAsReply
//! ExpectAsReply
//!   ├ AS-REP                    decrypt, compare with the request ──► done
//!   ├ PREAUTH_REQUIRED          METHOD-DATA tells enctype and salt: AS-REQ with PA-ENC-TIMESTAMP
//!   ├ SKEW                      once: the same with the KDC's time
//!   ├ RESPONSE_TOO_BIG          once: the same over a stream
//!   ├ PREAUTH_FAILED and such   once: from the start, with a primary KDC if there is one
//!   ├ WRONG_REALM               if canonicalization was asked for: from the start, in that realm
//!   └ any other KRB-ERROR       the end, with advice
//! ```
//!
//! A KRB-ERROR is not authenticated (section 3.1.6). None of these steps weakens the next request:
//! the encryption types stay those of the policy, and whatever an attacker puts into an error, the
//! reply must still decrypt under the client's own key and repeat the nonce of the last request.

mod etype_info;
mod preauth;
mod reply;
mod request;
mod verify_initial;

use core::time::Duration;
use std::net::IpAddr;

use trihound_asn1::{HostAddress, KrbError, Message, error_code};
use trihound_crypto::EnctypePolicy;
use trihound_sansio::{Exchange, ExchangeRequest, Progress, Reply, Timestamp, TransportFailure};
use trihound_secret::SecretString;

use crate::kdc_reply::KdcReplyVerified;
use crate::refusal::{KRB_ERROR_TAG, MadeWith, kdc_refused, moment};
use crate::{
    ApiMisuse, Credentials, Environment, Error, InvalidMessage, KdcMisbehaved, KeytabKey, Policy,
    Principal, trace,
};

pub use etype_info::{EtypeInfoExchange, StringToKeyInfo};
pub use verify_initial::{VerifyInitialCredentials, VerifyInitialRequest};

pub(crate) use request::{path, time, whole_seconds};

use preauth::Hints;
use request::{Login, Sent};

/// Requests with pre-authentication (or back without) in one realm. MIT krb5 stops after 16 rounds;
/// encrypted timestamps need one, a corrected clock another.
const MAX_PREAUTH_ROUNDS: usize = 6;

/// Realms that KDC_ERR_WRONG_REALM may lead through; the same limit as for TGS referrals.
const MAX_REALM_REFERRALS: usize = 5;

/// First byte of an AS-REP: `[APPLICATION 11]`, constructed.
const AS_REP_TAG: u8 = 0x6b;

/// What the client proves itself with.
#[derive(Debug)]
pub enum ClientSecret {
    /// A password, made into a key once the KDC told enctype, salt and parameters.
    Password(SecretString),
    /// Keys, such as those of a keytab; the newest of a type is used, unless the KDC names another.
    Keys(Vec<KeytabKey>),
}

/// What ticket to get, and with which secret.
#[derive(Debug)]
pub struct AsRequest {
    /// Whose ticket. A name of type NT-ENTERPRISE asks for canonicalization by itself.
    pub client: Principal,
    /// The client's secret.
    pub secret: ClientSecret,
    /// For which service (`kinit -S`); `None` is the ticket-granting service of the client's realm.
    pub service: Option<Principal>,
    /// Properties of the ticket.
    pub options: AsOptions,
    /// How long the ticket is to live; `None` is as long as the KDC grants.
    pub lifetime: Option<Duration>,
    /// How long the ticket is to be renewable; `None` asks for one that is not.
    pub renew_lifetime: Option<Duration>,
    /// When a postdated ticket is to begin; `None` is now.
    pub start_time: Option<Timestamp>,
    /// The addresses that the ticket is bound to; empty for any, which is what NAT needs.
    pub addresses: Vec<HostAddress>,
    /// The encryption types to offer; `None` takes the configuration's.
    pub enctypes: Option<EnctypePolicy>,
}

/// Properties that a ticket may be asked to have. None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsOptions {
    /// A ticket-granting ticket that can be forwarded.
    pub forwardable: bool,
    /// A ticket-granting ticket that can be proxied.
    pub proxiable: bool,
    /// Let the KDC answer under canonical names and refer to other realms (RFC 6806).
    pub canonicalize: bool,
    /// A ticket-granting ticket that postdated tickets can be got with.
    pub allow_postdate: bool,
    /// Whether a PAC is wanted (MS-KILE section 2.2.3); `None` leaves it to the KDC.
    pub request_pac: Option<bool>,
}

impl AsRequest {
    /// A plain ticket-granting ticket for `client`.
    #[must_use]
    pub fn new(client: Principal, secret: ClientSecret) -> Self {
        Self {
            client,
            secret,
            service: None,
            options: AsOptions::default(),
            lifetime: None,
            renew_lifetime: None,
            start_time: None,
            addresses: Vec::new(),
            enctypes: None,
        }
    }
}

impl AsRequest {
    /// A ticket-granting ticket for `client` with the lifetimes and properties that the configuration
    /// has for its realm ([`crate::Config::login_defaults`]); where it says `noaddresses = false`, bound
    /// to the addresses of the environment and `extra_addresses`.
    #[must_use]
    pub fn configured(client: Principal, secret: ClientSecret, environment: &Environment) -> Self {
        let config = &environment.config;
        let realm = core::str::from_utf8(client.realm.as_bytes()).unwrap_or_default();
        let login = config.login_defaults(realm);
        let mut request = Self {
            options: AsOptions {
                forwardable: login.forwardable,
                proxiable: login.proxiable,
                canonicalize: login.canonicalize,
                ..AsOptions::default()
            },
            lifetime: Some(login.ticket_lifetime),
            renew_lifetime: Some(login.renew_lifetime).filter(|length| !length.is_zero()),
            ..Self::new(client, secret)
        };
        if !login.noaddresses {
            request.bind_to_addresses(environment);
        }
        request
    }

    /// Binds the ticket to the addresses of the environment and to `extra_addresses`: it is of no use
    /// from elsewhere, nor behind an address translation.
    pub fn bind_to_addresses(&mut self, environment: &Environment) {
        let own = environment.addresses.iter();
        let addresses = own.chain(&environment.config.extra_addresses).copied();
        self.addresses = addresses.map(host_address).collect();
    }
}

/// RFC 4120 7.5.3: types 2 and 24, in network byte order; an IPv4 address in IPv6 clothes is IPv4.
pub(crate) fn host_address(address: IpAddr) -> HostAddress {
    match address.to_canonical() {
        IpAddr::V4(address) => HostAddress {
            addr_type: 2,
            address: address.octets().to_vec().into(),
        },
        IpAddr::V6(address) => HostAddress {
            addr_type: 24,
            address: address.octets().to_vec().into(),
        },
    }
}

/// What an AS exchange yields.
#[derive(Debug)]
#[non_exhaustive]
pub struct AsOutcome {
    /// The ticket and its session key.
    pub credentials: Credentials,
    /// How far the KDC's clock is ahead of this host's, in microseconds, when they differ by more
    /// than the whole second that the reply resolves. It comes from the decrypted reply, never from
    /// an error (conformance row 69); it belongs into the ccache and into later exchanges.
    pub time_offset: Option<i64>,
    /// Whether the KDC speaks FAST, as told under the protection of enc-pa-rep.
    pub fast_available: bool,
    /// By which pre-authentication the KDC was answered, a padata type (RFC 4120 section 7.5.2); `None` if it
    /// wanted none. MIT's caches note it (`pa_type`).
    pub preauthentication: Option<i32>,
    /// When the password or key expires, if the KDC told.
    pub key_expiration: Option<Timestamp>,
    /// Proof of the checks.
    pub verified: KdcReplyVerified,
}

/// An AS exchange under way.
#[derive(Debug)]
pub struct AsExchange {
    state: State,
}

#[derive(Debug)]
enum State {
    Begin(Box<Login>),
    ExpectAsReply(Box<ExpectAsReply>),
    Over,
}

/// Awaits the answer to the request that it owns.
#[derive(Debug)]
struct ExpectAsReply {
    login: Login,
    sent: Sent,
}

/// How a reply was taken.
enum Handled {
    Next(Box<ExpectAsReply>),
    Done(Box<AsOutcome>),
}

/// Errors of a replica that has not heard of a change yet: MIT krb5 asks a primary KDC after each of
/// these, and after every other one too.
const fn is_known_better_by_a_primary(code: i32) -> bool {
    matches!(
        code,
        error_code::KDC_ERR_PREAUTH_FAILED
            | error_code::KDC_ERR_KEY_EXPIRED
            | error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN
    )
}

impl AsExchange {
    /// Prepares the exchange; the first request comes from the first step.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::EmptyName`], [`ApiMisuse::NoKeys`], or no key of a permitted type.
    pub fn begin(request: AsRequest, environment: &Environment) -> Result<Self, Error> {
        let login = Login::new(request, environment)?;
        trace::initial_credentials(&login.client, &login.service());
        Ok(Self {
            state: State::Begin(Box::new(login)),
        })
    }
}

impl Exchange for AsExchange {
    type Output = AsOutcome;
    type Error = Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<AsOutcome>, Error> {
        let handled = match (core::mem::replace(&mut self.state, State::Over), reply) {
            (State::Begin(login), None) => Handled::Next(Box::new(login.send(None)?)),
            (State::ExpectAsReply(state), Some(Reply::Bytes(bytes))) => state.handle(bytes)?,
            (State::ExpectAsReply(state), Some(Reply::Failed(failure))) => {
                return Err(state.unanswered(failure));
            }
            (State::Begin(_), Some(_)) => {
                return Err(ApiMisuse::OutOfStep("a reply came before the first request").into());
            }
            (State::ExpectAsReply(_), None) => {
                return Err(ApiMisuse::OutOfStep("the reply is missing").into());
            }
            (State::Over, _) => return Err(ApiMisuse::OutOfStep("the exchange is over").into()),
        };
        Ok(match handled {
            Handled::Done(outcome) => Progress::Done(*outcome),
            Handled::Next(state) => {
                let request = state.exchange_request();
                self.state = State::ExpectAsReply(state);
                Progress::Exchange(request)
            }
        })
    }
}

impl ExpectAsReply {
    fn exchange_request(&self) -> ExchangeRequest {
        ExchangeRequest {
            service: trihound_sansio::Service::Kdc,
            realm: self.login.client.realm.to_string(),
            message: self.sent.der.clone(),
            hint: self.login.hint,
            route: None,
        }
    }

    fn handle(self, bytes: &[u8]) -> Result<Handled, Error> {
        match bytes.first() {
            Some(&AS_REP_TAG) => {
                reply::accept(&self, bytes).map(|outcome| Handled::Done(Box::new(outcome)))
            }
            Some(&KRB_ERROR_TAG) => {
                let error = KrbError::from_der(bytes)?;
                self.handle_error(&error)
                    .map(|next| Handled::Next(Box::new(next)))
            }
            first => Err(InvalidMessage::Unexpected {
                expected: "an AS-REP or a KRB-ERROR",
                found: first.copied(),
            }
            .into()),
        }
    }

    fn handle_error(mut self, error: &KrbError) -> Result<Self, Error> {
        trace::kdc_error(&self.login.client.realm, error);
        match error.error_code {
            error_code::KDC_ERR_PREAUTH_REQUIRED => self.preauthenticate(error),
            error_code::KRB_AP_ERR_SKEW if self.may_correct_clock() => {
                // Good for this one retry; a lasting offset comes from the decrypted reply only.
                let server = moment(error.stime, error.susec);
                self.login.preauth_offset = server.difference(self.login.environment.now(0));
                self.login.clock_corrected = true;
                trace::clock_correction(&self.login.client.realm, self.login.preauth_offset);
                self.login.count_round()?;
                let key = self.sent.preauth_key.take();
                self.login.send(key)
            }
            error_code::KRB_ERR_RESPONSE_TOO_BIG => {
                // RFC 4120 7.2.1: the client repeats the request over TCP; there the answer fits.
                if self.login.hint.is_stream_only() {
                    return Err(KdcMisbehaved::TooBigForStream.into());
                }
                trace::too_big(&self.login.client.realm);
                self.login.hint = self.login.hint.over_a_stream();
                Ok(self)
            }
            error_code::KDC_ERR_WRONG_REALM if self.login.canonicalize() => {
                self.login.change_realm(error)?;
                trace::wrong_realm(&self.login.client.realm);
                self.login.send(None)
            }
            // RFC 6113 5.2: the cookie is too old; the client starts anew.
            error_code::KDC_ERR_PREAUTH_EXPIRED => {
                self.login.count_round()?;
                self.login.cookie = None;
                self.login.send(None)
            }
            code if is_known_better_by_a_primary(code) && self.login.refused.is_none() => {
                let refused = self.refused(error);
                trace::primary(&self.login.client.realm);
                self.login.turn_to_primary(refused);
                self.login.send(None)
            }
            _ => Err(self.refused(error)),
        }
    }

    /// Nobody answered. Where a primary KDC was to be asked, what the first KDC said is still true.
    fn unanswered(self, failure: &TransportFailure) -> Error {
        match self.login.refused {
            Some(refused) => {
                trace::no_primary(&self.login.client.realm, failure);
                *refused
            }
            None => failure.clone().into(),
        }
    }

    /// RFC 4120 3.1.6: answers KDC_ERR_PREAUTH_REQUIRED by what its METHOD-DATA lists.
    fn preauthenticate(mut self, error: &KrbError) -> Result<Self, Error> {
        self.login.count_round()?;
        let Some(data) = &error.e_data else {
            return Err(InvalidMessage::MethodDataMissing.into());
        };
        let hints = Hints::from_method_data(data)?;
        let realm = self.login.client.realm.to_string();
        let config = self.login.environment.config.realms.get(&realm);
        // krb5.conf(5): whoever answers for the KDC could try passwords against the timestamp.
        if config.is_some_and(|realm| realm.disable_encrypted_timestamp) {
            return Err(Policy::EncryptedTimestampDisabled { realm }.into());
        }
        let key = self.login.key_for_timestamp(&hints)?;
        self.login.cookie = hints.cookie;
        self.login.send(Some(key))
    }

    fn may_correct_clock(&self) -> bool {
        self.sent.preauth_key.is_some() && !self.login.clock_corrected
    }

    fn refused(&self, error: &KrbError) -> Error {
        let login = &self.login;
        let made_with = match login.secret {
            ClientSecret::Password(_) => MadeWith::Password,
            ClientSecret::Keys(_) => MadeWith::Keytab,
        };
        kdc_refused(
            error,
            &login.client.realm.to_string(),
            format!("a ticket for {} to {}", login.service(), login.client),
            made_with,
            login.environment.now(0),
        )
    }
}
