//! The notes' own programs, with the ports that are written in them.
//!
//! They run in a network namespace of their own, so that nobody else has these ports.

fn main() {}
