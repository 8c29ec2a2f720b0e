use core::time::Duration;

/// What one credential has of its own, beside its identity.
///
/// Names are those of the machine's configuration: `FILE:/path`, `MEMORY:name` and so on. A field that a
/// package has no use for, and that is set, makes AcquireCredentialsHandle fail with
/// SEC_E_UNSUPPORTED_FUNCTION and the field's name: a setting is never passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialSettings {
    /// The one KDC that this credential asks, or a KDC proxy (MS-KKDCP) where it is an `https` address.
    pub kdc_url: Option<String>,
    /// The keytab with the keys: of the service for inbound use, of the client for outbound use.
    pub keytab: Option<String>,
    /// The credential cache that tickets are taken from and put into.
    pub credential_cache: Option<String>,
    /// The credential cache with the ticket that armours the login (RFC 6113).
    pub armor_cache: Option<String>,
    /// Where the certificate authorities of the KDC are (RFC 4556).
    pub pkinit_anchors: Option<String>,
    /// How long a ticket is asked for.
    pub lifetime: Option<Duration>,
    /// From when on it is asked for, counted from now.
    pub start_time: Option<Duration>,
    /// How long it is to be renewable.
    pub renewable_lifetime: Option<Duration>,
}
