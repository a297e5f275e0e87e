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
//! rustix = { version = "1", features = ["event", "net", "process"] }
//! ```

use std::io::{self, IoSlice, IoSliceMut, PipeReader, PipeWriter, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    self, RecvAncillaryBuffer, RecvAncillaryMessage, SendAncillaryBuffer, SendAncillaryMessage,
};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::multiprocessing::{Exit, Process, command, fork};

/// The longest role, in bytes, and the most descriptors that a request can carry.
const LONGEST_ROLE: usize = 4096;
const MOST_FDS: usize = 8;

/// A running server. It was started by exec and has no threads, so its children inherit next to nothing, and forking
/// them is safe whatever threads the client has. It ends when its client is gone; a process that the client forks
/// later is a client too.
pub struct ForkServer {
    /// `None` once the server has been told to end.
    socket: Option<OwnedFd>,
    process: Option<Process>,
    pid: Pid,
}

/// A child of the server.
pub struct Served {
    pid: u32,
    /// The server's messages about the child: its pid, then how it ended.
    news: PipeReader,
}

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
            socket: Some(ours),
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
        let socket = self.socket.as_ref().context("the fork server has ended")?;
        net::sendmsg(
            socket,
            &[IoSlice::new(role.as_bytes())],
            &mut control,
            SendFlags::NOSIGNAL,
        )
        .context("ask the fork server for a child")?;
        drop(writer);
        let pid = read_number(&mut news).context("the fork server did not start the child")?;
        Ok(Served {
            pid: pid.cast_unsigned(),
            news,
        })
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        // The end of the socket ends the server; then it is waited for.
        drop(self.socket.take());
        if let Some(Err(error)) = self.process.take().map(Process::join) {
            eprintln!("fork server: {error:#}");
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
pub fn serve(child: fn(&str, Vec<OwnedFd>) -> Result<u8>) -> Result<()> {
    let socket = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .context("clone the socket")?;
    let mut children: Vec<(Process, OwnedFd, PipeWriter)> = Vec::new();
    loop {
        let mut fds = vec![PollFd::new(&socket, PollFlags::IN)];
        fds.extend(
            children
                .iter()
                .map(|(_, pidfd, _)| PollFd::new(pidfd, PollFlags::IN)),
        );
        rustix::io::retry_on_intr(|| poll(&mut fds, None)).context("wait for requests")?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        // From the end, so that the places before stay what they are.
        for place in (0..children.len()).rev().filter(|place| ready[place + 1]) {
            let (process, _, mut news) = children.swap_remove(place);
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
        let Some((role, mut fds)) = receive(&socket)? else {
            return Ok(());
        };
        ensure!(!fds.is_empty(), "a request without a pipe for the answer");
        let mut news = PipeWriter::from(fds.remove(0));
        let process = fork(|| child(&role, fds))?;
        let pidfd = pidfd_open(process.pid(), PidfdFlags::empty()).context("watch the child")?;
        news.write_all(&process.pid().as_raw_nonzero().get().to_le_bytes())
            .ok();
        children.push((process, pidfd, news));
    }
}

/// The next request: a role and descriptors; `None` when the client is gone.
fn receive(socket: &OwnedFd) -> Result<Option<(String, Vec<OwnedFd>)>> {
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
    let length = received.context("receive a request")?.bytes;
    let fds: Vec<OwnedFd> = control
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
            _ => Vec::new(),
        })
        .collect();
    if length == 0 && fds.is_empty() {
        return Ok(None);
    }
    Ok(Some((
        String::from_utf8_lossy(&buffer[..length]).into_owned(),
        fds,
    )))
}

fn read_number(from: &mut PipeReader) -> io::Result<i32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
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
    fn a_request_carries_its_role_and_descriptors() {
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
        let (role, fds) = receive(&theirs).unwrap().unwrap();
        assert_eq!((role.as_str(), fds.len()), ("child", 1));
        PipeWriter::from(fds.into_iter().next().unwrap())
            .write_all(&7_i32.to_le_bytes())
            .unwrap();
        assert_eq!(read_number(&mut reader).unwrap(), 7);
        drop(ours);
        assert!(receive(&theirs).unwrap().is_none());
    }
}
