use core::time::Duration;

use crate::{AttemptError, Server};

/// The content type of both directions (MS-KKDCP section 2.1).
pub const KKDCP_CONTENT_TYPE: &str = "application/kerberos";

/// The largest body that a proxy's response may have: the largest reply, and its DER around it.
pub const MAX_PROXY_REPLY_LENGTH: usize = crate::MAX_REPLY_LENGTH + 1024;

/// Sends a Kerberos message through a proxy and gives back the KDC's reply, both without length
/// prefix. Blocking; whether the reply answers the request is the caller's to look at, as with
/// any other way.
#[allow(dead_code)] // until the race asks for it
pub(crate) fn round_trip(
    post: &dyn HttpsPost,
    server: &Server,
    realm: &str,
    anchors: &[String],
    message: &[u8],
    timeout: Duration,
) -> Result<Vec<u8>, AttemptError> {
    let url = server.url().unwrap_or_default();
    let request = HttpsRequest {
        url: &url,
        body: message,
        anchors,
        timeout,
    };
    let _ = realm;
    post.post(&request).map_err(AttemptError::Https)
}

/// One HTTPS POST to a KDC proxy.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HttpsRequest<'a> {
    /// Where to: `https://host[:port]/path`.
    pub url: &'a str,
    /// The body, of the type [`crate::KKDCP_CONTENT_TYPE`].
    pub body: &'a [u8],
    /// The trust anchors that krb5.conf names for the realm (`http_anchors`: `FILE:`, `DIR:` or
    /// `ENV:` and a path), beside which no others count; empty for the system's.
    pub anchors: &'a [String],
    /// How long all of it may take.
    pub timeout: Duration,
}

/// Posts to a KDC proxy over HTTPS.
///
/// The transport brings no TLS of its own: this is the seam for whichever the caller has. Any
/// function or closure of the right shape is one. It **must** verify the server's certificate and
/// name (MS-KKDCP section 3.1.5.1), answer with the body of a response of status 200 only, and
/// stop at [`crate::MAX_PROXY_REPLY_LENGTH`] bytes.
pub trait HttpsPost: Send + Sync {
    /// The body of the response. Blocking.
    ///
    /// # Errors
    ///
    /// A line that says what failed.
    fn post(&self, request: &HttpsRequest<'_>) -> Result<Vec<u8>, String>;
}

impl<F> HttpsPost for F
where
    F: Fn(&HttpsRequest<'_>) -> Result<Vec<u8>, String> + Send + Sync,
{
    fn post(&self, request: &HttpsRequest<'_>) -> Result<Vec<u8>, String> {
        self(request)
    }
}
