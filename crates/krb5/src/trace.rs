//! What the exchanges tell while they run: `tracing` events at DEBUG, one readable sentence each, with
//! the fields `realm`, `spn`, `client`, `etype`, `kvno` and `error`. Never a key, a password, a ticket or
//! the bytes of a token.

use tracing::debug;
use trihound_asn1::{KrbError, error_code, printable};
use trihound_crypto::Enctype;
use trihound_sansio::{Timestamp, TransportFailure};

use crate::kpasswd::KpasswdResult;
use crate::{Credentials, Principal};

/// Longest salt that is told.
const MAX_SALT: usize = 128;

pub(crate) fn initial_credentials(client: &Principal, service: &Principal) {
    debug!(%client, spn = %service, "Getting initial credentials for {client}, a ticket for {service}");
}

pub(crate) fn as_request(client: &Principal, preauthenticated_with: Option<Enctype>) {
    let realm = &client.realm;
    match preauthenticated_with {
        None => debug!(%realm, %client, "Asking realm {realm} without pre-authentication"),
        Some(etype) => debug!(
            %realm, %client, %etype,
            "Asking realm {realm} with a timestamp encrypted in the {etype} key of {client}"
        ),
    }
}

/// What a password is made into a key with.
pub(crate) fn key_info(etype: Enctype, salt: Option<&[u8]>, has_params: bool) {
    let salt = match salt {
        None => "the default salt".to_owned(),
        // Of a salt from afar no more is told than an honest one has.
        Some(salt) => {
            let (told, more) = match salt.get(..MAX_SALT) {
                Some(begin) => (begin, "..."),
                None => (salt, ""),
            };
            format!("salt \"{}{more}\"", printable(told))
        }
    };
    let params = if has_params {
        " and the KDC's parameters"
    } else {
        ""
    };
    debug!(%etype, "Making the {etype} key of the password with {salt}{params}");
}

pub(crate) fn kdc_error(realm: &dyn core::fmt::Display, error: &KrbError) {
    let name = error_code::name(error.error_code).unwrap_or("an error without a name");
    debug!(%realm, error = name, "Received error {} from realm {realm}: {name}", error.error_code);
}

pub(crate) fn too_big(realm: &dyn core::fmt::Display) {
    debug!(%realm, "The answer of realm {realm} is too big for UDP; asking again over TCP");
}

pub(crate) fn clock_correction(realm: &dyn core::fmt::Display, microseconds: i64) {
    debug!(
        %realm,
        "The clock of realm {realm} is {} seconds ahead; asking again with its time",
        microseconds.div_euclid(1_000_000)
    );
}

pub(crate) fn wrong_realm(realm: &dyn core::fmt::Display) {
    debug!(%realm, "Following referral to realm {realm}");
}

pub(crate) fn primary(realm: &dyn core::fmt::Display) {
    debug!(%realm, "Asking the primary KDC of realm {realm}, which may know a newer password");
}

/// The primary KDC was wanted, and did not answer or is not known.
pub(crate) fn no_primary(realm: &dyn core::fmt::Display, failure: &TransportFailure) {
    debug!(
        %realm, error = %failure,
        "No primary KDC of realm {realm} can be asked; what the first KDC said holds"
    );
}

/// A reply that holds.
pub(crate) fn granted(credentials: &Credentials, time_offset: Option<i64>) {
    let (client, spn) = (&credentials.client, &credentials.server);
    let etype = credentials.session_key.enctype();
    debug!(
        %client, %spn, %etype,
        "Received ticket of {client} for {spn}, valid until {}, session key {etype}",
        credentials.endtime
    );
    if let Some(offset) = time_offset {
        debug!(
            "The KDC's clock is {} seconds ahead of this machine's",
            offset.div_euclid(1_000_000)
        );
    }
}

pub(crate) fn tgs_request(spn: &Principal, ticket: &Credentials) {
    let realm = &spn.realm;
    debug!(
        %realm, %spn,
        client = %ticket.client,
        "Asking realm {realm} for a ticket for {spn}, with {}",
        ticket.server
    );
}

pub(crate) fn ap_request(credentials: &Credentials, subkey: Enctype, sequence: u32, mutual: bool) {
    let (client, spn) = (&credentials.client, &credentials.server);
    let answer = if mutual { ", an answer is due" } else { "" };
    debug!(
        %client, %spn, etype = %subkey,
        "Creating authenticator of {client} for {spn}, sub-key {subkey}, sequence number {sequence}{answer}"
    );
}

pub(crate) fn ap_reply(spn: &Principal, subkey: Option<Enctype>, sequence: u32) {
    match subkey {
        Some(etype) => debug!(
            %spn, %etype,
            "Read answer of {spn}, sub-key {etype}, sequence number {sequence}"
        ),
        None => debug!(%spn, "Read answer of {spn}, no sub-key, sequence number {sequence}"),
    }
}

pub(crate) fn ticket_to_open(spn: &Principal, etype: Enctype, kvno: Option<u32>) {
    match kvno {
        Some(kvno) => debug!(
            %spn, %etype, kvno,
            "Received ticket for {spn}, in version {kvno} of the {etype} key"
        ),
        None => debug!(%spn, %etype, "Received ticket for {spn}, in a {etype} key"),
    }
}

pub(crate) fn ticket_opened(principal: &Principal, etype: Enctype, kvno: u32, tried: usize) {
    debug!(
        spn = %principal, %etype, kvno,
        "Decrypted the ticket with version {kvno} of the {etype} key of {principal}, key {tried} that was tried"
    );
}

pub(crate) fn accepted(client: &Principal, server: &Principal, until: Timestamp) {
    debug!(
        %client, spn = %server,
        "Accepted {client} at {server}, ticket valid until {until}"
    );
}

pub(crate) fn password_change(account: &Principal, spn: &Principal) {
    let realm = &spn.realm;
    debug!(%realm, %spn, client = %account, "Asking realm {realm} to set the password of {account}");
}

pub(crate) fn password_answer(account: &Principal, result: KpasswdResult, authenticated: bool) {
    let signed = if authenticated {
        ""
    } else {
        ", not authenticated"
    };
    debug!(
        client = %account,
        "Received the answer on the password of {account}: {result}{signed}"
    );
}

pub(crate) fn password_unanswered(account: &Principal, failure: &TransportFailure) {
    debug!(
        client = %account, error = %failure,
        "Nobody answered on the password of {account}; whether it was changed is not known"
    );
}
