//! Models: building blocks under [loom](https://docs.rs/loom), which tries every interleaving of their atomic operations.
//!
//! The code is the blocks' own, copied by `build.rs`; only the atomics and the futex are loom's. A wait has no time limit
//! here, so a wake-up that is lost is a deadlock, which loom reports. `cargo test -p models`

// A block can do more than a model asks of it.
#[allow(dead_code)]
pub mod event {
    include!(concat!(env!("OUT_DIR"), "/event.rs"));
}
pub mod futex;
