//! `subprocess`: commands as children.
//!
//! What differs from Python, and why:
//! - Death by a signal is not a negative exit code, but an exit status without a code.
//! - A missing program is an error of the call that starts it, before there is a child.
//! - The notes call `communicate` a dialogue. It sends once, closes stdin and reads to the end, here and in Python.
//! - `kill` reaches one process. To reach the processes that a command has started, put them into a process group.

pub mod call;
pub mod communicate;
pub mod timeout;

demo::examples![call, communicate, timeout];
