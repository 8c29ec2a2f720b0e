use tokio::task::JoinHandle;

use super::{Client, off_thread};

/// Keeps the tickets of a [`Client`] fresh in a task, until it is dropped: see [`crate::Keeper`].
#[must_use = "dropping the keeper stops it"]
#[derive(Debug)]
pub struct Keeper(JoinHandle<()>);

impl Keeper {
    pub(super) fn start(client: Client) -> Self {
        Self(tokio::spawn(keep(client)))
    }
}

async fn keep(client: Client) {
    let mut told = None;
    loop {
        let Some(tickets) = client.core.tickets.clone() else {
            return;
        };
        if let Err(error) = client.ensure(None).await {
            tickets.tell_keepers_failure(&error, &mut told);
        }
        let Ok(rest) = off_thread(move || tickets.rest()).await else {
            // The runtime is shutting down.
            return;
        };
        tokio::time::sleep(rest).await;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}
