//! `os.fork` and `multiprocessing.Process`: how a child comes to be, and what it inherits.
//!
//! What differs from Python, and why:
//! - Fork is unsafe: it copies one thread and the locks of all. `multiprocessing::fork` refuses to fork beside other threads.
//!   Python 3.12 warns of it, 3.14 has made forkserver its default.
//! - A spawned child is this program started again in a role; no function travels to it, only a name.
//! - The notes say that `multiprocessing` makes processes by importing instead of forking; on Linux it forks, up to 3.13.
//! - Dropping a child that was not joined kills it, and a child dies with its parent, killed or not.

pub mod context;
pub mod fork;
pub mod forkserver;
pub mod multiprocessing;
pub mod process_subclass;
pub mod process_target;
pub mod resource_tracker;
pub mod start_methods;
pub mod tracker;

demo::examples![
    fork,
    process_target,
    process_subclass,
    start_methods,
    context,
    resource_tracker
];
