//! Which client a thread acts for: ImpersonateSecurityContext and RevertSecurityContext.
//!
//! A thread has one token at a time, or none. [`SecurityFunctionTable::impersonate_security_context`] gives it
//! one until [`SecurityFunctionTable::revert_security_context`] on the same thread; a second such call
//! replaces the first, as in SSPI. Rust callers hold an [`Impersonation`], which reverts when it is dropped and
//! gives the thread back whatever it had before. The token lives on when its context goes first.
//!
//! What the token changes: the outermost function table reads it once in each call and passes it to the package
//! ([`AcquireRequest::impersonation`](crate::AcquireRequest::impersonation)), so that a default outbound credential is
//! the client's delegated one, or none. What the operating system checks is the part of a [`ThreadIdentity`].
//!
//! [`SecurityFunctionTable::impersonate_security_context`]: crate::SecurityFunctionTable::impersonate_security_context
//! [`SecurityFunctionTable::revert_security_context`]: crate::SecurityFunctionTable::revert_security_context

use core::cell::{Cell, RefCell};
use core::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::{AccessToken, CtxtHandle, Error, ImpersonationLevel, SecurityStatus};

/// The operating system's part of an impersonation: what its kernel checks access by.
pub trait ThreadIdentity: Send + Sync {
    /// Gives the calling thread, and no other, the identity of the token's client. It has its own when this is
    /// called.
    ///
    /// `None`: the client has no account here, or the process may not do it, and the thread keeps its own.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from knowing or from doing it. The thread has its own identity then, and the
    /// impersonation fails.
    fn assume(&self, token: &AccessToken) -> Result<Option<Box<dyn AssumedIdentity>>, Error>;
}

/// An identity that the calling thread was given; used on that thread alone.
pub trait AssumedIdentity {
    /// The local account's name.
    fn account(&self) -> &str;

    /// Gives the thread its own identity back. It does not return where that fails, but ends the process:
    /// nobody could say whose rights the thread has.
    fn revert(&self);

    /// Gives the thread this identity once more, after [`Self::revert`]. It does not return where that fails.
    fn resume(&self);
}

/// Who undoes an impersonation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// RevertSecurityContext with this handle.
    Call(CtxtHandle),
    /// The [`Impersonation`] of this number.
    Guard(u64),
}

struct Entry {
    token: Arc<AccessToken>,
    identity: Option<Rc<dyn AssumedIdentity>>,
    holder: Holder,
}

/// What a thread impersonates; the last entry counts.
struct Thread {
    entries: RefCell<Vec<Entry>>,
    /// Whether a function table's call is under way, which has read the token.
    in_call: Cell<bool>,
    guards: Cell<u64>,
}

thread_local! {
    static THREAD: Thread = const {
        Thread { entries: RefCell::new(Vec::new()), in_call: Cell::new(false), guards: Cell::new(0) }
    };
}

/// The token that the calling thread impersonates.
#[must_use]
pub fn thread_token() -> Option<Arc<AccessToken>> {
    let last = |thread: &Thread| Some(Arc::clone(&thread.entries.borrow().last()?.token));
    // A thread that is at its end impersonates nobody.
    THREAD.try_with(last).ok().flatten()
}

/// The local account as which the operating system checks what the calling thread does; `None` while it checks the
/// process's own.
#[must_use]
pub fn thread_account() -> Option<String> {
    Some(thread_identity()?.account().to_owned())
}

fn thread_identity() -> Option<Rc<dyn AssumedIdentity>> {
    let last = |thread: &Thread| thread.entries.borrow().last()?.identity.clone();
    THREAD.try_with(last).ok().flatten()
}

/// A client's token, on the thread that made this and for as long as it lives.
///
/// It stays on its thread: no value of this type can be sent to another, nor held over an `.await` of a task that may
/// change threads. Impersonations may be nested; each, when dropped, takes itself away, also while the thread panics.
/// One that is forgotten (`core::mem::forget`) lasts as long as its thread.
///
/// ```compile_fail,E0277
/// fn to_another_thread(acting: trihound_sspi::Impersonation) {
///     std::thread::spawn(move || drop(acting));
/// }
/// ```
///
/// ```compile_fail
/// fn is_send<T: Send>(_: T) {}
/// fn over_an_await(acting: trihound_sspi::Impersonation) {
///     is_send(async {
///         std::future::ready(()).await;
///         drop(acting);
///     });
/// }
/// ```
#[must_use = "the thread impersonates for as long as this lives"]
pub struct Impersonation {
    number: u64,
    token: Arc<AccessToken>,
    /// `Rc` also keeps the guard on its thread.
    identity: Option<Rc<dyn AssumedIdentity>>,
    _thread: core::marker::PhantomData<Rc<()>>,
}

impl Impersonation {
    /// Gives the calling thread a token.
    ///
    /// # Errors
    ///
    /// SEC_E_NO_IMPERSONATION for a level below impersonation; whatever `identity` says.
    pub(crate) fn of(
        token: Arc<AccessToken>,
        identity: Option<&dyn ThreadIdentity>,
    ) -> Result<Self, Error> {
        let number = THREAD
            .try_with(|thread| {
                let number = thread.guards.get();
                thread.guards.set(number.wrapping_add(1));
                number
            })
            .map_err(|_| at_its_end())?;
        let identity = begin(&token, identity, Holder::Guard(number))?;
        Ok(Self {
            number,
            token,
            identity,
            _thread: core::marker::PhantomData,
        })
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &Arc<AccessToken> {
        &self.token
    }

    /// The local account as which the operating system checks what the thread does. `None`: it checks the
    /// process's own rights, and the token alone is the client's.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.identity.as_deref().map(AssumedIdentity::account)
    }

    /// Ends the impersonation; dropping does the same.
    pub fn revert(self) {}
}

impl Drop for Impersonation {
    fn drop(&mut self) {
        end(Holder::Guard(self.number));
    }
}

impl fmt::Debug for Impersonation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Impersonation")
            .field("client_name", &self.token.client_name)
            .field("account", &self.account())
            .finish_non_exhaustive()
    }
}

/// ImpersonateSecurityContext: until [`revert`] with the same handle.
pub(crate) fn impersonate(
    context: CtxtHandle,
    token: &Arc<AccessToken>,
    identity: Option<&dyn ThreadIdentity>,
) -> Result<(), Error> {
    begin(token, identity, Holder::Call(context)).map(drop)
}

/// RevertSecurityContext; `false` if the thread does not impersonate by that handle. The context need not be there
/// any more: a thread that could not revert would go on as the client.
pub(crate) fn revert(context: CtxtHandle) -> bool {
    let holder = Holder::Call(context);
    let last = |thread: &Thread| Some(thread.entries.borrow().last()?.holder);
    let is_last = THREAD.try_with(last).ok().flatten() == Some(holder);
    if is_last {
        end(holder);
    }
    is_last
}

/// RevertSecurityContext of a context whose client the thread does not impersonate.
pub(crate) fn not_impersonated() -> Error {
    Error::new(
        SecurityStatus::SEC_E_NO_IMPERSONATION,
        "this thread does not impersonate the client of this context: revert on the thread that \
         impersonates, once, and with the handle that it impersonates by; an Impersonation reverts when it is \
         dropped",
    )
}

/// SECURITY_IMPERSONATION_LEVEL: with anonymous and identification a server does nothing in the client's name.
fn check_level(token: &AccessToken) -> Result<(), Error> {
    if token.level >= ImpersonationLevel::Impersonation {
        return Ok(());
    }
    Err(Error::new(
        SecurityStatus::SEC_E_NO_IMPERSONATION,
        format!(
            "{} lets this server know who it is and not act as it (level {:?}); the client has to leave out \
             ISC_REQ_IDENTIFY",
            token.client_name, token.level
        ),
    ))
}

fn at_its_end() -> Error {
    Error::new(
        SecurityStatus::SEC_E_NO_IMPERSONATION,
        "this thread is at its end and impersonates nobody any more",
    )
}

/// What the thread acted as before: taken off, and put on again unless something else took its place.
struct Suspended(Option<Rc<dyn AssumedIdentity>>);

impl Suspended {
    fn last() -> Self {
        let identity = thread_identity();
        if let Some(identity) = &identity {
            identity.revert();
        }
        Self(identity)
    }

    fn replaced(mut self) {
        self.0 = None;
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        if let Some(identity) = &self.0 {
            identity.resume();
        }
    }
}

fn begin(
    token: &Arc<AccessToken>,
    identity: Option<&dyn ThreadIdentity>,
    holder: Holder,
) -> Result<Option<Rc<dyn AssumedIdentity>>, Error> {
    check_level(token)?;
    THREAD.try_with(|_| ()).map_err(|_| at_its_end())?;
    // Accounts are looked up, and identities changed, with the rights of the process.
    let before = Suspended::last();
    let assumed = match identity {
        Some(identity) => identity.assume(token)?,
        None => None,
    };
    let assumed: Option<Rc<dyn AssumedIdentity>> = assumed.map(Rc::from);
    let entry = Entry {
        token: Arc::clone(token),
        identity: assumed.clone(),
        holder,
    };
    let pushed = THREAD.try_with(|thread| {
        let mut entries = thread.entries.borrow_mut();
        let last = entries.last().map(|entry| entry.holder);
        if matches!((last, holder), (Some(Holder::Call(_)), Holder::Call(_))) {
            entries.pop();
        }
        entries.push(entry);
    });
    match pushed {
        Ok(()) => before.replaced(),
        Err(_) => {
            if let Some(assumed) = &assumed {
                assumed.revert();
            }
            return Err(at_its_end());
        }
    }
    Ok(assumed)
}

/// Takes an impersonation away, wherever among the others it stands.
fn end(holder: Holder) {
    let taken = THREAD.try_with(|thread| {
        let mut entries = thread.entries.borrow_mut();
        let at = entries.iter().rposition(|entry| entry.holder == holder)?;
        let entry = entries.remove(at);
        // Below another one it has no effect that could be undone.
        (at == entries.len()).then_some(entry)
    });
    let Ok(Some(entry)) = taken else {
        return;
    };
    if let Some(identity) = &entry.identity {
        identity.revert();
    }
    if let Some(below) = thread_identity() {
        below.resume();
    }
}

/// A call of a function table that hands a token down. The tables that a package calls within it do not look at the
/// thread again: what flows down is the request's.
pub(crate) struct TableCall {
    token: Option<Arc<AccessToken>>,
    is_outermost: bool,
}

impl TableCall {
    pub(crate) fn enter() -> Self {
        let was_in_call = THREAD.try_with(|thread| thread.in_call.replace(true));
        let is_outermost = matches!(was_in_call, Ok(false));
        Self {
            token: is_outermost.then(thread_token).flatten(),
            is_outermost,
        }
    }

    /// The thread's token, for the outermost table.
    pub(crate) fn token(&self) -> Option<&Arc<AccessToken>> {
        self.token.as_ref()
    }
}

impl Drop for TableCall {
    fn drop(&mut self) {
        if self.is_outermost {
            // A thread at its end makes no further call.
            let _ = THREAD.try_with(|thread| thread.in_call.set(false));
        }
    }
}
