//! `contextvars`: values that belong to a task, a thread or one call.
//!
//! Choose the simplest that serves: an argument ([`explicit`]); a value for the length of a future ([`task_local`], which
//! is tokio's own); or variables that can be set, copied and reset by Python's rules (the crate [`contextvars`]).

pub mod copy_context;
pub mod explicit;
pub mod task_context;
pub mod task_local;
pub mod token;

demo::examples![copy_context, token, task_context, task_local, explicit];
