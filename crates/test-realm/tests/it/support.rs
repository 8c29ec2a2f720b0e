//! What the modules share.
