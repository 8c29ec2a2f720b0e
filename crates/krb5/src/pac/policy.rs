//! What an acceptor wants of the PAC, and what it found.

use std::sync::Arc;

use super::{Pac, PacCheck, PacVerified, TicketClient, UnverifiedPac};
use crate::{Error, Policy, Principal};
use trihound_asn1::EncTicketPart;
use trihound_crypto::Key;

/// What an acceptor does about the PAC in a client's ticket (conformance row 43).
///
/// A PAC that is there and does not verify refuses the login under every policy but
/// [`super::danger::ignore_pacs`]: a KDC never makes one, so somebody altered the ticket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacPolicy(Wanted);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wanted {
    Ignored,
    #[default]
    IfPresent,
    Required,
    UserSid,
}

impl PacPolicy {
    /// Verified where there is one, as MIT KDCs before 1.20 and clients that ask for none leave it out.
    /// This is the default.
    pub const IF_PRESENT: Self = Self(Wanted::IfPresent);
    /// A ticket without one is refused: in Active Directory a service that goes by groups or SIDs must
    /// not take the lack of them for an answer (CVE-2020-25719).
    pub const REQUIRED: Self = Self(Wanted::Required);
    /// So is one whose PAC does not say the client's SID, as those of KDCs that are no domain
    /// controllers: for services that know users by their SID (conformance row 44).
    pub const USER_SID_REQUIRED: Self = Self(Wanted::UserSid);

    pub(super) const IGNORED: Self = Self(Wanted::Ignored);

    /// Holds the PAC of a ticket against the policy and the ticket.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPac`], [`Error::PacNotTrusted`], [`Policy::PacMissing`],
    /// [`Policy::PacWithoutUserSid`].
    pub fn check(
        self,
        pac: Option<&[u8]>,
        ticket: &EncTicketPart,
        ticket_key: &Key,
    ) -> Result<TicketPac, Error> {
        let client = || {
            Principal {
                realm: ticket.crealm.clone(),
                name: ticket.cname.clone(),
            }
            .to_string()
        };
        let bytes = match (self.0, pac) {
            (Wanted::Ignored, _) => return Ok(TicketPac::Ignored(PacIgnored(()))),
            (Wanted::IfPresent, None) => return Ok(TicketPac::Absent(PacAbsent(()))),
            // Conformance row 43: what must be there is not there.
            (Wanted::Required | Wanted::UserSid, None) => {
                return Err(Policy::PacMissing { client: client() }.into());
            }
            (_, Some(bytes)) => bytes,
        };
        let check = PacCheck::of_service(ticket_key, TicketClient::of(ticket));
        let (pac, proof) = UnverifiedPac::parse(bytes)?.verify(&check)?;
        // Conformance row 44: no SID, nobody who could be told from a namesake.
        if self.0 == Wanted::UserSid && pac.user_sid().is_none() {
            return Err(Policy::PacWithoutUserSid { client: client() }.into());
        }
        Ok(TicketPac::Verified(Arc::new(pac), proof))
    }
}

/// Proof that a ticket has no PAC and policy lets that pass.
#[derive(Debug)]
pub struct PacAbsent(());

/// Proof that policy has PACs ignored.
#[derive(Debug)]
pub struct PacIgnored(());

/// What became of the PAC of a ticket.
#[derive(Debug)]
pub enum TicketPac {
    /// It may be believed.
    Verified(Arc<Pac>, PacVerified),
    /// There is none: nobody vouches for anything but the client's name.
    Absent(PacAbsent),
    /// It was not looked at.
    Ignored(PacIgnored),
}

impl TicketPac {
    /// What a verified PAC says; `None` where there is none.
    #[must_use]
    pub fn verified(&self) -> Option<&Arc<Pac>> {
        match self {
            Self::Verified(pac, _) => Some(pac),
            Self::Absent(_) | Self::Ignored(_) => None,
        }
    }
}
