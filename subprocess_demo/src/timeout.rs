//! A command that takes too long dies with all that it has started.
//!
//! Python:  `communicate(timeout=...)`, `TimeoutExpired`, `os.killpg`
//! Differs: Python leaves the killing to the caller, and `kill()` reaches the child alone: its own child would live on,
//!          and with it the pipe, so that a second `communicate()` would wait for it.
//! Needs:   popen.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! rustix = { version = "1", features = ["event", "process"] }
//! ```

use std::process::{self, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::popen::{Error, communicate};

const SECOND: Duration = Duration::from_millis(100);

/// The shell waits for a shell of its own, which ticks for as long as somebody reads.
const TICK: &str = "while :; do echo tick; sleep 0.02; done & echo \"child $$ started $!\"; wait";

pub fn main() -> Result<()> {
    println!(
        "main process {} waits {:.1} seconds",
        process::id(),
        (3 * SECOND).as_secs_f64()
    );
    let start = Instant::now();
    match communicate(Command::new("sh").args(["-c", TICK]), b"", 3 * SECOND) {
        Err(Error::TimedOut { output, .. }) => {
            let said = String::from_utf8(output.stdout).context("decode stdout")?;
            let children = said.lines().find(|line| line.starts_with("child"));
            println!("{}", children.context("the command said nothing")?);
            println!("timeout after {:.1} seconds", start.elapsed().as_secs_f64());
            // The outputs were read to their ends, which come when the last process that has them open is gone.
            println!("both are gone");
            Ok(())
        }
        Err(error) => Err(error).context("run the command"),
        Ok(output) => bail!("the command ended by itself: {}", output.status),
    }
}
