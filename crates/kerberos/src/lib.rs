//! The Kerberos security package
