//! SSPI's C interface: `libtrihound_sspi`, with the functions, structures and numbers of sspi.h.
//!
//! Every exported function is a few lines: convert in, call the function table, convert out. No panic
//! crosses the boundary. `unsafe` stands in this crate alone, in the conversions.

pub mod types;
