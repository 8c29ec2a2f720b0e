//! Integration tests of the Kerberos package.

mod messages;
mod rc4;
mod support;
mod vectors;
