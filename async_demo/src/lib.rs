//! `asyncio`: tasks, queues, locks and event loops, on tokio.
//!
//! What differs from Python, and why:
//! - A future does nothing until it is awaited, like a coroutine. But a task that `tokio::spawn` starts runs on any of
//!   several threads, so the values that it owns must be `Send` and `'static`.
//! - Cancelling drops the future at its await: its destructors run, and it cannot refuse.
//! - The `JoinHandle` of a task returns its panic as an error. The panic is also printed.
//! - There is no current loop to look up. A [`tokio::runtime::Runtime`] is a value, and a program may have several.

pub mod blocking {
    pub mod console_input;
    pub mod file_io;
    pub mod run_in_executor;
    pub mod to_thread;
}
pub mod event_loop {
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
pub mod queues {
    pub mod lifo_queue;
    pub mod priority_queue;
    pub mod queue_workers;
}
pub mod sync {
    pub mod bounded_semaphore;
    pub mod condition;
    pub mod event;
    pub mod lock;
    pub mod semaphore;
}
pub mod tasks {
    pub mod as_completed;
    pub mod await_in_turn;
    pub mod cancel;
    pub mod create_task;
    pub mod detached;
    pub mod done_callback;
    pub mod executor_signal;
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

pub mod async_event;
pub mod async_queue;
pub mod bounded_semaphore;
pub mod condition;
pub mod console;
pub mod runtime;
pub mod task_executor;

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
        executor_signal,
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
