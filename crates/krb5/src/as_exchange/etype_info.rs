//! What a KDC makes the keys of a principal's password with (RFC 4120 section 5.2.7.5).

use trihound_asn1::{AsRep, KrbError, Message, error_code};
use trihound_crypto::{Enctype, EnctypePolicy};
use trihound_sansio::{Exchange, ExchangeRequest, Progress, Reply, TransportHint};
use trihound_secret::SecretString;

use super::preauth::Hints;
use super::request::Login;
use super::{AS_REP_TAG, AsRequest, ClientSecret, ExpectAsReply};
use crate::refusal::KRB_ERROR_TAG;
use crate::{ApiMisuse, Environment, Error, InvalidMessage, KdcMisbehaved, Principal};

/// One enctype that the principal has a key of, with what its password is made into the key with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StringToKeyInfo {
    /// The encryption type.
    pub enctype: Enctype,
    /// The salt.
    pub salt: Vec<u8>,
    /// The type's own parameters, 4 bytes for AES; `None` stands for its default.
    pub s2kparams: Option<Vec<u8>>,
}

impl StringToKeyInfo {
    /// With the type's default parameters.
    #[must_use]
    pub fn new(enctype: Enctype, salt: Vec<u8>) -> Self {
        Self {
            enctype,
            salt,
            s2kparams: None,
        }
    }
}

/// Asks the KDC for the salts of a principal, by an AS-REQ without pre-authentication.
///
/// The answer is not authenticated: who stands between can tell another salt, and a key made with it
/// opens nothing. So it is for writing keytabs, whose keys show their worth at the first login.
#[derive(Debug)]
pub struct EtypeInfoExchange {
    state: State,
}

#[derive(Debug)]
enum State {
    Begin(Box<Login>),
    ExpectReply(Box<ExpectAsReply>),
    Over,
}

impl EtypeInfoExchange {
    /// Prepares the exchange for the types of `enctypes`; `None` takes the configuration's.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::EmptyName`].
    pub fn begin(
        client: Principal,
        enctypes: Option<EnctypePolicy>,
        environment: &Environment,
    ) -> Result<Self, Error> {
        // No password is ever used: nothing is encrypted or opened in this exchange.
        let secret = ClientSecret::Password(SecretString::from(""));
        let mut request = AsRequest::new(client, secret);
        request.enctypes = enctypes;
        let login = Login::new(request, environment)?;
        Ok(Self {
            state: State::Begin(Box::new(login)),
        })
    }

    fn take(
        mut state: Box<ExpectAsReply>,
        bytes: &[u8],
    ) -> Result<(Box<ExpectAsReply>, Option<Vec<StringToKeyInfo>>), Error> {
        match bytes.first() {
            // A principal that needs no pre-authentication: the same data comes with the ticket.
            Some(&AS_REP_TAG) => {
                let reply = AsRep::from_der(bytes)?;
                let hints = Hints::from_padata(reply.padata.as_deref().unwrap_or_default())?;
                let told = told(&state.login, &hints)?;
                Ok((state, Some(told)))
            }
            Some(&KRB_ERROR_TAG) => {
                let error = KrbError::from_der(bytes)?;
                match error.error_code {
                    error_code::KDC_ERR_PREAUTH_REQUIRED => {
                        let data = error
                            .e_data
                            .as_ref()
                            .ok_or(InvalidMessage::MethodDataMissing)?;
                        let told = told(&state.login, &Hints::from_method_data(data)?)?;
                        Ok((state, Some(told)))
                    }
                    error_code::KRB_ERR_RESPONSE_TOO_BIG => {
                        // RFC 4120 7.2.1: the client repeats the request over TCP; there it fits.
                        if state.login.hint == TransportHint::StreamOnly {
                            return Err(KdcMisbehaved::TooBigForStream.into());
                        }
                        state.login.hint = TransportHint::StreamOnly;
                        Ok((state, None))
                    }
                    _ => Err(state.refused(&error)),
                }
            }
            first => Err(InvalidMessage::Unexpected {
                expected: "an AS-REP or a KRB-ERROR",
                found: first.copied(),
            }
            .into()),
        }
    }
}

fn told(login: &Login, hints: &Hints) -> Result<Vec<StringToKeyInfo>, Error> {
    let told = hints.string_to_key(&login.enctypes, &login.client.default_salt());
    // RFC 4120 5.2.7.5: at least one entry is for a type of the request.
    if told.is_empty() {
        return Err(crate::CredentialFailure::NoEnctypeInfo.into());
    }
    Ok(told)
}

impl Exchange for EtypeInfoExchange {
    type Output = Vec<StringToKeyInfo>;
    type Error = Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<Self::Output>, Error> {
        let state = match (core::mem::replace(&mut self.state, State::Over), reply) {
            (State::Begin(login), None) => Box::new(login.send(None)?),
            (State::ExpectReply(state), Some(Reply::Bytes(bytes))) => {
                match Self::take(state, bytes)? {
                    (_, Some(told)) => return Ok(Progress::Done(told)),
                    (state, None) => state,
                }
            }
            (State::ExpectReply(_), Some(Reply::Failed(failure))) => {
                return Err(failure.clone().into());
            }
            _ => return Err(ApiMisuse::OutOfStep("the exchange is over, or out of turn").into()),
        };
        let request: ExchangeRequest = state.exchange_request();
        self.state = State::ExpectReply(state);
        Ok(Progress::Exchange(request))
    }
}
