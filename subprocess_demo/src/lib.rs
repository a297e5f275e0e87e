//! `subprocess`: commands as children.
//!
//! What differs from Python, and why:
//! - A command that a signal has killed has an exit status without a code; Python has a negative code.
//! - If the program is missing, the call that starts it fails, and no child is created.
//! - The notes call `communicate` a dialogue. It sends once, closes stdin and reads to the end, here and in Python.
//! - `kill` reaches one process. To reach the processes that a command has started, put them into a process group.

pub mod call;
pub mod communicate;
pub mod timeout;

demo::examples![call, communicate, timeout];
