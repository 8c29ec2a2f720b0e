//! Asynchronous clients and services on tokio.
