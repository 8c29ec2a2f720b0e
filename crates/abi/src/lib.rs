//! SSPI's C interface: `libtrihound_sspi`, with the functions, structures and numbers of sspi.h.
//!
//! Every exported function is a few lines: convert in, call the function table, convert out. No panic
//! crosses the boundary. `unsafe` stands in this crate alone, in the conversions.
//!
//! # Safety
//!
//! What a C caller promises by every call: a pointer is NULL, or it points to what its type says, for as
//! long as the call takes; a length is that of the memory beside it; what a call writes, nobody else reads or
//! writes meanwhile. NULL where something is needed, an address that is not aligned, a handle that names
//! nothing, and memory that FreeContextBuffer did not give out are answered with a status.

mod buffers;
mod calls;
pub mod exports;
mod guard;
mod handles;
mod identity;
mod memory;
mod moment;
mod pointer;
mod provider;
mod text;
mod token;
pub mod types;

#[cfg(test)]
mod surface_tests;
