//! SSPI itself, in ten lines: `sspi host/web.example.com` makes a client's first token, and shows how long
//! it is. A program written for `secur32` goes on from here.

use trihound::Initiator;
use trihound::sspi::{AcquireRequest, CredentialUse, InitiatorRequirements};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = std::env::args().nth(1).ok_or("usage: sspi SERVICE/HOST")?;
    let table = trihound::init_security_interface()?;
    let mut kdc = trihound::kdc_transport()?;
    let request = AcquireRequest::new(CredentialUse::OUTBOUND);
    let acquired = table.acquire_credentials_handle("Kerberos", request)?;
    let asked = InitiatorRequirements::MUTUAL_AUTH | InitiatorRequirements::CONFIDENTIALITY;
    let mut initiator = Initiator::new(&table, acquired.credential, &target, asked);
    let token = initiator.step(None, &mut kdc)?.token.unwrap_or_default();
    println!("a token of {} bytes for {target}", token.len());
    Ok(())
}
