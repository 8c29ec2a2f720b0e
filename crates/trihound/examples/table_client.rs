//! SSPI's steps through the function table: `table_client Negotiate host/web.example.com 192.0.2.7:4444`.
//!
//! The same program in C is `crates/abi/examples/client.c`, and either talks to the server of the other.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;

use trihound::Initiator;
use trihound::sspi::{
    AcquireRequest, CredentialUse, EstablishedAttributes, InitiatorAttributes,
    InitiatorRequirements, SecPkgCapabilities,
};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [package, target, address] = words.as_slice() else {
        return Err("usage: table_client PACKAGE TARGET ADDRESS:PORT".into());
    };
    // The provider, and a package that can do what this program needs.
    let table = trihound::init_security_interface()?;
    let info = table.query_security_package_info(package)?;
    let needed = SecPkgCapabilities::INTEGRITY | SecPkgCapabilities::PRIVACY;
    if !info.capabilities.contains(needed) {
        return Err(format!("{package} cannot do that").into());
    }
    let request = AcquireRequest::new(CredentialUse::OUTBOUND);
    let credential = table
        .acquire_credentials_handle(package, request)?
        .credential;
    let mut stream = TcpStream::connect(address)?;

    // The loop; a round trip to the KDC goes over `kdc`.
    let asked = InitiatorRequirements::MUTUAL_AUTH
        | InitiatorRequirements::CONFIDENTIALITY
        | InitiatorRequirements::INTEGRITY
        | InitiatorRequirements::REPLAY_DETECT
        | InitiatorRequirements::SEQUENCE_DETECT;
    let mut kdc = trihound::kdc_transport()?;
    let mut initiator = Initiator::new(&table, credential, target, asked);
    let mut received = None;
    loop {
        let leg = initiator.step(received.as_deref(), &mut kdc)?;
        if let Some(token) = leg.token {
            send(&mut stream, &token)?;
        }
        if leg.complete {
            break;
        }
        received = Some(receive(&mut stream)?);
    }
    let context = initiator.into_context()?;

    // Asking is not getting: what came of it decides.
    let EstablishedAttributes::Initiator(got) = context.established().attributes else {
        return Err("the context is a server's".into());
    };
    if !got.contains(InitiatorAttributes::CONFIDENTIALITY | InitiatorAttributes::INTEGRITY) {
        return Err(format!("the context protects too little: {got:?}").into());
    }
    let proved = got.contains(InitiatorAttributes::MUTUAL_AUTH);
    println!(
        "the server is {}",
        if proved { "proved" } else { "not proved" }
    );

    let greeting = b"good morning";
    send(&mut stream, greeting)?;
    send(&mut stream, &context.make_signature(greeting)?)?;
    send(&mut stream, &context.encrypt(b"what am I called here?")?)?;
    let answer = context.decrypt(&receive(&mut stream)?)?;
    println!("the server says: {}", String::from_utf8_lossy(&answer));

    drop(context);
    table.free_credentials_handle(credential)?;
    Ok(())
}

/// A frame is its length, four bytes with the most significant first, and its bytes.
fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    stream.write_all(&u32::try_from(bytes.len())?.to_be_bytes())?;
    stream.write_all(bytes)?;
    Ok(())
}

fn receive(stream: &mut TcpStream) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes(head) as usize;
    if length > 65536 {
        return Err(format!("a frame of {length} bytes is too long").into());
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
