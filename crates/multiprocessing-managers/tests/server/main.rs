//! The promises of the server, on real sockets: with the crate's client, unmodified Python, and peers that send anything.

#![allow(clippy::unwrap_used)]

mod attacks;
mod counts;
mod fuzz;
mod killed;
mod limits;
mod shutdown;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use multiprocessing_managers::framing::Frames;
use multiprocessing_managers::transport::Stream;
use multiprocessing_managers::*;
use pickle_value::{dumps, loads};

const KEY: &[u8] = b"secret";

/// The time after which a test counts as hanging.
const LIMIT: Duration = Duration::from_secs(20);

/// Long enough to notice an event that should not happen.
const MOMENT: Duration = Duration::from_millis(50);

/// Returns an address of TCP and one of Unix.
fn places() -> [Address; 2] {
    ["127.0.0.1:0".parse().unwrap(), unix()]
}

fn unix() -> Address {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("unix:@server-test-{}-{number}", process::id());
    name.parse().unwrap()
}

fn serve(place: &Address) -> Running {
    serve_with(place, Registry::sync_manager(), Limits::default())
}

fn serve_with(place: &Address, registry: Registry, limits: Limits) -> Running {
    let server = Server::with_limits(place, KEY, registry, limits).unwrap();
    server.start().unwrap()
}

/// A client that sends what a test wants, with time limits.
struct Raw(Frames);

impl Raw {
    /// Connects without a handshake.
    fn stranger(place: &Address) -> Raw {
        let stream = Stream::connect(place, Some(LIMIT)).unwrap();
        stream.set_timeouts(Some(LIMIT), Some(LIMIT)).unwrap();
        Raw(Frames::new(stream))
    }

    /// Connects, and proves that it has the key.
    fn known(place: &Address) -> Raw {
        let mut raw = Raw::stranger(place);
        auth::connect(&mut raw.0, KEY, LIMIT).unwrap();
        raw
    }

    /// Connects for method calls.
    fn accepted(place: &Address) -> Raw {
        let mut raw = Raw::known(place);
        let accepted = raw.ask(Value::None, "accept_connection", ["raw".into()]);
        assert_eq!(accepted, Some(("#RETURN".to_owned(), Value::None)));
        raw
    }

    /// Returns whether the bytes were sent; the server may have closed the connection.
    fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.0.send(|out| out.extend_from_slice(bytes)).is_ok()
    }

    fn send<const N: usize>(&mut self, ident: impl Into<Value>, method: &str, args: [Value; N]) {
        let request = request(ident.into(), method, args);
        assert!(self.send_bytes(&request));
    }

    /// Returns the kind and result of a reply; `None` at the end of the connection.
    fn reply(&mut self) -> Option<(String, Value)> {
        let reply = loads(self.0.recv(usize::MAX).ok()??).unwrap();
        let Value::Tuple(parts) = reply else {
            panic!("{reply}");
        };
        Some((parts[0].as_str().unwrap().to_owned(), parts[1].clone()))
    }

    fn ask<const N: usize>(
        &mut self,
        ident: impl Into<Value>,
        method: &str,
        args: [Value; N],
    ) -> Option<(String, Value)> {
        self.send(ident, method, args);
        self.reply()
    }
}

fn request<const N: usize>(ident: Value, method: &str, args: [Value; N]) -> Vec<u8> {
    let keywords = Value::Dict([].into());
    let parts = [ident, method.into(), Value::tuple(args), keywords];
    dumps(&Value::tuple(parts))
}

/// Calls one of the server's own functions.
fn control<const N: usize>(place: &Address, function: &str, args: [Value; N]) -> (String, Value) {
    let reply = Raw::known(place).ask(Value::None, function, args);
    reply.unwrap()
}

/// Creates an object, and returns its name.
fn create<const N: usize>(place: &Address, args: [Value; N]) -> Arc<str> {
    let (kind, made) = control(place, "create", args);
    let Value::Tuple(parts) = &made else {
        panic!("{kind} {made}");
    };
    parts[0].as_str().unwrap().into()
}

/// Waits until another thread or process has got somewhere.
fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < LIMIT, "never {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// An unmodified Python client, killed when the test is over.
struct Python(Child);

/// The start of each Python client: `m` is connected, and `it()` is what the test has registered.
const CONNECT: &str = "
import signal, sys
from multiprocessing import current_process
from multiprocessing.managers import SyncManager
place = sys.argv[1]
if place.startswith('unix:@'):
    place = chr(0) + place[6:]
elif ':' in place:
    place = place.split(':')[0], int(place.split(':')[1])
current_process().authkey = b'secret'
SyncManager.register('it')
m = SyncManager(place, b'secret')
m.connect()
def say(*args):
    print(*args, flush=True)
";

impl Python {
    /// Returns `None` and says so if there is no Python.
    fn run(place: &Address, script: &str) -> Option<Python> {
        let script = format!("{CONNECT}{script}");
        let child = Command::new("python3")
            .args(["-c", &script, &place.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        match child {
            Ok(child) => Some(Python(child)),
            Err(error) => {
                eprintln!("not tested: no python3: {error}");
                None
            }
        }
    }

    /// Returns the next line, without its end.
    fn line(&mut self) -> String {
        let mut line = vec![];
        let stdout = self.0.stdout.as_mut().unwrap();
        BufReader::with_capacity(1, stdout)
            .read_until(b'\n', &mut line)
            .unwrap();
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    /// Returns all further output.
    fn rest(&mut self) -> String {
        let mut text = String::new();
        let stdout = self.0.stdout.as_mut().unwrap();
        stdout.read_to_string(&mut text).unwrap();
        text
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // The process may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Runs a test that is otherwise ignored in a process of its own.
fn alone(module: &str, test: &str) {
    let module = module.split_once("::").unwrap().1;
    let name = format!("{module}::{test}");
    let args = [
        "--exact",
        &name,
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ];
    let output = Command::new(env::current_exe().unwrap())
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{failed}");
    assert!(said.contains("1 passed"), "{said}");
}

/// Returns a number of this process's status, such as `VmHWM:`.
fn status(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A simple generator of random numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Returns a proxy of an object, as its server keeps it.
fn proxy(class: &'static str, object: Arc<dyn Referent>) -> Value {
    let class = Global {
        module: "multiprocessing.managers".into(),
        name: class.into(),
    };
    Value::Proxy(Arc::new(pickle_value::Proxy {
        class: Arc::new(class),
        typeid: object.typeid().into(),
        address: Address::Tcp("127.0.0.1".to_owned(), 1),
        ident: "1".into(),
        exposed: None,
        keep: Some(Arc::new(Kept::new(object))),
    }))
}
