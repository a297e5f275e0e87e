//! Sockets of TCP and of Unix, behind one type, and the text of an [`Address`].
//!
//! Python:  `multiprocessing.connection.SocketListener` and `SocketClient`
//! Differs: a name may stand for IPv6 addresses too; IPv4 goes first, because a Python client knows no other. Far more
//!          connections may wait to be accepted.
//! Linux:   names in the abstract namespace.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf, absolute};
use std::str::FromStr;
use std::time::{Duration, Instant};
use std::{fs, process};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags};
use rustix::net::{Shutdown, SocketType};

use super::value::Address;

/// How many connections may wait to be accepted, unless the system allows fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// One end of a connection. Reading and writing block, and never raise SIGPIPE.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects, to the first address of a name that answers: those of IPv4, then those of IPv6.
    ///
    /// Blocks until then, at most for `timeout`, of which each address gets its share; looking up a name may take
    /// longer. Where nobody listens, this is an error at once; where the connections that wait are too many, it waits.
    ///
    /// Errors: the system's, for the last address; `TimedOut`; `InvalidInput` for a path that is too long.
    pub fn connect(address: &Address, timeout: Option<Duration>) -> io::Result<Stream> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let (host, port) = match address {
            Address::Unix(path) => return connect_unix(path, timeout).map(Stream::Unix),
            Address::Tcp(host, port) => (host, *port),
        };
        let addresses = resolve(host, port)?;
        let mut failure = None;
        for (index, address) in addresses.iter().enumerate() {
            let remaining = (addresses.len() - index) as u32;
            let share = deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now()) / remaining);
            match connect_tcp(address, share) {
                Ok(stream) => return Ok(Stream::Tcp(stream)),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| no_address(host)))
    }

    /// The same connection once more.
    pub fn try_clone(&self) -> io::Result<Stream> {
        Ok(match self {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone()?),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone()?),
        })
    }

    /// Ends the connection in both directions, for all clones: whoever reads from it wakes up.
    ///
    /// Errors: `NotConnected` if the peer has reset it before.
    pub fn shutdown(&self) -> io::Result<()> {
        Ok(net::shutdown(self, Shutdown::Both)?)
    }

    /// Whoever reads from it, or looks whether it has been hung up, is told that it has ended; what is written still goes.
    pub fn shutdown_read(&self) -> io::Result<()> {
        Ok(net::shutdown(self, Shutdown::Read)?)
    }

    /// From now on each read, or write, that waits longer fails with `WouldBlock`. It holds for all clones.
    ///
    /// Errors: `InvalidInput` for no time at all.
    pub fn set_timeouts(&self, read: Option<Duration>, write: Option<Duration>) -> io::Result<()> {
        set_socket_timeout(self, Timeout::Recv, read)?;
        Ok(set_socket_timeout(self, Timeout::Send, write)?)
    }

    /// Where this end is. A Unix socket that has connected has no name: an empty path.
    pub fn local_address(&self) -> io::Result<Address> {
        Ok(match self {
            Stream::Tcp(stream) => stream.local_addr()?.into(),
            Stream::Unix(stream) => {
                let address = stream.local_addr()?;
                let name = address.as_abstract_name().map(abstract_path);
                let path = || address.as_pathname().map(Path::to_owned);
                Address::Unix(name.or_else(path).unwrap_or_default())
            }
        })
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(net::recv(self, buffer, RecvFlags::empty())?.0)
    }
}

impl Write for &Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(net::send(self, buffer, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&*self).write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket that is listened to. Dropping it removes the file of a Unix socket, if it is still the same and this is the
/// process that made it.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, Option<SocketFile>),
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// The device and the inode.
    id: (u64, u64),
    owner: u32,
}

impl Listener {
    /// Listens: for TCP on the first address of a name that can be had, IPv4 first. An empty host is every IPv4 address
    /// of the machine, as in Python.
    ///
    /// Errors: `AddrInUse` if somebody listens there, and for a path that exists, even if nobody does (then remove it);
    /// `AddrNotAvailable` if it is not an address of this machine; `InvalidInput` for a path that is too long.
    pub fn bind(address: &Address) -> io::Result<Listener> {
        match address {
            Address::Tcp(host, port) => {
                let addresses = resolve(host, *port)?;
                if addresses.is_empty() {
                    return Err(no_address(host));
                }
                // This sets SO_REUSEADDR.
                let listener = TcpListener::bind(&addresses[..])?;
                net::listen(&listener, BACKLOG)?;
                let port = listener.local_addr()?.port();
                Ok(Listener {
                    socket: Socket::Tcp(listener),
                    address: Address::Tcp(host.clone(), port),
                })
            }
            Address::Unix(path) => {
                let socket = unix_socket()?;
                net::bind(&socket, &unix_address(path)?)?;
                let file = match abstract_name(path) {
                    Some(_) => None,
                    None => Some(SocketFile::new(path)?),
                };
                net::listen(&socket, BACKLOG)?;
                Ok(Listener {
                    socket: Socket::Unix(socket.into(), file),
                    address: address.clone(),
                })
            }
        }
    }

    /// Waits for the next connection.
    ///
    /// Errors: that there is no room for one more descriptor (`EMFILE`, `ENFILE`), or for what the kernel needs for it;
    /// the connection goes on waiting then.
    pub fn accept(&self) -> io::Result<Stream> {
        loop {
            let accepted = match &self.socket {
                Socket::Tcp(listener) => listener.accept().map(|(stream, _)| {
                    // It only makes it faster, and can only fail on a connection that has ended.
                    stream.set_nodelay(true).ok();
                    Stream::Tcp(stream)
                }),
                Socket::Unix(listener, _) => listener.accept().map(|(s, _)| Stream::Unix(s)),
            };
            match accepted {
                // It has gone before it was accepted.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                accepted => return accepted,
            }
        }
    }

    /// As it was given, but with the port that the system chose for port 0.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix(listener, _) => listener.as_fd(),
        }
    }
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<SocketFile> {
        // The program may go to another directory.
        let path = absolute(path)?;
        let id = SocketFile::id(&path)?;
        Ok(SocketFile {
            path,
            id,
            owner: process::id(),
        })
    }

    fn id(path: &Path) -> io::Result<(u64, u64)> {
        let metadata = fs::symlink_metadata(path)?;
        Ok((metadata.dev(), metadata.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = SocketFile::id(&self.path).is_ok_and(|id| id == self.id);
        if same && self.owner == process::id() {
            // Nobody is left to be told.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// The addresses of a host, those of IPv4 first.
fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

fn no_address(host: &str) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("{host} has no address"))
}

fn connect_tcp(address: &SocketAddr, timeout: Option<Duration>) -> io::Result<TcpStream> {
    let stream = match timeout {
        None => TcpStream::connect(address)?,
        Some(Duration::ZERO) => return Err(ErrorKind::TimedOut.into()),
        Some(timeout) => TcpStream::connect_timeout(address, timeout)?,
    };
    // Where nobody listens on a port that the system may choose, a socket can be connected to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn connect_unix(path: &Path, timeout: Option<Duration>) -> io::Result<UnixStream> {
    let (socket, address) = (unix_socket()?, unix_address(path)?);
    // The time to send is the time to connect.
    set_socket_timeout(&socket, Timeout::Send, timeout)?;
    match retry_on_intr(|| net::connect(&socket, &address)) {
        Err(Errno::AGAIN) => return Err(ErrorKind::TimedOut.into()),
        connected => connected?,
    }
    set_socket_timeout(&socket, Timeout::Send, None)?;
    Ok(socket.into())
}

fn unix_socket() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    Ok(net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
}

fn unix_address(path: &Path) -> io::Result<SocketAddrUnix> {
    let address = match abstract_name(path) {
        Some(name) => SocketAddrUnix::new_abstract_name(name),
        None if path.as_os_str().is_empty() => Err(Errno::INVAL),
        None => SocketAddrUnix::new(path),
    };
    address.map_err(|_| {
        let text = format!("{} cannot be the name of a socket", path.display());
        io::Error::new(ErrorKind::InvalidInput, text)
    })
}

/// The name in the abstract namespace.
fn abstract_name(path: &Path) -> Option<&[u8]> {
    path.as_os_str().as_bytes().strip_prefix(&[0])
}

fn abstract_path(name: &[u8]) -> PathBuf {
    OsString::from_vec([&[0], name].concat()).into()
}

/// `127.0.0.1:9697`, `localhost:0`, `[::1]:5000`, `/tmp/x.sock`, `unix:relative/x.sock`, `unix:@abstract`; an empty host
/// is every address of the machine.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => match abstract_name(path) {
                Some(name) => write!(f, "unix:@{}", OsStr::from_bytes(name).display()),
                None if path.is_absolute() => write!(f, "{}", path.display()),
                // What begins with an @ would be taken for an abstract name.
                None if path.as_os_str().as_bytes().starts_with(b"@") => {
                    write!(f, "unix:./{}", path.display())
                }
                None => write!(f, "unix:{}", path.display()),
            },
        }
    }
}

/// A text that is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAddress(String);

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.0;
        let forms = "HOST:PORT, [IPV6]:PORT, /PATH, unix:PATH and unix:@NAME are";
        write!(f, "{text:?} is no address; {forms}")
    }
}

impl std::error::Error for InvalidAddress {}

/// What [`Address`] displays as.
impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        parse(text).ok_or_else(|| InvalidAddress(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Address> {
    let path = text.strip_prefix("unix:");
    if let Some(path) = path.or(text.starts_with('/').then_some(text)) {
        let name = path.strip_prefix('@');
        let valid = !path.contains('\0') && !name.unwrap_or(path).is_empty();
        return valid.then(|| match name {
            Some(name) => Address::Unix(abstract_path(name.as_bytes())),
            None => Address::Unix(path.into()),
        });
    }
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(host) => {
            let (number, _zone) = host.split_once('%').unwrap_or((host, ""));
            number.parse::<Ipv6Addr>().ok()?;
            host
        }
        None => host,
    };
    let bracketed = host.len() + port.len() + 1 < text.len();
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || "[]/".contains(c);
    if host.contains(forbidden) || host.contains(':') != bracketed {
        return None;
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    Some(Address::Tcp(
        host.to_owned(),
        port.parse().ok().filter(|_| digits)?,
    ))
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Tcp(address.ip().to_string(), address.port())
    }
}
