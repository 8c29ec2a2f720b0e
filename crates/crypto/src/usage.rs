/// A key usage number (RFC 4120 section 7.5.1): the same key gives another derived key for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyUsage(pub u32);

impl KeyUsage {
    /// PA-ENC-TIMESTAMP, with the client key (RFC 4120 section 5.2.7.2).
    pub const AS_REQ_PA_ENC_TIMESTAMP: Self = Self(1);
    /// A ticket's encrypted part, with the service key (RFC 4120 section 5.3).
    pub const KDC_REP_TICKET: Self = Self(2);
    /// An AS-REP's encrypted part, with the client key (RFC 4120 section 5.4.2).
    pub const AS_REP_ENC_PART: Self = Self(3);
    /// A TGS-REQ's authorization data, with the session key (RFC 4120 section 5.4.1).
    pub const TGS_REQ_AD_SESSKEY: Self = Self(4);
    /// A TGS-REQ's authorization data, with the authenticator's sub-key (RFC 4120 section 5.4.1).
    pub const TGS_REQ_AD_SUBKEY: Self = Self(5);
    /// The checksum in a PA-TGS-REQ's authenticator, with the session key (RFC 4120 section 5.5.1).
    pub const TGS_REQ_AUTH_CKSUM: Self = Self(6);
    /// A PA-TGS-REQ's authenticator, with the session key (RFC 4120 section 5.5.1).
    pub const TGS_REQ_AUTH: Self = Self(7);
    /// A TGS-REP's encrypted part, with the session key (RFC 4120 section 5.4.2).
    pub const TGS_REP_ENC_PART_SESSKEY: Self = Self(8);
    /// A TGS-REP's encrypted part, with the authenticator's sub-key (RFC 4120 section 5.4.2).
    pub const TGS_REP_ENC_PART_SUBKEY: Self = Self(9);
    /// The checksum in an AP-REQ's authenticator, with the session key (RFC 4120 section 5.5.1).
    pub const AP_REQ_AUTH_CKSUM: Self = Self(10);
    /// An AP-REQ's authenticator, with the session key (RFC 4120 section 5.5.1).
    pub const AP_REQ_AUTH: Self = Self(11);
    /// An AP-REP's encrypted part, with the session key (RFC 4120 section 5.5.2).
    pub const AP_REP_ENC_PART: Self = Self(12);
    /// A KRB-PRIV's encrypted part (RFC 4120 section 5.7.1).
    pub const KRB_PRIV_ENC_PART: Self = Self(13);
    /// A KRB-CRED's encrypted part (RFC 4120 section 5.8.1).
    pub const KRB_CRED_ENC_PART: Self = Self(14);
    /// A KRB-SAFE's checksum (RFC 4120 section 5.6.1).
    pub const KRB_SAFE_CKSUM: Self = Self(15);
    /// Other encryption; PAC signatures and the checksum of PA-FOR-USER use the number 17
    /// (RFC 4120 section 7.5.1, MS-PAC section 2.8, MS-SFU section 2.2.1).
    pub const KERB_NON_KERB_CKSUM_SALT: Self = Self(17);
    /// The checksum of AD-KDC-ISSUED (RFC 4120 section 5.2.6.2).
    pub const AD_KDC_ISSUED_CKSUM: Self = Self(19);
    /// A sealed token from the acceptor (RFC 4121 section 2, KG-USAGE-ACCEPTOR-SEAL).
    pub const ACCEPTOR_SEAL: Self = Self(22);
    /// A signed token from the acceptor (RFC 4121 section 2, KG-USAGE-ACCEPTOR-SIGN).
    pub const ACCEPTOR_SIGN: Self = Self(23);
    /// A sealed token from the initiator (RFC 4121 section 2, KG-USAGE-INITIATOR-SEAL).
    pub const INITIATOR_SEAL: Self = Self(24);
    /// A signed token from the initiator (RFC 4121 section 2, KG-USAGE-INITIATOR-SIGN).
    pub const INITIATOR_SIGN: Self = Self(25);
    /// The checksum of a PA-S4U-X509-USER request (MS-SFU section 2.2.2).
    pub const PA_S4U_X509_USER_REQUEST: Self = Self(26);
    /// The checksum of a PA-S4U-X509-USER reply (MS-SFU section 2.2.2).
    pub const PA_S4U_X509_USER_REPLY: Self = Self(27);
    /// The checksum of an IAKERB finished message.
    pub const IAKERB_FINISHED: Self = Self(42);
    /// PA-PKINIT-KX of anonymous PKINIT (RFC 8062 section 7).
    pub const PA_PKINIT_KX: Self = Self(44);
    /// The checksum in a FAST request (RFC 6113 section 5.4.2).
    pub const FAST_REQ_CHKSUM: Self = Self(50);
    /// A FAST request's encrypted part (RFC 6113 section 5.4.2).
    pub const FAST_ENC: Self = Self(51);
    /// A FAST reply's encrypted part (RFC 6113 section 5.4.3).
    pub const FAST_REP: Self = Self(52);
    /// The ticket checksum of FAST's finished part (RFC 6113 section 5.4.3).
    pub const FAST_FINISHED: Self = Self(53);
    /// An encrypted challenge from the client (RFC 6113 section 5.4.6).
    pub const ENC_CHALLENGE_CLIENT: Self = Self(54);
    /// An encrypted challenge from the KDC (RFC 6113 section 5.4.6).
    pub const ENC_CHALLENGE_KDC: Self = Self(55);
    /// The checksum over the AS-REQ in PA-REQ-ENC-PA-REP (RFC 6806 section 11).
    pub const AS_REQ: Self = Self(56);
    /// The verifiers of AD-CAMMAC (RFC 7751 section 4).
    pub const CAMMAC: Self = Self(64);
    /// SPAKE pre-authentication (RFC 9588 section 4).
    pub const SPAKE: Self = Self(65);
}
