//! `subprocess`: commands as children.
//!
//! What differs from Python, and why:
//! - Death by a signal is not a negative exit code but an `ExitStatus` without a code.
//! - A missing program is an error of `spawn`, before there is any child.
//! - The notes call `communicate` a dialogue. It sends once, closes stdin and reads to the end; here as there.
//! - `kill` reaches one process. What the command has started itself is reached through its process group.

pub mod call;
pub mod communicate;
pub mod popen;
pub mod timeout;

demo::examples![call, communicate, timeout];
