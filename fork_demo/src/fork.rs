//! One call, two returns: fork makes a copy of the process, and both go on from there.
//!
//! Python:  `os.fork()`
//! Differs: it is unsafe: the child inherits the locks of all other threads, held, but not the threads. Hence the guard.
//! Notes:   the parent never waits for the child, which leaves a zombie; here it does.
//! Needs:   multiprocessing.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["process"] }
//! ```

use std::os::unix::process::parent_id;
use std::{io, process};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::multiprocessing::{Exit, ensure_one_thread};

pub fn main() -> Result<()> {
    println!("main pid is {}", process::id());
    ensure_one_thread()?;
    // SAFETY: there is no other thread whose locks or half-made state the child could inherit.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()).context("fork"),
        0 => {
            println!("child pid is {}, ppid is {}", process::id(), parent_id());
            // SAFETY: ending the process has no precondition.
            unsafe { libc::_exit(0) }
        }
        pid => {
            println!("main receive child pid is {pid}");
            println!("main pid is {}, ppid is {}", process::id(), parent_id());
            let ended =
                waitpid(Pid::from_raw(pid), WaitOptions::empty()).context("wait for the child")?;
            let exit = ended
                .map(|(_, status)| Exit::from(status))
                .context("the child has not ended")?;
            ensure!(exit == Exit::Code(0), "the child failed: {exit}");
            Ok(())
        }
    }
}
