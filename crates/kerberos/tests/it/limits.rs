//! Messages and handshakes at the limits of what is allowed: counts, rotations, padding, room.

use trihound_asn1::{ApOptions, gss};
use trihound_crypto::rfc4757::{Rc4Stream, hmac_md5};
use trihound_crypto::{Enctype, md5};
use trihound_kerberos::tokens::{self, Direction};
use trihound_kerberos::{MessageError, SequenceError};
use trihound_sspi::{
    AcceptRequest, AcceptorAttributes, AcceptorRequirements, BufferType, ContextAttribute,
    ContextAttributeValue, CtxtHandle, InputDesc, SECQOP_WRAP_NO_ENCRYPT, SecBuffer, SecBufferDesc,
};

use crate::support::{AES, Pieces, Setup, key, wrap};
use crate::surface::{established, only, query};
use crate::world::{Sides, Wishes, World, acceptor_attributes, gss_checksum};

const FROM_INITIATOR: Direction = Direction {
    from_acceptor: false,
    acceptor_subkey: false,
};

/// Header of a token of RFC 4121, and of its copy.
const HEADER: usize = 16;

/// How many lengths of the rotated part may be added to a rotation that opens.
fn rotations(body: usize, natural: usize) -> impl Iterator<Item = (u16, bool)> {
    let end = usize::from(u16::MAX);
    [0, 1, natural, body - 1, body, body + 1, end - 1, end]
        .into_iter()
        .chain([1, 2, 7].map(|times| natural + times * body))
        .chain([1, 2].map(|times| natural + times * body + 1))
        .chain([1, 2].map(|times| natural + times * body - 1))
        .map(move |rrc| (u16::try_from(rrc).unwrap(), rrc % body == natural % body))
}

/// Conformance row 24: RRC counts modulo the length of what is rotated (RFC 4121 4.2.5), when token and
/// data are apart too; any other rotation has put data into the token and token into the data.
#[test]
fn row_24_rotations_by_whole_lengths_open_in_buffers() {
    for enctype in AES {
        for (seal, length) in [(true, 0), (true, 5), (false, 0), (false, 5), (false, 40)] {
            let plain = Pieces::of(&[length]);
            let mut message = plain.clone();
            let (token, _) = wrap(&mut Setup::of(enctype).pair().0, seal, &mut message);
            let mac = enctype.profile().unwrap().checksum_length;
            let natural = if seal { HEADER + mac } else { mac };
            let body = token.len() - HEADER + length;
            for (rrc, opens) in rotations(body, natural) {
                let (mut token, mut message) = (token.clone(), message.clone());
                token[6..8].copy_from_slice(&rrc.to_be_bytes());
                let (_, mut acceptor) = Setup::of(enctype).pair();
                let outcome = acceptor.unwrap(&mut token.clone(), &mut message, &mut []);
                if opens {
                    assert_eq!(outcome.unwrap().sequence, Ok(()), "{enctype} rrc {rrc}");
                    assert_eq!(message, plain);
                } else {
                    let token = token.len();
                    let expected = MessageError::LayoutNotOfBuffers { rrc, token };
                    assert_eq!(outcome, Err(expected), "{enctype} seal {seal}");
                }
            }
        }
    }
}

/// Conformance row 24: tokens in one piece, sealed and signed, from none to many bytes of data.
#[test]
fn row_24_rotations_by_whole_lengths_open_in_one_piece() {
    for enctype in AES {
        let mac = enctype.profile().unwrap().checksum_length;
        for length in [0, 1, 5, 40] {
            let data = Pieces::of(&[length]).concat();
            let body = HEADER + length + HEADER + mac;
            for (rrc, in_place) in rotations(body, HEADER + mac) {
                let key = key(enctype);
                let made = tokens::wrap_conf(&key, FROM_INITIATOR, 40, &data, &[9; 16], 0, rrc);
                let mut token = made.unwrap();
                let (_, mut acceptor) = Setup::of(enctype).pair();
                let (range, unwrapped) = acceptor.unwrap_stream(&mut token).unwrap();
                assert_eq!(unwrapped.sequence, Ok(()));
                assert_eq!(&token[range.clone()], data, "{enctype} rrc {rrc}");
                // A token whose data came last is opened without moving a byte.
                assert_eq!(range.end == token.len(), in_place);
            }
            for (rrc, in_place) in rotations(length + mac, mac) {
                let made = tokens::wrap_integ(&key(enctype), FROM_INITIATOR, 40, &data, rrc);
                let mut token = made.unwrap();
                let (_, mut acceptor) = Setup::of(enctype).pair();
                let (range, unwrapped) = acceptor.unwrap_stream(&mut token).unwrap();
                assert_eq!(unwrapped.sequence, Ok(()));
                assert_eq!(&token[range.clone()], data, "{enctype} rrc {rrc}");
                assert_eq!(range.end == token.len(), in_place);
            }
        }
    }
}

/// Conformance row 25: EC may be all that is encrypted, and not a byte more (RFC 4121 4.2.4).
#[test]
fn row_25_an_extra_count_may_be_the_whole_plaintext() {
    for enctype in AES {
        for ec in [1, 16, 40] {
            for rrc in [0, 1, u16::MAX] {
                let made =
                    tokens::wrap_conf(&key(enctype), FROM_INITIATOR, 40, &[], &[9; 16], ec, rrc);
                let mut token = made.unwrap();
                let mut more = token.clone();
                more[4..6].copy_from_slice(&(ec + 1).to_be_bytes());
                let (_, mut acceptor) = Setup::of(enctype).pair();
                assert_eq!(
                    acceptor.unwrap_stream(&mut more),
                    Err(MessageError::ExtraCount { ec: ec + 1 })
                );
                let (range, _) = acceptor.unwrap_stream(&mut token).unwrap();
                assert!(range.is_empty());
            }
        }
        let mut message = Pieces::of(&[5]);
        let (mut token, _) = wrap(&mut Setup::of(enctype).pair().0, true, &mut message);
        let (_, mut acceptor) = Setup::of(enctype).pair();
        token[4..6].copy_from_slice(&5_u16.to_be_bytes());
        let expected = MessageError::LayoutNotOfBuffers {
            rrc: u16::from_be_bytes([token[6], token[7]]),
            token: token.len(),
        };
        assert_eq!(
            acceptor.unwrap(&mut token, &mut message, &mut []),
            Err(expected)
        );
    }
}

/// Conformance row 25: the shortest tokens, and those that are a byte shorter.
#[test]
fn row_25_a_token_of_no_data_is_the_shortest() {
    for enctype in AES {
        let mac = enctype.profile().unwrap().checksum_length;
        for (seal, needed) in [(true, 3 * HEADER + mac), (false, HEADER + mac)] {
            let made = || {
                let (mut initiator, acceptor) = Setup::of(enctype).pair();
                let token = wrap(&mut initiator, seal, &mut Pieces::of(&[0])).0;
                (token, acceptor)
            };
            let (mut token, mut acceptor) = made();
            assert_eq!(token.len(), needed);
            assert!(acceptor.unwrap_stream(&mut token).unwrap().0.is_empty());
            let found = needed - 1;
            let expected = MessageError::TokenTooShort { needed, found };
            let (mut token, mut acceptor) = made();
            let cut = &mut token[..found];
            assert_eq!(acceptor.unwrap_stream(cut), Err(expected.clone()));
            let outcome = acceptor.unwrap(cut, &mut Pieces::of(&[1]), &mut []);
            assert_eq!(outcome, Err(expected));
        }
    }
}

/// A Wrap token of RC4 that the initiator sealed as RFC 4757 7.3 says, but for its padding: token,
/// data, padding.
fn sealed_by_hand(data: &[u8], padding: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let key = key(Enctype::RC4_HMAC);
    let key = key.expose();
    let (head, mut confounder) = ([2, 1, 0x11, 0, 0x10, 0, 0xff, 0xff], [9; 8]);
    let signing = hmac_md5(key, &[b"signaturekey\0"]);
    let digest = md5(&[&13_u32.to_le_bytes(), &head, &confounder, data, padding]);
    let checksum = &hmac_md5(&signing, &[&digest])[..8];
    let number = 40_u32.to_be_bytes();
    let stream =
        |key: &[u8], over: &[u8]| Rc4Stream::new(&hmac_md5(&hmac_md5(key, &[&[0; 4]]), &[over]));
    let mut field = [number, [0; 4]].concat();
    stream(key, checksum).apply(&mut field);
    let local: Vec<u8> = key.iter().map(|byte| byte ^ 0xf0).collect();
    let mut cipher = stream(&local, &number);
    let (mut data, mut padding) = (data.to_vec(), padding.to_vec());
    cipher.apply(&mut confounder);
    cipher.apply(&mut data);
    cipher.apply(&mut padding);
    let fields = [&head[..], &field, checksum, &confounder].concat();
    let inside = 11 + fields.len() + data.len() + padding.len();
    let framing = [&[0x60, u8::try_from(inside).unwrap(), 6, 9], gss::KRB5_OID].concat();
    ([framing, fields].concat(), data, padding)
}

/// Conformance row 132: the padding is one byte of 1 (RFC 4757 7.3), in a buffer of its own as at the
/// end of the data, and nothing else under an intact checksum.
#[test]
fn row_132_padding_of_another_value_is_refused() {
    let plain = b"five!";
    for (padding, good) in [
        (&[1][..], true),
        (&[0], false),
        (&[2], false),
        (&[8], false),
        (&[0xff], false),
        (&[1, 1], false),
        (&[2, 1], false),
        (&[1, 2], false),
    ] {
        let (token, data, behind) = sealed_by_hand(plain, padding);
        let (_, mut acceptor) = Setup::of(Enctype::RC4_HMAC).pair();
        let mut message = Pieces(vec![(true, data.clone())]);
        let outcome = acceptor.unwrap(&mut token.clone(), &mut message, &mut behind.clone());
        let whole = [token.clone(), data.clone(), behind.clone()].concat();
        if good {
            assert_eq!(outcome.unwrap().padding, 0);
            assert_eq!(message.concat(), plain);
            let (range, unwrapped) = acceptor.unwrap_stream(&mut whole.clone()).unwrap();
            assert_eq!(range.len(), plain.len());
            assert_eq!(
                unwrapped.sequence,
                Err(SequenceError::Duplicate { behind: 1 })
            );
            continue;
        }
        assert_eq!(outcome, Err(MessageError::Padding), "{padding:?}");
        assert_eq!(message.concat(), [0; 5]);
        // In one piece a padding ends with the last byte, and what is before it is data.
        if padding.last() != Some(&1) {
            assert_eq!(
                acceptor.unwrap_stream(&mut whole.clone()),
                Err(MessageError::Padding)
            );
            let mut joined = Pieces(vec![(true, [data, behind].concat())]);
            assert_eq!(
                acceptor.unwrap(&mut token.clone(), &mut joined, &mut []),
                Err(MessageError::Padding)
            );
        }
    }
}

/// A context whose messages are of RC4 and no other enctype, after an AP-REP too.
fn rc4_world(wishes: Wishes) -> (World, CtxtHandle, CtxtHandle) {
    let world = only(Enctype::RC4_HMAC);
    let (initiator, acceptor) = established(&world, wishes);
    for context in [initiator, acceptor] {
        let info = query(&world, context, ContextAttribute::KeyInfo);
        let Ok(ContextAttributeValue::KeyInfo(info)) = info else {
            panic!("{info:?}");
        };
        assert_eq!(info.encrypt_algorithm, 23);
    }
    (world, initiator, acceptor)
}

fn encrypt(world: &World, context: CtxtHandle, qop: u32, data: &mut [u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut memory, mut padding) = ([0; 49], [0; 1]);
    let mut buffers = [
        SecBuffer::token(&mut memory),
        SecBuffer::data(data),
        SecBuffer::padding(&mut padding),
    ];
    let mut message = SecBufferDesc::new(&mut buffers);
    let table = &world.table;
    table
        .encrypt_message(context, qop, &mut message, 0)
        .unwrap();
    let token = message.token().unwrap().to_vec();
    let padding = message.find(BufferType::PADDING).unwrap().bytes().to_vec();
    (token, padding)
}

/// Conformance rows 126 and 132: after DecryptMessage no buffer has padding: one of its own has 0 bytes,
/// and data that ended with it ends before it, whichever buffer it was in.
#[test]
fn row_132_padding_is_taken_off_the_buffers() {
    let (world, initiator, acceptor) = rc4_world(Wishes::full());
    for (from, to) in [(initiator, acceptor), (acceptor, initiator)] {
        for qop in [0, SECQOP_WRAP_NO_ENCRYPT] {
            let sealed = || {
                let mut data = *b"some text";
                let (token, padding) = encrypt(&world, from, qop, &mut data);
                assert_eq!(padding.len(), 1);
                (token, data, padding)
            };
            let open = |buffers: &mut [SecBuffer<'_>]| {
                let mut message = SecBufferDesc::new(buffers);
                let table = &world.table;
                assert_eq!(table.decrypt_message(to, &mut message, 0).unwrap(), qop);
            };

            let (mut token, mut data, mut padding) = sealed();
            let mut buffers = [
                SecBuffer::token(&mut token),
                SecBuffer::data(&mut data),
                SecBuffer::padding(&mut padding),
            ];
            open(&mut buffers);
            assert_eq!(buffers.each_ref().map(SecBuffer::len)[1..], [9, 0]);
            assert_eq!(buffers[1].bytes(), b"some text");

            let (mut token, data, padding) = sealed();
            let mut joined = [&data[..], &padding].concat();
            let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut joined)];
            open(&mut buffers);
            assert_eq!(buffers[1].bytes(), b"some text");

            // The padding alone in the last buffer that has any bytes.
            let (mut token, mut data, mut padding) = sealed();
            let mut buffers = [
                SecBuffer::data(&mut data),
                SecBuffer::token(&mut token),
                SecBuffer::data(&mut padding),
                SecBuffer::data(&mut []),
            ];
            open(&mut buffers);
            assert_eq!(buffers[0].bytes(), b"some text");
            assert_eq!([buffers[2].len(), buffers[3].len()], [0, 0]);
        }
    }
}

/// The AP-REP is due when the checksum says MUTUAL, when ap-options do, and when both do (RFC 4120
/// 3.2.4, RFC 4121 4.1.1.1).
#[test]
fn either_sign_of_mutual_authentication_gets_an_answer() {
    const MUTUAL: u32 = 2;
    for (options, flags, mutual) in [
        (ApOptions::empty(), 0, false),
        (ApOptions::empty(), MUTUAL, true),
        (ApOptions::MUTUAL_REQUIRED, 0, true),
        (ApOptions::MUTUAL_REQUIRED, MUTUAL, true),
    ] {
        let world = World::new(Enctype::AES256_CTS_HMAC_SHA1_96);
        let message = world.ap_req(options, |authenticator| {
            authenticator.cksum = Some(gss_checksum(&[0; 16], flags));
        });
        let token = gss::wrap_token(gss::KRB5_OID, [1, 0], &message);
        let mut sides = Sides::new(&world, Wishes::default());
        let (outcome, answer) = sides.accept(Some(&token));
        let got = acceptor_attributes(outcome.unwrap().established().unwrap());
        assert_eq!(got.contains(AcceptorAttributes::MUTUAL_AUTH), mutual);
        assert_eq!(!answer.is_empty(), mutual);
        if mutual {
            // Framing, then TOK_ID of an AP-REP.
            assert_eq!(answer[answer.len() - gss_inside(&answer)..][..2], [2, 0]);
        }
    }
}

/// Bytes behind tag, length and mechanism.
fn gss_inside(token: &[u8]) -> usize {
    let length_octets = match token[1] {
        0..0x80 => 1,
        long => 1 + usize::from(long & 0x7f),
    };
    token.len() - 1 - length_octets - 11
}

/// ASC_REQ_ALLOCATE_MEMORY: the caller's buffer has no room of its own, and needs none.
#[test]
fn an_allocated_answer_needs_no_room() {
    for (wishes, dce) in [(Wishes::full(), false), (Wishes::dce(), true)] {
        let world = World::new(Enctype::AES256_CTS_HMAC_SHA1_96);
        let mut sides = Sides::new(&world, wishes);
        let (_, token) = sides.initialize(None);
        let input = [SecBuffer::token_input(&token)];
        let request = AcceptRequest {
            requirements: AcceptorRequirements::ALLOCATE_MEMORY,
            input: Some(InputDesc::new(&input)),
        };
        let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
        assert_eq!(buffers[0].capacity(), 0);
        let mut output = SecBufferDesc::new(&mut buffers);
        let accepted = world
            .table
            .accept_security_context(Some(sides.service), None, request, &mut output)
            .unwrap();
        assert_eq!(accepted.established().is_some(), !dce);
        let answer = output.token().unwrap().to_vec();
        let (outcome, _) = sides.initialize(Some(&answer));
        assert!(outcome.unwrap().established().is_some());
    }
}

/// One is not many.
#[test]
fn sequence_errors_count_in_words() {
    let texts = |count| {
        [
            SequenceError::Duplicate { behind: count },
            SequenceError::Old { behind: count },
            SequenceError::Gap { missing: count },
            SequenceError::Unsequenced { behind: count },
        ]
        .map(|error| error.to_string())
    };
    for text in texts(1) {
        assert!(
            text.contains("1 number ") || text.contains("1 message "),
            "{text}"
        );
    }
    for text in texts(2) {
        assert!(
            text.contains("2 numbers ") || text.contains("2 messages "),
            "{text}"
        );
    }
}
