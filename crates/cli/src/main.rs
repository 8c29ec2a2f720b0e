//! The `trihound` program.

fn main() {}
