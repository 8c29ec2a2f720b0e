use trihound_asn1::{KrbError, Message, error_code};
use trihound_sansio::{ExchangeRequest, Transport, TransportFailure};

use crate::outcome::say;

/// A transport that tells what goes over it.
pub(super) struct Narrator<T> {
    inner: T,
    pub(super) round_trips: usize,
}

impl<T> Narrator<T> {
    pub(super) fn new(inner: T) -> Self {
        Self {
            inner,
            round_trips: 0,
        }
    }
}

impl<T: Transport> Transport for Narrator<T> {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        let answer = self.inner.round_trip(request)?;
        self.round_trips += 1;
        // A full standard output is told at the next line that is not a transport's.
        let _ = say(format_args!(
            "   {:<8} {:>5} bytes to the KDC of {}, back {:<28} {:>5} bytes",
            message_name(&request.message),
            request.message.len(),
            request.realm,
            answer_text(&answer),
            answer.len()
        ));
        Ok(answer)
    }
}

/// The name of a Kerberos message, by its application tag (RFC 4120 section 5.10).
fn message_name(message: &[u8]) -> &'static str {
    match message.first() {
        Some(0x6a) => "AS-REQ",
        Some(0x6b) => "AS-REP",
        Some(0x6c) => "TGS-REQ",
        Some(0x6d) => "TGS-REP",
        Some(0x7e) => "KRB-ERROR",
        _ => "message",
    }
}

fn answer_text(answer: &[u8]) -> String {
    match KrbError::from_der(answer) {
        Ok(error) => error_code::name(error.error_code)
            .map_or_else(|| format!("KRB-ERROR {}", error.error_code), str::to_owned),
        Err(_) => message_name(answer).to_owned(),
    }
}
