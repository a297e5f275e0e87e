//! `Connection`: one end of a duplex pipe between a program and the same program started again as its child.
//!
//! Python:  `multiprocessing.Pipe()` and `multiprocessing.connection.Connection`
//! Differs: each direction has one type; end of file comes when the last sender is gone, a SIGKILL included.
//!
//! ```cargo
//! [dependencies]
//! anyhow = "1"
//! ipc-channel = "0.23"
//! nix = { version = "0.31", features = ["process", "signal"] }
//! rustix = { version = "1", features = ["net"] }
//! serde = "1"
//! tempfile = "3"
//! ```

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result, ensure};
use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender};
use ipc_channel::{IpcError, TryRecvError};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};

/// One end of a pipe: sends `S`, receives `R`. Dropping it closes it, and the other side reads to the end of file.
///
/// Cost: one `sendmsg` or `recvmsg` for a message of up to about 200 KiB; larger ones travel in pieces, whole.
/// To receive a larger one takes a free descriptor; where there is none, ipc-channel 0.23 panics.
pub struct Connection<S, R> {
    sender: IpcSender<S>,
    receiver: IpcReceiver<R>,
    /// What [`Connection::poll`] found and [`Connection::recv`] has not fetched yet.
    polled: Option<Result<R, IpcError>>,
}

/// The size of a socket address's name, its last byte included.
const LONGEST_NAME: usize = 108;

/// How many descriptors are open at most while the two connect.
const DESCRIPTORS: usize = 8;

/// The child's two ends, as it sends them to its parent.
type Ends<S, R> = (IpcSender<S>, IpcReceiver<R>);

/// The role this process was started in by [`Connection::spawn`]; `None` in the program that the user started.
pub fn role() -> Option<String> {
    let args: Vec<_> = env::args_os().collect();
    let role = |arg: &OsString| arg.to_str()?.strip_prefix("--role=").map(str::to_owned);
    args.iter().rev().find_map(role)
}

impl<S, R> Connection<S, R>
where
    S: Serialize + for<'de> Deserialize<'de>,
    R: Serialize + for<'de> Deserialize<'de>,
{
    /// Starts this program again with the same arguments, `stdin` and a role, and connects to it.
    /// The child finds its role with [`role`] and calls [`Connection::to_parent`] with it, before anything else.
    ///
    /// Fails when the child cannot be started or ends before it has connected. The socket between them has a name in
    /// the temporary folder until they are connected. Meanwhile, for some milliseconds, both put off all signals, as
    /// Ctrl-C would leave the name behind. (In a program with other threads, those get the signals.)
    ///
    /// A thread stays with the child until it ends.
    pub fn spawn(stdin: impl Into<Stdio>) -> Result<(Connection<S, R>, Child)> {
        let signals = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let connected = Self::start_and_accept(stdin.into());
        signals.thread_set_mask()?;
        connected
    }

    fn start_and_accept(stdin: Stdio) -> Result<(Connection<S, R>, Child)> {
        // ipc-channel 0.23 panics where the temporary folder cannot be written, and cuts off a name that is too long
        // for a socket. This gives the reason instead.
        let folder = tempfile::tempdir().context("make a socket in the temporary folder")?;
        let length = folder.path().join("socket").as_os_str().len();
        ensure!(
            length < LONGEST_NAME,
            "the temporary folder's name is too long for a socket: {}",
            folder.path().display()
        );
        ensure!(
            folder.path().to_str().is_some(),
            "the temporary folder's name is not UTF-8: {}",
            folder.path().display()
        );
        drop(folder);
        // Nor can it take a message whose descriptors find no room: it panics.
        let room = (0..DESCRIPTORS).map(|_| fs::File::open("/dev/null"));
        room.collect::<Result<Vec<_>, _>>()
            .context("make room for the pipe's descriptors")?;
        let (server, name) = IpcOneShotServer::<Ends<S, R>>::new().context("make a socket")?;
        let mut child = Command::new(env::current_exe().context("find this program's file")?)
            .args(env::args_os().skip(1))
            .arg(format!("--role={name}"))
            .stdin(stdin)
            .spawn()
            .context("start the child")?;
        // `accept` would wait for ever for a child that dies before it connects. This thread then connects instead;
        // it is refused if the child had connected.
        let pid = Pid::from_raw(child.id().cast_signed());
        thread::spawn(move || {
            if waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).is_ok() {
                connect(&name).ok();
            }
        });
        match server.accept() {
            Ok((_, (sender, receiver))) => Ok((
                Connection {
                    sender,
                    receiver,
                    polled: None,
                },
                child,
            )),
            Err(error) => {
                let status = child.wait().context("wait for the child")?;
                Err(error)
                    .with_context(|| format!("the child ended before it had connected ({status})"))
            }
        }
    }

    /// The child's end of the pipe that [`Connection::spawn`] makes.
    pub fn to_parent(role: String) -> Result<Connection<S, R>> {
        let connected = IpcSender::connect(role.clone());
        // The parent does the same, unless it was killed meanwhile.
        let socket = Path::new(&role);
        fs::remove_file(socket)
            .and_then(|()| fs::remove_dir(socket.parent().unwrap_or(socket)))
            .ok();
        // The child inherits what its parent has put off.
        SigSet::all().thread_unblock()?;
        let (sender, from_child) = ipc::channel().context("make a channel")?;
        let (to_child, receiver) = ipc::channel().context("make a channel")?;
        let parent = connected.context("connect to the parent")?;
        parent
            .send((to_child, from_child))
            .context("send the parent its ends")?;
        Ok(Connection {
            sender,
            receiver,
            polled: None,
        })
    }

    /// Sends a message; blocks while the socket's buffer is full (about 200 KiB that the peer has not read).
    /// An error means that the peer has closed its end or died, and nobody will read the message.
    pub fn send(&self, message: S) -> Result<(), IpcError> {
        self.sender.send(message)
    }

    /// The next message, in the order of sending. Blocks until there is one.
    /// [`IpcError::Disconnected`] is the end of file: the peer has closed its end or died, and all it sent is read.
    pub fn recv(&mut self) -> Result<R, IpcError> {
        loop {
            match self.polled.take().unwrap_or_else(|| self.receiver.recv()) {
                // A signal was handled meanwhile.
                Err(IpcError::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
                received => return received,
            }
        }
    }

    /// Whether [`Connection::recv`] would return at once, waiting for `timeout` at most. True at the end of file too.
    pub fn poll(&mut self, timeout: Duration) -> bool {
        let start = Instant::now();
        while self.polled.is_none() {
            let left = timeout.saturating_sub(start.elapsed());
            self.polled = match self.receiver.try_recv_timeout(left) {
                Ok(message) => Some(Ok(message)),
                Err(TryRecvError::IpcError(IpcError::Io(error)))
                    if error.kind() == ErrorKind::Interrupted =>
                {
                    None
                }
                Err(TryRecvError::IpcError(error)) => Some(Err(error)),
                Err(TryRecvError::Empty) => return false,
            };
        }
        true
    }
}

/// Connects to the socket and closes it. ipc-channel 0.23 would leave a descriptor open where it is refused.
fn connect(name: &str) -> rustix::io::Result<()> {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    let socket = net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
    net::connect(&socket, &SocketAddrUnix::new(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends in one process.
    fn pair<S, R>() -> (Connection<S, R>, Connection<R, S>)
    where
        S: Serialize + for<'de> Deserialize<'de>,
        R: Serialize + for<'de> Deserialize<'de>,
    {
        let ((to_b, from_a), (to_a, from_b)) = (ipc::channel().unwrap(), ipc::channel().unwrap());
        (
            Connection {
                sender: to_b,
                receiver: from_b,
                polled: None,
            },
            Connection {
                sender: to_a,
                receiver: from_a,
                polled: None,
            },
        )
    }

    #[test]
    fn poll_does_not_take_the_message() {
        let (a, mut b) = pair::<u32, u32>();
        assert!(!b.poll(Duration::ZERO));
        a.send(1).unwrap();
        a.send(2).unwrap();
        assert!(b.poll(Duration::from_secs(60)) && b.poll(Duration::ZERO));
        assert_eq!((b.recv().unwrap(), b.recv().unwrap()), (1, 2));
    }

    #[test]
    fn what_was_sent_is_read_before_the_end_of_file() {
        let (a, mut b) = pair::<String, ()>();
        a.send("last".to_owned()).unwrap();
        drop(a);
        assert_eq!(b.recv().unwrap(), "last");
        assert!(
            b.poll(Duration::ZERO),
            "the end of file is ready to be read"
        );
        assert!(matches!(b.recv(), Err(IpcError::Disconnected)));
        assert!(b.send(()).is_err());
    }

    #[test]
    fn a_large_message_arrives_whole() {
        let (a, mut b) = pair::<Vec<u8>, ()>();
        let message: Vec<u8> = (0..8 << 20).map(|n: u32| n as u8).collect();
        let sent = message.clone();
        let sender = thread::spawn(move || a.send(sent).unwrap());
        assert!(b.recv().unwrap() == message);
        sender.join().unwrap();
    }

    /// The test program knows no roles: it refuses the argument, and so ends without having connected.
    #[test]
    fn a_child_that_dies_before_it_connects_is_an_error() {
        let error = Connection::<(), ()>::spawn(Stdio::null()).err().unwrap();
        assert!(
            error
                .to_string()
                .starts_with("the child ended before it had connected"),
            "{error:#}"
        );
    }
}
