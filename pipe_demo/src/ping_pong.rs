//! Bounce a greeting between two processes over a duplex pipe.
//!
//! Python:  `a, b = Pipe()`; `Process(target=r, args=(b,))`
//! Differs: the notes' two processes never stop; here the child ends when its parent closes the pipe.
//! Order:   each side prints only what it has received, so the lines alternate, the child's first.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! multiproc = "0.1"
//! ```

use std::{process, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use multiproc::{Connection, init, spawn, target};

const SECOND: Duration = Duration::from_millis(100);
const ROUNDS: u32 = 3;

pub fn main() -> Result<()> {
    init([target(child)]);
    let (pipe, childs_end) = Connection::<String, String>::pair()?;
    let child = spawn(child, childs_end)?;
    let mut greeting = "Hello".to_owned();
    for _ in 0..ROUNDS {
        pipe.send(&greeting).context("send to the child")?;
        greeting = pipe.recv().context("receive from the child")?;
        println!("Main process {} receive {greeting}", process::id());
        thread::sleep(SECOND);
    }
    drop(pipe);
    let exit = child.join()?;
    ensure!(exit.success(), "the child failed: {exit}");
    Ok(())
}

fn child(pipe: Connection<String, String>) -> Result<()> {
    for greeting in pipe.iter() {
        let greeting = greeting.context("receive from the parent")?;
        println!("Child process {} receive {greeting}", process::id());
        thread::sleep(SECOND);
        pipe.send(&greeting).context("send to the parent")?;
    }
    Ok(())
}
