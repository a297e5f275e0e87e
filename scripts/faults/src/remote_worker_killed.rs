//! Four workers of a remote task queue, two of them Python; one of each language is killed. Every task is done.

use std::env;
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::managers::remote_queue::{RemoteQueueClient, RemoteQueueServer};
use crate::managers::{Address, Args, Task, Tasks, Value};
use crate::{LONG, each};

/// How many tasks a round has.
const TASKS: u32 = 2000;
const KEY: &str = "key";

/// What a Python programmer would write, for any server.
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

/// All rounds are one run of the workers: they are killed in the middle of it.
pub fn run(rounds: u32) -> Result<String> {
    let server = RemoteQueueServer::new(&Address::Tcp("127.0.0.1".into(), 0), KEY.as_bytes());
    let address = server.start()?;
    let (tasks, results) = (server.get_task_queue()?, server.get_result_queue()?);
    let all = rounds * TASKS;
    for number in 0..all {
        // The larger of the two is the task's number, which anybody can find out.
        let args = Args::new([Value::from(number), (-1).into()]);
        tasks.put(Task::call("builtins", "max", args))?;
    }
    let this = env::current_exe().context("find this program")?;
    let rust = || worker(Command::new(&this).arg("--remote-worker"), &address);
    let python = || worker(Command::new("python3").args(["-c", PYTHON]), &address);
    let mut killed = [rust()?, python()?];
    let mut others = [rust()?, python()?];
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
            for (index, worker) in killed.iter_mut().enumerate() {
                if done == all * (index as u32 + 1) / 3 {
                    worker.kill().context("kill a worker")?;
                }
            }
        }
        Ok(format!("{TASKS} tasks, {twice} results twice"))
    })?;
    others.iter().try_for_each(|_| tasks.put(Value::None))?;
    for worker in &mut killed {
        worker.wait().context("wait for a killed worker")?;
    }
    for worker in &mut others {
        let status = worker.wait().context("wait for a worker")?;
        ensure!(status.success(), "a worker failed: {status}");
    }
    let twice = times.iter().filter(|times| **times > 1).count();
    Ok(format!("all {all} tasks done, {twice} of them twice"))
}

fn worker(command: &mut Command, address: &Address) -> Result<Child> {
    let mut worker = command
        .stdin(Stdio::piped())
        .spawn()
        .context("start a worker")?;
    let mut stdin = worker.stdin.take().context("the worker's standard input")?;
    let Address::Tcp(host, port) = address else {
        unreachable!("a server of TCP");
    };
    writeln!(stdin, "{host} {port} {KEY}").context("tell the worker where the server is")?;
    Ok(worker)
}

/// The same worker in Rust.
pub fn work() -> Result<()> {
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .context("read where the server is")?;
    let [host, port, key] = line.split_whitespace().collect::<Vec<_>>()[..] else {
        anyhow::bail!("HOST PORT KEY was expected");
    };
    let address = Address::Tcp(host.to_owned(), port.parse().context("the port")?);
    let client = RemoteQueueClient::new(&address, key.as_bytes());
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
