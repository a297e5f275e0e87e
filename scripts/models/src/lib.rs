//! Models: building blocks under [loom](https://docs.rs/loom), which tries every interleaving of their atomic operations.
//!
//! `build.rs` copies the blocks' own code and replaces their threads, locks and atomics by loom's. Models built on loom
//! replace the types of crossbeam and tokio. A wait without a time limit never ends by itself, so a lost wake-up is a
//! deadlock, which loom reports. `cargo test -p models` runs the models.

macro_rules! blocks {
    ($($name:ident)*) => {$(
        // No model uses all of a block.
        #[allow(dead_code)]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    )*};
}

blocks! { async_queue thread_queue timers }

pub mod channel;
pub mod sync;
pub mod tasks;
/// loom's threads, with the one item that they lack.
pub mod thread {
    pub use loom::thread::*;
    pub use std::thread::Result;
}
