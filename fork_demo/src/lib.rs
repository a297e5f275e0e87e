//! `os.fork` and `multiprocessing.Process`: start a child in one of three ways.
//!
//! What differs from Python, and why:
//! - `fork` copies one thread and the locks of all threads, so `multiproc::fork` refuses to run in a program with
//!   several threads. Python 3.12 warns; 3.14 no longer forks by default.
//! - A spawned child is this program started again, so `main` runs there too. Call `init` first in `main`: in a child it
//!   runs the child's function and ends the process. Python uses `if __name__ == '__main__'` for this.
//! - A child's target is a named function, and its arguments travel as bytes.
//! - Dropping a child that was not joined kills it. A child dies with its parent, even if the parent is killed.
//!
//! by_hand forks with the nix crate alone, and lists what the library adds.

pub mod by_hand;
pub mod context;
pub mod fork;
pub mod prefork_server;
pub mod process_subclass;
pub mod process_target;
pub mod resource_tracker;
pub mod start_methods;

demo::examples![
    fork,
    process_target,
    process_subclass,
    start_methods,
    context,
    resource_tracker,
    by_hand,
    prefork_server
];
