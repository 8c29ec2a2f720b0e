//! Identities in one piece: the `Sspi` functions.

use core::ffi::{c_char, c_void};

use trihound::secret::SecretBytes;
use trihound::sspi::{Error, SecurityStatus, ServicePrincipalName};
use zeroize::Zeroize;

use crate::guard::{Answer, OK};
use crate::identity::image::{self, Parts, packed};
use crate::identity::{Given, SEALING_OVERHEAD, given, open, seal};
use crate::memory::{self, Builder, size_of_piece, take_back};
use crate::pointer::{Out, bytes, parameter, put};
use crate::text::{Text, Wide, required, secret, text};
use crate::types::{
    BOOLEAN, SEC_WCHAR, SEC_WINNT_AUTH_IDENTITY_EX2,
    SEC_WINNT_AUTH_IDENTITY_FLAGS_PROCESS_ENCRYPTED, SEC_WINNT_AUTH_IDENTITY_VERSION_2, ULONG,
};

const ENCRYPTED: ULONG = SEC_WINNT_AUTH_IDENTITY_FLAGS_PROCESS_ENCRYPTED;

/// CRED_TYPE_DOMAIN_PASSWORD.
const DOMAIN_PASSWORD: ULONG = 2;

/// SEC_WINNT_AUTH_IDENTITY_ENCRYPT_SAME_PROCESS.
const SAME_PROCESS: ULONG = 2;

/// An image in a piece of its own, with room for what encryption adds.
fn piece(image: &SecretBytes) -> *mut c_void {
    let mut piece = Builder::new::<u8>(0);
    let at = piece.bytes(image.expose());
    piece.bytes(&[0; SEALING_OVERHEAD]);
    piece.finish().at(at)
}

fn parts_of(given: &Given) -> Result<Parts, Error> {
    let mut parts = Parts::new(given.user.clone(), given.domain.clone());
    parts.packed = packed(given.password.as_ref())?;
    parts.package_list.clone_from(&given.package_list);
    Ok(parts)
}

/// What an identity of any form says.
unsafe fn read(identity: *const c_void) -> Result<Given, Error> {
    // SAFETY: what the C caller promises.
    unsafe { given::<Wide>(identity) }?.ok_or_else(|| parameter("the identity is NULL"))
}

/// The image of an identity of any form; an encrypted one stays so.
unsafe fn image_of(identity: *const c_void) -> Result<SecretBytes, Error> {
    // SAFETY: what the C caller promises.
    unsafe {
        if is_ours(identity) {
            let bytes = image::read(identity)?;
            image::parts(bytes)?;
            return Ok(SecretBytes::from(bytes));
        }
        parts_of(&read(identity)?)?.image()
    }
}

/// Whether an identity is a piece that this library gave out: it is of the one form then.
fn is_ours(identity: *const c_void) -> bool {
    size_of_piece(identity).is_some_and(|size| size >= size_of::<SEC_WINNT_AUTH_IDENTITY_EX2>())
}

pub(crate) unsafe fn encode(
    user: *const SEC_WCHAR,
    domain: *const SEC_WCHAR,
    credentials: *const SEC_WCHAR,
    place: *mut *mut c_void,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (place, given) = unsafe {
        let given = Given {
            user: text::<Wide>(user, "pszUserName")?,
            domain: text::<Wide>(domain, "pszDomainName")?,
            password: secret::<Wide>(credentials, "pszPackedCredentialsString")?,
            ..Given::default()
        };
        (Out::new(place, "ppAuthIdentity")?, given)
    };
    place.put(piece(&parts_of(&given)?.image()?));
    OK
}

pub(crate) unsafe fn decode(
    identity: *mut c_void,
    user: *mut *const SEC_WCHAR,
    domain: *mut *const SEC_WCHAR,
    credentials: *mut *const SEC_WCHAR,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (given, user, domain, credentials) = unsafe {
        (
            read(identity)?,
            Out::optional(user, "ppszUserName")?,
            Out::optional(domain, "ppszDomainName")?,
            Out::optional(credentials, "ppszPackedCredentialsString")?,
        )
    };
    let words = |text: Option<&str>| -> *const SEC_WCHAR {
        text.map_or(core::ptr::null(), |text| {
            memory::text::<Wide, SEC_WCHAR>(text)
        })
    };
    if let Some(user) = user {
        user.put(words(given.user.as_deref()));
    }
    if let Some(domain) = domain {
        domain.put(words(given.domain.as_deref()));
    }
    if let Some(credentials) = credentials {
        let password = given.password.as_ref();
        credentials.put(words(password.map(trihound::secret::SecretString::expose)));
    }
    OK
}

pub(crate) unsafe fn validate(identity: *mut c_void) -> Answer {
    // SAFETY: what the C caller promises.
    unsafe { read(identity) }?;
    OK
}

pub(crate) unsafe fn copy(identity: *mut c_void, place: *mut *mut c_void) -> Answer {
    // SAFETY: what the C caller promises.
    let (place, image) = unsafe { (Out::new(place, "AuthDataCopy")?, image_of(identity)?) };
    place.put(piece(&image));
    OK
}

pub(crate) unsafe fn compare(
    one: *mut c_void,
    other: *mut c_void,
    same_user: *mut BOOLEAN,
    same_identity: *mut BOOLEAN,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (one, other, same_user, same_identity) = unsafe {
        (
            read(one)?,
            read(other)?,
            Out::optional(same_user, "SameSuppliedUser")?,
            Out::optional(same_identity, "SameSuppliedIdentity")?,
        )
    };
    let named = |one: &Option<String>, other: &Option<String>| {
        let lower = |name: &Option<String>| name.as_deref().unwrap_or_default().to_lowercase();
        lower(one) == lower(other)
    };
    let is_user = named(&one.user, &other.user) && named(&one.domain, &other.domain);
    let (one_secret, other_secret) = (
        packed(one.password.as_ref())?,
        packed(other.password.as_ref())?,
    );
    let is_identity = is_user
        && one_secret.equals(other_secret.expose())
        && named(&one.package_list, &other.package_list);
    put(same_user.as_ref(), BOOLEAN::from(is_user));
    put(same_identity.as_ref(), BOOLEAN::from(is_identity));
    OK
}

pub(crate) unsafe fn marshal(
    identity: *mut c_void,
    length: *mut ULONG,
    place: *mut *mut c_char,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (image, length, place) = unsafe {
        (
            image_of(identity)?,
            Out::new(length, "AuthIdentityLength")?,
            Out::new(place, "AuthIdentityByteArray")?,
        )
    };
    let count = u32::try_from(image.len()).map_err(|_| parameter("the identity is too long"))?;
    length.put(count);
    place.put(memory::bytes(image.expose()));
    OK
}

pub(crate) unsafe fn unmarshal(
    length: ULONG,
    array: *mut c_char,
    place: *mut *mut c_void,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (image, place) = unsafe {
        (
            SecretBytes::from(bytes(array.cast(), length, "AuthIdentityByteArray")?),
            Out::new(place, "ppAuthIdentity")?,
        )
    };
    let version = SEC_WINNT_AUTH_IDENTITY_VERSION_2.to_ne_bytes();
    let whole = image.expose().get(8..12) == Some(&length.to_ne_bytes()[..]);
    if image.expose().get(..4) != Some(&version[..]) || !whole {
        return Err(parameter(
            "these bytes are no identity: SspiMarshalAuthIdentity makes such",
        ));
    }
    image::parts(image.expose())?;
    place.put(piece(&image));
    OK
}

/// An identity that is changed in place has to be one of this library's: others have no room for it.
unsafe fn own_parts(identity: *mut c_void) -> Result<Parts, Error> {
    if !is_ours(identity) {
        return Err(parameter(
            "this identity is not one that this library made; SspiCopyAuthIdentity makes one of it",
        ));
    }
    // SAFETY: what the C caller promises: it is an identity, which nobody else uses.
    image::parts(unsafe { image::read(identity) }?)
}

/// Puts a changed identity in the place of itself.
unsafe fn put_back(identity: *mut c_void, parts: &Parts) -> Result<(), Error> {
    let image = parts.image()?;
    let room = size_of_piece(identity).unwrap_or_default();
    if image.len() > room {
        return Err(Error::buffer_too_small("identity", image.len(), room));
    }
    // SAFETY: the piece has room for the image, and what the C caller promises: nobody else uses it.
    unsafe {
        identity.cast::<u8>().write_bytes(0, room);
        core::ptr::copy_nonoverlapping(image.expose().as_ptr(), identity.cast(), image.len());
    }
    Ok(())
}

pub(crate) unsafe fn encrypt(identity: *mut c_void) -> Answer {
    // SAFETY: what the C caller promises.
    unsafe { encrypt_ex(SAME_PROCESS, identity) }
}

/// Another process of the same logon is one more than has the key.
pub(crate) unsafe fn encrypt_ex(options: ULONG, identity: *mut c_void) -> Answer {
    only_this_process(options)?;
    // SAFETY: what the C caller promises.
    let mut parts = unsafe { own_parts(identity) }?;
    if parts.flags & ENCRYPTED != 0 {
        return Err(parameter("this identity is encrypted already"));
    }
    parts.packed = seal(parts.packed.expose())?;
    parts.flags |= ENCRYPTED;
    // SAFETY: as above.
    unsafe { put_back(identity, &parts) }?;
    OK
}

pub(crate) unsafe fn decrypt(identity: *mut c_void) -> Answer {
    // SAFETY: what the C caller promises.
    unsafe { decrypt_ex(SAME_PROCESS, identity) }
}

pub(crate) unsafe fn decrypt_ex(options: ULONG, identity: *mut c_void) -> Answer {
    only_this_process(options)?;
    // SAFETY: what the C caller promises.
    let mut parts = unsafe { own_parts(identity) }?;
    if parts.flags & ENCRYPTED == 0 {
        return Err(parameter("this identity is not encrypted"));
    }
    parts.packed = open(parts.packed.expose())?;
    parts.flags &= !ENCRYPTED;
    // SAFETY: as above.
    unsafe { put_back(identity, &parts) }?;
    OK
}

fn only_this_process(options: ULONG) -> Result<(), Error> {
    if options == SAME_PROCESS {
        return Ok(());
    }
    Err(Error::new(
        SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION,
        format!(
            "the options 0x{options:x} ask for an identity that another process can decrypt; here is \
             SEC_WINNT_AUTH_IDENTITY_ENCRYPT_SAME_PROCESS ({SAME_PROCESS}) alone"
        ),
    ))
}

pub(crate) unsafe fn is_encrypted(identity: *mut c_void) -> Result<BOOLEAN, Error> {
    if !is_ours(identity) {
        return Ok(0);
    }
    // SAFETY: what the C caller promises.
    let parts = image::parts(unsafe { image::read(identity) }?)?;
    Ok(BOOLEAN::from(parts.flags & ENCRYPTED != 0))
}

/// Gives back an identity, or a text of one; NULL is none.
pub(crate) fn free(pointer: *mut c_void) -> Result<(), Error> {
    if pointer.is_null() {
        return Ok(());
    }
    take_back(pointer)
}

pub(crate) unsafe fn zero(identity: *mut c_void) -> Result<(), Error> {
    // SAFETY: what the C caller promises.
    unsafe {
        let mut parts = own_parts(identity)?;
        parts.packed = SecretBytes::from(Vec::new());
        parts.flags &= !ENCRYPTED;
        put_back(identity, &parts)
    }
}

pub(crate) unsafe fn exclude_package(
    identity: *mut c_void,
    package: *const SEC_WCHAR,
    place: *mut *mut c_void,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (mut given, package, place) = unsafe {
        (
            given::<Wide>(identity)?.unwrap_or_default(),
            required::<Wide>(package, "pszPackageName")?,
            Out::new(place, "ppNewAuthIdentity")?,
        )
    };
    let list = given.package_list.take().into_iter();
    let list: Vec<String> = list.chain([format!("!{package}")]).collect();
    given.package_list = Some(list.join(","));
    place.put(piece(&parts_of(&given)?.image()?));
    OK
}

/// The host of a target; one that is no service principal name is its own host.
unsafe fn host(target: *const SEC_WCHAR) -> Result<String, Error> {
    // SAFETY: what the C caller promises.
    let target = unsafe { required::<Wide>(target, "pszTargetName") }?;
    let name = ServicePrincipalName::parse(&target)?;
    Ok(match name.components().get(1) {
        Some(host) => host.split(':').next().unwrap_or_default().to_owned(),
        None => target,
    })
}

pub(crate) unsafe fn target_host_name(
    target: *const SEC_WCHAR,
    place: *mut *mut SEC_WCHAR,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (host, place) = unsafe { (host(target)?, Out::new(place, "pszHostName")?) };
    place.put(memory::text::<Wide, _>(&host));
    OK
}

pub(crate) unsafe fn prepare_for_read(
    identity: *mut c_void,
    target: *const SEC_WCHAR,
    kind: *mut ULONG,
    name: *mut *const SEC_WCHAR,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (host, kind, name) = unsafe {
        given::<Wide>(identity)?;
        (
            host(target)?,
            Out::new(kind, "pCredmanCredentialType")?,
            Out::new(name, "ppszCredmanTargetName")?,
        )
    };
    kind.put(DOMAIN_PASSWORD);
    name.put(memory::text::<Wide, SEC_WCHAR>(&host));
    OK
}

pub(crate) unsafe fn prepare_for_write(
    identity: *mut c_void,
    target: *const SEC_WCHAR,
    kind: *mut ULONG,
    name: *mut *const SEC_WCHAR,
    user: *mut *const SEC_WCHAR,
    blob: *mut *mut u8,
    blob_size: *mut ULONG,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (given, host, kind, name, user, blob, blob_size) = unsafe {
        (
            read(identity)?,
            host(target)?,
            Out::new(kind, "pCredmanCredentialType")?,
            Out::new(name, "ppszCredmanTargetName")?,
            Out::new(user, "ppszCredmanUserName")?,
            Out::new(blob, "ppCredentialBlob")?,
            Out::new(blob_size, "pCredentialBlobSize")?,
        )
    };
    let account = match (&given.user, &given.domain) {
        (Some(user), Some(domain)) => format!("{domain}\\{user}"),
        (Some(user), None) => user.clone(),
        (None, _) => {
            return Err(parameter(
                "the identity has no user, whose password would be kept",
            ));
        }
    };
    let secret = given.password.as_ref().map_or("", |secret| secret.expose());
    let mut units = Wide::encode(secret);
    // At its full size from the start, so that no copy of the password stays behind.
    let mut words = Vec::with_capacity(units.len().saturating_mul(2));
    words.extend(units.iter().flat_map(|unit| unit.to_ne_bytes()));
    units.zeroize();
    let words = SecretBytes::from(words);
    blob_size.put(u32::try_from(words.len()).map_err(|_| parameter("the password is too long"))?);
    blob.put(memory::bytes(words.expose()));
    kind.put(DOMAIN_PASSWORD);
    name.put(memory::text::<Wide, SEC_WCHAR>(&host));
    user.put(memory::text::<Wide, SEC_WCHAR>(&account));
    OK
}

/// Failures of a user's secret, as SSPI, NT and Win32 number them.
pub(crate) fn is_prompting_needed(number: ULONG) -> BOOLEAN {
    let statuses = [
        SecurityStatus::SEC_E_LOGON_DENIED,
        SecurityStatus::SEC_E_NO_CREDENTIALS,
        SecurityStatus::SEC_E_UNKNOWN_CREDENTIALS,
        SecurityStatus::SEC_E_INCOMPLETE_CREDENTIALS,
        SecurityStatus::SEC_E_NOT_OWNER,
    ];
    // STATUS_WRONG_PASSWORD, STATUS_LOGON_FAILURE, STATUS_NO_SUCH_USER; ERROR_LOGON_FAILURE.
    let others = [0xC000_006A, 0xC000_006D, 0xC000_0064, 1326];
    BOOLEAN::from(statuses.iter().any(|status| status.bits() == number) || others.contains(&number))
}
