//! Models: building blocks under [loom](https://docs.rs/loom), which tries every interleaving of their atomic operations.
//!
//! The code is the blocks' own, copied by `build.rs`; only threads, locks and atomics are loom's, and
//! what is crossbeam's or tokio's is written anew on loom's. A wait without a time limit never ends by itself, so a
//! wake-up that is lost is a deadlock, which loom reports. `cargo test -p models`

macro_rules! blocks {
    ($($name:ident)*) => {$(
        // A block can do more than a model asks of it.
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
/// loom's threads, with the one name that they lack.
pub mod thread {
    pub use loom::thread::*;
    pub use std::thread::Result;
}
