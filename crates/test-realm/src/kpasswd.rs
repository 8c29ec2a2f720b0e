//! The password service (RFC 3244).

use std::collections::BTreeSet;
use std::sync::Arc;

use trihound_asn1::{
    ChangePasswdData, HostAddress, KrbError, Message, TicketFlags, UInt32, error_code,
};
use trihound_krb5::ap::{AcceptPolicy, AcceptRequest, AcceptedApReq, ApRepOptions, accept_ap_req};
use trihound_krb5::kpasswd::{
    Frame, KpasswdResult, VERSION_CHANGE, VERSION_SET, changepw_principal,
};
use trihound_krb5::{Config, Environment, Principal, build_krb_priv, read_krb_priv};
use trihound_sansio::Timestamp;
use trihound_secret::{SecretBytes, SecretString};

use crate::error::wire_time;
use crate::fault::{Fault, RequestKind, Stage};
use crate::realm::{Carrier, TestRealm};

/// What the realm asks of passwords, and who may set another's. By default nothing, and nobody.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PasswordRules {
    /// The least length in characters.
    pub min_length: usize,
    /// How many kinds of characters there have to be, of upper case, lower case, digits and others.
    pub min_classes: usize,
    /// Refusals carry the 30 bytes of an Active Directory in place of a text.
    pub as_active_directory: bool,
    /// The principals that may set the password of any other, such as `admin`.
    pub administrators: BTreeSet<String>,
}

impl PasswordRules {
    /// Passwords of at least so many characters, of so many kinds.
    #[must_use]
    pub fn at_least(min_length: usize, min_classes: usize) -> Self {
        Self {
            min_length,
            min_classes,
            ..Self::default()
        }
    }

    /// Refusals as an Active Directory sends them.
    #[must_use]
    pub fn as_active_directory(mut self) -> Self {
        self.as_active_directory = true;
        self
    }

    /// This principal may set the password of any other.
    #[must_use]
    pub fn administrator(mut self, name: impl Into<String>) -> Self {
        self.administrators.insert(name.into());
        self
    }

    /// Why a password is refused.
    fn refusal(&self, password: &str) -> Option<Vec<u8>> {
        let kinds: [fn(char) -> bool; 3] = [
            |c| c.is_uppercase(),
            |c| c.is_lowercase(),
            |c| c.is_numeric(),
        ];
        let other = password.chars().any(|c| !kinds.iter().any(|kind| kind(c)));
        let classes = kinds.iter().filter(|kind| password.chars().any(**kind));
        let classes = classes.count().saturating_add(usize::from(other));
        let text = if password.chars().count() < self.min_length {
            format!(
                "New password is too short.\nPlease choose a password which is at least {} characters long.",
                self.min_length
            )
        } else if classes < self.min_classes {
            format!(
                "New password does not have enough character classes; it needs {}.",
                self.min_classes
            )
        } else {
            return None;
        };
        Some(if self.as_active_directory {
            self.policy()
        } else {
            text.into_bytes()
        })
    }

    /// Two zero bytes, then length, history, properties, the longest and the least age.
    fn policy(&self) -> Vec<u8> {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes();
        let mut policy = vec![0, 0];
        policy.extend(number(self.min_length));
        policy.extend(number(0));
        policy.extend(number(usize::from(self.min_classes > 2)));
        policy.extend([0; 16]);
        policy
    }
}

/// Why a request is refused: a result code with its text.
struct Refused(KpasswdResult, Vec<u8>);

impl Refused {
    fn new(result: KpasswdResult, text: &str) -> Self {
        Self(result, text.as_bytes().to_vec())
    }
}

impl TestRealm {
    /// Answers one request to the password service. `None`: no reply, as for bytes that are no request, or by a
    /// fault.
    #[must_use]
    pub fn answer_kpasswd(&self, request: &[u8], carrier: Carrier) -> Option<Vec<u8>> {
        let mut now = self.clock.now();
        for fault in self.faults.take(Stage::Request, RequestKind::Kpasswd) {
            match fault {
                Fault::Dead => return None,
                Fault::DropDatagram if carrier == Carrier::Datagram => return None,
                Fault::ClockSkew(seconds) => {
                    now = now.shifted(seconds.saturating_mul(1_000_000));
                }
                Fault::Error { code, text } => return self.krb_error(code, &text, None, now),
                _ => {}
            }
        }
        let frame = Frame::parse(request).ok()?;
        let mut reply = match self.change(&frame, now) {
            Ok(reply) => reply?,
            Err(Refused(result, text)) => {
                let mut data = result.0.to_be_bytes().to_vec();
                data.extend(text);
                let code = error_code::KRB_ERR_GENERIC;
                let error = self.krb_error(code, "", Some(data), now)?;
                // RFC 3244 section 2: no AP-REP, and a KRB-ERROR in the place of the KRB-PRIV.
                Frame::new(VERSION_CHANGE, &[], &error).to_bytes().ok()?
            }
        };
        for fault in self.faults.take(Stage::Reply, RequestKind::Kpasswd) {
            if let Fault::FlipReply(offset) = fault {
                let place = offset.checked_rem(reply.len()).unwrap_or(0);
                if let Some(byte) = reply.get_mut(place) {
                    *byte ^= 1;
                }
            }
        }
        Some(reply)
    }

    /// What cannot be answered in a KRB-PRIV is an error here; `None` where the answer cannot be made.
    fn change(&self, frame: &Frame<'_>, now: Timestamp) -> Result<Option<Vec<u8>>, Refused> {
        // RFC 3244 section 2: any other version is KRB5_KPASSWD_BAD_VERSION.
        if frame.version != VERSION_CHANGE && frame.version != VERSION_SET {
            let text = "this version of the protocol is not known here";
            return Err(Refused::new(KpasswdResult::BAD_VERSION, text));
        }
        let environment = self.kpasswd_environment(now);
        let login_fault = |text: &str| Refused::new(KpasswdResult::AUTH_ERROR, text);
        let accepted = self
            .kpasswd_login(frame.ap, &environment)
            .map_err(|error| login_fault(&error))?;
        // RFC 3244 section 2: the KRB-PRIV is under the sub-key of the authenticator.
        let key = accepted
            .initiator_subkey
            .clone()
            .ok_or_else(|| login_fault("the authenticator has no sub-key"))?;
        let due = accepted.authenticator.seq_number.map(UInt32::get);
        let part = read_krb_priv(frame.body, &key)
            .ok()
            .filter(|part| part.seq_number.map(UInt32::get) == due)
            .ok_or_else(|| {
                Refused::new(KpasswdResult::MALFORMED, "the KRB-PRIV does not verify")
            })?;
        let plain = SecretBytes::from(part.user_data.expose());
        let data = match self.set(frame.version, &accepted, &plain) {
            Ok(()) => KpasswdResult::SUCCESS.0.to_be_bytes().to_vec(),
            Err(Refused(result, text)) => {
                let mut data = result.0.to_be_bytes().to_vec();
                data.extend(text);
                data
            }
        };
        let Ok(sent) = accepted.build_ap_rep(ApRepOptions::default(), &environment) else {
            return Ok(None);
        };
        let sequence = sent.agreement.acceptor_sequence;
        let private = build_krb_priv(&data, &key, sequence, own_address(), &environment);
        Ok(private.ok().and_then(|private| {
            Frame::new(VERSION_CHANGE, &sent.message, &private)
                .to_bytes()
                .ok()
        }))
    }

    /// Only kadmin/changepw's own keys open the ticket, whatever name it bears: with the key of another account
    /// its owner could make up who the client is.
    fn kpasswd_login(
        &self,
        ap_req: &[u8],
        environment: &Environment,
    ) -> Result<AcceptedApReq, String> {
        let keytab = self
            .keytab(&["kadmin/changepw"])
            .map_err(|error| error.to_string())?;
        let request = AcceptRequest {
            keytab: &keytab,
            principal: Some(&changepw_principal(&self.name)),
            policy: &AcceptPolicy::default(),
            replay_cache: &self.kpasswd_replays,
            client_address: None,
        };
        accept_ap_req(ap_req, &request, environment).map_err(|error| error.to_string())
    }

    fn set(
        &self,
        version: u16,
        accepted: &AcceptedApReq,
        data: &SecretBytes,
    ) -> Result<(), Refused> {
        // RFC 3244 section 2: INITIAL is required for change requests; here for the others too.
        if !accepted.ticket.flags.contains(TicketFlags::INITIAL) {
            let text = "the ticket does not come from a password";
            return Err(Refused::new(KpasswdResult::INITIAL_FLAG_NEEDED, text));
        }
        let malformed = || {
            Refused::new(
                KpasswdResult::MALFORMED,
                "the ChangePasswdData cannot be read",
            )
        };
        let client = &accepted.client;
        let (password, target) = if version == VERSION_SET {
            let data = ChangePasswdData::from_der(data.expose()).map_err(|_| malformed())?;
            let target = match (data.targname, data.targrealm) {
                (Some(name), Some(realm)) => Principal { realm, name },
                (None, None) => client.clone(),
                // RFC 3244 section 2: both are there, or neither.
                _ => return Err(malformed()),
            };
            (SecretBytes::from(data.newpasswd.expose()), target)
        } else {
            (data.duplicate(), client.clone())
        };
        let administrators = &self.policy.passwords.administrators;
        if target != *client && !administrators.contains(&client.name_text()) {
            let text = format!("{client} may not set the password of {target}");
            return Err(Refused::new(KpasswdResult::ACCESS_DENIED, &text));
        }
        let password = std::str::from_utf8(password.expose())
            .map_err(|_| Refused::new(KpasswdResult::MALFORMED, "the password is not in UTF-8"))?;
        if let Some(text) = self.policy.passwords.refusal(password) {
            return Err(Refused(KpasswdResult::SOFT_ERROR, text));
        }
        self.write_password(&target, SecretString::from(password))
            .map_err(|error| Refused::new(KpasswdResult::HARD_ERROR, &error.to_string()))
    }

    fn kpasswd_environment(&self, now: Timestamp) -> Environment {
        let mut config = Config::default();
        config.permitted_enctypes = self.enctypes.clone();
        config.clock_skew = self.policy.clock_skew;
        let clock = Arc::new(trihound_sansio::FixedClock::new(now));
        Environment::new(clock, Arc::clone(&self.random), Arc::new(config))
    }

    fn krb_error(
        &self,
        error_code: i32,
        e_text: &str,
        e_data: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Option<Vec<u8>> {
        let service = changepw_principal(&self.name);
        KrbError {
            pvno: 5,
            msg_type: 30,
            ctime: None,
            cusec: None,
            stime: wire_time(now),
            susec: i32::try_from(now.microseconds()).unwrap_or(0),
            error_code,
            crealm: None,
            cname: None,
            realm: service.realm,
            sname: service.name,
            e_text: (!e_text.is_empty()).then(|| e_text.into()),
            e_data: e_data.map(Into::into),
        }
        .to_der()
        .ok()
    }
}

/// The s-address of a reply: the realm has no address, its server listens on this one.
fn own_address() -> HostAddress {
    HostAddress {
        addr_type: 2,
        address: vec![127, 0, 0, 1].into(),
    }
}
