//! The Negotiate security package (RFC 4178, MS-SPNG) over any mechanisms.
