//! Share a dict and a list with a child process.
//!
//! Python:  `with Manager() as manager`, `manager.dict()`, `manager.list(range(10))`
//! Differs: the server runs in threads of this process. The child reads the server's address and its objects from its
//!          standard input.
//! Order:   the parent prints after the child has ended.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! multiprocessing-managers = "0.1"
//! ```

use std::{fs::File, io};

use anyhow::{Context, Result, ensure};
use multiproc::{init, reduction::Fd, spawn, target};
use multiprocessing_managers::{DictProxy, ListProxy, Manager, SyncManager, Value};

pub fn main() -> Result<()> {
    init([target(f)]);
    let manager = SyncManager::start()?;
    let d = manager.dict::<Value, Value>([])?;
    let l = manager.list(0..10)?;
    let (reader, writer) = io::pipe().context("make a pipe")?;
    let child = spawn(f, Fd::from(reader))?;
    manager.hand_over(writer, [Value::from(&d), Value::from(&l)])?;
    let exit = child.join()?;
    ensure!(exit.success(), "the child failed: {exit}");
    println!("{}", d.repr()?);
    println!("{}", l.repr()?);
    Ok(())
}

fn f(pipe: Fd) -> Result<()> {
    let (manager, values) = Manager::take_over(File::from(pipe.into_inner()))?;
    let [d, l] = &values[..] else {
        anyhow::bail!("a dict and a list were expected");
    };
    let d = DictProxy::from(manager.attach(d)?);
    let l = ListProxy::from(manager.attach(l)?);
    d.set(1, "1")?;
    d.set("2", 2)?;
    d.set(0.25, Value::None)?;
    l.reverse()?;
    Ok(())
}
