//! Credentials.

use core::ffi::c_void;

use trihound::Negotiate;
use trihound::sspi::{AcquireRequest, CredHandle as Credential, CredentialUse, Error};

use crate::calls::packages::package_name;
use crate::guard::{Answer, OK};
use crate::handles::{forget, required, to_c};
use crate::identity::{Asked, Given, given};
use crate::moment::expiry;
use crate::pointer::{Out, put};
use crate::provider::provider;
use crate::text::{Text, text};
use crate::types::{CredHandle, SEC_GET_KEY_FN, TimeStamp, ULONG};

/// What a call of these asks for.
struct Wanted {
    principal: Option<String>,
    package: String,
    asked: Asked,
}

impl Wanted {
    unsafe fn read<T: Text>(
        principal: *const T::Unit,
        package: *const T::Unit,
        auth_data: *const c_void,
    ) -> Result<Self, Error> {
        // SAFETY: what the C caller promises.
        unsafe {
            Ok(Self {
                principal: text::<T>(principal, "pszPrincipal")?.filter(|name| !name.is_empty()),
                package: package_name::<T>(package)?,
                asked: given::<T>(auth_data)?
                    .map_or_else(|| Given::default().asked(), Given::asked)?,
            })
        }
    }

    fn request<'a>(&'a self, uses: ULONG, package_list: Option<&'a str>) -> AcquireRequest<'a> {
        AcquireRequest {
            principal: self
                .principal
                .as_deref()
                .or(self.asked.principal.as_deref()),
            identity: self.asked.identity.as_ref(),
            package_list,
            settings: self.asked.settings.as_ref(),
            ..AcquireRequest::new(CredentialUse::from_bits_retain(uses))
        }
    }
}

/// The logon identifier and the function that gets keys are Windows' own; every caller gives NULL.
pub(crate) unsafe fn acquire<T: Text>(
    principal: *mut T::Unit,
    package: *mut T::Unit,
    uses: ULONG,
    _logon_id: *mut c_void,
    auth_data: *mut c_void,
    _get_key: SEC_GET_KEY_FN,
    _get_key_argument: *mut c_void,
    credential: *mut CredHandle,
    end: *mut TimeStamp,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (credential, end, wanted) = unsafe {
        (
            Out::new(credential, "phCredential")?,
            Out::optional(end, "ptsExpiry")?,
            Wanted::read::<T>(principal, package, auth_data)?,
        )
    };
    let provider = provider()?;
    let package = provider.package(&wanted.package)?.name;
    let list = provider.package_list(&package, wanted.asked.package_list.clone());
    let request = wanted.request(uses, list.as_deref());
    let acquired = provider
        .table
        .acquire_credentials_handle(&package, request)?;
    credential.put(to_c(acquired.credential));
    put(end.as_ref(), expiry(acquired.expiry));
    OK
}

pub(crate) unsafe fn free(credential: *mut CredHandle) -> Answer {
    // SAFETY: what the C caller promises.
    let credential = unsafe { required::<Credential>(credential) }?;
    provider()?.table.free_credentials_handle(credential)?;
    forget(to_c(credential));
    OK
}

pub(crate) unsafe fn add<T: Text>(
    credential: *mut CredHandle,
    principal: *mut T::Unit,
    package: *mut T::Unit,
    uses: ULONG,
    auth_data: *mut c_void,
    _get_key: SEC_GET_KEY_FN,
    _get_key_argument: *mut c_void,
    end: *mut TimeStamp,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (credential, end, wanted) = unsafe {
        (
            required::<Credential>(credential)?,
            Out::optional(end, "ptsExpiry")?,
            Wanted::read::<T>(principal, package, auth_data)?,
        )
    };
    let provider = provider()?;
    let package = provider.package(&wanted.package)?.name;
    // A credential of Negotiate gets it for the package that is named.
    let list = match wanted.asked.package_list.clone() {
        None if package != Negotiate::NAME => Some(package.into_owned()),
        list => provider.package_list(Negotiate::NAME, list),
    };
    let request = wanted.request(uses, list.as_deref());
    provider.table.add_credentials(credential, request)?;
    let now = provider.table.credential_expiry(credential)?;
    put(end.as_ref(), expiry(now));
    OK
}
