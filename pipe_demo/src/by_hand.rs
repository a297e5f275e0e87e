//! Bounce a greeting between two processes over ipc-channel.
//!
//! Python:  `a, b = Pipe()`; `Process(target=r, args=(b,))`
//! Differs: the child connects to its parent by name; then it sends the parent one end of each direction.
//! Order:   as in ping_pong, whose trace and Python this example shares.
//! Lacks:   - `poll`, which leaves the message in the pipe (poll).
//!          - An error when the child dies before it connects; here `accept` waits forever (poll kills a child that
//!            early).
//!          - A pipe without a name. Here, until the child connects, a kill leaves a socket in the temporary folder
//!            (fault parent_killed).
//!          - An error when no descriptor is free for a message; here ipc-channel panics (fault descriptor_limit).
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ipc-channel = "0.23"
//! ```

use std::process::{self, Command};
use std::{env, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use ipc_channel::IpcError;
use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender};

const SECOND: Duration = Duration::from_millis(100);
const ROUNDS: u32 = 3;

/// Set in the child only: the name of its parent's server.
const SERVER: &str = "BY_HAND_SERVER";

/// What the child sends to its parent: the parent's ends of the two directions.
type Ends = (IpcSender<String>, IpcReceiver<String>);

pub fn main() -> Result<()> {
    if let Ok(server) = env::var(SERVER) {
        // SAFETY: this process has one thread so far, so nothing reads the environment meanwhile.
        unsafe { env::remove_var(SERVER) };
        return child(server);
    }
    let (server, name) = IpcOneShotServer::<Ends>::new().context("make a server")?;
    let mut child = Command::new(env::current_exe().context("find this program's file")?)
        .args(env::args_os().skip(1))
        .env(SERVER, name)
        .spawn()
        .context("start the child")?;
    let (_, ends) = server.accept().context("connect to the child")?;
    let talked = talk(ends);
    // Report a failed child first: it is the cause of a failed talk.
    let status = child.wait().context("wait for the child")?;
    ensure!(status.success(), "the child failed: {status}");
    talked
}

/// Talks to the child. Both ends are closed on return, which the child reads as the end of file.
fn talk((to_child, from_child): Ends) -> Result<()> {
    let mut greeting = "Hello".to_owned();
    for _ in 0..ROUNDS {
        to_child.send(greeting).context("send to the child")?;
        greeting = from_child.recv().context("receive from the child")?;
        println!("Main process {} receive {greeting}", process::id());
        thread::sleep(SECOND);
    }
    Ok(())
}

fn child(server: String) -> Result<()> {
    let (to_child, from_parent) = ipc::channel().context("make a channel")?;
    let (to_parent, from_child) = ipc::channel().context("make a channel")?;
    IpcSender::<Ends>::connect(server)
        .context("connect to the parent")?
        .send((to_child, from_child))
        .context("send the parent its ends")?;
    loop {
        let greeting = match from_parent.recv() {
            Err(IpcError::Disconnected) => return Ok(()),
            greeting => greeting.context("receive from the parent")?,
        };
        println!("Child process {} receive {greeting}", process::id());
        thread::sleep(SECOND);
        to_parent.send(greeting).context("send to the parent")?;
    }
}
