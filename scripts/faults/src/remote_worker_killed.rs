//! A remote task queue has two workers in Rust and two in Python; one of each is killed. Every task is done.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use multiproc::{Exit, Process, spawn};
use multiprocessing_managers::remote_queue::{RemoteQueueClient, RemoteQueueServer};
use multiprocessing_managers::{Address, Args, Task, Tasks, Value};

use crate::{LONG, each};

/// How many tasks a round has.
const TASKS: u32 = 2000;
const KEY: &str = "key";

/// A worker written in plain Python, which works with any server.
const PYTHON: &str = "
import sys
from multiprocessing.managers import BaseManager

class QueueManager(BaseManager):
    pass

QueueManager.register('get_task_queue')
QueueManager.register('get_result_queue')
host, port, key = sys.stdin.readline().split()
manager = QueueManager((host, int(port)), key.encode())
manager.connect()
tasks, results = manager.get_task_queue(), manager.get_result_queue()
while (task := tasks.get()) is not None:
    results.put(task())
";

/// The workers run through all rounds; the two are killed in the middle.
pub fn run(rounds: u32) -> Result<String> {
    let server = RemoteQueueServer::new(&Address::Tcp("127.0.0.1".into(), 0), KEY.as_bytes());
    let address = server.start()?;
    let (tasks, results) = (server.get_task_queue()?, server.get_result_queue()?);
    let all = rounds * TASKS;
    for number in 0..all {
        // The larger of the two is the task's number.
        let args = Args::new([Value::from(number), (-1).into()]);
        tasks.put(Task::call("builtins", "max", args))?;
    }
    let rust = || spawn(worker, address.to_string());
    let killed = [rust()?, python(&address)?];
    let others = [rust()?, python(&address)?];
    let mut times = vec![0; all as usize];
    let mut done = 0;
    each(rounds, |round| {
        let mut twice = 0;
        while done < round * TASKS {
            let found = results.get_timeout(LONG)?;
            let found = found.with_context(|| format!("{} tasks are lost", all - done))?;
            let number = found.as_int().and_then(|n| usize::try_from(n).ok());
            let times = number.and_then(|number| times.get_mut(number));
            let times = times.with_context(|| format!("there was no task {found}"))?;
            *times += 1;
            match *times {
                1 => done += 1,
                _ => twice += 1,
            }
            for (index, worker) in killed.iter().enumerate() {
                if done == all * (index as u32 + 1) / 3 {
                    worker.kill()?;
                }
            }
        }
        Ok(format!("{TASKS} tasks, {twice} results twice"))
    })?;
    others.iter().try_for_each(|_| tasks.put(Value::None))?;
    for worker in killed {
        worker.join()?;
    }
    for worker in others {
        let exit = worker.join()?;
        ensure!(exit == Exit::Code(0), "a worker failed: {exit}");
    }
    let twice = times.iter().filter(|times| **times > 1).count();
    Ok(format!("all {all} tasks done, {twice} of them twice"))
}

fn python(address: &Address) -> Result<Process> {
    let Address::Tcp(host, port) = address else {
        bail!("{address} is not an address of TCP");
    };
    let mut worker = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .spawn()
        .context("start python3")?;
    let stdin = worker.stdin.take();
    let worker = Process::from(worker);
    let mut stdin = stdin.context("the worker's standard input")?;
    writeln!(stdin, "{host} {port} {KEY}").context("tell the worker where the server is")?;
    Ok(worker)
}

/// The same worker in Rust.
pub fn worker(address: String) -> Result<()> {
    let address: Address = address.parse()?;
    let client = RemoteQueueClient::new(&address, KEY.as_bytes());
    let (tasks, results) = (client.get_task_queue()?, client.get_result_queue()?);
    let known = Tasks::new().register("builtins.max", |args| {
        Ok(args.positional.first().cloned().unwrap_or(Value::None))
    });
    loop {
        match tasks.get()? {
            Value::None => return Ok(()),
            task => results.put(known.run(&task)?)?,
        }
    }
}
