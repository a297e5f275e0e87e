//! Run a loop until a future is complete, with futures written by hand.
//!
//! Python:  `@asyncio.coroutine`, `yield from`, `loop.run_until_complete(asyncio.wait(tasks))`, `loop.close()`
//! Differs: a loop is a value, and `block_on` runs it: no task runs between two calls. A generator keeps its state in its frame,
//!          a future in its fields; an `async fn` is such a type, written by the compiler. Python removed
//!          `@asyncio.coroutine` in 3.11 (`types.coroutine` is left), and its `wait` takes tasks, not coroutines.
//! Order:   one thread runs all tasks, and timers fire in the order of their times.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! tokio = { version = "1", features = ["rt", "time"] }
//! ```

use std::pin::Pin;
use std::task::{self, Poll, ready};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};

const SECOND: Duration = Duration::from_millis(100);
const TASKS: u32 = 5;

pub fn main() -> Result<()> {
    let event_loop = Builder::new_current_thread().enable_time().build();
    let event_loop = event_loop.context("create the loop")?;
    let task = |i| event_loop.spawn(Task::new(i, TASKS - i));
    let tasks: Vec<_> = (0..TASKS).map(task).collect();
    println!("{} tasks are created", tasks.len());
    println!("{} tasks are done", event_loop.block_on(wait(tasks))?);
    println!("again: {}", event_loop.block_on(async { "result" }));
    drop(event_loop); // Drops incomplete tasks, each at its await.
    println!("the loop is closed");
    Ok(())
}

/// Completes when all tasks have ended.
async fn wait(tasks: Vec<JoinHandle<()>>) -> Result<usize> {
    let mut done = 0;
    for task in tasks {
        task.await.context("wait for a task")?;
        done += 1;
    }
    Ok(done)
}

struct Task {
    i: u32,
    block_time: u32,
    asleep: Option<Pin<Box<Sleep>>>,
}

impl Task {
    fn new(i: u32, block_time: u32) -> Task {
        let asleep = None;
        Task {
            i,
            block_time,
            asleep,
        }
    }
}

impl Future for Task {
    type Output = ();

    /// Runs up to the next wait. The loop calls it when the task begins, and again after its timer has fired.
    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let asleep = this.asleep.get_or_insert_with(|| {
            println!("任务{}阻塞之前", this.i);
            Box::pin(sleep(SECOND * this.block_time))
        });
        ready!(asleep.as_mut().poll(context)); // `yield from`: returns unless the sleep is over.
        println!("任务{}阻塞之后", this.i);
        Poll::Ready(())
    }
}
