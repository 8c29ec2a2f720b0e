//! A credential of Negotiate: one of every mechanism that can be used.

use core::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tracing::debug;
use trihound_sspi::{
    AccessToken, AcquireRequest, CredHandle, CredentialSettings, CredentialUse, MechanismInfo,
    OwnedCredHandle, SecPkgInfo, SecurityFunctionTable,
};

use crate::error::{ApiMisuse, Attempt, Error, NegotiationFailed, sspi_error};
use crate::policy::NegotiatePolicy;

/// A mechanism with its credential.
pub(crate) struct Arm {
    pub(crate) info: SecPkgInfo,
    pub(crate) mechanism: MechanismInfo,
    pub(crate) credential: OwnedCredHandle,
}

impl Arm {
    pub(crate) fn package(&self) -> &str {
        &self.info.name
    }

    pub(crate) fn has_oid(&self, oid: &str) -> bool {
        self.mechanism.oids.iter().any(|known| known == oid)
    }
}

impl fmt::Debug for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.package())
    }
}

/// A mechanism in the order of preference: usable, or why not.
#[derive(Clone, Debug)]
pub(crate) enum Candidate {
    Usable(Arc<Arm>),
    Unusable(Attempt),
}

impl Candidate {
    fn package(&self) -> &str {
        match self {
            Self::Usable(arm) => arm.package(),
            Self::Unusable(attempt) => &attempt.package,
        }
    }
}

/// What a `CredHandle` of Negotiate names: a credential of each usable mechanism, in the order of
/// preference, and of every other one the reason why it is none.
///
/// Cloning it names the same credentials; each is freed once, after the last context that uses it.
#[derive(Clone, Debug)]
pub struct NegotiateCredential {
    lists: Arc<RwLock<Lists>>,
    policy: Option<NegotiatePolicy>,
    onward: Option<Onward>,
}

/// The candidates of each direction. AddCredentials exchanges them as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    outbound: Arc<[Candidate]>,
    pub(crate) inbound: Arc<[Candidate]>,
}

/// A credential that was acquired for both directions without an identity: outbound it is the service's
/// own while the thread is itself, else that of the client whom the thread impersonates.
#[derive(Clone, Debug)]
struct Onward {
    /// The list that it was acquired with, which holds for the client too.
    package_list: Option<Arc<str>>,
}

impl NegotiateCredential {
    /// A credential of mechanisms' own credentials, made or adopted before: pairs of a package in
    /// `mechanisms`, the table that the package was configured with, and a handle of that package. The
    /// order is the order of preference.
    ///
    /// The handles belong to the credential from then on and are freed with it. Each serves the
    /// direction for which it was acquired.
    ///
    /// # Errors
    ///
    /// SEC_E_SECPKG_NOT_FOUND for a package that is not in the table or cannot be negotiated, and
    /// without any pair; SEC_E_INVALID_HANDLE. Handles given before the faulty one are freed then.
    pub fn from_handles(
        mechanisms: &SecurityFunctionTable,
        handles: &[(&str, CredHandle)],
    ) -> Result<Self, trihound_sspi::Error> {
        let parts = handles
            .iter()
            .map(|(package, handle)| (*package, Ok(*handle)))
            .collect();
        Self::from_outcomes(mechanisms, parts)
    }

    /// As [`Self::from_handles`], with the reason why for each package that has no credential: it is told
    /// when the negotiation fails, and to the mechanism that is used instead.
    ///
    /// # Errors
    ///
    /// As there; and without any handle, [`NegotiationFailed`] with the reasons.
    pub fn from_outcomes(
        mechanisms: &SecurityFunctionTable,
        parts: Vec<(&str, Result<CredHandle, trihound_sspi::Error>)>,
    ) -> Result<Self, trihound_sspi::Error> {
        let arms = parts
            .into_iter()
            .map(|(package, outcome)| match outcome {
                Ok(handle) => arm(mechanisms, package, handle),
                Err(error) => Ok(Candidate::Unusable(Attempt {
                    package: package.to_owned(),
                    error,
                    begun: false,
                })),
            })
            .collect::<Result<Vec<Candidate>, trihound_sspi::Error>>()?;
        let arms: Arc<[Candidate]> = usable_or_reasons(arms)?;
        let lists = Lists {
            outbound: Arc::clone(&arms),
            inbound: arms,
        };
        Ok(Self::of_lists(lists, None))
    }

    fn of_lists(lists: Lists, onward: Option<Onward>) -> Self {
        Self {
            lists: Arc::new(RwLock::new(lists)),
            policy: None,
            onward,
        }
    }

    /// What there is now.
    pub(crate) fn lists(&self) -> Lists {
        // Each change is one assignment, so a panic elsewhere leaves the value whole.
        self.lists
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The same credential with a policy of its own in place of the package's.
    #[must_use]
    pub fn with_policy(mut self, policy: NegotiatePolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    pub(crate) fn policy<'a>(&'a self, of_package: &'a NegotiatePolicy) -> &'a NegotiatePolicy {
        self.policy.as_ref().unwrap_or(of_package)
    }

    /// What a context is made by: what the client whom the thread impersonates delegated, where that is
    /// what the credential is for, else its own.
    pub(crate) fn outbound_for(
        &self,
        impersonation: Option<&Arc<AccessToken>>,
        mechanisms: &SecurityFunctionTable,
    ) -> Result<Arc<[Candidate]>, Error> {
        let (Some(onward), Some(_)) = (&self.onward, impersonation) else {
            return Ok(self.lists().outbound);
        };
        let list = PackageList::parse(onward.package_list.as_deref())?;
        let request = AcquireRequest {
            impersonation,
            ..AcquireRequest::new(CredentialUse::OUTBOUND)
        };
        acquire_direction(request, &list, mechanisms)
            .and_then(usable_or_reasons)
            .map_err(|source| Error::Mechanism {
                package: "Negotiate".to_owned(),
                task: "go on as the client",
                source,
            })
    }

    /// The names of the packages that can be used, in the order of preference: outbound first, then
    /// those that are for inbound use only.
    #[must_use]
    pub fn packages(&self) -> Vec<String> {
        let lists = self.lists();
        let mut names: Vec<String> = Vec::new();
        for arm in usable(&lists.outbound).chain(usable(&lists.inbound)) {
            if !names.iter().any(|name| name == arm.package()) {
                names.push(arm.package().to_owned());
            }
        }
        names
    }

    /// The mechanisms that were left out, and why.
    #[must_use]
    pub fn left_out(&self) -> Vec<Attempt> {
        let Lists { outbound, inbound } = self.lists();
        let shared = Arc::ptr_eq(&outbound, &inbound);
        let inbound: &[Candidate] = if shared { &[] } else { &inbound };
        let all = outbound.iter().chain(inbound);
        all.filter_map(|candidate| match candidate {
            Candidate::Unusable(attempt) => Some(attempt.clone()),
            Candidate::Usable(_) => None,
        })
        .collect()
    }

    /// Every mechanism's credential, each once, the preferred one first.
    pub(crate) fn arms(&self) -> Vec<Arc<Arm>> {
        let lists = self.lists();
        let mut arms: Vec<Arc<Arm>> = Vec::new();
        for arm in usable(&lists.outbound).chain(usable(&lists.inbound)) {
            if !arms.iter().any(|known| Arc::ptr_eq(known, arm)) {
                arms.push(Arc::clone(arm));
            }
        }
        arms
    }

    /// The preferred mechanism's credential.
    pub(crate) fn preferred(&self) -> Option<Arc<Arm>> {
        self.arms().into_iter().next()
    }

    /// AddCredentials: the mechanisms that `request` names take what it brings. One that has a credential for the
    /// direction gets more; one that has none is usable from here on.
    pub(crate) fn add(
        &self,
        request: AcquireRequest<'_>,
        mechanisms: &SecurityFunctionTable,
    ) -> Result<(), trihound_sspi::Error> {
        let list = PackageList::parse(request.package_list).map_err(sspi_error)?;
        // One at a time, so that two threads that add lose nothing of each other's.
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = lists.clone();
        let mut outcome = Added::default();
        for direction in [CredentialUse::OUTBOUND, CredentialUse::INBOUND] {
            if !request.credential_use.contains(direction) {
                continue;
            }
            let candidates = match direction {
                CredentialUse::OUTBOUND => &mut new.outbound,
                _ => &mut new.inbound,
            };
            let request = of_direction(request, direction);
            *candidates = outcome.add(candidates, request, &list, mechanisms)?;
        }
        outcome.conclude()?;
        *lists = new;
        Ok(())
    }
}

/// Puts a candidate before those that the table prefers less: `rest` is the table from the candidate on.
fn insert(candidates: &mut Vec<Candidate>, candidate: Candidate, rest: &[SecPkgInfo]) {
    let place = candidates
        .iter()
        .position(|held| rest.iter().any(|info| info.name == held.package()));
    candidates.insert(place.unwrap_or(candidates.len()), candidate);
}

/// What AddCredentials came to.
#[derive(Default)]
struct Added {
    any: bool,
    tried: Vec<Attempt>,
}

impl Added {
    fn add(
        &mut self,
        old: &[Candidate],
        request: AcquireRequest<'_>,
        list: &PackageList<'_>,
        mechanisms: &SecurityFunctionTable,
    ) -> Result<Arc<[Candidate]>, trihound_sspi::Error> {
        let mut candidates = old.to_vec();
        let infos = mechanisms.enumerate_security_packages();
        for (rank, info) in infos.iter().enumerate() {
            let Some(mechanism) = mechanisms.mechanism(&info.name)? else {
                continue;
            };
            if !list.permits(&info.name) {
                continue;
            }
            let settings = own_settings(&request, &info.name, mechanisms)?;
            let request = AcquireRequest {
                settings: settings.as_ref(),
                ..request
            };
            let place = candidates
                .iter()
                .position(|candidate| candidate.package() == info.name);
            let held = place.and_then(|place| candidates.get(place)).cloned();
            let added = match &held {
                Some(Candidate::Usable(arm)) => mechanisms
                    .add_credentials(arm.credential.handle(), request)
                    .map(|()| Candidate::Usable(Arc::clone(arm))),
                _ => acquire_one(info, mechanism, request, mechanisms),
            };
            let candidate = match added {
                Ok(candidate) => {
                    self.any = true;
                    candidate
                }
                Err(error) => {
                    let attempt = Attempt {
                        package: info.name.clone().into_owned(),
                        error,
                        begun: false,
                    };
                    self.tried.push(attempt.clone());
                    held.unwrap_or(Candidate::Unusable(attempt))
                }
            };
            match place.and_then(|place| candidates.get_mut(place)) {
                Some(old) => *old = candidate,
                None => insert(
                    &mut candidates,
                    candidate,
                    infos.get(rank..).unwrap_or_default(),
                ),
            }
        }
        Ok(candidates.into())
    }

    fn conclude(self) -> Result<(), trihound_sspi::Error> {
        match self.any {
            true => Ok(()),
            false => Err(sspi_error(NegotiationFailed { tried: self.tried })),
        }
    }
}

pub(crate) fn usable(candidates: &[Candidate]) -> impl Iterator<Item = &Arc<Arm>> {
    candidates.iter().filter_map(|candidate| match candidate {
        Candidate::Usable(arm) => Some(arm),
        Candidate::Unusable(_) => None,
    })
}

/// AcquireCredentialsHandle. Each direction is acquired by itself, so that a mechanism which has only
/// one of them still serves that one.
pub(crate) fn acquire(
    request: AcquireRequest<'_>,
    mechanisms: &SecurityFunctionTable,
) -> Result<NegotiateCredential, trihound_sspi::Error> {
    let wanted = |direction| request.credential_use.contains(direction);
    let list = PackageList::parse(request.package_list).map_err(sspi_error)?;
    let registered = mechanisms.enumerate_security_packages();
    let known: Vec<&str> = registered.iter().map(|info| info.name.as_ref()).collect();
    for name in list.unknown(&known) {
        tracing::warn!(
            package = name,
            "The package list names {name:?}, which no package here is called"
        );
    }
    let direction = |direction: CredentialUse| {
        if !wanted(direction) {
            return Ok(Vec::new());
        }
        acquire_direction(of_direction(request, direction), &list, mechanisms)
    };
    if !request.credential_use.intersects(CredentialUse::BOTH) {
        return Err(sspi_error(ApiMisuse::NoDirection));
    }
    let is_onward = request.credential_use.contains(CredentialUse::BOTH)
        && request.identity.is_none()
        && request.principal.is_none()
        && request.impersonation.is_none();
    let outbound = direction(CredentialUse::OUTBOUND)?;
    let inbound = direction(CredentialUse::INBOUND)?;
    let lists = Lists {
        // A service that goes on as its clients may have nothing of its own.
        outbound: match is_onward || !wanted(CredentialUse::OUTBOUND) {
            true => outbound.into(),
            false => usable_or_reasons(outbound)?,
        },
        inbound: match wanted(CredentialUse::INBOUND) {
            false => Arc::default(),
            true => usable_or_reasons(inbound)?,
        },
    };
    let onward = is_onward.then(|| Onward {
        package_list: request.package_list.map(Arc::from),
    });
    Ok(NegotiateCredential::of_lists(lists, onward))
}

/// One direction's part of a request.
fn of_direction(mut request: AcquireRequest<'_>, direction: CredentialUse) -> AcquireRequest<'_> {
    let other = CredentialUse::BOTH - direction;
    if direction == CredentialUse::INBOUND && request.credential_use.contains(other) {
        // The principal and the identity of SECPKG_CRED_BOTH are the initiator's.
        request.principal = None;
        request.identity = None;
    }
    request.credential_use -= other;
    request.package_list = None;
    request
}

/// The settings that a mechanism follows; the table has refused what none of them does.
fn own_settings(
    request: &AcquireRequest<'_>,
    package: &str,
    mechanisms: &SecurityFunctionTable,
) -> Result<Option<CredentialSettings>, trihound_sspi::Error> {
    let followed = mechanisms.settings_of(package)?;
    Ok(request.settings.map(|settings| settings.only(followed)))
}

fn acquire_one(
    info: &SecPkgInfo,
    mechanism: MechanismInfo,
    request: AcquireRequest<'_>,
    mechanisms: &SecurityFunctionTable,
) -> Result<Candidate, trihound_sspi::Error> {
    let acquired = mechanisms.acquire_credentials_handle(&info.name, request)?;
    let credential = mechanisms.own_credential(acquired.credential)?;
    Ok(Candidate::Usable(Arc::new(Arm {
        info: info.clone(),
        mechanism,
        credential,
    })))
}

fn acquire_direction(
    request: AcquireRequest<'_>,
    list: &PackageList<'_>,
    mechanisms: &SecurityFunctionTable,
) -> Result<Vec<Candidate>, trihound_sspi::Error> {
    let mut candidates = Vec::new();
    for info in mechanisms.enumerate_security_packages() {
        if !list.permits(&info.name) {
            continue;
        }
        let Some(mechanism) = mechanisms.mechanism(&info.name)? else {
            continue;
        };
        let settings = own_settings(&request, &info.name, mechanisms)?;
        let request = AcquireRequest {
            settings: settings.as_ref(),
            ..request
        };
        let acquired = acquire_one(&info, mechanism, request, mechanisms);
        candidates.push(acquired.unwrap_or_else(|error| {
            debug!(package = %info.name, %error, "{} has no credential: {error}", info.name);
            Candidate::Unusable(Attempt {
                package: info.name.into_owned(),
                error,
                begun: false,
            })
        }));
    }
    Ok(candidates)
}

fn arm(
    mechanisms: &SecurityFunctionTable,
    package: &str,
    handle: CredHandle,
) -> Result<Candidate, trihound_sspi::Error> {
    let credential = mechanisms.own_credential(handle)?;
    let mechanism = mechanisms.mechanism(package)?.ok_or_else(|| {
        sspi_error(ApiMisuse::NotAMechanism {
            package: package.to_owned(),
            reason: "it has no object identifier (SecurityPackage::mechanism)",
        })
    })?;
    Ok(Candidate::Usable(Arc::new(Arm {
        info: mechanisms.query_security_package_info(package)?,
        mechanism,
        credential,
    })))
}

/// The candidates, if one of them is usable; else why none is.
fn usable_or_reasons(candidates: Vec<Candidate>) -> Result<Arc<[Candidate]>, trihound_sspi::Error> {
    if usable(&candidates).next().is_some() {
        return Ok(candidates.into());
    }
    let tried = candidates
        .into_iter()
        .filter_map(|candidate| match candidate {
            Candidate::Unusable(attempt) => Some(attempt),
            Candidate::Usable(_) => None,
        });
    Err(sspi_error(NegotiationFailed {
        tried: tried.collect(),
    }))
}

/// `PackageList` of SEC_WINNT_AUTH_IDENTITY_EX: names that may be used, and names with `!` that may
/// not; a list of the latter alone permits all others. Its order says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageList<'a> {
    named: Vec<&'a str>,
    excluded: Vec<&'a str>,
}

impl<'a> PackageList<'a> {
    /// Reads a list; none permits all packages.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::PackageList`] for a `!` without a name.
    pub fn parse(text: Option<&'a str>) -> Result<Self, ApiMisuse> {
        let mut list = Self::default();
        let text = text.unwrap_or_default();
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            match word.strip_prefix('!').map(str::trim) {
                Some("") => {
                    return Err(ApiMisuse::PackageList {
                        list: text.to_owned(),
                    });
                }
                Some(name) => list.excluded.push(name),
                None => list.named.push(word),
            }
        }
        Ok(list)
    }

    /// The names in the list that none of these packages has: SSPI's callers write those of Windows, and a
    /// `!NTML` would leave NTLM in.
    pub fn unknown(&self, packages: &[&str]) -> impl Iterator<Item = &'a str> {
        let is_known = |name: &&str| {
            packages
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        };
        let all = self.named.iter().chain(&self.excluded).copied();
        all.filter(move |name| !is_known(name))
    }

    /// Whether the list lets this package be used.
    #[must_use]
    pub fn permits(&self, package: &str) -> bool {
        let in_list = |list: &[&str]| list.iter().any(|name| name.eq_ignore_ascii_case(package));
        !in_list(&self.excluded) && (self.named.is_empty() || in_list(&self.named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permitted(list: &str) -> Vec<&'static str> {
        let list = PackageList::parse(Some(list)).unwrap();
        ["Kerberos", "NTLM", "Toy"]
            .into_iter()
            .filter(|name| list.permits(name))
            .collect()
    }

    #[test]
    fn a_package_list_names_or_excludes() {
        for (list, packages) in [
            ("", &["Kerberos", "NTLM", "Toy"][..]),
            (" , ", &["Kerberos", "NTLM", "Toy"]),
            ("Kerberos,!NTLM", &["Kerberos"]),
            ("!ntlm", &["Kerberos", "Toy"]),
            (" toy , kerberos ", &["Kerberos", "Toy"]),
            ("NTLM,!NTLM", &[]),
            ("! NTLM", &["Kerberos", "Toy"]),
            ("Digest", &[]),
        ] {
            assert_eq!(permitted(list), packages, "{list:?}");
        }
    }

    #[test]
    fn names_that_no_package_has_are_told() {
        let list = PackageList::parse(Some("kerberos,!NTML,Digest")).unwrap();
        let unknown: Vec<_> = list.unknown(&["Kerberos", "NTLM"]).collect();
        assert_eq!(unknown, ["Digest", "NTML"]);
    }

    #[test]
    fn an_exclusion_of_nothing_is_refused() {
        for list in ["!", "Kerberos,! ,NTLM"] {
            assert_eq!(
                PackageList::parse(Some(list)),
                Err(ApiMisuse::PackageList { list: list.into() })
            );
        }
    }
}
