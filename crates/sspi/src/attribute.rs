use std::sync::Arc;

use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use crate::{AccessToken, EstablishedAttributes, Expiry, SecPkgInfo};

macro_rules! context_attributes {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)+) => {
        /// What QueryContextAttributes and SetContextAttributes are asked for: the `SECPKG_ATTR_`
        /// numbers of sspi.h.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ContextAttribute {
            $($(#[$doc])* $name = $number,)+
        }

        impl ContextAttribute {
            /// Every attribute.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The attribute of a `SECPKG_ATTR_` number.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// The `SECPKG_ATTR_` number.
            #[must_use]
            pub const fn number(self) -> u32 {
                self as u32
            }
        }
    };
}

context_attributes! {
    /// Sizes of tokens and messages.
    Sizes = 0;
    /// Who the client is.
    Names = 1;
    /// From when to when the context is valid.
    Lifespan = 2;
    /// For DCE RPC.
    DceInfo = 3;
    /// Sizes of stream records.
    StreamSizes = 4;
    /// The algorithms and the key's size.
    KeyInfo = 5;
    /// Who authenticated the peer.
    Authority = 6;
    /// When the client's password ends.
    PasswordExpiry = 8;
    /// The session key.
    SessionKey = 9;
    /// The package of the context.
    PackageInfo = 10;
    /// Flags of the client's account.
    UserFlags = 11;
    /// How negotiation went.
    NegotiationInfo = 12;
    /// The names of both sides in the package's own form.
    NativeNames = 13;
    /// The attributes that were negotiated.
    Flags = 14;
    /// Information about the target.
    TargetInformation = 17;
    /// The client's access token.
    AccessToken = 18;
    /// The channel binding of kind tls-unique.
    UniqueBindings = 25;
    /// The channel binding of kind tls-server-end-point.
    EndpointBindings = 26;
    /// The target name that the client gave.
    ClientSpecifiedTarget = 27;
    /// Whether the client sends one more token.
    LastClientTokenStatus = 30;
}

/// The value of a [`ContextAttribute`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ContextAttributeValue {
    /// `SecPkgContext_Sizes`.
    Sizes(SecPkgContextSizes),
    /// `SecPkgContext_Names`: the client's name.
    Names(String),
    /// `SecPkgContext_Lifespan`.
    Lifespan(SecPkgContextLifespan),
    /// `SecPkgContext_DceInfo`.
    DceInfo(SecPkgContextDceInfo),
    /// `SecPkgContext_StreamSizes`.
    StreamSizes(SecPkgContextStreamSizes),
    /// `SecPkgContext_KeyInfo`.
    KeyInfo(SecPkgContextKeyInfo),
    /// `SecPkgContext_Authority`: its name, such as a realm.
    Authority(String),
    /// `SecPkgContext_PasswordExpiry`.
    PasswordExpiry(Timestamp),
    /// `SecPkgContext_SessionKey`.
    SessionKey(SecretBytes),
    /// `SecPkgContext_PackageInfo`.
    PackageInfo(SecPkgInfo),
    /// `SecPkgContext_UserFlags`.
    UserFlags(u32),
    /// `SecPkgContext_NegotiationInfo`.
    NegotiationInfo(SecPkgContextNegotiationInfo),
    /// `SecPkgContext_NativeNames`.
    NativeNames(SecPkgContextNativeNames),
    /// `SecPkgContext_Flags`.
    Flags(EstablishedAttributes),
    /// `SecPkgContext_TargetInformation`.
    TargetInformation(Vec<u8>),
    /// `SecPkgContext_AccessToken`.
    AccessToken(Arc<AccessToken>),
    /// `SecPkgContext_Bindings`, kind tls-unique.
    UniqueBindings(Vec<u8>),
    /// `SecPkgContext_Bindings`, kind tls-server-end-point.
    EndpointBindings(Vec<u8>),
    /// `SecPkgContext_ClientSpecifiedTarget`: the target name.
    ClientSpecifiedTarget(String),
    /// `SecPkgContext_LastClientTokenStatus`.
    LastClientTokenStatus(LastClientTokenStatus),
}

impl ContextAttributeValue {
    /// Which attribute this is a value of.
    #[must_use]
    pub const fn attribute(&self) -> ContextAttribute {
        match self {
            Self::Sizes(_) => ContextAttribute::Sizes,
            Self::Names(_) => ContextAttribute::Names,
            Self::Lifespan(_) => ContextAttribute::Lifespan,
            Self::DceInfo(_) => ContextAttribute::DceInfo,
            Self::StreamSizes(_) => ContextAttribute::StreamSizes,
            Self::KeyInfo(_) => ContextAttribute::KeyInfo,
            Self::Authority(_) => ContextAttribute::Authority,
            Self::PasswordExpiry(_) => ContextAttribute::PasswordExpiry,
            Self::SessionKey(_) => ContextAttribute::SessionKey,
            Self::PackageInfo(_) => ContextAttribute::PackageInfo,
            Self::UserFlags(_) => ContextAttribute::UserFlags,
            Self::NegotiationInfo(_) => ContextAttribute::NegotiationInfo,
            Self::NativeNames(_) => ContextAttribute::NativeNames,
            Self::Flags(_) => ContextAttribute::Flags,
            Self::TargetInformation(_) => ContextAttribute::TargetInformation,
            Self::AccessToken(_) => ContextAttribute::AccessToken,
            Self::UniqueBindings(_) => ContextAttribute::UniqueBindings,
            Self::EndpointBindings(_) => ContextAttribute::EndpointBindings,
            Self::ClientSpecifiedTarget(_) => ContextAttribute::ClientSpecifiedTarget,
            Self::LastClientTokenStatus(_) => ContextAttribute::LastClientTokenStatus,
        }
    }
}

/// `SecPkgContext_Sizes`, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecPkgContextSizes {
    /// `cbMaxToken`: no handshake token is longer.
    pub max_token: u32,
    /// `cbMaxSignature`: no token of MakeSignature is longer.
    pub max_signature: u32,
    /// `cbBlockSize`: a PADDING buffer of this size suffices.
    pub block_size: u32,
    /// `cbSecurityTrailer`: the size that the TOKEN buffer of EncryptMessage needs.
    pub security_trailer: u32,
}

/// `SecPkgContext_Lifespan`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecPkgContextLifespan {
    /// `tsStart`.
    pub start: Timestamp,
    /// `tsExpiry`.
    pub expiry: Expiry,
}

/// `SecPkgContext_DceInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecPkgContextDceInfo {
    /// `AuthzSvc`.
    pub authorization_service: u32,
    /// `pPac`.
    pub pac: Vec<u8>,
}

/// `SecPkgContext_StreamSizes`, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecPkgContextStreamSizes {
    /// `cbHeader`.
    pub header: u32,
    /// `cbTrailer`.
    pub trailer: u32,
    /// `cbMaximumMessage`.
    pub maximum_message: u32,
    /// `cBuffers`: how many buffers a call takes.
    pub buffers: u32,
    /// `cbBlockSize`.
    pub block_size: u32,
}

/// `SecPkgContext_KeyInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecPkgContextKeyInfo {
    /// `sSignatureAlgorithmName`.
    pub signature_algorithm_name: String,
    /// `sEncryptAlgorithmName`.
    pub encrypt_algorithm_name: String,
    /// `KeySize`, in bits.
    pub key_size: u32,
    /// `SignatureAlgorithm`: for Kerberos the checksum type.
    pub signature_algorithm: u32,
    /// `EncryptAlgorithm`: for Kerberos the encryption type.
    pub encrypt_algorithm: u32,
}

/// `SecPkgContext_NegotiationInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecPkgContextNegotiationInfo {
    /// The package that was chosen.
    pub package: SecPkgInfo,
    /// `NegotiationState`.
    pub state: NegotiationState,
}

/// `NegotiationState` of `SecPkgContext_NegotiationInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NegotiationState {
    /// SECPKG_NEGOTIATION_COMPLETE.
    Complete = 0,
    /// SECPKG_NEGOTIATION_OPTIMISTIC.
    Optimistic = 1,
    /// SECPKG_NEGOTIATION_IN_PROGRESS.
    InProgress = 2,
    /// SECPKG_NEGOTIATION_DIRECT: there was no negotiation.
    Direct = 3,
    /// SECPKG_NEGOTIATION_TRY_MULTICRED.
    TryMulticred = 4,
}

/// `SecPkgContext_NativeNames`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecPkgContextNativeNames {
    /// `sClientName`.
    pub client_name: String,
    /// `sServerName`.
    pub server_name: String,
}

/// `SecPkgAttrLastClientTokenStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastClientTokenStatus {
    /// The token at hand is the client's last.
    Yes = 0,
    /// One more comes.
    No = 1,
    /// It cannot be told.
    Maybe = 2,
}

#[cfg(test)]
mod tests {
    use trihound_sansio::Timestamp;

    use super::*;
    use crate::{ImpersonationLevel, InitiatorAttributes, SECPKG_ID_NONE, SecPkgCapabilities};

    fn one_of_each() -> Vec<(ContextAttributeValue, u32)> {
        let package = || SecPkgInfo {
            capabilities: SecPkgCapabilities::empty(),
            version: 1,
            rpc_id: SECPKG_ID_NONE,
            max_token: 0,
            name: "Toy".into(),
            comment: "".into(),
        };
        let key_info = SecPkgContextKeyInfo {
            signature_algorithm_name: String::new(),
            encrypt_algorithm_name: String::new(),
            key_size: 0,
            signature_algorithm: 0,
            encrypt_algorithm: 0,
        };
        let negotiation = SecPkgContextNegotiationInfo {
            package: package(),
            state: NegotiationState::Direct,
        };
        let native = SecPkgContextNativeNames {
            client_name: String::new(),
            server_name: String::new(),
        };
        let lifespan = SecPkgContextLifespan {
            start: Timestamp::default(),
            expiry: Expiry::Never,
        };
        let dce = SecPkgContextDceInfo {
            authorization_service: 0,
            pac: vec![],
        };
        let flags = EstablishedAttributes::Initiator(InitiatorAttributes::empty());
        let token = AccessToken::new("Toy", "", "", ImpersonationLevel::Anonymous);
        use ContextAttributeValue as V;
        vec![
            (V::Sizes(SecPkgContextSizes::default()), 0),
            (V::Names(String::new()), 1),
            (V::Lifespan(lifespan), 2),
            (V::DceInfo(dce), 3),
            (V::StreamSizes(SecPkgContextStreamSizes::default()), 4),
            (V::KeyInfo(key_info), 5),
            (V::Authority(String::new()), 6),
            (V::PasswordExpiry(Timestamp::default()), 8),
            (V::SessionKey(SecretBytes::default()), 9),
            (V::PackageInfo(package()), 10),
            (V::UserFlags(0), 11),
            (V::NegotiationInfo(negotiation), 12),
            (V::NativeNames(native), 13),
            (V::Flags(flags), 14),
            (V::TargetInformation(vec![]), 17),
            (V::AccessToken(Arc::new(token)), 18),
            (V::UniqueBindings(vec![]), 25),
            (V::EndpointBindings(vec![]), 26),
            (V::ClientSpecifiedTarget(String::new()), 27),
            (V::LastClientTokenStatus(LastClientTokenStatus::Yes), 30),
        ]
    }

    #[test]
    fn each_value_names_its_attribute_and_each_attribute_its_number() {
        let values = one_of_each();
        assert_eq!(values.len(), ContextAttribute::ALL.len());
        for ((value, number), attribute) in values.iter().zip(ContextAttribute::ALL) {
            assert_eq!(value.attribute(), *attribute);
            assert_eq!(attribute.number(), *number);
            assert_eq!(ContextAttribute::from_number(*number), Some(*attribute));
        }
        assert_eq!(ContextAttribute::from_number(7), None);
        assert_eq!(ContextAttribute::from_number(u32::MAX), None);
    }

    #[test]
    fn a_session_key_is_not_printed() {
        let key = ContextAttributeValue::SessionKey(SecretBytes::from(&b"hunter2"[..]));
        assert_eq!(format!("{key:?}"), "SessionKey(SecretBytes(7 bytes))");
    }
}
