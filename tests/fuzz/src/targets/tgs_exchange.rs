//! The TGS exchange with a KDC that changes its replies, without and within, or makes them up.

use std::sync::Arc;

use trihound_asn1::{Message, TgsRep};
use trihound_crypto::KeyUsage;
use trihound_krb5::{TgsExchange, TgsOperation, TgsRequest};
use trihound_sansio::drive;

use super::as_exchange::Kdc;
use crate::input::Input;
use crate::mutate::mutate;
use crate::world::{SERVICE, World, lax_policy, principal};

/// Seals under the authenticator's sub-key where that is what the KDC used; the input cannot know
/// that key, so the reply is changed within only when the session key opens it.
fn reseal<'i>(world: &World, real: &[u8], input: &mut Input<'i>) -> Option<Vec<u8>> {
    let mut reply = TgsRep::from_der(real).ok()?;
    let key = world.tgt.session_key.key(&lax_policy()).ok()?;
    let usage = KeyUsage::TGS_REP_ENC_PART_SESSKEY;
    let sealed = world.reseal(&reply.enc_part, &key, usage, input)?;
    reply.0.enc_part = sealed.0;
    Some(mutate(&reply.to_der().ok()?, input))
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let world = World::chosen(&mut input);
    let choices = input.byte();
    let tgt = Arc::clone(&world.tgt);
    let mut request = match choices % 3 {
        0 => TgsRequest::new(tgt, principal(SERVICE)),
        1 => TgsRequest::new(tgt, principal("HTTP/www.other.test@OTHER.TEST")),
        _ => TgsRequest::forward(tgt),
    };
    request.canonicalize = choices & 8 == 0;
    let strict = !request.canonicalize && request.operation == TgsOperation::Ticket;
    let server = request.server.clone();
    let Ok(exchange) = TgsExchange::begin(request, &world.environment) else {
        return;
    };
    let mut kdc = Kdc {
        world: &world,
        input,
        reseal,
        resealed: false,
        is_cheap: |_| true,
    };
    match drive(exchange, &mut kdc) {
        Ok(outcome) => {
            let got = &outcome.credentials;
            let _ = format!("{got:?}");
            assert_eq!(got.client, world.tgt.client, "another client");
            if strict || !kdc.resealed {
                assert_eq!(got.server, server, "another server");
            }
        }
        Err(error) => drop(error.to_string()),
    }
}
