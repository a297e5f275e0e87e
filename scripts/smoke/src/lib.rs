//! The trace harness: runs every example and compares its output with what its trace promises.
//!
//! [`trace`] is a library of its own: the language, the matcher, the mutations. [`run`] and [`supervise`] run programs;
//! [`workspace`] and [`header`] know the examples, [`suite`] what each has to pass, [`faults`] what can go wrong. [`copy`]
//! makes crates of examples and blocks, [`fresh`] proves these, [`examples`] writes the pages that list them.

pub mod bless;
pub mod copy;
pub mod examples;
pub mod faults;
pub mod fresh;
pub mod header;
pub mod run;
mod section;
pub mod suite;
pub mod supervise;
pub mod trace;
pub mod workspace;

pub use section::{faults as fault_tests, section};
