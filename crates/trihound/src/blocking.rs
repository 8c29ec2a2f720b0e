//! The loops that a blocking program writes around the function table, written once.
//!
//! A call that answers [`Step::ExchangeNeeded`] wants a round trip; these functions do it over a
//! [`Transport`] and go on. An asynchronous program writes the same loop with `.await`.
//!
//! ```
//! use trihound::sansio::{ExchangeRequest, Reply, TransportFailure};
//! use trihound::sspi::{
//!     BufferType, CredHandle, CtxtHandle, Error, InitializeRequest, InitiatorRequirements, SecBuffer,
//!     SecBufferDesc, SecurityFunctionTable,
//! };
//!
//! /// The program's own way to a KDC.
//! trait AsyncKdc {
//!     async fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure>;
//! }
//!
//! /// The first leg: a context in the making, and the token to send to the service.
//! async fn first_leg(
//!     table: &SecurityFunctionTable,
//!     credential: CredHandle,
//!     kdc: &mut impl AsyncKdc,
//! ) -> Result<(CtxtHandle, Vec<u8>), Error> {
//!     let request = InitializeRequest {
//!         target_name: Some("HTTP/web.example.com"),
//!         requirements: InitiatorRequirements::MUTUAL_AUTH,
//!         input: None, // the service's token, from the second leg on
//!         impersonation: None,
//!         fallback_reason: None,
//!     };
//!     let mut buffers = [SecBuffer::allocate(BufferType::TOKEN)];
//!     let mut output = SecBufferDesc::new(&mut buffers);
//!     let mut outcome = table.initialize_security_context(Some(credential), None, request, &mut output)?;
//!     while let Some(request) = outcome.exchange() {
//!         let answer = kdc.round_trip(request).await;
//!         let reply = match &answer {
//!             Ok(bytes) => Reply::Bytes(bytes),
//!             Err(failure) => Reply::Failed(failure),
//!         };
//!         outcome = table.complete_exchange(outcome.context, reply, &mut output)?;
//!     }
//!     Ok((outcome.context, output.token().unwrap_or_default().to_vec()))
//! }
//! ```

use trihound_sansio::{MAX_ROUND_TRIPS, Reply, Transport};
use trihound_sspi::{
    CredHandle, CtxtHandle, Error, HandshakeOutcome, InitializeRequest, SecBufferDesc,
    SecurityFunctionTable, Step,
};

use crate::handshake::in_circles;

/// InitializeSecurityContext with its round trips to the KDC.
///
/// # Errors
///
/// Those of the function table. A KDC that nobody could reach is SEC_E_NO_AUTHENTICATING_AUTHORITY
/// with the addresses tried.
pub fn initialize_security_context(
    table: &SecurityFunctionTable,
    credential: Option<CredHandle>,
    context: Option<CtxtHandle>,
    request: InitializeRequest<'_>,
    output: &mut SecBufferDesc<'_, '_>,
    transport: &mut dyn Transport,
) -> Result<HandshakeOutcome, Error> {
    let outcome = table.initialize_security_context(credential, context, request, output)?;
    complete_exchanges(table, outcome, output, transport)
}

/// Does the round trips that `outcome` asks for, until it asks for none.
///
/// # Errors
///
/// Those of [`SecurityFunctionTable::complete_exchange`].
pub fn complete_exchanges(
    table: &SecurityFunctionTable,
    mut outcome: HandshakeOutcome,
    output: &mut SecBufferDesc<'_, '_>,
    transport: &mut dyn Transport,
) -> Result<HandshakeOutcome, Error> {
    for _ in 0..MAX_ROUND_TRIPS {
        let Step::ExchangeNeeded(request) = &outcome.step else {
            return Ok(outcome);
        };
        let answer = transport.round_trip(request);
        let reply = match &answer {
            Ok(bytes) => Reply::Bytes(bytes),
            Err(failure) => Reply::Failed(failure),
        };
        outcome = table.complete_exchange(outcome.context, reply, output)?;
    }
    Err(in_circles())
}
