//! The C interface as C programs see it.
