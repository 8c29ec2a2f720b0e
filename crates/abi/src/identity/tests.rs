use core::time::Duration;

use super::*;
use crate::memory;

fn wide(text: &str) -> Vec<u16> {
    Wide::encode(text)
}

fn narrow(text: &str) -> Vec<c::SEC_CHAR> {
    let mut units = Narrow::encode(text);
    units.push(0);
    units
}

fn units<U>(text: &[U]) -> (*const c_void, c::ULONG) {
    (text.as_ptr().cast(), u32::try_from(text.len()).unwrap())
}

fn identity<U>(user: &[U], domain: &[U], password: &[U], flags: u32) -> c::SEC_WINNT_AUTH_IDENTITY {
    let ((user, user_length), (domain, domain_length)) = (units(user), units(domain));
    let (password, password_length) = units(password);
    c::SEC_WINNT_AUTH_IDENTITY {
        User: user,
        UserLength: user_length,
        Domain: domain,
        DomainLength: domain_length,
        Password: password,
        PasswordLength: password_length,
        Flags: flags,
    }
}

fn extended(plain: c::SEC_WINNT_AUTH_IDENTITY, list: &[u16]) -> c::SEC_WINNT_AUTH_IDENTITY_EX {
    c::SEC_WINNT_AUTH_IDENTITY_EX {
        Version: c::SEC_WINNT_AUTH_IDENTITY_VERSION,
        Length: u32::try_from(size_of::<c::SEC_WINNT_AUTH_IDENTITY_EX>()).unwrap(),
        User: plain.User,
        UserLength: plain.UserLength,
        Domain: plain.Domain,
        DomainLength: plain.DomainLength,
        Password: plain.Password,
        PasswordLength: plain.PasswordLength,
        Flags: plain.Flags,
        PackageList: list.as_ptr().cast(),
        PackageListLength: u32::try_from(list.len()).unwrap(),
    }
}

fn read_as<T: Text, S>(value: &S) -> Result<Given, Error> {
    // SAFETY: the identity and all that it points to live as long as the test.
    unsafe { given::<T>((&raw const *value).cast()) }.map(Option::unwrap)
}

fn status<T>(outcome: Result<T, Error>) -> SecurityStatus {
    outcome
        .err()
        .map_or(SecurityStatus::SEC_E_OK, |error| error.status())
}

fn assert_is_alice(given: &Given) {
    assert_eq!(given.user.as_deref(), Some("alice"));
    assert_eq!(given.domain.as_deref(), Some("EXAMPLE"));
    let password = given.password.as_ref().map(SecretString::expose);
    assert_eq!(password, Some("pässword"));
}

const UNICODE: u32 = c::SEC_WINNT_AUTH_IDENTITY_UNICODE;
const ANSI: u32 = c::SEC_WINNT_AUTH_IDENTITY_ANSI;

#[test]
fn the_flags_say_which_text_it_is_and_else_the_function() {
    let (user, domain, password) = (wide("alice"), wide("EXAMPLE"), wide("pässword"));
    let mut of_words = identity(&user, &domain, &password, UNICODE);
    assert_is_alice(&read_as::<Narrow, _>(&of_words).unwrap());
    of_words.Flags = 0;
    assert_is_alice(&read_as::<Wide, _>(&of_words).unwrap());
    let (user, domain) = (Narrow::encode("alice"), Narrow::encode("EXAMPLE"));
    let password = Narrow::encode("pässword");
    let mut of_bytes = identity(&user, &domain, &password, ANSI);
    assert_is_alice(&read_as::<Wide, _>(&of_bytes).unwrap());
    of_bytes.Flags = 0;
    assert_is_alice(&read_as::<Narrow, _>(&of_bytes).unwrap());
}

#[test]
fn the_extended_form_has_a_package_list() {
    let (user, domain, password) = (wide("alice"), wide("EXAMPLE"), wide("pässword"));
    let list = wide("Kerberos,!NTLM");
    let identity = extended(identity(&user, &domain, &password, UNICODE), &list);
    let given = read_as::<Narrow, _>(&identity).unwrap();
    assert_is_alice(&given);
    assert_eq!(given.package_list.as_deref(), Some("Kerberos,!NTLM"));
}

#[test]
fn nobody_named_is_whoever_the_machine_says() {
    // SAFETY: NULL.
    assert!(unsafe { given::<Wide>(core::ptr::null()) }.is_ok_and(|given| given.is_none()));
    let empty = identity::<u16>(&[], &[], &[], UNICODE);
    let asked = read_as::<Wide, _>(&empty).unwrap().asked().unwrap();
    assert!(asked.identity.is_none() && asked.principal.is_none() && asked.settings.is_none());
}

#[test]
fn a_user_without_a_password_is_whose_tickets_are_wanted() {
    let (user, domain) = (wide("alice"), wide("EXAMPLE"));
    let mut without = identity(&user, &domain, &[], UNICODE);
    without.Password = core::ptr::null_mut();
    let asked = read_as::<Wide, _>(&without).unwrap().asked().unwrap();
    assert_eq!(asked.principal.as_deref(), Some("alice@EXAMPLE"));
    assert!(asked.identity.is_none());
}

/// Programs hold what somebody typed against an account by a login of both sides: no secret of the machine's own may
/// stand in for what was not typed.
#[test]
fn an_empty_password_is_a_password() {
    let (user, domain) = (wide("alice"), wide("EXAMPLE"));
    let plain = identity(&user, &domain, &[], UNICODE);
    let of_image = read_image(image_of(Some("")).image().unwrap().expose()).unwrap();
    for given in [
        read_as::<Wide, _>(&plain).unwrap(),
        read_as::<Wide, _>(&extended(plain, &[])).unwrap(),
        of_image,
    ] {
        let asked = given.asked().unwrap();
        assert_eq!(asked.principal, None);
        let identity = asked.identity.unwrap();
        assert!(
            matches!(&identity, Identity::Password { user, password, .. } if user == "alice" && password.is_empty())
        );
    }
}

#[test]
fn a_password_without_a_user_is_refused() {
    let password = wide("secret");
    let nobody = identity(&[], &[], &password, UNICODE);
    let asked = read_as::<Wide, _>(&nobody).unwrap().asked();
    assert_eq!(status(asked), SecurityStatus::SEC_E_UNKNOWN_CREDENTIALS);
}

#[test]
fn passwords_that_windows_protects_are_refused() {
    let (user, password) = (wide("alice"), wide("secret"));
    for flag in [0x10, 0x20, 0x40, 0x80] {
        let protected = identity(&user, &[], &password, UNICODE | flag);
        assert_eq!(
            status(read_as::<Wide, _>(&protected)),
            SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION
        );
    }
}

#[test]
fn bits_that_nobody_knows_change_nothing() {
    let (user, domain, password) = (wide("alice"), wide("EXAMPLE"), wide("pässword"));
    let odd = identity(&user, &domain, &password, UNICODE | 0xFFFF_0C00 | 8);
    assert_is_alice(&read_as::<Narrow, _>(&odd).unwrap());
}

/// WinPR's identity with settings behind it, of texts that live as long as the test.
struct WinPr {
    _texts: Vec<Vec<c::SEC_CHAR>>,
    ntlm: c::SEC_WINPR_NTLM_SETTINGS,
    kerberos: c::SEC_WINPR_KERBEROS_SETTINGS,
}

impl WinPr {
    fn new() -> Self {
        let texts: Vec<_> = ["kdc.example", "FILE:/k", "MEMORY:c", "", "/sam"]
            .map(narrow)
            .into_iter()
            .collect();
        let at = |index: usize| texts[index].as_ptr();
        let ntlm = c::SEC_WINPR_NTLM_SETTINGS {
            samFile: at(4),
            hashCallback: None,
            hashCallbackArg: core::ptr::null_mut(),
        };
        let kerberos = c::SEC_WINPR_KERBEROS_SETTINGS {
            kdcUrl: at(0),
            keytab: at(1),
            cache: at(2),
            armorCache: at(3),
            pkinitX509Anchors: core::ptr::null(),
            pkinitX509Identity: core::ptr::null(),
            withPac: 1,
            startTime: 0,
            renewLifeTime: 7200,
            lifeTime: 3600,
            certSha1: [0; 20],
        };
        Self {
            _texts: texts,
            ntlm,
            kerberos,
        }
    }

    fn read(&self, flags: u32, password_length: Option<u32>) -> Result<Given, Error> {
        let (user, domain, password) = (wide("alice"), wide("EXAMPLE"), wide("pässword"));
        let mut head = extended(identity(&user, &domain, &password, UNICODE | flags), &[]);
        head.PasswordLength = password_length.unwrap_or(head.PasswordLength);
        let whole = c::SEC_WINNT_AUTH_IDENTITY_WINPR {
            identity: head,
            ntlmSettings: &raw const self.ntlm,
            kerberosSettings: &raw const self.kerberos,
        };
        read_as::<Narrow, _>(&whole)
    }
}

#[test]
fn the_settings_of_winpr_are_read_by_either_mark() {
    for mark in [0x100, 0x200] {
        let given = WinPr::new().read(mark, None).unwrap();
        assert_is_alice(&given);
        let settings = given.settings;
        assert_eq!(settings.kdc_url.as_deref(), Some("kdc.example"));
        assert_eq!(settings.keytab.as_deref(), Some("FILE:/k"));
        assert_eq!(settings.credential_cache.as_deref(), Some("MEMORY:c"));
        assert_eq!(settings.armor_cache, None);
        assert_eq!(settings.accounts.as_deref(), Some("/sam"));
        assert_eq!(settings.lifetime, Some(Duration::from_secs(3600)));
        assert_eq!(settings.renewable_lifetime, Some(Duration::from_secs(7200)));
        assert_eq!(settings.start_time, None);
    }
    let unmarked = WinPr::new().read(0, None).unwrap();
    assert!(unmarked.settings.fields().is_empty());
}

#[test]
fn what_winpr_asks_and_is_not_there_is_refused() {
    unsafe extern "C" fn callback() -> c::SECURITY_STATUS {
        0
    }
    let mut winpr = WinPr::new();
    winpr.ntlm.hashCallback = Some(callback);
    assert_eq!(
        status(winpr.read(0x100, None)),
        SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION
    );
    let certificate = narrow("FILE:/cert");
    let mut winpr = WinPr::new();
    winpr.kerberos.pkinitX509Identity = certificate.as_ptr();
    assert_eq!(
        status(winpr.read(0x100, None)),
        SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION
    );
    let mut winpr = WinPr::new();
    winpr.kerberos.certSha1[19] = 1;
    assert_eq!(
        status(winpr.read(0x100, None)),
        SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION
    );
    let mut winpr = WinPr::new();
    winpr.kerberos.lifeTime = -1;
    assert_eq!(
        status(winpr.read(0x200, None)),
        SecurityStatus::SEC_E_INVALID_PARAMETER
    );
}

#[test]
fn a_hash_in_the_place_of_a_password_is_refused_before_it_is_read() {
    let outcome = WinPr::new().read(0x100, Some(512 + 32));
    assert_eq!(status(outcome), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
}

#[test]
fn the_mark_of_winpr_needs_the_form_with_a_version() {
    let user = wide("alice");
    let plain = identity(&user, &[], &[], UNICODE | 0x100);
    assert_eq!(
        status(read_as::<Wide, _>(&plain)),
        SecurityStatus::SEC_E_INVALID_PARAMETER
    );
}

fn image_of(password: Option<&str>) -> image::Parts {
    let mut parts = image::Parts::new(Some("alice".into()), Some("EXAMPLE".into()));
    let password = password.map(SecretString::from);
    parts.packed = image::packed(password.as_ref()).unwrap();
    parts
}

/// An image as a piece of memory, which has the alignment that the form needs.
fn read_image(image: &[u8]) -> Result<Given, Error> {
    let piece: *mut c_void = memory::bytes(image);
    // SAFETY: the piece has the image.
    let outcome = unsafe { given::<Narrow>(piece) };
    memory::take_back(piece).unwrap();
    outcome.map(Option::unwrap)
}

#[test]
fn the_form_of_one_piece_reads_back() {
    let mut parts = image_of(Some("pässword"));
    parts.package_list = Some("!NTLM".into());
    let given = read_image(parts.image().unwrap().expose()).unwrap();
    assert_is_alice(&given);
    assert_eq!(given.package_list.as_deref(), Some("!NTLM"));
    let given = read_image(image_of(None).image().unwrap().expose()).unwrap();
    assert!(given.password.is_none());
}

/// What came in bytes goes out in bytes: the flags say which, for the names and for the password.
#[test]
fn the_form_of_one_piece_keeps_its_kind_of_text() {
    let mut parts = image_of(None);
    parts.flags = ANSI;
    parts.packed = "pässword".as_bytes().to_vec().into();
    let again = image::parts(parts.image().unwrap().expose()).unwrap();
    assert_is_alice(&read_image(again.image().unwrap().expose()).unwrap());
}

#[test]
fn packed_credentials_may_be_the_password_itself() {
    let mut parts = image_of(None);
    let bytes: Vec<u8> = "pässword"
        .encode_utf16()
        .flat_map(u16::to_ne_bytes)
        .collect();
    parts.packed = bytes.into();
    assert_is_alice(&read_image(parts.image().unwrap().expose()).unwrap());
}

#[test]
fn packed_credentials_of_another_kind_are_refused() {
    let mut parts = image_of(Some("secret"));
    let mut packed = parts.packed.expose().to_vec();
    packed[4] ^= 1;
    parts.packed = packed.into();
    assert_eq!(
        status(read_image(parts.image().unwrap().expose())),
        SecurityStatus::SEC_E_INVALID_PARAMETER
    );
}

#[test]
fn every_length_and_offset_of_an_image_is_held_against_it() {
    let image = image_of(Some("secret")).image().unwrap();
    // cbStructureLength, and the offset and the length of each part that is there.
    for at in [8, 12, 20, 28] {
        for wrong in [1u32, 47, u32::MAX, u32::MAX - 7] {
            let mut image = image.expose().to_vec();
            image[at..at + 4].copy_from_slice(&wrong.to_ne_bytes());
            assert_eq!(
                status(read_image(&image)),
                SecurityStatus::SEC_E_INVALID_PARAMETER,
                "{at}: {wrong}"
            );
        }
    }
    for at in [16, 24, 32] {
        let mut image = image.expose().to_vec();
        image[at..at + 2].copy_from_slice(&u16::MAX.to_ne_bytes());
        assert_eq!(
            status(read_image(&image)),
            SecurityStatus::SEC_E_INVALID_PARAMETER,
            "{at}"
        );
    }
}

#[test]
#[cfg_attr(miri, ignore = "no unsafe code of its own, and minutes there")]
fn a_part_that_is_longer_than_its_length_can_say_is_refused() {
    let parts = image::Parts::new(Some("a".repeat(40_000)), None);
    assert_eq!(
        status(parts.image()),
        SecurityStatus::SEC_E_INVALID_PARAMETER
    );
}

#[test]
fn what_this_process_sealed_it_opens_and_nothing_else() {
    let sealed = seal(b"secret").unwrap();
    assert_eq!(sealed.len(), 6 + SEALING_OVERHEAD);
    assert_eq!(open(sealed.expose()).unwrap().expose(), b"secret");
    let mut changed = sealed.expose().to_vec();
    changed[20] ^= 1;
    assert_eq!(
        status(open(&changed)),
        SecurityStatus::SEC_E_DECRYPT_FAILURE
    );
    assert_eq!(status(open(b"")), SecurityStatus::SEC_E_DECRYPT_FAILURE);
}
