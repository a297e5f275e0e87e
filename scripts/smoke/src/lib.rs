//! The trace harness: runs every example and compares its output with what its trace promises.
//!
//! [`trace`] parses traces, matches runs against them and makes mutants. [`run`] and [`supervise`] run programs.
//! [`workspace`] and [`header`] find the examples, [`suite`] defines their checks, and [`faults`] injects faults. [`copy`]
//! makes crates of examples and blocks, [`fresh`] tests these crates, and [`examples`] writes the pages that list them.

pub mod bless;
pub mod copy;
pub mod examples;
pub mod faults;
mod files;
pub mod fresh;
pub mod header;
pub mod run;
mod section;
pub mod suite;
pub mod supervise;
pub mod trace;
pub mod workspace;

pub use section::{faults as fault_tests, section};
