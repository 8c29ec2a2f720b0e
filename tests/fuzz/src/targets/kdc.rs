//! The embedded KDC: requests that are changed without, within and sealed again, or made up.

use trihound_asn1::{
    ApReq, AsRep, AsReq, EncryptedData, KrbError, Message, PaData, Raw, TgsRep, TgsReq, pa_type,
};
use trihound_crypto::KeyUsage;
use trihound_krb5::{AsExchange, AsRequest, ClientSecret, TgsExchange, TgsRequest};
use trihound_sansio::{Exchange, Progress, Reply};
use trihound_test_realm::Carrier;

use crate::input::Input;
use crate::mutate::mutate;
use crate::world::{CLIENT, SERVICE, World, lax_policy, principal};

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let world = World::chosen(&mut input);
    let choices = input.byte();
    let carrier = if choices & 1 == 0 {
        Carrier::Stream
    } else {
        Carrier::Datagram
    };
    let request = match (choices >> 1) % 5 {
        0 => input.rest().to_vec(),
        1 => mutate(&as_request(&world), &mut input),
        2 => as_inside(&world, &mut input),
        3 => mutate(&tgs_request(&world), &mut input),
        _ => tgs_inside(&world, &mut input),
    };
    let Some(reply) = world.realm.answer(&request, carrier) else {
        return;
    };
    let is_reply = match reply.first() {
        Some(0x6b) => AsRep::from_der(&reply).is_ok(),
        Some(0x6d) => TgsRep::from_der(&reply).is_ok(),
        Some(0x7e) => KrbError::from_der(&reply).is_ok(),
        _ => false,
    };
    assert!(is_reply, "no reply of a KDC: {reply:02x?}");
}

/// A second AS-REQ, with PA-ENC-TIMESTAMP.
fn as_request(world: &World) -> Vec<u8> {
    let keys = world.keytab.client_keys(&principal(CLIENT), &lax_policy());
    let request = AsRequest::new(principal(CLIENT), ClientSecret::Keys(keys));
    let mut exchange = AsExchange::begin(request, &world.environment).expect("a request");
    let first = message(exchange.step(None).expect("a request"));
    let error = world
        .realm
        .answer(&first, Carrier::Stream)
        .expect("a KRB-ERROR");
    let second = exchange.step(Some(Reply::Bytes(&error)));
    message(second.expect("a request"))
}

fn tgs_request(world: &World) -> Vec<u8> {
    let request = TgsRequest::new(world.tgt.clone(), principal(SERVICE));
    let mut exchange = TgsExchange::begin(request, &world.environment).expect("a request");
    message(exchange.step(None).expect("a request"))
}

fn message<T>(progress: Progress<T>) -> Vec<u8> {
    match progress {
        Progress::Exchange(request) => request.message,
        Progress::Done(_) => panic!("a request was due"),
    }
}

fn find(padata: &mut Option<Vec<PaData>>, padata_type: i32) -> Option<&mut PaData> {
    let elements = padata.as_mut()?;
    elements
        .iter_mut()
        .find(|element| element.padata_type == padata_type)
}

/// The encrypted timestamp changed and sealed again, and the body changed.
fn as_inside(world: &World, input: &mut Input<'_>) -> Vec<u8> {
    let real = as_request(world);
    let mut request = AsReq::from_der(&real).expect("a request of ours");
    if let Some(element) = find(&mut request.0.padata, pa_type::PA_ENC_TIMESTAMP)
        && let Ok(data) = EncryptedData::from_der(&element.padata_value)
    {
        let key = world.key_of(CLIENT);
        let usage = KeyUsage::AS_REQ_PA_ENC_TIMESTAMP;
        if let Some((sealed, _)) = world.reseal(&data, &key, usage, input) {
            element.padata_value = sealed.to_der().expect("it was one").into();
        }
    }
    let body = mutate(request.0.req_body.der(), input);
    if let Ok(body) = Raw::from_der(body) {
        request.0.req_body = body;
    }
    request.to_der().unwrap_or(real)
}

/// The body changed, then ticket and authenticator changed and sealed again, the authenticator's
/// checksum made for the changed body before that.
fn tgs_inside(world: &World, input: &mut Input<'_>) -> Vec<u8> {
    let real = tgs_request(world);
    let mut request = TgsReq::from_der(&real).expect("a request of ours");
    let body = mutate(request.0.req_body.der(), input);
    let session_key = world.tgt.session_key.key(&lax_policy()).expect("a key");
    let server_key = world.key_of("krbtgt/EXAMPLE.TEST");
    if let Some(element) = find(&mut request.0.padata, pa_type::PA_TGS_REQ) {
        let ap_req = with_checksum(world, &element.padata_value, &body);
        let ap_req = ap_req.unwrap_or_else(|| element.padata_value.to_vec());
        let usage = KeyUsage::TGS_REQ_AUTH;
        let sealed = world.reseal_ap_req(&ap_req, &server_key, &session_key, usage, input);
        element.padata_value = sealed.unwrap_or(ap_req).into();
    }
    if let Ok(body) = Raw::from_der(body) {
        request.0.req_body = body;
    }
    request.to_der().unwrap_or(real)
}

fn with_checksum(world: &World, ap_req: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let key = world.tgt.session_key.key(&lax_policy()).ok()?;
    let mut request = ApReq::from_der(ap_req).ok()?;
    let usage = KeyUsage::TGS_REQ_AUTH;
    let plain = key.decrypt(usage, &request.authenticator.cipher).ok()?;
    let mut authenticator = trihound_asn1::Authenticator::from_der(plain.expose()).ok()?;
    if let Some(checksum) = &mut authenticator.cksum {
        let kind = key.required_checksum();
        checksum.checksum = key
            .checksum(KeyUsage::TGS_REQ_AUTH_CKSUM, kind, body)
            .ok()?
            .into();
    }
    let plain = authenticator.to_der().ok()?;
    request.authenticator.cipher = key.encrypt(usage, &plain, &*world.random).ok()?.into();
    request.to_der().ok()
}
