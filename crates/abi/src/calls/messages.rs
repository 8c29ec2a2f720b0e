//! Signing and sealing.

use trihound::sspi::CtxtHandle as Context;

use crate::buffers::{Data, Message};
use crate::guard::{Answer, OK};
use crate::handles::required;
use crate::pointer::{Out, put};
use crate::provider::provider;
use crate::types::{CtxtHandle, SecBufferDesc, ULONG};

pub(crate) unsafe fn make_signature(
    context: *mut CtxtHandle,
    quality: ULONG,
    message: *mut SecBufferDesc,
    sequence_number: ULONG,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (context, message) = unsafe {
        (
            required::<Context>(context)?,
            Message::new(message, Data::Read, "pMessage")?,
        )
    };
    let table = &provider()?.table;
    message.run(|buffers| table.make_signature(context, quality, buffers, sequence_number))?;
    OK
}

pub(crate) unsafe fn verify_signature(
    context: *mut CtxtHandle,
    message: *mut SecBufferDesc,
    sequence_number: ULONG,
    quality: *mut ULONG,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (context, quality, message) = unsafe {
        (
            required::<Context>(context)?,
            Out::optional(quality, "pfQOP")?,
            Message::new(message, Data::Read, "pMessage")?,
        )
    };
    let table = &provider()?.table;
    let had = message.run(|buffers| table.verify_signature(context, buffers, sequence_number))?;
    put(quality.as_ref(), had);
    OK
}

pub(crate) unsafe fn encrypt(
    context: *mut CtxtHandle,
    quality: ULONG,
    message: *mut SecBufferDesc,
    sequence_number: ULONG,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (context, message) = unsafe {
        (
            required::<Context>(context)?,
            Message::new(message, Data::Changed, "pMessage")?,
        )
    };
    let table = &provider()?.table;
    message.run(|buffers| table.encrypt_message(context, quality, buffers, sequence_number))?;
    OK
}

pub(crate) unsafe fn decrypt(
    context: *mut CtxtHandle,
    message: *mut SecBufferDesc,
    sequence_number: ULONG,
    quality: *mut ULONG,
) -> Answer {
    // SAFETY: what the C caller promises.
    let (context, quality, message) = unsafe {
        (
            required::<Context>(context)?,
            Out::optional(quality, "pfQOP")?,
            Message::new(message, Data::Changed, "pMessage")?,
        )
    };
    let table = &provider()?.table;
    let had = message.run(|buffers| table.decrypt_message(context, buffers, sequence_number))?;
    put(quality.as_ref(), had);
    OK
}
