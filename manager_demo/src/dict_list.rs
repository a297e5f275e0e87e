//! A child process edits a dict and a list that its parent's server holds, and the parent sees it.
//!
//! Python:  `with Manager() as manager`, `manager.dict()`, `manager.list(range(10))`
//! Differs: the server runs in threads of this process. A child is told where it is, and which objects to take, through
//!          its standard input.
//! Order:   the parent prints when the child has ended.
//! Needs:   managers
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! getrandom = { version = "0.4", default-features = false, features = ["std"] }
//! hmac = { version = "0.13", default-features = false }
//! md-5 = { version = "0.11", default-features = false }
//! nix = { version = "0.31", default-features = false, features = ["socket"] }
//! num-bigint = { version = "0.5", default-features = false, features = ["std"] }
//! num-traits = { version = "0.2", default-features = false, features = ["std"] }
//! rustix = { version = "1", default-features = false, features = ["std", "event", "net", "process"] }
//! serde = "1"
//! sha2 = { version = "0.11", default-features = false }
//! unicode-properties = { version = "0.1", default-features = false, features = ["general-category"] }
//! ```

use std::env;
use std::io;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::managers::{DictProxy, ListProxy, Manager, SyncManager, Value};

pub fn main() -> Result<()> {
    if env::args().next_back().as_deref() == Some("--role=child") {
        return f();
    }
    let manager = SyncManager::start()?;
    let d = manager.dict::<Value, Value>([])?;
    let l = manager.list(0..10)?;
    let mut child = Command::new(env::current_exe().context("find this program")?)
        .args(env::args_os().skip(1))
        .arg("--role=child")
        .stdin(Stdio::piped())
        .spawn()
        .context("start the child")?;
    let stdin = child.stdin.take().context("the child's standard input")?;
    manager.hand_over(stdin, [Value::from(&d), Value::from(&l)])?;
    let status = child.wait().context("wait for the child")?;
    ensure!(status.success(), "the child failed: {status}");
    println!("{}", d.repr()?);
    println!("{}", l.repr()?);
    Ok(())
}

fn f() -> Result<()> {
    let (manager, values) = Manager::take_over(io::stdin())?;
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
