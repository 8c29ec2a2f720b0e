//! `[appdefaults]` (krb5.conf(5)).

use super::values::Found;
use super::{Config, ConfigError};

impl Config {
    /// What `[appdefaults]` says for an application: within its sub-section for the realm, within
    /// its sub-section, within the realm's, or at the top, the first of these that says something.
    #[must_use]
    pub fn appdefault(&self, application: &str, realm: Option<&str>, option: &str) -> Option<&str> {
        self.find_appdefault(application, realm, option)
            .map(|found| found.value)
    }

    /// As [`Self::appdefault`], for a truth value.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Boolean`].
    pub fn appdefault_boolean(
        &self,
        application: &str,
        realm: Option<&str>,
        option: &str,
    ) -> Result<Option<bool>, ConfigError> {
        self.find_appdefault(application, realm, option)
            .map(|found| found.boolean())
            .transpose()
    }

    fn find_appdefault(
        &self,
        application: &str,
        realm: Option<&str>,
        option: &str,
    ) -> Option<Found<'_>> {
        let profile = self.profile.as_deref()?;
        let paths = [
            realm.map(|realm| vec![application, realm]),
            Some(vec![application]),
            realm.map(|realm| vec![realm]),
            Some(Vec::new()),
        ];
        for middle in paths.into_iter().flatten() {
            let path = [&["appdefaults"], middle.as_slice(), &[option]].concat();
            let Some(relation) = profile.first(&path) else {
                continue;
            };
            return Some(Found {
                value: relation.value?,
                subject: format!("[appdefaults] {} {option}", middle.join(" ")),
                relation,
            });
        }
        None
    }
}
