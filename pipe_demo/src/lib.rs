//! `multiprocessing.Pipe`: a duplex pipe between two processes.
//!
//! What differs from Python's Pipe, and why:
//! - Each direction has one type, so a message of the wrong type does not compile.
//! - A message arrives whole or not at all, however many processes send and whatever its size. In Python, several
//!   writers of large messages need a lock.
//! - `recv` reports the end of file as soon as the other end is closed or its process is killed. With Python's fork the
//!   child also holds a copy of its parent's end, and must close it, or it never reads the end of file.
//! - A pipe has a file descriptor (`AsFd`), as Python's has `fileno`, so `poll(2)` can wait for several of them.
//!
//! by_hand does the same with the ipc-channel crate alone, and lists what the library adds.

pub mod by_hand;
pub mod crash_guard;
pub mod locked_writers;
pub mod ping_pong;
pub mod poll;

demo::examples![ping_pong, locked_writers, poll, by_hand, crash_guard];
