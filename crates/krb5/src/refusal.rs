//! KRB-ERROR: reading those of KDCs and acceptors, making our own (RFC 4120 section 5.9).

use trihound_asn1::{KerberosTime, KrbError, Message, error_code};
use trihound_sansio::Timestamp;

use crate::{Environment, Error, KdcRefused, PeerRefused, Principal};

/// First byte of a KRB-ERROR: `[APPLICATION 30]`, constructed.
pub(crate) const KRB_ERROR_TAG: u8 = 0x7e;

/// Characters of a peer's text that are shown at most.
const MAX_SHOWN_TEXT: usize = 200;

/// Builds the KRB-ERROR that tells a peer why its AP-REQ was refused; `None` where none is due.
///
/// It carries this host's time, which a client with a wrong clock needs (RFC 4120 section 3.2.3),
/// and no text: what exactly failed is for the local log only.
///
/// # Errors
///
/// [`Error::ApiMisuse`] when `server` cannot be encoded.
pub fn build_krb_error(
    error: &Error,
    server: &Principal,
    environment: &Environment,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(error_code) = error.krb_error_code() else {
        return Ok(None);
    };
    let now = environment.now(0);
    let message = KrbError {
        pvno: 5,
        msg_type: 30,
        ctime: None,
        cusec: None,
        stime: KerberosTime::from_seconds(now.seconds()),
        susec: microseconds(now),
        error_code,
        crealm: None,
        cname: None,
        realm: server.realm.clone(),
        sname: server.name.clone(),
        e_text: None,
        e_data: None,
    };
    Ok(Some(message.to_der()?))
}

/// The field cusec, susec, pausec or usec of a moment.
pub(crate) fn microseconds(time: Timestamp) -> i32 {
    i32::try_from(time.microseconds()).unwrap_or(0)
}

/// A moment from the two fields that carry it.
pub(crate) fn moment(time: KerberosTime, microseconds: i32) -> Timestamp {
    Timestamp::from_parts(time.seconds(), u32::try_from(microseconds).unwrap_or(0))
}

/// A moment in whole seconds.
pub(crate) fn whole(time: KerberosTime) -> Timestamp {
    Timestamp::from_seconds(time.seconds())
}

/// What secret a request was made with; decides the advice after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MadeWith {
    Password,
    Keytab,
    Ticket,
    /// A ticket, for another realm's ticket-granting service.
    CrossRealm,
}

/// What a KDC's KRB-ERROR comes to, when nothing can be done about it in the exchange.
pub(crate) fn kdc_refused(
    error: &KrbError,
    realm: &str,
    request: String,
    made_with: MadeWith,
    local_time: Timestamp,
) -> Error {
    let server_time = moment(error.stime, error.susec);
    Error::KdcRefused(Box::new(KdcRefused {
        code: error.error_code,
        request,
        e_text: error
            .e_text
            .as_ref()
            .and_then(|text| shown(text.as_bytes())),
        realm: realm.to_owned(),
        server_time: Some(server_time),
        local_time,
        advice: kdc_advice(error.error_code, made_with, server_time, local_time),
    }))
}

/// What an acceptor's KRB-ERROR comes to.
pub(crate) fn peer_refused(error: &KrbError, service: String, local_time: Timestamp) -> Error {
    let server_time = moment(error.stime, error.susec);
    Error::PeerRefused(Box::new(PeerRefused {
        code: error.error_code,
        e_text: error
            .e_text
            .as_ref()
            .and_then(|text| shown(text.as_bytes())),
        service,
        server_time,
        local_time,
        advice: peer_advice(error.error_code, server_time, local_time),
    }))
}

/// A peer's text without control characters, cut to [`MAX_SHOWN_TEXT`]; `None` if nothing is left.
fn shown(text: &[u8]) -> Option<String> {
    let text: String = String::from_utf8_lossy(text)
        .chars()
        .filter(|character| !character.is_control())
        .take(MAX_SHOWN_TEXT)
        .collect();
    (!text.is_empty()).then_some(text)
}

fn kdc_advice(code: i32, made_with: MadeWith, server: Timestamp, local: Timestamp) -> String {
    match code {
        error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN => {
            "check the spelling and the realm of the user name, and that the account exists"
        }
        error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN if made_with == MadeWith::CrossRealm => {
            "this KDC shares no key with the next realm on the way: check the realm's name, \
             [domain_realm] and [capaths]; without trust between the realms there is no way"
        }
        error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN => {
            "check the service name, and that it is registered in that realm; \
             a host name must be written as it was registered"
        }
        error_code::KDC_ERR_CLIENT_REVOKED => {
            "the account is locked or disabled: its administrator can open it"
        }
        error_code::KDC_ERR_NAME_EXP => "the account has expired: its administrator can renew it",
        error_code::KDC_ERR_KEY_EXPIRED => {
            "the password has expired: change it (kpasswd, ChangeAccountPassword), then log in again"
        },
        error_code::KDC_ERR_PREAUTH_FAILED => match made_with {
            MadeWith::Password => {
                "the password is wrong: type it again; several wrong ones may lock the account"
            }
            MadeWith::Keytab => {
                "the keytab's key is not the account's: it was exported before the last password \
                 change, export it anew"
            }
            MadeWith::Ticket | MadeWith::CrossRealm => "log in again",
        },
        error_code::KDC_ERR_ETYPE_NOSUPP => {
            "the KDC has no key of a permitted encryption type for one of the two names: give the \
             account an AES key (a new password does), or permit its type by name"
        }
        error_code::KRB_AP_ERR_SKEW => {
            return format!("the KDC's clock says {server}, this host's {local}: synchronise them");
        }
        error_code::KDC_ERR_NEVER_VALID => {
            return format!(
                "the ticket would end before it begins; the KDC's clock says {server}, this \
                 host's {local}: synchronise them, or ask for a longer lifetime"
            );
        }
        error_code::KDC_ERR_POLICY => "the KDC's policy forbids it: ask its administrator",
        error_code::KDC_ERR_BADOPTION => {
            "the KDC does not grant an option that was asked for: ask for less \
             (forwardable, renewable), or allow it for the account"
        }
        error_code::KDC_ERR_CANNOT_POSTDATE => "ask for a ticket that starts now",
        error_code::KDC_ERR_WRONG_REALM => {
            "the account is in another realm: name it, or ask for canonicalization"
        }
        error_code::KRB_AP_ERR_TKT_EXPIRED => "the ticket is over: log in again (kinit)",
        error_code::KRB_AP_ERR_TKT_NYV => {
            return format!(
                "the ticket is not valid yet; the KDC's clock says {server}, this host's {local}"
            );
        }
        error_code::KRB_AP_ERR_MODIFIED | error_code::KRB_AP_ERR_BAD_INTEGRITY => {
            "the ticket and the KDC's keys do not fit: it is from another KDC database, or the \
             request was altered; log in again"
        }
        error_code::KRB_AP_ERR_BADADDR => {
            "the ticket is bound to another address: log in without addresses (noaddresses)"
        }
        error_code::KDC_ERR_MUST_USE_USER2USER => {
            "the KDC makes no tickets for this name's own key: it is a user's, or closed to \
             services; ask for the service's own principal"
        }
        error_code::KDC_ERR_SVC_UNAVAILABLE => "the KDC is overloaded or starting: try again",
        _ => "see the KDC's log for the reason",
    }
    .to_owned()
}

fn peer_advice(code: i32, server: Timestamp, local: Timestamp) -> String {
    match code {
        error_code::KRB_AP_ERR_SKEW => {
            return format!(
                "the service's clock says {server}, this host's {local}: synchronise them"
            );
        }
        error_code::KRB_AP_ERR_MODIFIED | error_code::KRB_AP_ERR_BAD_INTEGRITY => {
            "the service does not have the key that the KDC made the ticket with: the name belongs \
             to another account, or the service's keytab is old"
        }
        error_code::KRB_AP_ERR_NOKEY | error_code::KRB_AP_ERR_BADKEYVER => {
            "the service's keytab lacks the key of this ticket: export it anew, or drop the cached \
             ticket and get a new one"
        }
        error_code::KRB_AP_ERR_REPEAT => {
            "the service saw the same authenticator before: do not send a token twice"
        }
        error_code::KRB_AP_ERR_TKT_EXPIRED | error_code::KRB_AP_ERR_TKT_NYV => {
            return format!(
                "the ticket is not valid at the service's time {server} (this host says {local}): \
                 get a new one"
            );
        }
        _ => "see the service's log for the reason",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_text_is_cleaned_and_cut() {
        assert_eq!(shown(b"no\x1b[31m \nway"), Some("no[31m way".to_owned()));
        assert_eq!(shown(b"\0\n"), None);
        assert_eq!(
            shown(&[b'x'; 1000]).map(|text| text.len()),
            Some(MAX_SHOWN_TEXT)
        );
    }

    #[test]
    fn skew_advice_names_both_clocks() {
        let advice = kdc_advice(
            error_code::KRB_AP_ERR_SKEW,
            MadeWith::Password,
            Timestamp::from_seconds(0),
            Timestamp::from_seconds(86_400),
        );
        assert!(advice.contains("1970-01-01T00:00:00Z") && advice.contains("1970-01-02T00:00:00Z"));
    }
}
