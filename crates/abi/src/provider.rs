//! The function table that a process has, made when it is first needed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use trihound::krb5::Config;
use trihound::sansio::Transport;
use trihound::sspi::{
    Error, Function, FunctionSet, SecPkgInfo, SecurityFunctionTable, SecurityStatus,
};
use trihound::{KdcTransport, Negotiate, Packages};

/// How the KDCs are reached: a transport for each call.
pub(crate) type Way = Box<dyn Fn() -> Box<dyn Transport> + Send + Sync>;

/// What the exported functions work on.
pub(crate) struct Provider {
    pub(crate) table: SecurityFunctionTable,
    way: Way,
    /// What DeleteSecurityPackage took away, in lower case. Its handles live on.
    removed: RwLock<BTreeSet<String>>,
}

impl Provider {
    pub(crate) fn new(table: SecurityFunctionTable, way: Way) -> Self {
        Self {
            table,
            way,
            removed: RwLock::default(),
        }
    }

    fn from_environment() -> Result<Self, Error> {
        let packages = Packages::from_environment()?;
        let config: Arc<Config> = Arc::clone(&packages.kerberos().package().environment().config);
        let way =
            move || -> Box<dyn Transport> { Box::new(KdcTransport::new(Arc::clone(&config))) };
        Ok(Self::new(packages.table()?, Box::new(way)))
    }

    /// The way to the KDCs.
    pub(crate) fn transport(&self) -> Box<dyn Transport> {
        (self.way)()
    }

    /// The packages that were not taken away, the preferred first.
    pub(crate) fn packages(&self) -> Vec<SecPkgInfo> {
        let mut all = self.table.enumerate_security_packages();
        all.retain(|info| !self.is_removed(&info.name));
        all
    }

    /// The package of this name, unless it was taken away.
    pub(crate) fn package(&self, name: &str) -> Result<SecPkgInfo, Error> {
        let info = self.table.query_security_package_info(name)?;
        if self.is_removed(name) {
            return Err(Error::new(
                SecurityStatus::SEC_E_SECPKG_NOT_FOUND,
                format!("DeleteSecurityPackage took {name} away; AddSecurityPackage puts it back"),
            ));
        }
        Ok(info)
    }

    fn is_removed(&self, name: &str) -> bool {
        let removed = self.removed.read().unwrap_or_else(PoisonError::into_inner);
        removed.contains(&name.to_ascii_lowercase())
    }

    /// Takes a package away.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let info = self.package(name)?;
        let mut removed = self.removed.write().unwrap_or_else(PoisonError::into_inner);
        removed.insert(info.name.to_ascii_lowercase());
        Ok(())
    }

    /// Puts a package back.
    pub(crate) fn put_back(&self, name: &str) -> Result<(), Error> {
        let info = self.table.query_security_package_info(name)?;
        let mut removed = self.removed.write().unwrap_or_else(PoisonError::into_inner);
        if removed.remove(&info.name.to_ascii_lowercase()) {
            return Ok(());
        }
        Err(Error::new(
            SecurityStatus::SEC_E_CANNOT_INSTALL,
            format!(
                "the package {} is there already; add each one once",
                info.name
            ),
        ))
    }

    /// The packages that Negotiate may use: what the caller says, without what was taken away.
    pub(crate) fn package_list(&self, package: &str, list: Option<String>) -> Option<String> {
        if !package.eq_ignore_ascii_case(Negotiate::NAME) {
            return list;
        }
        let removed = self.removed.read().unwrap_or_else(PoisonError::into_inner);
        let excluded = removed.iter().map(|name| format!("!{name}"));
        let all: Vec<String> = list.into_iter().chain(excluded).collect();
        (!all.is_empty()).then(|| all.join(","))
    }

    /// Whether a slot of the tables is not NULL.
    pub(crate) fn has(&self, function: Function) -> bool {
        // Real clients call these without a look.
        const ALWAYS: FunctionSet = FunctionSet::SET_CONTEXT_ATTRIBUTES
            .union(FunctionSet::SET_CREDENTIALS_ATTRIBUTES)
            .union(FunctionSet::QUERY_CREDENTIALS_ATTRIBUTES)
            .union(FunctionSet::IMPERSONATE_SECURITY_CONTEXT)
            .union(FunctionSet::REVERT_SECURITY_CONTEXT);
        ALWAYS.has(function) || self.table.supports(function)
    }
}

static PROVIDER: OnceLock<Provider> = OnceLock::new();

/// The process's provider. It is made of the environment, once; where that fails, the next call tries
/// again.
pub(crate) fn provider() -> Result<&'static Provider, Error> {
    static MAKING: Mutex<()> = Mutex::new(());
    if let Some(provider) = PROVIDER.get() {
        return Ok(provider);
    }
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(provider) = PROVIDER.get() {
        return Ok(provider);
    }
    let made = Provider::from_environment()?;
    Ok(PROVIDER.get_or_init(|| made))
}

/// Puts a provider in the place of the environment's.
#[cfg(test)]
pub(crate) fn provide(make: impl FnOnce() -> Provider) -> &'static Provider {
    PROVIDER.get_or_init(make)
}
