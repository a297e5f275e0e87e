//! `Connection`: one end of a duplex pipe between two processes, as `multiprocessing.Pipe()` returns it.

use std::cell::Cell;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use std::{error, fmt};

use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Context, ensure};
use crate::reduction::{self, EncodingError};

/// One end of a duplex pipe: sends `S`, receives `R`.
///
/// The two ends come from [`Connection::pair`]. One stays in this process; the other goes to a child, as an argument of
/// [`spawn`](crate::spawn()) or of a [`ForkServer`](crate::forkserver::ForkServer), or moved into the closure of
/// [`fork`](crate::fork).
///
/// Messages arrive whole and in order. Messages of processes that share an end never interleave, whatever their size. If
/// a sender is killed in the middle of a message, the message is not sent.
///
/// An end is closed when all its copies are dropped or their processes have ended. The other end then reads the remaining
/// messages and gets [`ConnectionError::Closed`]. A forked child has copies of all open ends: move the child's end into
/// its closure, so that the parent keeps no copy.
///
/// Messages are encoded with [postcard](https://docs.rs/postcard), which omits field names. Types that need them to be
/// decoded do not round-trip: `#[serde(skip_serializing_if)]`, untagged enums, `serde_json::Value`.
///
/// Cost: one `sendmsg` or `recvmsg` for a message of up to 128 KiB. A larger message needs its own socket pair and one free
/// descriptor on each side.
///
/// # Examples
///
/// ```
/// use multiproc::{Connection, init, spawn, target};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     init([target(child)]);
///     let (ours, theirs) = Connection::<String, usize>::pair()?;
///     let process = spawn(child, theirs)?;
///     ours.send(&"Hello".to_owned())?;
///     assert_eq!(ours.recv()?, 5);
///     assert!(process.join()?.success());
///     Ok(())
/// }
///
/// fn child(pipe: Connection<usize, String>) -> Result<(), multiproc::ConnectionError> {
///     let text = pipe.recv()?;
///     pipe.send(&text.len())
/// }
/// ```
pub struct Connection<S, R> {
    socket: OwnedFd,
    types: PhantomData<fn(S) -> R>,
}

thread_local! {
    /// A packet buffer, reused by each `recv`.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An error that [`Connection::send`] and [`Connection::recv`] return.
#[derive(Debug)]
pub enum ConnectionError {
    /// All copies of the other end are closed and, for `recv`, all messages are read; Python's `EOFError`.
    Closed,
    /// The message cannot be written as bytes, or the bytes are not a message of this type.
    Message(EncodingError),
    /// A system call failed.
    Io(io::Error),
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionError::Closed => f.write_str("the other end of the pipe is closed"),
            ConnectionError::Message(error) => write!(f, "{error}"),
            ConnectionError::Io(error) => write!(f, "the pipe: {error}"),
        }
    }
}

impl error::Error for ConnectionError {}

impl<S: Serialize, R: DeserializeOwned> Connection<S, R> {
    /// Creates a pipe and returns its two ends.
    ///
    /// # Errors
    ///
    /// Fails when the process or the system has no free descriptors.
    pub fn pair() -> io::Result<(Connection<S, R>, Connection<R, S>)> {
        let (one, other) = socket_pair()?;
        Ok((Connection::new(one), Connection::new(other)))
    }

    /// Sends a message, blocking while the socket's buffer is full (about 200 KiB that the peer has not read).
    ///
    /// # Errors
    ///
    /// [`ConnectionError::Closed`] if the other end is closed.
    pub fn send(&self, message: &S) -> Result<(), ConnectionError> {
        let bytes = reduction::encode(message, Vec::new()).map_err(ConnectionError::Message)?;
        send(self.socket.as_fd(), PACKET, &bytes, &[]).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => ConnectionError::Closed,
            _ => ConnectionError::Io(error),
        })
    }

    /// Returns the next message, blocking until there is one.
    ///
    /// # Errors
    ///
    /// [`ConnectionError::Closed`] at the end of file: the other end is closed and all its messages are read.
    pub fn recv(&self) -> Result<R, ConnectionError> {
        let mut buffer = BUFFER.take();
        // Zeroed by the kernel, page by page, as messages first reach that far.
        if buffer.is_empty() {
            buffer = packet_buffer(PACKET);
        }
        let received = recv(self.socket.as_fd(), &mut buffer).map_err(ConnectionError::Io);
        let message = received.and_then(|received| {
            let (bytes, _) = received.ok_or(ConnectionError::Closed)?;
            reduction::decode(bytes.bytes(&buffer)).map_err(ConnectionError::Message)
        });
        BUFFER.set(buffer);
        message
    }
}

impl<S: Serialize, R: DeserializeOwned> Connection<S, R> {
    /// Returns an iterator over the messages, which blocks until a message arrives and ends at the end of file.
    ///
    /// # Examples
    ///
    /// ```
    /// let (one, other) = multiproc::Connection::<u32, u32>::pair()?;
    /// one.send(&1)?;
    /// one.send(&2)?;
    /// drop(one);
    /// assert_eq!(other.iter().sum::<Result<u32, _>>()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Result<R, ConnectionError>> {
        std::iter::from_fn(|| match self.recv() {
            Err(ConnectionError::Closed) => None,
            message => Some(message),
        })
    }
}

impl<S, R> Connection<S, R> {
    fn new(socket: OwnedFd) -> Connection<S, R> {
        Connection {
            socket,
            types: PhantomData,
        }
    }

    /// Blocks for at most `timeout`, and returns whether [`Connection::recv`] would return immediately. That includes the end
    /// of file.
    ///
    /// A message of more than 128 KiB is ready when its first packet is: `recv` then blocks until the sender has sent the
    /// rest. If the sender is killed first, `recv` drops the message and waits for the next.
    ///
    /// # Errors
    ///
    /// Fails only when the system is out of memory.
    pub fn poll(&self, timeout: Duration) -> io::Result<bool> {
        // A deadline beyond the range of the clock means no limit.
        let until = Instant::now().checked_add(timeout);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // The kernel's type cannot hold every duration. Poll again after the longest one.
            let left = left.map(|left| Timespec::try_from(left).unwrap_or(LONGEST));
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut fds, left.as_ref()) {
                Ok(0) if until.is_none_or(|until| Instant::now() < until) => {}
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("wait for a message"),
            }
        }
    }
}

const LONGEST: Timespec = Timespec {
    tv_sec: i32::MAX as i64,
    tv_nsec: 0,
};

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.socket).finish()
    }
}

impl<S, R> AsFd for Connection<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<S, R> Serialize for Connection<S, R> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        reduction::serialize_fd(self.socket.as_fd(), serializer)
    }
}

impl<'de, S, R> Deserialize<'de> for Connection<S, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Connection<S, R>, D::Error> {
        reduction::deserialize_fd(deserializer).map(Connection::new)
    }
}

/// The largest message of a [`Connection`] that is one packet. The socket's buffer takes 208 KiB by default, bookkeeping
/// included.
const PACKET: usize = 128 << 10;

/// The same for messages that start a child. They are short, and a small buffer spares a new process page faults.
pub(crate) const START_PACKET: usize = 2 << 10;

/// The first byte of a packet: the message follows, or its length does and a stream to read it from.
const WHOLE: u8 = 0;
const STREAM: u8 = 1;

/// The maximum number of descriptors in a message: the kernel's limit, SCM_MAX_FD, minus one for the stream.
const MOST_FDS: usize = 252;

/// Where a received message is stored.
pub(crate) enum Received {
    /// In the buffer, after the packet's first byte.
    Packet(usize),
    Stream(Vec<u8>),
    /// The sender was killed in the middle of the message.
    Lost,
}

impl Received {
    pub(crate) fn bytes<'a>(&'a self, buffer: &'a [u8]) -> &'a [u8] {
        match self {
            Received::Packet(length) => &buffer[1..*length],
            Received::Stream(bytes) => bytes,
            Received::Lost => &[],
        }
    }
}

/// Makes a pair of connected sockets that keep packets apart.
pub(crate) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    net::socketpair(family, kind, SocketFlags::CLOEXEC, None).context("make a socket pair")
}

/// Returns room for a packet with a message of this size.
pub(crate) fn packet_buffer(size: usize) -> Vec<u8> {
    vec![0; 1 + size]
}

/// Sends a message and duplicates of descriptors. A message of more than `packet` bytes goes through a stream.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    packet: usize,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    ensure!(
        fds.len() <= MOST_FDS,
        "{} descriptors are more than {MOST_FDS}, the most that travel together",
        fds.len()
    );
    if bytes.len() <= packet {
        return send_packet(socket, WHOLE, bytes, fds);
    }
    // One packet per message keeps messages of several processes apart. The stream applies back-pressure to the sender.
    let (theirs, mut ours) = UnixStream::pair().context("make a stream for a large message")?;
    let length = (bytes.len() as u64).to_le_bytes();
    send_packet(socket, STREAM, &length, &[&[theirs.as_fd()], fds].concat())?;
    drop(theirs);
    ours.write_all(bytes)
        .map_err(|error| match is_hung_up(socket) {
            true => error,
            // Other processes may have the other end open, and this reader may continue.
            false => io::Error::other("a reader stopped in the middle of a large message"),
        })
}

/// Returns whether all copies of the other end are closed.
fn is_hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default())).is_ok() && fds[0].revents().contains(PollFlags::HUP)
}

fn send_packet(
    socket: BorrowedFd<'_>,
    kind: u8,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_FDS + 1))];
    let parts = [
        IoSlice::new(std::slice::from_ref(&kind)),
        IoSlice::new(bytes),
    ];
    loop {
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        match net::sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Receives a message and its descriptors; `None` at the end of file. The buffer has room for the sender's packets.
pub(crate) fn recv(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<Option<(Received, Vec<OwnedFd>)>> {
    loop {
        match recv_once(socket, buffer)? {
            // The sender was killed midway: the message does not count as sent.
            Some((Received::Lost, _)) => {}
            received => return Ok(received),
        }
    }
}

/// Receives a message as [`recv`] does, but also returns after a message that its sender did not finish.
pub(crate) fn recv_once(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<Option<(Received, Vec<OwnedFd>)>> {
    let Some((length, mut fds)) = recv_packet(socket, buffer)? else {
        return Ok(None);
    };
    if buffer[0] == WHOLE {
        return Ok(Some((Received::Packet(length), fds)));
    }
    let size = buffer[1..length].try_into().map(u64::from_le_bytes);
    let size = size.map_err(|_| io::Error::other("a message without a length"))?;
    ensure!(!fds.is_empty(), "a large message came without its stream");
    let mut stream = UnixStream::from(fds.remove(0)).take(size);
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let read = read.context("read a large message")? as u64;
    Ok(Some(match read == size {
        true => (Received::Stream(bytes), fds),
        false => (Received::Lost, Vec::new()),
    }))
}

fn recv_packet(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<Option<(usize, Vec<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_FDS + 1))];
    loop {
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = match net::recvmsg(socket, &mut parts, &mut control, flags) {
            Ok(received) => received,
            // A peer that closes with unread messages resets the connection. Its own messages can still be read.
            Err(Errno::INTR | Errno::CONNRESET) => continue,
            Err(error) => return Err(error).context("receive a message"),
        };
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            // The kernel gives no reason. Nearly always it is the descriptor limit (ulimit -n).
            return Err(Errno::MFILE).context("a message is lost, no descriptor is free for it");
        }
        // Every packet has a first byte.
        return Ok((received.bytes > 0).then_some((received.bytes, fds)));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn poll_leaves_the_message() {
        let (a, b) = Connection::<u32, u32>::pair().unwrap();
        assert!(!b.poll(Duration::ZERO).unwrap());
        a.send(&1).unwrap();
        a.send(&2).unwrap();
        assert!(b.poll(Duration::MAX).unwrap() && b.poll(Duration::ZERO).unwrap());
        assert_eq!((b.recv().unwrap(), b.recv().unwrap()), (1, 2));
    }

    #[test]
    fn poll_waits_for_the_timeout() {
        let (_a, b) = Connection::<u32, u32>::pair().unwrap();
        let (start, timeout) = (Instant::now(), Duration::from_millis(30));
        assert!(!b.poll(timeout).unwrap());
        assert!(start.elapsed() >= timeout);
    }

    #[test]
    fn messages_are_read_before_the_end_of_file() {
        let (a, b) = Connection::<String, ()>::pair().unwrap();
        a.send(&"last".to_owned()).unwrap();
        drop(a);
        assert_eq!(b.recv().unwrap(), "last");
        assert!(b.poll(Duration::ZERO).unwrap());
        assert!(matches!(b.recv(), Err(ConnectionError::Closed)));
        assert!(matches!(b.send(&()), Err(ConnectionError::Closed)));
    }

    /// The kernel reports the reset before it returns the peer's messages.
    #[test]
    fn messages_of_a_peer_that_left_some_unread_are_read() {
        let (a, b) = Connection::<u32, u32>::pair().unwrap();
        b.send(&1).unwrap();
        a.send(&2).unwrap();
        drop(a);
        assert_eq!(b.recv().unwrap(), 2);
        assert!(matches!(b.recv(), Err(ConnectionError::Closed)));
    }

    #[test]
    fn every_size_arrives_whole() {
        let (a, b) = Connection::<Vec<u8>, ()>::pair().unwrap();
        for size in [0, 1, PACKET - 4, PACKET - 3, PACKET, PACKET + 1, 8 << 20] {
            let message: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            thread::scope(|scope| {
                scope.spawn(|| a.send(&message).unwrap());
                assert!(b.recv().unwrap() == message, "{size}");
            });
        }
    }

    #[test]
    fn a_large_message_without_a_reader_is_an_error() {
        let (a, b) = Connection::<Vec<u8>, ()>::pair().unwrap();
        thread::scope(|scope| {
            let sent = scope.spawn(|| a.send(&vec![7; 8 << 20]));
            b.poll(Duration::MAX).unwrap();
            drop(b);
            assert!(matches!(sent.join().unwrap(), Err(ConnectionError::Closed)));
        });
    }

    #[test]
    fn a_sender_killed_in_a_large_message_has_not_sent_it() {
        let (ours, theirs) = socket_pair().unwrap();
        let (stream, mut writer) = UnixStream::pair().unwrap();
        let length = 100_u64.to_le_bytes();
        send_packet(ours.as_fd(), STREAM, &length, &[stream.as_fd()]).unwrap();
        drop(stream);
        writer.write_all(b"half").unwrap();
        drop(writer);
        send(ours.as_fd(), PACKET, b"next", &[]).unwrap();
        let mut buffer = packet_buffer(PACKET);
        let (received, _) = recv(theirs.as_fd(), &mut buffer).unwrap().unwrap();
        assert_eq!(received.bytes(&buffer), b"next");
    }

    /// Another process may have the other end open.
    #[test]
    fn a_reader_that_gives_up_does_not_close_the_pipe() {
        let (ours, theirs) = socket_pair().unwrap();
        let a = Connection::<Vec<u8>, ()>::new(ours);
        thread::scope(|scope| {
            let sent = scope.spawn(|| a.send(&vec![7; 8 << 20]));
            let mut buffer = packet_buffer(PACKET);
            drop(recv_packet(theirs.as_fd(), &mut buffer).unwrap());
            assert!(matches!(sent.join().unwrap(), Err(ConnectionError::Io(_))));
        });
        a.send(&vec![1]).unwrap();
    }

    #[test]
    fn a_message_of_another_type_is_an_error() {
        let (ours, theirs) = socket_pair().unwrap();
        let (a, b) = (
            Connection::<u8, ()>::new(ours),
            Connection::<(), String>::new(theirs),
        );
        a.send(&200).unwrap();
        assert!(matches!(b.recv(), Err(ConnectionError::Message(_))));
    }
}
