//! `contextvars`: values that belong to a task, a thread or one call.
//!
//! Choose the simplest that is enough: an argument ([`explicit`]); a value that lasts as long as a future ([`task_local`],
//! tokio's own); or variables that can be set, copied and reset by Python's rules (the crate [`contextvars`]).

pub mod copy_context;
pub mod explicit;
pub mod task_context;
pub mod task_local;
pub mod token;

demo::examples![copy_context, token, task_context, task_local, explicit];
