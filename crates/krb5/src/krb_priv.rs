//! KRB-PRIV: data that nobody on the way can read or alter (RFC 4120 section 3.5).

use trihound_asn1::{EncKrbPrivPart, EncryptedData, HostAddress, KrbPriv, Message, UInt32};
use trihound_crypto::{Enctype, Key, KeyUsage};
use trihound_secret::SecretBytes;

use crate::{Environment, Error, KpasswdMisbehaved};

/// Builds a KRB-PRIV with a sequence number and without a time, as the password service expects it.
///
/// # Errors
///
/// Failing randomness, or a message that cannot be encoded.
pub fn build_krb_priv(
    user_data: &[u8],
    key: &Key,
    sequence: u32,
    sender: HostAddress,
    environment: &Environment,
) -> Result<Vec<u8>, Error> {
    let part = EncKrbPrivPart {
        user_data: user_data.into(),
        timestamp: None,
        usec: None,
        seq_number: Some(UInt32::new(sequence)),
        s_address: sender,
        r_address: None,
    };
    let plain = SecretBytes::from(part.to_der()?);
    let cipher = key
        .encrypt(
            KeyUsage::KRB_PRIV_ENC_PART,
            plain.expose(),
            &*environment.random,
        )
        .map_err(Error::crypto("encryption of the KRB-PRIV"))?;
    Ok(KrbPriv::new(EncryptedData::new(key.enctype().0, None, cipher)).to_der()?)
}

/// Opens a KRB-PRIV. Its time, sequence number and addresses are still to be looked at.
///
/// # Errors
///
/// [`KpasswdMisbehaved::PrivateDoesNotDecrypt`]; [`crate::InvalidMessage`] for bytes that are none.
pub fn read_krb_priv(der: &[u8], key: &Key) -> Result<EncKrbPrivPart, Error> {
    let message = KrbPriv::from_der(der)?;
    // RFC 4120 5.2.9: etype is the type of the key that the data is encrypted in.
    if Enctype(message.enc_part.etype) != key.enctype() {
        return Err(KpasswdMisbehaved::PrivateDoesNotDecrypt.into());
    }
    let plain = key
        .decrypt(KeyUsage::KRB_PRIV_ENC_PART, &message.enc_part.cipher)
        .map_err(|_| KpasswdMisbehaved::PrivateDoesNotDecrypt)?;
    Ok(EncKrbPrivPart::from_der(plain.expose())?)
}
