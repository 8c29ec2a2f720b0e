use serde_json::Value;
use trihound_asn1::gss::{TokenId, unwrap_token};
use trihound_asn1::spnego::{self, InitialToken};
use trihound_asn1::{
    ApRep, ApReq, AsRep, AsReq, Authenticator, ChangePasswdData, EncTicketPart, KdcRep, KdcReq,
    KerberosTime, KrbCred, KrbError, KrbPriv, Message, PrincipalName, Realm, TgsRep, TgsReq,
};
use trihound_crypto::{Enctype, Key, KeyUsage};
use trihound_krb5::kpasswd::{Frame, VERSION_SET};
use trihound_krb5::pac::{UnverifiedPac, pac_of_ticket};
use trihound_sansio::Timestamp;

use super::crypto::{key, policy};
use super::{Ran, Stop, ensure, must, refused};
use crate::fields::{Fault, Fields};

pub(super) fn parse(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let message = input.bytes("message")?;
    if output.demands("reject")? {
        return refused(&header(&message, output));
    }
    header(&message, output)
}

/// Decodes by the application tag (RFC 4120 5.10).
fn header(message: &[u8], output: &Fields<'_>) -> Ran {
    match message.first() {
        Some(0x6a) => request(&must("AS-REQ", AsReq::from_der(message))?.0, output),
        Some(0x6c) => request(&must("TGS-REQ", TgsReq::from_der(message))?.0, output),
        Some(0x6b) => reply(&must("AS-REP", AsRep::from_der(message))?.0, output),
        Some(0x6d) => reply(&must("TGS-REP", TgsRep::from_der(message))?.0, output),
        Some(0x6e) => Ok(output.same_number(
            "msg_type",
            must("AP-REQ", ApReq::from_der(message))?.msg_type.into(),
        )?),
        Some(0x6f) => Ok(output.same_number(
            "msg_type",
            must("AP-REP", ApRep::from_der(message))?.msg_type.into(),
        )?),
        Some(0x7e) => error(&must("KRB-ERROR", KrbError::from_der(message))?, output),
        other => Err(Stop::Fault(format!("no message begins with {other:02x?}"))),
    }
}

fn request(request: &KdcReq, output: &Fields<'_>) -> Ran {
    let body = must("the body", request.req_body.decode())?;
    output.same_number("msg_type", request.msg_type.into())?;
    same_realm(output, "realm_text", &body.realm)?;
    same_optional_name(output, "cname", body.cname.as_ref())?;
    same_optional_name(output, "sname", body.sname.as_ref())?;
    output.same_number("nonce", body.nonce.get().into())?;
    output.same_bytes("kdc_options", &body.kdc_options.bits().to_be_bytes())?;
    output.same_numbers(
        "etypes",
        &body
            .etype
            .iter()
            .copied()
            .map(i64::from)
            .collect::<Vec<_>>(),
    )?;
    let padata = request
        .padata
        .iter()
        .flatten()
        .map(|data| i64::from(data.padata_type));
    Ok(output.same_numbers("padata_types", &padata.collect::<Vec<_>>())?)
}

fn reply(reply: &KdcRep, output: &Fields<'_>) -> Ran {
    let ticket = must("the ticket", reply.ticket.decode())?;
    output.same_number("msg_type", reply.msg_type.into())?;
    same_realm(output, "crealm_text", &reply.crealm)?;
    same_optional_name(output, "cname", Some(&reply.cname))?;
    output.same_number("enc_etype", reply.enc_part.etype.into())?;
    same_realm(output, "ticket_realm_text", &ticket.realm)?;
    output.same_number("ticket_etype", ticket.enc_part.etype.into())?;
    Ok(same_optional_name(
        output,
        "ticket_sname",
        Some(&ticket.sname),
    )?)
}

fn error(error: &KrbError, output: &Fields<'_>) -> Ran {
    output.same_number("msg_type", error.msg_type.into())?;
    output.same_number("error_code", error.error_code.into())?;
    same_optional_name(output, "sname", Some(&error.sname))?;
    Ok(same_realm(output, "realm_text", &error.realm)?)
}

fn same_realm(output: &Fields<'_>, name: &str, realm: &Realm) -> Result<(), Fault> {
    output.same_text(name, &String::from_utf8_lossy(realm.as_bytes()))
}

fn same_time(output: &Fields<'_>, name: &str, time: KerberosTime) -> Result<(), Fault> {
    let mut text = Timestamp::from_seconds(time.seconds()).to_string();
    text.retain(|character| !matches!(character, '-' | ':' | 'T'));
    output.same_text(name, &text)
}

/// Compares a name, `{name_type, components_text}`, if the field is there.
fn same_optional_name(
    output: &Fields<'_>,
    field: &str,
    name: Option<&PrincipalName>,
) -> Result<(), Fault> {
    if !output.has(field) {
        return Ok(());
    }
    let expected = output.object(field)?;
    let name = name.ok_or_else(|| format!("{field} is absent"))?;
    expected.same_number("name_type", name.name_type.into())?;
    let found = name
        .name_string
        .iter()
        .map(|component| String::from_utf8_lossy(component.as_bytes()));
    let found: Vec<_> = found.collect();
    let list = expected.list("components_text")?;
    if !list
        .iter()
        .map(Value::as_str)
        .eq(found.iter().map(|component| Some(component.as_ref())))
    {
        return Err(format!("{field} is {found:?}, expected {list:?}"));
    }
    expected.all_seen()
}

pub(super) fn ap_req_decrypt(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let mut token = input.bytes("token")?;
    if let InitialToken::Init(init) = must("the framing", spnego::parse_initial(&token))? {
        ensure(
            init.mech_types
                .first()
                .is_some_and(|oid| oid == spnego::MS_KRB5),
            "Kerberos is not the first mechanism of the list",
        )?;
        token = init
            .mech_token
            .ok_or_else(|| "the token of the negotiation has none of Kerberos".to_owned())?;
    }
    let framed = must("the framing", unwrap_token(&token))?;
    ensure(
        framed.token_id() == Some(TokenId::ApReq),
        "the token is no AP-REQ",
    )?;
    let request = must("AP-REQ", ApReq::from_der(framed.inner))?;
    let ticket = must("the ticket", request.ticket.decode())?;
    output.same_bytes("ap_options", &request.ap_options.bits().to_be_bytes())?;
    same_realm(output, "ticket_realm_text", &ticket.realm)?;
    same_optional_name(output, "sname", Some(&ticket.sname))?;

    let service = key(input, "etype", "key")?;
    ensure(
        ticket.enc_part.etype == service.enctype().0,
        "the ticket is of another enctype",
    )?;
    let opened = must(
        "the ticket",
        service.decrypt(KeyUsage::KDC_REP_TICKET, ticket.enc_part.cipher.as_ref()),
    )?;
    let part = must("the ticket", EncTicketPart::from_der(opened.expose()))?;
    if output.has("ticket") {
        same_ticket(&part, &output.object("ticket")?)?;
    }
    let pac = must("the PAC", pac_of_ticket(&part))?;
    output.same_truth("pac_present", pac.is_some())?;
    if output.has("pac_server_signature_valid") {
        let pac = pac.ok_or_else(|| "the ticket has no PAC".to_owned())?;
        let pac = must("the PAC", UnverifiedPac::parse(&pac))?;
        let verified = pac.verify_server_signature(&service);
        output.same_truth("pac_server_signature_valid", verified.is_ok())?;
    }

    let session = must("the session key", session_key(&part))?;
    let sealed = request.authenticator.cipher.as_ref();
    let opened = must(
        "the authenticator",
        session.decrypt(KeyUsage::AP_REQ_AUTH, sealed),
    )?;
    let authenticator = must(
        "the authenticator",
        Authenticator::from_der(opened.expose()),
    )?;
    if output.has("authenticator") {
        same_authenticator(&authenticator, &output.object("authenticator")?)?;
    }
    Ok(())
}

fn session_key(part: &EncTicketPart) -> Result<Key, trihound_crypto::Error> {
    Key::new(
        Enctype(part.key.keytype),
        part.key.keyvalue.expose(),
        &policy(),
    )
}

pub(super) fn same_ticket(part: &EncTicketPart, expected: &Fields<'_>) -> Result<(), Fault> {
    expected.same_bytes("flags", &part.flags.bits().to_be_bytes())?;
    expected.same_number("session_etype", part.key.keytype.into())?;
    expected.same_bytes("session_key", part.key.keyvalue.expose())?;
    same_realm(expected, "crealm_text", &part.crealm)?;
    same_optional_name(expected, "cname", Some(&part.cname))?;
    same_time(expected, "authtime_text", part.authtime)?;
    same_time(expected, "endtime_text", part.endtime)?;
    expected.all_seen()
}

fn same_authenticator(authenticator: &Authenticator, expected: &Fields<'_>) -> Result<(), Fault> {
    same_realm(expected, "crealm_text", &authenticator.crealm)?;
    same_optional_name(expected, "cname", Some(&authenticator.cname))?;
    expected.same_number("cusec", authenticator.cusec.into())?;
    same_time(expected, "ctime_text", authenticator.ctime)?;
    if let Some(checksum) = &authenticator.cksum {
        expected.same_number("cksum_type", checksum.cksumtype.into())?;
        expected.same_bytes("cksum", checksum.checksum.as_ref())?;
    }
    if let Some(subkey) = &authenticator.subkey {
        expected.same_number("subkey_etype", subkey.keytype.into())?;
        expected.same_bytes("subkey", subkey.keyvalue.expose())?;
    }
    if let Some(number) = authenticator.seq_number {
        expected.same_number("seq_number", number.get().into())?;
    }
    expected.all_seen()
}

/// A password change as RFC 3244 frames it, or the ChangePasswdData inside.
pub(super) fn kpasswd(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let message = input.bytes("message")?;
    let parsed = kpasswd_parts(&message);
    if output.demands("reject")? {
        return refused(&parsed);
    }
    ensure(output.demands("ok")?, "out does not say ok")?;
    Ok(parsed?)
}

fn kpasswd_parts(message: &[u8]) -> Result<(), Fault> {
    if message.first() == Some(&0x30) {
        return ChangePasswdData::from_der(message)
            .map(drop)
            .map_err(|error| format!("ChangePasswdData: {error}"));
    }
    let frame = Frame::parse(message).map_err(|error| error.to_string())?;
    if frame.version != VERSION_SET {
        return Err(format!("version {:#06x}", frame.version));
    }
    ApReq::from_der(frame.ap).map_err(|error| format!("AP-REQ: {error}"))?;
    KrbPriv::from_der(frame.body).map_err(|error| format!("KRB-PRIV: {error}"))?;
    Ok(())
}

pub(super) fn kirbi(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let cred = must("KRB-CRED", KrbCred::from_der(&input.bytes("der")?))?;
    output.same_text("type_text", "KRB-CRED")?;
    for ticket in &cred.tickets {
        must("a ticket", ticket.decode())?;
    }
    Ok(output.same_number(
        "tickets",
        i64::try_from(cred.tickets.len()).unwrap_or(i64::MAX),
    )?)
}
