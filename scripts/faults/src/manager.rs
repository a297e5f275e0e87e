//! Shared by the faults of managers: clients in processes of their own.

use std::fs::File;
use std::io::{self, Read, Write};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use multiproc::reduction::Fd;
use multiproc::{Process, spawn};
use multiprocessing_managers::{LockProxy, Manager, QueueProxy, RLockProxy, Value};

/// Starts a client in this role of [`client`], and waits until it is ready.
pub fn start(role: &str, manager: &Manager, object: Value) -> Result<Process> {
    let (theirs, pipe) = io::pipe().context("make a pipe")?;
    let (mut ready, say) = io::pipe().context("make a pipe")?;
    let process = spawn(client, (role.to_owned(), Fd::from(theirs), Fd::from(say)))?;
    manager.hand_over(pipe, [object])?;
    ready.read_exact(&mut [0]).context("hear the client")?;
    Ok(process)
}

pub fn kill(client: Process) -> Result<()> {
    client.kill()?;
    client.join()?;
    Ok(())
}

/// Acquires a lock and keeps it, or waits for something that it does not get.
pub fn client((role, pipe, ready): (String, Fd, Fd)) -> Result<()> {
    let (manager, values) = Manager::take_over(File::from(pipe.into_inner()))?;
    let [object] = &values[..] else {
        bail!("{} objects instead of one", values.len());
    };
    // The client keeps this reference. To the server, a client that drops all of them before it ends was not killed.
    let object = manager.attach(object)?;
    let mut ready = File::from(ready.into_inner());
    let mut is_ready = || ready.write_all(&[0]).context("tell the parent");
    match role.as_str() {
        "lock" => ensure!(LockProxy::from(object.clone()).acquire(true, None)?),
        "rlock" => {
            let lock = RLockProxy::from(object.clone());
            ensure!(lock.acquire(true, None)? && lock.acquire(true, None)?);
        }
        "acquire" => {
            is_ready()?;
            LockProxy::from(object.clone()).acquire(true, None)?;
        }
        "get" => {
            is_ready()?;
            QueueProxy::from(object.clone()).get()?;
        }
        _ => bail!("unknown role {role:?}"),
    }
    is_ready()?;
    loop {
        thread::park();
    }
}
