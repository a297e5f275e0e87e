//! Another thread hands callbacks to a loop that sleeps, and stops it.
//!
//! Python:  `loop.call_soon_threadsafe(callback)`
//! Differs: the loop itself does not leave its thread, which the compiler checks; `Remote` does, and can do only
//!          this. With Python `call_soon` from another thread is a race, and the loop sleeps on. The notes say that
//!          only other threads may call it; its own thread may too.
//! Tokio:   a `runtime::Handle` is for any thread: `handle.spawn(future)`.
//! Order:   callbacks of one thread run in the order in which it handed them in; it prints nothing itself before.
//! Needs:   runtime.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::runtime::{EventLoop, Remote};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let event_loop = EventLoop::new();
    let remote = event_loop.remote().clone();
    let owner = thread::current().id();
    let other = thread::spawn(move || hand_in(&remote, owner));
    println!("the loop runs, and has nothing to do");
    event_loop.run_forever()?;
    println!("the loop was stopped");
    other.join().map_err(|_| anyhow!("the thread panicked"))??;
    event_loop.close()?;
    match event_loop.remote().call_soon_threadsafe(EventLoop::stop) {
        Err(error) => println!("{error}"),
        Ok(()) => println!("a closed loop takes work"),
    }
    Ok(())
}

fn hand_in(remote: &Remote, owner: thread::ThreadId) -> Result<()> {
    for number in 1..=3 {
        thread::sleep(SECOND);
        remote.call_soon_threadsafe(move |_| {
            let here = if thread::current().id() == owner {
                "loop's"
            } else {
                "other"
            };
            println!("callback {number} runs in the {here} thread");
        })?;
    }
    remote.call_soon_threadsafe(EventLoop::stop)?;
    Ok(())
}
