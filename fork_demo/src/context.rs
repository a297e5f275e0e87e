//! The default start method can be set once; a context has a method of its own, whatever the default.
//!
//! Python:  `set_start_method('spawn')`, `get_context('fork')`
//! Differs: a default for the whole program is a `OnceLock`: the second `set` returns an error instead of raising one.
//! Needs:   multiprocessing.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["process"] }
//! ```

use std::os::unix::process::parent_id;
use std::sync::OnceLock;
use std::{fmt, process};

use anyhow::{Context as _, Result, anyhow};

use crate::multiprocessing::{Process, fork, role, spawn};

#[derive(Debug, Clone, Copy)]
enum StartMethod {
    Fork,
    Spawn,
}

static DEFAULT: OnceLock<StartMethod> = OnceLock::new();

/// Starts processes by one method.
struct Context(StartMethod);

impl Context {
    fn start(&self) -> Result<Process> {
        match self.0 {
            StartMethod::Fork => fork(|| child(self)),
            StartMethod::Spawn => spawn("child"),
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            StartMethod::Fork => "fork",
            StartMethod::Spawn => "spawn",
        })
    }
}

pub fn main() -> Result<()> {
    if role().is_some() {
        process::exit(child(&Context(StartMethod::Spawn))?.into());
    }
    println!("main process pid is {}", process::id());
    for method in [StartMethod::Spawn, StartMethod::Fork] {
        match set_start_method(method) {
            Ok(()) => println!("set_start_method {}", Context(method)),
            Err(error) => println!("set_start_method {}: {error}", Context(method)),
        }
    }
    let default = Context(*DEFAULT.get().context("no start method is set")?);
    let processes = [default.start()?, Context(StartMethod::Fork).start()?];
    for process in processes {
        println!("main process joined {}, {}", process.pid(), process.join()?);
    }
    Ok(())
}

fn set_start_method(method: StartMethod) -> Result<()> {
    DEFAULT
        .set(method)
        .map_err(|_| anyhow!("context has already been set"))
}

fn child(context: &Context) -> Result<u8> {
    println!(
        "{context}: child process pid is {} ppid is {}",
        process::id(),
        parent_id()
    );
    Ok(0)
}
