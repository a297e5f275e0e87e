//! `ForkServer`: a small single-threaded process that forks children on request.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::net::{self, Shutdown};
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, getpid, getppid, pidfd_open, waitid,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connection::{START_PACKET, packet_buffer, recv, recv_once, send, socket_pair};
use crate::error::Context;
use crate::process::{Exit, ExitStatus, Process, fork};
use crate::reduction::Fd;
use crate::spawn::{message_for, run_message, start, stateless};

/// A server that forks children on request: Python's `get_context('forkserver')`.
///
/// The server is a child of this process, started like a child of [`spawn`](crate::spawn()). It has a single thread and
/// little memory, so forking it is safe and fast, however many threads and however much memory the client has. Its
/// children inherit nothing from the client; they receive their arguments over a Unix socket.
///
/// Dropping the server ends it and kills every child that was not joined. The same happens when this process ends.
///
/// Cost: a child costs one message each way and the fork of a small process.
///
/// # Examples
///
/// ```
/// use multiproc::forkserver::ForkServer;
/// use multiproc::{Exit, init, target};
///
/// fn main() -> std::io::Result<()> {
///     init([target(child)]);
///     let server = ForkServer::start()?;
///     let processes = [1, 2, 3].map(|n| server.spawn(child, n));
///     for (n, process) in (1..).zip(processes) {
///         assert_eq!(process?.join()?, Exit::Code(n));
///     }
///     Ok(())
/// }
///
/// fn child(n: u8) -> u8 {
///     n
/// }
/// ```
#[derive(Debug)]
pub struct ForkServer {
    socket: OwnedFd,
    pid: u32,
    /// `None` after the server was told to end.
    process: Option<Process>,
}

/// The server's answer to a request. A descriptor of the child comes with it if the child was started.
type Answer = Result<i32, String>;

impl ForkServer {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// As [`spawn`](crate::spawn()).
    pub fn start() -> io::Result<ForkServer> {
        let (socket, theirs) = socket_pair()?;
        let client = getpid().as_raw_nonzero().get();
        let process =
            start_server(serve, &(Fd::from(theirs), client)).context("start the fork server")?;
        Ok(ForkServer {
            socket,
            pid: process.pid(),
            process: Some(process),
        })
    }

    /// Returns the server's pid, the parent pid of its children.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Makes the server fork a child that runs a function. Blocks until the child is started.
    ///
    /// # Errors
    ///
    /// Fails if `function` was not passed to [`init`](crate::init), if the arguments cannot be written, or if the server has
    /// died or cannot fork.
    pub fn spawn<A, R, F>(&self, function: F, arguments: A) -> io::Result<Process>
    where
        A: Serialize + DeserializeOwned,
        R: ExitStatus,
        F: Fn(A) -> R + Copy + 'static,
    {
        stateless(function);
        let (message, fds) = message_for::<F>(&arguments)?;
        let (ours, theirs) = socket_pair()?;
        let fds: Vec<BorrowedFd<'_>> = [theirs.as_fd()]
            .into_iter()
            .chain(fds.iter().map(AsFd::as_fd))
            .collect();
        send(self.socket.as_fd(), START_PACKET, &message, &fds)
            .context("ask the fork server for a child")?;
        drop((arguments, theirs));
        let mut buffer = packet_buffer(START_PACKET);
        let received = recv(ours.as_fd(), &mut buffer)?;
        let (answer, mut fds) =
            received.context("the fork server ended before it started the child")?;
        let answer: Option<Answer> = postcard::from_bytes(answer.bytes(&buffer)).ok();
        let answer = answer.context("the fork server's answer is damaged")?;
        let pid =
            answer.map_err(|reason| io::Error::other(format!("the fork server: {reason}")))?;
        let pid = Pid::from_raw(pid).context("the fork server's answer has no pid")?;
        let pidfd = fds
            .pop()
            .context("the fork server's answer has no descriptor")?;
        Ok(Process::served(pid, ours, pidfd))
    }
}

impl ForkServer {
    /// Returns whether the server was killed.
    pub(crate) fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let pid = self.process.as_ref().map(Process::raw_pid);
        pid.is_none_or(|pid| !matches!(waitid(WaitId::Pid(pid), options), Ok(None)))
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        // Shutting the socket down ends the server. Closing it would not: a forked child may also have it open.
        let told = net::shutdown(&self.socket, Shutdown::Both);
        if let (Ok(()), Some(process)) = (told, self.process.take()) {
            // Fails if the server was killed.
            process.join().ok();
        }
    }
}

/// The server watches its client's process. The parent-death signal would end it with the thread that started it.
fn start_server<F: Fn((Fd, i32)) -> io::Result<()> + Copy + 'static>(
    _: F,
    arguments: &(Fd, i32),
) -> io::Result<Process> {
    start::<F>(arguments, None, |_| {}).map(Process::from)
}

/// The server's record of a child.
struct Child {
    process: Process,
    pidfd: OwnedFd,
    /// The socket on which the client waits for the child's end.
    news: OwnedFd,
}

/// The server: forks children until the client closes the socket. It answers a request that fails with the reason, and
/// continues.
pub(crate) fn serve((socket, client): (Fd, i32)) -> io::Result<()> {
    let pid = Pid::from_raw(client);
    let client = pid.context("the request has no client")?;
    let client = pidfd_open(client, PidfdFlags::empty()).context("watch the client")?;
    // If the client ended before that, the pid may belong to another process.
    if getppid() != pid {
        return Ok(());
    }
    let mut children: Vec<Child> = Vec::new();
    let mut buffer = packet_buffer(START_PACKET);
    loop {
        let mut fds = vec![
            PollFd::new(&socket, PollFlags::IN),
            PollFd::new(&client, PollFlags::IN),
        ];
        for child in &children {
            fds.push(PollFd::new(&child.pidfd, PollFlags::IN));
            // Reports when the client has dropped its end.
            fds.push(PollFd::new(&child.news, PollFlags::empty()));
        }
        retry_on_intr(|| poll(&mut fds, None)).context("wait for requests")?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready[1] {
            return Ok(());
        }
        // Remove from the end, so that the earlier indices stay valid.
        for place in (0..children.len()).rev() {
            let (ended, dropped) = (ready[2 + 2 * place], ready[3 + 2 * place]);
            if !ended {
                // The client could not take the child, and no other process would end it.
                if dropped {
                    children[place].process.kill()?;
                }
                continue;
            }
            let Child { process, news, .. } = children.swap_remove(place);
            let exit = match process.join()? {
                Exit::Code(code) => (code, false),
                Exit::Signal(signal) => (signal, true),
            };
            tell(&news, &exit, &[]);
        }
        if !ready[0] {
            continue;
        }
        match recv_once(socket.as_fd(), &mut buffer) {
            Ok(Some((message, mut fds))) if !fds.is_empty() => {
                let news = fds.remove(0);
                let own = [socket.as_fd(), client.as_fd()];
                children.extend(fork_child(
                    message.bytes(&buffer),
                    fds,
                    news,
                    own,
                    &children,
                ));
            }
            Ok(None) => return Ok(()),
            // The request's descriptors were lost. The client's socket was among them, so the client reads end of file.
            Ok(Some(_)) | Err(_) => {}
        }
    }
}

/// Forks a child and sends the client its pid, or the reason for the failure.
fn fork_child(
    message: &[u8],
    fds: Vec<OwnedFd>,
    news: OwnedFd,
    own: [BorrowedFd<'_>; 2],
    children: &[Child],
) -> Option<Child> {
    let servers = children
        .iter()
        .flat_map(|child| [child.pidfd.as_raw_fd(), child.news.as_raw_fd()]);
    let servers: Vec<RawFd> = servers
        .chain(own.map(|fd| fd.as_raw_fd()))
        .chain([news.as_raw_fd()])
        .collect();
    let cpus = stay_on_this_cpu();
    let forked = fork(|| {
        return_to(cpus);
        for fd in servers {
            // SAFETY: the owners are in the server's stack frames, to which the child never returns.
            unsafe { rustix::io::close(fd) };
        }
        run_message(message, fds)
    });
    return_to(cpus);
    let started = forked.and_then(|process| {
        let pidfd =
            pidfd_open(process.raw_pid(), PidfdFlags::empty()).context("watch the child")?;
        Ok((process, pidfd))
    });
    match started {
        Ok((process, pidfd)) => {
            let pid: Answer = Ok(process.raw_pid().as_raw_nonzero().get());
            tell(&news, &pid, &[pidfd.as_fd()]);
            Some(Child {
                process,
                pidfd,
                news,
            })
        }
        Err(error) => {
            tell(&news, &Answer::Err(error.to_string()), &[]);
            None
        }
    }
}

fn tell(client: &OwnedFd, message: &impl Serialize, fds: &[BorrowedFd<'_>]) {
    if let Ok(bytes) = postcard::to_allocvec(message) {
        // Fails if the client has dropped the process; it does not need the message then.
        send(client.as_fd(), START_PACKET, &bytes, fds).ok();
    }
}

/// Pins this process, and so the child that it is about to fork, to the current CPU. The memory that the child copies is
/// in that CPU's cache, so the child starts faster. Returns the previous CPU set.
fn stay_on_this_cpu() -> Option<CpuSet> {
    let cpus = sched_getaffinity(None).ok()?;
    let mut this = CpuSet::new();
    this.set(sched_getcpu());
    sched_setaffinity(None, &this).ok()?;
    Some(cpus)
}

/// Undoes [`stay_on_this_cpu`].
fn return_to(cpus: Option<CpuSet>) {
    // Fails if all these CPUs have been taken from the process; the kernel has assigned others then.
    cpus.map(|cpus| sched_setaffinity(None, &cpus));
}
