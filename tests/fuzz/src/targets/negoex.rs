//! Messages of NEGOEX: any bytes, or whole messages with the edits that the input prescribes.

use trihound_negotiate::negoex::{
    Body, Conversation, MAX_ALERTS, MAX_AUTH_SCHEMES, MAX_EXTENSIONS, MAX_MESSAGES,
};

use crate::input::Input;
use crate::mutate::mutate;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    if choice % 2 == 0 {
        return conversation(&[data.get(1..).unwrap_or_default()]);
    }
    let first = [
        nego(0),
        exchange(2, 1, b"metadata"),
        exchange(5, 2, b"a token"),
    ]
    .concat();
    let second = [exchange(4, 3, b"an answer"), verify(4), alert(5)].concat();
    let first = mutate(&first, &mut input);
    let second = mutate(&second, &mut input);
    conversation(&[&first, &second]);
}

fn conversation(tokens: &[&[u8]]) {
    let mut conversation = Conversation::default();
    for token in tokens {
        let before = conversation;
        let Ok(messages) = conversation.read(token) else {
            assert_eq!(conversation, before, "a refused token leaves nothing");
            continue;
        };
        assert!((1..=MAX_MESSAGES).contains(&messages.len()));
        assert!(before.id().is_none() || before.id() == conversation.id());
        let mut repeated = conversation;
        assert!(
            repeated.read(token).is_err(),
            "a token was taken a second time"
        );
        for message in &messages {
            assert_eq!(Some(message.conversation_id), conversation.id());
            match &message.body {
                Body::Nego {
                    auth_schemes,
                    extensions,
                    ..
                } => {
                    assert!(auth_schemes.len() <= MAX_AUTH_SCHEMES);
                    assert!(extensions.len() <= MAX_EXTENSIONS);
                    inside(token, extensions.iter().map(|(_, value)| *value));
                }
                Body::Exchange { exchange, .. } => inside(token, [*exchange]),
                Body::Verify { checksum, .. } => inside(token, [*checksum]),
                Body::Alert { alerts, .. } => {
                    assert!(alerts.len() <= MAX_ALERTS);
                    inside(token, alerts.iter().map(|(_, value)| *value));
                }
            }
        }
    }
}

fn inside<'a>(token: &[u8], values: impl IntoIterator<Item = &'a [u8]>) {
    for value in values {
        assert!(value.len() <= token.len());
    }
}

fn message(kind: u32, number: u32, header: usize, fixed: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = b"NEGOEXTS".to_vec();
    for word in [kind, number, header as u32, (header + payload.len()) as u32] {
        out.extend(word.to_le_bytes());
    }
    out.extend([0xc0; 16]);
    out.extend_from_slice(fixed);
    out.resize(header, 0);
    out.extend_from_slice(payload);
    out
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

fn nego(number: u32) -> Vec<u8> {
    let fixed = [&[7; 40 - 8][..], &[0; 8], &words(&[96, 2, 128, 1])].concat();
    let payload = [&[0x5c; 32][..], &words(&[1, 140, 3]), b"abc"].concat();
    message(0, number, 96, &fixed, &payload)
}

fn exchange(kind: u32, number: u32, value: &[u8]) -> Vec<u8> {
    let fixed = [&[0x5c; 16][..], &words(&[64, value.len() as u32])].concat();
    message(kind, number, 64, &fixed, value)
}

fn verify(number: u32) -> Vec<u8> {
    let fixed = [&[0x5c; 16][..], &words(&[20, 1, 16, 80, 12])].concat();
    message(6, number, 80, &fixed, &[0xcc; 12])
}

fn alert(number: u32) -> Vec<u8> {
    let fixed = [&[0x5c; 16][..], &words(&[0xc000_0001, 72, 1])].concat();
    message(7, number, 72, &fixed, &words(&[1, 84, 8, 8, 1]))
}
