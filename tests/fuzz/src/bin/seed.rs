//! Writes seeds made of `fixtures/` and of the embedded realm: `seed FOLDER`, into `FOLDER/<target>/`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use trihound_asn1::gss::{KRB5_OID, wrap_token};
use trihound_asn1::registry::type_names;
use trihound_fuzz::TARGETS;
use trihound_fuzz::world::ENCTYPES;

struct Seeds {
    folder: PathBuf,
    counts: HashMap<&'static str, usize>,
}

impl Seeds {
    fn put(&mut self, target: &'static str, parts: &[&[u8]]) -> std::io::Result<()> {
        let longest = TARGETS
            .iter()
            .find(|known| known.name == target)
            .map_or(0, |known| known.max_length);
        let bytes = parts.concat();
        if bytes.len() > longest {
            return Ok(());
        }
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder)?;
        let count = self.counts.entry(target).or_default();
        *count += 1;
        fs::write(folder.join(format!("seed-{count:04}")), bytes)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len() % 2 == 0 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| {
        text.as_bytes()
            .chunks(2)
            .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect()
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seed FOLDER")?;
    let mut seeds = Seeds {
        folder: folder.into(),
        counts: HashMap::new(),
    };
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    for folder in ["vectors", "samples"] {
        let mut files: Vec<_> = fs::read_dir(fixtures.join(folder))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        files.sort();
        for file in files {
            if file
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                from_vectors(&mut seeds, &serde_json::from_slice(&fs::read(file)?)?)?;
            }
        }
    }
    texts(&mut seeds)?;
    scripts(&mut seeds)?;
    let total: usize = seeds.counts.values().sum();
    println!("{total} seeds for {} targets", seeds.counts.len());
    Ok(())
}

/// Number of a type in the registry, as the first byte of target `asn1`.
fn number_of(name: &str) -> Option<u8> {
    let at = type_names().position(|known| known == name)?;
    u8::try_from(at).ok()
}

/// The type's name by a message's first byte.
fn type_of(message: &[u8]) -> Option<&'static str> {
    Some(match message.first()? {
        0x6a => "as_req",
        0x6b => "as_rep",
        0x6c => "tgs_req",
        0x6d => "tgs_rep",
        0x6e => "ap_req",
        0x6f => "ap_rep",
        0x74 => "safe",
        0x75 => "priv",
        0x76 => "cred",
        0x7e => "error",
        _ => return None,
    })
}

fn from_vectors(seeds: &mut Seeds, file: &Value) -> std::io::Result<()> {
    for vector in file["vectors"].as_array().into_iter().flatten() {
        let field = |name: &str| vector["in"][name].as_str().and_then(unhex);
        match vector["op"].as_str().unwrap_or_default() {
            "keytab_parse" => {
                seeds.put("keytab", &[&field("file").unwrap_or_default()])?;
            }
            "ccache_file" => {
                seeds.put("ccache", &[&field("file").unwrap_or_default()])?;
            }
            "der_roundtrip" => {
                let name = vector["in"]["type_text"].as_str().unwrap_or_default();
                let der = field("der").unwrap_or_default();
                if let Some(number) = number_of(name) {
                    seeds.put("asn1", &[&[number], &der])?;
                }
                let same = [
                    "keyblock",
                    "checksum",
                    "host_addresses",
                    "authorization_data",
                ];
                let more = ["padata_sequence", "pa_enc_ts"];
                if let Some(at) = same.iter().chain(&more).position(|known| *known == name) {
                    seeds.put("asn1-differential", &[&[at as u8], &der])?;
                }
                if name == "cred" {
                    seeds.put("krb-cred", &[&[0], &der])?;
                }
            }
            "der_parse" => message(seeds, &field("message").unwrap_or_default())?,
            "ap_req_decrypt" => {
                let token = field("token").unwrap_or_default();
                seeds.put("gss-framing", &[&[0], &token])?;
                for enctype in 0..ENCTYPES.len() as u8 {
                    seeds.put("acceptor", &[&[enctype, 0], &token])?;
                }
            }
            "spnego_parse" => {
                seeds.put("spnego", &[&[0], &field("token").unwrap_or_default()])?;
            }
            "ntlm_parse" => {
                let message = field("message").unwrap_or_default();
                seeds.put("ntlm-messages", &[&[0], &message])?;
            }
            "ntlm_mic" => {
                for name in ["negotiate", "challenge", "authenticate"] {
                    seeds.put("ntlm-messages", &[&[0], &field(name).unwrap_or_default()])?;
                }
            }
            "ntlmv2_response" => {
                let info = field("target_info").unwrap_or_default();
                seeds.put("ntlm-messages", &[&[2], &info])?;
            }
            "negoex_parse" => {
                seeds.put("negoex", &[&[0], &field("message").unwrap_or_default()])?;
            }
            "parse_8003" => {
                seeds.put(
                    "gss-framing",
                    &[&[1], &field("checksum").unwrap_or_default()],
                )?;
            }
            "unwrap" | "verify_mic" => {
                let token = field("token").unwrap_or_default();
                let framed = wrap_token(KRB5_OID, [2, 1], &token);
                seeds.put("gss-framing", &[&[0], &framed])?;
                let length = [1, 1, token.len() as u8];
                seeds.put("messages", &[&[0, 0x0c], &length, &token])?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn message(seeds: &mut Seeds, message: &[u8]) -> std::io::Result<()> {
    if let Some(number) = type_of(message).and_then(number_of) {
        seeds.put("asn1", &[&[number], message])?;
    }
    match message.first() {
        Some(0x6a | 0x6c) => seeds.put("kdc", &[&[0, 0], message])?,
        Some(0x6f | 0x7e) => seeds.put("initiator", &[&[0, 8], message])?,
        _ => {}
    }
    let length = [4, 1, message.len().min(255) as u8];
    match message.first() {
        Some(0x6b | 0x7e) => seeds.put("as-exchange", &[&[0, 0], &length, message]),
        Some(0x6d) => seeds.put("tgs-exchange", &[&[0, 0], &length, message]),
        _ => Ok(()),
    }
}

fn texts(seeds: &mut Seeds) -> std::io::Result<()> {
    for name in [
        "alice",
        "alice@EXAMPLE.TEST",
        "HTTP/www.example.test@EXAMPLE.TEST",
        "krbtgt/EXAMPLE.TEST@EXAMPLE.TEST",
        "a\\/b\\@c\\\\d\\n\\t\\0/e@R\\@S",
        "WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS",
        "user@suffix.example@EXAMPLE.TEST",
        "HTTP/[fe80::1]:80",
        "ldap/dc1.example.test:389/example.test@EXAMPLE.TEST",
        "EXAMPLE\\alice",
        "HTTP@www.example.test",
        "\u{fc}mlaut/\u{20ac}@R",
    ] {
        for kind in [0, 1, 3, 4] {
            seeds.put("names", &[&[kind], name.as_bytes()])?;
        }
    }
    let token = trihound_fuzz::world::principal("a/b").to_exported_name();
    seeds.put("names", &[&[2], &token])?;
    for contents in [
        "",
        "A.TEST,B.TEST",
        "EDU,MIT.,ATHENA.,WASHINGTON.EDU,CS.",
        "/COM/HP,/APOLLO, /COM/DEC",
        ",X.B.A,",
        "A\\,B,C\\\\",
    ] {
        let front = b"\x05\x06C.TEST\x06S.TEST\x01";
        seeds.put("names", &[front, contents.as_bytes()])?;
    }
    for text in [
        "[libdefaults]\n default_realm = A.TEST\n clockskew = 5m\n permitted_enctypes = aes -aes128-cts\n \
         ticket_lifetime = 1d 2h\n dns_canonicalize_hostname = fallback\n",
        "[realms]\n A.TEST = {\n  kdc = kdc.a.test:88\n  kdc = [::1]:88\n  admin_server = x\n  auth_to_local = \
         DEFAULT\n  sub = {\n   x = y\n  }\n }*\n[domain_realm]\n .a.test = A.TEST\n a.test = A.TEST\n",
        "include /etc/1\nincludedir /etc/d2\n[libdefaults]\nx = \"a \\\" b\\n\" \0[libdefaults]\n y = 1\n\0# c\n; d\n",
        "module m:x\n[libdefaults]*\n\tpermitted_enctypes = rc4-hmac\n allow_weak_crypto = true\n[final]*\na=b\n",
        "include /0\n",
    ] {
        seeds.put("krb5-conf", &[text.as_bytes()])?;
    }
    let bindings = trihound_sspi::ChannelBindings::application_data(b"tls-server-end-point:abc");
    let buffer = bindings.to_buffer().unwrap_or_default();
    seeds.put("gss-framing", &[&[2], &buffer])
}

/// Scripts for the targets that change real messages: none, one and two edits of each kind.
fn scripts(seeds: &mut Seeds) -> std::io::Result<()> {
    let edits: [&[u8]; 7] = [
        &[0],
        &[1, 1, 0, 40, 3],
        &[1, 8, 0, 9, 5],
        &[1, 10, 0, 7],
        &[1, 11, 0, 12],
        &[2, 7, 0, 8, 2, 65, 66, 2, 0, 60],
        &[1, 15, 0, 14, 2, 90],
    ];
    for edit in edits {
        for choice in [1, 3, 5, 7] {
            seeds.put("spnego", &[&[choice], edit])?;
        }
        for target in ["negotiate-initiator", "negotiate-acceptor"] {
            for choices in 0..16 {
                for (alpha, beta) in [(1, 1), (2, 0x0a), (0x18, 0x12), (0x0d, 3), (0x33, 0x20)] {
                    seeds.put(target, &[&[alpha, beta, choices], edit])?;
                }
            }
        }
        seeds.put("negoex", &[&[1], edit])?;
        seeds.put("negoex", &[&[1, 0], edit])?;
    }
    // An exchange of NTLM, by its flags and what is changed in its last two messages.
    for flags in [[0u8; 4], [0xe2, 0x88, 0x82, 0x35], [0, 0, 0, 2]] {
        for edit in edits {
            seeds.put("ntlm-messages", &[&[4], &flags, edit, edit])?;
            seeds.put("ntlm-messages", &[&[4], &flags, &[0], edit])?;
        }
    }
    // NTLM's handshakes: by policy and wishes, and by what is changed.
    for choices in [0u8, 0x05, 0x1a, 0x3a, 0x7a, 0x8a, 0xba] {
        for edit in edits {
            seeds.put("ntlm-initiator", &[&[choices, 2], edit])?;
            seeds.put("ntlm-acceptor", &[&[choices, 0, 2], edit])?;
            seeds.put("ntlm-acceptor", &[&[choices, 1], edit, &[1]])?;
        }
        seeds.put("ntlm-initiator", &[&[choices, 1]])?;
        seeds.put("ntlm-acceptor", &[&[choices, 0, 1]])?;
        seeds.put(
            "ntlm-acceptor",
            &[&[choices, 0, 0], &anonymous_authenticate()],
        )?;
    }
    // NTLM's sessions: by their flags, and by what is sent in which direction.
    for flags in [3u8, 2, 7, 8, 9, 0x13, 0x63, 0x70, 0x83, 0x82] {
        for choices in [0u8, 1, 4, 5, 6, 0x80] {
            for edit in edits {
                let piece = [choices, 1, 1, 5, b'h', b'e', b'l', b'l', b'o', 0, 2, 9, 9];
                seeds.put(
                    "ntlm-tokens",
                    &[&[flags], &piece, edit, &[0], edit, &piece, edit],
                )?;
            }
        }
    }
    for enctype in 0..ENCTYPES.len() as u8 {
        for choices in [0u8, 1, 2, 3, 4, 5, 6, 7, 0x15, 0x17, 0x23, 0x43, 0xff] {
            for edit in edits {
                let head = [enctype, choices];
                seeds.put("initiator", &[&head, edit, edit])?;
                seeds.put("acceptor", &[&head, &[0], edit, edit])?;
                seeds.put("kdc", &[&head, edit, edit, edit])?;
                for kind in [0, 1, 3] {
                    seeds.put("as-exchange", &[&head, &[kind], edit, &[kind], edit])?;
                    seeds.put("as-exchange", &[&head, &[0, kind], edit, edit])?;
                    seeds.put("tgs-exchange", &[&head, &[kind], edit, edit])?;
                }
                seeds.put("messages", &[&head, b"\x05hello\x00", edit, edit])?;
                seeds.put("messages", &[&head, b"\x05hello\x01", edit])?;
                let high = [enctype, choices << 4 | choices & 7];
                seeds.put("tokens", &[&high, b"\x01\x05hello\x00\x00\x1c", edit, edit])?;
                seeds.put("tokens", &[&high, b"\x01\x05hello", edit, edit])?;
                seeds.put("krb-cred", &[&[choices % 4, enctype], edit, edit])?;
                for kind in [2, 3, 5] {
                    seeds.put("kpasswd", &[&[choices | 2, enctype, 1, kind], edit, edit])?;
                }
                seeds.put(
                    "kpasswd",
                    &[&[2, enctype, 1, 1], b"\x05\x00\x04why", edit, &[choices]],
                )?;
            }
        }
    }
    Ok(())
}

/// The AUTHENTICATE message of a client who is nobody.
fn anonymous_authenticate() -> Vec<u8> {
    use trihound_ntlm::NegotiateFlags;
    use trihound_ntlm::message::AuthenticateMessage;
    AuthenticateMessage {
        flags: NegotiateFlags::NEGOTIATE_UNICODE | NegotiateFlags::ANONYMOUS,
        lm_response: &[0],
        ..AuthenticateMessage::default()
    }
    .to_bytes()
    .unwrap_or_default()
}
