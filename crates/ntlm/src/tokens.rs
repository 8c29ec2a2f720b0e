//! Single messages outside of any context, for known-answer tests and for tools that look into a capture.
//!
//! A context keeps a key stream that goes on from message to message; here every message begins one.

use trihound_secret::{SecretArray, SecretBytes};

use crate::NegotiateFlags;
use crate::compute::{self, SessionKey, Side};
use crate::session::{
    SIGNATURE_LENGTH, SealKey, SessionError, TokenSigner, TokenTrack, TokenTreatment, Whole,
};

/// The keys of one direction.
#[derive(Debug)]
pub struct MessageKeys {
    sealing: SealKey,
    /// `None` without extended session security.
    signing: Option<SessionKey>,
    encrypts_checksum: bool,
}

impl MessageKeys {
    /// The keys that `sender` protects its messages with.
    #[must_use]
    pub fn new(flags: NegotiateFlags, exported: &SessionKey, sender: Side) -> Self {
        Self {
            sealing: SealKey::new(compute::seal_key(flags, exported, sender)),
            signing: compute::sign_key(flags, exported, sender),
            encrypts_checksum: flags.contains(NegotiateFlags::NEGOTIATE_KEY_EXCH),
        }
    }

    /// Keys of extended session security that are at hand already.
    #[must_use]
    pub fn extended(sealing: [u8; 16], signing: [u8; 16], encrypts_checksum: bool) -> Self {
        Self {
            sealing: SealKey::new(SecretBytes::from(sealing.as_slice())),
            signing: Some(SecretArray::from(signing)),
            encrypts_checksum,
        }
    }

    /// A key without extended session security that is at hand already, of 8 or 16 bytes.
    #[must_use]
    pub const fn legacy(sealing: SecretBytes) -> Self {
        Self {
            sealing: SealKey::new(sealing),
            signing: None,
            encrypts_checksum: true,
        }
    }

    fn track(&self, number: u32) -> TokenTrack {
        let key = self
            .signing
            .as_ref()
            .map(|key| SecretArray::from(*key.expose()));
        let signer = TokenSigner::new(key, self.encrypts_checksum);
        TokenTrack::starting_at(signer, self.sealing.duplicate(), number)
    }

    /// Encrypts `message` in place; the value is its signature (MS-NLMP section 3.4.3).
    ///
    /// # Errors
    ///
    /// None today.
    pub fn seal(
        &self,
        number: u32,
        message: &mut [u8],
    ) -> Result<[u8; SIGNATURE_LENGTH], SessionError> {
        self.track(number)
            .protect(TokenTreatment::Seal, &mut Whole(message), number)
    }

    /// The signature of `message` (MS-NLMP section 3.4.2).
    ///
    /// # Errors
    ///
    /// None today.
    pub fn sign(
        &self,
        number: u32,
        message: &[u8],
    ) -> Result<[u8; SIGNATURE_LENGTH], SessionError> {
        let mut copy = SecretBytes::from(message);
        self.track(number)
            .protect(TokenTreatment::Sign, &mut Whole(copy.expose_mut()), number)
    }

    /// Decrypts `message` in place.
    ///
    /// # Errors
    ///
    /// What is wrong with it; `message` is zeros then.
    pub fn unseal(
        &self,
        number: u32,
        message: &mut [u8],
        signature: &[u8],
    ) -> Result<(), SessionError> {
        let how = [TokenTreatment::Open];
        self.track(number)
            .open(&how, &mut Whole(message), signature, number, true)
            .map(|_| ())
    }

    /// Checks the signature of `message`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn verify(
        &self,
        number: u32,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SessionError> {
        let mut copy = SecretBytes::from(message);
        let how = [TokenTreatment::Sign];
        self.track(number)
            .open(&how, &mut Whole(copy.expose_mut()), signature, number, true)
            .map(|_| ())
    }
}
