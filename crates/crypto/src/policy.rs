use crate::{Enctype, Error, Status, profile};

/// Which enctypes may be used, in order of preference, and how careful string-to-key is.
///
/// The default permits aes256- and aes128-cts-hmac-sha1-96, then aes256-cts-hmac-sha384-192 and
/// aes128-cts-hmac-sha256-128: every Recommended enctype, the one that all peers have first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnctypePolicy {
    enctypes: Vec<Enctype>,
    weak_iterations: bool,
}

impl Default for EnctypePolicy {
    fn default() -> Self {
        Self {
            enctypes: profile::DEFAULT_ORDER.to_vec(),
            weak_iterations: false,
        }
    }
}

impl EnctypePolicy {
    /// A policy of exactly these enctypes, most preferred first; a repeated one counts once.
    ///
    /// # Errors
    /// [`Error::NoEnctype`] for an empty list, [`Error::UnknownEnctype`] and [`Error::WeakEnctype`].
    pub fn only(enctypes: &[Enctype]) -> Result<Self, Error> {
        Self::listing(enctypes, Status::may_be_listed)
    }

    fn listing(enctypes: &[Enctype], accepts: fn(Status) -> bool) -> Result<Self, Error> {
        let mut listed = Vec::with_capacity(enctypes.len());
        for &enctype in enctypes {
            let profile = enctype.profile().ok_or(Error::UnknownEnctype(enctype))?;
            // RFC 8429 sections 4 and 6: RC4 is not to be used; only a named exception brings it back.
            if !accepts(profile.status) {
                return Err(Error::WeakEnctype(enctype));
            }
            if !listed.contains(&enctype) {
                listed.push(enctype);
            }
        }
        if listed.is_empty() {
            return Err(Error::NoEnctype);
        }
        Ok(Self {
            enctypes: listed,
            weak_iterations: false,
        })
    }

    /// Whether the enctype is on the list.
    #[must_use]
    pub fn permits(&self, enctype: Enctype) -> bool {
        self.enctypes.contains(&enctype)
    }

    /// Refuses what is not on the list.
    ///
    /// # Errors
    /// [`Error::UnknownEnctype`], [`Error::WeakEnctype`] or [`Error::NotPermitted`], whichever tells most.
    pub fn check(&self, enctype: Enctype) -> Result<(), Error> {
        if self.permits(enctype) {
            return Ok(());
        }
        Err(match enctype.profile() {
            None => Error::UnknownEnctype(enctype),
            Some(profile) if !profile.status.may_be_listed() => Error::WeakEnctype(enctype),
            Some(_) => Error::NotPermitted(enctype),
        })
    }

    /// The permitted enctypes, most preferred first; never empty.
    #[must_use]
    pub fn enctypes(&self) -> &[Enctype] {
        &self.enctypes
    }

    /// Whether string-to-key takes iteration counts below the enctype's default.
    #[must_use]
    pub fn weak_iterations_allowed(&self) -> bool {
        self.weak_iterations
    }
}

/// What weakens a policy, each by its own name. Nothing else in the crate does.
pub mod danger {
    use super::EnctypePolicy;
    use crate::{Enctype, Error};

    /// A policy of exactly these enctypes, most preferred first, whatever their status; a repeated
    /// one counts once.
    ///
    /// # Errors
    /// [`Error::NoEnctype`] for an empty list and [`Error::UnknownEnctype`].
    pub fn only_with_weak(enctypes: &[Enctype]) -> Result<EnctypePolicy, Error> {
        EnctypePolicy::listing(enctypes, |_| true)
    }

    /// Adds enctypes to the end of the list whatever their status. Unsupported numbers stay out:
    /// no permission makes a key of them.
    #[must_use]
    pub fn permit_weak_enctypes(mut policy: EnctypePolicy, add: &[Enctype]) -> EnctypePolicy {
        for &enctype in add {
            if enctype.profile().is_some() && !policy.permits(enctype) {
                policy.enctypes.push(enctype);
            }
        }
        policy
    }

    /// Takes string-to-key iteration counts from 1 on, which a KDC that an attacker plays could ask for
    /// to make the password easier to guess.
    #[must_use]
    pub fn permit_weak_iteration_counts(mut policy: EnctypePolicy) -> EnctypePolicy {
        policy.weak_iterations = true;
        policy
    }
}
