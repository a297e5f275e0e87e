//! Generators as coroutines, and greenlets.
//!
//! A function can stop in the middle and go on later in three ways: as a state machine written by hand, as an async block
//! (a state machine that the compiler writes), or with a stack of its own (corosensei). The first two stop only in their
//! own body, as a generator does. The third stops in any function that it has called, as a greenlet does.
//!
//! Nightly Rust has coroutines (`#[coroutine]`, `std::ops::Coroutine`): `resume(value)` sends, `yield` yields and receives,
//! and `CoroutineState` tells whether it yielded or returned. They will replace [`yield_send_async`] and the cell of
//! [`coroutine`]. They have no `throw` (send a `Result` instead) and no `close` (drop the coroutine instead). `gen` blocks, which only
//! yield, are iterators. On stable Rust, use an iterator (`std::iter::from_fn`) for a generator, and one of the ways here
//! for a coroutine.

pub mod coroutine;
pub mod generator;
pub mod greenlets;
pub mod greenlets_tokio;
pub mod hub;
pub mod yield_send;
pub mod yield_send_async;
pub mod yield_send_stackful;

demo::examples![
    yield_send,
    yield_send_stackful,
    yield_send_async,
    generator,
    greenlets,
    greenlets_tokio
];
