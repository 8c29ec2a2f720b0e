//! NTLM's messages: what was read is put together and read to the same fields, and an AUTHENTICATE message that was
//! changed has neither the right proof nor the right MIC.

use trihound_crypto::ntlm::{NtHash, ResponseKeyNt};
use trihound_crypto::sha256;
use trihound_ntlm::compute::{self, SessionKey};
use trihound_ntlm::message::{
    AuthenticateMessage, ChallengeMessage, FileTime, MessageError, NegotiateMessage, NtResponse,
    SIGNATURE, is_ntlmssp, message_type, ntlmv2_temp, text,
};
use trihound_ntlm::{AvId, NegotiateFlags, TargetInfo, TargetInfoBuilder};

use crate::input::Input;
use crate::mutate::mutate;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 5 {
        0 => message(input.rest()),
        1 => {
            let kind = u32::from(input.byte() % 4).to_le_bytes();
            message(&[SIGNATURE.as_slice(), &kind, input.rest()].concat());
        }
        2 => list(input.rest()),
        3 => response(input.rest()),
        _ => exchange(data, &mut input),
    }
}

fn message(bytes: &[u8]) {
    if message_type(bytes).is_ok() {
        assert!(is_ntlmssp(bytes));
    }
    if let Ok(parsed) = NegotiateMessage::parse(bytes) {
        let again = parsed.to_bytes().expect("fields of 16 bits");
        assert_eq!(NegotiateMessage::parse(&again), Ok(parsed));
    }
    if let Ok(parsed) = ChallengeMessage::parse(bytes) {
        let again = parsed.to_bytes().expect("fields of 16 bits");
        assert_eq!(ChallengeMessage::parse(&again), Ok(parsed));
        name(parsed.flags, parsed.target_name);
        list(parsed.target_info.unwrap_or_default());
    }
    if let Ok(parsed) = AuthenticateMessage::parse(bytes) {
        let again = parsed.to_bytes().expect("fields of 16 bits");
        assert_eq!(AuthenticateMessage::parse(&again), Ok(parsed));
        for field in [parsed.domain, parsed.user, parsed.workstation] {
            name(parsed.flags, field);
        }
        response(parsed.nt_response);
    }
}

/// A name that can be read is written to the same bytes.
fn name(flags: NegotiateFlags, bytes: &[u8]) {
    match text::decode(flags, bytes) {
        Ok(name) => assert_eq!(text::encode(flags, &name).as_deref(), Ok(bytes)),
        Err(error) => assert!(
            matches!(
                error,
                MessageError::OddTextLength { .. } | MessageError::LoneSurrogate { .. }
            ),
            "{error}"
        ),
    }
}

fn list(bytes: &[u8]) {
    let Ok(info) = TargetInfo::parse(bytes) else {
        return;
    };
    let again = TargetInfoBuilder::copy_of(&info, &[]).finish();
    assert!(bytes.starts_with(&again), "another list");
    for id in (0..=11).map(AvId) {
        let first = info.iter().find(|pair| pair.id == id);
        assert_eq!(info.get(id), first.map(|pair| pair.value));
        let _ = info.text(id);
    }
    let _ = (info.flags(), info.timestamp(), info.target_name());
    let _ = (info.channel_bindings(), info.single_host());
    let mut without = TargetInfoBuilder::copy_of(&info, &[AvId::FLAGS]);
    without
        .push(AvId::FLAGS, &[2, 0, 0, 0])
        .expect("four bytes");
    let bytes = without.finish();
    let info = TargetInfo::parse(&bytes).expect("a list of our own");
    assert_eq!(info.flags().bits(), 2);
}

fn response(bytes: &[u8]) {
    match NtResponse::parse(bytes) {
        Ok(NtResponse::Absent) => assert!(bytes.is_empty()),
        Ok(NtResponse::V1(response)) => assert_eq!(response, bytes),
        Ok(NtResponse::V2(response)) => {
            assert_eq!(response.to_bytes(), bytes);
            list(response.temp.get(28..).expect("a fixed part"));
        }
        Err(_) => {}
    }
}

/// What both sides of one exchange know.
struct Secrets {
    response_key: ResponseKeyNt,
    exported: SessionKey,
    server_challenge: [u8; 8],
}

impl Secrets {
    /// Of this input alone: libFuzzer splices what it sees compared, and a true proof of another input would be right.
    fn of(data: &[u8]) -> Self {
        let half = |salt: u8| {
            let digest = sha256(&[data, &[salt]]);
            *digest.first_chunk::<16>().expect("32 bytes")
        };
        let hash = NtHash::from_bytes(half(0));
        let challenge = half(2);
        Self {
            response_key: hash.response_key("user", "DOMAIN"),
            exported: half(1).into(),
            server_challenge: *challenge.first_chunk().expect("16 bytes"),
        }
    }
}

fn exchange(data: &[u8], input: &mut Input<'_>) {
    let secrets = Secrets::of(data);
    let flags = NegotiateFlags::from_bits_retain(
        (input.number() as u32) << 16 | input.number() as u32 | 0x0280_0000,
    );
    let mut pairs = TargetInfoBuilder::new();
    pairs
        .push_text(AvId::NB_COMPUTER_NAME, "SERVER")
        .and_then(|pairs| pairs.push(AvId::FLAGS, &[2, 0, 0, 0]))
        .expect("short values");
    let pairs = pairs.finish();
    let challenge = ChallengeMessage {
        flags,
        server_challenge: secrets.server_challenge,
        target_name: b"S\0",
        target_info: Some(&pairs),
        version: None,
    };
    let second = challenge.to_bytes().expect("short fields");
    let temp = ntlmv2_temp(FileTime(7), &[3; 8], &pairs);
    let proof = compute::ntlmv2_proof(&secrets.response_key, &secrets.server_challenge, &temp);
    let answer = [&proof, temp.as_slice()].concat();
    let authenticate = AuthenticateMessage {
        flags,
        lm_response: &[0; 24],
        nt_response: &answer,
        user: b"u\0s\0e\0r\0",
        mic: Some([0; 16]),
        ..AuthenticateMessage::default()
    };
    let mut third = authenticate.to_bytes().expect("short fields");
    let mic = compute::mic(&secrets.exported, b"first", &second, &third);
    AuthenticateMessage::set_mic(&mut third, &mic).expect("a place for it");
    message(&mutate(&second, input));
    let changed = mutate(&third, input);
    message(&changed);
    let Ok(parsed) = AuthenticateMessage::parse(&changed) else {
        return;
    };
    // The place of the MIC is not under the MIC, but it is compared with it.
    let mic = compute::mic(&secrets.exported, b"first", &second, &changed);
    if parsed.mic == Some(mic) {
        assert_eq!(changed, third, "a MIC of another message");
    }
    if let Ok(NtResponse::V2(response)) = NtResponse::parse(parsed.nt_response) {
        let is_right = compute::verify_ntlmv2_proof(
            &secrets.response_key,
            &secrets.server_challenge,
            response.temp,
            &response.proof,
        );
        assert_eq!(is_right, parsed.nt_response == answer, "another proof");
    }
}
