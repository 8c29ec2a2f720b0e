use trihound_asn1::gss::{GssChecksum, GssFlags, unwrap_token};
use trihound_kerberos::tokens::{self, Direction};
use trihound_sspi::ChannelBindings;

use super::crypto::key;
use super::{Ran, ensure, must, refused};
use crate::fields::Fields;

pub(super) fn token_parse(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let token = input.bytes("token")?;
    let parsed = unwrap_token(&token);
    if output.demands("reject")? {
        return refused(&parsed);
    }
    let parsed = must("the framing", parsed)?;
    output.same_text("oid_text", &dotted(parsed.oid))?;
    output.same_bytes("tok_id", &parsed.tok_id)?;
    Ok(output.same_bytes("inner", parsed.inner)?)
}

/// The dotted form of an OID's content bytes (X.690 8.19).
fn dotted(oid: &[u8]) -> String {
    let mut arcs = Vec::new();
    let mut arc = 0u64;
    for byte in oid {
        arc = arc << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            arcs.push(std::mem::take(&mut arc));
        }
    }
    if let Some(first) = arcs.first().copied() {
        // The first two arcs share a number: 40 times the first, which is at most 2, and the second.
        let top = (first / 40).min(2);
        arcs.splice(..1, [top, first - 40 * top]);
    }
    arcs.iter()
        .map(u64::to_string)
        .collect::<Vec<_>>()
        .join(".")
}

pub(super) fn channel_bindings(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (initiator, acceptor) = (
        input.bytes("initiator_address")?,
        input.bytes("acceptor_address")?,
    );
    let data = input.bytes("application_data")?;
    let bindings = ChannelBindings {
        initiator_address_type: input.narrow("initiator_addrtype")?,
        initiator_address: &initiator,
        acceptor_address_type: input.narrow("acceptor_addrtype")?,
        acceptor_address: &acceptor,
        application_data: &data,
    };
    let image = must("the image", bindings.gss_image())?;
    output.same_bytes("packed", &image)?;
    Ok(output.same_bytes("md5", &trihound_crypto::md5(&[&image]))?)
}

pub(super) fn encode_checksum(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let bindings = input
        .bytes("bnd")?
        .try_into()
        .map_err(|_| "bnd is not 16 bytes".to_owned())?;
    let flags: u32 = input.narrow("flags")?;
    let delegation = if input.has("krb_cred") {
        Some(input.bytes("krb_cred")?)
    } else {
        None
    };
    let checksum = GssChecksum {
        bindings,
        flags: GssFlags::from_bits_retain(flags),
        delegation,
        extensions: Vec::new(),
    };
    let encoded = must("encoding", checksum.encode())?;
    output.same_bytes("checksum", &encoded)?;
    let again = must("parsing", GssChecksum::parse(&encoded))?;
    ensure(again == checksum, "parsing does not give the checksum back")
}

pub(super) fn parse_checksum(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let parsed = GssChecksum::parse(&input.bytes("checksum")?);
    if output.demands("reject")? {
        return refused(&parsed);
    }
    let parsed = must("parsing", parsed)?;
    output.same_bytes("bnd", &parsed.bindings)?;
    output.same_number("flags", parsed.flags.bits().into())?;
    Ok(output.same_bytes("krb_cred", parsed.delegation.as_deref().unwrap_or_default())?)
}

/// The sender, of a vector that makes a token.
fn sender(input: &Fields<'_>) -> Result<Direction, String> {
    Ok(Direction {
        from_acceptor: input.truth("acceptor")?,
        acceptor_subkey: input.truth("acceptor_subkey")?,
    })
}

/// The sender that a vector with a token names; whether the acceptor's sub-key is meant, the token itself tells.
fn sender_of(input: &Fields<'_>, token: &[u8]) -> Result<Direction, String> {
    let acceptor_subkey = tokens::acceptor_subkey_flag(token).unwrap_or_default();
    Ok(Direction {
        from_acceptor: input.truth("from_acceptor")?,
        acceptor_subkey,
    })
}

pub(super) fn wrap_conf(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (key, direction, sequence) = (
        key(input, "etype", "key")?,
        sender(input)?,
        input.narrow("seq")?,
    );
    let (data, confounder) = (input.bytes("data")?, input.bytes("confounder")?);
    let (ec, rrc) = (input.narrow("ec")?, input.narrow("rrc")?);
    let token = must(
        "wrapping",
        tokens::wrap_conf(&key, direction, sequence, &data, &confounder, ec, rrc),
    )?;
    output.same_bytes("token", &token)?;
    let opened = must("unwrapping", tokens::unwrap(&key, direction, false, &token))?;
    ensure(
        opened.sealed && opened.sequence == sequence,
        "unwrapping gives another header back",
    )?;
    ensure(
        opened.data.expose() == data,
        "unwrapping does not give the data back",
    )?;
    changed(&token, |token| {
        tokens::unwrap(&key, direction, false, token)
    })
}

pub(super) fn wrap_integ(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (key, direction, sequence) = (
        key(input, "etype", "key")?,
        sender(input)?,
        input.narrow("seq")?,
    );
    let data = input.bytes("data")?;
    let token = must(
        "wrapping",
        tokens::wrap_integ(&key, direction, sequence, &data, input.narrow("rrc")?),
    )?;
    output.same_bytes("token", &token)?;
    let opened = must("unwrapping", tokens::unwrap(&key, direction, false, &token))?;
    ensure(
        !opened.sealed && opened.sequence == sequence,
        "unwrapping gives another header back",
    )?;
    ensure(
        opened.data.expose() == data,
        "unwrapping does not give the data back",
    )?;
    changed(&token, |token| {
        tokens::unwrap(&key, direction, false, token)
    })
}

pub(super) fn mic(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (key, direction, sequence) = (
        key(input, "etype", "key")?,
        sender(input)?,
        input.narrow("seq")?,
    );
    let data = input.bytes("data")?;
    let token = must("the MIC", tokens::mic(&key, direction, sequence, &data))?;
    output.same_bytes("token", &token)?;
    let found = must(
        "verifying",
        tokens::verify_mic(&key, direction, &data, &token),
    )?;
    ensure(found == sequence, "verifying gives another sequence number")?;
    changed(&token, |token| {
        tokens::verify_mic(&key, direction, &data, token)
    })
}

pub(super) fn unwrap(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (key, token) = (key(input, "etype", "key")?, input.bytes("token")?);
    let direction = sender_of(input, &token)?;
    let opened = tokens::unwrap(&key, direction, input.flag("dce_style")?, &token);
    if output.demands("reject")? {
        return refused(&opened);
    }
    let opened = must("unwrapping", opened)?;
    output.same_bytes("data", opened.data.expose())?;
    output.same_truth("sealed", opened.sealed)?;
    output.same_number("seq", i64::try_from(opened.sequence).unwrap_or(i64::MAX))?;
    changed(&token, |token| {
        tokens::unwrap(
            &key,
            direction,
            input.flag("dce_style").unwrap_or_default(),
            token,
        )
    })
}

pub(super) fn verify_mic(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (key, token) = (key(input, "etype", "key")?, input.bytes("token")?);
    let direction = sender_of(input, &token)?;
    let verified = tokens::verify_mic(&key, direction, &input.bytes("data")?, &token);
    if output.demands("reject")? {
        return refused(&verified);
    }
    let sequence = must("verifying", verified)?;
    Ok(output.same_number("seq", i64::try_from(sequence).unwrap_or(i64::MAX))?)
}

/// The other half of a good token's answer: with any one of its bytes changed it is refused.
fn changed<T, E>(token: &[u8], accept: impl Fn(&[u8]) -> Result<T, E>) -> Ran {
    let mut token = token.to_vec();
    for index in 0..token.len() {
        // RRC alone is under no checksum (RFC 4121 4.2.5): another value that rotates to the same bytes is the same token.
        let rrc = (6..8).contains(&index) && token.starts_with(&[0x05, 0x04]);
        token[index] ^= 1;
        let result = accept(&token);
        token[index] ^= 1;
        if !rrc && result.is_ok() {
            return Err(format!("accepted with byte {index} changed").into());
        }
    }
    Ok(())
}
