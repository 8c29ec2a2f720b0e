//! The types of Kerberos, held against DER that is put together by hand, against a second decoder, and
//! against hostile bytes.

mod checks;
mod faults;
mod framing;
mod hostile;
mod model;
mod roundtrip;
mod samples;
mod secrecy;
mod values;
mod vectors;
