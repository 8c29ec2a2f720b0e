//! The AS-REP: opened under the client's key, compared with the request (RFC 4120 section 3.1.5).

use trihound_asn1::{
    AsRep, Checksum, EncKdcRepPart, Message, PaData, TicketFlags, decode_enc_kdc_rep_part, pa_type,
};
use trihound_crypto::{ChecksumType, Enctype, Key, KeyUsage};
use trihound_sansio::Timestamp;

use super::preauth::Hints;
use super::request::Login;
use super::{AsOutcome, ClientSecret, ExpectAsReply};
use crate::kdc_reply::{Asked, Clear, Start, verify};
use crate::refusal::whole;
use crate::{Error, KdcMisbehaved, trace};

/// Opens and checks the reply to `state.sent`.
pub(super) fn accept(state: &ExpectAsReply, der: &[u8]) -> Result<AsOutcome, Error> {
    let (login, sent) = (&state.login, &state.sent);
    let reply = AsRep::from_der(der)?;
    let enctype = Enctype(reply.enc_part.etype);
    // RFC 4120 3.1.3: the reply is encrypted in a type of the request's etype list.
    if !login.enctypes.contains(&enctype) {
        return Err(KdcMisbehaved::ReplyEnctypeNotRequested { enctype }.into());
    }
    let hints = Hints::from_padata(reply.padata.as_deref().unwrap_or_default())?;
    let kvno = reply.enc_part.kvno.map(trihound_asn1::UInt32::get);
    let key = login.key_for_reply(&hints, enctype, kvno, sent.preauth_key.as_ref())?;
    let plain = key
        .decrypt(KeyUsage::AS_REP_ENC_PART, &reply.enc_part.cipher)
        .map_err(|_| does_not_decrypt(login, enctype))?;
    let part = decode_enc_kdc_rep_part(plain.expose())?;
    let time_offset = if login.environment.config.kdc_timesync {
        clock_difference(&part, login.environment.now(0))
    } else {
        None
    };
    let confirmed = confirm_request(&part, &key, &sent.der)?;
    let key_expiration = part.key_expiration.map(whole);
    let service = login.service();
    let kdc_now = login.environment.now(time_offset.unwrap_or(0));
    let (credentials, verified) = verify(
        &Clear {
            crealm: &reply.crealm,
            cname: &reply.cname,
            ticket: &reply.ticket,
        },
        part,
        &Asked {
            client: &login.client,
            may_rename_client: login.canonicalize(),
            // A ticket-granting ticket is no answer to who asked for another service's ticket.
            may_refer: login.canonicalize() && service.is_krbtgt(),
            server: &service,
            nonce: sent.nonce,
            enctypes: &login.enctypes,
            flags: Login::flags(sent.options),
            start: Start::At(sent.from.unwrap_or(kdc_now)),
            till: sent.till,
            renew_till: sent.rtime,
            skew: login.environment.config.clock_skew,
        },
    )?;
    trace::granted(&credentials, time_offset);
    Ok(AsOutcome {
        credentials,
        time_offset,
        fast_available: confirmed.fast_available,
        preauthentication: sent.preauth_key.as_ref().map(|_| pa_type::PA_ENC_TIMESTAMP),
        key_expiration,
        verified,
    })
}

fn does_not_decrypt(login: &Login, enctype: Enctype) -> KdcMisbehaved {
    let (key, advice) = match login.secret {
        ClientSecret::Password(_) => ("the key made of the password", "the password is wrong"),
        ClientSecret::Keys(_) => (
            "the keytab's key",
            "the keytab was exported before the last password change: export it anew",
        ),
    };
    KdcMisbehaved::ReplyDoesNotDecrypt {
        message: "AS-REP",
        enctype,
        key,
        advice,
    }
}

/// The KDC's clock less ours, when the whole seconds of authtime tell them apart.
fn clock_difference(part: &EncKdcRepPart, now: Timestamp) -> Option<i64> {
    let kdc = whole(part.authtime);
    let difference = kdc.difference(Timestamp::from_seconds(now.seconds()));
    // The request was on its way for a while, and authtime has no microseconds.
    (difference.unsigned_abs() > 1_000_000).then_some(difference)
}

struct Confirmed {
    fast_available: bool,
}

/// RFC 6806 11: where enc-pa-rep is set, the reply carries a checksum of the AS-REQ as the KDC saw
/// it, under the reply key.
fn confirm_request(part: &EncKdcRepPart, key: &Key, sent: &[u8]) -> Result<Confirmed, Error> {
    if !part.flags.contains(TicketFlags::ENC_PA_REP) {
        return Ok(Confirmed {
            fast_available: false,
        });
    }
    let padata: &[PaData] = part.encrypted_pa_data.as_deref().unwrap_or_default();
    let find = |wanted: i32| padata.iter().find(|entry| entry.padata_type == wanted);
    // RFC 6806 11: "the client MUST verify" that the checksum is there and right.
    let Some(entry) = find(pa_type::PA_REQ_ENC_PA_REP) else {
        return Err(KdcMisbehaved::RequestChecksumMissing.into());
    };
    let checksum = Checksum::from_der(&entry.padata_value)?;
    key.verify_checksum(
        KeyUsage::AS_REQ,
        ChecksumType(checksum.cksumtype),
        sent,
        &checksum.checksum,
    )
    .map_err(|_| KdcMisbehaved::RequestChecksumDiffers)?;
    Ok(Confirmed {
        fast_available: find(pa_type::PA_FX_FAST).is_some(),
    })
}
