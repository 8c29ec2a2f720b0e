//! A service that runs for long: it takes requests with the keys of its keytab, and passes them on to
//! another service with tickets of its own, which it keeps fresh.
//!
//! `relay 0.0.0.0:4444 relay/web.example.com /etc/relay.keytab host/db.example.com db.example.com:4445`
//!
//! It starts while the KDC is down, and heals when the KDC is back. Both the keys that it accepts with
//! and those that it logs in with are read again when the keytab changes.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use trihound::{Client, Error, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [address, principal, keytab, target, next] =
        <[String; 5]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
            .map_err(|_| "usage: relay ADDRESS:PORT PRINCIPAL KEYTAB SERVICE/HOST HOST:PORT")?;

    let keytab = Path::new(&keytab);
    let server = Server::builder()
        .principal(&principal)
        .keytab(keytab)
        .build()?;
    let client = Client::builder().keytab(&principal, keytab).build()?;
    // From here on a thread renews the tickets; without it they would be got when they are needed.
    let _keeper = client.keep_fresh()?;

    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let (server, client) = (server.clone(), client.clone());
        let (target, next) = (target.clone(), next.clone());
        std::thread::spawn(move || {
            if let Err(error) = relay(&server, stream, &client, &target, &next) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn relay(
    server: &Server,
    stream: io::Result<TcpStream>,
    client: &Client,
    target: &str,
    next: &str,
) -> Result<(), Error> {
    let stream = stream?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut near = server.accept(stream)?;
    let mut far = client.connect(target, TcpStream::connect(next)?)?;
    println!("{} is passed on to {}", near.peer(), far.peer());
    while let Some(message) = near.receive()? {
        far.send(&message)?;
        match far.receive()? {
            Some(answer) => near.send(&answer)?,
            None => break,
        }
    }
    far.close()?;
    near.close()
}
