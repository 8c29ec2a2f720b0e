use serde_json::Value;
use trihound_asn1::{EncTicketPart, KerberosTime, Message, Ticket};
use trihound_crypto::{Key, KeyUsage};
use trihound_krb5::pac::{
    ClaimsSet, Demand, KdcChecks, KerbValidationInfo, Pac, PacBufferType, PacCheck, Sid,
    TicketClient, UnverifiedPac, danger, pac_of_ticket,
};
use trihound_krb5::{Error, Principal};

use super::crypto::key;
use super::messages::same_ticket;
use super::{Ran, ensure, must, refused};
use crate::fields::{Fault, Fields, object};

pub(super) fn parse(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let bytes = input.bytes("pac")?;
    let pac = UnverifiedPac::parse(&bytes);
    if output.demands("reject")? {
        return refused(&pac);
    }
    let pac = must("the PAC", pac)?;
    if input.has("server_key") {
        let server = key(input, "server_key_etype", "server_key")?;
        let kdc = input
            .has("kdc_key")
            .then(|| key(input, "kdc_key_etype", "kdc_key"))
            .transpose()?;
        let client = must(
            "the client",
            Principal::parse(input.text("client_text")?, None),
        )?;
        let client = TicketClient {
            realm: &client.realm,
            name: &client.name,
            authtime: KerberosTime::from_seconds(input.number("authtime")?),
            name_with_realm: true,
        };
        let check = PacCheck::of_service(&server, client);
        verified(&bytes, &check, kdc.as_ref())?;
        output.same_truth("server_signature_valid", true)?;
        output.same_truth("kdc_signature_valid", kdc.is_some())?;
    }
    Ok(same_pac(&pac, output)?)
}

fn verify(bytes: &[u8], check: &PacCheck<'_>, kdc: Option<&Key>) -> Result<Pac, Error> {
    let pac = UnverifiedPac::parse(bytes)?;
    let (contents, _proof) = pac.verify(check)?;
    if let Some(kdc) = kdc {
        pac.verify_kdc_signature(kdc)?;
    }
    Ok(contents)
}

/// The PAC verifies, and with any one of its bytes changed it does not. Under no signature stand the KDC's
/// own, where its key is not at hand, and the identifier of a read-only domain controller behind it.
fn verified(bytes: &[u8], check: &PacCheck<'_>, kdc: Option<&Key>) -> Ran {
    let contents = must("verifying", verify(bytes, check, kdc))?;
    let pac = must("the PAC", UnverifiedPac::parse(bytes))?;
    let mut unseen = 0..0;
    for buffer in pac.buffers() {
        if let Some(signature) = contents.signature(buffer.buffer_type)
            && buffer.buffer_type == PacBufferType::KDC_SIGNATURE
        {
            let begin = usize::try_from(buffer.offset).unwrap_or_default() + 4;
            let covered = kdc.map_or(0, |_| signature.signature.len());
            let end = usize::try_from(buffer.size).unwrap_or_default() - 4;
            unseen = begin + covered..begin + end;
        }
    }
    let mut altered = bytes.to_vec();
    for index in (0..bytes.len()).filter(|index| !unseen.contains(index)) {
        altered[index] ^= 1;
        ensure(
            verify(&altered, check, kdc).is_err(),
            &format!("accepted with byte {index} changed"),
        )?;
        altered[index] ^= 1;
    }
    Ok(())
}

fn same_pac(pac: &UnverifiedPac<'_>, output: &Fields<'_>) -> Result<(), Fault> {
    if output.has("buffers") {
        let expected = output.list("buffers")?;
        if expected.len() != pac.buffers().len() {
            return Err(format!("there are {} buffers", pac.buffers().len()));
        }
        for (expected, found) in expected.iter().zip(pac.buffers()) {
            let expected = object(expected)?;
            expected.same_number("type", found.buffer_type.0.into())?;
            expected.same_number("size", found.size.into())?;
            expected.same_number("offset", found.offset.try_into().unwrap_or(i64::MAX))?;
            expected.all_seen()?;
        }
    }
    let pac = danger::read_without_verifying(pac).map_err(|error| error.to_string())?;
    if let Some(client) = pac.client_info() {
        output.same_text("client_info_name_text", &client.name)?;
        let filetime = client.client_id.0.try_into().unwrap_or(i64::MAX);
        output.same_number("client_info_filetime", filetime)?;
    }
    if let Some(info) = pac.logon_info() {
        same_account(info, output)?;
    }
    if let Some(requestor) = pac.requestor() {
        output.same_text("requestor_sid_text", &requestor.to_string())?;
    }
    if let Some(attributes) = pac.attributes() {
        output.same_number("attributes_flags", attributes.flags.into())?;
    }
    if let Some(names) = pac.upn_dns_info() {
        output.same_text("upn_text", &names.upn)?;
        output.same_text("dns_domain_text", &names.dns_domain_name)?;
        output.same_number("upn_flags", names.flags.into())?;
        if let Some(extended) = &names.extended {
            output.same_text("sam_name_text", &extended.sam_name)?;
            output.same_bytes("upn_sid", &extended.sid.to_bytes())?;
        }
    }
    for (name, buffer) in [
        ("server_sig_type", PacBufferType::SERVER_SIGNATURE),
        ("kdc_sig_type", PacBufferType::KDC_SIGNATURE),
    ] {
        if let Some(signature) = pac.signature(buffer) {
            output.same_number(name, signature.signature_type.0.into())?;
        }
    }
    let kdc = pac.signature(PacBufferType::KDC_SIGNATURE);
    match kdc.and_then(|signature| signature.rodc_identifier) {
        Some(rodc) => output.same_number("rodc_id", rodc.into()),
        None => Ok(()),
    }
}

fn same_account(info: &KerbValidationInfo, output: &Fields<'_>) -> Result<(), Fault> {
    let text = |sid: Option<Sid>| sid.map_or_else(String::new, |sid| sid.to_string());
    output.same_text("effective_name_text", &info.effective_name)?;
    output.same_text("logon_domain_text", &info.logon_domain_name)?;
    output.same_text("logon_server_text", &info.logon_server)?;
    output.same_text("user_sid_text", &text(info.user_sid()))?;
    output.same_text("primary_group_sid_text", &text(info.primary_group_sid()))?;
    output.same_number("user_flags", info.user_flags.into())?;
    let ends = info.password_must_change.0.try_into().unwrap_or(i64::MAX);
    output.same_number("password_must_change", ends)?;
    if output.has("group_sids_text") {
        let expected = output.list("group_sids_text")?;
        let found: Vec<String> = info.groups().map(|group| group.sid.to_string()).collect();
        if !expected
            .iter()
            .map(Value::as_str)
            .eq(found.iter().map(|sid| Some(sid.as_str())))
        {
            return Err(format!("the groups are {found:?}, expected {expected:?}"));
        }
    }
    Ok(())
}

pub(super) fn validation_info(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let info = KerbValidationInfo::from_bytes(&input.bytes("ndr")?);
    if output.demands("reject")? {
        return refused(&info);
    }
    let info = must("KERB_VALIDATION_INFO", info)?;
    same_account(&info, output)?;
    Ok(output.same_number("user_id", info.user_id.into())?)
}

pub(super) fn claims(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let claims = ClaimsSet::from_bytes(&input.bytes("ndr")?);
    if output.demands("reject")? {
        return refused(&claims);
    }
    let claims = must("the claims", claims)?;
    ensure(output.demands("ok")?, "out does not say ok")?;
    ensure(
        claims.arrays.iter().any(|array| !array.entries.is_empty()),
        "there is no claim",
    )
}

pub(super) fn ticket(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let ticket = must("the ticket", Ticket::from_der(&input.bytes("ticket")?))?;
    let service = key(input, "etype", "key")?;
    let cipher = ticket.enc_part.cipher.as_ref();
    let opened = must(
        "the ticket",
        service.decrypt(KeyUsage::KDC_REP_TICKET, cipher),
    )?;
    let part = must("the ticket", EncTicketPart::from_der(opened.expose()))?;
    let bytes =
        must("the PAC", pac_of_ticket(&part))?.ok_or_else(|| "the ticket has no PAC".to_owned())?;
    let pac = must("the PAC", UnverifiedPac::parse(&bytes))?;
    let check = PacCheck::of_service(&service, TicketClient::of(&part));
    if input.has("kdc_key") {
        let kdc = key(input, "kdc_key_etype", "kdc_key")?;
        let ticket_signature = if output.has("ticket_signature_valid") {
            Demand::Required
        } else {
            Demand::IfPresent
        };
        let checks = KdcChecks {
            key: &kdc,
            ticket: &part,
            ticket_signature,
            full_checksum: if output.has("full_checksum_valid") {
                Demand::Required
            } else {
                Demand::IfPresent
            },
        };
        let check = PacCheck {
            kdc: Some(checks),
            ..check
        };
        must("verifying", pac.verify(&check))?;
        output.same_truth("kdc_signature_valid", true)?;
        output.same_truth("ticket_signature_valid", true)?;
        output.same_truth("full_checksum_valid", true)?;
        verified(&bytes, &PacCheck { kdc: None, ..check }, Some(&kdc))?;
    } else {
        must("verifying", pac.verify(&check))?;
    }
    output.same_truth("server_signature_valid", true)?;
    same_pac(&pac, &output.object("pac")?)?;
    Ok(same_ticket(&part, output)?)
}
