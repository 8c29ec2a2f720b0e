//! SSPI's C interface.
