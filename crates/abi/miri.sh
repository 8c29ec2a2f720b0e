#!/bin/sh
# Runs the tests of the conversions under Miri, with pointers of 64 and of 32 bits: what C gives is read and
# written as Rust allows. Needs a nightly toolchain with the components miri and rust-src. What crosses whole
# logins (surface_tests) and what encrypts (sealed) is left out: it takes minutes there and has no unsafe code
# of its own.
#   crates/abi/miri.sh [TARGET...]
set -eu
cd "$(dirname "$0")"
if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "SKIPPED: there is no nightly toolchain with miri (rustup +nightly component add miri rust-src)"
    exit 77
fi
[ $# -gt 0 ] || set -- x86_64-unknown-linux-gnu i686-unknown-linux-gnu
for target in "$@"; do
    cargo +nightly miri test --target "$target" --lib -- --skip surface_tests --skip sealed
done
