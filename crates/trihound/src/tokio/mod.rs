//! Asynchronous clients and services, on tokio: [`crate::Client`], [`crate::Server`] and
//! [`crate::SecureStream`] with `.await`.
//!
//! A [`Client`] is made of a blocking one and shares its tickets with it: what one of them waits for,
//! the other does not ask for again. Every future is `Send` where the stream is. Dropping one harms
//! nobody: a request for a ticket that it began goes on for whoever else wants the ticket.
//!
//! What may wait for a disk, a lock or a daemon (caches, keytabs) runs on the runtime's threads for
//! blocking work. The runtime needs its I/O and time drivers.
//!
//! ```no_run
//! # async fn example() -> Result<(), trihound::Error> {
//! use trihound::tokio::{Client, Server};
//!
//! // The client.
//! let client = Client::from_environment()?;
//! let stream = tokio::net::TcpStream::connect("web.example.com:4444").await?;
//! let mut secure = client.connect("host/web.example.com", stream).await?;
//! secure.send(b"hello").await?;
//! let answer = secure.receive().await?;
//! secure.close().await?;
//!
//! // The service.
//! let server = Server::from_environment()?;
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:4444").await?;
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     let server = server.clone();
//!     tokio::spawn(async move {
//!         let mut secure = server.accept(stream).await?;
//!         while let Some(message) = secure.receive().await? {
//!             secure.send(&message).await?;
//!         }
//!         secure.close().await
//!     });
//! }
//! # }
//! ```

mod client;
mod keeper;
mod server;
mod stream;
mod transport;

pub use client::{Client, ClientHandshake, Connector};
pub use keeper::Keeper;
pub use server::{Server, ServerHandshake};
pub use stream::SecureStream;
pub use transport::OffThread;
pub use trihound_kdc_transport::AsyncKdcTransport;

use trihound_sspi::{Error, SecurityStatus};

/// Runs what may block where that harms no other task.
pub(crate) async fn off_thread<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Error> {
    joined(::tokio::task::spawn_blocking(work).await)
}

/// What became of a task: its panic goes on here.
fn joined<R>(outcome: Result<R, ::tokio::task::JoinError>) -> Result<R, Error> {
    match outcome {
        Ok(result) => Ok(result),
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::new(
                SecurityStatus::SEC_E_INTERNAL_ERROR,
                "the tokio runtime is shutting down; nothing more is begun in it",
            )),
        },
    }
}
