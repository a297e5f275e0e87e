//! The process at the other end of a connection, if it is on this machine, and whether it still runs.
//!
//! This is how the server learns that a client was killed. It uses Linux's pidfds, /proc, and netlink's sock_diag.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{read_dir, read_link};
use std::mem;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::sync::lock;
use crate::transport::Stream;

/// A process. It stays the same if its number is used again.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    fd: OwnedFd,
}

impl Process {
    /// Returns its number, which another process may have once this one has ended.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns whether the process has ended, even if its parent has not waited for it yet.
    pub fn has_ended(&self) -> bool {
        self.wait_ended(Duration::ZERO)
    }

    /// Waits for the end of the process, and returns whether it came within the timeout.
    pub fn wait_ended(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
            match poll(&mut fds, left.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                result => return result.is_ok_and(|ready| ready > 0),
            }
        }
    }
}

/// Readable when the process has ended.
impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Returns the process at the other end, if it can be found. Correctness must not depend on the result.
///
/// For a Unix socket it is the process that has connected. For TCP it is a process that has the socket open: the first of
/// those that are `known`, or else the one with the lowest number. If a process shares the socket with a forked child,
/// either will do, because the connection ends only when both have closed it.
///
/// Returns `None` if the peer is on another machine or in another namespace of processes; for TCP also if it has closed the
/// socket, or belongs to another user whose open files this process may not read. An unknown process costs a search of the
/// open files of all processes, a known one a search of its own.
pub fn of(stream: &Stream, known: &[u32]) -> Option<Process> {
    match stream {
        Stream::Unix(stream) => of_unix(stream),
        Stream::Tcp(stream) => of_tcp(stream, known),
    }
}

/// Names the peer in a report for people: the address of a TCP peer, the process behind a Unix socket.
pub fn name(stream: &Stream) -> String {
    match stream {
        Stream::Tcp(stream) => match stream.peer_addr() {
            Ok(peer) => peer.to_string(),
            Err(_) => "a client that has left".to_owned(),
        },
        Stream::Unix(stream) => match of_unix(stream) {
            Some(process) => format!("process {}", process.pid()),
            None => "a process".to_owned(),
        },
    }
}

fn of_unix(stream: &UnixStream) -> Option<Process> {
    // The number is 0 for a process of another namespace.
    let pid = getsockopt(stream, sockopt::PeerCredentials).ok()?.pid();
    let pid = Pid::from_raw(pid)?;
    // Since Linux 6.5.
    if let Ok(fd) = getsockopt(stream, sockopt::PeerPidfd) {
        return Some(Process::new(pid, fd));
    }
    let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // While the connection is open, its process still runs, so no other process has its number.
    let mut fds = [PollFd::new(stream, PollFlags::RDHUP)];
    let over = poll(&mut fds, Some(&Timespec::default())).ok()? > 0;
    (!over).then(|| Process::new(pid, fd))
}

fn of_tcp(stream: &TcpStream, known: &[u32]) -> Option<Process> {
    let inode = inode(stream.peer_addr().ok()?, stream.local_addr().ok()?)?;
    let mut looks = lock(&LOOKS);
    let number = looks.next;
    looks.next += 1;
    looks.wanted.push((number, inode));
    loop {
        if let Some(found) = looks.found.remove(&number) {
            return found;
        }
        if looks.busy {
            looks = LOOKED.wait(looks).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        looks.busy = true;
        let wanted = mem::take(&mut looks.wanted);
        drop(looks);
        let mut holders = holders(wanted.iter().map(|(_, inode)| *inode).collect(), known);
        looks = lock(&LOOKS);
        looks.busy = false;
        let found = wanted
            .into_iter()
            .map(|(number, inode)| (number, holders.remove(&inode)));
        looks.found.extend(found);
        LOOKED.notify_all();
    }
}

/// Searches of the open files of all processes. A search is expensive and costs the same for one socket as for many, so one
/// thread at a time searches for all that have asked before it began. Otherwise many clients would cost the square of their
/// number.
static LOOKS: Mutex<Looks> = Mutex::new(Looks {
    next: 0,
    wanted: vec![],
    found: BTreeMap::new(),
    busy: false,
});
static LOOKED: Condvar = Condvar::new();

struct Looks {
    next: u64,
    /// Requests, by number, each with the socket.
    wanted: Vec<(u64, u32)>,
    found: BTreeMap<u64, Option<Process>>,
    busy: bool,
}

impl Process {
    fn new(pid: Pid, fd: OwnedFd) -> Self {
        let pid = pid.as_raw_nonzero().get().unsigned_abs();
        Process { pid, fd }
    }
}

/// Returns all processes, in the order of their numbers.
fn pids() -> impl Iterator<Item = u32> {
    let entries = read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns the processes that have these sockets open, first among the `known` ones.
fn holders(mut wanted: HashSet<u32>, known: &[u32]) -> HashMap<u32, Process> {
    let mut found = HashMap::new();
    for pid in known.iter().copied().chain(pids()) {
        if wanted.is_empty() {
            break;
        }
        // The process has ended, or this one may not read its files.
        let Ok(files) = read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        for file in files.flatten().map(|file| file.path()) {
            if let Some(inode) = socket(&file).filter(|inode| wanted.contains(inode))
                && let Some(process) = holder(pid, &file, inode)
            {
                wanted.remove(&inode);
                found.insert(inode, process);
            }
        }
    }
    found
}

/// Returns the inode of a socket.
fn socket(file: &Path) -> Option<u32> {
    let link = read_link(file).ok()?;
    let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
    inode.parse().ok()
}

fn holder(pid: u32, file: &Path, inode: u32) -> Option<Process> {
    let pid = Pid::from_raw(pid.try_into().ok()?)?;
    let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // Another process may have got the number before the pidfd was opened.
    (socket(file) == Some(inode)).then(|| Process::new(pid, fd))
}

/// Asks the kernel for the TCP socket that is at `from` and connected to `to`. The structs are those of
/// linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h.
fn inode(from: SocketAddr, to: SocketAddr) -> Option<u32> {
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const NLM_F_REQUEST: u16 = 1;
    const REQUEST: u32 = 72;
    let (family, source) = address(from);
    let (_, destination) = address(to);
    let [tcp, extensions, padding] = [6, 0, 0];
    let request = [
        // struct nlmsghdr
        &REQUEST.to_ne_bytes()[..],
        &SOCK_DIAG_BY_FAMILY.to_ne_bytes(),
        &NLM_F_REQUEST.to_ne_bytes(),
        &[0; 8], // sequence, port
        // struct inet_diag_req_v2
        &[family, tcp, extensions, padding],
        &u32::MAX.to_ne_bytes(), // all states
        // struct inet_diag_sockid
        &from.port().to_be_bytes(),
        &to.port().to_be_bytes(),
        &source,
        &destination,
        &[0; 4],    // any interface
        &[0xff; 8], // no cookie
    ]
    .concat();
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let protocol = Some(netlink::SOCK_DIAG);
    let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol).ok()?;
    net::send(&socket, &request, SendFlags::empty()).ok()?;
    let mut reply = [0; 1024];
    // The kernel answers before it returns from the call above.
    let (length, _) = net::recv(&socket, &mut reply, RecvFlags::empty()).ok()?;
    let reply = reply.get(..length)?;
    // The kernel may find a listening socket there instead.
    let same = reply.get(4..6)? == SOCK_DIAG_BY_FAMILY.to_ne_bytes()
        && reply.get(20..22)? == from.port().to_be_bytes()
        && reply.get(22..24)? == to.port().to_be_bytes();
    let inode = reply.get(84..)?.first_chunk()?;
    // A closed socket has no inode.
    Some(u32::from_ne_bytes(*inode)).filter(|inode| same && *inode != 0)
}

/// Returns the family and bytes of an address. IPv4 on a socket of IPv6 counts as IPv4.
fn address(address: SocketAddr) -> (u8, [u8; 16]) {
    const INET: u8 = AddressFamily::INET.as_raw() as u8;
    const INET6: u8 = AddressFamily::INET6.as_raw() as u8;
    match address.ip().to_canonical() {
        IpAddr::V6(ip) => (INET6, ip.octets()),
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            (INET, bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{self, Child, Command, Stdio};

    use pickle_value::Address;

    use super::*;
    use crate::transport::Listener;

    const LIMIT: Duration = Duration::from_secs(20);

    /// Killed when the test is over.
    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    /// It is found, and its end is seen.
    fn check(stream: &Stream, mut child: Killed, known: &[u32]) {
        let pid = child.0.id();
        let found = of(stream, known).unwrap();
        assert_eq!(found.pid(), pid);
        assert!(!found.has_ended());
        assert!(!found.wait_ended(Duration::from_millis(10)));
        child.0.kill().unwrap();
        assert!(found.wait_ended(LIMIT));
        child.0.wait().unwrap();
        assert!(found.has_ended());
        assert!(of(stream, known).is_none_or(|found| found.has_ended()));
    }

    #[test]
    fn this_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut places = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
        places.push(Address::Unix(folder.path().join("x.sock")));
        for place in places {
            let listener = match Listener::bind(&place) {
                Ok(listener) => listener,
                Err(error) => {
                    eprintln!("{place}: {error}");
                    continue;
                }
            };
            let client = Stream::connect(listener.address(), Some(LIMIT)).unwrap();
            let server = listener.accept().unwrap();
            for end in [&client, &server] {
                // Whatever is said to be known.
                for known in [&[][..], &[0, 1, u32::MAX], &[process::id()]] {
                    let found = of(end, known).unwrap();
                    assert_eq!(found.pid(), process::id(), "{place}");
                    assert!(!found.has_ended());
                }
            }
            drop(client);
            if let Stream::Tcp(_) = server {
                assert!(of(&server, &[process::id()]).is_none());
            }
        }
    }

    /// `cat` holds the client's end, on a connection of IPv4, IPv6, and IPv4 to a socket of IPv6.
    #[test]
    fn a_child_over_tcp() {
        for (here, there) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("::", "127.0.0.1"),
            ("::", "::ffff:127.0.0.1"),
        ] {
            let listener = match Listener::bind(&Address::Tcp(here.to_owned(), 0)) {
                Ok(listener) => listener,
                Err(error) => {
                    eprintln!("{here}: {error}");
                    continue;
                }
            };
            let Address::Tcp(_, port) = *listener.address() else {
                panic!("not TCP");
            };
            for known in [false, true] {
                let address = Address::Tcp(there.to_owned(), port);
                let stream = Stream::connect(&address, Some(LIMIT)).unwrap();
                let server = listener.accept().unwrap();
                let Stream::Tcp(stream) = stream else {
                    panic!("not TCP");
                };
                let mut command = Command::new("cat");
                command.stdin(OwnedFd::from(stream)).stdout(Stdio::null());
                let child = Killed(command.spawn().unwrap());
                // It holds this process's end too.
                drop(command);
                let pids = [child.0.id()];
                check(&server, child, if known { &pids } else { &[] });
            }
        }
    }

    #[test]
    fn a_child_that_connects() {
        const CONNECT: &str = "
import socket, sys
place = sys.argv[1]
s = socket.socket(socket.AF_UNIX if place[0] == '/' else socket.AF_INET)
s.connect(place if place[0] == '/' else ('localhost', int(place)))
s.recv(1)
";
        if Command::new("python3").arg("-V").output().is_err() {
            eprintln!("no python3: not tested");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let unix = Address::Unix(folder.path().join("x.sock"));
        for place in [unix, "localhost:0".parse().unwrap()] {
            let listener = Listener::bind(&place).unwrap();
            let place = match listener.address() {
                Address::Tcp(_, port) => port.to_string(),
                Address::Unix(path) => path.display().to_string(),
            };
            let child = Command::new("python3")
                .args(["-c", CONNECT, &place])
                .spawn();
            let child = Killed(child.unwrap());
            check(&listener.accept().unwrap(), child, &[process::id()]);
        }
    }
}
