//! Known answers of `fixtures/vectors`, one test a file.

use std::path::Path;

use serde_json::Value;
use trihound_crypto::{
    ChecksumType, Enctype, Error, Key, KeyUsage, Pbkdf2Hash, cts_decrypt, cts_encrypt, krb_fx_cf2,
    nfold, pbkdf2, unkeyed_checksum,
};

use crate::support::{anything, unhex};

/// Camellia (RFC 6803) and RC4-EXP (RFC 4757 section 5) are not supported.
const UNSUPPORTED: [i64; 3] = [24, 25, 26];

/// One vector's `in` or `out`.
struct Fields<'a>(&'a Value);

impl Fields<'_> {
    fn bytes(&self, name: &str) -> Vec<u8> {
        unhex(self.text(name))
    }

    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no {name}"))
    }

    fn number(&self, name: &str) -> i64 {
        self.0[name].as_i64().unwrap_or_else(|| panic!("no {name}"))
    }

    fn has(&self, name: &str) -> bool {
        !self.0[name].is_null()
    }

    fn is_true(&self, name: &str) -> bool {
        self.0[name].as_bool().unwrap_or(false)
    }

    fn enctype(&self) -> Enctype {
        Enctype(i32::try_from(self.number("etype")).unwrap())
    }

    fn usage(&self) -> KeyUsage {
        KeyUsage(u32::try_from(self.number("usage")).unwrap())
    }

    fn key(&self) -> Result<Key, Error> {
        Key::new(self.enctype(), &self.bytes("key"), &anything())
    }
}

/// Runs `check` on every vector of a file; `expected` is how many it has.
fn run(file: &str, expected: usize, check: impl Fn(&Fields<'_>, &Fields<'_>)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/vectors");
    let text = std::fs::read_to_string(path.join(file)).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let vectors = json["vectors"].as_array().unwrap();
    assert_eq!(
        vectors.len(),
        expected,
        "{file} has another number of vectors"
    );
    for vector in vectors {
        println!("{}", vector["id"]);
        let (input, output) = (Fields(&vector["in"]), Fields(&vector["out"]));
        if input.has("etype") && UNSUPPORTED.contains(&input.number("etype")) {
            let enctype = input.enctype();
            assert_eq!(
                Key::new(enctype, &[0; 16], &anything()).unwrap_err(),
                Error::UnknownEnctype(enctype)
            );
            continue;
        }
        check(&input, &output);
    }
}

/// Conformance row 49.
#[test]
fn aes_cts() {
    run("aes-cts.json", 6, |input, output| {
        let key = input.bytes("key");
        let iv: [u8; 16] = input.bytes("iv").try_into().unwrap();
        let plaintext = input.bytes("plaintext");
        let mut bytes = plaintext.clone();
        let next = cts_encrypt(&key, &iv, &mut bytes).unwrap();
        assert_eq!(bytes, output.bytes("ciphertext"));
        assert_eq!(next.to_vec(), output.bytes("next_iv"));
        assert_eq!(cts_decrypt(&key, &iv, &mut bytes).unwrap(), next);
        assert_eq!(bytes, plaintext);
    });
}

/// Conformance row 63.
#[test]
fn cf2() {
    run("krb5-cf2.json", 3, |input, output| {
        let key = |number: &str, bytes: &str| {
            let enctype = Enctype(i32::try_from(input.number(number)).unwrap());
            Key::new(enctype, &input.bytes(bytes), &anything()).unwrap()
        };
        let combined = krb_fx_cf2(
            &key("etype1", "key1"),
            &key("etype2", "key2"),
            &input.bytes("pepper1"),
            &input.bytes("pepper2"),
            Enctype(i32::try_from(input.number("out_etype")).unwrap()),
            &anything(),
        )
        .unwrap();
        assert_eq!(combined.expose(), output.bytes("key"));
    });
}

#[test]
fn checksum() {
    run("krb5-checksum.json", 22, |input, output| {
        let kind = ChecksumType(i32::try_from(input.number("sumtype")).unwrap());
        let (data, expected) = (input.bytes("data"), output.bytes("checksum"));
        if input.number("etype") == 0 {
            assert_eq!(unkeyed_checksum(kind, &data).unwrap(), expected);
            return;
        }
        let key = input.key().unwrap();
        assert_eq!(key.checksum(input.usage(), kind, &data).unwrap(), expected);
        assert_eq!(
            key.verify_checksum(input.usage(), kind, &data, &expected),
            Ok(())
        );
    });
}

/// Conformance rows 50, 51 and 56.
#[test]
fn decrypt() {
    run("krb5-decrypt.json", 121, |input, output| {
        let key = input.key().unwrap();
        let ciphertext = input.bytes("ciphertext");
        let result = key.decrypt(input.usage(), &ciphertext);
        if output.is_true("reject") {
            let minimum = key.profile().minimum_ciphertext();
            let expected = if ciphertext.len() < minimum {
                Error::CiphertextTooShort {
                    enctype: key.enctype(),
                    minimum,
                    actual: ciphertext.len(),
                }
            } else {
                Error::IntegrityCheckFailed
            };
            assert_eq!(result.unwrap_err(), expected);
            return;
        }
        let plaintext = output.bytes("plaintext");
        assert_eq!(result.unwrap().expose(), plaintext);
        assert_eq!(
            key.encrypt_with_confounder(input.usage(), &output.bytes("confounder"), &plaintext)
                .unwrap(),
            ciphertext
        );
    });
}

/// Conformance rows 48 and 51.
#[test]
fn derive() {
    run("krb5-derive.json", 14, |input, output| {
        let derived = input.key().unwrap().derive(&input.bytes("constant"));
        assert_eq!(derived.unwrap().expose(), output.bytes("derived"));
    });
}

/// Conformance row 47.
#[test]
fn nfolds() {
    run("krb5-nfold.json", 11, |input, output| {
        let mut folded = vec![0xff; usize::try_from(input.number("bits")).unwrap() / 8];
        nfold(&input.bytes("input"), &mut folded);
        assert_eq!(folded, output.bytes("folded"));
    });
}

/// Conformance row 53.
#[test]
fn prf() {
    run("krb5-prf.json", 17, |input, output| {
        let key = input.key().unwrap();
        let prf = key.prf(&input.bytes("input")).unwrap();
        assert_eq!(prf.expose(), output.bytes("prf"));
        assert_eq!(prf.len(), key.profile().prf_length);
    });
}

/// Conformance rows 52, 54 and 57.
#[test]
fn string_to_key() {
    run("krb5-string2key.json", 44, |input, output| {
        let params = input.bytes("params");
        let policy = if input.is_true("allow_weak") {
            anything()
        } else {
            trihound_crypto::danger::permit_weak_enctypes(
                trihound_crypto::EnctypePolicy::default(),
                &[Enctype::RC4_HMAC],
            )
        };
        let key = Key::from_password(
            input.enctype(),
            &input.bytes("password"),
            &input.bytes("salt"),
            (!params.is_empty()).then_some(params.as_slice()),
            &policy,
        );
        if output.is_true("reject") {
            assert!(matches!(key.unwrap_err(), Error::IterationCount { .. }));
        } else {
            assert_eq!(key.unwrap().expose(), output.bytes("key"));
        }
    });
}

#[test]
fn pbkdf2_of_every_hash() {
    run("pbkdf2.json", 19, |input, output| {
        let hash = match input.text("hash_text") {
            "sha1" => Pbkdf2Hash::Sha1,
            "sha256" => Pbkdf2Hash::Sha256,
            "sha384" => Pbkdf2Hash::Sha384,
            "sha512" => Pbkdf2Hash::Sha512,
            other => panic!("unknown hash {other}"),
        };
        let mut derived = vec![0; usize::try_from(input.number("length")).unwrap()];
        pbkdf2(
            hash,
            &input.bytes("password"),
            &input.bytes("salt"),
            u32::try_from(input.number("iterations")).unwrap(),
            &mut derived,
        );
        assert_eq!(derived, output.bytes("derived"));
    });
}
