//! `asyncio`: tasks, queues, locks and event loops, on tokio.
//!
//! What differs from Python, and why:
//! - A coroutine that is called does nothing until it is awaited, and so does a future here; but a task that is handed to
//!   `tokio::spawn` runs on any of several threads, so what it takes along must be `Send` and live as long as it does.
//! - Cancelling drops the future: it ends at the await it stands at, its destructors run, and it cannot refuse.
//! - A task's panic comes out of its `JoinHandle`; nothing is lost by not looking, and nothing is printed but the panic.
//! - There is no current loop to be found: what runs tasks is a value, [`tokio::runtime::Runtime`], of which a program may
//!   have several.

mod blocking {
    pub mod console_input;
    pub mod file_io;
    pub mod run_in_executor;
    pub mod to_thread;
}
// Building blocks of other packages, which can do more than these examples ask of them.
#[allow(dead_code)]
#[path = "../../queue_demo/src/channel.rs"]
mod channel;
#[allow(dead_code)]
mod console;
#[allow(dead_code)]
#[path = "../../queue_demo/src/event.rs"]
mod event;
#[allow(dead_code)]
#[path = "../../queue_demo/src/memory.rs"]
mod memory;
#[allow(dead_code)]
#[path = "../../queue_demo/src/monitor.rs"]
mod monitor;
#[allow(dead_code)]
#[path = "../../fork_demo/src/multiprocessing.rs"]
mod multiprocessing;
#[allow(dead_code)]
#[path = "../../pool_demo/src/pool.rs"]
mod pool;
#[allow(dead_code)]
#[path = "../../shm_demo/src/robust.rs"]
mod robust;
#[allow(dead_code)]
#[path = "../../queue_demo/src/socket.rs"]
mod socket;
#[allow(dead_code)]
mod task_executor;
mod tasks {
    pub mod executor_thread;
    pub mod gather;
    pub mod task_executor;
    pub mod two_loops;
}

demo::examples! {
    tasks {
        gather,
        two_loops,
        task_executor,
        executor_thread,
    }
    blocking {
        run_in_executor,
        to_thread,
        file_io,
        console_input,
    }
}
