//! KRB-CRED: in the clear, sealed by anyone, sealed under the key that is known.

use trihound_asn1::{KrbCred, Message};
use trihound_crypto::KeyUsage;
use trihound_krb5::ccache::{from_krb_cred, to_krb_cred};
use trihound_krb5::{build_krb_cred, read_krb_cred};

use crate::input::Input;
use crate::mutate::mutate;
use crate::world::{World, lax_policy};

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte() % 4;
    if choice == 0 {
        return clear(input.rest());
    }
    let world = World::chosen(&mut input);
    let key = world.tgt.session_key.key(&lax_policy()).expect("a key");
    if choice == 1 {
        let clear_form = to_krb_cred(&[&world.tgt, &world.ticket]).expect("tickets of ours");
        return clear(&mutate(clear_form.expose(), &mut input));
    }
    let real = build_krb_cred(&[&world.tgt], &key, 0, &world.environment).expect("tickets of ours");
    if choice == 2 {
        let changed = mutate(&real, &mut input);
        if let Ok(read) = read_krb_cred(&changed, &[&key]) {
            let is_ours = |entry: &trihound_krb5::Credentials| {
                entry.session_key.expose() == world.tgt.session_key.expose()
                    && entry.client == world.tgt.client
            };
            assert!(read.iter().all(is_ours), "a sealed part was changed");
        }
        return;
    }
    let Ok(mut message) = KrbCred::from_der(&real) else {
        return;
    };
    let usage = KeyUsage::KRB_CRED_ENC_PART;
    if let Some((sealed, _)) = world.reseal(&message.enc_part, &key, usage, &mut input) {
        message.enc_part = sealed;
        let der = message.to_der().expect("a message of ours");
        let read = read_krb_cred(&mutate(&der, &mut input), &[&key]);
        if let Ok(read) = read {
            assert!(read.len() <= 64, "{} tickets", read.len());
        }
    }
}

fn clear(der: &[u8]) {
    let Ok(read) = from_krb_cred(der, None) else {
        return;
    };
    let all: Vec<_> = read.iter().collect();
    let Ok(written) = to_krb_cred(&all) else {
        return;
    };
    let again = from_krb_cred(written.expose(), None).expect("a message of our own");
    assert_eq!(read.len(), again.len());
    for (before, after) in read.iter().zip(&again) {
        assert_eq!(before.client, after.client);
        assert_eq!(before.server, after.server);
        assert_eq!(before.ticket, after.ticket);
        assert_eq!(before.endtime, after.endtime);
        assert_eq!(before.flags, after.flags);
        assert_eq!(before.session_key.expose(), after.session_key.expose());
    }
}
