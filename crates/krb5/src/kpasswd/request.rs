//! The request: an AP-REQ, and a KRB-PRIV under its sub-key.

use std::net::IpAddr;

use trihound_asn1::{ChangePasswdData, HostAddress, Message};
use trihound_secret::SecretBytes;

use super::reply::ExpectReply;
use super::{Change, Frame, VERSION_CHANGE, VERSION_SET};
use crate::ap::{AfterApReq, ApRequest, build_ap_req};
use crate::krb_priv::build_krb_priv;
use crate::{ApiMisuse, Error, trace};

/// Builds the request; also gives what awaits its answer.
pub(super) fn send(change: &Change, sender: &HostAddress) -> Result<(ExpectReply, Vec<u8>), Error> {
    let environment = &change.environment;
    let ticket = &change.request.ticket;
    // RFC 4537's list is for contexts that go on; here the authenticator's sub-key is the key of both messages.
    let sent = build_ap_req(
        &ApRequest {
            time_offset: ticket.time_offset,
            offer_enctypes: false,
            ..ApRequest::new(&ticket.credentials)
        },
        environment,
    )?;
    let AfterApReq::ExpectApReply(waiting) = sent.next else {
        return Err(ApiMisuse::OutOfStep("no AP-REP was asked for").into());
    };
    let (version, plain) = user_data(change)?;
    // RFC 3244 2: the KRB-PRIV is under the sub-key of the authenticator.
    let private = build_krb_priv(
        plain.expose(),
        waiting.subkey(),
        waiting.sequence(),
        sender.clone(),
        environment,
    )?;
    trace::password_change(change.account(), &ticket.credentials.server);
    let message = Frame::new(version, &sent.message, &private).to_bytes()?;
    let expected = ExpectReply {
        environment: environment.clone(),
        time_offset: ticket.time_offset,
        waiting,
        private,
        account: change.account().clone(),
        realm: ticket.client().realm.to_string(),
    };
    Ok((expected, message))
}

/// The version of the protocol, and what the KRB-PRIV has in it. One's own password goes by the first version,
/// which every service knows.
fn user_data(change: &Change) -> Result<(u16, SecretBytes), Error> {
    let password = change.request.new_password.expose().as_bytes();
    let Some(target) = &change.request.target else {
        return Ok((VERSION_CHANGE, SecretBytes::from(password)));
    };
    let data = ChangePasswdData {
        newpasswd: password.into(),
        targname: Some(target.name.clone()),
        targrealm: Some(target.realm.clone()),
    };
    Ok((VERSION_SET, SecretBytes::from(data.to_der()?)))
}

/// An address from its 4 or 16 bytes.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(four), _) => Some(IpAddr::from(four)),
        (_, Ok(sixteen)) => Some(IpAddr::from(sixteen)),
        _ => None,
    }
}
