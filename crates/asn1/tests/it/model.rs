//! DER by hand: an encoder of a few lines, so that expected bytes do not come from the code under test.

/// Identifier, minimal definite length, contents.
pub(crate) fn tlv(identifier: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![identifier];
    match content.len() {
        short @ 0..=0x7f => out.push(short as u8),
        long @ 0x80..=0xff => out.extend([0x81, long as u8]),
        longer => {
            assert!(longer <= 0xffff);
            out.extend([0x82, (longer >> 8) as u8, longer as u8]);
        }
    }
    out.extend(content);
    out
}

pub(crate) fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

/// `[number] EXPLICIT`
pub(crate) fn ctx(number: u8, part: &[u8]) -> Vec<u8> {
    tlv(0xa0 | number, &[part])
}

/// `[APPLICATION number] EXPLICIT SEQUENCE`
pub(crate) fn app(number: u8, parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x60 | number, &[&seq(parts)])
}

pub(crate) fn int(value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let redundant = (0..7)
        .take_while(|&at| {
            (bytes[at] == 0 && bytes[at + 1] < 0x80) || (bytes[at] == 0xff && bytes[at + 1] >= 0x80)
        })
        .count();
    tlv(0x02, &[&bytes[redundant..]])
}

pub(crate) fn octets(value: &[u8]) -> Vec<u8> {
    tlv(0x04, &[value])
}

pub(crate) fn general(value: &[u8]) -> Vec<u8> {
    tlv(0x1b, &[value])
}

pub(crate) fn time(value: &str) -> Vec<u8> {
    tlv(0x18, &[value.as_bytes()])
}

pub(crate) fn flags(word: u32) -> Vec<u8> {
    tlv(0x03, &[&[0], &word.to_be_bytes()])
}

pub(crate) const REALM: &[u8] = b"EXAMPLE.TEST";
pub(crate) const NOW: &str = "20260131235958Z";
pub(crate) const NOW_SECONDS: i64 = 1_769_903_998;
pub(crate) const KEY: &[u8] = b"sixteen-byte-key";

pub(crate) fn realm() -> Vec<u8> {
    general(REALM)
}

pub(crate) fn now() -> Vec<u8> {
    time(NOW)
}

pub(crate) fn name(name_type: i64, components: &[&[u8]]) -> Vec<u8> {
    let components: Vec<Vec<u8>> = components.iter().map(|part| general(part)).collect();
    let components: Vec<&[u8]> = components.iter().map(Vec::as_slice).collect();
    seq(&[&ctx(0, &int(name_type)), &ctx(1, &seq(&components))])
}

pub(crate) fn client() -> Vec<u8> {
    name(1, &["jürgen".as_bytes()])
}

pub(crate) fn server() -> Vec<u8> {
    name(2, &[b"HTTP", b"www.example.test"])
}

pub(crate) fn encrypted() -> Vec<u8> {
    seq(&[
        &ctx(0, &int(18)),
        &ctx(1, &int(3)),
        &ctx(2, &octets(b"sealed bytes")),
    ])
}

pub(crate) fn key() -> Vec<u8> {
    seq(&[&ctx(0, &int(17)), &ctx(1, &octets(KEY))])
}

pub(crate) fn checksum() -> Vec<u8> {
    seq(&[&ctx(0, &int(16)), &ctx(1, &octets(b"twelve bytes"))])
}

pub(crate) fn address() -> Vec<u8> {
    seq(&[&ctx(0, &int(2)), &ctx(1, &octets(&[127, 0, 0, 1]))])
}

pub(crate) fn ad() -> Vec<u8> {
    seq(&[&seq(&[&ctx(0, &int(1)), &ctx(1, &octets(b"\x30\x00"))])])
}

pub(crate) fn padata(padata_type: i64, value: &[u8]) -> Vec<u8> {
    seq(&[&ctx(1, &int(padata_type)), &ctx(2, &octets(value))])
}

pub(crate) fn ticket() -> Vec<u8> {
    app(
        1,
        &[
            &ctx(0, &int(5)),
            &ctx(1, &realm()),
            &ctx(2, &server()),
            &ctx(3, &encrypted()),
        ],
    )
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
