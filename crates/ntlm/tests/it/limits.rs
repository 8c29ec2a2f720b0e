//! Lengths, datagrams, and what the package says of itself.

use trihound_ntlm::message::{MessageError, text};
use trihound_ntlm::{
    AvId, ContextError, NegotiateFlags, Ntlm, NtlmCredential, NtlmOutcome, TokenError, Unprotected,
};
use trihound_sansio::Reply;
use trihound_sspi::{
    AcceptorRequirements, ContextAttribute, ContextAttributeValue as Value, Function,
    LastClientTokenStatus, NegotiationState, SecBuffer, SecBufferDesc, SecurityStatus,
};

use crate::forge::{Authenticate, challenge_with, challenge_with_pairs};
use crate::world::{ALICE, DOMAIN, PASSWORD, Wishes, World, cause, failed, secret};

/// No bit of a datagram context's two messages may be another.
#[test]
fn each_bit_of_a_datagram_contexts_messages_is_under_the_mic() {
    let world = World::new();
    let lengths = {
        let mut sides = world.sides(Wishes::datagram());
        sides.negotiate();
        let challenge = sides.challenge(&[]);
        (challenge.len(), sides.authenticate(&challenge).1.len())
    };
    for bit in 0..lengths.0 * 8 {
        let mut sides = world.sides(Wishes::datagram());
        sides.negotiate();
        let mut challenge = sides.challenge(&[]);
        challenge[bit / 8] ^= 1 << (bit % 8);
        if let (Ok(_), token) = sides.initialize(Some(&challenge)) {
            assert!(
                sides.accept(Some(&token)).0.is_err(),
                "bit {bit} of CHALLENGE"
            );
        }
    }
    for bit in (0..lengths.1 * 8).step_by(5) {
        let mut sides = world.sides(Wishes::datagram());
        sides.negotiate();
        let challenge = sides.challenge(&[]);
        let (_, mut token) = sides.authenticate(&challenge);
        token[bit / 8] ^= 1 << (bit % 8);
        assert!(
            sides.accept(Some(&token)).0.is_err(),
            "bit {bit} of AUTHENTICATE"
        );
    }
}

#[test]
fn a_datagram_context_keeps_its_kind_and_its_protection() {
    let world = World::new();
    let mut sides = world.sides(Wishes::datagram());
    sides.negotiate();
    let error = sides.accept(Some(b"NTLMSSP\0")).0.unwrap_err();
    assert_eq!(
        *cause::<TokenError>(&error),
        TokenError::BeforeChallenge { length: 8 }
    );
    let challenge = sides.challenge(&[]);
    let less = challenge_with(&challenge, |m| {
        m.flags.remove(NegotiateFlags::NEGOTIATE_SEAL);
    });
    let error = sides.initialize(Some(&less)).0.unwrap_err();
    assert_eq!(
        *cause::<Unprotected>(&error),
        Unprotected::Missing {
            attribute: "CONFIDENTIALITY",
            message: "CHALLENGE"
        }
    );
    // The acceptor's caller demands it too, once the client has answered.
    let mut wishes = Wishes::datagram();
    wishes
        .initiator
        .remove(trihound_sspi::InitiatorRequirements::CONFIDENTIALITY);
    wishes.acceptor |= AcceptorRequirements::CONFIDENTIALITY;
    let mut sides = world.sides(wishes);
    sides.negotiate();
    let challenge = sides.challenge(&[]);
    let (_, token) = sides.authenticate(&challenge);
    let error = sides.accept(Some(&token)).0.unwrap_err();
    assert_eq!(
        *cause::<Unprotected>(&error),
        Unprotected::Missing {
            attribute: "CONFIDENTIALITY",
            message: "AUTHENTICATE"
        }
    );
}

#[test]
fn no_token_is_longer_than_what_the_package_says() {
    let world = World::new();
    let info = world.table.query_security_package_info(Ntlm::NAME).unwrap();
    let limit = usize::try_from(info.max_token).unwrap();
    let long = vec![b'x'; limit + 1];
    let expected = TokenError::TooLong {
        length: limit + 1,
        limit,
    };
    let mut sides = world.sides(Wishes::full());
    let error = sides.accept(Some(&long)).0.unwrap_err();
    assert_eq!(*cause::<TokenError>(&error), expected);
    let negotiate = sides.negotiate();
    let challenge = sides.challenge(&negotiate);
    // Pairs that fit into the CHALLENGE message, and with the client's own not into the answer.
    let pair = vec![0; limit - challenge.len() - 4];
    let stuffed = challenge_with_pairs(&challenge, &[], &[(AvId(99), &pair)]);
    assert_eq!(stuffed.len(), limit);
    let error = sides.initialize(Some(&stuffed)).0.unwrap_err();
    assert!(matches!(
        cause::<TokenError>(&error),
        TokenError::TooLong { .. }
    ));
    failed(
        sides.initialize(Some(&challenge)),
        SecurityStatus::SEC_E_INVALID_HANDLE,
    );
}

#[test]
fn a_token_that_is_due_and_absent_is_an_error() {
    let world = World::new();
    let mut sides = world.sides(Wishes::full());
    let error = sides.accept(None).0.unwrap_err();
    let missing = |expected| TokenError::Missing { expected };
    assert_eq!(*cause::<TokenError>(&error), missing("NEGOTIATE"));
    let negotiate = sides.negotiate();
    sides.challenge(&negotiate);
    let error = sides.accept(None).0.unwrap_err();
    assert_eq!(*cause::<TokenError>(&error), missing("AUTHENTICATE"));
    let error = sides.initialize(None).0.unwrap_err();
    assert_eq!(*cause::<TokenError>(&error), missing("CHALLENGE"));
}

#[test]
fn the_function_of_the_other_role_is_refused() {
    let world = World::new();
    let mut sides = world.sides(Wishes::full());
    let negotiate = sides.negotiate();
    sides.challenge(&negotiate);
    core::mem::swap(&mut sides.initiator, &mut sides.acceptor);
    let error = sides.initialize(Some(&negotiate)).0.unwrap_err();
    let role = "acceptor";
    assert_eq!(
        *cause::<ContextError>(&error),
        ContextError::OtherRole { role }
    );
    let error = sides.accept(Some(&negotiate)).0.unwrap_err();
    let role = "initiator";
    assert_eq!(
        *cause::<ContextError>(&error),
        ContextError::OtherRole { role }
    );
}

#[test]
fn a_message_that_cannot_be_read_is_told_too() {
    let world = World::new();
    let mut sides = world.sides(Wishes::full());
    let token = sides.up_to_authenticate();
    world.uses.take();
    let mut message = Authenticate::parse(&token);
    message.user = vec![0x00, 0xd8];
    let error = sides.accept(Some(&message.to_bytes())).0.unwrap_err();
    assert_eq!(
        *cause::<MessageError>(&error),
        MessageError::LoneSurrogate { unit: 0 }
    );
    let uses = world.uses.take();
    let [told] = uses.as_slice() else {
        panic!("{uses:?}");
    };
    assert_eq!(told.outcome, NtlmOutcome::Refused);
    assert_eq!(told.user, "");
}

#[test]
fn oem_text_serves_where_there_is_no_unicode() {
    let world = World::with(|config| config.with_workstation("PC"));
    for (domain, fits) in [(DOMAIN, true), ("Ωmega", false)] {
        let credential = NtlmCredential::from_password(ALICE, domain, secret(PASSWORD));
        let mut sides = world.sides(Wishes::none()).with_client(credential);
        let negotiate = sides.negotiate();
        let challenge = sides.challenge(&negotiate);
        let oem = challenge_with(&challenge, |m| {
            m.flags.remove(NegotiateFlags::NEGOTIATE_UNICODE);
            m.flags.insert(NegotiateFlags::NEGOTIATE_OEM);
            m.target_name = b"EXAMPLE";
        });
        let (outcome, token) = sides.initialize(Some(&oem));
        if !fits {
            let error = outcome.unwrap_err();
            assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_PARAMETER);
            assert_eq!(*cause::<MessageError>(&error), MessageError::NotInCodePage);
            continue;
        }
        let _ = outcome.unwrap();
        let message = Authenticate::parse(&token);
        assert_eq!(message.user, b"alice");
        assert_eq!(message.domain, b"EXAMPLE");
        assert_eq!(message.workstation, b"PC");
        assert_eq!(text::from_oem(&message.user), "alice");
    }
}

#[test]
fn what_is_not_there_says_so() {
    let world = World::new();
    let functions = world.table.functions_of(Ntlm::NAME).unwrap();
    for function in [
        Function::ExportSecurityContext,
        Function::ImportSecurityContext,
        Function::CompleteAuthToken,
        Function::ApplyControlToken,
        Function::ChangeAccountPassword,
    ] {
        assert!(!functions.has(function), "{function:?}");
    }
    let info = world.table.query_security_package_info("ntlm").unwrap();
    assert_eq!((info.rpc_id, info.version), (10, 1));
    let mechanism = world.table.mechanism("NTLM").unwrap().unwrap();
    assert_eq!(mechanism.oids, ["1.3.6.1.4.1.311.2.2.10"]);
    assert!((mechanism.is_raw_token)(b"NTLMSSP\0\x01"));
    assert!(!(mechanism.is_raw_token)(b"NTLMSSP"));
    assert!(!mechanism.needs_host_name);
}

#[test]
fn what_a_context_says_while_it_is_made() {
    let world = World::new();
    let mut sides = world.sides(Wishes::full());
    let negotiate = sides.negotiate();
    sides.challenge(&negotiate);
    for value in sides.query_both(ContextAttribute::NegotiationInfo) {
        let Value::NegotiationInfo(info) = value.unwrap() else {
            panic!("no negotiation information");
        };
        assert_eq!(info.state, NegotiationState::InProgress);
        assert_eq!(info.package.name, "NTLM");
    }
    for value in sides.query_both(ContextAttribute::LastClientTokenStatus) {
        assert!(matches!(
            value.unwrap(),
            Value::LastClientTokenStatus(LastClientTokenStatus::No)
        ));
    }
    for attribute in [ContextAttribute::Names, ContextAttribute::SessionKey] {
        for value in sides.query_both(attribute) {
            let status = value.unwrap_err().status();
            assert_eq!(status, SecurityStatus::SEC_E_NO_CONTEXT);
        }
    }
    let (initiator, _) = sides.contexts();
    let mut memory = [0; 100];
    let mut buffers = [SecBuffer::token(&mut memory)];
    let mut output = SecBufferDesc::new(&mut buffers);
    let error = world
        .table
        .complete_exchange(initiator, Reply::Bytes(b""), &mut output)
        .unwrap_err();
    assert_eq!(*cause::<ContextError>(&error), ContextError::NoExchange);
}
