//! A small message there and back between two processes on one CPU. On two CPUs the figure would be the time to wake
//! one.

use std::io::{self, Read, Write};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ipc_channel::ipc;
use multiproc::{Connection, ConnectionError, Exit, Process, fork, spawn};

use crate::case::Goal::{Over, Within};
use crate::case::{Case, Group, Unit, limit, nanoseconds, ours, peer, python};
use crate::workers::pin;

pub const GROUP: Group = Group {
    name: "pipe",
    title: "a number there and back between two processes on one CPU",
    cases: &[Case {
        name: "ping-pong",
        unit: Unit::Time,
        contestants: &[
            python("CPython", "ping-pong", 12_000),
            peer("ipc-channel", 30_000, ipc_channel),
            ours(
                "Connection",
                30_000,
                connection,
                &[Over("CPython", 2.0), Within("pipes", 2.5)],
            ),
            limit("pipes", 60_000, pipes),
        ],
    }],
};

/// Times `ask`, which sends a number and returns the answer: one more.
fn time(count: u64, mut ask: impl FnMut(u64) -> Result<u64>) -> Result<f64> {
    let warm_up = count.div_ceil(10);
    let mut begin = Instant::now();
    for number in 0..warm_up + count {
        if number == warm_up {
            begin = Instant::now();
        }
        let answer = ask(number)?;
        ensure!(answer == number + 1, "the answer to {number} is {answer}");
    }
    Ok(nanoseconds(begin.elapsed(), count))
}

fn connection(count: u64) -> Result<f64> {
    pin()?;
    let (connection, theirs) = Connection::<u64, u64>::pair()?;
    let child = spawn(answer, theirs)?;
    let figure = time(count, |number| {
        connection.send(&number)?;
        Ok(connection.recv()?)
    })?;
    drop(connection);
    succeeded(child)?;
    Ok(figure)
}

/// The child of `connection`.
pub fn answer(connection: Connection<u64, u64>) -> Result<(), ConnectionError> {
    loop {
        match connection.recv() {
            Ok(number) => connection.send(&(number + 1))?,
            Err(ConnectionError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn succeeded(child: Process) -> Result<()> {
    let exit = child.join()?;
    ensure!(exit == Exit::Code(0), "the child failed: {exit}");
    Ok(())
}

fn ipc_channel(count: u64) -> Result<f64> {
    pin()?;
    let (to_child, from_parent) = ipc::channel::<u64>().context("make a channel")?;
    let (to_parent, from_child) = ipc::channel::<u64>().context("make a channel")?;
    let child = fork(move || -> Result<()> {
        loop {
            match from_parent.recv()? {
                u64::MAX => return Ok(()),
                number => to_parent.send(number + 1)?,
            }
        }
    })?;
    let figure = time(count, |number| {
        to_child.send(number)?;
        Ok(from_child.recv()?)
    })?;
    // The forked child has copies of the parent's ends, so it would not see the end of file.
    to_child.send(u64::MAX)?;
    succeeded(child)?;
    Ok(figure)
}

fn pipes(count: u64) -> Result<f64> {
    pin()?;
    let (mut from_parent, mut to_child) = io::pipe().context("make a pipe")?;
    let (mut from_child, mut to_parent) = io::pipe().context("make a pipe")?;
    let child = fork(|| -> Result<()> {
        loop {
            let mut bytes = [0; 8];
            from_parent.read_exact(&mut bytes)?;
            match u64::from_le_bytes(bytes) {
                u64::MAX => return Ok(()),
                number => to_parent.write_all(&(number + 1).to_le_bytes())?,
            }
        }
    })?;
    let figure = time(count, |number| {
        to_child.write_all(&number.to_le_bytes())?;
        let mut bytes = [0; 8];
        from_child.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    })?;
    to_child.write_all(&u64::MAX.to_le_bytes())?;
    succeeded(child)?;
    Ok(figure)
}
