//! What KDC proxies answer: the message inside, or a refusal; and what we send is read again.

use trihound_kdc_transport::{decode_proxy_message, encode_proxy_message};

const REALM: &str = "EXAMPLE.TEST";

pub fn run(data: &[u8]) {
    if let Ok(message) = decode_proxy_message(REALM, data) {
        assert!(!message.is_empty() && message.len() < data.len());
        through(&message);
    }
    if !data.is_empty() {
        through(data);
    }
}

fn through(message: &[u8]) {
    let body = encode_proxy_message(REALM, message).expect("a message of this size");
    assert_eq!(decode_proxy_message(REALM, &body).as_deref(), Ok(message));
}
