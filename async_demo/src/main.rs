//! `asyncio`: tasks, queues, locks and event loops, on tokio.
//!
//! What differs from Python, and why:
//! - A coroutine that is called does nothing until it is awaited, and so does a future here; but a task that is handed to
//!   `tokio::spawn` runs on any of several threads, so what it takes along must be `Send` and live as long as it does.
//! - Cancelling drops the future: it ends at the await it stands at, its destructors run, and it cannot refuse.
//! - A task's panic comes out of its `JoinHandle`; nothing is lost by not looking, and nothing is printed but the panic.
//! - There is no current loop to be found: what runs tasks is a value, [`tokio::runtime::Runtime`], of which a program may
//!   have several.

// They can do more than these examples ask of them.
#[allow(dead_code)]
mod runtime;
#[allow(dead_code)]
mod task;

mod tasks {
    pub mod gather;
}

mod event_loop {
    pub mod call_later;
    pub mod call_soon;
    pub mod call_soon_threadsafe;
    pub mod debug_mode;
    pub mod exception_handler;
    pub mod run_forever;
    pub mod shutdown_asyncgens;
    pub mod signals;
    pub mod task_factory;
}

demo::examples! {
    tasks {
        gather,
    }
    event_loop {
        run_forever,
        call_soon,
        call_soon_threadsafe,
        call_later,
        exception_handler,
        debug_mode,
        task_factory,
        shutdown_asyncgens,
        signals,
    }
}
