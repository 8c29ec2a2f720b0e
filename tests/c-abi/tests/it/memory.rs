//! The C test program under tools that watch memory: nothing is lost, nothing is read that is not there.

use crate::programs::run_part;
use crate::realm::Realm;
use crate::tools::{Scratch, compile, have};

/// AddressSanitizer and LeakSanitizer watch the program's memory and the library's, which both come from malloc.
#[test]
fn the_sanitizers_find_nothing_lost_and_nothing_read_outside() {
    if !have("gcc") {
        return;
    }
    let scratch = Scratch::new();
    let made = compile(
        scratch.path(),
        &[
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=undefined",
            "-fno-omit-frame-pointer",
        ],
    );
    let realm = Realm::start();
    for part in [
        &["few"][..],
        &["exports"],
        &["arguments"],
        &["logins"],
        &["onward"],
        &["threads", "64"],
    ] {
        run_part(
            &realm,
            &["env", "ASAN_OPTIONS=detect_leaks=1:abort_on_error=0"],
            &made,
            part,
        );
    }
}

/// Valgrind sees the library's own reads and writes too, since it runs every instruction itself.
#[test]
fn valgrind_finds_nothing_lost_and_nothing_undefined() {
    if !have("gcc") || !have("valgrind") {
        return;
    }
    let scratch = Scratch::new();
    let made = compile(scratch.path(), &[]);
    let realm = Realm::start();
    let valgrind = [
        "valgrind",
        "--quiet",
        "--leak-check=full",
        // A hash table keeps a pointer into the middle of its memory, which valgrind calls possibly lost.
        "--show-leak-kinds=definite,indirect",
        "--errors-for-leak-kinds=definite,indirect",
        "--error-exitcode=99",
    ];
    for part in [
        &["few"][..],
        &["exports"],
        &["arguments"],
        &["logins"],
        &["onward"],
    ] {
        run_part(&realm, &valgrind, &made, part);
    }
}
