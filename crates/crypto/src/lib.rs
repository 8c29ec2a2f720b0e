//! RFC 3961 framework, enctypes and checksums
