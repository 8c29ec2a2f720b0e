use serde_json::Value;
use trihound_krb5::{CredentialCache, Credentials, Keytab, KeytabEntry, Principal};
use trihound_sansio::Timestamp;

use super::{Ran, Stop, ensure, must, refused};
use crate::fields::{Fault, Fields, object};

pub(super) fn keytab(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let parsed = Keytab::parse(&input.bytes("file")?);
    if output.demands("reject")? {
        return refused(&parsed);
    }
    let keytab = must("the keytab", parsed)?;
    let expected = output.list("entries")?;
    let count = keytab.entries().len();
    ensure(
        count == expected.len(),
        &format!("{count} entries, expected {}", expected.len()),
    )?;
    for (index, (entry, expected)) in keytab.entries().iter().zip(expected).enumerate() {
        same_entry(entry, &object(expected)?).map_err(|fault| format!("entry {index}: {fault}"))?;
    }
    Ok(())
}

fn same_entry(entry: &KeytabEntry, expected: &Fields<'_>) -> Result<(), Fault> {
    same_name(expected, &entry.principal)?;
    expected.same_text(
        "realm_text",
        &String::from_utf8_lossy(entry.principal.realm.as_bytes()),
    )?;
    expected.same_number("name_type", entry.principal.name.name_type.into())?;
    expected.same_number("timestamp", seconds(entry.timestamp))?;
    expected.same_number("kvno", entry.kvno.into())?;
    expected.same_number("etype", entry.key.enctype().0.into())?;
    expected.same_bytes("key", entry.key.expose())?;
    expected.all_seen()
}

pub(super) fn same_name(expected: &Fields<'_>, principal: &Principal) -> Result<(), Fault> {
    if expected.has("components_text") {
        let list = expected.list("components_text")?;
        let found: Vec<_> = principal
            .components()
            .map(String::from_utf8_lossy)
            .collect();
        if !list
            .iter()
            .map(Value::as_str)
            .eq(found.iter().map(|component| Some(component.as_ref())))
        {
            return Err(format!("components_text is {found:?}, expected {list:?}"));
        }
    }
    Ok(())
}

fn seconds(time: Timestamp) -> i64 {
    time.seconds()
}

pub(super) fn ccache_file(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let parsed = CredentialCache::parse(&input.bytes("file")?);
    if output.demands("reject")? {
        return refused(&parsed);
    }
    let cache = must("the cache", parsed)?;
    output.same_number("version", cache.version().into())?;
    output.same_text("default_principal_text", &cache.principal.to_string())?;
    if output.has("credentials") && output.list("credentials").is_err() {
        output.same_number(
            "credentials",
            i64::try_from(cache.credentials.len()).unwrap_or(i64::MAX),
        )?;
    } else if output.has("credentials") {
        let expected = output.list("credentials")?;
        let count = cache.credentials.len();
        ensure(
            count == expected.len(),
            &format!("{count} credentials, expected {}", expected.len()),
        )?;
        for (index, (found, expected)) in cache.credentials.iter().zip(expected).enumerate() {
            same_credentials(found, &object(expected)?)
                .map_err(|fault| format!("credentials {index}: {fault}"))?;
        }
    }
    if output.has("server_text") {
        let first = cache
            .credentials
            .first()
            .ok_or_else(|| "there are no credentials".to_owned())?;
        output.same_text("server_text", &first.server.to_string())?;
    }
    Ok(())
}

/// A file put together from a header, the default principal and two credentials.
pub(super) fn ccache_pieces(input: &Fields<'_>, output: &Fields<'_>) -> Ran {
    let mut file = Vec::new();
    for piece in ["header", "principal", "cred1", "cred2"] {
        file.extend(input.bytes(piece)?);
    }
    let cache = must("the cache", CredentialCache::parse(&file))?;
    let version: i64 = cache.version().into();
    ensure(
        version == input.number("version")?,
        &format!("version {version}"),
    )?;
    let [first, second] = cache.credentials.as_slice() else {
        return Err(Stop::Fault(format!(
            "{} credentials, expected 2",
            cache.credentials.len()
        )));
    };
    for (name, found) in [("cred1", first), ("cred2", second)] {
        if output.has(name) {
            same_credentials(found, &output.object(name)?)
                .map_err(|fault| format!("{name}: {fault}"))?;
        }
    }
    Ok(())
}

fn same_credentials(found: &Credentials, expected: &Fields<'_>) -> Result<(), Fault> {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    expected.same_text("client_text", &found.client.to_string())?;
    expected.same_text("server_text", &found.server.to_string())?;
    expected.same_text(
        "server_realm_text",
        &String::from_utf8_lossy(found.server.realm.as_bytes()),
    )?;
    expected.same_number(
        "server_components",
        count(found.server.components().count()),
    )?;
    expected.same_number("etype", found.session_key.enctype().0.into())?;
    expected.same_bytes("key", found.session_key.expose())?;
    expected.same_number("authtime", seconds(found.authtime))?;
    expected.same_number("starttime", found.starttime.map_or(0, seconds))?;
    expected.same_number("endtime", seconds(found.endtime))?;
    expected.same_number("renew_till", found.renew_till.map_or(0, seconds))?;
    expected.same_truth("is_skey", found.is_skey)?;
    expected.same_number("flags", found.flags.bits().into())?;
    expected.same_bytes("ticket", &found.ticket)?;
    expected.same_bytes("second_ticket", &found.second_ticket)?;
    let addresses = found
        .addresses
        .iter()
        .map(|address| (address.addr_type, address.address.as_ref()));
    same_typed(expected, "addresses", addresses)?;
    same_typed(
        expected,
        "authdata",
        found
            .authdata
            .iter()
            .map(|element| (element.ad_type, element.ad_data.as_ref())),
    )?;
    expected.all_seen()
}

/// Compares a list of `{type, data}` if the field is there.
fn same_typed<'a>(
    expected: &Fields<'_>,
    name: &str,
    found: impl ExactSizeIterator<Item = (i32, &'a [u8])>,
) -> Result<(), Fault> {
    if !expected.has(name) {
        return Ok(());
    }
    let list = expected.list(name)?;
    if list.len() != found.len() {
        return Err(format!("{} {name}, expected {}", found.len(), list.len()));
    }
    for (value, (kind, data)) in list.iter().zip(found) {
        let expected = object(value)?;
        expected.same_number("type", kind.into())?;
        expected.same_bytes("data", data)?;
        expected.all_seen()?;
    }
    Ok(())
}
