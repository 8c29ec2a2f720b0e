//! Drivers for real peers and the interop matrix
