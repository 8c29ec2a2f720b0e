//! Integration tests of Negotiate, over packages that know nothing of it.

mod choice;
mod toy;
mod world;
