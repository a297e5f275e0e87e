//! `contextvars`: values that belong to a task, a thread or one call, without being handed on.
//!
//! Choose the least that does: an argument (`explicit`); a value for the length of a future (`task_local`, tokio's own);
//! variables that can be set, copied and reset as Python's (`contextvars.rs`), for programs that rely on those rules.

pub mod contextvars;
pub mod copy_context;
pub mod explicit;
pub mod task_context;
pub mod task_local;
pub mod token;

demo::examples![copy_context, token, task_context, task_local, explicit];
