//! `Process`: a child process that does not outlive its parent, and [`fork`].

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::panic::{self, AssertUnwindSafe};
use std::process::Child;
use std::{fmt, fs};

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{self, Pid, Signal, WaitOptions, WaitStatus};

use crate::connection::{START_PACKET, packet_buffer, recv};
use crate::error::{Context, ensure};

/// A running child. Dropping it kills the child and waits for it, so no error path leaves one behind.
///
/// The kernel kills the child when the thread that started it ends, however it ends: start children from a thread that
/// outlives them, best from the main thread. (A child of a fork server ends with the server.)
#[derive(Debug)]
#[must_use = "dropping a process kills it"]
pub struct Process {
    pid: Pid,
    /// The fork server's end of a child that is not this process's own.
    served: Option<Served>,
    joined: bool,
}

/// A child of a fork server.
#[derive(Debug)]
struct Served {
    /// A message arrives when the child has ended: its exit code.
    news: OwnedFd,
    pidfd: OwnedFd,
}

/// How a child has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It has ended with this exit code.
    Code(i32),
    /// This signal has killed it.
    Signal(i32),
}

impl Exit {
    /// Returns whether the child has ended with exit code 0.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }
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

/// What the function of a child returns.
///
/// An error is printed to standard error and gives exit code 1, as it does in `main`.
pub trait ExitStatus {
    /// Returns the exit code, after printing the error, if it is one.
    fn code(self) -> u8;
}

impl ExitStatus for () {
    fn code(self) -> u8 {
        0
    }
}

impl ExitStatus for u8 {
    fn code(self) -> u8 {
        self
    }
}

impl<T: ExitStatus, E: fmt::Display> ExitStatus for Result<T, E> {
    fn code(self) -> u8 {
        match self {
            Ok(value) => value.code(),
            Err(error) => {
                // Not `eprintln!`: if nobody reads stderr it panics, and would unwind into what belongs to the parent.
                // And one write, so that the line is whole even if the parent ends now, and this process with it.
                let line = format!("{error:#}\n");
                io::stderr().write_all(line.as_bytes()).ok();
                1
            }
        }
    }
}

impl Process {
    pub(crate) fn served(pid: Pid, news: OwnedFd, pidfd: OwnedFd) -> Process {
        Process {
            pid,
            served: Some(Served { news, pidfd }),
            joined: false,
        }
    }

    /// Returns the child's pid. No other process gets it before [`Process::join`].
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// The pid as system calls take it.
    pub(crate) fn raw_pid(&self) -> Pid {
        self.pid
    }

    /// Kills the child with SIGKILL. A child that has ended already is left as it is.
    ///
    /// # Errors
    ///
    /// Fails when this process may not send the child signals.
    pub fn kill(&self) -> io::Result<()> {
        let Some(served) = &self.served else {
            return process::kill_process(self.pid, Signal::KILL).context("kill the child");
        };
        // The server may have joined it, and its pid may be another process's.
        match process::pidfd_send_signal(&served.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error).context("kill the child"),
        }
    }

    /// Blocks until the child has ended, and returns how.
    ///
    /// # Errors
    ///
    /// Fails when somebody else has waited for the child, or its fork server has died, and the child with it.
    pub fn join(mut self) -> io::Result<Exit> {
        self.wait()
    }

    fn wait(&mut self) -> io::Result<Exit> {
        self.joined = true;
        let Some(served) = &self.served else {
            let ended = retry_on_intr(|| process::waitpid(Some(self.pid), WaitOptions::empty()));
            let (_, status) = ended
                .context("wait for the child")?
                .context("the child has not ended")?;
            return Ok(status.into());
        };
        let mut buffer = packet_buffer(START_PACKET);
        let received = recv(served.news.as_fd(), &mut buffer)?;
        let (message, _) = received.context("the fork server ended before the child")?;
        let exit = postcard::from_bytes(message.bytes(&buffer)).ok();
        let (code, signal): (i32, bool) = exit.context("the fork server's message is damaged")?;
        Ok(if signal {
            Exit::Signal(code)
        } else {
            Exit::Code(code)
        })
    }
}

impl From<Child> for Process {
    fn from(child: Child) -> Process {
        Process {
            pid: Pid::from_child(&child),
            served: None,
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

/// Runs a closure in a copy of this process: Python's `os.fork()`, or `Process(target=f).start()` under `fork`.
///
/// The child has a copy of this process's memory and its open descriptors. It ends with the closure, without running
/// what the parent has set up for its own end. It is killed when the parent's calling thread ends.
///
/// The closure is `Send`, as if it ran in another thread, so that it cannot take a lock's guard into the child.
///
/// Cost: the kernel copies the page tables, so it grows with the memory in use.
///
/// # Errors
///
/// Fails in a process with several threads: the child would have one of them, and the locks of all.
///
/// # Examples
///
/// ```
/// use multiproc::{Exit, fork};
///
/// let process = fork(|| println!("child process {}", std::process::id()))?;
/// assert_eq!(process.join()?, Exit::Code(0));
///
/// let process = fork(|| Err::<(), _>("exit code 1"))?;
/// assert_eq!(process.join()?, Exit::Code(1));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn fork<R: ExitStatus>(child: impl FnOnce() -> R + Send) -> io::Result<Process> {
    ensure_one_thread()?;
    let parent = process::getpid();
    // What is buffered would be in both processes, and printed twice.
    io::stdout().flush().context("flush stdout")?;
    // SAFETY: there is no other thread whose locks or half-made state the child could inherit.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()).context("fork"),
        // Nobody is left to be told.
        0 if end_with(parent).is_err() => leave(1),
        0 => {
            let code = panic::catch_unwind(AssertUnwindSafe(|| child().code()));
            // The panic's message is printed; 101 is the exit code of a panic in Rust.
            leave(code.unwrap_or(101))
        }
        pid => Ok(Process {
            pid: Pid::from_raw(pid).context("fork returned no pid")?,
            served: None,
            joined: false,
        }),
    }
}

/// Ends a forked child without running what the parent has set up for its own end.
fn leave(code: u8) -> ! {
    io::stdout().flush().ok();
    // SAFETY: ending the process has no precondition.
    unsafe { libc::_exit(code.into()) }
}

/// Fork copies only the calling thread. A lock that another thread holds stays locked in the child.
fn ensure_one_thread() -> io::Result<()> {
    let threads = threads().context("count the threads")?;
    ensure!(
        threads == 1,
        "fork beside {threads} threads: the child would never get the locks they hold; fork before you start threads"
    );
    Ok(())
}

/// Counts the threads that may still run code of this program. One that was joined is in the list for a moment longer.
pub(crate) fn threads() -> io::Result<usize> {
    // The folder of a single thread, its own entry and its parent's: one look is much cheaper, and nearly always enough.
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

/// Returns whether a thread's flags say that it is leaving and never returns to the program.
fn is_leaving(stat: &str) -> bool {
    const PF_EXITING: u32 = 4;
    // pid (name) state ppid pgrp session tty tpgid flags ...; the name may contain parentheses and spaces.
    let flags = stat
        .rsplit_once(')')
        .and_then(|(_, tail)| tail.split_whitespace().nth(6));
    flags
        .and_then(|flags| flags.parse().ok())
        .is_some_and(|flags: u32| flags & PF_EXITING != 0)
}

/// Has the kernel kill this process when its parent (to be exact, the parent's calling thread) ends. Fails if it has
/// ended already.
pub(crate) fn end_with(parent: Pid) -> io::Result<()> {
    process::set_parent_process_death_signal(Some(Signal::KILL))?;
    match process::getppid() {
        Some(pid) if pid == parent => Ok(()),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn fork_beside_threads_is_refused() {
        let error = std::thread::spawn(|| fork(|| {}).unwrap_err().to_string())
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

    #[test]
    fn dropping_kills_and_reaps() {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::from(child);
        let pid = process.raw_pid();
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
