use trihound_crypto::{
    ChecksumType, Enctype, EnctypePolicy, Key, KeyUsage, Pbkdf2Hash, cts_decrypt, cts_encrypt,
    danger, krb_fx_cf2, unkeyed_checksum,
};

use super::{NotSupported, Ran, Stop, ensure, must, refused};
use crate::fields::{Fields, hex};

/// Everything that is implemented: known answers are about being right, not about being wise.
pub(super) fn policy() -> EnctypePolicy {
    danger::permit_weak_enctypes(EnctypePolicy::default(), &[Enctype::RC4_HMAC])
}

pub(super) fn enctype(input: &Fields<'_>, name: &str) -> Result<Enctype, Stop> {
    match input.narrow(name)? {
        24 => Err(Stop::NotSupported(NotSupported::Rc4Exp)),
        25 | 26 => Err(Stop::NotSupported(NotSupported::Camellia)),
        number => Ok(Enctype(number)),
    }
}

pub(super) fn key(input: &Fields<'_>, enctype_name: &str, name: &str) -> Result<Key, Stop> {
    must(
        name,
        Key::new(
            enctype(input, enctype_name)?,
            &input.bytes(name)?,
            &policy(),
        ),
    )
}

pub(super) fn cts(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (key, plain) = (input.bytes("key")?, input.bytes("plaintext")?);
    let iv: [u8; 16] = input
        .bytes("iv")?
        .try_into()
        .map_err(|_| Stop::Fault("iv is not 16 bytes".to_owned()))?;
    let mut bytes = plain.clone();
    let next = must("encrypting", cts_encrypt(&key, &iv, &mut bytes))?;
    output.same_bytes("ciphertext", &bytes)?;
    output.same_bytes("next_iv", &next)?;
    let next = must("decrypting", cts_decrypt(&key, &iv, &mut bytes))?;
    output.same_bytes("next_iv", &next)?;
    ensure(
        bytes == plain,
        "decrypting does not give the plaintext back",
    )
}

pub(super) fn pbkdf2(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let hash = match input.text("hash_text")? {
        "sha1" => Pbkdf2Hash::Sha1,
        "sha256" => Pbkdf2Hash::Sha256,
        "sha384" => Pbkdf2Hash::Sha384,
        other => return Err(Stop::Fault(format!("no PBKDF2 with {other}"))),
    };
    let mut derived = vec![0; input.narrow("length")?];
    let iterations = input.narrow("iterations")?;
    trihound_crypto::pbkdf2(
        hash,
        &input.bytes("password")?,
        &input.bytes("salt")?,
        iterations,
        &mut derived,
    );
    Ok(output.same_bytes("derived", &derived)?)
}

pub(super) fn nfold(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let bits: usize = input.narrow("bits")?;
    ensure(bits.is_multiple_of(8), "bits is no whole number of bytes")?;
    let mut folded = vec![0; bits / 8];
    trihound_crypto::nfold(&input.bytes("input")?, &mut folded);
    Ok(output.same_bytes("folded", &folded)?)
}

pub(super) fn derive_key(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let derived = must(
        "deriving",
        key(input, "etype", "key")?.derive(&input.bytes("constant")?),
    )?;
    Ok(output.same_bytes("derived", derived.expose())?)
}

pub(super) fn prf(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let prf = must(
        "the PRF",
        key(input, "etype", "key")?.prf(&input.bytes("input")?),
    )?;
    Ok(output.same_bytes("prf", prf.expose())?)
}

pub(super) fn cf2(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let (one, two) = (key(input, "etype1", "key1")?, key(input, "etype2", "key2")?);
    let out = enctype(input, "out_etype")?;
    let peppers = (input.bytes("pepper1")?, input.bytes("pepper2")?);
    let combined = must(
        "combining",
        krb_fx_cf2(&one, &two, &peppers.0, &peppers.1, out, &policy()),
    )?;
    Ok(output.same_bytes("key", combined.expose())?)
}

pub(super) fn checksum(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let kind = ChecksumType(input.narrow("sumtype")?);
    let data = input.bytes("data")?;
    if input.number("etype")? == 0 {
        return Ok(output.same_bytes(
            "checksum",
            &must("the checksum", unkeyed_checksum(kind, &data))?,
        )?);
    }
    let key = key(input, "etype", "key")?;
    let usage = KeyUsage(input.narrow("usage")?);
    let mut made = must("the checksum", key.checksum(usage, kind, &data))?;
    output.same_bytes("checksum", &made)?;
    must("verifying", key.verify_checksum(usage, kind, &data, &made))?;
    // The same checksum with one bit changed is the other half of the answer.
    if let Some(last) = made.last_mut() {
        *last ^= 1;
    }
    refused(&key.verify_checksum(usage, kind, &data, &made))
}

pub(super) fn decrypt(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let key = key(input, "etype", "key")?;
    let usage = KeyUsage(input.narrow("usage")?);
    let ciphertext = input.bytes("ciphertext")?;
    if output.demands("reject")? {
        return refused(&key.decrypt(usage, &ciphertext));
    }
    let plaintext = must("decrypting", key.decrypt(usage, &ciphertext))?;
    output.same_bytes("plaintext", plaintext.expose())?;
    if output.has("confounder") {
        let confounder = output.bytes("confounder")?;
        let again = must(
            "encrypting",
            key.encrypt_with_confounder(usage, &confounder, plaintext.expose()),
        )?;
        ensure(
            again == ciphertext,
            &format!("encrypting gives {}, not the ciphertext", hex(&again)),
        )?;
    }
    Ok(())
}

pub(super) fn string_to_key(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let enctype = enctype(input, "etype")?;
    let mut policy = policy();
    if input.flag("allow_weak")? {
        policy = danger::permit_weak_iteration_counts(policy);
    }
    let parameters = Some(input.bytes("params")?).filter(|bytes| !bytes.is_empty());
    let (password, salt) = (input.bytes("password")?, input.bytes("salt")?);
    let made = Key::from_password(enctype, &password, &salt, parameters.as_deref(), &policy);
    if output.demands("reject")? {
        return refused(&made);
    }
    Ok(output.same_bytes("key", must("string-to-key", made)?.expose())?)
}
