//! Credential caches: every version in, version 4 out, settings kept apart.

use std::sync::Arc;

use proptest::prelude::*;
use trihound_asn1::{HostAddress, KerberosString, PrincipalName, TicketFlags, name_type};
use trihound_crypto::Enctype;
use trihound_krb5::{CacheError, CredentialCache, KeyMaterial, Principal};
use trihound_sansio::Timestamp;

use crate::samples::{credentials, name};

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// Writes a file by the format's description, in any version and byte order.
pub(crate) struct Builder {
    pub(crate) out: Vec<u8>,
    version: u8,
    little: bool,
}

impl Builder {
    pub(crate) fn new(version: u8, little: bool) -> Self {
        let mut out = vec![5, version];
        if version == 4 {
            out.extend([0, 12, 0, 1, 0, 8, 0, 0, 0, 2, 0, 0, 0, 3]);
        }
        Self {
            out,
            version,
            little,
        }
    }

    fn u32(&mut self, number: u32) -> &mut Self {
        let bytes = if self.little {
            number.to_le_bytes()
        } else {
            number.to_be_bytes()
        };
        self.out.extend(bytes);
        self
    }

    fn u16(&mut self, number: u16) -> &mut Self {
        let bytes = if self.little {
            number.to_le_bytes()
        } else {
            number.to_be_bytes()
        };
        self.out.extend(bytes);
        self
    }

    fn data(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(u32::try_from(bytes.len()).unwrap());
        self.out.extend(bytes);
        self
    }

    pub(crate) fn principal(&mut self, realm: &str, components: &[&str]) -> &mut Self {
        let count = u32::try_from(components.len()).unwrap();
        if self.version == 1 {
            self.u32(count + 1);
        } else {
            self.u32(1).u32(count);
        }
        self.data(realm.as_bytes());
        for component in components {
            self.data(component.as_bytes());
        }
        self
    }

    fn key(&mut self, enctype: u16, key: &[u8]) -> &mut Self {
        self.u16(enctype);
        if self.version == 3 {
            self.u16(enctype);
        }
        self.data(key)
    }

    pub(crate) fn ticket(
        &mut self,
        server: (&str, &[&str]),
        times: [u32; 4],
        ticket: &[u8],
    ) -> &mut Self {
        self.principal("R", &["alice"])
            .principal(server.0, server.1)
            .key(17, &[0xa1; 16]);
        for time in times {
            self.u32(time);
        }
        self.out.push(0);
        self.u32(0x4080_0000).u32(1).u16(2).data(&[10, 0, 0, 1]);
        self.u32(2)
            .u16(512)
            .data(b"signticket")
            .u16(0xff9c)
            .data(b"");
        self.data(ticket).data(b"")
    }

    pub(crate) fn whole(version: u8, little: bool) -> Vec<u8> {
        let mut builder = Self::new(version, little);
        builder
            .principal("R", &["alice"])
            .ticket(
                ("R", &["HTTP", "web"]),
                [11, 222, 3333, 1_000_000_000],
                b"first",
            )
            .ticket(("R", &["krbtgt", "R"]), [11, 0, u32::MAX, 0], b"second");
        builder.out
    }
}

/// Conformance row 116.
#[test]
fn row_116_every_version_and_byte_order_is_read_alike() {
    for (version, little) in [
        (1, true),
        (1, false),
        (2, true),
        (2, false),
        (3, false),
        (4, false),
    ] {
        let cache = CredentialCache::parse(&Builder::whole(version, little)).unwrap();
        let case = (version, little);
        assert_eq!(cache.version(), version);
        assert_eq!(cache.principal, name("alice@R"), "{case:?}");
        assert_eq!(
            cache.time_offset,
            (version == 4).then_some(2_000_003),
            "{case:?}"
        );
        let [first, second] = cache.credentials.as_slice() else {
            panic!("{case:?}");
        };
        assert_eq!(
            (&first.client, &first.server),
            (&name("alice@R"), &name("HTTP/web@R"))
        );
        assert_eq!(first.session_key.enctype(), Enctype(17));
        assert_eq!(first.session_key.expose(), [0xa1; 16]);
        assert_eq!(first.authtime, Timestamp::from_seconds(11));
        assert_eq!(first.starttime, Some(Timestamp::from_seconds(222)));
        assert_eq!(first.endtime, Timestamp::from_seconds(3333));
        assert_eq!(
            first.renew_till,
            Some(Timestamp::from_seconds(1_000_000_000))
        );
        assert_eq!(
            first.flags,
            TicketFlags::FORWARDABLE | TicketFlags::RENEWABLE
        );
        let address = HostAddress {
            addr_type: 2,
            address: vec![10, 0, 0, 1].into(),
        };
        assert_eq!(first.addresses, [address]);
        let types: Vec<_> = first
            .authdata
            .iter()
            .map(|element| element.ad_type)
            .collect();
        assert_eq!(types, [512, -100]);
        assert_eq!(first.ticket, b"first");
        assert_eq!(second.starttime, None);
        assert_eq!(second.valid_from(), second.authtime);
        assert_eq!(second.renew_till, None);
        // 32 bits without a sign: the year 2106, not 1969.
        assert_eq!(second.endtime, Timestamp::from_seconds(i64::from(u32::MAX)));
    }
}

/// Conformance row 116: what is written is version 4, and version 4 comes back byte for byte.
#[test]
fn row_116_version_4_is_written_as_it_was_read() {
    let bytes = Builder::whole(4, false);
    let cache = CredentialCache::parse(&bytes).unwrap();
    assert_eq!(cache.to_bytes().unwrap().expose(), bytes);

    let old = CredentialCache::parse(&Builder::whole(2, true)).unwrap();
    let written = old.to_bytes().unwrap();
    let mut expected = Builder::whole(4, false);
    expected.splice(2..16, [0, 0]);
    assert_eq!(written.expose(), expected);
}

/// Conformance row 116.
#[test]
fn row_116_unknown_header_tags_are_skipped() {
    let whole = Builder::whole(4, false);
    let mut bytes = vec![5, 4, 0, 19, 0, 9, 0, 3, 1, 2, 3];
    bytes.extend([0, 1, 0, 8, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 5]);
    bytes.extend(&whole[16..]);
    let cache = CredentialCache::parse(&bytes).unwrap();
    assert_eq!(cache.time_offset, Some(-999_995));
    assert_eq!(cache.credentials.len(), 2);
    let again = CredentialCache::parse(cache.to_bytes().unwrap().expose()).unwrap();
    assert_eq!(again.time_offset, Some(-999_995));
}

/// Conformance row 116: a setting looks like a ticket in the file and is none.
#[test]
fn row_116_settings_are_kept_and_are_no_tickets() {
    let mut builder = Builder::new(4, false);
    let setting: &[&str] = &["krb5_ccache_conf_data", "pa_type", "krbtgt/R@R"];
    let whole: &[&str] = &["krb5_ccache_conf_data", "fast_avail"];
    builder
        .principal("R", &["alice"])
        .ticket(("X-CACHECONF:", setting), [0, 0, u32::MAX, 0], b"2")
        .ticket(("R", &["HTTP", "web"]), [11, 0, u32::MAX, 0], b"real")
        .ticket(("X-CACHECONF:", whole), [0, 0, u32::MAX, 0], b"yes")
        .ticket(("X-CACHECONF:", &["odd"]), [0, 0, u32::MAX, 0], b"?");
    let mut cache = CredentialCache::parse(&builder.out).unwrap();
    assert_eq!(cache.credentials.len(), 1);
    let krbtgt = name("krbtgt/R@R");
    assert_eq!(cache.config("pa_type", Some(&krbtgt)), Some(&b"2"[..]));
    assert_eq!(cache.config("pa_type", None), None);
    assert_eq!(cache.config("fast_avail", None), Some(&b"yes"[..]));
    assert_eq!(cache.config[0].key(), b"pa_type");
    assert_eq!(cache.config[0].principal(), Some(&b"krbtgt/R@R"[..]));
    assert_eq!(cache.config.len(), 3);
    let server = Principal::new("X-CACHECONF:", 1, setting.iter().copied());
    assert!(cache.find(&cache.principal, &server, NOW).is_none());

    cache.set_config("pa_type", Some(&krbtgt), Some(b"138"));
    cache.set_config("fast_avail", None, None);
    let again = CredentialCache::parse(cache.to_bytes().unwrap().expose()).unwrap();
    assert_eq!(again.config("pa_type", Some(&krbtgt)), Some(&b"138"[..]));
    assert_eq!(again.config("fast_avail", None), None);
    assert_eq!(again.config.len(), 2);
    assert_eq!(again.credentials.len(), 1);
}

/// MIT removes a ticket from a file by setting its end to 0 and its authentication to -1.
#[test]
fn removed_tickets_are_passed_over() {
    let mut builder = Builder::new(3, false);
    builder
        .principal("R", &["alice"])
        .ticket(("R", &["HTTP", "web"]), [u32::MAX, 0, 0, 0], b"gone")
        .ticket(("R", &["HTTP", "web"]), [u32::MAX, 0, 1, 0], b"there");
    let cache = CredentialCache::parse(&builder.out).unwrap();
    assert_eq!(cache.credentials.len(), 1);
    assert_eq!(cache.credentials[0].ticket, b"there");
}

#[test]
fn a_name_without_components_is_kept() {
    let mut builder = Builder::new(4, false);
    builder
        .principal("R", &["alice"])
        .ticket(("", &[]), [1, 0, 2, 0], b"t");
    let cache = CredentialCache::parse(&builder.out).unwrap();
    assert_eq!(cache.credentials[0].server.components().count(), 0);
    assert_eq!(cache.to_bytes().unwrap().expose(), builder.out);
}

#[test]
fn what_is_no_cache_is_refused_with_what_it_begins_with() {
    for begin in [&[][..], &[5], &[5, 0], &[5, 5], &[4, 4]] {
        let mut bytes = begin.to_vec();
        if begin.len() == 2 {
            bytes.extend([0; 20]);
        }
        let Err(CacheError::UnknownVersion { found }) = CredentialCache::parse(&bytes) else {
            panic!("{begin:?}");
        };
        assert_eq!(found, begin);
    }
}

#[test]
fn a_version_1_name_without_its_realm_is_refused() {
    assert!(matches!(
        CredentialCache::parse(&[5, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        Err(CacheError::NoRealm { offset: 2 })
    ));
}

/// The file has no count: one that ends right behind a ticket is a shorter file. Anywhere else the
/// end is an error, in every version.
#[test]
fn a_file_cut_anywhere_but_behind_a_ticket_is_refused() {
    for (version, little) in [(1, true), (2, false), (3, false), (4, false)] {
        let bytes = Builder::whole(version, little);
        let mut builder = Builder::new(version, little);
        builder.principal("R", &["alice"]);
        let mut ends = vec![builder.out.len()];
        builder.ticket(
            ("R", &["HTTP", "web"]),
            [11, 222, 3333, 1_000_000_000],
            b"first",
        );
        ends.push(builder.out.len());
        ends.push(bytes.len());
        for length in 0..=bytes.len() {
            let parsed = CredentialCache::parse(&bytes[..length]);
            match ends.iter().position(|&end| end == length) {
                Some(count) => assert_eq!(parsed.unwrap().credentials.len(), count),
                None if length < 2 => {
                    assert!(matches!(parsed, Err(CacheError::UnknownVersion { .. })));
                }
                // The other byte order is tried last, and the error is that of the machine's own.
                None => assert!(
                    matches!(parsed, Err(CacheError::Truncated { .. })),
                    "version {version}, {length}: {parsed:?}"
                ),
            }
        }
    }
}

#[test]
fn a_count_past_the_end_is_refused_without_making_room_for_it() {
    let mut builder = Builder::new(3, false);
    builder.u32(1).u32(u32::MAX).data(b"R");
    assert!(matches!(
        CredentialCache::parse(&builder.out),
        Err(CacheError::TooMany {
            what: "the components of a name",
            count: u32::MAX,
            ..
        })
    ));
    let mut builder = Builder::new(3, false);
    builder.u32(1).u32(0).u32(u32::MAX);
    assert!(matches!(
        CredentialCache::parse(&builder.out),
        Err(CacheError::Truncated {
            needed: 0xffff_ffff,
            offset: 14,
            ..
        })
    ));
}

#[test]
fn what_does_not_fit_the_format_is_not_written() {
    let mut cache = CredentialCache::new(name("alice@R"));
    cache.time_offset = Some(i64::MAX);
    assert!(matches!(
        cache.to_bytes(),
        Err(CacheError::TooLong {
            what: "the time offset"
        })
    ));
    let mut cache = CredentialCache::new(name("alice@R"));
    let mut odd = credentials("HTTP/web@R", 2);
    odd.session_key = KeyMaterial::new(Enctype(40_000), vec![].into());
    cache.store(Arc::new(odd));
    assert!(matches!(
        cache.to_bytes(),
        Err(CacheError::TooLong {
            what: "an encryption type"
        })
    ));
}

#[test]
fn find_gives_the_ticket_that_lasts_longest_and_no_expired_one() {
    let mut cache = CredentialCache::new(name("alice@R"));
    let web = name("HTTP/web@R");
    let alice = name("alice@R");
    for endtime in [NOW.seconds() + 5, NOW.seconds() + 50, NOW.seconds() + 20] {
        cache
            .credentials
            .push(Arc::new(credentials("HTTP/web@R", endtime)));
    }
    let best = cache.find(&alice, &web, NOW).unwrap();
    assert_eq!(best.endtime.seconds(), NOW.seconds() + 50);
    assert!(
        cache
            .find(&alice, &web, Timestamp::from_seconds(NOW.seconds() + 50))
            .is_none()
    );
    assert!(cache.find(&name("bob@R"), &web, NOW).is_none());
    assert!(cache.find(&alice, &name("HTTP/web@S"), NOW).is_none());

    let mut to_user = credentials("HTTP/web@R", NOW.seconds() + 500);
    to_user.is_skey = true;
    cache.store(Arc::new(to_user));
    assert_eq!(cache.credentials.len(), 4);
    assert!(!cache.find(&alice, &web, NOW).unwrap().is_skey);

    cache.store(Arc::new(credentials("HTTP/web@R", NOW.seconds() + 1)));
    assert_eq!(cache.credentials.len(), 2);
    assert_eq!(cache.remove(&alice, &web), 2);
    assert_eq!(cache.remove(&alice, &web), 0);

    assert!(cache.tgt(NOW).is_none());
    cache.store(Arc::new(credentials("krbtgt/S@R", NOW.seconds() + 1)));
    assert!(cache.tgt(NOW).is_none());
    cache.store(Arc::new(credentials("krbtgt/R@R", NOW.seconds() + 1)));
    assert_eq!(cache.tgt(NOW).unwrap().server, name("krbtgt/R@R"));
}

/// Tickets of one login end together: one that was asked for with RC4 must not be used before AES.
#[test]
fn of_tickets_that_last_as_long_the_one_of_a_recommended_type_is_found() {
    let mut cache = CredentialCache::new(name("alice@R"));
    let (alice, web) = (name("alice@R"), name("HTTP/web@R"));
    let with = |enctype: Enctype, endtime| {
        let mut ticket = credentials("HTTP/web@R", NOW.seconds() + endtime);
        ticket.session_key = KeyMaterial::new(enctype, vec![1; 16].into());
        Arc::new(ticket)
    };
    for enctype in [
        Enctype::RC4_HMAC,
        Enctype::AES256_CTS_HMAC_SHA1_96,
        Enctype::AES128_CTS_HMAC_SHA1_96,
        Enctype(40),
    ] {
        cache.store(with(enctype, 50));
    }
    assert_eq!(cache.credentials.len(), 4, "each type is kept");
    let found = cache.find(&alice, &web, NOW).unwrap();
    assert_eq!(
        found.session_key.enctype(),
        Enctype::AES256_CTS_HMAC_SHA1_96
    );
    cache.store(with(Enctype::RC4_HMAC, 60));
    assert_eq!(cache.credentials.len(), 4);
    let found = cache.find(&alice, &web, NOW).unwrap();
    assert_eq!(found.session_key.enctype(), Enctype::RC4_HMAC);
}

#[test]
fn debug_shows_no_key() {
    let cache = CredentialCache::parse(&Builder::whole(4, false)).unwrap();
    assert!(!format!("{cache:?}").contains("161, 161"));
}

fn any_principal() -> impl Strategy<Value = Principal> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..12);
    (any::<i32>(), bytes(), prop::collection::vec(bytes(), 0..4)).prop_map(
        |(name_type, realm, components)| Principal {
            realm: realm.into(),
            name: PrincipalName {
                name_type,
                name_string: components.into_iter().map(KerberosString::from).collect(),
            },
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_are_a_cache_or_an_error(
        version in 1_u8..=4,
        body in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut bytes = vec![5, version];
        bytes.extend(body);
        let _ = CredentialCache::parse(&bytes);
    }

    #[test]
    fn a_cache_with_one_byte_changed_does_not_panic(
        version in 1_u8..=4,
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut bytes = Builder::whole(version, false);
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(cache) = CredentialCache::parse(&bytes) {
            let written = cache.to_bytes().unwrap();
            let again = CredentialCache::parse(written.expose()).unwrap();
            prop_assert_eq!(again.credentials.len(), cache.credentials.len());
        }
    }

    #[test]
    fn any_ticket_survives_the_file(
        client in any_principal(),
        server in any_principal(),
        endtime in 1_u32..,
        flags in any::<u32>(),
        key in prop::collection::vec(any::<u8>(), 0..40),
        ticket in prop::collection::vec(any::<u8>(), 0..80),
        is_skey in any::<bool>(),
        time_offset in prop::option::of(-1_000_000_000_000_i64..1_000_000_000_000),
    ) {
        prop_assume!(server.realm != "X-CACHECONF:");
        let mut cache = CredentialCache::new(client.clone());
        cache.time_offset = time_offset;
        let mut one = credentials("HTTP/web@R", i64::from(endtime));
        one.flags = TicketFlags::from_bits_retain(flags);
        one.session_key = KeyMaterial::new(Enctype(-3), key.into());
        (one.client, one.server, one.ticket, one.is_skey) = (client, server, ticket, is_skey);
        let one = Arc::new(one);
        cache.store(Arc::clone(&one));
        let again = CredentialCache::parse(cache.to_bytes().unwrap().expose()).unwrap();
        prop_assert_eq!(&again.principal, &cache.principal);
        prop_assert_eq!(again.time_offset, time_offset);
        let read = &again.credentials[0];
        prop_assert_eq!(&read.client.name, &one.client.name);
        prop_assert_eq!(&read.server.name, &one.server.name);
        prop_assert_eq!(&read.server.realm, &one.server.realm);
        prop_assert_eq!(read.endtime, one.endtime);
        prop_assert_eq!(read.flags, one.flags);
        prop_assert_eq!(read.session_key.expose(), one.session_key.expose());
        prop_assert_eq!(&read.ticket, &one.ticket);
        prop_assert_eq!(read.is_skey, one.is_skey);
    }
}

#[test]
fn settings_have_the_name_that_mit_gives_them() {
    let mut cache = CredentialCache::new(name("alice@R"));
    cache.set_config("refresh_time", None, Some(b"5"));
    let bytes = cache.to_bytes().unwrap();
    let mut expected = vec![5, 4, 0, 0];
    let mut principal = |realm: &[u8], name_type: u32, components: &[&[u8]]| {
        expected.extend(name_type.to_be_bytes());
        expected.extend(u32::try_from(components.len()).unwrap().to_be_bytes());
        for part in std::iter::once(&realm).chain(components) {
            expected.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            expected.extend(*part);
        }
    };
    principal(b"R", 1, &[b"alice"]);
    principal(b"R", 1, &[b"alice"]);
    principal(
        b"X-CACHECONF:",
        0,
        &[b"krb5_ccache_conf_data", b"refresh_time"],
    );
    expected.extend([0; 2 + 4 + 16 + 1 + 4 + 4 + 4]);
    expected.extend([0, 0, 0, 1, b'5', 0, 0, 0, 0]);
    assert_eq!(bytes.expose(), expected);
    assert_eq!(name_type::NT_UNKNOWN, 0);
}
