//! What the faults of managers share: clients that are processes of their own.

use std::env;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::managers::{LockProxy, Manager, QueueProxy, RLockProxy, Value};

/// A client in a role of [`work`], killed when this is dropped.
pub struct Client(Child);

impl Client {
    /// Starts it, and waits until it says that it is ready.
    pub fn start(role: &str, manager: &Manager, object: Value) -> Result<Client> {
        let this = env::current_exe().context("find this program")?;
        let client = Command::new(this)
            .args(["--manager-client", role])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut client = Client(client.context("start a client")?);
        let pipe = client.0.stdin.take().context("its standard input")?;
        manager.hand_over(pipe, [object])?;
        let stdout = client.0.stdout.as_mut().context("its standard output")?;
        stdout.read_exact(&mut [0]).context("hear the client")?;
        Ok(client)
    }

    pub fn kill(mut self) -> Result<()> {
        self.0.kill().context("kill the client")?;
        self.0.wait().context("wait for the client")?;
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What such a client does: it acquires something and keeps it, or waits for something that it does not get.
pub fn work(role: &str) -> Result<()> {
    let (manager, values) = Manager::take_over(io::stdin())?;
    let [object] = &values[..] else {
        bail!("one object was expected");
    };
    // Who drops all references first has not been killed, for the server.
    let object = manager.attach(object)?;
    let ready = || {
        let mut stdout = io::stdout();
        stdout.write_all(&[0]).and_then(|()| stdout.flush())
    };
    match role {
        "lock" => ensure!(LockProxy::from(object.clone()).acquire(true, None)?),
        "rlock" => {
            let lock = RLockProxy::from(object.clone());
            ensure!(lock.acquire(true, None)? && lock.acquire(true, None)?);
        }
        "acquire" => {
            ready()?;
            LockProxy::from(object.clone()).acquire(true, None)?;
        }
        "get" => {
            ready()?;
            QueueProxy::from(object.clone()).get()?;
        }
        _ => bail!("there is no role {role:?}"),
    }
    ready()?;
    loop {
        thread::park();
    }
}
