//! The AP exchange, both sides, with one thing altered at a time.

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
    Config, CredentialFailure, Credentials, Error, InvalidMessage, KeyMaterial, Keytab,
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
    // As an INTEGER with the sign bit set: -1 is 0xffffffff.
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

/// Conformance row 7.
#[test]
fn row_7_the_error_names_what_the_ticket_needs_and_what_the_keytab_has() {
    let mut pair = Pair::new();
    pair.keytab = keytab(service(), 3, key(2, AES256));
    let Err(error @ Error::Credential(CredentialFailure::NoKeyForTicket { .. })) = pair.outcome()
    else {
        panic!()
    };
    assert_eq!(error.krb_error_code(), Some(error_code::KRB_AP_ERR_NOKEY));
    let text = error.to_string();
    for part in [
        "key version 2",
        "version 3",
        "aes256",
        "HTTP/web.test.example@TEST.EXAMPLE",
    ] {
        assert!(text.contains(part), "{text}");
    }
    pair.keytab = keytab(service(), 2, key(2, AES128));
    assert!(matches!(
        pair.outcome(),
        Err(Error::Credential(CredentialFailure::NoKeyForTicket { .. }))
    ));
    pair.keytab = Keytab::new();
    assert!(
        pair.outcome()
            .unwrap_err()
            .to_string()
            .contains("no keys at all")
    );
}

/// Conformance row 7.
#[test]
fn row_7_a_named_principal_uses_its_own_keys_only() {
    let mut pair = Pair::new();
    let alias = Principal::service("HTTP", "alias.test.example", REALM);
    let message = pair.send(&pair.request()).message;
    // The ticket's key is there, under another name than the acceptor's.
    assert!(matches!(
        pair.accept_as(&message, Some(&alias)),
        Err(Error::Credential(CredentialFailure::NoKeyForTicket { .. }))
    ));
    // The realm counts.
    let elsewhere = service().with_realm("OTHER");
    assert!(matches!(
        pair.accept_as(&message, Some(&elsewhere)),
        Err(Error::Credential(CredentialFailure::NoKeyForTicket { .. }))
    ));
    assert!(pair.accept_as(&message, Some(&service())).is_ok());
    // The KDC knows the acceptor under two names.
    pair.keytab = keytab(alias.clone(), 2, key(2, AES256));
    let message = pair.send(&pair.request()).message;
    assert_eq!(
        pair.accept_as(&message, Some(&alias)).unwrap().server,
        alias
    );
}

/// Conformance row 7: without a named principal the other keys are tried by policy.
#[test]
fn row_7_other_keys_are_tried_by_policy() {
    let mut pair = Pair::new();
    let alias = Principal::service("HTTP", "WEB.TEST.EXAMPLE", REALM);
    pair.keytab = keytab(alias.clone(), 2, key(2, AES256));
    assert_eq!(pair.outcome().unwrap().server, alias);
    pair.policy.try_other_keys = false;
    assert!(matches!(
        pair.outcome(),
        Err(Error::Credential(CredentialFailure::NoKeyForTicket { .. }))
    ));
    pair.policy.try_other_keys = true;
    // The ticket's own name comes first, and does not stop at a key that does not fit.
    let entry = |principal: Principal, seed| {
        let material = KeyMaterial::from_key(Arc::new(key(seed, AES256)));
        KeytabEntry::new(principal, 2, Timestamp::from_seconds(NOW), material)
    };
    pair.keytab = [entry(service(), 5), entry(alias.clone(), 2)]
        .into_iter()
        .collect();
    assert_eq!(pair.outcome().unwrap().server, alias);
    pair.keytab = [entry(service(), 5), entry(alias, 6)].into_iter().collect();
    let fault = peer_fault(pair.outcome());
    assert!(matches!(
        fault,
        PeerMisbehaved::TicketDoesNotDecrypt {
            tried: 2,
            kvno: Some(2),
            ..
        }
    ));
}

/// Conformance rows 8 and 106.
#[test]
fn row_8_the_authenticator_names_the_tickets_client() {
    let pair = Pair::new();
    let bad = [
        pair.altered(|authenticator| authenticator.cname = name(&["mallory"])),
        pair.altered(|authenticator| authenticator.crealm = "OTHER".into()),
    ];
    for message in bad {
        let result = pair.accept(&message);
        let code = result.as_ref().unwrap_err().krb_error_code();
        assert_eq!(code, Some(error_code::KRB_AP_ERR_BADMATCH));
        assert!(matches!(
            peer_fault(result),
            PeerMisbehaved::ClientsDiffer { .. }
        ));
    }
    let sent = ApReq::from_der(&pair.send(&pair.request()).message).unwrap();
    let session = key(9, AES256);
    let plain = session
        .decrypt(KeyUsage::AP_REQ_AUTH, &sent.authenticator.cipher)
        .unwrap();
    let authenticator = Authenticator::from_der(plain.expose()).unwrap();
    let message = pair.seal(&sent, &authenticator, KeyUsage::TGS_REQ_AUTH);
    assert_eq!(
        peer_fault(pair.accept(&message)),
        PeerMisbehaved::AuthenticatorDoesNotDecrypt
    );
    assert!(pair.replay_cache.is_empty());
}

/// Conformance row 9.
#[test]
fn row_9_a_ticket_is_good_between_its_times_only() {
    let at = |start: Option<i64>, end: i64, flags: TicketFlags| {
        Pair::with_ticket(|part| {
            part.starttime = start.map(time);
            part.endtime = time(end);
            part.flags |= flags;
        })
        .outcome()
    };
    let none = TicketFlags::empty();
    assert!(at(Some(NOW + 300), NOW + 600, none).is_ok());
    assert!(at(Some(NOW - 600), NOW - 300, none).is_ok());
    assert!(at(None, NOW + 1, none).is_ok());
    let early = at(Some(NOW + 301), NOW + 600, none);
    assert_eq!(
        early.as_ref().unwrap_err().krb_error_code(),
        Some(error_code::KRB_AP_ERR_TKT_NYV)
    );
    assert!(matches!(
        peer_fault(early),
        PeerMisbehaved::TicketNotYetValid { .. }
    ));
    let late = at(Some(NOW - 600), NOW - 301, none);
    assert_eq!(
        late.as_ref().unwrap_err().krb_error_code(),
        Some(error_code::KRB_AP_ERR_TKT_EXPIRED)
    );
    assert!(matches!(
        peer_fault(late),
        PeerMisbehaved::TicketExpired { .. }
    ));
    let fault = peer_fault(at(Some(NOW), NOW + 600, TicketFlags::INVALID));
    assert!(matches!(fault, PeerMisbehaved::TicketInvalid { .. }));
}

/// Conformance row 10.
#[test]
fn row_10_the_authenticators_time_is_within_the_skew() {
    let pair = Pair::new();
    for (shift, good) in [(300, true), (-300, true), (301, false), (-301, false)] {
        let message = pair.altered(|authenticator| {
            authenticator.ctime = time(NOW + shift);
            authenticator.cusec = 0;
        });
        let result = pair.accept(&message);
        if good {
            result.unwrap();
            continue;
        }
        let error = result.unwrap_err();
        let token = build_krb_error(&error, &service(), &pair.world.environment)
            .unwrap()
            .unwrap();
        let token = KrbError::from_der(&token).unwrap();
        assert_eq!(token.error_code, error_code::KRB_AP_ERR_SKEW);
        assert_eq!(token.stime, time(NOW));
        assert_eq!(token.sname, service().name);
        assert_eq!(token.e_text, None);
        assert!(matches!(
            peer_fault::<()>(Err(error)),
            PeerMisbehaved::ClockSkew { skew: 300, .. }
        ));
    }
}

/// Conformance row 11.
#[test]
fn row_11_an_authenticator_is_good_once() {
    let pair = Pair::new();
    let message = pair.send(&pair.request()).message;
    pair.accept(&message).unwrap();
    let error = pair.accept(&message).unwrap_err();
    assert_eq!(error.krb_error_code(), Some(error_code::KRB_AP_ERR_REPEAT));
    assert!(matches!(
        error,
        Error::Replay(ReplayError::ReplayedAuthenticator { .. })
    ));
    // Two at the same moment are two.
    pair.accept(&pair.send(&pair.request()).message).unwrap();
    pair.accept(&pair.send(&pair.request()).message).unwrap();
}

/// Conformance row 11: a full cache refuses, and what does not hold takes no place in it.
#[test]
fn row_11_a_full_cache_refuses_and_bad_messages_do_not_fill_it() {
    let mut pair = Pair::new();
    pair.replay_cache = MemoryReplayCache::new(1);
    for _ in 0..10 {
        let message = pair.altered(|authenticator| authenticator.cname = name(&["mallory"]));
        assert!(pair.accept(&message).is_err());
    }
    pair.outcome().unwrap();
    assert!(matches!(
        pair.outcome(),
        Err(Error::Replay(ReplayError::ReplayCacheFull { capacity: 1 }))
    ));
    pair.world.clock.advance(Duration::from_secs(601));
    pair.outcome().unwrap();
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

/// Conformance row 12.
#[test]
fn row_12_the_path_of_a_foreign_client_is_checked() {
    let checked = TicketFlags::TRANSITED_POLICY_CHECKED;
    let none = TicketFlags::empty();
    accept_foreign(&foreign("", none)).unwrap();
    accept_foreign(&foreign("MID.EXAMPLE", checked)).unwrap();
    let refused = accept_foreign(&foreign("MID.EXAMPLE", none));
    assert_eq!(
        refused.as_ref().unwrap_err().krb_error_code(),
        Some(error_code::KRB_AP_PATH_NOT_ACCEPTED)
    );
    assert!(matches!(
        policy_fault(refused),
        Policy::TransitedNotChecked { .. }
    ));

    let mut pair = foreign("MID.EXAMPLE,OTHER.EXAMPLE", checked);
    pair.policy.transited = TransitedPolicy::Check(Arc::new(|client, server, realm| {
        assert_eq!((client, server), (&b"A.EXAMPLE"[..], REALM.as_bytes()));
        realm == b"MID.EXAMPLE"
    }));
    let fault = policy_fault(accept_foreign(&pair));
    let Policy::TransitedNotPermitted { realm, client } = fault else {
        panic!()
    };
    assert_eq!(
        (realm.as_str(), client.as_str()),
        ("OTHER.EXAMPLE", "alice@A.EXAMPLE")
    );
    pair.policy.transited = TransitedPolicy::Check(Arc::new(|_, _, _| true));
    accept_foreign(&pair).unwrap();

    pair.policy.transited = TransitedPolicy::OwnRealmOnly;
    assert!(matches!(
        policy_fault(accept_foreign(&pair)),
        Policy::TransitedNotPermitted { .. }
    ));
    let mut pair = foreign("EXAMPLE", none);
    pair.policy.transited = TransitedPolicy::CheckedFlagOrHierarchy;
    accept_foreign(&pair).unwrap();
    let mut pair = foreign("EVIL", none);
    pair.policy.transited = TransitedPolicy::CheckedFlagOrHierarchy;
    assert!(matches!(
        policy_fault(accept_foreign(&pair)),
        Policy::TransitedNotPermitted { .. }
    ));
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

/// Conformance row 12: the encoding of RFC 4120 3.3.3.2, with its own examples.
#[test]
fn row_12_domain_x500_compress_is_decoded() {
    for (contents, realms) in [
        ("", &[][..]),
        (
            "EDU,MIT.,ATHENA.,WASHINGTON.EDU,X.",
            &[
                "EDU",
                "MIT.EDU",
                "ATHENA.MIT.EDU",
                "WASHINGTON.EDU",
                "X.WASHINGTON.EDU",
            ],
        ),
        (
            "/COM,/HP,/APOLLO, /COM/DEC",
            &["/COM", "/COM/HP", "/COM/HP/APOLLO", "/COM/DEC"],
        ),
        (",", &["B.MIT.EDU", "MIT.EDU", "EDU", "WASHINGTON.EDU"]),
        (",EDU", &["B.MIT.EDU", "MIT.EDU", "EDU"]),
        ("EDU,", &["EDU", "WASHINGTON.EDU"]),
        ("MIT.EDU,,EDU", &["MIT.EDU", "EDU"]),
        ("A\\,B,\\/C\\.", &["A,B", "/C."]),
        ("X, Y.", &["X", "Y."]),
    ] {
        assert_eq!(transited(contents).unwrap(), realms, "{contents:?}");
    }
    for contents in [
        "A\\",
        "MIT.",
        "ORG,,EDU",
        &"A,".repeat(40),
        &"A".repeat(9_000),
    ] {
        assert!(transited(contents).is_err(), "{contents:?}");
    }
    let unknown = TransitedEncoding {
        tr_type: 2,
        contents: vec![1].into(),
    };
    assert!(decode_transited(&unknown, b"A", b"B").is_err());
    let mut pair = foreign("MIT.", TicketFlags::empty());
    pair.policy.transited = TransitedPolicy::RequireCheckedFlag;
    assert!(matches!(
        policy_fault(accept_foreign(&pair)),
        Policy::TransitedUnreadable { .. }
    ));
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

/// Conformance rows 13 and 106.
#[test]
fn row_13_the_reply_repeats_the_authenticators_time() {
    let good = replied(|_| {}).unwrap();
    assert_eq!(good.agreement.acceptor_sequence, 77);
    for alter in [
        (|part: &mut EncApRepPart| part.cusec ^= 1) as fn(&mut EncApRepPart),
        |part| part.ctime = time(NOW + 1),
    ] {
        let fault = peer_fault(replied(alter));
        assert!(matches!(fault, PeerMisbehaved::ApReplyTimeDiffers { .. }));
    }
    let pair = Pair::new();
    for (reply_key, usage) in [
        (key(8, AES256), KeyUsage::AP_REP_ENC_PART),
        (key(9, AES256), KeyUsage::AP_REQ_AUTH),
    ] {
        let sent = pair.send(&pair.request());
        let reply = reply_under(&sent, &reply_key, usage, |_| {});
        let fault = peer_fault(expect_reply(sent).handle(&reply));
        assert!(matches!(
            fault,
            PeerMisbehaved::ApReplyDoesNotDecrypt { .. }
        ));
    }
}

/// Conformance row 108.
#[test]
fn row_108_the_acceptors_subkey_is_of_an_offered_enctype() {
    let subkey =
        |enctype| move |part: &mut EncApRepPart| part.subkey = Some(wire(&key(3, enctype)));
    let sha2 = Enctype::AES256_CTS_HMAC_SHA384_192;
    assert_eq!(
        replied(subkey(sha2))
            .unwrap()
            .agreement
            .message_key()
            .enctype(),
        sha2
    );
    let pair = Pair::new();
    let sent = pair.send(&ApRequest {
        offer_enctypes: false,
        ..pair.request()
    });
    assert!(
        pair.accept(&sent.message)
            .unwrap()
            .authenticator_info
            .enctypes
            .is_empty()
    );
    let reply = reply_with(&sent, subkey(sha2));
    assert_eq!(
        peer_fault(expect_reply(sent).handle(&reply)),
        PeerMisbehaved::SubkeyEnctypeNotOffered { enctype: sha2 }
    );
    let fault = peer_fault(replied(|part| {
        part.subkey = Some(EncryptionKey::new(Enctype::RC4_HMAC.0, vec![1; 16]));
    }));
    assert!(matches!(
        fault,
        PeerMisbehaved::SubkeyEnctypeNotOffered { .. }
    ));
    let fault = peer_fault(replied(|part| {
        part.subkey = Some(EncryptionKey::new(AES256.0, vec![1; 31]));
    }));
    assert_eq!(fault, PeerMisbehaved::SubkeyMalformed { enctype: AES256 });
}

/// Conformance row 108: the acceptor takes the client's first enctype that it permits.
#[test]
fn row_108_the_acceptor_chooses_from_the_clients_list() {
    let pair = Pair::new();
    let chosen = |list: &[Enctype]| {
        let list: EtypeList = list.iter().map(|enctype| enctype.0).collect();
        let element =
            AuthorizationDataElement::new(ad_type::AD_ETYPE_NEGOTIATION, list.to_der().unwrap());
        let wrapped: AuthorizationData = vec![AuthorizationDataElement::new(
            ad_type::AD_IF_RELEVANT,
            vec![element].to_der().unwrap(),
        )];
        let message =
            pair.altered(|authenticator| authenticator.authorization_data = Some(wrapped));
        let options = ApRepOptions {
            subkey: true,
            dce_style: false,
        };
        let reply = pair
            .accept(&message)
            .unwrap()
            .build_ap_rep(options, &pair.world.environment)
            .unwrap();
        reply.agreement.message_key().enctype()
    };
    assert_eq!(chosen(&[Enctype::RC4_HMAC, AES128, AES256]), AES128);
    assert_eq!(chosen(&[Enctype::RC4_HMAC]), AES256);
    assert_eq!(chosen(&[]), AES256);
}

/// Conformance row 119.
#[test]
fn row_119_empty_and_unexpected_tokens_are_refused() {
    let pair = Pair::new();
    let own = pair.send(&pair.request()).message;
    for (bytes, first) in [
        (Vec::new(), None),
        (own, Some(0x6e)),
        (vec![0x6d, 0], Some(0x6d)),
    ] {
        let state = expect_reply(pair.send(&pair.request()));
        let Err(Error::InvalidMessage(InvalidMessage::Unexpected { found, .. })) =
            state.handle(&bytes)
        else {
            panic!()
        };
        assert_eq!(found, first);
    }
    for bytes in [Vec::new(), vec![0x6f, 0], vec![0x60, 0]] {
        let error = pair.accept(&bytes).unwrap_err();
        assert!(matches!(
            error,
            Error::InvalidMessage(InvalidMessage::Unexpected { .. })
        ));
        assert_eq!(
            error.krb_error_code(),
            Some(error_code::KRB_AP_ERR_MSG_TYPE)
        );
    }
}

#[test]
fn a_krb_error_in_reply_tells_both_clocks() {
    let pair = Pair::new();
    let sent = pair.send(&pair.request());
    let message = pair.altered(|authenticator| authenticator.ctime = time(NOW + 1_000));
    let error = pair.accept(&message).unwrap_err();
    let token = build_krb_error(&error, &service(), &pair.world.environment)
        .unwrap()
        .unwrap();
    pair.world.clock.advance(Duration::from_secs(1_000));
    let Err(Error::PeerRefused(refused)) = expect_reply(sent).handle(&token) else {
        panic!()
    };
    assert_eq!(refused.code, error_code::KRB_AP_ERR_SKEW);
    assert_eq!(refused.server_time, Timestamp::from_seconds(NOW));
    assert_eq!(refused.local_time, Timestamp::from_seconds(NOW + 1_000));
    let text = refused.to_string();
    assert!(
        text.contains("KRB_AP_ERR_SKEW") && text.contains("synchronise"),
        "{text}"
    );
    // To an error there is no error in reply.
    let no_reply = Error::PeerRefused(refused);
    assert_eq!(
        build_krb_error(&no_reply, &service(), &pair.world.environment).unwrap(),
        None
    );
}

/// Conformance row 105.
#[test]
fn row_105_use_session_key_is_refused() {
    let pair = Pair::new();
    let sent = ApReq::from_der(&pair.send(&pair.request()).message).unwrap();
    let options = sent.ap_options | ApOptions::USE_SESSION_KEY;
    let message = ApReq::new(options, sent.ticket.clone(), sent.authenticator.clone());
    assert_eq!(
        policy_fault(pair.accept(&message.to_der().unwrap())),
        Policy::UserToUserNotOffered
    );
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

/// Conformance row 111.
#[test]
fn row_111_unknown_authorization_data_is_refused_unless_marked() {
    const UNKNOWN: i32 = 4711;
    let unknown = || element(UNKNOWN, b"x".to_vec());
    assert_eq!(
        policy_fault(with_ticket_data(vec![unknown()])),
        Policy::AuthorizationDataUnknown { ad_type: UNKNOWN }
    );
    with_ticket_data(vec![if_relevant(&vec![unknown()])]).unwrap();
    with_ticket_data(vec![element(ad_type::AD_MANDATORY_FOR_KDC, b"x".to_vec())]).unwrap();
    with_ticket_data(vec![element(ad_type::AD_CAMMAC, b"x".to_vec())]).unwrap();
    // A ticket for FAST armor only is not one to log in with.
    assert!(with_ticket_data(vec![element(ad_type::AD_FX_FAST_ARMOR, Vec::new())]).is_err());
    // Outside of AD-IF-RELEVANT the wrapping does not help its neighbour.
    assert!(with_ticket_data(vec![if_relevant(&vec![unknown()]), unknown()]).is_err());
    let pair = Pair::new();
    let message =
        pair.altered(|authenticator| authenticator.authorization_data = Some(vec![unknown()]));
    assert!(matches!(
        policy_fault(pair.accept(&message)),
        Policy::AuthorizationDataUnknown { .. }
    ));
    assert_eq!(
        peer_fault(with_ticket_data(vec![element(
            ad_type::AD_IF_RELEVANT,
            b"junk".to_vec()
        )])),
        PeerMisbehaved::AuthorizationDataMalformed {
            ad_type: ad_type::AD_IF_RELEVANT
        }
    );
    let mut deep = unknown();
    for _ in 0..20 {
        deep = if_relevant(&vec![deep]);
    }
    assert!(matches!(
        peer_fault(with_ticket_data(vec![deep])),
        PeerMisbehaved::AuthorizationDataMalformed { .. }
    ));
}

/// Conformance row 111: of AD-AND-OR as many as the count says have to be understood.
#[test]
fn row_111_and_or_is_satisfied_by_its_count() {
    let and_or = |condition_count| {
        let elements = vec![
            element(4711, Vec::new()),
            element(ad_type::AD_MANDATORY_FOR_KDC, Vec::new()),
        ];
        let data = AdAndOr {
            condition_count,
            elements,
        }
        .to_der()
        .unwrap();
        with_ticket_data(vec![element(ad_type::AD_AND_OR, data)])
    };
    and_or(1).unwrap();
    for count in [2, 3, -1] {
        assert!(matches!(
            policy_fault(and_or(count)),
            Policy::AuthorizationDataUnknown { ad_type: 4711 }
        ));
    }
}

/// Conformance row 112.
#[test]
fn row_112_kdc_issued_data_counts_only_with_its_checksum() {
    let issued = |usage, seed| {
        let elements = Raw::new(&vec![element(
            ad_type::AD_MANDATORY_FOR_KDC,
            b"right".to_vec(),
        )])
        .unwrap();
        let signer = key(seed, AES256);
        let kind = signer.required_checksum();
        let checksum = signer.checksum(usage, kind, elements.der()).unwrap();
        let data = AdKdcIssued {
            ad_checksum: Checksum::new(kind.0, checksum),
            i_realm: None,
            i_sname: None,
            elements,
        };
        let data = vec![element(ad_type::AD_KDC_ISSUED, data.to_der().unwrap())];
        with_ticket_data(data).unwrap().ticket_info.kdc_issued.len()
    };
    assert_eq!(issued(KeyUsage::AD_KDC_ISSUED_CKSUM, 9), 1);
    assert_eq!(issued(KeyUsage::AD_KDC_ISSUED_CKSUM, 8), 0);
    assert_eq!(issued(KeyUsage::AP_REQ_AUTH_CKSUM, 9), 0);
}

/// The PAC is taken from the ticket, never from the authenticator, which is the client's own word.
#[test]
fn a_pac_counts_from_the_ticket_only() {
    let pac = || {
        vec![if_relevant(&vec![element(
            ad_type::AD_WIN2K_PAC,
            b"pac".to_vec(),
        )])]
    };
    let accepted = with_ticket_data(pac()).unwrap();
    assert_eq!(accepted.ticket_info.pac.as_deref(), Some(&b"pac"[..]));
    let pair = Pair::new();
    let message = pair.altered(|authenticator| authenticator.authorization_data = Some(pac()));
    let accepted = pair.accept(&message).unwrap();
    assert_eq!(
        (accepted.ticket_info.pac, accepted.authenticator_info.pac),
        (None, None)
    );
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

/// Conformance row 15.
#[test]
fn row_15_the_gss_checksum_is_required() {
    let pair = Pair::new();
    let check = |checksum: Option<Checksum>| {
        let message = pair.altered(|authenticator| authenticator.cksum = checksum);
        check_gss_checksum(&pair.accept(&message).unwrap(), &BindingDemand::NoChannel)
    };
    let (parsed, _) = check(Some(gss_checksum([0; 16]))).unwrap();
    assert_eq!(parsed.flags, GssFlags::MUTUAL);
    assert_eq!(peer_fault(check(None)), PeerMisbehaved::ChecksumMissing);
    let mut other = gss_checksum([0; 16]);
    other.cksumtype = 16;
    assert_eq!(
        peer_fault(check(Some(other))),
        PeerMisbehaved::ChecksumTypeDiffers { found: 16 }
    );
    for length in [0, 1, 23] {
        let short = Checksum::new(0x8003, vec![16; length]);
        assert!(matches!(
            peer_fault(check(Some(short))),
            PeerMisbehaved::ChecksumMalformed(_)
        ));
    }
}

/// Conformance rows 16 and 17.
#[test]
fn row_17_bindings_that_were_announced_cannot_be_stripped() {
    let pair = Pair::new();
    let demand = BindingDemand::Channel {
        hash: [7; 16],
        allow_missing: true,
    };
    let send = |bindings, aware| {
        let request = ApRequest {
            checksum: Some(gss_checksum(bindings)),
            client_aware_channel_bindings: aware,
            ..pair.request()
        };
        let accepted = pair.accept(&pair.send(&request).message).unwrap();
        assert_eq!(accepted.authenticator_info.client_binds_channels, aware);
        check_gss_checksum(&accepted, &demand)
    };
    send([7; 16], true).unwrap();
    send([0; 16], false).unwrap();
    assert_eq!(
        peer_fault(send([0; 16], true)),
        PeerMisbehaved::ChannelBindingsStripped
    );
    assert_eq!(
        peer_fault(send([8; 16], false)),
        PeerMisbehaved::ChannelBindingsDiffer
    );
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

/// Conformance rows 127 and 128.
#[test]
fn row_128_the_third_leg_repeats_number_and_time() {
    let good = dce();
    good.expect.handle(&good.third_leg).unwrap();
    // MIT krb5 sends its present time.
    let good = dce();
    good.expect
        .handle(&third_leg(NOW + 20, 0, Some(good.sequence), 9))
        .unwrap();

    let case = dce();
    let wrong = third_leg(NOW, 0, Some(case.sequence ^ 1), 9);
    assert_eq!(
        peer_fault(case.expect.handle(&wrong)),
        PeerMisbehaved::ThirdLegSequenceDiffers
    );
    let case = dce();
    let wrong = third_leg(NOW, 0, None, 9);
    assert_eq!(
        peer_fault(case.expect.handle(&wrong)),
        PeerMisbehaved::ThirdLegSequenceDiffers
    );
    let case = dce();
    let wrong = third_leg(NOW + 301, 0, Some(case.sequence), 9);
    assert!(matches!(
        peer_fault(case.expect.handle(&wrong)),
        PeerMisbehaved::ThirdLegTimeDiffers { skew: 300, .. }
    ));
    let case = dce();
    let wrong = third_leg(NOW, 0, Some(case.sequence), 8);
    assert!(matches!(
        peer_fault(case.expect.handle(&wrong)),
        PeerMisbehaved::ApReplyDoesNotDecrypt { .. }
    ));
    let case = dce();
    assert!(matches!(
        case.expect.handle(b""),
        Err(Error::InvalidMessage(InvalidMessage::Unexpected {
            found: None,
            ..
        }))
    ));
}

/// Conformance row 22: the acceptor's own reply, sent back, is no third leg.
#[test]
fn row_22_a_reflected_reply_is_no_third_leg() {
    let case = dce();
    assert_eq!(
        peer_fault(case.expect.handle(&case.reply)),
        PeerMisbehaved::ThirdLegReflected
    );
    assert_eq!(case.pair.replay_cache.len(), 1);
}

/// Conformance row 58.
#[test]
fn row_58_weak_keys_are_refused_unless_permitted() {
    let rc4 = EncryptionKey::new(Enctype::RC4_HMAC.0, vec![5; 16]);
    let pair = Pair::with_ticket(|part| part.key = rc4.clone());
    assert!(matches!(
        build_ap_req(&pair.request(), &pair.world.environment),
        Err(Error::Policy(Policy::EnctypeNotPermitted {
            enctype: Enctype::RC4_HMAC,
            ..
        }))
    ));
    // The initiator permits it, the acceptor does not.
    let mut config = Config::default();
    config.permitted_enctypes =
        danger::permit_weak_enctypes(EnctypePolicy::default(), &[Enctype::RC4_HMAC]);
    let lax = World::with(config);
    let sent = build_ap_req(&pair.request(), &lax.environment).unwrap();
    assert!(matches!(
        policy_fault(pair.accept(&sent.message)),
        Policy::EnctypeNotPermitted {
            what: "the ticket's session key",
            ..
        }
    ));
    let pair = Pair { world: lax, ..pair };
    pair.accept(&sent.message).unwrap();
    let message = Pair::new().altered(|authenticator| authenticator.subkey = Some(rc4));
    assert!(matches!(
        policy_fault(Pair::new().accept(&message)),
        Policy::EnctypeNotPermitted {
            what: "the sub-key",
            ..
        }
    ));
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

#[test]
fn addresses_count_where_the_caller_gives_one() {
    let home = HostAddress {
        addr_type: 2,
        address: vec![127, 0, 0, 1].into(),
    };
    let away = HostAddress {
        addr_type: 2,
        address: vec![127, 0, 0, 2].into(),
    };
    let pair = Pair::with_ticket(|part| part.caddr = Some(vec![home.clone()]));
    let from = |address: Option<&HostAddress>| {
        let request = AcceptRequest {
            keytab: &pair.keytab,
            principal: None,
            policy: &pair.policy,
            replay_cache: &pair.replay_cache,
            client_address: address,
        };
        let message = pair.send(&pair.request()).message;
        accept_ap_req(&message, &request, &pair.world.environment)
    };
    from(None).unwrap();
    from(Some(&home)).unwrap();
    assert_eq!(policy_fault(from(Some(&away))), Policy::AddressNotListed);
}

/// Every byte of an AP-REQ, flipped: no other client, never a panic.
#[test]
fn an_ap_req_with_any_bit_flipped_gives_no_other_client() {
    let pair = Pair::new();
    let length = pair.send(&pair.request()).message.len();
    for position in 0..length {
        let mut message = pair.send(&pair.request()).message;
        let at = position % message.len();
        message[at] ^= 1 << (position % 8);
        if let Ok(accepted) = pair.accept(&message) {
            assert_eq!(accepted.client, alice());
            assert_eq!(accepted.session_key.expose(), key(9, AES256).expose());
        }
    }
}

/// Conformance row 95.
#[test]
fn row_95_a_delegated_credential_comes_whole_and_encrypted() {
    let world = World::new();
    let kdc = Kdc::new(&world);
    let tgt = kdc.tgt();
    let session = key(9, AES256);
    let message = build_krb_cred(&[&tgt], &session, 0, &world.environment).unwrap();
    let read = read_krb_cred(&message, &[&session]).unwrap();
    assert_eq!(read.len(), 1);
    let other = &read[0];
    assert_eq!((&other.client, &other.server), (&tgt.client, &tgt.server));
    assert_eq!(other.ticket, tgt.ticket);
    assert_eq!(other.session_key.expose(), tgt.session_key.expose());
    assert_eq!((other.flags, other.authtime), (tgt.flags, tgt.authtime));
    assert_eq!(
        (other.endtime, other.renew_till),
        (tgt.endtime, tgt.renew_till)
    );
    assert!(other.addresses.is_empty());

    let fault = peer_fault(read_krb_cred(&message, &[&key(8, AES256), &key(9, AES128)]));
    assert_eq!(fault, PeerMisbehaved::CredentialDoesNotDecrypt);
    let mut open = trihound_asn1::KrbCred::from_der(&message).unwrap();
    open.enc_part.etype = 0;
    let fault = peer_fault(read_krb_cred(&open.to_der().unwrap(), &[&session]));
    assert_eq!(fault, PeerMisbehaved::CredentialNotEncrypted);
    let mut more = trihound_asn1::KrbCred::from_der(&message).unwrap();
    more.tickets.push(more.tickets[0].clone());
    let fault = peer_fault(read_krb_cred(&more.to_der().unwrap(), &[&session]));
    assert_eq!(
        fault,
        PeerMisbehaved::CredentialCountDiffers {
            tickets: 2,
            descriptions: 1
        }
    );
    assert!(matches!(
        read_krb_cred(b"", &[&session]),
        Err(Error::InvalidMessage(InvalidMessage::Unexpected {
            found: None,
            ..
        }))
    ));
}
