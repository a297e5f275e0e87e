//! `Process`: a child process, forked or spawned, that does not outlive its parent.
//!
//! Python:  `multiprocessing.Process` with the start methods fork and spawn
//! Differs: fork takes a closure, spawn a role, because a new program cannot be handed a closure.
//! Linux:   the parent-death signal, and `/proc/self/task` for the number of threads.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["process"] }
//! ```

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::panic::{self, AssertUnwindSafe};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::{env, fmt, fs};

use anyhow::{Context, Result, ensure};
use rustix::process::{self, Pid, Signal, WaitOptions, WaitStatus};

/// A running child. Dropping it kills the child and waits for it, so no error path leaves one behind.
///
/// The kernel kills the child when the thread that started it ends, however that ends: start children from a thread
/// that outlives them, best from the main thread.
#[derive(Debug)]
#[must_use = "a process that is dropped is killed"]
pub struct Process {
    pid: Pid,
    joined: bool,
}

/// How a child has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

impl From<WaitStatus> for Exit {
    fn from(status: WaitStatus) -> Exit {
        let signal = status.terminating_signal().map(Exit::Signal);
        signal.unwrap_or(Exit::Code(status.exit_status().unwrap_or_default()))
    }
}

impl Process {
    /// The child's pid; it stays the child's until [`Process::join`].
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Ends the child at once.
    pub fn kill(&self) -> Result<()> {
        process::kill_process(self.pid, Signal::KILL).context("kill the child")
    }

    /// Blocks until the child has ended.
    pub fn join(mut self) -> Result<Exit> {
        self.wait()
    }

    fn wait(&mut self) -> Result<Exit> {
        self.joined = true;
        let ended =
            rustix::io::retry_on_intr(|| process::waitpid(Some(self.pid), WaitOptions::empty()));
        let (_, status) = ended
            .context("wait for the child")?
            .context("the child has not ended")?;
        Ok(status.into())
    }
}

impl From<Child> for Process {
    fn from(child: Child) -> Process {
        Process {
            pid: Pid::from_child(&child),
            joined: false,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.joined {
            // Errors mean that the child has ended already, which is what this wants.
            self.kill().and_then(|()| self.wait()).ok();
        }
    }
}

/// Runs `child` in a copy of this process; its value is the exit code, an error is printed and exit code 1.
///
/// `Send`, as if it were for another thread, so that the child takes no guard along whose lock only the parent holds.
///
/// Cost: the kernel copies the page tables, so it grows with the memory in use. Fails in a process with threads.
pub fn fork(child: impl FnOnce() -> Result<u8> + Send) -> Result<Process> {
    ensure_one_thread()?;
    let parent = process::getpid();
    // What is buffered would be in both processes, and printed twice.
    io::stdout().flush().context("flush stdout")?;
    // SAFETY: there is no other thread whose locks or half-made state the child could inherit.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()).context("fork"),
        0 if end_with(parent).is_err() => leave(Ok(Ok(1))), // There is nobody to be told.
        0 => leave(panic::catch_unwind(AssertUnwindSafe(child))),
        pid => Ok(Process {
            pid: Pid::from_raw(pid).context("fork returned no pid")?,
            joined: false,
        }),
    }
}

/// Ends a forked child without running what the parent has set up for its own end.
fn leave(result: std::thread::Result<Result<u8>>) -> ! {
    let code = match result {
        Ok(Ok(code)) => code.into(),
        Ok(Err(error)) => {
            // Not `eprintln!`: if nobody reads stderr it panics, and would unwind into what belongs to the parent.
            // And one write, so that the line is whole even if the parent ends now, and this process with it.
            io::stderr()
                .write_all(format!("{error:#}\n").as_bytes())
                .ok();
            1
        }
        // The panic's message is printed; 101 is the code of a panic in Rust.
        Err(_) => 101,
    };
    io::stdout().flush().ok();
    // SAFETY: ending the process has no precondition.
    unsafe { libc::_exit(code) }
}

/// Fork copies only the calling thread. A lock that another thread holds stays locked in the child for ever.
pub fn ensure_one_thread() -> Result<()> {
    let threads = threads().context("count the threads")?;
    ensure!(
        threads == 1,
        "fork with {threads} threads: the child would wait for ever for what they lock; fork first"
    );
    Ok(())
}

/// How many threads may still run code of this program. One that was joined is in the list for a moment longer.
fn threads() -> io::Result<usize> {
    // Nearly always that is all, and much cheaper: the folder of a single thread, its own entry and its parent's.
    if fs::metadata("/proc/self/task")?.nlink() == 3 {
        return Ok(1);
    }
    let mut threads = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        match fs::read_to_string(thread?.path().join("stat")) {
            Ok(stat) => threads += usize::from(!is_leaving(&stat)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(threads)
}

/// Whether a thread's flags say that it is on its way out of the kernel, and never returns to the program.
fn is_leaving(stat: &str) -> bool {
    const PF_EXITING: u32 = 4;
    // pid (name) state ppid pgrp session tty tpgid flags ...: the name may hold anything.
    let flags = stat
        .rsplit_once(')')
        .and_then(|(_, tail)| tail.split_whitespace().nth(6));
    flags
        .and_then(|flags| flags.parse().ok())
        .is_some_and(|flags: u32| flags & PF_EXITING != 0)
}

/// Starts this program again, in a role and with nothing of this process's memory or files but the standard streams.
///
/// Cost: vfork and exec, whatever memory is in use.
pub fn spawn(role: &str) -> Result<Process> {
    let mut command = command(role)?;
    let child = command
        .spawn()
        .with_context(|| format!("start {:?} again", command.get_program()))?;
    Ok(child.into())
}

/// The command behind [`spawn`], for those who want other standard streams.
///
/// Fails in a process that was itself started in a role and has not asked for it: it would go on and on.
pub fn command(role: &str) -> Result<Command> {
    ensure!(
        ROLE.get().is_some() || role_argument().is_none(),
        "this process was started in a role, and has not asked for it: call `role` first in main"
    );
    let mut command = Command::new(env::current_exe().context("find this program's file")?);
    command
        .args(env::args_os().skip(1))
        .arg(format!("--role={role}@{}", process::getpid()));
    Ok(command)
}

/// The role this process was started in; `None` in the program that the user started.
///
/// Ask first thing in `main`: it also has the kernel kill this process when its parent ends. If the parent has ended
/// already, so does this process.
pub fn role() -> Option<String> {
    ROLE.get_or_init(find_role).clone()
}

/// Found once, because a child forked from this process has the same arguments, but another parent.
static ROLE: OnceLock<Option<String>> = OnceLock::new();

fn role_argument() -> Option<String> {
    let args: Vec<_> = env::args_os().collect();
    let role = |arg: &OsString| arg.to_str()?.strip_prefix("--role=").map(str::to_owned);
    args.iter().rev().find_map(role)
}

fn find_role() -> Option<String> {
    let role = role_argument()?;
    let parent = role.rsplit_once('@').and_then(|(name, parent)| {
        let parent = Pid::from_raw(parent.parse().ok()?)?;
        Some((name, parent))
    });
    let Some((name, parent)) = parent else {
        return Some(role);
    };
    if end_with(parent).is_err() {
        writeln!(io::stderr(), "{name}: the parent has ended").ok();
        std::process::exit(1);
    }
    Some(name.to_owned())
}

/// Has the kernel kill this process when its parent (to be exact, the parent's calling thread) ends. It may have ended.
fn end_with(parent: Pid) -> io::Result<()> {
    process::set_parent_process_death_signal(Some(Signal::KILL))?;
    match process::getppid() {
        Some(pid) if pid == parent => Ok(()),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fork_beside_threads_is_refused() {
        let error = std::thread::spawn(|| fork(|| Ok(0)).unwrap_err().to_string())
            .join()
            .unwrap();
        let threads: u32 = error.split(' ').nth(2).unwrap().parse().unwrap();
        assert!(threads >= 2, "{error}");
    }

    #[test]
    fn a_thread_that_leaves_is_known_by_its_flags() {
        assert!(!is_leaving("7 (a) b) R 1 7 7 0 -1 4194304 0"));
        assert!(is_leaving("7 (a) b) R 1 7 7 0 -1 4194308 0"));
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        assert!(!is_leaving(&own));
    }

    /// The test program knows no roles: it refuses the argument, which makes it a child that fails.
    #[test]
    fn join_returns_the_exit_code() {
        assert_eq!(spawn("none").unwrap().join().unwrap(), Exit::Code(101));
    }

    #[test]
    fn dropping_kills_and_reaps() {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::from(child);
        let pid = process.pid();
        drop(process);
        assert_eq!(
            process::test_kill_process(pid),
            Err(rustix::io::Errno::SRCH)
        );
    }

    #[test]
    fn signals_are_told_from_exit_codes() {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::from(child);
        process.kill().unwrap();
        assert_eq!(process.join().unwrap(), Exit::Signal(9));
    }
}
