use trihound_asn1::registry::{roundtrip_by_name, type_names};
use trihound_asn1::{EtypeList, Message, gss};

use super::{NotSupported, Ran, Stop, ensure, must, refused};
use crate::fields::{Fields, hex};

const SPAKE: [&str; 2] = ["spake_factor", "pa_spake"];
const PKINIT: [&str; 6] = [
    "pa_pk_as_req",
    "pa_pk_as_rep",
    "auth_pack",
    "kdc_dh_key_info",
    "sp80056a_other_info",
    "pkinit_supp_pub_info",
];

pub(super) fn round_trip(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let name = input.text("type_text")?;
    if SPAKE.contains(&name) {
        return Err(Stop::NotSupported(NotSupported::Spake));
    }
    if PKINIT.contains(&name) {
        return Err(Stop::NotSupported(NotSupported::Pkinit));
    }
    let der = input.bytes("der")?;
    let through = |der: &[u8]| {
        let result = roundtrip_by_name(name, der)
            .ok_or_else(|| format!("no runner knows the type {name}"))?;
        result.map_err(|error| error.to_string())
    };
    ensure(output.demands("ok")?, "out does not say ok")?;
    let again = through(&der)?;
    // The same bytes again, or where these cannot be, the same value.
    let masked = MASKED.contains(&input.text("variant_text")?);
    ensure(
        again == der || masked && through(&again)? == again,
        &format!("encodes to {}", hex(&again)),
    )
}

/// Variants whose key version is a negative number: read as the same 32 bits, and written as the unsigned number that
/// RFC 4120 5.2.9 has.
const MASKED: [&str; 2] = ["MSB-set kvno", "kvno=-1"];

/// An INTEGER of 32 bits, in the smallest message that holds one: an ETYPE list.
pub(super) fn integer(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let der = input.bytes("der")?;
    let length = u8::try_from(der.len()).ok().filter(|length| *length < 128);
    let length = length.ok_or_else(|| "der is too long".to_owned())?;
    let list = must(
        "decoding",
        EtypeList::from_der(&[&[0x30, length], der.as_slice()].concat()),
    )?;
    let [value] = list.as_slice() else {
        return Err(Stop::Fault(format!("{} integers in the list", list.len())));
    };
    output.same_text("value_text", &value.to_string())?;
    let again = must("encoding", list.to_der())?;
    ensure(
        again.get(2..) == Some(&der),
        &format!("encodes to {}", hex(&again)),
    )
}

pub(super) fn strict(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let der = input.bytes("der")?;
    every_decoder(
        &der,
        output.demands("reject")? || !output.demands("no_crash")?,
    )
}

/// Thousands of nested values, decoded on a small stack: recursion that follows the sender's depth would overflow it.
pub(super) fn depth(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    const SMALL_STACK: usize = 256 << 10;
    let der = input.bytes("der_prefix")?.repeat(input.narrow("repeat")?);
    let must_refuse = output.demands("reject")?;
    let thread = std::thread::Builder::new().stack_size(SMALL_STACK);
    let result = thread.spawn(move || {
        every_decoder(&der, must_refuse).map_err(|stop| match stop {
            Stop::Fault(why) => why,
            Stop::NotSupported(what) => what.to_string(),
        })
    });
    let result = must("a thread", result)?.join();
    Ok(result.map_err(|_| "a decoder panicked".to_owned())??)
}

/// Gives the bytes to every type's decoder, and to that of GSS framing.
fn every_decoder(der: &[u8], must_refuse: bool) -> Ran {
    for name in type_names() {
        let result = roundtrip_by_name(name, der);
        if must_refuse && !matches!(result, Some(Err(_))) {
            return Err(Stop::Fault(format!("{name} accepts what must be refused")));
        }
    }
    let framed = gss::unwrap_token(der);
    if must_refuse {
        refused(&framed)
    } else {
        Ok(())
    }
}
