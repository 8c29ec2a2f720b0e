//! The answer: verified, or told as one that nobody signed.

use trihound_asn1::{EncKrbPrivPart, KrbError, Message, UInt32};

use super::{
    Frame, KpasswdReplyVerified, KpasswdResult, PasswordChanged, PasswordPolicy, VERSION_CHANGE,
    result,
};
use crate::ap::{Agreement, ExpectApReply};
use crate::krb_priv::read_krb_priv;
use crate::refusal::{KRB_ERROR_TAG, moment};
use crate::{Environment, Error, KpasswdMisbehaved, PasswordRefused, Principal, trace};

/// Awaits the answer to the request that it remembers.
#[derive(Debug)]
pub(super) struct ExpectReply {
    pub(super) environment: Environment,
    pub(super) time_offset: i64,
    pub(super) waiting: Box<ExpectApReply>,
    /// The KRB-PRIV that was sent.
    pub(super) private: Vec<u8>,
    pub(super) account: Principal,
    pub(super) realm: String,
}

/// Result code and text of an answer.
struct Answer {
    result: KpasswdResult,
    text: Option<String>,
    policy: Option<PasswordPolicy>,
}

impl ExpectReply {
    pub(super) fn account(&self) -> &Principal {
        &self.account
    }

    pub(super) fn handle(self, message: &[u8]) -> Result<PasswordChanged, Error> {
        // Active Directory leaves the frame out before a KRB-ERROR.
        if message.first() == Some(&KRB_ERROR_TAG) {
            return Err(self.refused_by_error(message));
        }
        let frame = Frame::parse(message)?;
        // RFC 3244 2: the version of a reply is 1.
        if frame.version != VERSION_CHANGE {
            return Err(KpasswdMisbehaved::VersionUnknown {
                expected: "1",
                found: frame.version,
            }
            .into());
        }
        // RFC 3244 2: where the AP-REP has no length, a KRB-ERROR follows.
        if frame.ap.is_empty() {
            return Err(self.refused_by_error(frame.body));
        }
        self.verified(frame)
    }

    /// Conformance row 86: AP-REP and KRB-PRIV are verified before anything in them is believed.
    fn verified(self, frame: Frame<'_>) -> Result<PasswordChanged, Error> {
        // The request's own KRB-PRIV opens under the same key.
        if frame.body == self.private {
            return Err(KpasswdMisbehaved::Reflected.into());
        }
        let agreement = self.waiting.handle(frame.ap)?.agreement;
        // RFC 3244 2: the answer is under the sub-key of the authenticator, whatever the AP-REP has.
        let key = agreement
            .initiator_subkey
            .as_ref()
            .unwrap_or(&agreement.session_key);
        let part = read_krb_priv(frame.body, key)?;
        check_freshness(&part, &agreement, &self.environment, self.time_offset)?;
        let answer = Answer::parse(part.user_data.expose())?;
        trace::password_answer(&self.account, answer.result, true);
        if answer.result == KpasswdResult::SUCCESS {
            return Ok(PasswordChanged {
                account: self.account,
                text: answer.text,
                verified: KpasswdReplyVerified(()),
            });
        }
        Err(refused(
            Some(answer),
            None,
            None,
            &self.account,
            &self.realm,
        ))
    }

    /// A KRB-ERROR is not authenticated, whatever its e-data says.
    fn refused_by_error(&self, der: &[u8]) -> Error {
        let error = match KrbError::from_der(der) {
            Ok(error) => error,
            Err(fault) => return fault.into(),
        };
        let answer = match error.e_data.as_deref().map(Answer::parse).transpose() {
            Ok(answer) => answer,
            Err(fault) => return fault.into(),
        };
        // RFC 3244 2: success comes in a KRB-PRIV only (conformance row 86).
        if answer.as_ref().map(|answer| answer.result) == Some(KpasswdResult::SUCCESS) {
            return KpasswdMisbehaved::SuccessNotAuthenticated.into();
        }
        if let Some(answer) = &answer {
            trace::password_answer(&self.account, answer.result, false);
        }
        trace::kdc_error(&self.realm, &error);
        let e_text = error.e_text.as_ref();
        let words = e_text.and_then(|text| result::shown(text.as_bytes()));
        refused(
            answer,
            Some(error.error_code),
            words,
            &self.account,
            &self.realm,
        )
    }
}

fn refused(
    answer: Option<Answer>,
    krb_error: Option<i32>,
    e_text: Option<String>,
    account: &Principal,
    realm: &str,
) -> Error {
    let result = answer.as_ref().map(|answer| answer.result);
    let policy = answer.as_ref().and_then(|answer| answer.policy);
    Error::PasswordRefused(Box::new(PasswordRefused {
        result,
        krb_error,
        text: answer.and_then(|answer| answer.text).or(e_text),
        policy,
        account: account.to_string(),
        realm: realm.to_owned(),
    }))
}

/// RFC 4120 3.5.2: time and sequence number of a KRB-PRIV. Its addresses are not compared: a sans-IO client
/// does not know where the answer came from, and the key of this one exchange says who sent it.
fn check_freshness(
    part: &EncKrbPrivPart,
    agreement: &Agreement,
    environment: &Environment,
    time_offset: i64,
) -> Result<(), KpasswdMisbehaved> {
    // RFC 4120 3.5.2: with neither of them the message is refused (KRB_AP_ERR_MODIFIED).
    if part.seq_number.is_none() && part.timestamp.is_none() {
        return Err(KpasswdMisbehaved::FreshnessMissing);
    }
    let sequence = part.seq_number.map(UInt32::get);
    // RFC 4120 3.5.2: another number than the one that is due is refused (KRB_AP_ERR_BADORDER).
    if sequence.is_some_and(|number| number != agreement.acceptor_sequence) {
        return Err(KpasswdMisbehaved::SequenceDiffers);
    }
    if let Some(timestamp) = part.timestamp {
        let sent = moment(timestamp, part.usec.unwrap_or(0));
        // RFC 4120 3.5.2: a time that is not current is refused (KRB_AP_ERR_SKEW).
        if sent.distance(environment.now(time_offset)) > environment.config.clock_skew {
            return Err(KpasswdMisbehaved::TimeDiffers);
        }
    }
    Ok(())
}

impl Answer {
    fn parse(data: &[u8]) -> Result<Self, KpasswdMisbehaved> {
        let Some((code, rest)) = data.split_first_chunk::<2>() else {
            return Err(KpasswdMisbehaved::ResultMissing);
        };
        let policy = PasswordPolicy::parse(rest);
        let text = match policy {
            Some(_) => None,
            None => result::shown(rest),
        };
        Ok(Self {
            result: KpasswdResult(u16::from_be_bytes(*code)),
            text,
            policy,
        })
    }
}
