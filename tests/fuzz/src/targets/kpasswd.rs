//! The password change with a service that changes its answers, without and within, or makes them up.

use std::sync::Arc;

use trihound_asn1::{HostAddress, KrbError, KrbPriv, Message};
use trihound_crypto::{Key, KeyUsage};
use trihound_kerberos::danger::NoReplayCache;
use trihound_krb5::ap::{AcceptPolicy, AcceptRequest, ApRepOptions, accept_ap_req};
use trihound_krb5::kpasswd::{
    Frame, KpasswdExchange, KpasswdRequest, PasswordPolicy, PasswordTicket, VERSION_CHANGE,
    changepw_principal,
};
use trihound_krb5::{AsExchange, ClientSecret, Error, build_krb_priv};
use trihound_sansio::{DriveError, ExchangeRequest, Service, Transport, TransportFailure, drive};
use trihound_secret::SecretString;
use trihound_test_realm::Carrier;

use crate::input::Input;
use crate::mutate::mutate;
use crate::world::{CLIENT, REALM, World, lax_policy, principal};

/// What the honest service answers: KRB5_KPASSWD_SOFTERROR.
const REFUSAL: &[u8] = b"\0\x04too short";

struct Kpasswd<'w, 'i> {
    world: &'w World,
    input: Input<'i>,
    /// Whether the answer was sealed with what the input made of it.
    resealed: bool,
}

impl Transport for Kpasswd<'_, '_> {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        match request.service {
            Service::Kpasswd => self.answer(&request.message),
            // The address of this host, which the transport may not know.
            _ => match self.input.byte() % 3 {
                0 => None,
                1 => Some(vec![127, 0, 0, 1]),
                _ => Some(self.input.chunk().to_vec()),
            },
        }
        .ok_or_else(TransportFailure::default)
    }
}

impl Kpasswd<'_, '_> {
    fn answer(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let choice = self.input.byte() % 6;
        if choice == 0 {
            return Some(self.input.rest().to_vec());
        }
        if choice == 1 {
            // Nobody signed it, whatever the result says.
            let data = self.input.chunk().to_vec();
            let mut error =
                KrbError::from_der(&self.world.realm.answer(&[0x6a, 0], Carrier::Stream)?).ok()?;
            error.e_data = Some(data.into());
            let error = mutate(&error.to_der().ok()?, &mut self.input);
            return match self.input.byte() % 2 {
                0 => Some(error),
                _ => Frame::new(VERSION_CHANGE, &[], &error).to_bytes().ok(),
            };
        }
        let real = self.honest(message, choice == 5)?;
        Some(match choice {
            2 => real,
            3 | 4 => mutate(&real, &mut self.input),
            _ => {
                self.resealed = true;
                real
            }
        })
    }

    /// The answer of a service that refuses, or with what the input makes of that.
    fn honest(&mut self, message: &[u8], reseal: bool) -> Option<Vec<u8>> {
        let environment = &self.world.environment;
        let frame = Frame::parse(message).ok()?;
        let keytab = self.world.realm.keytab(&["kadmin/changepw"]).ok()?;
        let accepted = accept_ap_req(
            frame.ap,
            &AcceptRequest {
                keytab: &keytab,
                principal: Some(&changepw_principal(&REALM.into())),
                policy: &AcceptPolicy::default(),
                replay_cache: &NoReplayCache,
                client_address: None,
            },
            environment,
        )
        .expect("a request of ours");
        let key = accepted.initiator_subkey.clone().expect("a sub-key");
        let reply = accepted
            .build_ap_rep(ApRepOptions::default(), environment)
            .ok()?;
        let address = HostAddress {
            addr_type: 2,
            address: vec![127, 0, 0, 1].into(),
        };
        let sequence = reply.agreement.acceptor_sequence;
        let private = build_krb_priv(REFUSAL, &key, sequence, address, environment).ok()?;
        let private = if reseal {
            self.reseal(&private, &key)?
        } else {
            private
        };
        Frame::new(VERSION_CHANGE, &reply.message, &private)
            .to_bytes()
            .ok()
    }

    fn reseal(&mut self, private: &[u8], key: &Key) -> Option<Vec<u8>> {
        let mut private = KrbPriv::from_der(private).ok()?;
        let usage = KeyUsage::KRB_PRIV_ENC_PART;
        let sealed = self
            .world
            .reseal(&private.enc_part, key, usage, &mut self.input)?;
        private.enc_part = sealed.0;
        private.to_der().ok()
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    if choice % 8 == 0 {
        let bytes = input.rest();
        if let Some(policy) = PasswordPolicy::parse(bytes) {
            assert_eq!(bytes.len(), 30, "a policy of another length");
            let _ = policy.to_string();
        }
        if let Ok(frame) = Frame::parse(bytes) {
            let again = frame.to_bytes().expect("it was one");
            assert_eq!(again, bytes, "a frame is not what it was");
        }
        return;
    }
    let world = World::chosen(&mut input);
    if choice % 8 == 1 {
        let _ = world.realm.answer_kpasswd(input.rest(), Carrier::Stream);
        return;
    }
    let keys = world.keytab.client_keys(&principal(CLIENT), &lax_policy());
    let login = PasswordTicket::request(principal(CLIENT), ClientSecret::Keys(keys));
    let login = AsExchange::begin(login, &world.environment).expect("a request");
    let outcome = drive(login, world.realm.transport()).expect("a ticket");
    let request = KpasswdRequest {
        ticket: Arc::new(PasswordTicket::from_outcome(outcome).expect("for the service")),
        new_password: SecretString::from("a new password"),
        target: (choice & 0x80 != 0).then(|| principal("bob")),
    };
    let change = KpasswdExchange::begin(request, &world.environment).expect("a password");
    let mut service = Kpasswd {
        world: &world,
        input,
        resealed: false,
    };
    match drive(change, &mut service) {
        Ok(_) => assert!(service.resealed, "a refusal was taken for success"),
        Err(DriveError::Protocol(Error::PasswordRefused(refusal))) => {
            if refusal.is_authenticated() && !service.resealed {
                assert_eq!(
                    refusal.text.as_deref(),
                    Some("too short"),
                    "not the service's"
                );
            }
            let _ = refusal.to_string();
        }
        Err(error) => drop(error.to_string()),
    }
}
