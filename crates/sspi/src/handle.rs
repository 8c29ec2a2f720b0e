use core::fmt;

/// What both kinds of handle are made of: a place and a generation, never a pointer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RawHandle {
    pub(crate) package: u32,
    pub(crate) slot: u32,
    pub(crate) generation: u64,
}

impl RawHandle {
    const fn to_words(self) -> [u64; 2] {
        [
            ((self.package as u64) << 32) | self.slot as u64,
            self.generation,
        ]
    }

    #[allow(clippy::cast_possible_truncation)] // the halves of the first word
    const fn from_words(words: [u64; 2]) -> Self {
        Self {
            package: (words[0] >> 32) as u32,
            slot: words[0] as u32,
            generation: words[1],
        }
    }
}

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub(crate) RawHandle);

        impl $name {
            /// The two words that a C caller holds. No valid handle is all zeros or all ones.
            #[must_use]
            pub const fn to_words(self) -> [u64; 2] {
                self.0.to_words()
            }

            /// From the two words of a C caller. Whether they name anything is told by the call that
            /// uses the handle: SEC_E_INVALID_HANDLE if not.
            #[must_use]
            pub const fn from_words(words: [u64; 2]) -> Self {
                Self(RawHandle::from_words(words))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let RawHandle { package, slot, generation } = self.0;
                write!(f, "{}({package}:{slot}#{generation})", stringify!($name))
            }
        }
    };
}

handle! {
    /// Names a credential (`CredHandle`). Copying it does not copy the credential; a handle that was
    /// freed, or never given out, is SEC_E_INVALID_HANDLE.
    CredHandle
}

handle! {
    /// Names a context (`CtxtHandle`). Copying it does not copy the context; a handle that was
    /// deleted, or never given out, is SEC_E_INVALID_HANDLE.
    CtxtHandle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_words_hold_all_of_a_handle() {
        let handle = CredHandle(RawHandle {
            package: 0xA1B2_C3D4,
            slot: 0x1122_3344,
            generation: 0x5566_7788_99AA_BBCC,
        });
        assert_eq!(
            handle.to_words(),
            [0xA1B2_C3D4_1122_3344, 0x5566_7788_99AA_BBCC]
        );
        assert_eq!(CredHandle::from_words(handle.to_words()), handle);
    }
}
