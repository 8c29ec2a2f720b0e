//! A way to the KDC of one's own, in ten lines: `transport 127.0.0.1:88 alice@EXAMPLE.TEST SERVICE/HOST`,
//! with the password on standard input.
//!
//! Here it is a TCP connection to one address for each request, whatever krb5.conf says. It could as
//! well be a tunnel, a message queue or a recording.

use std::io::{Read, Write};
use std::net::TcpStream;

use trihound::Client;
use trihound::sansio::{ExchangeRequest, Transport, TransportFailure};

#[derive(Clone)]
struct OneKdc(String);

impl OneKdc {
    /// RFC 4120 section 7.2.2: each message is behind its length, four bytes in network order.
    fn ask(&self, message: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(&self.0)?;
        let length = u32::try_from(message.len()).map_err(std::io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), message].concat())?;
        let mut prefix = [0; 4];
        stream.read_exact(&mut prefix)?;
        let mut reply = Vec::new();
        stream
            .take(u32::from_be_bytes(prefix).into())
            .read_to_end(&mut reply)?;
        Ok(reply)
    }
}

impl Transport for OneKdc {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        if request.hint.is_primary_only() {
            return Err(TransportFailure::no_primary(&request.realm)); // there is but one
        }
        self.ask(&request.message)
            .map_err(|error| TransportFailure {
                realm: request.realm.clone(),
                attempts: vec![format!("{}: {error}", self.0)],
                advice: "see whether the tunnel is up".to_owned(),
            })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [kdc, user, target] = <[String; 3]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
        .map_err(|_| "usage: transport KDC:PORT USER@REALM SERVICE/HOST")?;
    let mut password = String::new();
    std::io::stdin().read_line(&mut password)?;

    let client = Client::builder()
        .password(user, password.trim_end())
        .transport(OneKdc(kdc))
        .build()?;
    client.get_ticket(&target)?;
    println!("a ticket for {target} is there");
    Ok(())
}
