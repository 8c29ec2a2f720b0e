//! A kerberized client in ten lines: `client host/web.example.com web.example.com:4444 hello`.
//!
//! It is whoever is logged in (`kinit`), or whoever the client keytab (KRB5_CLIENT_KTNAME) is of. The
//! other end is the example `server`, or `async_echo`.

use std::net::TcpStream;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [target, address, message] =
        <[String; 3]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
            .map_err(|_| "usage: client SERVICE/HOST HOST:PORT MESSAGE")?;

    let client = trihound::Client::from_environment()?; // krb5.conf, tickets and keys of this machine
    let stream = TcpStream::connect(address)?;
    let mut secure = client.connect(&target, stream)?; // each side knows the other from here on
    secure.send(message.as_bytes())?; // encrypted, in order, never twice
    let answer = secure.receive()?.ok_or("the service said nothing")?;
    println!(
        "{} says: {}",
        secure.peer(),
        String::from_utf8_lossy(&answer)
    );
    secure.close()?;
    Ok(())
}
