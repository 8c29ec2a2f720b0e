//! Access tokens as C has them: a piece of memory with what a server may want to know.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use core::ffi::c_void;

use trihound::sspi::{AccessToken, CtxtHandle, ImpersonationLevel};

use crate::memory::{Builder, PieceNumber, number_of, take_back};
use crate::text::Narrow;
use crate::types::{SEC_CHAR, TRIHOUND_ACCESS_TOKEN};

/// A token as a piece of its own.
pub(crate) fn piece(token: &AccessToken) -> *mut TRIHOUND_ACCESS_TOKEN {
    let mut piece = Builder::new::<TRIHOUND_ACCESS_TOKEN>(1);
    let mut text = |text: &str| piece.text::<Narrow>(text);
    let (package, client, domain) = (
        text(&token.package),
        text(&token.client_name),
        text(&token.domain),
    );
    let groups: Vec<_> = token.groups.iter().map(|group| text(group)).collect();
    let sids: Vec<_> = token.sids.iter().map(|sid| text(sid)).collect();
    let (group_row, sid_row) = (piece.pointers(groups.len()), piece.pointers(sids.len()));
    let piece = piece.finish();
    for (row, texts) in [(group_row, &groups), (sid_row, &sids)] {
        for (index, text) in texts.iter().enumerate() {
            // SAFETY: the row was made for as many.
            unsafe { piece.point(row, index, piece.at::<SEC_CHAR>(*text)) };
        }
    }
    let count = |row: &[_]| u32::try_from(row.len()).unwrap_or_default();
    let value = TRIHOUND_ACCESS_TOKEN {
        Size: u32::try_from(size_of::<TRIHOUND_ACCESS_TOKEN>()).unwrap_or_default(),
        ImpersonationLevel: level(token.level),
        PackageName: piece.at(package),
        ClientName: piece.at(client),
        DomainName: piece.at(domain),
        GroupCount: count(&groups),
        SidCount: count(&sids),
        Groups: piece.at(group_row),
        Sids: piece.at(sid_row),
        HasDelegatedCredential: u32::from(token.delegated_credential.is_some()),
    };
    // SAFETY: the piece was made for one.
    unsafe { piece.fill(0, value) };
    piece.start()
}

fn level(level: ImpersonationLevel) -> u32 {
    match level {
        ImpersonationLevel::Anonymous => 0,
        ImpersonationLevel::Identification => 1,
        ImpersonationLevel::Impersonation => 2,
        ImpersonationLevel::Delegation => 3,
    }
}

/// A token that is a context's.
struct Kept {
    pointer: *mut c_void,
    number: PieceNumber,
}

// SAFETY: a piece of memory is no thread's own, and nobody writes it before it is freed.
unsafe impl Send for Kept {}

static KEPT: Mutex<BTreeMap<[u64; 2], Kept>> = Mutex::new(BTreeMap::new());

/// The token of a context, which ends with it: the same one however often it is asked for.
pub(crate) fn of_context(context: CtxtHandle, token: &AccessToken) -> *mut c_void {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = kept.get(&context.to_words())
        && number_of(kept.pointer) == Some(kept.number)
    {
        return kept.pointer;
    }
    let pointer: *mut c_void = piece(token).cast();
    if let Some(number) = number_of(pointer) {
        kept.insert(context.to_words(), Kept { pointer, number });
    }
    pointer
}

/// The context is gone, and its token with it.
pub(crate) fn forget(context: CtxtHandle) {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(kept) = kept.remove(&context.to_words()) else {
        return;
    };
    // A caller that freed it by itself had no right to, and its address may be another's now.
    if number_of(kept.pointer) == Some(kept.number) {
        let _ = take_back(kept.pointer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::text;

    fn token() -> AccessToken {
        let level = ImpersonationLevel::Delegation;
        let mut token = AccessToken::new("Kerberos", "alice@EXAMPLE", "EXAMPLE", level);
        token.groups = vec!["users".into(), "Grüße".into()];
        token.sids = vec!["S-1-5-21-1".into()];
        token
    }

    #[test]
    fn a_token_has_its_client_groups_and_identifiers() {
        let pointer = piece(&token());
        // SAFETY: the piece is a token, its rows are as long as it says, and their texts have ends.
        unsafe {
            let read = pointer.read();
            let shown = |at| text::<Narrow>(at, "it").unwrap().unwrap();
            assert_eq!(read.Size as usize, size_of::<TRIHOUND_ACCESS_TOKEN>());
            assert_eq!(read.ImpersonationLevel, 3);
            assert_eq!(shown(read.PackageName), "Kerberos");
            assert_eq!(shown(read.ClientName), "alice@EXAMPLE");
            assert_eq!(shown(read.DomainName), "EXAMPLE");
            assert_eq!((read.GroupCount, read.SidCount), (2, 1));
            assert_eq!(shown(read.Groups.read()), "users");
            assert_eq!(shown(read.Groups.add(1).read()), "Grüße");
            assert_eq!(shown(read.Sids.read()), "S-1-5-21-1");
            assert_eq!(read.HasDelegatedCredential, 0);
        }
        assert!(take_back(pointer.cast()).is_ok());
    }

    #[test]
    fn the_token_of_a_context_ends_with_it_and_with_nothing_else() {
        let context = CtxtHandle::from_words([77, 78]);
        let pointer = of_context(context, &token());
        assert_eq!(of_context(context, &token()), pointer);
        forget(context);
        assert!(take_back(pointer).is_err());
        // An address is given out again, and what is there then is not the context's.
        let (one, other): (*mut c_void, *mut c_void) =
            (piece(&token()).cast(), piece(&token()).cast());
        let stale = Kept {
            pointer: one,
            number: number_of(other).unwrap(),
        };
        KEPT.lock().unwrap().insert(context.to_words(), stale);
        forget(context);
        assert!(take_back(one).is_ok() && take_back(other).is_ok());
    }
}
