//! An echo over TCP: the CPU time that the server, a process of its own, needs for a message. One thread plays all
//! clients: it sends a message through each connection, and then reads the answers. It shares a CPU with the server: on
//! two CPUs the figure is up to half again as large in some runs.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use multiproc::{Exit, fork};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use super::tasks::{current_thread, multi_thread};
use crate::case::Goal::{Over, Within};
use crate::case::{Case, Contestant, Goal, Group, Unit, limit, nanoseconds, ours, served};
use crate::workers::pin;

const SMALL: usize = 20;
const LARGE: usize = 16 << 10;

/// The most bytes of one read.
const BUFFER: usize = 64 << 10;

pub const GROUP: Group = Group {
    name: "echo",
    title: "the CPU time of a TCP server to echo a message",
    cases: &[
        Case {
            name: "1 client, 20 B",
            unit: Unit::Time,
            contestants: &contestants::<1, SMALL>(&[]),
        },
        Case {
            name: "1 client, 16 KiB",
            unit: Unit::Time,
            contestants: &contestants::<1, LARGE>(&[]),
        },
        Case {
            name: "64 clients, 20 B",
            unit: Unit::Time,
            contestants: &contestants::<64, SMALL>(GOALS),
        },
        Case {
            name: "64 clients, 16 KiB",
            unit: Unit::Time,
            contestants: &contestants::<64, LARGE>(GOALS),
        },
    ],
};

const GOALS: &[Goal] = &[
    Over("asyncio", 2.3),
    Over("uvloop", 1.0),
    Within("epoll", 1.2),
];

const fn contestants<const CLIENTS: usize, const SIZE: usize>(
    goals: &'static [Goal],
) -> [Contestant; 5] {
    [
        served("asyncio", "asyncio", 8000, |count| {
            cpu_time::<CLIENTS, SIZE>(count, |listener| python("asyncio", CLIENTS, listener))
        }),
        served("uvloop", "uvloop", 12_000, |count| {
            cpu_time::<CLIENTS, SIZE>(count, |listener| python("uvloop", CLIENTS, listener))
        })
        .among_peers(),
        ours(
            "tokio current-thread",
            40_000,
            |count| {
                cpu_time::<CLIENTS, SIZE>(count, |listener| {
                    on_tokio(current_thread()?, CLIENTS, listener)
                })
            },
            goals,
        ),
        ours(
            "tokio multi-thread",
            40_000,
            |count| {
                cpu_time::<CLIENTS, SIZE>(count, |listener| {
                    on_tokio(multi_thread()?, CLIENTS, listener)
                })
            },
            &[],
        ),
        limit("epoll", 40_000, |count| {
            cpu_time::<CLIENTS, SIZE>(count, |listener| on_epoll(CLIENTS, listener))
        }),
    ]
}

/// Returns the server's CPU time for one of `count` messages. The server ends when all clients have disconnected.
fn cpu_time<const CLIENTS: usize, const SIZE: usize>(
    count: u64,
    serve: impl FnOnce(TcpListener) -> Result<()> + Send,
) -> Result<f64> {
    pin()?;
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    let addr = listener.local_addr().context("the server's address")?;
    // The server is killed if this function fails or this process is killed.
    let server = fork(|| serve(listener))?;
    let clock = clock_getcpuclockid(Pid::from_raw(server.pid().cast_signed()));
    let clock = clock.context("find the server's clock")?;
    let connect = |_| TcpStream::connect(addr).context("connect");
    let mut clients = (0..CLIENTS).map(connect).collect::<Result<Vec<_>>>()?;
    let rounds = count.div_ceil(CLIENTS as u64);
    let warm_up = rounds.div_ceil(10);
    let mut begin = Duration::ZERO;
    let (mut message, mut answer) = (vec![0; SIZE], vec![0; SIZE]);
    for round in 0..warm_up + rounds {
        if round == warm_up {
            begin = now(clock)?;
        }
        message[..8].copy_from_slice(&round.to_le_bytes());
        for client in &mut clients {
            client.write_all(&message).context("send")?;
        }
        for client in &mut clients {
            client.read_exact(&mut answer).context("read an answer")?;
            ensure!(answer == message, "a wrong answer in round {round}");
        }
    }
    let elapsed = now(clock)?.saturating_sub(begin);
    drop(clients);
    let exit = server.join()?;
    ensure!(exit == Exit::Code(0), "the server failed: {exit}");
    Ok(nanoseconds(elapsed, rounds * CLIENTS as u64))
}

fn now(clock: ClockId) -> Result<Duration> {
    let now = clock.now().context("read the server's clock")?;
    Ok(now.into())
}

/// Replaces this process by `python/echo.py`.
fn python(event_loop: &str, clients: usize, listener: TcpListener) -> Result<()> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/echo.py");
    let mut command = Command::new("python3");
    command.arg("-P").arg(program).arg(event_loop);
    command.arg(clients.to_string());
    let failed = command.stdin(OwnedFd::from(listener)).exec();
    Err(failed).context("start python3")
}

fn on_tokio(runtime: Runtime, clients: usize, listener: TcpListener) -> Result<()> {
    listener
        .set_nonblocking(true)
        .context("set up the socket")?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener);
        let listener = listener.context("take the socket")?;
        let mut tasks = vec![];
        for _ in 0..clients {
            let (stream, _) = listener.accept().await.context("accept")?;
            tasks.push(tokio::spawn(echo(stream)));
        }
        for task in tasks {
            task.await.context("wait for a task")??;
        }
        Ok(())
    })
}

async fn echo(mut stream: tokio::net::TcpStream) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match stream.read(&mut buffer).await.context("read")? {
            0 => return Ok(()),
            length => stream
                .write_all(&buffer[..length])
                .await
                .context("answer")?,
        }
    }
}

/// Serves with one thread and system calls: `epoll_wait`, `read`, `write`.
fn on_epoll(clients: usize, listener: TcpListener) -> Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("make an epoll")?;
    let mut streams = vec![];
    for index in 0..clients {
        let (stream, _) = listener.accept().context("accept")?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&epoll, &stream, data, epoll::EventFlags::IN).context("watch a client")?;
        streams.push(Some(stream));
    }
    let mut buffer = vec![0; BUFFER];
    let mut events = Vec::with_capacity(clients);
    while streams.iter().any(Option::is_some) {
        epoll::wait(&epoll, spare_capacity(&mut events), None).context("wait for clients")?;
        for event in events.drain(..) {
            let slot = streams.get_mut(event.data.u64() as usize);
            let slot = slot.context("an unknown client")?;
            let Some(stream) = slot else { continue };
            match stream.read(&mut buffer) {
                Ok(0) => *slot = None,
                Ok(length) => stream.write_all(&buffer[..length]).context("answer")?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("read"),
            }
        }
    }
    Ok(())
}
