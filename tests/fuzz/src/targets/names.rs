//! Names in all their forms: what is read, shown and read again is the same name.

use trihound_asn1::TransitedEncoding;
use trihound_asn1::is_treacherous;
use trihound_krb5::Principal;
use trihound_krb5::ap::decode_transited;
use trihound_sspi::{AccountName, ServicePrincipalName};

use crate::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 6 {
        0 => principal(input.rest()),
        1 => enterprise(input.rest()),
        2 => exported(input.rest()),
        3 => service(input.rest()),
        4 => {
            let text = String::from_utf8_lossy(input.rest());
            if let Ok(name) = AccountName::parse(&text) {
                assert!(!name.user().is_empty(), "{text:?}");
                let _ = name.domain();
            }
            let _ = Principal::from_host_based_service(&text, "here", "EXAMPLE.TEST");
        }
        _ => transited(&mut input),
    }
}

fn principal(bytes: &[u8]) {
    if let Ok(name) = Principal::parse_bytes(bytes, Some("EXAMPLE.TEST")) {
        shown(&name);
    }
}

fn shown(name: &Principal) {
    let token = name.to_exported_name();
    let imported = Principal::from_exported_name(&token).expect("a name of our own");
    assert_eq!(&imported, name);
    let text = name.to_string();
    // A name comes from a peer and goes to terminals and logs.
    assert!(!text.contains(is_treacherous), "{text:?}");
    // MIT's form has escapes for these four; any other treacherous character is shown as U+FFFD, so that
    // such a name has no text of its own.
    let has_text = |part: &[u8]| {
        std::str::from_utf8(part).is_ok_and(|part| {
            part.chars()
                .all(|c| !is_treacherous(c) || matches!(c, '\n' | '\t' | '\u{8}' | '\0'))
        })
    };
    if name
        .components()
        .chain([name.realm.as_bytes()])
        .all(has_text)
    {
        let again = Principal::parse(&text, None).expect("a name of our own");
        assert_eq!(&again, name, "{text:?}");
        assert_eq!(again.to_string(), text);
    }
    let _ = (name.default_salt(), name.is_krbtgt(), name.name_text());
}

fn enterprise(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(name) = Principal::parse_enterprise(&text, Some("EXAMPLE.TEST")) {
        assert_eq!(name.components().count(), 1);
        shown(&name);
    }
}

fn exported(bytes: &[u8]) {
    if let Ok(name) = Principal::from_exported_name(bytes) {
        shown(&name);
    }
}

fn service(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(name) = ServicePrincipalName::parse(&text) else {
        return;
    };
    assert!(!text.contains("1UWhRCA"), "{text:?}");
    let mut again = name.components().join("/");
    if let Some(realm) = &name.realm {
        again = format!("{again}@{realm}");
    }
    assert_eq!(again, text);
    assert_eq!(ServicePrincipalName::parse(&again).ok(), Some(name));
}

fn transited(input: &mut Input<'_>) {
    let (client, server) = (input.chunk(), input.chunk());
    let tr_type = i32::from(input.byte() % 4);
    let encoding = TransitedEncoding {
        tr_type,
        contents: input.rest().to_vec().into(),
    };
    if let Ok(realms) = decode_transited(&encoding, client, server) {
        assert!(
            realms
                .iter()
                .all(|realm| realm != client && realm != server)
        );
        assert!(realms.len() <= encoding.contents.len() * 300 + 300);
    }
}
