//! Share a dict and a list with a child process.
//!
//! Python:  `with Manager() as manager`, `manager.dict()`, `manager.list(range(10))`
//! Differs: the server runs in threads of this process. The child reads from its standard input where the server is, and
//!          which objects to use.
//! Order:   the parent prints after the child has ended.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiprocessing-managers = "0.1"
//! ```

use std::process::{Command, Stdio};
use std::{env, io};

use anyhow::{Context, Result, ensure};
use multiprocessing_managers::{DictProxy, ListProxy, Manager, SyncManager, Value};

/// The environment variable that makes this program the child.
const CHILD: &str = "DICT_LIST_CHILD";

pub fn main() -> Result<()> {
    if env::var_os(CHILD).is_some() {
        return f();
    }
    let manager = SyncManager::start()?;
    let d = manager.dict::<Value, Value>([])?;
    let l = manager.list(0..10)?;
    let mut child = Command::new(env::current_exe().context("find this program")?)
        .args(env::args_os().skip(1))
        .env(CHILD, "")
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
