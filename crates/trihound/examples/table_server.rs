//! SSPI's steps through the function table: `table_server Negotiate 127.0.0.1:4444` serves one client and ends.
//!
//! The same program in C is `crates/abi/examples/server.c`, and either serves the client of the other.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use trihound::Acceptor;
use trihound::sspi::{
    AcceptorAttributes, AcceptorRequirements, AcquireRequest, ContextAttribute,
    ContextAttributeValue, CredentialUse, EstablishedAttributes, SecPkgCapabilities,
};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [package, address] = words.as_slice() else {
        return Err("usage: table_server PACKAGE ADDRESS:PORT".into());
    };
    let table = trihound::init_security_interface()?;
    let info = table.query_security_package_info(package)?;
    if !info
        .capabilities
        .contains(SecPkgCapabilities::IMPERSONATION)
    {
        return Err(format!("{package} cannot do that").into());
    }
    let request = AcquireRequest::new(CredentialUse::INBOUND);
    let credential = table
        .acquire_credentials_handle(package, request)?
        .credential;
    let listener = TcpListener::bind(address)?;
    println!("listening {}", listener.local_addr()?.port());
    let (mut stream, _) = listener.accept()?;

    let asked = AcceptorRequirements::CONFIDENTIALITY | AcceptorRequirements::INTEGRITY;
    let mut acceptor = Acceptor::new(&table, credential, asked);
    loop {
        let leg = acceptor.step(&receive(&mut stream)?)?;
        if let Some(token) = leg.token {
            send(&mut stream, &token)?;
        }
        if leg.complete {
            break;
        }
    }
    let context = acceptor.into_context()?;
    let EstablishedAttributes::Acceptor(got) = context.established().attributes else {
        return Err("the context is a client's".into());
    };
    if !got.contains(AcceptorAttributes::CONFIDENTIALITY | AcceptorAttributes::INTEGRITY) {
        return Err(format!("the context protects too little: {got:?}").into());
    }

    let (text, signature) = (receive(&mut stream)?, receive(&mut stream)?);
    context.verify_signature(&text, &signature)?;
    println!("the client says: {}", String::from_utf8_lossy(&text));
    let question = context.decrypt(&receive(&mut stream)?)?;
    println!("the client asks: {}", String::from_utf8_lossy(&question));

    let name = match context.query(ContextAttribute::Names)? {
        ContextAttributeValue::Names(name) => name,
        other => return Err(format!("{other:?} is no name").into()),
    };
    // What this thread asks of other services and of the system in between, the client asks.
    let as_the_client = context.impersonate()?;
    let answer = format!("you are {name}");
    drop(as_the_client);
    send(&mut stream, &context.encrypt(answer.as_bytes())?)?;

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
