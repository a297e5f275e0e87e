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
mod task_set;

mod tasks {
    pub mod as_completed;
    pub mod await_in_turn;
    pub mod cancel;
    pub mod create_task;
    pub mod detached;
    pub mod done_callback;
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
    pub mod wait;
    pub mod wait_for;
}

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
}
