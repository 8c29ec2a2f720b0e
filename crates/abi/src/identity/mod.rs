//! The identities of `pAuthData`, in every form that callers give them.

use core::ffi::c_void;

use trihound::secret::SecretString;
use trihound::sspi::{CredentialSettings, Error, Identity, SecurityStatus};

use crate::pointer::{parameter, read};
use crate::text::{Narrow, Text, Wide, counted};
use crate::types as c;

pub(crate) mod image;
mod sealing;
mod winpr;

pub(crate) use sealing::{OVERHEAD as SEALING_OVERHEAD, open, seal};

/// What an identity says, whatever its form.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) user: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) password: Option<SecretString>,
    pub(crate) package_list: Option<String>,
    pub(crate) settings: CredentialSettings,
}

/// What of it the function table takes.
pub(crate) struct Asked {
    pub(crate) principal: Option<String>,
    pub(crate) identity: Option<Identity>,
    pub(crate) package_list: Option<String>,
    pub(crate) settings: Option<CredentialSettings>,
}

impl Given {
    /// A user without a password is whose tickets are wanted; no user at all is whoever this machine says. An empty
    /// password is one: a program that holds what somebody typed against an account would let everybody in by the
    /// secrets of this machine.
    pub(crate) fn asked(self) -> Result<Asked, Error> {
        let is_nobodys = |password: &SecretString| self.user.is_none() && password.is_empty();
        let password = self.password.filter(|password| !is_nobodys(password));
        let (principal, identity) = match (self.user, password) {
            (Some(user), Some(password)) => {
                let identity = Identity::password(user, self.domain.as_deref(), password);
                (None, Some(identity))
            }
            (Some(user), None) => (Some(qualified(user, self.domain)), None),
            (None, None) => (None, None),
            (None, Some(_)) => {
                return Err(Error::new(
                    SecurityStatus::SEC_E_UNKNOWN_CREDENTIALS,
                    "the identity has a password and no user; give both, or neither for those of this \
                     machine",
                ));
            }
        };
        let has_settings = !self.settings.fields().is_empty();
        Ok(Asked {
            principal,
            identity,
            package_list: self.package_list,
            settings: has_settings.then_some(self.settings),
        })
    }
}

fn qualified(user: String, domain: Option<String>) -> String {
    match domain {
        Some(domain) if !user.contains(['@', '\\']) => format!("{user}@{domain}"),
        _ => user,
    }
}

/// The three texts of the forms with pointers.
#[derive(Clone, Copy)]
struct Texts {
    user: (*const c_void, c::ULONG),
    domain: (*const c_void, c::ULONG),
    password: (*const c_void, c::ULONG),
    package_list: (*const c_void, c::ULONG),
}

/// A password of WinPR that is longer is a hash behind that length.
const WINPR_HASH_LENGTH: c::ULONG = 512;

impl Texts {
    /// # Safety
    ///
    /// Each pointer is NULL, not aligned, or as many units of `T` are there.
    unsafe fn read<T: Text>(self) -> Result<Given, Error> {
        let text = |(pointer, length): (*const c_void, c::ULONG), what| {
            // SAFETY: the contract is the same.
            unsafe { counted::<T>(pointer.cast(), length, what) }
        };
        let password = text(self.password, "the identity's Password")?;
        // NULL is none, and no units are an empty one.
        let password = password.or_else(|| (!self.password.0.is_null()).then(String::new));
        Ok(Given {
            user: text(self.user, "the identity's User")?,
            domain: text(self.domain, "the identity's Domain")?,
            password: password.map(SecretString::from),
            package_list: text(self.package_list, "the identity's PackageList")?,
            settings: CredentialSettings::default(),
        })
    }

    /// # Safety
    ///
    /// As [`Self::read`], of the units that the flags say, or else of `T`.
    unsafe fn read_as<T: Text>(self, flags: c::ULONG) -> Result<Given, Error> {
        refuse_protected(flags)?;
        // SAFETY: the contract is the same.
        unsafe {
            if flags & c::SEC_WINNT_AUTH_IDENTITY_UNICODE != 0 {
                self.read::<Wide>()
            } else if flags & c::SEC_WINNT_AUTH_IDENTITY_ANSI != 0 {
                self.read::<Narrow>()
            } else {
                self.read::<T>()
            }
        }
    }
}

/// Passwords that only Windows can decrypt.
fn refuse_protected(flags: c::ULONG) -> Result<(), Error> {
    const PROTECTED: c::ULONG = c::SEC_WINNT_AUTH_IDENTITY_FLAGS_SYSTEM_PROTECTED
        | c::SEC_WINNT_AUTH_IDENTITY_FLAGS_USER_PROTECTED
        | c::SEC_WINNT_AUTH_IDENTITY_FLAGS_SYSTEM_ENCRYPTED
        | c::SEC_WINNT_AUTH_IDENTITY_FLAGS_PROCESS_ENCRYPTED;
    if flags & PROTECTED == 0 {
        return Ok(());
    }
    Err(Error::new(
        SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION,
        format!(
            "the password of this identity is protected (flags 0x{flags:x}) in a way that this library \
             does not have; give it in the clear, or encrypted by SspiEncryptAuthIdentity"
        ),
    ))
}

/// Reads an identity; `None` for NULL.
///
/// Which form it is its first numbers say. The version numbers of the later forms stand where the first
/// form has a pointer; the length beside them is no part of a pointer that a program could have.
///
/// # Safety
///
/// The pointer is NULL, not aligned, or an identity of one of the forms is there, with the texts that it
/// points to. `T` is the kind of text where its flags do not say.
pub(crate) unsafe fn given<T: Text>(auth_data: *const c_void) -> Result<Option<Given>, Error> {
    if auth_data.is_null() {
        return Ok(None);
    }
    // SAFETY: every form begins with two numbers of 32 bits or more.
    let [version, length] = unsafe { read(auth_data.cast::<[c::ULONG; 2]>(), "pAuthData") }?;
    // SAFETY: the first numbers say which form is there.
    let given = unsafe {
        if version == c::SEC_WINNT_AUTH_IDENTITY_VERSION_2 && image::is_header(length) {
            image::given(image::read(auth_data)?)?
        } else if version == c::SEC_WINNT_AUTH_IDENTITY_VERSION && is_extended(length) {
            check_length(length)?;
            extended::<T>(auth_data)?
        } else {
            plain::<T>(auth_data)?
        }
    };
    Ok(Some(given))
}

/// Whether a `Length` can be one: no pointer that a program could have has so small an upper half.
fn is_extended(length: c::ULONG) -> bool {
    length <= 4096
}

/// The structure, or a later one that goes on behind it.
fn check_length(length: c::ULONG) -> Result<(), Error> {
    let least = size_of::<c::SEC_WINNT_AUTH_IDENTITY_EX>();
    if length as usize >= least {
        return Ok(());
    }
    Err(parameter(format!(
        "the identity says that it has {length} bytes (Length), and a SEC_WINNT_AUTH_IDENTITY_EX has {least}; \
         set Length to the structure's size"
    )))
}

unsafe fn plain<T: Text>(auth_data: *const c_void) -> Result<Given, Error> {
    // SAFETY: the contract of `given`.
    unsafe {
        let identity = read(auth_data.cast::<c::SEC_WINNT_AUTH_IDENTITY>(), "pAuthData")?;
        if winpr::is_marked(identity.Flags) {
            return Err(parameter(
                "the identity is marked as WinPR's extended one and lacks SEC_WINNT_AUTH_IDENTITY_VERSION; \
                 give a SEC_WINNT_AUTH_IDENTITY_WINPR, or leave the flag out",
            ));
        }
        let texts = Texts {
            user: (identity.User, identity.UserLength),
            domain: (identity.Domain, identity.DomainLength),
            password: (identity.Password, identity.PasswordLength),
            package_list: (core::ptr::null(), 0),
        };
        texts.read_as::<T>(identity.Flags)
    }
}

unsafe fn extended<T: Text>(auth_data: *const c_void) -> Result<Given, Error> {
    // SAFETY: the contract of `given`; the mark of WinPR says that its settings follow.
    unsafe {
        let identity = read(
            auth_data.cast::<c::SEC_WINNT_AUTH_IDENTITY_EX>(),
            "pAuthData",
        )?;
        let is_winpr = winpr::is_marked(identity.Flags);
        if is_winpr && identity.PasswordLength > WINPR_HASH_LENGTH {
            return Err(Error::new(
                SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION,
                "the identity has a hash in the place of its password; give the password",
            ));
        }
        let texts = Texts {
            user: (identity.User, identity.UserLength),
            domain: (identity.Domain, identity.DomainLength),
            password: (identity.Password, identity.PasswordLength),
            package_list: (identity.PackageList, identity.PackageListLength),
        };
        let mut given = texts.read_as::<T>(identity.Flags)?;
        if is_winpr {
            given.settings = winpr::settings(auth_data.cast())?;
        }
        Ok(given)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
