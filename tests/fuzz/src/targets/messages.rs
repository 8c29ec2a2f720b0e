//! The message functions of SSPI on a live pair of contexts, with buffers of any shape.

use std::cell::RefCell;
use std::collections::HashSet;

use trihound_crypto::Enctype;
use trihound_sspi::{
    AcceptRequest, AcceptorRequirements, BufferType, ContextRef, InitializeRequest,
    InitiatorRequirements, InputDesc, SecBuffer, SecBufferDesc,
};

use crate::input::Input;
use crate::mutate::mutate;
use crate::world::{SERVICE, World};

/// One direction of an established pair, without sequence detection: any message may come again.
struct Pair {
    enctype: Enctype,
    dce_style: bool,
    initiator: ContextRef,
    acceptor: ContextRef,
}

thread_local! {
    static PAIRS: RefCell<Vec<Pair>> = const { RefCell::new(Vec::new()) };
    /// What was ever protected. libFuzzer splices what it sees compared, so that a true token of
    /// another input may come.
    static SENT: RefCell<HashSet<Vec<u8>>> = RefCell::default();
}

fn is_sent(message: &[u8]) -> bool {
    SENT.with_borrow(|sent| sent.contains(message))
}

fn remember(message: &[u8]) {
    SENT.with_borrow_mut(|sent| sent.insert(message.to_vec()));
}

fn establish(world: &World, dce_style: bool) -> Pair {
    let mut requirements = InitiatorRequirements::CONFIDENTIALITY
        | InitiatorRequirements::INTEGRITY
        | InitiatorRequirements::MUTUAL_AUTH;
    if dce_style {
        requirements |= InitiatorRequirements::USE_DCE_STYLE;
    }
    let table = &world.table;
    let (mut ours, mut theirs) = (None, None);
    let mut from_acceptor = Vec::new();
    for _ in 0..4 {
        let buffers = [SecBuffer::token_input(&from_acceptor)];
        let request = InitializeRequest {
            target_name: Some(SERVICE),
            requirements,
            input: (!from_acceptor.is_empty()).then(|| InputDesc::new(&buffers)),
            ..InitializeRequest::default()
        };
        let mut output = [SecBuffer::allocate(BufferType::TOKEN)];
        let outcome = table
            .initialize_security_context(
                Some(world.initiator),
                ours,
                request,
                &mut SecBufferDesc::new(&mut output),
            )
            .expect("the initiator goes on");
        ours = Some(outcome.context);
        let done = outcome.established().is_some();
        let token = output[0].bytes().to_vec();
        if token.is_empty() && done {
            break;
        }
        let buffers = [SecBuffer::token_input(&token)];
        let request = AcceptRequest {
            requirements: AcceptorRequirements::CONFIDENTIALITY | AcceptorRequirements::INTEGRITY,
            input: Some(InputDesc::new(&buffers)),
        };
        let mut output = [SecBuffer::allocate(BufferType::TOKEN)];
        let outcome = table
            .accept_security_context(
                Some(world.acceptor),
                theirs,
                request,
                &mut SecBufferDesc::new(&mut output),
            )
            .expect("the acceptor goes on");
        theirs = Some(outcome.context);
        from_acceptor = output[0].bytes().to_vec();
        if done && outcome.established().is_some() {
            break;
        }
    }
    let resolve = |context| table.context(context).expect("a live context");
    Pair {
        enctype: world.enctype,
        dce_style,
        initiator: resolve(ours.expect("an initiator")),
        acceptor: resolve(theirs.expect("an acceptor")),
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let world = World::chosen(&mut input);
    let choices = input.byte();
    let dce_style = choices & 1 != 0;
    PAIRS.with_borrow_mut(|pairs| {
        let is_wanted = |pair: &Pair| pair.enctype == world.enctype && pair.dce_style == dce_style;
        if !pairs.iter().any(is_wanted) {
            pairs.push(establish(&world, dce_style));
        }
        let pair = pairs
            .iter()
            .find(|pair| is_wanted(pair))
            .expect("made above");
        let (from, to) = if choices & 2 == 0 {
            (&pair.initiator, &pair.acceptor)
        } else {
            (&pair.acceptor, &pair.initiator)
        };
        match (choices >> 2) % 4 {
            0 | 1 => usual(pair, from, to, choices & 0x10 != 0, &mut input),
            2 => signature(from, to, &mut input),
            _ => any_shape(to, &mut input),
        }
    });
}

/// `SECQOP_WRAP_NO_ENCRYPT`.
const NO_ENCRYPT: u32 = 0x8000_0001;

fn usual(pair: &Pair, from: &ContextRef, to: &ContextRef, sign: bool, input: &mut Input<'_>) {
    let message = input.chunk();
    remember(message);
    let quality = if sign { NO_ENCRYPT } else { 0 };
    let (mut token, mut data, mut padding) = ([0; 128], message.to_vec(), [0; 16]);
    let mut buffers = [
        SecBuffer::token(&mut token),
        SecBuffer::data(&mut data),
        SecBuffer::padding(&mut padding),
    ];
    let sealed = from.encrypt_message(quality, &mut SecBufferDesc::new(&mut buffers), 0);
    sealed.expect("room for everything");
    let parts: Vec<Vec<u8>> = buffers
        .iter()
        .map(|buffer| buffer.bytes().to_vec())
        .collect();
    drop(buffers);
    let as_stream = input.byte() & 1 != 0 && !pair.dce_style;
    if as_stream {
        let mut whole = mutate(&parts.concat(), input);
        let mut buffers = [
            SecBuffer::stream(&mut whole),
            SecBuffer::empty(BufferType::DATA),
        ];
        if to
            .decrypt_message(&mut SecBufferDesc::new(&mut buffers), 0)
            .is_ok()
        {
            assert!(is_sent(buffers[1].bytes()), "another plaintext");
        }
    } else {
        let mut token = mutate(&parts[0], input);
        let mut data = mutate(&parts[1], input);
        let mut padding = mutate(&parts[2], input);
        if decrypt(to, &mut token, &mut data, &mut padding) {
            assert!(is_sent(&data), "another plaintext");
        }
    }
    let (mut token, mut data, mut padding) = (parts[0].clone(), parts[1].clone(), parts[2].clone());
    assert!(
        decrypt(to, &mut token, &mut data, &mut padding),
        "an unchanged message does not open after a changed one"
    );
    assert_eq!(data, message);
}

fn decrypt(to: &ContextRef, token: &mut [u8], data: &mut [u8], padding: &mut [u8]) -> bool {
    let mut buffers = [
        SecBuffer::token(token),
        SecBuffer::data(data),
        SecBuffer::padding(padding),
    ];
    to.decrypt_message(&mut SecBufferDesc::new(&mut buffers), 0)
        .is_ok()
}

fn signature(from: &ContextRef, to: &ContextRef, input: &mut Input<'_>) {
    let mut message = input.chunk().to_vec();
    remember(&message);
    let mut token = [0; 64];
    let mut buffers = [SecBuffer::data(&mut message), SecBuffer::token(&mut token)];
    from.make_signature(0, &mut SecBufferDesc::new(&mut buffers), 0)
        .expect("room for a signature");
    let signature = buffers[1].bytes().to_vec();
    drop(buffers);
    let mut changed = mutate(&signature, input);
    let mut other = mutate(&message, input);
    let mut buffers = [SecBuffer::data(&mut other), SecBuffer::token(&mut changed)];
    let verified = to.verify_signature(&mut SecBufferDesc::new(&mut buffers), 0);
    if verified.is_ok() {
        assert!(is_sent(&other), "a signature of another message");
    }
}

fn any_shape(to: &ContextRef, input: &mut Input<'_>) {
    let mut parts: Vec<(u8, Vec<u8>)> = Vec::new();
    for _ in 0..input.byte() % 6 {
        parts.push((input.byte(), input.chunk().to_vec()));
    }
    let verify = input.byte() & 1 != 0;
    let mut buffers: Vec<SecBuffer<'_>> = parts
        .iter_mut()
        .map(|(kind, bytes)| match *kind % 8 {
            0 => SecBuffer::token(bytes),
            1 => SecBuffer::data(bytes),
            2 => SecBuffer::padding(bytes),
            3 => SecBuffer::stream(bytes),
            4 => SecBuffer::data_readonly(bytes),
            5 => SecBuffer::data_readonly_with_checksum(bytes),
            6 => SecBuffer::empty(BufferType::DATA),
            _ => SecBuffer::input(BufferType::TOKEN, bytes),
        })
        .collect();
    let mut description = SecBufferDesc::new(&mut buffers);
    let taken = if verify {
        to.verify_signature(&mut description, 0)
    } else {
        to.decrypt_message(&mut description, 0)
    };
    let is_any_sent = || buffers.iter().any(|buffer| is_sent(buffer.bytes()));
    assert!(taken.is_err() || is_any_sent(), "a token out of nothing");
}
