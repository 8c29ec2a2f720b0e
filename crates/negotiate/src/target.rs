//! What a target name says about the host.

use std::net::{IpAddr, Ipv6Addr};

use trihound_sspi::ServicePrincipalName;

/// Whether the host of a target name is an IP address: `HTTP/192.0.2.7:8080`, `cifs/[2001:db8::7]`,
/// `cifs/fe80::1%eth0`. A target that is no service principal name has no host.
///
/// For such a target no mechanism is asked that needs a host's name.
#[must_use]
pub fn host_is_address(target: &str) -> bool {
    ServicePrincipalName::parse(target).is_ok_and(|name| is_address(&name.host))
        // The colons of an address without brackets would be read as a port.
        || target.split_once('/').is_some_and(|(_, host)| is_address(host))
}

fn is_address(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map_or(host, |(inside, _)| inside);
    // RFC 4007 section 11: a zone stands behind '%'.
    let (address, zone) = match bare.split_once('%') {
        Some((address, _)) => (address, true),
        None => (bare, false),
    };
    if zone {
        address.parse::<Ipv6Addr>().is_ok()
    } else {
        address.parse::<IpAddr>().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_name() {
        for target in [
            "HTTP/192.0.2.7",
            "HTTP/192.0.2.7:8080",
            "cifs/2001:db8::7",
            "cifs/[2001:db8::7]",
            "cifs/[2001:db8::7]:445",
            "cifs/fe80::1%eth0",
        ] {
            assert!(host_is_address(target), "{target}");
        }
        for target in [
            "HTTP/web.example",
            "HTTP/web.example:80",
            "HTTP/192.0.2.7.example",
            "HTTP/1.2.3",
            "192.0.2.7",
            "HTTP/web%eth0",
            "HTTP/192.0.2.7%eth0",
            "alice@EXAMPLE",
            "",
            "/",
        ] {
            assert!(!host_is_address(target), "{target}");
        }
    }
}
