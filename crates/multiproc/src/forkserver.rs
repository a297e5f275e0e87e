//! `ForkServer`: a small process with one thread that forks children on request, over a Unix socket.
//!
//! Python:  `multiprocessing.get_context('forkserver')`
//! Differs: the server is an object; dropping it ends the server, and with it every child that was not joined.
//! Linux:   pidfds, to wait for children and requests at once.
//! Needs:   multiprocessing.rs
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! libc = "0.2"
//! rustix = { version = "1", features = ["event", "net", "process", "stdio", "thread"] }
//! ```

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, PipeReader, PipeWriter, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use anyhow::{Context, Result, bail, ensure};
use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    self, RecvAncillaryBuffer, RecvAncillaryMessage, SendAncillaryBuffer, SendAncillaryMessage,
};
use rustix::net::{
    AddressFamily, RecvFlags, ReturnFlags, SendFlags, Shutdown, SocketFlags, SocketType,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::stdio::dup2_stdin;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::multiprocessing::{Exit, Process, command, fork};

/// The longest role, in bytes, and the most descriptors that a request can carry.
const LONGEST_ROLE: usize = 4096;
const MOST_FDS: usize = 8;

/// A running server. It was started by exec and has no threads, so its children inherit next to nothing, and forking
/// them is safe whatever threads the client has.
///
/// It ends when it is dropped, or with the thread that started it; children that are not joined by then are killed.
///
/// Cost: a child takes a message each way and a fork of a small process, whatever memory the client uses.
pub struct ForkServer {
    socket: OwnedFd,
    /// `None` once the server was told to end.
    process: Option<Process>,
    pid: Pid,
}

/// A child of the server.
pub struct Served {
    pid: u32,
    /// The server's messages about the child: its pid, then how it ended.
    news: PipeReader,
}

/// In the place of a pid: the child was not started, and the reason follows.
const FAILED: i32 = 0;

impl ForkServer {
    /// The role of the server process: its program calls [`serve`] in it.
    pub const ROLE: &str = "forkserver";

    /// Starts this program again in the role [`ForkServer::ROLE`].
    pub fn start() -> Result<ForkServer> {
        let (ours, theirs) = net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .context("make a socket pair")?;
        let process = Process::from(
            command(Self::ROLE)?
                .stdin(theirs)
                .spawn()
                .context("start the fork server")?,
        );
        let pid = process.pid();
        Ok(ForkServer {
            socket: ours,
            process: Some(process),
            pid,
        })
    }

    /// The server's pid, which is the parent's pid of all its children.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Has the server fork a child for `role` and hand it `fds`, which stay open here too. Blocks until it has.
    /// Fails when the server has died, or cannot fork.
    pub fn fork(&self, role: &str, fds: &[BorrowedFd]) -> Result<Served> {
        ensure!(
            role.len() <= LONGEST_ROLE,
            "a role of {} bytes is longer than {LONGEST_ROLE}",
            role.len()
        );
        ensure!(
            fds.len() < MOST_FDS,
            "{} descriptors are more than {}",
            fds.len(),
            MOST_FDS - 1
        );
        let (mut news, writer) = io::pipe().context("make a pipe")?;
        let fds = [&[writer.as_fd()], fds].concat();
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        net::sendmsg(
            &self.socket,
            &[IoSlice::new(role.as_bytes())],
            &mut control,
            SendFlags::NOSIGNAL,
        )
        .context("ask the fork server for a child")?;
        drop(writer);
        let pid = read_number(&mut news).context("the fork server did not start the child")?;
        if pid == FAILED {
            let mut reason = String::new();
            news.read_to_string(&mut reason)
                .context("read the fork server's reason")?;
            bail!("the fork server: {reason}");
        }
        Ok(Served {
            pid: pid.cast_unsigned(),
            news,
        })
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        // The end of the socket ends the server. Closing would not do: a forked child may have the socket open too.
        let told = net::shutdown(&self.socket, Shutdown::Both);
        if let (Ok(()), Some(process)) = (told, self.process.take()) {
            process.join().ok();
        }
    }
}

impl Served {
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Blocks until the child has ended. An error means that the server died, and the child with it.
    pub fn join(mut self) -> Result<Exit> {
        let code = read_number(&mut self.news).context("the fork server ended before the child")?;
        Ok(if code < 0 {
            Exit::Signal(-code)
        } else {
            Exit::Code(code)
        })
    }
}

/// The server's `main`: forks until its client is gone. `child` runs a role with the descriptors that came with it.
/// A request that cannot be met is answered with the reason, and the server goes on.
pub fn serve(child: fn(&str, Vec<OwnedFd>) -> Result<u8>) -> Result<()> {
    let socket = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .context("clone the socket")?;
    // Neither the server nor its children shall read requests by mistake.
    dup2_stdin(File::open("/dev/null").context("open /dev/null")?).context("replace stdin")?;
    let mut children: Vec<Child> = Vec::new();
    loop {
        let mut fds = vec![PollFd::new(&socket, PollFlags::IN)];
        fds.extend(
            children
                .iter()
                .map(|child| PollFd::new(&child.pidfd, PollFlags::IN)),
        );
        rustix::io::retry_on_intr(|| poll(&mut fds, None)).context("wait for requests")?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        // From the end, so that the places before stay what they are.
        for place in (0..children.len()).rev().filter(|place| ready[place + 1]) {
            let Child {
                process, mut news, ..
            } = children.swap_remove(place);
            let code = match process.join()? {
                Exit::Code(code) => code,
                Exit::Signal(signal) => -signal,
            };
            // The client may not care any more.
            news.write_all(&code.to_le_bytes()).ok();
        }
        if !ready[0] {
            continue;
        }
        match receive(&socket)? {
            Request::End => return Ok(()),
            Request::Damaged => {}
            Request::Fork { role, news, fds } => {
                let servers = [&socket]
                    .into_iter()
                    .chain(children.iter().map(|child| &child.pidfd));
                let servers = servers
                    .map(AsRawFd::as_raw_fd)
                    .chain(children.iter().map(|child| child.news.as_raw_fd()));
                let servers: Vec<RawFd> = servers.chain([news.as_raw_fd()]).collect();
                children.extend(start(child, &role, news, fds, servers));
            }
        }
    }
}

/// A child, as the server knows it.
struct Child {
    process: Process,
    pidfd: OwnedFd,
    news: PipeWriter,
}

/// Forks a child and tells the client of it, or why there is none.
fn start(
    child: fn(&str, Vec<OwnedFd>) -> Result<u8>,
    role: &str,
    mut news: PipeWriter,
    fds: Vec<OwnedFd>,
    servers: Vec<RawFd>,
) -> Option<Child> {
    let cpus = stay_on_this_cpu();
    let forked = fork(|| {
        return_to(cpus);
        for fd in servers {
            // SAFETY: their owners are in the server's part of the stack, which the child never returns to.
            unsafe { rustix::io::close(fd) };
        }
        child(role, fds)
    });
    return_to(cpus);
    let started = forked.and_then(|process| {
        let pidfd = pidfd_open(process.pid(), PidfdFlags::empty()).context("watch the child")?;
        Ok((process, pidfd))
    });
    // In what is written here, errors mean that the client does not care any more.
    match started {
        Ok((process, pidfd)) => {
            news.write_all(&process.pid().as_raw_nonzero().get().to_le_bytes())
                .ok();
            Some(Child {
                process,
                pidfd,
                news,
            })
        }
        Err(error) => {
            let reason = format!("{error:#}");
            news.write_all(&[&FAILED.to_le_bytes(), reason.as_bytes()].concat())
                .ok();
            None
        }
    }
}

/// Keeps this process, and so the child that it is about to fork, on this CPU: the cache has here what the child is a
/// copy of, and its start is faster than where the kernel would put it. Returns on which CPUs it might run before.
fn stay_on_this_cpu() -> Option<CpuSet> {
    let cpus = sched_getaffinity(None).ok()?;
    let mut this = CpuSet::new();
    this.set(sched_getcpu());
    sched_setaffinity(None, &this).ok()?;
    Some(cpus)
}

/// Takes back [`stay_on_this_cpu`].
fn return_to(cpus: Option<CpuSet>) {
    // It fails when all these CPUs were taken from the process meanwhile; the kernel has given it others then.
    cpus.map(|cpus| sched_setaffinity(None, &cpus));
}

enum Request {
    Fork {
        role: String,
        news: PipeWriter,
        fds: Vec<OwnedFd>,
    },
    /// The descriptors did not all arrive; the client reads the end of the pipe that was among them.
    Damaged,
    /// The client is gone.
    End,
}

fn receive(socket: &OwnedFd) -> Result<Request> {
    let mut buffer = [0; LONGEST_ROLE];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        net::recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
    });
    let received = received.context("receive a request")?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if received.bytes == 0 && fds.is_empty() {
        return Ok(Request::End);
    }
    if received.flags.contains(ReturnFlags::CTRUNC) || fds.is_empty() {
        return Ok(Request::Damaged);
    }
    let news = PipeWriter::from(fds.remove(0));
    let role = String::from_utf8_lossy(&buffer[..received.bytes]).into_owned();
    Ok(Request::Fork { role, news, fds })
}

fn read_number(from: &mut PipeReader) -> Result<i32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes).ok().context("it has ended")?;
    Ok(i32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test program knows no roles, so it ends at once instead of serving.
    #[test]
    fn a_dead_server_is_an_error() {
        let server = ForkServer::start().unwrap();
        let error = server.fork("child", &[]).err().unwrap();
        let error = format!("{error:#}");
        assert!(error.contains("fork server"), "{error}");
    }

    #[test]
    fn requests_are_bounded() {
        let server = ForkServer::start().unwrap();
        assert!(server.fork(&"x".repeat(LONGEST_ROLE + 1), &[]).is_err());
        assert!(
            server
                .fork("child", &[io::stdin().as_fd(); MOST_FDS])
                .is_err()
        );
    }

    #[test]
    fn a_request_carries_its_role_and_a_pipe() {
        let (ours, theirs) = net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let fds = [writer.as_fd()];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        net::sendmsg(
            &ours,
            &[IoSlice::new(b"child")],
            &mut control,
            SendFlags::NOSIGNAL,
        )
        .unwrap();
        let Request::Fork {
            role,
            mut news,
            fds,
        } = receive(&theirs).unwrap()
        else {
            panic!("no request")
        };
        assert_eq!((role.as_str(), fds.len()), ("child", 0));
        news.write_all(&7_i32.to_le_bytes()).unwrap();
        assert_eq!(read_number(&mut reader).unwrap(), 7);
        drop(ours);
        assert!(matches!(receive(&theirs).unwrap(), Request::End));
    }
}
