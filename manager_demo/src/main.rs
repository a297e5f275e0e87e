//! `multiprocessing.managers`: objects that a server holds and clients share, between processes and machines.

mod dict_list;
// It can do more than these examples ask of it.
#[allow(dead_code)]
mod managers;
// A building block of another package.
#[allow(dead_code)]
#[path = "../../fork_demo/src/multiprocessing.rs"]
mod multiprocessing;
mod partner;
mod python_peers;
mod queue_manager;
mod remote_queue;

demo::examples![dict_list, queue_manager, remote_queue, python_peers];
