//! Limit a queue to two items, so that `put` waits for room and `get` for an item.
//!
//! Python:  `queue.Queue(maxsize)`, `put_nowait`, `put(timeout=...)`, `queue.Full`, `get_nowait`, `get(timeout=...)`, `queue.Empty`
//! Differs: an item that finds no room comes back with the error.
//! Order:   the thread's `put` returns after main has made room.
//! Needs:   thread_queue.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! crossbeam-channel = "0.5"
//! parking_lot = "0.13"
//! ```

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use crate::thread_queue::queue;

const SECOND: Duration = Duration::from_millis(100);

pub fn main() -> Result<()> {
    let (q, items) = queue(2);
    q.put("a")?;
    q.put("b")?;
    refused("put_nowait", || q.try_put("c"))?;
    refused("put with a timeout", || q.put_timeout("c", SECOND))?;
    thread::scope(|scope| {
        let put = scope.spawn(|| q.put("c"));
        thread::sleep(SECOND);
        let got = items.get()?;
        put.join().map_err(|_| anyhow!("the thread panicked"))??;
        println!("main gets {got}");
        println!("the thread has put c");
        anyhow::Ok(())
    })?;
    println!("main gets {}", items.get()?);
    println!("main gets {}", items.get_timeout(SECOND)?);
    refused("get_nowait", || items.try_get())?;
    refused("get with a timeout", || items.get_timeout(SECOND))
}

/// Prints the error, and the time that the call took.
fn refused<T, E: Display>(what: &str, call: impl FnOnce() -> Result<T, E>) -> Result<()> {
    let begun = Instant::now();
    let Err(error) = call() else {
        bail!("{what} was not refused");
    };
    let seconds = begun.elapsed().as_secs_f64() / SECOND.as_secs_f64();
    println!("{what}: {error} after {seconds:.6} seconds");
    Ok(())
}
