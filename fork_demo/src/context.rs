//! Set the default start method once, and start a child by another method.
//!
//! Python:  `set_start_method('spawn')`, `get_context('fork')`
//! Differs: the second `set_start_method` returns an error instead of raising one. Without the first call the default
//!          is spawn, which is safe in a program with threads.
//! Order:   both children run at the same time.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::os::unix::process::parent_id;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use multiproc::context::{Context, StartMethod, set_start_method};
use multiproc::{init, target};

/// A forked child inherits the change, a spawned one does not.
static CHANGED: AtomicBool = AtomicBool::new(false);

pub fn main() -> Result<()> {
    init([target(child)]);
    println!("main process pid is {}", process::id());
    CHANGED.store(true, Ordering::Relaxed);
    for method in [StartMethod::Spawn, StartMethod::Fork] {
        match set_start_method(method) {
            Ok(()) => println!("set_start_method {method}"),
            Err(error) => println!("set_start_method {method}: {error}"),
        }
    }
    let contexts = [Context::default(), Context::new(StartMethod::Fork)];
    let start = |context: Context| context.start(child, context.method().to_string());
    let children = contexts.map(start);
    for child in children {
        let child = child?;
        println!("main process joined {}, {}", child.pid(), child.join()?);
    }
    Ok(())
}

fn child(method: String) {
    let (pid, parent) = (process::id(), parent_id());
    let changed = CHANGED.load(Ordering::Relaxed);
    println!("{method}: child process pid is {pid} ppid is {parent} changed is {changed}");
}
