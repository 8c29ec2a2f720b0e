use core::fmt;

/// A status of SSPI, with the name and value that winerror.h gives it.
///
/// Values below 0x8000_0000 (`SEC_E_OK` and the `SEC_I_` ones) are successes, the others failures.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecurityStatus(u32);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)+) => {
        impl SecurityStatus {
            $($(#[$doc])* pub const $name: Self = Self($value);)+

            /// Every status that winerror.h names in its security block.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name in winerror.h; `None` for a value that it does not name.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)+
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    /// Done.
    SEC_E_OK = 0x0000_0000;
    /// The peer's answer is needed.
    SEC_I_CONTINUE_NEEDED = 0x0009_0312;
    /// CompleteAuthToken has to be called.
    SEC_I_COMPLETE_NEEDED = 0x0009_0313;
    /// CompleteAuthToken has to be called, and the peer's answer is needed.
    SEC_I_COMPLETE_AND_CONTINUE = 0x0009_0314;
    /// The logon was done without asking a domain controller.
    SEC_I_LOCAL_LOGON = 0x0009_0315;
    /// A generic TLS extension came.
    SEC_I_GENERIC_EXTENSION_RECEIVED = 0x0009_0316;
    /// The peer closed the context.
    SEC_I_CONTEXT_EXPIRED = 0x0009_0317;
    /// The peer asks for more credentials.
    SEC_I_INCOMPLETE_CREDENTIALS = 0x0009_0320;
    /// The peer asks for a new handshake.
    SEC_I_RENEGOTIATE = 0x0009_0321;
    /// No context of the local security authority belongs to this one.
    SEC_I_NO_LSA_CONTEXT = 0x0009_0323;
    /// A signature is needed before the call can go on.
    SEC_I_SIGNATURE_NEEDED = 0x0009_035C;
    /// The peer refuses a new handshake.
    SEC_I_NO_RENEGOTIATION = 0x0009_0360;
    /// A message was cut into fragments; this is not the last.
    SEC_I_MESSAGE_FRAGMENT = 0x0009_0364;
    /// The peer's answer is needed, and messages are possible already.
    SEC_I_CONTINUE_NEEDED_MESSAGE_OK = 0x0009_0366;
    /// A round trip is needed before the call can go on.
    SEC_I_ASYNC_CALL_PENDING = 0x0009_0368;
    /// A resource ran out.
    SEC_E_INSUFFICIENT_MEMORY = 0x8009_0300;
    /// A handle names nothing (any more).
    SEC_E_INVALID_HANDLE = 0x8009_0301;
    /// The function is not there.
    SEC_E_UNSUPPORTED_FUNCTION = 0x8009_0302;
    /// The target name is unknown or cannot be reached.
    SEC_E_TARGET_UNKNOWN = 0x8009_0303;
    /// A fault of the provider itself.
    SEC_E_INTERNAL_ERROR = 0x8009_0304;
    /// No such security package.
    SEC_E_SECPKG_NOT_FOUND = 0x8009_0305;
    /// The caller does not own what it asked to use.
    SEC_E_NOT_OWNER = 0x8009_0306;
    /// The package cannot be registered.
    SEC_E_CANNOT_INSTALL = 0x8009_0307;
    /// A token is malformed, or not of this package.
    SEC_E_INVALID_TOKEN = 0x8009_0308;
    /// The context or credential cannot be exported.
    SEC_E_CANNOT_PACK = 0x8009_0309;
    /// The quality of protection is not offered by this context.
    SEC_E_QOP_NOT_SUPPORTED = 0x8009_030A;
    /// The context does not allow impersonation.
    SEC_E_NO_IMPERSONATION = 0x8009_030B;
    /// The account, its secret or a policy refuses the logon.
    SEC_E_LOGON_DENIED = 0x8009_030C;
    /// The credentials are not of a kind that the package knows.
    SEC_E_UNKNOWN_CREDENTIALS = 0x8009_030D;
    /// There are no credentials.
    SEC_E_NO_CREDENTIALS = 0x8009_030E;
    /// A message does not verify.
    SEC_E_MESSAGE_ALTERED = 0x8009_030F;
    /// A message came twice, too late or out of order.
    SEC_E_OUT_OF_SEQUENCE = 0x8009_0310;
    /// No authority (a KDC, a domain controller) could be reached.
    SEC_E_NO_AUTHENTICATING_AUTHORITY = 0x8009_0311;
    /// The package identifier is wrong.
    SEC_E_BAD_PKGID = 0x8009_0316;
    /// The context's time is over.
    SEC_E_CONTEXT_EXPIRED = 0x8009_0317;
    /// The message is not whole yet.
    SEC_E_INCOMPLETE_MESSAGE = 0x8009_0318;
    /// More credentials are needed.
    SEC_E_INCOMPLETE_CREDENTIALS = 0x8009_0320;
    /// A buffer is too small; the same call with a larger one succeeds.
    SEC_E_BUFFER_TOO_SMALL = 0x8009_0321;
    /// The peer is not who was meant.
    SEC_E_WRONG_PRINCIPAL = 0x8009_0322;
    /// The clocks are too far apart.
    SEC_E_TIME_SKEW = 0x8009_0324;
    /// The certificate chain ends in an authority that is not trusted.
    SEC_E_UNTRUSTED_ROOT = 0x8009_0325;
    /// A message makes no sense here.
    SEC_E_ILLEGAL_MESSAGE = 0x8009_0326;
    /// A certificate cannot be processed.
    SEC_E_CERT_UNKNOWN = 0x8009_0327;
    /// A certificate has expired.
    SEC_E_CERT_EXPIRED = 0x8009_0328;
    /// Encryption failed.
    SEC_E_ENCRYPT_FAILURE = 0x8009_0329;
    /// Decryption failed.
    SEC_E_DECRYPT_FAILURE = 0x8009_0330;
    /// The two sides have no algorithm in common.
    SEC_E_ALGORITHM_MISMATCH = 0x8009_0331;
    /// The quality of service asked for was not reached.
    SEC_E_SECURITY_QOS_FAILED = 0x8009_0332;
    /// A context was deleted before its handshake ended.
    SEC_E_UNFINISHED_CONTEXT_DELETED = 0x8009_0333;
    /// The peer did not send the TGT that user-to-user authentication needs.
    SEC_E_NO_TGT_REPLY = 0x8009_0334;
    /// The host has no address.
    SEC_E_NO_IP_ADDRESSES = 0x8009_0335;
    /// The credential handle does not belong to the context.
    SEC_E_WRONG_CREDENTIAL_HANDLE = 0x8009_0336;
    /// The cryptographic system is not valid.
    SEC_E_CRYPTO_SYSTEM_INVALID = 0x8009_0337;
    /// Too many referrals.
    SEC_E_MAX_REFERRALS_EXCEEDED = 0x8009_0338;
    /// This has to be a KDC.
    SEC_E_MUST_BE_KDC = 0x8009_0339;
    /// The peer does not offer strong cryptography.
    SEC_E_STRONG_CRYPTO_NOT_SUPPORTED = 0x8009_033A;
    /// The KDC reply has more than one principal name.
    SEC_E_TOO_MANY_PRINCIPALS = 0x8009_033B;
    /// The KDC sent no pre-authentication data.
    SEC_E_NO_PA_DATA = 0x8009_033C;
    /// The certificate names another client.
    SEC_E_PKINIT_NAME_MISMATCH = 0x8009_033D;
    /// A smart card is required.
    SEC_E_SMARTCARD_LOGON_REQUIRED = 0x8009_033E;
    /// The system is going down.
    SEC_E_SHUTDOWN_IN_PROGRESS = 0x8009_033F;
    /// The KDC says that the request is not valid.
    SEC_E_KDC_INVALID_REQUEST = 0x8009_0340;
    /// The KDC cannot refer to another realm.
    SEC_E_KDC_UNABLE_TO_REFER = 0x8009_0341;
    /// The KDC does not know the encryption type.
    SEC_E_KDC_UNKNOWN_ETYPE = 0x8009_0342;
    /// No pre-authentication of the KDC is offered here.
    SEC_E_UNSUPPORTED_PREAUTH = 0x8009_0343;
    /// Delegation is required.
    SEC_E_DELEGATION_REQUIRED = 0x8009_0345;
    /// The channel bindings differ.
    SEC_E_BAD_BINDINGS = 0x8009_0346;
    /// Several accounts have the target name.
    SEC_E_MULTIPLE_ACCOUNTS = 0x8009_0347;
    /// There is no key that could open the ticket.
    SEC_E_NO_KERB_KEY = 0x8009_0348;
    /// A certificate is not for this use.
    SEC_E_CERT_WRONG_USAGE = 0x8009_0349;
    /// Somebody made the negotiation end in something weaker.
    SEC_E_DOWNGRADE_DETECTED = 0x8009_0350;
    /// The smart card's certificate is revoked.
    SEC_E_SMARTCARD_CERT_REVOKED = 0x8009_0351;
    /// The smart card's certificate comes from an authority that is not trusted.
    SEC_E_ISSUING_CA_UNTRUSTED = 0x8009_0352;
    /// Revocation of the smart card's certificate cannot be told.
    SEC_E_REVOCATION_OFFLINE_C = 0x8009_0353;
    /// The smart card's certificate was not accepted.
    SEC_E_PKINIT_CLIENT_FAILURE = 0x8009_0354;
    /// The smart card's certificate has expired.
    SEC_E_SMARTCARD_CERT_EXPIRED = 0x8009_0355;
    /// The KDC does not offer service-for-user.
    SEC_E_NO_S4U_PROT_SUPPORT = 0x8009_0356;
    /// Delegation does not reach into the other realm.
    SEC_E_CROSSREALM_DELEGATION_FAILURE = 0x8009_0357;
    /// Revocation of the KDC's certificate cannot be told.
    SEC_E_REVOCATION_OFFLINE_KDC = 0x8009_0358;
    /// The KDC's certificate comes from an authority that is not trusted.
    SEC_E_ISSUING_CA_UNTRUSTED_KDC = 0x8009_0359;
    /// The KDC's certificate has expired.
    SEC_E_KDC_CERT_EXPIRED = 0x8009_035A;
    /// The KDC's certificate is revoked.
    SEC_E_KDC_CERT_REVOKED = 0x8009_035B;
    /// An argument is not valid.
    SEC_E_INVALID_PARAMETER = 0x8009_035D;
    /// Policy forbids delegation to this target.
    SEC_E_DELEGATION_POLICY = 0x8009_035E;
    /// Policy allows NTLM only (winerror.h spells it so).
    SEC_E_POLICY_NLTM_ONLY = 0x8009_035F;
    /// There is no context.
    SEC_E_NO_CONTEXT = 0x8009_0361;
    /// A PKU2U certificate was not accepted.
    SEC_E_PKU2U_CERT_FAILURE = 0x8009_0362;
    /// The peer did not prove who it is.
    SEC_E_MUTUAL_AUTH_FAILED = 0x8009_0363;
    /// Only HTTPS is allowed.
    SEC_E_ONLY_HTTPS_ALLOWED = 0x8009_0365;
    /// The two sides have no application protocol in common.
    SEC_E_APPLICATION_PROTOCOL_MISMATCH = 0x8009_0367;
    /// The user principal name is not valid.
    SEC_E_INVALID_UPN_NAME = 0x8009_0369;
    /// The extension buffer is too small.
    SEC_E_EXT_BUFFER_TOO_SMALL = 0x8009_036A;
    /// More buffers are needed.
    SEC_E_INSUFFICIENT_BUFFERS = 0x8009_036B;
}

impl SecurityStatus {
    /// HRESULT_FROM_WIN32(ERROR_PASSWORD_RESTRICTION): a new password is refused, by the account's policy or
    /// because of who asks. No name of winerror.h's security block says that.
    pub const ERROR_PASSWORD_RESTRICTION: Self = Self(0x8007_052D);

    /// From the number of a `SECURITY_STATUS`, its bits unchanged.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The number, as winerror.h writes it.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The number as the signed `SECURITY_STATUS` of C.
    #[must_use]
    pub const fn as_i32(self) -> i32 {
        i32::from_ne_bytes(self.0.to_ne_bytes())
    }

    /// Whether it is `SEC_E_OK` or one of the `SEC_I_` values.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 < 0x8000_0000
    }
}

impl fmt::Display for SecurityStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None if *self == Self::ERROR_PASSWORD_RESTRICTION => {
                f.write_str("ERROR_PASSWORD_RESTRICTION")
            }
            None => write!(f, "status 0x{:08X}", self.0),
        }
    }
}

impl fmt::Debug for SecurityStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} (0x{:08X})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_names_share_a_value() {
        let values: HashSet<_> = SecurityStatus::ALL.iter().collect();
        assert_eq!(values.len(), SecurityStatus::ALL.len());
    }

    #[test]
    fn the_prefix_tells_success_from_failure() {
        for status in SecurityStatus::ALL {
            let name = status.name().unwrap();
            assert_eq!(
                status.is_success(),
                name.starts_with("SEC_I_") || name == "SEC_E_OK",
                "{name}"
            );
            assert_eq!(status.as_i32() >= 0, status.is_success());
        }
    }

    #[test]
    fn an_unnamed_value_shows_its_number() {
        let status = SecurityStatus::from_bits(0x8009_03FF);
        assert_eq!(status.name(), None);
        assert_eq!(status.to_string(), "status 0x800903FF");
        assert_eq!(
            format!("{:?}", SecurityStatus::SEC_E_LOGON_DENIED),
            "SEC_E_LOGON_DENIED (0x8009030C)"
        );
    }
}
