//! Runs every known answer of a folder
