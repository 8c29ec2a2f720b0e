use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::transport::Event;

/// Ends the round trips of blocking transports from another thread.
///
/// A clone is the same handle. Once it is cancelled, the round trip under way in each transport that
/// has it returns with a failure, and so does every later one.
///
/// ```
/// use std::sync::Arc;
/// use trihound_kdc_transport::{Cancel, KdcTransport};
/// use trihound_krb5::Config;
///
/// let cancel = Cancel::new();
/// let transport = KdcTransport::new(Arc::new(Config::default())).with_cancel(cancel.clone());
/// // ... hand the transport to a thread; when its answer is no longer wanted:
/// cancel.cancel();
/// # drop(transport);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    cancelled: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    senders: HashMap<u64, Sender<Event>>,
}

impl Cancel {
    /// A handle that has cancelled nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends what runs, and what would be begun later.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::SeqCst);
        for (_, sender) in self.waiting().senders.drain() {
            // Whoever has gone need not be woken.
            let _ = sender.send(Event::Cancelled);
        }
    }

    /// Whether [`Self::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::SeqCst)
    }

    /// Wakes `sender` on cancellation, for as long as the result lives.
    pub(crate) fn wake(&self, sender: Sender<Event>) -> Wake<'_> {
        let mut waiting = self.waiting();
        let id = waiting.next;
        waiting.next = waiting.next.wrapping_add(1);
        waiting.senders.insert(id, sender);
        Wake { cancel: self, id }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.inner
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A round trip that is woken by cancellation.
pub(crate) struct Wake<'a> {
    cancel: &'a Cancel,
    id: u64,
}

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        self.cancel.waiting().senders.remove(&self.id);
    }
}
