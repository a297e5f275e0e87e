//! A main loop adds an endless task each second; all of them take turns on one thread, and sleep as blocking code does.
//!
//! Python:  gevent: `gevent.spawn(task, count)`, `gevent.sleep(1)`, `main.join()`
//! Differs: the loop ends after four rounds, and the tasks with it. The Python twin takes generators and a small loop, as
//!          gevent is not in the standard library; they stop only in their own body, greenlets in any call: see `tick`.
//! Notes:   corosensei only switches stacks, and its interface is safe; what runs next is the hub's. The crate `may` brings
//!          threads, timers and sockets, too, but its spawn is `unsafe` (the macro `go!` hides it): a coroutine may go on
//!          on another thread, and whatever it kept of a thread-local is then undefined behaviour.
//! Order:   in round r, `new task count r` comes first, then every task once. All sleep equally long, so who fell asleep
//!          first is first, however late the hub is.
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

/// An ordinary function, and yet the whole task stops in it.
fn tick(me: &Greenlet, count: u32) {
    println!("{count}");
    me.sleep(SECOND);
}
