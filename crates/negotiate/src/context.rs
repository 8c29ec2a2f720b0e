//! A context from its first call to its last.

/// A context of the Negotiate package.
#[derive(Debug)]
pub struct NegotiateContext(());
