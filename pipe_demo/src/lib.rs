//! `multiprocessing.Pipe`: a duplex pipe between two processes, on ipc-channel.
//!
//! What differs from Python's Pipe, and why:
//! - Each direction is a channel of one type, so a message of the wrong type does not compile.
//! - A message arrives whole or not at all, however many processes send.
//! - End of file comes when the last sender of a direction is gone. Every sender here has one owner, so the death
//!   of a peer is always seen; under Python's fork the child holds a copy of its parent's end and waits for ever.
//! - There is no `fileno`: use `IpcReceiverSet` to wait for several pipes.

pub mod locked_writers;
pub mod ping_pong;
pub mod pipe;
pub mod poll;

demo::examples![ping_pong, locked_writers, poll];
