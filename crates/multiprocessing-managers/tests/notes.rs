//! The notes' own programs, unchanged, with their ports and keys: each with its partner in Python, and with one in Rust.
//!
//! The tests run in a network namespace of their own, where these ports are free.

#![allow(clippy::unwrap_used)]

mod program;

use std::net::TcpStream;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{io, thread};

use libtest_mimic::{Arguments, Completion, Trial};
use multiprocessing_managers::remote_queue::{
    DEFAULT_AUTHKEY, RemoteQueueClient, RemoteQueueServer,
};
use multiprocessing_managers::types::Queue;
use multiprocessing_managers::{
    Address, Args, Error, Manager, QueueProxy, Registry, Server, Task, Tasks, Value,
};
use program::Program;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, sendto, socket};
use rustix::thread::{UnshareFlags, unshare_unsafe};

const NOTES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/notes");
/// The time limit of each program, and of each wait for a task or a result.
const LONG: Duration = Duration::from_secs(30);
const HELLO: &str = "Hello World!\n";
/// The errors of a client of the notes whose server ends before the client has read all results.
const GONE: [&str; 4] = [
    "EOFError",
    "ConnectionResetError",
    "ConnectionRefusedError",
    "BrokenPipeError",
];

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads = Some(1); // The tests use the same ports.
    // While there is one thread: others would stay in the old namespace.
    let isolated = isolate().and_then(|()| has_python());
    let tests: [(&str, fn()); 6] = [
        ("queue::python_server_and_client", queue),
        ("queue::python_client", queue_client),
        ("queue::python_server", queue_server),
        ("remote_queue::python_server_and_client", remote_queue),
        ("remote_queue::python_client", remote_queue_client),
        ("remote_queue::python_server", remote_queue_server),
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

/// Enters a network namespace with nothing but a loopback, or says why that is impossible.
fn isolate() -> Result<(), String> {
    // SAFETY: the file descriptors stay as they are.
    let unshare = |flags| unsafe { unshare_unsafe(flags) };
    unshare(UnshareFlags::NEWNET)
        // Without root, a user namespace makes this process root inside it.
        .or_else(|_| unshare(UnshareFlags::NEWNET | UnshareFlags::NEWUSER))
        .map_err(|error| format!("no network namespace: {error}"))?;
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
    // -u passes on lines at once, and -B leaves no bytecode beside the sources.
    Program::start(
        Command::new("python3")
            .args(["-B", "-u", name])
            .current_dir(NOTES),
    )
}

/// Returns the output of a program, which must succeed in time.
fn finish(program: Program) -> String {
    let (status, text) = program.end(LONG);
    assert!(status.is_some_and(|status| status.success()), "{text}");
    text
}

/// Waits until a server listens on the port, because the notes' clients do not wait for it.
fn listens(port: u16) {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < LONG, "no server listens on port {port}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn queue() {
    let server = start("queue_server.py");
    listens(5000);
    let client = start("queue_client.py");
    let said = finish(server);
    assert_eq!(said, HELLO.repeat(10) + "worker exit.\n");
    let (status, said) = client.end(LONG);
    let said = said
        .strip_prefix(&put_ten())
        .unwrap_or_else(|| panic!("{said}"));
    let results = "Result: None\n".repeat(10);
    if status.is_some_and(|status| status.success()) {
        assert_eq!(said, results + "master exit.\n");
    } else {
        // The server ends as soon as its work is done, whether or not the results are read.
        let (read, error) = said.split_at(said.find("Traceback").unwrap());
        assert!(results.starts_with(read), "{said}");
        assert!(GONE.iter().any(|gone| error.contains(gone)), "{said}");
    }
}

/// Returns what the notes' client prints before it reads results.
fn put_ten() -> String {
    let put = "Put task functools.partial(<built-in function print>, 'Hello World!')...\n";
    "Connect to server 127.0.0.1...\n".to_owned() + &put.repeat(10)
}

fn queue_client() {
    let (task, result) = (Queue::unbounded(), Queue::unbounded());
    let mut registry = Registry::new();
    for (name, queue) in [("get_task_queue", &task), ("get_result_queue", &result)] {
        let queue = queue.clone();
        registry.register(name, move |_| Ok(queue.clone()));
    }
    let server = Server::bind(&at(5000), b"abc", registry).unwrap();
    let _running = server.start().unwrap();
    let client = start("queue_client.py");
    let get = || task.get(Some(LONG)).unwrap();
    let said = work(get, |r| match r.as_str() {
        Some("exit") => false,
        _ => result.put(r, None).is_ok(),
    });
    assert_eq!(said, HELLO.repeat(10));
    let results = "Result: None\n".repeat(10) + "master exit.\n";
    assert_eq!(finish(client), put_ten() + &results);
}

fn queue_server() {
    let server = start("queue_server.py");
    listens(5000);
    let m = Manager::connect(&at(5000), b"abc").unwrap();
    let task = m.get_queue("get_task_queue").unwrap();
    let result = m.get_queue("get_result_queue").unwrap();
    for _ in 0..10 {
        let hello = Args::new(["Hello World!".into()]);
        task.put(Task::call("builtins", "print", hello)).unwrap();
    }
    leave(&task, "__main__", "server_exit");
    let results = left(&result);
    assert!(results.len() <= 10 && results.iter().all(|r| *r == Value::None));
    assert_eq!(finish(server), HELLO.repeat(10) + "worker exit.\n");
}

fn remote_queue() {
    let server = start("server.py");
    listens(9697);
    assert_eq!(finish(start("client.py")), "client exit.\n");
    // The last lines of the program are after a `break`.
    assert_eq!(finish(server), HELLO);
}

fn remote_queue_client() {
    let server = RemoteQueueServer::new(&at(9697), DEFAULT_AUTHKEY);
    let task_queue = server.get_task_queue().unwrap();
    let result_queue = server.get_result_queue().unwrap();
    let client = start("client.py");
    let get = || task_queue.get_timeout(LONG).unwrap().unwrap();
    let said = work(get, |r| {
        result_queue.put(r.clone()).unwrap();
        r.as_str() != Some("shutdown")
    });
    assert_eq!(said, HELLO);
    assert_eq!(finish(client), "client exit.\n");
    for r in [Value::None, "shutdown".into()] {
        assert_eq!(result_queue.get_nowait().unwrap(), Some(r));
    }
    server.shutdown();
}

fn remote_queue_server() {
    let server = start("server.py");
    listens(9697);
    let client = RemoteQueueClient::new(&at(9697), DEFAULT_AUTHKEY);
    let task_queue = client.get_task_queue().unwrap();
    let result_queue = client.get_result_queue().unwrap();
    let run = Task::call("tasks", "run", Args::default());
    task_queue.put(run).unwrap();
    leave(&task_queue, "tasks", "shutdown");
    let results = left(&result_queue);
    assert!([Value::None, "shutdown".into()].starts_with(&results));
    assert_eq!(finish(server), HELLO);
}

fn at(port: u16) -> Address {
    Address::Tcp("127.0.0.1".to_owned(), port)
}

/// Runs the notes' worker until `more` returns false, and returns what its tasks print.
fn work(get: impl Fn() -> Value, more: impl Fn(Value) -> bool) -> String {
    let said = Arc::new(Mutex::new(String::new()));
    let print = |said: &Arc<Mutex<String>>, text: String| *said.lock().unwrap() += &(text + "\n");
    let (built_in, run) = (said.clone(), said.clone());
    let tasks = Tasks::new()
        .register("builtins.print", move |args| {
            let words: Result<Vec<_>, _> = args.positional.iter().map(Value::str).collect();
            print(&built_in, words?.join(" "));
            Ok(Value::None)
        })
        .register("tasks.run", move |_| {
            print(&run, "Hello World!".to_owned());
            Ok(Value::None)
        })
        .register("__main__.server_exit", |_| Ok("exit".into()))
        .register("tasks.shutdown", |_| Ok("shutdown".into()));
    while more(tasks.run(&get()).unwrap()) {}
    said.lock().unwrap().clone()
}

/// Puts the last task. The notes' server may end before it replies.
fn leave(task: &QueueProxy, module: &str, name: &str) {
    let last = task.put(Task::call(module, name, Args::default()));
    assert!(last.as_ref().err().is_none_or(is_gone), "{last:?}");
}

/// Returns the results that the notes' server has sent before it ended, right after its last task.
fn left(result: &QueueProxy) -> Vec<Value> {
    let mut results = vec![];
    loop {
        match result.get_timeout(LONG) {
            Ok(r) => results.push(r.unwrap()),
            Err(error) => {
                assert!(is_gone(&error), "{error}");
                return results;
            }
        }
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Disconnected { .. } | Error::Io { .. })
}
