//! The transport that all commands use.

use std::sync::Arc;

use trihound_kdc_transport::KdcTransport;
use trihound_krb5::Config;

/// A transport over UDP and TCP, and over HTTPS where this build has it.
pub(crate) fn kdc_transport(config: Arc<Config>) -> KdcTransport {
    let transport = KdcTransport::new(config);
    #[cfg(feature = "kkdcp")]
    let transport = transport.with_https(Arc::new(crate::https::Client::default()));
    transport
}
