//! Floors, bans and licences
