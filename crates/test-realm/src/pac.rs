//! The PACs of the realm's tickets (MS-PAC; MS-KILE section 3.3.5.3).

use std::sync::Arc;

use trihound_asn1::{EncTicketPart, KerbPaPacRequest, Message, PaData, error_code, pa_type};
use trihound_crypto::Key;
use trihound_krb5::Principal;
use trihound_krb5::pac::{
    ClientInfo, Demand, FileTime, GroupMembership, KdcChecks, KerbValidationInfo, Pac,
    PacAttributes, PacBufferType, PacBuilder, PacCheck, PacKind, PacSigners, PacVerified, Sid,
    SidAndAttributes, TicketClient, UnverifiedPac, UpnDnsInfo, group_attributes, pac_of_ticket,
    user_flags,
};
use trihound_sansio::Timestamp;

use crate::as_exchange::find;
use crate::database::Entry;
use crate::error::Refusal;
use crate::header::Header;
use crate::issue::Grant;
use crate::realm::Session;

/// Relative identifiers of well-known accounts (MS-DTYP section 2.4.2.4).
pub(crate) const KRBTGT_RID: u32 = 502;
const DOMAIN_USERS: u32 = 513;
/// The first relative identifier that an account of a realm gets.
pub(crate) const FIRST_RID: u32 = 1104;
/// USER_NORMAL_ACCOUNT and USER_DONT_EXPIRE_PASSWORD (MS-SAMR section 2.2.1.12).
const NORMAL_ACCOUNT: u32 = 0x10;
const DONT_EXPIRE_PASSWORD: u32 = 0x200;
/// Mandatory, enabled by default and enabled.
const ENABLED: u32 = group_attributes::SE_GROUP_MANDATORY
    | group_attributes::SE_GROUP_ENABLED_BY_DEFAULT
    | group_attributes::SE_GROUP_ENABLED;

/// What the PACs of a realm's tickets say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacIssue {
    /// Accounts, groups and SIDs, as from a domain controller.
    #[default]
    Domain,
    /// The client's name and the login's time, as from an MIT KDC.
    Minimal,
    /// There are none, as from an old KDC.
    None,
}

/// A realm's domain SID where none was given: always the same for one name.
pub(crate) fn domain_sid_of(realm: &str) -> Option<Sid> {
    // FNV-1a, with another basis for each of the three numbers.
    let hash = |basis: u32| {
        realm.bytes().fold(basis, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
    };
    Sid::new(5, &[21, hash(0x811c_9dc5), hash(1), hash(2)])
}

impl Session<'_> {
    /// The PAC of a login; `None` where the realm has none, or the client wants none (MS-KILE section
    /// 2.2.3).
    pub(crate) fn pac_of_login(
        &self,
        entry: &Entry,
        padata: &[PaData],
    ) -> Result<Option<PacBuilder>, Refusal> {
        let request = find(padata, pa_type::PA_PAC_REQUEST)
            .and_then(|request| KerbPaPacRequest::from_der(request).ok());
        let wanted = request.as_ref().is_none_or(|request| request.include_pac);
        if self.realm.pac == PacIssue::None || !wanted {
            return Ok(None);
        }
        let mut pac = PacBuilder::new();
        if self.realm.pac == PacIssue::Domain
            && let Some(sid) = self.realm.sid_of(entry)
        {
            self.describe(entry, sid, &mut pac)?;
            let attributes = PacAttributes::new(match request {
                Some(_) => PacAttributes::PAC_WAS_REQUESTED,
                None => PacAttributes::PAC_WAS_GIVEN_IMPLICITLY,
            });
            pac.set(PacBufferType::ATTRIBUTES, attributes.to_bytes());
            pac.set(PacBufferType::REQUESTOR, sid.to_bytes());
        }
        Ok(Some(pac))
    }

    fn describe(&self, entry: &Entry, sid: Sid, pac: &mut PacBuilder) -> Result<(), Refusal> {
        let realm = self.realm.name.to_string();
        let account = entry.principal.name_text();
        let time = |moment: Option<Timestamp>| {
            moment.and_then(|moment| FileTime::from_seconds(moment.seconds()))
        };
        let options = &entry.options;
        let membership = |relative_id| GroupMembership {
            relative_id,
            attributes: ENABLED,
        };
        let mut info = KerbValidationInfo::default();
        info.logon_time = time(Some(self.now)).unwrap_or_default();
        info.logoff_time = FileTime::NEVER;
        info.kick_off_time = FileTime::NEVER;
        info.password_must_change = time(options.password_expires).unwrap_or(FileTime::NEVER);
        info.effective_name.clone_from(&account);
        info.user_id = sid.split_relative_id().map_or(0, |(_, rid)| rid);
        info.primary_group_id = DOMAIN_USERS;
        info.group_ids = core::iter::once(DOMAIN_USERS)
            .chain(options.groups.iter().copied())
            .map(membership)
            .collect();
        // S-1-18-1: an authority that knows the client's key vouches for it.
        info.extra_sids = Sid::new(18, &[1])
            .into_iter()
            .chain(options.extra_sids.iter().copied())
            .map(|sid| SidAndAttributes {
                sid,
                attributes: ENABLED,
            })
            .collect();
        info.user_flags = user_flags::LOGON_EXTRA_SIDS;
        info.logon_server = "KDC".to_owned();
        info.logon_domain_name = realm.split('.').next().unwrap_or_default().to_owned();
        info.logon_domain_id = self.realm.domain_sid;
        info.user_account_control = NORMAL_ACCOUNT;
        if options.password_expires.is_none() {
            info.user_account_control |= DONT_EXPIRE_PASSWORD;
        }
        pac.set(
            PacBufferType::LOGON_INFO,
            info.to_bytes().map_err(unwritten)?,
        );
        let upn = format!("{account}@{}", realm.to_lowercase());
        let names = UpnDnsInfo::new(&upn, &realm, &account, sid);
        pac.set(
            PacBufferType::UPN_DNS_INFO,
            names.to_bytes().map_err(unwritten)?,
        );
        if !options.claims.arrays.is_empty() {
            let claims = options.claims.to_bytes().map_err(unwritten)?;
            pac.set(PacBufferType::CLIENT_CLAIMS, claims);
        }
        Ok(())
    }

    /// What the PAC of the ticket says that a TGS-REQ came with, after every check that a KDC makes.
    pub(crate) fn pac_of_header(&self, header: &Header) -> Result<Option<PacBuilder>, Refusal> {
        let Some(bytes) = pac_of_ticket(&header.part).map_err(not_trusted)? else {
            return Ok(None);
        };
        let unverified = UnverifiedPac::parse(&bytes).map_err(not_trusted)?;
        let (pac, proof) = self.verify_header(header, &unverified)?;
        // SID filtering (MS-PAC section 4.1.2.2): nobody else speaks for this domain's accounts.
        let issuer_is_us = header.server.realm == self.realm.name;
        let of_domain = |sid: Option<Sid>| {
            sid.and_then(|sid| sid.split_relative_id())
                .is_some_and(|(domain, _)| Some(domain) == self.realm.domain_sid)
        };
        let groups = pac
            .logon_info()
            .into_iter()
            .flat_map(KerbValidationInfo::groups);
        let claims_ours = of_domain(pac.user_sid())
            || groups
                .map(|group| group.sid)
                .any(|sid| of_domain(Some(sid)));
        if !issuer_is_us && claims_ours {
            return Err(Refusal::new(
                error_code::KDC_ERR_POLICY,
                "another domain's PAC has SIDs of this one",
            ));
        }
        Ok(Some(PacBuilder::of(&unverified, &proof)))
    }

    /// MS-PAC section 2.8: server signature, and where this realm issued the ticket those that its own key
    /// makes (conformance rows 99 to 101).
    fn verify_header(
        &self,
        header: &Header,
        pac: &UnverifiedPac<'_>,
    ) -> Result<(Pac, PacVerified), Refusal> {
        let mut check = PacCheck::of_service(&header.key, TicketClient::of(&header.part));
        if header.server.realm != self.realm.name {
            return pac.verify(&check).map_err(not_trusted);
        }
        let of_service = if header.server.is_krbtgt() {
            if self.realm.pac == PacIssue::Domain {
                check.requestor = Demand::Required;
            }
            Demand::IfPresent
        } else {
            Demand::Required
        };
        // The ticket may be older than the ticket-granting service's present keys.
        let entry = self.own_service()?;
        let keys: Vec<Arc<Key>> = entry
            .present()
            .chain(entry.previous())
            .map(|slot| entry.key(slot, &self.realm.enctypes))
            .collect::<Result<_, _>>()?;
        let mut first = None;
        for key in &keys {
            check.kdc = Some(KdcChecks {
                key,
                ticket: &header.part,
                ticket_signature: of_service,
                full_checksum: of_service,
            });
            match pac.verify(&check) {
                Ok(verified) => return Ok(verified),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.map_or_else(
            || Refusal::new(error_code::KDC_ERR_NULL_KEY, "the realm has no keys"),
            not_trusted,
        ))
    }

    fn own_service(&self) -> Result<Arc<Entry>, Refusal> {
        let own = Principal::krbtgt(&self.realm.name);
        self.realm
            .find(&own)
            .ok_or_else(|| Refusal::new(error_code::KDC_ERR_NULL_KEY, "the realm has no keys"))
    }

    /// Signs the grant's PAC into the ticket, with the faults that are set.
    pub(crate) fn put_pac(
        &self,
        grant: &Grant,
        part: &mut EncTicketPart,
        ticket_key: &Key,
    ) -> Result<(), Refusal> {
        let Some(pac) = &grant.pac else {
            return Ok(());
        };
        let mut pac = pac.clone();
        let granting = grant.ticket_entry.principal.is_krbtgt();
        if !granting {
            if grant.ticket_entry.options.no_pac {
                return Ok(());
            }
            // MS-PAC sections 2.14 and 2.15: in ticket-granting tickets only.
            pac.remove(PacBufferType::ATTRIBUTES);
            pac.remove(PacBufferType::REQUESTOR);
        }
        let client = Principal {
            realm: part.crealm.clone(),
            name: part.cname.clone(),
        };
        let login = FileTime::from_seconds(part.authtime.seconds()).unwrap_or_default();
        let info = ClientInfo::new(login, client.name_text());
        pac.set(
            PacBufferType::CLIENT_INFO,
            info.to_bytes().map_err(unwritten)?,
        );
        let entry = self.own_service()?;
        let slot = entry
            .present()
            .next()
            .ok_or_else(|| Refusal::new(error_code::KDC_ERR_NULL_KEY, "the realm has no keys"))?;
        let kdc_key = entry.key(slot, &self.realm.enctypes)?;
        let kind = if granting {
            PacKind::TicketGranting
        } else {
            PacKind::Service
        };
        let signers = PacSigners {
            server: ticket_key,
            kdc: &kdc_key,
        };
        self.sign_pac(pac, part, kind, &signers)
    }
}

pub(crate) fn not_trusted(error: impl Into<trihound_krb5::Error>) -> Refusal {
    let error = error.into();
    Refusal::new(
        error_code::KRB_AP_ERR_MODIFIED,
        format!("the ticket's PAC: {error}"),
    )
}

pub(crate) fn unwritten(error: impl Into<trihound_krb5::Error>) -> Refusal {
    let error = error.into();
    Refusal::new(
        error_code::KRB_ERR_GENERIC,
        format!("the PAC cannot be written: {error}"),
    )
}
