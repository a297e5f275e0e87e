//! What is known of a contest without running it: its table of cases, how a contestant is started, what figures come to.
//! The contestants are in the program, which includes the building blocks, and so their tests: those run elsewhere.

pub mod case;
pub mod contest;
pub mod report;
