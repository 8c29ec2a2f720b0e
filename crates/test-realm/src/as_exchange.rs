use std::sync::Arc;

use trihound_asn1::{
    AsReq, Checksum, EncryptedData, EtypeInfo, EtypeInfo2, EtypeInfo2Entry, EtypeInfoEntry,
    KdcOptions, KdcReqBody, Message, PaData, PaEncTsEnc, PrincipalName, TicketFlags, error_code,
    name_type, pa_type,
};
use trihound_crypto::{Enctype, Key, KeyUsage};
use trihound_krb5::Principal;
use trihound_sansio::Timestamp;

use crate::database::{Entry, KeySlot};
use crate::error::Refusal;
use crate::fault::{RequestKind, Stage};
use crate::issue::{Grant, ReplyKey};
use crate::realm::Session;

/// The options that only a TGS-REQ may have (RFC 4120 section 3.1.3 with 5.4.1), and those that
/// this KDC has not: anonymous tickets (RFC 8062).
const NOT_IN_AS_REQ: KdcOptions = KdcOptions::FORWARDED
    .union(KdcOptions::REQUEST_ANONYMOUS)
    .union(KdcOptions::PROXY)
    .union(KdcOptions::ENC_TKT_IN_SKEY)
    .union(KdcOptions::RENEW)
    .union(KdcOptions::VALIDATE)
    .union(KdcOptions::CNAME_IN_ADDL_TKT);

/// The client of an AS-REQ: as it is known, and as it is to be called in the reply.
struct Client {
    entry: Arc<Entry>,
    shown: Principal,
}

impl Session<'_> {
    /// The authentication service (RFC 4120 section 3.1).
    pub(crate) fn answer_as(&mut self, request: &[u8]) -> Result<Vec<u8>, Refusal> {
        let message = AsReq::from_der(request).map_err(|error| undecodable(&error))?;
        let body = message.req_body.decode().map_err(|e| undecodable(&e))?;
        let padata = message.padata.as_deref().unwrap_or_default();
        let client = self.client_of(&body)?;
        let server = self.server_of(&body)?;
        self.check_standing(&client.entry, &server)?;
        // RFC 4120 section 3.1.3: an option that cannot be met is KDC_ERR_BADOPTION.
        if body.kdc_options.intersects(NOT_IN_AS_REQ) {
            return Err(Refusal::new(
                error_code::KDC_ERR_BADOPTION,
                "an AS-REQ cannot forward, renew or validate, and there are no anonymous tickets",
            ));
        }
        let slot = self.reply_slot(&body, &client.entry)?;
        let authenticated = self.preauthenticate(padata, &body, &client.entry)?;
        let key = client.entry.key(slot, &self.realm.enctypes)?;
        let grant = self.grant_as(&body, padata, &client, &server, authenticated)?;

        self.faults = self.realm.faults.take(Stage::Reply, RequestKind::As);
        let shown_padata = self.etype_info(core::iter::once(slot), &client.entry)?;
        let encrypted_padata = self.request_checksum(request, padata, &key)?;
        self.reply(
            grant,
            &body,
            ReplyKey {
                key: &key,
                kvno: Some(slot.kvno),
                usage: KeyUsage::AS_REP_ENC_PART,
            },
            vec![shown_padata],
            encrypted_padata,
        )
    }

    fn client_of(&self, body: &KdcReqBody) -> Result<Client, Refusal> {
        let own = &self.realm.name;
        // RFC 4120 section 3.1.3 and 7.5.9: the realm of an AS-REQ is the client's.
        if body.realm != *own {
            return Err(Refusal::new(
                error_code::KDC_ERR_WRONG_REALM,
                format!("this is the KDC of {own}, not of {}", body.realm),
            ));
        }
        let name = body.cname.as_ref().ok_or_else(|| {
            Refusal::new(
                error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN,
                "the AS-REQ has no cname",
            )
        })?;
        let asked = Principal {
            realm: own.clone(),
            name: name.clone(),
        };
        let known = self.unalias(name).unwrap_or_else(|| asked.clone());
        let entry = self.realm.find(&known).ok_or_else(|| {
            Refusal::new(
                error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN,
                format!("no client {asked} is in the database"),
            )
        })?;
        // RFC 6806 section 6: only with the canonicalize option may the name change.
        let canonicalize = body.kdc_options.contains(KdcOptions::CANONICALIZE);
        let shown = if canonicalize {
            entry.principal.clone()
        } else {
            asked
        };
        Ok(Client { entry, shown })
    }

    /// An enterprise name of this realm as the principal that it stands for (RFC 6806 section 5).
    fn unalias(&self, name: &PrincipalName) -> Option<Principal> {
        if name.name_type != name_type::NT_ENTERPRISE {
            return None;
        }
        let [only] = name.name_string.as_slice() else {
            return None;
        };
        let (user, suffix) = only.to_str()?.rsplit_once('@')?;
        let own = self.realm.name.to_str()?;
        suffix
            .eq_ignore_ascii_case(own)
            .then(|| Principal::new(own, name_type::NT_PRINCIPAL, [user]))
    }

    fn server_of(&self, body: &KdcReqBody) -> Result<Arc<Entry>, Refusal> {
        let unknown = |text: String| Refusal::new(error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN, text);
        let name = body
            .sname
            .as_ref()
            .ok_or_else(|| unknown("the AS-REQ has no sname".into()))?;
        let principal = Principal {
            realm: self.realm.name.clone(),
            name: name.clone(),
        };
        self.realm
            .find(&principal)
            .filter(|entry| entry.options.is_service)
            .ok_or_else(|| unknown(format!("no service {principal} is in the database")))
    }

    fn check_standing(&self, client: &Entry, server: &Entry) -> Result<(), Refusal> {
        let over = |end: Option<Timestamp>| end.is_some_and(|end| end <= self.now);
        let name = &client.principal;
        if client.options.locked {
            let text = format!("{name} is locked");
            return Err(Refusal::new(error_code::KDC_ERR_CLIENT_REVOKED, text));
        }
        if over(client.options.expires) {
            let text = format!("{name} has expired");
            return Err(Refusal::new(error_code::KDC_ERR_NAME_EXP, text));
        }
        // RFC 3244 section 2: an expired password still gets a ticket to change it.
        let changes_password = server.principal.name_text() == "kadmin/changepw";
        if over(client.options.password_expires) && !changes_password {
            let text = format!("the password of {name} has expired");
            return Err(Refusal::new(error_code::KDC_ERR_KEY_EXPIRED, text));
        }
        if server.options.locked {
            let text = format!("{} is locked", server.principal);
            return Err(Refusal::new(error_code::KDC_ERR_SERVICE_REVOKED, text));
        }
        if over(server.options.expires) {
            let text = format!("{} has expired", server.principal);
            return Err(Refusal::new(error_code::KDC_ERR_SERVICE_EXP, text));
        }
        Ok(())
    }

    /// The client's key for the first enctype of its list that it has one of (RFC 4120 section
    /// 3.1.3).
    fn reply_slot<'e>(&self, body: &KdcReqBody, client: &'e Entry) -> Result<&'e KeySlot, Refusal> {
        body.etype
            .iter()
            .filter(|&&etype| self.realm.enctypes.permits(Enctype(etype)))
            .find_map(|&etype| client.slot(Enctype(etype)))
            .ok_or_else(|| {
                Refusal::new(
                    error_code::KDC_ERR_ETYPE_NOSUPP,
                    format!(
                        "{} has no key of an enctype that the request offers ({})",
                        client.principal,
                        etype_list(&body.etype)
                    ),
                )
            })
    }

    /// Whether the client proved its key by PA-ENC-TIMESTAMP (RFC 4120 section 5.2.7.2); refused if
    /// it has to and did not.
    fn preauthenticate(
        &self,
        padata: &[PaData],
        body: &KdcReqBody,
        client: &Entry,
    ) -> Result<bool, Refusal> {
        let Some(proof) = find(padata, pa_type::PA_ENC_TIMESTAMP) else {
            if client.options.requires_preauth {
                let data = self.method_data(body, client)?;
                return Err(Refusal::new(
                    error_code::KDC_ERR_PREAUTH_REQUIRED,
                    "pre-authentication is required",
                )
                .with_data(data));
            }
            return Ok(false);
        };
        let failed = |text: &str| -> Result<Refusal, Refusal> {
            let data = self.method_data(body, client)?;
            Ok(Refusal::new(error_code::KDC_ERR_PREAUTH_FAILED, text).with_data(data))
        };
        if let Some(cookie) = &self.realm.policy.cookie {
            // RFC 6113 section 5.2: the client echoes the cookie as it came.
            if find(padata, pa_type::PA_FX_COOKIE) != Some(cookie.as_slice()) {
                return Err(failed("the cookie was not echoed")?);
            }
        }
        let stamp = match self.open_timestamp(proof, client) {
            Some(stamp) => stamp,
            None => return Err(failed("the encrypted timestamp does not verify")?),
        };
        let cusec = stamp.pausec.and_then(|usec| u32::try_from(usec).ok());
        let claimed = Timestamp::from_parts(stamp.patimestamp.seconds(), cusec.unwrap_or(0));
        // RFC 4120 section 3.1.3: outside the allowed skew is KRB_AP_ERR_SKEW.
        if claimed.distance(self.now) > self.realm.policy.clock_skew {
            return Err(Refusal::new(
                error_code::KRB_AP_ERR_SKEW,
                format!("the client's clock says {claimed}, the KDC's {}", self.now),
            ));
        }
        Ok(true)
    }

    fn open_timestamp(&self, proof: &[u8], client: &Entry) -> Option<PaEncTsEnc> {
        let sealed = EncryptedData::from_der(proof).ok()?;
        let slot = client.slot(Enctype(sealed.etype))?;
        let key = client.key(slot, &self.realm.enctypes).ok()?;
        let plain = key
            .decrypt(KeyUsage::AS_REQ_PA_ENC_TIMESTAMP, &sealed.cipher)
            .ok()?;
        PaEncTsEnc::from_der(plain.expose()).ok()
    }

    /// What a client needs to know to pre-authenticate (RFC 4120 section 3.1.3 and 5.2.7.5).
    fn method_data(&self, body: &KdcReqBody, client: &Entry) -> Result<Vec<u8>, Refusal> {
        let mut seen = Vec::new();
        let slots: Vec<_> = body
            .etype
            .iter()
            .filter(|&&etype| self.realm.enctypes.permits(Enctype(etype)))
            .filter_map(|&etype| client.slot(Enctype(etype)))
            .filter(|slot| {
                let new = !seen.contains(&slot.enctype);
                seen.push(slot.enctype);
                new
            })
            .collect();
        let mut hints = vec![
            self.etype_info(slots.into_iter(), client)?,
            pa_data(pa_type::PA_ENC_TIMESTAMP, Vec::new()),
        ];
        if let Some(cookie) = &self.realm.policy.cookie {
            hints.push(pa_data(pa_type::PA_FX_COOKIE, cookie.clone()));
        }
        Ok(hints.to_der()?)
    }

    fn etype_info<'e>(
        &self,
        slots: impl Iterator<Item = &'e KeySlot>,
        client: &Entry,
    ) -> Result<PaData, Refusal> {
        if self.realm.policy.old_etype_info {
            let entries: EtypeInfo = slots
                .map(|slot| EtypeInfoEntry {
                    etype: slot.enctype.0,
                    salt: Some(client.salt.clone().into()),
                })
                .collect();
            return Ok(pa_data(pa_type::PA_ETYPE_INFO, entries.to_der()?));
        }
        let entries: EtypeInfo2 = slots
            .map(|slot| EtypeInfo2Entry {
                etype: slot.enctype.0,
                salt: Some(client.salt.as_slice().into()),
                s2kparams: client.options.s2kparams.clone().map(Into::into),
            })
            .collect();
        Ok(pa_data(pa_type::PA_ETYPE_INFO2, entries.to_der()?))
    }

    fn grant_as(
        &self,
        body: &KdcReqBody,
        padata: &[PaData],
        client: &Client,
        server: &Arc<Entry>,
        authenticated: bool,
    ) -> Result<Grant, Refusal> {
        let mut flags = TicketFlags::INITIAL;
        flags.set(TicketFlags::PRE_AUTHENT, authenticated);
        flags.set(
            TicketFlags::ENC_PA_REP,
            find(padata, pa_type::PA_REQ_ENC_PA_REP).is_some(),
        );
        flags.set(TicketFlags::OK_AS_DELEGATE, server.options.ok_as_delegate);
        let policy = &self.realm.policy;
        let both = client.entry.options.forwardable && server.options.forwardable;
        let options = body.kdc_options;
        flags.set(
            TicketFlags::FORWARDABLE,
            options.contains(KdcOptions::FORWARDABLE) && policy.forwardable && both,
        );
        flags.set(
            TicketFlags::PROXIABLE,
            options.contains(KdcOptions::PROXIABLE) && policy.proxiable && both,
        );
        flags.set(
            TicketFlags::MAY_POSTDATE,
            options.contains(KdcOptions::ALLOW_POSTDATE) && policy.postdatable,
        );
        let times = self.initial_times(body, &client.entry, server, &mut flags)?;
        Ok(Grant {
            kind: RequestKind::As,
            client: client.shown.clone(),
            server: self.server_name(body, server),
            flags,
            times,
            addresses: body.addresses.clone(),
            transited: Vec::new(),
            authorization_data: None,
            pac: self.pac_of_login(&client.entry, padata)?,
            session_key: self.session_key(&body.etype, server)?,
            ticket_entry: Arc::clone(server),
            client_entry: Some(Arc::clone(&client.entry)),
        })
    }

    /// The PA-REQ-ENC-PA-REP that binds the reply to the request (RFC 6806 section 11).
    fn request_checksum(
        &self,
        request: &[u8],
        padata: &[PaData],
        reply_key: &Key,
    ) -> Result<Option<Vec<PaData>>, Refusal> {
        use crate::Fault;
        let asked = find(padata, pa_type::PA_REQ_ENC_PA_REP).is_some();
        let missing = self.fault(|f| matches!(f, Fault::RequestChecksumMissing).then_some(()));
        if !asked || missing.is_some() {
            return Ok(None);
        }
        let cksumtype = reply_key.required_checksum();
        let mut checksum = reply_key.checksum(KeyUsage::AS_REQ, cksumtype, request)?;
        if self
            .fault(|f| matches!(f, Fault::RequestChecksum).then_some(()))
            .is_some()
            && let Some(first) = checksum.first_mut()
        {
            *first ^= 1;
        }
        let value = Checksum {
            cksumtype: cksumtype.0,
            checksum: checksum.into(),
        }
        .to_der()?;
        Ok(Some(vec![pa_data(pa_type::PA_REQ_ENC_PA_REP, value)]))
    }
}

/// The value of the first element of this type.
pub(crate) fn find(padata: &[PaData], padata_type: i32) -> Option<&[u8]> {
    padata
        .iter()
        .find(|element| element.padata_type == padata_type)
        .map(|element| element.padata_value.as_ref())
}

pub(crate) fn pa_data(padata_type: i32, padata_value: Vec<u8>) -> PaData {
    PaData {
        padata_type,
        padata_value: padata_value.into(),
    }
}

pub(crate) fn undecodable(error: &trihound_asn1::DecodeError) -> Refusal {
    let code = match error {
        trihound_asn1::DecodeError::ProtocolVersion { .. } => error_code::KDC_ERR_BAD_PVNO,
        trihound_asn1::DecodeError::MessageType { .. } => error_code::KRB_AP_ERR_MSG_TYPE,
        _ => error_code::KRB_ERR_GENERIC,
    };
    Refusal::new(code, format!("the request cannot be read: {error}"))
}

pub(crate) fn etype_list(etypes: &[i32]) -> String {
    let names: Vec<_> = etypes.iter().map(|&e| Enctype(e).to_string()).collect();
    names.join(", ")
}
