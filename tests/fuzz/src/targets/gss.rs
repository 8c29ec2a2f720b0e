//! GSS framing, the checksum 0x8003, exported names, channel bindings.

use trihound_asn1::gss::{
    GssChecksum, is_framed, unwrap_mechanism_token, unwrap_token, wrap_mechanism_token, wrap_token,
};
use trihound_sspi::ChannelBindings;

pub fn run(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    match choice % 3 {
        0 => framing(data),
        1 => checksum(data),
        _ => bindings(data),
    }
}

fn framing(data: &[u8]) {
    if let Ok(token) = unwrap_token(data) {
        assert!(is_framed(data));
        let again = wrap_token(token.oid, token.tok_id, token.inner);
        assert_eq!(unwrap_token(&again).expect("a frame of our own"), token);
    }
    if let Ok((oid, inner)) = unwrap_mechanism_token(data) {
        let again = wrap_mechanism_token(oid, inner);
        let twice = unwrap_mechanism_token(&again).expect("a frame of our own");
        assert_eq!(twice, (oid, inner));
    }
}

fn checksum(data: &[u8]) {
    if let Ok(checksum) = GssChecksum::parse(data) {
        let again = checksum.encode().expect("what was read can be written");
        let twice = GssChecksum::parse(&again).expect("a checksum of our own");
        assert_eq!(twice, checksum);
    }
}

fn bindings(data: &[u8]) {
    if let Ok(bindings) = ChannelBindings::parse(data) {
        let buffer = bindings.to_buffer().expect("lengths of 32 bits");
        let again = ChannelBindings::parse(&buffer).expect("a buffer of our own");
        assert_eq!(again, bindings);
        assert_eq!(again.gss_image().ok(), bindings.gss_image().ok());
    }
}
