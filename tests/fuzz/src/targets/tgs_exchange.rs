//! The TGS exchange with a KDC that changes its replies, without and within, or makes them up.

use std::sync::Arc;

use trihound_asn1::{ApReq, Authenticator, Message, TgsRep, TgsReq, pa_type};
use trihound_crypto::{Enctype, Key, KeyUsage};
use trihound_krb5::{TgsExchange, TgsOperation, TgsRequest};
use trihound_sansio::drive;

use super::as_exchange::Kdc;
use crate::input::Input;
use crate::mutate::mutate;
use crate::world::{SERVICE, World, lax_policy, principal};

/// The reply's key is the sub-key in the authenticator of the request, which the ticket-granting
/// ticket's session key opens.
fn reseal<'i>(
    world: &World,
    request: &[u8],
    real: &[u8],
    input: &mut Input<'i>,
) -> Option<Vec<u8>> {
    let padata = TgsReq::from_der(request).ok()?.0.padata?;
    let ap_req = padata
        .iter()
        .find(|element| element.padata_type == pa_type::PA_TGS_REQ)?;
    let ap_req = ApReq::from_der(&ap_req.padata_value).ok()?;
    let session_key = world.tgt.session_key.key(&lax_policy()).ok()?;
    let plain = session_key
        .decrypt(KeyUsage::TGS_REQ_AUTH, &ap_req.authenticator.cipher)
        .ok()?;
    let subkey = Authenticator::from_der(plain.expose()).ok()?.subkey?;
    let key = Key::new(
        Enctype(subkey.keytype),
        subkey.keyvalue.expose(),
        &lax_policy(),
    );
    let mut reply = TgsRep::from_der(real).ok()?;
    let usage = KeyUsage::TGS_REP_ENC_PART_SUBKEY;
    let sealed = world.reseal(&reply.enc_part, &key.ok()?, usage, input)?;
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
