//! A pure-Rust security provider in the shape of Windows SSPI
