//! `asyncio`: tasks, queues, locks and event loops, on tokio.
//!
//! What differs from Python, and why:
//! - A coroutine that is called does nothing until it is awaited, and so does a future here; but a task that is handed
//!   to `tokio::spawn` runs on any of several threads, so what it takes along must be `Send` and live as long as it.
//! - Cancelling drops the future: it ends at the await it stands at, its destructors run, and it cannot refuse.
//! - A task's panic comes out of its `JoinHandle`; nothing is lost by not looking: the panic itself is printed.
//! - There is no current loop to be found: what runs tasks is a value, [`tokio::runtime::Runtime`], of which a program
//!   may have several.

mod blocking {
    pub mod console_input;
    pub mod file_io;
    pub mod run_in_executor;
    pub mod to_thread;
}
mod event_loop {
    pub mod call_later;
    pub mod call_soon;
    pub mod call_soon_threadsafe;
    pub mod debug_mode;
    pub mod dns;
    pub mod exception_handler;
    pub mod fd_reader;
    pub mod pipes;
    pub mod platform;
    pub mod raw_socket;
    pub mod run_forever;
    pub mod sendfile;
    pub mod shutdown_asyncgens;
    pub mod signals;
    pub mod subprocess;
    pub mod task_factory;
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
mod tasks {
    pub mod as_completed;
    pub mod await_in_turn;
    pub mod cancel;
    pub mod create_task;
    pub mod detached;
    pub mod done_callback;
    pub mod executor_thread;
    pub mod future_list;
    pub mod future_pair;
    pub mod gather;
    pub mod gather_exceptions;
    pub mod is_coroutine;
    pub mod join_error;
    pub mod nested_tasks;
    pub mod run_main;
    pub mod run_until_complete;
    pub mod shield;
    pub mod sleep_result;
    pub mod task_executor;
    pub mod two_loops;
    pub mod wait;
    pub mod wait_for;
}

// The building blocks can do more than these examples ask of them.
#[allow(dead_code)]
mod async_event;
#[allow(dead_code)]
mod async_queue;
#[allow(dead_code)]
mod bounded_semaphore;
#[allow(dead_code)]
mod condition;
#[allow(dead_code)]
mod console;
#[allow(dead_code)]
mod runtime;
#[allow(dead_code)]
mod task_executor;

// Building blocks of other packages.
#[allow(dead_code)]
#[path = "../../queue_demo/src/channel.rs"]
mod channel;
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

demo::examples! {
    tasks {
        run_until_complete,
        gather,
        future_pair,
        future_list,
        run_main,
        await_in_turn,
        create_task,
        nested_tasks,
        two_loops,
        task_executor,
        executor_thread,
        sleep_result,
        gather_exceptions,
        wait_for,
        wait,
        as_completed,
        shield,
        cancel,
        done_callback,
        is_coroutine,
        join_error,
        detached,
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
    blocking {
        run_in_executor,
        to_thread,
        file_io,
        console_input,
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
        subprocess,
        fd_reader,
        pipes,
        dns,
        raw_socket,
        sendfile,
        platform,
    }
}
