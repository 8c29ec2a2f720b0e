//! KRB-CREDs of somebody's making in an AP-REQ: each has its exact error, or is worth nothing.

use trihound_asn1::{
    ApOptions, EncKrbCredPart, EncryptedData, KerberosTime, KrbCred, KrbCredInfo, Message, Raw,
    gss::{self, GssFlags},
};
use trihound_crypto::{Enctype, Key, KeyUsage};
use trihound_kerberos::danger;
use trihound_krb5::ccache::krb_cred_info;
use trihound_krb5::{Credentials, Error as KerberosError, PeerMisbehaved, ReplayError};
use trihound_sspi::{
    AcceptorAttributes, AccessToken, Error, HandshakeOutcome, ImpersonationLevel, SecurityStatus,
};

use crate::attacks::peer_fault;
use crate::support::{key, lax_policy};
use crate::world::{
    ALICE, Leg, NOW, Sides, TicketSpec, Wishes, World, acceptor_attributes, cause, failed,
};

const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;
const KRBTGT: &str = "krbtgt/EXAMPLE.TEST";

/// A KRB-CRED and what is around it.
struct Delegated {
    tickets: Vec<Raw<trihound_asn1::Ticket>>,
    part: EncKrbCredPart,
    key: Key,
    /// Written over the etype; nothing is encrypted for 0.
    etype: Option<i32>,
    flags: GssFlags,
    subkey: Option<Key>,
}

fn granting(world: &World, client: &'static str, end: i64) -> std::sync::Arc<Credentials> {
    world.forge(&TicketSpec {
        client,
        end,
        server: KRBTGT,
        ..TicketSpec::default()
    })
}

impl Delegated {
    /// As a client that keeps to the standards sends it.
    fn honest(world: &World) -> Self {
        let ticket = granting(world, ALICE, NOW + 3600);
        Self {
            tickets: vec![Raw::from_der(ticket.ticket.as_slice()).unwrap()],
            part: EncKrbCredPart {
                ticket_info: vec![krb_cred_info(&ticket)],
                nonce: None,
                timestamp: Some(KerberosTime::from_seconds(NOW)),
                usec: Some(0),
                s_address: None,
                r_address: None,
            },
            key: world.session_key(),
            etype: None,
            flags: GssFlags::DELEG,
            subkey: None,
        }
    }

    fn of(world: &World, client: &'static str, end: i64) -> Self {
        let mut delegated = Self::honest(world);
        let ticket = granting(world, client, end);
        delegated.part.ticket_info = vec![krb_cred_info(&ticket)];
        delegated.tickets = vec![Raw::from_der(ticket.ticket.as_slice()).unwrap()];
        delegated
    }

    fn message(&self, world: &World) -> Vec<u8> {
        let plain = self.part.to_der().unwrap();
        let random = &*world.environment.random;
        let cipher = match self.etype {
            Some(0) => plain,
            _ => self
                .key
                .encrypt(KeyUsage::KRB_CRED_ENC_PART, &plain, random)
                .unwrap(),
        };
        let etype = self.etype.unwrap_or(self.key.enctype().0);
        let sealed = EncryptedData::new(etype, None, cipher);
        KrbCred::new(self.tickets.clone(), sealed).to_der().unwrap()
    }

    /// The AP-REQ around it.
    fn token(&self, world: &World) -> Vec<u8> {
        let mut bytes = 16_u32.to_le_bytes().to_vec();
        bytes.extend([0; 16]);
        bytes.extend(self.flags.bits().to_le_bytes());
        let message = self.message(world);
        bytes.extend(1_u16.to_le_bytes());
        bytes.extend(u16::try_from(message.len()).unwrap().to_le_bytes());
        bytes.extend(message);
        let request = world.ap_req(ApOptions::empty(), |authenticator| {
            authenticator.cksum = Some(trihound_asn1::Checksum::new(0x8003, bytes));
            authenticator.subkey = self
                .subkey
                .as_ref()
                .map(|key| trihound_asn1::EncryptionKey::new(key.enctype().0, key.expose()));
        });
        gss::wrap_token(gss::KRB5_OID, [1, 0], &request)
    }

    fn accept(&self, world: &World) -> Leg {
        Sides::new(world, Wishes::default()).accept(Some(&self.token(world)))
    }
}

/// The attributes that the acceptor has, and its token.
fn accepted(
    world: &World,
    delegated: &Delegated,
) -> (AcceptorAttributes, std::sync::Arc<AccessToken>) {
    let mut sides = Sides::new(world, Wishes::default());
    let (outcome, _) = sides.accept(Some(&delegated.token(world)));
    let attributes = acceptor_attributes(outcome.unwrap().established().unwrap());
    let context = sides.acceptor.unwrap();
    let token = world.table.query_security_context_token(context).unwrap();
    (attributes, token)
}

/// What the tests below change is taken as it is.
#[test]
fn an_honest_delegation_is_taken() {
    let world = World::new(AES256);
    let (attributes, token) = accepted(&world, &Delegated::honest(&world));
    assert!(attributes.contains(AcceptorAttributes::DELEGATE));
    assert_eq!(token.level, ImpersonationLevel::Delegation);
    assert!(token.delegated_credential.is_some());
    // Some senders take the sub-key, and some tell no time.
    let mut delegated = Delegated::honest(&world);
    delegated.key = key(Enctype::AES128_CTS_HMAC_SHA1_96);
    delegated.subkey = Some(key(Enctype::AES128_CTS_HMAC_SHA1_96));
    (delegated.part.timestamp, delegated.part.usec) = (None, None);
    assert!(
        accepted(&world, &delegated)
            .1
            .delegated_credential
            .is_some()
    );
}

/// Conformance row 95: under the keys of this login.
#[test]
fn row_95_a_delegation_under_another_key_is_refused() {
    let world = World::new(AES256);
    let status = SecurityStatus::SEC_E_INVALID_TOKEN;
    let mut delegated = Delegated::honest(&world);
    delegated.key = Key::new(AES256, &[0x77; 32], &lax_policy()).unwrap();
    let fault = peer_fault(delegated.accept(&world), status);
    assert_eq!(fault, PeerMisbehaved::CredentialDoesNotDecrypt);
    // The key fits and its type is another's.
    let mut delegated = Delegated::honest(&world);
    delegated.etype = Some(17);
    let fault = peer_fault(delegated.accept(&world), status);
    assert_eq!(fault, PeerMisbehaved::CredentialDoesNotDecrypt);
}

/// Conformance row 95: Heimdal's clients send it so, and are let in without it.
#[test]
fn row_95_a_delegation_that_is_not_encrypted_is_left_and_the_login_goes_on() {
    let world = World::new(AES256);
    let left = |delegated: &Delegated| {
        let (attributes, token) = accepted(&world, delegated);
        assert!(!attributes.contains(AcceptorAttributes::DELEGATE));
        assert_eq!(token.level, ImpersonationLevel::Impersonation);
        assert!(token.delegated_credential.is_none());
        assert_eq!(token.client_name, ALICE);
    };
    let mut delegated = Delegated::honest(&world);
    delegated.etype = Some(0);
    left(&delegated);
    // It is not even read.
    delegated.part = Delegated::of(&world, "bob", NOW + 3600).part;
    left(&delegated);
    delegated.part.ticket_info.clear();
    left(&delegated);
    // What is around it is read, and any other etype has to have a key.
    delegated.etype = Some(1);
    let leg = delegated.accept(&world);
    let fault = peer_fault(leg, SecurityStatus::SEC_E_INVALID_TOKEN);
    assert_eq!(fault, PeerMisbehaved::CredentialDoesNotDecrypt);
}

/// Conformance row 95: the opt-in. Nothing else is let through by it.
#[test]
fn row_95_a_delegation_that_is_not_encrypted_is_taken_where_danger_says_so() {
    let world = World::with(AES256, lax_policy(), |config| {
        config.accept_policy.plain_credentials = danger::take_plain_credentials();
    });
    let plain = |mut delegated: Delegated| {
        delegated.etype = Some(0);
        delegated
    };
    let (attributes, token) = accepted(&world, &plain(Delegated::honest(&world)));
    assert!(attributes.contains(AcceptorAttributes::DELEGATE));
    assert_eq!(token.level, ImpersonationLevel::Delegation);
    assert!(token.delegated_credential.is_some());
    // One that is encrypted, too.
    let (attributes, _) = accepted(&world, &Delegated::honest(&world));
    assert!(attributes.contains(AcceptorAttributes::DELEGATE));

    let refused = |delegated, status| peer_fault(plain(delegated).accept(&world), status);
    let of_other = Delegated::of(&world, "bob", NOW + 3600);
    assert!(matches!(
        refused(of_other, SecurityStatus::SEC_E_LOGON_DENIED),
        PeerMisbehaved::CredentialOfOther { .. }
    ));
    let mut late = Delegated::honest(&world);
    late.part.timestamp = Some(KerberosTime::from_seconds(NOW - 301));
    assert!(matches!(
        refused(late, SecurityStatus::SEC_E_TIME_SKEW),
        PeerMisbehaved::CredentialNotCurrent { .. }
    ));
    let mut incomplete = Delegated::honest(&world);
    incomplete.part.ticket_info.clear();
    assert!(matches!(
        refused(incomplete, SecurityStatus::SEC_E_INVALID_TOKEN),
        PeerMisbehaved::CredentialCountDiffers { .. }
    ));
    let mut other_key = Delegated::honest(&world);
    other_key.key = Key::new(AES256, &[0x77; 32], &lax_policy()).unwrap();
    let leg = other_key.accept(&world);
    let fault = peer_fault(leg, SecurityStatus::SEC_E_INVALID_TOKEN);
    assert_eq!(fault, PeerMisbehaved::CredentialDoesNotDecrypt);
    // IDENTIFY and the end of the ticket hold here as ever.
    let mut identify = plain(Delegated::honest(&world));
    identify.flags |= GssFlags::IDENTIFY;
    for delegated in [identify, plain(Delegated::of(&world, ALICE, NOW))] {
        let (attributes, token) = accepted(&world, &delegated);
        assert!(!attributes.contains(AcceptorAttributes::DELEGATE));
        assert!(token.delegated_credential.is_none());
    }
}

/// Cuts and changes of a credential that nothing protects but what is around it.
#[test]
fn a_plain_delegation_of_garbage_is_refused_without_harm() {
    let world = World::with(AES256, lax_policy(), |config| {
        config.accept_policy.plain_credentials = danger::take_plain_credentials();
    });
    let plain = Delegated::honest(&world).part.to_der().unwrap();
    let send = |plain: &[u8]| send_sealed(&world, EncryptedData::new(0, None, plain.to_vec()));
    assert!(send(&plain).is_ok());
    for length in 0..plain.len() {
        assert!(send(&plain[..length]).is_err(), "{length}");
    }
    for at in 0..plain.len() {
        let mut other = plain.clone();
        other[at] ^= 0x55;
        let _ = send(&other);
    }
}

/// A client that has somebody else's ticket could make the service act for them under its own name.
#[test]
fn a_delegation_of_somebody_else_is_refused() {
    let world = World::new(AES256);
    for client in ["bob", "alice@OTHER.TEST", "alice/admin"] {
        let leg = Delegated::of(&world, client, NOW + 3600).accept(&world);
        let fault = peer_fault(leg, SecurityStatus::SEC_E_LOGON_DENIED);
        let PeerMisbehaved::CredentialOfOther {
            client: logged_in,
            found,
        } = fault
        else {
            panic!("{fault:?}");
        };
        assert_eq!(logged_in, ALICE);
        assert!(found.starts_with(client));
    }
    // Behind one's own.
    let mut delegated = Delegated::honest(&world);
    let other = Delegated::of(&world, "bob", NOW + 3600);
    delegated.tickets.extend(other.tickets);
    delegated.part.ticket_info.extend(other.part.ticket_info);
    assert!(matches!(
        peer_fault(delegated.accept(&world), SecurityStatus::SEC_E_LOGON_DENIED),
        PeerMisbehaved::CredentialOfOther { .. }
    ));
}

/// RFC 4120 section 3.6.2: a time that is there is the present, give or take the skew.
#[test]
fn a_delegation_of_another_time_is_refused() {
    let world = World::new(AES256);
    for (seconds, is_current) in [(-301, false), (-299, true), (299, true), (301, false)] {
        let mut delegated = Delegated::honest(&world);
        delegated.part.timestamp = Some(KerberosTime::from_seconds(NOW + seconds));
        if is_current {
            assert!(delegated.accept(&world).0.is_ok());
            continue;
        }
        let fault = peer_fault(delegated.accept(&world), SecurityStatus::SEC_E_TIME_SKEW);
        assert!(matches!(fault, PeerMisbehaved::CredentialNotCurrent { .. }));
    }
}

/// What has ended is not handed on; the login itself holds.
#[test]
fn a_delegated_ticket_that_has_ended_counts_as_none() {
    let world = World::new(AES256);
    for end in [NOW - 1, NOW] {
        let (attributes, token) = accepted(&world, &Delegated::of(&world, ALICE, end));
        assert!(!attributes.contains(AcceptorAttributes::DELEGATE));
        assert_eq!(token.level, ImpersonationLevel::Impersonation);
        assert!(token.delegated_credential.is_none());
    }
}

/// A client that asks for IDENTIFY is acted for by nobody, whatever it sent along; what it sent still has
/// to hold.
#[test]
fn identify_leaves_a_delegated_ticket_unused() {
    let world = World::new(AES256);
    let mut delegated = Delegated::honest(&world);
    delegated.flags |= GssFlags::IDENTIFY;
    let (attributes, token) = accepted(&world, &delegated);
    assert!(!attributes.contains(AcceptorAttributes::DELEGATE));
    assert_eq!(token.level, ImpersonationLevel::Identification);
    assert!(token.delegated_credential.is_none());
    delegated.key = Key::new(AES256, &[0x77; 32], &lax_policy()).unwrap();
    peer_fault(
        delegated.accept(&world),
        SecurityStatus::SEC_E_INVALID_TOKEN,
    );
}

/// Tickets and descriptions pair up, and a description says what a ticket cannot do without.
#[test]
fn a_delegation_that_is_incomplete_is_refused() {
    let world = World::new(AES256);
    let status = SecurityStatus::SEC_E_INVALID_TOKEN;
    let refused = |change: fn(&mut Delegated)| {
        let mut delegated = Delegated::honest(&world);
        change(&mut delegated);
        peer_fault(delegated.accept(&world), status)
    };
    let differ = |tickets, descriptions| PeerMisbehaved::CredentialCountDiffers {
        tickets,
        descriptions,
    };
    let again = |delegated: &mut Delegated| {
        let first = delegated.tickets[0].clone();
        delegated.tickets.push(first);
    };
    assert_eq!(refused(again), differ(2, 1));
    assert_eq!(refused(|all| all.tickets.clear()), differ(0, 1));
    assert_eq!(refused(|all| all.part.ticket_info.clear()), differ(1, 0));
    let missing = |change: fn(&mut KrbCredInfo)| {
        let mut delegated = Delegated::honest(&world);
        change(&mut delegated.part.ticket_info[0]);
        match peer_fault(delegated.accept(&world), status) {
            PeerMisbehaved::CredentialIncomplete { field } => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(missing(|info| info.prealm = None), "prealm");
    assert_eq!(missing(|info| info.pname = None), "pname");
    assert_eq!(missing(|info| info.endtime = None), "endtime");
    // Nothing at all is nothing.
    let mut empty = Delegated::honest(&world);
    empty.tickets.clear();
    empty.part.ticket_info.clear();
    let (attributes, _) = accepted(&world, &empty);
    assert!(!attributes.contains(AcceptorAttributes::DELEGATE));
}

/// The authenticator around it is good for one use, and the credential with it.
#[test]
fn a_delegation_that_comes_again_is_refused() {
    let world = World::new(AES256);
    let token = Delegated::honest(&world).token(&world);
    assert!(
        Sides::new(&world, Wishes::default())
            .accept(Some(&token))
            .0
            .is_ok()
    );
    let leg = Sides::new(&world, Wishes::default()).accept(Some(&token));
    let error = failed(leg, SecurityStatus::SEC_E_LOGON_DENIED);
    assert!(matches!(
        cause::<KerberosError>(&error),
        KerberosError::Replay(ReplayError::ReplayedAuthenticator { .. })
    ));
}

/// What an acceptor says of a credential with this for its encrypted part.
fn send_sealed(world: &World, sealed: EncryptedData) -> Result<HandshakeOutcome, Error> {
    let honest = Delegated::honest(world);
    let message = KrbCred::new(honest.tickets, sealed).to_der().unwrap();
    let mut bytes = 16_u32.to_le_bytes().to_vec();
    bytes.extend([0; 16]);
    bytes.extend([1, 0, 0, 0, 1, 0]);
    bytes.extend(u16::try_from(message.len()).unwrap().to_le_bytes());
    bytes.extend(message);
    let request = world.ap_req(ApOptions::empty(), |authenticator| {
        authenticator.cksum = Some(trihound_asn1::Checksum::new(0x8003, bytes));
    });
    let token = gss::wrap_token(gss::KRB5_OID, [1, 0], &request);
    Sides::new(world, Wishes::default()).accept(Some(&token)).0
}

/// What is inside may be anything once it decrypts.
#[test]
fn a_delegation_of_garbage_is_refused_without_harm() {
    let world = World::new(AES256);
    let plain = Delegated::honest(&world).part.to_der().unwrap();
    let random = &*world.environment.random;
    let send = |plain: &[u8]| {
        let session = world.session_key();
        let cipher = session
            .encrypt(KeyUsage::KRB_CRED_ENC_PART, plain, random)
            .unwrap();
        send_sealed(&world, EncryptedData::new(AES256.0, None, cipher))
    };
    assert!(send(&plain).is_ok());
    for length in 0..plain.len() {
        assert!(send(&plain[..length]).is_err(), "{length}");
    }
    for at in 0..plain.len() {
        let mut other = plain.clone();
        other[at] ^= 0x55;
        let _ = send(&other);
    }
}
