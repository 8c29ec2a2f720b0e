//! The initiator after its AP-REQ: answers that are changed, forged under the known session key, or
//! nothing of the kind.

use trihound_asn1::gss::{KRB5_OID, TokenId, unwrap_token, wrap_token};
use trihound_asn1::{ApRep, ApReq, EncApRepPart, Message};
use trihound_crypto::KeyUsage;
use trihound_krb5::ap::{
    AcceptPolicy, AcceptRequest as ApAccept, AfterApReq, ApRepOptions, ApRequest, accept_ap_req,
    build_ap_req,
};
use trihound_sspi::{
    BufferType, InitializeRequest, InitiatorRequirements, InputDesc, SecBuffer, SecBufferDesc,
};

use crate::input::Input;
use crate::mutate::mutate;
use crate::world::{SERVICE, World, contains, lax_policy};

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let world = World::chosen(&mut input);
    let choices = input.byte();
    if choices & 1 == 0 {
        exchange(&world, choices, &mut input);
    } else {
        context(&world, choices, &mut input);
    }
}

/// An AP-REP to this AP-REQ, edited within and without; the plaintext if it was edited within.
fn answer(
    world: &World,
    request: &[u8],
    choices: u8,
    input: &mut Input<'_>,
) -> Option<(Vec<u8>, ApRep, Option<Vec<u8>>)> {
    let accepted = accept_ap_req(
        request,
        &ApAccept {
            keytab: &world.keytab,
            principal: None,
            policy: &AcceptPolicy::default(),
            replay_cache: &trihound_kerberos::danger::NoReplayCache,
            client_address: None,
        },
        &world.environment,
    )
    .expect("an AP-REQ of ours");
    let options = ApRepOptions {
        subkey: choices & 0x10 != 0,
        dce_style: choices & 2 != 0,
    };
    let sent = accepted
        .build_ap_rep(options, &world.environment)
        .expect("an AP-REP");
    let mut reply = ApRep::from_der(&sent.message).expect("an AP-REP of ours");
    let mut plain = None;
    if choices & 4 != 0 {
        let key = world.ticket.session_key.key(&lax_policy()).expect("a key");
        let usage = KeyUsage::AP_REP_ENC_PART;
        let (sealed, changed) = world.reseal(&reply.enc_part, &key, usage, input)?;
        reply.enc_part = sealed;
        plain = Some(changed);
    }
    let der = mutate(&reply.to_der().ok()?, input);
    Some((der, reply, plain))
}

/// What holds of an answer that was taken: it has the cipher that was sealed, and the sealed part
/// repeats the authenticator's time.
fn check(token: &[u8], reply: &ApRep, plain: Option<&[u8]>, original: &EncApRepPart) {
    assert!(
        contains(token, &reply.enc_part.cipher),
        "mutual authentication by another cipher"
    );
    if let Some(plain) = plain {
        let part = EncApRepPart::from_der(plain).expect("it was taken");
        assert_eq!((part.ctime, part.cusec), (original.ctime, original.cusec));
    }
}

/// The time that an AP-REP has to repeat.
fn expected_part(world: &World, request: &[u8]) -> EncApRepPart {
    let key = world.ticket.session_key.key(&lax_policy()).expect("a key");
    let request = ApReq::from_der(request).expect("an AP-REQ of ours");
    let plain = key
        .decrypt(KeyUsage::AP_REQ_AUTH, &request.authenticator.cipher)
        .expect("an authenticator of ours");
    let authenticator =
        trihound_asn1::Authenticator::from_der(plain.expose()).expect("an authenticator of ours");
    EncApRepPart {
        ctime: authenticator.ctime,
        cusec: authenticator.cusec,
        subkey: None,
        seq_number: None,
    }
}

fn exchange(world: &World, choices: u8, input: &mut Input<'_>) {
    let request = ApRequest {
        dce_style: choices & 2 != 0,
        ..ApRequest::new(&world.ticket)
    };
    let sent = build_ap_req(&request, &world.environment).expect("an AP-REQ");
    let AfterApReq::ExpectApReply(waiting) = sent.next else {
        panic!("an AP-REP was asked for");
    };
    if choices & 8 != 0 {
        assert!(
            waiting.handle(input.rest()).is_err(),
            "an answer without the key"
        );
        return;
    }
    let Some((der, reply, plain)) = answer(world, &sent.message, choices, input) else {
        return;
    };
    if waiting.handle(&der).is_ok() {
        let original = expected_part(world, &sent.message);
        check(&der, &reply, plain.as_deref(), &original);
    }
}

fn context(world: &World, choices: u8, input: &mut Input<'_>) {
    let mut requirements = InitiatorRequirements::MUTUAL_AUTH | InitiatorRequirements::INTEGRITY;
    let dce_style = choices & 2 != 0;
    if dce_style {
        requirements |= InitiatorRequirements::USE_DCE_STYLE;
    }
    let first = InitializeRequest {
        target_name: Some(SERVICE),
        requirements,
        ..InitializeRequest::default()
    };
    let mut output = [SecBuffer::allocate(BufferType::TOKEN)];
    let table = &world.table;
    let credential = Some(world.initiator);
    let outcome = table
        .initialize_security_context(
            credential,
            None,
            first,
            &mut SecBufferDesc::new(&mut output),
        )
        .expect("an AP-REQ");
    let context = outcome.context;
    let request = output[0].bytes().to_vec();
    let message = match unwrap_token(&request) {
        Ok(token) => token.inner.to_vec(),
        Err(_) => request,
    };
    let mut sent = None;
    let token = if choices & 8 != 0 {
        let inner = input.chunk();
        match input.byte() % 4 {
            0 => inner.to_vec(),
            1 => wrap_token(KRB5_OID, TokenId::ApRep.to_bytes(), inner),
            2 => wrap_token(KRB5_OID, TokenId::Error.to_bytes(), inner),
            _ => wrap_token(KRB5_OID, [input.byte(), input.byte()], inner),
        }
    } else {
        let Some((der, reply, plain)) = answer(world, &message, choices, input) else {
            table.delete_security_context(context).expect("it is live");
            return;
        };
        sent = Some((reply, plain));
        if dce_style {
            der
        } else {
            mutate(
                &wrap_token(KRB5_OID, TokenId::ApRep.to_bytes(), &der),
                input,
            )
        }
    };
    let buffers = [SecBuffer::token_input(&token)];
    let next = InitializeRequest {
        input: Some(InputDesc::new(&buffers)),
        ..first
    };
    let mut output = [SecBuffer::allocate(BufferType::TOKEN)];
    let outcome = table.initialize_security_context(
        credential,
        Some(context),
        next,
        &mut SecBufferDesc::new(&mut output),
    );
    if let Ok(outcome) = outcome {
        assert!(
            outcome.established().is_some(),
            "an AP-REP is the last answer"
        );
        let (reply, plain) = sent.expect("an answer without the key");
        check(
            &token,
            &reply,
            plain.as_deref(),
            &expected_part(world, &message),
        );
    }
    table
        .delete_security_context(context)
        .expect("a failed context can be deleted");
}
