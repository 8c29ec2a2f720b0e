//! Whatever both sides have, Kerberos first: `negotiate accept 0.0.0.0:4444` on the one side,
//! `negotiate init HTTP/web.example.com web.example.com:4444 hello` on the other.
//!
//! The client is whoever is logged in, or USER_NAME with PASSWORD of the environment. NTLM takes part only
//! where TRIHOUND_NTLM lets it (`audit`, `allow`); its accounts are in NTLM_USER_FILE.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use trihound::{Client, Error, Package, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["accept", address] => accept(address)?,
        ["init", target, address, message] => initiate(target, address, message)?,
        _ => {
            return Err(
                "usage: negotiate accept HOST:PORT | init SERVICE/HOST HOST:PORT MESSAGE".into(),
            );
        }
    }
    Ok(())
}

fn initiate(target: &str, address: &str, message: &str) -> Result<(), Error> {
    let mut builder = Client::builder().package(Package::Negotiate);
    if let (Ok(user), Ok(password)) = (std::env::var("USER_NAME"), std::env::var("PASSWORD")) {
        builder = builder.password(user, password);
    }
    let mut secure = builder
        .build()?
        .connect(target, TcpStream::connect(address)?)?;
    println!("speaking {}", secure.context().mechanism()?);
    secure.send(message.as_bytes())?;
    if let Some(answer) = secure.receive()? {
        println!("the service says: {}", String::from_utf8_lossy(&answer));
    }
    secure.close()
}

fn accept(address: &str) -> Result<(), Error> {
    let server = Server::builder().package(Package::Negotiate).build()?;
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let (server, stream) = (server.clone(), stream?);
        std::thread::spawn(move || {
            // One connection that fails is no reason to end the service.
            if let Err(error) = serve(&server, stream) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn serve(server: &Server, stream: TcpStream) -> Result<(), Error> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut secure = server.accept(stream)?;
    println!(
        "{} is here, by {}",
        secure.peer(),
        secure.context().mechanism()?
    );
    while let Some(message) = secure.receive()? {
        secure.send(&message)?;
    }
    secure.close()
}
