//! A credential of Negotiate: one of every mechanism that can be used.

use core::fmt;
use std::sync::Arc;

use tracing::debug;
use trihound_sspi::{
    AcquireRequest, CredHandle, CredentialUse, MechanismInfo, OwnedCredHandle, SecPkgInfo,
    SecurityFunctionTable,
};

use crate::error::{ApiMisuse, Attempt, NegotiationFailed, sspi_error};
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

/// What a `CredHandle` of Negotiate names: a credential of each usable mechanism, in the order of
/// preference, and of every other one the reason why it is none.
///
/// Cloning it names the same credentials; each is freed once, after the last context that uses it.
#[derive(Clone, Debug)]
pub struct NegotiateCredential {
    pub(crate) outbound: Arc<[Candidate]>,
    pub(crate) inbound: Arc<[Candidate]>,
    policy: Option<NegotiatePolicy>,
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
        Ok(Self {
            outbound: Arc::clone(&arms),
            inbound: arms,
            policy: None,
        })
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

    /// The names of the packages that can be used, in the order of preference: outbound first, then
    /// those that are for inbound use only.
    #[must_use]
    pub fn packages(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for arm in usable(&self.outbound).chain(usable(&self.inbound)) {
            if !names.contains(&arm.package()) {
                names.push(arm.package());
            }
        }
        names
    }

    /// The mechanisms that were left out, and why.
    pub fn left_out(&self) -> impl Iterator<Item = &Attempt> {
        let shared = Arc::ptr_eq(&self.outbound, &self.inbound);
        let inbound: &[Candidate] = if shared { &[] } else { &self.inbound };
        self.outbound
            .iter()
            .chain(inbound)
            .filter_map(|candidate| match candidate {
                Candidate::Unusable(attempt) => Some(attempt),
                Candidate::Usable(_) => None,
            })
    }

    /// The preferred mechanism's credential.
    pub(crate) fn preferred(&self) -> Option<&Arc<Arm>> {
        usable(&self.outbound)
            .next()
            .or_else(|| usable(&self.inbound).next())
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
    let direction = |direction: CredentialUse, other: CredentialUse| {
        if !wanted(direction) {
            return Ok(Arc::default());
        }
        let mut request = request;
        request.credential_use -= other;
        request.package_list = None;
        if direction == CredentialUse::INBOUND && wanted(other) {
            // The principal and the identity of SECPKG_CRED_BOTH are the initiator's.
            request.principal = None;
            request.identity = None;
        }
        acquire_direction(request, &list, mechanisms)
    };
    if !request.credential_use.intersects(CredentialUse::BOTH) {
        return Err(sspi_error(ApiMisuse::NoDirection));
    }
    Ok(NegotiateCredential {
        outbound: direction(CredentialUse::OUTBOUND, CredentialUse::INBOUND)?,
        inbound: direction(CredentialUse::INBOUND, CredentialUse::OUTBOUND)?,
        policy: None,
    })
}

fn acquire_direction(
    request: AcquireRequest<'_>,
    list: &PackageList<'_>,
    mechanisms: &SecurityFunctionTable,
) -> Result<Arc<[Candidate]>, trihound_sspi::Error> {
    let mut candidates = Vec::new();
    for info in mechanisms.enumerate_security_packages() {
        if !list.permits(&info.name) {
            continue;
        }
        let Some(mechanism) = mechanisms.mechanism(&info.name)? else {
            continue;
        };
        let acquired = mechanisms
            .acquire_credentials_handle(&info.name, request)
            .and_then(|acquired| mechanisms.own_credential(acquired.credential));
        candidates.push(match acquired {
            Ok(credential) => Candidate::Usable(Arc::new(Arm {
                info,
                mechanism,
                credential,
            })),
            Err(error) => {
                debug!(package = %info.name, %error, "{} has no credential: {error}", info.name);
                Candidate::Unusable(Attempt {
                    package: info.name.into_owned(),
                    error,
                    begun: false,
                })
            }
        });
    }
    usable_or_reasons(candidates)
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
