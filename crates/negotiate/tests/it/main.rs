//! Integration tests of Negotiate, over packages that know nothing of it.

mod attacks;
mod buffers;
mod choice;
mod credentials;
mod exchanges;
mod fallback;
mod raw;
mod refusals;
mod surface;
mod toy;
mod world;
