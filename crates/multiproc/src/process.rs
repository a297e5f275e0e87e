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

/// A running child. Dropping it kills the child and waits for it, so error paths leave no child behind.
///
/// The kernel kills the child when the thread that started it ends. Start children from a thread that outlives them,
/// preferably the main thread. (A child of a fork server ends with the server.)
#[derive(Debug)]
#[must_use = "dropping a process kills it"]
pub struct Process {
    pid: Pid,
    /// The connection to the fork server, for a child of a fork server.
    served: Option<Served>,
    joined: bool,
}

/// A child of a fork server.
#[derive(Debug)]
struct Served {
    /// Receives the child's exit code when the child has ended.
    news: OwnedFd,
    pidfd: OwnedFd,
}

/// The way in which a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The child ended with this exit code.
    Code(i32),
    /// This signal killed the child.
    Signal(i32),
}

impl Exit {
    /// Returns whether the child ended with exit code 0.
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

/// A type that the function of a child can return.
///
/// An error is printed to standard error and gives exit code 1, as in `main`.
pub trait ExitStatus {
    /// Prints the error, if there is one, and returns the exit code.
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
                // `eprintln!` panics if stderr is closed, and the panic would unwind into the parent's stack frames.
                // A single write keeps the line whole even if the parent, and so this process, ends now.
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

    /// Returns the child's pid. It is not reused before [`Process::join`].
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Returns the pid for system calls.
    pub(crate) fn raw_pid(&self) -> Pid {
        self.pid
    }

    /// Kills the child with SIGKILL. Does nothing if the child has ended already.
    ///
    /// # Errors
    ///
    /// Fails when this process may not send the child signals.
    pub fn kill(&self) -> io::Result<()> {
        let Some(served) = &self.served else {
            return process::kill_process(self.pid, Signal::KILL).context("kill the child");
        };
        // The server may have joined the child, and another process may have its pid now.
        match process::pidfd_send_signal(&served.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error).context("kill the child"),
        }
    }

    /// Blocks until the child has ended, and returns its exit code or signal.
    ///
    /// # Errors
    ///
    /// Fails if other code has waited for the child already, or if the fork server died, which kills the child too.
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
            // An error means that the child has ended already.
            self.kill().and_then(|()| self.wait()).ok();
        }
    }
}

/// Runs a closure in a copy of this process: Python's `os.fork()`, or `Process(target=f).start()` under `fork`.
///
/// The child has a copy of this process's memory and of its open descriptors. It exits when the closure returns, without
/// running the parent's destructors and `atexit` functions. The kernel kills it when the calling thread ends.
///
/// The closure is `Send`, as if it ran in another thread, so it cannot capture a lock guard.
///
/// Cost: the kernel copies the page tables, so the cost grows with the memory in use.
///
/// # Errors
///
/// Fails in a process with several threads: only the calling thread exists in the child, and locks held by other threads
/// would stay locked there.
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
    // Buffered output would be copied to the child and printed twice.
    io::stdout().flush().context("flush stdout")?;
    // SAFETY: no other thread exists whose locks or unfinished state the child could inherit.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()).context("fork"),
        // The parent has ended, so no process waits for the exit code.
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

/// Ends a forked child without running the parent's destructors and `atexit` functions.
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
        "cannot fork with {threads} threads: locks that they hold would stay locked; fork before you start threads"
    );
    Ok(())
}

/// Counts the threads that may still run code of this program. The kernel lists a joined thread for a moment longer.
pub(crate) fn threads() -> io::Result<usize> {
    // With a single thread the directory has three links. This check is much cheaper, and nearly always enough.
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

/// Returns whether a thread's flags say that it is exiting and runs no more code of the program.
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

/// Makes the kernel kill this process when its parent (more precisely, the parent's calling thread) ends. Fails if the
/// parent has ended already.
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
        let threads: u32 = error.split(' ').nth(3).unwrap().parse().unwrap();
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
