//! SetContextAttributes: the one thing that a Kerberos context lets its owner set is an earlier end.

use trihound_sspi::{ContextAttributeValue as Value, Expiry, SecPkgContextLifespan};

use crate::context::KerberosContext;
use crate::error::{ContextError, Error};

pub(crate) fn set(context: &mut KerberosContext, value: &Value) -> Result<(), Error> {
    let Value::Lifespan(SecPkgContextLifespan { start, expiry }) = value else {
        return Err(ContextError::NoAttribute {
            attribute: format!("{:?} that can be set", value.attribute()),
        }
        .into());
    };
    let facts = &mut context.session_mut()?.facts;
    let end = match expiry {
        Expiry::At(end) if *end <= facts.end => *end,
        // RFC 4120 section 3.2.3: who holds the ticket was vouched for until its end, and no longer.
        Expiry::At(_) | Expiry::Never => {
            return Err(ContextError::Lifespan {
                reason: "a context does not outlive its ticket",
            }
            .into());
        }
    };
    if *start != facts.start {
        return Err(ContextError::Lifespan {
            reason: "its start is the ticket's; give the one that was queried",
        }
        .into());
    }
    facts.end = end;
    Ok(())
}
