//! Types by name, for programs that read encodings with a label, such as a runner of known answers.
//!
//! The names are those of MIT's reference encodings (`src/tests/asn.1/reference_encode.out`), in lower case.

use crate::error::{DecodeError, EncodeError};
use crate::message::Message;
use crate::raw::Raw;
use crate::{
    AdAndOr, AdCammac, AdKdcIssued, AdLoginAlias, ApRep, ApReq, AsRep, AsReq, Authenticator,
    AuthorizationData, ChangePasswdData, Checksum, EncApRepPart, EncAsRepPart, EncKrbCredPart,
    EncKrbPrivPart, EncTgsRepPart, EncTicketPart, EncryptedData, EncryptionKey, EtypeInfo,
    EtypeInfo2, EtypeList, HostAddresses, IakerbFinished, IakerbHeader, KdcProxyMessage,
    KdcReqBody, KerbAdRestrictionEntry, KerbErrorData, KerbPaPacRequest, KrbCred, KrbError,
    KrbFastReq, KrbFastResponse, KrbPriv, KrbSafe, MethodData, OtpTokenInfo, PaEncSamResponseEnc,
    PaEncTsEnc, PaForUser, PaFxFastReply, PaFxFastRequest, PaOtpChallenge, PaOtpRequest,
    PaPacOptions, PaS4uX509User, PaSamChallenge2, PaSamResponse2, PrincipalName, TgsRep, TgsReq,
    Ticket, TypedData,
};

/// Why an encoding did not make the way through its type and back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoundTripError {
    /// It did not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It did not encode again.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

type Outcome = Result<Vec<u8>, RoundTripError>;
type RoundTrip = fn(&[u8]) -> Outcome;

/// Decodes `der` as the named type and encodes it again, with everything that is kept as received decoded
/// and encoded too. `None`: no type of that name here.
#[must_use]
pub fn roundtrip_by_name(type_name: &str, der: &[u8]) -> Option<Outcome> {
    let round_trip = TYPES
        .iter()
        .find_map(|(name, round_trip)| (*name == type_name).then_some(round_trip))?;
    Some(round_trip(der))
}

/// The names that [`roundtrip_by_name`] knows.
pub fn type_names() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|(name, _)| *name)
}

const TYPES: &[(&str, RoundTrip)] = &[
    ("principal", flat::<PrincipalName>),
    ("keyblock", flat::<EncryptionKey>),
    ("enc_data", flat::<EncryptedData>),
    ("checksum", flat::<Checksum>),
    ("host_addresses", flat::<HostAddresses>),
    ("authorization_data", flat::<AuthorizationData>),
    ("padata_sequence", flat::<MethodData>),
    ("etype_list", flat::<EtypeList>),
    ("ticket", flat::<Ticket>),
    ("enc_tkt_part", flat::<EncTicketPart>),
    ("as_req", as_req),
    ("tgs_req", tgs_req),
    ("kdc_req_body", |der| {
        Ok(rebuild_body(&KdcReqBody::from_der(der)?)?.to_der()?)
    }),
    ("as_rep", as_rep),
    ("tgs_rep", tgs_rep),
    ("enc_kdc_rep_part", enc_kdc_rep_part),
    ("ap_req", ap_req),
    ("authenticator", flat::<Authenticator>),
    ("ap_rep", flat::<ApRep>),
    ("ap_rep_enc_part", flat::<EncApRepPart>),
    ("safe", safe),
    ("priv", flat::<KrbPriv>),
    ("enc_priv_part", flat::<EncKrbPrivPart>),
    ("cred", cred),
    ("enc_cred_part", flat::<EncKrbCredPart>),
    ("error", flat::<KrbError>),
    ("typed_data", flat::<TypedData>),
    ("kerb_error_data", flat::<KerbErrorData>),
    ("pa_enc_ts", flat::<PaEncTsEnc>),
    ("etype_info", flat::<EtypeInfo>),
    ("etype_info2", flat::<EtypeInfo2>),
    ("pa_pac_request", flat::<KerbPaPacRequest>),
    ("pa_pac_options", flat::<PaPacOptions>),
    ("pa_for_user", flat::<PaForUser>),
    ("pa_s4u_x509_user", pa_s4u_x509_user),
    ("pa_fx_fast_request", flat::<PaFxFastRequest>),
    ("pa_fx_fast_reply", flat::<PaFxFastReply>),
    ("fast_req", fast_req),
    ("fast_response", flat::<KrbFastResponse>),
    ("ad_kdcissued", ad_kdcissued),
    ("ad_and_or", flat::<AdAndOr>),
    ("cammac", cammac),
    ("ad_login_alias", flat::<AdLoginAlias>),
    ("kerb_ad_restriction_entry", flat::<KerbAdRestrictionEntry>),
    ("otp_tokeninfo", flat::<OtpTokenInfo>),
    ("pa_otp_challenge", flat::<PaOtpChallenge>),
    ("pa_otp_req", flat::<PaOtpRequest>),
    ("sam_challenge_2", flat::<PaSamChallenge2>),
    ("sam_response_2", flat::<PaSamResponse2>),
    ("enc_sam_response_enc_2", flat::<PaEncSamResponseEnc>),
    ("iakerb_header", flat::<IakerbHeader>),
    ("iakerb_finished", flat::<IakerbFinished>),
    ("kkdcp_message", flat::<KdcProxyMessage>),
    ("setpw_req", flat::<ChangePasswdData>),
];

fn flat<T: Message>(der: &[u8]) -> Outcome {
    Ok(T::from_der(der)?.to_der()?)
}

/// What is kept as received, decoded and encoded.
fn rebuild<T: Message>(raw: &Raw<T>) -> Result<Raw<T>, RoundTripError> {
    Ok(Raw::new(&raw.decode()?)?)
}

fn rebuild_body(body: &KdcReqBody) -> Result<KdcReqBody, RoundTripError> {
    let additional_tickets = match &body.additional_tickets {
        Some(tickets) => Some(tickets.iter().map(rebuild).collect::<Result<_, _>>()?),
        None => None,
    };
    Ok(KdcReqBody {
        additional_tickets,
        ..body.clone()
    })
}

fn as_req(der: &[u8]) -> Outcome {
    let mut message = AsReq::from_der(der)?;
    message.0.req_body = Raw::new(&rebuild_body(&message.req_body.decode()?)?)?;
    Ok(message.to_der()?)
}

fn tgs_req(der: &[u8]) -> Outcome {
    let mut message = TgsReq::from_der(der)?;
    message.0.req_body = Raw::new(&rebuild_body(&message.req_body.decode()?)?)?;
    Ok(message.to_der()?)
}

fn as_rep(der: &[u8]) -> Outcome {
    let mut message = AsRep::from_der(der)?;
    message.0.ticket = rebuild(&message.ticket)?;
    Ok(message.to_der()?)
}

fn tgs_rep(der: &[u8]) -> Outcome {
    let mut message = TgsRep::from_der(der)?;
    message.0.ticket = rebuild(&message.ticket)?;
    Ok(message.to_der()?)
}

fn enc_kdc_rep_part(der: &[u8]) -> Outcome {
    match EncTgsRepPart::from_der(der) {
        Ok(part) => Ok(part.to_der()?),
        Err(_) => flat::<EncAsRepPart>(der),
    }
}

fn ap_req(der: &[u8]) -> Outcome {
    let mut message = ApReq::from_der(der)?;
    message.ticket = rebuild(&message.ticket)?;
    Ok(message.to_der()?)
}

fn safe(der: &[u8]) -> Outcome {
    let mut message = KrbSafe::from_der(der)?;
    message.safe_body = rebuild(&message.safe_body)?;
    Ok(message.to_der()?)
}

fn cred(der: &[u8]) -> Outcome {
    let mut message = KrbCred::from_der(der)?;
    for ticket in &mut message.tickets {
        *ticket = rebuild(ticket)?;
    }
    Ok(message.to_der()?)
}

fn pa_s4u_x509_user(der: &[u8]) -> Outcome {
    let mut message = PaS4uX509User::from_der(der)?;
    message.user_id = rebuild(&message.user_id)?;
    Ok(message.to_der()?)
}

fn fast_req(der: &[u8]) -> Outcome {
    let mut message = KrbFastReq::from_der(der)?;
    message.req_body = Raw::new(&rebuild_body(&message.req_body.decode()?)?)?;
    Ok(message.to_der()?)
}

fn ad_kdcissued(der: &[u8]) -> Outcome {
    let mut message = AdKdcIssued::from_der(der)?;
    message.elements = rebuild(&message.elements)?;
    Ok(message.to_der()?)
}

fn cammac(der: &[u8]) -> Outcome {
    let mut message = AdCammac::from_der(der)?;
    message.elements = rebuild(&message.elements)?;
    Ok(message.to_der()?)
}
