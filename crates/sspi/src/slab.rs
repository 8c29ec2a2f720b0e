use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::handle::RawHandle;
use crate::{Error, SecurityStatus};

/// Values named by slot and generation. A slot's generation moves on when its value leaves, and a
/// slot whose generations are used up is never used again: so no two values ever have one handle.
pub(crate) struct Slab<T> {
    kind: &'static str,
    package: u32,
    slots: RwLock<Slots<T>>,
}

struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

struct Entry<T> {
    generation: u64,
    value: Option<Arc<T>>,
}

/// Generations of credentials are odd and those of contexts even, so that a handle of one kind
/// names nothing of the other, even where a C caller mixes them up.
const STRIDE: u64 = 2;
pub(crate) const CREDENTIAL_GENERATION: u64 = 1;
pub(crate) const CONTEXT_GENERATION: u64 = 2;

impl<T> Slab<T> {
    pub(crate) fn new(kind: &'static str, package: u32) -> Self {
        Self {
            kind,
            package,
            slots: RwLock::new(Slots {
                entries: Vec::new(),
                free: Vec::new(),
            }),
        }
    }

    // Under these locks nothing of a package's runs, so a poisoned one holds whole data.
    fn read(&self) -> RwLockReadGuard<'_, Slots<T>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slots<T>> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, value: Arc<T>, first: u64) -> Result<RawHandle, Error> {
        let mut slots = self.write();
        let reused = slots.free.pop();
        let slot = match reused {
            Some(slot) => slot,
            None => u32::try_from(slots.entries.len()).map_err(|_| self.full())?,
        };
        let handle = |generation| RawHandle {
            package: self.package,
            slot,
            generation,
        };
        if let Some(entry) = slots.entries.get_mut(index(slot)) {
            entry.value = Some(value);
            return Ok(handle(entry.generation));
        }
        slots.entries.push(Entry {
            generation: first,
            value: Some(value),
        });
        Ok(handle(first))
    }

    pub(crate) fn get(&self, handle: RawHandle) -> Result<Arc<T>, Error> {
        self.read()
            .entries
            .get(index(handle.slot))
            .filter(|entry| entry.generation == handle.generation && handle.package == self.package)
            .and_then(|entry| entry.value.clone())
            .ok_or_else(|| Error::invalid_handle(self.kind))
    }

    pub(crate) fn remove(&self, handle: RawHandle) -> Result<Arc<T>, Error> {
        let mut slots = self.write();
        let entry = slots
            .entries
            .get_mut(index(handle.slot))
            .filter(|entry| entry.generation == handle.generation && handle.package == self.package)
            .ok_or_else(|| Error::invalid_handle(self.kind))?;
        let value = entry
            .value
            .take()
            .ok_or_else(|| Error::invalid_handle(self.kind))?;
        // The last generation stays unused: all ones is what C programs take for an invalid handle.
        if let Some(next) = entry
            .generation
            .checked_add(STRIDE)
            .filter(|g| *g < u64::MAX)
        {
            entry.generation = next;
            slots.free.push(handle.slot);
        }
        Ok(value)
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.read()
            .entries
            .iter()
            .filter(|entry| entry.value.is_some())
            .count()
    }

    fn full(&self) -> Error {
        Error::new(
            SecurityStatus::SEC_E_INSUFFICIENT_MEMORY,
            format!(
                "there is no slot left for another {}; free those that are no longer used",
                self.kind
            ),
        )
    }
}

fn index(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slab() -> Slab<&'static str> {
        Slab::new("test", 7)
    }

    #[test]
    fn a_reused_slot_has_another_generation() {
        let slab = slab();
        let first = slab.insert(Arc::new("a"), CREDENTIAL_GENERATION).unwrap();
        slab.remove(first).unwrap();
        let second = slab.insert(Arc::new("b"), CREDENTIAL_GENERATION).unwrap();
        assert_eq!(first.slot, second.slot);
        assert_ne!(first.generation, second.generation);
        assert!(slab.get(first).is_err());
        assert!(slab.remove(first).is_err());
        assert_eq!(*slab.get(second).unwrap(), "b");
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_retired() {
        for last in [u64::MAX - 3, u64::MAX - 2] {
            let slab = slab();
            let handle = slab.insert(Arc::new("a"), last).unwrap();
            slab.remove(handle).unwrap();
            let next = slab.insert(Arc::new("b"), 1).unwrap();
            if last == u64::MAX - 3 {
                assert_eq!((next.slot, next.generation), (0, u64::MAX - 1));
            } else {
                assert_eq!((next.slot, next.generation), (1, 1));
            }
            assert!(slab.get(handle).is_err());
        }
    }

    #[test]
    fn the_two_kinds_never_share_a_generation() {
        assert_ne!(CREDENTIAL_GENERATION % STRIDE, CONTEXT_GENERATION % STRIDE);
    }

    #[test]
    fn a_handle_of_another_package_or_slot_names_nothing() {
        let slab = slab();
        let handle = slab.insert(Arc::new("a"), 1).unwrap();
        for wrong in [
            RawHandle {
                package: 8,
                ..handle
            },
            RawHandle { slot: 1, ..handle },
            RawHandle {
                slot: u32::MAX,
                ..handle
            },
            RawHandle {
                generation: 3,
                ..handle
            },
            RawHandle {
                generation: 0,
                ..handle
            },
        ] {
            let status = SecurityStatus::SEC_E_INVALID_HANDLE;
            assert_eq!(slab.get(wrong).unwrap_err().status(), status);
            assert_eq!(slab.remove(wrong).unwrap_err().status(), status);
        }
    }
}
