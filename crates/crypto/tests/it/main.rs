//! Integration tests of the crypto core.
