//! What an authority vouched for about the client: the PAC of its ticket (MS-PAC).

use tracing::debug;
use trihound_krb5::InvalidPac;
use trihound_krb5::ap::AcceptedApReq;
use trihound_krb5::pac::{
    self, ClaimsSet, KerbValidationInfo, Pac, SidAndAttributes, UnverifiedPac, danger,
};
use trihound_sspi::{AccessToken, Claim, ClaimValues, GroupSid, LogonInformation};

use crate::error::Error;

/// What is known of the client beyond its name.
#[derive(Debug, Default)]
pub(crate) struct Authorization {
    pac: Option<VerifiedPac>,
}

/// A PAC that was verified, and what it says.
#[derive(Debug)]
struct VerifiedPac {
    bytes: Vec<u8>,
    logon: Box<LogonInformation>,
}

/// What the PAC of the ticket says, which [`trihound_krb5::ap::accept_ap_req`] verified.
pub(crate) fn of_ticket(accepted: &AcceptedApReq) -> Result<Authorization, Error> {
    let bytes = accepted.ticket_info.pac.clone();
    let pac = accepted.pac.verified().zip(bytes);
    Ok(Authorization {
        pac: pac.map(|(pac, bytes)| VerifiedPac {
            bytes,
            logon: Box::new(logon_information(pac)),
        }),
    })
}

impl Authorization {
    /// The PAC as it came, for [`Self::imported`].
    pub(crate) fn pac_bytes(&self) -> Option<&[u8]> {
        self.pac.as_ref().map(|pac| pac.bytes.as_slice())
    }

    /// The reverse of [`Self::pac_bytes`], for an image whose seal was verified: the PAC was verified
    /// before it went into the image, and the key for that is not at hand any more.
    #[allow(dead_code, reason = "for imported contexts")]
    pub(crate) fn imported(bytes: Option<Vec<u8>>) -> Result<Self, Error> {
        let read = |bytes: Vec<u8>| -> Result<VerifiedPac, trihound_krb5::Error> {
            let pac = danger::read_without_verifying(&UnverifiedPac::parse(&bytes)?)?;
            let logon = Box::new(logon_information(&pac));
            Ok(VerifiedPac { bytes, logon })
        };
        Ok(Self {
            pac: bytes.map(read).transpose()?,
        })
    }

    /// What the PAC says of the client's account; `None` without a PAC.
    pub(crate) fn logon(&self) -> Option<&LogonInformation> {
        self.pac.as_ref().map(|pac| &*pac.logon)
    }

    /// Puts it into the client's token.
    pub(crate) fn describe(&self, token: &mut AccessToken) {
        let Some(logon) = self.logon() else {
            return;
        };
        // The token's identifiers begin with the client's own, or there are none: a group's SID in
        // that place would be taken for the client.
        if let Some(user) = &logon.user_sid {
            let groups = logon.groups.iter().filter(|group| group.is_enabled());
            token.sids = core::iter::once(user.clone())
                .chain(groups.map(|group| group.sid.clone()))
                .collect();
        }
        token.logon = Some(Box::new(logon.clone()));
    }
}

fn logon_information(pac: &Pac) -> LogonInformation {
    let mut logon = LogonInformation::default();
    if let Some(info) = pac.logon_info() {
        of_account(&mut logon, info);
    }
    logon.user_sid = pac.user_sid().map(|sid| sid.to_string());
    if let Some(names) = pac.upn_dns_info() {
        logon.user_principal_name = text(&names.upn);
        logon.dns_domain_name = text(&names.dns_domain_name);
        if let Some(extended) = &names.extended
            && logon.account_name.is_none()
        {
            logon.account_name = text(&extended.sam_name);
        }
    }
    if let Some(device) = pac.device_info() {
        logon.device_sid = device.device_sid().map(|sid| sid.to_string());
        logon.device_groups = device.groups().map(group).collect();
    }
    if let Some(delegation) = pac.delegation_info() {
        logon
            .transited_services
            .clone_from(&delegation.transited_services);
    }
    logon.claims = claims("client", pac.client_claims());
    logon.device_claims = claims("device", pac.device_claims());
    logon
}

fn of_account(logon: &mut LogonInformation, info: &KerbValidationInfo) {
    logon.primary_group_sid = info.primary_group_sid().map(|sid| sid.to_string());
    logon.groups = info.groups().map(group).collect();
    logon.account_name = text(&info.effective_name);
    logon.full_name = text(&info.full_name);
    logon.domain_name = text(&info.logon_domain_name);
    logon.logon_server = text(&info.logon_server);
    logon.user_flags = Some(info.user_flags);
    logon.user_account_control = Some(info.user_account_control);
    logon.logon_time = info.logon_time.timestamp();
    logon.logoff_time = info.logoff_time.timestamp();
    logon.password_expiry = info.password_must_change.timestamp();
}

/// An empty string stands for what the domain does not know.
fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn group(group: SidAndAttributes) -> GroupSid {
    GroupSid {
        sid: group.sid.to_string(),
        attributes: group.attributes,
    }
}

/// Claims that cannot be read give nothing, and do not keep those out who need none.
fn claims(whose: &str, set: Result<Option<ClaimsSet>, InvalidPac>) -> Vec<Claim> {
    let set = set.unwrap_or_else(|error| {
        debug!(%error, "The {whose}'s claims cannot be read and are left out: {error}");
        None
    });
    let arrays = set.into_iter().flat_map(|set| set.arrays);
    arrays
        .flat_map(|array| array.entries)
        .filter_map(|entry| {
            let values = match entry.values {
                pac::ClaimValues::Int64(values) => ClaimValues::Int64(values),
                pac::ClaimValues::Uint64(values) => ClaimValues::Uint64(values),
                pac::ClaimValues::String(values) => ClaimValues::String(values),
                pac::ClaimValues::Boolean(values) => ClaimValues::Boolean(values),
                // A type that MS-ADTS 2.2.18.3 does not have yet.
                _ => return None,
            };
            Some(Claim {
                id: entry.id,
                values,
            })
        })
        .collect()
}
