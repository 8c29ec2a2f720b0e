use crate::Fault;
use crate::as_exchange::{find, undecodable};
use crate::database::Entry;
use crate::error::Refusal;
use crate::fault::{RequestKind, Stage};
use crate::header::Header;
use crate::issue::{DOMAIN_X500_COMPRESS, Grant, ReplyKey, Times, moment_or_max, never_valid};
use crate::realm::Session;
use crate::transited;
use std::sync::Arc;
use trihound_asn1::{
    ApReq, AuthorizationData, KdcOptions, KdcReqBody, Message, PaData, Realm, TgsReq, TicketFlags,
    error_code, pa_type,
};
use trihound_crypto::KeyUsage;
use trihound_krb5::Principal;
use trihound_krb5::kpasswd::changepw_principal;
use trihound_krb5::pac::remove_pacs;
use trihound_sansio::Timestamp;

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
            // RFC 3244 section 2: passwords are changed with initial tickets, which a ticket-granting ticket
            // gets nobody.
            if asked == changepw_principal(&self.realm.name) {
                let text = format!("tickets for {asked} come from a password only");
                return Err(Refusal::new(error_code::KDC_ERR_POLICY, text));
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
            pac: self.pac_of_header(header)?,
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
        let known = header.part.transited.tr_type == DOMAIN_X500_COMPRESS;
        // RFC 4120 section 3.3.3.2 and 7.5.9: another encoding cannot be added to.
        if !known && !held.is_empty() {
            return Err(Refusal::new(
                error_code::KDC_ERR_TRTYPE_NOSUPP,
                "the list of transited realms is in another encoding",
            ));
        }
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
        let mut data = (!data.is_empty()).then_some(data);
        // MS-KILE section 3.3.5.7: neither the client's own PAC nor the old one; the new one is signed anew.
        remove_pacs(&mut data);
        Ok(data)
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

/// S4U, user-to-user and anonymous tickets are not here (MS-SFU; RFC 4120 section 3.3.3; RFC 8062):
/// KDC_ERR_BADOPTION.
fn refuse_delegation(padata: &[PaData], body: &KdcReqBody) -> Result<(), Refusal> {
    let not_here = body.kdc_options.intersects(
        KdcOptions::ENC_TKT_IN_SKEY | KdcOptions::CNAME_IN_ADDL_TKT | KdcOptions::REQUEST_ANONYMOUS,
    );
    let for_user = [pa_type::PA_FOR_USER, pa_type::PA_S4U_X509_USER]
        .into_iter()
        .any(|kind| find(padata, kind).is_some());
    if not_here || for_user {
        return Err(bad_option(
            "this KDC has neither S4U nor user-to-user nor anonymous tickets",
        ));
    }
    Ok(())
}

fn bad_option(text: &str) -> Refusal {
    Refusal::new(error_code::KDC_ERR_BADOPTION, text)
}

fn policy_refusal(text: &str) -> Refusal {
    Refusal::new(error_code::KDC_ERR_POLICY, text)
}
