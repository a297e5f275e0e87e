//! `asyncio`: tasks, queues, locks and event loops, on tokio.
//!
//! What differs from Python, and why:
//! - A coroutine that is called does nothing until it is awaited, and so does a future here; but a task that is handed to
//!   `tokio::spawn` runs on any of several threads, so what it takes along must be `Send` and live as long as it does.
//! - Cancelling drops the future: it ends at the await it stands at, its destructors run, and it cannot refuse.
//! - A task's panic comes out of its `JoinHandle`; nothing is lost by not looking, and nothing is printed but the panic.
//! - There is no current loop to be found: what runs tasks is a value, [`tokio::runtime::Runtime`], of which a program may
//!   have several.

#[allow(dead_code)]
mod async_event;
#[allow(dead_code)]
mod async_queue;
#[allow(dead_code)]
mod bounded_semaphore;
#[allow(dead_code)]
mod condition;

mod tasks {
    pub mod gather;
}
mod queues {
    pub mod lifo_queue;
    pub mod priority_queue;
    pub mod queue_workers;
}
mod sync {
    pub mod bounded_semaphore;
    pub mod condition;
    pub mod event;
    pub mod lock;
    pub mod semaphore;
}

demo::examples! {
    tasks {
        gather,
    }
    queues {
        queue_workers,
        priority_queue,
        lifo_queue,
    }
    sync {
        lock,
        condition,
        semaphore,
        bounded_semaphore,
        event,
    }
}
