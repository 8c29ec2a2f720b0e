//! Whom one credential asks: the KDCs of the configuration, one of its own, or a KDC proxy.
//!
//! ```text
//! a proxy that is forced         every realm
//! kdc_url, a proxy               every realm
//! kdc_url, a KDC                 the client's realm; the others by the configuration
//! nothing                        the configuration
//!   ... and nobody answered      the proxy that is not forced, if there is one
//! ```

use trihound_sansio::{
    Exchange, ExchangeRequest, Progress, Reply, Route, Service, TransportFailure,
};
use trihound_sspi::{CredentialAttributeValue, KDC_PROXY_SETTINGS_FLAGS_FORCEPROXY};

use crate::credential::Outbound;
use crate::error::CredentialError;

/// The virtual directory of a proxy that names none (MS-KKDCP section 2.1).
const PROXY_PATH: &str = "KdcProxy";

/// What a credential says about its KDCs.
#[derive(Clone, Debug, Default)]
pub(crate) struct KdcChoice {
    fixed: Option<Place>,
    proxy: Option<Proxy>,
}

#[derive(Clone, Debug)]
enum Place {
    Kdc(Route),
    Proxy(Route),
}

/// `SecPkgCredentials_KdcProxySettings`.
#[derive(Clone, Debug)]
struct Proxy {
    route: Route,
    /// As it was set.
    server: String,
    flags: u32,
}

impl Proxy {
    fn is_forced(&self) -> bool {
        self.flags & KDC_PROXY_SETTINGS_FLAGS_FORCEPROXY != 0
    }
}

impl KdcChoice {
    /// What `kdc_url` of the settings says.
    pub(crate) fn from_url(url: &str) -> Result<Self, CredentialError> {
        let fixed = Some(place(url.trim())?);
        Ok(Self { fixed, proxy: None })
    }

    /// SECPKG_CRED_ATTR_KDC_PROXY_SETTINGS; an empty name takes the proxy away.
    pub(crate) fn set_proxy(&mut self, server: &str, flags: u32) -> Result<(), CredentialError> {
        if flags & !KDC_PROXY_SETTINGS_FLAGS_FORCEPROXY != 0 {
            return Err(wrong("KdcProxySettings.Flags", "only 1 (force) is known"));
        }
        let name = server.trim();
        self.proxy = match name {
            "" => None,
            _ => Some(Proxy {
                route: proxy_server(name)?,
                server: server.to_owned(),
                flags,
            }),
        };
        Ok(())
    }

    /// SECPKG_CRED_ATTR_KDC_PROXY_SETTINGS as it was set.
    pub(crate) fn proxy_settings(&self) -> CredentialAttributeValue {
        let proxy = self.proxy.as_ref();
        CredentialAttributeValue::KdcProxySettings {
            proxy_server: proxy.map(|proxy| proxy.server.clone()).unwrap_or_default(),
            flags: proxy.map(|proxy| proxy.flags).unwrap_or_default(),
            client_tls_credential: Vec::new(),
        }
    }
}

fn wrong(setting: &'static str, reason: impl Into<String>) -> CredentialError {
    CredentialError::WrongSetting {
        setting,
        reason: reason.into(),
    }
}

fn place(url: &str) -> Result<Place, CredentialError> {
    let wrong = |reason: String| wrong("kdc_url", reason);
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
        None => (None, url),
    };
    match scheme.as_deref() {
        Some("https") => proxy_url(rest).map(Place::Proxy).map_err(wrong),
        // What comes over HTTP in clear text anybody on the way could have made (MS-KKDCP section 2.1).
        Some("http") => Err(wrong("a KDC proxy is asked over https:// only".to_owned())),
        Some(carrier @ ("tcp" | "udp")) => {
            let address = host_and_port(rest).map_err(wrong)?;
            Ok(Place::Kdc(Route(format!("{carrier}/{address}"))))
        }
        None => {
            let address = host_and_port(rest).map_err(wrong)?;
            Ok(Place::Kdc(Route(address.to_owned())))
        }
        Some(other) => Err(wrong(format!(
            "the scheme {other} is not known; write host, host:port, tcp://, udp:// or https://"
        ))),
    }
}

/// What follows `https://`.
fn proxy_url(rest: &str) -> Result<Route, String> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = host_and_port(authority)?;
    let path = if path.is_empty() { PROXY_PATH } else { path };
    if !path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return Err("its path has characters that a URL cannot have".to_owned());
    }
    Ok(Route(format!("https://{authority}/{path}")))
}

/// `host`, `host:port` and `host:port:path` of Windows, or a URL.
fn proxy_server(name: &str) -> Result<Route, CredentialError> {
    let wrong = |reason: String| wrong("KdcProxySettings.ProxyServer", reason);
    if let Some((scheme, rest)) = name.split_once("://") {
        if !scheme.eq_ignore_ascii_case("https") {
            return Err(wrong("a KDC proxy is asked over https:// only".to_owned()));
        }
        return proxy_url(rest).map_err(wrong);
    }
    // The colons of an IPv6 address stand in brackets.
    let host_end = name.rfind(']').unwrap_or_default();
    let mut behind = name
        .char_indices()
        .filter(|(at, letter)| *letter == ':' && *at >= host_end);
    let path_at = behind.nth(1).map(|(at, _)| at);
    let (address, path) = match path_at {
        Some(at) => name.split_at(at),
        None => (name, ""),
    };
    let path = path.trim_start_matches([':', '/']);
    proxy_url(&format!("{address}/{path}")).map_err(wrong)
}

/// Looks at what the transport will read again, so that a mistake shows where it was made.
fn host_and_port(text: &str) -> Result<&str, String> {
    let bare = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '?' | '#' | '\\' | '%')
    };
    if text.is_empty() || text.starts_with(':') {
        return Err("it names no host".to_owned());
    }
    if text.contains(bare) {
        return Err("its host is not a name or an address, perhaps with a port".to_owned());
    }
    let behind = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((_, behind)) => behind.strip_prefix(':'),
            None => return Err("its bracket is not closed".to_owned()),
        },
        // Several colons are an IPv6 address without a port.
        None if text.matches(':').count() > 1 => None,
        None => text.split_once(':').map(|(_, port)| port),
    };
    match behind {
        Some(port) if !port.parse::<u16>().is_ok_and(|port| port != 0) => {
            Err(format!("{port:?} is not a port"))
        }
        _ => Ok(text),
    }
}

/// Puts the credential's choice into the requests of one search.
#[derive(Debug)]
pub(crate) struct Routing {
    choice: KdcChoice,
    /// The client's realm.
    realm: String,
    /// What the proxy is asked if nobody answers.
    spare: Option<ExchangeRequest>,
    /// What was tried before the proxy.
    failure: Option<TransportFailure>,
}

/// What became of a request.
pub(crate) enum Answered<'a> {
    /// The search goes on.
    GoOn(Option<Reply<'a>>),
    /// Nobody answered, the proxy neither.
    Failed(TransportFailure),
    /// The proxy is asked.
    Again(ExchangeRequest),
}

impl Routing {
    pub(crate) fn new(choice: KdcChoice, realm: String) -> Self {
        Self {
            choice,
            realm,
            spare: None,
            failure: None,
        }
    }

    /// A request on its way out.
    pub(crate) fn outgoing(&mut self, mut request: ExchangeRequest) -> ExchangeRequest {
        (self.spare, self.failure) = (None, None);
        if request.service != Service::Kdc {
            return request;
        }
        request.route = match (&self.choice.proxy, &self.choice.fixed) {
            (Some(proxy), _) if proxy.is_forced() => Some(proxy.route.clone()),
            (_, Some(Place::Proxy(route))) => Some(route.clone()),
            (_, Some(Place::Kdc(route))) if request.realm == self.realm => Some(route.clone()),
            _ => None,
        };
        // A proxy does not know which KDC is a primary one: it would only count one wrong password twice.
        if let Some(proxy) = &self.choice.proxy
            && !proxy.is_forced()
            && !request.hint.is_primary_only()
        {
            self.spare = Some(ExchangeRequest {
                route: Some(proxy.route.clone()),
                ..request.clone()
            });
        }
        request
    }

    /// What came back.
    pub(crate) fn answered<'a>(&mut self, reply: Option<Reply<'a>>) -> Answered<'a> {
        let Some(Reply::Failed(failure)) = reply else {
            return Answered::GoOn(reply);
        };
        if let Some(request) = self.spare.take() {
            self.failure = Some(failure.clone());
            return Answered::Again(request);
        }
        match self.failure.take() {
            Some(mut first) => {
                first.attempts.extend(failure.attempts.iter().cloned());
                Answered::Failed(first)
            }
            None => Answered::GoOn(reply),
        }
    }
}

/// An exchange with KDCs whose requests go where the credential says.
#[derive(Debug)]
pub(crate) struct Routed<X> {
    exchange: X,
    routing: Routing,
}

impl<X> Routed<X> {
    pub(crate) fn new(exchange: X, outbound: &Outbound) -> Box<Self> {
        let realm = outbound.account().realm.to_string();
        Box::new(Self {
            exchange,
            routing: Routing::new(outbound.kdcs(), realm),
        })
    }
}

impl<X: Exchange> Exchange for Routed<X> {
    type Output = X::Output;
    type Error = X::Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<X::Output>, X::Error> {
        let both;
        let reply = match self.routing.answered(reply) {
            Answered::GoOn(reply) => reply,
            Answered::Again(request) => return Ok(Progress::Exchange(request)),
            Answered::Failed(failure) => {
                both = failure;
                Some(Reply::Failed(&both))
            }
        };
        Ok(match self.exchange.step(reply)? {
            Progress::Exchange(request) => Progress::Exchange(self.routing.outgoing(request)),
            Progress::Done(output) => Progress::Done(output),
        })
    }
}

#[cfg(test)]
mod tests;
