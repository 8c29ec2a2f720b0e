//! An NTLM acceptor whose verifier is elsewhere.

use std::sync::Arc;

use trihound::ntlm::{NtlmLogon, NtlmVerifier, Verification, VerifiedAccount, VerifierFailure};
use trihound::sansio::{
    Exchange, ExchangeRequest, Progress, Reply, Service, Transport, TransportFailure, TransportHint,
};
use trihound::sspi::{AcceptorRequirements, AcquireRequest, CredentialUse, SecurityStatus};
use trihound::{Acceptor, Package, Server};

use crate::packages::{accounts, audited, client};
use crate::support::SERVICE;

/// A verifier that asks a domain controller, which is the local accounts at the other end of a transport.
struct Remote;

struct Asking(Option<NtlmLogon>);

impl NtlmVerifier for Remote {
    fn verify(&self, logon: NtlmLogon) -> Verification {
        Box::new(Asking(Some(logon)))
    }
}

impl Exchange for Asking {
    type Output = VerifiedAccount;
    type Error = VerifierFailure;

    fn step(
        &mut self,
        reply: Option<Reply<'_>>,
    ) -> Result<Progress<VerifiedAccount>, VerifierFailure> {
        match reply {
            None => Ok(Progress::Exchange(ExchangeRequest {
                service: Service::Verifier,
                realm: "EXAMPLE".to_owned(),
                message: b"who is it?".to_vec(),
                hint: TransportHint::default(),
                route: None,
            })),
            Some(Reply::Failed(failure)) => Err(VerifierFailure::Unreachable(failure.clone())),
            Some(Reply::Bytes(_)) => {
                let logon = self.0.take().ok_or(VerifierFailure::LogonFailed)?;
                accounts().verify(logon).step(None)
            }
        }
    }
}

/// What the domain controller says, and how often it was asked.
struct Controller(usize);

impl Transport for Controller {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        assert_eq!(request.service, Service::Verifier);
        self.0 += 1;
        Ok(b"let me see".to_vec())
    }
}

#[test]
fn an_acceptor_whose_verifier_asks_is_driven_over_a_transport() {
    let server = Server::builder()
        .package(Package::Ntlm)
        .ntlm_policy(audited())
        .ntlm_verifier(Arc::new(Remote))
        .build()
        .unwrap();
    let client = client(Package::Ntlm)
        .ntlm_policy(audited())
        .build()
        .unwrap();
    let handshake = |driven: bool| {
        let table = server.table();
        let request = AcquireRequest::new(CredentialUse::INBOUND);
        let credential = table.acquire_credentials_handle("NTLM", request).unwrap();
        let requirements = AcceptorRequirements::empty();
        let mut acceptor = Acceptor::new(table, credential.credential, requirements);
        let mut initiator = client.connector(SERVICE).handshake();
        let negotiate = initiator.step(None).unwrap().token.unwrap();
        let challenge = acceptor.step(&negotiate).unwrap().token.unwrap();
        let authenticate = initiator.step(Some(&challenge)).unwrap().token.unwrap();
        let mut controller = Controller(0);
        let outcome = match driven {
            true => acceptor.step_over(&authenticate, &mut controller),
            false => acceptor.step(&authenticate),
        };
        (outcome.map(|leg| leg.complete), controller.0)
    };
    let (outcome, asked) = handshake(true);
    assert_eq!((outcome.unwrap(), asked), (true, 1));
    let (outcome, _) = handshake(false);
    let error = outcome.unwrap_err().error;
    assert_eq!(
        error.status(),
        SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
    );
    assert!(error.text().contains("step_over()"), "{error}");
}
