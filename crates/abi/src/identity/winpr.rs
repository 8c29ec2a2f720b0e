//! The settings that WinPR's extended identity has behind it.

use core::ffi::c_char;
use core::time::Duration;

use trihound::sspi::{CredentialSettings, Error, SecurityStatus};

use crate::pointer::{parameter, read};
use crate::text::{Narrow, text};
use crate::types as c;

/// Whether the flags say that settings follow.
pub(super) fn is_marked(flags: c::ULONG) -> bool {
    flags & (c::SEC_WINNT_AUTH_IDENTITY_EXTENDED | c::SEC_WINNT_AUTH_IDENTITY_EXTENDED_NEW) != 0
}

/// # Safety
///
/// The pointer is not aligned, or an identity with its settings is there.
pub(super) unsafe fn settings(
    identity: *const c::SEC_WINNT_AUTH_IDENTITY_WINPR,
) -> Result<CredentialSettings, Error> {
    // SAFETY: the contract is the same for all that it points to.
    unsafe {
        let identity = read(identity, "pAuthData")?;
        let mut settings = CredentialSettings::default();
        if !identity.ntlmSettings.is_null() {
            let ntlm = read(identity.ntlmSettings, "ntlmSettings")?;
            if ntlm.hashCallback.is_some() {
                return Err(unsupported(
                    "ntlmSettings.hashCallback",
                    "no account is asked of the program; name a file of accounts in samFile",
                ));
            }
            settings.accounts = setting(ntlm.samFile, "ntlmSettings.samFile")?;
        }
        if !identity.kerberosSettings.is_null() {
            kerberos(identity.kerberosSettings, &mut settings)?;
        }
        Ok(settings)
    }
}

/// # Safety
///
/// As [`settings`].
unsafe fn kerberos(
    pointer: *const c::SEC_WINPR_KERBEROS_SETTINGS,
    settings: &mut CredentialSettings,
) -> Result<(), Error> {
    // SAFETY: the contract is the same for all that it points to. The PAC is not asked for: a KDC that has
    // one gives it, unless it is asked not to.
    unsafe {
        let given = read(pointer, "kerberosSettings")?;
        let certificate = setting(
            given.pkinitX509Identity,
            "kerberosSettings.pkinitX509Identity",
        )?;
        let by_hash = given.certSha1.iter().any(|byte| *byte != 0);
        if certificate.is_some() || by_hash {
            return Err(unsupported(
                if by_hash {
                    "kerberosSettings.certSha1"
                } else {
                    "kerberosSettings.pkinitX509Identity"
                },
                "logins with a certificate (PKINIT, RFC 4556) are not there; give a password, a keytab or a \
                 credential cache",
            ));
        }
        settings.kdc_url = setting(given.kdcUrl, "kerberosSettings.kdcUrl")?;
        settings.keytab = setting(given.keytab, "kerberosSettings.keytab")?;
        settings.credential_cache = setting(given.cache, "kerberosSettings.cache")?;
        settings.armor_cache = setting(given.armorCache, "kerberosSettings.armorCache")?;
        settings.pkinit_anchors = setting(
            given.pkinitX509Anchors,
            "kerberosSettings.pkinitX509Anchors",
        )?;
        settings.lifetime = seconds(given.lifeTime, "lifeTime")?;
        settings.start_time = seconds(given.startTime, "startTime")?;
        settings.renewable_lifetime = seconds(given.renewLifeTime, "renewLifeTime")?;
    }
    Ok(())
}

/// A text that may be NULL or empty, which is none.
///
/// # Safety
///
/// The pointer is NULL or a text with its end is there.
unsafe fn setting(pointer: *const c_char, what: &str) -> Result<Option<String>, Error> {
    // SAFETY: the contract is the same.
    let text = unsafe { text::<Narrow>(pointer, what) }?;
    Ok(text.filter(|text| !text.is_empty()))
}

fn seconds(number: i32, what: &str) -> Result<Option<Duration>, Error> {
    let seconds = u64::try_from(number).map_err(|_| {
        parameter(format!(
            "kerberosSettings.{what} is {number} seconds; give none, or some that lie ahead"
        ))
    })?;
    Ok((seconds != 0).then_some(Duration::from_secs(seconds)))
}

fn unsupported(what: &str, instead: &str) -> Error {
    Error::new(
        SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION,
        format!("{what} is set, and passed over by nobody: {instead}"),
    )
}
