//! Objects that a server, a process of its own, holds: CPython's client and ours, each with CPython's server and ours.
//! A single client shares a CPU with the server. On two CPUs the figure would be the time to wake a CPU.

use std::env;
use std::io::{self, BufRead, BufReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use multiproc::{Process, fork};
use multiprocessing_managers::types::Queue;
use multiprocessing_managers::{Address, Args, Manager, Registry, Server, Value};
use pickle_value::dumps;

use crate::case::Goal::{Over, Within};
use crate::case::{Case, Contestant, Goal, Group, Unit, limit, nanoseconds, ours, served};
use crate::workers::{pin, time, together};

const KEY: &[u8] = b"bench";

pub const GROUP: Group = Group {
    name: "manager",
    title: "clients of a manager's server: one on the server's CPU, or four",
    cases: &[
        Case {
            name: "connect, TCP",
            unit: Unit::Time,
            contestants: &four_ways::<CONNECT, true>([20, 200, 20, 1000], AT_ONCE, &[]),
        },
        Case {
            name: "m.list(), TCP",
            unit: Unit::Time,
            contestants: &four_ways::<LIST, true>([8, 60, 8, 500], AT_ONCE, &[]),
        },
        Case {
            name: "connect, Unix",
            unit: Unit::Time,
            contestants: &with_limit(
                four_ways::<CONNECT, false>([200, 300, 500, 2000], &[], &[]),
                limit("4 messages", 4000, echo::<CONNECT>),
            ),
        },
        Case {
            name: "m.list(), Unix",
            unit: Unit::Time,
            contestants: &four_ways::<LIST, false>([60, 80, 200, 800], &[], &[]),
        },
        Case {
            name: "dict set + get",
            unit: Unit::Time,
            contestants: &with_limit(
                four_ways::<DICT, false>([4000, 6000, 6000, 20_000], FASTER, &NEAR_LIMIT),
                limit("2 echoes", 20_000, echo::<DICT>),
            ),
        },
        Case {
            name: "queue put + get",
            unit: Unit::Time,
            contestants: &with_limit(
                four_ways::<QUEUE, false>([3000, 5000, 5000, 20_000], &[], &NEAR_LIMIT),
                limit("2 echoes", 20_000, echo::<QUEUE>),
            ),
        },
        Case {
            name: "queue, 4 clients",
            unit: Unit::Time,
            contestants: &with_limit(
                four_ways::<QUEUE_4, false>(
                    [3000, 5000, 5000, 20_000],
                    &[],
                    &[Over("CPython", 5.0), Within("2 echoes", 1.3)],
                ),
                limit("2 echoes", 20_000, echo::<QUEUE_4>),
            ),
        },
    ],
};

/// The names of the cases in `python/manager.py`.
const CASES: [&str; 5] = ["connect", "list", "dict", "queue", "queue 4"];
const CONNECT: usize = 0;
const LIST: usize = 1;
const DICT: usize = 2;
const QUEUE: usize = 3;
const QUEUE_4: usize = 4;

/// Goals for an unmodified client in Python.
const AT_ONCE: &[Goal] = &[Over("CPython", 20.0)];
const FASTER: &[Goal] = &[Over("CPython", 1.3)];
const NEAR_LIMIT: [Goal; 2] = [Over("CPython", 3.0), Within("2 echoes", 1.3)];

const fn four_ways<const CASE: usize, const TCP: bool>(
    counts: [u64; 4],
    of_python: &'static [Goal],
    of_ours: &'static [Goal],
) -> [Contestant; 4] {
    const MODULE: &str = "multiprocessing.managers";
    [
        served("CPython", MODULE, counts[0], |count| {
            python_client(CASE, &Peer::python(CASE, TCP)?, count)
        }),
        ours(
            "our server",
            counts[1],
            |count| python_client(CASE, &Peer::ours(CASE, TCP)?, count),
            of_python,
        )
        .of(MODULE),
        ours(
            "our client",
            counts[2],
            |count| our_client(CASE, &Peer::python(CASE, TCP)?, count),
            &[],
        )
        .of(MODULE),
        ours(
            "ours",
            counts[3],
            |count| our_client(CASE, &Peer::ours(CASE, TCP)?, count),
            of_ours,
        ),
    ]
}

const fn with_limit(ways: [Contestant; 4], limit: Contestant) -> [Contestant; 5] {
    let [python, server, client, both] = ways;
    [python, server, client, both, limit]
}

/// A server that listens. It is killed when the value is dropped or this process ends.
struct Peer {
    address: String,
    _process: Process,
}

impl Peer {
    fn python(case: usize, tcp: bool) -> Result<Peer> {
        Peer::start(case, tcp, |address, said| {
            let mut command = program();
            command.arg("serve").arg(address);
            let failed = command.stdout(OwnedFd::from(said)).exec();
            Err(failed).context("start python3")
        })
    }

    fn ours(case: usize, tcp: bool) -> Result<Peer> {
        Peer::start(case, tcp, |address, mut said| {
            let jobs = Queue::unbounded();
            let mut registry = Registry::sync_manager();
            registry.register("get_queue", move |_| Ok(jobs.clone()));
            let server = Server::bind(&address.parse()?, KEY, registry).context("listen")?;
            writeln!(said, "{}", server.address()).context("say where it listens")?;
            server.serve();
            Ok(())
        })
    }

    /// Starts a process that writes its address in a line.
    fn start(
        case: usize,
        tcp: bool,
        serve: impl FnOnce(&str, PipeWriter) -> Result<()> + Send,
    ) -> Result<Peer> {
        if case != QUEUE_4 {
            pin()?;
        }
        let address = match tcp {
            true => "127.0.0.1:0".to_owned(),
            false => socket_path().display().to_string(),
        };
        let (said, say) = io::pipe().context("make a pipe")?;
        let process = fork(|| serve(&address, say))?;
        let mut address = String::new();
        let read = BufReader::new(said).read_line(&mut address);
        read.context("hear where the server is")?;
        let address = address.trim_end().to_owned();
        ensure!(!address.is_empty(), "the server does not listen");
        Ok(Peer {
            address,
            _process: process,
        })
    }
}

/// Returns a path in the contestant's own temporary folder, which is removed afterwards.
fn socket_path() -> PathBuf {
    env::temp_dir().join("manager.sock")
}

fn program() -> Command {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/manager.py");
    let mut command = Command::new("python3");
    command.arg("-P").arg(program);
    command
}

fn python_client(case: usize, server: &Peer, count: u64) -> Result<f64> {
    let mut command = program();
    command.arg(CASES[case]).arg(count.to_string());
    let output = command.arg(&server.address).output();
    let output = output.context("start python3")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the client failed: {said}");
    let figure = String::from_utf8_lossy(&output.stdout);
    figure.trim_end().parse().context("the client's figure")
}

fn our_client(case: usize, server: &Peer, count: u64) -> Result<f64> {
    let address: Address = server.address.parse()?;
    let connect = || Manager::connect(&address, KEY);
    if case == CONNECT {
        return time(count, |_| {
            connect()?;
            Ok(())
        });
    }
    if case == QUEUE_4 {
        return four(count, || {
            let jobs = connect()?.get_queue("get_queue")?;
            Ok(move |number: u64| {
                jobs.put(number as i64)?;
                Ok(jobs.get()?.as_int().context("an item that is no number")? as u64)
            })
        });
    }
    let manager = connect()?;
    if case == LIST {
        return time(count, |_| {
            manager.create("list", Args::default())?;
            Ok(())
        });
    }
    if case == QUEUE {
        let jobs = manager.get_queue("get_queue")?;
        return time(count, |number| {
            jobs.put(number as i64)?;
            same(number, &jobs.get()?)
        });
    }
    let numbers = manager.dict([("key", 0)])?;
    time(count, |number| {
        numbers.set("key", number as i64)?;
        same(number, &numbers.get("key")?.context("no such key")?)
    })
}

fn same(number: u64, value: &Value) -> Result<()> {
    let same = value.as_int() == Some(number as i64);
    ensure!(same, "a wrong number in round {number}");
    Ok(())
}

/// Times four processes. Each makes an operation that gets a number and returns one that an earlier call got.
fn four<O: FnMut(u64) -> Result<u64>>(count: u64, start: impl Fn() -> Result<O>) -> Result<f64> {
    let share = count.div_ceil(4);
    let warm_up = share.div_ceil(10);
    let (elapsed, sum) = together(4, |_, is_ready| {
        let mut operate = start()?;
        let mut work = |share: u64| (0..share).try_fold(0, |sum, n| Ok(sum + operate(n)?));
        let sum: Result<u64> = work(warm_up);
        is_ready()?;
        let more: Result<u64> = work(share);
        Ok(sum? + more?)
    })?;
    let expected = 4 * (0..warm_up).chain(0..share).sum::<u64>();
    ensure!(sum == expected, "the numbers' sum is {sum}, not {expected}");
    Ok(nanoseconds(elapsed, share * 4))
}

/// Times messages of the same sizes there and back, without reading their contents.
fn echo<const CASE: usize>(count: u64) -> Result<f64> {
    if CASE != QUEUE_4 {
        pin()?;
    }
    let path = socket_path();
    let listener = UnixListener::bind(&path).context("listen")?;
    // The server is killed when this function returns.
    let _server = fork(move || -> Result<()> {
        loop {
            let (stream, _) = listener.accept().context("accept")?;
            thread::Builder::new().spawn(move || answer(stream))?;
        }
    })?;
    let connect = || UnixStream::connect(&path).context("connect");
    let mut ask = asking();
    match CASE {
        // A handshake, a request and its reply are eight messages.
        CONNECT => time(count, |_| {
            let stream = connect()?;
            (0..4).try_for_each(|_| ask(&stream))
        }),
        QUEUE_4 => four(count, || {
            let stream = connect()?;
            let mut ask = asking();
            Ok(move |number| {
                (0..2).try_for_each(|_| ask(&stream))?;
                Ok(number)
            })
        }),
        _ => {
            let stream = connect()?;
            time(count, |_| (0..2).try_for_each(|_| ask(&stream)))
        }
    }
}

fn asking() -> impl FnMut(&UnixStream) -> Result<()> {
    let (request, reply) = sizes();
    let (question, mut answer) = (vec![1; request], vec![0; reply]);
    move |mut stream| {
        stream.write_all(&question).context("send")?;
        stream.read_exact(&mut answer).context("read an answer")
    }
}

fn answer(mut stream: UnixStream) {
    let (request, reply) = sizes();
    let (mut question, answer) = (vec![0; request], vec![1; reply]);
    while stream.read_exact(&mut question).is_ok() && stream.write_all(&answer).is_ok() {}
}

/// Returns the sizes of the request and the reply that get a number out of a dict, with their headers.
fn sizes() -> (usize, usize) {
    let args = Value::tuple(["key".into()]);
    let ident = "0123456700000001".into();
    let request = Value::tuple([ident, "__getitem__".into(), args, Value::Dict([].into())]);
    let reply = Value::tuple(["#RETURN".into(), 1000.into()]);
    (4 + dumps(&request).len(), 4 + dumps(&reply).len())
}
