use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};
use trihound_asn1::{HostAddress, Raw, Ticket, UInt32};
use trihound_crypto::Enctype;
use trihound_krb5::{ConfigEntry, Credentials, Principal};
use trihound_sansio::Timestamp;

use super::{Arguments, Found, is_usable};
use crate::display::{enctype_name, flag_letters, local_time};

/// Address types (RFC 4120 section 7.5.3).
const IPV4: i32 = 2;
const IPV6: i32 = 24;

/// Column behind which MIT's klist breaks the value of a setting, and where the next line begins.
const LAST_COLUMN: usize = 72;
const VALUE_COLUMN: usize = 8;

/// A cache as MIT's klist shows it.
pub(super) fn text(arguments: &Arguments, found: &Found) -> String {
    let cache = &found.content;
    let mut text = format!(
        "Ticket cache: {}\nDefault principal: {}\n\nValid starting       Expires              Service principal\n",
        found.name, cache.principal
    );
    if arguments.config {
        cache
            .config
            .iter()
            .for_each(|entry| text.push_str(&setting(entry)));
    }
    for credentials in &cache.credentials {
        text.push_str(&ticket(arguments, &cache.principal, credentials));
    }
    text
}

fn setting(entry: &ConfigEntry) -> String {
    let mut text = format!("config: {}", String::from_utf8_lossy(entry.key()));
    if let Some(principal) = entry.principal() {
        text.push_str(&format!("({})", String::from_utf8_lossy(principal)));
    }
    // A name comes from the file and goes to a terminal.
    text.retain(|letter| !trihound_asn1::is_treacherous(letter));
    text.push_str(" = ");
    let mut column = text.chars().count();
    for byte in &entry.data {
        if column == 0 {
            text.push_str(&" ".repeat(VALUE_COLUMN));
            column = VALUE_COLUMN;
        }
        let shown = if byte.is_ascii_graphic() {
            char::from(*byte).to_string()
        } else {
            format!("\\{byte:03o}")
        };
        column = column.saturating_add(shown.len());
        text.push_str(&shown);
        if column > LAST_COLUMN {
            text.push('\n');
            column = 0;
        }
    }
    if column > 0 {
        text.push('\n');
    }
    text
}

fn ticket(arguments: &Arguments, client: &Principal, credentials: &Credentials) -> String {
    let mut text = format!(
        "{}  {}  {}\n",
        local_time(credentials.valid_from()),
        local_time(credentials.endtime),
        credentials.server
    );
    let parsed = parsed(credentials);
    details(arguments, client, credentials, parsed.as_ref())
        .iter()
        .for_each(|line| text.push_str(&format!("\t{line}\n")));
    if arguments.addresses {
        text.push_str(&format!("\tAddresses: {}\n", addresses(credentials)));
    }
    let named = parsed.map(|ticket| Principal {
        realm: ticket.realm,
        name: ticket.sname,
    });
    // What was asked for under one name may be a ticket for another (RFC 6806 sections 5 and 8).
    if let Some(named) = named.filter(|named| *named != credentials.server) {
        text.push_str(&format!("\tTicket server: {named}\n"));
    }
    text
}

/// The lines of details, broken where MIT's klist breaks them: before the encryption types, if the line
/// has more than two units, of which the end of renewal is two.
fn details(
    arguments: &Arguments,
    client: &Principal,
    credentials: &Credentials,
    parsed: Option<&Ticket>,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut units = 0_u32;
    if credentials.client != *client {
        line.push(format!("for client {}", credentials.client));
        units = units.saturating_add(1);
    }
    if let Some(until) = credentials.renew_till {
        line.push(format!("renew until {}", local_time(until)));
        units = units.saturating_add(2);
    }
    let flags = flag_letters(credentials.flags);
    if arguments.flags && !flags.is_empty() {
        line.push(format!("Flags: {flags}"));
        units = units.saturating_add(1);
    }
    if units > 2 {
        lines.push(std::mem::take(&mut line));
    }
    if arguments.enctypes {
        let ticket = parsed.map(|ticket| enctype_name(Enctype(ticket.enc_part.etype)));
        line.push(format!(
            "Etype (skey, tkt): {}, {} ",
            enctype_name(credentials.session_key.enctype()),
            ticket.unwrap_or_else(|| "unreadable".to_owned())
        ));
    }
    if arguments.authdata {
        let types: Vec<String> = credentials
            .authdata
            .iter()
            .map(|element| element.ad_type.to_string())
            .collect();
        line.push(format!("AD types: {}", types.join(", ")));
    }
    lines.push(line);
    lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| line.join(", "))
        .collect()
}

fn addresses(credentials: &Credentials) -> String {
    if credentials.addresses.is_empty() {
        return "(none)".to_owned();
    }
    let shown: Vec<String> = credentials.addresses.iter().map(address).collect();
    shown.join(", ")
}

fn address(address: &HostAddress) -> String {
    let bytes: &[u8] = &address.address;
    let shown = match address.addr_type {
        IPV4 => <[u8; 4]>::try_from(bytes).map(|octets| Ipv4Addr::from(octets).to_string()),
        IPV6 => <[u8; 16]>::try_from(bytes).map(|octets| Ipv6Addr::from(octets).to_string()),
        other => return format!("unknown addrtype {other}"),
    };
    shown.unwrap_or_else(|_| {
        format!(
            "broken address (type {} length {})",
            address.addr_type,
            bytes.len()
        )
    })
}

fn parsed(credentials: &Credentials) -> Option<Ticket> {
    Raw::<Ticket>::from_der(credentials.ticket.clone())
        .ok()?
        .decode()
        .ok()
}

/// A cache as JSON.
pub(super) fn json(found: &Found, now: Timestamp) -> Value {
    let cache = &found.content;
    let tickets: Vec<Value> = cache
        .credentials
        .iter()
        .map(|credentials| {
            let ticket = parsed(credentials);
            json!({
                "client": credentials.client.to_string(),
                "server": credentials.server.to_string(),
                "authtime": credentials.authtime.to_string(),
                "starttime": credentials.valid_from().to_string(),
                "endtime": credentials.endtime.to_string(),
                "renew_till": credentials.renew_till.map(|until| until.to_string()),
                "expired": !credentials.is_valid_at(now),
                "flags": flag_letters(credentials.flags),
                "addresses": credentials.addresses.iter().map(address).collect::<Vec<_>>(),
                "session_enctype": credentials.session_key.enctype().to_string(),
                "ticket_enctype": ticket.as_ref().map(|ticket| Enctype(ticket.enc_part.etype).to_string()),
                "kvno": ticket.and_then(|ticket| ticket.enc_part.kvno).map(UInt32::get),
            })
        })
        .collect();
    let settings: Vec<Value> = cache
        .config
        .iter()
        .map(|entry| {
            json!({
                "key": String::from_utf8_lossy(entry.key()),
                "principal": entry.principal().map(String::from_utf8_lossy),
                "value": String::from_utf8_lossy(&entry.data),
            })
        })
        .collect();
    json!({
        "cache": found.name.to_string(),
        "principal": cache.principal.to_string(),
        "usable": is_usable(cache, now),
        "tickets": tickets,
        "config": settings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What MIT's klist prints of the same settings, the last one broken at its column.
    #[test]
    fn settings_are_shown_as_mits_klist_shows_them() {
        let principal = Principal::parse("krbtgt/R@R", None).unwrap();
        let entry = ConfigEntry::new("pa_type", Some(&principal), b"2".to_vec());
        assert_eq!(setting(&entry), "config: pa_type(krbtgt/R@R) = 2\n");
        let entry = ConfigEntry::new("x", None, b"a b\0\xff~".to_vec());
        assert_eq!(setting(&entry), "config: x = a\\040b\\000\\377~\n");
        let entry = ConfigEntry::new("long", None, vec![b'z'; 130]);
        let text = setting(&entry);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("config: long = {}", "z".repeat(58)));
        assert_eq!(lines[1], format!("        {}", "z".repeat(65)));
        assert_eq!(lines[2], format!("        {}", "z".repeat(7)));
    }

    #[test]
    fn addresses_of_any_kind_have_a_text() {
        for (addr_type, bytes, shown) in [
            (2, &[192, 0, 2, 1][..], "192.0.2.1"),
            (24, &[0; 16], "::"),
            (2, &[1, 2, 3], "broken address (type 2 length 3)"),
            (20, b"HOST", "unknown addrtype 20"),
        ] {
            let given = HostAddress {
                addr_type,
                address: bytes.to_vec().into(),
            };
            assert_eq!(address(&given), shown);
        }
    }
}
