//! The trace harness: runs every example and compares its output with what its trace promises.
//!
//! [`trace`] is a library of its own: the language, the matcher, the mutations. [`run`] and [`supervise`] run programs;
//! [`workspace`] knows the examples, [`suite`] what each has to pass, [`faults`] what can go wrong.

pub mod bless;
pub mod faults;
pub mod fresh;
pub mod readme;
pub mod run;
pub mod suite;
pub mod supervise;
pub mod trace;
pub mod workspace;
