//! An embedded KDC for tests and the demo
