//! The C interface as C programs see it: the generator of its header, and the tests that build and run C programs.

pub mod header;
