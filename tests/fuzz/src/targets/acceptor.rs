//! The acceptor: AP-REQs that are changed without, or within and sealed again; third legs.

use trihound_asn1::gss::{GssChecksum, GssFlags};
use trihound_asn1::gss::{KRB5_OID, TokenId, wrap_token};
use trihound_asn1::{ApReq, Checksum, Message};
use trihound_crypto::KeyUsage;
use trihound_kerberos::danger::NoReplayCache;
use trihound_krb5::ap::{
    AcceptPolicy, AcceptRequest as ApAccept, ApRepOptions, ApRequest, BindingDemand, accept_ap_req,
    build_ap_req, check_gss_checksum,
};
use trihound_krb5::{MemoryReplayCache, ReplayCache, build_krb_cred, build_krb_error};
use trihound_sspi::{
    AcceptRequest, AcceptorRequirements, BufferType, InputDesc, SecBuffer, SecBufferDesc,
};

use crate::input::Input;
use crate::mutate::mutate;
use crate::world::{SERVICE, World, lax_policy, principal};

/// Type of the GSS checksum (RFC 4121 section 4.1.1).
const GSS_CHECKSUM: i32 = 0x8003;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let world = World::chosen(&mut input);
    let choices = input.byte();
    if choices & 1 == 0 {
        let token = match choices & 2 {
            0 => input.rest().to_vec(),
            _ => wrap_token(KRB5_OID, TokenId::ApReq.to_bytes(), input.rest()),
        };
        assert!(!accept(&world, &token, choices), "an AP-REQ out of nothing");
        return;
    }
    let real = request(&world, choices, &mut input);
    if choices & 2 != 0 {
        inside(&world, &real, choices, &mut input);
    } else {
        outside(&world, &real, choices, &mut input);
    }
}

/// A real AP-REQ with a GSS checksum that the input has its part in.
fn request(world: &World, choices: u8, input: &mut Input<'_>) -> Vec<u8> {
    let key = world.ticket.session_key.key(&lax_policy()).expect("a key");
    let mut checksum = GssChecksum {
        bindings: [choices & 0x10; 16],
        flags: GssFlags::MUTUAL | GssFlags::REPLAY | GssFlags::CONF | GssFlags::INTEG,
        delegation: None,
        extensions: Vec::new(),
    };
    if choices & 4 != 0 {
        checksum.flags |= GssFlags::DCE_STYLE;
    }
    if choices & 0x20 != 0 {
        checksum.flags |= GssFlags::DELEG;
        let delegated = build_krb_cred(&[&world.tgt], &key, 0, &world.environment);
        checksum.delegation = Some(mutate(&delegated.expect("a ticket of ours"), input));
    }
    let encoded = checksum.encode().unwrap_or_default();
    let request = ApRequest {
        dce_style: choices & 4 != 0,
        mutual: choices & 8 == 0,
        checksum: Some(Checksum {
            cksumtype: GSS_CHECKSUM,
            checksum: mutate(&encoded, input).into(),
        }),
        client_aware_channel_bindings: choices & 0x40 != 0,
        ..ApRequest::new(&world.ticket)
    };
    build_ap_req(&request, &world.environment)
        .expect("an AP-REQ")
        .message
}

/// Edits of what travels in the clear: whoever is accepted is the client, by its own key.
fn outside(world: &World, real: &[u8], choices: u8, input: &mut Input<'_>) {
    let changed = mutate(real, input);
    let cache = MemoryReplayCache::new(4);
    if let Some((client, key)) = core(world, &changed, choices, &cache) {
        assert_eq!(client, principal("alice").to_string());
        assert_eq!(key, world.ticket.session_key.expose());
        assert!(
            core(world, &changed, choices, &cache).is_none(),
            "the same authenticator twice"
        );
    }
    let framed = wrap_token(KRB5_OID, TokenId::ApReq.to_bytes(), &changed);
    accept(world, &mutate(&framed, input), choices);
}

/// Edits of the ticket and the authenticator by someone who has the service's key.
fn inside(world: &World, real: &[u8], choices: u8, input: &mut Input<'_>) {
    let server_key = world.key_of(SERVICE);
    let session_key = world.ticket.session_key.key(&lax_policy()).expect("a key");
    let usage = KeyUsage::AP_REQ_AUTH;
    let Some(changed) = world.reseal_ap_req(real, &server_key, &session_key, usage, input) else {
        return;
    };
    core(world, &changed, choices, &NoReplayCache);
    let framed = if choices & 4 != 0 {
        changed
    } else {
        wrap_token(KRB5_OID, TokenId::ApReq.to_bytes(), &changed)
    };
    accept(world, &framed, choices);
}

/// Through the exchange of `krb5`; the client's name and session key if it was accepted.
fn core(
    world: &World,
    der: &[u8],
    choices: u8,
    replay_cache: &dyn ReplayCache,
) -> Option<(String, Vec<u8>)> {
    let service = principal(SERVICE);
    let request = ApAccept {
        keytab: &world.keytab,
        principal: (choices & 0x80 != 0).then_some(&service),
        policy: &AcceptPolicy::default(),
        replay_cache,
        client_address: None,
    };
    let accepted = match accept_ap_req(der, &request, &world.environment) {
        Ok(accepted) => accepted,
        Err(error) => {
            let _ = (error.to_string(), error.krb_error_code());
            let refusal = build_krb_error(&error, &service, &world.environment);
            refusal.expect("a KRB-ERROR can be written");
            return None;
        }
    };
    for demand in [
        BindingDemand::NoChannel,
        BindingDemand::Channel {
            hash: [0x10; 16],
            allow_missing: choices & 8 != 0,
        },
    ] {
        let _ = check_gss_checksum(&accepted, &demand);
    }
    let options = ApRepOptions {
        subkey: true,
        dce_style: true,
    };
    if let Ok(sent) = accepted.build_ap_rep(options, &world.environment)
        && let Some(third_leg) = sent.third_leg
    {
        assert!(
            third_leg.handle(&sent.message).is_err(),
            "our own AP-REP as third leg"
        );
    }
    let key = accepted.session_key.expose().to_vec();
    Some((accepted.client.to_string(), key))
}

/// Through SSPI; whether the token was taken.
fn accept(world: &World, token: &[u8], choices: u8) -> bool {
    let buffers = [SecBuffer::token_input(token)];
    let request = AcceptRequest {
        requirements: AcceptorRequirements::from_bits_truncate(u32::from(choices) << 8),
        input: Some(InputDesc::new(&buffers)),
    };
    let mut output = [SecBuffer::allocate(BufferType::TOKEN)];
    let table = &world.table;
    let outcome = table.accept_security_context(
        Some(world.acceptor),
        None,
        request,
        &mut SecBufferDesc::new(&mut output),
    );
    let Ok(outcome) = outcome else {
        return false;
    };
    if outcome.established().is_none() {
        let own = output[0].bytes().to_vec();
        let buffers = [SecBuffer::token_input(&own)];
        let request = AcceptRequest {
            input: Some(InputDesc::new(&buffers)),
            ..request
        };
        let mut output = [SecBuffer::allocate(BufferType::TOKEN)];
        let third = table.accept_security_context(
            Some(world.acceptor),
            Some(outcome.context),
            request,
            &mut SecBufferDesc::new(&mut output),
        );
        assert!(third.is_err(), "our own AP-REP as third leg");
    }
    table
        .delete_security_context(outcome.context)
        .expect("it is live");
    ApReq::from_der(token).is_ok() || token.first() == Some(&0x60)
}
