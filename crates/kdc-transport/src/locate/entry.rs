//! How krb5.conf and DNS write a server.

use core::str::FromStr;
use std::net::IpAddr;
use std::sync::Arc;

use super::{HTTPS_PORT, Server, ServerProtocol};

/// Reads one value of `kdc`, `primary_kdc`, `kpasswd_server` or `admin_server`:
///
/// * `host`, `host:port`, `[address]:port`, or an IPv6 address alone;
/// * `udp/host:port` or `tcp/host:port`, which Heimdal has;
/// * `https://host:port/path`, a KDC proxy.
///
/// # Errors
///
/// A line that says what is wrong with it.
pub(super) fn parse(text: &str, default_port: u16) -> Result<Server, String> {
    let text = text.trim();
    if let Some((scheme, rest)) = text.split_once("://") {
        return proxy(text, scheme, rest);
    }
    let (protocol, address) = match text.split_once('/') {
        None => (ServerProtocol::Any, text),
        Some(("udp", address)) => (ServerProtocol::Udp, address),
        Some(("tcp", address)) => (ServerProtocol::Tcp, address),
        Some(("http", _)) => {
            return Err(format!(
                "{text}: HTTP without TLS is not spoken; a KDC proxy is written \
                 https://host/KdcProxy"
            ));
        }
        Some(_) => return Err(wrong_form(text)),
    };
    let (host, port) = host_and_port(address, default_port).ok_or_else(|| wrong_form(text))?;
    Ok(Server::new(host, port, protocol))
}

/// Reads the target of a URI record: `krb5srv:flags:transport:residual`
/// (draft-mccallum-kitten-krb-service-discovery section 3; MIT's realm_config documentation).
///
/// # Errors
///
/// A line that says what is wrong with it.
pub(super) fn parse_uri(text: &str, default_port: u16) -> Result<Server, String> {
    let wrong = || format!("{text}: not of the form krb5srv:flags:udp|tcp|kkdcp:host");
    let mut parts = text.splitn(4, ':');
    let mut part = || parts.next().ok_or_else(wrong);
    if !part()?.eq_ignore_ascii_case("krb5srv") {
        return Err(wrong());
    }
    let primary = part()?.bytes().any(|flag| flag.eq_ignore_ascii_case(&b'm'));
    let transport = part()?.to_ascii_lowercase();
    let residual = part()?;
    let mut server = match transport.as_str() {
        "udp" | "tcp" => {
            let (host, port) = host_and_port(residual, default_port).ok_or_else(wrong)?;
            let tcp = transport == "tcp";
            let protocol = if tcp {
                ServerProtocol::Tcp
            } else {
                ServerProtocol::Udp
            };
            Server::new(host, port, protocol)
        }
        "kkdcp" => {
            let (scheme, rest) = residual.split_once("://").ok_or_else(wrong)?;
            proxy(residual, scheme, rest)?
        }
        _ => return Err(wrong()),
    };
    server.primary = primary;
    Ok(server)
}

fn wrong_form(text: &str) -> String {
    format!("{text}: not of the form host, host:port, [address]:port or https://host/path")
}

/// The parts of an HTTPS URL behind its scheme.
fn proxy(text: &str, scheme: &str, rest: &str) -> Result<Server, String> {
    // MS-KKDCP section 2.1: the messages travel over HTTPS. In clear text anybody on the way could
    // see whom and ask in their place.
    if !scheme.eq_ignore_ascii_case("https") {
        return Err(format!(
            "{text}: the scheme {scheme} is not spoken; a KDC proxy is written \
             https://host/KdcProxy"
        ));
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let (host, port) = host_and_port(authority, HTTPS_PORT).ok_or_else(|| wrong_form(text))?;
    // What would end the request line, or the part of a URL that is sent at all.
    if !path.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return Err(format!(
            "{text}: its path has characters that a URL cannot have"
        ));
    }
    let path = Arc::from(path);
    Ok(Server::new(host, port, ServerProtocol::Https { path }))
}

/// Reads `host`, `host:port`, `[address]:port` or a bare IPv6 address.
pub(super) fn host_and_port(text: &str, default_port: u16) -> Option<(String, u16)> {
    let text = text.trim();
    if let Ok(address) = IpAddr::from_str(text) {
        return Some((address.to_string(), default_port));
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, behind) = rest.split_once(']')?;
        let port = match behind.strip_prefix(':') {
            Some(port) => number(port)?,
            None if behind.is_empty() => default_port,
            None => return None,
        };
        (host, port)
    } else if text.matches(':').count() > 1 && text.contains('%') {
        // An IPv6 address with its scope; several colons without one are a mistake.
        (text, default_port)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, number(port)?),
            None => (text, default_port),
        }
    };
    let plain = !host.is_empty()
        && !host.chars().any(|c| {
            c.is_whitespace()
                || c.is_control()
                || matches!(c, '/' | '@' | '?' | '#' | '\\' | '[' | ']')
        });
    (plain && port != 0).then(|| (host.to_owned(), port))
}

/// `u16::from_str` would take a sign.
fn number(text: &str) -> Option<u16> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_of_krb5_conf() {
        for (text, expected) in [
            ("kdc.example", "any kdc.example:88"),
            (" kdc.example:750 ", "any kdc.example:750"),
            ("192.0.2.1:89", "any 192.0.2.1:89"),
            ("2001:db8::1", "any [2001:db8::1]:88"),
            ("[2001:db8::1]", "any [2001:db8::1]:88"),
            ("[2001:db8::1]:89", "any [2001:db8::1]:89"),
            ("fe80::1%eth0", "any [fe80::1%eth0]:88"),
            ("[fe80::1%eth0]:89", "any [fe80::1%eth0]:89"),
            ("tcp/kdc", "tcp kdc:88"),
            ("udp/kdc:89", "udp kdc:89"),
            ("tcp/[2001:db8::1]:89", "tcp [2001:db8::1]:89"),
            ("https://proxy", "https https://proxy/"),
            (
                "HTTPS://proxy:444/KdcProxy",
                "https https://proxy:444/KdcProxy",
            ),
            ("https://proxy:443/a/b?c=d", "https https://proxy/a/b?c=d"),
            (
                "https://[2001:db8::1]:444/p",
                "https https://[2001:db8::1]:444/p",
            ),
        ] {
            assert_eq!(shape(&parse(text, 88).unwrap()), expected, "{text:?}");
        }
    }

    fn shape(server: &Server) -> String {
        let protocol = match &server.protocol {
            ServerProtocol::Any => "any",
            ServerProtocol::Udp => "udp",
            ServerProtocol::Tcp => "tcp",
            ServerProtocol::Https { .. } => "https",
        };
        format!("{protocol} {server}")
    }

    #[test]
    fn refuses_what_is_no_server_and_says_so() {
        for text in [
            "",
            ":88",
            "kdc:",
            "kdc:0",
            "kdc:+88",
            "kdc:65536",
            "kdc:88:88",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "k dc",
            "kdc/x",
            "sctp/kdc",
            "https://",
            "https://user@proxy/p",
            "https://proxy/p#x",
            "https://proxy/a b",
            "https://proxy/a\r\nHost: x",
            "https://proxy:x/",
            "https://proxy?x",
        ] {
            let line = parse(text, 88).unwrap_err();
            assert!(line.starts_with(text.trim()), "{line:?}");
        }
        for text in ["http://proxy/KdcProxy", "http/proxy", "ftp://proxy/"] {
            let line = parse(text, 88).unwrap_err();
            assert!(line.contains("https://host/KdcProxy"), "{line}");
        }
    }

    /// The targets of MIT's own test of this form.
    #[test]
    fn reads_the_targets_of_uri_records() {
        for (text, expected) in [
            ("krb5srv::kkdcp:https://kdc1", "https https://kdc1/"),
            (
                "krb5srv::kkdcp:https://kdc3:300/path",
                "https https://kdc3:300/path",
            ),
            (
                "krb5srv:m:kkdcp:https://kdc2/path",
                "primary https https://kdc2/path",
            ),
            ("KRB5SRV:xMz:UDP:KDC4", "primary udp KDC4:88"),
            ("krb5srv:xyz:tcp:192.168.1.6", "tcp 192.168.1.6:88"),
            ("krb5srv::tcp:kdc5:500", "tcp kdc5:500"),
            (
                "krb5srv::tcp:[dead:beef:cafe::7]:700",
                "tcp [dead:beef:cafe::7]:700",
            ),
        ] {
            let server = parse_uri(text, 88).unwrap();
            let primary = if server.primary { "primary " } else { "" };
            assert_eq!(format!("{primary}{}", shape(&server)), expected, "{text:?}");
        }
        for text in [
            "bogustag:m:kkdcp:https://bogus",
            "krb5srv:m:bogustrans:https://bogus",
            "krb5srv:m:kkdcp:bogus",
            "krb5srv:m:kkdcp:http://bogus/",
            "krb5srv:m:bogusnotrans",
            "krb5srv::tcp:",
            "krb5srv",
            "",
        ] {
            parse_uri(text, 88).unwrap_err();
        }
    }
}
