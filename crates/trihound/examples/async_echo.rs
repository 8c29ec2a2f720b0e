//! The echo service on tokio: `async_echo 0.0.0.0:4444`, with the keys of the machine's keytab. The
//! example `client` calls it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use trihound::Error;
use trihound::tokio::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("usage: async_echo ADDRESS:PORT")?;
    let server = Server::from_environment()?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let accepted = listener.accept().await;
        let server = server.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(server, accepted).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn serve(
    server: Server,
    accepted: io::Result<(TcpStream, SocketAddr)>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (stream, _) = accepted?;
    // Nobody takes longer than this to say who it is.
    let mut secure = timeout(Duration::from_secs(10), server.accept(stream)).await??;
    println!("{} is here", secure.peer());
    echo(&mut secure).await?;
    Ok(())
}

async fn echo(secure: &mut trihound::tokio::SecureStream<TcpStream>) -> Result<(), Error> {
    while let Some(message) = secure.receive().await? {
        secure.send(&message).await?;
    }
    secure.close().await
}
