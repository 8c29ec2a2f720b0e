//! The AS exchange with a KDC that changes its replies, without and within, or makes them up.

use trihound_asn1::{AsRep, EtypeInfo2, KrbError, Message, MethodData, pa_type};
use trihound_crypto::KeyUsage;
use trihound_krb5::{AsExchange, AsRequest, ClientSecret};
use trihound_sansio::{ExchangeRequest, Transport, TransportFailure, drive};
use trihound_secret::SecretString;
use trihound_test_realm::Carrier;

use crate::input::Input;
use crate::mutate::mutate;
use crate::world::{CLIENT, PASSWORD, World, lax_policy, principal};

/// Iterations that an input may cost.
const MAX_ITERATIONS: u32 = 64;

pub(super) struct Kdc<'w, 'i> {
    pub(super) world: &'w World,
    pub(super) input: Input<'i>,
    /// Changes the encrypted part of the reply to a request and seals it again.
    pub(super) reseal: fn(&World, &[u8], &[u8], &mut Input<'i>) -> Option<Vec<u8>>,
    /// Whether an encrypted part was changed and sealed again.
    pub(super) resealed: bool,
    /// Whether a reply of an input's own could cost too much to look at.
    pub(super) is_cheap: fn(&[u8]) -> bool,
}

impl Transport for Kdc<'_, '_> {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        let silent = || TransportFailure {
            realm: request.realm.clone(),
            ..TransportFailure::default()
        };
        let real = self
            .world
            .realm
            .answer(&request.message, Carrier::Stream)
            .ok_or_else(silent)?;
        let reply = match self.input.byte() % 5 {
            0 => real,
            1 | 2 => mutate(&real, &mut self.input),
            3 => {
                self.resealed = true;
                let sealed = (self.reseal)(self.world, &request.message, &real, &mut self.input);
                sealed.unwrap_or_else(|| mutate(&real, &mut self.input))
            }
            _ => match self.input.byte() {
                0 => return Err(silent()),
                _ => self.input.chunk().to_vec(),
            },
        };
        if (self.is_cheap)(&reply) {
            Ok(reply)
        } else {
            Err(silent())
        }
    }
}

/// Whether no string-to-key of these replies takes long.
fn is_cheap(reply: &[u8]) -> bool {
    let padata = match (KrbError::from_der(reply), AsRep::from_der(reply)) {
        (Ok(error), _) => error
            .e_data
            .and_then(|data| MethodData::from_der(&data).ok()),
        (_, Ok(reply)) => reply.0.padata.map(MethodData::from),
        _ => None,
    };
    let Some(padata) = padata else { return true };
    padata
        .iter()
        .filter(|data| data.padata_type == pa_type::PA_ETYPE_INFO2)
        .filter_map(|data| EtypeInfo2::from_der(&data.padata_value).ok())
        .all(|info| {
            info.iter().all(|entry| {
                entry.s2kparams.as_ref().is_some_and(|parameters| {
                    let count = <[u8; 4]>::try_from(parameters.as_ref()).map(u32::from_be_bytes);
                    count.is_ok_and(|count| count <= MAX_ITERATIONS)
                })
            })
        })
}

fn reseal<'i>(world: &World, _: &[u8], real: &[u8], input: &mut Input<'i>) -> Option<Vec<u8>> {
    let mut reply = AsRep::from_der(real).ok()?;
    let key = world.key_of(CLIENT);
    let sealed = world.reseal(&reply.enc_part, &key, KeyUsage::AS_REP_ENC_PART, input)?;
    reply.0.enc_part = sealed.0;
    Some(mutate(&reply.to_der().ok()?, input))
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let world = World::chosen(&mut input);
    let choices = input.byte();
    let by_password = choices & 1 != 0 && world.enctype.0 != 23;
    let secret = if by_password {
        ClientSecret::Password(SecretString::from(PASSWORD))
    } else {
        let keys = world.keytab.client_keys(&principal(CLIENT), &lax_policy());
        ClientSecret::Keys(keys)
    };
    let mut request = AsRequest::new(principal(CLIENT), secret);
    request.options.canonicalize = choices & 2 != 0;
    request.options.forwardable = choices & 4 != 0;
    request.options.request_pac = (choices & 8 != 0).then_some(true);
    if choices & 16 != 0 {
        request.renew_lifetime = Some(std::time::Duration::from_secs(86_400));
    }
    let canonicalize = request.options.canonicalize;
    let exchange = AsExchange::begin(request, &world.environment).expect("a request");
    let mut kdc = Kdc {
        world: &world,
        input,
        reseal,
        resealed: false,
        is_cheap: if by_password { is_cheap } else { |_| true },
    };
    match drive(exchange, &mut kdc) {
        Ok(outcome) => {
            let got = &outcome.credentials;
            let _ = format!("{got:?}");
            if !canonicalize {
                assert_eq!(got.client, world.tgt.client, "another client");
                assert_eq!(got.server, world.tgt.server, "another server");
            }
            if !kdc.resealed {
                assert_eq!(got.server, world.tgt.server, "an unsealed part is believed");
            }
        }
        Err(error) => drop(error.to_string()),
    }
}
