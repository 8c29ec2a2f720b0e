//! Known answers for RFC 4121 tokens: `fixtures/vectors/gss-krb5-tokens.json`.

use serde_json::Value;
use trihound_crypto::{Enctype, EnctypePolicy, Key};
use trihound_kerberos::tokens::{self, Direction};

use crate::support::unhex;

fn bytes(vector: &Value, name: &str) -> Vec<u8> {
    unhex(
        vector["in"][name]
            .as_str()
            .unwrap_or_else(|| panic!("{name} in {vector}")),
    )
}

fn number(vector: &Value, name: &str) -> u64 {
    vector["in"][name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name} in {vector}"))
}

fn short(vector: &Value, name: &str) -> u16 {
    u16::try_from(number(vector, name)).unwrap()
}

fn flag(vector: &Value, name: &str) -> bool {
    vector["in"][name]
        .as_bool()
        .unwrap_or_else(|| panic!("{name} in {vector}"))
}

fn key(vector: &Value) -> Key {
    let enctype = Enctype(i32::try_from(number(vector, "etype")).unwrap());
    Key::new(enctype, &bytes(vector, "key"), &EnctypePolicy::default()).unwrap()
}

fn sender(vector: &Value) -> Direction {
    Direction {
        from_acceptor: flag(vector, "acceptor"),
        acceptor_subkey: flag(vector, "acceptor_subkey"),
    }
}

fn receiver(vector: &Value, token: &[u8]) -> Direction {
    Direction {
        from_acceptor: flag(vector, "from_acceptor"),
        acceptor_subkey: tokens::acceptor_subkey_flag(token).unwrap_or_default(),
    }
}

/// Runs one vector; `None` for an operation that is not known.
fn run(vector: &Value) -> Option<Result<Vec<u8>, String>> {
    let key = key(vector);
    let say = |error: trihound_kerberos::MessageError| error.to_string();
    Some(match vector["op"].as_str()? {
        "wrap_conf" => tokens::wrap_conf(
            &key,
            sender(vector),
            number(vector, "seq"),
            &bytes(vector, "data"),
            &bytes(vector, "confounder"),
            short(vector, "ec"),
            short(vector, "rrc"),
        )
        .map_err(say),
        "wrap_integ" => tokens::wrap_integ(
            &key,
            sender(vector),
            number(vector, "seq"),
            &bytes(vector, "data"),
            short(vector, "rrc"),
        )
        .map_err(say),
        "mic" => tokens::mic(
            &key,
            sender(vector),
            number(vector, "seq"),
            &bytes(vector, "data"),
        )
        .map_err(say),
        "unwrap" => {
            let token = bytes(vector, "token");
            tokens::unwrap(&key, receiver(vector, &token), false, &token)
                .map(|unwrapped| unwrapped.data.expose().to_vec())
                .map_err(say)
        }
        "verify_mic" => {
            let token = bytes(vector, "token");
            tokens::verify_mic(
                &key,
                receiver(vector, &token),
                &bytes(vector, "data"),
                &token,
            )
            .map(|_| Vec::new())
            .map_err(say)
        }
        _ => return None,
    })
}

fn check(vector: &Value) {
    let id = &vector["id"];
    let outcome = run(vector).unwrap_or_else(|| panic!("{id}: unknown operation"));
    if vector["out"]["reject"].as_bool() == Some(true) {
        assert!(outcome.is_err(), "{id}: must be refused");
        return;
    }
    let made = outcome.unwrap_or_else(|error| panic!("{id}: {error}"));
    assert_eq!(
        made,
        unhex(vector["out"]["token"].as_str().unwrap()),
        "{id}"
    );
    // What was made has to open again, to the same data.
    let direction = sender(vector);
    let data = bytes(vector, "data");
    if vector["op"] == "mic" {
        tokens::verify_mic(&key(vector), direction, &data, &made).unwrap();
    } else {
        let opened = tokens::unwrap(&key(vector), direction, false, &made).unwrap();
        assert_eq!(opened.data.expose(), data, "{id}");
        assert_eq!(opened.sealed, vector["op"] == "wrap_conf", "{id}");
        assert_eq!(opened.sequence, number(vector, "seq"), "{id}");
    }
}

/// Conformance rows 22 to 26, 122 to 125 and 187: every known answer, and every refusal.
#[test]
fn every_known_answer_holds() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/vectors/gss-krb5-tokens.json"
    );
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 19);
    vectors.iter().for_each(check);
}
