use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::{Client, Error};

/// Keeps the tickets of a [`Client`] fresh in the background, until it is dropped.
///
/// It gets a new ticket-granting ticket when half of the life of the one that there is is over: with
/// the password or key if there is one, else by renewal. While no KDC answers it tries again after
/// rests that grow to half a minute, and the old ticket serves. A cache that is filled by somebody
/// else is noticed within a minute.
#[must_use = "dropping the keeper stops it"]
#[derive(Debug)]
pub struct Keeper {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Stop {
    is_due: Mutex<bool>,
    told: Condvar,
}

impl Keeper {
    pub(crate) fn start(client: Client) -> Result<Self, Error> {
        let stop = Arc::new(Stop::default());
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("ticket-keeper".to_owned())
            .spawn(move || keep(&client, &told))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

fn keep(client: &Client, stop: &Stop) {
    let mut told = None;
    loop {
        let Some(tickets) = &client.core.tickets else {
            return;
        };
        if let Err(error) = client.ensure(None) {
            tickets.tell_keepers_failure(&error, &mut told);
        }
        let rest = tickets.rest();
        let is_due = stop.is_due.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_due, _) = stop
            .told
            .wait_timeout_while(is_due, rest, |is_due| !*is_due)
            .unwrap_or_else(PoisonError::into_inner);
        if *is_due {
            return;
        }
    }
}

impl Drop for Keeper {
    /// Stops at once, or when the round trip that is under way ends; it is not waited for.
    fn drop(&mut self) {
        *self
            .stop
            .is_due
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.told.notify_all();
        // Detached: a dead KDC would hold up whoever drops this.
        drop(self.thread.take());
    }
}
