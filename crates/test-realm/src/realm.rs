use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use trihound_asn1::{
    AsReq, KdcReqBody, KrbError, Message, PrincipalName, Realm, TgsReq, error_code,
};
use trihound_crypto::EnctypePolicy;
use trihound_krb5::pac::Sid;
use trihound_krb5::{KeyMaterial, Keytab, KeytabEntry, MemoryReplayCache, Principal};
use trihound_sansio::{Clock, RandomSource, Timestamp};
use trihound_secret::SecretString;

use crate::builder::TestRealmBuilder;
use crate::database::{Database, Entry};
use crate::error::{Refusal, wire_time};
use crate::fault::{Fault, Faults, Repeat, RequestKind, Stage};
use crate::transport::RealmTransport;
use crate::{Error, PacIssue, Policy};

/// The tags of the two requests (RFC 4120 section 5.10).
const AS_REQ_TAG: u8 = 0x6a;
const TGS_REQ_TAG: u8 = 0x6c;

/// How a request came. A reply that is too long for a datagram is refused there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// UDP.
    Datagram,
    /// TCP.
    Stream,
}

/// A Kerberos realm with its KDC: requests in, replies out.
///
/// It may be shared among threads; its faults can be set while it serves.
pub struct TestRealm {
    pub(crate) name: Realm,
    pub(crate) database: RwLock<Database>,
    pub(crate) trusts: BTreeSet<String>,
    pub(crate) domains: BTreeMap<String, String>,
    pub(crate) next_hops: BTreeMap<String, String>,
    pub(crate) transit: BTreeSet<String>,
    pub(crate) enctypes: EnctypePolicy,
    pub(crate) policy: Policy,
    pub(crate) pac: PacIssue,
    pub(crate) domain_sid: Option<Sid>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
    pub(crate) faults: Faults,
    pub(crate) history: History,
    pub(crate) kpasswd_replays: MemoryReplayCache,
}

/// The last reply of each kind, for [`Fault::StaleReply`].
#[derive(Default)]
pub(crate) struct History {
    last_as: Mutex<Option<Vec<u8>>>,
    last_tgs: Mutex<Option<Vec<u8>>>,
}

impl History {
    /// Keeps this reply and gives the one before.
    pub(crate) fn replace(&self, kind: RequestKind, reply: &[u8]) -> Option<Vec<u8>> {
        let slot = match kind {
            RequestKind::Tgs => &self.last_tgs,
            _ => &self.last_as,
        };
        slot.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(reply.to_vec())
    }
}

/// What every step of answering one request needs.
pub(crate) struct Session<'r> {
    pub(crate) realm: &'r TestRealm,
    /// The KDC's time, with the fault's skew.
    pub(crate) now: Timestamp,
    pub(crate) faults: Vec<Fault>,
}

impl TestRealm {
    /// Begins a realm, such as `EXAMPLE.TEST`.
    #[must_use]
    pub fn builder(realm: &str) -> TestRealmBuilder {
        TestRealmBuilder::new(realm)
    }

    /// The realm's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.to_string()
    }

    /// Answers one request, without the transport's framing. `None`: no reply, as for bytes that
    /// are no request, or by a fault.
    #[must_use]
    pub fn answer(&self, request: &[u8], carrier: Carrier) -> Option<Vec<u8>> {
        let kind = match *request.first()? {
            AS_REQ_TAG => RequestKind::As,
            TGS_REQ_TAG => RequestKind::Tgs,
            _ => return None,
        };
        let mut session = Session {
            realm: self,
            now: self.clock.now(),
            faults: Vec::new(),
        };
        for fault in self.faults.take(Stage::Request, kind) {
            match fault {
                Fault::Dead => return None,
                Fault::DropDatagram if carrier == Carrier::Datagram => return None,
                Fault::ClockSkew(seconds) => {
                    session.now = session.now.shifted(seconds.saturating_mul(1_000_000));
                }
                Fault::Error { code, text } => {
                    let names = Names::of(request, kind);
                    return session.error(&Refusal::new(code, text), &names);
                }
                Fault::ResponseTooBigAlways => return session.too_big(request, kind),
                Fault::ResponseTooBig if carrier == Carrier::Datagram => {
                    return session.too_big(request, kind);
                }
                _ => {}
            }
        }
        let answer = match kind {
            RequestKind::Tgs => session.answer_tgs(request),
            _ => session.answer_as(request),
        };
        let reply = match answer {
            Ok(reply) => reply,
            Err(refusal) => session.error(&refusal, &Names::of(request, kind))?,
        };
        if carrier == Carrier::Datagram && reply.len() > self.policy.max_datagram {
            return session.too_big(request, kind);
        }
        Some(reply)
    }

    /// The present keys of these principals, for an acceptor.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPrincipal`] for a name that was not added, [`Error::Key`].
    pub fn keytab(&self, principals: &[&str]) -> Result<Keytab, Error> {
        let mut keytab = Keytab::default();
        for name in principals {
            let principal = self.parse(name)?;
            let entry = self
                .find(&principal)
                .ok_or_else(|| Error::UnknownPrincipal(principal.to_string()))?;
            for slot in entry.present() {
                let key = entry
                    .key(slot, &self.enctypes)
                    .map_err(|source| Error::Key {
                        principal: principal.to_string(),
                        source,
                    })?;
                keytab.push(KeytabEntry::new(
                    principal.clone(),
                    slot.kvno,
                    self.clock.now(),
                    KeyMaterial::from_key(key),
                ));
            }
        }
        Ok(keytab)
    }

    /// An in-process transport to this realm. Add others by [`RealmTransport::and`].
    #[must_use]
    pub fn transport(self: &Arc<Self>) -> RealmTransport {
        RealmTransport::to([Arc::clone(self)])
    }

    /// Sets a fault for every request from now on, besides those that are set.
    pub fn set_fault(&self, fault: Fault) {
        self.set_fault_for(RequestKind::Any, fault, Repeat::Always);
    }

    /// Sets a fault for requests of one kind, for so many times.
    pub fn set_fault_for(&self, kind: RequestKind, fault: Fault, repeat: Repeat) {
        self.faults.arm(fault, kind, repeat);
    }

    /// Takes every fault back.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// Changes a principal's password; its key version goes up by one.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPrincipal`], [`Error::Name`].
    pub fn set_password(&self, principal: &str, password: &str) -> Result<(), Error> {
        let principal = self.parse(principal)?;
        self.write_password(&principal, SecretString::from(password))
    }

    /// A changed password has not expired.
    pub(crate) fn write_password(
        &self,
        principal: &Principal,
        password: SecretString,
    ) -> Result<(), Error> {
        self.write().change(principal, |entry| {
            entry.set_password(password);
            entry.options.password_expires = None;
            Ok(())
        })
    }

    /// Gives a service new random keys; its key version goes up by one.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPrincipal`], [`Error::Name`], [`Error::Key`].
    pub fn rotate_keys(&self, principal: &str) -> Result<(), Error> {
        let principal = self.parse(principal)?;
        self.write().change(&principal, |entry| {
            entry.rotate(&self.enctypes, &*self.random)
        })
    }

    /// The SID of the realm's domain, in its tickets' PACs.
    #[must_use]
    pub fn domain_sid(&self) -> Option<Sid> {
        self.domain_sid
    }

    /// The SID of a principal, as its PAC says it; `None` for one that was not added.
    #[must_use]
    pub fn sid(&self, principal: &str) -> Option<Sid> {
        let principal = self.parse(principal).ok()?;
        self.sid_of(&*self.find(&principal)?)
    }

    pub(crate) fn sid_of(&self, entry: &Entry) -> Option<Sid> {
        self.domain_sid?.member(entry.options.rid?)
    }

    /// The names of all principals, sorted.
    #[must_use]
    pub fn principals(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .read()
            .entries()
            .map(|entry| entry.principal.to_string())
            .collect();
        names.sort();
        names
    }

    fn parse(&self, name: &str) -> Result<Principal, Error> {
        Ok(Principal::parse(name, self.name.to_str())?)
    }

    pub(crate) fn find(&self, principal: &Principal) -> Option<Arc<Entry>> {
        self.read().get(principal)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Database> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Database> {
        self.database
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The faults of the stream for the reply just made, for the loopback server.
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    pub(crate) fn take_stream_faults(&self, request: &[u8]) -> Vec<Fault> {
        let kind = match request.first() {
            Some(&TGS_REQ_TAG) => RequestKind::Tgs,
            _ => RequestKind::As,
        };
        self.faults.take(Stage::Stream, kind)
    }
}

impl fmt::Debug for TestRealm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestRealm")
            .field("name", &self.name)
            .field("principals", &self.principals())
            .finish_non_exhaustive()
    }
}

/// The names that a KRB-ERROR repeats from its request (RFC 4120 section 5.9.1).
#[derive(Default)]
pub(crate) struct Names {
    client: Option<PrincipalName>,
    server: Option<PrincipalName>,
}

impl Names {
    fn of(request: &[u8], kind: RequestKind) -> Self {
        let body: Option<KdcReqBody> = match kind {
            RequestKind::Tgs => TgsReq::from_der(request)
                .ok()
                .and_then(|request| request.req_body.decode().ok()),
            _ => AsReq::from_der(request)
                .ok()
                .and_then(|request| request.req_body.decode().ok()),
        };
        body.map_or_else(Self::default, |body| Self {
            client: body.cname,
            server: body.sname,
        })
    }
}

impl Session<'_> {
    pub(crate) fn error(&self, refusal: &Refusal, names: &Names) -> Option<Vec<u8>> {
        let own = Principal::krbtgt(&self.realm.name);
        let error = KrbError {
            pvno: 5,
            msg_type: 30,
            ctime: None,
            cusec: None,
            stime: wire_time(self.now),
            susec: i32::try_from(self.now.microseconds()).unwrap_or(0),
            error_code: refusal.code,
            crealm: names.client.as_ref().map(|_| self.realm.name.clone()),
            cname: names.client.clone(),
            realm: self.realm.name.clone(),
            sname: names.server.clone().unwrap_or(own.name),
            e_text: (!refusal.text.is_empty()).then(|| refusal.text.as_str().into()),
            e_data: refusal.data.clone().map(Into::into),
        };
        error.to_der().ok()
    }

    fn too_big(&self, request: &[u8], kind: RequestKind) -> Option<Vec<u8>> {
        let refusal = Refusal::new(
            error_code::KRB_ERR_RESPONSE_TOO_BIG,
            "the reply does not fit a datagram; ask over a stream",
        );
        self.error(&refusal, &Names::of(request, kind))
    }

    /// The value of the first fault of the kind that `pick` picks.
    pub(crate) fn fault<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.faults.iter().find_map(pick)
    }
}
