//! Clients that delegate in the clear, as Heimdal's do, at a server.

use std::sync::Arc;

use trihound::asn1::gss::{GssChecksum, GssFlags, KRB5_OID, wrap_token};
use trihound::asn1::{
    Checksum, EncTicketPart, EncryptedData, EncryptionKey, KerberosTime, Message, Ticket,
    TicketFlags, TransitedEncoding,
};
use trihound::crypto::{Enctype, EnctypePolicy, Key, KeyUsage};
use trihound::kerberos::danger;
use trihound::krb5::ap::{ApRequest, build_ap_req};
use trihound::krb5::ccache::to_krb_cred;
use trihound::krb5::{Credentials, Environment, KeyMaterial, Keytab, PlainCredentials, Principal};
use trihound::sansio::{Clock, SystemClock};
use trihound::secret::SecretBytes;
use trihound::{OsRandom, Package, SecurityContext, Server};
use trihound_test_realm::TestRealm;

use crate::programs::config;
use crate::support::REALM;

const SERVICE: &str = "HTTP/front.example.test";
const ENCTYPE: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;

/// A ticket of alice's for `server`, sealed with the first key of the keytab that fits.
fn ticket(keytab: &Keytab, server: &str) -> Credentials {
    let named = |name| Principal::parse(name, Some(REALM)).unwrap();
    let (client, server) = (named("alice"), named(server));
    let entries = keytab.entries();
    let sealing = entries
        .iter()
        .find(|entry| entry.key.enctype() == ENCTYPE)
        .unwrap();
    let key = Key::new(ENCTYPE, sealing.key.expose(), &EnctypePolicy::default()).unwrap();
    let now = SystemClock.now().seconds();
    let part = EncTicketPart {
        flags: TicketFlags::empty(),
        key: EncryptionKey::new(ENCTYPE.0, vec![0x5a; 32]),
        crealm: client.realm.clone(),
        cname: client.name.clone(),
        transited: TransitedEncoding {
            tr_type: 1,
            contents: Vec::new().into(),
        },
        authtime: KerberosTime::from_seconds(now),
        starttime: None,
        endtime: KerberosTime::from_seconds(now + 3600),
        renew_till: None,
        caddr: None,
        authorization_data: None,
    };
    let plain = part.to_der().unwrap();
    let cipher = key
        .encrypt(KeyUsage::KDC_REP_TICKET, &plain, &OsRandom)
        .unwrap();
    let sealed = Ticket {
        tkt_vno: 5,
        realm: server.realm.clone(),
        sname: server.name.clone(),
        enc_part: EncryptedData::new(ENCTYPE.0, Some(sealing.kvno), cipher),
    };
    let seconds = trihound::sansio::Timestamp::from_seconds;
    Credentials {
        client,
        server,
        session_key: KeyMaterial::new(ENCTYPE, SecretBytes::from(&[0x5a; 32][..])),
        ticket: sealed.to_der().unwrap(),
        flags: TicketFlags::empty(),
        authtime: seconds(now),
        starttime: None,
        endtime: seconds(now + 3600),
        renew_till: None,
        addresses: Vec::new(),
        authdata: Vec::new(),
        is_skey: false,
        second_ticket: Vec::new(),
    }
}

/// The first token of a client that delegates in the clear.
fn token(keytab: &Keytab) -> Vec<u8> {
    let environment = Environment::new(
        Arc::new(SystemClock),
        Arc::new(OsRandom),
        Arc::new(config()),
    );
    let granting = ticket(keytab, "krbtgt/EXAMPLE.TEST");
    let checksum = GssChecksum {
        flags: GssFlags::CONF | GssFlags::INTEG | GssFlags::REPLAY | GssFlags::SEQUENCE,
        delegation: Some(to_krb_cred(&[&granting]).unwrap().expose().to_vec()),
        ..GssChecksum::default()
    };
    let shown = ticket(keytab, SERVICE);
    let mut request = ApRequest::new(&shown);
    request.checksum = Some(Checksum::new(0x8003, checksum.encode().unwrap()));
    let sent = build_ap_req(&request, &environment).unwrap();
    wrap_token(KRB5_OID, [1, 0], &sent.message)
}

fn accepted(keytab: &Arc<Keytab>, package: Package, plain: PlainCredentials) -> SecurityContext {
    let server = Server::builder()
        .config(config())
        .keytab(Arc::clone(keytab))
        .package(package)
        .plain_credentials(plain)
        .build()
        .unwrap();
    let mut handshake = server.handshake();
    assert!(handshake.step(&token(keytab)).unwrap().complete);
    handshake.into_context().unwrap()
}

/// Conformance row 95.
#[test]
fn row_95_a_server_takes_what_was_delegated_in_the_clear_only_where_it_is_told_to() {
    let realm = TestRealm::builder(REALM).service(SERVICE).build().unwrap();
    let keytab = Arc::new(realm.keytab(&[SERVICE]).unwrap());
    for package in [Package::Kerberos, Package::Negotiate] {
        for (plain, is_taken) in [
            (PlainCredentials::default(), false),
            (danger::take_plain_credentials(), true),
        ] {
            let context = accepted(&keytab, package, plain);
            assert_eq!(context.is_delegated(), is_taken);
            let token = context.access_token().unwrap();
            assert_eq!(token.client_name, "alice@EXAMPLE.TEST");
            assert_eq!(token.delegated_credential.is_some(), is_taken);
        }
    }
}
