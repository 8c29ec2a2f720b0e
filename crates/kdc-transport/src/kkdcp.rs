//! Kerberos messages through a KDC proxy (MS-KKDCP), without the HTTPS.

use core::time::Duration;

use thiserror::Error;
use trihound_asn1::{KdcProxyMessage, Message, Realm};

use crate::{AttemptError, MAX_REPLY_LENGTH, Server};

/// The content type of both directions (MS-KKDCP section 2.1).
pub const KKDCP_CONTENT_TYPE: &str = "application/kerberos";

/// The largest body that a proxy's response may have: the largest reply, and its DER around it.
pub const MAX_PROXY_REPLY_LENGTH: usize = MAX_REPLY_LENGTH + 1024;

/// The length in front of the message, as over TCP (RFC 4120 section 7.2.2).
const PREFIX: usize = 4;

/// One HTTPS POST to a KDC proxy.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HttpsRequest<'a> {
    /// Where to: `https://host[:port]/path`.
    pub url: &'a str,
    /// The body, of the type [`KKDCP_CONTENT_TYPE`].
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
/// name (MS-KKDCP section 2.1: the transport is HTTPS), give back the body of a response of status
/// 200 only, follow no redirect, and stop at [`MAX_PROXY_REPLY_LENGTH`] bytes.
///
/// ```
/// use std::sync::Arc;
/// use trihound_kdc_transport::{HttpsPost, HttpsRequest, KKDCP_CONTENT_TYPE};
///
/// let post: Arc<dyn HttpsPost> = Arc::new(|request: &HttpsRequest<'_>| {
///     // my_client.post(request.url).content_type(KKDCP_CONTENT_TYPE).send(request.body)
///     Err::<Vec<u8>, _>(format!("no route to {}", request.url))
/// });
/// # let _ = (post, KKDCP_CONTENT_TYPE);
/// ```
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

/// Why a proxy's answer, or a message to it, is not one of MS-KKDCP.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KkdcpError {
    /// The message or the realm cannot be put into a KDC-PROXY-MESSAGE.
    #[error("the request of {0} bytes cannot be put into a KDC-PROXY-MESSAGE")]
    NotEncodable(usize),
    /// The body is no KDC-PROXY-MESSAGE (MS-KKDCP section 2.2.2).
    #[error(
        "the body of {length} bytes is no KDC-PROXY-MESSAGE ({cause}); is the URL that of a KDC \
         proxy?"
    )]
    NotAProxyMessage {
        /// Bytes of the body.
        length: usize,
        /// What is wrong with it.
        cause: trihound_asn1::DecodeError,
    },
    /// The body is longer than any answer.
    #[error("the body has {0} bytes, the limit is {MAX_PROXY_REPLY_LENGTH}")]
    TooLong(usize),
    /// The four bytes in front do not say how long the message is (MS-KKDCP section 2.2.2: the
    /// message is framed as over TCP, RFC 4120 section 7.2.2).
    #[error("the message in the proxy's answer says {announced} bytes, {present} are there")]
    Length {
        /// What the four bytes say.
        announced: u32,
        /// What follows them.
        present: usize,
    },
    /// No message at all.
    #[error("the proxy's answer has no message in it")]
    Empty,
    /// The proxy names another realm than the one that was asked for.
    #[error("the proxy answers for realm {found:?}, asked was {asked:?}")]
    OtherRealm {
        /// The realm asked for.
        asked: String,
        /// The realm in the answer.
        found: String,
    },
}

/// A Kerberos message, without length prefix, as the body for a proxy (MS-KKDCP section 3.1.5.1).
///
/// # Errors
///
/// [`KkdcpError::NotEncodable`].
pub fn encode_proxy_message(realm: &str, message: &[u8]) -> Result<Vec<u8>, KkdcpError> {
    let wrong = |_| KkdcpError::NotEncodable(message.len());
    let length = u32::try_from(message.len()).map_err(|_| KkdcpError::NotEncodable(usize::MAX))?;
    let mut framed = Vec::with_capacity(message.len() + PREFIX);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    let message_of_proxy = KdcProxyMessage {
        kerb_message: framed.into(),
        target_domain: Some(Realm::from(realm)),
        dclocator_hint: None,
    };
    message_of_proxy.to_der().map_err(wrong)
}

/// The Kerberos message, without length prefix, out of a proxy's body.
///
/// # Errors
///
/// The other variants of [`KkdcpError`].
pub fn decode_proxy_message(realm: &str, body: &[u8]) -> Result<Vec<u8>, KkdcpError> {
    if body.len() > MAX_PROXY_REPLY_LENGTH {
        return Err(KkdcpError::TooLong(body.len()));
    }
    let answer = KdcProxyMessage::from_der(body).map_err(|cause| KkdcpError::NotAProxyMessage {
        length: body.len(),
        cause,
    })?;
    // MS-KKDCP section 2.2.2: target-domain is the realm of the message. A proxy need not repeat
    // it; one that does must mean the realm that was asked for.
    if let Some(found) = &answer.target_domain
        && !found.to_string().eq_ignore_ascii_case(realm)
    {
        return Err(KkdcpError::OtherRealm {
            asked: realm.to_owned(),
            found: found.to_string(),
        });
    }
    let Some((prefix, message)) = answer.kerb_message.split_first_chunk::<PREFIX>() else {
        return Err(KkdcpError::Empty);
    };
    let announced = u32::from_be_bytes(*prefix);
    // RFC 4120 section 7.2.2: the length of the message in network order, its high bit 0.
    if usize::try_from(announced) != Ok(message.len()) {
        return Err(KkdcpError::Length {
            announced,
            present: message.len(),
        });
    }
    if message.is_empty() {
        return Err(KkdcpError::Empty);
    }
    Ok(message.to_vec())
}

/// Sends a Kerberos message through a proxy and gives back the KDC's reply, both without length
/// prefix. Blocking; whether the reply answers the request is the caller's to look at, as with
/// any other way.
pub(crate) fn round_trip(
    post: &dyn HttpsPost,
    server: &Server,
    realm: &str,
    anchors: &[String],
    message: &[u8],
    timeout: Duration,
) -> Result<Vec<u8>, AttemptError> {
    let Some(url) = server.url() else {
        return Err(AttemptError::Https(format!("{server} is no KDC proxy")));
    };
    let body = encode_proxy_message(realm, message)?;
    let answer = post
        .post(&HttpsRequest {
            url: &url,
            body: &body,
            anchors,
            timeout,
        })
        .map_err(AttemptError::Https)?;
    Ok(decode_proxy_message(realm, &answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServerProtocol;

    const REALM: &str = "EXAMPLE.TEST";

    fn body(kerb_message: &[u8], realm: Option<&str>) -> Vec<u8> {
        KdcProxyMessage {
            kerb_message: kerb_message.to_vec().into(),
            target_domain: realm.map(Realm::from),
            dclocator_hint: None,
        }
        .to_der()
        .unwrap()
    }

    /// Conformance row 183: the message has its length in front and names its realm.
    #[test]
    fn a_message_is_framed_as_over_tcp_and_names_its_realm() {
        let body = encode_proxy_message(REALM, b"\x6a\x00").unwrap();
        let expected = b"\x30\x1a\xa0\x08\x04\x06\x00\x00\x00\x02\x6a\x00\
                         \xa1\x0e\x1b\x0cEXAMPLE.TEST";
        assert_eq!(body, expected);
        assert_eq!(decode_proxy_message(REALM, &body).unwrap(), b"\x6a\x00");
    }

    /// Conformance row 183: a length that does not fit is refused.
    #[test]
    fn a_wrong_length_in_front_is_refused() {
        for (bytes, announced, present) in [
            (b"\0\0\0\x03ab".as_slice(), 3, 2),
            (b"\0\0\0\x01ab", 1, 2),
            (b"\x80\0\0\x02ab", 0x8000_0002, 2),
            (b"\xff\xff\xff\xffab", u32::MAX, 2),
        ] {
            let error = decode_proxy_message(REALM, &body(bytes, None)).unwrap_err();
            assert_eq!(error, KkdcpError::Length { announced, present });
        }
        for bytes in [b"".as_slice(), b"\0\0\0", b"\0\0\0\0"] {
            let error = decode_proxy_message(REALM, &body(bytes, None)).unwrap_err();
            assert_eq!(error, KkdcpError::Empty);
        }
    }

    /// Conformance row 183: the target domain is the one that was asked for.
    #[test]
    fn an_answer_for_another_realm_is_refused() {
        let message = b"\0\0\0\x01a";
        for realm in [None, Some(REALM), Some("example.test")] {
            assert_eq!(
                decode_proxy_message(REALM, &body(message, realm)).unwrap(),
                b"a"
            );
        }
        let error = decode_proxy_message(REALM, &body(message, Some("OTHER"))).unwrap_err();
        let expected = KkdcpError::OtherRealm {
            asked: REALM.into(),
            found: "OTHER".into(),
        };
        assert_eq!(error, expected);
    }

    #[test]
    fn what_is_no_proxy_message_is_refused() {
        for body in [b"".as_slice(), b"<html>", b"\x30\x80\x00\x00", b"\x6b\x00"] {
            let error = decode_proxy_message(REALM, body).unwrap_err();
            assert!(
                matches!(error, KkdcpError::NotAProxyMessage { length, .. } if length == body.len()),
                "{error}"
            );
        }
        let long = vec![0; MAX_PROXY_REPLY_LENGTH + 1];
        let error = decode_proxy_message(REALM, &long).unwrap_err();
        assert_eq!(error, KkdcpError::TooLong(MAX_PROXY_REPLY_LENGTH + 1));
    }

    #[test]
    fn a_round_trip_hands_all_of_it_to_the_callers_function() {
        let path = "/KdcProxy".into();
        let server = Server::new("p.example", 444, ServerProtocol::Https { path });
        let anchors = vec!["FILE:/anchors.pem".to_owned()];
        let timeout = Duration::from_secs(3);
        let post = |request: &HttpsRequest<'_>| {
            assert_eq!(request.url, "https://p.example:444/KdcProxy");
            assert_eq!(request.anchors, ["FILE:/anchors.pem"]);
            assert_eq!(request.timeout, Duration::from_secs(3));
            assert_eq!(decode_proxy_message(REALM, request.body).unwrap(), b"ask");
            Ok(body(b"\0\0\0\x05reply", None))
        };
        let reply = round_trip(&post, &server, REALM, &anchors, b"ask", timeout).unwrap();
        assert_eq!(reply, b"reply");

        let broken = |_: &HttpsRequest<'_>| Err("status 502".to_owned());
        let error = round_trip(&broken, &server, REALM, &[], b"ask", timeout).unwrap_err();
        assert!(matches!(&error, AttemptError::Https(text) if text == "status 502"));

        let html = |_: &HttpsRequest<'_>| Ok(b"<html>".to_vec());
        let error = round_trip(&html, &server, REALM, &[], b"ask", timeout).unwrap_err();
        assert!(matches!(
            error,
            AttemptError::Kkdcp(KkdcpError::NotAProxyMessage { .. })
        ));
    }
}
