//! Which relations there are, so that a misspelt one is told.

use super::{Config, ConfigWarning, WarningReason};
use crate::profile::{Profile, Relation};

/// What is read of `[libdefaults]`.
const FOLLOWED: &[&str] = &[
    "allow_rc4",
    "allow_weak_crypto",
    "canonicalize",
    "ccache_type",
    "client_aware_channel_bindings",
    "clockskew",
    "default_ccache_name",
    "default_client_keytab_name",
    "default_keytab_name",
    "default_realm",
    "default_tgs_enctypes",
    "default_tkt_enctypes",
    "dns_canonicalize_hostname",
    "dns_fallback",
    "dns_lookup_kdc",
    "dns_lookup_realm",
    "dns_uri_lookup",
    "enforce_ok_as_delegate",
    "extra_addresses",
    "forwardable",
    "ignore_acceptor_hostname",
    "kcm_socket",
    "kdc_timeout",
    "kdc_timesync",
    "max_retries",
    "noaddresses",
    "permitted_enctypes",
    "proxiable",
    "qualify_shortname",
    "rdns",
    "realm_try_domains",
    "renew_lifetime",
    "request_timeout",
    "ticket_lifetime",
    "udp_preference_limit",
    "verify_ap_req_nofail",
];

/// Relations of `[libdefaults]` that change nothing here and of which nobody misses an effect: those
/// of Kerberos 4, of mechanisms that are not there, of the layout of MIT's own files, and of
/// checksums for DES.
const QUIET: &[&str] = &[
    "ap_req_checksum_type",
    "default_etypes_des",
    "err_fmt",
    "fcc-mit-ticketflags",
    "forward",
    "k5login_authoritative",
    "k5login_directory",
    "kcm_mach_service",
    "kdc_req_checksum_type",
    "krb4_config",
    "krb4_get_tickets",
    "krb4_realms",
    "krb4_srvtab",
    "plugin_base_dir",
    "preferred_preauth_types",
    "safe_checksum_type",
    "spake_preauth_groups",
    "v4_instance_convert",
    "v4_instance_resolve",
    "v4_name_convert",
    "v4_realm",
];

/// Relations of `[libdefaults]` whose effect somebody may miss, and what to do.
const NOT_FOLLOWED: &[(&str, &str)] = &[
    ("allow_des3", "triple DES is not there (RFC 8429)"),
    (
        "default_cc_name",
        "this is Heimdal's name for default_ccache_name",
    ),
    (
        "default_cc_type",
        "this is Heimdal's; name the cache by default_ccache_name",
    ),
    (
        "default_etypes",
        "this is Heimdal's name for permitted_enctypes",
    ),
    (
        "default_rcache_name",
        "the replay cache is the one that the program gives, in memory unless it does",
    ),
    (
        "http_proxy",
        "this is Heimdal's; write a proxy as kdc = https://host/KdcProxy",
    ),
    (
        "kdc_default_options",
        "forwardable, proxiable and canonicalize say what is asked for",
    ),
    ("srv_lookup", "this is Heimdal's name for dns_lookup_kdc"),
];

/// What a realm's sub-section of `[libdefaults]` may set.
const FOLLOWED_BY_REALM: &[&str] = &[
    "canonicalize",
    "forwardable",
    "noaddresses",
    "proxiable",
    "renew_lifetime",
    "ticket_lifetime",
];

/// What is read of a realm.
const REALM_FOLLOWED: &[&str] = &[
    "admin_server",
    "auth_to_local",
    "auth_to_local_names",
    "default_domain",
    "disable_encrypted_timestamp",
    "http_anchors",
    "kdc",
    "kpasswd_server",
    "master_kdc",
    "primary_kdc",
    "sitename",
];

/// Relations of a realm that change nothing here: Kerberos 4, and those of kdc.conf, which may stand
/// in krb5.conf too and are for a KDC.
const REALM_QUIET: &[&str] = &[
    "acl_file",
    "admin_keytab",
    "auth_to_local_realm",
    "database_module",
    "database_name",
    "default_principal_expiration",
    "default_principal_flags",
    "des_crc_session_supported",
    "dict_file",
    "disable_pac",
    "encrypted_challenge_indicator",
    "host_based_services",
    "kadmind_listen",
    "kadmind_port",
    "kdc_listen",
    "kdc_max_dgram_reply_size",
    "kdc_ports",
    "kdc_tcp_listen",
    "kdc_tcp_listen_backlog",
    "kdc_tcp_ports",
    "key_stash_file",
    "kpasswd_listen",
    "kpasswd_port",
    "kpasswd_protocol",
    "krb524_server",
    "master_key_name",
    "master_key_type",
    "max_life",
    "max_renewable_life",
    "no_host_referral",
    "reject_bad_transit",
    "restrict_anonymous_to_tgt",
    "spake_preauth_indicator",
    "supported_enctypes",
    "v4_domains",
    "v4_instance_convert",
    "v4_name_convert",
    "v4_realm",
];

/// Relations of many names, for mechanisms that are not there or for a KDC.
const QUIET_PREFIXES: &[&str] = &["iprop_", "ldap_", "pkinit_"];

impl Config {
    /// Tells what is not known in `[libdefaults]` and `[realms]`, where a misspelling would weaken
    /// or break something in silence. Other sections belong to other programs too.
    pub(super) fn tell_unknown(&mut self, profile: &Profile) {
        let section = "[libdefaults]";
        for relation in profile.content(&["libdefaults"]) {
            match relation.value {
                Some(_) => self.tell(section, relation, &[FOLLOWED, QUIET], NOT_FOLLOWED),
                None if QUIET.contains(&relation.name) => {}
                // For one realm or, as MIT has it, for one application.
                None => {
                    let inner = profile.content(&["libdefaults", relation.name]);
                    let section = format!("[libdefaults] {}", relation.name);
                    for relation in inner.iter().filter(|inner| inner.value.is_some()) {
                        let known = &[FOLLOWED, FOLLOWED_BY_REALM, QUIET];
                        self.tell(&section, *relation, known, NOT_FOLLOWED);
                    }
                }
            }
        }
        for realm in profile.subsections(&["realms"]) {
            let section = format!("[realms] {realm}");
            for relation in profile.content(&["realms", realm]) {
                self.tell(&section, relation, &[REALM_FOLLOWED, REALM_QUIET], &[]);
            }
        }
    }

    fn tell(
        &mut self,
        section: &str,
        relation: Relation<'_>,
        known: &[&[&str]],
        not_followed: &[(&str, &'static str)],
    ) {
        let name = relation.name;
        let is_known = known.iter().any(|names| names.contains(&name))
            || QUIET_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if is_known {
            return;
        }
        let advice = not_followed.iter().find(|(other, _)| *other == name);
        let reason = match advice {
            Some((_, advice)) => WarningReason::NotFollowed { advice },
            None => WarningReason::UnknownRelation,
        };
        let subject = format!("{section} {name}");
        let place = relation.place.clone();
        let warning = ConfigWarning {
            place,
            subject,
            reason,
        };
        // A name that is written several times is told once in each place.
        self.warnings.push(warning);
    }
}
