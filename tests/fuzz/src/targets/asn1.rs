//! Every ASN.1 type: what decodes encodes again, and what was encoded decodes to the same.

use std::sync::LazyLock;

use trihound_asn1::registry::{roundtrip_by_name, type_names};

static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| type_names().collect());

pub fn run(data: &[u8]) {
    let Some((&choice, der)) = data.split_first() else {
        return;
    };
    let name = NAMES[usize::from(choice) % NAMES.len()];
    let Some(Ok(once)) = roundtrip_by_name(name, der) else {
        return;
    };
    match roundtrip_by_name(name, &once) {
        Some(Ok(twice)) => assert_eq!(once, twice, "{name} does not encode to one form"),
        other => panic!("{name} does not read what it wrote: {other:?}"),
    }
}
