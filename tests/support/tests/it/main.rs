//! The message functions of an established context allocate nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod messages;
mod ntlm;

use trihound_test_support::{CountingAllocator, allocations};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn the_counter_counts() {
    let (none, _) = allocations(|| 1 + 1);
    assert_eq!(none, 0);
    let (one, boxed) = allocations(|| Box::new(7));
    assert_eq!((one, *boxed), (1, 7));
    let (grown, bytes) = allocations(|| {
        let mut bytes = vec![1_u8; 16];
        bytes.reserve_exact(4096);
        bytes
    });
    assert_eq!((grown, bytes.len()), (2, 16));
}
