//! The C interface from C: the header, programs that load the library, the examples, what is installed, and memory.
//!
//! It needs gcc, and makes the library, the program `trihound` and the examples of the crate `trihound` unless
//! TRIHOUND_SSPI_LIBRARY, TRIHOUND_PROGRAM and TRIHOUND_EXAMPLES (a folder) say where they are. With TRIHOUND_PEERS=required a tool that is not there is a failure; else its tests say that they did not
//! run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]
#![cfg(unix)]

mod examples;
mod exports;
mod header;
mod install;
mod memory;
mod programs;
mod realm;
mod tools;
