//! The notes' own programs, unchanged, with the ports and keys that are written in them.
//!
//! The tests run in a network of their own, where nobody else has these ports.

#![allow(clippy::unwrap_used)]

mod program;

use std::io;
use std::net::TcpStream;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Trial};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, sendto, socket};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use program::Program;

const NOTES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/notes");
/// For each program.
const LONG: Duration = Duration::from_secs(30);
/// What a client of the notes dies of where its server has gone before it has read all results.
const GONE: [&str; 4] = [
    "EOFError",
    "ConnectionResetError",
    "ConnectionRefusedError",
    "BrokenPipeError",
];

fn main() -> ExitCode {
    let args = Arguments::from_args();
    // While there is one thread: others would stay in the network of everybody.
    let isolated = isolate().and_then(|()| has_python());
    let tests: [(&str, fn()); 2] = [
        ("queue::python_server_and_client", queue),
        ("remote_queue::python_server_and_client", remote_queue),
    ];
    let trials = tests.map(|(name, test)| {
        let isolated = isolated.clone();
        Trial::ignorable_test(name, move || {
            if let Err(reason) = isolated {
                return Ok(Completion::ignored_with(reason));
            }
            test();
            Ok(Completion::Completed)
        })
    });
    libtest_mimic::run(&args, trials.into()).exit_code()
}

/// Goes into a network that has nothing but a loopback of its own, or says why that cannot be.
fn isolate() -> Result<(), String> {
    // SAFETY: the file descriptors stay as they are.
    let unshare = |flags| unsafe { unshare_unsafe(flags) };
    unshare(UnshareFlags::NEWNET)
        // Who is not root here can be that among users of its own.
        .or_else(|_| unshare(UnshareFlags::NEWNET | UnshareFlags::NEWUSER))
        .map_err(|error| format!("no network of its own: {error}"))?;
    loopback_up().map_err(|error| format!("no loopback: {error}"))
}

/// `ip link set lo up`, by rtnetlink(7).
fn loopback_up() -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const LOOPBACK: i32 = 1; // Always the first.
    const IFF_UP: u32 = 1;
    let mut message = vec![];
    // struct nlmsghdr
    message.extend(32_u32.to_ne_bytes()); // The length of both.
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend([0; 8]);
    // struct ifinfomsg
    message.extend([0; 4]);
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes()); // The flags,
    message.extend(IFF_UP.to_ne_bytes()); // and which of them to change.
    let netlink = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&netlink, &message, SendFlags::empty(), &kernel)?;
    let mut reply = [0; 64];
    recv(&netlink, &mut reply, RecvFlags::empty())?;
    // struct nlmsgerr, behind the header: 0, or the error.
    match i32::from_ne_bytes(reply[16..20].try_into().unwrap()) {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

fn has_python() -> Result<(), String> {
    let output = Command::new("python3").arg("--version").output();
    output
        .map(drop)
        .map_err(|error| format!("no python3: {error}"))
}

/// Starts a program of the notes.
fn start(name: &str) -> Program {
    // Lines come as they are printed, and no bytecode stays beside the sources.
    Program::start(
        Command::new("python3")
            .args(["-B", "-u", name])
            .current_dir(NOTES),
    )
}

/// What a program prints, which must end in time, and well.
fn finish(program: Program) -> String {
    let (status, text) = program.end(LONG);
    assert!(status.is_some_and(|status| status.success()), "{text}");
    text
}

/// The notes' clients do not wait for their server.
fn listens(port: u16) {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < LONG, "nobody listens on port {port}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn queue() {
    let server = start("queue_server.py");
    listens(5000);
    let client = start("queue_client.py");
    let said = finish(server);
    assert_eq!(said, "Hello World!\n".repeat(10) + "worker exit.\n");
    let (status, said) = client.end(LONG);
    let put = "Put task functools.partial(<built-in function print>, 'Hello World!')...\n";
    let said = said
        .strip_prefix("Connect to server 127.0.0.1...\n")
        .and_then(|said| said.strip_prefix(&put.repeat(10)))
        .unwrap_or_else(|| panic!("{said}"));
    let results = "Result: None\n".repeat(10);
    if status.is_some_and(|status| status.success()) {
        assert_eq!(said, results + "master exit.\n");
    } else {
        // The server goes as soon as it has done its work, whether its results are read or not.
        let (read, error) = said.split_at(said.find("Traceback").unwrap());
        assert!(results.starts_with(read), "{said}");
        assert!(GONE.iter().any(|gone| error.contains(gone)), "{said}");
    }
}

fn remote_queue() {
    let server = start("server.py");
    listens(9697);
    assert_eq!(finish(start("client.py")), "client exit.\n");
    // Its last lines stand behind a `break`.
    assert_eq!(finish(server), "Hello World!\n");
}
