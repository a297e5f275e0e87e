//! The trace harness: runs examples, and compares their output with what their traces promise.

pub mod trace;
