use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::candidate::Carrier;

/// More places than any site has KDCs; a bound, so that names from DNS cannot fill the memory.
const MAX_PLACES: usize = 512;

/// Which servers did not answer lately.
///
/// A clone is the same memory. All transports of a process share one unless they are given another,
/// blocking or not and whatever their configuration, since it is a fact about the network that a
/// server is dead: it costs its second once.
#[derive(Clone, Debug, Default)]
pub struct ServerMemory {
    died: Arc<Mutex<HashMap<Place, Death>>>,
}

#[derive(Clone, Copy, Debug)]
struct Death {
    at: Instant,
    /// It said nothing at all, which costs whoever asks a second. A refusal costs nothing.
    silent: bool,
}

/// What may be dead by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// An address over one carrier: a firewall may let TCP pass and not UDP.
    Address(SocketAddr, Carrier),
    /// A name that does not resolve.
    Host(String),
    /// A KDC proxy.
    Url(String),
}

/// How much trust a place has; the order is that of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It answered, or was never asked.
    Alive,
    /// It was dead once, and long enough ago to look again.
    Suspect,
    /// It was silent over the other carrier.
    Shaky,
    /// It did not answer a moment ago.
    Dead,
}

impl ServerMemory {
    /// A memory of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The memory that the transports of this process share unless they are given another.
    #[must_use]
    pub fn shared() -> Self {
        static SHARED: OnceLock<ServerMemory> = OnceLock::new();
        SHARED.get_or_init(Self::new).clone()
    }

    /// Forgets everything, as after the network has changed.
    pub fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn standing(&self, place: &Place, now: Instant, keep: Duration) -> Standing {
        let died = self.lock();
        // The usual state of affairs is that nothing is dead.
        if died.is_empty() {
            return Standing::Alive;
        }
        let is_fresh = |death: &Death| now.saturating_duration_since(death.at) < keep;
        match died.get(place) {
            Some(death) if is_fresh(death) => return Standing::Dead,
            Some(_) => return Standing::Suspect,
            None => {}
        }
        if let Place::Address(address, carrier) = place
            && let Some(death) = died.get(&Place::Address(*address, carrier.other()))
            && death.silent
            && is_fresh(death)
        {
            return Standing::Shaky;
        }
        Standing::Alive
    }

    pub(crate) fn died(&self, place: Place, silent: bool, now: Instant) {
        let mut died = self.lock();
        if died.len() >= MAX_PLACES
            && !died.contains_key(&place)
            && let Some(oldest) = died
                .iter()
                .min_by_key(|(_, death)| death.at)
                .map(|(place, _)| place.clone())
        {
            died.remove(&oldest);
        }
        died.insert(place, Death { at: now, silent });
    }

    pub(crate) fn lives(&self, place: &Place) {
        self.lock().remove(place);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Death>> {
        self.died.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(60);

    fn place(port: u16, carrier: Carrier) -> Place {
        Place::Address(([192, 0, 2, 1], port).into(), carrier)
    }

    #[test]
    fn a_dead_server_is_looked_at_again_after_a_while() {
        let (memory, now) = (ServerMemory::new(), Instant::now());
        let udp = place(88, Carrier::Udp);
        assert_eq!(memory.standing(&udp, now, KEEP), Standing::Alive);
        memory.died(udp.clone(), true, now);
        assert_eq!(memory.standing(&udp, now, KEEP), Standing::Dead);
        assert_eq!(memory.standing(&udp, now + KEEP, KEEP), Standing::Suspect);
        memory.lives(&udp);
        assert_eq!(memory.standing(&udp, now + KEEP, KEEP), Standing::Alive);
    }

    #[test]
    fn the_other_carrier_of_a_silent_server_is_shaky() {
        let (memory, now) = (ServerMemory::new(), Instant::now());
        let tcp = place(88, Carrier::Tcp);
        memory.died(place(88, Carrier::Udp), false, now);
        assert_eq!(memory.standing(&tcp, now, KEEP), Standing::Alive);
        memory.died(place(88, Carrier::Udp), true, now);
        assert_eq!(memory.standing(&tcp, now, KEEP), Standing::Shaky);
        assert_eq!(memory.standing(&tcp, now + KEEP, KEEP), Standing::Alive);
        let other = place(89, Carrier::Tcp);
        assert_eq!(memory.standing(&other, now, KEEP), Standing::Alive);
    }

    #[test]
    fn a_clone_is_the_same_memory_and_it_can_be_cleared() {
        let (memory, now) = (ServerMemory::new(), Instant::now());
        let udp = place(88, Carrier::Udp);
        memory.clone().died(udp.clone(), true, now);
        assert_eq!(memory.standing(&udp, now, KEEP), Standing::Dead);
        memory.clear();
        assert_eq!(memory.standing(&udp, now, KEEP), Standing::Alive);
    }

    #[test]
    fn the_memory_is_bounded_and_loses_the_oldest() {
        let (memory, now) = (ServerMemory::new(), Instant::now());
        for number in 0..=MAX_PLACES {
            let later = now + Duration::from_millis(number as u64);
            memory.died(Place::Host(number.to_string()), true, later);
        }
        assert_eq!(memory.lock().len(), MAX_PLACES);
        let standing =
            |number: usize| memory.standing(&Place::Host(number.to_string()), now, Duration::MAX);
        assert_eq!(standing(0), Standing::Alive);
        assert_eq!(standing(1), Standing::Dead);
        assert_eq!(standing(MAX_PLACES), Standing::Dead);
    }
}
