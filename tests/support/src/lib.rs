//! An allocator that counts, for tests that show where nothing is allocated.
//!
//! A test binary installs it with `#[global_allocator]`; [`allocations`] then tells how often a piece
//! of work asked for memory. The count is each thread's own, so tests run side by side.

mod counting;

pub use counting::{CountingAllocator, allocations};
