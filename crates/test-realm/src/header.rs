//! The ticket and authenticator of a TGS-REQ.

use std::sync::Arc;

use trihound_asn1::{
    ApReq, Authenticator, EncTicketPart, KdcOptions, Message, TicketFlags, error_code,
};
use trihound_crypto::{ChecksumType, Enctype, Key, KeyUsage};
use trihound_krb5::Principal;
use trihound_sansio::Timestamp;

use crate::as_exchange::undecodable;
use crate::error::Refusal;
use crate::realm::Session;

/// The ticket that a TGS-REQ comes with, opened and checked.
pub(crate) struct Header {
    /// The service that the ticket is for: this realm's TGS, unless it is to be renewed.
    pub(crate) server: Principal,
    pub(crate) part: EncTicketPart,
    /// The key that the ticket is under.
    pub(crate) key: Arc<Key>,
    /// The key of the reply, and the usages that go with it.
    pub(crate) reply_key: Arc<Key>,
    pub(crate) subkey: bool,
}

impl Header {
    pub(crate) fn client(&self) -> Principal {
        Principal {
            realm: self.part.crealm.clone(),
            name: self.part.cname.clone(),
        }
    }

    pub(crate) fn starttime(&self) -> Timestamp {
        let time = self.part.starttime.unwrap_or(self.part.authtime);
        Timestamp::from_seconds(time.seconds())
    }

    pub(crate) fn endtime(&self) -> Timestamp {
        Timestamp::from_seconds(self.part.endtime.seconds())
    }

    pub(crate) fn renew_till(&self) -> Option<Timestamp> {
        let time = self.part.renew_till?;
        Some(Timestamp::from_seconds(time.seconds()))
    }
}

impl Session<'_> {
    /// Opens the ticket and the authenticator and makes the checks of RFC 4120 section 3.3.2 and
    /// 3.2.3.
    pub(crate) fn open_header(
        &self,
        ap_req: &ApReq,
        body: &[u8],
        options: KdcOptions,
    ) -> Result<Header, Refusal> {
        let ticket = ap_req.ticket.decode().map_err(|e| undecodable(&e))?;
        let server = Principal {
            realm: ticket.realm.clone(),
            name: ticket.sname.clone(),
        };
        let ours = server.krbtgt_target() == Some(&self.realm.name);
        let same_ticket = options.intersects(KdcOptions::RENEW | KdcOptions::VALIDATE);
        // RFC 4120 section 3.3.2: a ticket that is not for this TGS serves for nothing but to be
        // renewed or validated itself, and that only by the realm that issued it.
        if (!ours && !same_ticket) || (same_ticket && server.realm != self.realm.name) {
            return Err(Refusal::new(
                error_code::KRB_AP_ERR_NOT_US,
                format!("the ticket for {server} is of no use to this realm's TGS"),
            ));
        }
        let entry = self.realm.find(&server).ok_or_else(|| {
            Refusal::new(
                error_code::KRB_AP_ERR_NOT_US,
                format!("the ticket is for {server}, which is not in the database"),
            )
        })?;
        let policy = &self.realm.enctypes;
        let kvno = ticket.enc_part.kvno.map(trihound_asn1::UInt32::get);
        let slot = entry
            .slot_of(kvno, Enctype(ticket.enc_part.etype))
            .ok_or_else(|| {
                Refusal::new(
                    error_code::KRB_AP_ERR_BADKEYVER,
                    format!("{server} has no key of the ticket's version {kvno:?} and enctype"),
                )
            })?;
        let key = entry.key(slot, policy)?;
        let tampered = |what: &str| Refusal::new(error_code::KRB_AP_ERR_BAD_INTEGRITY, what);
        let plain = key
            .decrypt(KeyUsage::KDC_REP_TICKET, &ticket.enc_part.cipher)
            .map_err(|_| tampered("the ticket does not decrypt"))?;
        let part = EncTicketPart::from_der(plain.expose()).map_err(|e| undecodable(&e))?;
        let session_key = key_of(&part.key, policy)?;
        // RFC 4120 section 5.2.9: the authenticator is under the session key, of its enctype.
        if ap_req.authenticator.etype != session_key.enctype().0 {
            return Err(tampered(
                "the authenticator's enctype is not the session key's",
            ));
        }
        let plain = session_key
            .decrypt(KeyUsage::TGS_REQ_AUTH, &ap_req.authenticator.cipher)
            .map_err(|_| tampered("the authenticator does not decrypt"))?;
        let authenticator = Authenticator::from_der(plain.expose()).map_err(|e| undecodable(&e))?;
        self.check_header(&part, &authenticator, options)?;
        check_body(&session_key, &authenticator, body)?;
        let subkey = authenticator
            .subkey
            .as_ref()
            .map(|subkey| key_of(subkey, policy))
            .transpose()?;
        Ok(Header {
            server,
            part,
            key,
            subkey: subkey.is_some(),
            reply_key: Arc::new(subkey.unwrap_or(session_key)),
        })
    }

    fn check_header(
        &self,
        part: &EncTicketPart,
        authenticator: &Authenticator,
        options: KdcOptions,
    ) -> Result<(), Refusal> {
        let same =
            authenticator.crealm == part.crealm && authenticator.cname.same_name(&part.cname);
        // RFC 4120 section 3.2.3: the names must be the same, else KRB_AP_ERR_BADMATCH.
        if !same {
            return Err(Refusal::new(
                error_code::KRB_AP_ERR_BADMATCH,
                "the authenticator names another client than the ticket",
            ));
        }
        let skew = self.realm.policy.clock_skew;
        let cusec = u32::try_from(authenticator.cusec).unwrap_or(0);
        let ctime = Timestamp::from_parts(authenticator.ctime.seconds(), cusec);
        // RFC 4120 section 3.2.3: outside the allowed skew is KRB_AP_ERR_SKEW.
        if ctime.distance(self.now) > skew {
            return Err(Refusal::new(
                error_code::KRB_AP_ERR_SKEW,
                format!("the client's clock says {ctime}, the KDC's {}", self.now),
            ));
        }
        let invalid = part.flags.contains(TicketFlags::INVALID);
        let start = part.starttime.unwrap_or(part.authtime);
        let early = Timestamp::from_seconds(start.seconds()) > self.now.plus(skew);
        // RFC 4120 section 3.2.3: not yet valid is KRB_AP_ERR_TKT_NYV.
        if early || (invalid && !options.contains(KdcOptions::VALIDATE)) {
            return Err(Refusal::new(
                error_code::KRB_AP_ERR_TKT_NYV,
                "the ticket is not valid yet",
            ));
        }
        // RFC 4120 section 3.2.3: past its endtime is KRB_AP_ERR_TKT_EXPIRED.
        if Timestamp::from_seconds(part.endtime.seconds()) <= self.now {
            return Err(Refusal::new(
                error_code::KRB_AP_ERR_TKT_EXPIRED,
                format!("the ticket ended at {}", part.endtime),
            ));
        }
        Ok(())
    }
}

/// The checksum of the request's body in the authenticator (RFC 4120 section 3.3.2).
fn check_body(key: &Key, authenticator: &Authenticator, body: &[u8]) -> Result<(), Refusal> {
    // RFC 4120 section 3.3.2: without a checksum that is collision-proof and keyed, as these are:
    // KRB_AP_ERR_INAPP_CKSUM.
    let Some(checksum) = &authenticator.cksum else {
        return Err(Refusal::new(
            error_code::KRB_AP_ERR_INAPP_CKSUM,
            "the authenticator has no checksum of the request",
        ));
    };
    if checksum.cksumtype != key.required_checksum().0 {
        return Err(Refusal::new(
            error_code::KRB_AP_ERR_INAPP_CKSUM,
            format!(
                "the request's checksum is of type {}, not the session key's own {}",
                checksum.cksumtype,
                key.required_checksum().0
            ),
        ));
    }
    key.verify_checksum(
        KeyUsage::TGS_REQ_AUTH_CKSUM,
        ChecksumType(checksum.cksumtype),
        body,
        &checksum.checksum,
    )
    .map_err(|_| {
        // RFC 4120 section 3.3.2: a checksum that differs is KRB_AP_ERR_MODIFIED.
        Refusal::new(
            error_code::KRB_AP_ERR_MODIFIED,
            "the request is not the one that was checksummed",
        )
    })
}

fn key_of(
    key: &trihound_asn1::EncryptionKey,
    policy: &trihound_crypto::EnctypePolicy,
) -> Result<Key, Refusal> {
    Key::new(Enctype(key.keytype), key.keyvalue.expose(), policy).map_err(|error| {
        Refusal::new(
            error_code::KDC_ERR_ETYPE_NOSUPP,
            format!("a key of the request is of no use: {error}"),
        )
    })
}
