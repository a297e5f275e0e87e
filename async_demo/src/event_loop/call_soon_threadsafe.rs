//! Submit callbacks from another thread to a sleeping loop, and stop it.
//!
//! Python:  `loop.call_soon_threadsafe(callback)`
//! Differs: the loop cannot leave its thread, which the compiler checks; a `Remote` can, and has only this method. In Python,
//!          `call_soon` from another thread is a race, and the loop sleeps on. The notes say that only other threads may call
//!          it; the loop's own thread may, too. With tokio, any thread can use a `runtime::Handle`: `handle.spawn(future)`.
//! Order:   the callbacks of one thread run in the order in which it submitted them.
//! Needs:   runtime.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ```

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use crate::runtime::{EventLoop, Remote};

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let event_loop = EventLoop::new();
    let remote = event_loop.remote().clone();
    let owner = thread::current().id();
    let other = thread::spawn(move || submit(&remote, owner));
    println!("the loop runs, and has nothing to do");
    event_loop.run_forever()?;
    println!("the loop was stopped");
    other.join().map_err(|_| anyhow!("the thread panicked"))??;
    event_loop.close()?;
    match event_loop.remote().call_soon_threadsafe(EventLoop::stop) {
        Err(error) => println!("{error}"),
        Ok(()) => bail!("the closed loop took a callback"),
    }
    Ok(())
}

fn submit(remote: &Remote, owner: thread::ThreadId) -> Result<()> {
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
