//! hand built
