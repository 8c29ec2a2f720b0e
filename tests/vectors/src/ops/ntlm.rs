use trihound_crypto::md5;
use trihound_crypto::ntlm::danger::LmHash;
use trihound_crypto::ntlm::{NtHash, ResponseKeyNt};
use trihound_ntlm::compute::{self, SessionKey, Side};
use trihound_ntlm::message::{
    AuthenticateMessage, ChallengeMessage, FileTime, MessageType, NegotiateMessage, NtResponse,
    NtlmV2Response, message_type, ntlmv2_temp,
};
use trihound_ntlm::tokens::MessageKeys;
use trihound_ntlm::{AvFlags, NegotiateFlags, TargetInfo, danger};
use trihound_secret::{SecretBytes, SecretString};
use trihound_sspi::ChannelBindings;

use super::{Ran, Stop, ensure, must, refused};
use crate::fields::{Fault, Fields, object};

fn array<const N: usize>(input: &Fields<'_>, name: &str) -> Result<[u8; N], Stop> {
    input
        .bytes(name)?
        .try_into()
        .map_err(|_| Stop::Fault(format!("{name} is not {N} bytes")))
}

fn flags(input: &Fields<'_>) -> Result<NegotiateFlags, Stop> {
    Ok(NegotiateFlags::from_bits_retain(input.narrow("flags")?))
}

fn password(input: &Fields<'_>) -> Result<SecretString, Stop> {
    Ok(SecretString::from(input.text("password_text")?))
}

fn key(input: &Fields<'_>, name: &str) -> Result<SessionKey, Stop> {
    Ok(SessionKey::from(array(input, name)?))
}

fn nt_hash(input: &Fields<'_>) -> Result<NtHash, Stop> {
    Ok(NtHash::from_bytes(array(input, "nt_hash")?))
}

pub(super) fn lmowfv1(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let hash = LmHash::from_password(&password(input)?)
        .ok_or_else(|| Stop::Fault("the password has no LM hash".to_owned()))?;
    Ok(output.same_bytes("hash", hash.expose())?)
}

pub(super) fn ntowfv1(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let hash = NtHash::from_password(&password(input)?);
    Ok(output.same_bytes("hash", hash.expose())?)
}

fn ntowfv2_key(input: &Fields<'_>) -> Result<ResponseKeyNt, Stop> {
    let hash = NtHash::from_password(&password(input)?);
    Ok(hash.response_key(input.text("user_text")?, input.text("domain_text")?))
}

pub(super) fn ntowfv2(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    Ok(output.same_bytes("hash", ntowfv2_key(input)?.expose())?)
}

pub(super) fn session_base_key_v1(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let key = danger::session_base_key_v1(&nt_hash(input)?);
    Ok(output.same_bytes("key", key.expose())?)
}

pub(super) fn ntlmv1_response(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let challenge = array(input, "server_challenge")?;
    let response = danger::ntlmv1_response(&nt_hash(input)?, &challenge);
    Ok(output.same_bytes("response", &response)?)
}

pub(super) fn lmv1_response(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let hash = LmHash::from_bytes(array(input, "lm_hash")?);
    let response = danger::lmv1_response(&hash, &array(input, "server_challenge")?);
    Ok(output.same_bytes("response", &response)?)
}

pub(super) fn ntlmv1_ess_response(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (server, client) = (
        array(input, "server_challenge")?,
        array(input, "client_challenge")?,
    );
    let response = danger::ntlmv1_ess_response(&nt_hash(input)?, &server, &client);
    output.same_bytes("nt_response", &response)?;
    Ok(output.same_bytes("lm_response", &danger::lmv1_ess_response(&client))?)
}

pub(super) fn ntlmv2_response(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let response_key = ResponseKeyNt::from_bytes(array(input, "ntowfv2")?);
    let (server, client) = (
        array(input, "server_challenge")?,
        array(input, "client_challenge")?,
    );
    let time = FileTime::from_bytes(array(input, "time")?);
    let temp = ntlmv2_temp(time, &client, &input.bytes("target_info")?);
    let proof = compute::ntlmv2_proof(&response_key, &server, &temp);
    let response = [&proof, temp.as_slice()].concat();
    output.same_bytes("nt_response", &response)?;
    let lm = compute::lmv2_response(&response_key, &server, &client);
    output.same_bytes("lm_response", &lm)?;
    let session = compute::session_base_key(&response_key, &proof);
    output.same_bytes("session_base_key", session.expose())?;
    let parsed = must("parsing", NtlmV2Response::parse(&response))?;
    ensure(
        (parsed.timestamp, parsed.client_challenge) == (time, client)
            && parsed.to_bytes() == response,
        "parsing does not give the response back",
    )?;
    ensure(
        compute::verify_ntlmv2_proof(&response_key, &server, parsed.temp, &parsed.proof),
        "the proof does not verify",
    )
}

pub(super) fn encrypted_session_key(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (exchange, session) = (key(input, "key_exchange_key")?, key(input, "session_key")?);
    let encrypted = compute::encrypted_session_key(&exchange, &session);
    output.same_bytes("encrypted", &encrypted)?;
    ensure(
        compute::exported_session_key(&exchange, &encrypted).equals(session.expose()),
        "decrypting does not give the key back",
    )
}

pub(super) fn kxkey_v1(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let exchange = danger::kxkey_v1(
        flags(input)?,
        &key(input, "session_base_key")?,
        Some(&LmHash::from_bytes(array(input, "lm_hash")?)),
        &array(input, "lm_response")?,
        &array(input, "server_challenge")?,
    )
    .ok_or_else(|| Stop::Fault("there is no key".to_owned()))?;
    output.same_bytes("key_exchange_key", exchange.expose())?;
    // The session key of MS-NLMP section 4.2 is the only one that these vectors encrypt.
    let encrypted = compute::encrypted_session_key(&exchange, &SessionKey::from([0x55; 16]));
    Ok(output.same_bytes("encrypted", &encrypted)?)
}

pub(super) fn sealkey(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let side = if input.has("client") && !input.truth("client")? {
        Side::Server
    } else {
        Side::Client
    };
    let sealing = compute::seal_key(flags(input)?, &key(input, "session_key")?, side);
    Ok(output.same_bytes("key", sealing.expose())?)
}

/// Seals a message, compares it, and reads it back; a changed bit of either part is refused.
fn seal_with(keys: &MessageKeys, input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (number, plain) = (input.narrow("seq")?, input.bytes("plaintext")?);
    let mut bytes = plain.clone();
    let signature = must("sealing", keys.seal(number, &mut bytes))?;
    output.same_bytes("ciphertext", &bytes)?;
    output.same_bytes("signature", &signature)?;
    let whole = [bytes.as_slice(), &signature].concat();
    let open = |whole: &[u8]| {
        let (sealed, signature) = whole.split_at(plain.len());
        let mut sealed = sealed.to_vec();
        keys.unseal(number, &mut sealed, signature).map(|()| sealed)
    };
    ensure(
        must("opening", open(&whole))? == plain,
        "opening does not give the plaintext back",
    )?;
    // Bytes 4 to 7 of a signature without extended session security mean nothing (MS-NLMP section 2.2.2.9.1).
    let ignored = if input.has("signing_key") || output.has("signing_key") {
        0..0
    } else {
        plain.len() + 4..plain.len() + 8
    };
    for index in (0..whole.len()).filter(|index| !ignored.contains(index)) {
        let mut changed = whole.clone();
        changed[index] ^= 1;
        ensure(
            open(&changed).is_err(),
            &format!("accepted with byte {index} changed"),
        )?;
    }
    Ok(())
}

pub(super) fn seal_ess(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (flags, session) = (flags(input)?, key(input, "session_key")?);
    let sealing = compute::seal_key(flags, &session, Side::Client);
    output.same_bytes("sealing_key", sealing.expose())?;
    let signing = compute::sign_key(flags, &session, Side::Client)
        .ok_or_else(|| Stop::Fault("there is no signing key".to_owned()))?;
    output.same_bytes("signing_key", signing.expose())?;
    let keys = MessageKeys::new(flags, &session, Side::Client);
    seal_with(&keys, input, output)
}

pub(super) fn seal_ess_keys(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (sealing, signing) = (array(input, "sealing_key")?, array(input, "signing_key")?);
    let keys = MessageKeys::extended(sealing, signing, input.truth("key_exch")?);
    seal_with(&keys, input, output)
}

pub(super) fn seal_no_ess(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let extended = NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY;
    ensure(
        !flags(input)?.contains(extended),
        "the flags have extended session security",
    )?;
    let keys = MessageKeys::legacy(SecretBytes::from(input.bytes("sealing_key")?));
    seal_with(&keys, input, output)
}

pub(super) fn parse(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let message = input.bytes("message")?;
    let kind = message_type(&message);
    if output.demands("reject")? {
        return match kind {
            Ok(MessageType::Negotiate) => refused(&NegotiateMessage::parse(&message)),
            Ok(MessageType::Challenge) => refused(&ChallengeMessage::parse(&message)),
            Ok(MessageType::Authenticate) => refused(&AuthenticateMessage::parse(&message)),
            Err(error) => refused::<(), _>(&Err(error)),
        };
    }
    let kind = must("the type", kind)?;
    output.same_number("type", kind as i64)?;
    match kind {
        MessageType::Negotiate => negotiate(&message, output),
        MessageType::Challenge => challenge(&message, output),
        MessageType::Authenticate => authenticate(&message, output),
    }
}

fn negotiate(message: &[u8], output: &Fields<'_>) -> Ran {
    let parsed = must("parsing", NegotiateMessage::parse(message))?;
    output.same_number("flags", parsed.flags.bits().into())?;
    output.same_bytes("domain", parsed.domain.unwrap_or_default())?;
    output.same_bytes("workstation", parsed.workstation.unwrap_or_default())?;
    let again = must("putting together", parsed.to_bytes())?;
    ensure(
        NegotiateMessage::parse(&again).as_ref() == Ok(&parsed),
        "the message put together again is another",
    )
}

fn challenge(message: &[u8], output: &Fields<'_>) -> Ran {
    let parsed = must("parsing", ChallengeMessage::parse(message))?;
    output.same_number("flags", parsed.flags.bits().into())?;
    output.same_bytes("server_challenge", &parsed.server_challenge)?;
    output.same_bytes("target_name", parsed.target_name)?;
    output.same_bytes("target_info", parsed.target_info.unwrap_or_default())?;
    let pairs = must("the AV pairs", parsed.av_pairs())?;
    same_av_pairs(output, pairs.as_ref())?;
    let again = must("putting together", parsed.to_bytes())?;
    ensure(
        ChallengeMessage::parse(&again).as_ref() == Ok(&parsed),
        "the message put together again is another",
    )
}

fn authenticate(message: &[u8], output: &Fields<'_>) -> Ran {
    let parsed = must("parsing", AuthenticateMessage::parse(message))?;
    output.same_number("flags", parsed.flags.bits().into())?;
    output.same_bytes("lm_response", parsed.lm_response)?;
    output.same_bytes("nt_response", parsed.nt_response)?;
    output.same_bytes("domain", parsed.domain)?;
    output.same_bytes("user", parsed.user)?;
    output.same_bytes("workstation", parsed.workstation)?;
    output.same_bytes("encrypted_session_key", parsed.encrypted_session_key)?;
    output.same_bytes("mic", &parsed.mic.unwrap_or_default())?;
    let response = must("the response", NtResponse::parse(parsed.nt_response))?;
    let pairs = match &response {
        NtResponse::V2(response) => Some(&response.av_pairs),
        NtResponse::Absent | NtResponse::V1(_) => None,
    };
    same_av_pairs(output, pairs)?;
    let again = must("putting together", parsed.to_bytes())?;
    ensure(
        AuthenticateMessage::parse(&again).as_ref() == Ok(&parsed),
        "the message put together again is another",
    )
}

/// Compares the list if the vector has one; its last pair is MsvAvEOL.
fn same_av_pairs(output: &Fields<'_>, found: Option<&TargetInfo<'_>>) -> Ran {
    if !output.has("av_pairs") {
        return Ok(());
    }
    let expected = output
        .list("av_pairs")?
        .iter()
        .map(|pair| {
            let pair = object(pair)?;
            Ok((pair.narrow("id")?, pair.bytes("value")?))
        })
        .collect::<Result<Vec<(u16, Vec<u8>)>, Fault>>()?;
    let found: Vec<_> = found
        .ok_or_else(|| Stop::Fault("there are no AV pairs".to_owned()))?
        .iter()
        .map(|pair| (pair.id.0, pair.value.to_vec()))
        .chain([(0, Vec::new())])
        .collect();
    ensure(
        found == expected,
        &format!("the AV pairs are {found:02x?}, expected {expected:02x?}"),
    )
}

pub(super) fn av_pairs(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let bytes = input.bytes("av_pairs")?;
    let parsed = TargetInfo::parse(&bytes);
    if output.demands("reject")? {
        return refused(&parsed);
    }
    same_av_pairs(output, Some(&must("parsing", parsed)?))
}

/// What an acceptor computes of the three messages of a whole exchange.
pub(super) fn mic(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (first, second, third) = (
        input.bytes("negotiate")?,
        input.bytes("challenge")?,
        input.bytes("authenticate")?,
    );
    let challenge = must("CHALLENGE", ChallengeMessage::parse(&second))?;
    let message = must("AUTHENTICATE", AuthenticateMessage::parse(&third))?;
    let response = must("the response", NtlmV2Response::parse(message.nt_response))?;
    let response_key = ntowfv2_key(input)?;
    output.same_bytes("ntowfv2", response_key.expose())?;
    let server = challenge.server_challenge;
    ensure(
        compute::verify_ntlmv2_proof(&response_key, &server, response.temp, &response.proof),
        "the proof does not verify",
    )?;
    let base = compute::session_base_key(&response_key, &response.proof);
    output.same_bytes("session_base_key", base.expose())?;
    let encrypted = message
        .encrypted_session_key
        .try_into()
        .map_err(|_| "the session key is not 16 bytes".to_owned())?;
    let exported = compute::exported_session_key(&base, encrypted);
    output.same_bytes("exported_session_key", exported.expose())?;
    let mic = compute::mic(&exported, &first, &second, &third);
    output.same_bytes("mic", &mic)?;
    ensure(message.mic == Some(mic), "the message has another MIC")?;
    let pairs = response.av_pairs;
    ensure(
        pairs.flags().contains(AvFlags::MIC_PROVIDED),
        "the response promises no MIC",
    )?;
    let name = must("MsvAvTargetName", pairs.target_name())?.unwrap_or_default();
    output.same_text("target_spn_text", &name)?;
    let data = input.bytes("gss_cb_application_data")?;
    let bindings = ChannelBindings {
        initiator_address_type: 0,
        initiator_address: &[],
        acceptor_address_type: 0,
        acceptor_address: &[],
        application_data: &data,
    };
    let hash = md5(&[&must("the bindings", bindings.gss_image())?]);
    output.same_bytes("channel_binding_hash", &hash)?;
    ensure(
        pairs.channel_bindings() == Some(hash),
        "the response has other channel bindings",
    )
}
