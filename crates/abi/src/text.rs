//! The two kinds of text: `CHAR`, which is UTF-8 here, and `WCHAR`, which is UTF-16.

use crate::types::{SEC_CHAR, SEC_WCHAR, SecPkgInfoA, SecPkgInfoW};

/// A kind of text, and with it the A or the W form of what has text in it.
pub(crate) trait Text {
    /// One unit of it.
    type Unit: Copy;
    /// `SecPkgInfo`.
    type Info: Copy;
}

/// The A functions.
pub(crate) enum Narrow {}

/// The W functions.
pub(crate) enum Wide {}

impl Text for Narrow {
    type Unit = SEC_CHAR;
    type Info = SecPkgInfoA;
}

impl Text for Wide {
    type Unit = SEC_WCHAR;
    type Info = SecPkgInfoW;
}
