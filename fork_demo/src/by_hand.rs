//! Fork six children with nix alone: one thread, flush, fork, `_exit`, `waitpid`.
//!
//! Python:  `Process(target=r)`, `start()`, `join()`
//! Differs: nix only forks and waits. The function `fork` here adds what makes that safe.
//! Order:   as in process_target, whose trace and Python this example shares.
//! Lacks:   - A child for a program with threads, by spawn or a fork server (start_methods, context).
//!          - Values that travel to a child that inherits nothing (process_subclass).
//!          - Cleanup of the names that a killed child leaves behind (resource_tracker).
//!          - A handle that kills its child when it is dropped. Here, after an error, the children live until main
//!            ends (fault parent_killed).
//! Platform: Linux (`/proc/self/task`, the parent-death signal)
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! nix = { version = "0.31", features = ["process", "signal"] }
//! ```

use std::io::{self, PipeReader, Read, Write};
use std::os::unix::process::parent_id;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{fs, process, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{self, ForkResult, Pid, getpid, getppid};

const SECOND: Duration = Duration::from_millis(100);
const CHILDREN: usize = 6;

pub fn main() -> Result<()> {
    println!("main process pid is {}", process::id());
    // For the trace only: no child ends before all are started. Without it, the first may on a busy machine.
    let (gate, mut opener) = io::pipe().context("make a pipe")?;
    let children = (0..CHILDREN)
        .map(|_| fork(|| r(&gate)))
        .collect::<Result<Vec<_>>>()?;
    println!("main process started {CHILDREN} child processes");
    opener.write_all(&[0; CHILDREN]).context("open the gate")?;
    for child in children {
        let status = waitpid(child, None).context("wait for a child")?;
        let success = status == WaitStatus::Exited(child, 0);
        ensure!(success, "a child failed: {status:?}");
    }
    println!("main process joined {CHILDREN} child processes");
    Ok(())
}

fn r(mut gate: &PipeReader) -> Result<()> {
    let (pid, parent) = (process::id(), parent_id());
    println!("child process pid is {pid} ppid is {parent}");
    gate.read_exact(&mut [0]).context("wait at the gate")?;
    thread::sleep(SECOND);
    println!("child process {pid} ends");
    Ok(())
}

/// Runs `work` in a copy of this process, which is killed when this process ends.
fn fork(work: impl FnOnce() -> Result<()>) -> Result<Pid> {
    // A lock that another thread holds, such as the allocator's, would stay locked in the child.
    let threads = fs::read_dir("/proc/self/task").context("list this process's threads")?;
    let threads = threads.count();
    ensure!(threads == 1, "fork before you start threads: {threads} run");
    // Buffered output would be printed twice, by the parent and by the child.
    io::stdout().flush().context("flush stdout")?;
    let parent = getpid();
    // SAFETY: this process has one thread, so the child inherits no lock or half-made state of another.
    match unsafe { unistd::fork() }.context("fork")? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            // The parent may have ended before the first call, hence the second.
            let bound = set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == parent;
            // Unwinding out of here would go on in the parent's code.
            let code = match catch_unwind(AssertUnwindSafe(|| bound.then(work))) {
                Ok(Some(Ok(()))) => 0,
                Ok(Some(Err(error))) => {
                    eprintln!("{error:#}");
                    1
                }
                Ok(None) => 1,
                Err(_) => 101, // The panic has printed its message.
            };
            // SAFETY: ending the process has no precondition. `exit` would also run the parent's exit handlers.
            unsafe { libc::_exit(code) }
        }
    }
}
