//! TCP and Unix sockets behind one type, like `multiprocessing.connection.SocketListener` and `SocketClient`.
//!
//! A host name may also resolve to IPv6 addresses. IPv4 is tried first, because Python's clients support only IPv4.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf, absolute};
use std::time::{Duration, Instant};
use std::{fs, process};

use pickle_value::Address;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{self, Timeout, set_socket_timeout};
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
};

/// The number of connections that may wait to be accepted, if `net.core.somaxconn` allows it.
const BACKLOG: i32 = 4096;

/// One end of a connection. Reading and writing block, and never raise SIGPIPE.
///
/// ```
/// use std::io::{Read, Write};
///
/// use multiprocessing_managers::transport::{Listener, Stream};
///
/// let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap())?;
/// let mut client = Stream::connect(listener.address(), None)?;
/// client.write_all(b"hello")?;
/// let mut buffer = [0; 5];
/// listener.accept()?.read_exact(&mut buffer)?;
/// assert_eq!(&buffer, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub enum Stream {
    /// A TCP socket.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Connects to the first address of a host that answers, IPv4 before IPv6.
    ///
    /// Blocks for at most `timeout`, of which each address gets a share; looking up a name may take longer. It fails
    /// immediately if no server listens, and blocks if the server's backlog is full.
    ///
    /// # Errors
    ///
    /// The system's error for the last address, `TimedOut`, and `InvalidInput` for a path that is too long.
    pub fn connect(address: &Address, timeout: Option<Duration>) -> io::Result<Stream> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let (host, port) = match address {
            Address::Unix(_) => return connect_unix(address, timeout).map(Stream::Unix),
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

    /// Returns another handle of the same connection.
    ///
    /// # Errors
    ///
    /// The system's error if the process has no file descriptor left.
    pub fn try_clone(&self) -> io::Result<Stream> {
        Ok(match self {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone()?),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone()?),
        })
    }

    /// Ends the connection in both directions, for all handles. Blocked reads return.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer has reset the connection.
    pub fn shutdown(&self) -> io::Result<()> {
        Ok(net::shutdown(self, Shutdown::Both)?)
    }

    /// Ends reading, for all handles: reads return the end of the stream, and polls see a hang-up. Writing still works.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer has reset the connection.
    pub fn shutdown_read(&self) -> io::Result<()> {
        Ok(net::shutdown(self, Shutdown::Read)?)
    }

    /// Makes the connection fail when the other machine has not answered for a minute, even if nothing is sent. TCP cannot
    /// otherwise detect a machine that disappears. Does nothing for a Unix socket.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn keep_alive(&self) -> io::Result<()> {
        if let Stream::Tcp(stream) = self {
            sockopt::set_socket_keepalive(stream, true)?;
            sockopt::set_tcp_keepidle(stream, Duration::from_secs(30))?;
            sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?;
            sockopt::set_tcp_keepcnt(stream, 3)?;
            sockopt::set_tcp_user_timeout(stream, 60_000)?;
        }
        Ok(())
    }

    /// Returns whether the other end is on this machine; false after the connection was reset.
    pub fn is_local(&self) -> bool {
        match self {
            Stream::Unix(_) => true,
            Stream::Tcp(stream) => stream
                .peer_addr()
                .is_ok_and(|peer| peer.ip().to_canonical().is_loopback()),
        }
    }

    /// Makes each read or write that takes longer fail with `WouldBlock`, for all handles.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_timeouts(&self, read: Option<Duration>, write: Option<Duration>) -> io::Result<()> {
        set_socket_timeout(self, Timeout::Recv, read)?;
        Ok(set_socket_timeout(self, Timeout::Send, write)?)
    }

    /// Returns the address of this end. A Unix socket that has connected has an empty path.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn local_address(&self) -> io::Result<Address> {
        Ok(match self {
            Stream::Tcp(stream) => stream.local_addr()?.into(),
            Stream::Unix(stream) => {
                let address = stream.local_addr()?;
                let name = address.as_abstract_name().map(Address::from_abstract_name);
                let path = || {
                    Address::Unix(
                        address
                            .as_pathname()
                            .map(Path::to_owned)
                            .unwrap_or_default(),
                    )
                };
                name.unwrap_or_else(path)
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

/// A socket that accepts connections. See [`Stream`] for an example.
///
/// Dropping it removes the file of a Unix socket, if the file is still the same and this process created it.
///
/// ```
/// use multiprocessing_managers::transport::Listener;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("socket");
/// let listener = Listener::bind(&path.display().to_string().parse().unwrap())?;
/// assert!(path.exists());
/// drop(listener);
/// assert!(!path.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    /// Dropped after the socket.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// The device and inode.
    id: (u64, u64),
    owner: u32,
}

impl Listener {
    /// Listens on the first available address of a host, IPv4 before IPv6. An empty host stands for every IPv4 address of the
    /// machine, as in Python.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if another socket listens there, or if the path exists, even if no socket listens any more (then remove
    /// it); `AddrNotAvailable` for an address of another machine; `InvalidInput` for a path that is too long.
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
                    _file: None,
                })
            }
            Address::Unix(path) => {
                let socket = unix_socket()?;
                net::bind(&socket, &unix_address(address)?)?;
                let file = match address.abstract_name() {
                    Some(_) => None,
                    None => Some(SocketFile::new(path)?),
                };
                net::listen(&socket, BACKLOG)?;
                Ok(Listener {
                    socket: Socket::Unix(socket.into()),
                    address: address.clone(),
                    _file: file,
                })
            }
        }
    }

    /// Blocks until the next connection, and returns it.
    ///
    /// # Errors
    ///
    /// The system's error if there is no file descriptor or memory left; the connection then stays in the backlog.
    pub fn accept(&self) -> io::Result<Stream> {
        loop {
            let accepted = match &self.socket {
                Socket::Tcp(listener) => listener.accept().map(|(stream, _)| {
                    // Failure costs only speed, and means that the connection has ended.
                    stream.set_nodelay(true).ok();
                    Stream::Tcp(stream)
                }),
                Socket::Unix(listener) => listener.accept().map(|(s, _)| Stream::Unix(s)),
            };
            match accepted {
                // The client disconnected before it was accepted.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                accepted => return accepted,
            }
        }
    }

    /// Returns the address as it was given, with the port that the system chose for port 0.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix(listener) => listener.as_fd(),
        }
    }
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<SocketFile> {
        // The program may change its directory.
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
            // There is no caller to report an error to.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Returns the addresses of a host, IPv4 first.
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
    // If no server listens on a port of the ephemeral range, a socket can connect to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn connect_unix(address: &Address, timeout: Option<Duration>) -> io::Result<UnixStream> {
    let (socket, address) = (unix_socket()?, unix_address(address)?);
    // The time limit for sending is also that for connecting.
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

fn unix_address(address: &Address) -> io::Result<SocketAddrUnix> {
    let found = match (address, address.abstract_name()) {
        (_, Some(name)) => SocketAddrUnix::new_abstract_name(name),
        (Address::Unix(path), None) if !path.as_os_str().is_empty() => SocketAddrUnix::new(path),
        _ => Err(Errno::INVAL),
    };
    found.map_err(|_| {
        let text = format!("{address} cannot be the name of a Unix socket");
        io::Error::new(ErrorKind::InvalidInput, text)
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const SOON: Option<Duration> = Some(Duration::from_millis(20));
    const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

    fn tcp(host: &str) -> Address {
        Address::Tcp(host.to_owned(), 0)
    }

    /// What one end sends arrives at the other, in both directions.
    fn talk(listener: &Listener) -> [Stream; 2] {
        let mut client = Stream::connect(listener.address(), LIMIT).unwrap();
        let mut server = listener.accept().unwrap();
        for stream in [&client, &server] {
            stream.set_timeouts(LIMIT, LIMIT).unwrap();
        }
        let mut buffer = [0; 4];
        client.write_all(b"ping").unwrap();
        server.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"ping");
        server.write_all(b"pong").unwrap();
        client.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"pong");
        [client, server]
    }

    #[test]
    fn tcp_keeps_the_host_and_tells_the_port() {
        let listener = Listener::bind(&tcp("localhost")).unwrap();
        let Address::Tcp(host, port) = listener.address() else {
            panic!("{}", listener.address());
        };
        assert_eq!(host, "localhost");
        assert_ne!(*port, 0);
        let [client, server] = talk(&listener);
        let number = Address::Tcp("127.0.0.1".to_owned(), *port);
        assert_eq!(server.local_address().unwrap(), number);
        assert_ne!(client.local_address().unwrap(), number);
        for stream in [&client, &server] {
            assert!(net::sockopt::tcp_nodelay(stream).unwrap());
        }
        let taken = Listener::bind(&number).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        drop((client, server, listener));
        // SO_REUSEADDR: at once, although the connection is remembered for a minute.
        let listener = Listener::bind(&number).unwrap();
        drop(listener);
        let error = Stream::connect(&number, LIMIT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn every_address_of_a_name_is_tried() {
        talk(&Listener::bind(&tcp("")).unwrap());
        match Listener::bind(&tcp("::1")) {
            Ok(listener) => {
                let [client, _server] = talk(&listener);
                let Address::Tcp(host, port) = client.local_address().unwrap() else {
                    panic!("not TCP");
                };
                assert_eq!((&*host, port == 0), ("::1", false));
            }
            Err(error) => eprintln!("no IPv6: {error}"),
        }
        let error = Listener::bind(&tcp("no such host")).unwrap_err();
        assert_ne!(error.kind(), ErrorKind::AddrInUse);
        let error = Listener::bind(&tcp("192.0.2.1")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn a_unix_socket_removes_its_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let address = Address::Unix(path.clone());
        let listener = Listener::bind(&address).unwrap();
        assert_eq!(listener.address(), &address);
        let [client, server] = talk(&listener);
        assert_eq!(
            client.local_address().unwrap(),
            Address::Unix(PathBuf::new())
        );
        assert_eq!(server.local_address().unwrap(), address);
        let taken = || Listener::bind(&address).unwrap_err().kind();
        assert_eq!(taken(), ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists());

        let listener = Listener::bind(&address).unwrap();
        fs::rename(&path, folder.path().join("old")).unwrap();
        // A killed process leaves the file behind, without a listener.
        drop(UnixListener::bind(&path).unwrap());
        let refused = Stream::connect(&address, LIMIT).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(taken(), ErrorKind::AddrInUse);
        drop(listener);
        assert!(path.exists());
        let long = Address::Unix(folder.path().join("x".repeat(108)));
        let kind = |result: io::Result<()>| result.unwrap_err().kind();
        let bound = Listener::bind(&long).map(drop);
        assert_eq!(kind(bound), ErrorKind::InvalidInput);
        let connected = Stream::connect(&Address::Unix(PathBuf::new()), None).map(drop);
        assert_eq!(kind(connected), ErrorKind::InvalidInput);
    }

    #[test]
    fn an_abstract_name() {
        let name = format!("unix:@manager_demo-{}", process::id());
        let address: Address = name.parse().unwrap();
        let listener = Listener::bind(&address).unwrap();
        let [_client, server] = talk(&listener);
        assert_eq!(server.local_address().unwrap(), address);
    }

    #[test]
    fn limits_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let listener = UnixListener::bind(&path).unwrap();
        // Only one may wait.
        net::listen(&listener, 0).unwrap();
        let address = Address::Unix(path);
        let waiting = Stream::connect(&address, SOON).unwrap();
        let error = Stream::connect(&address, SOON).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);

        waiting.set_timeouts(SOON, None).unwrap();
        let error = (&waiting).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let error = waiting
            .set_timeouts(Some(Duration::ZERO), None)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        waiting.set_timeouts(LIMIT, None).unwrap();
        let clone = waiting.try_clone().unwrap();
        let reader = thread::spawn(move || (&clone).read(&mut [0]));
        waiting.shutdown().unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), 0);
        // No SIGPIPE.
        let error = (&waiting).write(&[0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
