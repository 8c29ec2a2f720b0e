//! The AP exchange, both sides, with one thing altered at a time.

mod data;
mod exact;
mod keys;
mod paths;
mod reply;
mod ticket;

use std::sync::Arc;
use std::time::Duration;

use trihound_asn1::{
    AdAndOr, AdKdcIssued, ApOptions, ApRep, ApReq, Authenticator, AuthorizationData,
    AuthorizationDataElement, Checksum, EncApRepPart, EncTicketPart, EncryptedData, EncryptionKey,
    EtypeList, HostAddress, KrbError, Message, Raw, TicketFlags, TransitedEncoding, UInt32,
    ad_type, error_code, gss::GssChecksum, gss::GssFlags,
};
use trihound_crypto::{Enctype, EnctypePolicy, Key, KeyUsage, danger};
use trihound_krb5::ap::{
    AcceptPolicy, AcceptRequest, AcceptedApReq, AfterApReq, Agreement, ApRepOptions, ApReplied,
    ApReqSent, ApRequest, BindingDemand, ExpectApReply, TransitedPolicy, accept_ap_req,
    build_ap_req, check_gss_checksum, decode_transited,
};
use trihound_krb5::{
    Config, CredentialFailure, Credentials, Error, InvalidMessage, InvalidPac, KeyMaterial, Keytab,
    KeytabEntry, MemoryReplayCache, PeerMisbehaved, Policy, Principal, ReplayError, build_krb_cred,
    build_krb_error, read_krb_cred,
};
use trihound_sansio::Timestamp;

use crate::small_kdc::*;

/// An initiator with a ticket and an acceptor with a keytab.
struct Pair {
    world: World,
    credentials: Credentials,
    keytab: Keytab,
    policy: AcceptPolicy,
    replay_cache: MemoryReplayCache,
}

impl Pair {
    fn new() -> Self {
        Self::with_ticket(|_| {})
    }

    fn with_ticket(alter: impl FnOnce(&mut EncTicketPart)) -> Self {
        let world = World::new();
        let credentials = Kdc::new(&world).credentials(service(), alter);
        Self {
            world,
            credentials,
            keytab: keytab(service(), 2, key(2, AES256)),
            policy: AcceptPolicy::default(),
            replay_cache: MemoryReplayCache::new(100),
        }
    }

    fn request(&self) -> ApRequest<'_> {
        ApRequest::new(&self.credentials)
    }

    fn send(&self, request: &ApRequest<'_>) -> ApReqSent {
        build_ap_req(request, &self.world.environment).unwrap()
    }

    fn accept(&self, message: &[u8]) -> Result<AcceptedApReq, Error> {
        self.accept_as(message, None)
    }

    fn accept_as(&self, message: &[u8], who: Option<&Principal>) -> Result<AcceptedApReq, Error> {
        let request = AcceptRequest {
            keytab: &self.keytab,
            principal: who,
            policy: &self.policy,
            replay_cache: &self.replay_cache,
            client_address: None,
        };
        accept_ap_req(message, &request, &self.world.environment)
    }

    /// What the acceptor says to a plain AP-REQ.
    fn outcome(&self) -> Result<AcceptedApReq, Error> {
        self.accept(&self.send(&self.request()).message)
    }

    /// An AP-REQ whose authenticator was altered before it was sealed.
    fn altered(&self, alter: impl FnOnce(&mut Authenticator)) -> Vec<u8> {
        let sent = self.send(&self.request());
        let message = ApReq::from_der(&sent.message).unwrap();
        let session = key(9, AES256);
        let plain = session
            .decrypt(KeyUsage::AP_REQ_AUTH, &message.authenticator.cipher)
            .unwrap();
        let mut authenticator = Authenticator::from_der(plain.expose()).unwrap();
        alter(&mut authenticator);
        self.seal(&message, &authenticator, KeyUsage::AP_REQ_AUTH)
    }

    fn seal(&self, message: &ApReq, authenticator: &Authenticator, usage: KeyUsage) -> Vec<u8> {
        let plain = authenticator.to_der().unwrap();
        let cipher = key(9, AES256)
            .encrypt(usage, &plain, &Seeded::default())
            .unwrap();
        let data = EncryptedData::new(AES256.0, None, cipher);
        ApReq::new(message.ap_options, message.ticket.clone(), data)
            .to_der()
            .unwrap()
    }
}

fn peer_fault<T>(result: Result<T, Error>) -> PeerMisbehaved {
    match result {
        Err(Error::PeerMisbehaved(fault)) => fault,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("must be refused"),
    }
}

fn policy_fault<T>(result: Result<T, Error>) -> Policy {
    match result {
        Err(Error::Policy(fault)) => fault,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("must be refused"),
    }
}

fn expect_reply(sent: ApReqSent) -> ExpectApReply {
    match sent.next {
        AfterApReq::ExpectApReply(state) => *state,
        AfterApReq::Established(..) => panic!("mutual authentication was asked for"),
    }
}

fn same_keys(left: &Agreement, right: &Agreement) {
    assert_eq!(left.message_key().expose(), right.message_key().expose());
    assert_eq!(left.session_key.expose(), right.session_key.expose());
    assert_eq!(left.initiator_sequence, right.initiator_sequence);
    assert_eq!(left.acceptor_sequence, right.acceptor_sequence);
    assert_eq!(
        left.acceptor_subkey.is_some(),
        right.acceptor_subkey.is_some()
    );
}

/// Conformance rows 13, 106, 107 and 109.
#[test]
fn row_107_both_sides_agree_on_keys_and_sequence_numbers() {
    let pair = Pair::new();
    for subkey in [true, false] {
        let sent = pair.send(&pair.request());
        let accepted = pair.accept(&sent.message).unwrap();
        assert!(accepted.mutual_required());
        assert_eq!(accepted.client, alice());
        assert_eq!(accepted.server, service());
        assert_eq!(accepted.endtime(), Timestamp::from_seconds(NOW + 36_000));
        let options = ApRepOptions {
            subkey,
            dce_style: false,
        };
        let reply = accepted
            .build_ap_rep(options, &pair.world.environment)
            .unwrap();
        assert!(reply.third_leg.is_none());
        let replied = expect_reply(sent).handle(&reply.message).unwrap();
        assert!(replied.third_leg.is_none());
        same_keys(&replied.agreement, &reply.agreement);
        let expected = match subkey {
            true => replied.agreement.acceptor_subkey.as_ref(),
            false => replied.agreement.initiator_subkey.as_ref(),
        };
        assert_eq!(
            replied.agreement.message_key().expose(),
            expected.unwrap().expose()
        );
        assert_ne!(
            expected.unwrap().expose(),
            replied.agreement.session_key.expose()
        );
        assert!(reply.agreement.acceptor_sequence <= 0x7fff_ffff);
    }
}

/// Conformance rows 14 and 109: without mutual authentication nothing is claimed of the acceptor.
#[test]
fn row_109_without_mutual_authentication_the_initiators_number_serves_both() {
    let pair = Pair::new();
    let sent = pair.send(&ApRequest {
        mutual: false,
        ..pair.request()
    });
    let AfterApReq::Established(agreement, _) = sent.next else {
        panic!()
    };
    let accepted = pair.accept(&sent.message).unwrap();
    assert!(!accepted.mutual_required());
    assert!(accepted.authenticator_info.enctypes.is_empty());
    let (accepted, _) = accepted.agree_without_reply();
    same_keys(&agreement, &accepted);
    assert_eq!(agreement.initiator_sequence, agreement.acceptor_sequence);
}

/// Conformance row 110.
#[test]
fn row_110_sequence_numbers_of_any_32_bits_are_taken() {
    let pair = Pair::new();
    for number in [0, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let message = pair.altered(|authenticator| {
            authenticator.seq_number = Some(UInt32::new(number));
        });
        let (agreement, _) = pair.accept(&message).unwrap().agree_without_reply();
        assert_eq!(agreement.initiator_sequence, number);
    }
    let message = pair.altered(|authenticator| authenticator.seq_number = None);
    assert_eq!(
        pair.accept(&message)
            .unwrap()
            .agree_without_reply()
            .0
            .initiator_sequence,
        0
    );
}

fn foreign(transited: &str, flags: TicketFlags) -> Pair {
    Pair::with_ticket(|part| {
        part.crealm = "A.EXAMPLE".into();
        part.transited = TransitedEncoding {
            tr_type: 1,
            contents: transited.as_bytes().to_vec().into(),
        };
        part.flags |= flags;
    })
}

fn accept_foreign(pair: &Pair) -> Result<AcceptedApReq, Error> {
    let message = pair.altered(|authenticator| authenticator.crealm = "A.EXAMPLE".into());
    pair.accept(&message)
}

fn transited(contents: &str) -> Result<Vec<String>, &'static str> {
    let encoding = TransitedEncoding {
        tr_type: 1,
        contents: contents.as_bytes().to_vec().into(),
    };
    let realms = decode_transited(&encoding, b"A.B.MIT.EDU", b"CS.WASHINGTON.EDU")?;
    Ok(realms
        .into_iter()
        .map(|realm| String::from_utf8(realm).unwrap())
        .collect())
}

/// Seals an AP-REP as an acceptor would, altered.
fn reply_with(sent: &ApReqSent, alter: impl FnOnce(&mut EncApRepPart)) -> Vec<u8> {
    reply_under(sent, &key(9, AES256), KeyUsage::AP_REP_ENC_PART, alter)
}

fn reply_under(
    sent: &ApReqSent,
    reply_key: &Key,
    usage: KeyUsage,
    alter: impl FnOnce(&mut EncApRepPart),
) -> Vec<u8> {
    let message = ApReq::from_der(&sent.message).unwrap();
    let session = key(9, AES256);
    let plain = session
        .decrypt(KeyUsage::AP_REQ_AUTH, &message.authenticator.cipher)
        .unwrap();
    let authenticator = Authenticator::from_der(plain.expose()).unwrap();
    let mut part = EncApRepPart {
        ctime: authenticator.ctime,
        cusec: authenticator.cusec,
        subkey: None,
        seq_number: Some(UInt32::new(77)),
    };
    alter(&mut part);
    let cipher = reply_key
        .encrypt(usage, &part.to_der().unwrap(), &Seeded::default())
        .unwrap();
    ApRep::new(EncryptedData::new(reply_key.enctype().0, None, cipher))
        .to_der()
        .unwrap()
}

fn replied(alter: impl FnOnce(&mut EncApRepPart)) -> Result<ApReplied, Error> {
    let pair = Pair::new();
    let sent = pair.send(&pair.request());
    let reply = reply_with(&sent, alter);
    expect_reply(sent).handle(&reply)
}

fn element(ad_type: i32, data: Vec<u8>) -> AuthorizationDataElement {
    AuthorizationDataElement::new(ad_type, data)
}

fn if_relevant(elements: &AuthorizationData) -> AuthorizationDataElement {
    element(ad_type::AD_IF_RELEVANT, elements.to_der().unwrap())
}

fn with_ticket_data(data: AuthorizationData) -> Result<AcceptedApReq, Error> {
    Pair::with_ticket(|part| part.authorization_data = Some(data)).outcome()
}

fn gss_checksum(bindings: [u8; 16]) -> Checksum {
    let value = GssChecksum {
        bindings,
        flags: GssFlags::MUTUAL,
        delegation: None,
        extensions: Vec::new(),
    };
    Checksum::new(0x8003, value.encode().unwrap())
}

struct Dce {
    pair: Pair,
    expect: trihound_krb5::ap::ExpectThirdLeg,
    reply: Vec<u8>,
    third_leg: Vec<u8>,
    sequence: u32,
}

fn dce() -> Dce {
    let pair = Pair::new();
    let sent = pair.send(&ApRequest {
        mutual: false,
        dce_style: true,
        ..pair.request()
    });
    let accepted = pair.accept(&sent.message).unwrap();
    assert!(accepted.mutual_required());
    // Without a sub-key the acceptor's own reply is most like a third leg.
    let options = ApRepOptions {
        subkey: false,
        dce_style: true,
    };
    let reply = accepted
        .build_ap_rep(options, &pair.world.environment)
        .unwrap();
    let state = expect_reply(sent);
    assert!(state.is_dce_style());
    let replied = state.handle(&reply.message).unwrap();
    same_keys(&replied.agreement, &reply.agreement);
    Dce {
        expect: reply.third_leg.unwrap(),
        reply: reply.message,
        third_leg: replied.third_leg.unwrap(),
        sequence: reply.agreement.acceptor_sequence,
        pair,
    }
}

fn third_leg(ctime: i64, cusec: i32, sequence: Option<u32>, seed: u8) -> Vec<u8> {
    let part = EncApRepPart {
        ctime: time(ctime),
        cusec,
        subkey: None,
        seq_number: sequence.map(UInt32::new),
    };
    let cipher = key(seed, AES256)
        .encrypt(
            KeyUsage::AP_REP_ENC_PART,
            &part.to_der().unwrap(),
            &Seeded::default(),
        )
        .unwrap();
    ApRep::new(EncryptedData::new(AES256.0, None, cipher))
        .to_der()
        .unwrap()
}

/// Conformance row 117: an expired ticket is not used, and the error says so.
#[test]
fn row_117_an_expired_ticket_is_not_sent() {
    let pair = Pair::new();
    pair.world.clock.advance(Duration::from_secs(36_000));
    let error = build_ap_req(&pair.request(), &pair.world.environment).unwrap_err();
    assert!(matches!(
        error,
        Error::Credential(CredentialFailure::TicketExpired { .. })
    ));
    assert!(error.to_string().contains("kinit"));
}
