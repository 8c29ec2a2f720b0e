//! A kerberized echo service: `server 0.0.0.0:4444`, with the keys of the machine's keytab
//! (KRB5_KTNAME, else /etc/krb5.keytab). The example `client` calls it.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use trihound::{Error, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("usage: server ADDRESS:PORT")?;
    let server = Server::from_environment()?;
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let server = server.clone();
        std::thread::spawn(move || {
            // One connection that fails is no reason to end the service.
            if let Err(error) = serve(&server, stream) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn serve(server: &Server, stream: io::Result<TcpStream>) -> Result<(), Error> {
    let stream = stream?;
    // A client that is silent for a minute does not keep its thread.
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut secure = server.accept(stream)?;
    println!("{} is here", secure.peer());
    while let Some(message) = secure.receive()? {
        secure.send(&message)?;
    }
    secure.close()
}
