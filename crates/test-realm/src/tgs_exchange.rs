use std::sync::Arc;

use trihound_asn1::{
    ApReq, Authenticator, AuthorizationData, EncTicketPart, KdcOptions, KdcReqBody, Message,
    PaData, Realm, TgsReq, TicketFlags, error_code, pa_type,
};
use trihound_crypto::{ChecksumType, Enctype, Key, KeyUsage};
use trihound_krb5::Principal;
use trihound_sansio::Timestamp;

use crate::Fault;
use crate::as_exchange::{find, undecodable};
use crate::database::Entry;
use crate::error::Refusal;
use crate::fault::{RequestKind, Stage};
use crate::issue::{Grant, ReplyKey, Times, moment_or_max, never_valid};
use crate::realm::Session;
use crate::transited;

/// The ticket that a TGS-REQ comes with, opened and checked.
struct Header {
    /// The service that the ticket is for: this realm's TGS, unless it is to be renewed.
    server: Principal,
    part: EncTicketPart,
    /// The key of the reply, and the usages that go with it.
    reply_key: Arc<Key>,
    subkey: bool,
}

impl Header {
    fn client(&self) -> Principal {
        Principal {
            realm: self.part.crealm.clone(),
            name: self.part.cname.clone(),
        }
    }

    fn starttime(&self) -> Timestamp {
        let time = self.part.starttime.unwrap_or(self.part.authtime);
        Timestamp::from_seconds(time.seconds())
    }

    fn endtime(&self) -> Timestamp {
        Timestamp::from_seconds(self.part.endtime.seconds())
    }

    fn renew_till(&self) -> Option<Timestamp> {
        let time = self.part.renew_till?;
        Some(Timestamp::from_seconds(time.seconds()))
    }
}

impl Session<'_> {
    /// The ticket-granting service (RFC 4120 section 3.3).
    pub(crate) fn answer_tgs(&mut self, request: &[u8]) -> Result<Vec<u8>, Refusal> {
        let message = TgsReq::from_der(request).map_err(|error| undecodable(&error))?;
        let body = message.req_body.decode().map_err(|e| undecodable(&e))?;
        let padata = message.padata.as_deref().unwrap_or_default();
        let ap_req = find(padata, pa_type::PA_TGS_REQ).ok_or_else(|| {
            Refusal::new(
                error_code::KDC_ERR_PADATA_TYPE_NOSUPP,
                "the TGS-REQ has no PA-TGS-REQ",
            )
        })?;
        let ap_req = ApReq::from_der(ap_req).map_err(|error| undecodable(&error))?;
        let header = self.open_header(&ap_req, message.req_body.der(), body.kdc_options)?;
        refuse_delegation(padata, &body)?;
        let server = self.tgs_server(&body, &header)?;
        let grant = self.grant_tgs(&body, &header, &server)?;

        self.faults = self.realm.faults.take(Stage::Reply, RequestKind::Tgs);
        let (grant, server_entry) = self.forced_referral(grant, server)?;
        let grant = Grant {
            ticket_entry: server_entry,
            ..grant
        };
        self.reply(
            grant,
            &body,
            ReplyKey {
                key: &header.reply_key,
                kvno: None,
                usage: if header.subkey {
                    KeyUsage::TGS_REP_ENC_PART_SUBKEY
                } else {
                    KeyUsage::TGS_REP_ENC_PART_SESSKEY
                },
            },
            Vec::new(),
            None,
        )
    }

    /// Opens the ticket and the authenticator and makes the checks of RFC 4120 section 3.3.2 and
    /// 3.2.3.
    fn open_header(
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
        // renewed or validated itself.
        if !ours && !same_ticket {
            return Err(Refusal::new(
                error_code::KRB_AP_ERR_NOT_US,
                format!("the ticket is for {server}, not for this realm's TGS"),
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

    /// The entry whose key the new ticket is under; a referral's is that of a TGS further on.
    fn tgs_server(&self, body: &KdcReqBody, header: &Header) -> Result<Arc<Entry>, Refusal> {
        let unknown = |text: String| Refusal::new(error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN, text);
        if body
            .kdc_options
            .intersects(KdcOptions::RENEW | KdcOptions::VALIDATE)
        {
            let same = body
                .sname
                .as_ref()
                .is_none_or(|name| header.server.name.same_name(name));
            // RFC 4120 section 3.3.3: the new ticket is for the server of the old one.
            if !same {
                return Err(Refusal::new(
                    error_code::KDC_ERR_SERVER_NOMATCH,
                    "the request and the ticket name different servers",
                ));
            }
            return self
                .realm
                .find(&header.server)
                .ok_or_else(|| unknown(format!("no service {} here", header.server)));
        }
        let name = body
            .sname
            .as_ref()
            .ok_or_else(|| unknown("the TGS-REQ has no sname".into()))?;
        let asked = Principal {
            realm: self.realm.name.clone(),
            name: name.clone(),
        };
        if body.realm == self.realm.name
            && let Some(entry) = self.realm.find(&asked)
        {
            if !entry.options.is_service {
                let text = format!("{asked} is no service");
                return Err(Refusal::new(error_code::KDC_ERR_MUST_USE_USER2USER, text));
            }
            return Ok(entry);
        }
        let target = self
            .referral_target(body, &asked)
            .ok_or_else(|| unknown(format!("no service {asked} is in the database")))?;
        let next = self.realm.next_hops.get(&target).unwrap_or(&target);
        self.realm
            .find(&Principal::krbtgt_for(
                &Realm::from(next.as_str()),
                &self.realm.name,
            ))
            .ok_or_else(|| unknown(format!("{asked} is in {target}, to which no trust leads")))
    }

    /// The realm that the client has to go to for this service (RFC 4120 section 3.3.3, RFC 6806
    /// section 8).
    fn referral_target(&self, body: &KdcReqBody, asked: &Principal) -> Option<String> {
        if let Some(target) = asked.krbtgt_target() {
            return Some(target.to_string());
        }
        if !body.kdc_options.contains(KdcOptions::CANONICALIZE) {
            return None;
        }
        let [_, host, ..] = asked.name.name_string.as_slice() else {
            return None;
        };
        let host = host.to_str()?.to_ascii_lowercase();
        let mut domain = host.as_str();
        loop {
            if let Some(realm) = self.realm.domains.get(domain) {
                return (self.realm.name != realm.as_str()).then(|| realm.clone());
            }
            domain = domain.split_once('.')?.1;
        }
    }

    fn grant_tgs(
        &self,
        body: &KdcReqBody,
        header: &Header,
        server: &Arc<Entry>,
    ) -> Result<Grant, Refusal> {
        let options = body.kdc_options;
        let (times, mut flags) = if options.contains(KdcOptions::RENEW) {
            self.renewed(header)?
        } else if options.contains(KdcOptions::VALIDATE) {
            self.validated(header)?
        } else {
            self.derived(body, header, server)?
        };
        let transited = self.transited(header, options, &mut flags)?;
        let addresses = if options.intersects(KdcOptions::FORWARDED | KdcOptions::PROXY) {
            body.addresses.clone()
        } else {
            header.part.caddr.clone()
        };
        Ok(Grant {
            kind: RequestKind::Tgs,
            client: header.client(),
            server: if server.principal == header.server {
                server.principal.clone()
            } else {
                self.server_name(body, server)
            },
            flags,
            times,
            addresses,
            transited,
            authorization_data: self.authorization_data(body, header)?,
            session_key: self.session_key(&body.etype, server)?,
            ticket_entry: Arc::clone(server),
            client_entry: None,
        })
    }

    /// RFC 4120 section 3.3.3: a renewed ticket lives as long as it did, up to its renew-till.
    fn renewed(&self, header: &Header) -> Result<(Times, TicketFlags), Refusal> {
        let till = header
            .renew_till()
            .filter(|_| header.part.flags.contains(TicketFlags::RENEWABLE))
            .ok_or_else(|| bad_option("the ticket is not renewable"))?;
        // RFC 4120 section 3.3.3: past its renew-till is KRB_AP_ERR_TKT_EXPIRED.
        if till <= self.now {
            return Err(Refusal::new(
                error_code::KRB_AP_ERR_TKT_EXPIRED,
                format!("the ticket could be renewed until {till}"),
            ));
        }
        let life = header.endtime().distance(header.starttime());
        let times = Times {
            authtime: Timestamp::from_seconds(header.part.authtime.seconds()),
            starttime: self.now,
            endtime: till.min(self.now.plus(life)),
            renew_till: Some(till),
        };
        Ok((times, header.part.flags - TicketFlags::INITIAL))
    }

    fn validated(&self, header: &Header) -> Result<(Times, TicketFlags), Refusal> {
        if !header.part.flags.contains(TicketFlags::INVALID) {
            return Err(bad_option("the ticket needs no validation"));
        }
        // RFC 4120 section 3.3.3: before its starttime is KRB_AP_ERR_TKT_NYV.
        if header.starttime() > self.now {
            return Err(Refusal::new(
                error_code::KRB_AP_ERR_TKT_NYV,
                format!("the ticket begins at {}", header.starttime()),
            ));
        }
        let times = Times {
            authtime: Timestamp::from_seconds(header.part.authtime.seconds()),
            starttime: header.starttime(),
            endtime: header.endtime(),
            renew_till: header.renew_till(),
        };
        Ok((
            times,
            header.part.flags - TicketFlags::INVALID - TicketFlags::INITIAL,
        ))
    }

    /// Times and flags of a new ticket by the leave of the ticket-granting one (RFC 4120 section
    /// 3.3.3).
    fn derived(
        &self,
        body: &KdcReqBody,
        header: &Header,
        server: &Entry,
    ) -> Result<(Times, TicketFlags), Refusal> {
        let mut flags = self.derived_flags(body.kdc_options, header, server)?;
        let policy = &self.realm.policy;
        if body.kdc_options.contains(KdcOptions::POSTDATED)
            && !header.part.flags.contains(TicketFlags::MAY_POSTDATE)
        {
            return Err(bad_option("the ticket does not allow postdated ones"));
        }
        let starttime = self.start_of(body, &mut flags)?;
        let life = policy
            .max_life
            .min(server.options.max_life.unwrap_or(policy.max_life));
        let asked = moment_or_max(body.till);
        let endtime = asked.min(starttime.plus(life)).min(header.endtime());
        // RFC 4120 section 3.3.3 with 3.1.3: a ticket that ends before it begins.
        if endtime <= starttime {
            return Err(never_valid(starttime, endtime));
        }
        let renewable = header.part.flags.contains(TicketFlags::RENEWABLE);
        let instead = body.kdc_options.contains(KdcOptions::RENEWABLE_OK) && asked > endtime;
        let rtime = if body.kdc_options.contains(KdcOptions::RENEWABLE) {
            Some(body.rtime.map_or(Timestamp::MAX, moment_or_max))
        } else {
            instead.then_some(asked)
        };
        let renewable_life = policy.max_renewable_life.min(
            server
                .options
                .max_renewable_life
                .unwrap_or(policy.max_renewable_life),
        );
        let limit = header.renew_till().unwrap_or(endtime);
        let renew_till = rtime
            .filter(|_| renewable)
            .map(|rtime| rtime.min(starttime.plus(renewable_life)).min(limit))
            .filter(|&till| till > endtime);
        flags.set(TicketFlags::RENEWABLE, renew_till.is_some());
        let times = Times {
            authtime: Timestamp::from_seconds(header.part.authtime.seconds()),
            starttime,
            endtime,
            renew_till,
        };
        Ok((times, flags))
    }

    fn derived_flags(
        &self,
        options: KdcOptions,
        header: &Header,
        server: &Entry,
    ) -> Result<TicketFlags, Refusal> {
        let held = header.part.flags;
        let policy = &self.realm.policy;
        let to_tgs = server.principal.is_krbtgt();
        // RFC 4120 section 3.3.3: forwarding and proxies need the flag in the ticket held.
        if options.contains(KdcOptions::FORWARDED)
            && !(held.contains(TicketFlags::FORWARDABLE) && policy.forwardable)
        {
            return Err(bad_option("the ticket is not forwardable"));
        }
        if options.contains(KdcOptions::PROXY)
            && (to_tgs || !(held.contains(TicketFlags::PROXIABLE) && policy.proxiable))
        {
            return Err(bad_option("the ticket gives no proxies"));
        }
        let mut flags = held
            & (TicketFlags::PRE_AUTHENT
                | TicketFlags::HW_AUTHENT
                | TicketFlags::FORWARDED
                | TicketFlags::ENC_PA_REP
                | TicketFlags::ANONYMOUS);
        for (option, allowed, flag) in [
            (
                KdcOptions::FORWARDABLE,
                policy.forwardable && server.options.forwardable,
                TicketFlags::FORWARDABLE,
            ),
            (
                KdcOptions::PROXIABLE,
                policy.proxiable && server.options.forwardable,
                TicketFlags::PROXIABLE,
            ),
            (
                KdcOptions::ALLOW_POSTDATE,
                policy.postdatable,
                TicketFlags::MAY_POSTDATE,
            ),
        ] {
            if options.contains(option) && allowed && held.contains(flag) {
                flags.insert(flag);
            }
        }
        if options.contains(KdcOptions::FORWARDED) {
            flags.insert(TicketFlags::FORWARDED);
        }
        if options.contains(KdcOptions::PROXY) {
            flags.insert(TicketFlags::PROXY);
        }
        flags.set(TicketFlags::OK_AS_DELEGATE, server.options.ok_as_delegate);
        Ok(flags)
    }

    /// The realms between the client's and this one, and whether the way is allowed (RFC 4120
    /// section 2.7 and 3.3.3.2).
    fn transited(
        &self,
        header: &Header,
        options: KdcOptions,
        flags: &mut TicketFlags,
    ) -> Result<Vec<u8>, Refusal> {
        let held = header.part.transited.contents.as_ref();
        let issuer = &header.server.realm;
        let own = &self.realm.name;
        let client = &header.part.crealm;
        // Another realm has no say over this realm's clients.
        if issuer != own && client == own {
            return Err(policy_refusal(
                "another realm vouches for a client of this one",
            ));
        }
        // RFC 4120 section 3.3.3.2: the realm that issued the ticket is added, unless it is the
        // client's.
        let list = if issuer == own || issuer == client {
            held.to_vec()
        } else {
            transited::append(held, &issuer.to_string())
        };
        // RFC 4120 section 3.3.3.2: the client may ask that the check be left to the server.
        if options.contains(KdcOptions::DISABLE_TRANSITED_CHECK) {
            return Ok(list);
        }
        let allowed = transited::decode(&list).is_ok_and(|realms| {
            realms.iter().all(|realm| {
                self.realm.trusts.contains(realm) || self.realm.transit.contains(realm)
            })
        });
        if allowed {
            flags.insert(TicketFlags::TRANSITED_POLICY_CHECKED);
        } else if self.realm.policy.reject_bad_transit {
            return Err(policy_refusal(
                "the ticket came through a realm that is not allowed",
            ));
        }
        Ok(list)
    }

    /// The ticket's authorization data, and behind it what the request adds (RFC 4120 section
    /// 3.3.3).
    fn authorization_data(
        &self,
        body: &KdcReqBody,
        header: &Header,
    ) -> Result<Option<AuthorizationData>, Refusal> {
        let mut data = Vec::new();
        if let Some(sealed) = &body.enc_authorization_data {
            let usage = if header.subkey {
                KeyUsage::TGS_REQ_AD_SUBKEY
            } else {
                KeyUsage::TGS_REQ_AD_SESSKEY
            };
            let plain = header
                .reply_key
                .decrypt(usage, &sealed.cipher)
                .map_err(|_| {
                    Refusal::new(
                        error_code::KRB_AP_ERR_BAD_INTEGRITY,
                        "the authorization data does not decrypt",
                    )
                })?;
            data = AuthorizationData::from_der(plain.expose()).map_err(|e| undecodable(&e))?;
        }
        data.extend(header.part.authorization_data.clone().unwrap_or_default());
        Ok((!data.is_empty()).then_some(data))
    }

    /// Turns the grant into a referral if a fault says so.
    fn forced_referral(
        &self,
        mut grant: Grant,
        server: Arc<Entry>,
    ) -> Result<(Grant, Arc<Entry>), Refusal> {
        let target = self.fault(|fault| match fault {
            Fault::ReferralTo(to) | Fault::ReferralFrom { to, .. } => Some(to.clone()),
            _ => None,
        });
        let Some(target) = target else {
            return Ok((grant, server));
        };
        let own = &self.realm.name;
        grant.server = Principal::krbtgt_for(&Realm::from(target.as_str()), own);
        // Where there is no trust, the ticket is under a key that nobody there knows.
        let entry = self
            .realm
            .find(&grant.server)
            .or_else(|| self.realm.find(&Principal::krbtgt(own)))
            .unwrap_or(server);
        Ok((grant, entry))
    }
}

/// S4U and user-to-user are not here (MS-SFU; RFC 4120 section 3.3.3): KDC_ERR_BADOPTION.
fn refuse_delegation(padata: &[PaData], body: &KdcReqBody) -> Result<(), Refusal> {
    let user_to_user = body
        .kdc_options
        .intersects(KdcOptions::ENC_TKT_IN_SKEY | KdcOptions::CNAME_IN_ADDL_TKT);
    let for_user = [pa_type::PA_FOR_USER, pa_type::PA_S4U_X509_USER]
        .into_iter()
        .any(|kind| find(padata, kind).is_some());
    if user_to_user || for_user {
        return Err(bad_option("this KDC has neither S4U nor user-to-user"));
    }
    Ok(())
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

fn bad_option(text: &str) -> Refusal {
    Refusal::new(error_code::KDC_ERR_BADOPTION, text)
}

fn policy_refusal(text: &str) -> Refusal {
    Refusal::new(error_code::KDC_ERR_POLICY, text)
}
