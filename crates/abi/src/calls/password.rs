//! ChangeAccountPassword.

use trihound::sansio::drive;
use trihound::sspi::ChangePasswordRequest;

use crate::buffers::Raw;
use crate::calls::packages::package_name;
use crate::guard::{Answer, OK};
use crate::pointer::parameter;
use crate::provider::provider;
use crate::text::{Text, required, secret, text};
use crate::types::{BOOLEAN, SecBufferDesc, ULONG};

/// The old password says whose change it is, so that the thread's token plays no part.
pub(crate) unsafe fn change<T: Text>(
    package: *mut T::Unit,
    domain: *mut T::Unit,
    account: *mut T::Unit,
    old_password: *mut T::Unit,
    new_password: *mut T::Unit,
    _impersonating: BOOLEAN,
    _reserved: ULONG,
    output: *mut SecBufferDesc,
) -> Answer {
    let missing =
        |what: &'static str| move || parameter(format!("{what} is NULL and has to be a text"));
    // SAFETY: what the C caller promises.
    let (package, domain, account, old_password, new_password) = unsafe {
        // Nothing is put there: what the KDC says of a refused password is in the error's text.
        Raw::read(output, "pOutput")?;
        (
            package_name::<T>(package)?,
            text::<T>(domain, "pszDomainName")?.unwrap_or_default(),
            required::<T>(account, "pszAccountName")?,
            secret::<T>(old_password, "pszOldPassword")?.ok_or_else(missing("pszOldPassword"))?,
            secret::<T>(new_password, "pszNewPassword")?.ok_or_else(missing("pszNewPassword"))?,
        )
    };
    let provider = provider()?;
    let package = provider.package(&package)?.name;
    let request = ChangePasswordRequest {
        domain_name: &domain,
        account_name: &account,
        old_password: &old_password,
        new_password: &new_password,
    };
    let exchange = provider.table.change_account_password(&package, request)?;
    drive(exchange, provider.transport())?;
    OK
}
