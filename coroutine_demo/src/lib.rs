//! Generators as coroutines, and greenlets.
//!
//! Three ways to stop in the middle of a function and go on later: a state machine written by hand, an async block (a
//! state machine that the compiler writes), and a stack of its own (corosensei). The first two stop only in their own
//! body, as a generator does; the third stops in any function it has called, as a greenlet does.
//!
//! Nightly Rust has coroutines of its own (`#[coroutine]`, `std::ops::Coroutine`): `resume(value)` sends, `yield` gives
//! and takes, and `CoroutineState` says whether it yielded or returned. They are what an async block is made of, so they
//! will replace `yield_send_async` and the cells of `coroutine.rs`; what they do not bring is `throw` (send a `Result`
//! instead) and a `close` that can be told from a drop. `gen` blocks, the half that only gives, are iterators. Until then
//! a generator is an iterator (`std::iter::from_fn`), and a coroutine is one of these.

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
