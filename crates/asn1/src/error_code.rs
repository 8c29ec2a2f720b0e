//! Numbers of `error-code` in a KRB-ERROR (RFC 4120 7.5.9, RFC 4556 3.1.3, RFC 6113 5, RFC 6806 7, RFC 8636 6,
//! draft-ietf-kitten-iakerb), their names, and what they mean for the one who gets them.

macro_rules! error_codes {
    ($($name:ident = $number:literal, $description:literal;)+) => {
        $(#[doc = concat!("The ", $description, ".")] pub const $name: i32 = $number;)+

        /// The standard's name of a number.
        #[must_use]
        pub const fn name(code: i32) -> Option<&'static str> {
            match code {
                $($number => Some(stringify!($name)),)+
                _ => None,
            }
        }

        /// What a number means, as a clause for people: without a capital and without a full stop.
        #[must_use]
        pub const fn describe(code: i32) -> Option<&'static str> {
            match code {
                $($number => Some(concat!("the ", $description)),)+
                _ => None,
            }
        }

        /// Every number that has a name, in order.
        pub const ALL: &[i32] = &[$($number),+];
    };
}

error_codes! {
    KDC_ERR_NONE = 0, "request had no error";
    KDC_ERR_NAME_EXP = 1, "client's entry in the KDC's database has expired";
    KDC_ERR_SERVICE_EXP = 2, "server's entry in the KDC's database has expired";
    KDC_ERR_BAD_PVNO = 3, "protocol version is not supported";
    KDC_ERR_C_OLD_MAST_KVNO = 4, "client's key is encrypted in an old master key";
    KDC_ERR_S_OLD_MAST_KVNO = 5, "server's key is encrypted in an old master key";
    KDC_ERR_C_PRINCIPAL_UNKNOWN = 6, "client is not in the Kerberos database";
    KDC_ERR_S_PRINCIPAL_UNKNOWN = 7, "server is not in the Kerberos database";
    KDC_ERR_PRINCIPAL_NOT_UNIQUE = 8, "Kerberos database has several entries of that name";
    KDC_ERR_NULL_KEY = 9, "client or server has no key";
    KDC_ERR_CANNOT_POSTDATE = 10, "ticket may not be postdated";
    KDC_ERR_NEVER_VALID = 11, "requested start time is later than the end time";
    KDC_ERR_POLICY = 12, "policy of the KDC rejects the request";
    KDC_ERR_BADOPTION = 13, "KDC cannot do what an option asks";
    KDC_ERR_ETYPE_NOSUPP = 14, "KDC has no support for any of the encryption types";
    KDC_ERR_SUMTYPE_NOSUPP = 15, "KDC has no support for the checksum type";
    KDC_ERR_PADATA_TYPE_NOSUPP = 16, "KDC has no support for the pre-authentication type";
    KDC_ERR_TRTYPE_NOSUPP = 17, "KDC has no support for the transited type";
    KDC_ERR_CLIENT_REVOKED = 18, "client's credentials are revoked: the account is locked or disabled";
    KDC_ERR_SERVICE_REVOKED = 19, "server's credentials are revoked";
    KDC_ERR_TGT_REVOKED = 20, "ticket-granting ticket is revoked";
    KDC_ERR_CLIENT_NOTYET = 21, "client is not valid yet";
    KDC_ERR_SERVICE_NOTYET = 22, "server is not valid yet";
    KDC_ERR_KEY_EXPIRED = 23, "password has expired and must be changed";
    KDC_ERR_PREAUTH_FAILED = 24, "pre-authentication failed: the password or key is wrong";
    KDC_ERR_PREAUTH_REQUIRED = 25, "KDC asks for further pre-authentication";
    KDC_ERR_SERVER_NOMATCH = 26, "server and the ticket do not match";
    KDC_ERR_MUST_USE_USER2USER = 27, "server takes user-to-user authentication only";
    KDC_ERR_PATH_NOT_ACCEPTED = 28, "KDC does not accept the path of realms";
    KDC_ERR_SVC_UNAVAILABLE = 29, "service is not available";
    KRB_AP_ERR_BAD_INTEGRITY = 31, "integrity check of decrypted data failed: the keys differ";
    KRB_AP_ERR_TKT_EXPIRED = 32, "ticket has expired";
    KRB_AP_ERR_TKT_NYV = 33, "ticket is not valid yet";
    KRB_AP_ERR_REPEAT = 34, "request is a replay";
    KRB_AP_ERR_NOT_US = 35, "ticket is not for this server";
    KRB_AP_ERR_BADMATCH = 36, "ticket and the authenticator name different clients";
    KRB_AP_ERR_SKEW = 37, "clocks differ too much";
    KRB_AP_ERR_BADADDR = 38, "network address is not one of the ticket's";
    KRB_AP_ERR_BADVERSION = 39, "protocol version is another";
    KRB_AP_ERR_MSG_TYPE = 40, "message type is invalid";
    KRB_AP_ERR_MODIFIED = 41, "message was modified, or is under another key than the server's";
    KRB_AP_ERR_BADORDER = 42, "message is out of order";
    KRB_AP_ERR_BADKEYVER = 44, "server has no key of the version that the ticket names";
    KRB_AP_ERR_NOKEY = 45, "server has no key for the ticket";
    KRB_AP_ERR_MUT_FAIL = 46, "mutual authentication failed";
    KRB_AP_ERR_BADDIRECTION = 47, "message has the wrong direction";
    KRB_AP_ERR_METHOD = 48, "server asks for another method of authentication";
    KRB_AP_ERR_BADSEQ = 49, "sequence number is wrong";
    KRB_AP_ERR_INAPP_CKSUM = 50, "checksum type is not fit for the message";
    KRB_AP_PATH_NOT_ACCEPTED = 51, "server does not accept the path of realms";
    KRB_ERR_RESPONSE_TOO_BIG = 52, "reply is too big for a datagram; ask again over TCP";
    KRB_ERR_GENERIC = 60, "peer met an error that has no number; its text may say more";
    KRB_ERR_FIELD_TOOLONG = 61, "request has a field that is too long for the peer";
    KDC_ERR_CLIENT_NOT_TRUSTED = 62, "KDC does not trust the issuer of the client's certificate";
    KDC_ERR_KDC_NOT_TRUSTED = 63, "KDC has no certificate that the client trusts";
    KDC_ERR_INVALID_SIG = 64, "signature of the request is not valid";
    KDC_ERR_DH_KEY_PARAMETERS_NOT_ACCEPTED = 65, "KDC does not accept the Diffie-Hellman parameters";
    KDC_ERR_CERTIFICATE_MISMATCH = 66, "certificate does not belong to the client";
    KRB_AP_ERR_NO_TGT = 67, "server has no ticket-granting ticket for user-to-user authentication";
    KDC_ERR_WRONG_REALM = 68, "client belongs to another realm; ask the KDC of the realm that the reply names";
    KRB_AP_ERR_USER_TO_USER_REQUIRED = 69, "server asks for user-to-user authentication";
    KDC_ERR_CANT_VERIFY_CERTIFICATE = 70, "KDC cannot verify the chain of the client's certificate";
    KDC_ERR_INVALID_CERTIFICATE = 71, "KDC found a certificate of the chain not valid";
    KDC_ERR_REVOKED_CERTIFICATE = 72, "KDC found a certificate of the chain revoked";
    KDC_ERR_REVOCATION_STATUS_UNKNOWN = 73, "KDC cannot tell whether a certificate is revoked";
    KDC_ERR_REVOCATION_STATUS_UNAVAILABLE = 74, "KDC cannot reach the certificate's revocation service";
    KDC_ERR_CLIENT_NAME_MISMATCH = 75, "certificate names another client";
    KDC_ERR_KDC_NAME_MISMATCH = 76, "certificate names another KDC";
    KDC_ERR_INCONSISTENT_KEY_PURPOSE = 77, "client's certificate is not made for logging in";
    KDC_ERR_DIGEST_IN_CERT_NOT_ACCEPTED = 78, "KDC does not accept the hash in the certificate's signature";
    KDC_ERR_PA_CHECKSUM_MUST_BE_INCLUDED = 79, "KDC asks for the checksum in the request of PKINIT";
    KDC_ERR_DIGEST_IN_SIGNED_DATA_NOT_ACCEPTED = 80, "KDC does not accept the hash in the request's signature";
    KDC_ERR_PUBLIC_KEY_ENCRYPTION_NOT_SUPPORTED = 81, "KDC has no support for public-key encryption in PKINIT";
    KRB_AP_ERR_IAKERB_KDC_NOT_FOUND = 85, "acceptor found no KDC for the client";
    KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE = 86, "KDC did not answer the acceptor";
    KDC_ERR_PREAUTH_EXPIRED = 90, "pre-authentication took too long and must begin again";
    KDC_ERR_MORE_PREAUTH_DATA_REQUIRED = 91, "KDC asks for another round of pre-authentication";
    KDC_ERR_PREAUTH_BAD_AUTHENTICATION_SET = 92, "KDC does not know the set of pre-authentication mechanisms";
    KDC_ERR_UNKNOWN_CRITICAL_FAST_OPTIONS = 93, "KDC does not know a critical option of FAST";
    KDC_ERR_NO_ACCEPTABLE_KDF = 100, "client and the KDC share no key derivation function for PKINIT";
}
