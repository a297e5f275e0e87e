//! Start one more endless greenlet each second, all taking turns on one thread.
//!
//! Python:  gevent: `gevent.spawn(task, count)`, `gevent.sleep(1)`, `main.join()`
//! Differs: the loop ends after four rounds, and the greenlets with it. gevent is not in the standard library, so the Python
//!          twin uses generators, which stop only in their own body; greenlets stop in any call, such as `tick`. corosensei
//!          only switches stacks, and its interface is safe. The crate `may` has threads, timers and sockets, too, but its
//!          spawn is `unsafe`: a coroutine may move to another thread, where a reference to a thread-local is invalid.
//! Order:   in round r, `new task count r` comes first, then every task once. All sleep for the same time, so they wake in
//!          the order in which they went to sleep.
//! Needs:   hub.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! corosensei = "0.3"
//! ```

use std::time::Duration;

use anyhow::{Context, Result};

use crate::hub::{Greenlet, run};

const SECOND: Duration = Duration::from_millis(100);

const ROUNDS: u32 = 4;

pub fn main() -> Result<()> {
    run(add_tasks).context("start the main greenlet")?
}

fn add_tasks(me: &Greenlet) -> Result<()> {
    for count in 1..=ROUNDS {
        println!("new task count {count}");
        me.spawn(move |me| task(me, count))
            .with_context(|| format!("start the task {count}"))?;
        me.sleep(SECOND);
    }
    Ok(())
}

fn task(me: &Greenlet, count: u32) {
    loop {
        tick(me, count);
    }
}

/// A plain function, in which the whole task stops.
fn tick(me: &Greenlet, count: u32) {
    println!("{count}");
    me.sleep(SECOND);
}
