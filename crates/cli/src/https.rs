//! HTTPS to KDC proxies.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use trihound::environment::is_privileged;
use trihound_kdc_transport::{HttpsPost, HttpsRequest, KKDCP_CONTENT_TYPE, MAX_PROXY_REPLY_LENGTH};
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Where systems keep the certificates of the authorities that they trust, all in one file.
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",   // Fedora
    "/etc/ssl/ca-bundle.pem",             // SUSE
    "/etc/ssl/cert.pem",                  // Alpine, macOS, OpenBSD
    "/usr/local/etc/ssl/cert.pem",        // FreeBSD
    "/usr/local/share/certs/ca-root-nss.crt",
];
/// Names a bundle in place of those, as for other programs with TLS.
const BUNDLE_VARIABLE: &str = "SSL_CERT_FILE";

/// An HTTPS client that keeps its connections for the next round trip of a login.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// By trust anchors.
    agents: Mutex<HashMap<Vec<String>, Agent>>,
}

impl HttpsPost for Client {
    fn post(&self, request: &HttpsRequest<'_>) -> Result<Vec<u8>, String> {
        let agent = self.agent(request.anchors)?;
        let mut response = agent
            .post(request.url)
            .config()
            .timeout_global(Some(request.timeout))
            .build()
            .content_type(KKDCP_CONTENT_TYPE)
            .header("Cache-Control", "no-cache")
            .send(request.body)
            .map_err(|error| explain(&error))?;
        // MS-KKDCP section 3.2.5.1: an answer has status 200; whatever else comes is no message.
        if response.status() != 200 {
            return Err(format!(
                "the proxy answers with status {}",
                response.status()
            ));
        }
        let limit = u64::try_from(MAX_PROXY_REPLY_LENGTH).unwrap_or(u64::MAX);
        response
            .body_mut()
            .with_config()
            .limit(limit)
            .read_to_vec()
            .map_err(|error| explain(&error))
    }
}

impl Client {
    fn agent(&self, anchors: &[String]) -> Result<Agent, String> {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(anchors) {
            return Ok(agent.clone());
        }
        let agent = new_agent(anchors)?;
        agents.insert(anchors.to_vec(), agent.clone());
        Ok(agent)
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn new_agent(_: &[String]) -> Result<Agent, String> {
    Err("this program has no TLS for this kind of processor".to_owned())
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn new_agent(anchors: &[String]) -> Result<Agent, String> {
    if !processor_suffices() {
        return Err(
            "the TLS of this program needs a processor with AVX2, ADX, BMI2, AES and PCLMULQDQ \
             (x86-64), or with AES and PMULL (64-bit ARM)"
                .to_owned(),
        );
    }
    let roots = if anchors.is_empty() {
        system_roots()?
    } else {
        let mut roots = Vec::new();
        for anchor in anchors {
            read_anchor(anchor, true, &mut roots)?;
        }
        roots
    };
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls_graviola::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        // A redirect would have the message go to whomever the proxy names.
        .max_redirects(0)
        .http_status_as_error(false)
        // The proxy of krb5.conf is where to go; no second one stands in front of it.
        .proxy(None)
        .user_agent(concat!("trihound/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(config.into())
}

/// The provider ends the process on a processor that it cannot use; it is to be a failure instead.
#[cfg(target_arch = "x86_64")]
fn processor_suffices() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("aes")
        && has!("ssse3")
        && has!("pclmulqdq")
        && has!("avx2")
        && has!("avx")
        && has!("bmi1")
        && has!("bmi2")
        && has!("adx")
}

#[cfg(target_arch = "aarch64")]
fn processor_suffices() -> bool {
    use std::arch::is_aarch64_feature_detected as has;
    has!("neon") && has!("aes") && has!("pmull") && has!("sha2")
}

/// One `http_anchors` value of krb5.conf: `FILE:`, `DIR:`, or `ENV:` and a variable that has one
/// of the other two.
fn read_anchor(
    anchor: &str,
    from_environment: bool,
    roots: &mut Vec<Certificate<'static>>,
) -> Result<(), String> {
    let fail = |what: &dyn Display| format!("http_anchors = {anchor}: {what}");
    let before = roots.len();
    match anchor.split_once(':') {
        Some(("FILE", path)) => read_bundle(Path::new(path), roots).map_err(|e| fail(&e))?,
        Some(("DIR", path)) => {
            for file in files(Path::new(path)).map_err(|e| fail(&e))? {
                read_bundle(&file, roots).map_err(|e| fail(&e))?;
            }
        }
        Some(("ENV", name)) if from_environment => {
            if is_privileged() {
                return Err(fail(
                    &"a program that runs with more rights than its user has follows no variable",
                ));
            }
            let value = std::env::var(name).map_err(|e| fail(&e))?;
            return read_anchor(&value, false, roots);
        }
        _ => return Err(fail(&"not of the form FILE:path, DIR:path or ENV:variable")),
    }
    if roots.len() == before {
        return Err(fail(&"no certificate in PEM form is there"));
    }
    Ok(())
}

fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Adds the certificates of a file; what else is in it, keys for example, is passed over.
fn read_bundle(path: &Path, roots: &mut Vec<Certificate<'static>>) -> Result<(), String> {
    let fail = |what: &dyn Display| format!("{}: {what}", path.display());
    let text = std::fs::read(path).map_err(|error| fail(&error))?;
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| fail(&error))? {
            roots.push(certificate);
        }
    }
    Ok(())
}

fn system_roots() -> Result<Vec<Certificate<'static>>, String> {
    let named = std::env::var_os(BUNDLE_VARIABLE)
        .filter(|path| !path.is_empty() && !is_privileged())
        .map(PathBuf::from);
    let known = SYSTEM_BUNDLES.iter().map(PathBuf::from);
    let bundle = match named {
        Some(path) => Some(path),
        None => known.into_iter().find(|path| path.is_file()),
    };
    let mut roots = Vec::new();
    if let Some(bundle) = bundle {
        read_bundle(&bundle, &mut roots)?;
    }
    if roots.is_empty() {
        return Err(format!(
            "this system's trusted certificates were not found: name them with `http_anchors = \
             FILE:path` in the realm's section of krb5.conf, or in {BUNDLE_VARIABLE}"
        ));
    }
    Ok(roots)
}

fn explain(error: &ureq::Error) -> String {
    let text = error.to_string();
    if text.contains("certificate") {
        format!(
            "{text}; if the proxy is the right one, name its authority with `http_anchors = \
             FILE:path` in the realm's section of krb5.conf"
        )
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_that_cannot_be_used_are_told_by_name() {
        for (anchor, cause) in [
            ("/a/path", "not of the form"),
            ("PKCS12:/a", "not of the form"),
            ("FILE:/does/not/exist", "/does/not/exist"),
            ("DIR:/does/not/exist", "No such file"),
            ("ENV:TRIHOUND_NO_SUCH_VARIABLE", "not found"),
        ] {
            let error = new_agent(&[anchor.to_owned()]).unwrap_err();
            assert!(
                error.starts_with(&format!("http_anchors = {anchor}: ")),
                "{error}"
            );
            assert!(error.contains(cause), "{error}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_no_anchor() {
        let path = std::env::temp_dir().join(format!("trihound-anchors-{}", std::process::id()));
        std::fs::write(&path, "nothing here\n").unwrap();
        let error = new_agent(&[format!("FILE:{}", path.display())]).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains("no certificate"), "{error}");
    }
}
